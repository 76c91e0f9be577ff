// What no part of a file can see alone: equal labels, equal sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace trestle::conf
