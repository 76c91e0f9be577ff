// FailureAccrual and RetryBudget: the two that decide by counting.
#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "backend/failure_accrual.h"
#include "backend/retry_budget.h"

namespace trestle::backend {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

class FailureAccrualTest : public testing::Test {
 protected:
  FailureAccrual& accrual() {
    if (!accrual_) accrual_.emplace(options_, &metrics_, &random_);
    return *accrual_;
  }
  void Even() { options_.backoff.jittered = options_.connect_backoff.jittered = false; }
  void Fail(int times) {
    for (int i = 0; i < times; i++) accrual().OnFailure(now_);
  }
  // Waits until it is available and lets one call through.
  void Probe() {
    now_ = accrual().out_until();
    ASSERT_TRUE(accrual().Available(now_));
    accrual().OnPicked();
  }
  base::Duration OutFor() { return accrual().out_until() - now_; }

  AccrualOptions options_;
  base::MetricsTable table_;
  AccrualMetrics metrics_{table_.root()};
  base::SeededRandom random_{7};
  std::optional<FailureAccrual> accrual_;
  base::TimePoint now_{hours(1)};
};

TEST_F(FailureAccrualTest, FiveFailuresInARowTakeItOut) {
  Fail(4);
  EXPECT_TRUE(accrual().Available(now_));
  accrual().OnSuccess();
  Fail(4);
  EXPECT_TRUE(accrual().Available(now_)) << "not in a row";
  EXPECT_FALSE(accrual().out());
  Fail(1);
  EXPECT_TRUE(accrual().out());
  EXPECT_FALSE(accrual().Available(now_));
  EXPECT_EQ(metrics_.removals->value(), 1u);
}

TEST_F(FailureAccrualTest, ItsTimeGrowsToTheMost) {
  Even();
  options_.backoff = {seconds(5), seconds(60), false};
  Fail(5);
  for (int expected : {5, 10, 20, 40, 60, 60, 60}) {
    EXPECT_EQ(OutFor(), seconds(expected));
    EXPECT_FALSE(accrual().Available(accrual().out_until() - nanoseconds(1)));
    Probe();
    Fail(1);
  }
  EXPECT_EQ(metrics_.removals->value(), 1u) << "it was out all the time";
  EXPECT_EQ(metrics_.probes->value(), 7u);
}

TEST_F(FailureAccrualTest, ManyRoundsDoNotOverflow) {
  Even();
  Fail(5);
  for (int i = 0; i < 100; i++) {
    Probe();
    Fail(1);
    ASSERT_GT(OutFor(), seconds(0));
    ASSERT_LE(OutFor(), seconds(300));
  }
}

TEST_F(FailureAccrualTest, HalfOfItsTimeIsByChance) {
  options_.backoff = {seconds(10), seconds(10), true};
  Fail(5);
  base::Duration least = hours(1), most{};
  for (int i = 0; i < 200; i++) {
    least = std::min(least, OutFor());
    most = std::max(most, OutFor());
    Probe();
    Fail(1);
  }
  EXPECT_GE(least, seconds(5));
  EXPECT_LE(most, seconds(10));
  EXPECT_LT(least, seconds(6));
  EXPECT_GT(most, seconds(9));
}

TEST_F(FailureAccrualTest, OneCallProbesAndASuccessBringsItBack) {
  Even();
  Fail(5);
  Probe();
  EXPECT_FALSE(accrual().Available(now_)) << "one probe at a time";
  accrual().OnSuccess();
  EXPECT_FALSE(accrual().out());
  EXPECT_TRUE(accrual().Available(now_));
  EXPECT_EQ(metrics_.revivals->value(), 1u);
  Fail(4);
  EXPECT_FALSE(accrual().out()) << "it has five again";
  Fail(1);
  EXPECT_EQ(OutFor(), seconds(5)) << "its time did not begin anew";
}

TEST_F(FailureAccrualTest, AProbeThatSaysNothingLetsTheNextOneTry) {
  Fail(5);
  Probe();
  accrual().OnNothing();
  EXPECT_TRUE(accrual().Available(now_));
  EXPECT_TRUE(accrual().out());
}

TEST_F(FailureAccrualTest, OldCallsThatFailMakeItsTimeNoLonger) {
  Even();
  Fail(5);
  const auto until = accrual().out_until();
  now_ += seconds(1);
  Fail(20);
  EXPECT_EQ(accrual().out_until(), until);
}

TEST_F(FailureAccrualTest, AConnectFailureTakesItOutAtOnce) {
  Even();
  accrual().OnConnectFailure(now_);
  EXPECT_TRUE(accrual().out());
  EXPECT_EQ(OutFor(), milliseconds(100));
  Probe();
  accrual().OnConnectFailure(now_);
  EXPECT_EQ(OutFor(), milliseconds(200));
  Probe();
  accrual().OnSuccess();
  accrual().OnConnectFailure(now_);
  EXPECT_EQ(OutFor(), milliseconds(100));
}

TEST_F(FailureAccrualTest, ConnectFailuresInARowCountAsFailuresToo) {
  Even();
  for (int i = 0; i < 4; i++) {
    accrual().OnConnectFailure(now_);
    Probe();
  }
  accrual().OnConnectFailure(now_);
  EXPECT_EQ(OutFor(), seconds(5));
}

TEST_F(FailureAccrualTest, SwitchedOffOnlyConnectFailuresCount) {
  Even();
  options_.enabled = false;
  Fail(100);
  EXPECT_TRUE(accrual().Available(now_));
  for (int i = 0; i < 20; i++) {
    accrual().OnConnectFailure(now_);
    EXPECT_FALSE(accrual().Available(now_));
    Probe();
  }
  EXPECT_EQ(OutFor(), seconds(0));
  Fail(1);  // it was reached: that is all that counts here
  EXPECT_FALSE(accrual().out());
  EXPECT_TRUE(accrual().Available(now_));
}

// --- budget ---

class RetryBudgetTest : public testing::Test {
 protected:
  BudgetOptions options_{10, 0.2, seconds(10)};
  base::TimePoint now_{hours(1)};
};

TEST_F(RetryBudgetTest, ThereIsAReserveWithoutAnyCalls) {
  RetryBudget budget(options_);
  EXPECT_EQ(budget.Balance(now_), 100);
  for (int i = 0; i < 100; i++) EXPECT_TRUE(budget.Withdraw(now_)) << i;
  EXPECT_FALSE(budget.Withdraw(now_));
  EXPECT_EQ(budget.Balance(now_), 0);
}

TEST_F(RetryBudgetTest, CallsEarnTheirShare) {
  options_.min_retries_per_sec = 0;
  RetryBudget budget(options_);
  for (int i = 0; i < 4; i++) budget.Deposit(now_);
  EXPECT_FALSE(budget.Withdraw(now_));
  budget.Deposit(now_);
  EXPECT_TRUE(budget.Withdraw(now_));
  EXPECT_FALSE(budget.Withdraw(now_));
  for (int i = 0; i < 500; i++) budget.Deposit(now_);
  EXPECT_EQ(budget.Balance(now_), 100);
}

TEST_F(RetryBudgetTest, WhatIsOlderThanTheTtlIsForgotten) {
  options_.min_retries_per_sec = 0;
  RetryBudget budget(options_);
  for (int i = 0; i < 50; i++) budget.Deposit(now_);
  EXPECT_EQ(budget.Balance(now_ + seconds(8)), 10);
  EXPECT_EQ(budget.Balance(now_ + seconds(11)), 0);
  options_.min_retries_per_sec = 1;
  RetryBudget spent(options_);
  for (int i = 0; i < 10; i++) EXPECT_TRUE(spent.Withdraw(now_));
  EXPECT_FALSE(spent.Withdraw(now_ + seconds(8)));
  EXPECT_TRUE(spent.Withdraw(now_ + seconds(11)));
}

TEST_F(RetryBudgetTest, ABudgetOfNothingGivesNothing) {
  options_ = {0, 0, seconds(10)};
  RetryBudget budget(options_);
  for (int i = 0; i < 1000; i++) budget.Deposit(now_);
  EXPECT_FALSE(budget.Withdraw(now_));
}

TEST_F(RetryBudgetTest, ALongPauseStartsAfresh) {
  RetryBudget budget(options_);
  for (int i = 0; i < 100; i++) EXPECT_TRUE(budget.Withdraw(now_));
  EXPECT_EQ(budget.Balance(now_ + hours(100)), 100);
}

}  // namespace
}  // namespace trestle::backend
