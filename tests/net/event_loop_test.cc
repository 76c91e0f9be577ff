#include "net/event_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/random.h"
#include "tests/support/loop_thread.h"

namespace trestle::net {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using testing::ElementsAre;

class EventLoopTest : public testing::Test {
 protected:
  void Note(std::string what) { log_.push_back(std::move(what)); }
  // Turns until nothing happens; a loop that never rests is a failure.
  void Rest() {
    int turns = 0;
    while (loop_.Poll()) ASSERT_LT(++turns, 100) << "the loop never rests";
  }

  base::FakeClock clock_;
  EventLoop loop_{&clock_};
  std::vector<std::string> log_;
};

struct Noting final : TurnEnd {
  explicit Noting(std::function<void()> f) : call(std::move(f)) {}
  void OnTurnEnd() override { call(); }
  std::function<void()> call;
};

// Something that notes its end, and may do something at it.
struct Mortal {
  explicit Mortal(std::function<void()> f) : at_end(std::move(f)) {}
  ~Mortal() { at_end(); }
  std::function<void()> at_end;
};

TEST_F(EventLoopTest, PostedWorkRunsInTheNextTurnInOrder) {
  loop_.Post([this] {
    Note("a");
    loop_.Post([this] { Note("c"); });
  });
  loop_.Post([this] { Note("b"); });
  EXPECT_THAT(log_, ElementsAre());
  EXPECT_TRUE(loop_.Poll());
  EXPECT_THAT(log_, ElementsAre("a", "b"));
  EXPECT_TRUE(loop_.Poll());
  EXPECT_THAT(log_, ElementsAre("a", "b", "c"));
  EXPECT_FALSE(loop_.Poll());
}

TEST_F(EventLoopTest, TurnEndsRunOnceAndThoseAddedMeanwhileInTheSameTurn) {
  Noting second([this] { Note("second"); });
  Noting first([&] {
    Note("first");
    loop_.AtTurnEnd(&second);
    loop_.AtTurnEnd(&second);
  });
  loop_.AtTurnEnd(&first);
  loop_.AtTurnEnd(&first);
  loop_.Post([this] { Note("posted"); });
  loop_.Poll();
  EXPECT_THAT(log_, ElementsAre("posted", "first", "second"));
  EXPECT_FALSE(loop_.Poll());
  EXPECT_EQ(log_.size(), 3u);
}

TEST_F(EventLoopTest, ATurnEndMayAskForItselfAgain) {
  int left = 3;
  Noting again([&] {
    Note("again");
    if (--left > 0) loop_.AtTurnEnd(&again);
  });
  loop_.AtTurnEnd(&again);
  loop_.Poll();
  EXPECT_THAT(log_, ElementsAre("again", "again", "again"));
}

TEST_F(EventLoopTest, ADestroyedTurnEndIsNotCalled) {
  auto gone = std::make_unique<Noting>([this] { Note("gone"); });
  auto later = std::make_unique<Noting>([this] { Note("later"); });
  Noting first([&] { later.reset(); });
  loop_.AtTurnEnd(&first);
  loop_.AtTurnEnd(gone.get());
  loop_.AtTurnEnd(later.get());
  gone.reset();
  loop_.Poll();
  EXPECT_THAT(log_, ElementsAre());
}

TEST_F(EventLoopTest, TheDeadAreDestroyedAfterTheTurnEnds) {
  Noting end([this] { Note("end"); });
  loop_.Post([&] {
    loop_.DeleteLater(std::make_unique<Mortal>([this] { Note("dead"); }));
    loop_.DeleteLater(std::unique_ptr<Mortal>());
    loop_.AtTurnEnd(&end);
    Note("work");
  });
  loop_.Poll();
  EXPECT_THAT(log_, ElementsAre("work", "end", "dead"));
}

TEST_F(EventLoopTest, TheDeadMayBuryOthersAndLeaveWorkForTheTurnsEnd) {
  Noting end([this] { Note("end"); });
  loop_.DeleteLater(std::make_unique<Mortal>([&] {
    Note("outer");
    loop_.AtTurnEnd(&end);
    loop_.DeleteLater(std::make_unique<Mortal>([this] { Note("inner"); }));
  }));
  loop_.Poll();
  EXPECT_THAT(log_, testing::UnorderedElementsAre("outer", "inner", "end"));
  EXPECT_FALSE(loop_.Poll());
}

TEST_F(EventLoopTest, ALoopThatEndsDestroysTheDeadAndThoseTheyBury) {
  std::vector<int> ends;
  {
    EventLoop loop(&clock_);
    for (int i = 0; i < 3; i++) {
      loop.DeleteLater(std::make_unique<Mortal>([&, i] {
        loop.DeleteLater(std::make_unique<Mortal>([&, i] { ends.push_back(10 + i); }));
        ends.push_back(i);
      }));
    }
  }
  EXPECT_THAT(ends, testing::UnorderedElementsAre(0, 1, 2, 10, 11, 12));
}

TEST_F(EventLoopTest, NowStandsStillWithinATurn) {
  base::TimePoint before{}, after{};
  loop_.Post([&] {
    before = loop_.Now();
    clock_.Advance(hours(1));
    after = loop_.Now();
  });
  loop_.Poll();
  EXPECT_EQ(before, after);
  loop_.Poll();
  EXPECT_EQ(loop_.Now(), before + hours(1));
}

// --- timers ---

TEST_F(EventLoopTest, TimersRunInTheOrderOfTheirTimesAndNeverEarly) {
  Timer c(&loop_, [this] { Note("c"); });
  Timer a(&loop_, [this] { Note("a"); });
  Timer b(&loop_, [this] { Note("b"); });
  c.Arm(milliseconds(30));
  a.Arm(milliseconds(10));
  b.Arm(milliseconds(20));
  clock_.Advance(milliseconds(10) - nanoseconds(1));
  loop_.Poll();
  EXPECT_THAT(log_, ElementsAre());
  clock_.Advance(nanoseconds(1));
  EXPECT_TRUE(loop_.Poll());
  EXPECT_THAT(log_, ElementsAre("a"));
  EXPECT_FALSE(a.armed());
  clock_.Advance(hours(1));
  loop_.Poll();
  EXPECT_THAT(log_, ElementsAre("a", "b", "c"));
  EXPECT_FALSE(loop_.Poll());
}

TEST_F(EventLoopTest, ArmingAgainReplacesTheTime) {
  Timer t(&loop_, [this] { Note("t"); });
  t.Arm(milliseconds(10));
  t.Arm(milliseconds(50));
  clock_.Advance(milliseconds(10));
  loop_.Poll();
  EXPECT_THAT(log_, ElementsAre());
  t.Arm(milliseconds(5));
  clock_.Advance(milliseconds(5));
  loop_.Poll();
  clock_.Advance(hours(1));
  loop_.Poll();
  EXPECT_THAT(log_, ElementsAre("t"));
}

TEST_F(EventLoopTest, ATimerMayCancelAnotherThatIsDueAndDestroyIt) {
  Timer cancelled(&loop_, [this] { Note("cancelled"); });
  auto destroyed = std::make_unique<Timer>(&loop_, [this] { Note("destroyed"); });
  Timer first(&loop_, [&] {
    Note("first");
    cancelled.Cancel();
    destroyed.reset();
  });
  first.Arm(milliseconds(1));
  cancelled.Arm(milliseconds(2));
  destroyed->Arm(milliseconds(3));
  clock_.Advance(hours(1));
  loop_.Poll();
  EXPECT_THAT(log_, ElementsAre("first"));
  cancelled.Cancel();  // again: nothing
}

TEST_F(EventLoopTest, ATimerMayDestroyItselfInItsCallback) {
  std::unique_ptr<Timer> self;
  std::string big(1000, 'x');  // captured, so that a callback that was freed is seen
  self = std::make_unique<Timer>(&loop_, [&self, big, this] {
    self.reset();
    Note(big.substr(0, 1));
  });
  self->Arm(milliseconds(1));
  clock_.Advance(milliseconds(1));
  loop_.Poll();
  EXPECT_THAT(log_, ElementsAre("x"));
}

TEST_F(EventLoopTest, ATimerMayArmItselfAgain) {
  int runs = 0;
  Timer t(&loop_, [&] {
    if (++runs < 3) t.Arm(milliseconds(10));
  });
  t.Arm(milliseconds(10));
  for (int i = 0; i < 10; i++) {
    clock_.Advance(milliseconds(10));
    loop_.Poll();
  }
  EXPECT_EQ(runs, 3);
}

TEST_F(EventLoopTest, ATimerThatIsAlwaysDueDoesNotHoldUpTheLoop) {
  int runs = 0;
  Timer always(&loop_, [&] {
    ASSERT_LT(++runs, 1000) << "the turn does not end";
    always.ArmAt(base::TimePoint(nanoseconds(1)));
  });
  Timer other(&loop_, [this] { Note("other"); });
  always.Arm(milliseconds(0));
  other.Arm(milliseconds(1));
  loop_.Post([this] { Note("posted"); });
  clock_.Advance(milliseconds(1));
  for (int i = 0; i < 3; i++) loop_.Poll();
  EXPECT_THAT(log_, testing::UnorderedElementsAre("posted", "other"));
  always.Cancel();
}

TEST_F(EventLoopTest, TimersAreAHeapWhateverIsDoneToThem) {
  base::SeededRandom random(1);
  base::TimePoint last{};
  int ran = 0;
  std::vector<std::unique_ptr<Timer>> timers(200);
  auto make = [&](size_t i) {
    timers[i] = std::make_unique<Timer>(&loop_, [&, i] {
      ran++;
      base::TimePoint at = timers[i]->at();
      EXPECT_LE(at, loop_.Now());
      EXPECT_GE(at, last) << "out of order";
      last = at;
    });
  };
  for (size_t i = 0; i < timers.size(); i++) make(i);
  for (int round = 0; round < 200; round++) {
    for (int step = 0; step < 50; step++) {
      size_t i = random.Below(200);
      switch (random.Below(5)) {
        case 0:
          timers[i]->Cancel();
          EXPECT_FALSE(timers[i]->armed());
          break;
        case 1:
          make(i);
          break;
        default:
          timers[i]->Arm(milliseconds(random.Below(100)));
      }
    }
    last = {};
    size_t due = 0, armed = 0;
    clock_.Advance(milliseconds(random.Below(30)));
    for (const auto& t : timers) {
      armed += t->armed();
      due += t->armed() && t->at() <= clock_.Now();
    }
    ran = 0;
    loop_.Poll();
    EXPECT_EQ(static_cast<size_t>(ran), due);
    size_t still = 0;
    for (const auto& t : timers) still += t->armed();
    EXPECT_EQ(still, armed - due);
  }
}

// A clock that stands still for some readings and then jumps: what the system's coarse timers make
// of a loop that is woken a little early.
class LateClock final : public base::Clock {
 public:
  explicit LateClock(int still) : still_(still) {}
  base::TimePoint Now() const override {
    return base::TimePoint(still_-- > 0 ? hours(1) : hours(2));
  }
  base::WallTime Wall() const override { return {}; }

 private:
  mutable int still_;
};

TEST(EventLoopRun, ATimerThatIsWokenEarlyIsWaitedForAgain) {
  LateClock clock(12);
  EventLoop loop(&clock);
  bool ran = false;
  Timer timer(&loop, [&] {
    ran = true;
    loop.Stop();
  });
  timer.Arm(milliseconds(1));
  loop.Run();  // for ever, when the early wake-up was the only one
  EXPECT_TRUE(ran);
}

TEST(EventLoopRun, WorkFromOtherThreadsRunsOnTheLoopInTheirOrder) {
  base::SystemClock clock;
  tests::LoopThread thread(&clock);
  EventLoop* loop = thread.loop();
  EXPECT_TRUE(loop->InLoop());  // not running yet
  thread.Start();
  constexpr int kEach = 1000;
  std::vector<std::vector<int>> seen(3);
  std::vector<std::thread> posters;
  std::atomic<int> wrong_thread{0};
  for (size_t p = 0; p < seen.size(); p++) {
    posters.emplace_back([&, p] {
      for (int i = 0; i < kEach; i++) {
        loop->Post([&, p, i] {
          if (!loop->InLoop()) wrong_thread++;
          seen[p].push_back(i);
        });
      }
    });
  }
  for (auto& p : posters) p.join();
  thread.In([] {});
  EXPECT_FALSE(loop->InLoop());
  thread.Stop();
  EXPECT_EQ(wrong_thread, 0);
  for (const auto& s : seen) {
    ASSERT_EQ(s.size(), size_t{kEach});
    EXPECT_TRUE(std::is_sorted(s.begin(), s.end()));
  }
}

TEST(EventLoopRun, WhatWasPostedBeforeStopStillRuns) {
  base::SystemClock clock;
  EventLoop loop(&clock);
  bool ran = false;
  loop.Post([&] { loop.Post([&] { ran = true; }); });
  loop.Stop();
  loop.Run();
  loop.Poll();
  EXPECT_TRUE(ran);
}

}  // namespace
}  // namespace trestle::net
