// Gaps in the middle of a message: a client, or a backend, of which no byte moves for too long.
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

class GapTest : public ServerTest {
 protected:
  GapTest() {
    options_.body_idle_timeout = seconds(10);
    options_.stream_threshold = 1000;
  }
  const std::string large_ = CallFrame("m", 1, std::string(5000, 'b'));
};

// What may have come of a message when nothing more does.
TEST_F(GapTest, AClientThatStopsInMidMessageIsClosed) {
  const std::string small = CallFrame("method", 1, std::string(100, 'b'));
  struct Case {
    Framing framing;
    std::string bytes;
  } cases[] = {
      {Framing::kFramed, small.substr(0, 1)},
      {Framing::kFramed, small.substr(0, 3)},
      {Framing::kFramed, small.substr(0, 50)},
      {Framing::kFramed, small.substr(0, small.size() - 1)},
      {Framing::kFramed, large_.substr(0, 10)},
      {Framing::kBuffered, CallFrame("method", 1).substr(4, 5)},
      {Framing::kBuffered, CallFrame("method", 1).substr(4, 18)},
  };
  for (const Case& c : cases) {
    for (bool detected : {false, true}) {
      SCOPED_TRACE(c.bytes.size());
      options_.dialect.framing.reset();
      if (!detected) options_.dialect.framing = c.framing;
      server_.reset();
      Client& client = Connect();
      const uint64_t malformed = Count("malformed");
      Send(client, c.bytes);
      Advance(seconds(10) - milliseconds(1));
      EXPECT_FALSE(Ended(client));
      Advance(milliseconds(1));
      EXPECT_TRUE(Ended(client));
      EXPECT_EQ(Count("malformed"), malformed + 1);
      clients_.clear();
      Settle(&loop_);
    }
  }
  EXPECT_EQ(handler_.handled, 0);
}

TEST_F(GapTest, BetweenMessagesAClientMayBeSilent) {
  for (bool calls : {false, true}) {
    Client& client = Connect();
    if (calls) Send(client, CallFrame("m", 1).substr(0, 9));
    if (calls) Send(client, CallFrame("m", 1).substr(9));
    Advance(seconds(3600));
    EXPECT_FALSE(Ended(client)) << "no message has begun, or its call is in flight";
    if (calls) handler_.ReplyNext();
    Advance(seconds(3600));
    EXPECT_FALSE(Ended(client));
  }
}

TEST_F(GapTest, OneByteInTimeIsEnough) {
  const std::string call = CallFrame("m", 1);
  Client& client = Connect();
  for (char byte : call) {
    Advance(seconds(9));
    ASSERT_FALSE(Ended(client));
    Send(client, {&byte, 1});
  }
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(client)), "m/1");
}

TEST_F(GapTest, SmallWholeFramesArmNoTimer) {
  // A timer that stood would be seen in the next turn after its time.
  Client& client = Connect();
  for (int i = 0; i < 10; i++) {
    Send(client, CallFrame("m", i));
    handler_.ReplyNext();
  }
  EXPECT_EQ(Replies(client).size(), 10u);
  clock_.Advance(seconds(3600));
  EXPECT_FALSE(loop_.Poll());
}

TEST_F(GapTest, TheCallsBeforeTheGapAreAnswered) {
  Client& client = Connect();
  Send(client, CallFrame("a", 1) + CallFrame("b", 2).substr(0, 9));
  Advance(seconds(10));
  EXPECT_FALSE(Ended(client));
  EXPECT_EQ(Count("malformed"), 1u);
  Send(client, CallFrame("b", 2).substr(9));  // too late
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(client)), "a/1");
  EXPECT_TRUE(Ended(client));
  EXPECT_EQ(handler_.handled, 1);
}

TEST_F(GapTest, AClientThatStopsInMidBodyHasItsCallCancelled) {
  Client& client = Connect();
  Send(client, CallFrame("a", 0) + large_.substr(0, 2000));
  ASSERT_EQ(handler_.open.size(), 2u);
  tests::FakeSink sink;
  sink.TakeUp(handler_.open[1]);
  Advance(seconds(9));
  Send(client, large_.substr(2000, 1));
  Advance(seconds(9));
  EXPECT_EQ(handler_.cancelled, 0);
  Advance(seconds(1));
  EXPECT_EQ(handler_.cancelled, 1);
  EXPECT_EQ(Count("malformed"), 1u);
  EXPECT_FALSE(Ended(client)) << "a reply is due before";
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(client)), "a/0");
  EXPECT_TRUE(Ended(client));
}

TEST_F(GapTest, AClientThatStopsWhileItsBodyIsDroppedIsClosed) {
  Client& client = Connect();
  Send(client, large_.substr(0, 2000));
  handler_.Fail(handler_.Take());
  EXPECT_EQ(Shown(Replies(client)), "m/1!");
  Advance(seconds(10));
  EXPECT_TRUE(Ended(client));
  EXPECT_EQ(Count("malformed"), 1u);
}

TEST_F(GapTest, ABackendThatTakesNoMoreOfARequestFailsTheCallAndNotTheClient) {
  for (bool taken : {true, false}) {
    handler_.cancelled = 0;
    Client& client = Connect(1000);
    SendAll(client, large_.substr(0, 2000));
    ASSERT_EQ(handler_.open.size(), 1u);
    tests::FakeSink sink;
    sink.room = false;
    if (taken) sink.TakeUp(handler_.open[0]);
    SendAll(client, large_.substr(2000, 3000));
    Advance(seconds(11));
    EXPECT_EQ(handler_.cancelled, 1);
    EXPECT_TRUE(handler_.open.empty());
    auto replies = Replies(client);
    ASSERT_EQ(Shown(replies), "m/1!");
    EXPECT_EQ(replies[0].text,
              "trestle: identify: no byte of the request could be handed on for 10000 ms "
              "(bodyIdleTimeoutMs)");
    EXPECT_FALSE(Ended(client));
    EXPECT_EQ(Count("malformed"), 0u);
    Reset(client);
  }
}

TEST_F(GapTest, AClientThatTakesNoMoreOfALargeReplyIsClosed) {
  Client& client = Connect(1000);
  Send(client, CallFrame("m", 1));
  tests::FakeSource source;
  source.Begin(handler_.open.at(0), ReplyFrame("m", 1, std::string(2'000'000, 'r')), 100);
  Settle(&loop_);
  for (int i = 0; i < 10; i++) {
    Advance(seconds(9));
    EXPECT_EQ(server().connections(), 1u) << "it reads, if slowly";
    char some[500];
    client.end->Read(some, sizeof some);
    Settle(&loop_);
  }
  Advance(seconds(10));
  Advance(seconds(10));
  EXPECT_EQ(server().connections(), 0u);
  EXPECT_EQ(handler_.cancelled, 1);
}

TEST_F(GapTest, ALargeReplyOfWhichNothingComesIsTheBackendsAffair) {
  Client& client = Connect();
  Send(client, CallFrame("m", 1));
  tests::FakeSource source;
  source.here = 0;
  source.Begin(handler_.open.at(0), ReplyFrame("m", 1, std::string(5000, 'r')), 100);
  Settle(&loop_);
  Advance(seconds(60));
  EXPECT_FALSE(Ended(client)) << "its session fails the call when that takes too long";
}

TEST_F(GapTest, WhileWeDoNotReadBecauseOfOurCallsAClientMayWait) {
  options_.max_pipelined = 1;
  Client& client = Connect();
  Send(client, CallFrame("a", 1) + CallFrame("b", 2).substr(0, 9));
  Advance(seconds(60));
  EXPECT_EQ(Count("malformed"), 0u);
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(client)), "a/1");
  EXPECT_FALSE(Ended(client)) << "from now on it has its time";
  Advance(seconds(9));
  Send(client, CallFrame("b", 2).substr(9));
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(client)), "b/2");
}

TEST_F(GapTest, TenThousandInOneGapAreAllClosed) {
  // One byte each: what none of them may do is to stay for ever.
  for (int i = 0; i < 10'000; i++) {
    auto [near, far] = tests::MemoryTransport::Pair(&loop_, 100);
    server().Accept(std::move(near));
    far->Send("\x01");
    far->ShutdownWrite();
    auto client = std::make_unique<Client>();
    client->end = std::move(far);
    clients_.push_back(std::move(client));
  }
  Settle(&loop_);
  Advance(seconds(10));
  Advance(seconds(3));
  EXPECT_EQ(server().connections(), 0u);
}

}  // namespace
}  // namespace trestle::server
