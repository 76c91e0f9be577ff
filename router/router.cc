#include "router/router.h"

#include <utility>

#include "conf/options.h"

namespace trestle::router {
namespace {

constexpr auto kSweepEvery = std::chrono::seconds(10);

BoundNameEntry* NameOf(call::Call* call) { return static_cast<BoundNameEntry*>(call->name); }
ClientEntry* ClientOf(call::Call* call) { return static_cast<ClientEntry*>(call->client); }

}  // namespace

Router::Router(net::EventLoop* loop, const conf::RouterConfig& config, uint32_t index, Names* names,
               Clients::Make make_client, base::Random* random, base::Scope* scope)
    : loop_(loop),
      config_(config),
      random_(random),
      unbound_(scope->Labelled("service", "other")),
      clients_(loop, std::move(make_client), scope, config.binding_cache),
      binder_(loop, names, index, config, &clients_, scope,
              [this](call::Call* call, BoundNameEntry* name) { Route(call, name); }),
      sweep_(loop, [this] { Sweep(); }) {
  sweep_.Arm(kSweepEvery);
}

void Router::Handle(call::Call* call) {
  auto found = binder_.Find(*call);
  if (!found.ok()) {
    unbound_.requests->Add();
    const base::Status& status = found.status();
    bool unnamed = status.code() == base::Code::kInvalid;
    auto step = unnamed ? call::Step::kIdentify : call::Step::kBind;
    unbound_.failures.Add(step, status.code());
    std::string why = unnamed ? call->method + ": " + status.message() : status.message();
    return call->Fail(step, base::Status(status.code(), why));
  }
  BoundNameEntry* name = *found;
  // What the header said is in the name now; it must not pin read memory while the call is in
  // flight.
  call->DropHeader();
  call->name = name;
  call->logical = &name->shown;
  call->observer = this;
  const conf::ServiceOptions& service = name->service;
  if (!service.idempotent_methods.empty()) {
    call->idempotent = conf::IsIdempotent(service, call->method);
  }
  if (service.total_timeout) StartClock(call, *service.total_timeout);
  if (name->bound) return Route(call, name);
  call->bind_deadline = loop_->Now() + config_.binding_timeout;
  binder_.Await(call, name);
}

void Router::StartClock(call::Call* call, base::Duration total) {
  if (!call->timer) {
    call->timer = std::make_unique<net::Timer>(loop_, [call] {
      auto* name = NameOf(call);
      call->TimeOut(base::Status(base::Code::kTimeout,
                                 "no reply within " +
                                     std::to_string(name->service.total_timeout->count()) +
                                     " ms (totalTimeoutMs)"));
    });
  }
  call->timer->Arm(total);
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
  if (!picked.client) {
    return call->Fail(call::Step::kBind,
                      base::Status(base::Code::kRefused,
                                   "too many concrete names in use (bindingCache.clients)"));
  }
  call->client = picked.client;
  call->metrics = picked.metrics;
  call->concrete = &picked.client->client->id();
  ++picked.client->users;
  picked.client->metrics->pending->Add(1);
  picked.metrics->pending->Add(1);
  call->attempt_start = loop_->Now();
  call->bind_deadline = call->attempt_start + config_.binding_timeout;
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
