// One backend connection: what is sent, which replies are taken, and what becomes of the others.
#include "backend/thrift_session.h"

#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/backend/test_call.h"
#include "tests/support/memory_transport.h"

namespace trestle::backend {
namespace {

using call::End;
using call::Step;
using std::chrono::milliseconds;
using tests::CallFrame;
using tests::ExceptionFrame;
using tests::Frame;
using tests::kDeclaredBody;
using tests::kVoidBody;
using tests::Message;
using tests::OnewayFrame;
using tests::ReplyFrame;
using tests::Settle;
using thrift::MessageType;
using thrift::Protocol;

// The pool's place: it fails what is lost.
struct Owner final : SessionOwner {
  void OnIdle(ThriftSession*) override { idle++; }
  void OnDead(ThriftSession*) override { dead++; }
  void OnSuccess() override { success++; }
  void OnLetGo(bool out_of_time) override { (out_of_time ? late : let_go)++; }
  void OnLost(call::Call* call, Step step, const base::Status& why, bool call_left) override {
    lost++;
    left = call_left;
    call->Fail(step, why);
  }
  void OnStrayAnswer() override { stray++; }
  int idle = 0, dead = 0, success = 0, late = 0, let_go = 0, lost = 0, stray = 0;
  bool left = false;
};

class BackendSessionTest : public testing::Test {
 protected:
  void Open(size_t capacity = 1 << 20) {
    auto [near, far] = tests::MemoryTransport::Pair(&loop_, capacity);
    near->set_peer({*net::Address::Parse("10.0.0.1", 80), {}});
    near_ = near.get();
    far_ = std::move(far);
    owner_ = Owner();
    session_ = std::make_unique<ThriftSession>(&loop_, options_, &owner_, std::move(near));
    session_->Start();
    Settle(&loop_);
  }
  // Sends the call; gives what the backend reads.
  std::string Send(TestCall& call) {
    session_->Send(&call.call);
    return Read();
  }
  std::string Read() {
    std::string all;
    for (;;) {
      Settle(&loop_);
      char some[4096];
      net::IoResult r = far_->Read(some, sizeof some);
      if (r.kind != net::IoResult::Kind::kBytes) return all;
      all.append(some, r.bytes);
    }
  }
  void Answer(std::string_view bytes) {
    far_->Send(bytes);
    Settle(&loop_);
  }

  base::FakeClock clock_;
  net::EventLoop loop_{&clock_};
  Options options_;
  Owner owner_;
  tests::MemoryTransport* near_ = nullptr;
  std::unique_ptr<tests::MemoryTransport> far_;
  std::unique_ptr<ThriftSession> session_;
};

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

TEST_F(BackendSessionTest, SeqidsStartAgainBeforeTheyWouldBeNegative) {
  // Cheap to say and dear to run to the end: only that they count up from 1.
  Open();
  for (int i = 1; i < 100; i++) {
    TestCall call("m", 7);
    EXPECT_EQ(Send(call), CallFrame("m", i));
    Answer(ReplyFrame("m", i));
  }
}

// --- oneway ---

TEST_F(BackendSessionTest, AOnewayIsDoneWhenItIsWritten) {
  Open();
  auto call = TestCall::Oneway();
  session_->Send(&call->call);
  EXPECT_EQ(call->end(), End::kOpen) << "not written yet";
  EXPECT_EQ(Read(), OnewayFrame("log", 1));
  EXPECT_EQ(call->end(), End::kOneway);
  EXPECT_EQ(owner_.idle, 1);
  EXPECT_EQ(owner_.success, 1);
  EXPECT_FALSE(session_->busy());
}

TEST_F(BackendSessionTest, AOnewayThatHasToWaitIsDoneWhenAllOfItIsWritten) {
  Open(64);
  TestCall call("log", 1, MessageType::kOneway, Protocol::kBinary, std::string(500, 'x'));
  session_->Send(&call.call);
  Settle(&loop_);
  EXPECT_EQ(call.end(), End::kOpen);
  EXPECT_TRUE(session_->busy());
  EXPECT_EQ(Read().size(), Frame(Message(MessageType::kOneway, "log", 1)).size() + 499);
  EXPECT_EQ(call.end(), End::kOneway);
}

TEST_F(BackendSessionTest, ALateAnswerToAOnewayIsDroppedAndCounted) {
  Open();
  auto oneway = TestCall::Oneway();
  Send(*oneway);
  Answer(ExceptionFrame("log", 1, "no such method"));  // while idle
  EXPECT_EQ(owner_.stray, 1);
  TestCall call("m", 7);
  Send(call);
  Answer(ExceptionFrame("log", 1, "again"));  // while a call waits
  EXPECT_EQ(call.end(), End::kOpen);
  EXPECT_EQ(owner_.stray, 2);
  Answer(ReplyFrame("m", 2));
  EXPECT_EQ(call.end(), End::kReplied);
  EXPECT_EQ(owner_.dead, 0);
}

TEST_F(BackendSessionTest, AStrayAnswerAndTheReplyInOneRead) {
  for (size_t at_a_time : {size_t{1}, size_t{1000}}) {
    Open();
    auto oneway = TestCall::Oneway();
    Send(*oneway);
    TestCall call("m", 7);
    Send(call);
    near_->set_max_read(at_a_time);
    Answer(ExceptionFrame("log", 1) + ReplyFrame("m", 2, "real"));
    ASSERT_EQ(call.end(), End::kReplied);
    EXPECT_EQ(call.reply(), ReplyFrame("m", 7, "real"));
    EXPECT_EQ(owner_.stray, 1);
    EXPECT_EQ(owner_.dead, 0);
  }
}

TEST_F(BackendSessionTest, HalfAStrayAnswerDoesNotCloseAnIdleConnection) {
  Open();
  auto oneway = TestCall::Oneway();
  Send(*oneway);
  const std::string stray = ExceptionFrame("log", 1);
  Answer(stray.substr(0, 10));
  EXPECT_EQ(owner_.dead, 0);
  Answer(stray.substr(10));
  EXPECT_EQ(owner_.stray, 1);
  EXPECT_EQ(owner_.dead, 0);
}

// --- lost, cancelled, late ---

TEST_F(BackendSessionTest, ABrokenConnectionLosesTheCallThatHadLeft) {
  Open();
  TestCall call("m", 1);
  Send(call);
  far_->Close(true);
  Settle(&loop_);
  ASSERT_EQ(call.end(), End::kFailed);
  EXPECT_TRUE(owner_.left);
  EXPECT_EQ(call.call.failed_code, base::Code::kClosed);
  EXPECT_NE(call.failure().find("trestle: reply: connection to 10.0.0.1:80 broke: "),
            std::string::npos);
}

TEST_F(BackendSessionTest, ACallFoundOnAClosedConnectionNeverLeft) {
  for (bool reset : {false, true}) {
    Open();
    TestCall call("m", 1);
    // In the turn in which the end is seen, but before it is.
    far_->Close(reset);
    session_->Send(&call.call);
    loop_.Post([] {});
    Settle(&loop_);
    ASSERT_EQ(call.end(), End::kFailed) << reset;
    EXPECT_FALSE(owner_.left);
    EXPECT_EQ(call.call.failed_step, Step::kDispatch);
    EXPECT_FALSE(call.call.request.empty()) << "it cannot be sent elsewhere";
    EXPECT_EQ(owner_.dead, 1);
  }
}

TEST_F(BackendSessionTest, ACallOfWhichAPartWasWrittenHasLeft) {
  Open(64);
  TestCall call("m", 1, MessageType::kCall, Protocol::kBinary, std::string(500, 'x'));
  session_->Send(&call.call);
  Settle(&loop_);
  far_->Close(true);
  Settle(&loop_);
  ASSERT_EQ(call.end(), End::kFailed);
  EXPECT_TRUE(owner_.left);
}

TEST_F(BackendSessionTest, AnIdleConnectionThatEndsOrBreaksIsDead) {
  for (bool reset : {false, true}) {
    Open();
    far_->Close(reset);
    Settle(&loop_);
    EXPECT_EQ(owner_.dead, 1);
    EXPECT_EQ(owner_.lost, 0);
    EXPECT_TRUE(far_->peer_ended());
  }
}

TEST_F(BackendSessionTest, ACancelledCallClosesItsConnection) {
  Open();
  TestCall call("m", 1);
  Send(call);
  call.call.Cancel();
  EXPECT_EQ(call.end(), End::kCancelled);
  EXPECT_EQ(owner_.let_go, 1);
  EXPECT_EQ(owner_.late, 0);
  EXPECT_EQ(owner_.dead, 1);
  EXPECT_TRUE(far_->peer_ended());
  Answer(ReplyFrame("m", 1));
  EXPECT_EQ(call.ends, 1);
}

TEST_F(BackendSessionTest, ACallOutOfItsWholeTimeClosesItsConnectionAndBlamesTheBackend) {
  Open();
  TestCall call("m", 1);
  Send(call);
  call.call.TimeOut(base::Status(base::Code::kTimeout, "totalTimeoutMs"));
  EXPECT_EQ(call.failure(), "trestle: reply: totalTimeoutMs");
  EXPECT_EQ(owner_.late, 1);
  EXPECT_EQ(owner_.dead, 1);
}

TEST_F(BackendSessionTest, AnAttemptHasItsTime) {
  options_.attempt_timeout = milliseconds(300);
  Open();
  for (int i = 0; i < 3; i++) {  // the timer stops with each reply
    TestCall quick("m", 1);
    Send(quick);
    clock_.Advance(milliseconds(299));
    Settle(&loop_);
    Answer(ReplyFrame("m", i + 1));
    EXPECT_EQ(quick.end(), End::kReplied);
  }
  clock_.Advance(milliseconds(1000));
  Settle(&loop_);
  EXPECT_EQ(owner_.dead, 0);
  TestCall slow("m", 1);
  Send(slow);
  clock_.Advance(milliseconds(300));
  Settle(&loop_);
  ASSERT_EQ(slow.end(), End::kFailed);
  EXPECT_EQ(slow.call.failed_code, base::Code::kTimeout);
  EXPECT_EQ(slow.failure(),
            "trestle: reply: no reply from 10.0.0.1:80 within 300 ms (requestAttemptTimeoutMs)");
  EXPECT_EQ(owner_.dead, 1);
  EXPECT_TRUE(owner_.left);
}

TEST_F(BackendSessionTest, AOnewayThatCannotBeWrittenHasItsTimeToo) {
  options_.attempt_timeout = milliseconds(300);
  Open(64);
  TestCall call("log", 1, MessageType::kOneway, Protocol::kBinary, std::string(500, 'x'));
  session_->Send(&call.call);
  Settle(&loop_);
  clock_.Advance(milliseconds(300));
  Settle(&loop_);
  EXPECT_EQ(call.end(), End::kFailed);
  EXPECT_EQ(owner_.dead, 1);
}

TEST_F(BackendSessionTest, AWrittenOnewayLeavesNoTimerBehind) {
  options_.attempt_timeout = milliseconds(300);
  Open();
  auto call = TestCall::Oneway();
  Send(*call);
  clock_.Advance(milliseconds(300));
  Settle(&loop_);
  EXPECT_EQ(owner_.dead, 0);
}

TEST_F(BackendSessionTest, AnIdempotentCallKeepsItsRequest) {
  Open();
  TestCall call("m", 1);
  call.call.idempotent = true;
  Send(call);
  EXPECT_EQ(call.call.request.size(), CallFrame("m", 1).size());
  far_->Close(true);
  Settle(&loop_);
}

TEST_F(BackendSessionTest, ASessionThatEndsEndsItsCall) {
  Open();
  TestCall call("m", 1);
  Send(call);
  session_.reset();
  ASSERT_EQ(call.end(), End::kFailed);
  EXPECT_EQ(call.call.failed_code, base::Code::kInternal);
}

TEST_F(BackendSessionTest, TheNextCallMayBeSentFromTheEndOfTheLast) {
  Open();
  TestCall second("second", 2);
  TestCall first("first", 1);
  first.on_end = [&] { session_->Send(&second.call); };
  Send(first);
  Answer(ReplyFrame("first", 1));
  EXPECT_EQ(Read(), CallFrame("second", 2));
  Answer(ReplyFrame("second", 2));
  EXPECT_EQ(second.end(), End::kReplied);
}

}  // namespace
}  // namespace trestle::backend
