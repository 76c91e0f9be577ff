// Requests over the threshold: handed on as they come, whatever becomes of their calls.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/server/fake_body.h"
#include "tests/server/server_fixture.h"
#include "thrift/ttwitter.h"

namespace trestle::server {
namespace {

using std::chrono::seconds;
using tests::FakeSink;

std::string Pattern(size_t size) {
  std::string out(size, '\0');
  for (size_t i = 0; i < size; i++) out[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  return out;
}

class LargeRequestTest : public ServerTest {
 protected:
  LargeRequestTest() { options_.stream_threshold = 100; }
  // The head of a large call and half of its body, and a neighbour's view of the rest.
  Client& BeginLarge(const std::string& frame, size_t size) {
    Client& client = Connect();
    Send(client, frame.substr(0, size));
    EXPECT_EQ(handler_.open.size(), 1u);
    return client;
  }
  const std::string frame_ = CallFrame("svc:upload", 7, Pattern(5000));
  FakeSink sink_;
};

TEST_F(LargeRequestTest, AtEveryCutTheSameBytesAreHandedOn) {
  const std::string after = CallFrame("after", 8);
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    options_.dialect.protocol = protocol;
    server_.reset();
    const std::string frame = CallFrame("svc:upload", 7, Pattern(400), protocol);
    const std::string next = CallFrame("after", 8, kVoidBody, protocol);
    for (size_t cut = 1; cut < frame.size(); cut++) {
      SCOPED_TRACE(cut);
      Client& client = Connect();
      Send(client, frame.substr(0, cut));
      if (handler_.open.size() == 1) {
        call::Call* call = handler_.open[0];
        EXPECT_TRUE(call->streamed);
        EXPECT_EQ(call->method, "svc:upload");
        EXPECT_EQ(call->request_bytes, frame.size());
        EXPECT_EQ(call->request.ToString(), frame.substr(0, cut));
        EXPECT_EQ(call->request_body.rest, frame.size() - cut);
        sink_.TakeUp(call);
        Send(client, frame.substr(cut) + next);
        EXPECT_TRUE(call->request_body.whole());
        EXPECT_EQ(sink_.got, frame);
        EXPECT_EQ(sink_.rest, 0u);
      } else {
        Send(client, frame.substr(cut) + next);
        ASSERT_EQ(handler_.open.size(), 2u);
        EXPECT_FALSE(handler_.open[0]->streamed) << "it was whole when its head was read";
        EXPECT_EQ(handler_.open[0]->request.ToString(), frame);
      }
      ASSERT_EQ(handler_.open.size(), 2u);
      handler_.ReplyNext();
      handler_.ReplyNext();
      EXPECT_EQ(Shown(Replies(client)), "svc:upload/7 after/8");
      Reset(client);
    }
  }
}

TEST_F(LargeRequestTest, ByteByByteItIsHandedOnToo) {
  Client& client = Connect();
  client.near->set_max_read(1);
  Send(client, frame_.substr(0, 300));
  ASSERT_EQ(handler_.open.size(), 1u) << "the head was there long before";
  sink_.TakeUp(handler_.open[0]);
  SendAll(client, frame_.substr(300));
  EXPECT_EQ(sink_.got, frame_);
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(client)), "svc:upload/7");
  EXPECT_EQ(Count("received_bytes"), frame_.size());
  EXPECT_EQ(table_.root()->histogram("request_payload_bytes")->sum(), frame_.size());
}

TEST_F(LargeRequestTest, WithATTwitterHeaderTheLengthIsTheMessagesOwn) {
  Client& client = Connect();
  Send(client, Frame(thrift::EncodeUpgradeCall(Protocol::kBinary)));
  Take(client);
  thrift::RequestHeader header;
  const std::string dest = "/svc/" + std::string(5000, 'd');
  header.dest = dest;
  std::string head;
  thrift::EncodeRequestHeader(Protocol::kBinary, header, &head);
  const std::string call = frame_.substr(4);
  const std::string whole = Frame(head + call);
  for (size_t most : {size_t{1}, size_t{700}, ~size_t{0}}) {
    client.near->set_max_read(most);
    Send(client, whole.substr(0, whole.size() - 1));
    ASSERT_EQ(handler_.open.size(), 1u);
    call::Call* c = handler_.open[0];
    EXPECT_TRUE(c->streamed);
    EXPECT_EQ(thrift::ReadU32(c->request.Front(4)), call.size());
    EXPECT_EQ(c->header_bytes.ToString(), Frame(head));
    EXPECT_EQ(c->header->dest, dest);
    sink_.TakeUp(c);
    Send(client, whole.substr(whole.size() - 1));
    EXPECT_EQ(sink_.got, frame_);
    handler_.ReplyNext();
    EXPECT_EQ(Shown(Replies(client, 1)), "svc:upload/7");
  }
}

TEST_F(LargeRequestTest, NothingIsReadUntilSomebodyTakesItAndNoMoreThanHeTakes) {
  options_.max_frame_bytes = 1 << 26;
  const std::string frame = CallFrame("m", 1, Pattern(8 << 20));
  Client& client = Connect(256 * 1024);
  size_t sent = SendAll(client, frame);
  EXPECT_LT(sent, 600'000u) << "nobody takes it";
  ASSERT_EQ(handler_.open.size(), 1u);
  const size_t before = base::Block::BytesOnThread();
  sink_.room = false;
  sink_.TakeUp(handler_.open[0]);
  sent += SendAll(client, std::string_view(frame).substr(sent));
  EXPECT_LT(sent, 900'000u) << "whoever has it takes no more";
  sink_.room = true;
  handler_.open[0]->request_body.source->OnBodyRoom(handler_.open[0]);
  sent += SendAll(client, std::string_view(frame).substr(sent));
  EXPECT_EQ(sent, frame.size());
  EXPECT_TRUE(sink_.got == frame);
  EXPECT_LE(base::Block::BytesOnThread(), before + 300'000) << "it was held";
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(client)), "m/1");
}

// How the call may end while its body is still coming, and what the client then gets.
TEST_F(LargeRequestTest, ACallThatEndsInMidBodyIsAnsweredAtOnceAndTheRestIsDropped) {
  for (bool taken : {false, true}) {
    for (bool fails : {false, true}) {
      SCOPED_TRACE(testing::Message() << taken << fails);
      Client& client = BeginLarge(frame_, 1000);
      if (taken) sink_.TakeUp(handler_.open[0]);
      fails ? handler_.Fail(handler_.Take()) : handler_.ReplyNext();
      EXPECT_EQ(Shown(Replies(client)), fails ? "upload/7!" : "svc:upload/7")
          << "it does not wait for the rest";
      const std::string had = sink_.got;
      Send(client, frame_.substr(1000, 2000));
      Send(client, frame_.substr(3000) + CallFrame("after", 8));
      EXPECT_EQ(sink_.got, had) << "handed on though nobody wants it";
      ASSERT_EQ(handler_.open.size(), 1u);
      handler_.ReplyNext();
      EXPECT_EQ(Shown(Replies(client)), "after/8");
      EXPECT_EQ(Count("malformed"), 0u);
      Reset(client);
      sink_ = FakeSink();
    }
  }
}

TEST_F(LargeRequestTest, ACallThatEndsWhileItIsHandedBytesIsSafe) {
  for (bool fails : {false, true}) {
    Client& client = BeginLarge(frame_, 1000);
    sink_.TakeUp(handler_.open[0]);
    sink_.then = [&](call::Call*) {
      fails ? handler_.Fail(handler_.Take()) : handler_.ReplyNext();
      sink_.then = nullptr;
    };
    Send(client, frame_.substr(1000, 1000));
    EXPECT_EQ(Replies(client).size(), 1u);
    Send(client, frame_.substr(2000) + CallFrame("after", 8));
    handler_.ReplyNext();
    EXPECT_EQ(Shown(Replies(client)), "after/8");
    Reset(client);
  }
}

TEST_F(LargeRequestTest, RefusedOrFailedAtOnceItIsReadToItsEnd) {
  handler_.at_once = [this](call::Call* call) { handler_.Fail(call); };
  options_.max_pipelined = 1;
  for (size_t size : {size_t{40}, size_t{1000}, frame_.size() - 1, frame_.size()}) {
    Client& client = Connect();
    Send(client, frame_.substr(0, size));
    Send(client, frame_.substr(size) + CallFrame("after", 8));
    EXPECT_EQ(Shown(Replies(client)), "upload/7! after/8!");
    Reset(client);
  }
}

TEST_F(LargeRequestTest, ItsReplyWaitsForThoseBeforeItWhileTheRestIsDropped) {
  Client& client = Connect();
  Send(client, CallFrame("slow", 1) + frame_.substr(0, 1000));
  ASSERT_EQ(handler_.open.size(), 2u);
  handler_.Fail(handler_.Take(1));
  Send(client, frame_.substr(1000) + CallFrame("after", 8));
  ASSERT_EQ(handler_.open.size(), 2u);
  handler_.ReplyNext(1);
  EXPECT_EQ(Take(client), "");
  handler_.ReplyNext(0);
  EXPECT_EQ(Shown(Replies(client)), "slow/1 upload/7! after/8");
}

TEST_F(LargeRequestTest, AOnewayIsHandedOnAndNotAnswered) {
  const std::string frame = Frame(Message(MessageType::kOneway, "log", 1, Pattern(1000)));
  Client& client = BeginLarge(frame, 500);
  sink_.TakeUp(handler_.open[0]);
  Send(client, frame.substr(500));
  EXPECT_EQ(sink_.got, frame);
  handler_.Take()->OnewayDone();
  EXPECT_EQ(Take(client), "");
}

// --- the client goes ---

TEST_F(LargeRequestTest, AClientThatVanishesAtAnyByteCancelsItsCall) {
  const std::string frame = CallFrame("m", 1, Pattern(300));
  for (bool reset : {false, true}) {
    for (bool taken : {false, true}) {
      for (size_t size = 1; size < frame.size(); size++) {
        SCOPED_TRACE(testing::Message() << size << reset << taken);
        Client& client = Connect();
        Send(client, frame.substr(0, size));
        const int cancelled = handler_.cancelled;
        const bool begun = !handler_.open.empty();
        if (begun && taken) sink_.TakeUp(handler_.open[0]);
        reset ? Reset(client) : End(client);
        // Without anybody who takes the body it is not read on, so its end is not seen behind it.
        if (begun && !taken && !reset) Advance(seconds(10));
        EXPECT_EQ(handler_.cancelled, cancelled + (begun ? 1 : 0));
        EXPECT_EQ(server().connections(), 0u);
      }
    }
  }
}

TEST_F(LargeRequestTest, TheCallsBeforeOneThatIsCutOffAreAnswered) {
  Client& client = Connect();
  Send(client, CallFrame("a", 1) + CallFrame("b", 2) + frame_.substr(0, 1000));
  ASSERT_EQ(handler_.open.size(), 3u);
  sink_.TakeUp(handler_.open[2]);
  End(client);
  EXPECT_EQ(handler_.cancelled, 1);
  EXPECT_EQ(Count("malformed"), 1u);
  handler_.ReplyNext(1);
  handler_.ReplyNext(0);
  EXPECT_EQ(Shown(Replies(client)), "a/1 b/2");
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(LargeRequestTest, AHalfClosedClientsBodyIsHandedOnAndAnswered) {
  sink_.room = false;
  Client& client = BeginLarge(frame_, 1000);
  sink_.TakeUp(handler_.open[0]);
  client.near->set_max_read(1000);
  Send(client, frame_.substr(1000));
  End(client);
  Advance(seconds(9));
  EXPECT_EQ(sink_.got.size(), 2000u);
  sink_.room = true;
  handler_.open[0]->request_body.source->OnBodyRoom(handler_.open[0]);
  Settle(&loop_);
  EXPECT_EQ(sink_.got, frame_);
  Advance(seconds(9));
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(client)), "svc:upload/7");
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(LargeRequestTest, CloseAllInMidBodyCancels) {
  BeginLarge(frame_, 1000);
  sink_.TakeUp(handler_.open[0]);
  server().CloseAll();
  EXPECT_EQ(handler_.cancelled, 1);
}

TEST_F(LargeRequestTest, DrainLetsABodyComeToItsEnd) {
  Client& client = BeginLarge(frame_, 1000);
  sink_.TakeUp(handler_.open[0]);
  bool drained = false;
  server().Drain([&] { drained = true; });
  Send(client, frame_.substr(1000) + CallFrame("late", 8));
  EXPECT_EQ(sink_.got, frame_);
  handler_.ReplyNext();
  End(client);
  EXPECT_EQ(Shown(Replies(client)).substr(0, 12), "svc:upload/7");
  for (call::Call* late; !handler_.open.empty(); handler_.Reply(late)) late = handler_.Take();
  Take(client);
  EXPECT_TRUE(drained);
}

TEST_F(LargeRequestTest, DrainDoesNotWaitForWhatIsOnlyDropped) {
  Client& client = BeginLarge(frame_, 1000);
  handler_.Fail(handler_.Take());
  bool drained = false;
  server().Drain([&] { drained = true; });
  EXPECT_EQ(Shown(Replies(client)), "upload/7!");
  EXPECT_TRUE(Ended(client));
  End(client);
  EXPECT_TRUE(drained);
}

// --- bad bytes ---

TEST_F(LargeRequestTest, BadHeadsAreBadBytesBeforeTheRestIsThere) {
  std::string version = frame_, reply = ReplyFrame("m", 1, Pattern(1000));
  version[4] = '\x01';
  version[5] = '\x02';
  std::string endless = Frame(std::string("\x80\x01\x00\x01\x7f\xff\xff\xff", 8) + Pattern(9000));
  for (const std::string& bytes : {version, reply, endless}) {
    for (size_t most : {size_t{1}, ~size_t{0}}) {
      Client& client = Connect();
      client.near->set_max_read(most);
      const uint64_t malformed = Count("malformed");
      Send(client, CallFrame("good", 1) + bytes.substr(0, 200));
      EXPECT_EQ(Count("malformed"), malformed + 1);
      ASSERT_EQ(handler_.open.size(), 1u);
      handler_.ReplyNext();
      EXPECT_EQ(Shown(Replies(client)), "good/1");
      EXPECT_TRUE(Ended(client));
      Reset(client);
    }
  }
}

TEST_F(LargeRequestTest, AHeaderThatNeverEndsIsBadBytesAtItsBound) {
  Client& client = Connect(1 << 16);
  Send(client, Frame(thrift::EncodeUpgradeCall(Protocol::kBinary)));
  Take(client);
  thrift::RequestHeader header;
  const std::string dest(400'000, 'd');
  header.dest = dest;
  std::string head;
  thrift::EncodeRequestHeader(Protocol::kBinary, header, &head);
  const std::string frame = Frame(head + Message(MessageType::kCall, "m", 1));
  SendAll(client, frame);
  EXPECT_TRUE(Ended(client));
  EXPECT_EQ(Count("malformed"), 1u);
  EXPECT_EQ(handler_.handled, 0);
}

TEST_F(LargeRequestTest, AnUpgradeWithALargeBodyIsAnsweredAndItsBodyDropped) {
  Client& client = Connect();
  const std::string upgrade = CallFrame(thrift::kUpgradeMethod, 1, Pattern(1000));
  Send(client, upgrade.substr(0, 500));
  EXPECT_EQ(Shown(Replies(client)), std::string(thrift::kUpgradeMethod) + "/1");
  std::string head;
  thrift::EncodeRequestHeader(Protocol::kBinary, {}, &head);
  Send(client, upgrade.substr(500) + Frame(head + Message(MessageType::kCall, "m", 2)));
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(client, 1)), "m/2");
}

}  // namespace
}  // namespace trestle::server
