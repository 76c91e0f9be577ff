// Announcers and what servers are announced as: what is read, what is refused, who can reach what.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "conf/announced.h"
#include "tests/conf/support.h"

namespace trestle::conf {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Line 4: the announcers of the router; line 6: its one server.
std::string With(const std::string& announcers, const std::string& server,
                 const std::string& top = "") {
  return top + "\nrouters:\n- protocol: thrift\n  announcers: [" + announcers +
         "]\n  servers:\n  - {" + server + "}\n  service: {totalTimeoutMs: 1}\n";
}
const std::string kPlain = "{kind: io.l5d.serversets, zkAddrs: [{host: zk}]}";
const std::string kHosted =
    "{kind: io.l5d.serversets, zkAddrs: [{host: zk}], advertisedHost: me.example}";
std::string Plain(const std::string& more) {
  return "{kind: io.l5d.serversets, zkAddrs: [{host: zk}], " + more + "}";
}
std::string Announced(const std::string& name) {
  return "ip: 10.0.0.1, announce: ['" + name + "']";
}

std::vector<std::string> WarningsOf(const std::string& text) {
  return Shown(Parse(text, "f").warnings);
}

TEST(AnnounceTest, WhatLinkerdWrites) {
  const std::string text = With(
      "{kind: io.l5d.serversets, prefix: /io.l5d.serversets, pathPrefix: /discovery, "
      "zkAddrs: [{host: a, port: 1}, {host: b}]}",
      "ip: 10.0.0.1, announce: [/#/io.l5d.serversets/a/b, /#/io.l5d.serversets/c]");
  const Parsed parsed = Parse(text, "f");
  ASSERT_EQ(ShowAll(parsed.problems) + ShowAll(parsed.warnings), "");
  const RouterConfig& router = parsed.config.routers.at(0);
  const AnnouncerConfig& announcer = router.announcers.at(0);
  EXPECT_EQ(announcer.prefix.Show(), "/#/io.l5d.serversets");
  ZkClusterConfig cluster;
  cluster.hosts = "a:1,b:2181";
  EXPECT_EQ(announcer.cluster, cluster);
  EXPECT_EQ(announcer.shard, 0u);
  const ServerConfig& server = router.servers.at(0);
  ASSERT_EQ(server.announce.size(), 2u);
  EXPECT_EQ(AnnouncedSet(announcer, server.announce[0].value), "/discovery/a/b");
  EXPECT_EQ(AnnouncedSet(announcer, server.announce[1].value), "/discovery/c");
  EXPECT_EQ(AnnouncedHost(announcer, server), "10.0.0.1");
  EXPECT_THAT(AnnouncersOf(router, server.announce[0].value), ElementsAre(&announcer));
}

TEST(AnnounceTest, EveryKey) {
  const std::string text = With(
      "{kind: io.l5d.serversets, prefix: /zk/main, pathPrefix: /, zkAddrs: [{host: a}], "
      "chroot: /x, sessionTimeoutMs: 2000, authInfo: {scheme: digest, auth: 'a:b'}, "
      "advertisedHost: me-1.example, shard: 3, announceAdmin: false, readOnly: false}",
      "ip: 0.0.0.0, announce: [/#/zk/main/a]");
  const Parsed parsed = Parse(text, "f");
  ASSERT_EQ(ShowAll(parsed.problems) + ShowAll(parsed.warnings), "");
  const RouterConfig& router = parsed.config.routers.at(0);
  const AnnouncerConfig& announcer = router.announcers.at(0);
  EXPECT_EQ(announcer.cluster, (ZkClusterConfig{"a:2181/x", Millis(2000), "digest", "a:b", false}));
  EXPECT_EQ(announcer.shard, 3u);
  EXPECT_EQ(announcer.announce_admin, false);
  EXPECT_EQ(AnnouncedHost(announcer, router.servers.at(0)), "me-1.example");
  EXPECT_EQ(AnnouncedSet(announcer, router.servers.at(0).announce.at(0).value), "/a");
}

TEST(AnnounceTest, AllAnnouncersWhosePrefixANameHasTakeIt) {
  const Parsed parsed =
      Parse(With(Plain("prefix: /a") + ", " + Plain("prefix: /a/b") + ", " + Plain("prefix: /c"),
                 Announced("/#/a/b/x")),
            "f");
  ASSERT_EQ(ShowAll(parsed.problems), "");
  const RouterConfig& router = parsed.config.routers.at(0);
  const naming::Path& name = router.servers.at(0).announce.at(0).value;
  EXPECT_THAT(AnnouncersOf(router, name),
              ElementsAre(&router.announcers[0], &router.announcers[1]));
  EXPECT_EQ(AnnouncedSet(router.announcers[0], name), "/discovery/b/x");
  EXPECT_EQ(AnnouncedSet(router.announcers[1], name), "/discovery/x");
}

TEST(AnnounceTest, WrongAnnouncers) {
  const auto of = [](const std::string& announcer) {
    return ProblemsOf(With(announcer, "port: 1"));
  };
  const std::string at = "f:4: routers[0].announcers[0]";
  EXPECT_THAT(of("{kind: io.l5d.serversets}"), ElementsAre(at + ".zkAddrs: is missing"));
  EXPECT_THAT(of("{zkAddrs: [{host: a}]}"), ElementsAre(at + ".kind: is missing"));
  EXPECT_THAT(of("{kind: io.l5d.zk}"), ElementsAre(at + ".kind: no such kind: \"io.l5d.zk\""));
  EXPECT_THAT(of(Plain("readOnly: true")),
              ElementsAre(at + ".readOnly: has no meaning for an announcer: it writes"));
  EXPECT_THAT(of(Plain("pathPrefix: a")),
              ElementsAre(at + ".pathPrefix: '/' expected but 'a' found at '[a]'"));
  EXPECT_THAT(of(Plain("pathPrefix: /a/..")),
              ElementsAre(at + ".pathPrefix: no znode can be called .."));
  EXPECT_THAT(of(Plain("shard: -1")), ElementsAre(at + ".shard: must be at least 0, is -1"));
  EXPECT_THAT(of(Plain("announceAdmin: perhaps")),
              ElementsAre(at + ".announceAdmin: must be true or false, is \"perhaps\""));
  EXPECT_THAT(of(Plain("pathprefix: /a")),
              ElementsAre(at + ".pathprefix: unknown key; did you mean pathPrefix?"));
  for (const std::string host : {"a:1", "'a b'", "''", "/a", "'[::1]'"}) {
    const auto problems = of(Plain("advertisedHost: " + host));
    ASSERT_EQ(problems.size(), 1u) << host;
    EXPECT_TRUE(problems[0].starts_with(
        at + ".advertisedHost: must be a host name or an address, without a port, is "))
        << problems[0];
  }
  for (const std::string host : {"0.0.0.0", "::", "::ffff:0.0.0.0", "0:0:0:0:0:0:0:0", "0::0",
                                 "::ffff:0:0", "::0.0.0.0", "0", "0.0", "0x0"}) {
    EXPECT_THAT(
        of(Plain("advertisedHost: '" + host + "'")),
        ElementsAre(at + ".advertisedHost: " + host + " is no address that others can reach"));
  }
}

TEST(AnnounceTest, WrongNames) {
  const auto of = [](const std::string& announcers, const std::string& name) {
    return ProblemsOf(With(announcers, Announced(name)));
  };
  const std::string at = "f:6: routers[0].servers[0].announce[0]: ";
  const std::string mark =
      "a name to announce begins with /#/ and the prefix of an announcer, as in "
      "/#/io.l5d.serversets/users; is ";
  EXPECT_THAT(of(kPlain, "/io.l5d.serversets/a"), ElementsAre(at + mark + "/io.l5d.serversets/a"));
  EXPECT_THAT(of(kPlain, "/"), ElementsAre(at + mark + "/"));
  EXPECT_THAT(of(kPlain, "a"), ElementsAre(at + "'/' expected but 'a' found at '[a]'"));
  EXPECT_THAT(of("", "/#/x/a"),
              ElementsAre(at + "the router has no announcers, so nobody takes /#/x/a"));
  EXPECT_THAT(of(kPlain + ", " + Plain("prefix: /zk"), "/#/x/a"),
              ElementsAre(at + "no announcer of the router takes /#/x/a; there are "
                               "/#/io.l5d.serversets, /#/zk"));
  EXPECT_THAT(of(kPlain, "/#/io.l5d.serversets"),
              ElementsAre(at + "names no znode: something must follow /#/io.l5d.serversets"));
  EXPECT_THAT(of(kPlain, "/#/io.l5d.serversets/./a"), ElementsAre(at + "no znode can be called ."));
  EXPECT_THAT(of(kPlain, "/#/io.l5d.serversets/a\\x2fb"),
              ElementsAre(at + "no znode can be called \\x61\\x2f\\x62"));
  EXPECT_THAT(ProblemsOf(With(kPlain,
                              "ip: 10.0.0.1, announce: [/#/io.l5d.serversets/a, "
                              "/#/io.l5d.serversets/a, [b]]")),
              ElementsAre("f:6: routers[0].servers[0].announce[1]: /#/io.l5d.serversets/a stands "
                          "here for the second time",
                          "f:6: routers[0].servers[0].announce[2]: must be a name like "
                          "/#/io.l5d.serversets/users, is a list"));
}

TEST(AnnounceTest, AnAddressForAllInterfacesIsNone) {
  for (const std::string ip : {"0.0.0.0", "::"}) {
    const std::string server = "ip: '" + ip +
                               "', announce: [/#/io.l5d.serversets/a, "
                               "/#/io.l5d.serversets/b]";
    EXPECT_THAT(ProblemsOf(With(kPlain, server)),
                ElementsAre("f:6: routers[0].servers[0].ip: " + ip +
                            " is no address to announce; set routers[0].announcers[0]."
                            "advertisedHost to the host or the address by which others reach "
                            "this machine"));
    EXPECT_THAT(ProblemsOf(With(kHosted, server)), IsEmpty());
    EXPECT_THAT(ProblemsOf(With(kPlain, "ip: '" + ip + "'")), IsEmpty());
  }
}

TEST(AnnounceTest, AnAddressOfThisMachineAloneIsWarnedOf) {
  const std::string server = "announce: [/#/io.l5d.serversets/a]";
  EXPECT_THAT(WarningsOf(With(kPlain, server)),
              ElementsAre("f:6: routers[0].servers[0].announce[0]: /#/io.l5d.serversets/a is "
                          "announced with 127.0.0.1, which only this machine can reach; set "
                          "routers[0].announcers[0].advertisedHost or the server's ip"));
  EXPECT_THAT(WarningsOf(With(kHosted, server)), IsEmpty());
  EXPECT_THAT(WarningsOf(With(kPlain, "ip: 10.0.0.1, " + server)), IsEmpty());
  EXPECT_THAT(WarningsOf(With(Plain("prefix: /#/a"), "port: 1")),
              ElementsAre("f:4: routers[0].announcers[0].prefix: a prefix is put behind /# "
                          "already, so this announcer takes /#/#/a"));
}

// The admin server's address as it is announced, or "-".
std::string Admin(const std::string& admin, const std::string& server,
                  const std::string& advertised = "") {
  AnnouncerConfig announcer;
  announcer.advertised_host = advertised;
  ServerConfig config;
  config.ip.value = server;
  return AnnouncedAdminHost(announcer, config, admin).value_or("-");
}

TEST(AnnounceTest, TheAdminServerIsAnnouncedToThoseWhoReachIt) {
  EXPECT_EQ(Admin("127.0.0.1", "127.0.0.1"), "127.0.0.1");
  EXPECT_EQ(Admin("127.0.0.2", "::1"), "127.0.0.2");
  EXPECT_EQ(Admin("127.0.0.1", "10.0.0.1"), "-");
  EXPECT_EQ(Admin("127.0.0.1", "127.0.0.1", "me.example"), "-");
  EXPECT_EQ(Admin("127.0.0.1", "0.0.0.0", "localhost"), "127.0.0.1");
  EXPECT_EQ(Admin("::1", "10.0.0.1"), "-");
  EXPECT_EQ(Admin("0.0.0.0", "10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(Admin("0.0.0.0", "0.0.0.0", "me.example"), "me.example");
  EXPECT_EQ(Admin("0.0.0.0", "fd00::1"), "-") << "it listens on no IPv6 address";
  EXPECT_EQ(Admin("::", "fd00::1"), "fd00::1");
  EXPECT_EQ(Admin("::", "10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(Admin("10.0.0.1", "10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(Admin("10.0.0.1", "10.0.0.1", "me.example"), "me.example");
  EXPECT_EQ(Admin("10.9.0.1", "10.0.0.1", "me.example"), "10.9.0.1") << "another interface";
  EXPECT_EQ(Admin("10.0.0.1", "127.0.0.1"), "10.0.0.1");
}

TEST(AnnounceTest, AnAdminServerThatIsToBeAnnouncedMustBeReached) {
  const std::string announcer = Plain("announceAdmin: true");
  EXPECT_THAT(ProblemsOf(With(announcer, Announced("/#/io.l5d.serversets/a"))),
              ElementsAre("f:4: routers[0].announcers[0].announceAdmin: who reaches 10.0.0.1 does "
                          "not reach the admin server at 127.0.0.1; set admin.ip"));
  EXPECT_THAT(
      ProblemsOf(With(announcer, Announced("/#/io.l5d.serversets/a"), "admin: {ip: 0.0.0.0}")),
      IsEmpty());
  EXPECT_THAT(ProblemsOf(With(announcer, "announce: [/#/io.l5d.serversets/a]")), IsEmpty());
  EXPECT_THAT(ProblemsOf(With(announcer, "ip: 10.0.0.1")), IsEmpty());
}

TEST(AnnounceTest, AddressesOfThisMachineAndOfNone) {
  for (const char* host : {"127.0.0.1", "127.9.9.9", "::1", "localhost", "::ffff:127.0.0.1",
                           "0:0::1", "::ffff:7f00:1"}) {
    EXPECT_TRUE(IsLoopback(host)) << host;
  }
  for (const char* host : {"10.0.0.1", "127.example", "1270.0.0.1", "fd00::1", "", "0.0.0.0"}) {
    EXPECT_FALSE(IsLoopback(host)) << host;
  }
  EXPECT_FALSE(IsUnspecified("10.0.0.0"));
  EXPECT_FALSE(IsUnspecified("::1"));
  EXPECT_FALSE(IsUnspecified(""));
  EXPECT_FALSE(IsUnspecified("0.example"));
}

}  // namespace
}  // namespace trestle::conf
