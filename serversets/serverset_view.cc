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

std::vector<Endpoint> ServersetView::Picked() const {
  std::vector<Endpoint> endpoints;
  set_->ForEachEntry([&](const naming::ServersetEntry& entry, double weight) {
    if (!naming::IsPicked(entry, weight, endpoint_, shard_)) return;
    endpoints.push_back({entry.host, static_cast<uint16_t>(entry.port), weight, true});
  });
  return endpoints;
}

void ServersetView::Update() {
  const base::TimePoint now = place_->loop->Now();
  std::vector<Endpoint> there = Picked();
  stale_.clear();
  if (there.empty() && !last_good_.empty() && !set_->vanished() && !set_->left_out().empty()) {
    const auto& [member, why] = *set_->left_out().begin();
    stale_ = "no member of " + set_->path() + " is of use: " + member + ": " + why;
    there = last_good_;
  }
  // What a cache had is nothing to hold on to once ZooKeeper has spoken.
  std::vector<Endpoint> served =
      set_->cached() ? there : retention_.Update(there, set_->standing(), now);
  if (set_->cached()) stale_ = set_->path() + " is as the cache had it";
  if (retention_.next()) {
    again_.ArmAt(*retention_.next());
  } else {
    again_.Cancel();
  }
  if (stale_.empty() || set_->cached()) last_good_ = there;
  if (stale_.empty() && retention_.held() > 0) {
    stale_ = std::to_string(retention_.held()) + " that left " + set_->path() + " are kept";
  }
  resolved_.Set(std::move(served));
  Publish();
}

// Hosts that nobody can look up any more leave the last addresses.
Addr ServersetView::Resolve() {
  Addr addr = resolved_.Value();
  if (addr.kind == Addr::Kind::kBound && addr.endpoints.empty()) return Addr::Neg();
  const bool served = value().kind == Addr::Kind::kBound;
  if (addr.kind != Addr::Kind::kBound && served) {
    const std::string why = addr.cause.empty() ? "no host of it resolves" : addr.cause;
    addr = value();
    addr.cause = set_->path() + ": " + why;
  } else {
    addr.cause = addr.kind == Addr::Kind::kBound ? stale_ : addr.cause;
  }
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
