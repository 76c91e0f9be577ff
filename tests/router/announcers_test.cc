// What routers announce in a ZooKeeper in memory, from one configuration to the next and to the
// end.
#include "router/announcers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/router/fakes.h"
#include "tests/serversets/zk_fixture.h"

namespace trestle::router {
namespace {

using router::testing::P;
using serversets::FakeZk;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr std::chrono::milliseconds kHeard{300};
constexpr char kAnnounced[] = "announcer/#/io.l5d.serversets/rt/main/announced";

class AnnouncersTest : public serversets::ZkTest {
 protected:
  AnnouncersTest() {
    AddRouter("main");
    AddServer(0, 4114, {"/#/io.l5d.serversets/users"});
  }
  ~AnnouncersTest() override {
    announcers_.reset();
    Drain();
  }
  conf::AnnouncerConfig& announcer() { return config_.routers[0].announcers[0]; }
  void AddRouter(const std::string& label) {
    conf::RouterConfig& router = config_.routers.emplace_back();
    router.label.value = label;
    conf::AnnouncerConfig& one = router.announcers.emplace_back();
    one.prefix = P("/#/io.l5d.serversets");
    one.cluster.hosts = "zk:2181";
  }
  void AddServer(size_t router, uint16_t port, const std::vector<std::string>& names) {
    conf::ServerConfig& server = config_.routers[router].servers.emplace_back();
    server.ip.value = "10.0.0.1";
    server.port.value = port;
    for (const std::string& name : names) server.announce.push_back({P(name), 0, ""});
  }
  void Apply() {
    auto config = std::make_shared<const conf::Config>(config_);
    router::Setup setup;  // gtest has one of its own
    setup.config = config;
    for (const conf::RouterConfig& router : config->routers) {
      router::Setup::Router& out = setup.routers.emplace_back();
      out.config = &router;
      for (const conf::ServerConfig& server : router.servers) {
        // Port 0 is another one once it is open.
        const uint16_t port = server.port.value == 0 ? 30'000 : server.port.value;
        out.servers.push_back(
            {1, &server, *net::Address::Parse(server.ip.value, port), nullptr, nullptr});
      }
    }
    announcers_->Apply(setup, *net::Address::Parse(admin_ip_, 9990));
    Drain();
  }
  // "10.0.0.1:4114 by 1", for each member.
  std::vector<std::string> Ports(const std::string& set) const {
    std::vector<std::string> all;
    for (const std::string& member : zk_.Members(set)) {
      const size_t port = member.find("\"port\":") + 7;
      all.push_back(member.substr(port, member.find('}', port) - port) +
                    member.substr(member.rfind(" by ")));
    }
    return all;
  }
  void Leave() {
    announcers_->Leave(seconds(1), kHeard, [this] { left_++; });
  }

  std::vector<std::string> hosts_;  // that were connected to
  conf::Config config_;
  std::string admin_ip_ = "127.0.0.1";
  int left_ = 0;
  std::unique_ptr<Announcers> announcers_ = std::make_unique<Announcers>(
      &loop_, table_.root(), [this](const serversets::ZkCluster& cluster) {
        hosts_.push_back(cluster.hosts);
        return zk_.connect();
      });
};

TEST_F(AnnouncersTest, AMemberIsWrittenAsLinkerdDoes) {
  Apply();
  EXPECT_THAT(zk_.Members("/discovery/users"),
              ElementsAre("member_0000000000 {\"serviceEndpoint\":{\"host\":\"10.0.0.1\",\"port\":"
                          "4114},\"additionalEndpoints\":{},\"status\":\"ALIVE\",\"shard\":0} by "
                          "1"));
}

TEST_F(AnnouncersTest, WithWhatIsOursAndThePortThatTheSystemGave) {
  announcer().advertised_host = "me.example";
  announcer().shard = 7;
  admin_ip_ = "0.0.0.0";
  config_.routers[0].servers[0].port.value = 0;
  Apply();
  EXPECT_THAT(zk_.Members("/discovery/users"),
              ElementsAre("member_0000000000 {\"serviceEndpoint\":{\"host\":\"me.example\",\"port\""
                          ":30000},\"additionalEndpoints\":{\"admin\":{\"host\":\"me.example\","
                          "\"port\":9990}},\"status\":\"ALIVE\",\"shard\":7} by 1"));
}

TEST_F(AnnouncersTest, WhoAnnouncesNothingHasNoSession) {
  config_.routers[0].servers[0].announce.clear();
  Apply();
  EXPECT_THAT(hosts_, IsEmpty());
  Leave();
  EXPECT_EQ(left_, 1);
}

TEST_F(AnnouncersTest, RoutersHaveSessionsAndGaugesOfTheirOwn) {
  AddServer(0, 4115, {"/#/io.l5d.serversets/users", "/#/io.l5d.serversets/more"});
  AddRouter("other");
  AddServer(1, 4116, {"/#/io.l5d.serversets/users"});
  Apply();
  EXPECT_THAT(Ports("/discovery/users"),
              UnorderedElementsAre("4114 by 1", "4115 by 1", "4116 by 2"));
  EXPECT_THAT(Ports("/discovery/more"), ElementsAre("4115 by 1"));
  const auto gauge = [this](const std::string& router) {
    return table_.root()
        ->Labelled("announcer", "#/io.l5d.serversets")
        ->Labelled("rt", router)
        ->gauge("announced");
  };
  EXPECT_EQ(
      table_.root()->Labelled("announcer", "#/io.l5d.serversets")->Labelled("rt", "main")->flat() +
          "/announced",
      kAnnounced);
  EXPECT_EQ(gauge("main")->value(), 3);
  EXPECT_EQ(gauge("other")->value(), 1);
}

TEST_F(AnnouncersTest, ANewConfigurationChangesWhatItChanges) {
  AddServer(0, 4115, {"/#/io.l5d.serversets/users"});
  Apply();
  const std::string kept = zk_.Members("/discovery/users").at(0);
  config_.routers[0].servers.pop_back();
  AddServer(0, 4116, {"/#/io.l5d.serversets/users"});
  Apply();
  EXPECT_THAT(Ports("/discovery/users"), ElementsAre("4114 by 1", "4116 by 1"));
  EXPECT_EQ(zk_.Members("/discovery/users").at(0), kept);
  EXPECT_THAT(hosts_, SizeIs(1));
}

TEST_F(AnnouncersTest, OneThatIsGoingIsKeptWhenItIsWantedAgain) {
  AddServer(0, 4115, {"/#/io.l5d.serversets/users"});
  Apply();
  zk_.Lose();
  const conf::Config both = config_;
  config_.routers[0].servers.pop_back();
  Apply();
  config_ = both;
  Apply();
  zk_.Return();
  Pass(seconds(1));
  EXPECT_THAT(Ports("/discovery/users"), ElementsAre("4114 by 1", "4115 by 1"));
}

TEST_F(AnnouncersTest, WhatWasRemovedWithoutAConnectionGoesWithTheNext) {
  AddServer(0, 4115, {"/#/io.l5d.serversets/users"});
  Apply();
  zk_.Lose();
  config_.routers[0].servers.pop_back();
  Apply();
  EXPECT_THAT(Ports("/discovery/users"), SizeIs(2));
  zk_.Return();
  Pass(seconds(1));
  EXPECT_THAT(Ports("/discovery/users"), ElementsAre("4114 by 1"));
}

TEST_F(AnnouncersTest, AnotherClusterIsAnotherSession) {
  Apply();
  announcer().cluster.hosts = "other:2181";
  Apply();
  EXPECT_THAT(hosts_, ElementsAre("zk:2181", "other:2181"));
  EXPECT_THAT(zk_.clients, SizeIs(1)) << "the session of before is over";
}

TEST_F(AnnouncersTest, TwoAnnouncersOfOneClusterShareTheSession) {
  config_.routers[0].announcers.push_back(announcer());
  announcer().path_prefix = P("/old");
  Apply();
  EXPECT_THAT(Ports("/discovery/users"), ElementsAre("4114 by 1"));
  EXPECT_THAT(Ports("/old/users"), ElementsAre("4114 by 1"));
  EXPECT_THAT(hosts_, SizeIs(1));
}

TEST_F(AnnouncersTest, TheEndIsToldWhenAllAreGone) {
  AddServer(0, 4115, {"/#/io.l5d.serversets/users"});
  Apply();
  zk_.silent = true;
  Leave();
  Drain();
  EXPECT_EQ(left_, 0);
  EXPECT_THAT(zk_.Members("/discovery/users"), SizeIs(2));
  zk_.Answer();
  Drain();
  EXPECT_THAT(zk_.Members("/discovery/users"), IsEmpty());
  Pass(kHeard - std::chrono::milliseconds(1));
  EXPECT_EQ(left_, 0) << "others do not know it yet";
  Pass(std::chrono::milliseconds(1));
  EXPECT_EQ(left_, 1);
  EXPECT_THAT(zk_.clients, IsEmpty());
  Pass(seconds(10));
  EXPECT_EQ(left_, 1);
}

TEST_F(AnnouncersTest, TheEndWaitsForThoseThatWereOnTheirWayOut) {
  AddServer(0, 4115, {"/#/io.l5d.serversets/users"});
  Apply();
  config_.routers[0].servers.pop_back();
  zk_.silent = true;
  Apply();
  zk_.silent = false;  // but for what was asked
  Leave();
  Pass(kHeard);
  EXPECT_THAT(Ports("/discovery/users"), ElementsAre("4115 by 1"));
  EXPECT_EQ(left_, 0);
  zk_.Answer();
  Pass(kHeard);
  EXPECT_THAT(Ports("/discovery/users"), IsEmpty());
  EXPECT_EQ(left_, 1);
}

TEST_F(AnnouncersTest, AZooKeeperThatIsSilentIsNotWaitedForForLong) {
  Apply();
  zk_.silent = true;
  Leave();
  Pass(std::chrono::milliseconds(999));
  EXPECT_EQ(left_, 0);
  Pass(std::chrono::milliseconds(1));
  EXPECT_EQ(left_, 1);
  EXPECT_THAT(zk_.clients, IsEmpty()) << "what the session has goes with it";
  zk_.Answer();
  Drain();
  EXPECT_EQ(left_, 1);
}

TEST_F(AnnouncersTest, WithoutAConnectionThereIsNothingToWaitFor) {
  Apply();
  zk_.Lose();
  Drain();
  Leave();
  EXPECT_EQ(left_, 1);
}

}  // namespace
}  // namespace trestle::router
