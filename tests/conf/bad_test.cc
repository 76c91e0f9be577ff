// Files that are wrong, and every line that is said about them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/conf/support.h"

namespace trestle::conf {
namespace {

using testing::ElementsAreArray;

struct Case {
  const char* name;
  std::string text;
  std::vector<std::string> problems;
};
std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

class BadFile : public testing::TestWithParam<Case> {};

TEST_P(BadFile, IsToldWhole) {
  EXPECT_THAT(ProblemsOf(GetParam().text), ElementsAreArray(GetParam().problems));
}

std::string NameOf(const testing::TestParamInfo<Case>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(
    Yaml, BadFile,
    testing::Values(
        Case{"Empty", "", {"f: the file must be a map of keys, is nothing"}},
        Case{"CommentsOnly", "# a\n# b\n", {"f: the file must be a map of keys, is nothing"}},
        Case{"NoMap", "\n- a\n", {"f:2: the file must be a map of keys, is a list"}},
        Case{"Word", "true", {"f:1: the file must be a map of keys, is \"true\""}},
        Case{"OpenList",
             "a: 1\nrouters: [1, 2\n",
             {"f:3: not YAML: end of sequence flow not found"}},
        Case{"Tab", "routers:\n\tb: c\n", {"f:2: not YAML: illegal map value"}},
        Case{"TwoColons", "a: 1\nb: c: d\n", {"f:2: not YAML: illegal map value"}},
        Case{"NoAnchor", "\na: *b\n", {"f:2: not YAML: the referenced anchor is not defined"}},
        Case{"SelfAlias", "a: &a\n  b: *a\n", {"f:2: an alias within what it names"}},
        Case{"TwoDocuments", AtTop("---\nb: 1\n"), {"f:2: a second document; one is read"}},
        Case{"ControlByte",
             "a: 1\nb: \x04\n",
             {"f:2: a control character; the file must be UTF-8 text"}},
        Case{
            "ListAsKey", "a: 1\n? [b]\n: c\n", {"f:2: the key of a map must be a word, is a list"}},
        Case{"TwiceAtTop",
             AtTop("workers: 1\nworkers: 2\n"),
             {"f:3: workers: stands here for the second time"}},
        Case{"TwiceBelow",
             InServer("    ip: 127.0.0.1\n    port: 1\n"),
             {"f:6: routers[0].servers[0].port: stands here for the second time"}}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Needed, BadFile,
    testing::Values(
        Case{"NoRouters", "workers: 1\n", {"f: routers: at least one router is needed"}},
        Case{"NullRouters", "routers:\n", {"f: routers: at least one router is needed"}},
        Case{"EmptyRouters", "\nrouters: []\n", {"f:2: routers: at least one router is needed"}},
        Case{"NothingAsRouter", "routers:\n-\n", {"f:3: routers[0]: must be a map, is nothing"}},
        Case{"NoProtocol",
             "routers:\n- servers: [{port: 0}]\n",
             {"f:2: routers[0].protocol: is missing"}},
        Case{"NoServers",
             "routers:\n- protocol: thrift\n",
             {"f:2: routers[0].servers: a router needs at least one server"}},
        Case{"EmptyServers",
             "routers:\n- protocol: thrift\n  servers: []\n",
             {"f:3: routers[0].servers: a router needs at least one server"}},
        Case{"NoNamerKind", AtTop("namers:\n- rootDir: d\n"), {"f:3: namers[0].kind: is missing"}},
        Case{"NoRootDir",
             AtTop("namers:\n- kind: io.l5d.fs\n"),
             {"f:3: namers[0].rootDir: is missing"}},
        Case{"NullRootDir",
             AtTop("namers:\n- kind: io.l5d.fs\n  rootDir: ~\n"),
             {"f:3: namers[0].rootDir: is missing"}},
        Case{"NoPattern",
             AtTop("namers:\n- kind: io.l5d.rewrite\n"),
             {"f:3: namers[0].pattern: is missing", "f:3: namers[0].name: is missing"}},
        Case{"NoConfigs",
             WithRouter("  client:\n    kind: io.l5d.static\n"),
             {"f:4: routers[0].client.configs: is missing"}},
        Case{"NoPrefix",
             WithRouter("  client:\n    kind: io.l5d.static\n    configs:\n    - failFast: true\n"),
             {"f:7: routers[0].client.configs[0].prefix: is missing"}},
        Case{"NoServicePrefix",
             WithRouter("  service: {kind: io.l5d.static, configs: [{totalTimeoutMs: 1}]}\n"),
             {"f:4: routers[0].service.configs[0].prefix: is missing"}},
        Case{"NoBalancerKind",
             WithRouter("  client:\n    loadBalancer: {maxEffort: 1}\n"),
             {"f:5: routers[0].client.loadBalancer.kind: is missing"}},
        Case{"NoJitterEnds",
             WithRouter("  client:\n    failureAccrual:\n      kind: io.l5d.consecutiveFailures\n  "
                        "    backoff:\n        kind: jittered\n"),
             {"f:7: routers[0].client.failureAccrual.backoff.minMs: is missing",
              "f:7: routers[0].client.failureAccrual.backoff.maxMs: is missing"}}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Types, BadFile,
    testing::Values(
        Case{"RoutersAMap", "routers: {a: b}\n", {"f:1: routers: must be a list, is a map"}},
        Case{"RouterAText",
             "routers: [thrift]\n",
             {"f:1: routers[0]: must be a map, is \"thrift\""}},
        Case{"AdminAList", AtTop("admin: []\n"), {"f:2: admin: must be a map, is a list"}},
        Case{"NamersAText",
             AtTop("namers: io.l5d.fs\n"),
             {"f:2: namers: must be a list, is \"io.l5d.fs\""}},
        Case{"PortAText",
             InServer("  - port: http\n"),
             {"f:5: routers[0].servers[1].port: must be a whole number, is \"http\""}},
        Case{"PortAFraction",
             InServer("  - port: 1.5\n"),
             {"f:5: routers[0].servers[1].port: must be a whole number, is \"1.5\""}},
        Case{"PortAList",
             InServer("  - port: [1]\n"),
             {"f:5: routers[0].servers[1].port: must be a whole number, is a list"}},
        Case{"PortEmpty",
             InServer("  - port: \"\"\n"),
             {"f:5: routers[0].servers[1].port: must be a whole number, is \"\""}},
        Case{"FlagAWord",
             WithRouter("  thriftMethodInDst: yes\n"),
             {"f:4: routers[0].thriftMethodInDst: must be true or false, is \"yes\""}},
        Case{"FlagAMap",
             InServer("    clearContext: {}\n"),
             {"f:5: routers[0].servers[0].clearContext: must be true or false, is a map"}},
        Case{"LabelAMap",
             WithRouter("  label: {a: 1}\n"),
             {"f:4: routers[0].label: must be a text, is a map"}},
        Case{"LabelEmpty",
             WithRouter("  label: ''\n"),
             {"f:4: routers[0].label: must not be empty"}},
        Case{"DtabAList",
             WithRouter("  dtab: [/a]\n"),
             {"f:4: routers[0].dtab: must be a text, is a list"}},
        Case{"RatioAText",
             WithRouter("  client: {requeueBudget: {percentCanRetry: lots}}\n"),
             {"f:4: routers[0].client.requeueBudget.percentCanRetry: must be a number, is "
              "\"lots\""}},
        Case{
            "RatioNan",
            WithRouter("  client: {requeueBudget: {percentCanRetry: nan}}\n"),
            {"f:4: routers[0].client.requeueBudget.percentCanRetry: must be a number, is \"nan\""}},
        Case{"MethodsAText",
             WithRouter("  service: {idempotentMethods: get}\n"),
             {"f:4: routers[0].service.idempotentMethods: must be a list, is \"get\""}},
        Case{"MethodTwoWords",
             WithRouter("  service: {idempotentMethods: [get, a b, [c]]}\n"),
             {"f:4: routers[0].service.idempotentMethods[1]: must be a word, is \"a b\"",
              "f:4: routers[0].service.idempotentMethods[2]: must be a word, is a list"}},
        Case{"KindAList",
             AtTop("namers: [{kind: [a]}]\n"),
             {"f:2: namers[0].kind: must be a word, is a list"}},
        Case{"Protocol",
             WithRouter("  thriftProtocol: json\n"),
             {"f:4: routers[0].thriftProtocol: must be binary or compact, is \"json\""}},
        Case{"HalfClose",
             InServer("    onHalfClose: drop\n"),
             {"f:5: routers[0].servers[0].onHalfClose: must be serve or cancel, is \"drop\""}},
        Case{"FramedAWord",
             InServer("    thriftFramed: buffered\n"),
             {"f:5: routers[0].servers[0].thriftFramed: must be true or false, is \"buffered\""}},
        Case{"ClientFlags",
             WithRouter("  client: {thriftFramed: 0, attemptTTwitterUpgrade: on, "
                        "stripServiceName: [a]}\n"),
             {"f:4: routers[0].client.thriftFramed: must be true or false, is \"0\"",
              "f:4: routers[0].client.attemptTTwitterUpgrade: must be true or false, is \"on\"",
              "f:4: routers[0].client.stripServiceName: must be true or false, is a list"}},
        Case{"BytesWithAUnit",
             AtTop("maxBufferedBytes: 256MB\n"),
             {"f:2: maxBufferedBytes: must be a whole number, is \"256MB\""}},
        Case{"LongText",
             AtTop("workers: " + std::string(70, 'w') + "\n"),
             {"f:2: workers: must be a whole number, is \"" + std::string(60, 'w') + "…\""}}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Ranges, BadFile,
    testing::Values(
        Case{"PortHigh",
             InServer("  - port: 65536\n"),
             {"f:5: routers[0].servers[1].port: must be at most 65535, is 65536"}},
        Case{"PortNegative",
             InServer("  - port: -1\n"),
             {"f:5: routers[0].servers[1].port: must be at least 0, is -1"}},
        Case{"AdminPort",
             AtTop("admin: {port: 99999999999999999999}\n"),
             {"f:2: admin.port: must be at most 65535, is 99999999999999999999"}},
        Case{"HugeNegative",
             AtTop("admin: {port: -99999999999999999999}\n"),
             {"f:2: admin.port: must be at least 0, is -99999999999999999999"}},
        Case{"NoWorkers", AtTop("workers: 0\n"), {"f:2: workers: must be at least 1, is 0"}},
        Case{"ManyWorkers", AtTop("workers: 257\n"), {"f:2: workers: must be at most 256, is 257"}},
        Case{"Grace",
             AtTop("admin: {shutdownGraceMs: -1}\n"),
             {"f:2: admin.shutdownGraceMs: must be at least 0, is -1"}},
        Case{
            "Refresh", AtTop("dnsRefreshMs: 0\n"), {"f:2: dnsRefreshMs: must be at least 1, is 0"}},
        Case{"LongTime",
             AtTop("dnsRefreshMs: 2147483648\n"),
             {"f:2: dnsRefreshMs: must be at most 2147483647, is 2147483648"}},
        Case{"Binding",
             WithRouter("  bindingTimeoutMs: 0\n"),
             {"f:4: routers[0].bindingTimeoutMs: must be at least 1, is 0"}},
        Case{"Cache",
             WithRouter("  bindingCache: {paths: 0, idleTtlSecs: 0}\n"),
             {"f:4: routers[0].bindingCache.paths: must be at least 1, is 0",
              "f:4: routers[0].bindingCache.idleTtlSecs: must be at least 1, is 0"}},
        Case{"Frame",
             WithRouter("  maxFrameBytes: 10\n"),
             {"f:4: routers[0].maxFrameBytes: must be at least 1024, is 10"}},
        Case{"Buffered",
             AtTop("maxBufferedBytes: 1048575\n"),
             {"f:2: maxBufferedBytes: must be at least 1048576, is 1048575"}},
        Case{"BufferedHigh",
             AtTop("maxBufferedBytes: 1125899906842625\n"),
             {"f:2: maxBufferedBytes: must be at most 1125899906842624, is 1125899906842625"}},
        Case{"BufferedNegative",
             AtTop("maxBufferedBytes: -9999999999999999999999\n"),
             {"f:2: maxBufferedBytes: must be at least 1048576, is -9999999999999999999999"}},
        Case{"BufferedTooLong",
             AtTop("maxBufferedBytes: 9999999999999999999999\n"),
             {"f:2: maxBufferedBytes: must be at most 1125899906842624, is "
              "9999999999999999999999"}},
        Case{"Threshold",
             WithRouter("  streamThresholdBytes: 4095\n"),
             {"f:4: routers[0].streamThresholdBytes: must be at least 4096, is 4095"}},
        Case{"ThresholdHigh",
             WithRouter("  streamThresholdBytes: 1073741825\n"),
             {"f:4: routers[0].streamThresholdBytes: must be at most 1073741824, is 1073741825"}},
        Case{"BodyIdle",
             WithRouter("  bodyIdleTimeoutMs: 0\n"),
             {"f:4: routers[0].bodyIdleTimeoutMs: must be at least 1, is 0"}},
        Case{"Pending",
             WithRouter("  bindingCache: {pending: 0}\n"),
             {"f:4: routers[0].bindingCache.pending: must be at least 1, is 0"}},
        Case{"ConnectionBytes",
             InServer("    maxConnectionBytes: 4095\n"),
             {"f:5: routers[0].servers[0].maxConnectionBytes: must be at least 4096, is 4095"}},
        Case{"PendingBindings",
             InServer("    maxPendingBindings: 0\n"),
             {"f:5: routers[0].servers[0].maxPendingBindings: must be at least 1, is 0"}},
        Case{"NoneInFlight",
             WithRouter("  client: {hostConnectionPool: {maxInFlight: 0}}\n"),
             {"f:4: routers[0].client.hostConnectionPool.maxInFlight: must be at least 1, is 0"}},
        Case{"ManyInFlight",
             WithRouter("  client: {hostConnectionPool: {maxInFlight: 65537}}\n"),
             {"f:4: routers[0].client.hostConnectionPool.maxInFlight: must be at most 65536, is "
              "65537"}},
        Case{"Pipelined",
             InServer("    maxPipelined: 0\n"),
             {"f:5: routers[0].servers[0].maxPipelined: must be at least 1, is 0"}},
        Case{"Concurrent",
             InServer("    maxConcurrentRequests: 0\n"),
             {"f:5: routers[0].servers[0].maxConcurrentRequests: must be at least 1, is 0"}},
        Case{"Attempt",
             WithRouter("  client: {requestAttemptTimeoutMs: 0}\n"),
             {"f:4: routers[0].client.requestAttemptTimeoutMs: must be at least 1, is 0"}},
        Case{"Total",
             WithRouter("  service: {totalTimeoutMs: -5}\n"),
             {"f:4: routers[0].service.totalTimeoutMs: must be at least 1, is -5"}},
        Case{"Ratio",
             WithRouter("  client: {requeueBudget: {percentCanRetry: 1000.5}}\n"),
             {"f:4: routers[0].client.requeueBudget.percentCanRetry: must be from 0 to 1000, is "
              "1000.5"}},
        Case{"PoolEnds",
             WithRouter("  client: {hostConnectionPool: {minSize: 5, maxSize: 4}}\n"),
             {"f:4: routers[0].client.hostConnectionPool.minSize: must be at most maxSize (4), is "
              "5"}},
        Case{"MinSize",
             WithRouter("  client: {hostConnectionPool: {minSize: 10001, maxSize: 20000}}\n"),
             {"f:4: routers[0].client.hostConnectionPool.minSize: must be at most 10000, is "
              "10001"}},
        Case{"SharedWithoutSeqids",
             WithRouter("  client: {verifySeqid: false, hostConnectionPool: {maxInFlight: 2}}\n"),
             {"f:4: routers[0].client.verifySeqid: must be true where maxInFlight is over 1 (it is "
              "2): nothing else tells the replies of one connection apart"}},
        Case{"JitterEnds",
             WithRouter("  client: {failureAccrual: {kind: io.l5d.consecutiveFailures, backoff: "
                        "{kind: jittered, minMs: 2, maxMs: 1}}}\n"),
             {"f:4: routers[0].client.failureAccrual.backoff.minMs: must be at most maxMs (1), is "
              "2"}},
        Case{"Backlog",
             InServer("    socketOptions: {backlog: 0, readTimeoutMs: 0}\n"),
             {"f:5: routers[0].servers[0].socketOptions.backlog: must be at least 1, is 0",
              "f:5: routers[0].servers[0].socketOptions.readTimeoutMs: must be at least 1, is 0"}}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Texts, BadFile,
    testing::Values(
        Case{"Ip",
             InServer("    ip: 1.2.3\n"),
             {"f:5: routers[0].servers[0].ip: must be an IPv4 or IPv6 address, is \"1.2.3\""}},
        Case{"IpName",
             AtTop("admin: {ip: host.example}\n"),
             {"f:2: admin.ip: must be an IPv4 or IPv6 address, is \"host.example\""}},
        Case{"DstPrefix",
             WithRouter("  dstPrefix: svc\n"),
             {"f:4: routers[0].dstPrefix: '/' expected but 's' found at '[s]vc'"}},
        Case{"Dest",
             InServer("    dest: /a b\n"),
             {"f:5: routers[0].servers[0].dest: end of input expected but 'b' found at '/a [b]'"}},
        Case{"NamerPrefix",
             AtTop("namers: [{kind: io.l5d.fs, prefix: a, rootDir: d}]\n"),
             {"f:2: namers[0].prefix: '/' expected but 'a' found at '[a]'"}},
        Case{"StaticPrefix",
             WithRouter(
                 "  client: {kind: io.l5d.static, configs: [{prefix: users}, {prefix: '/a{b'}]}\n"),
             {"f:4: routers[0].client.configs[0].prefix: must begin with /, is \"users\"",
              "f:4: routers[0].client.configs[1].prefix: unbalanced braces: 'a{b'"}},
        Case{"Rewrite",
             AtTop("namers: [{kind: io.l5d.rewrite, pattern: 'x', name: /y}]\n"),
             {"f:2: namers[0].pattern: must begin with '/': 'x'"}},
        Case{"RewriteCapture",
             AtTop("namers:\n- kind: io.l5d.rewrite\n  pattern: '/{a}/{b}'\n  name: '/{b}/{c}'\n"),
             {"f:5: namers[0].name: the pattern has no such capture: '{c}'"}},
        Case{"RewriteStar",
             AtTop("namers: [{kind: io.l5d.rewrite, pattern: '/*', name: '/*'}]\n"),
             {"f:2: namers[0].name: end of input expected but '*' found at '/[*]'"}},
        Case{"ServersetsHosts",
             AtTop("namers:\n- kind: io.l5d.serversets\n  zkAddrs: [{host: 'a,b'}, {port: 1}]\n"
                   "  chroot: x/\n"),
             {"f:4: namers[0].zkAddrs[0].host: must be a host name or an address, without a port, "
              "is \"a,b\"",
              "f:4: namers[0].zkAddrs[1].host: is missing",
              "f:5: namers[0].chroot: is no path like /trestle"}},
        Case{
            "ServersetsHostsThatAreNone",
            AtTop("namers:\n- kind: io.l5d.serversets\n  zkAddrs: [{host: ''}, {host: 'a:2181'}, "
                  "{host: '['}, {host: a, port: 0}]\n  cacheDir: ''\n"),
            {"f:4: namers[0].zkAddrs[0].host: must be a host name or an address, without a port, "
             "is \"\"",
             "f:4: namers[0].zkAddrs[1].host: must be a host name or an address, without a port, "
             "is \"a:2181\"",
             "f:4: namers[0].zkAddrs[2].host: must be a host name or an address, without a port, "
             "is \"[\"",
             "f:4: namers[0].zkAddrs[3].port: must not be 0", "f:5: namers[0].cacheDir: is empty"}},
        Case{"ServersetsChroot",
             AtTop("namers:\n- {kind: io.l5d.serversets, zkAddrs: [{host: a}], chroot: /a/../b}\n"
                   "- {kind: io.l5d.serversets, zkAddrs: [{host: a}], chroot: '/a,b'}\n"),
             {"f:3: namers[0].chroot: is no path like /trestle",
              "f:4: namers[1].chroot: is no path like /trestle"}},
        Case{"ServersetsAuth",
             AtTop("namers:\n- kind: io.l5d.serversets\n  zkAddrs: [{host: a}]\n"
                   "  authInfo: {scheme: foo, auth: secret}\n"),
             {"f:5: namers[0].authInfo.scheme: must be digest, is \"foo\"",
              "f:5: namers[0].authInfo.auth: must be user:password"}},
        Case{"ServersetsNoHost",
             AtTop("namers: [{kind: io.l5d.serversets, zkAddrs: []}]\n"),
             {"f:2: namers[0].zkAddrs: names no host"}},
        Case{"Label",
             WithRouter("  label: \"a\\nb\"\n"),
             {"f:4: routers[0].label: must have no control characters"}},
        Case{"LabelDelete",
             WithRouter("  label: \"a\\x7f\"\n"),
             {"f:4: routers[0].label: must have no control characters"}},
        Case{"ServerLabel",
             InServer("    label: \"\\e[31m\"\n"),
             {"f:5: routers[0].servers[0].label: must have no control characters"}},
        Case{"Page",
             AtTop("telemetry: [{kind: io.l5d.prometheus, path: metrics}]\n"),
             {"f:2: telemetry[0].path: must begin with /"}}),
    NameOf);

TEST(BadFileTest, AProblemIsOneLine) {
  const Parsed parsed = Parse(AtTop("\"a\\nb\": 1\n"), "f");
  EXPECT_EQ(ShowAll(parsed.problems), "f:2: a b: unknown key\n");
}

// Linkerd stops at the first fault; here a file is mended in one go.
TEST(BadFileTest, AllFaultsAtOnceInTheOrderOfTheLines) {
  const std::string text =
      "admin:\n"
      "  port: 70000\n"
      "routres: []\n"
      "namers:\n"
      "- kind: io.l5d.sf\n"
      "- kind: io.l5d.consul\n"
      "routers:\n"
      "- protocol: thrift\n"
      "  dtba: /svc => /#/io.l5d.fs\n"
      "  servers:\n"
      "  - prot: 4114\n"
      "    tls: {certPath: x}\n"
      "  client:\n"
      "    loadBalancer:\n"
      "      kind: p2\n"
      "    failFast: maybe\n";
  EXPECT_EQ(
      ShowAll(Parse(text, "conf/l5d.yaml").problems),
      "conf/l5d.yaml:2: admin.port: must be at most 65535, is 70000\n"
      "conf/l5d.yaml:3: routres: unknown key; did you mean routers?\n"
      "conf/l5d.yaml:5: namers[0].kind: no such kind: \"io.l5d.sf\"; did you mean io.l5d.fs?\n"
      "conf/l5d.yaml:6: namers[1].kind: io.l5d.consul is known to Linkerd, but not supported "
      "yet\n"
      "conf/l5d.yaml:9: routers[0].dtba: unknown key; did you mean dtab?\n"
      "conf/l5d.yaml:11: routers[0].servers[0].prot: unknown key; did you mean port?\n"
      "conf/l5d.yaml:12: routers[0].servers[0].tls.keyPath: is missing\n"
      "conf/l5d.yaml:15: routers[0].client.loadBalancer.kind: no such kind: \"p2\"; did you "
      "mean "
      "p2c?\n"
      "conf/l5d.yaml:16: routers[0].client.failFast: must be true or false, is \"maybe\"\n");
}

TEST(BadFileTest, AListOfProblemsHasAnEnd) {
  std::string text = AtTop("");
  for (int i = 0; i < 150; ++i) text += "key" + std::to_string(i) + ": 1\n";
  const auto lines = ProblemsOf(text);
  ASSERT_EQ(lines.size(), 101u);
  EXPECT_EQ(lines.front(), "f:2: key0: unknown key");
  EXPECT_EQ(lines.back(), "f: 50 more problems");
}

TEST(BadFileTest, AFileOverTheBoundIsNotRead) {
  std::string text = AtTop("#");
  text.resize(kMaxConfigBytes, 'x');
  EXPECT_TRUE(ProblemsOf(text).empty());
  EXPECT_THAT(ProblemsOf(text + "x"),
              ElementsAreArray({"f: has 1048577 bytes; at most 1048576 are read"}));
}

// Each alias is small; what they stand for together is not.
TEST(BadFileTest, AliasesThatMultiplyAreRefused) {
  std::string text =
      "x: 1\nrouters:\n- &r\n  protocol: thrift\n  servers:\n  - &s {port: 0, label: a}\n";
  for (int i = 0; i < 1000; ++i) text += "  - *s\n";
  for (int i = 0; i < 1000; ++i) text += "- *r\n";
  const auto parsed = Parse(text, "f");
  EXPECT_FALSE(parsed.ok());
  EXPECT_THAT(Shown(parsed.problems),
              testing::Contains(testing::HasSubstr("more than 50000 keys and items")));
  EXPECT_LT(parsed.config.routers.size(), 1001u);
}

TEST(BadFileTest, DeepNestingIsRefused) {
  EXPECT_FALSE(ProblemsOf(std::string(100'000, '[')).empty());
  EXPECT_FALSE(ProblemsOf(std::string(100'000, '{')).empty());
  std::string steps;
  for (int i = 0; i < 100'000; ++i) steps += "- ";
  EXPECT_FALSE(ProblemsOf(steps).empty());
}

}  // namespace
}  // namespace trestle::conf
