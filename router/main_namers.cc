#include "router/main_namers.h"

#include <utility>

#include "namers/fs_namer.h"
#include "namers/inet.h"
#include "naming/rewrite_namer.h"
#include "naming/system_namer.h"
#include "net/file_watch.h"
#include "net/resolver.h"
#include "serversets/serverset_namer.h"
#include "serversets/set_cache.h"
#include "serversets/zookeeper.h"

namespace trestle::router {
namespace {

constexpr int kResolverThreads = 4;

// Files as the kernel tells of them, and DNS.
struct Sources {
  std::unique_ptr<net::FileWatch> watch;
  std::unique_ptr<net::Resolver> resolver;
};
struct Dns {
  std::shared_ptr<Sources> sources;
  conf::Millis refresh{};
  std::unique_ptr<namers::Inet> inet;
  std::unique_ptr<naming::SystemNamer> system;
};
struct ConfiguredNamer {
  std::shared_ptr<Dns> dns;
  conf::NamerConfig config;
  std::vector<std::unique_ptr<serversets::ZkSession>> sessions;
  std::unique_ptr<serversets::SetCache> cache;
  std::unique_ptr<naming::Namer> namer;
  const serversets::ServersetNamer* serversets = nullptr;  // namer, if it is one
};

}  // namespace

struct Namers {
  std::shared_ptr<Dns> dns;
  std::vector<std::shared_ptr<ConfiguredNamer>> configured;
  naming::NamerSet set;
};

namespace {

base::Result<std::shared_ptr<Dns>> MakeDns(net::EventLoop* loop, conf::Millis refresh,
                                           std::shared_ptr<Sources> sources) {
  if (!sources) {
    sources = std::make_shared<Sources>();
    auto watch = net::FileWatch::Make(loop);
    if (!watch.ok()) return watch.status();
    sources->watch = std::move(*watch);
    sources->resolver = std::make_unique<net::Resolver>(loop, kResolverThreads);
  }
  auto dns = std::make_shared<Dns>();
  namers::Inet::Options options;
  options.refresh = refresh;
  dns->refresh = refresh;
  dns->inet = std::make_unique<namers::Inet>(loop, sources->resolver.get(), options);
  dns->system = std::make_unique<naming::SystemNamer>(dns->inet.get());
  dns->sources = std::move(sources);
  return dns;
}

// `old`: the namer that it replaces, whose sets are served until ZooKeeper has spoken; may be null.
base::Status MakeServersets(const Ground& ground, const Dns& dns, const ConfiguredNamer* old,
                            ConfiguredNamer* out) {
  const conf::ServersetsConfig& says = out->config.serversets;
  if (!says.cache_dir.value.empty()) {
    auto cache = serversets::SetCache::Open(says.cache_dir.value);
    if (!cache.ok()) return cache.status();
    out->cache = std::move(*cache);
  }
  net::EventLoop* loop = ground.loop;
  // "namer/#/io.l5d.serversets"
  base::Scope* scope =
      ground.namers->root()->Labelled("namer", out->config.prefix.Show().substr(1));
  std::vector<serversets::ServersetPlace> places;
  for (const conf::ZkClusterConfig& config : says.clusters) {
    serversets::ZkSession::Options options;
    options.shown = config.hosts;
    options.patience = config.session_timeout;
    options.at_once = false;
    const serversets::ZkCluster cluster{config.hosts, config.session_timeout, config.auth_scheme,
                                        config.auth, config.read_only};
    out->sessions.push_back(std::make_unique<serversets::ZkSession>(
        loop, options,
        [loop, cluster](serversets::ZkClient::Owner* owner) {
          return serversets::ConnectZooKeeper(loop, cluster, owner);
        },
        serversets::ZkMetrics(scope->Labelled("cluster", config.hosts))));
    places.push_back({loop,
                      dns.inet.get(),
                      out->sessions.back().get(),
                      {says.stabilization, says.min_retained, says.retained_hold},
                      serversets::ServersetMetrics(scope),
                      out->cache.get(),
                      old ? old->serversets->History(config.hosts) : nullptr});
  }
  auto namer = std::make_unique<serversets::ServersetNamer>(places);
  out->serversets = namer.get();
  out->namer = std::move(namer);
  return {};
}

// The namer of serversets that had the same prefix.
const ConfiguredNamer* Replaced(const conf::NamerConfig& config, const Namers* before) {
  if (!before) return nullptr;
  for (const auto& old : before->configured) {
    if (old->serversets && old->config.prefix == config.prefix) return old.get();
  }
  return nullptr;
}

base::Result<std::shared_ptr<ConfiguredNamer>> MakeNamer(const Ground& ground,
                                                         std::shared_ptr<Dns> dns,
                                                         const conf::NamerConfig& config,
                                                         const Namers* before) {
  auto made = std::make_shared<ConfiguredNamer>();
  made->config = config;
  if (config.kind == conf::NamerConfig::Kind::kRewrite) {
    auto namer = naming::RewriteNamer::Make(config.pattern.value, config.name.value);
    if (!namer.ok()) return namer.status();
    made->namer = std::move(*namer);
  } else if (config.kind == conf::NamerConfig::Kind::kServersets) {
    base::Status status = MakeServersets(ground, *dns, Replaced(config, before), made.get());
    if (!status.ok()) return status;
  } else {
    auto namer = namers::FsNamer::Make(ground.loop, dns->sources->watch.get(), dns->inet.get(),
                                       config.root_dir.value);
    if (!namer.ok()) return namer.status();
    made->namer = std::move(*namer);
  }
  made->dns = std::move(dns);
  return made;
}

// The key of a namer that says what it cannot be made with.
const conf::Located<std::string>& Culprit(const conf::NamerConfig& config) {
  switch (config.kind) {
    case conf::NamerConfig::Kind::kFs:
      return config.root_dir;
    case conf::NamerConfig::Kind::kServersets:
      return config.serversets.cache_dir;
    case conf::NamerConfig::Kind::kRewrite:
      break;
  }
  return config.pattern;
}

}  // namespace

std::shared_ptr<const Namers> BuildNamers(const Ground& ground, const conf::Config& config,
                                          const std::string& file, const Namers* before,
                                          std::vector<conf::Problem>* problems) {
  auto namers = std::make_shared<Namers>();
  if (before && before->dns->refresh == config.dns_refresh) {
    namers->dns = before->dns;
  } else {
    auto dns = MakeDns(ground.loop, config.dns_refresh, before ? before->dns->sources : nullptr);
    if (!dns.ok()) {
      problems->push_back({file, 0, "", dns.status().message()});
      return namers;
    }
    namers->dns = std::move(*dns);
  }
  namers->set.system = namers->dns->system.get();
  namers->set.old_aliases = true;
  auto known = [&](const conf::NamerConfig& wanted) -> std::shared_ptr<ConfiguredNamer> {
    if (!before || before->dns != namers->dns) return nullptr;
    for (const auto& old : before->configured) {
      if (old->config == wanted) return old;
    }
    return nullptr;
  };
  // The last one in the file is asked first.
  for (auto it = config.namers.rbegin(); it != config.namers.rend(); ++it) {
    std::shared_ptr<ConfiguredNamer> namer = known(*it);
    if (!namer) {
      auto made = MakeNamer(ground, namers->dns, *it, before);
      if (!made.ok()) {
        problems->push_back(Culprit(*it).Wrong(file, made.status().message()));
        continue;
      }
      namer = std::move(*made);
    }
    namers->set.entries.push_back({it->prefix, namer->namer.get()});
    namers->configured.push_back(std::move(namer));
  }
  return namers;
}

void StartNamers(const Namers& namers) {
  for (const auto& namer : namers.configured) {
    for (const auto& session : namer->sessions) session->Start();
  }
}

std::shared_ptr<const naming::NamerSet> SetOf(const std::shared_ptr<const Namers>& namers) {
  return {namers, &namers->set};
}

}  // namespace trestle::router
