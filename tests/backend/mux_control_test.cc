// The messages of a mux session that are of no single call: pings, drain, lease, errors; and
// backends that do not do as they should.
#include <array>

#include "tests/backend/mux_fixture.h"

namespace trestle::backend {
namespace {

class MuxControlTest : public MuxSessionTest {
 protected:
  void ExpectOne(Type type, uint32_t tag) {
    auto sent = Read();
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(sent[0].type, type);
    EXPECT_EQ(sent[0].tag, tag);
  }
};

// --- pings ---

class MuxPingTest : public MuxControlTest {
 protected:
  MuxPingTest() {
    options_.ping_interval = seconds(5);
    options_.ping_timeout = seconds(4);
  }
  void Pong() { Say(mux::ShowMessage(Type::kRping, 1)); }
};

TEST_F(MuxPingTest, TheFirstPingComesAtOnceAndThenOneEachInterval) {
  Open();
  ExpectOne(Type::kTping, 1);
  Advance(milliseconds(30));
  Pong();
  EXPECT_EQ(table_.root()->histogram("ping_latency_ms")->sum(), 30'000u);
  Advance(milliseconds(4969));
  EXPECT_TRUE(Read().empty());
  Advance(milliseconds(1));
  ExpectOne(Type::kTping, 1);
  EXPECT_EQ(Count("pings"), 2u);
  Pong();
  EXPECT_FALSE(Dead());
}

TEST_F(MuxPingTest, NoAnswerInTimeIsADeadSession) {
  Open();
  TestCall written, other;
  Send(written);
  Send(other);
  Read();
  Advance(milliseconds(3999));
  EXPECT_FALSE(Dead());
  Advance(milliseconds(1));
  EXPECT_TRUE(Dead());
  EXPECT_EQ(Count("ping_timeouts"), 1u);
  EXPECT_EQ(owner_.lost, 2);
  EXPECT_EQ(owner_.failures, 1) << "a dead session counts once";
  EXPECT_TRUE(owner_.left);
  EXPECT_EQ(written.failure(), "trestle: reply: 10.0.0.1:80 did not answer a ping within 4000 ms");
}

TEST_F(MuxPingTest, RepliesAreNoAnswerToAPing) {
  Open();
  TestCall call;
  Send(call);
  Advance(seconds(3));
  Say(Ok(2, Good()) + mux::ShowMessage(Type::kRping, 7));
  EXPECT_EQ(call.end(), End::kReplied);
  Advance(seconds(1));
  EXPECT_TRUE(Dead());
}

TEST_F(MuxPingTest, AnAnswerBehindALargeReplyIsWaitedFor) {
  Open();
  TestCall call("m", 1);
  Send(call);
  Read();
  const std::string reply = Ok(2, Good("m", 1, StringBody(100'000)));
  for (size_t at = 0; at < reply.size(); at += 20'000) {
    Advance(seconds(3));
    Say(reply.substr(at, 20'000));
    EXPECT_FALSE(Dead()) << at;
  }
  EXPECT_EQ(call.end(), End::kReplied);
  Pong();
  ExpectOne(Type::kTping, 1);
  EXPECT_EQ(Count("ping_timeouts"), 0u);
}

TEST_F(MuxPingTest, AReplyThatStopsInTheMiddleHoldsADeadSessionNoLonger) {
  Open();
  TestCall call("m", 1);
  Send(call);
  Advance(seconds(1));
  Say(Ok(2, Good("m", 1, StringBody(100'000))).substr(0, 50'000));
  Advance(seconds(3));
  EXPECT_FALSE(Dead());
  Advance(seconds(4));
  EXPECT_TRUE(Dead());
}

TEST_F(MuxPingTest, BytesThatWaitToBeReadAreReadFirst) {
  // As after a loop that stood still.
  Open();
  clock_.Advance(seconds(60));
  far_->Send(mux::ShowMessage(Type::kRping, 1));
  Settle(&loop_);
  EXPECT_FALSE(Dead());
  EXPECT_EQ(Count("ping_timeouts"), 0u);
}

TEST_F(MuxPingTest, TheTimeOfAPingBeginsWhenItHasLeft) {
  Open({true, UINT32_MAX}, 4);
  Advance(seconds(5));
  EXPECT_FALSE(Dead()) << "it is not written yet";
  ExpectOne(Type::kTping, 1);
  Advance(seconds(4));
  EXPECT_TRUE(Dead());
}

TEST_F(MuxPingTest, ABackendThatKnowsNoTpingAnswersRerrAndIsThere) {
  Open();
  Read();
  Say(mux::ShowMessage(Type::kOldRerr, 1, "unexpected message type 65"));
  Advance(milliseconds(4500));
  EXPECT_FALSE(Dead());
  Advance(milliseconds(500));
  ExpectOne(Type::kTping, 1);
}

TEST_F(MuxPingTest, PingsAreNoUse) {
  Open();
  const base::TimePoint since = session_->idle_since();
  for (int i = 0; i < 5; i++) {
    Read();
    Pong();
    Advance(seconds(5));
  }
  EXPECT_EQ(session_->idle_since(), since);
  EXPECT_EQ(owner_.room, 0);
}

TEST_F(MuxPingTest, WithoutAnIntervalThereAreNone) {
  options_.ping_interval = base::Duration(0);
  Open();
  Advance(std::chrono::hours(1));
  EXPECT_TRUE(Read().empty());
  EXPECT_FALSE(Dead());
}

TEST_F(MuxControlTest, ATpingIsAnsweredAtOnceUnderItsTagAlsoBetweenPieces) {
  Open();
  TestCall call("m", 1);
  Send(call);
  Read();
  const std::string whole = ReplyBody(ReplyStatus::kOk, Good("m", 1));
  for (uint32_t tag : {0u, 1u, 2u, 0x7fffffu}) {
    Say(Piece(2, {}, true) + mux::ShowMessage(Type::kTping, tag));
    ExpectOne(Type::kRping, tag);
  }
  Say(Piece(2, whole, false));
  EXPECT_EQ(call.end(), End::kReplied);
}

// --- drain ---

TEST_F(MuxControlTest, WithTdrainItTakesNoCallsFinishesThoseItHasAndEnds) {
  Open();
  TestCall a("m", 1), b("m", 2);
  Send(a);
  Send(b);
  Read();
  Say(mux::ShowMessage(Type::kTdrain, 1));
  ExpectOne(Type::kRdrain, 1);
  EXPECT_EQ(owner_.leaving, 1);
  EXPECT_FALSE(session_->HasRoom());
  EXPECT_EQ(Count("drains"), 1u);
  Say(Ok(2, Good("m", 1)));
  EXPECT_EQ(a.end(), End::kReplied);
  EXPECT_FALSE(Dead());
  Say(Ok(3, Good("m", 2)));
  EXPECT_EQ(b.end(), End::kReplied);
  EXPECT_TRUE(Dead());
  EXPECT_EQ(owner_.lost + owner_.failures, 0);
}

TEST_F(MuxControlTest, AnIdleSessionSaysRdrainBeforeItEnds) {
  Open();
  Say(mux::ShowMessage(Type::kTdrain, 9));
  ExpectOne(Type::kRdrain, 9);
  EXPECT_TRUE(Dead());
}

TEST_F(MuxControlTest, ABlockedSessionSaysRdrainBeforeItEndsToo) {
  Open({true, UINT32_MAX}, 4);
  Say(mux::ShowMessage(Type::kTdrain, 9).substr(0, 4));
  Say(mux::ShowMessage(Type::kTdrain, 9).substr(4));
  EXPECT_FALSE(Dead());
  ExpectOne(Type::kRdrain, 9);
  EXPECT_TRUE(Dead());
}

TEST_F(MuxControlTest, ASecondTdrainIsAnsweredToo) {
  Open();
  TestCall call;
  Send(call);
  Read();
  Say(mux::ShowMessage(Type::kTdrain, 1));
  ExpectOne(Type::kRdrain, 1);
  Say(mux::ShowMessage(Type::kTdrain, 2));
  ExpectOne(Type::kRdrain, 2);
  EXPECT_EQ(owner_.leaving, 1);
}

TEST_F(MuxControlTest, AtTdrainWhatHasNotBegunToLeaveGoesElsewhere) {
  Open({true, 1000}, 100);
  const std::string large(400'000, 'x');
  TestCall first("m", 1, MessageType::kCall, Protocol::kBinary, large);
  TestCall second("m", 2, MessageType::kCall, Protocol::kBinary, large);
  Send(first);
  Send(second);
  Say(mux::ShowMessage(Type::kTdrain, 1));
  ASSERT_EQ(owner_.returned.size(), 1u);
  EXPECT_EQ(owner_.returned[0], &second.call);
  EXPECT_EQ(second.end(), End::kOpen);
  EXPECT_EQ(second.call.holder, nullptr);
  auto sent = Read();
  EXPECT_EQ(sent.back().type, Type::kRdrain) << "behind all that was begun";
  EXPECT_FALSE(sent[sent.size() - 2].more);
  Say(Ok(2, Good("m", 1)));
  EXPECT_EQ(first.end(), End::kReplied);
  EXPECT_TRUE(Dead());
}

TEST_F(MuxControlTest, AnAbandonedTagDoesNotHoldADrainedSession) {
  Open();
  TestCall call;
  Send(call);
  Say(mux::ShowMessage(Type::kTdrain, 1));
  EXPECT_FALSE(Dead());
  call.call.Cancel();
  Settle(&loop_);
  EXPECT_TRUE(Dead());
}

TEST_F(MuxControlTest, ADrainedSessionWaitsForTheAnswerToAOneway) {
  Open();
  auto oneway = TestCall::Oneway();
  Send(*oneway);
  Say(mux::ShowMessage(Type::kTdrain, 1));
  EXPECT_FALSE(Dead());
  Say(Ok(2, ""));
  EXPECT_TRUE(Dead());
}

TEST_F(MuxControlTest, ANackAfterRdrainHasNoContextsAndStillGoesElsewhere) {
  Open();
  TestCall call;
  Send(call);
  Say(mux::ShowMessage(Type::kTdrain, 1) + Nack(2));
  EXPECT_EQ(owner_.nacked, 1);
  EXPECT_TRUE(Dead());
}

// --- lease ---

TEST_F(MuxControlTest, ALeaseSaysHowLongCallsAreWelcome) {
  Open();
  EXPECT_EQ(session_->lease_end(), base::TimePoint::max());
  Say(Tlease(1000));
  EXPECT_EQ(session_->lease_end(), loop_.Now() + seconds(1));
  Say(Tlease(0));
  EXPECT_EQ(session_->lease_end(), loop_.Now());
  EXPECT_TRUE(session_->HasRoom()) << "who has nowhere else to go sends all the same";
  Say(Tlease(5000));
  EXPECT_EQ(session_->lease_end(), loop_.Now() + seconds(5));
  EXPECT_EQ(owner_.leases, 3);
  EXPECT_EQ(Count("leases"), 3u);
}

TEST_F(MuxControlTest, ALeaseInAnUnknownUnitIsIgnored) {
  Open();
  std::string body(9, '\0');
  body[0] = 1;
  Say(mux::ShowMessage(Type::kTlease, 0, body));
  EXPECT_EQ(session_->lease_end(), base::TimePoint::max());
  EXPECT_EQ(owner_.leases, 0);
  EXPECT_FALSE(Dead());
}

TEST_F(MuxControlTest, ALeaseThatCannotBeReadLosesTheSession) {
  Open();
  Say(mux::ShowMessage(Type::kTlease, 0, "short"));
  EXPECT_TRUE(Dead());
}

// --- errors ---

TEST_F(MuxControlTest, WhatAServerMayNotSendIsAnsweredWithRerrAndTheSessionGoesOn) {
  Open();
  TestCall call;
  Send(call);
  Read();
  for (Type type : {Type::kTdispatch, Type::kTreq, Type::kTinit}) {
    Say(mux::ShowMessage(type, 5, "body"));
    auto sent = Read();
    ASSERT_EQ(sent.size(), 1u) << mux::TypeName(type);
    EXPECT_EQ(sent[0].wire, static_cast<int>(Type::kOldRerr));
    EXPECT_EQ(sent[0].tag, 5u);
    EXPECT_NE(sent[0].body.find(mux::TypeName(type)), std::string::npos);
  }
  for (Type type : {Type::kRinit, Type::kRdrain, Type::kTdiscarded, Type::kOldTdiscarded}) {
    Say(mux::ShowMessage(type, 5, "body"));
    EXPECT_TRUE(Read().empty()) << mux::TypeName(type);
  }
  EXPECT_FALSE(Dead());
  Say(Ok(2, Good()));
  EXPECT_EQ(call.end(), End::kReplied);
}

TEST_F(MuxControlTest, BytesThatAreNoMuxLoseTheSessionWithAReason) {
  struct Case {
    const char* why;
    std::string bytes;
  };
  for (const Case& c : std::vector<Case>{
           {"unknown type 17", std::string("\0\0\0\4\x11\0\0\2", 8)},
           {"too short for a type and a tag", std::string("\0\0\0\3", 4)},
           {"over the bound", std::string("HTTP/1.1 400", 12)},
       }) {
    Open();
    TestCall call;
    Send(call);
    Say(c.bytes);
    EXPECT_TRUE(Dead());
    ASSERT_EQ(call.end(), End::kFailed);
    EXPECT_NE(call.failure().find("bad message from 10.0.0.1:80: "), std::string::npos);
    EXPECT_NE(call.failure().find(c.why), std::string::npos) << call.failure();
    EXPECT_EQ(owner_.failures, 1);
  }
}

TEST_F(MuxControlTest, AnRerrFailsItsCallWithTheTextOfTheBackendAndBlamesNobody) {
  Open();
  TestCall call, other;
  Send(call);
  Send(other);
  Say(mux::ShowMessage(Type::kRerr, 2, "bad\ndtab" + std::string(1000, '!')));
  ASSERT_EQ(call.end(), End::kFailed);
  EXPECT_EQ(
      call.failure().find("trestle: reply: 10.0.0.1:80 could not handle the message: bad dtab!!"),
      0u)
      << call.failure();
  EXPECT_LT(call.failure().size(), 400u);
  EXPECT_EQ(owner_.failures + owner_.lost, 0);
  EXPECT_EQ(Count("rerrs"), 1u);
  EXPECT_EQ(Gauge("tags_in_use"), 1);
  EXPECT_FALSE(Dead());
}

TEST_F(MuxControlTest, AnRdiscardedThatNobodyAskedForLosesItsCall) {
  Open();
  TestCall call;
  Send(call);
  Say(mux::ShowMessage(Type::kRdiscarded, 2) + mux::ShowMessage(Type::kRdiscarded, 99));
  ASSERT_EQ(call.end(), End::kFailed);
  EXPECT_NE(call.failure().find("discarded the call"), std::string::npos);
  EXPECT_EQ(owner_.failures, 1);
  EXPECT_FALSE(Dead());
}

// --- servers from before Tdispatch ---

class MuxOldServerTest : public MuxControlTest {
 protected:
  static std::string Rreq(uint32_t tag, ReplyStatus status, std::string_view payload) {
    return mux::ShowMessage(Type::kRreq, tag,
                            std::string(1, static_cast<char>(status)).append(payload));
  }
};

TEST_F(MuxOldServerTest, WhenTheFirstTdispatchIsAnsweredByRerrTreqIsSentFromThenOn) {
  Open({});
  TestCall call("m", 1), second("m", 2);
  call.call.header_form = second.call.header_form = call::HeaderForm::kMux;
  const base::TraceContext trace{1, 2, 3, 6, {}};
  for (TestCall* c : {&call, &second}) {
    c->call.header_bytes = base::Buffer::Copy(
        DispatchHead({{std::string(base::kTraceKey), base::ShowTrace(trace)}, {"other", "x"}}));
  }
  EXPECT_EQ(SendOne(call).type, Type::kTdispatch);
  Say(mux::ShowMessage(Type::kOldRerr, 2, "unexpected message type 2"));
  auto sent = Read();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].type, Type::kTreq);
  EXPECT_EQ(sent[0].tag, 2u);
  EXPECT_EQ(sent[0].body, std::string("\2\1\x18", 3) + base::ShowTrace(trace).substr(0, 24) +
                              std::string("\2\1\6", 3) + Message(MessageType::kCall, "m", 1));
  Say(Rreq(2, ReplyStatus::kOk, Good("m", 1)));
  EXPECT_EQ(call.end(), End::kReplied) << call.failure();
  EXPECT_EQ(SendOne(second).type, Type::kTreq);
  Say(Rreq(2, ReplyStatus::kError, "text"));
  EXPECT_TRUE(second.call.reply_is_error);
  EXPECT_EQ(Count("old_servers"), 1u);
}

TEST_F(MuxOldServerTest, CallsOnTheirWayAtThatTimeAreSentAgainToo) {
  Open({});
  TestCall a("m", 1), b("m", 2);
  Send(a);
  Send(b);
  Read();
  Say(mux::ShowMessage(Type::kOldRerr, 2, "?") + mux::ShowMessage(Type::kOldRerr, 3, "?"));
  auto sent = Read();
  ASSERT_EQ(sent.size(), 2u);
  for (const MuxMessage& m : sent) {
    EXPECT_EQ(m.type, Type::kTreq);
    EXPECT_EQ(m.body[0], '\0') << "there is no trace";
  }
  Say(Rreq(2, ReplyStatus::kOk, Good("m", 1)) + Rreq(3, ReplyStatus::kNack, ""));
  EXPECT_EQ(a.end(), End::kReplied);
  EXPECT_EQ(owner_.nacked, 1);
}

TEST_F(MuxOldServerTest, AnRerrToATreqFailsTheCall) {
  Open({});
  TestCall call;
  Send(call);
  Say(mux::ShowMessage(Type::kOldRerr, 2, "?"));
  Read();
  Say(mux::ShowMessage(Type::kOldRerr, 2, "not that either"));
  EXPECT_EQ(call.end(), End::kFailed);
  EXPECT_NE(call.failure().find("not that either"), std::string::npos);
}

TEST_F(MuxOldServerTest, AServerThatNegotiatedOrHasAnsweredATdispatchIsNotOld) {
  for (bool negotiated : {true, false}) {
    Open({negotiated, UINT32_MAX});
    TestCall good("m", 1), bad("m", 2);
    if (!negotiated) {
      Send(good);
      Say(Ok(2, Good("m", 1)));
    }
    Send(bad);
    Say(mux::ShowMessage(Type::kOldRerr, 2, "?"));
    EXPECT_EQ(bad.end(), End::kFailed);
  }
  EXPECT_EQ(Count("old_servers"), 0u);
}

// --- backends that stand still ---

TEST_F(MuxControlTest, ABackendThatTakesNoBytesIsLost) {
  Open({true, UINT32_MAX}, 100);
  TestCall call("m", 1, MessageType::kCall, Protocol::kBinary, std::string(1000, 'x'));
  Send(call);
  Advance(options_.body_idle_timeout - milliseconds(1));
  EXPECT_FALSE(Dead());
  Advance(milliseconds(1));
  EXPECT_TRUE(Dead());
  EXPECT_NE(call.failure().find("took no bytes for 10000 ms (bodyIdleTimeoutMs)"),
            std::string::npos)
      << call.failure();
}

TEST_F(MuxControlTest, ABackendThatTakesBytesSlowlyIsNot) {
  Open({true, UINT32_MAX}, 100);
  TestCall call("m", 1, MessageType::kCall, Protocol::kBinary, std::string(1000, 'x'));
  Send(call);
  for (int i = 0; i < 8; i++) {
    char some[100];
    far_->Read(some, sizeof some);
    Advance(seconds(9));
  }
  EXPECT_FALSE(Dead());
}

TEST_F(MuxControlTest, ABackendThatAsksMuchAndReadsNothingIsLost) {
  Open({true, UINT32_MAX}, 100);
  std::string pings;
  for (int i = 0; i < 10; i++) pings += mux::ShowMessage(Type::kTping, 1);
  for (int i = 0; i < 2000 && !Dead(); i++) Say(pings);
  EXPECT_TRUE(Dead());
}

TEST_F(MuxControlTest, ABackendThatAsksMuchAndReadsIsServed) {
  Open({true, UINT32_MAX}, 100);
  for (int i = 0; i < 20'000; i++) {
    Say(mux::ShowMessage(Type::kTping, 1));
    Read();
  }
  EXPECT_FALSE(Dead());
}

}  // namespace
}  // namespace trestle::backend
