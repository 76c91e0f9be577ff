// Calls on a mux session that are let go of, or run out of time.
#include <array>

#include "tests/backend/mux_fixture.h"

namespace trestle::backend {
namespace {

class MuxCancelTest : public MuxSessionTest {
 protected:
  // The one message that came is a Tdiscarded, as Finagle writes it, for this tag.
  void ExpectDiscard(const std::vector<MuxMessage>& sent, uint32_t tag, std::string_view why) {
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(sent[0].wire, static_cast<int>(Type::kOldTdiscarded));
    EXPECT_EQ(sent[0].tag, mux::kMarkerTag);
    mux::Discarded discarded;
    ASSERT_EQ(mux::DecodeDiscarded(sent[0].body, &discarded).outcome, mux::Outcome::kOk);
    EXPECT_EQ(discarded.tag, tag);
    EXPECT_EQ(discarded.why, why);
  }
};

TEST_F(MuxCancelTest, ACallThatIsLetGoOfIsDiscardedAndItsTagStaysTaken) {
  Open();
  TestCall call, next;
  Send(call);
  Read();
  call.call.Cancel();
  ExpectDiscard(Read(), 2, "its caller is gone");
  EXPECT_EQ(owner_.let_go, 1);
  EXPECT_FALSE(Dead());
  EXPECT_FALSE(session_->busy());
  EXPECT_EQ(Gauge("tags_abandoned"), 1);
  EXPECT_EQ(Count("discards"), 1u);
  EXPECT_EQ(SendOne(next).tag, 3u);
  Say(mux::ShowMessage(Type::kRdiscarded, 2));
  EXPECT_EQ(Gauge("tags_abandoned"), 0);
  EXPECT_EQ(Gauge("tags_in_use"), 1);
  EXPECT_EQ(owner_.stray, 0);
  TestCall third;
  EXPECT_EQ(SendOne(third).tag, 2u);
}

TEST_F(MuxCancelTest, ALateReplyFreesTheTagAndIsAStray) {
  for (const std::string& late :
       {Ok(2, Good()), Nack(2), Piece(2, "x", true) + Piece(2, "y", false)}) {
    Open();
    TestCall call;
    Send(call);
    call.call.Cancel();
    Settle(&loop_);
    Say(late);
    EXPECT_EQ(owner_.stray, 1);
    EXPECT_EQ(owner_.nacked, 0);
    EXPECT_EQ(Gauge("tags_in_use"), 0);
    EXPECT_FALSE(Dead());
  }
}

TEST_F(MuxCancelTest, AnRerrFreesTheTagOfACallThatWasLetGoOf) {
  Open();
  TestCall call;
  Send(call);
  call.call.Cancel();
  Settle(&loop_);
  Say(mux::ShowMessage(Type::kOldRerr, 2, "?"));
  EXPECT_EQ(Gauge("tags_in_use"), 0);
}

TEST_F(MuxCancelTest, ACallThatRanOutOfItsWholeTimeIsToldAsLate) {
  Open();
  TestCall call;
  Send(call);
  Read();
  call.call.TimeOut(base::Status(base::Code::kTimeout, "over"));
  ExpectDiscard(Read(), 2, "it ran out of time");
  EXPECT_EQ(owner_.late, 1);
  EXPECT_EQ(owner_.let_go, 0);
}

TEST_F(MuxCancelTest, AnAttemptThatTakesTooLongIsDiscardedAndLostAloneWithAFailure) {
  options_.attempt_timeout = milliseconds(100);
  Open();
  TestCall early, late, other;
  Send(early);
  Send(late);
  Advance(milliseconds(60));
  Send(other);
  Read();
  Say(Ok(2, Good()));
  Advance(milliseconds(40));
  ExpectDiscard(Read(), 3, "it ran out of time");
  EXPECT_EQ(early.end(), End::kReplied);
  ASSERT_EQ(late.end(), End::kFailed);
  EXPECT_EQ(late.failure(),
            "trestle: reply: no reply from 10.0.0.1:80 within 100 ms (requestAttemptTimeoutMs)");
  EXPECT_TRUE(owner_.left);
  EXPECT_EQ(owner_.failures, 1);
  EXPECT_FALSE(Dead());
  Say(Ok(4, Good()));
  EXPECT_EQ(other.end(), End::kReplied);
}

// It goes out as soon as the backend reads on, so nobody else may be asked.
TEST_F(MuxCancelTest, AnAttemptWhoseBytesWaitForTheBackendHasLeft) {
  options_.attempt_timeout = milliseconds(100);
  Open({true, UINT32_MAX}, 1000);
  TestCall large("m", 1, MessageType::kCall, Protocol::kBinary, std::string(20'000, 'x')), behind;
  Send(large);
  Send(behind);
  Advance(milliseconds(100));
  ASSERT_EQ(behind.end(), End::kFailed);
  EXPECT_TRUE(owner_.left);
  size_t dispatched = 0;
  for (const MuxMessage& m : Read()) dispatched += m.type == Type::kTdispatch;
  EXPECT_EQ(dispatched, 2u) << "the backend gets them";
}

TEST_F(MuxCancelTest, AfterAJumpOfTheClockEveryAttemptEndsOnce) {
  options_.attempt_timeout = milliseconds(100);
  Open();
  std::array<TestCall, 50> calls;
  for (TestCall& call : calls) Send(call);
  calls[10].on_end = [&] { calls[20].call.Cancel(); };
  Advance(std::chrono::hours(24 * 365));
  for (TestCall& call : calls) EXPECT_TRUE(call.call.ended());
  EXPECT_EQ(owner_.lost, 49);
  EXPECT_EQ(owner_.let_go, 1);
  EXPECT_EQ(Read().size(), 100u);
}

TEST_F(MuxCancelTest, AReplyInPiecesIsForgottenWithItsCall) {
  Open();
  TestCall call, other("m", 3);
  Send(call);
  Send(other);
  Say(Piece(2, std::string(1000, 'x'), true));
  call.call.Cancel();
  Settle(&loop_);
  Say(Piece(2, "more", true) + mux::ShowMessage(Type::kRdiscarded, 2) + Ok(3, Good("m", 3)));
  EXPECT_EQ(Gauge("tags_in_use"), 0);
  EXPECT_EQ(other.end(), End::kReplied);
}

TEST_F(MuxCancelTest, ARequestThatWaitsForItsFirstPieceIsDroppedWithoutAWord) {
  Open({true, 1000}, 100);
  const std::string large(400'000, 'x');
  TestCall first("m", 1, MessageType::kCall, Protocol::kBinary, large);
  TestCall second("m", 2, MessageType::kCall, Protocol::kBinary, large);
  Send(first);
  Send(second);
  second.call.Cancel();
  EXPECT_EQ(Gauge("tags_in_use"), 1);
  EXPECT_EQ(Count("discards"), 0u);
  TestCall third("m", 3);
  Send(third);
  for (const MuxMessage& m : Read()) {
    ASSERT_EQ(m.type, Type::kTdispatch);
    if (m.tag == 3) {
      EXPECT_FALSE(m.more) << "the third's";
    }
  }
}

TEST_F(MuxCancelTest, ARequestOfWhichPiecesLeftIsCutShortAndItsTagFreeWithTheNextPing) {
  options_.ping_interval = seconds(5);
  Open({true, 1000}, 2000);
  Read();
  Say(mux::ShowMessage(Type::kRping, 1));
  TestCall call("m", 1, MessageType::kCall, Protocol::kBinary, std::string(400'000, 'x'));
  Send(call);
  call.call.Cancel();
  size_t pieces = 0;
  auto sent = Read();
  for (const MuxMessage& m : sent) {
    pieces += m.type == Type::kTdispatch;
    EXPECT_TRUE(m.type != Type::kTdispatch || m.more) << "no last piece";
  }
  EXPECT_GT(pieces, 0u);
  EXPECT_LT(pieces, 400u);
  EXPECT_EQ(sent.back().type, Type::kTdiscarded);
  EXPECT_EQ(Gauge("tags_abandoned"), 1);
  TestCall next;
  EXPECT_EQ(SendOne(next).tag, 3u) << "an answer may be on its way";
  Advance(seconds(5));
  auto ping = Read();
  ASSERT_EQ(ping.size(), 1u);
  EXPECT_EQ(ping[0].type, Type::kTping);
  EXPECT_EQ(Gauge("tags_abandoned"), 1);
  Say(mux::ShowMessage(Type::kRping, 1));
  EXPECT_EQ(Gauge("tags_abandoned"), 0);
  TestCall third;
  EXPECT_EQ(SendOne(third).tag, 2u);
}

TEST_F(MuxCancelTest, APingThatWasOnItsWayFreesNoTagThatWasCutAfterIt) {
  options_.ping_interval = seconds(5);
  Open({true, 1000}, 2000);
  TestCall call("m", 1, MessageType::kCall, Protocol::kBinary, std::string(400'000, 'x'));
  Send(call);
  call.call.Cancel();
  Read();
  Say(mux::ShowMessage(Type::kRping, 1));
  EXPECT_EQ(Gauge("tags_abandoned"), 1);
  // A backend that answers is done with it at once.
  Say(mux::ShowMessage(Type::kRdiscarded, 2));
  EXPECT_EQ(Gauge("tags_abandoned"), 0);
}

TEST_F(MuxCancelTest, ABackendThatAnswersBeforeItHasAllGetsNoMoreOfIt) {
  Open({true, 1000}, 2000);
  TestCall call("m", 1, MessageType::kCall, Protocol::kBinary, std::string(400'000, 'x'));
  Send(call);
  Settle(&loop_);
  char some[1500];
  far_->Read(some, sizeof some);
  Settle(&loop_);
  far_->Send(Ok(2, Good("m", 1)));
  Settle(&loop_);
  EXPECT_EQ(call.end(), End::kReplied) << call.failure();
  EXPECT_EQ(Count("discards"), 1u);
  EXPECT_EQ(Gauge("tags_abandoned"), 1) << "its rest was not sent";
}

TEST_F(MuxCancelTest, WhereDiscardsAreNeverAnsweredTheSessionEndsWithTheCallsItHas) {
  Open();
  TestCall live("m", 1);
  Send(live);
  for (int i = 0; i < 1001; i++) {
    ASSERT_TRUE(session_->HasRoom()) << i;
    TestCall call;
    session_->Send(&call.call);
    call.call.Cancel();
    if (i % 100 == 0) Read();
  }
  EXPECT_FALSE(session_->HasRoom());
  EXPECT_EQ(owner_.leaving, 1);
  Read();
  EXPECT_FALSE(Dead());
  Say(Ok(2, Good("m", 1)));
  EXPECT_EQ(live.end(), End::kReplied);
  EXPECT_TRUE(Dead());
  EXPECT_EQ(owner_.failures, 0);
}

TEST_F(MuxCancelTest, ASessionWhosePlacesAreAllAbandonedIsOfNoUse) {
  options_.pool.mux_in_flight = 2;
  Open();
  TestCall a, b;
  Send(a);
  Send(b);
  EXPECT_FALSE(session_->HasRoom());
  a.call.Cancel();
  Settle(&loop_);
  EXPECT_FALSE(session_->HasRoom()) << "the backend is still at work on it";
  EXPECT_FALSE(Dead());
  b.call.Cancel();
  Settle(&loop_);
  EXPECT_TRUE(Dead());
  EXPECT_EQ(owner_.leaving, 1);
}

TEST_F(MuxCancelTest, WithAnAnswerThereIsRoomAgain) {
  options_.pool.mux_in_flight = 1;
  Open();
  TestCall a, b;
  Send(a);
  EXPECT_FALSE(session_->HasRoom());
  const int rooms = owner_.room;
  Say(Ok(2, Good()));
  EXPECT_EQ(owner_.room, rooms + 1);
  EXPECT_TRUE(session_->HasRoom());
}

TEST_F(MuxCancelTest, ACallMayCancelAnotherAsItEnds) {
  Open();
  TestCall a("m", 1), b("m", 2);
  a.on_end = [&] { b.call.Cancel(); };
  Send(a);
  Send(b);
  Say(Ok(2, Good("m", 1)) + Ok(3, Good("m", 2)));
  EXPECT_EQ(b.end(), End::kCancelled);
  EXPECT_EQ(owner_.stray, 1);
}

TEST_F(MuxCancelTest, ALostSessionTakesACallThatItsEndCancels) {
  Open();
  TestCall a("m", 1), b("m", 2), c("m", 3);
  for (TestCall* call : {&a, &b, &c}) Send(*call);
  a.on_end = [&] { c.call.Cancel(); };
  far_->Close(true);
  Settle(&loop_);
  EXPECT_EQ(b.end(), End::kFailed);
  EXPECT_EQ(c.end(), End::kCancelled);
  EXPECT_EQ(owner_.lost, 2);
  EXPECT_EQ(owner_.let_go, 1);
}

}  // namespace
}  // namespace trestle::backend
