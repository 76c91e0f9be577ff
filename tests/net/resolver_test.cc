#include "net/resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace trestle::net {
namespace {

using testing::AnyOf;
using testing::Contains;
using testing::ElementsAre;
using Answer = Resolver::Answer;

// Lookups that wait until the test lets them go.
class Gate {
 public:
  Resolver::Lookup lookup() {
    return [this](const std::string& host) -> Answer {
      std::unique_lock lock(mutex_);
      entered_++;
      changed_.notify_all();
      changed_.wait(lock, [this] { return open_; });
      left_++;
      changed_.notify_all();
      return std::vector<std::string>{"10.0.0." + std::to_string(host.size())};
    };
  }
  void Open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void WaitEntered(int n) {
    Wait([this, n] { return entered_ >= n; });
  }
  void WaitLeft(int n) {
    Wait([this, n] { return left_ >= n; });
  }
  int entered() {
    std::lock_guard lock(mutex_);
    return entered_;
  }

 private:
  template <class Condition>
  void Wait(Condition condition) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, std::chrono::seconds(30), condition));
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  int entered_ = 0;
  int left_ = 0;
};

class ResolverTest : public testing::Test {
 protected:
  ResolverTest() : loop_(&clock_) {}

  std::unique_ptr<Resolver::Query> Ask(Resolver* resolver, const std::string& host) {
    return resolver->Resolve(host, [this, host](const Answer& answer) {
      answers_.push_back(
          host + " " +
          (answer.ok() ? testing::PrintToString(*answer) : answer.status().ToString()));
    });
  }
  // Turns the loop until there are so many answers; the time limit is for failures only.
  void WaitFor(size_t answers) {
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (answers_.size() < answers && std::chrono::steady_clock::now() < end) {
      if (!loop_.Poll()) std::this_thread::yield();
    }
    ASSERT_GE(answers_.size(), answers);
  }

  base::FakeClock clock_;
  EventLoop loop_;
  std::vector<std::string> answers_;
};

TEST_F(ResolverTest, AnswersFromTheLoop) {
  std::atomic<bool> off_loop = false;
  auto here = std::this_thread::get_id();
  Resolver resolver(&loop_, 2, [&](const std::string& host) -> Answer {
    off_loop = std::this_thread::get_id() != here;
    if (host == "gone") return base::Status(base::Code::kNoRoute, "gone: no such name");
    if (host == "sick") return base::Status(base::Code::kUnavailable, "sick: try again");
    return std::vector<std::string>{"10.0.0.1", "::1"};
  });
  auto a = Ask(&resolver, "good");
  EXPECT_TRUE(answers_.empty());
  WaitFor(1);
  EXPECT_TRUE(off_loop);
  auto b = Ask(&resolver, "gone");
  WaitFor(2);
  auto c = Ask(&resolver, "sick");
  WaitFor(3);
  EXPECT_THAT(answers_,
              ElementsAre("good { \"10.0.0.1\", \"::1\" }", "gone no_route: gone: no such name",
                          "sick unavailable: sick: try again"));
  EXPECT_EQ(resolver.in_flight(), 0u);
}

TEST_F(ResolverTest, EqualNamesInFlightAreJoined) {
  Gate gate;
  Resolver resolver(&loop_, 4, gate.lookup());
  auto a = Ask(&resolver, "same");
  auto b = Ask(&resolver, "same");
  gate.WaitEntered(1);
  auto c = Ask(&resolver, "same");
  EXPECT_EQ(resolver.in_flight(), 1u);
  gate.Open();
  WaitFor(3);
  EXPECT_EQ(gate.entered(), 1);
  auto d = Ask(&resolver, "same");  // a new question
  WaitFor(4);
  EXPECT_EQ(gate.entered(), 2);
}

TEST_F(ResolverTest, DroppedQueryIsNotAnswered) {
  Gate gate;
  Resolver resolver(&loop_, 1, gate.lookup());
  auto a = Ask(&resolver, "one");
  auto b = Ask(&resolver, "one");
  a.reset();
  gate.Open();
  WaitFor(1);
  EXPECT_EQ(answers_.size(), 1u);
}

TEST_F(ResolverTest, QueryMayBeDroppedInItsOwnAnswer) {
  Resolver resolver(
      &loop_, 1, [](const std::string&) -> Answer { return std::vector<std::string>{"10.0.0.1"}; });
  std::unique_ptr<Resolver::Query> query;
  query = resolver.Resolve("a", [&](const Answer&) {
    query.reset();
    query = Ask(&resolver, "a");
  });
  WaitFor(1);
  EXPECT_THAT(answers_, ElementsAre("a { \"10.0.0.1\" }"));
}

TEST_F(ResolverTest, AHangingNameDoesNotHoldOthersUp) {
  Gate gate;
  auto hang = gate.lookup();
  Resolver resolver(&loop_, 2, [&](const std::string& host) -> Answer {
    if (host == "hang") return hang(host);
    return std::vector<std::string>{"10.0.0.1"};
  });
  auto a = Ask(&resolver, "hang");
  gate.WaitEntered(1);
  auto b = Ask(&resolver, "hang");  // joins: does not take the second thread
  auto c = Ask(&resolver, "quick");
  WaitFor(1);
  EXPECT_THAT(answers_, ElementsAre("quick { \"10.0.0.1\" }"));
  gate.Open();
  WaitFor(3);
}

TEST_F(ResolverTest, TooManyWaitingNamesAreRefused) {
  Gate gate;
  Resolver resolver(&loop_, 1, gate.lookup(), 2);
  auto running = Ask(&resolver, "a");
  gate.WaitEntered(1);
  auto b = Ask(&resolver, "bb");
  auto c = Ask(&resolver, "ccc");
  auto d = Ask(&resolver, "dddd");
  EXPECT_TRUE(answers_.empty());  // never at once
  WaitFor(1);
  EXPECT_THAT(answers_, ElementsAre("dddd refused: dddd: too many names wait for DNS"));
  gate.Open();
  WaitFor(4);
  auto again = Ask(&resolver, "dddd");
  WaitFor(5);
  EXPECT_EQ(answers_.back(), "dddd { \"10.0.0.4\" }");
}

TEST_F(ResolverTest, WhatIsNoHostNameIsNotLookedUp) {
  std::atomic<int> lookups = 0;
  Resolver resolver(&loop_, 1, [&](const std::string&) -> Answer {
    lookups++;
    return std::vector<std::string>{"10.0.0.1"};
  });
  std::vector<std::unique_ptr<Resolver::Query>> queries;
  for (const std::string& host : {std::string(), std::string("a\0b", 3), std::string(300, 'a')}) {
    queries.push_back(Ask(&resolver, host));
    WaitFor(queries.size());
    EXPECT_THAT(answers_.back(), testing::HasSubstr("no_route: "));
  }
  EXPECT_EQ(lookups, 0);
}

TEST_F(ResolverTest, EndDoesNotWaitForAHangingLookup) {
  auto gate = std::make_shared<Gate>();
  {
    // The lookup goes on after the test's end, so it holds on to the gate.
    Resolver resolver(&loop_, 2, [gate](const std::string& host) { return gate->lookup()(host); });
    auto query = Ask(&resolver, "hang");
    gate->WaitEntered(1);
  }
  gate->Open();
  gate->WaitLeft(1);
  while (loop_.Poll()) {
  }
  EXPECT_TRUE(answers_.empty());
}

TEST_F(ResolverTest, AnswerThatComesAfterTheEndIsDropped) {
  Gate gate;
  gate.Open();
  auto resolver = std::make_unique<Resolver>(&loop_, 1, gate.lookup());
  auto query = Ask(resolver.get(), "a");
  gate.WaitLeft(1);
  resolver.reset();  // the answer may be posted already
  while (loop_.Poll()) {
  }
  EXPECT_TRUE(answers_.empty());
}

TEST_F(ResolverTest, TheMachinesOwnLookup) {
  auto local = Resolver::SystemLookup("localhost");
  ASSERT_TRUE(local.ok()) << local.status().ToString();
  EXPECT_THAT(*local, Contains(AnyOf("127.0.0.1", "::1")));
  auto literal = Resolver::SystemLookup("::1");
  ASSERT_TRUE(literal.ok()) << literal.status().ToString();
  EXPECT_THAT(*literal, ElementsAre("::1"));
  // Not a name at all, so no name server is asked.
  auto bad = Resolver::SystemLookup("a..b");
  EXPECT_FALSE(bad.ok());

  Resolver resolver(&loop_, 1);
  auto query = Ask(&resolver, "localhost");
  WaitFor(1);
  EXPECT_THAT(answers_[0], testing::StartsWith("localhost { "));
}

}  // namespace
}  // namespace trestle::net
