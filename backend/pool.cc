#include "backend/pool.h"

#include <algorithm>
#include <utility>

#include "backend/make_session.h"

namespace trestle::backend {
namespace {

constexpr uint32_t kMicrosPerMs = 1000;
// A connection that was idle for longer is looked at before it is used: its backend may have closed
// it in this very turn.
constexpr auto kFresh = std::chrono::milliseconds(500);

size_t Index(thrift::Protocol protocol) { return static_cast<size_t>(protocol); }

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
      answers{s->Child("ttwitter")->counter("accepted"), s->Child("ttwitter")->counter("refused"),
              s->Child("ttwitter")->counter("hung_up"), s->Child("ttwitter")->counter("silent")},
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
      lendable_(metrics->cached),
      idle_timer_(loop, [this] { CloseIdle(); }) {}

Pool::~Pool() {
  while (call::Call* call = waiters_.Pop()) {
    metrics_->waiters->Add(-1);
    call->holder = nullptr;
    call->Fail(call::Step::kConnect, base::Status(base::Code::kInternal, "shutting down"));
  }
  auto all = sessions_;
  for (Session* s : all) {
    if (!s->busy()) s->Close();
  }
  for (Session* s : sessions_) lendable_.Remove(s);
  for (Session* s : sessions_) {  // their calls fail
    metrics_->closes->Add();
    metrics_->connections->Add(-1);
    delete s;
  }
}

void Pool::Take(call::Call* call) {
  protocol_ = call->protocol;
  if (waiters_.empty() || !openings_.empty()) {
    if (Session* session = Pick(*call)) return Lend(session, call);
  }
  // An idle one that this call cannot use makes place for one that it can.
  if (Full() && !lendable_.idle().empty()) lendable_.idle().front()->Close();
  const bool may_open = !Full();
  const bool opens = may_open && Short(1) && !MustWait(call->protocol);
  // Each connection on its way has one who waits for it without that being counted.
  const size_t may_wait = std::max<size_t>(options_.pool.max_waiters, openings_.size());
  if (!opens && waiters_.size() >= may_wait) {
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
  } else if (opens) {
    Open(call->protocol);
  }
}

Session* Pool::Pick(const call::Call& call) {
  for (;;) {
    Session* session = lendable_.Pick(call);
    if (!session || session->busy()) return session;
    const bool fresh = loop_->Now() - session->idle_since() <= kFresh;
    if (!TooOld(*session) && (fresh || !session->Stirs())) return session;
    session->Close();
  }
}

void Pool::Lend(Session* session, call::Call* call) {
  session->Send(call);
  lendable_.Put(session);
}

void Pool::ServeWaiters() {
  while (!waiters_.empty()) {
    Session* session = Pick(*waiters_.front());
    if (!session) break;
    call::Call* call = waiters_.Pop();
    metrics_->waiters->Add(-1);
    Lend(session, call);
  }
  if (waiters_.empty() || !openings_.empty() || retired_) return;
  if (Full() && !lendable_.idle().empty()) lendable_.idle().front()->Close();
  if (!waiters_.empty() && openings_.empty() && !Full()) Open(waiters_.front()->protocol);
}

void Pool::Warm() {
  while (!retired_ && sessions_.size() + openings_.size() < options_.pool.min_size) {
    if (MustWait(protocol_)) return;
    Open(protocol_);
  }
}

bool Pool::MustWait(thrift::Protocol protocol) const {
  return options_.ttwitter &&
         memory_[Index(protocol)].For(loop_->Now()) == UpgradeMemory::Next::kWait;
}

void Pool::Open(thrift::Protocol protocol) {
  UpgradeMemory& memory = memory_[Index(protocol)];
  auto next = options_.ttwitter ? memory.For(loop_->Now()) : UpgradeMemory::Next::kPlain;
  if (next == UpgradeMemory::Next::kWait) return;
  const bool ask = next == UpgradeMemory::Next::kAsk;
  if (ask) memory.OnAsking();
  Opening::Owner* self = this;
  openings_.push_back(
      std::make_unique<Opening>(loop_, options_, connector_, to_, protocol, ask, self));
  openings_.back()->Start();
}

void Pool::OpenForWaiters() {
  while (!retired_ && !waiters_.empty() && Short() && !Full()) {
    if (MustWait(waiters_.front()->protocol)) return;
    Open(waiters_.front()->protocol);
  }
}

void Pool::OnAnswer(Opening* opening, Answer answer) {
  metrics_->answers[static_cast<size_t>(answer)]->Add();
  if (answer == Answer::kHungUp || answer == Answer::kSilent) {
    metrics_->connects->Add();
    metrics_->closes->Add();
  }
  if (memory_[Index(opening->protocol())].OnAnswer(answer, loop_->Now())) {
    ++generation_;  // those that are spoken to plainly
    CloseAllIdle();
  }
  OpenForWaiters();
  Warm();
}

void Pool::OnOpened(Opening* opening, base::Result<std::unique_ptr<net::Transport>> result) {
  auto at = std::find_if(openings_.begin(), openings_.end(),
                         [opening](const auto& o) { return o.get() == opening; });
  if (at == openings_.end()) return;
  auto took =
      std::chrono::duration_cast<std::chrono::microseconds>(loop_->Now() - opening->started());
  metrics_->connect_latency->Record(static_cast<uint64_t>(took.count()));
  if (opening->asks()) memory_[Index(opening->protocol())].OnGivenUp();
  const Spoken spoken = Spoken::By(options_, opening->protocol(), opening->upgraded());
  loop_->DeleteLater(std::move(*at));
  openings_.erase(at);
  if (!result.ok()) return OnOpenFailed(result.status());
  metrics_->connects->Add();
  metrics_->connections->Add(1);
  // OnDead ends it.
  Session* session = MakeSession(loop_, options_, this, std::move(*result), spoken).release();
  session->generation = generation_;
  sessions_.insert(session);
  session->Start();
  OnRoom(session);
}

void Pool::OnOpenFailed(const base::Status& why) {
  metrics_->failed_connects->Add();
  owner_->OnConnectFailed();
  // Those who wait for no other connection go elsewhere at once.
  auto others = [this] {
    return (openings_.size() + sessions_.size()) * uint64_t{options_.pool.max_in_flight};
  };
  while (waiters_.size() > others()) LoseWaiter(why);
  if (retired_ && empty()) owner_->OnEmpty();
}

void Pool::LoseWaiter(const base::Status& why) {
  call::Call* call = waiters_.Pop();
  metrics_->waiters->Add(-1);
  call->holder = nullptr;
  owner_->OnLost(call, call::Step::kConnect, why, false, false, false);
}

void Pool::CountBytes(Session* session) {
  metrics_->sent_bytes->Add(session->sent_bytes() - session->counted_sent);
  metrics_->received_bytes->Add(session->received_bytes() - session->counted_received);
  session->counted_sent = session->sent_bytes();
  session->counted_received = session->received_bytes();
}

void Pool::OnRoom(Session* session) {
  CountBytes(session);
  if (Fit(*session)) {
    lendable_.Put(session);
  } else {
    lendable_.Remove(session);
  }
  if (!waiters_.empty()) ServeWaiters();
  if (session->busy()) return;
  if (Spare(*session)) return session->Close();
  if (session->shelf != Session::Shelf::kIdle) return;  // it made place for another
  ArmIdle(*session);
}

void Pool::OnDead(Session* session) {
  lendable_.Remove(session);
  if (sessions_.erase(session) == 0) return;
  metrics_->closes->Add();
  metrics_->connections->Add(-1);
  CountBytes(session);
  loop_->DeleteLater(std::unique_ptr<Session>(session));
  if (retired_) {
    if (sessions_.empty()) Empty();
    return;
  }
  // A connection less: somebody may have waited for it.
  if (!waiters_.empty() && Short() && !Full()) Open(waiters_.front()->protocol);
}

void Pool::OnCancel(call::Call* call) {
  waiters_.Remove(call);
  metrics_->waiters->Add(-1);
  owner_->OnLetGo(false);
  if (retired_ && empty()) owner_->OnEmpty();
}

void Pool::Retire() {
  retired_ = true;
  CloseAllIdle();
  if (sessions_.empty()) Empty();
}

void Pool::Empty() {
  GiveUpOpenings();
  const base::Status why(base::Code::kUnavailable, to_.Show() + " left the set");
  while (!waiters_.empty()) LoseWaiter(why);
  owner_->OnEmpty();
}

void Pool::GiveUpOpenings() {
  for (auto& opening : openings_) {
    if (opening->asks()) memory_[Index(opening->protocol())].OnGivenUp();
    opening->GiveUp();
    loop_->DeleteLater(std::move(opening));
  }
  openings_.clear();
}

void Pool::OnOptions() {
  if (retired_) return;
  while (sessions_.size() > options_.pool.max_size && !lendable_.idle().empty()) {
    lendable_.idle().front()->Close();
  }
  OpenForWaiters();
  Warm();
  if (!lendable_.idle().empty()) CloseIdle();
}

void Pool::Renew(net::Connector* connector) {
  connector_ = connector;
  ++generation_;
  openings_.clear();  // nothing of them is on the stack, and their Connector may go
  memory_[0] = memory_[1] = {};
  CloseAllIdle();
  for (Session* s : sessions_) lendable_.Remove(s);
}

bool Pool::TooOld(const Session& session) const {
  return options_.session_life_time &&
         loop_->Now() - session.opened() > *options_.session_life_time;
}

bool Pool::Fit(const Session& session) const {
  return session.generation == generation_ && !TooOld(session);
}

bool Pool::Spare(const Session& session) const {
  return retired_ || !Fit(session) || sessions_.size() > options_.pool.max_size ||
         (options_.pool.idle_time == base::Duration(0) &&
          sessions_.size() > options_.pool.min_size);
}

// --- connections at rest ---

// The shorter of the pool's and the session's own idle time.
static std::optional<base::Duration> IdleTime(const Options& options) {
  if (!options.pool.idle_time) return options.session_idle_time;
  if (!options.session_idle_time) return options.pool.idle_time;
  return std::min(*options.pool.idle_time, *options.session_idle_time);
}

void Pool::CloseAllIdle() {
  while (!lendable_.idle().empty()) lendable_.idle().back()->Close();  // nothing moves up
}

// For the sooner of: the idle time of the one idle for longest, the life time of this one.
void Pool::ArmIdle(const Session& session) {
  std::optional<base::TimePoint> at;
  auto time = IdleTime(options_);
  if (time && sessions_.size() > options_.pool.min_size) {
    at = lendable_.idle().front()->idle_since() + *time;
  }
  if (options_.session_life_time) {
    // TooOld is past its time, not at it.
    auto end = session.opened() + *options_.session_life_time + std::chrono::milliseconds(1);
    at = at ? std::min(*at, end) : end;
  }
  if (at && (!idle_timer_.armed() || *at < idle_timer_.at())) idle_timer_.ArmAt(*at);
}

void Pool::CloseIdle() {
  auto time = IdleTime(options_);
  const std::vector<Session*> idle = lendable_.idle();  // closing takes out of it
  for (Session* session : idle) {
    if (session->busy() || session->shelf != Session::Shelf::kIdle) continue;
    bool over = time && sessions_.size() > options_.pool.min_size &&
                session->idle_since() + *time <= loop_->Now();
    if (over || TooOld(*session)) session->Close();
  }
  for (Session* session : lendable_.idle()) ArmIdle(*session);
}

}  // namespace trestle::backend
