// Which endpoints of a set stay while some go away.
#include "serversets/retention.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace trestle::serversets {
namespace {

using naming::Endpoint;
using std::chrono::milliseconds;
using std::chrono::seconds;

class RetentionTest : public testing::Test {
 protected:
  // Endpoints by their ports; gives those served.
  std::vector<uint16_t> Update(const std::vector<uint16_t>& there,
                               Retention::Set set = Retention::Set::kThere) {
    std::vector<Endpoint> endpoints;
    for (const uint16_t port : there) endpoints.push_back({"10.0.0.1", port, 1.0, true});
    std::vector<uint16_t> served;
    for (const Endpoint& e : retention_.Update(endpoints, set, now_)) served.push_back(e.port);
    return served;
  }
  void Use(const Retention::Options& options) { retention_ = Retention(options); }

  using Ports = std::vector<uint16_t>;
  Retention retention_{Retention::Options()};
  base::TimePoint now_{std::chrono::hours(1)};
};

TEST_F(RetentionTest, OfASmallSetEachRemovalCountsAtOnce) {
  EXPECT_EQ(Update({1, 2, 3, 4}), (Ports{1, 2, 3, 4}));
  EXPECT_EQ(Update({1}), (Ports{1}));
  EXPECT_EQ(Update({}), Ports{});
  EXPECT_FALSE(retention_.next());
}

TEST_F(RetentionTest, OfALargerOneAShareStaysForAWhileThoseThatLeftLast) {
  Update({1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  EXPECT_EQ(Update({5, 6, 7, 8, 9, 10}).size(), 6u) << "half of ten may go";
  now_ += seconds(1);
  EXPECT_EQ(Update({10}).size(), 5u);
  EXPECT_EQ(retention_.held(), 4u);
  ASSERT_TRUE(retention_.next());
  EXPECT_EQ(*retention_.next(), now_ + seconds(10));
  now_ = *retention_.next();
  EXPECT_EQ(Update({10}), (Ports{10}));
  EXPECT_EQ(retention_.held(), 0u);
}

TEST_F(RetentionTest, ManySmallStepsWithinTheHoldAreOneStep) {
  Ports all;
  for (uint16_t port = 1; port <= 20; port++) all.push_back(port);
  Update(all);
  while (all.size() > 1) {
    all.pop_back();
    now_ += milliseconds(100);
    EXPECT_GE(Update(all).size(), 10u);
  }
}

TEST_F(RetentionTest, ASlowDeclineIsFollowed) {
  Ports all;
  for (uint16_t port = 1; port <= 20; port++) all.push_back(port);
  Update(all);
  while (all.size() > 1) {
    all.pop_back();
    now_ += seconds(6);
    EXPECT_EQ(Update(all).size(), all.size());
  }
}

TEST_F(RetentionTest, ARemovalIsHeldBackForTheStabilization) {
  Use({.stabilization = seconds(3), .min_retained = 0.5, .hold = seconds(10)});
  Update({1, 2});
  EXPECT_EQ(Update({1}), (Ports{1, 2}));
  EXPECT_EQ(*retention_.next(), now_ + seconds(3));
  now_ += seconds(2);
  EXPECT_EQ(Update({1, 2}), (Ports{1, 2}));
  EXPECT_FALSE(retention_.next()) << "it was never gone";
  EXPECT_EQ(Update({1}), (Ports{1, 2}));
  now_ += seconds(3);
  EXPECT_EQ(Update({1}), (Ports{1}));
}

TEST_F(RetentionTest, WhatIsAddedIsServedAtOnceAlsoWhileOthersAreHeld) {
  Update({1, 2, 3, 4, 5, 6});
  EXPECT_EQ(Update({}).size(), 3u);
  const Ports served = Update({7, 8});
  EXPECT_EQ(served.size(), 3u) << "two that are there, and so many that it is half of six";
  for (const int port : {7, 8}) {
    EXPECT_NE(std::find(served.begin(), served.end(), port), served.end());
  }
}

TEST_F(RetentionTest, ASetThatVanishedStaysWhole) {
  Update({1, 2});
  EXPECT_EQ(Update({}, Retention::Set::kUnsure), (Ports{1, 2}));
  now_ += seconds(10);
  EXPECT_EQ(Update({}, Retention::Set::kUnsure), Ports{});
}

TEST_F(RetentionTest, MembersThatComeAndGoDoNotMakeTheSetLarger) {
  const Ports alive = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  for (uint16_t port = 100; port < 200; port++) {
    Ports all = alive;
    all.push_back(port);
    Update(all);
    now_ += milliseconds(200);
    EXPECT_EQ(Update(alive), alive);
    now_ += milliseconds(200);
  }
}

TEST_F(RetentionTest, TheMostThatWereThereAtOneTimeAreForgottenAfterTheHold) {
  Ports all;
  for (uint16_t port = 1; port <= 20; port++) all.push_back(port);
  Update(all);
  all.resize(12);
  Update(all);
  now_ += seconds(11);
  all.resize(7);
  Update(all);
  all.resize(1);
  EXPECT_EQ(Update(all).size(), 6u) << "half of twelve";
}

TEST_F(RetentionTest, WithoutAShareNothingIsHeld) {
  Use({.stabilization = {}, .min_retained = 0, .hold = seconds(10)});
  Update({1, 2, 3, 4, 5, 6});
  EXPECT_EQ(Update({1}), (Ports{1}));
}

}  // namespace
}  // namespace trestle::serversets
