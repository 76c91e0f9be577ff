#include "net/event_loop.h"

#include <event2/event.h>
#include <glog/logging.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "net/event_memory.h"

namespace trestle::net {
namespace {

// A timer that is so late tells that we stood still: a stopped process, a machine that slept.
constexpr auto kLate = std::chrono::milliseconds(20);
// Bounds of what goes before it then.
constexpr int kCatchUpRounds = 32;
constexpr auto kCatchUpEvery = std::chrono::seconds(1);

// Rounded up to whole milliseconds: a timer never fires early, and near ones share a wake-up.
itimerspec After(base::Duration d) {
  auto ms = std::max<int64_t>(1, std::chrono::ceil<std::chrono::milliseconds>(d).count());
  itimerspec spec{};
  spec.it_value.tv_sec = ms / 1000;
  spec.it_value.tv_nsec = (ms % 1000) * 1'000'000;
  return spec;
}

void ReadAll(int fd) {
  uint64_t count;
  while (read(fd, &count, sizeof count) > 0) {
  }
}

}  // namespace

// The two events that the loop itself needs. The timer is a descriptor: with a timeout of its own,
// each wait of epoll would start and stop a timer in the kernel.
struct EventLoop::Events {
  int wake_fd = -1;
  int timer_fd = -1;
  event* wake = nullptr;
  event* timer = nullptr;
};

TurnEnd::~TurnEnd() {
  if (!queued_on_) return;
  // Not erased: the list may be running.
  std::replace(queued_on_->turn_ends_.begin(), queued_on_->turn_ends_.end(), this,
               static_cast<TurnEnd*>(nullptr));
}

EventLoop::EventLoop(const base::Clock* clock)
    : clock_(clock), now_(clock->Now()), events_(std::make_unique<Events>()) {
  UseEventMemory();
  event_config* config = event_config_new();
  // Only this thread touches the base; others go through wake_fd.
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
  event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME);
  base_ = event_base_new_with_config(config);
  event_config_free(config);
  CHECK(base_ != nullptr) << "cannot make an event loop";
  events_->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  PCHECK(events_->wake_fd >= 0) << "cannot make an eventfd";
  events_->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  PCHECK(events_->timer_fd >= 0) << "cannot make a timerfd";
  events_->wake = event_new(
      base_, events_->wake_fd, EV_READ | EV_PERSIST,
      [](evutil_socket_t fd, short, void*) { ReadAll(fd); }, nullptr);
  events_->timer = event_new(
      base_, events_->timer_fd, EV_READ | EV_PERSIST,
      [](evutil_socket_t fd, short, void* loop) {
        ReadAll(fd);
        static_cast<EventLoop*>(loop)->armed_ = {};
      },
      this);
  event_add(events_->wake, nullptr);
  event_add(events_->timer, nullptr);
}

EventLoop::~EventLoop() {
  EmptyGraveyard();
  event_free(events_->wake);
  event_free(events_->timer);
  close(events_->wake_fd);
  close(events_->timer_fd);
  event_base_free(base_);
  for (TurnEnd* t : turn_ends_) {
    if (t) t->queued_on_ = nullptr;
  }
}

bool EventLoop::InLoop() const { return !started_ || std::this_thread::get_id() == thread_; }

void EventLoop::AssertInLoop() const { CHECK(InLoop()) << "called from another thread's loop"; }

void EventLoop::Run() {
  thread_ = std::this_thread::get_id();
  started_ = true;
  while (!stop_.load(std::memory_order_acquire)) Turn(true);
  Turn(false);
}

bool EventLoop::Poll() {
  thread_ = std::this_thread::get_id();
  started_ = true;
  return Turn(false);
}

// One turn: wait for descriptors, then timers, then what was posted, then the ends. After a
// standstill the descriptors are asked until they have no more, before the timers.
bool EventLoop::Turn(bool wait) {
  if (wait) ArmTimer();
  fresh_ = false;
  event_base_loop(base_, wait ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK);
  bool any = fresh_;
  Refresh();
  if (!timers_.empty() && now_ - timers_[0]->at_ >= kLate) {
    CatchUp();
    any = true;
  }
  bool busy = RunTimers();
  busy |= any;
  busy |= RunPosted();
  busy |= !turn_ends_.empty() || !graveyard_.empty();
  RunTurnEnds();
  return busy;
}

void EventLoop::Stop() {
  stop_.store(true, std::memory_order_release);
  Post([] {});
}

void EventLoop::Post(std::function<void()> work) {
  bool wake;
  {
    std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
    wake = !woken_.exchange(true, std::memory_order_relaxed);
  }
  if (wake) {
    uint64_t one = 1;
    ssize_t ignored = write(events_->wake_fd, &one, sizeof one);
    static_cast<void>(ignored);
  }
}

// What is posted after the look at woken_ wakes the next turn by its descriptor.
bool EventLoop::RunPosted() {
  if (!woken_.load(std::memory_order_relaxed)) return false;
  std::vector<std::function<void()>> work;
  {
    std::lock_guard lock(mutex_);
    woken_.store(false, std::memory_order_relaxed);
    work.swap(posted_);
  }
  for (auto& w : work) w();
  return true;
}

// While we stood still the others did not: what they sent, and what comes of it, counts before the
// times that ran out meanwhile. The system gives a part of it at a time. A loop that is late
// because it has too much to do must not put its timers off by doing more: hence the bounds.
void EventLoop::CatchUp() {
  if (now_ < next_catch_up_) return;
  next_catch_up_ = now_ + kCatchUpEvery;
  for (int round = 0; round < kCatchUpRounds; round++) {
    bool busy = RunPosted();
    busy |= !turn_ends_.empty();
    RunTurnEnds();
    seen_ = false;
    event_base_loop(base_, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    if (!busy && !seen_) return;
  }
}

void EventLoop::AtTurnEnd(TurnEnd* work) {
  if (work->queued_on_) return;
  work->queued_on_ = this;
  turn_ends_.push_back(work);
}

void EventLoop::RunTurnEnds() {
  do {
    // What is added meanwhile runs in the same turn.
    for (size_t i = 0; i < turn_ends_.size(); i++) {
      TurnEnd* t = turn_ends_[i];
      if (!t) continue;
      t->queued_on_ = nullptr;
      turn_ends_[i] = nullptr;
      t->OnTurnEnd();
    }
    turn_ends_.clear();
    EmptyGraveyard();
  } while (!turn_ends_.empty());  // of the last words of the dead
}

void EventLoop::EmptyGraveyard() {
  while (!graveyard_.empty()) {
    auto dead = std::move(graveyard_);
    graveyard_.clear();
    dead.clear();
  }
}

void EventLoop::Bury(std::shared_ptr<void> dead) { graveyard_.push_back(std::move(dead)); }

// --- timers: a binary heap, one descriptor for its top ---

void EventLoop::ArmTimer() {
  if (timers_.empty()) return;
  base::TimePoint next = timers_[0]->at_;
  // Timers of calls are nearly always cancelled. One wake-up for nothing is cheaper than arming
  // anew for each of them.
  if (armed_ != base::TimePoint{} && armed_ <= next) return;
  armed_ = next;
  itimerspec after = After(next - clock_->Now());
  timerfd_settime(events_->timer_fd, 0, &after, nullptr);
}

bool EventLoop::RunTimers() {
  bool any = false;
  // One that is due again as soon as it ran must not hold up the turn.
  for (size_t most = timers_.size(); most > 0 && !timers_.empty(); most--) {
    Timer* t = timers_[0];
    if (t->at_ > now_) break;
    t->Cancel();
    any = true;
    auto call = t->call_;  // a copy: the call may destroy its Timer
    call();
  }
  return any;
}

void EventLoop::Place(size_t i, Timer* timer) {
  timers_[i] = timer;
  timer->index_ = i;
}

void EventLoop::SiftUp(size_t i) {
  Timer* t = timers_[i];
  while (i > 0) {
    size_t parent = (i - 1) / 2;
    if (timers_[parent]->at_ <= t->at_) break;
    Place(i, timers_[parent]);
    i = parent;
  }
  Place(i, t);
}

void EventLoop::SiftDown(size_t i) {
  Timer* t = timers_[i];
  for (;;) {
    size_t child = 2 * i + 1;
    if (child >= timers_.size()) break;
    if (child + 1 < timers_.size() && timers_[child + 1]->at_ < timers_[child]->at_) child++;
    if (t->at_ <= timers_[child]->at_) break;
    Place(i, timers_[child]);
    i = child;
  }
  Place(i, t);
}

void Timer::ArmAt(base::TimePoint at) {
  loop_->AssertInLoop();
  // Not before now: whoever is due for longer goes first.
  at = std::max(at, loop_->Now());
  bool later = armed() && at > at_;
  at_ = at;
  if (!armed()) {
    loop_->timers_.push_back(this);
    index_ = loop_->timers_.size() - 1;
    loop_->SiftUp(index_);
  } else if (later) {
    loop_->SiftDown(index_);
  } else {
    loop_->SiftUp(index_);
  }
}

void Timer::Cancel() {
  if (!armed()) return;
  size_t i = index_;
  index_ = kNone;
  Timer* last = loop_->timers_.back();
  loop_->timers_.pop_back();
  if (last == this) return;
  loop_->Place(i, last);
  loop_->SiftUp(i);
  loop_->SiftDown(last->index_);
}

}  // namespace trestle::net
