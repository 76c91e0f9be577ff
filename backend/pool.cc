#include "backend/pool.h"

#include <algorithm>
#include <utility>

namespace trestle::backend {
namespace {

constexpr size_t kNotIdle = ~size_t{0};
constexpr uint32_t kMicrosPerMs = 1000;

}  // namespace

PoolMetrics::PoolMetrics(base::Scope* s)
    : connects(s->counter("connects")),
      failed_connects(s->counter("failed_connects")),
      closes(s->counter("closes")),
      sent_bytes(s->counter("sent_bytes")),
      received_bytes(s->counter("received_bytes")),
      stray_answers(s->counter("stray_oneway_answers")),
      num_waited(s->counter("pool_num_waited")),
      too_many_waiters(s->counter("pool_num_too_many_waiters")),
      connections(s->gauge("connections")),
      cached(s->gauge("pool_cached")),
      waiters(s->gauge("pool_waiters")),
      connect_latency(s->histogram("connect_latency_ms", kMicrosPerMs)) {}

Pool::Pool(net::EventLoop* loop, const Options& options, net::Connector* connector,
           const net::Address& to, PoolMetrics* metrics, PoolOwner* owner)
    : loop_(loop),
      options_(options),
      connector_(connector),
      to_(to),
      metrics_(metrics),
      owner_(owner),
      idle_timer_(loop, [this] { CloseIdle(); }) {}

Pool::~Pool() {
  while (call::Call* call = waiters_.Pop()) {
    metrics_->waiters->Add(-1);
    call->holder = nullptr;
    call->Fail(call::Step::kConnect, base::Status(base::Code::kInternal, "shutting down"));
  }
  auto all = sessions_;
  for (ThriftSession* s : all) {
    if (!s->busy()) s->Close();
  }
  for (ThriftSession* s : sessions_) {  // their calls fail
    metrics_->closes->Add();
    metrics_->connections->Add(-1);
    delete s;
  }
}

void Pool::Take(call::Call* call) {
  while (!idle_.empty()) {
    ThriftSession* session = PickIdle();
    if (TooOld(*session)) {
      session->Close();
      continue;
    }
    Forget(session);
    session->Send(call);
    return;
  }
  bool may_open = sessions_.size() + attempts_.size() < options_.pool.max_size;
  if (!may_open && waiters_.size() >= options_.pool.max_waiters) {
    metrics_->too_many_waiters->Add();
    owner_->OnLetGo(false);
    call->Fail(call::Step::kConnect,
               base::Status(base::Code::kRefused, "over hostConnectionPool.maxWaiters (" +
                                                      std::to_string(options_.pool.max_waiters) +
                                                      ") of " + to_.Show()));
    return;
  }
  call->holder = this;
  call->step = call::Step::kConnect;
  waiters_.Push(call);
  metrics_->waiters->Add(1);
  if (!may_open) {
    metrics_->num_waited->Add();
    call->request.Compact();
  } else if (waiters_.size() > attempts_.size()) {
    Open();
  }
}

// The one used last; but not one whose backend may still be at work on a oneway, as long as another
// is near: the call would wait behind it, or be lost if the backend takes the oneway badly.
ThriftSession* Pool::PickIdle() const {
  constexpr size_t kLook = 16;
  for (size_t i = 0; i < std::min(kLook, idle_.size()); i++) {
    ThriftSession* session = idle_[idle_.size() - 1 - i];
    if (!session->after_oneway()) return session;
  }
  return idle_.back();
}

void Pool::Warm() {
  while (!retired_ && sessions_.size() + attempts_.size() < options_.pool.min_size) Open();
}

void Pool::Open() {
  uint64_t id = next_attempt_++;
  auto started = loop_->Now();
  attempts_[id] = connector_->Connect(
      to_, options_.connect_timeout,
      [this, id, started](base::Result<std::unique_ptr<net::Transport>> result) {
        auto took =
            std::chrono::duration_cast<std::chrono::microseconds>(loop_->Now() - started).count();
        metrics_->connect_latency->Record(static_cast<uint64_t>(took));
        OnOpened(id, std::move(result));
      });
}

void Pool::OnOpened(uint64_t id, base::Result<std::unique_ptr<net::Transport>> result) {
  auto attempt = attempts_.find(id);
  loop_->DeleteLater(std::move(attempt->second));
  attempts_.erase(attempt);
  if (!result.ok()) return OnOpenFailed(result.status());
  metrics_->connects->Add();
  metrics_->connections->Add(1);
  auto* session = new ThriftSession(loop_, options_, this, std::move(*result));  // OnDead ends it
  session->position = kNotIdle;
  sessions_.insert(session);
  session->Start();
  OnIdle(session);
}

void Pool::OnOpenFailed(const base::Status& why) {
  metrics_->failed_connects->Add();
  owner_->OnConnectFailed();
  // Those who wait for no other connection go elsewhere at once.
  size_t others = attempts_.size() + sessions_.size();
  while (waiters_.size() > others) {
    LoseWaiter(why);
    others = attempts_.size() + sessions_.size();
  }
  if (retired_ && empty()) owner_->OnEmpty();
}

void Pool::LoseWaiter(const base::Status& why) {
  call::Call* call = waiters_.Pop();
  metrics_->waiters->Add(-1);
  call->holder = nullptr;
  owner_->OnLost(call, call::Step::kConnect, why, false, false);
}

void Pool::CountBytes(ThriftSession* session) {
  metrics_->sent_bytes->Add(session->sent_bytes() - session->counted_sent);
  metrics_->received_bytes->Add(session->received_bytes() - session->counted_received);
  session->counted_sent = session->sent_bytes();
  session->counted_received = session->received_bytes();
}

void Pool::OnIdle(ThriftSession* session) {
  CountBytes(session);
  if (!waiters_.empty() && !TooOld(*session)) {
    call::Call* call = waiters_.Pop();
    metrics_->waiters->Add(-1);
    session->Send(call);
    return;
  }
  bool keep =
      !retired_ && !TooOld(*session) &&
      (options_.pool.idle_time != base::Duration(0) || sessions_.size() <= options_.pool.min_size);
  if (!keep) return session->Close();
  session->position = idle_.size();
  idle_.push_back(session);
  metrics_->cached->Add(1);
  ArmIdle();
}

void Pool::Forget(ThriftSession* session) {
  if (session->position == kNotIdle) return;
  idle_.erase(idle_.begin() + static_cast<ptrdiff_t>(session->position));
  for (size_t i = session->position; i < idle_.size(); i++) idle_[i]->position = i;
  session->position = kNotIdle;
  metrics_->cached->Add(-1);
}

void Pool::OnDead(ThriftSession* session) {
  Forget(session);
  if (sessions_.erase(session) == 0) return;
  metrics_->closes->Add();
  metrics_->connections->Add(-1);
  CountBytes(session);
  loop_->DeleteLater(std::unique_ptr<ThriftSession>(session));
  if (retired_) {
    if (sessions_.empty()) Empty();
    return;
  }
  // A connection less: somebody may have waited for it.
  if (waiters_.size() > attempts_.size() &&
      sessions_.size() + attempts_.size() < options_.pool.max_size) {
    Open();
  }
}

void Pool::OnCancel(call::Call* call) {
  waiters_.Remove(call);
  metrics_->waiters->Add(-1);
  owner_->OnLetGo(false);
  if (retired_ && empty()) owner_->OnEmpty();
}

void Pool::Retire() {
  retired_ = true;
  while (!idle_.empty()) idle_.back()->Close();
  if (sessions_.empty()) Empty();
}

void Pool::Empty() {
  attempts_.clear();
  const base::Status why(base::Code::kUnavailable, to_.Show() + " left the set");
  while (!waiters_.empty()) LoseWaiter(why);
  owner_->OnEmpty();
}

bool Pool::TooOld(const ThriftSession& session) const {
  return options_.session_life_time &&
         loop_->Now() - session.opened() > *options_.session_life_time;
}

// The shorter of the pool's and the session's own idle time.
static std::optional<base::Duration> IdleTime(const Options& options) {
  if (!options.pool.idle_time) return options.session_idle_time;
  if (!options.session_idle_time) return options.pool.idle_time;
  return std::min(*options.pool.idle_time, *options.session_idle_time);
}

void Pool::ArmIdle() {
  auto time = IdleTime(options_);
  if (!time || idle_timer_.armed() || sessions_.size() <= options_.pool.min_size) return;
  idle_timer_.ArmAt(idle_.front()->idle_since() + *time);
}

void Pool::CloseIdle() {
  auto time = IdleTime(options_);
  while (!idle_.empty() && sessions_.size() > options_.pool.min_size &&
         idle_.front()->idle_since() + *time <= loop_->Now()) {
    idle_.front()->Close();
  }
  if (!idle_.empty()) ArmIdle();
}

}  // namespace trestle::backend
