// What may be held: of one connection, of names not yet bound, of a whole worker. Back-pressure
// first, then a clear refusal; and it always comes to an end.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/server/fake_body.h"
#include "tests/server/server_fixture.h"

namespace trestle::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using thrift::Framing;

class BudgetTest : public ServerTest {
 protected:
  // Somebody else's bytes on this thread.
  void Fill(size_t bytes) { ballast_.push_back(base::Block::New(static_cast<uint32_t>(bytes))); }
  void Free() {
    for (base::Block* b : ballast_) b->Unref();
    ballast_.clear();
  }
  void TearDown() override {
    Free();
    ServerTest::TearDown();
  }
  // A worker whose bound is far above what a test's own messages take; at three quarters of it.
  void FillToTight() {
    options_.max_buffered_bytes = 64 << 20;
    Fill(50 << 20);
  }
  void FillToFull() {
    options_.max_buffered_bytes = 64 << 20;
    Fill(65 << 20);
  }
  std::vector<base::Block*> ballast_;
};

// --- of one connection ---

TEST_F(BudgetTest, RepliesThatEndAtOnceBehindASlowOneCount) {
  options_.max_connection_bytes = 1000;
  handler_.at_once = [this](call::Call* call) {
    if (call->method == "slow") return handler_.open.push_back(call);
    handler_.Reply(call, std::string(300, 'r'));
  };
  Client& client = Connect();
  std::string sent = CallFrame("slow", 0);
  for (int i = 1; i <= 20; i++) sent += CallFrame("m", i);
  Send(client, sent);
  EXPECT_EQ(handler_.handled, 5) << "they were taken on though their replies are over the bound";
  handler_.at_once = [this](call::Call* call) { handler_.Reply(call); };
  handler_.ReplyNext();
  EXPECT_EQ(Replies(client).size(), 21u);
}

TEST_F(BudgetTest, CallsThatEndedBehindASlowOneHoldNothingOfTheirRequests) {
  handler_.at_once = [this](call::Call* call) {
    if (call->oneway()) return call->OnewayDone();
    call->ForgetBytes();  // as if it were with a backend
    handler_.open.push_back(call);
  };
  Client& client = Connect();
  Send(client, CallFrame("slow", 0));
  const size_t before = base::Block::BytesOnThread();
  for (int i = 1; i <= 20; i++) {
    Send(client, Frame(Message(MessageType::kOneway, "log", i, std::string(60'000, '\0'))));
  }
  EXPECT_EQ(handler_.handled, 21);
  EXPECT_LE(base::Block::BytesOnThread(), before + base::Arena::kBlockBytes);
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(client)), "slow/0");
}

TEST_F(BudgetTest, ErrorsThatWaitForTheirTurnCount) {
  options_.max_connection_bytes = 1000;
  handler_.at_once = [this](call::Call* call) {
    if (call->method == "slow") return handler_.open.push_back(call);
    handler_.Fail(call, std::string(300, 'e'));
  };
  Client& client = Connect();
  std::string sent = CallFrame("slow", 0);
  for (int i = 1; i <= 20; i++) sent += CallFrame("m", i);
  Send(client, sent);
  EXPECT_LT(handler_.handled, 6);
  handler_.ReplyNext();
  EXPECT_EQ(Replies(client).size(), 21u);
}

TEST_F(BudgetTest, OnlySoManyNamesOfAConnectionAreBoundAtATime) {
  options_.max_pending_bindings = 3;
  handler_.at_once = [this](call::Call* call) {
    handler_.open.push_back(call);
    if (call->method == "fresh") call->step = call::Step::kBind;
  };
  Client& client = Connect();
  std::string sent;
  for (int i = 0; i < 5; i++) sent += CallFrame("known", i);
  for (int i = 5; i < 15; i++) sent += CallFrame("fresh", i);
  Send(client, sent);
  EXPECT_EQ(handler_.handled, 8);
  // One gets bound.
  handler_.open[6]->sink->OnBound(handler_.open[6]);
  handler_.open[6]->step = call::Step::kBalance;
  Settle(&loop_);
  EXPECT_EQ(handler_.handled, 9);
  // One fails, one is out of time.
  handler_.Fail(handler_.Take(5));
  EXPECT_EQ(handler_.handled, 10);
  call::Call* late = handler_.Take(6);
  late->TimeOut(base::Status(base::Code::kTimeout, "late"));
  EXPECT_EQ(handler_.handled, 11);
  // All of them, in the same turn.
  for (call::Call* call : std::vector<call::Call*>(handler_.open)) {
    if (call->step != call::Step::kBind) continue;
    call->sink->OnBound(call);
    call->step = call::Step::kBalance;
  }
  Settle(&loop_);
  EXPECT_EQ(handler_.handled, 14);
  while (!handler_.open.empty()) handler_.ReplyNext();
  Settle(&loop_);
  while (!handler_.open.empty()) handler_.ReplyNext();
  EXPECT_EQ(Replies(client).size(), 15u);
}

TEST_F(BudgetTest, NamesOfOtherConnectionsDoNotCount) {
  options_.max_pending_bindings = 1;
  handler_.at_once = [this](call::Call* call) {
    handler_.open.push_back(call);
    call->step = call::Step::kBind;
  };
  Client& a = Connect();
  Client& b = Connect();
  Send(a, CallFrame("a", 1) + CallFrame("a", 2));
  Send(b, CallFrame("b", 1) + CallFrame("b", 2));
  EXPECT_EQ(handler_.handled, 2);
  while (!handler_.open.empty()) handler_.ReplyNext();
  EXPECT_EQ(Replies(a).size(), 2u);
  EXPECT_EQ(Replies(b).size(), 2u);
}

// --- of a worker ---

TEST_F(BudgetTest, OverThreeQuartersWhoHoldsSomeIsNotReadAndWhoHoldsNothingIs) {
  FillToTight();
  Client& busy = Connect();
  Client& half = Connect();
  Client& idle = Connect();
  Send(busy, CallFrame("a", 1));
  Send(half, CallFrame("h", 1).substr(0, 9));
  Send(busy, CallFrame("b", 2));
  Send(half, CallFrame("h", 1).substr(9));
  EXPECT_EQ(handler_.handled, 1);
  EXPECT_EQ(Gauge("held_back"), 2);
  Send(idle, CallFrame("i", 1));
  EXPECT_EQ(handler_.handled, 2);
  handler_.ReplyNext(1);
  EXPECT_EQ(Shown(Replies(idle)), "i/1");
  Free();
  Advance(milliseconds(10));
  EXPECT_EQ(Gauge("held_back"), 0);
  EXPECT_EQ(handler_.handled, 4);
  handler_.ReplyNext(2);
  handler_.ReplyNext(1);
  handler_.ReplyNext(0);
  EXPECT_EQ(Shown(Replies(busy)), "a/1 b/2");
  EXPECT_EQ(Shown(Replies(half)), "h/1");
}

TEST_F(BudgetTest, WhoHoldsNothingAnyMoreIsReadThoughMemoryIsShort) {
  FillToTight();
  Client& client = Connect();
  for (int i = 0; i < 10; i++) {
    Send(client, CallFrame("m", i));
    ASSERT_EQ(handler_.open.size(), 1u) << i;
    handler_.ReplyNext();
    EXPECT_EQ(Replies(client).size(), 1u);
  }
}

TEST_F(BudgetTest, WhatIsHereAlreadyIsServedThoughMemoryIsShort) {
  // Or nobody would ever let go of anything.
  FillToTight();
  options_.max_pipelined = 2;
  Client& client = Connect();
  std::string sent;
  for (int i = 0; i < 10; i++) sent += CallFrame("m", i);
  Send(client, sent);
  for (int i = 0; i < 10; i++) {
    ASSERT_FALSE(handler_.open.empty()) << i;
    handler_.ReplyNext();
    Settle(&loop_);
  }
  EXPECT_EQ(Replies(client).size(), 10u);
}

TEST_F(BudgetTest, EverybodyHeldBackInMidMessageComesToAnEnd) {
  FillToTight();
  for (int i = 0; i < 50; i++) Send(Connect(), CallFrame("m", 1).substr(0, 9));
  EXPECT_EQ(Gauge("held_back"), 50);
  // One after the other is let go on for a second, and has all its time from then.
  for (int i = 0; i < 24; i++) Advance(seconds(1));
  EXPECT_EQ(Count("malformed"), 50u);
  EXPECT_EQ(Gauge("held_back"), 0);
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(BudgetTest, ThoseInMidMessageComeToTheirEndWhileMemoryIsShort) {
  FillToTight();
  const std::string call = CallFrame("half", 1);
  for (int i = 0; i < 5; i++) Send(Connect(), call.substr(0, 9));
  ASSERT_EQ(Gauge("held_back"), 5);
  for (size_t i = 0; i < 5; i++) Send(*clients_[i], call.substr(9));  // in the system's queue
  EXPECT_TRUE(handler_.open.empty());
  for (int i = 0; i < 20; i++) Advance(milliseconds(10));
  EXPECT_EQ(handler_.open.size(), 5u);
  while (!handler_.open.empty()) handler_.ReplyNext();
}

TEST_F(BudgetTest, AClientThatDoesNotReadHoldsMemoryOnlySoLongWhenItIsShort) {
  FillToTight();
  Client& client = Connect(100);
  Send(client, CallFrame("m", 1));
  handler_.Reply(handler_.Take(), std::string(100'000, 'r'));
  Settle(&loop_);
  Send(client, CallFrame("m", 2));
  for (int i = 0; i < 30; i++) Advance(seconds(1));
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(BudgetTest, AClientThatReadsInCrumbsHoldsMemoryOnlySoLongWhenItIsShort) {
  FillToTight();
  Client& client = Connect(100);
  Send(client, CallFrame("m", 1));
  handler_.Reply(handler_.Take(), std::string(100'000, 'r'));
  Settle(&loop_);
  for (int i = 0; i < 60 && server().connections() > 0; i++) {
    char some[10];
    client.end->Read(some, sizeof some);
    Advance(seconds(1));
  }
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(BudgetTest, ClientsThatDoNotReadDoNotStopTheOthersForEver) {
  // Each of them within its own bound, and not one event comes from them.
  options_.max_buffered_bytes = 4 << 20;
  for (size_t each : {550'000, 700'000}) {
    for (int i = 0; i < 6; i++) {
      Client& client = Connect(100);
      Send(client, CallFrame("m", 1));
      ASSERT_EQ(handler_.open.size(), 1u);
      handler_.Reply(handler_.Take(), std::string(each, 'r'));
      Settle(&loop_);
    }
    const bool full = each > 600'000;
    Client& other = Connect();
    Send(other, CallFrame("a", 1) + CallFrame("b", 2));
    EXPECT_EQ(handler_.open.size(), full ? 0u : 2u);
    if (!full) Send(other, CallFrame("c", 3));
    for (int i = 0; i < 30; i++) Advance(seconds(1));
    if (full) Send(other, CallFrame("c", 3));
    EXPECT_LT(server().connections(), 7u);
    EXPECT_LE(base::Block::BytesOnThread(), 3u << 20);
    EXPECT_EQ(Gauge("held_back"), 0);
    EXPECT_EQ(handler_.open.size(), full ? 1u : 3u);
    while (!handler_.open.empty()) handler_.ReplyNext();
    EXPECT_EQ(Shown(Replies(other)), full ? "a/1! b/2! c/3" : "a/1 b/2 c/3");
    clients_.clear();
    Settle(&loop_);
    server_.reset();
    Settle(&loop_);
  }
}

TEST_F(BudgetTest, ThoseHeldBackGoOnAFewAtATime) {
  options_.max_buffered_bytes = 4 << 20;
  Fill((3 << 20) - 400'000);
  Fill(500'000);
  for (int i = 0; i < 20; i++) {
    Client& client = Connect();
    Send(client, CallFrame("m", 1).substr(0, 9));
    Send(client, CallFrame("m", 1).substr(9));
  }
  EXPECT_EQ(Gauge("held_back"), 20);
  ballast_.back()->Unref();
  ballast_.pop_back();
  const size_t before = base::Block::BytesOnThread();
  EXPECT_LT(before, 3u << 20);
  clock_.Advance(milliseconds(10));
  loop_.Poll();
  EXPECT_LT(Gauge("held_back"), 20);
  EXPECT_GT(Gauge("held_back"), 15) << "all at once would fill it again";
  for (int i = 0; i < 20; i++) Advance(milliseconds(10));
  EXPECT_EQ(handler_.handled, 20);
  while (!handler_.open.empty()) handler_.ReplyNext();
}

TEST_F(BudgetTest, PastTheBoundCallsAreRefused) {
  FillToFull();
  Client& client = Connect();
  Send(client, CallFrame("svc:m", 1));
  auto replies = Replies(client);
  ASSERT_EQ(Shown(replies), "m/1!");
  EXPECT_EQ(replies[0].text, "trestle: identify: over maxBufferedBytes");
  EXPECT_EQ(Count("refused"), 1u);
  EXPECT_EQ(Count("failures/identify/refused"), 1u);
  EXPECT_EQ(handler_.handled, 0);
  Free();
  Send(client, CallFrame("svc:m", 2));
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(client)), "svc:m/2");
}

// Their calls were taken on when there was memory; what they do not read must not add to it.
TEST_F(BudgetTest, PastTheBoundRepliesToAClientThatDoesNotReadAreRefused) {
  Client& lazy = Connect(100);
  Client& other = Connect();
  std::string sent;
  for (int i = 0; i < 20; i++) sent += CallFrame("m", i);
  ASSERT_EQ(SendAll(lazy, sent), sent.size());
  Send(other, CallFrame("m", 1));
  ASSERT_EQ(handler_.open.size(), 21u);
  handler_.Reply(handler_.Take(), std::string(60'000, 'r'));
  FillToFull();
  server().Reconfigure(options_);
  Settle(&loop_);
  const size_t before = base::Block::BytesOnThread();
  for (int i = 0; i < 18; i++) handler_.Reply(handler_.Take(), std::string(60'000, 'r'));
  handler_.Reply(handler_.Take(), "small");
  Settle(&loop_);
  EXPECT_LE(base::Block::BytesOnThread(), before + base::Arena::kBlockBytes);
  EXPECT_EQ(Count("refused"), 18u);
  EXPECT_EQ(Count("failures/reply/refused"), 18u);
  EXPECT_EQ(Count("success"), 2u);
  // Who reads gets its reply, however large.
  handler_.Reply(handler_.Take(), std::string(60'000, 'o'));
  EXPECT_EQ(Shown(Replies(other)), "m/1");
  auto got = Replies(lazy);
  ASSERT_EQ(got.size(), 20u);
  EXPECT_EQ(got[0].body, std::string(60'000, 'r'));
  for (size_t i = 1; i < 19; i++) {
    EXPECT_EQ(got[i].text.substr(0, 37), "trestle: reply: over maxBufferedBytes") << i;
  }
  EXPECT_EQ(got[19].body, "small");
}

TEST_F(BudgetTest, PastTheBoundALargeMessageThatMustBeHeldClosesItsConnection) {
  options_.dialect.framing = Framing::kBuffered;
  options_.stream_threshold = 1000;
  FillToFull();
  Client& small = Connect();
  Client& large = Connect();
  const std::string head("\x80\x01\x00\x01\x00\x00\x00\x01m\x00\x00\x00\x01\x0b\x00\x01\x00\x01",
                         18);
  Send(small, head);
  EXPECT_FALSE(Ended(small)) << "that much may be held";
  Send(large, head + std::string(2000, 'x'));
  EXPECT_TRUE(Ended(large));
  EXPECT_EQ(Count("malformed"), 1u);
}

TEST_F(BudgetTest, ALargeBodyIsHeldBackAndGoesOn) {
  options_.stream_threshold = 1000;
  const std::string frame = CallFrame("m", 1, std::string(500'000, 'b'));
  Client& client = Connect();
  FillToTight();
  server().Reconfigure(options_);
  client.end->Send(frame.substr(0, 5000));
  Settle(&loop_);
  ASSERT_EQ(handler_.open.size(), 1u);
  tests::FakeSink sink;
  sink.TakeUp(handler_.open[0]);
  Send(client, frame.substr(5000));
  EXPECT_EQ(sink.got.size(), 5000u);
  EXPECT_EQ(Gauge("held_back"), 1);
  Free();
  Advance(milliseconds(10));
  EXPECT_TRUE(sink.got == frame);
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(client)), "m/1");
}

TEST_F(BudgetTest, WhatIsOnlyDroppedIsReadThoughMemoryIsShort) {
  options_.stream_threshold = 1000;
  FillToTight();
  const std::string frame = CallFrame("m", 1, std::string(500'000, 'b'));
  Client& client = Connect();
  Send(client, frame.substr(0, 5000));
  handler_.Fail(handler_.Take());
  Send(client, frame.substr(5000) + CallFrame("after", 2));
  EXPECT_EQ(handler_.open.size(), 1u);
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(client)), "m/1! after/2");
}

TEST_F(BudgetTest, AConnectionThatGoesWhileHeldBackIsForgotten) {
  for (bool reset : {true, false}) {
    FillToTight();
    Client& client = Connect();
    Send(client, CallFrame("m", 1).substr(0, 9));
    EXPECT_EQ(Gauge("held_back"), 1);
    reset ? Reset(client) : server().CloseAll();
    EXPECT_EQ(Gauge("held_back"), 0);
    Free();
    Advance(milliseconds(20));
  }
}

}  // namespace
}  // namespace trestle::server
