// ServersetView: from what a set has to the addresses that are served.
#include <utility>

#include "serversets/serverset.h"

namespace trestle::serversets {

using naming::Addr;
using naming::Endpoint;

ServersetView::ServersetView(std::shared_ptr<Serverset> set, const ServersetPlace* place,
                             std::optional<std::string> endpoint, std::optional<int32_t> shard)
    : set_(std::move(set)),
      place_(place),
      endpoint_(std::move(endpoint)),
      shard_(shard),
      retention_(place->retention),
      again_(place->loop, [this] { Update(); }),
      resolved_(place->inet, [this] { Publish(); }) {}

std::vector<Endpoint> ServersetView::Picked(Serverset::Which which) const {
  std::vector<Endpoint> endpoints;
  set_->ForEachEntry(which, [&](const naming::ServersetEntry& entry, double weight) {
    if (!naming::IsPicked(entry, weight, endpoint_, shard_)) return;
    endpoints.push_back({entry.host, static_cast<uint16_t>(entry.port), weight, true});
  });
  return endpoints;
}

void ServersetView::Update() {
  std::vector<Endpoint> there = Picked(Serverset::Which::kNow);
  stale_.clear();
  if (there.empty() && !set_->vanished() && !set_->left_out().empty()) {
    there = Picked(Serverset::Which::kLastGood);
    const auto& [member, why] = *set_->left_out().begin();
    stale_ = "no member of " + set_->path() + " is of use: " + member + ": " + why;
  }
  if (set_->cached()) {
    // Nothing to hold on to once ZooKeeper has spoken.
    stale_ = set_->path() + " is as the cache had it";
    again_.Cancel();
  } else {
    there = retention_.Update(there, set_->standing(), place_->loop->Now());
    if (stale_.empty() && retention_.held() > 0) {
      stale_ = std::to_string(retention_.held()) + " that left " + set_->path() + " are kept";
    }
    if (retention_.next()) {
      again_.ArmAt(*retention_.next());
    } else {
      again_.Cancel();
    }
  }
  resolved_.Set(std::move(there));
  Publish();
}

// Hosts that nobody can look up any more leave the last addresses, of all of them.
Addr ServersetView::Resolve() {
  Addr addr = resolved_.Value();
  if (addr.kind == Addr::Kind::kBound) {
    if (addr.endpoints.empty()) return Addr::Neg();
    addr.cause = stale_;
    return addr;
  }
  std::vector<Endpoint> last = resolved_.LastGood();
  if (last.empty() && value().kind == Addr::Kind::kBound) last = value().endpoints;
  if (last.empty()) return addr;
  const std::string why = addr.cause.empty() ? "no host of it resolves" : addr.cause;
  addr = Addr::Bound(std::move(last));
  addr.cause = set_->path() + ": " + why;
  return addr;
}

void ServersetView::Publish() {
  const auto self = shared_from_this();  // a listener may let go of us
  Addr addr = set_->state() == Serverset::State::kUnknown ? Addr::Pending() : Resolve();
  if (addr == value()) return;
  const bool kind_changed = addr.kind != value().kind;
  addr_.Set(std::move(addr));
  if (kind_changed) NotifyAll();
}

}  // namespace trestle::serversets
