// ClientTest: a Client in memory, with backends that the test plays.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/client.h"
#include "base/random.h"
#include "tests/backend/test_call.h"
#include "tests/support/fake_connector.h"

namespace trestle::backend {

inline naming::Endpoint At(const std::string& host, double weight = 1.0) {
  return naming::Endpoint{host, 80, weight, weight != 1.0};
}
inline std::shared_ptr<const naming::Addr> Set(std::vector<naming::Endpoint> endpoints) {
  return std::make_shared<naming::Addr>(naming::Addr::Bound(std::move(endpoints)));
}

class ClientTest : public testing::Test {
 protected:
  ClientTest() {
    options_.balance = Options::Balance::kRoundRobin;
    options_.accrual.backoff.jittered = options_.accrual.connect_backoff.jittered = false;
  }
  void TearDown() override {
    client_.reset();
    tests::Settle(&loop_);
    EXPECT_EQ(Gauge("connections"), 0);
    EXPECT_EQ(Gauge("pool_cached"), 0);
    EXPECT_EQ(Gauge("pool_waiters"), 0);
    EXPECT_EQ(table_.root()->Child("loadbalancer")->gauge("size")->value(), 0);
  }

  Client& client() {
    if (!client_) {
      auto connector = std::make_unique<tests::FakeConnector>(&loop_);
      net_ = connector.get();
      client_ = std::make_unique<Client>(&loop_, "/#/fs/users", options_, std::move(connector),
                                         &random_, table_.root());
    }
    return *client_;
  }
  void Use(std::vector<naming::Endpoint> endpoints) {
    client().Update(Set(std::move(endpoints)));
    tests::Settle(&loop_);
  }
  void Dispatch(TestCall& call) {
    call.call.bind_deadline = loop_.Now() + std::chrono::seconds(10);
    client().Dispatch(&call.call);
    tests::Settle(&loop_);
  }
  // The call that the latest connection to `host` carries is answered.
  void Answer(const std::string& host) {
    tests::FakeConnector::Backend* backend = net_->to(host + ":80");
    ASSERT_NE(backend, nullptr) << "nothing was sent to " << host;
    std::string in = backend->end->TakeAll();
    auto calls = tests::TakeMessages(&in);
    ASSERT_EQ(calls.size(), 1u) << host;
    backend->end->Send(tests::ReplyFrame(calls[0].name, calls[0].seqid));
    tests::Settle(&loop_);
  }
  // A whole call; gives the host that answered.
  std::string Ask() {
    TestCall call;
    Dispatch(call);
    for (auto& backend : net_->backends) {
      std::string in = backend->end->TakeAll();
      for (const auto& m : tests::TakeMessages(&in)) {
        backend->end->Send(tests::ReplyFrame(m.name, m.seqid));
        tests::Settle(&loop_);
        EXPECT_EQ(call.end(), call::End::kReplied) << call.failure();
        return backend->at.substr(0, backend->at.find(':'));
      }
    }
    ADD_FAILURE() << "nobody was asked: " << call.failure();
    return "";
  }
  void Advance(base::Duration by) {
    clock_.Advance(by);
    tests::Settle(&loop_);
  }
  // Endpoints that get no calls at the moment.
  uint64_t Out() {
    return CountOf("failure_accrual", "removals") - CountOf("failure_accrual", "revivals");
  }
  size_t Tries() { return net_->tries.size(); }
  uint64_t Count(std::string_view name) { return table_.root()->counter(name)->value(); }
  uint64_t CountOf(std::string_view child, std::string_view name) {
    return table_.root()->Child(child)->counter(name)->value();
  }
  int64_t Gauge(std::string_view name) { return table_.root()->gauge(name)->value(); }

  base::FakeClock clock_;
  net::EventLoop loop_{&clock_};
  base::MetricsTable table_;
  base::SeededRandom random_{3};
  Options options_;
  tests::FakeConnector* net_ = nullptr;
  std::unique_ptr<Client> client_;
};

}  // namespace trestle::backend
