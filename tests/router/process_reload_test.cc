// Reload of a Process as it runs: threads, sockets, connections and calls that live through it.
// Run under tsan too.
#include <gtest/gtest.h>

#include <atomic>

#include "tests/router/process_fixture.h"

namespace trestle::router::testing {
namespace {

class ProcessReloadTest : public ProcessTest {
 protected:
  ProcessReloadTest() {
    namer_.Bind("other", naming::Addr::Bound({{"127.0.0.1", second_.port()}}));
  }

  conf::RouterConfig& AddRouter(const std::string& label, std::string_view dtab) {
    config_.routers.emplace_back();
    config_.routers.back().label.value = label;
    config_.routers.back().dtab.value = D(dtab);
    return config_.routers.back();
  }
  void AddServer(conf::RouterConfig& to, uint16_t port = 0, const std::string& label = "") {
    to.servers.emplace_back();
    to.servers.back().port.value = port;
    to.servers.back().label = label;
  }
  // The ports that the system picked stand in the configuration from now on.
  void KeepPorts() {
    size_t n = 0;
    for (auto& r : config_.routers) {
      for (auto& s : r.servers) s.port.value = PortOf(n++);
    }
  }
};

TEST_F(ProcessReloadTest, AConnectionLivesThroughAnotherDtab) {
  ASSERT_TRUE(Start().ok());
  BlockingClient client(port_);
  EXPECT_EQ(client.Ask("get"), "first");
  router().dtab.value = D("/svc => /#/fs/other");
  EXPECT_EQ(Reload(), "");
  std::string answer;
  while ((answer = client.Ask("get")) == "first") {  // until its worker has heard of it
  }
  EXPECT_EQ(answer, "second");
}

TEST_F(ProcessReloadTest, AServerIsAddedAndTheOthersStay) {
  ASSERT_TRUE(Start().ok());
  BlockingClient client(port_);
  EXPECT_EQ(client.Ask("get"), "first");
  AddServer(router());
  EXPECT_EQ(Reload(), "");
  EXPECT_EQ(PortOf(0), port_) << "port 0 is known by its place";
  EXPECT_EQ(BlockingClient(PortOf(1)).Ask("get"), "first");
  EXPECT_EQ(client.Ask("get"), "first");
}

TEST_F(ProcessReloadTest, ServersWithPort0AreKnownByTheirLabel) {
  router().servers[0].label = "one";
  AddServer(router(), 0, "two");
  ASSERT_TRUE(Start().ok());
  const uint16_t one = PortOf(0), two = PortOf(1);
  std::swap(router().servers[0], router().servers[1]);
  EXPECT_EQ(Reload(), "");
  EXPECT_EQ(PortOf(0), two);
  EXPECT_EQ(PortOf(1), one);
  EXPECT_EQ(BlockingClient(one).Ask("get"), "first");
  router().servers[0].port.value = two;
  EXPECT_EQ(Reload(), "") << "the port that it has, now written down";
  EXPECT_EQ(PortOf(0), two);
}

TEST_F(ProcessReloadTest, AServerThatIsRemovedDrains) {
  AddServer(router());
  ASSERT_TRUE(Start().ok());
  KeepPorts();
  const uint16_t removed = PortOf(1);
  BlockingClient stays(port_), idle(removed), busy(removed);
  EXPECT_EQ(stays.Ask("get"), "first");
  EXPECT_EQ(idle.Ask("get"), "first");
  busy.Send("hold");
  first_.WaitFor("hold", 1);
  router().servers.pop_back();
  EXPECT_EQ(Reload(), "");
  EXPECT_FALSE(BlockingClient(removed).connected());
  EXPECT_EQ(idle.Receive(), "end");
  EXPECT_EQ(stays.Ask("get"), "first");
  first_.LetGo();
  EXPECT_EQ(busy.Receive(), "first") << "a call in flight finishes";
  EXPECT_EQ(busy.Receive(), "end");
}

TEST_F(ProcessReloadTest, WhenAPortIsTakenNothingChangesAndAllAreTold) {
  ASSERT_TRUE(Start().ok());
  KeepPorts();
  BlockingClient client(port_);
  EXPECT_EQ(client.Ask("get"), "first");
  const conf::Config good = config_;
  router().dtab.value = D("/svc => /#/fs/other");
  router().servers.clear();
  AddServer(router(), 0);
  AddServer(router(), first_.port());
  AddServer(router(), second_.port());
  const std::string errors = Reload();
  for (uint16_t port : {first_.port(), second_.port()}) {
    EXPECT_NE(errors.find("router thr: cannot listen on 127.0.0.1:" + std::to_string(port)),
              std::string::npos)
        << errors;
  }
  EXPECT_EQ(client.Ask("get"), "first");
  EXPECT_EQ(client.Ask("new"), "first") << "a name that is bound only now";
  EXPECT_EQ(BlockingClient(port_).Ask("get"), "first");
  InControl([this] { EXPECT_EQ(process_->addresses().size(), 1u); });
  config_ = good;
  EXPECT_EQ(Reload(), "");
  EXPECT_EQ(client.Ask("get"), "first");
}

TEST_F(ProcessReloadTest, AServerMovesToAnotherRouterWithItsSocket) {
  AddServer(AddRouter("other", "/svc => /#/fs/other"));
  AddServer(router());
  ASSERT_TRUE(Start().ok());
  KeepPorts();
  BlockingClient stays(port_), busy(PortOf(1));
  EXPECT_EQ(stays.Ask("get"), "first");
  busy.Send("hold");
  first_.WaitFor("hold", 1);
  const uint16_t moved = PortOf(1);
  config_.routers[1].servers.push_back(router().servers[1]);
  router().servers.pop_back();
  EXPECT_EQ(Reload(), "");
  EXPECT_EQ(BlockingClient(moved).Ask("get"), "second") << "a connection that comes now";
  EXPECT_EQ(stays.Ask("get"), "first");
  first_.LetGo();
  EXPECT_EQ(busy.Receive(), "first");
  EXPECT_EQ(busy.Receive(), "end") << "the new router gets a new connection";
}

TEST_F(ProcessReloadTest, ARouterGoesAndComesBack) {
  AddServer(AddRouter("other", "/svc => /#/fs/other"));
  ASSERT_TRUE(Start().ok());
  KeepPorts();
  const uint16_t port = PortOf(1);
  const conf::Config both = config_;
  for (int round = 0; round < 5; round++) {
    BlockingClient busy(port);
    EXPECT_EQ(busy.Ask("get"), "second");
    busy.Send("hold");
    second_.WaitFor("hold", round + 1);
    config_.routers.pop_back();
    EXPECT_EQ(Reload(), "");
    EXPECT_FALSE(BlockingClient(port).connected());
    if (round % 2 == 0) {  // while the one of before still has a call, and after
      config_ = both;
      EXPECT_EQ(Reload(), "");
      EXPECT_EQ(BlockingClient(port).Ask("get"), "second");
    }
    second_.LetGo();
    EXPECT_EQ(busy.Receive(), "second");
    EXPECT_EQ(busy.Receive(), "end");
    config_ = both;
    EXPECT_EQ(Reload(), "");
  }
  EXPECT_EQ(BlockingClient(port).Ask("get"), "second");
}

TEST_F(ProcessReloadTest, RoutersInAnotherOrderAreTheSame) {
  AddServer(AddRouter("other", "/svc => /#/fs/other"));
  ASSERT_TRUE(Start().ok());
  KeepPorts();
  BlockingClient one(port_), two(PortOf(1));
  EXPECT_EQ(one.Ask("get"), "first");
  EXPECT_EQ(two.Ask("get"), "second");
  std::swap(config_.routers[0], config_.routers[1]);
  EXPECT_EQ(Reload(), "");
  EXPECT_EQ(PortOf(1), port_);
  EXPECT_EQ(one.Ask("get"), "first");
  EXPECT_EQ(two.Ask("get"), "second");
}

TEST_F(ProcessReloadTest, MoreConnectionsMayCome) {
  router().servers[0].max_connections = 1;
  ASSERT_TRUE(Start().ok());
  BlockingClient has(port_);
  EXPECT_EQ(has.Ask("get"), "first");
  BlockingClient waits(port_);  // in the system's queue
  waits.Send("get");
  router().servers[0].max_connections = 2;
  EXPECT_EQ(Reload(), "");
  EXPECT_EQ(waits.Receive(), "first");
  router().servers[0].max_connections = 1;
  EXPECT_EQ(Reload(), "");
  BlockingClient third(port_);
  third.Send("third");
  for (int i = 0; i < 20; i++) EXPECT_EQ(has.Ask("get"), "first");
  EXPECT_EQ(first_.calls("third"), 0) << "over the new bound";
  waits.Close();
  has.Close();
  EXPECT_EQ(third.Receive(), "first");
}

TEST_F(ProcessReloadTest, ADrainWaitsForWhatAReloadLeftToFinish) {
  AddServer(router());
  ASSERT_TRUE(Start().ok());
  BlockingClient busy(PortOf(1));
  busy.Send("hold");
  first_.WaitFor("hold", 1);
  router().servers.pop_back();
  EXPECT_EQ(Reload(), "");
  Drain();
  InControl([this] { EXPECT_EQ(process_->connections(), 1u); });
  first_.LetGo();
  EXPECT_EQ(busy.Receive(), "first");
  EXPECT_EQ(busy.Receive(), "end");
  busy.Close();
  Join();
}

TEST_F(ProcessReloadTest, CallsGoOnThroughFiftyReloads) {
  AddServer(router());
  ASSERT_TRUE(Start().ok());
  KeepPorts();
  const uint16_t extra = PortOf(1);
  std::atomic<bool> over{false};
  std::atomic<int> wrong{0}, asked{0};
  std::vector<std::thread> crowd;
  for (int i = 0; i < 4; i++) {
    crowd.emplace_back([&] {
      BlockingClient client(port_);
      while (!over) {
        const std::string answer = client.Ask("get");
        if (answer != "first" && answer != "second") ++wrong;
        ++asked;
      }
    });
  }
  // Connections that come and go, also while their server does.
  crowd.emplace_back([&] {
    while (!over) BlockingClient(extra).Ask("get");
  });
  const conf::Config one = config_;
  conf::Config two = config_;
  two.routers[0].dtab.value = D("/svc => /#/fs/other");
  two.routers[0].client.entries.emplace_back();
  two.routers[0].client.entries.back().connect_timeout = std::chrono::milliseconds(900);
  two.routers[0].servers.pop_back();
  for (int i = 0; i < 50; i++) {
    config_ = i % 2 == 0 ? two : one;
    EXPECT_EQ(Reload(), "");
    const int before = asked;
    while (asked < before + 10) std::this_thread::yield();
  }
  over = true;
  for (std::thread& t : crowd) t.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace trestle::router::testing
