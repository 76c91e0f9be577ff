// One backend connection with replies that are not held whole.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/backend/body_fixture.h"

namespace trestle::backend {
namespace {

TEST_F(BodyTest, ALargeReplyGoesOnBeforeItIsWhole) {
  for (bool upgraded : {false, true}) {
    for (uint32_t places : {1u, 4u}) {
      upgraded_ = upgraded;
      options_.pool.max_in_flight = places;
      Open();
      LargeCall c(1, 1);
      session_->Send(&c.call);
      Read();
      const int32_t seqid = places == 1 ? 1 : 4;
      std::string bytes = Reply(200'000, seqid);
      if (upgraded) bytes = Frame(std::string(1, '\0') + bytes.substr(4));
      for (size_t at = 0; at < bytes.size(); at += 1000) {
        Answer(std::string_view(bytes).substr(at, 1000));
        EXPECT_EQ(c.begun, 1);
        EXPECT_GE(c.reply.size() + 100, std::min(at + 1000, bytes.size()));
        EXPECT_EQ(session_->HasRoom(), c.call.ended()) << "no other call meanwhile";
      }
      ASSERT_EQ(c.call.end(), End::kReplied);
      EXPECT_EQ(c.call.reply_kind, thrift::ReplyKind::kResult);
      EXPECT_TRUE(c.reply == Reply(200'000, 9));
      EXPECT_EQ(owner_.idle, 1);
      EXPECT_EQ(owner_.success, 1);
      EXPECT_EQ(owner_.dead, 0);
    }
  }
}

TEST_F(BodyTest, ByteByByteALargeReplyIsTheSame) {
  options_.stream_threshold = 100;
  Open();
  near_->set_max_read(1);
  LargeCall c(1, 1);
  session_->Send(&c.call);
  Read();
  Answer(Reply(2000, 1));
  ASSERT_EQ(c.call.end(), End::kReplied);
  EXPECT_EQ(c.begun, 1);
  EXPECT_EQ(c.reply, Reply(2000, 9));
}

TEST_F(BodyTest, AReplyUpToTheThresholdIsHeldWhole) {
  const std::string reply = Reply(1000, 1);
  for (uint32_t threshold : {uint32_t(reply.size() - 4), uint32_t(reply.size() - 5)}) {
    options_.stream_threshold = threshold;
    Open();
    LargeCall c(1, 1);
    session_->Send(&c.call);
    Read();
    Answer(reply.substr(0, 500));
    EXPECT_EQ(c.begun, threshold == reply.size() - 5 ? 1 : 0);
    Answer(reply.substr(500));
    EXPECT_EQ(c.reply, Reply(1000, 9));
  }
}

TEST_F(BodyTest, ALargeReplyThatIsNoneLosesTheConnectionAtItsHead) {
  for (const std::string& reply :
       {Reply(200'000, 2), ReplyFrame("other", 1, std::string(200'000, '\0')),
        CallFrame("m", 1, std::string(200'000, '\0')), Frame(std::string(200'000, 'x'))}) {
    Open();
    LargeCall c(1, 1);
    session_->Send(&c.call);
    Read();
    Answer(reply.substr(0, 5000));
    EXPECT_EQ(c.begun, 0);
    ASSERT_EQ(c.call.end(), End::kFailed);
    EXPECT_EQ(c.call.failed_code, base::Code::kMalformed);
    EXPECT_EQ(owner_.dead, 1);
  }
}

TEST_F(BodyTest, AReplyOverTheBoundIsRefusedBeforeItComes) {
  options_.max_frame_bytes = 100'000;
  Open();
  LargeCall c(1, 1);
  session_->Send(&c.call);
  Read();
  Answer(Reply(200'000, 1).substr(0, 4));
  ASSERT_EQ(c.call.end(), End::kFailed);
  EXPECT_NE(c.call.failure.find("over the bound of 100000"), std::string::npos) << c.call.failure;
}

TEST_F(BodyTest, NobodyReadsOnUntilTheClientsTurnHasCome) {
  Open(50'000);
  LargeCall c(1, 1);
  c.take = false;
  session_->Send(&c.call);
  Read();
  const std::string bytes = Reply(4'000'000, 1);
  size_t sent = 0;
  auto send = [&] {  // as much as the connection takes
    for (int i = 0; i < 100; i++) {
      const size_t n = std::min<size_t>(50'000, bytes.size() - sent);
      struct iovec one {
        const_cast<char*>(bytes.data()) + sent, n
      };
      net::IoResult r = far_->Write(&one, 1);
      if (r.kind == net::IoResult::Kind::kBytes) sent += r.bytes;
      Settle(&loop_);
    }
  };
  send();
  EXPECT_EQ(c.begun, 1);
  EXPECT_LT(sent, 300'000u);
  EXPECT_EQ(c.pieces, 0);
  Advance(milliseconds(9999));
  EXPECT_EQ(c.call.end(), End::kOpen) << "the backend is not silent, it is not read";
  c.room = false;
  c.Take();
  Settle(&loop_);
  EXPECT_EQ(c.pieces, 1) << "no more before it says so";
  Advance(milliseconds(60'000));
  EXPECT_EQ(c.call.end(), End::kOpen) << "the client is slow, and has bounds of its own";
  c.room = true;
  c.Take();
  send();
  ASSERT_EQ(c.call.end(), End::kReplied);
  EXPECT_TRUE(c.reply == Reply(4'000'000, 9));
  EXPECT_EQ(owner_.idle, 1);
}

// The replies before may wait for the very connection that it has.
TEST_F(BodyTest, AReplyWhoseTurnDoesNotComeGivesItsConnectionUpAndBlamesNobody) {
  for (size_t here : {size_t{500}, size_t{5000}}) {
    SCOPED_TRACE(here);
    Open(50'000);
    LargeCall c(1, 1);
    c.take = false;
    session_->Send(&c.call);
    Read();
    const std::string bytes = Reply(4'000'000, 1);
    Answer(std::string_view(bytes).substr(0, 500));
    EXPECT_EQ(c.begun, 1);
    for (size_t at = 500; at < here + 1500; at += 500) {  // that it goes on does not help
      Advance(milliseconds(800));
      Answer(std::string_view(bytes).substr(at, 500));
    }
    Advance(milliseconds(10'000));
    ASSERT_EQ(c.call.end(), End::kFailed);
    EXPECT_EQ(c.call.failed_code, base::Code::kTimeout);
    EXPECT_EQ(c.call.failure,
              "trestle: reply: its reply waited for those before it for 10000 ms "
              "(bodyIdleTimeoutMs)");
    EXPECT_EQ(c.call.reply_body.source, nullptr);
    EXPECT_EQ(owner_.lost, 0) << "no fault of the backend";
    EXPECT_EQ(owner_.let_go, 1);
    EXPECT_EQ(owner_.late, 0);
    EXPECT_EQ(owner_.dead, 1);
  }
}

TEST_F(BodyTest, AReplyWhoseTurnComesInTimeHasItsWholeTime) {
  Open();
  LargeCall c(1, 1);
  c.take = false;
  session_->Send(&c.call);
  Read();
  const std::string bytes = Reply(100'000, 1);
  Answer(std::string_view(bytes).substr(0, 500));
  Advance(milliseconds(5000));
  Answer(std::string_view(bytes).substr(500, 500));
  Advance(milliseconds(4999));
  c.Take();
  Settle(&loop_);
  Advance(milliseconds(9999));
  ASSERT_EQ(c.call.end(), End::kOpen) << c.call.failure;
  Answer(std::string_view(bytes).substr(1000));
  EXPECT_EQ(c.call.end(), End::kReplied);
}

TEST_F(BodyTest, AReplyThatBreaksOffFailsTheCall) {
  const std::string bytes = Reply(100'000, 1);
  for (bool reset : {false, true}) {
    for (size_t cut : {size_t{100}, bytes.size() / 2, bytes.size() - 1}) {
      Open();
      LargeCall c(1, 1);
      session_->Send(&c.call);
      Read();
      Answer(bytes.substr(0, cut));
      EXPECT_EQ(c.begun, 1);
      reset ? far_->Close(true) : far_->ShutdownWrite();
      Settle(&loop_);
      ASSERT_EQ(c.call.end(), End::kFailed);
      EXPECT_EQ(c.call.failed_step, Step::kReply);
      EXPECT_EQ(c.call.reply_body.source, nullptr);
      EXPECT_TRUE(owner_.left);
      EXPECT_EQ(owner_.dead, 1);
    }
  }
}

TEST_F(BodyTest, ABackendThatStopsInMidReplyIsLeftAfterItsTime) {
  options_.attempt_timeout = milliseconds(300);
  Open();
  LargeCall c(1, 1);
  session_->Send(&c.call);
  Read();
  const std::string bytes = Reply(100'000, 1);
  size_t at = 0;
  for (; at < 50'000; at += 10'000) {
    Answer(std::string_view(bytes).substr(at, 10'000));
    Advance(milliseconds(9999));
    ASSERT_EQ(c.call.end(), End::kOpen) << "slow, but it goes on: " << c.call.failure;
  }
  Advance(milliseconds(1));
  ASSERT_EQ(c.call.end(), End::kFailed);
  EXPECT_EQ(c.call.failure,
            "trestle: reply: 10.0.0.1:80 stopped in mid-reply for 10000 ms (bodyIdleTimeoutMs)");
  EXPECT_TRUE(owner_.left);
  EXPECT_EQ(owner_.dead, 1);
}

TEST_F(BodyTest, AClientThatGoesAwayInMidReplyClosesTheConnection) {
  Open();
  LargeCall c(1, 1);
  session_->Send(&c.call);
  Read();
  Answer(Reply(100'000, 1).substr(0, 500));
  c.call.Cancel();
  EXPECT_EQ(c.call.reply_body.source, nullptr);
  EXPECT_EQ(owner_.dead, 1);
  EXPECT_EQ(owner_.let_go, 1);
}

TEST_F(BodyTest, WhoWasWaitedForInMidReplyIsBlamedWhenTheWholeTimeIsOver) {
  const struct {
    const char* what;
    bool take, room;
    size_t here;
    int late;
  } kCases[] = {
      {"the client took all that came", true, true, 5000, 1},
      {"nothing came behind the head", true, false, 500, 1},
      {"the client has enough to read", true, false, 5000, 0},
      {"it is not its turn", false, false, 5000, 0},
      {"it is not its turn, and nothing came behind the head", false, false, 500, 0},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.what);
    Open();
    LargeCall call(1, 1);
    call.take = c.take;
    call.room = c.room;
    session_->Send(&call.call);
    Read();
    const std::string bytes = Reply(100'000, 1);
    Answer(bytes.substr(0, 500));
    EXPECT_EQ(call.begun, 1);
    Answer(bytes.substr(500, c.here - 500));
    call.call.TimeOut(base::Status(base::Code::kTimeout, "late"));
    EXPECT_EQ(owner_.late, c.late);
    EXPECT_EQ(owner_.let_go, 1 - c.late);
    EXPECT_EQ(owner_.dead, 1);
  }
}

TEST_F(BodyTest, MoreBytesThanOneLargeReplyCloseTheConnection) {
  Open();
  LargeCall c(1, 1);
  session_->Send(&c.call);
  Read();
  Answer(Reply(100'000, 1).substr(0, 500));
  Answer(Reply(100'000, 1).substr(500) + "x");
  ASSERT_EQ(c.call.end(), End::kReplied);
  EXPECT_TRUE(c.reply == Reply(100'000, 9));
  EXPECT_EQ(owner_.idle, 0);
  EXPECT_EQ(owner_.dead, 1);
}

TEST_F(BodyTest, ALargeReplyMayBeginBeforeTheRequestIsWhole) {
  Open();
  LargeCall c(1000, 10);
  session_->Send(&c.call);
  Read();
  const std::string bytes = Reply(100'000, 1);
  Answer(bytes.substr(0, 500));
  EXPECT_EQ(c.begun, 1);
  c.Give(10'000);
  EXPECT_EQ(Read().size(), 990u);
  Answer(bytes.substr(500));
  ASSERT_EQ(c.call.end(), End::kReplied);
  EXPECT_TRUE(c.reply == Reply(100'000, 9));
}

TEST_F(BodyTest, AmongOthersALargeReplyIsHeldWhole) {
  options_.pool.max_in_flight = 4;
  Open();
  LargeCall c(1, 1);
  TestCall other("m", 77);
  session_->Send(&c.call);
  session_->Send(&other.call);
  Read();
  const std::string bytes = Reply(100'000, 4);
  Answer(bytes.substr(0, 50'000));
  EXPECT_EQ(c.begun, 0);
  EXPECT_TRUE(session_->HasRoom());
  Answer(bytes.substr(50'000) + ReplyFrame("m", 9));
  EXPECT_TRUE(c.reply == Reply(100'000, 9));
  EXPECT_EQ(other.end(), End::kReplied);
}

TEST_F(BodyTest, OverTheBoundOnMemoryALargeReplyThatIsHeldGivesWay) {
  options_.pool.max_in_flight = 4;
  options_.max_buffered_bytes = base::Block::BytesOnThread() + 300'000;
  Open();
  LargeCall c(1, 1);
  TestCall other("m", 77);
  session_->Send(&c.call);
  session_->Send(&other.call);
  Read();
  const std::string bytes = Reply(1'000'000, 4);
  for (size_t at = 0; at < bytes.size() && owner_.dead == 0; at += 50'000) {
    Answer(std::string_view(bytes).substr(at, 50'000));
  }
  ASSERT_EQ(c.call.end(), End::kFailed);
  EXPECT_EQ(c.call.failed_code, base::Code::kRefused);
  EXPECT_NE(c.call.failure.find("over maxBufferedBytes"), std::string::npos) << c.call.failure;
  EXPECT_EQ(owner_.lost, 0) << "no fault of the backend";
  EXPECT_EQ(owner_.let_go, 2);
}

}  // namespace
}  // namespace trestle::backend
