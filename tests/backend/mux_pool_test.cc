// Pools of mux sessions: how many connections there are, which one a call takes, and what becomes
// of calls that a backend does not take.
#include <array>

#include "tests/backend/mux_pool_fixture.h"

namespace trestle::backend {
namespace {

using Tags = std::vector<uint32_t>;

TEST_F(MuxPoolTest, CallsWaitForTheHandshakeAndShareOneConnection) {
  Open();
  std::array<TestCall, 20> calls;
  for (TestCall& call : calls) Dispatch(call);
  EXPECT_EQ(Opened(), 1u);
  EXPECT_EQ(Gauge("pool_waiters"), 20);
  Shake();
  EXPECT_EQ(MuxGauge("sessions"), 1);
  EXPECT_EQ(Calls(0).size(), 20u);
  for (uint32_t i = 0; i < 20; i++) Say(0, Ok(i + 2, Good()));
  for (TestCall& call : calls) EXPECT_EQ(call.end(), End::kReplied) << call.failure();
  TestCall next;
  Dispatch(next);
  EXPECT_EQ(Opened(), 1u);
  EXPECT_EQ(Calls(0), Tags{2});
}

TEST_F(MuxPoolTest, WhatComesBehindRinitIsTheSessions) {
  Open();
  TestCall call;
  Dispatch(call);
  Say(0, Read(0)[0].bytes);
  Read(0);
  Say(0, mux::ShowMessage(Type::kRinit, 1, std::string("\0\1", 2)) + Tlease(1000) +
             mux::ShowMessage(Type::kTping, 9));
  auto sent = Read(0);
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[0].type, Type::kTdispatch);
  EXPECT_EQ(sent[1].type, Type::kRping);
  EXPECT_EQ(MuxCount("leases"), 1u);
}

TEST_F(MuxPoolTest, ABackendThatDoesNotSpeakMuxIsLikeOneThatCannotBeReached) {
  Use({At("10.0.0.1"), At("10.0.0.2")});
  TestCall call;
  Dispatch(call);
  Say(0, tests::ExceptionFrame("m", 0));
  EXPECT_EQ(Opened(), 2u) << "the other is tried";
  Far(1).Close(false);
  Settle(&loop_);
  ASSERT_EQ(call.end(), End::kFailed);
  EXPECT_EQ(call.call.failed_step, call::Step::kConnect);
  EXPECT_NE(call.failure().find("no mux session with 10.0.0.2:80: the connection ended before "
                                "the probe's answer"),
            std::string::npos)
      << call.failure();
  EXPECT_EQ(Count("failed_connects"), 2u);
  EXPECT_EQ(Out(), 2u);
}

TEST_F(MuxPoolTest, MinSizeOpensMoreAndCallsAreSpreadOverThem) {
  options_.pool.min_size = 3;
  Open();
  EXPECT_EQ(Opened(), 3u);
  Shake();
  std::array<TestCall, 9> calls;
  for (TestCall& call : calls) Dispatch(call);
  for (size_t i = 0; i < 3; i++) EXPECT_EQ(Calls(i).size(), 3u) << i;
  Say(1, Ok(2, Good()) + Ok(3, Good()));
  std::array<TestCall, 2> more;
  for (TestCall& call : more) Dispatch(call);
  EXPECT_EQ(Calls(1).size(), 2u) << "the least loaded takes them";
}

TEST_F(MuxPoolTest, WhenItsPlacesAreTakenAnotherIsOpenedUpToMaxSize) {
  options_.pool.mux_in_flight = 2;
  options_.pool.max_size = 2;
  Open();
  std::array<TestCall, 6> calls;
  for (TestCall& call : calls) {
    Dispatch(call);
    Shake();
  }
  EXPECT_EQ(Opened(), 2u);
  EXPECT_EQ(Gauge("pool_waiters"), 2);
  Calls(0);
  Say(0, Ok(3, Good()));
  EXPECT_EQ(Calls(0), Tags{3}) << "who waits has the place";
  EXPECT_EQ(Gauge("pool_waiters"), 1);
}

TEST_F(MuxPoolTest, ALargeRequestTakesAConnectionWithOthers) {
  Open();
  TestCall small, large;
  Dispatch(small);
  Shake();
  struct Source final : call::BodySource {
    void OnBodyRoom(call::Call*) override { asked++; }
    int asked = 0;
  } source;
  large.call.streamed = true;
  large.call.request_body = {10, &source, nullptr};
  Dispatch(large);
  EXPECT_EQ(Opened(), 1u);
  EXPECT_EQ(source.asked, 1);
}

TEST_F(MuxPoolTest, AnIdleSessionEndsInTimeWhateverItsPings) {
  options_.pool.idle_time = seconds(60);
  options_.ping_interval = seconds(5);
  Open();
  TestCall call;
  Dispatch(call);
  Shake();
  Say(0, Ok(2, Good()));
  for (int i = 0; i < 11; i++) {
    Say(0, mux::ShowMessage(Type::kRping, 1));
    Advance(seconds(5));
  }
  EXPECT_EQ(Gauge("connections"), 1);
  Say(0, mux::ShowMessage(Type::kRping, 1));
  Advance(seconds(5));
  EXPECT_EQ(Gauge("connections"), 0);
  EXPECT_GT(MuxCount("pings"), 10u);
}

TEST_F(MuxPoolTest, ADeadSessionIsReplacedAndWhatMayBeSentAgainIs) {
  options_.ping_interval = seconds(5);
  Open();
  TestCall idempotent, other;
  idempotent.call.idempotent = true;
  Dispatch(idempotent);
  Dispatch(other);
  Shake();
  Advance(seconds(4));
  EXPECT_EQ(other.end(), End::kFailed);
  EXPECT_EQ(idempotent.end(), End::kOpen);
  EXPECT_EQ(Opened(), 2u);
  Shake();
  EXPECT_EQ(Calls(1), Tags{2});
  Say(1, Ok(2, Good()));
  EXPECT_EQ(idempotent.end(), End::kReplied);
}

TEST_F(MuxPoolTest, AFailureOfASessionWithManyCallsCountsOnce) {
  options_.accrual.failures = 2;
  Open();
  std::array<TestCall, 10> calls;
  for (TestCall& call : calls) Dispatch(call);
  Shake();
  Far(0).Close(true);
  Settle(&loop_);
  EXPECT_EQ(Out(), 0u);
}

// --- drain ---

TEST_F(MuxPoolTest, ADrainedSessionIsReplacedAndNoCallIsLost) {
  options_.pool.max_size = 1;
  Open();
  TestCall a, b;
  Dispatch(a);
  Shake();
  EXPECT_EQ(Calls(0), Tags{2});
  Say(0, mux::ShowMessage(Type::kTdrain, 1));
  EXPECT_EQ(Opened(), 2u) << "beside the one that finishes, whatever maxSize says";
  Dispatch(b);
  Shake();
  EXPECT_EQ(Calls(1), Tags{2});
  EXPECT_EQ(Gauge("connections"), 2);
  Say(0, Ok(2, Good()));
  Say(1, Ok(2, Good()));
  EXPECT_EQ(a.end(), End::kReplied);
  EXPECT_EQ(b.end(), End::kReplied);
  EXPECT_EQ(Gauge("connections"), 1);
  EXPECT_EQ(CountOf("retries", "requeues"), 0u);
}

TEST_F(MuxPoolTest, ABackendThatDrainsEverySessionAtOnceIsNotConnectedToForEver) {
  options_.pool.min_size = 1;
  Open();
  for (int i = 0; i < 20; i++) {
    if (shaken_ == Opened()) break;
    Shake();
    Say(shaken_ - 1, mux::ShowMessage(Type::kTdrain, 1));
  }
  EXPECT_EQ(Opened(), 1u);
  EXPECT_EQ(Gauge("connections"), 0);
}

TEST_F(MuxPoolTest, SessionsThatDrainAndNeverEndAreBounded) {
  options_.pool.max_size = 2;
  Open();
  std::vector<std::unique_ptr<TestCall>> calls;
  for (int i = 0; i < 20; i++) {
    calls.push_back(std::make_unique<TestCall>());
    Dispatch(*calls.back());
    const size_t had = shaken_;
    Shake();
    for (size_t c = had; c < shaken_; c++) Say(c, mux::ShowMessage(Type::kTdrain, 1));
  }
  EXPECT_LE(Opened(), 5u);
  EXPECT_GT(Gauge("pool_waiters"), 0);
}

TEST_F(MuxPoolTest, WhatADrainedSessionHasNotSentGoesOnTheNext) {
  Open();
  struct Source final : call::BodySource {
    void OnBodyRoom(call::Call*) override { asked++; }
    int asked = 0;
  } source;
  TestCall small, large;
  Dispatch(small);
  Shake();
  large.call.streamed = true;
  large.call.request_body = {10, &source, nullptr};
  Dispatch(large);
  Say(0, mux::ShowMessage(Type::kTdrain, 1));
  EXPECT_EQ(large.end(), End::kOpen);
  Shake();
  EXPECT_EQ(source.asked, 2) << "by the second session too";
  EXPECT_EQ(CountOf("retries", "requeues"), 0u) << "it costs no budget";
  EXPECT_EQ(large.call.attempts, 1u);
}

TEST_F(MuxPoolTest, WhatADrainedSessionReturnsToAPoolThatLeftGoesToAnotherEndpoint) {
  Open();
  struct Source final : call::BodySource {
    void OnBodyRoom(call::Call*) override {}
  } source;
  TestCall small, large;
  Dispatch(small);
  Shake();
  large.call.streamed = true;
  large.call.request_body = {10, &source, nullptr};
  Dispatch(large);
  Use({At("10.0.0.2")});
  EXPECT_EQ(large.end(), End::kOpen);
  Say(0, mux::ShowMessage(Type::kTdrain, 1));
  EXPECT_EQ(large.end(), End::kOpen);
  EXPECT_EQ(net_->backends.back()->at, "10.0.0.2:80");
}

// --- nacks ---

TEST_F(MuxPoolTest, ANackedCallGoesToAnotherEndpointAndIsNoFailure) {
  options_.accrual.failures = 1;
  Use({At("10.0.0.1"), At("10.0.0.2")});
  TestCall call;
  Dispatch(call);
  Shake();
  Say(0, Nack(2, FailureContext(mux::kRetryable | mux::kRejected)));
  EXPECT_EQ(Opened(), 2u);
  EXPECT_NE(net_->backends[0]->at, net_->backends[1]->at);
  Shake();
  EXPECT_EQ(Calls(1), Tags{2});
  Say(1, Ok(2, Good()));
  EXPECT_EQ(call.end(), End::kReplied);
  EXPECT_EQ(CountOf("retries", "requeues"), 1u);
  EXPECT_EQ(MuxCount("nacks"), 1u);
  EXPECT_EQ(Out(), 0u);
}

TEST_F(MuxPoolTest, ACallThatIsNotIdempotentIsSentAgainAfterANackToo) {
  Use({At("10.0.0.1"), At("10.0.0.2")});
  TestCall call("m", 7, thrift::MessageType::kCall, thrift::Protocol::kBinary, "the body");
  Dispatch(call);
  Shake();
  Read(0);
  Say(0, Nack(2));
  Shake();
  auto sent = Read(1);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(ReadDispatch(sent[0].body).payload,
            tests::Message(thrift::MessageType::kCall, "m", 7, "the body"));
}

TEST_F(MuxPoolTest, WhenAllHaveNackedItTheCallFails) {
  Use({At("10.0.0.1"), At("10.0.0.2")});
  TestCall call;
  Dispatch(call);
  Shake();
  Say(0, Nack(2));
  Shake();
  Say(1, Nack(2));
  ASSERT_EQ(call.end(), End::kFailed);
  EXPECT_EQ(call.call.failed_code, base::Code::kUnavailable);
  EXPECT_EQ(call.call.failed_step, call::Step::kDispatch);
  EXPECT_NE(call.failure().find(" nacked the call"), std::string::npos);
  EXPECT_EQ(call.call.attempts, 2u);
}

TEST_F(MuxPoolTest, NacksAreSentAgainWithinTheBudget) {
  options_.budget.min_retries_per_sec = 0;
  options_.budget.percent_can_retry = 0;
  Use({At("10.0.0.1"), At("10.0.0.2")});
  TestCall call;
  Dispatch(call);
  Shake();
  Say(0, Nack(2));
  ASSERT_EQ(call.end(), End::kFailed);
  EXPECT_NE(call.failure().find("nacked the call; not sent again: requeueBudget is spent"),
            std::string::npos);
  EXPECT_EQ(CountOf("retries", "budget_exhausted"), 1u);
}

// --- leases ---

TEST_F(MuxPoolTest, AnEndpointWhoseLeaseIsOverIsLeftAloneWhileAnotherIsThere) {
  Use({At("10.0.0.1"), At("10.0.0.2")});
  std::array<TestCall, 2> first;
  for (TestCall& call : first) Dispatch(call);
  Shake();
  Say(0, Tlease(0));
  std::array<TestCall, 6> calls;
  for (TestCall& call : calls) Dispatch(call);
  EXPECT_EQ(Calls(0).size(), 1u) << "only the one from before";
  EXPECT_EQ(Calls(1).size(), 7u);
  Say(0, Tlease(1000));
  for (int i = 0; i < 2; i++) Dispatch(*std::make_unique<TestCall>());
  std::array<TestCall, 2> after;
  for (TestCall& call : after) Dispatch(call);
  EXPECT_GE(Calls(0).size(), 1u) << "it is welcome again";
  Calls(1);
  Advance(seconds(1));
  std::array<TestCall, 4> late;
  for (TestCall& call : late) Dispatch(call);
  EXPECT_TRUE(Calls(0).empty()) << "over again";
}

TEST_F(MuxPoolTest, WhoHasNowhereElseToGoSendsAllTheSame) {
  Use({At("10.0.0.1"), At("10.0.0.2")});
  std::array<TestCall, 2> first;
  for (TestCall& call : first) Dispatch(call);
  Shake();
  Say(0, Tlease(0));
  Say(1, Tlease(0));
  TestCall call;
  Dispatch(call);
  EXPECT_EQ(Calls(0).size() + Calls(1).size(), 3u);
}

TEST_F(MuxPoolTest, OfSeveralSessionsThoseWithALeaseComeFirst) {
  options_.pool.min_size = 2;
  Open();
  Shake();
  Say(0, Tlease(0));
  std::array<TestCall, 5> calls;
  for (TestCall& call : calls) Dispatch(call);
  EXPECT_TRUE(Calls(0).empty());
  EXPECT_EQ(Calls(1).size(), 5u);
}

TEST_F(MuxPoolTest, ALeaseGoesWithItsSession) {
  Use({At("10.0.0.1"), At("10.0.0.2")});
  std::array<TestCall, 2> first;
  for (TestCall& call : first) Dispatch(call);
  Shake();
  Say(0, Tlease(0) + Ok(2, Good()));
  Far(0).Close(false);
  Settle(&loop_);
  std::array<TestCall, 4> calls;
  for (TestCall& call : calls) Dispatch(call);
  EXPECT_EQ(Opened(), 3u) << "a new connection has no lease yet";
}

// --- reloads ---

TEST_F(MuxPoolTest, AChangeOfTheWireMakesConnectionsAnew) {
  Open();
  TestCall call, next;
  Dispatch(call);
  Shake();
  Options changed = options_;
  changed.wire = Wire::kThrift;
  client_->Reconfigure(changed, nullptr);
  Settle(&loop_);
  Dispatch(next);
  ASSERT_EQ(Opened(), 2u);
  std::string in = Far(1).TakeAll();
  EXPECT_EQ(tests::TakeMessages(&in).size(), 1u) << "plain Thrift";
  Say(0, Ok(2, Good()));
  EXPECT_EQ(call.end(), End::kReplied);
  EXPECT_EQ(MuxGauge("sessions"), 0);
}

TEST_F(MuxPoolTest, AChangeOfTheFragmentsMakesConnectionsAnew) {
  Open();
  TestCall call, next;
  Dispatch(call);
  Shake();
  Options changed = options_;
  changed.mux_fragment = 1000;
  client_->Reconfigure(changed, nullptr);
  Dispatch(next);
  EXPECT_EQ(Opened(), 2u);
}

TEST_F(MuxPoolTest, AnEndpointThatLeavesFinishesItsCalls) {
  Use({At("10.0.0.1"), At("10.0.0.2")});
  std::array<TestCall, 2> calls;
  for (TestCall& call : calls) Dispatch(call);
  Shake();
  Use({At("10.0.0.2")});
  EXPECT_EQ(Gauge("connections"), 2);
  Say(0, Ok(2, Good()));
  EXPECT_EQ(calls[0].end(), End::kReplied);
  EXPECT_EQ(Gauge("connections"), 1);
}

// --- payloads that are no Thrift ---

TEST_F(MuxPoolTest, APayloadThatIsNoThriftDoesNotGoToAThriftBackend) {
  options_.wire = Wire::kThrift;
  Open();
  TestCall call;
  call.call.opaque = true;
  call.call.envelope = {};
  Dispatch(call);
  ASSERT_EQ(call.end(), End::kFailed);
  EXPECT_NE(call.failure().find("bad call: a mux payload that is no Thrift message"),
            std::string::npos)
      << call.failure();
  EXPECT_EQ(Far(0).TakeAll(), "");
}

}  // namespace
}  // namespace trestle::backend
