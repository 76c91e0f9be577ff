// The entries of io.l5d.static put together, and which calls may be sent again.
#include "conf/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/conf/support.h"

namespace trestle::conf {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

naming::Path Named(const std::string& text) { return *naming::Path::Parse(text); }

RouterConfig Router(const std::string& more) {
  Parsed parsed = Parse(WithRouter(more), "f");
  EXPECT_EQ(ShowAll(parsed.problems), "");
  return parsed.config.routers.at(0);
}

constexpr char kClients[] = R"(
  client:
    kind: io.l5d.static
    configs:
    - prefix: /
      connectTimeoutMs: 1
      requestAttemptTimeoutMs: 100
    - prefix: /#/io.l5d.fs
      connectTimeoutMs: 2
      hostConnectionPool: {minSize: 3, maxSize: 4}
    - prefix: /#/*/users
      requestAttemptTimeoutMs: 200
    - prefix: "/#/io.l5d.fs/{service}-v2"
      hostConnectionPool: {maxWaiters: 5}
      verifySeqid: false
)";

TEST(ResolveClientTest, AllThatMatchTheLaterOnesWin) {
  const ClientConfig client = Router(kClients).client;
  const ClientOptions other = ResolveClient(client, Named("/$/inet/host/1"));
  EXPECT_EQ(other.connect_timeout, Millis(1));
  EXPECT_EQ(other.request_attempt_timeout, Millis(100));
  EXPECT_EQ(other.host_connection_pool, PoolConfig{});
  EXPECT_TRUE(other.verify_seqid);

  const ClientOptions users = ResolveClient(client, Named("/#/io.l5d.fs/users"));
  EXPECT_EQ(users.connect_timeout, Millis(2));
  EXPECT_EQ(users.request_attempt_timeout, Millis(200));
  EXPECT_EQ(users.host_connection_pool.min_size, 3u);
  EXPECT_EQ(users.host_connection_pool.max_size, 4u);

  const ClientOptions of_rewrite = ResolveClient(client, Named("/#/other/users/x"));
  EXPECT_EQ(of_rewrite.connect_timeout, Millis(1));
  EXPECT_EQ(of_rewrite.request_attempt_timeout, Millis(200));
}

// A map is one value: of the two pools the later one holds, its other keys at their defaults.
TEST(ResolveClientTest, MapsAreNotMixed) {
  const ClientOptions options =
      ResolveClient(Router(kClients).client, Named("/#/io.l5d.fs/users-v2"));
  EXPECT_EQ(options.host_connection_pool.max_waiters, 5u);
  EXPECT_EQ(options.host_connection_pool.min_size, PoolConfig{}.min_size);
  EXPECT_EQ(options.host_connection_pool.max_size, PoolConfig{}.max_size);
  EXPECT_EQ(options.connect_timeout, Millis(2));
  EXPECT_FALSE(options.verify_seqid);
}

TEST(ResolveClientTest, TheOrderOfTheFileCountsNotTheLengthOfThePrefix) {
  const ClientConfig client = Router(
                                  "  client:\n    kind: io.l5d.static\n    configs:\n"
                                  "    - {prefix: /a/b, failFast: true, connectTimeoutMs: 7}\n"
                                  "    - {prefix: /a, failFast: false}\n")
                                  .client;
  EXPECT_FALSE(ResolveClient(client, Named("/a/b")).fail_fast);
  EXPECT_EQ(ResolveClient(client, Named("/a/b")).connect_timeout, Millis(7));
}

// What a fleet in the middle of a change needs: the dialect of each backend by its name.
TEST(ResolveClientTest, TheDialectOfABackend) {
  const ClientConfig client = Router(R"(
  client:
    kind: io.l5d.static
    configs:
    - {prefix: /, attemptTTwitterUpgrade: true, hostConnectionPool: {maxInFlight: 9}}
    - {prefix: /#/io.l5d.fs/old, thriftFramed: false, attemptTTwitterUpgrade: false}
    - {prefix: /#/*/old/php, stripServiceName: true, hostConnectionPool: {maxSize: 2}}
)")
                                  .client;
  const ClientOptions other = ResolveClient(client, Named("/#/io.l5d.fs/users"));
  EXPECT_TRUE(other.thrift_framed);
  EXPECT_TRUE(other.attempt_ttwitter_upgrade);
  EXPECT_FALSE(other.strip_service_name);
  EXPECT_EQ(other.host_connection_pool.max_in_flight, 9u);

  const ClientOptions php = ResolveClient(client, Named("/#/io.l5d.fs/old/php"));
  EXPECT_FALSE(php.thrift_framed);
  EXPECT_FALSE(php.attempt_ttwitter_upgrade);
  EXPECT_TRUE(php.strip_service_name);
  EXPECT_FALSE(php.host_connection_pool.max_in_flight) << "the later pool is taken whole";
}

// A map is one value here too.
TEST(ResolveClientTest, TheProtocolOfABackend) {
  const ClientConfig client = Router(R"(
  client:
    kind: io.l5d.static
    configs:
    - {prefix: /, mux: {pingIntervalMs: 7, pingTimeoutMs: 8}, theaderZlib: true}
    - {prefix: /#/io.l5d.fs, protocol: thriftmux}
    - {prefix: /#/*/cpp, protocol: theader, mux: {maxFragmentBytes: 4096}}
    - {prefix: /#/io.l5d.fs/cpp/old, protocol: thrift, theaderZlib: false}
)")
                                  .client;
  const ClientOptions other = ResolveClient(client, Named("/$/inet/host/1"));
  EXPECT_EQ(other.protocol, ClientProtocol::kThrift);
  EXPECT_EQ(other.mux, (MuxClientConfig{2'147'483'647, Millis(7), Millis(8)}));
  EXPECT_TRUE(other.theader_zlib);
  const ClientOptions users = ResolveClient(client, Named("/#/io.l5d.fs/users"));
  EXPECT_EQ(users.protocol, ClientProtocol::kThriftMux);
  EXPECT_EQ(users.mux, other.mux);
  const ClientOptions cpp = ResolveClient(client, Named("/#/io.l5d.fs/cpp"));
  EXPECT_EQ(cpp.protocol, ClientProtocol::kTHeader);
  EXPECT_EQ(cpp.mux, (MuxClientConfig{4096, Millis(5000), Millis(4000)}));
  const ClientOptions old = ResolveClient(client, Named("/#/io.l5d.fs/cpp/old"));
  EXPECT_EQ(old.protocol, ClientProtocol::kThrift);
  EXPECT_FALSE(old.theader_zlib);
}

// A reload asks what changed; comments and lines put in before are no change.
TEST(CompareTest, PartsAreEqualWhereverTheyStand) {
  const auto read = [](const std::string& server, const std::string& client) {
    return Parse(InServer(server) + "  client: " + client + "\n", "f").config.routers.at(0);
  };
  const RouterConfig a = read("    dest: /a\n", "{thriftFramed: false}");
  const RouterConfig moved = read("# a comment\n\n    dest: /a\n", "{thriftFramed: false}");
  EXPECT_EQ(a.servers, moved.servers);
  EXPECT_EQ(a.client, moved.client);
  EXPECT_EQ(a.service, moved.service);
  EXPECT_EQ(a.binding_cache, moved.binding_cache);
  EXPECT_EQ(a.dtab, moved.dtab);
  const RouterConfig other = read("    dest: /b\n", "{thriftFramed: true}");
  EXPECT_FALSE(a.servers == other.servers);
  EXPECT_FALSE(a.client == other.client);
}

// Each of the keys of mux and THeader is a change by itself.
TEST(CompareTest, OfMux) {
  const auto read = [](const std::string& server, const std::string& client) {
    const Parsed parsed = Parse("routers:\n- protocol: thriftmux\n  servers: [{" + server +
                                    "}]\n  client: {" + client + "}\n",
                                "f");
    EXPECT_EQ(ShowAll(parsed.problems), "");
    return parsed.config.routers.at(0);
  };
  const RouterConfig plain = read("", "");
  EXPECT_EQ(read("mux: {maxDispatches: 10000}", "").servers, plain.servers);
  for (const std::string server : {"mux: {maxDispatches: 1}", "mux: {maxFragmentBytes: 1024}"}) {
    EXPECT_EQ(read(server, "").servers, read(server, "").servers);
    EXPECT_FALSE(read(server, "").servers == plain.servers) << server;
  }
  for (const std::string client :
       {"protocol: auto", "theaderZlib: true", "mux: {maxFragmentBytes: 1024}",
        "mux: {pingIntervalMs: 1}", "mux: {pingTimeoutMs: 1}",
        "hostConnectionPool: {maxInFlight: 2}"}) {
    const ClientConfig one = read("", client).client;
    EXPECT_EQ(one, read("", client).client);
    EXPECT_FALSE(one == plain.client) << client;
    EXPECT_FALSE(ResolveClient(one, Named("/a")) == ResolveClient(plain.client, Named("/a")))
        << client;
  }
}

TEST(CompareTest, TheDefaultProtocolOfClientsCounts) {
  const auto client = [](const std::string& protocol) {
    return Parse("routers: [{protocol: " + protocol + ", servers: [{}]}]\n", "f")
        .config.routers.at(0)
        .client;
  };
  EXPECT_EQ(client("thrift"), client("thriftmux"));
  EXPECT_FALSE(client("mux") == client("thriftmux"));
}

TEST(CompareTest, OfTheTop) {
  const auto read = [](const std::string& top) { return Parse(AtTop(top), "f").config; };
  const Config a = read(
      "admin: {port: 1}\nnamers: [{kind: io.l5d.fs, rootDir: d}]\ntelemetry: [{kind: "
      "io.l5d.prometheus, path: /m}]\n");
  const Config moved = read(
      "\ntelemetry: [{kind: io.l5d.prometheus, path: /m}]\n\nadmin: {port: 1}\nnamers: [{kind: "
      "io.l5d.fs, rootDir: d}]\n");
  EXPECT_EQ(a.admin, moved.admin);
  EXPECT_EQ(a.namers, moved.namers);
  EXPECT_EQ(a.prometheus, moved.prometheus);
  const Config other = read("admin: {port: 2}\nnamers: [{kind: io.l5d.fs, rootDir: e}]\n");
  EXPECT_FALSE(a.admin == other.admin);
  EXPECT_FALSE(a.namers == other.namers);
  EXPECT_FALSE(a.prometheus == other.prometheus);
}

// A dtab by its entries, not by how it is written.
TEST(CompareTest, OfDtabs) {
  const auto dtab = [](const std::string& text) {
    return Router("  dtab: \"" + text + "\"\n").dtab;
  };
  EXPECT_EQ(dtab("/a => /b ; /c => /d"), dtab("/a=>/b;/c=>/d;"));
  EXPECT_FALSE(dtab("/a => /b ; /c => /d") == dtab("/c => /d ; /a => /b"));
  EXPECT_FALSE(dtab("/a => /b") == dtab("/a => /b/c"));
}

TEST(ResolveClientTest, NoEntries) {
  EXPECT_EQ(ResolveClient({}, Named("/a")), ClientOptions{});
  EXPECT_EQ(ResolveClient(Router("  client: {kind: io.l5d.static, configs: []}\n").client, {}),
            ClientOptions{});
}

TEST(ResolveServiceTest, ByTheLogicalName) {
  const ServiceConfig service = Router(R"(
  service:
    kind: io.l5d.static
    configs:
    - prefix: /svc
      totalTimeoutMs: 10
      idempotentMethods: [get]
    - prefix: /svc/users
      totalTimeoutMs: 20
    - prefix: /svc/users/add
      idempotentMethods: []
)")
                                    .service;
  EXPECT_EQ(ResolveService(service, Named("/svc/x")).total_timeout, Millis(10));
  EXPECT_EQ(ResolveService(service, Named("/svc/users/get")).total_timeout, Millis(20));
  EXPECT_THAT(ResolveService(service, Named("/svc/users/get")).idempotent_methods,
              ElementsAre("get"));
  EXPECT_THAT(ResolveService(service, Named("/svc/users/add")).idempotent_methods, IsEmpty());
  EXPECT_EQ(ResolveService(service, Named("/other")), ServiceOptions{});
}

TEST(IdempotentTest, ByMethodOrServiceAndMethod) {
  struct Row {
    const char* listed;
    const char* name;
    bool expected;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"getUser", "getUser", true},
           {"getUser", "userService:getUser", true},
           {"getUser", "getUsers", false},
           {"getUser", "getUser:addUser", false},
           {"userService:getUser", "userService:getUser", true},
           {"userService:getUser", "getUser", false},
           {"userService:getUser", "otherService:getUser", false},
           {"userService:*", "userService:getUser", true},
           {"userService:*", "otherService:getUser", false},
           {"userService:*", "userServices:getUser", false},
           {"userService:*", "userService", false},
           {"*", "getUser", true},
           {"*", "a:b", true},
           {"get*", "getUser", false},
       }) {
    const ServiceOptions service{std::nullopt, {"x", row.listed}};
    EXPECT_EQ(IsIdempotent(service, row.name), row.expected) << row.listed << " " << row.name;
  }
  EXPECT_FALSE(IsIdempotent({}, "getUser"));
}

}  // namespace
}  // namespace trestle::conf
