// Clients: the backend clients of one router on one worker, one for each concrete name in use, and
// the cells that count calls to them.
//
// Lifetime: of its Router; a client that nobody uses is kept for a while, since a dtab that goes
// back and forth should find its connections again. Threading: its worker's loop. Errors: none.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "backend/client.h"
#include "base/metrics.h"
#include "call/call_metrics.h"
#include "conf/config.h"
#include "net/connector.h"
#include "net/event_loop.h"
#include "router/bound.h"

namespace trestle::router {

struct ClientEntry {
  // The cells for calls of the logical name `shown` to this client.
  call::CallMetrics* ForService(std::string_view shown);

  std::unique_ptr<backend::Client> client;
  base::Scope* scope = nullptr;
  std::unique_ptr<call::CallMetrics> metrics;
  std::unordered_map<base::Scope*, std::unique_ptr<call::CallMetrics>>
      services;        // bounded, as scopes are
  uint32_t users = 0;  // bound names, and calls in flight
  base::TimePoint last_used{};
};

class Clients {
 public:
  // What makes a client of an id: its options, divided among workers, and its connector.
  using Make =
      std::function<std::unique_ptr<backend::Client>(const naming::Path& id, base::Scope* scope)>;
  Clients(net::EventLoop* loop, Make make, base::Scope* router_scope,
          const conf::BindingCacheConfig& bounds);

  // The client of a leaf, with its address brought up to date; one user more. Null when it would be
  // one more than bindingCache.clients and all are in use.
  ClientEntry* Use(const Bound::Leaf& leaf);
  void Unuse(ClientEntry* entry);
  void OnAddr(const std::string& id, std::shared_ptr<const naming::Addr> addr);
  // Drops what nobody used for long.
  void Sweep();
  size_t size() const { return clients_.size(); }

 private:
  // Drops the one that nobody uses for longest; false when all are in use.
  bool EvictOldest();

  net::EventLoop* loop_;
  Make make_;
  base::Scope* scope_;
  uint32_t max_;
  base::Duration idle_ttl_;
  base::Counter *misses_, *evicts_, *expires_;
  std::unordered_map<std::string, std::unique_ptr<ClientEntry>> clients_;
};

}  // namespace trestle::router
