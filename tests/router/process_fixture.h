// A Process on a thread of its own, with a backend or two, and the namer that leads to them.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "router/process.h"
#include "tests/router/fakes.h"
#include "tests/router/sockets.h"

namespace trestle::router::testing {

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
      Process process(&loop_, &metrics_, std::make_shared<conf::Config>(config_),
                      std::make_shared<naming::NamerSet>(set_), Process::Tls{}, "test");
      auto errors = process.Start();
      const bool ok = errors.empty();
      if (ok) port_ = process.addresses().at(0).port();
      process_ = &process;
      started.set_value(ok ? base::Status::Ok() : errors[0]);
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
  // The errors' texts, a line each.
  std::string Reload() {
    std::string errors;
    InControl([this, &errors] {
      for (const base::Status& status : process_->Reload(
               std::make_shared<conf::Config>(config_), std::make_shared<naming::NamerSet>(set_))) {
        errors += status.message() + "\n";
      }
    });
    return errors;
  }
  // Where the n-th server of the configuration listens.
  uint16_t PortOf(size_t n) {
    uint16_t port = 0;
    InControl([&] { port = process_->addresses().at(n).port(); });
    return port;
  }
  // Not waited for: the loop may end with it.
  void Drain() {
    loop_.Post([this] { process_->Drain(); });
  }
  void Join() { control_.join(); }

  base::SystemClock clock_;
  ThreadedBackend first_{"first"}, second_{"second"};
  net::EventLoop loop_{&clock_};
  base::Metrics metrics_;
  FakeNamer namer_;
  naming::NamerSet set_;
  conf::Config config_;
  Process* process_ = nullptr;
  uint16_t port_ = 0;
  std::thread control_;
};

}  // namespace trestle::router::testing
