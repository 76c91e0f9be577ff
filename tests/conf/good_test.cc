// Files that are right, and what comes out of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "conf/options.h"
#include "tests/conf/support.h"

namespace trestle::conf {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Config Good(const std::string& text) {
  Parsed parsed = Parse(text, "f");
  EXPECT_EQ(ShowAll(parsed.problems), "") << text;
  return std::move(parsed.config);
}

// Located values are equal wherever they stand; here the place is what is asked for.
template <class T>
testing::AssertionResult IsWritten(const Located<T>& is, const Located<T>& wanted) {
  if (is == wanted && is.line == wanted.line && is.key == wanted.key) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << is.value << " as " << is.key << " in line " << is.line;
}

TEST(GoodTest, DefaultsOfTheTop) {
  const Config config = Good(AtTop(""));
  EXPECT_FALSE(config.workers);
  EXPECT_EQ(config.dns_refresh, Millis(5000));
  EXPECT_EQ(config.max_buffered_bytes, 268'435'456u);
  EXPECT_EQ(config.admin.ip.value, "127.0.0.1");
  EXPECT_EQ(config.admin.port.value, 9990);
  EXPECT_EQ(config.admin.shutdown_grace, Millis(10'000));
  EXPECT_THAT(config.namers, IsEmpty());
  ASSERT_EQ(config.prometheus.size(), 1u);
  EXPECT_EQ(config.prometheus[0].path.value, "/admin/metrics/prometheus");
  EXPECT_EQ(config.prometheus[0].prefix, "");
}

TEST(GoodTest, DefaultsOfARouter) {
  const RouterConfig router = Good("routers: [{protocol: thrift, servers: [{}]}]\n").routers.at(0);
  EXPECT_EQ(router.protocol, RouterProtocol::kThrift);
  EXPECT_EQ(router.label.value, "thrift");
  EXPECT_EQ(router.dst_prefix.Show(), "/svc");
  EXPECT_TRUE(router.dtab.value.empty());
  EXPECT_FALSE(router.thrift_method_in_dst);
  EXPECT_FALSE(router.thrift_protocol) << "told from each connection's bytes";
  EXPECT_EQ(router.binding_timeout, Millis(10'000));
  EXPECT_EQ(router.binding_cache.paths, 1000u);
  EXPECT_EQ(router.binding_cache.trees, 1000u);
  EXPECT_EQ(router.binding_cache.bounds, 1000u);
  EXPECT_EQ(router.binding_cache.clients, 1000u);
  EXPECT_EQ(router.binding_cache.pending, 1000u);
  EXPECT_EQ(router.binding_cache.idle_ttl, Millis(600'000));
  EXPECT_EQ(router.max_frame_bytes, 16'384'000u);
  EXPECT_EQ(router.stream_threshold_bytes, 65'536u);
  EXPECT_EQ(router.body_idle_timeout, Millis(10'000));
  EXPECT_EQ(router.deadline_tolerance, Millis(200));
  EXPECT_EQ(router.max_hops, 16u);
  EXPECT_FALSE(router.thrift_mux_dst_in_name);
  EXPECT_EQ(ResolveClient(router.client, *naming::Path::Parse("/a")), ClientOptions{});
  EXPECT_EQ(ResolveService(router.service, *naming::Path::Parse("/a")), ServiceOptions{});
  ASSERT_EQ(router.servers.size(), 1u);
  const ServerConfig& server = router.servers[0];
  EXPECT_EQ(server.ip.value, "127.0.0.1");
  EXPECT_EQ(server.port.value, 4114);
  EXPECT_FALSE(server.max_concurrent_requests);
  EXPECT_FALSE(server.clear_context);
  EXPECT_FALSE(server.thrift_framed) << "told from each connection's bytes";
  EXPECT_FALSE(server.dest);
  EXPECT_EQ(server.mux, MuxServerConfig{});
  EXPECT_EQ(server.max_connection_bytes, 1'048'576u);
  EXPECT_EQ(server.max_pending_bindings, 8u);
  EXPECT_EQ(server.max_pipelined, 32u);
  EXPECT_EQ(server.max_connections, 10'000u);
  EXPECT_EQ(server.on_half_close, OnHalfClose::kServe);
  EXPECT_EQ(server.half_close_timeout, Millis(10'000));
  EXPECT_EQ(server.socket_options, SocketOptions{});
  EXPECT_EQ(server.server_session, SessionBounds{});
}

TEST(GoodTest, DefaultsOfAClient) {
  const ClientOptions client;
  EXPECT_EQ(client.connect_timeout, Millis(1000));
  EXPECT_TRUE(client.verify_seqid);
  EXPECT_EQ(client.protocol, ClientProtocol::kThrift);
  EXPECT_TRUE(client.thrift_framed);
  EXPECT_FALSE(client.attempt_ttwitter_upgrade);
  EXPECT_FALSE(client.theader_zlib);
  EXPECT_EQ(client.mux.max_fragment_bytes, 2'147'483'647u);
  EXPECT_EQ(client.mux.ping_interval, Millis(5000));
  EXPECT_EQ(client.mux.ping_timeout, Millis(4000));
  EXPECT_FALSE(client.strip_service_name);
  EXPECT_FALSE(client.host_connection_pool.max_in_flight) << "by what a connection speaks";
  EXPECT_FALSE(client.fail_fast);
  EXPECT_FALSE(client.request_attempt_timeout);
  EXPECT_EQ(client.host_connection_pool.min_size, 0u);
  EXPECT_EQ(client.load_balancer.kind, BalancerConfig::Kind::kP2c);
  EXPECT_EQ(client.load_balancer.max_effort, 5u);
  EXPECT_EQ(client.failure_accrual.kind, FailureAccrualConfig::Kind::kConsecutiveFailures);
  EXPECT_EQ(client.failure_accrual.failures, 5u);
  EXPECT_EQ(client.failure_accrual.backoff.kind, BackoffConfig::Kind::kJittered);
  EXPECT_EQ(client.failure_accrual.backoff.min, Millis(5000));
  EXPECT_EQ(client.failure_accrual.backoff.max, Millis(300'000));
  EXPECT_EQ(client.requeue_budget.min_retries_per_sec, 10u);
  EXPECT_EQ(client.requeue_budget.percent_can_retry, 0.2);
  EXPECT_EQ(client.requeue_budget.ttl, Millis(10'000));
  EXPECT_TRUE(client.socket_options.no_delay);
  EXPECT_FALSE(client.socket_options.keep_alive);
}

TEST(GoodTest, EveryKeyOfTheTop) {
  const Config config = Good(AtTop(R"(
workers: 3
dnsRefreshMs: 100
maxBufferedBytes: 5000000000
admin:
  ip: "::1"
  port: 0
  shutdownGraceMs: 0
namers:
- kind: io.l5d.fs
  rootDir: disco
- kind: io.l5d.fs
  prefix: /other/fs
  rootDir: /etc/disco
- kind: io.l5d.rewrite
  prefix: /rw
  pattern: "/{a}.x/*"
  name: "/svc/{a}"
telemetry:
- {kind: io.l5d.prometheus, path: /metrics, prefix: l5d_}
)"));
  EXPECT_EQ(config.workers, 3u);
  EXPECT_EQ(config.dns_refresh, Millis(100));
  EXPECT_EQ(config.max_buffered_bytes, 5'000'000'000u) << "more than 32 bits hold";
  EXPECT_TRUE(IsWritten(config.admin.ip, Located<std::string>{"::1", 7, "admin.ip"}));
  EXPECT_TRUE(IsWritten(config.admin.port, Located<uint16_t>{0, 8, "admin.port"}));
  EXPECT_EQ(config.admin.shutdown_grace, Millis(0));
  ASSERT_EQ(config.namers.size(), 3u);
  EXPECT_EQ(config.namers[0].prefix.Show(), "/#/io.l5d.fs");
  EXPECT_TRUE(
      IsWritten(config.namers[0].root_dir, Located<std::string>{"disco", 12, "namers[0].rootDir"}));
  EXPECT_EQ(config.namers[1].prefix.Show(), "/#/other/fs");
  EXPECT_EQ(config.namers[1].kind, NamerConfig::Kind::kFs);
  EXPECT_EQ(config.namers[2].kind, NamerConfig::Kind::kRewrite);
  EXPECT_EQ(config.namers[2].prefix.Show(), "/#/rw");
  EXPECT_EQ(config.namers[2].pattern.value, "/{a}.x/*");
  EXPECT_EQ(config.namers[2].name.value, "/svc/{a}");
  ASSERT_EQ(config.prometheus.size(), 1u);
  EXPECT_TRUE(IsWritten(config.prometheus[0].path,
                        Located<std::string>{"/metrics", 21, "telemetry[0].path"}));
  EXPECT_EQ(config.prometheus[0].prefix, "l5d_");
}

TEST(GoodTest, EveryKeyOfARouter) {
  const RouterConfig router = Good(R"(routers:
- protocol: thrift
  label: users
  dstPrefix: /thrift
  dtab: |
    /srv => /#/io.l5d.fs ;
    /thrift => /srv ;
  thriftMethodInDst: true
  thriftProtocol: compact
  bindingTimeoutMs: 20
  bindingCache: {paths: 1, trees: 2, bounds: 3, clients: 4, negatives: 5, localDtabs: 6,
                 pending: 9, idleTtlSecs: 7}
  maxFrameBytes: 2048
  streamThresholdBytes: 4096
  bodyIdleTimeoutMs: 1
  deadlineToleranceMs: 0
  maxHops: 1
  servers:
  - port: 5000
    ip: 0.0.0.0
    label: front
    maxConcurrentRequests: 8
    clearContext: true
    thriftFramed: false
    dest: /users/v2
    maxPipelined: 1
    maxConnections: 9
    maxConnectionBytes: 4097
    maxPendingBindings: 3
    onHalfClose: cancel
    halfCloseTimeoutMs: 10
    socketOptions: {noDelay: false, reuseAddr: false, reusePort: true, keepAlive: true, backlog: 11, readTimeoutMs: 8, writeTimeoutMs: 9}
    serverSession: {idleTimeMs: 12, lifeTimeMs: 13}
  - ip: localhost
    thriftFramed: true
)")
                                  .routers.at(0);
  EXPECT_EQ(router.line, 2);
  EXPECT_EQ(router.key, "routers[0]");
  EXPECT_TRUE(IsWritten(router.label, Located<std::string>{"users", 3, "routers[0].label"}));
  EXPECT_EQ(router.dst_prefix.Show(), "/thrift");
  EXPECT_EQ(router.dtab.value.Show(), "/srv=>/#/io.l5d.fs;/thrift=>/srv");
  EXPECT_EQ(router.dtab.line, 5);
  EXPECT_TRUE(router.thrift_method_in_dst);
  EXPECT_EQ(router.thrift_protocol, thrift::Protocol::kCompact);
  EXPECT_EQ(router.binding_timeout, Millis(20));
  const BindingCacheConfig& cache = router.binding_cache;
  EXPECT_THAT((std::vector<uint32_t>{cache.paths, cache.trees, cache.bounds, cache.clients,
                                     cache.negatives, cache.local_dtabs, cache.pending}),
              ElementsAre(1u, 2u, 3u, 4u, 5u, 6u, 9u));
  EXPECT_EQ(cache.idle_ttl, Millis(7000));
  EXPECT_EQ(router.max_frame_bytes, 2048u);
  EXPECT_EQ(router.stream_threshold_bytes, 4096u) << "may be over maxFrameBytes";
  EXPECT_EQ(router.body_idle_timeout, Millis(1));
  EXPECT_EQ(router.deadline_tolerance, Millis(0));
  EXPECT_EQ(router.max_hops, 1u);
  ASSERT_EQ(router.servers.size(), 2u);
  const ServerConfig& server = router.servers[0];
  EXPECT_TRUE(IsWritten(server.port, Located<uint16_t>{5000, 19, "routers[0].servers[0].port"}));
  EXPECT_TRUE(
      IsWritten(server.ip, Located<std::string>{"0.0.0.0", 20, "routers[0].servers[0].ip"}));
  EXPECT_EQ(server.label, "front");
  EXPECT_EQ(server.max_concurrent_requests, 8u);
  EXPECT_TRUE(server.clear_context);
  EXPECT_EQ(server.dest->Show(), "/users/v2");
  EXPECT_EQ(server.max_pipelined, 1u);
  EXPECT_EQ(server.max_connections, 9u);
  EXPECT_EQ(server.thrift_framed, false);
  EXPECT_EQ(server.max_connection_bytes, 4097u);
  EXPECT_EQ(server.max_pending_bindings, 3u);
  EXPECT_EQ(server.on_half_close, OnHalfClose::kCancel);
  EXPECT_EQ(server.half_close_timeout, Millis(10));
  EXPECT_EQ(server.socket_options,
            (SocketOptions{false, false, true, true, 11, Millis(8), Millis(9)}));
  EXPECT_EQ(server.server_session, (SessionBounds{Millis(12), Millis(13)}));
  // A default stands where its server begins, so that a taken port can be told with a line.
  EXPECT_TRUE(
      IsWritten(router.servers[1].port, Located<uint16_t>{4114, 34, "routers[0].servers[1].port"}));
  EXPECT_EQ(router.servers[1].ip.value, "127.0.0.1");
  EXPECT_EQ(router.servers[1].thrift_framed, true);
}

TEST(GoodTest, EveryKeyOfAClientAndAService) {
  const RouterConfig router = Good(WithRouter(R"(
  client:
    kind: io.l5d.global
    hostConnectionPool: {minSize: 1, maxSize: 2147483647, idleTimeMs: 0, maxWaiters: 0,
                         maxInFlight: 65536}
    requestAttemptTimeoutMs: 3
    loadBalancer: {kind: roundRobin, maxEffort: 4}
    failFast: true
    failureAccrual:
      kind: io.l5d.consecutiveFailures
      failures: 6
      backoff: {kind: constant, ms: 7}
    requeueBudget: {minRetriesPerSec: 0, percentCanRetry: 1.5, ttlSecs: 8}
    clientSession: {idleTimeMs: 9, lifeTimeMs: 10}
    socketOptions: {keepAlive: true}
    connectTimeoutMs: 11
    verifySeqid: true
    protocol: auto
    thriftFramed: false
    attemptTTwitterUpgrade: true
    theaderZlib: true
    mux: {maxFragmentBytes: 1024, pingIntervalMs: 14, pingTimeoutMs: 15}
    stripServiceName: true
  service:
    totalTimeoutMs: 12
    idempotentMethods: [getUser, "userService:*"]
)"))
                                  .routers.at(0);
  const ClientOptions client = ResolveClient(router.client, {});
  EXPECT_EQ(client.host_connection_pool, (PoolConfig{1, 2147483647, Millis(0), 0, 65'536}));
  EXPECT_EQ(client.request_attempt_timeout, Millis(3));
  EXPECT_EQ(client.load_balancer, (BalancerConfig{BalancerConfig::Kind::kRoundRobin, 4}));
  EXPECT_TRUE(client.fail_fast);
  EXPECT_EQ(client.failure_accrual.failures, 6u);
  EXPECT_EQ(client.failure_accrual.backoff,
            (BackoffConfig{BackoffConfig::Kind::kConstant, Millis(7), Millis(7)}));
  EXPECT_EQ(client.requeue_budget, (RetryBudgetConfig{0, 1.5, Millis(8000)}));
  EXPECT_EQ(client.client_session, (SessionBounds{Millis(9), Millis(10)}));
  EXPECT_TRUE(client.socket_options.keep_alive);
  EXPECT_EQ(client.connect_timeout, Millis(11));
  EXPECT_TRUE(client.verify_seqid);
  EXPECT_EQ(client.protocol, ClientProtocol::kAuto);
  EXPECT_FALSE(client.thrift_framed);
  EXPECT_TRUE(client.attempt_ttwitter_upgrade);
  EXPECT_TRUE(client.theader_zlib);
  EXPECT_EQ(client.mux, (MuxClientConfig{1024, Millis(14), Millis(15)}));
  EXPECT_TRUE(client.strip_service_name);
  const ServiceOptions service = ResolveService(router.service, {});
  EXPECT_EQ(service.total_timeout, Millis(12));
  EXPECT_THAT(service.idempotent_methods, ElementsAre("getUser", "userService:*"));
}

TEST(GoodTest, TheProtocolIsGivenOrTold) {
  const auto protocol = [](const std::string& line) {
    return Good(WithRouter(line)).routers.at(0).thrift_protocol;
  };
  EXPECT_EQ(protocol("  thriftProtocol: binary\n"), thrift::Protocol::kBinary);
  EXPECT_EQ(protocol("  thriftProtocol: compact\n"), thrift::Protocol::kCompact);
  EXPECT_EQ(protocol("  thriftProtocol:\n"), std::nullopt);
}

TEST(GoodTest, JitteredBackoffAndNoAccrual) {
  const auto accrual = [](const std::string& text) {
    const Config config = Good(WithRouter("  client: {failureAccrual: " + text + "}\n"));
    return ResolveClient(config.routers.at(0).client, {}).failure_accrual;
  };
  EXPECT_EQ(accrual("{kind: none}").kind, FailureAccrualConfig::Kind::kNone);
  EXPECT_EQ(accrual("{kind: io.l5d.consecutiveFailures, backoff: {kind: jittered, minMs: 1, "
                    "maxMs: 2}}")
                .backoff,
            (BackoffConfig{BackoffConfig::Kind::kJittered, Millis(1), Millis(2)}));
  EXPECT_EQ(accrual("{kind: io.l5d.consecutiveFailures, backoff: {kind: constant}}").backoff,
            (BackoffConfig{BackoffConfig::Kind::kConstant, Millis(0), Millis(0)}));
}

TEST(GoodTest, JsonIsReadToo) {
  const Config config = Good(R"({"routers": [{"protocol": "thrift", "label": "j",
    "dtab": "/svc => /#/io.l5d.fs;", "servers": [{"port": 1, "ip": "127.0.0.2"}]}],
    "admin": {"port": 2}, "usage": null})");
  EXPECT_EQ(config.routers.at(0).servers.at(0).port.value, 1);
  EXPECT_EQ(config.routers.at(0).servers.at(0).port.line, 2);
  EXPECT_EQ(config.routers.at(0).dtab.value.size(), 1u);
  EXPECT_EQ(config.admin.port.value, 2);
}

// Linkerd takes them so.
TEST(GoodTest, NumbersInQuotesAndWordsThatLookLikeNumbers) {
  const Config config = Good(
      "routers: [{protocol: 'thrift', label: 12, thriftMethodInDst: 'true', servers: [{port: "
      "'12'}]}]\n");
  EXPECT_EQ(config.routers.at(0).servers.at(0).port.value, 12);
  EXPECT_EQ(config.routers.at(0).label.value, "12");
  EXPECT_TRUE(config.routers.at(0).thrift_method_in_dst);
}

TEST(GoodTest, AnchorsAndAliases) {
  const Config config = Good(
      "routers:\n"
      "- protocol: thrift\n"
      "  servers: [{port: 1}]\n"
      "  client: &c {connectTimeoutMs: 5}\n"
      "- protocol: thrift\n"
      "  label: b\n"
      "  servers: [{port: 2}]\n"
      "  client: *c\n");
  EXPECT_EQ(ResolveClient(config.routers.at(1).client, {}).connect_timeout, Millis(5));
}

TEST(GoodTest, WindowsLinesAndByteOrderMark) {
  const Config config = Good("\xef\xbb\xbfworkers: 2\r\n" + AtTop("\r\ndnsRefreshMs: 3\r\n"));
  EXPECT_EQ(config.workers, 2u);
  EXPECT_EQ(config.dns_refresh, Millis(3));
}

TEST(GoodTest, Ipv6IsWrittenInItsShortForm) {
  EXPECT_EQ(Good(AtTop("admin: {ip: '0:0::0:1'}\n")).admin.ip.value, "::1");
}

TEST(GoodTest, AProblemOfSomebodyElseHasThePlace) {
  const Config config = Good(AtTop("namers:\n- kind: io.l5d.fs\n  rootDir: none\n"));
  EXPECT_EQ(config.namers.at(0).root_dir.Wrong("f", "no such directory").Show(),
            "f:4: namers[0].rootDir: no such directory");
}

constexpr char kNoTimeout[] =
    "f:2: routers[0]: neither client.requestAttemptTimeoutMs nor service.totalTimeoutMs is set, "
    "and they have no default: a call waits for its backend without end";

TEST(WarningTest, CallsWithoutABound) {
  const auto warnings = [](const std::string& text) { return Shown(Parse(text, "f").warnings); };
  EXPECT_THAT(warnings(WithRouter("")), ElementsAre(kNoTimeout));
  EXPECT_THAT(warnings(WithRouter("  client: {failFast: true}\n")), ElementsAre(kNoTimeout));
  EXPECT_THAT(warnings(WithRouter("  client: {requestAttemptTimeoutMs: 1}\n")), IsEmpty());
  EXPECT_THAT(warnings(WithRouter("  service: {totalTimeoutMs: 1}\n")), IsEmpty());
  EXPECT_THAT(warnings(WithRouter("  service: {kind: io.l5d.static, configs: [{prefix: /svc, "
                                  "totalTimeoutMs: 1}]}\n")),
              IsEmpty());
}

TEST(WarningTest, ANamerPrefixWithTheMark) {
  EXPECT_THAT(
      Shown(Parse(AtTop("namers: [{kind: io.l5d.fs, prefix: /#/a, rootDir: d}]\n"), "f").warnings),
      testing::Contains("f:2: namers[0].prefix: a prefix is put behind /# already, so "
                        "this namer answers /#/#/a"));
}

TEST(GoodTest, AZooKeeperAndHowItsSetsAreFollowed) {
  const Config config = Good(AtTop(R"(namers:
- kind: io.l5d.serversets
  zkAddrs: [{host: zk1}, {host: 10.0.0.2, port: 21811}, {host: "::1"}]
- kind: io.l5d.serversets
  prefix: /other
  zkAddrs: [{host: zk}]
  chroot: /trestle/x
  sessionTimeoutMs: 5000
  readOnly: true
  stabilizationMs: 3000
  minRetained: 0.25
  minRetainedHoldMs: 20000
  authInfo: {scheme: digest, auth: "a:b"}
  cacheDir: /var/cache/trestle
- kind: io.l5d.serversets
  prefix: /two
  clusters:
  - zkAddrs: [{host: east}]
  - {zkAddrs: [{host: west}], chroot: /fleet}
)"));
  ASSERT_EQ(config.namers.size(), 3u);
  EXPECT_EQ(config.namers[0].kind, NamerConfig::Kind::kServersets);
  EXPECT_EQ(config.namers[0].prefix.Show(), "/#/io.l5d.serversets");
  ServersetsConfig plain;
  plain.clusters.resize(1);
  plain.clusters[0].hosts = "zk1:2181,10.0.0.2:21811,[::1]:2181";
  EXPECT_EQ(config.namers[0].serversets, plain);
  ServersetsConfig all;
  all.clusters = {{"zk:2181/trestle/x", Millis(5000), "digest", "a:b", true}};
  all.cache_dir.value = "/var/cache/trestle";
  all.stabilization = Millis(3000);
  all.min_retained = 0.25;
  all.retained_hold = Millis(20'000);
  EXPECT_EQ(config.namers[1].serversets, all);
  ServersetsConfig two;
  two.clusters.resize(2);
  two.clusters[0].hosts = "east:2181";
  two.clusters[1].hosts = "west:2181/fleet";
  EXPECT_EQ(config.namers[2].serversets, two);
}

}  // namespace
}  // namespace trestle::conf
