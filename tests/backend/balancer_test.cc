#include "backend/balancer.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/backend/client_fixture.h"

namespace trestle::backend {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using Balance = Options::Balance;

// Endpoints whose connections never come, so that what they are given stays their load.
class BalancerTest : public testing::Test, private EndpointOwner {
 protected:
  BalancerTest() {
    net_.hold = true;
    options_.accrual.connect_backoff.jittered = false;
  }
  void Use(const std::vector<double>& weights) {
    EndpointOwner* self = this;
    for (size_t i = 0; i < weights.size(); i++) {
      naming::Endpoint named{"10.0.0." + std::to_string(i + 1), 80, weights[i], true};
      endpoints_.push_back(std::make_unique<Endpoint>(
          &loop_, options_, &net_, named, *net::Address::Parse(named.host, 80), &pool_metrics_,
          &accrual_metrics_, &random_, self));
      all_.push_back(endpoints_.back().get());
    }
    balancer_ = MakeBalancer(options_, &random_);
    balancer_->Update(all_);
  }
  int Index(const Endpoint* endpoint) {
    for (size_t i = 0; i < all_.size(); i++) {
      if (all_[i] == endpoint) return static_cast<int>(i);
    }
    return -1;
  }
  int Pick() { return Index(balancer_->Pick(call_.call, loop_.Now())); }
  std::vector<int> Shares(int picks) {
    std::vector<int> out(all_.size());
    for (int i = 0; i < picks; i++) out.at(static_cast<size_t>(Pick()))++;
    return out;
  }
  void GiveLoad(size_t i, int calls) {
    for (int n = 0; n < calls; n++) {
      calls_.push_back(std::make_unique<TestCall>());
      all_[i]->Take(&calls_.back()->call);
    }
  }
  // A connect to it failed; it is out for 100 ms, 200 ms, …
  void TakeOut(size_t i, int times = 1) {
    for (int n = 0; n < times; n++) {
      net_.refusing = {all_[i]->named().Show()};
      TestCall call;
      all_[i]->Take(&call.call);
      while (net_.Go()) tests::Settle(&loop_);
      tests::Settle(&loop_);
    }
    net_.refusing.clear();
  }

  base::FakeClock clock_;
  net::EventLoop loop_{&clock_};
  base::MetricsTable table_;
  PoolMetrics pool_metrics_{table_.root()};
  AccrualMetrics accrual_metrics_{table_.root()};
  base::SeededRandom random_{11};
  tests::FakeConnector net_{&loop_};
  Options options_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  std::vector<Endpoint*> all_;
  std::unique_ptr<Balancer> balancer_;
  TestCall call_;
  std::vector<std::unique_ptr<TestCall>> calls_;  // first to end: they wait in the endpoints

 private:
  void OnLost(Endpoint*, call::Call* call, call::Step step, const base::Status& why, bool,
              bool) override {
    call->Fail(step, why);
  }
  void OnUnused(Endpoint*) override {}
  void OnNacked(Endpoint*, call::Call*, const base::Status&) override {}
};

TEST_F(BalancerTest, BothPickNobodyFromNobody) {
  for (Balance balance : {Balance::kP2c, Balance::kRoundRobin}) {
    options_.balance = balance;
    Use({});
    EXPECT_EQ(balancer_->Pick(call_.call, loop_.Now()), nullptr);
  }
}

TEST_F(BalancerTest, P2cIsEvenAmongEquals) {
  Use({1, 1, 1, 1});
  for (int share : Shares(4000)) EXPECT_NEAR(share, 1000, 150);
}

TEST_F(BalancerTest, P2cFollowsWeights) {
  Use({1, 3, 6});
  auto shares = Shares(10'000);
  EXPECT_NEAR(shares[0], 1000, 200);
  EXPECT_NEAR(shares[1], 3000, 300);
  EXPECT_NEAR(shares[2], 6000, 300);
}

TEST_F(BalancerTest, P2cPrefersTheLessLoaded) {
  Use({1, 1});
  GiveLoad(0, 5);
  auto shares = Shares(1000);
  EXPECT_NEAR(shares[0], 250, 60) << "only when both draws are it";
  EXPECT_NEAR(shares[1], 750, 60);
}

TEST_F(BalancerTest, P2cMeasuresLoadByWeight) {
  Use({1, 10});
  GiveLoad(0, 1);
  GiveLoad(1, 5);  // half of what the other has for its weight
  auto shares = Shares(1000);
  EXPECT_LT(shares[0], 30);
}

TEST_F(BalancerTest, AWeightOfNothingGetsNothingWhileAnotherIsThere) {
  for (Balance balance : {Balance::kP2c, Balance::kRoundRobin}) {
    options_.balance = balance;
    endpoints_.clear();
    all_.clear();
    Use({0, 1, 0, 2});
    auto shares = Shares(1000);
    EXPECT_EQ(shares[0] + shares[2], 0);
  }
}

TEST_F(BalancerTest, AWeightOfNothingIsStillALastResort) {
  for (Balance balance : {Balance::kP2c, Balance::kRoundRobin}) {
    options_.balance = balance;
    endpoints_.clear();
    all_.clear();
    Use({0, 1});
    call_.call.tried[0] = all_[1]->number();
    call_.call.tried_count = 1;
    EXPECT_EQ(Pick(), 0);
    call_.call.tried_count = 0;
  }
}

TEST_F(BalancerTest, AllWeightsOfNothingAreEqual) {
  Use({0, 0});
  auto shares = Shares(1000);
  EXPECT_NEAR(shares[0], 500, 100);
}

TEST_F(BalancerTest, AmongManyOutTheOneWithAWeightIsFoundBeforeThoseWithout) {
  options_.balance = Balance::kP2c;
  Use({0, 1, 1, 1, 1, 1, 1, 1, 1, 1});
  for (size_t i = 1; i < 9; i++) TakeOut(i);
  for (int share = 0; share < 200; share++) EXPECT_EQ(Pick(), 9);
}

TEST_F(BalancerTest, RoundRobinGivesExactSharesSmoothlyMixed) {
  options_.balance = Balance::kRoundRobin;
  Use({1, 2, 4});
  EXPECT_EQ(Shares(700), (std::vector<int>{100, 200, 400}));
  int in_a_row = 0, last = -1;
  for (int i = 0; i < 70; i++) {
    int pick = Pick();
    in_a_row = pick == last ? in_a_row + 1 : 1;
    last = pick;
    EXPECT_LE(in_a_row, 2);
  }
}

TEST_F(BalancerTest, RoundRobinOfEqualsGoesRound) {
  options_.balance = Balance::kRoundRobin;
  Use({1, 1, 1});
  std::vector<int> first{Pick(), Pick(), Pick()};
  EXPECT_EQ(std::set<int>(first.begin(), first.end()).size(), 3u);
  for (int i = 0; i < 9; i++) EXPECT_EQ(Pick(), first[static_cast<size_t>(i % 3)]);
}

TEST_F(BalancerTest, WhatWasTriedIsLeftOutUntilNobodyIsLeft) {
  for (Balance balance : {Balance::kP2c, Balance::kRoundRobin}) {
    options_.balance = balance;
    endpoints_.clear();
    all_.clear();
    Use({1, 1, 1});
    call_.call.tried_count = 0;
    for (size_t i = 0; i < 2; i++) {
      call_.call.tried[call_.call.tried_count++] = all_[i]->number();
      for (int n = 0; n < 100; n++) EXPECT_GT(Pick(), static_cast<int>(i));
    }
    call_.call.tried[call_.call.tried_count++] = all_[2]->number();
    EXPECT_EQ(Pick(), -1);
    call_.call.tried_count = 0;
  }
}

TEST_F(BalancerTest, WhoIsOutGetsNothingUntilItsTimeIsOver) {
  for (Balance balance : {Balance::kP2c, Balance::kRoundRobin}) {
    options_.balance = balance;
    endpoints_.clear();
    all_.clear();
    Use({1, 1, 1});
    TakeOut(1);
    EXPECT_EQ(Shares(500)[1], 0);
    clock_.Advance(hours(1));
    loop_.Poll();
    EXPECT_GT(Shares(500)[1], 0);
  }
}

TEST_F(BalancerTest, WhenAllAreOutTheOneWhoseTimeEndsFirstIsTried) {
  for (Balance balance : {Balance::kP2c, Balance::kRoundRobin}) {
    options_.balance = balance;
    endpoints_.clear();
    all_.clear();
    Use({1, 1, 1});
    TakeOut(0);
    clock_.Advance(std::chrono::milliseconds(10));
    loop_.Poll();
    TakeOut(1);
    TakeOut(2);
    for (int i = 0; i < 20; i++) EXPECT_EQ(Pick(), 0);
  }
}

TEST_F(BalancerTest, ASingleEndpointIsAlwaysTried) {
  for (Balance balance : {Balance::kP2c, Balance::kRoundRobin}) {
    options_.balance = balance;
    endpoints_.clear();
    all_.clear();
    Use({1});
    TakeOut(0);
    EXPECT_EQ(Pick(), 0);
  }
}

}  // namespace
}  // namespace trestle::backend
