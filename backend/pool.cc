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
// Connections on their way of which nobody has need yet.
constexpr size_t kWarmAtOnce = 16;
// A backend that lets in one connection and refuses the next is not tried without end.
constexpr auto kColdFor = std::chrono::seconds(1);

size_t Index(thrift::Protocol protocol) { return static_cast<size_t>(protocol); }

}  // namespace

PoolMetrics::PoolMetrics(base::Scope* s)
    : scope(s),
      connects(s->counter("connects")),
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

MuxMetrics* PoolMetrics::Mux() {
  if (!mux_) mux_ = std::make_unique<MuxMetrics>(scope->Child("mux"));
  return mux_.get();
}

Pool::Pool(net::EventLoop* loop, const Options& options, net::Connector* connector,
           const net::Address& to, PoolMetrics* metrics, PoolOwner* owner)
    : loop_(loop),
      options_(options),
      connector_(connector),
      to_(to),
      metrics_(metrics),
      owner_(owner),
      lendable_(metrics->cached),
      idle_timer_(loop, [this] { CloseIdle(); }),
      ask_(loop, [this] { AskTable(); }) {}

Pool::~Pool() {
  ending_ = true;
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
  if (options_.wire == Wire::kAuto) Probe();
  if (waiters_.empty() || !openings_.empty() || (MayPass() && !call->streamed)) {
    if (Session* session = Pick(*call)) return Lend(session, call);
  }
  // An idle one that this call cannot use makes place for one that it can.
  if (Full() && !lendable_.idle().empty()) lendable_.idle().front()->Close();
  const bool may_open = !Full();
  const bool must_wait = MustWait(call->protocol);
  const bool opens = may_open && Short(1) && !must_wait;
  // Each connection on its way has one who waits for it without that being counted, and so has each
  // that is to be opened as soon as the endpoint was asked what to speak.
  const size_t coming =
      may_open && must_wait ? options_.pool.max_size - sessions_.size() : openings_.size();
  const size_t may_wait = std::max<size_t>(options_.pool.max_waiters, coming);
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
  call->Compact();
  waiters_.Push(call);
  metrics_->waiters->Add(1);
  if (!may_open) {
    metrics_->num_waited->Add();
  } else if (opens) {
    Open(call->protocol);
  }
  Keep();
}

Session* Pool::Pick(const call::Call& call) {
  for (;;) {
    Session* session =
        wire() == Wire::kMux ? lendable_.PickLeast(call, loop_->Now()) : lendable_.Pick(call);
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
    Session* session = nullptr;
    call::Call* call = NextServed(&session);
    if (!call) break;
    waiters_.Remove(call);
    metrics_->waiters->Add(-1);
    Lend(session, call);
  }
  if (waiters_.empty() || !openings_.empty() || retired_) return;
  if (Full() && !lendable_.idle().empty()) lendable_.idle().front()->Close();
  if (!waiters_.empty() && openings_.empty() && !Full()) Open(waiters_.front()->protocol);
}

void Pool::Warm() {
  if (retired_) return;
  if (options_.wire == Wire::kAuto) Probe();
  const uint64_t least = options_.pool.min_size, now = standing() + openings_.size();
  warming_ = least > now ? least - now : 0;
  cold_.reset();
  WarmMore();
}

void Pool::WarmMore() {
  while (!retired_ && warming_ > 0 && openings_.size() < kWarmAtOnce) {
    if (standing() + openings_.size() >= options_.pool.min_size) return;
    if (MustWait(protocol_)) return;
    --warming_;
    Open(protocol_);
  }
}

// Those that are leaving make place for others, though not for ever more; so do those with many
// calls that get no further ones.
bool Pool::Full() const {
  const size_t most = options_.pool.max_size;
  const size_t all = sessions_.size() + openings_.size();
  if (all >= 2 * most) return true;
  if (all - leaving_ < most) return false;
  if (options_.Places(wire()) == 1) return true;
  const auto unfit = std::count_if(sessions_.begin(), sessions_.end(),
                                   [this](const Session* s) { return !s->leaving && !Fit(*s); });
  return all - leaving_ - static_cast<size_t>(unfit) >= most;
}

bool Pool::MustWait(thrift::Protocol protocol) const {
  if (wire() == Wire::kAuto) return true;
  return Upgrades() && memory_[Index(protocol)].For(loop_->Now()) == UpgradeMemory::Next::kWait;
}

void Pool::Open(thrift::Protocol protocol) {
  UpgradeMemory& memory = memory_[Index(protocol)];
  auto next = Upgrades() ? memory.For(loop_->Now()) : UpgradeMemory::Next::kPlain;
  if (next == UpgradeMemory::Next::kWait || wire() == Wire::kAuto) return;
  const bool ask = next == UpgradeMemory::Next::kAsk;
  if (ask) memory.OnAsking();
  Opening::Owner* self = this;
  const Opening::What what{wire(), protocol, ask};
  openings_.push_back(std::make_unique<Opening>(loop_, options_, connector_, to_, what, self));
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
  WarmMore();
}

void Pool::OnOpened(Opening* opening, base::Result<Opened> result) {
  auto at = std::find_if(openings_.begin(), openings_.end(),
                         [opening](const auto& o) { return o.get() == opening; });
  if (at == openings_.end()) return;
  auto took =
      std::chrono::duration_cast<std::chrono::microseconds>(loop_->Now() - opening->started());
  metrics_->connect_latency->Record(static_cast<uint64_t>(took.count()));
  if (opening->asks()) memory_[Index(opening->protocol())].OnGivenUp();
  const Spoken spoken =
      Spoken::By(options_, opening->protocol(), opening->upgraded(), opening->wire());
  // What it was known to speak it did not.
  if (!result.ok() && opening->connected() && spoken.wire == Wire::kMux) Doubt();
  loop_->DeleteLater(std::move(*at));
  openings_.erase(at);
  if (!result.ok()) return OnOpenFailed(result.status());
  metrics_->connects->Add();
  metrics_->connections->Add(1);
  // OnDead ends it.
  MuxMetrics* mux = spoken.wire == Wire::kMux ? metrics_->Mux() : nullptr;
  Session* session = MakeSession(loop_, options_, this, std::move(*result), spoken, mux).release();
  session->generation = generation_;
  sessions_.insert(session);
  if (lease_end_ != base::TimePoint::max()) RecountLeases();
  session->Start();
  OnRoom(session);
  if (cold_ && loop_->Now() - *cold_ >= kColdFor) return Warm();
  WarmMore();
}

void Pool::OnOpenFailed(const base::Status& why) {
  warming_ = 0;
  cold_ = loop_->Now();
  metrics_->failed_connects->Add();
  owner_->OnConnectFailed(why.code() != base::Code::kInternal);
  // Those who wait for no other connection go elsewhere at once.
  auto others = [this] {
    const size_t probes = probe_ && wire() == Wire::kAuto ? 1 : 0;
    return (openings_.size() + standing() + probes) * uint64_t{options_.Places(wire())};
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

void Pool::OnRoom(Session* session) {
  CountBytes(session);
  if (session == kept_ && !session->busy()) kept_ = nullptr;
  if (session != kept_ && Fit(*session)) {
    lendable_.Put(session);
  } else {
    lendable_.Remove(session);
  }
  if (!waiters_.empty()) ServeWaiters();
  Keep();
  if (session->busy()) return;
  if (Spare(*session)) return session->Close();
  if (session->shelf != Session::Shelf::kIdle) return;  // it made place for another
  ArmIdle(*session);
}

void Pool::OnDead(Session* session) {
  lendable_.Remove(session);
  if (session == kept_) kept_ = nullptr;
  if (sessions_.erase(session) == 0) return;
  leaving_ -= session->leaving;
  if (lease_end_ != base::TimePoint::max()) RecountLeases();
  metrics_->closes->Add();
  metrics_->connections->Add(-1);
  CountBytes(session);
  loop_->DeleteLater(std::unique_ptr<Session>(session));
  if (ending_) return;
  if (retired_) {
    if (sessions_.empty()) Empty();
    return;
  }
  // A connection less: somebody may have waited for it.
  if (!waiters_.empty() && Short() && !Full()) Open(waiters_.front()->protocol);
}

// Another one takes its place as soon as there is use for it.
void Pool::OnLeaving(Session* session) {
  lendable_.Remove(session);
  session->leaving = true;
  ++leaving_;
  if (retired_) return;
  const bool last = session->busy() && standing() + openings_.size() == 0;
  if ((last || (!waiters_.empty() && Short())) && !Full()) Open(protocol_);
}

void Pool::OnReturned(call::Call* call) {
  if (!retired_) return Take(call);
  owner_->OnLost(call, call::Step::kConnect,
                 base::Status(base::Code::kUnavailable, to_.Show() + " left the set"), false, false,
                 false);
}

void Pool::OnCancel(call::Call* call) {
  waiters_.Remove(call);
  metrics_->waiters->Add(-1);
  owner_->OnLetGo(false);
  Keep();
  if (retired_ && empty()) owner_->OnEmpty();
}

void Pool::Retire() {
  retired_ = true;
  CloseAllIdle();
  if (sessions_.empty()) Empty();
}

void Pool::Empty() {
  GiveUpOpenings();
  GiveUpProbe();
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
  while (standing() > options_.pool.max_size && !lendable_.idle().empty()) {
    lendable_.idle().front()->Close();
  }
  for (Session* s : sessions_) s->OnOptions();
  OpenForWaiters();
  Warm();
  if (!lendable_.idle().empty()) CloseIdle();
}

void Pool::Renew(net::Connector* connector) {
  connector_ = connector;
  openings_.clear();  // nothing of them is on the stack, and their Connector may go
  probe_.reset();
  turn_.reset();
  ask_.Cancel();
  memory_[0] = memory_[1] = {};
  wire_ = {};
  if (options_.probes) options_.probes->Forget(to_);
  Anew();
  kept_ = nullptr;
}

}  // namespace trestle::backend
