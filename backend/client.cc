#include "backend/client.h"

#include <algorithm>
#include <cassert>
#include <map>
#include <string_view>
#include <utility>

namespace trestle::backend {

ClientMetrics::ClientMetrics(base::Scope* s)
    : scope(s),
      pool(s),
      accrual(s->Child("failure_accrual")),
      requeues(s->Child("retries")->counter("requeues")),
      budget_exhausted(s->Child("retries")->counter("budget_exhausted")),
      updates(s->Child("loadbalancer")->counter("updates")),
      adds(s->Child("loadbalancer")->counter("adds")),
      removes(s->Child("loadbalancer")->counter("removes")),
      size(s->Child("loadbalancer")->gauge("size", base::Merge::kMost)) {}

Client::Client(net::EventLoop* loop, std::string id, Options options,
               std::unique_ptr<net::Connector> connector, base::Random* random, base::Scope* scope)
    : loop_(loop),
      id_(std::move(id)),
      options_(options),
      connector_(std::move(connector)),
      random_(random),
      metrics_(scope),
      budget_(options_.budget),
      addr_(std::make_shared<naming::Addr>(naming::Addr::Pending())),
      balancer_(MakeBalancer(options_, random)),
      wait_timer_(loop, [this] { OnWaitOver(); }) {}

Client::~Client() {
  metrics_.size->Add(-static_cast<int64_t>(endpoints_.size()));
  while (call::Call* call = waiting_.Pop()) {
    call->holder = nullptr;
    call->Fail(call::Step::kBalance, base::Status(base::Code::kInternal, "shutting down"));
  }
}

void Client::Update(std::shared_ptr<const naming::Addr> addr) {
  assert(loop_->InLoop());
  using Kind = naming::Addr::Kind;
  bool good = addr->kind == Kind::kBound || addr->kind == Kind::kNeg;
  if (!good && addr_->kind == Kind::kBound) return;
  if (addr == addr_ || *addr == *addr_) return;  // many names may tell of one change
  metrics_.updates->Add();
  addr_ = std::move(addr);
  SetEndpoints(addr_->kind == Kind::kBound ? addr_->endpoints : std::vector<naming::Endpoint>());
  if (addr_->kind != Kind::kPending) ServeWaiting();
}

// Keeps the endpoints that stay, with their pools.
bool Client::SetEndpoints(const std::vector<naming::Endpoint>& named) {
  EndpointOwner* self = this;
  std::vector<std::unique_ptr<Endpoint>> next;
  // There may be thousands. The texts outlive the map: Rename keeps host and port.
  std::map<std::pair<std::string_view, uint16_t>, std::unique_ptr<Endpoint>*> known;
  for (auto& e : endpoints_) {
    known.emplace(std::pair(std::string_view(e->named().host), e->named().port), &e);
  }
  for (const naming::Endpoint& n : named) {
    const auto same = known.find(std::pair(std::string_view(n.host), n.port));
    if (same != known.end() && *same->second) {
      next.push_back(std::move(*same->second));
      known.erase(same);
      next.back()->Rename(n);
      continue;
    }
    auto address = net::Address::Parse(n.host, n.port);
    if (!address.ok()) continue;  // a host that was not resolved
    next.push_back(std::make_unique<Endpoint>(loop_, options_, connector_.get(), n, *address,
                                              &metrics_.pool, &metrics_.accrual, random_, self));
    next.back()->Warm();
    metrics_.adds->Add();
  }
  auto old = std::move(endpoints_);
  endpoints_ = std::move(next);
  metrics_.size->Add(static_cast<int64_t>(endpoints_.size()) - static_cast<int64_t>(old.size()));
  FillBalancer();
  for (auto& e : old) {
    if (!e) continue;
    metrics_.removes->Add();
    Endpoint* leaving = e.get();
    leaving_.push_back(std::move(e));
    leaving->Retire();
  }
  return !endpoints_.empty();
}

void Client::FillBalancer() {
  std::vector<Endpoint*> all;
  all.reserve(endpoints_.size());
  for (const auto& e : endpoints_) all.push_back(e.get());
  balancer_->Update(all);
}

void Client::Reconfigure(const Options& options, std::unique_ptr<net::Connector> connector) {
  assert(loop_->InLoop());
  const bool renew = connector || options.framing != options_.framing ||
                     options.max_frame_bytes != options_.max_frame_bytes ||
                     options.ttwitter != options_.ttwitter || options.wire != options_.wire ||
                     options.theader_zlib != options_.theader_zlib ||
                     options.mux_fragment != options_.mux_fragment ||
                     options.strip_service_name != options_.strip_service_name ||
                     options.Places(Wire::kThrift) != options_.Places(Wire::kThrift) ||
                     options.Places(Wire::kMux) != options_.Places(Wire::kMux);
  const bool rebalance =
      options.balance != options_.balance || options.max_effort != options_.max_effort;
  options_ = options;
  if (connector) std::swap(connector_, connector);
  std::vector<Endpoint*> all;  // one that is leaving may be gone then
  for (const auto& e : endpoints_) all.push_back(e.get());
  for (const auto& e : leaving_) all.push_back(e.get());
  for (Endpoint* e : all) e->Reconfigure(renew ? connector_.get() : nullptr);
  if (!rebalance) return;
  balancer_ = MakeBalancer(options_, random_);
  FillBalancer();
}

void Client::OnUnused(Endpoint* endpoint) {
  auto it = std::find_if(leaving_.begin(), leaving_.end(),
                         [endpoint](const auto& e) { return e.get() == endpoint; });
  if (it == leaving_.end()) return;
  loop_->DeleteLater(std::move(*it));
  leaving_.erase(it);
}

void Client::Dispatch(call::Call* call) {
  assert(loop_->InLoop());
  budget_.Deposit(loop_->Now());
  Try(call);
}

void Client::Try(call::Call* call) {
  using Kind = naming::Addr::Kind;
  call->step = call::Step::kBalance;
  if (addr_->kind == Kind::kPending) {
    call->holder = this;
    waiting_.Push(call);
    call->Compact();
    if (!wait_timer_.armed()) wait_timer_.ArmAt(call->bind_deadline);
    return;
  }
  if (endpoints_.empty()) return FailUnbound(call);
  Endpoint* endpoint = balancer_->Pick(*call, loop_->Now());
  if (!endpoint) {
    return call->Fail(call::Step::kBalance,
                      base::Status(base::Code::kUnavailable, "every endpoint was tried"));
  }
  ++call->attempts;
  endpoint->Take(call);
}

void Client::FailUnbound(call::Call* call) {
  using Kind = naming::Addr::Kind;
  std::string why = "the set is empty";
  if (addr_->kind == Kind::kNeg) why = "the name is gone";
  if (addr_->kind == Kind::kFailed) why = addr_->cause;
  call->Fail(call::Step::kBalance, base::Status(base::Code::kUnavailable, "no endpoint: " + why));
}

void Client::ServeWaiting() {
  wait_timer_.Cancel();
  // Straight from the queue in which OnCancel looks.
  while (call::Call* call = waiting_.Pop()) {
    call->holder = nullptr;
    Try(call);
  }
}

void Client::OnWaitOver() {
  while (!waiting_.empty() && waiting_.front()->bind_deadline <= loop_->Now()) {
    call::Call* call = waiting_.Pop();
    call->holder = nullptr;
    call->Fail(call::Step::kBalance,
               base::Status(base::Code::kTimeout, "no address within bindingTimeoutMs"));
  }
  if (!waiting_.empty()) wait_timer_.ArmAt(waiting_.front()->bind_deadline);
}

void Client::OnCancel(call::Call* call) { waiting_.Remove(call); }

void Client::OnLost(Endpoint* endpoint, call::Call* call, call::Step step, const base::Status& why,
                    bool left, bool reached) {
  // What was not held whole, or is answered in part, cannot be had again.
  const bool whole = !call->streamed && !call->reply_begun();
  bool may_again = !left || (call->idempotent && whole);
  if (!may_again || call->attempts >= call::Call::kMaxAttempts) return call->Fail(step, why);
  if (!reached) {
    // Nobody was reached there: go to the others, once each. That costs them no more than the call
    // itself would have, so it is not taken from the budget.
    call->tried[call->tried_count++] = endpoint->number();
    if (!endpoints_.empty() && AllTried(*call)) return call->Fail(step, why);
    metrics_.requeues->Add();
    return Try(call);
  }
  TryAgain(call, step, why);
}

void Client::TryAgain(call::Call* call, call::Step step, const base::Status& why) {
  if (!budget_.Withdraw(loop_->Now())) {
    metrics_.budget_exhausted->Add();
    return call->Fail(
        step, base::Status(why.code(), why.message() + "; not sent again: requeueBudget is spent"));
  }
  metrics_.requeues->Add();
  Try(call);
}

// Nothing was done of it, so it goes to the others, once each.
void Client::OnNacked(Endpoint* endpoint, call::Call* call, const base::Status& why) {
  const base::Status failure(base::Code::kUnavailable, why.message());
  if (call->attempts >= call::Call::kMaxAttempts) {
    return call->Fail(call::Step::kDispatch, failure);
  }
  call->tried[call->tried_count++] = endpoint->number();
  if (!endpoints_.empty() && AllTried(*call)) return call->Fail(call::Step::kDispatch, failure);
  TryAgain(call, call::Step::kDispatch, failure);
}

bool Client::AllTried(const call::Call& call) const {
  const uint64_t* end = call.tried + call.tried_count;
  return std::all_of(endpoints_.begin(), endpoints_.end(),
                     [&](const auto& e) { return std::find(call.tried, end, e->number()) != end; });
}

}  // namespace trestle::backend
