#include "namers/inet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fs_fixture.h"

namespace trestle::namers {
namespace {

using namespace std::chrono_literals;
using net::Resolver;
using tests::ShowAddr;

// A name server that the test plays: a lookup waits for its answer.
class Names {
 public:
  Resolver::Lookup lookup() {
    return [this](const std::string& host) -> Resolver::Answer {
      std::unique_lock lock(mutex_);
      asked_++;
      changed_.notify_all();
      changed_.wait(lock, [&] { return closed_ || !answers_[host].empty(); });
      if (closed_) return base::Status(base::Code::kUnavailable, "closed");
      auto answer = std::move(answers_[host].front());
      answers_[host].pop_front();
      return answer;
    };
  }
  void Say(const std::string& host, Resolver::Answer answer) {
    std::lock_guard lock(mutex_);
    answers_[host].push_back(std::move(answer));
    changed_.notify_all();
  }
  void WaitAsked(int n) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, 30s, [&] { return asked_ >= n; }));
  }
  int asked() {
    std::lock_guard lock(mutex_);
    return asked_;
  }
  void Close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::deque<Resolver::Answer>> answers_;
  int asked_ = 0;
  bool closed_ = false;
};

Resolver::Answer Ips(std::vector<std::string> ips) { return ips; }
Resolver::Answer Gone() { return base::Status(base::Code::kNoRoute, "no such name"); }
Resolver::Answer Sick() { return base::Status(base::Code::kUnavailable, "try again"); }

class InetTest : public testing::Test {
 protected:
  InetTest() : loop_(&clock_), resolver_(&loop_, 2, Lookup()), inet_(&loop_, &resolver_) {}
  ~InetTest() override { names_->Close(); }

  // A lookup may outlive the test.
  Resolver::Lookup Lookup() {
    return [names = names_](const std::string& host) { return names->lookup()(host); };
  }
  // Turns the loop until the Var shows `text`; the time limit is for failures only.
  void Expect(const std::shared_ptr<naming::Var<naming::Addr>>& var, const std::string& text) {
    auto end = std::chrono::steady_clock::now() + 30s;
    while (ShowAddr(var->Get()) != text && std::chrono::steady_clock::now() < end) {
      if (!loop_.Poll()) std::this_thread::yield();
    }
    EXPECT_EQ(ShowAddr(var->Get()), text);
  }
  // Until every question is answered.
  void Settle() {
    auto end = std::chrono::steady_clock::now() + 30s;
    while (resolver_.in_flight() > 0 && std::chrono::steady_clock::now() < end) {
      if (!loop_.Poll()) std::this_thread::yield();
    }
    ASSERT_EQ(resolver_.in_flight(), 0u);
  }
  void Pass(base::Duration time) {
    clock_.Advance(time);
    while (loop_.Poll()) {
    }
  }

  std::shared_ptr<Names> names_ = std::make_shared<Names>();
  base::FakeClock clock_;
  net::EventLoop loop_;
  Resolver resolver_;
  Inet inet_;
};

TEST_F(InetTest, LiteralsAreBoundAtOnce) {
  EXPECT_EQ(ShowAddr(inet_.Resolve("10.0.0.1", 80)->Get()), "10.0.0.1:80");
  EXPECT_EQ(ShowAddr(inet_.Resolve("80", 80)->Get()), "0.0.0.80:80");
  EXPECT_EQ(ShowAddr(inet_.Resolve("127.1", 80)->Get()), "127.0.0.1:80");
  EXPECT_EQ(ShowAddr(inet_.Resolve("::1", 80)->Get()), "[::1]:80");
  EXPECT_EQ(ShowAddr(inet_.Resolve("[::1]", 80)->Get()), "[::1]:80");
  EXPECT_EQ(ShowAddr(inet_.Resolve("", 80)->Get()), "127.0.0.1:80");
  EXPECT_EQ(names_->asked(), 0);
  EXPECT_EQ(inet_.names(), 0u);
}

TEST_F(InetTest, OneVarForAHostAndPortWhileInUse) {
  for (const char* host : {"a.example", "10.0.0.1"}) {
    auto a = inet_.Resolve(host, 80);
    EXPECT_EQ(inet_.Resolve(host, 80), a);
    EXPECT_NE(inet_.Resolve(host, 81), a);
    EXPECT_EQ(inet_.names(), 1u);
    a.reset();
    EXPECT_EQ(inet_.names(), 0u);
  }
}

TEST_F(InetTest, PendingThenBoundThenAskedAgain) {
  auto var = inet_.Resolve("a.example", 80);
  EXPECT_EQ(ShowAddr(var->Get()), "pending");
  Pass(1s);  // 5 s count from the answer on
  names_->Say("a.example", Ips({"10.0.0.1", "::1"}));
  Expect(var, "10.0.0.1:80, [::1]:80");
  int changes = 0;
  auto subscription = var->Subscribe([&] { changes++; });
  Pass(4999ms);
  EXPECT_EQ(names_->asked(), 1);
  names_->Say("a.example", Ips({"10.0.0.1", "::1"}));
  Pass(1ms);
  names_->WaitAsked(2);
  Settle();
  EXPECT_EQ(changes, 0);  // the same again is no change
  names_->Say("a.example", Ips({"10.0.0.2"}));
  Pass(5s);
  Expect(var, "10.0.0.2:80");
  EXPECT_EQ(changes, 1);
}

TEST_F(InetTest, UnusedNamesAreNotAskedAbout) {
  auto var = inet_.Resolve("a.example", 80);
  names_->Say("a.example", Ips({"10.0.0.1"}));
  Expect(var, "10.0.0.1:80");
  var.reset();
  Pass(60s);
  EXPECT_EQ(names_->asked(), 1);
  EXPECT_EQ(resolver_.in_flight(), 0u);
}

TEST_F(InetTest, FailureKeepsTheLastGood) {
  auto var = inet_.Resolve("a.example", 80);
  names_->Say("a.example", Ips({"10.0.0.1"}));
  Expect(var, "10.0.0.1:80");
  names_->Say("a.example", Sick());
  Pass(5s);
  Expect(var, "10.0.0.1:80 (try again)");
  names_->Say("a.example", Ips({"10.0.0.1"}));
  Pass(5s);
  Expect(var, "10.0.0.1:80");
}

TEST_F(InetTest, SilenceKeepsTheLastGood) {
  auto var = inet_.Resolve("a.example", 80);
  names_->Say("a.example", Ips({"10.0.0.1"}));
  Expect(var, "10.0.0.1:80");
  Pass(5s);  // asks
  names_->WaitAsked(2);
  Pass(5s);  // in vain
  EXPECT_EQ(ShowAddr(var->Get()), "10.0.0.1:80 (a.example: no answer within 5000 ms)");
  Pass(60s);
  EXPECT_EQ(names_->asked(), 2);
  names_->Say("a.example", Ips({"10.0.0.2"}));
  Expect(var, "10.0.0.2:80");
}

TEST_F(InetTest, SilenceAtFirstFailsAfterAWhile) {
  auto var = inet_.Resolve("a.example", 80);
  Pass(4999ms);
  EXPECT_EQ(ShowAddr(var->Get()), "pending");
  Pass(1ms);
  EXPECT_EQ(ShowAddr(var->Get()), "failed: a.example: no answer within 5000 ms");
  names_->Say("a.example", Ips({"10.0.0.1"}));  // late, but welcome
  Expect(var, "10.0.0.1:80");
}

TEST_F(InetTest, FailureAtFirstIsFailedUntilAnAnswer) {
  auto var = inet_.Resolve("a.example", 80);
  names_->Say("a.example", Sick());
  Expect(var, "failed: try again");
  names_->Say("a.example", Ips({"10.0.0.1"}));
  Pass(5s);
  Expect(var, "10.0.0.1:80");
}

TEST_F(InetTest, NoSuchNameIsNegAndMayComeBack) {
  auto var = inet_.Resolve("a.example", 80);
  names_->Say("a.example", Ips({"10.0.0.1"}));
  Expect(var, "10.0.0.1:80");
  names_->Say("a.example", Gone());
  Pass(5s);
  Expect(var, "neg");
  names_->Say("a.example", Sick());  // says nothing new
  Pass(5s);
  Settle();
  EXPECT_EQ(ShowAddr(var->Get()), "neg");
  names_->Say("a.example", Ips({"10.0.0.2"}));
  Pass(5s);
  Expect(var, "10.0.0.2:80");
}

TEST_F(InetTest, LetGoInTheMiddleOfAChange) {
  auto var = inet_.Resolve("a.example", 80);
  auto subscription = var->Subscribe([&] { var.reset(); });
  names_->Say("a.example", Ips({"10.0.0.1"}));
  Settle();
  EXPECT_EQ(var, nullptr);
  EXPECT_EQ(inet_.names(), 0u);
}

TEST_F(InetTest, NamesAreBounded) {
  Inet::Options options;
  options.max_names = 2;
  Inet inet(&loop_, &resolver_, options);
  auto a = inet.Resolve("a.example", 80);
  auto b = inet.Resolve("b.example", 80);
  auto c = inet.Resolve("c.example", 80);
  EXPECT_EQ(ShowAddr(c->Get()), "failed: c.example: over 2 host names in use");
  EXPECT_EQ(inet.Resolve("a.example", 80), a);
  a.reset();
  EXPECT_EQ(ShowAddr(inet.Resolve("c.example", 80)->Get()), "pending");
}

}  // namespace
}  // namespace trestle::namers
