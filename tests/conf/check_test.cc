// What no part of a file can see alone: equal labels, equal sockets, equal pages.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "tests/conf/support.h"

namespace trestle::conf {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(LabelTest, TwoRoutersOfOneName) {
  EXPECT_THAT(ProblemsOf("routers:\n"
                         "- protocol: thrift\n"
                         "  servers: [{port: 0}]\n"
                         "- protocol: thrift\n"
                         "  servers: [{port: 0}]\n"
                         "- protocol: thrift\n"
                         "  label: thrift\n"
                         "  servers: [{port: 0}]\n"),
              ElementsAre("f:4: routers[1].label: the router of line 2 has the label \"thrift\" "
                          "too (a router without one has its protocol's name)",
                          "f:7: routers[2].label: the router of line 2 has the label \"thrift\" "
                          "too (a router without one has its protocol's name)"));
  EXPECT_THAT(ProblemsOf("routers:\n"
                         "- {protocol: thrift, servers: [{port: 0}]}\n"
                         "- {protocol: thrift, label: a, servers: [{port: 0}]}\n"),
              IsEmpty());
}

// Two servers in lines 5 and 6, beside the admin server.
std::vector<std::string> TwoServers(const std::string& a, const std::string& b) {
  return ProblemsOf(
      "admin: {ip: 127.0.0.9, port: 9}\nrouters:\n- protocol: thrift\n  servers:\n  - {" + a +
      "}\n  - {" + b + "}\n");
}

TEST(SocketTest, OneSocketTwice) {
  const auto taken = [](const std::string& port_and_ip) {
    return "f:6: routers[0].servers[1].port: port " + port_and_ip +
           " is taken by routers[0].servers[0].port (line 5)";
  };
  EXPECT_THAT(TwoServers("port: 1", "port: 1"), ElementsAre(taken("1 of 127.0.0.1")));
  EXPECT_THAT(TwoServers("", ""), ElementsAre(taken("4114 of 127.0.0.1")));
  EXPECT_THAT(TwoServers("port: 1, ip: localhost", "port: 1"),
              ElementsAre(taken("1 of 127.0.0.1")));
  EXPECT_THAT(TwoServers("port: 1, ip: 0.0.0.0", "port: 1"), ElementsAre(taken("1 of 127.0.0.1")));
  EXPECT_THAT(TwoServers("port: 1", "port: 1, ip: 0.0.0.0"), ElementsAre(taken("1 of 0.0.0.0")));
  EXPECT_THAT(TwoServers("port: 1, ip: '::1'", "port: 1, ip: '0::1'"),
              ElementsAre(taken("1 of ::1")));
  EXPECT_THAT(TwoServers("port: 1, ip: '::'", "port: 1, ip: '::1'"),
              ElementsAre(taken("1 of ::1")));
  EXPECT_THAT(TwoServers("port: 1, ip: '::'", "port: 1"), ElementsAre(taken("1 of 127.0.0.1")));
  EXPECT_THAT(TwoServers("port: 1", "port: 1, ip: '::'"), ElementsAre(taken("1 of ::")));
  EXPECT_THAT(TwoServers("port: 1, ip: 0.0.0.0", "port: 1, ip: '::'"),
              ElementsAre(taken("1 of ::")));
}

TEST(SocketTest, DifferentSockets) {
  EXPECT_THAT(TwoServers("port: 1", "port: 2"), IsEmpty());
  EXPECT_THAT(TwoServers("port: 1", "port: 1, ip: 127.0.0.2"), IsEmpty());
  EXPECT_THAT(TwoServers("port: 1, ip: '::1'", "port: 1"), IsEmpty());
  EXPECT_THAT(TwoServers("port: 1, ip: '::1'", "port: 1, ip: 0.0.0.0"), IsEmpty());
  EXPECT_THAT(TwoServers("port: 0", "port: 0"), IsEmpty());
}

TEST(SocketTest, TheAdminServersSocket) {
  EXPECT_THAT(TwoServers("port: 9, ip: 0.0.0.0", "port: 2"),
              ElementsAre("f:5: routers[0].servers[0].port: port 9 of 0.0.0.0 is taken by "
                          "admin.port (line 1)"));
  EXPECT_THAT(ProblemsOf("routers: [{protocol: thrift, servers: [{port: 9990}]}]\n"),
              ElementsAre("f:1: routers[0].servers[0].port: port 9990 of 127.0.0.1 is taken by "
                          "admin.port"));
}

TEST(SocketTest, AcrossRouters) {
  EXPECT_THAT(ProblemsOf("routers:\n"
                         "- {protocol: thrift, servers: [{port: 1}]}\n"
                         "- {protocol: thrift, label: a, servers: [{port: 1}]}\n"),
              ElementsAre("f:3: routers[1].servers[0].port: port 1 of 127.0.0.1 is taken by "
                          "routers[0].servers[0].port (line 2)"));
}

TEST(PageTest, OnePageTwice) {
  EXPECT_THAT(ProblemsOf(AtTop("telemetry:\n"
                               "- kind: io.l5d.prometheus\n"
                               "- {kind: io.l5d.prometheus, path: /metrics}\n"
                               "- {kind: io.l5d.prometheus, path: /metrics, prefix: a_}\n"
                               "- kind: io.l5d.prometheus\n")),
              ElementsAre("f:5: telemetry[2].path: the page /metrics is taken by "
                          "telemetry[1].path (line 4)",
                          "f:6: telemetry[3].path: the page /admin/metrics/prometheus is taken by "
                          "telemetry[0].path (line 3)"));
  EXPECT_THAT(ProblemsOf(AtTop("telemetry:\n"
                               "- {kind: io.l5d.prometheus, path: /metrics}\n"
                               "- {kind: io.l5d.prometheus, path: /metrics/}\n"
                               "- {kind: io.l5d.prometheus, path: /Metrics}\n")),
              IsEmpty());
}

std::string PageAt(const std::string& path) {
  const auto lines =
      ProblemsOf(AtTop("telemetry: [{kind: io.l5d.prometheus, path: " + path + "}]\n"));
  return lines.empty() ? "" : lines[0];
}

// Read from the admin server's own text, so that no page of it can be forgotten here.
TEST(PageTest, PagesOfTheAdminServer) {
  std::ifstream in(TRESTLE_SOURCE "/admin/admin_server.cc", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  size_t pages = 0;
  for (size_t at = text.find("\"/"); at != std::string::npos; at = text.find("\"/", at + 1)) {
    const std::string path = text.substr(at + 1, text.find('"', at + 1) - at - 1);
    if (path.find_first_not_of("abcdefghijklmnopqrstuvwxyz._/") != std::string::npos) continue;
    ++pages;
    EXPECT_EQ(PageAt(path),
              "f:2: telemetry[0].path: the page " + path + " is taken by the admin server itself");
  }
  EXPECT_GE(pages, 10u);
  EXPECT_EQ(PageAt("/admin/metrics"), "");
}

}  // namespace
}  // namespace trestle::conf
