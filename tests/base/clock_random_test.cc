#include <gtest/gtest.h>

#include <array>
#include <chrono>

#include "base/clock.h"
#include "base/random.h"

namespace trestle::base {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

TEST(FakeClock, MovesOnlyWhenTold) {
  FakeClock clock;
  TimePoint start = clock.Now();
  WallTime wall = clock.Wall();
  EXPECT_EQ(clock.Now(), start);
  clock.Advance(milliseconds(1500));
  EXPECT_EQ(clock.Now() - start, milliseconds(1500));
  EXPECT_EQ(clock.Wall() - wall, milliseconds(1500));
}

TEST(FakeClock, NeitherTimeIsZero) {
  FakeClock clock;
  EXPECT_GT(clock.Now(), TimePoint{});
  EXPECT_GT(clock.Wall(), WallTime{} + hours(24));
}

TEST(SystemClock, NeverGoesBack) {
  SystemClock clock;
  TimePoint last = clock.Now();
  for (int i = 0; i < 1000; i++) {
    TimePoint now = clock.Now();
    EXPECT_GE(now, last);
    last = now;
  }
}

// Reference values of splitmix64 from the seed 1234567.
TEST(SeededRandom, KnownSequence) {
  SeededRandom random(1234567);
  for (uint64_t expected : {6457827717110365317ULL, 3203168211198807973ULL, 9817491932198370423ULL,
                            4593380528125082431ULL, 16408922859458223821ULL}) {
    EXPECT_EQ(random.Next(), expected);
  }
}

TEST(SeededRandom, TheSeedDecides) {
  SeededRandom a(1), b(1), c(2);
  bool differs = false;
  for (int i = 0; i < 100; i++) {
    uint64_t value = a.Next();
    EXPECT_EQ(value, b.Next());
    differs |= value != c.Next();
  }
  EXPECT_TRUE(differs);
}

// A source that says what it is told to.
class FixedRandom final : public Random {
 public:
  explicit FixedRandom(uint64_t value) : value_(value) {}
  uint64_t Next() override { return value_; }

 private:
  uint64_t value_;
};

TEST(Random, BelowCoversItsRangeFromEndToEnd) {
  for (uint32_t n : {1u, 2u, 3u, 10u, 1u << 31, ~0u}) {
    EXPECT_EQ(FixedRandom(0).Below(n), 0u);
    EXPECT_EQ(FixedRandom(~0ULL).Below(n), n - 1);
  }
  EXPECT_EQ(FixedRandom(1ULL << 63).Below(10), 5u);
}

TEST(Random, UnitIsBelowOne) {
  EXPECT_EQ(FixedRandom(0).Unit(), 0.0);
  EXPECT_EQ(FixedRandom(1ULL << 63).Unit(), 0.5);
  EXPECT_LT(FixedRandom(~0ULL).Unit(), 1.0);
}

TEST(SeededRandom, BelowIsEven) {
  SeededRandom random(99);
  std::array<int, 10> seen{};
  constexpr int kDraws = 100'000;
  for (int i = 0; i < kDraws; i++) seen[random.Below(10)]++;
  for (int n : seen) EXPECT_NEAR(n, kDraws / 10, 500);  // about 5 standard deviations
}

}  // namespace
}  // namespace trestle::base
