// Clock: where time comes from, so that a test can hold it still.
//
// Lifetime: outlives everybody who was handed it. Threading: Now() from any thread.
// Errors: none.
#pragma once

#include <atomic>
#include <chrono>
#include <string>

namespace trestle::base {

using Duration = std::chrono::nanoseconds;
// Steady time; says nothing of the time of day.
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;
// Time of day, since 1970.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

// As people read it: "250 ms".
inline std::string ShowMillis(Duration d) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(d).count()) + " ms";
}

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint Now() const = 0;
  virtual WallTime Wall() const = 0;
};

// The machine's clock.
class SystemClock final : public Clock {
 public:
  TimePoint Now() const override { return std::chrono::steady_clock::now(); }
  WallTime Wall() const override { return std::chrono::system_clock::now(); }
};

// A clock that moves only when told to.
class FakeClock final : public Clock {
 public:
  TimePoint Now() const override { return TimePoint(Duration(now_.load())); }
  WallTime Wall() const override {
    return WallTime(Duration(now_.load())) + std::chrono::hours(24 * 365);
  }
  void Advance(Duration by) { now_ += by.count(); }

 private:
  std::atomic<int64_t> now_{1'000'000'000};
};

}  // namespace trestle::base
