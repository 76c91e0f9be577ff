// A clock that jumps (a machine that slept, a process that was stopped) or stands still: the loop
// and its timers. tests/backend and tests/server have what connections make of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "net/event_loop.h"

namespace trestle::net {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;

constexpr auto kYears = hours(24 * 365 * 50);

class ClockJumpTest : public testing::Test {
 protected:
  void Note(std::string what) { log_.push_back(std::move(what)); }
  // Turns until nothing happens; gives how many turns that took.
  int Rest() {
    int turns = 0;
    while (loop_.Poll() && turns < 1000) ++turns;
    return turns;
  }

  base::FakeClock clock_;
  EventLoop loop_{&clock_};
  std::vector<std::string> log_;
};

TEST_F(ClockJumpTest, FarAheadEveryTimerRunsOnceInItsOrder) {
  Timer hour(&loop_, [this] { Note("hour"); });
  Timer second(&loop_, [this] { Note("second"); });
  Timer later(&loop_, [this] { Note("later"); });
  hour.Arm(hours(1));
  second.Arm(seconds(1));
  later.Arm(kYears * 2);
  clock_.Advance(kYears);
  EXPECT_LT(Rest(), 10);
  EXPECT_THAT(log_, ElementsAre("second", "hour"));
  EXPECT_TRUE(later.armed());
  EXPECT_EQ(loop_.Now(), clock_.Now());
}

TEST_F(ClockJumpTest, WhatComesAgainAndAgainDoesNotCatchUp) {
  int runs = 0;
  Timer often(&loop_, [&] {
    ++runs;
    often.Arm(milliseconds(10));
  });
  often.Arm(milliseconds(10));
  clock_.Advance(kYears);
  EXPECT_LT(Rest(), 10);
  EXPECT_EQ(runs, 1);
  clock_.Advance(milliseconds(10));
  Rest();
  EXPECT_EQ(runs, 2);
}

TEST_F(ClockJumpTest, WhatIsArmedAfterAJumpCountsFromThere) {
  clock_.Advance(kYears);
  Rest();
  Timer timer(&loop_, [this] { Note("timer"); });
  timer.Arm(seconds(1));
  Rest();
  EXPECT_THAT(log_, ElementsAre());
  clock_.Advance(seconds(1));
  Rest();
  EXPECT_THAT(log_, ElementsAre("timer"));
}

TEST_F(ClockJumpTest, ManyJumpsInARow) {
  int runs = 0;
  Timer timer(&loop_, [&] {
    ++runs;
    timer.Arm(seconds(1));
  });
  timer.Arm(seconds(1));
  for (int i = 0; i < 1000; i++) {
    clock_.Advance(hours(24 * 30));
    loop_.Poll();
  }
  EXPECT_EQ(runs, 1000);
}

TEST_F(ClockJumpTest, AClockThatStandsStillRunsNoTimerAndHoldsUpNoWork) {
  Timer soon(&loop_, [this] { Note("soon"); });
  Timer now(&loop_, [this] { Note("now"); });
  soon.Arm(milliseconds(1));
  now.Arm(milliseconds(0));
  for (int i = 0; i < 5; i++) {
    loop_.Post([this] { Note("work"); });
    loop_.Poll();
  }
  EXPECT_EQ(std::count(log_.begin(), log_.end(), "work"), 5);
  EXPECT_EQ(std::count(log_.begin(), log_.end(), "now"), 1);
  EXPECT_EQ(std::count(log_.begin(), log_.end(), "soon"), 0);
  EXPECT_EQ(Rest(), 0) << "the loop is never at rest";
}

TEST_F(ClockJumpTest, BackATimerWaitsForItsTimeAndNewOnesDoNot) {
  Timer old(&loop_, [this] { Note("old"); });
  Timer fresh(&loop_, [this] { Note("fresh"); });
  clock_.Advance(hours(2));
  Rest();
  old.Arm(seconds(1));
  clock_.Advance(-hours(1));
  EXPECT_LT(Rest(), 10);
  fresh.Arm(seconds(2));
  clock_.Advance(seconds(2));
  Rest();
  EXPECT_THAT(log_, ElementsAre("fresh"));
  clock_.Advance(hours(1));
  Rest();
  EXPECT_THAT(log_, ElementsAre("fresh", "old"));
}

}  // namespace
}  // namespace trestle::net
