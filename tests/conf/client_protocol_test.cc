// What backends are spoken to in: the keys of ThriftMux and THeader clients, and what excludes
// what.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "conf/options.h"
#include "tests/conf/support.h"

namespace trestle::conf {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// A router whose clients are in line 4.
std::string With(const std::string& client, const std::string& protocol = "thrift") {
  return "routers:\n- protocol: " + protocol + "\n  servers: [{port: 0}]\n  client: " + client +
         "\n";
}
// The same with an entry of io.l5d.static.
std::string Entry(const std::string& keys, const std::string& protocol = "thrift") {
  return With("{kind: io.l5d.static, configs: [{prefix: /, " + keys + "}]}", protocol);
}

ClientOptions Options(const std::string& text) {
  Parsed parsed = Parse(text, "f");
  EXPECT_EQ(ShowAll(parsed.problems), "") << text;
  return ResolveClient(parsed.config.routers.at(0).client, {});
}

std::vector<std::string> WarningsOf(const std::string& text) {
  Parsed parsed = Parse(text, "f");
  EXPECT_EQ(ShowAll(parsed.problems), "") << text;
  return Shown(parsed.warnings);
}

TEST(ClientProtocolTest, EachWordOnEachRouter) {
  const std::vector<std::pair<std::string, ClientProtocol>> words = {
      {"thrift", ClientProtocol::kThrift},
      {"theader", ClientProtocol::kTHeader},
      {"thriftmux", ClientProtocol::kThriftMux},
      {"auto", ClientProtocol::kAuto},
  };
  for (const auto& [word, protocol] : words) {
    for (const std::string router : {"thrift", "thriftmux", "mux"}) {
      EXPECT_EQ(Options(With("{protocol: " + word + "}", router)).protocol, protocol) << word;
      EXPECT_EQ(Options(Entry("protocol: " + word, router)).protocol, protocol) << word;
    }
  }
}

TEST(ClientProtocolTest, WhatIsWrittenAndWhatIsNot) {
  const ClientEntry nothing = Parse(With("{mux: ~, protocol:, theaderZlib: ~}"), "f")
                                  .config.routers.at(0)
                                  .client.entries.at(0);
  EXPECT_FALSE(nothing.protocol);
  EXPECT_FALSE(nothing.theader_zlib);
  EXPECT_FALSE(nothing.mux);
  EXPECT_EQ(nothing, ClientEntry{});
  EXPECT_EQ(Options(With("{mux: {}}")).mux, MuxClientConfig{});
}

TEST(ClientProtocolTest, EndsOfTheBounds) {
  EXPECT_EQ(
      Options(With("{mux: {maxFragmentBytes: 1024, pingIntervalMs: 0, pingTimeoutMs: 1}}")).mux,
      (MuxClientConfig{1024, Millis(0), Millis(1)}));
  EXPECT_EQ(Options(With("{mux: {maxFragmentBytes: 2147483647, pingIntervalMs: 2147483647, "
                         "pingTimeoutMs: 2147483647}}"))
                .mux,
            (MuxClientConfig{2'147'483'647, Millis(2'147'483'647), Millis(2'147'483'647)}));
  EXPECT_EQ(Options(With("{mux: {pingTimeoutMs: 6000}}")).mux,
            (MuxClientConfig{2'147'483'647, Millis(5000), Millis(6000)}))
      << "may be over the interval";
  EXPECT_TRUE(Options(With("{protocol: theader, theaderZlib: true}")).theader_zlib);
  EXPECT_FALSE(Options(With("{protocol: theader, theaderZlib: false}")).theader_zlib);
}

// What an unset one means depends on what the connection speaks, so it stays unset.
TEST(ClientProtocolTest, MaxInFlightIsSaidOrNot) {
  const auto in_flight = [](const std::string& pool) {
    return Options(With("{hostConnectionPool: " + pool + "}")).host_connection_pool.max_in_flight;
  };
  EXPECT_EQ(in_flight("{maxInFlight: 1}"), 1u);
  EXPECT_EQ(in_flight("{maxInFlight: 65536}"), 65'536u);
  EXPECT_EQ(in_flight("{maxInFlight: ~}"), std::nullopt);
  EXPECT_EQ(in_flight("{maxSize: 2}"), std::nullopt);
}

TEST(ClientProtocolTest, WrongValues) {
  const std::string mux = "f:4: routers[0].client.mux";
  for (const auto& [client, problem] : std::initializer_list<std::pair<const char*, std::string>>{
           {"{protocol: mux}",
            "f:4: routers[0].client.protocol: must be thrift or theader or thriftmux or auto, is "
            "\"mux\""},
           {"{protocol: Thrift, theaderZlib: true, thriftFramed: false}",
            "f:4: routers[0].client.protocol: must be thrift or theader or thriftmux or auto, is "
            "\"Thrift\""},
           {"{protocol: [auto]}",
            "f:4: routers[0].client.protocol: must be thrift or theader or thriftmux or auto, is a "
            "list"},
           {"{protcol: auto}",
            "f:4: routers[0].client.protcol: unknown key; did you mean protocol?"},
           {"{theaderZlib: 1}",
            "f:4: routers[0].client.theaderZlib: must be true or false, is \"1\""},
           {"{theaderZlib: {}}",
            "f:4: routers[0].client.theaderZlib: must be true or false, is a map"},
           {"{theaderGzip: true}",
            "f:4: routers[0].client.theaderGzip: unknown key; did you mean theaderZlib?"},
           {"{mux: true}", mux + ": must be a map, is \"true\""},
           {"{mux: []}", mux + ": must be a map, is a list"},
           {"{mux: {maxFragmentBytes: 1023}}",
            mux + ".maxFragmentBytes: must be at least 1024, is 1023"},
           {"{mux: {maxFragmentBytes: 2147483648}}",
            mux + ".maxFragmentBytes: must be at most 2147483647, is 2147483648"},
           {"{mux: {maxFragmentBytes: all}}",
            mux + ".maxFragmentBytes: must be a whole number, is \"all\""},
           {"{mux: {maxFragmentsBytes: 1}}",
            mux + ".maxFragmentsBytes: unknown key; did you mean maxFragmentBytes?"},
           {"{mux: {pingIntervalMs: -1}}", mux + ".pingIntervalMs: must be at least 0, is -1"},
           {"{mux: {pingIntervalMs: 2147483648}}",
            mux + ".pingIntervalMs: must be at most 2147483647, is 2147483648"},
           {"{mux: {pingIntervalMs: off}}",
            mux + ".pingIntervalMs: must be a whole number, is \"off\""},
           {"{mux: {pingInterval: 1}}",
            mux + ".pingInterval: unknown key; did you mean pingIntervalMs?"},
           {"{mux: {pingTimeoutMs: 0}}", mux + ".pingTimeoutMs: must be at least 1, is 0"},
           {"{mux: {pingTimeoutMs: 2147483648}}",
            mux + ".pingTimeoutMs: must be at most 2147483647, is 2147483648"},
           {"{mux: {pingTimeoutMs: {}}}", mux + ".pingTimeoutMs: must be a whole number, is a map"},
           {"{mux: {pingTimeout: 1}}",
            mux + ".pingTimeout: unknown key; did you mean pingTimeoutMs?"},
           {"{mux: {maxDispatches: 1}}", mux + ".maxDispatches: unknown key"},
           {"{mux: {maxInFlight: 1}}", mux + ".maxInFlight: unknown key"},
           {"{pingIntervalMs: 1}", "f:4: routers[0].client.pingIntervalMs: unknown key"},
       }) {
    EXPECT_THAT(ProblemsOf(With(client)), ElementsAre(problem));
  }
}

TEST(ClientProtocolTest, KeysOfTheWrongPlace) {
  EXPECT_THAT(
      ProblemsOf(With("{kind: io.l5d.static, configs: [], protocol: auto, theaderZlib: true, mux: "
                      "{}}")),
      ElementsAre("f:4: routers[0].client.protocol: unknown key",
                  "f:4: routers[0].client.theaderZlib: unknown key",
                  "f:4: routers[0].client.mux: unknown key"));
  EXPECT_THAT(ProblemsOf(InServer("    protocol: auto\n    theaderZlib: true\n")),
              ElementsAre("f:5: routers[0].servers[0].protocol: unknown key",
                          "f:6: routers[0].servers[0].theaderZlib: unknown key"));
  EXPECT_THAT(ProblemsOf(WithRouter("  service: {protocol: auto}\n")),
              ElementsAre("f:4: routers[0].service.protocol: unknown key"));
}

TEST(ClientProtocolTest, FramesOfTheirOwnExcludeThriftsTransports) {
  for (const std::string protocol : {"thriftmux", "theader"}) {
    const std::string both =
        "protocol: " + protocol + ", thriftFramed: false, attemptTTwitterUpgrade: true";
    const std::string end = " and protocol: " + protocol + " exclude each other";
    for (const std::string router : {"thrift", "thriftmux", "mux"}) {
      EXPECT_THAT(ProblemsOf(With("{" + both + "}", router)),
                  ElementsAre("f:4: routers[0].client.attemptTTwitterUpgrade: "
                              "attemptTTwitterUpgrade: true" +
                                  end,
                              "f:4: routers[0].client.thriftFramed: thriftFramed: false" + end));
    }
    EXPECT_THAT(
        ProblemsOf(Entry("thriftFramed: false, protocol: " + protocol)),
        ElementsAre("f:4: routers[0].client.configs[0].thriftFramed: thriftFramed: false" + end));
    // The values that they have anyhow.
    EXPECT_THAT(ProblemsOf(With("{protocol: " + protocol +
                                ", thriftFramed: true, attemptTTwitterUpgrade: false}")),
                IsEmpty());
  }
  for (const std::string protocol : {"thrift", "auto"}) {
    EXPECT_THAT(ProblemsOf(With("{protocol: " + protocol +
                                ", thriftFramed: false, attemptTTwitterUpgrade: true}")),
                IsEmpty());
  }
}

// Entries add to each other: what one says of Thrift may stand where another one says ThriftMux.
TEST(ClientProtocolTest, OtherEntriesExcludeNothing) {
  const ClientOptions options =
      Options(With("{kind: io.l5d.static, configs: [{prefix: /, attemptTTwitterUpgrade: true, "
                   "thriftFramed: false}, {prefix: /, protocol: thriftmux}]}"));
  EXPECT_EQ(options.protocol, ClientProtocol::kThriftMux);
  EXPECT_TRUE(options.attempt_ttwitter_upgrade);
  EXPECT_THAT(ProblemsOf(Entry("thriftFramed: false", "mux")), IsEmpty());
}

// The clients of a mux router speak ThriftMux unless it is said otherwise, and here nobody else
// can.
TEST(ClientProtocolTest, TheDefaultOfAMuxRouterExcludesToo) {
  EXPECT_THAT(ProblemsOf(With("{thriftFramed: false}", "mux")),
              ElementsAre("f:4: routers[0].client.thriftFramed: thriftFramed: false and protocol: "
                          "thriftmux (a mux router's default) exclude each other"));
  EXPECT_THAT(ProblemsOf(With("{thriftFramed: false}", "thriftmux")), IsEmpty());
}

TEST(ClientProtocolTest, ZlibWithoutTHeaderIsAWarning) {
  const std::string what = ": is of use with protocol: theader only, which is not asked for here";
  const std::string time = "requestAttemptTimeoutMs: 1, ";
  for (const std::string protocol : {"", "protocol: thrift, ", "protocol: thriftmux, "}) {
    EXPECT_THAT(WarningsOf(With("{" + time + protocol + "theaderZlib: true}")),
                ElementsAre("f:4: routers[0].client.theaderZlib" + what));
    EXPECT_THAT(WarningsOf(With("{" + time + protocol + "theaderZlib: false}")), IsEmpty());
  }
  EXPECT_THAT(WarningsOf(Entry(time + "theaderZlib: true")),
              ElementsAre("f:4: routers[0].client.configs[0].theaderZlib" + what));
  for (const std::string protocol : {"theader", "auto"}) {
    EXPECT_THAT(WarningsOf(With("{" + time + "theaderZlib: true, protocol: " + protocol + "}")),
                IsEmpty());
  }
}

}  // namespace
}  // namespace trestle::conf
