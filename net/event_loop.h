// EventLoop: one thread's loop: descriptors, timers, work posted from elsewhere, and work for the
// end of a turn. libevent underneath; its types stay in this folder.
//
// Lifetime: outlives everything that is registered with it. Threading: all calls on the loop's own
// thread, but for Post() and Stop(). Errors: a loop that cannot be made is a fault of the machine
// and ends the program with a log line.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/buffer.h"
#include "base/clock.h"

struct event_base;

namespace trestle::net {

class EventLoop;
class Timer;

// Something that has work left for the end of the turn, for example output to write at once.
// Intrusive, so that asking costs no memory.
class TurnEnd {
 public:
  virtual ~TurnEnd();
  virtual void OnTurnEnd() = 0;

 private:
  friend class EventLoop;
  EventLoop* queued_on_ = nullptr;
};

class EventLoop {
 public:
  explicit EventLoop(const base::Clock* clock);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Turns until Stop(). The calling thread becomes the loop's.
  void Run();
  // One turn without waiting; true if anything happened. For tests with a FakeClock.
  bool Poll();
  // From any thread.
  void Stop();
  // Runs `work` on the loop, in the order of posting. From any thread; never runs it at once.
  void Post(std::function<void()> work);

  // The time at which this turn began.
  base::TimePoint Now() const { return now_; }
  const base::Clock* clock() const { return clock_; }
  // Calls `work` once at the end of this turn, before the loop waits again.
  void AtTurnEnd(TurnEnd* work);
  // Runs what waits for the end of the turn as soon as the event at hand is dealt with: for output
  // that is too much to keep while other events are served.
  void EndTurnSoon() { end_soon_ = true; }
  // Destroys `dead` at the end of the turn: nothing is destroyed inside its own callback.
  template <class T>
  void DeleteLater(std::unique_ptr<T> dead) {
    if (dead) Bury(std::shared_ptr<void>(std::move(dead)));
  }
  // True on the loop's own thread (or before the loop first ran).
  bool InLoop() const;
  void AssertInLoop() const;

  // Memory for reading and for small heads; this thread's own.
  base::Arena* arena() { return &arena_; }
  // For this folder only: libevent's base, and what a callback of it calls first.
  event_base* base() { return base_; }
  // What a callback of it calls last, when nothing of its own is used any more.
  void AfterEvent() {
    if (!end_soon_) return;
    end_soon_ = false;
    RunTurnEnds();
  }
  void Refresh() {
    seen_ = true;
    if (fresh_) return;
    fresh_ = true;
    now_ = clock_->Now();
  }

 private:
  friend class Timer;
  friend class TurnEnd;
  bool Turn(bool wait);
  void Bury(std::shared_ptr<void> dead);
  bool RunPosted();
  void CatchUp();
  bool RunTimers();
  void ArmTimer();
  void RunTurnEnds();
  void EmptyGraveyard();
  void SiftUp(size_t i);
  void SiftDown(size_t i);
  void Place(size_t i, Timer* timer);

  const base::Clock* clock_;
  base::TimePoint now_;
  base::Arena arena_;
  event_base* base_ = nullptr;
  struct Events;
  std::unique_ptr<Events> events_;
  std::thread::id thread_;
  bool started_ = false;
  std::atomic<bool> stop_{false};
  std::atomic<bool> woken_{false};  // something is posted; changed under the mutex
  bool end_soon_ = false;
  bool fresh_ = false;  // now_ was read in this turn
  bool seen_ = false;   // a descriptor had something; CatchUp's own
  std::vector<TurnEnd*> turn_ends_;
  std::vector<std::shared_ptr<void>> graveyard_;
  std::vector<Timer*> timers_;  // a heap by time
  base::TimePoint armed_{};
  base::TimePoint next_catch_up_{};  // not before
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;
};

// Calls back once at a time; can be armed again. Destroying it disarms it. On the loop's thread.
class Timer {
 public:
  Timer(EventLoop* loop, std::function<void()> call) : loop_(loop), call_(std::move(call)) {}
  ~Timer() { Cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Replaces an earlier time.
  void Arm(base::Duration after) { ArmAt(loop_->Now() + after); }
  void ArmAt(base::TimePoint at);
  void Cancel();
  bool armed() const { return index_ != kNone; }
  base::TimePoint at() const { return at_; }

 private:
  friend class EventLoop;
  static constexpr size_t kNone = ~size_t{0};
  EventLoop* loop_;
  std::function<void()> call_;
  base::TimePoint at_{};
  size_t index_ = kNone;
};

}  // namespace trestle::net
