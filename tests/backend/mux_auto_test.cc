// Wire::kAuto: a probe tells whether an endpoint speaks mux.
#include <array>

#include "backend/wire_memory.h"
#include "tests/backend/mux_pool_fixture.h"

namespace trestle::backend {
namespace {

const std::string kProbe = mux::ShowMessage(Type::kOldRerr, 1, mux::kProbe);

class MuxAutoTest : public MuxPoolTest {
 protected:
  MuxAutoTest() { options_.wire = Wire::kAuto; }
  // The probe that connection `i` is finds mux.
  void FindMux(size_t i) {
    EXPECT_EQ(Far(i).TakeAll(), kProbe);
    Say(i, kProbe);
    EXPECT_TRUE(Far(i).peer_ended()) << "it was a connection of its own";
    shaken_ = std::max(shaken_, i + 1);
  }
  void FindOther(size_t i) {
    EXPECT_EQ(Far(i).TakeAll(), kProbe);
    Far(i).Close(false);
    Settle(&loop_);
  }
  // Plain calls on connection `i`.
  std::vector<tests::Received> Plain(size_t i) {
    std::string in = Far(i).TakeAll();
    return tests::TakeMessages(&in);
  }
};

TEST_F(MuxAutoTest, TheProbeGoesOutAsSoonAsTheEndpointIsThere) {
  Open();
  EXPECT_EQ(Opened(), 1u);
  EXPECT_EQ(Far(0).TakeAll(), kProbe);
}

TEST_F(MuxAutoTest, CallsWaitForTheFirstOutcome) {
  Open();
  TestCall a, b;
  Dispatch(a);
  Dispatch(b);
  EXPECT_EQ(Opened(), 1u) << "one probe at a time";
  EXPECT_EQ(Gauge("pool_waiters"), 2);
  FindMux(0);
  EXPECT_EQ(Opened(), 2u);
  Shake();
  EXPECT_EQ(Calls(1).size(), 2u);
  Say(1, Ok(2, Good()) + Ok(3, Good()));
  EXPECT_EQ(a.end(), End::kReplied);
  EXPECT_EQ(MuxCount("probes"), 1u);
  EXPECT_EQ(MuxCount("downgrades"), 0u);
}

TEST_F(MuxAutoTest, WhateverElseItIsGetsPlainThrift) {
  struct Case {
    const char* what;
    std::function<void(tests::MemoryTransport*)> act;
  };
  for (const Case& c : std::vector<Case>{
           {"closed", [](auto* far) { far->Close(false); }},
           {"reset", [](auto* far) { far->Close(true); }},
           {"silent", [](auto*) {}},
           {"other bytes", [](auto* far) { far->Send("HTTP/1.1 400 Bad Request\r\n\r\n"); }},
           {"Thrift", [](auto* far) { far->Send(tests::ExceptionFrame("m", 0)); }},
       }) {
    client_.reset();
    shaken_ = 0;
    Open();
    TestCall call;
    Dispatch(call);
    c.act(&Far(0));
    Settle(&loop_);
    Advance(milliseconds(999));
    if (std::string(c.what) == "silent") {
      EXPECT_EQ(call.end(), End::kOpen);
      EXPECT_EQ(Opened(), 1u);
    }
    Advance(milliseconds(1));
    ASSERT_EQ(Opened(), 2u) << c.what;
    auto calls = Plain(1);
    ASSERT_EQ(calls.size(), 1u) << c.what;
    Say(1, tests::ReplyFrame(calls[0].name, calls[0].seqid));
    EXPECT_EQ(call.end(), End::kReplied) << c.what;
  }
  EXPECT_EQ(MuxCount("downgrades"), 5u);
}

TEST_F(MuxAutoTest, APlainConnectionCarriesAsManyCallsAsPlainOnesDo) {
  for (uint32_t n : {1u, 2u}) {
    client_.reset();
    options_.pool.max_in_flight = n;
    Open();
    FindOther(0);
    TestCall a, b;
    Dispatch(a);
    Dispatch(b);
    EXPECT_EQ(Opened(), n == 1 ? 3u : 2u);
  }
}

TEST_F(MuxAutoTest, ThePlainOneMayBeUpgradedToTTwitter) {
  options_.ttwitter = true;
  Open();
  TestCall call;
  Dispatch(call);
  FindOther(0);
  auto asked = Plain(1);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].name, "__can__finagle__trace__v3__");
}

TEST_F(MuxAutoTest, MuxIsNotAskedForTheUpgradeToTTwitter) {
  options_.ttwitter = true;
  Open();
  TestCall call;
  Dispatch(call);
  FindMux(0);
  Shake();
  EXPECT_EQ(Calls(1).size(), 1u);
}

TEST_F(MuxAutoTest, NotReachedIsNoOutcomeAndTheCallsGoElsewhere) {
  client();
  net_->refusing.insert("10.0.0.1:80");
  Use({At("10.0.0.1"), At("10.0.0.2")});
  EXPECT_EQ(Tries(), 2u);
  EXPECT_EQ(Out(), 1u);
  TestCall call;
  Dispatch(call);
  FindMux(0);
  Shake();
  EXPECT_EQ(Calls(1).size(), 1u);
  EXPECT_EQ(MuxCount("downgrades"), 0u);
}

TEST_F(MuxAutoTest, WhenTheOnlyEndpointIsNotReachedItsCallsFailAndTheNextProbesAgain) {
  client();
  net_->refuse_all = true;
  Open();
  TestCall call;
  Dispatch(call);
  ASSERT_EQ(call.end(), End::kFailed);
  EXPECT_NE(call.failure().find("cannot connect to 10.0.0.1:80"), std::string::npos);
  net_->refuse_all = false;
  TestCall next;
  Dispatch(next);
  FindMux(0);
  Shake();
  EXPECT_EQ(Calls(1).size(), 1u);
}

TEST_F(MuxAutoTest, WhatIsKnownHoldsForTenMinutesAndCallsGoOnWhileItIsAskedAgain) {
  Open();
  TestCall call;
  Dispatch(call);
  FindMux(0);
  Shake();
  Say(1, Ok(2, Good()));
  Advance(std::chrono::minutes(10) - seconds(1));
  TestCall before;
  Dispatch(before);
  EXPECT_EQ(Opened(), 2u);
  Advance(seconds(1));
  TestCall after;
  Dispatch(after);
  EXPECT_EQ(Opened(), 3u);
  EXPECT_EQ(Far(2).TakeAll(), kProbe);
  EXPECT_EQ(Calls(1).size(), 3u) << "meanwhile calls go as before";
  Say(2, kProbe);
  TestCall later;
  Dispatch(later);
  EXPECT_EQ(Opened(), 3u) << "nothing has changed";
  EXPECT_EQ(MuxCount("probes"), 2u);
}

TEST_F(MuxAutoTest, AnotherOutcomeMakesConnectionsAnew) {
  Open();
  TestCall call, held, after, later;
  Dispatch(call);
  FindMux(0);
  Shake();
  Advance(std::chrono::minutes(10));
  Dispatch(held);
  FindOther(2);
  EXPECT_EQ(MuxCount("downgrades"), 1u);
  Dispatch(after);
  ASSERT_EQ(Opened(), 4u);
  auto plain = Plain(3);
  ASSERT_EQ(plain.size(), 1u);
  Say(3, tests::ReplyFrame(plain[0].name, plain[0].seqid));
  EXPECT_EQ(after.end(), End::kReplied);
  Say(1, Ok(2, Good()) + Ok(3, Good()));
  EXPECT_EQ(call.end(), End::kReplied);
  EXPECT_EQ(held.end(), End::kReplied);
  EXPECT_EQ(MuxGauge("sessions"), 0) << "the session of before ends with its calls";
  Advance(std::chrono::minutes(10));
  Dispatch(later);
  EXPECT_EQ(Plain(3).size(), 1u);
  FindMux(4);
  TestCall last;
  Dispatch(last);
  Shake();
  EXPECT_EQ(MuxGauge("sessions"), 1);
}

TEST_F(MuxAutoTest, KnownButNotReachedItStaysAsItWas) {
  Open();
  FindOther(0);
  Advance(std::chrono::minutes(11));
  net_->hold = true;
  TestCall call;
  Dispatch(call);
  net_->refuse_all = true;
  net_->Go();  // the probe
  Settle(&loop_);
  net_->refuse_all = false;
  net_->Go();
  Settle(&loop_);
  EXPECT_EQ(Plain(1).size(), 1u);
  net_->hold = false;
  EXPECT_EQ(Tries(), 3u);
  Advance(seconds(59));
  TestCall second;
  Dispatch(second);
  EXPECT_EQ(Tries(), 4u) << "a connection; no probe yet";
  Advance(seconds(1));
  TestCall third;
  Dispatch(third);
  EXPECT_EQ(Tries(), 6u);
}

TEST_F(MuxAutoTest, WhenItDoesNotDoAsItWasKnownToItIsAskedAgain) {
  options_.pool.idle_time = seconds(1);
  Open();
  FindMux(0);
  TestCall call;
  Dispatch(call);
  Far(1).Close(false);  // at the handshake of a session
  Settle(&loop_);
  EXPECT_EQ(call.end(), End::kFailed);
  TestCall next;
  Dispatch(next);
  ASSERT_EQ(Opened(), 4u);
  size_t probes = 0;
  for (size_t i = 2; i < 4; i++) probes += Far(i).TakeAll() == kProbe;
  EXPECT_EQ(probes, 2u) << "a probe, and a session that begins in the same way";
}

TEST_F(MuxAutoTest, AnEndpointThatLeavesWhileItIsProbedLosesNobody) {
  Use({At("10.0.0.1")});
  TestCall call;
  Dispatch(call);
  Use({At("10.0.0.2")});
  EXPECT_EQ(call.end(), End::kOpen);
  ASSERT_EQ(Opened(), 2u);
  FindMux(1);
  Shake();
  EXPECT_EQ(Calls(2).size(), 1u);
}

TEST_F(MuxAutoTest, AReloadForgetsWhatWasKnown) {
  Open();
  FindOther(0);
  Options changed = options_;
  changed.mux_fragment = 5000;
  client_->Reconfigure(changed, nullptr);
  Settle(&loop_);
  ASSERT_EQ(Opened(), 2u);
  EXPECT_EQ(Far(1).TakeAll(), kProbe);
}

TEST_F(MuxAutoTest, AReloadWhileItIsProbedBeginsAgainAndCallsWaitOn) {
  Open();
  TestCall call;
  Dispatch(call);
  auto connector = std::make_unique<tests::FakeConnector>(&loop_);
  auto* net = connector.get();
  client_->Reconfigure(options_, std::move(connector));
  net_ = net;
  Settle(&loop_);
  ASSERT_EQ(Opened(), 1u);
  FindMux(0);
  Shake();
  EXPECT_EQ(Calls(1).size(), 1u);
}

TEST_F(MuxAutoTest, ACallThatIsLetGoOfWhileItWaitsLeaves) {
  Open();
  TestCall call;
  Dispatch(call);
  call.call.Cancel();
  EXPECT_EQ(Gauge("pool_waiters"), 0);
  FindMux(0);
  EXPECT_EQ(Opened(), 1u) << "nobody needs a connection";
}

TEST_F(MuxAutoTest, MinSizeIsOpenedWhenTheOutcomeIsKnown) {
  options_.pool.min_size = 2;
  Open();
  EXPECT_EQ(Opened(), 1u);
  FindMux(0);
  EXPECT_EQ(Opened(), 3u);
}

TEST_F(MuxAutoTest, APayloadThatIsNoThriftWaitsForTheOutcomeAndFailsWhereItIsPlain) {
  Open();
  TestCall call;
  call.call.opaque = true;
  call.call.envelope = {};
  Dispatch(call);
  EXPECT_EQ(call.end(), End::kOpen);
  FindOther(0);
  EXPECT_EQ(call.end(), End::kFailed);
}

TEST_F(MuxAutoTest, OneOfTheWorkersAsksAndAllKnow) {
  ProbeTable table;
  options_.probes = &table;
  const net::Address here = *net::Address::Parse("10.0.0.1", 80);
  auto other = table.Ask(here, loop_.Now());  // another worker
  ASSERT_NE(other.turn, nullptr);
  Open();
  TestCall call;
  Dispatch(call);
  Advance(seconds(1));
  EXPECT_EQ(Opened(), 0u) << "one probe at a time";
  other.turn->Tell(Wire::kMux, loop_.Now());
  other.turn.reset();
  Advance(milliseconds(20));
  Shake();
  EXPECT_EQ(Calls(0).size(), 1u);
  Say(0, Ok(2, Good()));
  EXPECT_EQ(call.end(), End::kReplied) << call.failure();
  EXPECT_EQ(MuxCount("probes"), 0u);
}

TEST_F(MuxAutoTest, AWorkerThatGivesUpLetsAnotherAsk) {
  ProbeTable table;
  options_.probes = &table;
  const net::Address here = *net::Address::Parse("10.0.0.1", 80);
  auto other = table.Ask(here, loop_.Now());
  Open();
  EXPECT_EQ(Opened(), 0u);
  other.turn.reset();
  Advance(milliseconds(20));
  FindMux(0);
  EXPECT_EQ(table.Ask(here, loop_.Now()).known, Wire::kMux);
  EXPECT_FALSE(table.Ask(here, loop_.Now() + ProbeTable::kHoldsFor).known);
  table.Forget(here);
  auto again = table.Ask(here, loop_.Now());
  EXPECT_NE(again.turn, nullptr);
}

TEST(WireMemoryTest, IsDueUntilItKnowsAndWhenItIsOld) {
  WireMemory memory;
  base::TimePoint now{std::chrono::hours(1)};
  EXPECT_TRUE(memory.Due(now));
  EXPECT_EQ(memory.wire(), Wire::kAuto);
  memory.OnAsking();
  EXPECT_FALSE(memory.Due(now));
  EXPECT_TRUE(memory.OnOutcome(Wire::kMux, now + ProbeTable::kHoldsFor));
  EXPECT_FALSE(memory.Due(now + ProbeTable::kHoldsFor - seconds(1)));
  EXPECT_TRUE(memory.Due(now + ProbeTable::kHoldsFor));
  EXPECT_FALSE(memory.OnOutcome(Wire::kMux, now));
  EXPECT_TRUE(memory.OnOutcome(Wire::kThrift, now));
  memory.Doubt();
  EXPECT_TRUE(memory.Due(now));
  memory.OnAsking();
  memory.OnNotReached(now);
  EXPECT_EQ(memory.wire(), Wire::kThrift);
  EXPECT_FALSE(memory.Due(now));
  EXPECT_TRUE(memory.Due(now + WireMemory::kNotReachedFor));
}

TEST_F(MuxAutoTest, OneKnownToSpeakMuxMayBePausedWhenItIsAskedAgain) {
  Open();
  FindMux(0);
  Advance(ProbeTable::kHoldsFor);
  TestCall call;
  Dispatch(call);
  const size_t asked = Opened() - 1;
  EXPECT_EQ(MuxCount("probes"), 1u);
  Advance(MuxProbe::kTime);
  EXPECT_EQ(MuxCount("probes"), 2u) << asked;
  EXPECT_EQ(MuxCount("downgrades"), 0u);
}

}  // namespace
}  // namespace trestle::backend
