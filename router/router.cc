#include "router/router.h"

#include <algorithm>
#include <utility>

#include "base/contexts.h"
#include "call/deadline.h"
#include "conf/options.h"

namespace trestle::router {
namespace {

constexpr auto kSweepEvery = std::chrono::seconds(10);

BoundNameEntry* NameOf(call::Call* call) { return static_cast<BoundNameEntry*>(call->name); }
ClientEntry* ClientOf(call::Call* call) { return static_cast<ClientEntry*>(call->client); }

// Whether a backend of the router may be told what came beside a call.
bool AnyWantsHeaders(const conf::ClientConfig& config) {
  return config.protocol != conf::ClientProtocol::kThrift ||
         std::any_of(config.entries.begin(), config.entries.end(), [](const conf::ClientEntry& e) {
           return e.attempt_ttwitter_upgrade == true ||
                  e.protocol.value_or(conf::ClientProtocol::kThrift) !=
                      conf::ClientProtocol::kThrift;
         });
}

}  // namespace

Router::Router(net::EventLoop* loop, const RouterPart& config, uint32_t id, Names* names,
               Share share, Clients::Connect connect, base::Random* random, base::Scope* scope)
    : loop_(loop),
      random_(random),
      unbound_(scope->Labelled("service", "other")),
      overrides_(loop, scope),
      clients_(loop, config, share, std::move(connect), random, scope),
      binder_(loop, names, id, config, &clients_, scope,
              [this](call::Call* call, BoundNameEntry* name) { Route(call, name); }),
      sweep_(loop, [this] { Sweep(); }) {
  Take(config);
  sweep_.Arm(kSweepEvery);
}

void Router::Take(const RouterPart& config) {
  binding_timeout_ = config.router->binding_timeout;
  keeps_headers_ = AnyWantsHeaders(config.router->client);
  deadline_tolerance_ = config.router->deadline_tolerance;
  max_hops_ = config.router->max_hops;
  overrides_.Set(config.router->overrides);
}

void Router::Reconfigure(const RouterPart& config) {
  loop_->AssertInLoop();
  Take(config);
  binder_.Reconfigure(config);
  clients_.Reconfigure(config);
}

void Router::Handle(call::Call* call) {
  overrides_.Apply(call);
  auto found = binder_.Find(*call);
  if (!found.ok()) return FailUnnamed(call, found.status());
  BoundNameEntry* name = *found;
  const base::Status status = ReadContexts(call);
  // What the header said is in the name now; it must not pin read memory while the call is in
  // flight, unless a backend may want it.
  if (keeps_headers_) {
    call->header.reset();
  } else {
    call->DropHeader();
  }
  call->name = name;
  call->logical = &name->shown;
  call->observer = this;
  // For the name and its address together.
  call->bind_deadline = loop_->Now() + binding_timeout_;
  const conf::ServiceOptions& service = name->service;
  if (!service.idempotent_methods.empty()) {
    call->idempotent = conf::IsIdempotent(service, call->method);
  }
  if (!status.ok()) return call->Fail(call::Step::kIdentify, status);
  StartClock(call, service.total_timeout);
  if (name->bound) return Route(call, name);
  binder_.Await(call, name);
}

void Router::FailUnnamed(call::Call* call, const base::Status& status) {
  unbound_.requests->Add();
  bool unnamed = status.code() == base::Code::kInvalid;
  auto step = unnamed ? call::Step::kIdentify : call::Step::kBind;
  unbound_.failures.Add(step, status.code());
  std::string why = unnamed ? call->method + ": " + status.message() : status.message();
  call->Fail(step, base::Status(status.code(), why));
}

base::Status Router::ReadContexts(call::Call* call) {
  if (call->header) {
    call->hops = call::HopsOf(*call->header);
    if (auto value = base::Find(call->header->contexts, base::kDeadlineKey)) {
      call->deadline = base::ParseDeadline(*value);
    }
  }
  if (call->hops >= max_hops_) {
    return {base::Code::kNoRoute, "it came through " + std::to_string(call->hops) +
                                      " routers already (maxHops): do they send it in a loop?"};
  }
  ++call->hops;
  if (!call->deadline) return base::Status::Ok();
  const base::Duration left = call::LeftOf(*call->deadline, loop_->clock()->Wall());
  if (!call::IsSpent(left, deadline_tolerance_)) return base::Status::Ok();
  return {base::Code::kTimeout,
          "its deadline passed " + base::ShowMillis(-left) + " ago (deadlineToleranceMs)"};
}

// The call's own time is that of the router or of its caller's deadline, whichever ends first.
void Router::StartClock(call::Call* call, std::optional<base::Duration> total) {
  if (!total && !call->deadline) return;
  const base::WallTime now = loop_->clock()->Wall();
  base::Duration time = total.value_or(base::Duration::max());
  if (call->deadline) {
    const base::Duration left =
        call::TimeFor(call::LeftOf(*call->deadline, now), deadline_tolerance_);
    call->timed_by_caller = left < time;
    time = std::min(time, left);
  }
  if (total) call->deadline = call::Lower(call->deadline, now, *total);
  if (!call->timer) {
    call->timer = std::make_unique<net::Timer>(loop_, [call] {
      // Of the call: its name may have another one by now.
      call->TimeOut(base::Status(
          base::Code::kTimeout,
          "no reply within " + base::ShowMillis(call->timer->at() - call->start) +
              (call->timed_by_caller ? " (the caller's deadline)" : " (totalTimeoutMs)")));
    });
  }
  call->timer->ArmAt(call->start + time);
}

void Router::Route(call::Call* call, BoundNameEntry* name) {
  const Bound& bound = *name->bound;
  call::CallMetrics& service = name->metrics ? *name->metrics : unbound_;
  service.pending->Add(1);
  call->service = &service;
  int leaf = -1;
  if (bound.shares.size() == 1) {
    leaf = bound.shares[0].leaf;
  } else if (!bound.shares.empty()) {
    double at = random_->Unit();
    size_t i = 0;
    while (i + 1 < bound.shares.size() && at >= bound.shares[i].upto) i++;
    leaf = bound.shares[i].leaf;
  }
  if (leaf < 0) return call->Fail(call::Step::kBind, base::Status(bound.code, bound.why));
  const BoundNameEntry::Leaf& picked = name->leaves[static_cast<size_t>(leaf)];
  if (!picked.client && !binder_.ClientOf(name, static_cast<size_t>(leaf))) {
    return call->Fail(call::Step::kBind,
                      base::Status(base::Code::kRefused,
                                   "too many concrete names in use (bindingCache.clients)"));
  }
  if (!picked.client->wants_headers) call->header_bytes.Clear();
  call->dest = bound.leaves[static_cast<size_t>(leaf)].residual;
  call->client = picked.client;
  call->metrics = picked.metrics;
  call->concrete = &picked.client->client->id();
  clients_.Use(picked.client);
  picked.client->metrics->pending->Add(1);
  picked.metrics->pending->Add(1);
  call->attempt_start = loop_->Now();
  picked.client->client->Dispatch(call);
}

void Router::OnEnded(call::Call* call) {
  base::TimePoint now = loop_->Now();
  BoundNameEntry* name = NameOf(call);
  if (call->service) static_cast<call::CallMetrics*>(call->service)->pending->Add(-1);
  (name->metrics ? *name->metrics : unbound_).Record(*call, call->start, now);
  if (ClientEntry* client = ClientOf(call)) {
    client->metrics->pending->Add(-1);
    client->metrics->Record(*call, call->attempt_start, now);
    auto* both = static_cast<call::CallMetrics*>(call->metrics);
    both->pending->Add(-1);
    both->Record(*call, call->attempt_start, now);
    clients_.Unuse(client);
  }
  binder_.Unuse(name);
}

void Router::Sweep() {
  binder_.Sweep();
  clients_.Sweep();
  sweep_.Arm(kSweepEvery);
}

}  // namespace trestle::router
