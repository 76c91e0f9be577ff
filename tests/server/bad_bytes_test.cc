// What is no Thrift call: the connection is closed, after the replies to the good calls before it.
#include <glog/logging.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/server/server_fixture.h"

namespace trestle::server {
namespace {

using BadBytesTest = ServerTest;

std::vector<std::string> BadInputs() {
  std::string wrong_version = CallFrame("m", 1);
  wrong_version[4] = '\x01';
  std::string no_name = Frame(std::string("\x80\x01\x00\x01\xff\xff\xff\xff", 8));
  return {
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      "POST /rpc HTTP/1.1\r\n\r\n",
      std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11),  // a TLS hello
      std::string(4, '\0'),                                             // an empty frame
      std::string("\xff\xff\xff\xff", 4),
      std::string("\x7f\xff\xff\xff", 4),  // over the bound
      wrong_version,
      no_name,
      Frame(std::string("\x80\x01\x00\x01", 4)),  // a frame too short for its envelope
      Frame(std::string("\x80\x01\x00\x01\x00\x00\x00\x02mm\x00\x00", 12)),
      Frame("x"),
      ReplyFrame("m", 1),
      ExceptionFrame("m", 1),
      Frame(std::string("\x80\x01\x00\x09\x00\x00\x00\x01m\x00\x00\x00\x01\x00", 14)),
      CallFrame(std::string(thrift::kMaxNameBytes + 1, 'n'), 1),
      CallFrame("m", 1, kVoidBody, Protocol::kCompact),
      Frame(
          std::string("\x0f\xff\x00\x00\x00\x00\x00\x01\x00\x01\x00\x00\x00\x00", 14)),  // THeader
  };
}

TEST_F(BadBytesTest, AreCountedAndTheConnectionIsClosed) {
  for (const std::string& bytes : BadInputs()) {
    SCOPED_TRACE(testing::PrintToString(bytes.substr(0, 20)));
    Client& client = Connect();
    Client& neighbour = Connect();
    const uint64_t malformed = Count("malformed");
    Send(client, bytes);
    EXPECT_TRUE(Ended(client));
    EXPECT_EQ(Take(client), "");
    EXPECT_EQ(Count("malformed"), malformed + 1);
    EXPECT_EQ(handler_.handled, 0);
    End(client);
    EXPECT_EQ(server().connections(), 1u) << "only the neighbour is left";
    EXPECT_FALSE(Ended(neighbour));
    Reset(neighbour);
  }
}

struct LogLines final : google::LogSink {
  LogLines() { google::AddLogSink(this); }
  ~LogLines() override { google::RemoveLogSink(this); }
  void send(google::LogSeverity, const char*, const char*, int, const google::LogMessageTime&,
            const char* message, size_t size) override {
    lines.emplace_back(message, size);
  }
  std::vector<std::string> lines;
};

// Those that are not told one by one may have had other reasons.
TEST_F(BadBytesTest, TheLogTellsOfThemOnceInAWhileAndCountsTheOthers) {
  LogLines log;
  for (const char* bytes : {"GET / HTTP/1.1\r\n\r\n", "\x7f\xff\xff\xff", "\x16\x03\x01\x02"}) {
    Send(Connect(), bytes);
  }
  ASSERT_EQ(log.lines.size(), 1u);
  EXPECT_EQ(log.lines[0].find(" more"), std::string::npos) << log.lines[0];
  Advance(std::chrono::seconds(10));
  Send(Connect(), "GET / HTTP/1.1\r\n\r\n");
  ASSERT_EQ(log.lines.size(), 2u);
  EXPECT_TRUE(log.lines[1].ends_with(" (and 2 more)")) << log.lines[1];
}

TEST_F(BadBytesTest, TheGoodCallsBeforeThemAreAnsweredFirst) {
  for (const std::string& bytes : BadInputs()) {
    SCOPED_TRACE(testing::PrintToString(bytes.substr(0, 20)));
    Client& client = Connect();
    Send(client, CallFrame("a", 1) + CallFrame("b", 2) + bytes + CallFrame("never", 3));
    EXPECT_EQ(handler_.open.size(), 2u);
    EXPECT_FALSE(Ended(client));
    handler_.ReplyNext(1);
    handler_.ReplyNext(0);
    EXPECT_EQ(Shown(Replies(client)), "a/1 b/2");
    EXPECT_TRUE(Ended(client));
    Send(client, "and more");
    End(client);
    EXPECT_EQ(server().connections(), 0u);
  }
}

TEST_F(BadBytesTest, ByteByByteTheyAreTheSame) {
  for (const std::string& bytes : BadInputs()) {
    SCOPED_TRACE(testing::PrintToString(bytes.substr(0, 20)));
    Client& client = Connect();
    client.near->set_max_read(1);
    const uint64_t malformed = Count("malformed");
    Send(client, bytes);
    EXPECT_TRUE(Ended(client));
    EXPECT_EQ(Count("malformed"), malformed + 1);
    Reset(client);
  }
}

TEST_F(BadBytesTest, GoodCallsThatEndAtOnceAreAnsweredBeforeTheClose) {
  handler_.at_once = [this](call::Call* call) { handler_.Reply(call); };
  options_.max_pipelined = 1;
  Client& client = Connect();
  Send(client, CallFrame("a", 1) + CallFrame("b", 2) + "GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(Shown(Replies(client)), "a/1 b/2");
  EXPECT_TRUE(Ended(client));
}

TEST_F(BadBytesTest, ACloseIsNotWaitedForLongerThanAWhile) {
  Client& client = Connect();
  Send(client, "GET / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(Ended(client));
  EXPECT_EQ(server().connections(), 1u) << "its end is waited for, so that no reset is sent";
  Advance(std::chrono::seconds(3));
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(BadBytesTest, HalfAFrameAtTheEnd) {
  const std::string frame = CallFrame("userService:addUser", 1, "body" + kVoidBody);
  for (size_t size = 1; size < frame.size(); size++) {
    SCOPED_TRACE(size);
    Client& client = Connect();
    const uint64_t malformed = Count("malformed");
    Send(client, CallFrame("a", 7) + frame.substr(0, size));
    EXPECT_EQ(Count("malformed"), malformed) << "more may come";
    End(client);
    EXPECT_EQ(Count("malformed"), malformed + 1);
    EXPECT_EQ(server().connections(), 1u) << "a reply is still due";
    handler_.ReplyNext();
    EXPECT_EQ(Shown(Replies(client)), "a/7");
    EXPECT_EQ(server().connections(), 0u);
  }
}

TEST_F(BadBytesTest, HalfAFrameBehindAFullPipeline) {
  options_.max_pipelined = 1;
  Client& client = Connect();
  Send(client, CallFrame("a", 1) + CallFrame("b", 2) + "\x01\x02");
  End(client);
  handler_.ReplyNext();
  Settle(&loop_);
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(client)), "a/1 b/2");
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(BadBytesTest, AFrameOfTheBoundIsTakenAndOneByteMoreIsNot) {
  options_.max_frame_bytes = 1000;
  Client& client = Connect();
  const std::string head = CallFrame("m", 1, "");
  const std::string most = CallFrame("m", 1, std::string(1000 - (head.size() - 4), 'x'));
  Send(client, most);
  ASSERT_EQ(handler_.open.size(), 1u);
  EXPECT_EQ(handler_.open[0]->request.ToString(), most);
  Send(client, CallFrame("m", 2, std::string(1000 - (head.size() - 4) + 1, 'x')).substr(0, 4));
  handler_.ReplyNext();
  EXPECT_EQ(Replies(client).size(), 1u);
  EXPECT_TRUE(Ended(client));
}

TEST_F(BadBytesTest, EveryCorruptedByteIsSafe) {
  handler_.at_once = [this](call::Call* call) {
    if (call->oneway()) return call->OnewayDone();
    handler_.Reply(call);
  };
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    options_.dialect.protocol = protocol;
    server_.reset();
    const std::string frame = CallFrame("svc:m", 300, "b" + kVoidBody, protocol);
    for (size_t at = 0; at < frame.size(); at++) {
      for (int bit = 0; bit < 8; bit++) {
        std::string bytes = frame;
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
        Client& client = Connect();
        Send(client, bytes + CallFrame("after", 1, kVoidBody, protocol));
        End(client);
        EXPECT_TRUE(Ended(client)) << "byte " << at << " bit " << bit;
        clients_.clear();
        Settle(&loop_);
      }
    }
    EXPECT_EQ(server().connections(), 0u);
  }
}

}  // namespace
}  // namespace trestle::server
