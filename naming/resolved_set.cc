#include "naming/resolved_set.h"

#include <algorithm>

#include "naming/literal.h"

namespace trestle::naming {

ResolvedSet::ResolvedSet(InetResolver* inet, std::function<void()> changed)
    : inet_(inet), changed_(std::move(changed)) {}

void ResolvedSet::Set(std::vector<Endpoint> endpoints) {
  literal_.clear();
  named_.clear();
  std::map<Key, Host> hosts;
  for (Endpoint& e : endpoints) {
    if (auto ip = LiteralIp(e.host)) {
      e.host = *ip;
      literal_.push_back(std::move(e));
      continue;
    }
    Key key(e.host, e.port);
    named_.push_back(std::move(e));
    if (hosts.contains(key)) continue;
    if (auto known = hosts_.find(key); known != hosts_.end()) {
      hosts[key] = std::move(known->second);
      continue;
    }
    Host& host = hosts[key];
    host.addr = inet_->Resolve(key.first, key.second);
    if (host.addr->Get().kind == Addr::Kind::kBound) host.last = host.addr->Get().endpoints;
    host.changed = host.addr->Subscribe([this, key] { OnChange(key); });
  }
  hosts_ = std::move(hosts);
}

void ResolvedSet::OnChange(const Key& key) {
  Host& host = hosts_.at(key);
  if (host.addr->Get().kind == Addr::Kind::kBound) host.last = host.addr->Get().endpoints;
  auto call = changed_;  // which may destroy us
  call();
}

void ResolvedSet::Add(const Endpoint& written, const std::vector<Endpoint>& found,
                      std::vector<Endpoint>* all) {
  for (Endpoint endpoint : found) {
    endpoint.weight = written.weight;
    endpoint.has_weight = written.has_weight;
    all->push_back(std::move(endpoint));
  }
}

Addr ResolvedSet::Value() const {
  std::vector<Endpoint> all = literal_;
  bool pending = false;
  std::string cause;
  for (const Endpoint& e : named_) {
    const Addr& addr = hosts_.at(Key(e.host, e.port)).addr->Get();
    pending |= addr.kind == Addr::Kind::kPending;
    if (addr.kind == Addr::Kind::kFailed && cause.empty()) cause = addr.cause;
    if (addr.kind == Addr::Kind::kBound) Add(e, addr.endpoints, &all);
  }
  if (!all.empty() || named_.empty()) return Addr::Bound(std::move(all));
  if (pending) return Addr::Pending();
  return cause.empty() ? Addr::Neg() : Addr::Failed(std::move(cause));
}

std::vector<Endpoint> ResolvedSet::LastGood() const {
  std::vector<Endpoint> all = literal_;
  for (const Endpoint& e : named_) Add(e, hosts_.at(Key(e.host, e.port)).last, &all);
  return all;
}

bool ResolvedSet::waiting() const {
  return std::any_of(hosts_.begin(), hosts_.end(), [](const auto& host) {
    return host.second.addr->Get().kind == Addr::Kind::kPending;
  });
}

size_t ResolvedSet::unresolved() const {
  return static_cast<size_t>(std::count_if(hosts_.begin(), hosts_.end(), [](const auto& host) {
    return host.second.addr->Get().kind != Addr::Kind::kBound;
  }));
}

std::map<std::string, std::string> ResolvedSet::Unresolved() const {
  std::map<std::string, std::string> unresolved;
  for (const auto& [key, host] : hosts_) {
    const Addr& addr = host.addr->Get();
    if (addr.kind == Addr::Kind::kPending) unresolved[key.first] = "being looked up";
    if (addr.kind == Addr::Kind::kNeg) unresolved[key.first] = "no such host";
    if (addr.kind == Addr::Kind::kFailed) unresolved[key.first] = addr.cause;
  }
  return unresolved;
}

}  // namespace trestle::naming
