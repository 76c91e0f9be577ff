// How a client connection ends: half-closed, vanished, idle, old, drained; and refused calls.
#include <gtest/gtest.h>

#include <string>

#include "tests/server/server_fixture.h"

namespace trestle::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using LifeTest = ServerTest;

// --- half-closed ---

TEST_F(LifeTest, AHalfClosedClientGetsItsReplies) {
  Client& client = Connect();
  Send(client, CallFrame("a", 1) + CallFrame("b", 2));
  End(client);
  EXPECT_EQ(handler_.cancelled, 0);
  Advance(seconds(9));
  handler_.ReplyNext(1);
  EXPECT_EQ(server().connections(), 1u);
  handler_.ReplyNext(0);
  EXPECT_EQ(Shown(Replies(client)), "a/1 b/2");
  EXPECT_TRUE(Ended(client));
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(LifeTest, AHalfClosedClientWaitsOnlySoLong) {
  options_.half_close_timeout = seconds(10);
  Client& client = Connect();
  Send(client, CallFrame("a", 1) + CallFrame("b", 2));
  End(client);
  handler_.ReplyNext(1);
  Advance(seconds(10) - milliseconds(1));
  EXPECT_EQ(handler_.cancelled, 0);
  Advance(milliseconds(1));
  EXPECT_EQ(handler_.cancelled, 1);
  EXPECT_EQ(server().connections(), 0u);
  EXPECT_EQ(Take(client), "");
  EXPECT_EQ(Count("cancelled"), 1u);
  EXPECT_EQ(Count("success"), 1u) << "the one that had its reply";
}

TEST_F(LifeTest, HalfClosedWithMoreCallsThanRunAtATimeAllAreServed) {
  options_.max_pipelined = 1;
  Client& client = Connect();
  Send(client, CallFrame("a", 1) + CallFrame("b", 2) + CallFrame("c", 3));
  End(client);
  for (int i = 0; i < 3; i++) {
    ASSERT_EQ(handler_.open.size(), 1u);
    handler_.ReplyNext();
    Settle(&loop_);
  }
  EXPECT_EQ(Shown(Replies(client)), "a/1 b/2 c/3");
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(LifeTest, AHalfClosedClientOfAFullPipelineWaitsOnlySoLongToo) {
  options_.max_pipelined = 1;
  Client& client = Connect();
  Send(client, CallFrame("a", 1));
  End(client);
  Advance(seconds(10));
  EXPECT_EQ(handler_.cancelled, 1);
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(LifeTest, OnHalfCloseCancelEndsTheCallsAtOnce) {
  options_.on_half_close = Options::OnHalfClose::kCancel;
  for (uint32_t most : {1u, 2u, 32u}) {
    SCOPED_TRACE(most);
    options_.max_pipelined = most;
    server_.reset();
    handler_ = tests::FakeHandler();
    Client& client = Connect();
    Send(client, CallFrame("a", 1) + CallFrame("b", 2) + CallFrame("c", 3));
    const size_t open = handler_.open.size();
    End(client);
    EXPECT_EQ(handler_.cancelled, static_cast<int>(open));
    EXPECT_TRUE(handler_.open.empty());
    EXPECT_EQ(server().connections(), 0u);
    EXPECT_EQ(Take(client), "");
  }
}

TEST_F(LifeTest, AnIdleClientThatEndsIsClosed) {
  Client& client = Connect();
  End(client);
  EXPECT_TRUE(Ended(client));
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(LifeTest, HalfClosedAndNotReadingItIsClosedAfterTheWhile) {
  Client& client = Connect(100);
  Send(client, CallFrame("a", 1));
  End(client);
  handler_.Reply(handler_.Take(), std::string(1000, 'x'));
  Settle(&loop_);
  EXPECT_EQ(server().connections(), 1u);
  Advance(seconds(11));
  EXPECT_EQ(server().connections(), 0u);
}

// --- vanished ---

TEST_F(LifeTest, AResetCancelsEveryCall) {
  for (uint32_t most : {1u, 32u}) {
    options_.max_pipelined = most;
    server_.reset();
    handler_ = tests::FakeHandler();
    Client& client = Connect();
    Client& neighbour = Connect();
    Send(neighbour, CallFrame("n", 1));
    Send(client, CallFrame("a", 1) + CallFrame("b", 2) + OnewayFrame("c", 3));
    const int open = static_cast<int>(handler_.open.size()) - 1;
    Reset(client);
    EXPECT_EQ(handler_.cancelled, open);
    ASSERT_EQ(handler_.open.size(), 1u);
    EXPECT_EQ(server().connections(), 1u);
    handler_.ReplyNext();
    EXPECT_EQ(Shown(Replies(neighbour)), "n/1");
    Reset(neighbour);
  }
}

TEST_F(LifeTest, AResetWithRepliesWaitingForTheirTurn) {
  Client& client = Connect();
  Send(client, CallFrame("a", 1) + CallFrame("b", 2) + CallFrame("c", 3));
  handler_.ReplyNext(1);
  Reset(client);
  EXPECT_EQ(handler_.cancelled, 2);
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(LifeTest, AWriteThatFailsCancelsTheOtherCalls) {
  Client& client = Connect();
  Send(client, CallFrame("a", 1) + CallFrame("b", 2));
  client.end->Close(true);
  handler_.ReplyNext();  // before the reset is read
  Settle(&loop_);
  EXPECT_EQ(handler_.cancelled, 1);
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(LifeTest, CallsThatEndWhileOthersAreCancelledAreFine) {
  Client& client = Connect();
  Send(client, CallFrame("a", 1) + CallFrame("b", 2) + CallFrame("c", 3));
  // The end of the first lets the others go, as the slot of a pool does.
  struct Chain final : call::Observer {
    void OnEnded(call::Call*) override {
      if (!handler->open.empty()) tests::FakeHandler::Fail(handler->Take());
    }
    tests::FakeHandler* handler;
  } chain;
  chain.handler = &handler_;
  handler_.open[0]->observer = &chain;
  Reset(client);
  EXPECT_EQ(server().connections(), 0u);
}

// --- bounds ---

TEST_F(LifeTest, CallsOverMaxConcurrentRequestsAreRefused) {
  options_.max_concurrent = 2;
  Client& a = Connect();
  Client& b = Connect();
  Send(a, CallFrame("a", 1));
  Send(b, CallFrame("b", 1));
  Send(b, CallFrame("svc:late", 2));
  EXPECT_EQ(handler_.open.size(), 2u);
  handler_.ReplyNext(1);
  auto replies = Replies(b);
  ASSERT_EQ(Shown(replies), "b/1 late/2!");
  EXPECT_EQ(replies[1].text, "trestle: identify: over maxConcurrentRequests of this server");
  EXPECT_EQ(Count("refused"), 1u);
  EXPECT_EQ(Count("failures/identify/refused"), 1u);
  Send(b, CallFrame("again", 3));
  EXPECT_EQ(handler_.open.size(), 2u) << "there is room again";
  Reset(a);
  Reset(b);
}

TEST_F(LifeTest, ARefusedOnewayIsNotAnswered) {
  options_.max_concurrent = 1;
  Client& a = Connect();
  Client& b = Connect();
  Send(a, CallFrame("a", 1));
  Send(b, OnewayFrame("log", 1));
  EXPECT_EQ(Take(b), "");
  EXPECT_EQ(Count("refused"), 1u);
  EXPECT_FALSE(Ended(b));
  handler_.ReplyNext();
}

// --- idle and old ---

TEST_F(LifeTest, AnIdleConnectionIsClosedAndABusyOneIsNot) {
  options_.idle_time = seconds(60);
  Client& idle = Connect();
  Client& busy = Connect();
  Client& used = Connect();
  Send(busy, CallFrame("long", 1));
  Advance(seconds(59));
  Send(used, CallFrame("m", 1));
  handler_.ReplyNext(1);
  Advance(seconds(1));
  EXPECT_TRUE(Ended(idle));
  EXPECT_FALSE(Ended(busy));
  EXPECT_FALSE(Ended(used));
  Advance(seconds(59));
  EXPECT_TRUE(Ended(used));
  EXPECT_FALSE(Ended(busy));
  Advance(seconds(600));
  EXPECT_FALSE(Ended(busy));
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(busy)), "long/1");
  EXPECT_FALSE(Ended(busy)) << "it was just used";
  Advance(seconds(60));
  EXPECT_TRUE(Ended(busy));
}

TEST_F(LifeTest, IdleTimeCountsFromTheLastReply) {
  options_.idle_time = seconds(60);
  Client& client = Connect();
  Send(client, CallFrame("m", 1));
  Advance(seconds(59));
  handler_.ReplyNext();
  Settle(&loop_);
  Advance(seconds(59));
  EXPECT_FALSE(Ended(client));
  Advance(seconds(1));
  EXPECT_TRUE(Ended(client));
}

TEST_F(LifeTest, HalfAFrameDoesNotKeepAnIdleConnection) {
  options_.idle_time = seconds(60);
  Client& client = Connect();
  Send(client, CallFrame("m", 1).substr(0, 9));
  Advance(seconds(60));
  EXPECT_TRUE(Ended(client));
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(LifeTest, AnOldConnectionIsClosedWhenItsCallsAreDone) {
  options_.life_time = seconds(100);
  Client& idle = Connect();
  Client& busy = Connect();
  Send(busy, CallFrame("m", 1));
  Advance(seconds(100));
  EXPECT_TRUE(Ended(idle));
  EXPECT_FALSE(Ended(busy));
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(busy)), "m/1");
  EXPECT_TRUE(Ended(busy));
}

TEST_F(LifeTest, TimesOfNothingDoNotStopTheLoop) {
  options_.idle_time = seconds(0);
  options_.life_time = seconds(0);
  options_.half_close_timeout = seconds(0);
  Client& client = Connect();
  client.end->Send(CallFrame("m", 1));
  for (int i = 0; i < 20; i++) loop_.Poll();
  EXPECT_LE(handler_.open.size(), 1u);
}

// --- drained ---

TEST_F(LifeTest, DrainClosesIdleConnectionsAtOnceAndOthersAfterTheirReplies) {
  Client& idle = Connect();
  Client& busy = Connect();
  Send(busy, CallFrame("a", 1) + CallFrame("b", 2));
  int drained = 0;
  server().Drain([&] { drained++; });
  Settle(&loop_);
  EXPECT_TRUE(Ended(idle));
  EXPECT_FALSE(Ended(busy));
  EXPECT_EQ(drained, 0);
  handler_.ReplyNext(1);
  handler_.ReplyNext(0);
  EXPECT_EQ(Shown(Replies(busy)), "a/1 b/2");
  EXPECT_TRUE(Ended(busy));
  EXPECT_EQ(drained, 0) << "the client has not seen the end yet";
  End(busy);
  EXPECT_EQ(drained, 1);
  EXPECT_EQ(handler_.cancelled, 0);
}

TEST_F(LifeTest, DrainServesFramesThatWereReadAlready) {
  options_.max_pipelined = 1;
  Client& client = Connect();
  Send(client, CallFrame("a", 1) + CallFrame("b", 2) + CallFrame("c", 3));
  server().Drain([] {});
  for (int i = 0; i < 3; i++) {
    ASSERT_EQ(handler_.open.size(), 1u) << i;
    handler_.ReplyNext();
    Settle(&loop_);
  }
  EXPECT_EQ(Shown(Replies(client)), "a/1 b/2 c/3");
  EXPECT_TRUE(Ended(client));
}

TEST_F(LifeTest, DrainIsDoneWithAClientThatAlwaysHasACallInFlight) {
  Client& client = Connect();
  Send(client, CallFrame("a", 1));
  server().Drain([] {});
  Send(client, CallFrame("b", 2));  // too late
  ASSERT_EQ(handler_.open.size(), 1u);
  handler_.ReplyNext();
  Settle(&loop_);
  EXPECT_EQ(Shown(Replies(client)), "a/1");
  EXPECT_TRUE(Ended(client));
  EXPECT_TRUE(handler_.open.empty());
}

TEST_F(LifeTest, DrainWaitsForTheRestOfAFrameOnlySoLong) {
  Client& client = Connect();
  Send(client, CallFrame("a", 1).substr(0, 7));
  int drained = 0;
  server().Drain([&] { drained++; });
  Settle(&loop_);
  EXPECT_EQ(drained, 0);
  Advance(seconds(2));
  EXPECT_EQ(drained, 1);
}

TEST_F(LifeTest, ADrainedServerTakesNoMoreConnections) {
  int closed = 0;
  server().on_closed = [&] { closed++; };
  bool drained = false;
  server().Drain([&] { drained = true; });
  EXPECT_TRUE(drained) << "nothing to wait for";
  Client& late = Connect();
  EXPECT_TRUE(Ended(late));
  EXPECT_EQ(closed, 1);
  EXPECT_EQ(server().connections(), 0u);
  server().on_closed = nullptr;
}

TEST_F(LifeTest, CloseAllCancelsAndCloses) {
  int closed = 0;
  server().on_closed = [&] { closed++; };
  Client& a = Connect();
  Client& b = Connect();
  Send(a, CallFrame("a", 1) + CallFrame("b", 2));
  server().CloseAll();
  EXPECT_EQ(handler_.cancelled, 2);
  EXPECT_EQ(closed, 2);
  Settle(&loop_);
  EXPECT_TRUE(Ended(a));
  EXPECT_TRUE(Ended(b));
  server().on_closed = nullptr;
}

TEST_F(LifeTest, AServerThatEndsTakesItsConnectionsWithIt) {
  Client& a = Connect();
  Send(a, CallFrame("a", 1));
  server_.reset();
  EXPECT_EQ(handler_.cancelled, 1);
  Settle(&loop_);
  EXPECT_TRUE(Ended(a));
}

TEST_F(LifeTest, CallsAreUsedAgainAsNew) {
  Client& client = Connect();
  for (int i = 0; i < 3; i++) {
    Send(client, CallFrame("m", i));
    call::Call* call = handler_.Take();
    EXPECT_EQ(call->attempts, 0u);
    EXPECT_EQ(call->logical, nullptr);
    call->attempts = 5;
    std::string logical = "/x";
    call->logical = &logical;
    i % 2 ? handler_.Reply(call) : handler_.Fail(call);
  }
  EXPECT_EQ(Replies(client).size(), 3u);
}

}  // namespace
}  // namespace trestle::server
