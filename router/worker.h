// Worker: one thread with its loop, and on it a share of every router and server: what runs a call
// from its client's socket to its backend's is in one Worker's memory.
//
// Lifetime: of the Process; Stop() before it is destroyed. Threading: the public calls come from
// the control loop; they post to the worker's own. Errors: none.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/metrics.h"
#include "base/random.h"
#include "conf/config.h"
#include "net/address.h"
#include "net/event_loop.h"
#include "router/names.h"
#include "router/router.h"
#include "server/server.h"

namespace trestle::router {

class Worker {
 public:
  Worker(const conf::Config& config, uint32_t index, uint32_t workers, Names* names,
         base::MetricsTable* table, const base::Clock* clock, uint64_t seed);
  ~Worker();

  // `addresses`: of each server, in the order of the configuration (they name the metrics).
  void Start(const std::vector<std::vector<net::Address>>& addresses);
  // Takes a fresh connection of a server; `closed` is called from the worker's loop at its end.
  void Accept(size_t router, size_t server, int descriptor, const net::Address& peer);
  // Calls in flight finish; `drained` is called on the worker's loop.
  void Drain(std::function<void()> drained);
  // Ends the thread; connections still open are closed.
  void Stop();
  uint32_t connections() const { return connections_.load(std::memory_order_relaxed); }
  // Called on the worker's loop whenever a client connection has ended; set before Start.
  std::function<void(size_t router, size_t server)> on_closed;

 private:
  struct Served {
    std::unique_ptr<Router> router;
    std::vector<std::unique_ptr<server::Server>> servers;
  };
  void MakeRouter(size_t r, const std::vector<net::Address>& addresses);

  const conf::Config& config_;
  uint32_t index_, workers_;
  Names* names_;
  base::MetricsTable* table_;
  base::SeededRandom random_;
  net::EventLoop loop_;
  std::vector<Served> served_;
  bool over_ = false;  // the worker's thread only: its servers are gone
  std::atomic<uint32_t> connections_{0};
  std::thread thread_;
};

}  // namespace trestle::router
