// Process: the running router: the control loop's parts (names, listeners, admin server) and the
// workers, from the start over reloads to the drain.
//
// Lifetime: made, run and destroyed by main on one thread, whose loop is the control loop.
// Threading: the control loop's. Errors: Start and Reload tell all that could not be opened.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "admin/admin_server.h"
#include "base/metrics.h"
#include "conf/config.h"
#include "naming/namer.h"
#include "net/event_loop.h"
#include "router/announcers.h"
#include "router/derivation.h"
#include "router/listeners.h"
#include "router/names.h"
#include "router/tls_watch.h"
#include "router/worker.h"

namespace trestle::router {

class Process {
 public:
  using Config = std::shared_ptr<const conf::Config>;
  // What is bound with them keeps the namers alive.
  using Namers = std::shared_ptr<const naming::NamerSet>;

  // What the configuration's certificates are, and what reads them again.
  struct Tls {
    TlsState* state = nullptr;                    // outlives it
    std::shared_ptr<const TlsContexts> contexts;  // of the configuration; null: it names none
    std::string file;                             // the configuration's, for errors
  };

  // `loop` and `metrics` outlive it.
  Process(net::EventLoop* loop, base::Metrics* metrics, Config config, Namers namers, Tls tls,
          std::string version);
  ~Process();

  // Listens on every port and starts the workers; logs the ready line.
  std::vector<base::Status> Start();
  // Goes over to another configuration, as far as that can be done without a new process; what
  // cannot is logged. With errors, nothing is changed. Not while draining.
  std::vector<base::Status> Reload(Config config, Namers namers,
                                   std::shared_ptr<const TlsContexts> tls = nullptr);
  // For the metrics: there was something wrong in what should have been loaded.
  void CountFailedReload();
  // What is announced is taken away first, and others have a moment to hear of it. Then there are
  // no new connections; calls in flight have the rest of admin.shutdownGraceMs. The loop stops at
  // the end. A second call stops it at once.
  void Drain();
  bool draining() const { return draining_; }
  // Those in use; null: there are none.
  const std::shared_ptr<const TlsContexts>& tls() const { return setup_.tls; }
  // Where the servers listen, in the order of the configuration.
  std::vector<net::Address> addresses() const { return listeners_.addresses(); }
  // Connections that were cut at the end of the grace.
  uint32_t connections() const;

 private:
  base::Status StartAdmin();
  void Delegate(const admin::DelegateRequest& request, admin::DelegateAnswer answer);
  std::optional<std::string> NamerState(const std::string& prefix) const;
  void StartWorkers();
  // Gives the servers of `setup` their certificates.
  static void SetTls(std::shared_ptr<const TlsContexts> tls, Setup* setup);
  void OnTlsFiles();
  Setup MakeSetup(const Config& config);
  void OnAccepted(uint32_t server, int descriptor, const net::Address& peer);
  void OnRouterGone(uint32_t router);
  void Close();
  void WarnOfRestart(const conf::Config& config) const;
  std::string ReadyLine() const;

  net::EventLoop* loop_;
  Config config_;
  const Config started_;  // what holds until there is a new process is there
  std::string version_;
  base::Metrics* metrics_;
  base::MetricsTable* table_;  // the control loop's
  base::Counter *reloads_, *failed_reloads_;
  base::Gauge* last_reload_ok_;
  uint32_t next_router_ = 1;
  std::map<std::string, uint32_t> routers_;  // ids by label
  std::map<uint32_t, size_t> leaving_;       // routers by id: the workers that have them still
  Setup setup_;
  Tls tls_;
  base::Counter *tls_reloads_, *failed_tls_reloads_;
  base::Gauge* last_tls_ok_;
  std::optional<uint64_t> bad_tls_;  // the digest of files that could not be used
  TlsWatch tls_watch_;
  Names names_;
  Derivations derivations_;
  Listeners listeners_;
  backend::ProbeTable probes_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<admin::AdminServer> admin_;
  Announcers announcers_;
  bool draining_ = false;
  size_t undrained_ = 0;
  net::Timer grace_;
};

}  // namespace trestle::router
