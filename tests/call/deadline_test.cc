// Deadlines: what is left of one, and what is passed on.
#include "call/deadline.h"

#include <gtest/gtest.h>

#include <limits>

namespace trestle::call {
namespace {

using base::Deadline;
using base::Duration;
using base::WallTime;
using std::chrono::milliseconds;

WallTime At(int64_t ms) { return WallTime(milliseconds(ms)); }

TEST(DeadlineTest, WhatIsLeftIsTheSmallerOfWhatTheTwoClocksTell) {
  const struct {
    int64_t timestamp, deadline, now, left;
  } kCases[] = {
      {1000, 1500, 1000, 500},   // the clocks agree
      {1000, 1500, 1200, 300},   // time has passed
      {1000, 1500, 1600, -100},  // and is over
      {1000, 1500, 700, 500},    // ours is behind: it cannot be more than it was
      {1000, 1500, 1400, 100},   // ours is ahead
      {1600, 1500, 1000, -100},  // set after its own end
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(LeftOf({At(c.timestamp), At(c.deadline)}, At(c.now)), milliseconds(c.left)) << c.now;
  }
}

TEST(DeadlineTest, NumbersOfAHostilePeerDoNotOverflow) {
  const WallTime kLeast{Duration(std::numeric_limits<int64_t>::min())};
  const WallTime kMost{Duration(std::numeric_limits<int64_t>::max())};
  EXPECT_LT(LeftOf({kMost, kLeast}, At(5)), Duration(0));
  EXPECT_GT(LeftOf({kLeast, kMost}, At(5)), Duration(0));
  EXPECT_EQ(Lower(Deadline{kLeast, kMost}, kMost, milliseconds(5)).deadline, kMost);
  const Duration left = LeftOf({kMost, kLeast}, At(5));
  EXPECT_TRUE(IsSpent(left, milliseconds(200)));
  EXPECT_FALSE(IsSpent(LeftOf({kLeast, kMost}, At(5)), Duration(0)));
}

TEST(DeadlineTest, OneThatSeemsPastHasWhatIsLeftOfTheTolerance) {
  const Duration tolerance = milliseconds(200);
  EXPECT_FALSE(IsSpent(milliseconds(-200), tolerance));
  EXPECT_TRUE(IsSpent(milliseconds(-201), tolerance));
  EXPECT_EQ(TimeFor(milliseconds(50), tolerance), milliseconds(50));
  EXPECT_EQ(TimeFor(milliseconds(-50), tolerance), milliseconds(150));
}

TEST(DeadlineTest, TheLaterTimestampAndTheEarlierDeadlineArePassedOn) {
  const Deadline own{At(1000), At(1500)};
  EXPECT_EQ(Lower({}, At(1000), milliseconds(500)), own);
  EXPECT_EQ(Lower(Deadline{At(900), At(9000)}, At(1000), milliseconds(500)), own);
  EXPECT_EQ(Lower(Deadline{At(900), At(1100)}, At(1000), milliseconds(500)),
            (Deadline{At(1000), At(1100)}));
  EXPECT_EQ(Lower(Deadline{At(1200), At(1400)}, At(1000), milliseconds(500)),
            (Deadline{At(1200), At(1400)}));
}

// A timestamp ahead of our clock must leave the next router what we give, not less.
TEST(DeadlineTest, ACallersClockThatIsAheadDoesNotSpendTheDeadlineThatIsPassedOn) {
  const struct {
    int64_t ahead, theirs, time, left;
  } kCases[] = {{3000, 5000, 2000, 2000},  // the lowered deadline is before their timestamp
                {1900, 5000, 2000, 2000},  // or just behind it
                {3'600'000, 5000, 2000, 2000},
                {3000, 1000, 2000, 2000},    // D - T is 1000, and our own time 2000 from now
                {3000, 5000, 60'000, 5000},  // theirs is the shorter one
                {0, 5000, 2000, 2000}};
  for (const auto& c : kCases) {
    const Deadline caller{At(1000 + c.ahead), At(1000 + c.ahead + c.theirs)};
    const Deadline lower = Lower(caller, At(1000), milliseconds(c.time));
    EXPECT_EQ(LeftOf(lower, At(1000)), milliseconds(std::min(c.left, std::min(c.theirs, c.time))))
        << c.ahead;
    EXPECT_LE(lower.deadline, caller.deadline);
  }
}

}  // namespace
}  // namespace trestle::call
