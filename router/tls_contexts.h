// TlsContexts: the certificates, keys and rules that a configuration names, loaded from their files
// and checked; what has not changed since the last time is the same object still.
//
// Lifetime: an immutable snapshot, shared by the workers; TlsState is the process's. Threading:
// loading on the control loop, reading anywhere. Errors: as problems of the configuration, at the
// key that names the file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "conf/config.h"
#include "conf/problem.h"
#include "tls/context.h"
#include "tls/sessions.h"
#include "tls/ticket_keys.h"

namespace trestle::router {

// What outlives a reload: sessions that are known, on either side.
struct TlsState {
  explicit TlsState(const base::Clock* clock) : tickets(std::make_shared<tls::TicketKeys>(clock)) {}
  const std::shared_ptr<tls::TicketKeys> tickets;
  tls::ClientSessions sessions;
};

class TlsContexts {
 public:
  // `before` may be null; `file` names the configuration in the problems.
  static std::shared_ptr<const TlsContexts> Load(const conf::Config& config,
                                                 const std::string& file, const TlsState& state,
                                                 const TlsContexts* before,
                                                 std::vector<conf::Problem>* problems);

  // Of a configuration that Load was given.
  std::shared_ptr<const tls::ServerContext> Of(const conf::ServerTlsConfig& config) const;
  // For a server of the name that `config` has.
  std::shared_ptr<const tls::ClientContext> Of(const conf::ClientTlsConfig& config) const;
  // Another one for another context; 0: no TLS.
  uint64_t IdOf(const std::optional<conf::ClientTlsConfig>& config) const;

  // Of all the files that `config` names, as they are now.
  static uint64_t DigestOf(const conf::Config& config);
  // All of it is what `other` has, too.
  bool Same(const TlsContexts& other) const;
  // All that was read.
  std::vector<std::string> files() const;
  struct Expiry {
    std::string cert_path;
    base::WallTime at;
  };
  std::vector<Expiry> expiries() const;

 private:
  template <class Config, class Context>
  struct Entry {
    Config config;
    uint64_t digest;  // of the files
    std::shared_ptr<const Context> context;
  };
  using Server = Entry<conf::ServerTlsConfig, tls::ServerContext>;
  using Client = Entry<conf::ClientTlsConfig, tls::ClientContext>;

  void AddServer(const conf::ServerTlsConfig& config, const std::string& file,
                 const TlsState& state, const TlsContexts* before,
                 std::vector<conf::Problem>* problems);
  void AddClient(const conf::ClientTlsConfig& config, const std::string& file,
                 const TlsContexts* before, std::vector<conf::Problem>* problems);
  const Client* Find(const conf::ClientTlsConfig& config) const;

  std::vector<Server> servers_;
  std::vector<Client> clients_;  // without names
};

}  // namespace trestle::router
