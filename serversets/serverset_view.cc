// ServersetView: from what a set has to the addresses that are served.
#include <algorithm>
#include <cmath>
#include <utility>

#include "serversets/serverset.h"

namespace trestle::serversets {

using naming::Addr;
using naming::Endpoint;

namespace {

// Of the sum of the weights a share is still to be told apart.
constexpr double kMostWeight = 1e6;

}  // namespace

ServersetView::ServersetView(std::shared_ptr<Serverset> set, const ServersetPlace* place,
                             std::optional<std::string> endpoint, std::optional<int32_t> shard)
    : set_(std::move(set)),
      place_(place),
      endpoint_(std::move(endpoint)),
      shard_(shard),
      retention_(place->retention),
      again_(place->loop, [this] { Publish(); }),
      resolved_(place->inet, [this] { Publish(); }) {}

ServersetView::~ServersetView() { place_->metrics.unresolved->Add(-unresolved_); }

std::vector<Endpoint> ServersetView::Picked(Serverset::Which which) const {
  std::vector<Endpoint> endpoints;
  set_->ForEachEntry(which, [&](const naming::ServersetEntry& entry, double weight) {
    if (!naming::IsPicked(entry, weight, endpoint_, shard_)) return;
    if (!std::isfinite(weight)) weight = 1.0;
    weight = std::clamp(weight, 0.0, kMostWeight);
    endpoints.push_back({entry.host, static_cast<uint16_t>(entry.port), weight, true});
  });
  return endpoints;
}

void ServersetView::Update() {
  std::vector<Endpoint> there = Picked(Serverset::Which::kNow);
  stale_.clear();
  if (there.empty() && !set_->left_out().empty()) {
    there = Picked(Serverset::Which::kLastGood);
    const auto& [member, why] = *set_->left_out().begin();
    if (!there.empty()) {
      stale_ = "no member of " + set_->path() + " is of use: " + member + ": " + why;
    }
  }
  if (set_->cached()) stale_ = set_->path() + " is " + set_->stale()->why;
  resolved_.Set(std::move(there));
  Publish();
}

// What there is now, if that is known at all.
Addr ServersetView::Resolve(std::string* cause) const {
  Addr addr = resolved_.Value();
  if (addr.kind == Addr::Kind::kBound) return addr;
  // Hosts that nobody can look up any more leave the last addresses, of all of them.
  std::vector<Endpoint> last = resolved_.LastGood();
  if (last.empty() && value().kind == Addr::Kind::kBound) last = value().endpoints;
  if (last.empty()) return addr;
  *cause = set_->path() + ": " + (addr.cause.empty() ? "no host of it resolves" : addr.cause);
  return Addr::Bound(std::move(last));
}

Addr ServersetView::Serve() {
  if (set_->state() == Serverset::State::kUnknown) return Addr::Pending();
  std::string cause = stale_;
  Addr addr = Resolve(&cause);
  const bool unsure = set_->unread() > 0 || resolved_.waiting();
  const Retention::Set standing = unsure ? Retention::Set::kUnsure : set_->standing();
  addr.endpoints = retention_.Update(addr.endpoints, standing, place_->loop->Now());
  if (retention_.next()) {
    again_.ArmAt(*retention_.next());
  } else {
    again_.Cancel();
  }
  if (cause.empty() && retention_.held() > 0) {
    cause = std::to_string(retention_.held()) + " that left " + set_->path() + " are kept";
  }
  if (addr.endpoints.empty()) {
    if (unsure) return Addr::Pending();
    return addr.kind == Addr::Kind::kBound ? Addr::Neg() : addr;
  }
  addr = Addr::Bound(std::move(addr.endpoints));
  addr.cause = std::move(cause);
  return addr;
}

void ServersetView::Publish() {
  const auto self = shared_from_this();  // a listener may let go of us
  Addr addr = Serve();
  const auto unresolved = static_cast<int64_t>(resolved_.unresolved());
  place_->metrics.unresolved->Add(unresolved - std::exchange(unresolved_, unresolved));
  if (addr == value()) return;
  const bool kind_changed = addr.kind != value().kind;
  addr_.Set(std::move(addr));
  if (kind_changed) NotifyAll();
}

}  // namespace trestle::serversets
