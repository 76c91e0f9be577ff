// Routers of Thrift, ThriftMux and plain mux: their defaults, and which keys each of them has.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "conf/options.h"
#include "tests/conf/support.h"

namespace trestle::conf {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// A router of one line each: the protocol is in line 2, its server in line 3.
std::string Of(const std::string& protocol, const std::string& server = "",
               const std::string& more = "") {
  return "routers:\n- protocol: " + protocol + "\n  servers: [{" + server + "}]\n" + more;
}

RouterConfig Good(const std::string& text) {
  Parsed parsed = Parse(text, "f");
  EXPECT_EQ(ShowAll(parsed.problems), "") << text;
  return parsed.config.routers.at(0);
}

TEST(ProtocolTest, EachHasItsLabelPortAndClients) {
  struct Row {
    const char* name;
    RouterProtocol protocol;
    uint16_t port;
    ClientProtocol clients;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"thrift", RouterProtocol::kThrift, 4114, ClientProtocol::kThrift},
           {"thriftmux", RouterProtocol::kThriftMux, 4144, ClientProtocol::kThrift},
           {"mux", RouterProtocol::kMux, 4141, ClientProtocol::kThriftMux},
       }) {
    SCOPED_TRACE(row.name);
    const RouterConfig router = Good(Of(row.name));
    EXPECT_EQ(router.protocol, row.protocol);
    EXPECT_EQ(router.label.value, row.name);
    EXPECT_EQ(router.label.key, "routers[0].label");
    EXPECT_EQ(router.servers.at(0).port.value, row.port);
    EXPECT_EQ(router.servers.at(0).port.line, 3) << "so that a taken port can be told";
    EXPECT_EQ(router.dst_prefix.Show(), "/svc");
    EXPECT_EQ(router.deadline_tolerance, Millis(200));
    EXPECT_EQ(router.max_hops, 16u);
    EXPECT_FALSE(router.thrift_mux_dst_in_name);
    EXPECT_EQ(router.servers.at(0).mux.max_dispatches, 10'000u);
    EXPECT_EQ(router.servers.at(0).mux.max_fragment_bytes, 2'147'483'647u);
    // However little is said of clients, and when all that is said is of other ones.
    for (const std::string client :
         {"", "  client: {}\n", "  client: {kind: io.l5d.global, failFast: true}\n",
          "  client: {kind: io.l5d.static, configs: []}\n",
          "  client: {kind: io.l5d.static, configs: [{prefix: /b, protocol: auto}]}\n"}) {
      const ClientConfig clients = Good(Of(row.name, "", client)).client;
      EXPECT_EQ(ResolveClient(clients, *naming::Path::Parse("/a")).protocol, row.clients) << client;
    }
  }
}

TEST(ProtocolTest, TwoOfOneProtocolHaveOneLabelAndPort) {
  EXPECT_THAT(
      ProblemsOf("routers:\n- {protocol: mux, servers: [{}]}\n"
                 "- {protocol: mux, servers: [{}]}\n"
                 "- {protocol: thrift, servers: [{}]}\n"
                 "- {protocol: thriftmux, servers: [{}]}\n"),
      ElementsAre("f:3: routers[1].label: the router of line 2 has the label \"mux\" too (a "
                  "router without one has its protocol's name)",
                  "f:3: routers[1].servers[0].port: port 4141 of 127.0.0.1 is taken by "
                  "routers[0].servers[0].port (line 2)"));
}

TEST(ProtocolTest, TheWordsAreAsLinkerdHasThem) {
  EXPECT_THAT(ProblemsOf(Of("thriftmx")),
              ElementsAre("f:2: routers[0].protocol: no such protocol: \"thriftmx\"; did you mean "
                          "thriftmux?"));
  EXPECT_THAT(ProblemsOf(Of("thriftMux")),
              ElementsAre("f:2: routers[0].protocol: no such protocol: \"thriftMux\"; did you mean "
                          "thriftmux?"));
  EXPECT_THAT(ProblemsOf(Of("[mux]")),
              ElementsAre("f:2: routers[0].protocol: must be a word, is a list"));
}

// Linkerd wants it for thriftmux and mux; here it asks for nothing.
TEST(ProtocolTest, ExperimentalIsTakenOnEach) {
  for (const std::string protocol : {"thrift", "thriftmux", "mux"}) {
    for (const std::string value : {"true", "false", "~"}) {
      EXPECT_THAT(ProblemsOf(Of(protocol, "", "  experimental: " + value + "\n")), IsEmpty());
    }
    EXPECT_THAT(ProblemsOf(Of(protocol, "", "  experimental: 1\n")),
                ElementsAre("f:4: routers[0].experimental: must be true or false, is \"1\""));
  }
}

TEST(ProtocolTest, EveryKeyOfAThriftMuxRouter) {
  const RouterConfig router = Good(R"(routers:
- protocol: thriftmux
  experimental: true
  label: m
  thriftMethodInDst: true
  thriftProtocol: compact
  thriftMuxDstInName: true
  deadlineToleranceMs: 2147483647
  maxHops: 1000
  servers:
  - thriftFramed: false
    maxPipelined: 4
    mux: {maxDispatches: 1, maxFragmentBytes: 1024}
  - port: 1
    thriftFramed: true
    mux:
      maxDispatches: 1000000
      maxFragmentBytes: 2147483647
)");
  EXPECT_EQ(router.label.value, "m");
  EXPECT_TRUE(router.thrift_method_in_dst);
  EXPECT_EQ(router.thrift_protocol, thrift::Protocol::kCompact);
  EXPECT_TRUE(router.thrift_mux_dst_in_name);
  EXPECT_EQ(router.deadline_tolerance, Millis(2'147'483'647));
  EXPECT_EQ(router.max_hops, 1000u);
  EXPECT_EQ(router.servers.at(0).thrift_framed, false);
  EXPECT_EQ(router.servers.at(0).max_pipelined, 4u);
  EXPECT_EQ(router.servers.at(0).mux, (MuxServerConfig{1, 1024}));
  EXPECT_EQ(router.servers.at(1).thrift_framed, true);
  EXPECT_EQ(router.servers.at(1).mux, (MuxServerConfig{1'000'000, 2'147'483'647}));
}

TEST(ProtocolTest, EveryKeyOfAMuxRouter) {
  const RouterConfig router =
      Good(Of("mux", "maxPipelined: 5, onHalfClose: cancel, dest: /a, mux: {maxDispatches: 7}",
              "  deadlineToleranceMs: 0\n  maxHops: 1\n  maxFrameBytes: 4096\n  dstPrefix: /m\n"));
  EXPECT_EQ(router.deadline_tolerance, Millis(0));
  EXPECT_EQ(router.max_hops, 1u);
  EXPECT_EQ(router.servers.at(0).mux, (MuxServerConfig{7, 2'147'483'647}));
  EXPECT_EQ(router.servers.at(0).max_pipelined, 5u);
}

// What Linkerd's example of each protocol says, with what it has in common with Thrift's routers.
TEST(ProtocolTest, LinkerdsOwnKeysMeanTheSameOrAreRefused) {
  for (const std::string protocol : {"thriftmux", "mux"}) {
    EXPECT_THAT(ProblemsOf(Of(protocol, "port: 4400, ip: 0.0.0.0, label: a, clearContext: true",
                              "  label: port-shifter\n  dtab: /svc => /$/inet/127.1/5005;\n"
                              "  announcers: []\n  originator: false\n  experimental: true\n"
                              "  bindingCache: {paths: 1}\n  interpreter: {kind: default}\n"
                              "  client: {failFast: true, loadBalancer: {kind: p2c}}\n")),
                IsEmpty());
    EXPECT_THAT(
        ProblemsOf(Of(protocol, "tls: {certPath: a}", "  originator: true\n")),
        ElementsAre(
            "f:3: routers[0].servers[0].tls.keyPath: is missing",
            "f:4: routers[0].originator: originator: true is known to Linkerd, but not supported "
            "yet"));
  }
}

struct Misplaced {
  const char* protocol;
  const char* server;
  const char* router;
  const char* key;
};

// Whatever their value, other than nothing.
TEST(ProtocolTest, KeysOfOtherRoutersAreRefused) {
  for (const Misplaced& row : std::initializer_list<Misplaced>{
           {"thrift", "mux: {maxDispatches: 1}", "", "3: routers[0].servers[0].mux"},
           {"thrift", "mux: {}", "", "3: routers[0].servers[0].mux"},
           {"thrift", "mux: 5", "", "3: routers[0].servers[0].mux"},
           {"mux", "thriftFramed: true", "", "3: routers[0].servers[0].thriftFramed"},
           {"mux", "thriftFramed: false", "", "3: routers[0].servers[0].thriftFramed"},
           {"mux", "", "  thriftMethodInDst: true\n", "4: routers[0].thriftMethodInDst"},
           {"mux", "", "  thriftMethodInDst: false\n", "4: routers[0].thriftMethodInDst"},
           {"mux", "", "  thriftProtocol: binary\n", "4: routers[0].thriftProtocol"},
           {"mux", "", "  thriftProtocol: json\n", "4: routers[0].thriftProtocol"},
           {"mux", "", "  thriftMuxDstInName: true\n", "4: routers[0].thriftMuxDstInName"},
           {"thrift", "", "  thriftMuxDstInName: false\n", "4: routers[0].thriftMuxDstInName"},
       }) {
    EXPECT_THAT(ProblemsOf(Of(row.protocol, row.server, row.router)),
                ElementsAre(std::string("f:") + row.key + ": has no meaning on a " + row.protocol +
                            " router"));
  }
  EXPECT_THAT(ProblemsOf(Of("thrift", "mux: ~", "  thriftMuxDstInName:\n")), IsEmpty());
  EXPECT_THAT(
      ProblemsOf(Of("mux", "thriftFramed: ~", "  thriftMethodInDst:\n  thriftProtocol: ~\n")),
      IsEmpty());
}

struct Wrong {
  const char* server;
  const char* router;
  std::string problem;
};

TEST(ProtocolTest, WrongValues) {
  const std::string mux = "3: routers[0].servers[0].mux";
  for (const Wrong& row : std::initializer_list<Wrong>{
           {"mux: 5", "", mux + ": must be a map, is \"5\""},
           {"mux: []", "", mux + ": must be a map, is a list"},
           {"mux: {maxDispatches: 0}", "", mux + ".maxDispatches: must be at least 1, is 0"},
           {"mux: {maxDispatches: 1000001}", "",
            mux + ".maxDispatches: must be at most 1000000, is 1000001"},
           {"mux: {maxDispatches: many}", "",
            mux + ".maxDispatches: must be a whole number, is \"many\""},
           {"mux: {maxFragmentBytes: 1023}", "",
            mux + ".maxFragmentBytes: must be at least 1024, is 1023"},
           {"mux: {maxFragmentBytes: 2147483648}", "",
            mux + ".maxFragmentBytes: must be at most 2147483647, is 2147483648"},
           {"mux: {maxFragmentBytes: 64k}", "",
            mux + ".maxFragmentBytes: must be a whole number, is \"64k\""},
           {"mux: {maxDispatchs: 1}", "",
            mux + ".maxDispatchs: unknown key; did you mean maxDispatches?"},
           {"mux: {maxFragmentByte: 1}", "",
            mux + ".maxFragmentByte: unknown key; did you mean maxFragmentBytes?"},
           {"mux: {pingIntervalMs: 1}", "", mux + ".pingIntervalMs: unknown key"},
           {"mx: {}", "", "3: routers[0].servers[0].mx: unknown key; did you mean mux?"},
           {"maxDispatches: 1", "", "3: routers[0].servers[0].maxDispatches: unknown key"},
           {"", "  thriftMuxDstInName: 1\n",
            "4: routers[0].thriftMuxDstInName: must be true or false, is \"1\""},
           {"", "  thriftMuxDestInName: true\n",
            "4: routers[0].thriftMuxDestInName: unknown key; did you mean thriftMuxDstInName?"},
           {"", "  deadlineToleranceMs: -1\n",
            "4: routers[0].deadlineToleranceMs: must be at least 0, is -1"},
           {"", "  deadlineToleranceMs: 2147483648\n",
            "4: routers[0].deadlineToleranceMs: must be at most 2147483647, is 2147483648"},
           {"", "  deadlineToleranceMs: 1s\n",
            "4: routers[0].deadlineToleranceMs: must be a whole number, is \"1s\""},
           {"", "  deadlineTolerance: 1\n",
            "4: routers[0].deadlineTolerance: unknown key; did you mean deadlineToleranceMs?"},
           {"", "  maxHops: 0\n", "4: routers[0].maxHops: must be at least 1, is 0"},
           {"", "  maxHops: 1001\n", "4: routers[0].maxHops: must be at most 1000, is 1001"},
           {"", "  maxHops: [16]\n", "4: routers[0].maxHops: must be a whole number, is a list"},
           {"", "  maxHop: 2\n", "4: routers[0].maxHop: unknown key; did you mean maxHops?"},
           {"", "  mux: {}\n", "4: routers[0].mux: unknown key"},
       }) {
    EXPECT_THAT(ProblemsOf(Of("thriftmux", row.server, row.router)),
                ElementsAre("f:" + row.problem));
  }
}

}  // namespace
}  // namespace trestle::conf
