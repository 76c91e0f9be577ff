// Process and Worker as they run: threads, sockets on loopback, ports that the system picks. Run
// under tsan too.
#include "router/process.h"

#include <gtest/gtest.h>

#include "tests/router/process_fixture.h"

namespace trestle::router::testing {
namespace {

TEST_F(ProcessTest, ServesCallsAndDrains) {
  ASSERT_TRUE(Start().ok());
  BlockingClient client(port_);
  EXPECT_EQ(client.Ask("get"), "first");
  EXPECT_EQ(client.Ask("get"), "first");
  Drain();
  EXPECT_EQ(client.Receive(), "end") << "an idle connection is closed";
  client.Close();
  Join();
}

TEST_F(ProcessTest, DrainsWithoutAnyConnection) {
  ASSERT_TRUE(Start().ok());
  Drain();
  Join();
}

TEST_F(ProcessTest, ACallInFlightOutlivesTheDrain) {
  ASSERT_TRUE(Start().ok());
  BlockingClient client(port_);
  client.Send("hold");
  first_.WaitFor("hold", 1);
  Drain();
  InControl([] {});
  EXPECT_FALSE(BlockingClient(port_).connected()) << "no new connections";
  first_.LetGo();
  EXPECT_EQ(client.Receive(), "first");
  EXPECT_EQ(client.Receive(), "end");
  client.Close();
  Join();
}

TEST_F(ProcessTest, ASecondDrainStopsAtOnce) {
  config_.admin.shutdown_grace = std::chrono::hours(1);
  ASSERT_TRUE(Start().ok());
  BlockingClient client(port_);
  client.Send("hold");
  first_.WaitFor("hold", 1);
  Drain();
  Drain();
  Join();
  EXPECT_EQ(client.Receive(), "end");
}

TEST_F(ProcessTest, TheGraceHasAnEnd) {
  config_.admin.shutdown_grace = std::chrono::milliseconds(1);
  ASSERT_TRUE(Start().ok());
  BlockingClient client(port_);
  client.Send("hold");
  first_.WaitFor("hold", 1);
  Drain();
  Join();
  EXPECT_EQ(client.Receive(), "end");
}

TEST_F(ProcessTest, StopsWhileConnectionsComeAndGo) {
  ASSERT_TRUE(Start().ok());
  std::vector<std::thread> crowd;
  for (int i = 0; i < 4; i++) {
    crowd.emplace_back([this] {
      for (;;) {
        BlockingClient client(port_);
        if (!client.connected() || client.Ask("get") != "first") return;
      }
    });
  }
  first_.WaitFor("get", 40);
  Drain();
  Drain();
  Join();
  for (std::thread& t : crowd) t.join();
}

TEST_F(ProcessTest, OverMaxConnectionsAClientWaitsForAPlace) {
  router().servers[0].max_connections = 1;
  ASSERT_TRUE(Start().ok());
  for (int round = 0; round < 3; round++) {
    BlockingClient has(port_);
    EXPECT_EQ(has.Ask("first"), "first");
    BlockingClient waits(port_);  // in the system's queue
    waits.Send("second");
    for (int i = 0; i < 20; i++) EXPECT_EQ(has.Ask("first"), "first");
    EXPECT_EQ(first_.calls("second"), round);
    InControl([this] { EXPECT_EQ(process_->connections(), 1u); });
    has.Close();
    EXPECT_EQ(waits.Receive(), "first");
  }
}

// Many that wait are not let in together when there is one place.
TEST_F(ProcessTest, MaxConnectionsHoldsForACrowdToo) {
  router().servers[0].max_connections = 1;
  ASSERT_TRUE(Start().ok());
  auto has = std::make_unique<BlockingClient>(port_);
  EXPECT_EQ(has->Ask("get"), "first");
  std::vector<std::unique_ptr<BlockingClient>> crowd;
  for (int i = 0; i < 5; i++) {
    crowd.push_back(std::make_unique<BlockingClient>(port_));
    crowd.back()->Send("get");
  }
  has.reset();
  for (auto& client : crowd) {  // the system's queue keeps their order
    EXPECT_EQ(client->Receive(), "first");
    InControl([this] { EXPECT_EQ(process_->connections(), 1u); });
    client->Close();
  }
}

// The second connection goes to the other worker, which asks for the name for the first time.
TEST_F(ProcessTest, AWorkerThatComesLateFindsTheAddressOfToday) {
  ASSERT_TRUE(Start().ok());
  BlockingClient one(port_);
  EXPECT_EQ(one.Ask("get"), "first");
  InControl([this] { SetBackend(second_); });
  BlockingClient other(port_);
  EXPECT_EQ(other.Ask("get"), "second");
}

TEST_F(ProcessTest, ATakenPortIsAnErrorThatNamesIt) {
  config_.routers[0].servers[0].port.value = first_.port();
  const base::Status status = Start();
  ASSERT_FALSE(status.ok());
  EXPECT_TRUE(status.message().starts_with("router thr: ")) << status.message();
  EXPECT_NE(status.message().find(std::to_string(first_.port())), std::string::npos)
      << status.message();
  Join();
}

TEST_F(ProcessTest, ATakenAdminPortToo) {
  config_.admin.port.value = first_.port();
  const base::Status status = Start();
  ASSERT_FALSE(status.ok());
  EXPECT_TRUE(status.message().starts_with("admin: ")) << status.message();
  EXPECT_NE(status.message().find(std::to_string(first_.port())), std::string::npos);
  Join();
}

// A connection that was handed over just before the end must not find the servers gone.
TEST_F(ProcessTest, AWorkerThatEndsClosesWhatComesTooLate) {
  base::Metrics metrics;
  Names names(&loop_, std::make_shared<naming::NamerSet>(set_), {{1, router().dtab.value}},
              metrics.NewTable()->root());
  auto config = std::make_shared<conf::Config>(config_);
  auto admission = std::make_shared<Admission>(1);
  const conf::RouterConfig& r = config->routers[0];
  trestle::router::Setup setup{
      config,
      {{1, &r, {{5, &r.servers[0], *net::Address::Parse("127.0.0.1", 1), admission, nullptr}}}},
      nullptr};
  Worker worker(Share{}, &names, metrics.NewTable(), &clock_, 1);
  int one[2], late[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, one), 0);
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, late), 0);
  worker.on_room = [&](uint32_t server) {
    EXPECT_EQ(server, 5u);
    if (late[0] >= 0) worker.Accept(5, std::exchange(late[0], -1), net::Address());
  };
  admission->Enter();
  worker.Start(setup);
  worker.Accept(5, one[0], net::Address());
  worker.Stop();  // closes the first one; that hands over the second
  char byte;
  EXPECT_EQ(read(late[1], &byte, 1), 0) << "the end of the stream";
  EXPECT_EQ(worker.connections(), 0u);
  close(one[1]);
  close(late[1]);
}

}  // namespace
}  // namespace trestle::router::testing
