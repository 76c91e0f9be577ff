// RouterTest: a whole router in memory, turned by the test's own thread: the control loop with its
// names, one worker's loop with router and server, clients and backends at the ends of transports
// in memory, and a clock that moves only when told to.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "conf/options.h"
#include "router/names.h"
#include "router/options.h"
#include "router/router.h"
#include "server/server.h"
#include "tests/router/fakes.h"

namespace trestle::router::testing {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Says = FakeNamer::Says;

class RouterTest : public ::testing::Test {
 protected:
  RouterTest() {
    set_.entries.push_back({P("/#/fs"), &namer_});
    config_.label.value = "thr";
    config_.dst_prefix = P("/svc");
    config_.thrift_method_in_dst = true;
    config_.dtab.value = D("/svc => /#/fs");
    config_.client.entries.emplace_back();
    config_.service.entries.emplace_back();
  }
  ~RouterTest() override { Stop(); }

  conf::ClientEntry& client_config() { return config_.client.entries[0]; }
  conf::ServiceEntry& service_config() { return config_.service.entries[0]; }

  // After the configuration was set.
  void Start() {
    base::Scope* scope = metrics_.NewTable()->root()->Labelled("rt", "thr");
    if (config_.servers.empty()) config_.servers.emplace_back();
    const RouterPart part = Part();
    names_ = std::make_unique<Names>(&control_, std::make_shared<naming::NamerSet>(set_),
                                     Names::BaseDtabs{{0, config_.dtab.value}},
                                     metrics_.NewTable()->root()->Child("names"));
    auto connect = [this](const conf::ClientOptions& options) {
      ++connectors_;
      last_sockets_ = options.socket_options;
      return std::make_unique<MemoryConnector>(&worker_, &backends_);
    };
    router_ = std::make_unique<Router>(&worker_, part, 0, names_.get(), Share{}, connect, &random_,
                                       scope);
    server_ = std::make_unique<server::Server>(
        &worker_, ToServerOptions(*part.whole, *part.router, part.router->servers[0], 0, 1),
        router_.get(), scope->Labelled("server", "127.0.0.1/4114"));
  }
  // config_ as it is now, as a file that was read.
  RouterPart Part() const {
    auto whole = std::make_shared<conf::Config>();
    whole->routers.push_back(config_);
    return {whole, &whole->routers[0]};
  }
  // Goes over to config_ and set_ as they are now.
  void Reload() {
    const RouterPart part = Part();
    names_->Reconfigure(std::make_shared<naming::NamerSet>(set_), {{0, config_.dtab.value}});
    router_->Reconfigure(part);
    server_->Reconfigure(ToServerOptions(*part.whole, *part.router, part.router->servers[0], 0, 1));
    Settle();
  }
  // As a worker stops.
  void Stop() {
    server_.reset();
    worker_.Poll();
    router_.reset();
    worker_.Poll();
  }

  void Settle() {
    for (int i = 0; i < 10'000; i++) {
      const bool control = control_.Poll();
      const bool worker = worker_.Poll();
      if (!control && !worker) return;
    }
    ADD_FAILURE() << "it does not come to rest";
  }
  // What is under way gets as far as it can, then time passes.
  void Pass(base::Duration time) {
    Settle();
    clock_.Advance(time);
    Settle();
  }
  Client& NewClient() {
    auto [near, far] = tests::MemoryTransport::Pair(&worker_);
    near->set_peer({{}, identity_});
    server_->Accept(std::move(near));
    clients_.push_back(std::make_unique<Client>(std::move(far)));
    Settle();
    return *clients_.back();
  }
  Client& NewUpgradedClient() {
    Client& client = NewClient();
    client.AskUpgrade();
    Settle();
    EXPECT_EQ(client.Replies().size(), 1u);
    client.set_upgraded();
    return client;
  }
  // Every backend answers what it has with its address.
  void Serve() {
    for (int i = 0; i < 100; i++) {
      Settle();
      auto requests = backends_.Take();
      if (requests.empty()) return;
      for (auto& request : requests) Backends::Reply(request, ResultBody(request.peer->address));
    }
  }
  // One call on a connection of its own, to its end: "10.0.0.1:1", or the error's text.
  std::string Ask(std::string_view method) {
    Client& client = NewClient();
    client.Call(method);
    return Answer(client);
  }
  // The same with a dtab for this one request.
  std::string AskWith(std::string_view src, std::string_view dst, std::string_view method) {
    Client& client = NewUpgradedClient();
    thrift::RequestHeader header;
    header.delegations.push_back({src, dst});
    client.CallWith(header, method);
    return Answer(client);
  }
  std::string Answer(Client& client) {
    Serve();
    auto replies = client.Replies();
    if (replies.empty()) return "no reply";
    EXPECT_EQ(replies.size(), 1u);
    return replies[0].Text();
  }

  uint64_t Count(const std::string& flat) {
    for (const auto& c : metrics_.Collect().counters) {
      if (c.series.flat == flat) return c.value;
    }
    return 0;
  }
  int64_t Level(const std::string& flat) {
    for (const auto& g : metrics_.Collect().gauges) {
      if (g.series.flat == flat) return g.value;
    }
    return 0;
  }
  // The sum of all gauges "pending": 0 when no call is under way.
  int64_t Pending() {
    int64_t sum = 0;
    for (const auto& g : metrics_.Collect().gauges) {
      if (g.series.flat.ends_with("/pending")) sum += std::abs(g.value);
    }
    return sum;
  }

  base::FakeClock clock_;
  net::EventLoop control_{&clock_}, worker_{&clock_};
  base::Metrics metrics_;
  base::SeededRandom random_{42};
  FakeNamer namer_;
  naming::NamerSet set_;
  Backends backends_;
  conf::RouterConfig config_;
  std::string identity_;  // of clients to come
  int connectors_ = 0;    // how many were made
  conf::SocketOptions last_sockets_;
  std::unique_ptr<Names> names_;
  std::unique_ptr<Router> router_;
  std::unique_ptr<server::Server> server_;
  std::vector<std::unique_ptr<Client>> clients_;
};

}  // namespace trestle::router::testing
