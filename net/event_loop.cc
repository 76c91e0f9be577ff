#include "net/event_loop.h"

#include <event2/event.h>
#include <glog/logging.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace trestle::net {
namespace {

timeval ToTimeval(base::Duration d) {
  if (d.count() < 0) d = base::Duration(0);
  // Rounded up to whole milliseconds, as epoll waits: a timer never fires early.
  auto ms = std::chrono::ceil<std::chrono::milliseconds>(d).count();
  timeval tv;
  tv.tv_sec = ms / 1000;
  tv.tv_usec = (ms % 1000) * 1000;
  return tv;
}

}  // namespace

// The two events of libevent that the loop itself needs.
struct EventLoop::Events {
  int wake_fd = -1;
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
  event_config* config = event_config_new();
  // Only this thread touches the base; others go through wake_fd.
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
  event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME);
  base_ = event_base_new_with_config(config);
  event_config_free(config);
  CHECK(base_ != nullptr) << "cannot make an event loop";
  events_->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  PCHECK(events_->wake_fd >= 0) << "cannot make an eventfd";
  events_->wake = event_new(
      base_, events_->wake_fd, EV_READ | EV_PERSIST,
      [](evutil_socket_t fd, short, void*) {
        uint64_t count;
        while (read(fd, &count, sizeof count) > 0) {
        }
      },
      nullptr);
  events_->timer = evtimer_new(
      base_, [](evutil_socket_t, short, void* loop) { static_cast<EventLoop*>(loop)->armed_ = {}; },
      this);
  event_add(events_->wake, nullptr);
}

EventLoop::~EventLoop() {
  EmptyGraveyard();
  event_free(events_->wake);
  event_free(events_->timer);
  close(events_->wake_fd);
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
  for (;;) {
    {
      std::lock_guard lock(mutex_);
      if (stop_) break;
    }
    Turn(true);
  }
  Turn(false);
}

bool EventLoop::Poll() {
  thread_ = std::this_thread::get_id();
  started_ = true;
  return Turn(false);
}

// One turn: wait for descriptors, then timers, then what was posted, then the ends.
bool EventLoop::Turn(bool wait) {
  if (wait) ArmTimer();
  fresh_ = false;
  event_base_loop(base_, wait ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK);
  bool any = fresh_;
  Refresh();
  bool busy = RunTimers();
  busy |= any;
  busy |= RunPosted();
  busy |= !turn_ends_.empty() || !graveyard_.empty();
  RunTurnEnds();
  return busy;
}

void EventLoop::Stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  Post([] {});
}

void EventLoop::Post(std::function<void()> work) {
  bool wake;
  {
    std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
    wake = !woken_;
    woken_ = true;
  }
  if (wake) {
    uint64_t one = 1;
    ssize_t ignored = write(events_->wake_fd, &one, sizeof one);
    static_cast<void>(ignored);
  }
}

bool EventLoop::RunPosted() {
  std::vector<std::function<void()>> work;
  {
    std::lock_guard lock(mutex_);
    if (!woken_) return false;
    woken_ = false;
    work.swap(posted_);
  }
  for (auto& w : work) w();
  return true;
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

// --- timers: a binary heap, one libevent timer for its top ---

void EventLoop::ArmTimer() {
  if (timers_.empty()) return;
  base::TimePoint next = timers_[0]->at_;
  // Timers of calls are nearly always cancelled. One wake-up for nothing is cheaper than arming
  // anew for each of them.
  if (armed_ != base::TimePoint{} && armed_ <= next) return;
  armed_ = next;
  timeval tv = ToTimeval(next - clock_->Now());
  event_add(events_->timer, &tv);
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
