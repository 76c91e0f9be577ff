// Every example is a file that the router takes, and the files that it names are there.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "conf/options.h"
#include "conf/parse.h"

namespace trestle::conf {
namespace {

namespace fs = std::filesystem;

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::vector<fs::path> Examples() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(fs::path(TRESTLE_SOURCE) / "conf/examples")) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  return files;
}

TEST(ExamplesTest, EachIsReadWithoutAProblemOrAWarning) {
  const auto files = Examples();
  EXPECT_GE(files.size(), 7u);
  for (const fs::path& file : files) {
    const Parsed parsed = Parse(ReadFile(file), file.filename());
    EXPECT_EQ(ShowAll(parsed.problems), "");
    EXPECT_EQ(ShowAll(parsed.warnings), "");
  }
}

// They are started from the top of the checkout; the demo brings a folder of its own.
TEST(ExamplesTest, TheirFoldersAreThere) {
  for (const fs::path& file : Examples()) {
    if (file.filename().string().starts_with("demo")) continue;
    for (const NamerConfig& namer : Parse(ReadFile(file), file.filename()).config.namers) {
      if (namer.kind != NamerConfig::Kind::kFs) continue;
      EXPECT_TRUE(fs::is_directory(fs::path(TRESTLE_SOURCE) / namer.root_dir.value)) << file;
    }
  }
}

TEST(ExamplesTest, WhatTheCommentsSayIsSo) {
  const auto of = [](const std::string& name) {
    return Parse(ReadFile(fs::path(TRESTLE_SOURCE) / "conf/examples" / name), name).config;
  };
  const ClientConfig client = of("static-clients.yaml").routers.at(0).client;
  const auto options = [&](const std::string& id) {
    return ResolveClient(client, *naming::Path::Parse(id));
  };
  EXPECT_EQ(options("/#/io.l5d.fs/users").load_balancer.kind, BalancerConfig::Kind::kRoundRobin);
  EXPECT_EQ(options("/#/io.l5d.fs/users").host_connection_pool.max_size, 200u);
  EXPECT_EQ(options("/#/io.l5d.fs/v2/search").request_attempt_timeout, Millis(3000));
  EXPECT_FALSE(options("/#/io.l5d.fs/users-v2").verify_seqid);
  EXPECT_EQ(options("/#/io.l5d.fs/users-v2").failure_accrual.kind,
            FailureAccrualConfig::Kind::kNone);
  EXPECT_EQ(of("many-ports.yaml").routers.at(0).servers.at(1).dest->Show(), "/v2/search");
  EXPECT_EQ(of("compact.yaml").routers.at(0).dtab.value.Show(),
            of("compact.yaml").routers.at(1).dtab.value.Show());
}

TEST(ExamplesTest, WhatTheCommentsSayOfOldDialectsIsSo) {
  const std::string name = "old-dialects.yaml";
  const Config config =
      Parse(ReadFile(fs::path(TRESTLE_SOURCE) / "conf/examples" / name), name).config;
  const RouterConfig& router = config.routers.at(0);
  EXPECT_EQ(config.max_buffered_bytes, 128u << 20);
  EXPECT_FALSE(router.thrift_protocol);
  EXPECT_FALSE(router.servers.at(0).thrift_framed);
  EXPECT_EQ(router.servers.at(1).thrift_framed, false);
  const auto options = [&](const std::string& id) {
    return ResolveClient(router.client, *naming::Path::Parse(id));
  };
  const ClientOptions old = options("/#/io.l5d.fs/users");
  EXPECT_FALSE(old.thrift_framed);
  EXPECT_TRUE(old.strip_service_name);
  EXPECT_FALSE(old.attempt_ttwitter_upgrade);
  EXPECT_EQ(old.request_attempt_timeout, Millis(2000)) << "the later entries add to it";
  const ClientOptions finagle = options("/#/io.l5d.fs/users-v2");
  EXPECT_TRUE(finagle.thrift_framed);
  EXPECT_FALSE(finagle.strip_service_name);
  EXPECT_TRUE(finagle.attempt_ttwitter_upgrade);
  EXPECT_EQ(options("/#/io.l5d.fs/v2/search").host_connection_pool.max_in_flight, 16u);
}

TEST(ExamplesTest, WhatTheCommentsSayOfMuxIsSo) {
  const std::string name = "mux.yaml";
  const Config config =
      Parse(ReadFile(fs::path(TRESTLE_SOURCE) / "conf/examples" / name), name).config;
  const RouterConfig& router = config.routers.at(0);
  EXPECT_EQ(router.protocol, RouterProtocol::kThriftMux);
  EXPECT_TRUE(router.thrift_mux_dst_in_name);
  EXPECT_EQ(router.servers.at(0).port.value, 4144);
  EXPECT_EQ(router.servers.at(0).mux, (MuxServerConfig{2000, 65'536}));
  const auto options = [&](const std::string& id) {
    return ResolveClient(router.client, *naming::Path::Parse(id));
  };
  const ClientOptions users = options("/#/io.l5d.fs/users");
  EXPECT_EQ(users.protocol, ClientProtocol::kThriftMux);
  EXPECT_EQ(users.mux, (MuxClientConfig{65'536, Millis(5000), Millis(2000)}));
  EXPECT_FALSE(users.host_connection_pool.max_in_flight);
  const ClientOptions search = options("/#/io.l5d.fs/v2/search");
  EXPECT_EQ(search.protocol, ClientProtocol::kThrift);
  EXPECT_TRUE(search.attempt_ttwitter_upgrade);
  EXPECT_EQ(search.host_connection_pool.max_size, 50u);
  const RouterConfig& plain = config.routers.at(1);
  EXPECT_EQ(plain.protocol, RouterProtocol::kMux);
  EXPECT_EQ(plain.label.value, "mux");
  EXPECT_EQ(plain.servers.at(0).port.value, 4141);
  EXPECT_EQ(ResolveClient(plain.client, *naming::Path::Parse("/#/io.l5d.fs/users")).protocol,
            ClientProtocol::kThriftMux);
}

TEST(ExamplesTest, WhatTheCommentsSayOfBridgesIsSo) {
  const std::string name = "bridges.yaml";
  const Config config =
      Parse(ReadFile(fs::path(TRESTLE_SOURCE) / "conf/examples" / name), name).config;
  const RouterConfig& router = config.routers.at(0);
  EXPECT_EQ(router.protocol, RouterProtocol::kThrift);
  EXPECT_EQ(router.deadline_tolerance, Millis(500));
  EXPECT_EQ(router.max_hops, 4u);
  const auto options = [&](const std::string& id) {
    return ResolveClient(router.client, *naming::Path::Parse(id));
  };
  EXPECT_EQ(options("/$/inet/127.0.0.1/9099").protocol, ClientProtocol::kThrift);
  EXPECT_EQ(options("/#/io.l5d.fs/users").protocol, ClientProtocol::kAuto);
  EXPECT_EQ(options("/#/io.l5d.fs/users").host_connection_pool, PoolConfig{});
  EXPECT_EQ(options("/#/io.l5d.fs/users-v2").protocol, ClientProtocol::kThriftMux);
  EXPECT_EQ(options("/#/io.l5d.fs/v2/search").protocol, ClientProtocol::kTHeader);
  EXPECT_TRUE(options("/#/io.l5d.fs/v2/search").theader_zlib);
  EXPECT_EQ(options("/#/io.l5d.fs/v2/search").request_attempt_timeout, Millis(2000));
}

TEST(ExamplesTest, WhatTheCommentsSayOfTlsIsSo) {
  const std::string name = "tls.yaml";
  const Config config =
      Parse(ReadFile(fs::path(TRESTLE_SOURCE) / "conf/examples" / name), name).config;
  const RouterConfig& router = config.routers.at(0);
  const ServerConfig& server = router.servers.at(0);
  ASSERT_TRUE(server.tls);
  EXPECT_TRUE(server.tls->require_client_auth);
  EXPECT_FALSE(server.tls->optional);
  EXPECT_EQ(server.allow->at(0), "spiffe://example/*");
  EXPECT_EQ(router.overrides.allow->at(0), "spiffe://example/web");
  EXPECT_EQ(router.overrides.prefixes->at(0).Show(), "/srv");
  const auto tls = [&](const std::string& id) {
    return ResolveClient(router.client, *naming::Path::Parse(id)).tls;
  };
  EXPECT_EQ(tls("/#/io.l5d.fs/users")->common_name.value, "users.example");
  EXPECT_TRUE(tls("/#/io.l5d.fs/users")->client_auth);
  EXPECT_FALSE(tls("/#/io.l5d.fs/users-v2"));
}

// The block of `page` in ```yaml that comes next after `mark`.
std::string YamlAfter(const std::string& page, const std::string& mark) {
  const std::string open = "```yaml\n";
  const size_t begin = page.find(open, page.find(mark));
  if (begin == std::string::npos) return {};
  const size_t text = begin + open.size();
  return page.substr(text, page.find("```", text) - text);
}

TEST(ExamplesTest, TheRecipesOfTheDocs) {
  const std::string page = ReadFile(fs::path(TRESTLE_SOURCE) / "docs/config.md");
  for (const std::string heading :
       {"### Servers with a thread for each connection", "### Servers that close idle connections",
        "### Servers that answer many calls of one connection", "### Servers that speak ThriftMux",
        "### Servers that speak THeader"}) {
    ASSERT_NE(page.find(heading), std::string::npos) << heading;
    std::string lines;
    std::istringstream block(YamlAfter(page, heading));
    for (std::string line; std::getline(block, line);) lines += "  " + line + "\n";
    EXPECT_FALSE(lines.empty());
    const Parsed parsed =
        Parse("routers:\n- protocol: thrift\n  servers: [{port: 0}]\n" + lines, heading);
    EXPECT_EQ(ShowAll(parsed.problems), "");
  }
}

TEST(ExamplesTest, TheOneOfThePageOnDialects) {
  const std::string page = ReadFile(fs::path(TRESTLE_SOURCE) / "docs/dialects.md");
  const std::string begin = "<<'END'\n";
  const size_t at = page.find(begin);
  ASSERT_NE(at, std::string::npos);
  const size_t text = at + begin.size();
  const Parsed parsed = Parse(page.substr(text, page.find("\nEND\n", text) - text), "page");
  EXPECT_EQ(ShowAll(parsed.problems) + ShowAll(parsed.warnings), "");
}

TEST(ExamplesTest, TheOneAtTheTopOfTheDocs) {
  const std::string page = ReadFile(fs::path(TRESTLE_SOURCE) / "docs/config.md");
  const std::string mark = "```yaml\n";
  const size_t begin = page.find(mark);
  ASSERT_NE(begin, std::string::npos);
  const size_t end = page.find("```", begin + mark.size());
  const Parsed parsed = Parse(page.substr(begin + mark.size(), end - begin - mark.size()), "page");
  EXPECT_EQ(ShowAll(parsed.problems) + ShowAll(parsed.warnings), "");
}

TEST(ExamplesTest, TheOneOfThePageOnAnnouncers) {
  const std::string page = ReadFile(fs::path(TRESTLE_SOURCE) / "docs/announce.md");
  const Parsed parsed = Parse(YamlAfter(page, "# Announcers"), "page");
  EXPECT_EQ(ShowAll(parsed.problems) + ShowAll(parsed.warnings), "");
  ASSERT_EQ(parsed.config.routers.size(), 1u);
  EXPECT_EQ(parsed.config.routers[0].announcers.size(), 1u);
  for (const std::string key :
       {"kind", "prefix", "zkAddrs", "pathPrefix", "chroot", "sessionTimeoutMs", "authInfo",
        "advertisedHost", "shard", "announceAdmin"}) {
    EXPECT_NE(page.find("\n| `" + key + "`"), std::string::npos) << key;
  }
}

TEST(ExamplesTest, TheOnesOfThePageOnTls) {
  const std::string page = ReadFile(fs::path(TRESTLE_SOURCE) / "docs/tls.md");
  const std::string server = "  servers: [{port: 0}]\n";
  const struct {
    std::string heading, before, margin;
  } blocks[] = {{"## Keys of a server", "", "  "},
                {"## Keys of a client", server, "  "},
                {"## Several certificates", "  servers:\n  - port: 0\n", "    "},
                {"## Who may send a dtab", server, "  "}};
  for (const auto& [heading, before, margin] : blocks) {
    ASSERT_NE(page.find(heading), std::string::npos) << heading;
    std::string lines = "routers:\n- protocol: thrift\n" + before;
    std::istringstream block(YamlAfter(page, heading));
    for (std::string line; std::getline(block, line);) lines += margin + line + "\n";
    EXPECT_EQ(ShowAll(Parse(lines, heading).problems), "");
  }
  for (const std::string key : {"enabled",
                                "certPath",
                                "keyPath",
                                "intermediateCertsPath",
                                "certificates",
                                "requireClientAuth",
                                "caCertPath",
                                "protocols",
                                "optional",
                                "opportunistic",
                                "handshakeTimeoutMs",
                                "maxHandshakes",
                                "commonName",
                                "allowCommonName",
                                "trustCertsBundle",
                                "trustCerts",
                                "disableValidation",
                                "clientAuth",
                                "allow",
                                "prefixes"}) {
    EXPECT_NE(page.find("\n| `" + key + "`"), std::string::npos) << key;
  }
}

// Each has a row of a table.
TEST(ExamplesTest, TheDocsKnowEveryKey) {
  const std::string page = ReadFile(fs::path(TRESTLE_SOURCE) / "docs/config.md");
  for (const std::string key : {"workers",
                                "dnsRefreshMs",
                                "maxBufferedBytes",
                                "admin",
                                "namers",
                                "routers",
                                "telemetry",
                                "usage",
                                "shutdownGraceMs",
                                "rootDir",
                                "pattern",
                                "protocol",
                                "label",
                                "dstPrefix",
                                "dtab",
                                "thriftMethodInDst",
                                "thriftProtocol",
                                "bindingTimeoutMs",
                                "bindingCache",
                                "negatives",
                                "localDtabs",
                                "pending",
                                "idleTtlSecs",
                                "interpreter",
                                "maxFrameBytes",
                                "streamThresholdBytes",
                                "bodyIdleTimeoutMs",
                                "deadlineToleranceMs",
                                "maxHops",
                                "thriftMuxDstInName",
                                "experimental",
                                "announcers",
                                "announce",
                                "maxConcurrentRequests",
                                "clearContext",
                                "dest",
                                "maxPipelined",
                                "maxConnections",
                                "maxConnectionBytes",
                                "maxPendingBindings",
                                "thriftFramed",
                                "onHalfClose",
                                "halfCloseTimeoutMs",
                                "mux.maxDispatches",
                                "mux.maxFragmentBytes",
                                "mux.pingIntervalMs",
                                "mux.pingTimeoutMs",
                                "theaderZlib",
                                "socketOptions",
                                "serverSession",
                                "clientSession",
                                "requestAttemptTimeoutMs",
                                "connectTimeoutMs",
                                "hostConnectionPool.minSize",
                                "hostConnectionPool.maxSize",
                                "hostConnectionPool.idleTimeMs",
                                "hostConnectionPool.maxWaiters",
                                "hostConnectionPool.maxInFlight",
                                "loadBalancer.kind",
                                "loadBalancer.maxEffort",
                                "failureAccrual.kind",
                                "failureAccrual.failures",
                                "failureAccrual.backoff",
                                "failFast",
                                "requeueBudget",
                                "verifySeqid",
                                "attemptTTwitterUpgrade",
                                "stripServiceName",
                                "totalTimeoutMs",
                                "idempotentMethods",
                                "allow",
                                "overrides.allow",
                                "overrides.prefixes",
                                "tls.certPath",
                                "tls.intermediateCertsPath",
                                "tls.certificates",
                                "tls.requireClientAuth",
                                "tls.caCertPath",
                                "tls.protocols",
                                "tls.enabled",
                                "tls.optional",
                                "tls.opportunistic",
                                "tls.handshakeTimeoutMs",
                                "tls.maxHandshakes",
                                "tls.commonName",
                                "tls.trustCertsBundle",
                                "tls.clientAuth",
                                "tls.allowCommonName",
                                "tls.disableValidation",
                                "noDelay",
                                "keepAlive",
                                "reuseAddr",
                                "reusePort",
                                "backlog",
                                "readTimeoutMs",
                                "writeTimeoutMs"}) {
    EXPECT_NE(page.find("| `" + key + "`"), std::string::npos) << key;
  }
  EXPECT_NE(page.find("| `protocol` **ours** |"), std::string::npos) << "that of client";
}

// Each has a row of the table of bounds too, with its default.
TEST(ExamplesTest, TheDocsKnowEveryBound) {
  const std::string page = ReadFile(fs::path(TRESTLE_SOURCE) / "docs/config.md");
  const size_t begin = page.find("\n## Bounds\n");
  ASSERT_NE(begin, std::string::npos);
  const std::string bounds = page.substr(begin, page.find("\n## ", begin + 1) - begin);
  const RouterConfig router;
  const ServerConfig server;
  const PoolConfig pool;
  const auto number = [](auto n) { return std::to_string(n); };
  const auto seconds = [](Millis time) { return std::to_string(time.count() / 1000) + " s"; };
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"maxConnections", number(server.max_connections)},
      {"maxPipelined", number(server.max_pipelined)},
      {"maxHandshakes", number(ServerTlsConfig().max_handshakes)},
      {"handshakeTimeoutMs", seconds(ServerTlsConfig().handshake_timeout)},
      {"maxPendingBindings", number(server.max_pending_bindings)},
      {"mux.maxDispatches", number(server.mux.max_dispatches)},
      {"mux.maxFragmentBytes", number(server.mux.max_fragment_bytes)},
      {"maxConnectionBytes", number(server.max_connection_bytes >> 20) + " MiB"},
      {"maxConcurrentRequests", "none"},
      {"halfCloseTimeoutMs", seconds(server.half_close_timeout)},
      {"maxFrameBytes", number(router.max_frame_bytes)},
      {"streamThresholdBytes", number(router.stream_threshold_bytes >> 10) + " KiB"},
      {"bodyIdleTimeoutMs", seconds(router.body_idle_timeout)},
      {"deadlineToleranceMs", number(router.deadline_tolerance.count()) + " ms"},
      {"maxHops", number(router.max_hops)},
      {"maxBufferedBytes", number(Config().max_buffered_bytes >> 20) + " MiB"},
      {"bindingTimeoutMs", seconds(router.binding_timeout)},
      {"bindingCache.paths", number(router.binding_cache.paths)},
      {"bindingCache.clients", number(router.binding_cache.clients)},
      {"bindingCache.negatives", number(router.binding_cache.negatives)},
      {"bindingCache.pending", number(router.binding_cache.pending)},
      {"hostConnectionPool.maxSize", number(pool.max_size)},
      {"hostConnectionPool.maxInFlight", "1; 65536 on a mux session"},
      {"hostConnectionPool.maxWaiters", number(pool.max_waiters)},
      {"client.mux.pingTimeoutMs", seconds(ClientOptions().mux.ping_timeout)},
      {"client.mux.maxFragmentBytes", number(ClientOptions().mux.max_fragment_bytes)},
      {"connectTimeoutMs", seconds(ClientOptions().connect_timeout)},
      {"requestAttemptTimeoutMs", "none"},
      {"requeueBudget", number(RetryBudgetConfig().min_retries_per_sec) + " a second"},
      {"shutdownGraceMs", seconds(AdminConfig().shutdown_grace)},
      {"method name", number(thrift::kMaxNameBytes) + " bytes"},
      {"the configuration file", number(kMaxConfigBytes >> 20) + " MiB"},
  };
  for (const auto& [bound, value] : rows) {
    std::istringstream lines(bounds);
    bool found = false;
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("| ") && line.substr(0, line.find(" | ")).find(bound) != line.npos) {
        found |= line.find(value) != line.npos;
      }
    }
    EXPECT_TRUE(found) << bound << " with " << value;
  }
}

// A file cut off anywhere, or with one byte changed, is read or refused.
TEST(ExamplesTest, EveryPrefixAndEveryChangedByteIsSafe) {
  for (const std::string name : {"static-clients.yaml", "mux.yaml"}) {
    const std::string text = ReadFile(fs::path(TRESTLE_SOURCE) / "conf/examples" / name);
    ASSERT_FALSE(text.empty());
    for (size_t n = 0; n < text.size(); n += 7) (void)Parse(text.substr(0, n), "f");
    for (size_t i = 0; i < text.size(); i += 3) {
      std::string changed = text;
      changed[i] = static_cast<char>(changed[i] ^ (1 << (i % 7)));
      const Parsed parsed = Parse(changed, "f");
      EXPECT_TRUE(!parsed.ok() || !parsed.config.routers.empty());
    }
  }
}

}  // namespace
}  // namespace trestle::conf
