// One backend connection with requests that are not held whole.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/backend/body_fixture.h"

namespace trestle::backend {
namespace {

constexpr size_t kRoom = 256 * 1024;  // what waits for the backend before the client has to

TEST_F(BodyTest, ALargeRequestGoesThroughInPieces) {
  for (auto framing : {thrift::Framing::kFramed, thrift::Framing::kBuffered}) {
    options_.framing = framing;
    Open();
    LargeCall c(300'000, 100);
    c.give_all = true;
    session_->Send(&c.call);
    EXPECT_FALSE(session_->HasRoom());
    std::string want = CallFrame("m", 1, c.body);
    if (framing == thrift::Framing::kBuffered) want.erase(0, 4);
    EXPECT_EQ(Read(), want);
    EXPECT_EQ(c.call.request_body.sink, nullptr);
    EXPECT_EQ(c.call.step, Step::kReply);
    Answer(framing == thrift::Framing::kFramed ? ReplyFrame("m", 1) : ReplyFrame("m", 1).substr(4));
    EXPECT_EQ(c.reply, ReplyFrame("m", 9));
    EXPECT_EQ(owner_.idle, 1);
    EXPECT_EQ(owner_.dead, 0);
  }
}

TEST_F(BodyTest, ALargeOnewayIsDoneWhenItIsWrittenAndLeavesRoom) {
  options_.pool.max_in_flight = 2;
  Open();
  LargeCall c(1000, 10);
  c.call.envelope.type = MessageType::kOneway;
  c.give_all = true;
  session_->Send(&c.call);
  EXPECT_FALSE(session_->HasRoom());
  Read();
  EXPECT_EQ(c.call.end(), End::kOneway);
  EXPECT_TRUE(session_->HasRoom());
  EXPECT_EQ(owner_.idle, 1);
}

TEST_F(BodyTest, NothingIsAskedForBeforeTheFirstByteLeft) {
  Open();
  far_->Close(true);
  LargeCall c(1000, 10);
  c.give_all = true;
  session_->Send(&c.call);
  Settle(&loop_);
  EXPECT_EQ(c.asked, 0);
  EXPECT_FALSE(owner_.left) << "it can be sent elsewhere";
  EXPECT_EQ(c.call.request_body.sink, nullptr);
  EXPECT_FALSE(c.call.request.empty());
}

TEST_F(BodyTest, ABackendThatReadsSlowlySlowsTheClient) {
  Open(1000);
  LargeCall c(4 << 20, 10);
  session_->Send(&c.call);
  Settle(&loop_);
  EXPECT_EQ(c.asked, 1);
  size_t given = 0;
  while (c.Give(10'000)) given += 10'000;
  EXPECT_LE(given, kRoom + 20'000);
  Settle(&loop_);
  EXPECT_EQ(c.asked, 1) << "not while it waits";
  c.give_all = true;
  EXPECT_EQ(Read().size(), c.all.size());
  EXPECT_GT(c.asked, 4);
  EXPECT_LT(base::Block::BytesOnThread(), 2 * kRoom + (c.all.size()));
}

TEST_F(BodyTest, AReplyBeforeTheRequestIsWholeIsTakenAndTheConnectionIsNotUsedAgain) {
  Open();
  LargeCall c(1000, 10);
  session_->Send(&c.call);
  Read();
  c.Give(100);
  Answer(ExceptionFrame("m", 1, "too large"));
  ASSERT_EQ(c.call.end(), End::kReplied);
  EXPECT_EQ(c.reply, ExceptionFrame("m", 9, "too large"));
  EXPECT_EQ(c.call.request_body.sink, nullptr);
  EXPECT_EQ(owner_.dead, 1);
  EXPECT_EQ(owner_.idle, 0);
}

// A backend that refuses in the middle and closes: the write fails before the answer was looked at.
TEST_F(BodyTest, AnAnswerBeforeAFailedWriteIsTaken) {
  for (size_t at_a_time : {size_t{1} << 20, size_t{5}}) {
    Open();
    LargeCall c(1000, 10);
    session_->Send(&c.call);
    Read();
    near_->break_writes();
    near_->set_max_read(at_a_time);
    loop_.Post([&] {
      far_->Send(ExceptionFrame("m", 1, "too large"));
      c.Give(100);
    });
    Settle(&loop_);
    ASSERT_EQ(c.call.end(), End::kReplied) << c.call.failure;
    EXPECT_EQ(c.reply, ExceptionFrame("m", 9, "too large"));
    EXPECT_EQ(c.call.request_body.sink, nullptr);
    EXPECT_EQ(owner_.dead, 1);
    EXPECT_EQ(owner_.room, 0);
    EXPECT_EQ(owner_.lost, 0);
  }
}

TEST_F(BodyTest, HalfAnAnswerBeforeAFailedWriteIsNone) {
  const std::string answer = ExceptionFrame("m", 1, "too large");
  for (size_t size = 0; size < answer.size(); size++) {
    Open();
    LargeCall c(1000, 10);
    session_->Send(&c.call);
    Read();
    near_->break_writes();
    loop_.Post([&] {
      far_->Send(answer.substr(0, size));
      c.Give(100);
    });
    Settle(&loop_);
    ASSERT_EQ(c.call.end(), End::kFailed) << size;
    EXPECT_EQ(c.call.failed_code, base::Code::kClosed);
    EXPECT_EQ(owner_.dead, 1);
  }
}

TEST_F(BodyTest, ABackendThatVanishesInMidRequestFailsTheCallForGood) {
  for (bool reset : {false, true}) {
    Open();
    LargeCall c(1000, 10);
    session_->Send(&c.call);
    Read();
    c.Give(100);
    Settle(&loop_);
    far_->Close(reset);
    Settle(&loop_);
    ASSERT_EQ(c.call.end(), End::kFailed);
    EXPECT_TRUE(owner_.left);
    EXPECT_EQ(c.call.request_body.sink, nullptr);
    EXPECT_EQ(owner_.dead, 1);
  }
}

TEST_F(BodyTest, AClientThatGoesAwayInMidRequestClosesTheConnection) {
  Open();
  LargeCall c(1000, 10);
  session_->Send(&c.call);
  Read();
  c.call.Cancel();
  EXPECT_EQ(c.call.request_body.sink, nullptr);
  EXPECT_EQ(owner_.let_go, 1);
  EXPECT_EQ(owner_.dead, 1);
}

TEST_F(BodyTest, AClientThatSendsNoMoreOfItsRequestIsNotTheBackendsFault) {
  Open();
  LargeCall c(1000, 10);
  session_->Send(&c.call);
  Read();
  for (int i = 0; i < 3; i++) {
    Advance(milliseconds(9999));
    c.Give(100);
    Read();
  }
  EXPECT_EQ(c.call.end(), End::kOpen) << "slow, but it goes on";
  Advance(milliseconds(10'000));
  ASSERT_EQ(c.call.end(), End::kFailed);
  EXPECT_EQ(c.call.failed_code, base::Code::kTimeout);
  EXPECT_NE(c.call.failure.find("no more of the request came from its client for 10000 ms"),
            std::string::npos)
      << c.call.failure;
  EXPECT_EQ(owner_.lost, 0);
  EXPECT_EQ(owner_.let_go, 1);
  EXPECT_EQ(owner_.dead, 1);
}

TEST_F(BodyTest, WhoWasWaitedForInMidRequestIsBlamedWhenTheWholeTimeIsOver) {
  const struct {
    size_t capacity;
    base::Code code;
    int late;
  } kCases[] = {
      {1 << 20, base::Code::kTimeout, 0},  // the client: all that it gave was taken
      {100, base::Code::kTimeout, 1},      // the backend: it does not read
      {100, base::Code::kRefused, 0},      // neither: memory was short
  };
  for (const auto& c : kCases) {
    Open(c.capacity);
    LargeCall call(10'000, 10);
    session_->Send(&call.call);
    Settle(&loop_);
    call.Give(5000);
    Settle(&loop_);
    call.call.TimeOut(base::Status(c.code, "late"));
    EXPECT_EQ(call.call.end(), End::kFailed);
    EXPECT_EQ(owner_.late, c.late) << c.capacity;
    EXPECT_EQ(owner_.let_go, 1 - c.late);
    EXPECT_EQ(owner_.dead, 1);
  }
}

TEST_F(BodyTest, ABackendThatHasTheWholeRequestIsBlamedWhenTheWholeTimeIsOver) {
  Open();
  LargeCall c(10'000, 10);
  c.give_all = true;
  session_->Send(&c.call);
  Read();
  c.call.TimeOut(base::Status(base::Code::kTimeout, "late"));
  EXPECT_EQ(owner_.late, 1);
}

TEST_F(BodyTest, ABackendThatTakesNoMoreOfTheRequestIsBlamed) {
  Open(100);
  LargeCall c(10'000, 10);
  c.give_all = true;
  session_->Send(&c.call);
  Settle(&loop_);
  Advance(milliseconds(9999));
  EXPECT_EQ(far_->TakeAll().size(), 100u);
  Answer("");  // wakes the writer
  Advance(milliseconds(1));
  EXPECT_EQ(c.call.end(), End::kOpen);
  Advance(milliseconds(20'000));
  ASSERT_EQ(c.call.end(), End::kFailed);
  EXPECT_NE(c.call.failure.find("10.0.0.1:80 took no more of the request for 10000 ms"),
            std::string::npos)
      << c.call.failure;
  EXPECT_EQ(owner_.lost, 1);
  EXPECT_TRUE(owner_.left);
}

TEST_F(BodyTest, TheAttemptsTimeCountsFromTheLastByte) {
  options_.attempt_timeout = milliseconds(300);
  Open();
  LargeCall c(1000, 10);
  session_->Send(&c.call);
  Read();
  for (int i = 0; i < 5; i++) {
    Advance(milliseconds(299));
    c.Give(100);
    Read();
  }
  EXPECT_EQ(c.call.end(), End::kOpen);
  c.Give(10'000);
  Read();
  Advance(milliseconds(299));
  EXPECT_EQ(c.call.end(), End::kOpen);
  Advance(milliseconds(1));
  ASSERT_EQ(c.call.end(), End::kFailed);
  EXPECT_NE(c.call.failure.find("within 300 ms"), std::string::npos) << c.call.failure;
}

}  // namespace
}  // namespace trestle::backend
