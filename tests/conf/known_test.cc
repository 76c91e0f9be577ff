// Every key and kind that Linkerd has: read, or refused with the words for it; never ignored.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/conf/support.h"

namespace trestle::conf {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string NotYet(const std::string& at, const std::string& what) {
  return "f:" + at + ": " + what + " is known to Linkerd, but not supported yet";
}

TEST(KnownTest, ProtocolsNotYet) {
  for (const std::string protocol : {"http", "h2"}) {
    // The rest of such a router belongs to another protocol, so nothing is said of it.
    EXPECT_THAT(ProblemsOf("routers:\n- protocol: " + protocol + "\n  identifier: {}\n"),
                ElementsAre(NotYet("2: routers[0].protocol", protocol)));
  }
}

TEST(KnownTest, NamersNotYet) {
  for (const std::string kind : {"io.l5d.zkLeader", "io.l5d.curator", "io.l5d.consul", "io.l5d.k8s",
                                 "io.l5d.k8s.external", "io.l5d.k8s.ns", "io.l5d.dnssrv",
                                 "io.l5d.marathon", "io.l5d.rancher", "io.l5d.k8s.istio"}) {
    EXPECT_THAT(ProblemsOf(AtTop("namers:\n- kind: " + kind + "\n  zkAddrs: []\n")),
                ElementsAre(NotYet("3: namers[0].kind", kind)));
  }
}

TEST(KnownTest, InterpretersNotYet) {
  for (const std::string kind : {"io.l5d.namerd", "io.l5d.namerd.http", "io.l5d.mesh", "io.l5d.fs",
                                 "io.l5d.k8s.configMap", "io.l5d.consul.interpreter"}) {
    EXPECT_THAT(ProblemsOf(WithRouter("  interpreter: {kind: " + kind + ", dst: /$/inet/1/2}\n")),
                ElementsAre(NotYet("4: routers[0].interpreter.kind", kind)));
  }
}

TEST(KnownTest, TelemetersNotYet) {
  for (const std::string kind : {"io.l5d.influxdb", "io.l5d.statsd", "io.l5d.tracelog",
                                 "io.l5d.recentRequests", "io.l5d.zipkin"}) {
    EXPECT_THAT(ProblemsOf(AtTop("telemetry: [{kind: " + kind + ", sampleRate: 1}]\n")),
                ElementsAre(NotYet("2: telemetry[0].kind", kind)));
  }
}

TEST(KnownTest, BalancersAndAccrualsNotYet) {
  for (const std::string kind : {"ewma", "aperture", "heap"}) {
    EXPECT_THAT(
        ProblemsOf(WithRouter("  client: {loadBalancer: {kind: " + kind + ", minAperture: 1}}\n")),
        ElementsAre(NotYet("4: routers[0].client.loadBalancer.kind", kind)));
  }
  for (const std::string kind : {"io.l5d.successRate", "io.l5d.successRateWindowed"}) {
    EXPECT_THAT(
        ProblemsOf(WithRouter("  client: {failureAccrual: {kind: " + kind + ", requests: 1}}\n")),
        ElementsAre(NotYet("4: routers[0].client.failureAccrual.kind", kind)));
  }
}

// One key of one section, with a value that asks for what is not there.
struct Refused {
  const char* section;
  std::string text;
  std::string problem;
};

TEST(KnownTest, KeysNotYet) {
  const std::vector<Refused> rows = {
      {"admin", AtTop("admin: {tls: {certPath: a}}\n"), NotYet("2: admin.tls", "tls")},
      {"admin", AtTop("admin: {socketOptions: {noDelay: false}}\n"),
       NotYet("2: admin.socketOptions", "socketOptions")},
      {"admin", AtTop("admin: {httpIdentifierPort: 1}\n"),
       NotYet("2: admin.httpIdentifierPort", "httpIdentifierPort: 1")},
      {"admin", AtTop("admin: {workerThreads: 4}\n"),
       NotYet("2: admin.workerThreads", "workerThreads: 4")},
      {"admin", AtTop("admin: {security: {uiEnabled: false}}\n"),
       NotYet("2: admin.security", "security")},
      {"namer", AtTop("namers: [{kind: io.l5d.fs, rootDir: d, transformers: [{kind: a}]}]\n"),
       NotYet("2: namers[0].transformers", "transformers")},
      {"router", WithRouter("  originator: true\n"),
       NotYet("4: routers[0].originator", "originator: true")},
      {"interpreter", WithRouter("  interpreter: {kind: default, transformers: [a]}\n"),
       NotYet("4: routers[0].interpreter.transformers", "transformers")},
      {"server", InServer("    timeoutMs: 5\n"),
       NotYet("5: routers[0].servers[0].timeoutMs", "timeoutMs: 5")},
      {"client", WithRouter("  client: {requestAuthorizers: [{kind: a}]}\n"),
       NotYet("4: routers[0].client.requestAuthorizers", "requestAuthorizers")},
      {"client", WithRouter("  client: {forwardClientCert: true}\n"),
       NotYet("4: routers[0].client.forwardClientCert", "forwardClientCert: true")},
      {"balancer", WithRouter("  client: {loadBalancer: {kind: p2c, enableProbation: true}}\n"),
       NotYet("4: routers[0].client.loadBalancer.enableProbation", "enableProbation: true")},
      {"service", WithRouter("  service: {retries: {budget: {ttlSecs: 1}}}\n"),
       NotYet("4: routers[0].service.retries", "retries")},
      {"service", WithRouter("  service: {responseClassifier: {kind: a}}\n"),
       NotYet("4: routers[0].service.responseClassifier", "responseClassifier")},
  };
  for (const Refused& row : rows) {
    EXPECT_THAT(ProblemsOf(row.text), ElementsAre(row.problem)) << row.section;
  }
}

TEST(KnownTest, WhatAsksForNothingIsFine) {
  for (const std::string& text : {
           AtTop("admin: {tls: ~, httpIdentifierPort: null, workerThreads: 2, security: {}}\n"),
           AtTop("usage: {orgId: a, enabled: true}\n"),
           AtTop("usage: {what: ever}\n"),
           AtTop("telemetry: []\n"),
           AtTop("telemetry: [{kind: io.l5d.prometheus, experimental: true}]\n"),
           AtTop("namers: [{kind: io.l5d.fs, rootDir: d, transformers: [], experimental: true}]\n"),
           WithRouter("  announcers: []\n  originator: false\n  experimental: true\n"),
           WithRouter("  interpreter: {kind: default, transformers: []}\n"),
           WithRouter("  service: {retries: {}, responseClassifier: ~}\n"),
           WithRouter("  client: {loadBalancer: {kind: p2c, enableProbation: false}}\n"),
           WithRouter("  client: {requestAuthorizers: [], forwardClientCert: false}\n"),
           InServer("    announce: []\n    timeoutMs:\n"),
       }) {
    EXPECT_THAT(ProblemsOf(text), IsEmpty()) << text;
  }
}

// Keys of the wrong place are unknown there.
TEST(KnownTest, KeysBelongToTheirSections) {
  EXPECT_THAT(ProblemsOf(WithRouter("  port: 1\n")),
              ElementsAre("f:4: routers[0].port: unknown key"));
  EXPECT_THAT(
      ProblemsOf(WithRouter("  client: {kind: io.l5d.static, configs: [], failFast: true}\n")),
      ElementsAre("f:4: routers[0].client.failFast: unknown key"));
  EXPECT_THAT(ProblemsOf(WithRouter("  client: {prefix: /a}\n")),
              ElementsAre("f:4: routers[0].client.prefix: unknown key"));
  EXPECT_THAT(ProblemsOf(WithRouter("  thriftFramed: true\n")),
              ElementsAre("f:4: routers[0].thriftFramed: unknown key"));
  EXPECT_THAT(ProblemsOf(InServer("    thriftProtocol: binary\n    stripServiceName: true\n")),
              ElementsAre("f:5: routers[0].servers[0].thriftProtocol: unknown key",
                          "f:6: routers[0].servers[0].stripServiceName: unknown key"));
  EXPECT_THAT(ProblemsOf(WithRouter("  maxBufferedBytes: 5000000\n")),
              ElementsAre("f:4: routers[0].maxBufferedBytes: unknown key"));
  EXPECT_THAT(ProblemsOf(WithRouter("  identifier: {kind: io.l5d.path}\n")),
              ElementsAre("f:4: routers[0].identifier: unknown key"));
  EXPECT_THAT(ProblemsOf(WithRouter("  client: {failureAccrual: {kind: none, failures: 5}}\n")),
              ElementsAre("f:4: routers[0].client.failureAccrual.failures: unknown key"));
}

TEST(KnownTest, KindsNobodyKnows) {
  EXPECT_THAT(
      ProblemsOf(WithRouter("  client: {kind: io.l5d.globl}\n")),
      ElementsAre("f:4: routers[0].client.kind: no such kind: \"io.l5d.globl\"; did you mean "
                  "io.l5d.global?"));
  EXPECT_THAT(ProblemsOf("routers:\n- protocol: thirft\n"),
              ElementsAre("f:2: routers[0].protocol: no such protocol: \"thirft\"; did you mean "
                          "thrift?"));
  EXPECT_THAT(ProblemsOf(AtTop("namers: [{kind: zookeeper}]\n")),
              ElementsAre("f:2: namers[0].kind: no such kind: \"zookeeper\""));
  EXPECT_THAT(ProblemsOf(WithRouter("  client: {failureAccrual: {kind: consecutiveFailures}}\n")),
              ElementsAre("f:4: routers[0].client.failureAccrual.kind: no such kind: "
                          "\"consecutiveFailures\"; did you mean io.l5d.consecutiveFailures?"));
}

}  // namespace
}  // namespace trestle::conf
