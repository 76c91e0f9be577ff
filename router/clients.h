// Clients: the backend clients of one router on one worker, one for each concrete name in use, and
// the cells that count calls to them.
//
// Lifetime: of its Router; a client that nobody uses is kept for a while, since a dtab that goes
// back and forth should find its connections again. Threading: its worker's loop. Errors: none.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "backend/client.h"
#include "base/metrics.h"
#include "base/random.h"
#include "call/call_metrics.h"
#include "conf/config.h"
#include "net/connector.h"
#include "net/event_loop.h"
#include "router/bound.h"
#include "router/setup.h"
#include "router/use_order.h"

namespace trestle::router {

struct ClientEntry {
  // The cells for calls of the logical name `shown` to this client.
  call::CallMetrics* ForService(std::string_view shown);

  naming::Path id;
  // What the configuration says for it now, to tell what a new one changes.
  backend::Options options;
  bool wants_headers = false;  // what came beside a call may go on to it
  conf::SocketOptions sockets;
  std::optional<conf::ClientTlsConfig> tls;
  uint64_t tls_id = 0;  // of the files behind it
  std::unique_ptr<backend::Client> client;
  base::Scope* scope = nullptr;
  std::unique_ptr<call::CallMetrics> metrics;
  std::unordered_map<base::Scope*, std::unique_ptr<call::CallMetrics>>
      services;        // bounded, as scopes are
  uint32_t users = 0;  // bound names, and calls in flight
  base::TimePoint last_used{};
  ClientEntry *older = nullptr, *newer = nullptr;  // of those that nobody uses
  bool idle = false;
};

class Clients {
 public:
  // How connections to what a client leads to are opened.
  using Connect = std::function<std::unique_ptr<net::Connector>(const conf::ClientOptions&)>;
  Clients(net::EventLoop* loop, RouterPart config, Share share, Connect connect,
          base::Random* random, base::Scope* router_scope);

  // The client of a leaf, with its address brought up to date; one user more. Null when it would be
  // one more than bindingCache.clients and all are in use.
  ClientEntry* Use(const Bound::Leaf& leaf);
  void Use(ClientEntry* entry);
  void Unuse(ClientEntry* entry);
  void OnAddr(const std::string& id, std::shared_ptr<const naming::Addr> addr);
  // Clients for which it says something else than before are told so; their pools stay.
  void Reconfigure(RouterPart config);
  // Drops what nobody used for long.
  void Sweep();
  size_t size() const { return clients_.size(); }

 private:
  const conf::BindingCacheConfig& bounds() const { return config_.router->binding_cache; }
  backend::Options OptionsOf(const conf::ClientOptions& says) const;
  // What its connections are opened with is the same as before; else it is taken over.
  bool SameWay(const conf::ClientOptions& says, ClientEntry* entry) const;
  std::unique_ptr<ClientEntry> Make(const Bound::Leaf& leaf);
  // Drops the one that nobody uses for longest; false when all are in use.
  bool EvictOldest();
  void Drop(ClientEntry* entry);

  net::EventLoop* loop_;
  RouterPart config_;
  Share share_;
  Connect connect_;
  base::Random* random_;
  base::Scope* scope_;
  base::Counter *misses_, *evicts_, *expires_;
  std::unordered_map<std::string, std::unique_ptr<ClientEntry>> clients_;  // by the shown id
  UseOrder<ClientEntry> unused_;
};

}  // namespace trestle::router
