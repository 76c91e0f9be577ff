// TLS of servers and clients, and who may do what by it: what is read, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "conf/options.h"
#include "tests/conf/support.h"

namespace trestle::conf {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Line 4: `server`; line 5: `router`.
std::string With(const std::string& server, const std::string& router = "",
                 const std::string& protocol = "thrift") {
  return "\nrouters:\n- protocol: " + protocol + "\n  servers: [{" + server + "}]\n  " + router +
         "\n  service: {totalTimeoutMs: 1}\n";
}
const std::string kPair = "certPath: c.pem, keyPath: k.pem";

RouterConfig Read(const std::string& text) {
  const Parsed parsed = Parse(text, "f");
  EXPECT_EQ(ShowAll(parsed.problems), "");
  return parsed.config.routers.at(0);
}

TEST(TlsTest, WhatLinkerdWritesForServers) {
  const auto tls =
      Read(With("tls: {enabled: true, " + kPair +
                ", intermediateCertsPath: i.pem, requireClientAuth: true, caCertPath: ca.pem, "
                "protocols: [TLSv1.3]}"))
          .servers[0]
          .tls;
  ASSERT_TRUE(tls);
  ASSERT_EQ(tls->certificates.size(), 1u);
  EXPECT_EQ(tls->certificates[0].cert_path.value, "c.pem");
  EXPECT_EQ(tls->certificates[0].key_path.value, "k.pem");
  EXPECT_EQ(tls->certificates[0].intermediate_certs_paths.at(0).value, "i.pem");
  EXPECT_TRUE(tls->require_client_auth);
  EXPECT_EQ(tls->ca_cert_path.value, "ca.pem");
  EXPECT_THAT(tls->protocols, ElementsAre("TLSv1.3"));
  EXPECT_FALSE(Read(With("tls: {enabled: false, " + kPair + "}")).servers[0].tls);
  EXPECT_FALSE(Read(With("port: 1")).servers[0].tls);
}

TEST(TlsTest, WhatIsOursForServers) {
  const ServerConfig server =
      Read(With("tls: {certificates: [{" + kPair +
                    "}, {certPath: c2, keyPath: k2}], optional: true, opportunistic: required, "
                    "handshakeTimeoutMs: 7, maxHandshakes: 9, requireClientAuth: true, "
                    "caCertPath: ca}, allow: ['*.prod.example', 'spiffe://x/*']",
                "", "thriftmux"))
          .servers[0];
  ASSERT_TRUE(server.tls);
  EXPECT_EQ(server.tls->certificates.at(1).key_path.value, "k2");
  EXPECT_TRUE(server.tls->optional);
  EXPECT_EQ(server.tls->opportunistic, OpportunisticTls::kRequired);
  EXPECT_EQ(server.tls->handshake_timeout, Millis(7));
  EXPECT_EQ(server.tls->max_handshakes, 9u);
  EXPECT_THAT(*server.allow, ElementsAre("*.prod.example", "spiffe://x/*"));
  EXPECT_FALSE(Read(With("port: 1")).servers[0].allow);
}

TEST(TlsTest, WhatServersMayNotSay) {
  EXPECT_THAT(ProblemsOf(With("tls: {}")),
              ElementsAre("f:4: routers[0].servers[0].tls.certPath: is missing",
                          "f:4: routers[0].servers[0].tls.keyPath: is missing"));
  EXPECT_THAT(ProblemsOf(With("tls: {" + kPair + ", requireClientAuth: true}")),
              ElementsAre("f:4: routers[0].servers[0].tls.requireClientAuth: needs caCertPath, to "
                          "know whose clients are meant"));
  EXPECT_THAT(ProblemsOf(With("tls: {" + kPair + ", protocols: [SSLv3, TLSv1.2]}")),
              ElementsAre("f:4: routers[0].servers[0].tls.protocols[0]: must be one of TLSv1.3, "
                          "TLSv1.2, TLSv1.1, TLSv1, is \"SSLv3\""));
  EXPECT_THAT(ProblemsOf(With("tls: {" + kPair + ", protocols: []}")),
              ElementsAre("f:4: routers[0].servers[0].tls.protocols: names no protocol"));
  EXPECT_THAT(ProblemsOf(With("tls: {" + kPair + ", opportunistic: desired}")),
              ElementsAre("f:4: routers[0].servers[0].tls.opportunistic: is agreed upon in the "
                          "handshake of mux, which is not spoken here"));
  EXPECT_THAT(ProblemsOf(With("tls: {certificates: []}")),
              ElementsAre("f:4: routers[0].servers[0].tls.certificates: has none"));
  EXPECT_THAT(ProblemsOf(With("allow: [a]")),
              ElementsAre("f:4: routers[0].servers[0].allow: needs tls.requireClientAuth: nobody "
                          "else has an identity"));
}

TEST(TlsTest, TlsThatIsAgreedUponNeedsMux) {
  const std::string known = "tls: {" + kPair + ", requireClientAuth: true, caCertPath: ca.pem, ";
  const auto server = [&known](const std::string& level) {
    return With("port: 1, allow: [a], " + known + "opportunistic: " + level + "}", "", "thriftmux");
  };
  EXPECT_THAT(ProblemsOf(server("required")), IsEmpty());
  EXPECT_THAT(ProblemsOf(server("desired")),
              ElementsAre("f:4: routers[0].servers[0].allow: needs tls.opportunistic: required: "
                          "who stays in clear text has no identity"));
  const auto client = [](const std::string& protocol) {
    return With("port: 1",
                "client: {" + protocol + "tls: {commonName: a, opportunistic: desired}}");
  };
  EXPECT_THAT(ProblemsOf(client("protocol: thriftmux, ")), IsEmpty());
  EXPECT_THAT(ProblemsOf(client("protocol: auto, ")), IsEmpty());
  EXPECT_THAT(ProblemsOf(client("")),
              ElementsAre("f:5: routers[0].client.tls: opportunistic is agreed upon in the "
                          "handshake of mux, and protocol is thrift"));
  EXPECT_THAT(ProblemsOf(client("protocol: theader, ")),
              ElementsAre("f:5: routers[0].client.tls: opportunistic is agreed upon in the "
                          "handshake of mux, and protocol is theader"));
}

TEST(TlsTest, AnAuthorityThatNobodyIsAskedForIsAWarning) {
  const Parsed parsed = Parse(With("tls: {" + kPair + ", caCertPath: ca.pem}"), "f");
  EXPECT_EQ(ShowAll(parsed.problems), "");
  EXPECT_EQ(ShowAll(parsed.warnings),
            "f:4: routers[0].servers[0].tls.caCertPath: is of use with requireClientAuth: true "
            "only; nobody is asked here\n");
}

ClientOptions OptionsOf(const std::string& client, const std::string& id) {
  return ResolveClient(Read(With("port: 1", "client: " + client)).client, *naming::Path::Parse(id));
}

TEST(TlsTest, WhatLinkerdWritesForClients) {
  const auto tls =
      OptionsOf(
          "{tls: {commonName: users.example, trustCertsBundle: b.pem, trustCerts: [t.pem], "
          "clientAuth: {" +
              kPair + ", intermediateCertsPath: i.pem}, protocols: [TLSv1.2]}}",
          "/#/x")
          .tls;
  ASSERT_TRUE(tls);
  EXPECT_EQ(tls->common_name.value, "users.example");
  ASSERT_EQ(tls->trust_certs.size(), 2u);
  EXPECT_EQ(tls->trust_certs[0].value, "b.pem");
  EXPECT_EQ(tls->trust_certs[1].value, "t.pem");
  EXPECT_EQ(tls->client_auth->key_path.value, "k.pem");
  EXPECT_THAT(tls->protocols, ElementsAre("TLSv1.2"));
  EXPECT_TRUE(OptionsOf("{tls: {disableValidation: true}}", "/#/x").tls->disable_validation);
  EXPECT_FALSE(OptionsOf("{tls: {enabled: false}}", "/#/x").tls);
}

TEST(TlsTest, TheNameOfACertificateMayHaveCapturesOfThePrefix) {
  const std::string client =
      "{kind: io.l5d.static, configs: [{prefix: /, tls: {commonName: all.example}}, "
      "{prefix: '/#/io.l5d.serversets/prod/{service}', "
      "tls: {commonName: '{service}.prod.example', opportunistic: desired, "
      "allowCommonName: true}}, {prefix: /#/plain, tls: {enabled: false}}]}";
  const auto users = OptionsOf(client, "/#/io.l5d.serversets/prod/users").tls;
  EXPECT_EQ(users->common_name.value, "users.prod.example");
  EXPECT_EQ(users->opportunistic, OpportunisticTls::kDesired);
  EXPECT_TRUE(users->allow_common_name);
  EXPECT_EQ(OptionsOf(client, "/#/io.l5d.fs/users").tls->common_name.value, "all.example");
  EXPECT_FALSE(OptionsOf(client, "/#/plain/x").tls) << "the last entry is taken whole";
}

TEST(TlsTest, WhatClientsMayNotSay) {
  const auto problems = [](const std::string& tls, const std::string& prefix = "/#/a/{b}") {
    return ProblemsOf(With("port: 1", "client: {kind: io.l5d.static, configs: [{prefix: '" +
                                          prefix + "', tls: {" + tls + "}}]}"));
  };
  const std::string at = "f:5: routers[0].client.configs[0].tls.";
  EXPECT_THAT(
      problems("enabled: true"),
      ElementsAre(at + "commonName: is needed: the name that the backends' certificates are "
                       "for"));
  EXPECT_THAT(problems("commonName: '{c}.example'"),
              ElementsAre(at + "commonName: the prefix /#/a/{b} has no capture {c}"));
  EXPECT_THAT(problems("commonName: '{b'"),
              ElementsAre(at + "commonName: unbalanced braces: '{b'"));
  EXPECT_THAT(problems("disableValidation: true, clientAuth: {" + kPair + "}"),
              ElementsAre(at + "clientAuth: clientAuth and disableValidation: true exclude each "
                               "other"));
  EXPECT_THAT(problems("commonName: a, trustCerts: [[]]"),
              ElementsAre(at + "trustCerts[0]: must be a path of a file, is a list"));
}

TEST(TlsTest, WhoMaySendADtabAndWhatItMaySay) {
  const RouterConfig router = Read(
      With("port: 1", "overrides: {allow: ['*.ci.example'], prefixes: [/thrift/users, /srv]}"));
  EXPECT_THAT(*router.overrides.allow, ElementsAre("*.ci.example"));
  ASSERT_EQ(router.overrides.prefixes->size(), 2u);
  EXPECT_EQ(router.overrides.prefixes->at(0).Show(), "/thrift/users");
  EXPECT_FALSE(Read(With("port: 1")).overrides.allow);
  EXPECT_FALSE(Read(With("port: 1")).overrides.prefixes);
  EXPECT_THAT(ProblemsOf(With("port: 1", "overrides: {prefixes: [srv, []]}")),
              ElementsAre("f:5: routers[0].overrides.prefixes[0]: '/' expected but 's' found at "
                          "'[s]rv'",
                          "f:5: routers[0].overrides.prefixes[1]: must be a path, is a list"));
  EXPECT_THAT(ProblemsOf(With("port: 1", "overrides: {allow: []}")), IsEmpty()) << "nobody may";
  const RouterConfig stars = Read(With("port: 1", "overrides: {prefixes: ['/srv/*/x']}"));
  EXPECT_EQ(stars.overrides.prefixes->at(0).Show(), "/srv/*/x");
}

// What was to guard something, and is commented out below the key.
TEST(TlsTest, AKeyWithoutAValueIsNoKeyAtAll) {
  const std::string ends = " has no value; take the key out if that is meant";
  EXPECT_THAT(ProblemsOf(With("port: 1, tls: , allow: ")),
              ElementsAre("f:4: routers[0].servers[0].tls:" + ends,
                          "f:4: routers[0].servers[0].allow:" + ends));
  EXPECT_THAT(ProblemsOf(With("port: 1", "client: {tls: }")),
              ElementsAre("f:5: routers[0].client.tls:" + ends));
  EXPECT_THAT(ProblemsOf(With("port: 1", "overrides: ")),
              ElementsAre("f:5: routers[0].overrides:" + ends));
  EXPECT_THAT(ProblemsOf(With("port: 1", "overrides: {allow: , prefixes: }")),
              ElementsAre("f:5: routers[0].overrides.allow:" + ends,
                          "f:5: routers[0].overrides.prefixes:" + ends));
}

TEST(TlsTest, NamesThatNoCertificateHas) {
  const auto problems = [](const std::string& name) {
    return ProblemsOf(With("port: 1", "client: {tls: {commonName: '" + name + "'}}"));
  };
  const std::string at = "f:5: routers[0].client.tls.commonName: ";
  EXPECT_THAT(problems(".example"), ElementsAre(at + "begins or ends with a dot"));
  EXPECT_THAT(problems("a.example."), ElementsAre(at + "begins or ends with a dot"));
  EXPECT_THAT(problems("a.example:443"),
              ElementsAre(at + "is neither the name of a host nor an address; ports do not belong "
                               "here"));
  EXPECT_THAT(problems(std::string(254, 'a')),
              ElementsAre(at + "is longer than the name of a host can be (253)"));
  EXPECT_THAT(problems("::1"), IsEmpty());
  EXPECT_THAT(problems("10.0.0.1"), IsEmpty());
}

}  // namespace
}  // namespace trestle::conf
