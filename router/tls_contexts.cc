#include "router/tls_contexts.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

namespace trestle::router {
namespace {

using conf::ClientTlsConfig;
using conf::ServerTlsConfig;

constexpr size_t kMostBytes = 16 << 20;

std::vector<std::string> FilesOf(const conf::CertificateConfig& certificate) {
  std::vector<std::string> files = {certificate.cert_path.value, certificate.key_path.value};
  for (const auto& path : certificate.intermediate_certs_paths) files.push_back(path.value);
  return files;
}

std::vector<std::string> FilesOf(const ServerTlsConfig& config) {
  std::vector<std::string> files;
  for (const auto& certificate : config.certificates) {
    for (std::string& file : FilesOf(certificate)) files.push_back(std::move(file));
  }
  if (!config.ca_cert_path.value.empty()) files.push_back(config.ca_cert_path.value);
  return files;
}

std::vector<std::string> FilesOf(const ClientTlsConfig& config) {
  std::vector<std::string> files;
  for (const auto& path : config.trust_certs) files.push_back(path.value);
  if (config.client_auth) {
    for (std::string& file : FilesOf(*config.client_auth)) files.push_back(std::move(file));
  }
  return files;
}

// Of what is in the files, in their order; what cannot be read is told by who loads it.
uint64_t DigestOf(const std::vector<std::string>& files) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const std::string& file : files) {
    std::ifstream in(file, std::ios::binary);
    size_t read = 0;
    for (std::istreambuf_iterator<char> at(in), end; at != end && read < kMostBytes; ++at, ++read) {
      hash = (hash ^ static_cast<uint8_t>(*at)) * 0x100000001b3;
    }
    hash = (hash ^ 0x100) * 0x100000001b3;
  }
  return hash;
}

tls::KeyPair PairOf(const conf::CertificateConfig& certificate) {
  tls::KeyPair pair{certificate.cert_path.value, certificate.key_path.value, {}};
  for (const auto& path : certificate.intermediate_certs_paths) {
    pair.intermediate_certs_paths.push_back(path.value);
  }
  return pair;
}

// The key that is nearest to what is wrong.
const conf::Located<std::string>& CulpritOf(const ServerTlsConfig& config) {
  return config.certificates.front().cert_path;
}
const conf::Located<std::string>& CulpritOf(const ClientTlsConfig& config) {
  if (!config.trust_certs.empty()) return config.trust_certs.front();
  return config.client_auth ? config.client_auth->cert_path : config.common_name;
}

// Whatever the name.
ClientTlsConfig Nameless(ClientTlsConfig config) {
  config.common_name = {};
  return config;
}

template <class Entries, class Config>
auto FindIn(const Entries& entries, const Config& config) {
  return std::find_if(entries.begin(), entries.end(),
                      [&config](const auto& entry) { return entry.config == config; });
}

}  // namespace

std::shared_ptr<const TlsContexts> TlsContexts::Load(const conf::Config& config,
                                                     const std::string& file, const TlsState& state,
                                                     const TlsContexts* before,
                                                     std::vector<conf::Problem>* problems) {
  auto contexts = std::make_shared<TlsContexts>();
  for (const conf::RouterConfig& router : config.routers) {
    for (const conf::ServerConfig& server : router.servers) {
      if (server.tls) contexts->AddServer(*server.tls, file, state, before, problems);
    }
    for (const conf::ClientEntry& entry : router.client.entries) {
      if (entry.tls && entry.tls->enabled) {
        contexts->AddClient(*entry.tls, file, before, problems);
      }
    }
  }
  return contexts;
}

void TlsContexts::AddServer(const ServerTlsConfig& config, const std::string& file,
                            const TlsState& state, const TlsContexts* before,
                            std::vector<conf::Problem>* problems) {
  if (FindIn(servers_, config) != servers_.end()) return;
  const uint64_t digest = DigestOf(FilesOf(config));
  if (before) {
    const auto known = FindIn(before->servers_, config);
    if (known != before->servers_.end() && known->digest == digest) {
      return servers_.push_back(*known);
    }
  }
  tls::ServerOptions options;
  for (const auto& certificate : config.certificates) {
    options.certificates.push_back(PairOf(certificate));
  }
  options.require_client_auth = config.require_client_auth;
  options.ca_cert_path = config.ca_cert_path.value;
  options.protocols = config.protocols;
  options.tickets = state.tickets;
  auto context = tls::ServerContext::Load(options);
  if (!context.ok()) {
    return problems->push_back(CulpritOf(config).Wrong(file, context.status().message()));
  }
  servers_.push_back({config, digest, *std::move(context)});
}

void TlsContexts::AddClient(const ClientTlsConfig& named, const std::string& file,
                            const TlsContexts* before, std::vector<conf::Problem>* problems) {
  const ClientTlsConfig config = Nameless(named);
  if (FindIn(clients_, config) != clients_.end()) return;
  const uint64_t digest = DigestOf(FilesOf(config));
  if (before) {
    const auto known = FindIn(before->clients_, config);
    if (known != before->clients_.end() && known->digest == digest) {
      return clients_.push_back(*known);
    }
  }
  tls::ClientOptions options;
  options.disable_validation = config.disable_validation;
  options.common_name = named.common_name.value;
  options.allow_common_name = config.allow_common_name;
  for (const auto& path : config.trust_certs) options.trust_certs.push_back(path.value);
  if (config.client_auth) options.client_auth = PairOf(*config.client_auth);
  options.protocols = config.protocols;
  auto context = tls::ClientContext::Load(options);
  if (!context.ok()) {
    return problems->push_back(CulpritOf(named).Wrong(file, context.status().message()));
  }
  clients_.push_back({config, digest, *std::move(context)});
}

std::shared_ptr<const tls::ServerContext> TlsContexts::Of(const ServerTlsConfig& config) const {
  const auto known = FindIn(servers_, config);
  return known == servers_.end() ? nullptr : known->context;
}

const TlsContexts::Client* TlsContexts::Find(const ClientTlsConfig& config) const {
  const auto known = FindIn(clients_, Nameless(config));
  return known == clients_.end() ? nullptr : &*known;
}

std::shared_ptr<const tls::ClientContext> TlsContexts::Of(const ClientTlsConfig& config) const {
  const Client* known = Find(config);
  return known ? known->context->WithName(config.common_name.value) : nullptr;
}

uint64_t TlsContexts::IdOf(const std::optional<ClientTlsConfig>& config) const {
  const Client* known = config ? Find(*config) : nullptr;
  return known ? known->context->id() : 0;
}

bool TlsContexts::Same(const TlsContexts& other) const {
  const auto same = [](const auto& a, const auto& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const auto& x, const auto& y) { return x.context == y.context; });
  };
  return same(servers_, other.servers_) && same(clients_, other.clients_);
}

std::vector<std::string> TlsContexts::files() const {
  std::vector<std::string> files;
  const auto add = [&files](const auto& entries) {
    for (const auto& entry : entries) {
      for (std::string& file : FilesOf(entry.config)) files.push_back(std::move(file));
    }
  };
  add(servers_);
  add(clients_);
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  return files;
}

std::vector<TlsContexts::Expiry> TlsContexts::expiries() const {
  std::vector<Expiry> all;
  for (const Server& server : servers_) {
    all.push_back({server.config.certificates.front().cert_path.value, server.context->expires()});
  }
  for (const Client& client : clients_) {
    const auto at = client.context->expires();
    if (at) all.push_back({client.config.client_auth->cert_path.value, *at});
  }
  return all;
}

}  // namespace trestle::router
