#include "router/clients.h"

#include <utility>

#include "conf/options.h"
#include "router/options.h"

namespace trestle::router {
namespace {

// As Linkerd names a client's scope: without the first slash.
std::string_view ScopeName(std::string_view shown) {
  if (!shown.empty()) shown.remove_prefix(1);
  return shown;
}

bool WantsHeaders(const backend::Options& options) {
  return options.ttwitter || options.wire != backend::Wire::kThrift;
}

}  // namespace

call::CallMetrics* ClientEntry::ForService(std::string_view shown) {
  std::unique_ptr<call::CallMetrics>& cells =
      services[scope->Labelled("service", ScopeName(shown))];
  if (!cells)
    cells = std::make_unique<call::CallMetrics>(scope->Labelled("service", ScopeName(shown)));
  return cells.get();
}

Clients::Clients(net::EventLoop* loop, RouterPart config, Share share, Connect connect,
                 base::Random* random, base::Scope* router_scope)
    : loop_(loop),
      config_(std::move(config)),
      share_(share),
      connect_(std::move(connect)),
      random_(random),
      scope_(router_scope) {
  base::Scope* s = router_scope->Child("bindcache")->Child("client");
  misses_ = s->counter("misses");
  evicts_ = s->counter("evicts");
  expires_ = s->counter("expires");
}

backend::Options Clients::OptionsOf(const conf::ClientOptions& says) const {
  backend::Options options =
      ToBackendOptions(*config_.whole, *config_.router, says, share_.index, share_.workers);
  options.probes = share_.probes;
  return options;
}

bool Clients::SameWay(const conf::ClientOptions& says, ClientEntry* entry) const {
  const uint64_t tls_id = config_.tls ? config_.tls->IdOf(says.tls) : 0;
  const bool same =
      entry->sockets == says.socket_options && entry->tls == says.tls && entry->tls_id == tls_id;
  entry->sockets = says.socket_options;
  entry->tls = says.tls;
  entry->tls_id = tls_id;
  return same;
}

std::unique_ptr<ClientEntry> Clients::Make(const Bound::Leaf& leaf) {
  const conf::ClientOptions says = conf::ResolveClient(config_.router->client, leaf.id);
  auto entry = std::make_unique<ClientEntry>();
  entry->id = leaf.id;
  entry->options = OptionsOf(says);
  entry->wants_headers = WantsHeaders(entry->options);
  SameWay(says, entry.get());
  entry->scope = scope_->Labelled("client", ScopeName(leaf.shown));
  entry->metrics = std::make_unique<call::CallMetrics>(entry->scope);
  entry->client = std::make_unique<backend::Client>(loop_, leaf.shown, entry->options,
                                                    connect_(says), random_, entry->scope);
  return entry;
}

ClientEntry* Clients::Use(const Bound::Leaf& leaf) {
  auto known = clients_.find(leaf.shown);
  if (known == clients_.end()) {
    if (clients_.size() >= bounds().clients && !EvictOldest()) return nullptr;
    misses_->Add();
    known = clients_.emplace(leaf.shown, Make(leaf)).first;
  }
  ClientEntry* used = known->second.get();
  Use(used);
  used->client->Update(leaf.addr);
  return used;
}

void Clients::Use(ClientEntry* entry) {
  if (entry->users++ == 0) unused_.Remove(entry);
}

void Clients::Unuse(ClientEntry* entry) {
  if (--entry->users > 0) return;
  entry->last_used = loop_->Now();
  unused_.Add(entry);
}

void Clients::OnAddr(const std::string& id, std::shared_ptr<const naming::Addr> addr) {
  auto it = clients_.find(id);
  if (it != clients_.end()) it->second->client->Update(std::move(addr));
}

void Clients::Reconfigure(RouterPart config) {
  config_ = std::move(config);
  for (auto& [shown, entry] : clients_) {
    const conf::ClientOptions says = conf::ResolveClient(config_.router->client, entry->id);
    const backend::Options options = OptionsOf(says);
    const bool same_way = SameWay(says, entry.get());
    if (options == entry->options && same_way) continue;
    entry->options = options;
    entry->wants_headers = WantsHeaders(options);
    // Without another connector the connections may stay.
    entry->client->Reconfigure(options, same_way ? nullptr : connect_(says));
  }
  while (clients_.size() > bounds().clients && EvictOldest()) {
  }
}

bool Clients::EvictOldest() {
  ClientEntry* oldest = unused_.oldest();
  if (!oldest) return false;
  evicts_->Add();
  Drop(oldest);
  return true;
}

void Clients::Sweep() {
  for (ClientEntry* oldest = unused_.oldest(); oldest; oldest = unused_.oldest()) {
    if (loop_->Now() - oldest->last_used < bounds().idle_ttl) return;
    expires_->Add();
    Drop(oldest);
  }
}

void Clients::Drop(ClientEntry* entry) {
  unused_.Remove(entry);
  auto it = clients_.find(entry->client->id());
  loop_->DeleteLater(std::move(it->second));
  clients_.erase(it);
}

}  // namespace trestle::router
