#include "router/tls_contexts.h"

#include <algorithm>
#include <utility>

#include "net/read_file.h"

namespace trestle::router {
namespace {

using conf::ClientTlsConfig;
using conf::ServerTlsConfig;

constexpr size_t kMostBytes = 16 << 20;

using Paths = std::vector<conf::Located<std::string>>;

// Each path that a configuration has, in its order.
void AddPaths(const conf::CertificateConfig& certificate, Paths* paths) {
  paths->push_back(certificate.cert_path);
  paths->push_back(certificate.key_path);
  for (const auto& path : certificate.intermediate_certs_paths) paths->push_back(path);
}

Paths PathsOf(const ServerTlsConfig& config) {
  Paths paths;
  for (const auto& certificate : config.certificates) AddPaths(certificate, &paths);
  if (!config.ca_cert_path.value.empty()) paths.push_back(config.ca_cert_path);
  return paths;
}

Paths PathsOf(const ClientTlsConfig& config) {
  Paths paths = config.trust_certs;
  if (config.client_auth) AddPaths(*config.client_auth, &paths);
  return paths;
}

// Of what is in the files, in their order; what cannot be read is told by who loads it.
uint64_t DigestOfFiles(const Paths& paths) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const auto& path : paths) {
    const net::FileContents file = net::ReadFile(path.value, kMostBytes);
    for (const char c : file.text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
    hash = (hash ^ 0x100 ^ static_cast<uint64_t>(file.error) << 16) * 0x100000001b3;
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

// Where something else begins in what is wrong with the files, and whose path it is about.
struct Found {
  size_t at;
  const conf::Located<std::string>* path;
};

Found NextIn(const std::string& wrong, size_t from, const Paths& paths) {
  Found first{std::string::npos, nullptr};
  for (const auto& path : paths) {
    const std::string begin = path.value + ": ";
    size_t at = wrong.find(begin, from);
    while (at != std::string::npos && at > 0 && !wrong.substr(0, at).ends_with("; ")) {
      at = wrong.find(begin, at + 1);
    }
    if (at < first.at) first = {at, &path};
  }
  return first;
}

// One problem for each file that `wrong` tells of, with the key that names the file; what it tells
// of none is a problem of `else_at`.
void AddProblems(const std::string& wrong, const Paths& paths,
                 const conf::Located<std::string>& else_at, const std::string& file,
                 std::vector<conf::Problem>* problems) {
  Found found = NextIn(wrong, 0, paths);
  if (found.at != 0) return problems->push_back(else_at.Wrong(file, wrong));
  while (found.path) {
    const Found next = NextIn(wrong, found.at + 1, paths);
    const size_t end = next.path ? next.at - 2 : wrong.size();
    problems->push_back(found.path->Wrong(file, wrong.substr(found.at, end - found.at)));
    found = next;
  }
}

// What lacks one is a problem that was told by who read the configuration.
template <class Config>
bool HasPaths(const Config& config) {
  const Paths paths = PathsOf(config);
  return std::none_of(paths.begin(), paths.end(), [](const auto& p) { return p.value.empty(); });
}
bool HasPaths(const ServerTlsConfig& config) {
  return !config.certificates.empty() && HasPaths<>(config);
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

// Whether it is there in `before`, of the same files; then it is the same object still.
template <class Entries, class Config>
bool TakeOver(const Entries& before, const Config& config, uint64_t digest, Entries* to) {
  const auto known = FindIn(before, config);
  if (known == before.end() || known->digest != digest) return false;
  to->push_back(*known);
  return true;
}

// Calls with what each server, and each entry of a client, says of TLS.
template <class OnServer, class OnClient>
void EachTls(const conf::Config& config, OnServer on_server, OnClient on_client) {
  for (const conf::RouterConfig& router : config.routers) {
    for (const conf::ServerConfig& server : router.servers) {
      if (server.tls) on_server(*server.tls);
    }
    for (const conf::ClientEntry& entry : router.client.entries) {
      if (entry.tls && entry.tls->enabled) on_client(*entry.tls);
    }
  }
}

}  // namespace

std::shared_ptr<const TlsContexts> TlsContexts::Load(const conf::Config& config,
                                                     const std::string& file, const TlsState& state,
                                                     const TlsContexts* before,
                                                     std::vector<conf::Problem>* problems) {
  auto contexts = std::make_shared<TlsContexts>();
  EachTls(
      config, [&](const auto& says) { contexts->AddServer(says, file, state, before, problems); },
      [&](const auto& says) { contexts->AddClient(says, file, before, problems); });
  return contexts;
}

uint64_t TlsContexts::DigestOf(const conf::Config& config) {
  Paths paths;
  const auto add = [&paths](const auto& says) {
    const Paths more = PathsOf(says);
    paths.insert(paths.end(), more.begin(), more.end());
  };
  EachTls(config, add, add);
  return DigestOfFiles(paths);
}

void TlsContexts::AddServer(const ServerTlsConfig& config, const std::string& file,
                            const TlsState& state, const TlsContexts* before,
                            std::vector<conf::Problem>* problems) {
  if (FindIn(servers_, config) != servers_.end() || !HasPaths(config)) return;
  const uint64_t digest = DigestOfFiles(PathsOf(config));
  if (before && TakeOver(before->servers_, config, digest, &servers_)) return;
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
    return AddProblems(context.status().message(), PathsOf(config),
                       config.certificates.front().cert_path, file, problems);
  }
  servers_.push_back({config, digest, *std::move(context)});
}

void TlsContexts::AddClient(const ClientTlsConfig& named, const std::string& file,
                            const TlsContexts* before, std::vector<conf::Problem>* problems) {
  const ClientTlsConfig config = Nameless(named);
  if (FindIn(clients_, config) != clients_.end() || !HasPaths(config)) return;
  const uint64_t digest = DigestOfFiles(PathsOf(config));
  if (before && TakeOver(before->clients_, config, digest, &clients_)) return;
  tls::ClientOptions options;
  options.disable_validation = config.disable_validation;
  options.common_name = named.common_name.value;
  options.allow_common_name = config.allow_common_name;
  for (const auto& path : config.trust_certs) options.trust_certs.push_back(path.value);
  if (config.client_auth) options.client_auth = PairOf(*config.client_auth);
  options.protocols = config.protocols;
  auto context = tls::ClientContext::Load(options);
  if (!context.ok()) {
    return AddProblems(context.status().message(), PathsOf(config), named.common_name, file,
                       problems);
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
      for (const auto& path : PathsOf(entry.config)) files.push_back(path.value);
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
    for (size_t i = 0; i < server.config.certificates.size(); i++) {
      all.push_back({server.config.certificates[i].cert_path.value, server.context->expires()[i]});
    }
  }
  for (const Client& client : clients_) {
    const auto at = client.context->expires();
    if (at) all.push_back({client.config.client_auth->cert_path.value, *at});
  }
  return all;
}

}  // namespace trestle::router
