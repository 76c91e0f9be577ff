// ServerContext, ClientContext: certificates, keys and rules of one server or client, loaded and
// checked once, and used by all workers.
//
// Lifetime: immutable; shared. A reload makes a new one; connections keep the one they began with.
// Threading: any. Errors: Load tells all that is wrong with the files, for people: each text begins
// with the file's name ("/etc/a.pem: the certificate of CN=a expired on 2026-01-31 12:00:00 UTC").
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "tls/ticket_keys.h"

struct ssl_ctx_st;
struct ssl_st;

namespace trestle::tls {

// Files in PEM.
struct KeyPair {
  std::string cert_path;  // others behind the first certificate go with it
  std::string key_path;   // PKCS#1, PKCS#8 or SEC 1, not encrypted
  std::vector<std::string> intermediate_certs_paths;
};

// "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"; none named: the last two. The first two are broken, and
// naming one takes the library's bounds on weak keys away.
using Protocols = std::vector<std::string>;

struct ServerOptions {
  // Chosen by the name that the client asks for; the first is for all others.
  std::vector<KeyPair> certificates;
  // Clients must have a certificate that `ca_cert_path` (none: the system) vouches for. Otherwise
  // none is asked for.
  bool require_client_auth = false;
  std::string ca_cert_path;
  Protocols protocols;
  std::shared_ptr<TicketKeys> tickets;  // none: no resumption
};

class ServerContext {
 public:
  static base::Result<std::shared_ptr<const ServerContext>> Load(const ServerOptions& options);

  // For each of its certificates, in their order: the end of that, or of one that goes with it if
  // that is sooner.
  const std::vector<base::WallTime>& expires() const { return expires_; }
  // For this folder: the context that connections begin with.
  ssl_ctx_st* first() const { return contexts_[0].get(); }
  // For this folder: takes the certificate that has the name which `ssl`'s client asks for, or a
  // wildcard for it; false when none has, and the first one stays.
  bool Use(ssl_st* ssl, std::string_view asked) const;

 private:
  ServerContext() = default;
  base::Status Add(const ServerOptions& options, const KeyPair& pair);

  std::shared_ptr<TicketKeys> tickets_;
  std::vector<std::shared_ptr<ssl_ctx_st>> contexts_;  // one for each certificate
  std::unordered_map<std::string, size_t> names_;      // "a.example", "*.example"
  std::vector<base::WallTime> expires_;
};

struct ClientOptions {
  bool disable_validation = false;
  // The name that the server's certificate must have: by its SANs, DNS names or addresses. It is
  // also what is asked for (SNI), unless it is an address. Needed, unless validation is off.
  std::string common_name;
  // The subject's common name counts where a certificate has no DNS name among its SANs.
  bool allow_common_name = false;
  // Bundles of whom to trust, intermediates and single servers too; none: the system's.
  std::vector<std::string> trust_certs;
  std::optional<KeyPair> client_auth;
  Protocols protocols;
};

class ClientContext {
 public:
  static base::Result<std::shared_ptr<const ClientContext>> Load(const ClientOptions& options);

  // The same for a server of another name; costs no memory of files or keys.
  std::shared_ptr<const ClientContext> WithName(std::string common_name) const;
  // The earliest end of its own certificates; none without client_auth.
  std::optional<base::WallTime> expires() const { return expires_; }
  const std::string& name() const { return name_; }
  // Another for each Load: a session of one is not resumed under the rules of another.
  uint64_t id() const { return id_; }
  // For this folder.
  ssl_ctx_st* context() const { return context_.get(); }
  // Sets the name that `ssl` asks for and verifies.
  bool Prepare(ssl_st* ssl) const;

 private:
  ClientContext() = default;

  std::shared_ptr<ssl_ctx_st> context_;
  std::string name_;
  bool validates_ = true;
  bool allow_common_name_ = false;
  uint64_t id_ = 0;
  std::optional<base::WallTime> expires_;
};

}  // namespace trestle::tls
