#include "router/clients.h"

#include <utility>

namespace trestle::router {
namespace {

// As Linkerd names a client's scope: without the first slash.
std::string_view ScopeName(std::string_view shown) {
  if (!shown.empty()) shown.remove_prefix(1);
  return shown;
}

}  // namespace

call::CallMetrics* ClientEntry::ForService(std::string_view shown) {
  std::unique_ptr<call::CallMetrics>& cells =
      services[scope->Labelled("service", ScopeName(shown))];
  if (!cells)
    cells = std::make_unique<call::CallMetrics>(scope->Labelled("service", ScopeName(shown)));
  return cells.get();
}

Clients::Clients(net::EventLoop* loop, Make make, base::Scope* router_scope,
                 const conf::BindingCacheConfig& bounds)
    : loop_(loop),
      make_(std::move(make)),
      scope_(router_scope),
      max_(bounds.clients),
      idle_ttl_(bounds.idle_ttl) {
  base::Scope* s = router_scope->Child("bindcache")->Child("client");
  misses_ = s->counter("misses");
  evicts_ = s->counter("evicts");
  expires_ = s->counter("expires");
}

ClientEntry* Clients::Use(const Bound::Leaf& leaf) {
  auto known = clients_.find(leaf.shown);
  if (known == clients_.end()) {
    if (clients_.size() >= max_ && !EvictOldest()) return nullptr;
    known = clients_.emplace(leaf.shown, nullptr).first;
  }
  std::unique_ptr<ClientEntry>& entry = known->second;
  if (!entry) {
    misses_->Add();
    entry = std::make_unique<ClientEntry>();
    entry->scope = scope_->Labelled("client", ScopeName(leaf.shown));
    entry->metrics = std::make_unique<call::CallMetrics>(entry->scope);
    entry->client = make_(leaf.id, entry->scope);
  }
  ClientEntry* used = entry.get();
  ++used->users;
  used->client->Update(leaf.addr);
  return used;
}

void Clients::Unuse(ClientEntry* entry) {
  --entry->users;
  entry->last_used = loop_->Now();
}

void Clients::OnAddr(const std::string& id, std::shared_ptr<const naming::Addr> addr) {
  auto it = clients_.find(id);
  if (it != clients_.end()) it->second->client->Update(std::move(addr));
}

bool Clients::EvictOldest() {
  auto oldest = clients_.end();
  for (auto it = clients_.begin(); it != clients_.end(); ++it) {
    if (it->second->users > 0) continue;
    if (oldest == clients_.end() || it->second->last_used < oldest->second->last_used) oldest = it;
  }
  if (oldest == clients_.end()) return false;
  evicts_->Add();
  loop_->DeleteLater(std::move(oldest->second));
  clients_.erase(oldest);
  return true;
}

void Clients::Sweep() {
  for (auto it = clients_.begin(); it != clients_.end();) {
    ClientEntry& e = *it->second;
    if (e.users > 0 || loop_->Now() - e.last_used < idle_ttl_) {
      ++it;
      continue;
    }
    expires_->Add();
    loop_->DeleteLater(std::move(it->second));
    it = clients_.erase(it);
  }
}

}  // namespace trestle::router
