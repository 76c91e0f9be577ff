// One backend connection: oneways, and calls that are lost, cancelled or late.
#include <gtest/gtest.h>

#include <string>

#include "tests/backend/session_fixture.h"

namespace trestle::backend {
namespace {

// The end came with the reply, in one segment: no other call may go there.
TEST_F(BackendSessionTest, AConnectionThatEndsBehindItsReplyIsNotLentAgain) {
  Open();
  TestCall call("m", 7);
  Send(call);
  far_->Send(ReplyFrame("m", 1, "answer"));
  far_->ShutdownWrite();
  Settle(&loop_);
  EXPECT_EQ(call.end(), End::kReplied);
  EXPECT_EQ(owner_.idle, 0);
  EXPECT_EQ(owner_.dead, 1);
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

// However few calls may be in flight: oneways wait for nobody.
TEST_F(BackendSessionTest, AnswersToManyOnewaysAreKnown) {
  const struct {
    uint32_t places;
    int oneways;
    bool known;
  } kCases[] = {
      {1, 1, true}, {1, 1024, true}, {1, 1025, false}, {50, 1024, true}, {50, 1025, false}};
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.oneways);
    options_.pool.max_in_flight = c.places;
    Open();
    TestCall first("log", 5, MessageType::kOneway);
    const std::string sent = Send(first);
    const auto seqid = static_cast<int32_t>(thrift::ReadU32(sent.data() + sent.size() - 5));
    for (int i = 1; i < c.oneways; i++) Send(*TestCall::Oneway());
    Answer(ExceptionFrame("log", seqid));
    EXPECT_EQ(owner_.stray, c.known ? 1 : 0);
    EXPECT_EQ(owner_.dead, c.known ? 0 : 1);
  }
}

TEST_F(BackendSessionTest, ABackendThatAnswersAllOnewaysLosesNoCall) {
  Open();
  std::string answers;
  for (int i = 1; i <= 100; i++) {
    Send(*TestCall::Oneway());
    answers += ExceptionFrame("log", i);
  }
  TestCall call("m", 7);
  Send(call);
  Answer(answers + ReplyFrame("m", 101, "real"));
  ASSERT_EQ(call.end(), End::kReplied) << call.failure();
  EXPECT_EQ(call.reply(), ReplyFrame("m", 7, "real"));
  EXPECT_EQ(owner_.stray, 100);
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

// The server always answers 1, which is the seqid of the oneway too.
TEST_F(BackendSessionTest, WithoutVerifySeqidAReplyIsNotTakenForTheAnswerToAOneway) {
  options_.verify_seqid = false;
  Open();
  auto oneway = TestCall::Oneway();
  Send(*oneway);
  TestCall call("m", 7);
  Send(call);
  Answer(ReplyFrame("m", 1, "answer"));
  ASSERT_EQ(call.end(), End::kReplied);
  EXPECT_EQ(call.reply(), ReplyFrame("m", 7, "answer"));
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
