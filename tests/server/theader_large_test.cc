// THeader with messages over the threshold, and with zlib: handed on as they come where that can
// be, held until whole and bounded where it cannot.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/server/fake_body.h"
#include "tests/server/server_fixture.h"
#include "tests/support/theader_wire.h"

namespace trestle::server {
namespace {

using tests::Deflated;
using tests::FakeSink;
using tests::FakeSource;
using tests::HeaderBytes;
using tests::HeaderFrame;

constexpr Protocol kBinary = Protocol::kBinary;
constexpr Protocol kCompact = Protocol::kCompact;

std::string Pattern(size_t size) {
  std::string out(size, '\0');
  for (size_t i = 0; i < size; i++) out[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  return out;
}

class THeaderLargeTest : public ServerTest {
 protected:
  THeaderLargeTest() {
    options_.dialect = {};
    options_.stream_threshold = 100;
  }
  static std::string Call(std::string_view name, int32_t seqid, const std::string& body = kVoidBody,
                          Protocol protocol = kBinary) {
    return Message(MessageType::kCall, name, seqid, body, protocol);
  }
  static std::string Reply(std::string_view name, int32_t seqid, const std::string& body,
                           Protocol protocol = kBinary) {
    return Message(MessageType::kReply, name, seqid, body, protocol);
  }
  const base::Contexts keys_ = {{"l5d-dst", "/svc/users"}, {"user", "ada"}};
};

TEST_F(THeaderLargeTest, AtEveryCutTheSameBytesAreHandedOn) {
  const std::string next = HeaderFrame(8, Call("after", 8));
  for (Protocol protocol : {kBinary, kCompact}) {
    const std::string message = Call("svc:upload", 7, Pattern(300), protocol);
    const std::string header = HeaderBytes({5, 99, protocol, 0, keys_});
    const std::string frame = Frame(header + message);
    for (size_t cut = 1; cut < frame.size(); cut++) {
      SCOPED_TRACE(cut);
      Client& client = Connect();
      Send(client, frame.substr(0, cut));
      FakeSink sink;
      if (handler_.open.size() == 1) {
        call::Call* call = handler_.open[0];
        EXPECT_TRUE(call->streamed);
        EXPECT_EQ(call->method, "svc:upload");
        EXPECT_EQ(call->header_bytes.ToString(), header);
        EXPECT_EQ(call->header->dest, "/svc/users");
        EXPECT_EQ(call->request_bytes, frame.size());
        EXPECT_EQ(call->request_body.rest, frame.size() - cut);
        sink.TakeUp(call);
        Send(client, frame.substr(cut) + next);
        EXPECT_EQ(sink.got, Frame(message));
      } else {
        EXPECT_LT(cut, 4 + header.size() + 40) << "its head was here";
        Send(client, frame.substr(cut) + next);
        ASSERT_EQ(handler_.open.size(), 2u);
        EXPECT_EQ(handler_.open[0]->request.ToString(), Frame(message));
      }
      ASSERT_EQ(handler_.open.size(), 2u);
      handler_.ReplyNext();
      handler_.ReplyNext();
      EXPECT_EQ(Take(client),
                HeaderFrame(7, Reply("svc:upload", 7, kVoidBody, protocol), {}, protocol, 0, 5) +
                    HeaderFrame(8, Reply("after", 8, kVoidBody)));
      Reset(client);
    }
  }
}

TEST_F(THeaderLargeTest, ByteByByteItIsHandedOnToo) {
  const std::string message = Call("svc:upload", 7, Pattern(3000));
  const std::string frame = HeaderFrame(7, message, keys_);
  Client& client = Connect();
  client.near->set_max_read(1);
  Send(client, frame.substr(0, 300));
  ASSERT_EQ(handler_.open.size(), 1u);
  FakeSink sink;
  sink.TakeUp(handler_.open[0]);
  SendAll(client, frame.substr(300));
  EXPECT_EQ(sink.got, Frame(message));
  EXPECT_EQ(Count("received_bytes"), frame.size());
  handler_.ReplyNext();
  EXPECT_EQ(Take(client), HeaderFrame(7, Reply("svc:upload", 7, kVoidBody)));
}

TEST_F(THeaderLargeTest, ALargeMessageWithoutAHeaderIsHandedOnToo) {
  for (Protocol protocol : {kBinary, kCompact}) {
    const std::string frame = CallFrame("upload", 7, Pattern(3000), protocol);
    for (size_t most : {size_t{1}, ~size_t{0}}) {
      Client& client = Connect();
      client.near->set_max_read(most);
      Send(client, HeaderFrame(1, Call("first", 1)) + frame.substr(0, 1000));
      ASSERT_EQ(handler_.open.size(), 2u);
      EXPECT_EQ(handler_.open[1]->protocol, protocol);
      FakeSink sink;
      sink.TakeUp(handler_.open[1]);
      Send(client, frame.substr(1000));
      EXPECT_EQ(sink.got, frame);
      handler_.ReplyNext();
      handler_.ReplyNext();
      EXPECT_EQ(Take(client), HeaderFrame(1, Reply("first", 1, kVoidBody)) +
                                  ReplyFrame("upload", 7, kVoidBody, protocol));
      Reset(client);
    }
  }
}

TEST_F(THeaderLargeTest, ABadHeaderIsKnownBeforeItsMessageIsWhole) {
  const std::string message = Call("m", 1, Pattern(100'000));
  const std::string bad[] = {
      Frame(std::string("\x0f\xff\0\0\0\0\0\x01\0\x01\0\x01\x02\0", 14) + message),  // HMAC
      HeaderFrame(1, message, {}, kCompact),
      HeaderFrame(1, Reply("m", 1, Pattern(100'000))),
  };
  for (const std::string& bytes : bad) {
    Client& client = Connect();
    Send(client, bytes.substr(0, 1000));
    EXPECT_TRUE(Ended(client));
    EXPECT_TRUE(handler_.open.empty());
  }
}

TEST_F(THeaderLargeTest, WithAnyHeadTheSameReplyComesOut) {
  const std::string reply = Reply("m", 1, std::string(300, 'r'));
  const base::Contexts keys = {{"seen", std::string_view("a long value that takes its place")}};
  const std::string due = HeaderFrame(1, reply, keys, kBinary, 0, 3);
  for (size_t head = 19; head < reply.size(); head += 7) {
    for (size_t chunk : {size_t{1}, size_t{50}, size_t{1000}}) {
      Client& client = Connect();
      Send(client, HeaderFrame(1, Call("m", 1), {}, kBinary, 0, 3));
      call::Call* call = handler_.Take();
      call->reply_header_bytes = base::Buffer::Copy(HeaderBytes({0, 44, kBinary, 0, keys}));
      call->reply_form = call::HeaderForm::kTHeader;
      FakeSource source;
      source.chunk = chunk;
      source.Begin(call, Frame(reply), head);
      EXPECT_TRUE(source.done);
      ASSERT_EQ(Take(client), due) << head;
      Reset(client);
    }
  }
}

TEST_F(THeaderLargeTest, ZlibIsHeldUntilItIsWholeAndInflated) {
  for (uint32_t times : {1u, 2u, 4u}) {
    for (Protocol protocol : {kBinary, kCompact}) {
      for (size_t most : {size_t{1}, size_t{1000}, ~size_t{0}}) {
        const std::string message = Call("upload", 7, Pattern(50'000), protocol);
        const std::string frame = HeaderFrame(7, message, keys_, protocol, times);
        EXPECT_LT(frame.size(), 5000u);
        Client& client = Connect();
        client.near->set_max_read(most);
        Send(client, frame.substr(0, frame.size() - 1));
        EXPECT_TRUE(handler_.open.empty());
        Send(client, frame.substr(frame.size() - 1));
        ASSERT_EQ(handler_.open.size(), 1u);
        EXPECT_FALSE(handler_.open[0]->streamed);
        EXPECT_EQ(handler_.open[0]->request.ToString(), Frame(message));
        EXPECT_EQ(handler_.open[0]->header->dest, "/svc/users");
        handler_.ReplyNext();
        EXPECT_EQ(Take(client),
                  HeaderFrame(7, Reply("upload", 7, kVoidBody, protocol), {}, protocol))
            << "a reply is not deflated";
        Reset(client);
      }
    }
  }
}

TEST_F(THeaderLargeTest, ZlibInflatesUpToTheBoundOnFrames) {
  options_.max_frame_bytes = 100'000;
  const size_t most = options_.max_frame_bytes - Call("m", 1, "").size();
  for (uint32_t times : {1u, 2u}) {
    for (size_t over : {size_t{0}, size_t{1}, size_t{900'000}, size_t{50'000'000}}) {
      Client& client = Connect();
      const size_t before = base::Block::BytesOnThread();
      Send(client, HeaderFrame(1, Call("m", 1, std::string(most + over, 'a')), {}, kBinary, times));
      EXPECT_EQ(handler_.open.size(), over == 0 ? 1u : 0u);
      EXPECT_EQ(Ended(client), over > 0);
      EXPECT_LT(base::Block::BytesOnThread(), before + 600'000);
      Reset(client);
    }
  }
}

TEST_F(THeaderLargeTest, WhereMemoryIsShortNothingIsInflated) {
  options_.max_buffered_bytes = 4 << 20;
  options_.stream_threshold = 1 << 20;
  const std::string bomb =
      HeaderFrame(1, Call("m", 1, std::string(1'000'000, 'a')), {}, kBinary, 1);
  std::string bombs;
  for (int i = 0; i < 32; i++) bombs += bomb;
  Client& client = Connect();
  Send(client, bombs);
  EXPECT_GE(handler_.open.size(), 3u);
  EXPECT_LT(base::Block::BytesOnThread(), size_t{6 << 20});
  const size_t served = handler_.open.size();
  while (!handler_.open.empty()) handler_.ReplyNext();
  std::string got = Take(client);
  const std::string reply = HeaderFrame(1, Reply("m", 1, kVoidBody));
  for (size_t i = 0; i < served; i++) {
    ASSERT_EQ(got.substr(0, reply.size()), reply);
    got.erase(0, reply.size());
  }
  // What memory was short for was refused, each by itself.
  size_t refused = 0;
  for (; got.size() > 4; refused++) {
    const std::string frame = got.substr(0, 4 + thrift::ReadU32(got.data()));
    got.erase(0, frame.size());
    EXPECT_NE(tests::ReadHeaderFrame(frame).message.find("over maxBufferedBytes"),
              std::string::npos);
  }
  EXPECT_EQ(served + refused, 32u);
  EXPECT_FALSE(Ended(client));
}

}  // namespace
}  // namespace trestle::server
