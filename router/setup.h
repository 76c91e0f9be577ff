// Setup: what the workers run by at this moment: a configuration, and the ids by which Process
// knows its routers and servers. An id stays with its router or server when the configuration is
// read again, wherever in the file it stands then, and is never given twice.
//
// Lifetime: an immutable snapshot, shared by the workers; Admission lives as long as connections
// that it counts. Threading: read-only, but for Admission. Errors: none.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "backend/probe_table.h"
#include "conf/config.h"
#include "net/address.h"
#include "router/tls_contexts.h"

namespace trestle::router {

// One router's part of a configuration, and the whole that it is part of.
struct RouterPart {
  std::shared_ptr<const conf::Config> whole;
  const conf::RouterConfig* router = nullptr;
  std::shared_ptr<const TlsContexts> tls = nullptr;  // null: nothing of it has TLS
};

// Which of the workers one is: bounds of the configuration are divided among them; and what they
// share.
struct Share {
  uint32_t index = 0, workers = 1;
  backend::ProbeTable* probes = nullptr;
  tls::ClientSessions* sessions = nullptr;
};

// How many connections a server has, and may have. From any thread.
class Admission {
 public:
  explicit Admission(uint32_t max) : max_(max) {}
  // One connection more; true when it is full now.
  bool Enter() { return open_.fetch_add(1) + 1 >= max_.load(); }
  // One less; true when it was full, so that there may be room now.
  bool Leave() { return open_.fetch_sub(1) >= max_.load(); }
  bool full() const { return open_.load() >= max_.load(); }
  void set_max(uint32_t max) { max_.store(max); }
  uint32_t max() const { return max_.load(); }

 private:
  std::atomic<uint32_t> open_{0}, max_;
};

struct Setup {
  struct Server {
    uint32_t id = 0;
    const conf::ServerConfig* config = nullptr;
    net::Address address;  // where it listens; names the metrics
    std::shared_ptr<Admission> admission;
    std::shared_ptr<const tls::ServerContext> tls = nullptr;  // null: clear text
  };
  struct Router {
    uint32_t id = 0;
    const conf::RouterConfig* config = nullptr;
    std::vector<Server> servers;
  };
  std::shared_ptr<const conf::Config> config;  // what the pointers point into
  std::vector<Router> routers;
  std::shared_ptr<const TlsContexts> tls = nullptr;
};

}  // namespace trestle::router
