// Process and Worker as they run: threads, sockets on loopback, ports that the system picks. Run
// under tsan too.
#include "router/process.h"

#include <gtest/gtest.h>

#include <future>
#include <optional>

#include "tests/router/fakes.h"
#include "tests/router/sockets.h"

namespace trestle::router::testing {
namespace {

class ProcessTest : public ::testing::Test {
 protected:
  ProcessTest() {
    set_.entries.push_back({P("/#/fs"), &namer_});
    config_.workers = 2;
    config_.admin.port.value = 0;
    config_.routers.emplace_back();
    router().label.value = "thr";
    router().dtab.value = D("/svc => /#/fs/users");
    router().servers.emplace_back();
    router().servers[0].port.value = 0;
    SetBackend(first_);
  }
  ~ProcessTest() override {
    if (!control_.joinable()) return;
    Drain();
    Drain();
    control_.join();
  }

  conf::RouterConfig& router() { return config_.routers[0]; }
  void SetBackend(const ThreadedBackend& backend) {
    namer_.Bind("users", naming::Addr::Bound({{"127.0.0.1", backend.port()}}));
  }
  base::Status Start() {
    std::promise<base::Status> started;
    control_ = std::thread([this, &started] {
      Process process(&loop_, config_, &set_, "test");
      base::Status status = process.Start();
      const bool ok = status.ok();
      if (ok) port_ = process.addresses().at(0).port();
      process_ = &process;
      started.set_value(std::move(status));
      if (ok) loop_.Run();
    });
    return started.get_future().get();
  }
  // Runs `work` on the control loop and waits for it.
  void InControl(const std::function<void()>& work) {
    std::promise<void> done;
    loop_.Post([&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }
  // Not waited for: the loop may end with it.
  void Drain() {
    loop_.Post([this] { process_->Drain(); });
  }
  void Join() { control_.join(); }

  base::SystemClock clock_;
  ThreadedBackend first_{"first"}, second_{"second"};
  net::EventLoop loop_{&clock_};
  FakeNamer namer_;
  naming::NamerSet set_;
  conf::Config config_;
  Process* process_ = nullptr;
  uint16_t port_ = 0;
  std::thread control_;
};

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
  Names names(&loop_, &set_, {router().dtab.value}, metrics.NewTable()->root());
  Worker worker(config_, 0, 1, &names, metrics.NewTable(), &clock_, 1);
  int one[2], late[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, one), 0);
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, late), 0);
  worker.on_closed = [&](size_t, size_t) {
    if (late[0] >= 0) worker.Accept(0, 0, std::exchange(late[0], -1), net::Address());
  };
  worker.Start({{*net::Address::Parse("127.0.0.1", 1)}});
  worker.Accept(0, 0, one[0], net::Address());
  worker.Stop();  // closes the first one; that hands over the second
  char byte;
  EXPECT_EQ(read(late[1], &byte, 1), 0) << "the end of the stream";
  EXPECT_EQ(worker.connections(), 0u);
  close(one[1]);
  close(late[1]);
}

}  // namespace
}  // namespace trestle::router::testing
