// A clock that jumps or stands still: endpoints that are out, idle connections, calls in flight.
#include <chrono>
#include <optional>

#include "tests/backend/client_fixture.h"

namespace trestle::backend {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kYears = hours(24 * 365 * 50);

TEST(AccrualClockJump, FarAheadOneCallProbesAndTheTimesStayInBounds) {
  AccrualOptions options;
  base::MetricsTable table;
  AccrualMetrics metrics(table.root());
  base::SeededRandom random(7);
  FailureAccrual accrual(options, &metrics, &random);
  base::TimePoint now{hours(1)};
  for (int round = 0; round < 3; round++) {
    for (uint32_t i = 0; i < options.failures; i++) accrual.OnFailure(now);
    ASSERT_TRUE(accrual.out());
    now += kYears;
    ASSERT_TRUE(accrual.Available(now));
    accrual.OnPicked();
    EXPECT_FALSE(accrual.Available(now)) << "one at a time";
    accrual.OnFailure(now);
    EXPECT_GT(accrual.out_until(), now);
    EXPECT_LE(accrual.out_until(), now + options.backoff.max);
    now = accrual.out_until();
    accrual.OnPicked();
    accrual.OnSuccess();
    EXPECT_FALSE(accrual.out());
  }
}

TEST(AccrualClockJump, StandingStillItStaysOut) {
  AccrualOptions options;
  base::MetricsTable table;
  AccrualMetrics metrics(table.root());
  base::SeededRandom random(7);
  FailureAccrual accrual(options, &metrics, &random);
  const base::TimePoint now{hours(1)};
  for (int i = 0; i < 1000; i++) accrual.OnFailure(now);
  for (int i = 0; i < 1000; i++) ASSERT_FALSE(accrual.Available(now));
  EXPECT_LE(accrual.out_until(), now + options.backoff.max);
  EXPECT_EQ(metrics.removals->value(), 1u);
}

class ClientClockJumpTest : public ClientTest {};

TEST_F(ClientClockJumpTest, IdleConnectionsAreOldAfterAJumpAndTheNextCallOpensAnother) {
  options_.pool.idle_time = seconds(60);
  Use({At("10.0.0.1")});
  EXPECT_EQ(Ask(), "10.0.0.1");
  EXPECT_EQ(Ask(), "10.0.0.1");
  EXPECT_EQ(Tries(), 1u);
  Advance(kYears);
  EXPECT_EQ(Gauge("connections"), 0);
  EXPECT_EQ(Ask(), "10.0.0.1");
  EXPECT_EQ(Tries(), 2u);
}

TEST_F(ClientClockJumpTest, OverItsLifeTimeByAJumpAConnectionServesNoOther) {
  options_.session_life_time = hours(1);
  Use({At("10.0.0.1")});
  EXPECT_EQ(Ask(), "10.0.0.1");
  Advance(kYears);
  EXPECT_EQ(Ask(), "10.0.0.1");
  EXPECT_EQ(Tries(), 2u);
}

TEST_F(ClientClockJumpTest, ACallInFlightRunsOutOfTimeOnce) {
  options_.attempt_timeout = seconds(1);
  Use({At("10.0.0.1")});
  TestCall call;
  Dispatch(call);
  Advance(kYears);
  EXPECT_EQ(call.end(), call::End::kFailed);
  net_->to("10.0.0.1:80")->end->TakeAll();  // nobody answers it any more
  EXPECT_EQ(Ask(), "10.0.0.1");
}

TEST_F(ClientClockJumpTest, ACallWithoutATimeoutIsNotHurt) {
  Use({At("10.0.0.1")});
  TestCall call;
  Dispatch(call);
  Advance(kYears);
  ASSERT_FALSE(call.call.ended());
  Answer("10.0.0.1");
  EXPECT_EQ(call.end(), call::End::kReplied);
}

TEST_F(ClientClockJumpTest, EndpointsThatAreOutAreTriedAfterAJump) {
  options_.pool.idle_time = seconds(60);
  Use({At("10.0.0.1"), At("10.0.0.2")});
  for (int i = 0; i < 2; i++) {
    net_->refusing.insert("10.0.0.1:80");
    EXPECT_EQ(Ask(), "10.0.0.2");
    EXPECT_EQ(Ask(), "10.0.0.2");
    net_->refusing.clear();
    Advance(kYears);
    const std::string asked = Ask() + " " + Ask() + " " + Ask();
    EXPECT_NE(asked.find("10.0.0.1"), std::string::npos) << asked;
    Advance(kYears);  // no connection is left
  }
}

TEST_F(ClientClockJumpTest, WithAClockThatStandsStillCallsAreServed) {
  options_.pool.idle_time = seconds(60);
  options_.attempt_timeout = seconds(1);
  Use({At("10.0.0.1")});
  for (int i = 0; i < 1000; i++) ASSERT_EQ(Ask(), "10.0.0.1");
  EXPECT_EQ(Tries(), 1u);
}

}  // namespace
}  // namespace trestle::backend
