// Process: the running router: the control loop's parts (names, listeners, admin server) and the
// workers, from the start to the drain.
//
// Lifetime: made, run and destroyed by main on one thread, whose loop is the control loop.
// Threading: the control loop's. Errors: Start tells the first that could not be opened.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "admin/admin_server.h"
#include "base/metrics.h"
#include "conf/config.h"
#include "naming/namer.h"
#include "net/event_loop.h"
#include "net/listener.h"
#include "router/names.h"
#include "router/worker.h"

namespace trestle::router {

class Process {
 public:
  // `config`, `namers` and `loop` outlive it.
  Process(net::EventLoop* loop, const conf::Config& config, const naming::NamerSet* namers,
          std::string version);
  ~Process();

  // Listens on every port and starts the workers; logs the ready line.
  base::Status Start();
  // No new connections; calls in flight have admin.shutdownGraceMs. The loop stops at the end. A
  // second call stops it at once.
  void Drain();
  // Where the servers listen, in the order of the configuration.
  std::vector<net::Address> addresses() const;
  // Connections that were cut at the end of the grace.
  uint32_t connections() const;

 private:
  struct Served {
    std::unique_ptr<net::Listener> listener;
    size_t router = 0, server = 0;
    uint32_t max_connections = 0;
    std::atomic<uint32_t> open{0};
    bool paused = false;
  };
  base::Status Listen();
  base::Status StartAdmin();
  void StartWorkers();
  void OnAccepted(Served* served, int descriptor, const net::Address& peer);
  void OnClosed(Served* served);
  Served* Find(size_t router, size_t server);
  std::string ReadyLine() const;

  net::EventLoop* loop_;
  const conf::Config& config_;
  std::string version_;
  base::Metrics metrics_;
  Names names_;
  std::vector<std::unique_ptr<Served>> served_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<admin::AdminServer> admin_;
  bool draining_ = false;
  size_t undrained_ = 0;
  net::Timer grace_;
};

}  // namespace trestle::router
