// Replies over the threshold: written as they come, in their turn, as fast as the client reads.
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/server/fake_body.h"
#include "tests/server/server_fixture.h"
#include "thrift/ttwitter.h"

namespace trestle::server {
namespace {

using std::chrono::seconds;
using tests::FakeSource;
using thrift::Framing;

class LargeReplyTest : public ServerTest {
 protected:
  // An open call whose Holder goes on to hold it while its reply comes.
  call::Call* Open(Client& client, std::string_view name, int32_t seqid) {
    Send(client, CallFrame(name, seqid));
    return handler_.open.back();
  }
  // As a backend session does when the reply was the last of the call.
  void Forget(call::Call* call) { std::erase(handler_.open, call); }

  const std::string reply_ = ReplyFrame("m", 1, std::string(500'000, 'r'));
};

TEST_F(LargeReplyTest, WithAnyHeadTheSameBytesComeOut) {
  const std::string reply = ReplyFrame("m", 1, std::string(300, 'r'));
  for (size_t head = 19; head < reply.size(); head++) {
    for (size_t chunk : {size_t{1}, size_t{50}, size_t{1000}}) {
      Client& client = Connect();
      call::Call* call = Open(client, "m", 1);
      handler_.Take();
      FakeSource source;
      source.chunk = chunk;
      source.Begin(call, reply, head);
      EXPECT_TRUE(source.done);
      ASSERT_EQ(Take(client), reply) << head;
      Send(client, CallFrame("after", 2));
      handler_.ReplyNext();
      EXPECT_EQ(Shown(Replies(client)), "after/2");
      Reset(client);
    }
  }
}

TEST_F(LargeReplyTest, ItIsAskedForNoFasterThanTheClientReads) {
  const std::string reply = ReplyFrame("m", 1, std::string(16 << 20, 'r'));
  Client& client = Connect(64 * 1024);
  call::Call* call = Open(client, "m", 1);
  FakeSource source;
  source.Begin(call, reply, 1000);
  Settle(&loop_);
  EXPECT_GT(source.left.size(), reply.size() - 700'000) << "it is held for a slow reader";
  const size_t held = base::Block::BytesOnThread();
  Forget(call);  // its last byte comes while the client reads
  std::string got;
  size_t most = 0;
  for (;;) {
    Settle(&loop_);
    char some[30'000];
    net::IoResult r = client.end->Read(some, sizeof some);
    if (r.kind != net::IoResult::Kind::kBytes) break;
    got.append(some, r.bytes);
    most = std::max(most, base::Block::BytesOnThread());
  }
  EXPECT_TRUE(got == reply) << got.size();
  EXPECT_LT(most, held + 600'000);
  EXPECT_EQ(Count("sent_bytes"), reply.size());
  EXPECT_EQ(table_.root()->histogram("response_payload_bytes")->sum(), reply.size())
      << "counted once, whole";
}

TEST_F(LargeReplyTest, AFastReaderDoesNotStopIt) {
  // All of it is taken at the end of each turn, so nothing ever has to wait.
  const std::string reply = ReplyFrame("m", 1, std::string(16 << 20, 'r'));
  Client& client = Connect(1 << 26);
  call::Call* call = Open(client, "m", 1);
  FakeSource source;
  handler_.Take();
  source.Begin(call, reply, 1000);
  Settle(&loop_);
  EXPECT_TRUE(source.done) << source.left.size() << " bytes are left";
  EXPECT_EQ(client.end->TakeAll().size(), reply.size());
}

TEST_F(LargeReplyTest, ItWaitsForItsTurnWithItsHeadOnly) {
  Client& client = Connect();
  Open(client, "slow", 1);
  call::Call* call = Open(client, "m", 1);
  FakeSource source;
  source.Begin(call, reply_, 1000);
  Settle(&loop_);
  EXPECT_EQ(source.asked, 0);
  EXPECT_EQ(call->reply_body.sink, nullptr);
  EXPECT_EQ(Take(client), "");
  Open(client, "after", 2);
  handler_.ReplyNext(2);
  Forget(call);
  handler_.ReplyNext();
  EXPECT_EQ(Take(client), ReplyFrame("slow", 1) + reply_ + ReplyFrame("after", 2));
}

TEST_F(LargeReplyTest, SeveralInARowKeepTheirOrder) {
  Client& client = Connect();
  FakeSource sources[5];
  std::string due;
  call::Call* calls[5];
  for (int i = 0; i < 5; i++) calls[i] = Open(client, "m", i);
  handler_.open.clear();
  for (int i = 4; i >= 0; i--) {
    const std::string reply = ReplyFrame("m", i, std::string(1000, static_cast<char>('a' + i)));
    sources[i].Begin(calls[i], reply, 100);
    due = reply + due;
  }
  EXPECT_EQ(Take(client), due);
}

TEST_F(LargeReplyTest, ItComesAsTheBackendSendsIt) {
  Client& client = Connect();
  call::Call* call = Open(client, "m", 1);
  FakeSource source;
  source.here = 0;
  source.Begin(call, reply_, 100);
  EXPECT_EQ(Take(client), reply_.substr(0, 100));
  source.here = 1000;
  source.Give(call);
  EXPECT_EQ(Take(client), reply_.substr(100, 1000));
  source.here = FakeSource::kAll;
  Forget(call);
  source.Give(call);
  EXPECT_EQ(Take(client), reply_.substr(1100));
}

TEST_F(LargeReplyTest, BegunInsideHandleItIsWritten) {
  FakeSource source;
  handler_.at_once = [&](call::Call* call) { source.Begin(call, reply_, 100); };
  Client& client = Connect();
  Send(client, CallFrame("m", 1));
  EXPECT_EQ(Take(client), reply_);
}

TEST_F(LargeReplyTest, UnframedAndTTwitterClientsGetItInTheirForm) {
  std::string header;
  thrift::EncodeRequestHeader(Protocol::kBinary, {}, &header);
  for (Framing framing : {Framing::kFramed, Framing::kBuffered}) {
    for (bool upgraded : {false, true}) {
      SCOPED_TRACE(testing::Message() << thrift::FramingName(framing) << upgraded);
      options_.dialect = {};
      server_.reset();
      auto wrapped = [&](const std::string& message) {
        return framing == Framing::kFramed ? Frame(message) : message;
      };
      Client& client = Connect();
      if (upgraded) Send(client, wrapped(thrift::EncodeUpgradeCall(Protocol::kBinary)));
      Take(client);
      Send(client,
           wrapped((upgraded ? header : std::string()) + Message(MessageType::kCall, "m", 1)));
      ASSERT_EQ(handler_.open.size(), 1u);
      FakeSource source;
      call::Call* call = handler_.Take();
      source.Begin(call, reply_, 100);
      std::string message = reply_.substr(4);
      if (upgraded) message.insert(0, 1, '\0');
      EXPECT_TRUE(Take(client) == wrapped(message));
      Reset(client);
    }
  }
}

TEST_F(LargeReplyTest, OneThatBreaksOffClosesItsClientsConnection) {
  Client& client = Connect();
  Client& neighbour = Connect();
  Open(neighbour, "n", 1);
  call::Call* call = Open(client, "m", 1);
  Open(client, "other", 2);
  FakeSource source;
  source.here = 1000;
  source.Begin(call, reply_, 100);
  Settle(&loop_);
  Forget(call);
  handler_.Fail(call);
  EXPECT_EQ(server().connections(), 1u) << "at once: nothing else can tell the client";
  Settle(&loop_);
  EXPECT_TRUE(Ended(client));
  EXPECT_EQ(Take(client), reply_.substr(0, 1100)) << "no byte behind the broken reply";
  EXPECT_EQ(Count("broken_replies"), 1u);
  EXPECT_EQ(handler_.cancelled, 1) << "the call behind it";
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(neighbour)), "n/1");
}

TEST_F(LargeReplyTest, OneThatBreaksOffBeforeItsTurnIsAnException) {
  Client& client = Connect();
  Open(client, "slow", 1);
  call::Call* call = Open(client, "m", 2);
  FakeSource source;
  source.Begin(call, reply_, 100);
  Forget(call);
  handler_.Fail(call);
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(client)), "slow/1 m/2!");
  EXPECT_EQ(Count("broken_replies"), 0u);
  EXPECT_FALSE(Ended(client));
}

TEST_F(LargeReplyTest, OneThatEndsShortOfItsLengthClosesTheConnection) {
  for (bool in_turn : {true, false}) {
    Client& client = Connect();
    if (!in_turn) Open(client, "slow", 1);
    call::Call* call = Open(client, "m", 1);
    FakeSource source;
    source.here = 1000;
    source.Begin(call, reply_, 100);
    Forget(call);
    call->EndReply();
    Settle(&loop_);
    EXPECT_TRUE(Ended(client));
  }
  EXPECT_EQ(Count("broken_replies"), 2u);
}

TEST_F(LargeReplyTest, AClientThatVanishesInMidReplyCancelsTheCall) {
  for (bool reset : {true, false}) {
    Client& client = Connect(1000);
    call::Call* call = Open(client, "m", 1);
    FakeSource source;
    source.Begin(call, reply_, 100);
    Settle(&loop_);
    const int cancelled = handler_.cancelled;
    client.end->Close(reset);
    Settle(&loop_);
    if (!reset) Advance(seconds(10));  // a half-closed one might still read
    EXPECT_EQ(handler_.cancelled, cancelled + 1);
    EXPECT_EQ(server().connections(), 0u);
  }
}

TEST_F(LargeReplyTest, ACallThatRunsOutOfTimeInMidReplyBreaksIt) {
  Client& client = Connect(1000);
  call::Call* call = Open(client, "m", 1);
  FakeSource source;
  source.Begin(call, reply_, 100);
  Settle(&loop_);
  call->TimeOut(base::Status(base::Code::kTimeout, "too long"));
  Settle(&loop_);
  EXPECT_EQ(Count("broken_replies"), 1u);
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(LargeReplyTest, OtherCallsAreReadMeanwhile) {
  options_.max_connection_bytes = 1 << 20;
  Client& client = Connect(1 << 20);
  call::Call* call = Open(client, "m", 1);
  FakeSource source;
  source.here = 0;
  source.Begin(call, reply_, 100);
  Send(client, CallFrame("b", 2));
  EXPECT_EQ(handler_.open.size(), 2u);
  handler_.ReplyNext(1);
  EXPECT_EQ(Take(client), reply_.substr(0, 100)) << "and answered behind it";
  Forget(call);
  source.here = FakeSource::kAll;
  source.Give(call);
  EXPECT_EQ(Take(client), reply_.substr(100) + ReplyFrame("b", 2));
}

TEST_F(LargeReplyTest, WithALargeRequestOfTheSameCallStillComing) {
  options_.stream_threshold = 100;
  const std::string request = CallFrame("m", 1, std::string(5000, 'q'));
  Client& client = Connect();
  Send(client, request.substr(0, 1000));
  call::Call* call = handler_.open.at(0);
  tests::FakeSink sink;
  sink.TakeUp(call);
  FakeSource source;
  source.here = 500;
  source.Begin(call, reply_, 100);
  EXPECT_EQ(Take(client), reply_.substr(0, 600));
  Send(client, request.substr(1000, 3000));
  EXPECT_EQ(sink.got, request.substr(0, 4000));
  Forget(call);
  source.here = FakeSource::kAll;
  source.Give(call);
  EXPECT_EQ(Take(client), reply_.substr(600));
  Send(client, request.substr(4000) + CallFrame("after", 2));
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(client)), "after/2");
}

TEST_F(LargeReplyTest, ARequestCutOffWithItsReplyHalfWrittenClosesTheConnection) {
  options_.stream_threshold = 100;
  const std::string request = CallFrame("m", 1, std::string(5000, 'q'));
  Client& client = Connect();
  Send(client, request.substr(0, 1000));
  tests::FakeSink sink;
  sink.TakeUp(handler_.open.at(0));
  FakeSource source;
  source.here = 500;
  source.Begin(handler_.open[0], reply_, 100);
  End(client);
  EXPECT_EQ(handler_.cancelled, 1);
  EXPECT_EQ(server().connections(), 0u);
}

}  // namespace
}  // namespace trestle::server
