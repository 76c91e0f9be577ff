// One backend connection: what is sent, and which replies are taken.
#include "backend/thrift_session.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "tests/backend/session_fixture.h"

namespace trestle::backend {
namespace {

TEST_F(BackendSessionTest, ACallHasASeqidOfItsOwnAndItsCallersComesBack) {
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    Open();
    int32_t own = 1;
    for (int32_t seqid : {0, -1, 70'000, std::numeric_limits<int32_t>::min(),
                          std::numeric_limits<int32_t>::max()}) {
      TestCall call("userService:addUser", seqid, MessageType::kCall, protocol, "body");
      EXPECT_EQ(Send(call), CallFrame("userService:addUser", own, "body", protocol));
      EXPECT_TRUE(session_->busy());
      EXPECT_EQ(call.call.step, Step::kReply);
      EXPECT_TRUE(call.call.request.empty()) << "it holds on to what was written";
      Answer(ReplyFrame("userService:addUser", own, "answer", protocol));
      ASSERT_EQ(call.end(), End::kReplied);
      EXPECT_EQ(call.reply(), ReplyFrame("userService:addUser", seqid, "answer", protocol));
      EXPECT_FALSE(session_->busy());
      own++;
    }
    EXPECT_EQ(owner_.idle, 5);
    EXPECT_EQ(owner_.success, 5);
    EXPECT_EQ(owner_.dead, 0);
  }
}

TEST_F(BackendSessionTest, TheKindOfAReplyIsRead) {
  const struct {
    std::string frame;
    thrift::ReplyKind kind;
  } kCases[] = {
      {ReplyFrame("m", 1, kVoidBody), thrift::ReplyKind::kResult},
      {ReplyFrame("m", 1, std::string("\x08\x00\x00\x00\x00\x00\x07\x00", 8)),
       thrift::ReplyKind::kResult},
      {ReplyFrame("m", 1, kDeclaredBody), thrift::ReplyKind::kDeclaredException},
      {ExceptionFrame("m", 1), thrift::ReplyKind::kApplicationException},
  };
  for (const auto& c : kCases) {
    Open();
    TestCall call("m", 9);
    Send(call);
    Answer(c.frame);
    ASSERT_EQ(call.end(), End::kReplied);
    EXPECT_EQ(call.call.reply_kind, c.kind);
  }
}

TEST_F(BackendSessionTest, ByteByByteAReplyIsTheSame) {
  Open();
  near_->set_max_read(1);
  TestCall call("svc:m", -3);
  Send(call);
  Answer(ReplyFrame("m", 1, std::string(500, 'x')));
  ASSERT_EQ(call.end(), End::kReplied);
  EXPECT_EQ(call.reply(), ReplyFrame("m", -3, std::string(500, 'x')));
}

TEST_F(BackendSessionTest, NamesThatAReplyMayHave) {
  const struct {
    const char* sent;
    std::string reply;
    bool taken;
  } kCases[] = {
      {"svc:m", ReplyFrame("svc:m", 1), true},
      {"svc:m", ReplyFrame("m", 1), true},
      {"m", ReplyFrame("m", 1), true},
      {"a:b:c", ReplyFrame("b:c", 1), true},
      {"svc:m", ReplyFrame("svc:n", 1), false},
      {"svc:m", ReplyFrame("svc", 1), false},
      {"svc:m", ReplyFrame("", 1), false},
      {"svc:m", ReplyFrame(":m", 1), false},
      {"m", ReplyFrame("svc:m", 1), false},
      {"m", ReplyFrame("M", 1), false},
      {"svc:m", ExceptionFrame("whatever", 1), true},
      {"svc:m", ExceptionFrame("", 1), true},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(std::string(c.sent) + " " + testing::PrintToString(c.reply));
    Open();
    TestCall call(c.sent, 1);
    Send(call);
    Answer(c.reply);
    EXPECT_EQ(call.end(), c.taken ? End::kReplied : End::kFailed);
    EXPECT_EQ(owner_.dead, c.taken ? 0 : 1);
    if (c.taken) {
      EXPECT_EQ(call.reply(), c.reply) << "not as the backend wrote it";
    } else {
      EXPECT_EQ(call.failure(),
                "trestle: reply: bad reply from 10.0.0.1:80: a reply with another name");
    }
  }
}

TEST_F(BackendSessionTest, WhatIsNoReplyToTheCallFailsItAndClosesTheConnection) {
  std::string wrong_version = ReplyFrame("m", 1);
  wrong_version[4] = '\x00';
  const struct {
    std::string bytes;
    const char* why;
  } kCases[] = {
      {ReplyFrame("m", 2), "a reply with another seqid"},
      {ReplyFrame("m", 1000), "a reply with another seqid"},
      {ExceptionFrame("m", 2), "a reply with another seqid"},
      {CallFrame("m", 1), "a message that is no reply"},
      {OnewayFrame("m", 1), "a message that is no reply"},
      {wrong_version, ""},
      {std::string(4, '\0'), "a frame of no bytes"},
      {"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"},
      {std::string("\xff\xff\xff\xff", 4), "negative length"},
      {Frame(std::string("\x80\x01\x00\x02\x00", 5)), "a frame too short for its message"},
      {ReplyFrame("m", 1, kVoidBody, Protocol::kCompact), ""},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(testing::PrintToString(c.bytes.substr(0, 30)));
    Open();
    TestCall call("m", 1000);
    Send(call);
    Answer(c.bytes);
    ASSERT_EQ(call.end(), End::kFailed);
    EXPECT_EQ(call.call.failed_code, base::Code::kMalformed);
    EXPECT_EQ(call.call.failed_step, Step::kReply);
    EXPECT_NE(call.failure().find(c.why), std::string::npos) << call.failure();
    EXPECT_NE(call.failure().find("10.0.0.1:80"), std::string::npos) << call.failure();
    EXPECT_EQ(owner_.dead, 1);
    EXPECT_TRUE(owner_.left);
    EXPECT_EQ(owner_.idle + owner_.success, 0);
    EXPECT_TRUE(far_->peer_ended());
  }
}

TEST_F(BackendSessionTest, EveryPrefixOfAReplyIsHalfAFrame) {
  const std::string reply = ReplyFrame("m", 1, "abc");
  for (size_t size = 0; size < reply.size(); size++) {
    SCOPED_TRACE(size);
    Open();
    TestCall call("m", 1);
    Send(call);
    Answer(reply.substr(0, size));
    EXPECT_EQ(call.end(), End::kOpen);
    far_->ShutdownWrite();
    Settle(&loop_);
    ASSERT_EQ(call.end(), End::kFailed);
    EXPECT_EQ(call.call.failed_code, base::Code::kClosed);
    EXPECT_EQ(call.failure(),
              size == 0 ? "trestle: reply: 10.0.0.1:80 closed the connection before a reply"
                        : "trestle: reply: 10.0.0.1:80 closed the connection in mid-reply");
    EXPECT_EQ(owner_.dead, 1);
  }
}

TEST_F(BackendSessionTest, EveryCorruptedByteIsSafe) {
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    const std::string reply = ReplyFrame("svc:m", 1, "abc", protocol);
    for (size_t at = 0; at < reply.size(); at++) {
      for (int bit = 0; bit < 8; bit++) {
        Open();
        TestCall call("svc:m", 1, MessageType::kCall, protocol);
        Send(call);
        std::string bytes = reply;
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
        Answer(bytes);
        far_->ShutdownWrite();
        Settle(&loop_);
        EXPECT_EQ(call.ends, 1);
        EXPECT_EQ(owner_.dead, 1);
      }
    }
  }
}

TEST_F(BackendSessionTest, MoreBytesThanOneReplyReachNobody) {
  for (const std::string& more : {ReplyFrame("m", 2), ReplyFrame("m", 1), std::string("x")}) {
    Open();
    TestCall call("m", 7);
    Send(call);
    Answer(ReplyFrame("m", 1, "good") + more);
    ASSERT_EQ(call.end(), End::kReplied) << "its own reply was whole";
    EXPECT_EQ(call.reply(), ReplyFrame("m", 7, "good"));
    EXPECT_EQ(owner_.dead, 1) << "the connection cannot be trusted any more";
    EXPECT_EQ(owner_.idle, 0);
  }
}

TEST_F(BackendSessionTest, UnaskedBytesCloseAnIdleConnection) {
  for (const std::string& bytes : {ReplyFrame("m", 1), ReplyFrame("m", 0), std::string("x")}) {
    Open();
    Answer(bytes);
    EXPECT_EQ(owner_.dead, 1) << testing::PrintToString(bytes);
    EXPECT_EQ(owner_.lost, 0);
  }
}

TEST_F(BackendSessionTest, AReplyBeforeTheCallWasWrittenIsNone) {
  Open();
  far_->Send(ReplyFrame("m", 1));  // a guess, read in the same turn
  TestCall call("m", 7);
  loop_.Post([&] { session_->Send(&call.call); });
  near_->set_max_read(1 << 20);
  Settle(&loop_);
  EXPECT_NE(call.end(), End::kReplied);
  EXPECT_EQ(owner_.dead, 1);
}

TEST_F(BackendSessionTest, WithoutVerifySeqidTheOrderIsTrusted) {
  options_.verify_seqid = false;
  Open();
  for (int i = 0; i < 3; i++) {
    TestCall call("m", 40 + i);
    Send(call);
    Answer(ReplyFrame("m", 0, "answer"));
    ASSERT_EQ(call.end(), End::kReplied);
    EXPECT_EQ(call.reply(), ReplyFrame("m", 40 + i, "answer"));
  }
  TestCall call("m", 50);
  Send(call);
  Answer(ReplyFrame("other", 0));
  EXPECT_EQ(call.end(), End::kFailed) << "the name still counts";
}

// An unknown oneway is answered with an exception by some servers, and nothing but its name tells.
TEST_F(BackendSessionTest, WithoutVerifySeqidAnExceptionNeedsTheNameOfItsCall) {
  const struct {
    bool verify;
    const char* name;
    End end;
  } kCases[] = {
      {false, "users:get", End::kReplied}, {false, "get", End::kReplied},
      {false, "", End::kReplied},  // servers that did not get as far as the name
      {false, "note", End::kFailed},       {true, "note", End::kReplied},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(testing::Message() << "verify " << c.verify << ", name " << c.name);
    options_.verify_seqid = c.verify;
    Open();
    auto oneway = TestCall::Oneway("note");
    Send(*oneway);
    TestCall call("users:get", 40);
    Send(call);
    Answer(ExceptionFrame(c.name, c.verify ? 2 : 0, "unknown method"));
    EXPECT_EQ(call.end(), c.end) << call.failure();
    EXPECT_EQ(owner_.dead, c.end == End::kFailed ? 1 : 0);
  }
}

TEST_F(BackendSessionTest, SeqidsStartAgainBeforeTheyWouldBeNegative) {
  // Cheap to say and dear to run to the end: only that they count up from 1.
  Open();
  for (int i = 1; i < 100; i++) {
    TestCall call("m", 7);
    EXPECT_EQ(Send(call), CallFrame("m", i));
    Answer(ReplyFrame("m", i));
  }
}

}  // namespace
}  // namespace trestle::backend
