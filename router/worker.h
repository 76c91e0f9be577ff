// Worker: one thread with its loop, and on it a share of every router and server: what runs a call
// from its client's socket to its backend's is in one Worker's memory.
//
// A server or router that leaves the Setup lives on until its calls are over.
//
// Lifetime: of the Process; Stop() before it is destroyed. Threading: the public calls come from
// the control loop; they post to the worker's own. Errors: none.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <thread>

#include "base/metrics.h"
#include "base/random.h"
#include "net/address.h"
#include "net/event_loop.h"
#include "net/tcp_transport.h"
#include "router/handshakes.h"
#include "router/names.h"
#include "router/router.h"
#include "router/setup.h"
#include "server/server.h"

namespace trestle::router {

class Worker {
 public:
  Worker(Share share, Names* names, base::MetricsTable* table, const base::Clock* clock,
         uint64_t seed);
  ~Worker();

  void Start(const Setup& setup);
  // Goes over to another setup: what is in both stays, with its connections, and is told what
  // changed.
  void Apply(std::shared_ptr<const Setup> setup);
  // Takes a fresh connection of a server (its id), which its Admission counts already.
  void Accept(uint32_t server, int descriptor, const net::Address& peer);
  // Calls in flight finish; `drained` is called on the worker's loop.
  void Drain(std::function<void()> drained);
  // Ends the thread; connections still open are closed.
  void Stop();
  uint32_t connections() const { return connections_.load(std::memory_order_relaxed); }

  // Set before Start; called on the worker's loop. A server that was full may have room:
  std::function<void(uint32_t server)> on_room;
  // A router that left the setup has no calls any more, and is gone:
  std::function<void(uint32_t router)> on_router_gone;

 private:
  struct Served {
    uint32_t router = 0;
    std::unique_ptr<server::Server> server;
    net::SocketOptions sockets;
    std::shared_ptr<Admission> admission;
    std::unique_ptr<Handshakes> tls;  // null: clear text
    bool tls_at_once = false;         // connections begin with it
  };
  void TakeOver(const Setup& setup);
  void MakeRouter(const Setup& setup, const Setup::Router& router);
  void MakeServer(const Setup& setup, const Setup::Router& router, const Setup::Server& server);
  void SetTls(const Setup::Server& server, base::Scope* scope, Served* served);
  std::unique_ptr<net::Connector> MakeConnector(const conf::ClientOptions& options);
  void Retire(uint32_t server);
  void OnRetired(uint32_t server);
  void DropRouters();
  // Gives memory that a burst took, and that is not needed any more, back to the system.
  void Tidy();

  const Share share_;
  Names* names_;
  base::MetricsTable* table_;
  base::SeededRandom random_;
  net::EventLoop loop_;
  // The worker's thread only, by id.
  std::map<uint32_t, std::unique_ptr<Router>> routers_;
  std::map<uint32_t, Served> servers_;
  std::shared_ptr<const TlsContexts> tls_;  // of the setup
  std::map<uint32_t, Served> leaving_;      // servers that drain
  std::set<uint32_t> wanted_;               // routers of the setup
  std::function<void()> drained_;           // for the last of leaving_
  bool over_ = false;                       // its servers are gone
  std::atomic<uint32_t> connections_{0};
  uint32_t most_connections_ = 0;  // since the last Tidy; the worker's thread only
  net::Timer tidy_;
  std::thread thread_;
};

}  // namespace trestle::router
