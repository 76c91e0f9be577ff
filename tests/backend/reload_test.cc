// A client whose options change under load: what holds at once, what for new connections, and that
// nothing in flight is lost.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/backend/pool_fixture.h"
#include "thrift/ttwitter.h"

namespace trestle::backend {
namespace {

using call::End;
using std::chrono::milliseconds;
using std::chrono::seconds;
using tests::Settle;

class ReloadTest : public PoolTest {
 protected:
  void Reload(bool new_connector = false) {
    std::unique_ptr<tests::FakeConnector> connector;
    if (new_connector) {
      connector = std::make_unique<tests::FakeConnector>(&loop_);
      old_ends_ = std::move(net_->backends);
      net_ = connector.get();
    }
    client().Reconfigure(options_, std::move(connector));
    Settle(&loop_);
  }
  std::vector<std::unique_ptr<tests::FakeConnector::Backend>> old_ends_;
};

TEST_F(ReloadTest, TheSameOptionsChangeNothing) {
  Open();
  Ask();
  Reload();
  Ask();
  EXPECT_EQ(Opened(), 1u);
}

TEST_F(ReloadTest, WhatDoesNotConcernConnectionsKeepsThem) {
  Open();
  Ask();
  options_.connect_timeout = milliseconds(5);
  options_.attempt_timeout = milliseconds(300);
  options_.verify_seqid = false;
  options_.accrual.failures = 1;
  options_.budget.percent_can_retry = 0;
  options_.stream_threshold = 100;
  Reload();
  Ask();
  EXPECT_EQ(Opened(), 1u);
}

TEST_F(ReloadTest, WhatIsSpokenChangesForNewConnectionsAndOldOnesCloseWhenTheyAreIdle) {
  const std::map<std::string, std::function<void(Options*)>> kChanges = {
      {"framing", [](Options* o) { o->framing = thrift::Framing::kBuffered; }},
      {"strip", [](Options* o) { o->strip_service_name = true; }},
      {"max_in_flight", [](Options* o) { o->pool.max_in_flight = 7; }},
      {"ttwitter", [](Options* o) { o->ttwitter = true; }},
      {"max_frame_bytes", [](Options* o) { o->max_frame_bytes = 1000; }},
  };
  for (const auto& [name, change] : kChanges) {
    SCOPED_TRACE(name);
    client_.reset();
    options_ = Options();
    Open();
    TestCall in_flight, warm;
    Dispatch(in_flight);
    Dispatch(warm);
    AnswerAt(1);
    ASSERT_EQ(Opened(), 2u);
    change(&options_);
    Reload();
    EXPECT_TRUE(Far(1).peer_ended()) << "idle: closed now";
    EXPECT_FALSE(Far(0).peer_ended());
    TestCall next;
    Dispatch(next);
    ASSERT_EQ(Opened(), 3u);
    AnswerAt(0);
    EXPECT_EQ(in_flight.end(), End::kReplied);
    EXPECT_TRUE(Far(0).peer_ended()) << "closed as it became idle";
    const std::string sent = Far(2).TakeAll();
    if (name == "framing") {
      EXPECT_EQ(sent, tests::CallFrame("userService:addUser", 1).substr(4));
    } else if (name == "strip") {
      EXPECT_EQ(sent, tests::CallFrame("addUser", 1));
    } else if (name == "ttwitter") {
      EXPECT_EQ(sent, tests::Frame(thrift::EncodeUpgradeCall(thrift::Protocol::kBinary)));
    }
    EXPECT_EQ(Gauge("connections"), name == "ttwitter" ? 0 : 1);
    next.call.Cancel();
  }
}

TEST_F(ReloadTest, ALargerReplyMayComeAfterItsBoundWasRaised) {
  options_.max_frame_bytes = 1000;
  Open();
  Ask();
  options_.max_frame_bytes = 10'000;
  Reload();
  TestCall call;
  Dispatch(call);
  ASSERT_EQ(Opened(), 2u);
  Far(1).Send(tests::ReplyFrame("userService:addUser", 1, std::string(9000, '\0')));
  Settle(&loop_);
  EXPECT_EQ(call.end(), End::kReplied) << call.failure();
}

// From then on a connection carries one call at a time, so those that carry more are no more used.
TEST_F(ReloadTest, VerifySeqidThatIsTakenAwayTakesSharedConnectionsAway) {
  options_.pool.max_in_flight = 4;
  Open();
  TestCall a, b;
  Dispatch(a);
  options_.verify_seqid = false;
  Reload();
  Dispatch(b);
  EXPECT_EQ(Opened(), 2u);
  AnswerAt(1);
  EXPECT_EQ(b.end(), End::kReplied);
  AnswerAt(0);
  EXPECT_EQ(a.end(), End::kReplied);
}

TEST_F(ReloadTest, ASharedConnectionOfBeforeFinishesItsCallsAndTakesNoMore) {
  options_.pool.max_in_flight = 4;
  Open();
  TestCall a, b, c;
  Dispatch(a);
  Dispatch(b);
  ASSERT_EQ(Opened(), 1u);
  options_.pool.max_in_flight = 2;
  Reload();
  Dispatch(c);
  ASSERT_EQ(Opened(), 2u);
  AnswerAt(1);
  EXPECT_EQ(c.end(), End::kReplied);
  std::string in = Far(0).TakeAll();
  auto asked = tests::TakeMessages(&in);
  ASSERT_EQ(asked.size(), 2u);
  Far(0).Send(tests::ReplyFrame(asked[1].name, asked[1].seqid));
  Settle(&loop_);
  EXPECT_EQ(b.end(), End::kReplied);
  EXPECT_FALSE(Far(0).peer_ended());
  Far(0).Send(tests::ReplyFrame(asked[0].name, asked[0].seqid));
  Settle(&loop_);
  EXPECT_EQ(a.end(), End::kReplied);
  EXPECT_TRUE(Far(0).peer_ended());
}

TEST_F(ReloadTest, WithANewConnectorThoseWhoWaitForAConnectionGetOneOfIt) {
  client();
  net_->hold = true;
  Open();
  TestCall a, b;
  Dispatch(a);
  Dispatch(b);
  EXPECT_EQ(net_->trying(), 2u);
  Reload(true);
  ASSERT_EQ(Opened(), 2u);
  AnswerAt(0);
  AnswerAt(1);
  EXPECT_EQ(a.end(), End::kReplied);
  EXPECT_EQ(b.end(), End::kReplied);
  EXPECT_EQ(Count("failed_connects"), 0u);
}

TEST_F(ReloadTest, WithANewConnectorCallsInFlightAreFinishedOnTheOldConnections) {
  options_.pool.max_size = 1;
  Open();
  TestCall a, waiting;
  Dispatch(a);
  Dispatch(waiting);
  Reload(true);
  std::string in = old_ends_[0]->end->TakeAll();
  auto asked = tests::TakeMessages(&in);
  ASSERT_EQ(asked.size(), 1u);
  old_ends_[0]->end->Send(tests::ReplyFrame(asked[0].name, asked[0].seqid));
  Settle(&loop_);
  EXPECT_EQ(a.end(), End::kReplied);
  EXPECT_TRUE(old_ends_[0]->end->peer_ended());
  ASSERT_EQ(Opened(), 1u) << "who waited got a new one";
  AnswerAt(0);
  EXPECT_EQ(waiting.end(), End::kReplied);
}

TEST_F(ReloadTest, AConnectionThatIsBeingAskedForTheUpgradeIsGivenUpForANewOne) {
  options_.ttwitter = true;
  Open();
  TestCall call;
  Dispatch(call);
  ASSERT_EQ(Opened(), 1u);
  options_.ttwitter = false;
  Reload();
  EXPECT_TRUE(Far(0).peer_ended());
  ASSERT_EQ(Opened(), 2u);
  AnswerAt(1);
  EXPECT_EQ(call.end(), End::kReplied);
}

TEST_F(ReloadTest, APoolThatMayBeLargerServesThoseWhoWait) {
  options_.pool.max_size = 1;
  Open();
  TestCall a, b, c;
  for (TestCall* call : {&a, &b, &c}) Dispatch(*call);
  EXPECT_EQ(Opened(), 1u);
  options_.pool.max_size = 3;
  Reload();
  ASSERT_EQ(Opened(), 3u);
  for (size_t i = 0; i < 3; i++) AnswerAt(i);
  for (TestCall* call : {&a, &b, &c}) EXPECT_EQ(call->end(), End::kReplied);
  options_.pool.max_size = 2;
  Reload();
  EXPECT_EQ(Gauge("connections"), 2);
  options_.pool.min_size = options_.pool.max_size = 4;
  Reload();
  EXPECT_EQ(Gauge("connections"), 4);
}

TEST_F(ReloadTest, TimesThatAreTakenAwayOrGivenHoldAtOnce) {
  options_.pool.idle_time = seconds(60);
  options_.session_life_time = seconds(90);
  options_.attempt_timeout = milliseconds(300);
  Open();
  Ask();
  TestCall slow;
  Dispatch(slow);
  options_.pool.idle_time.reset();
  options_.session_life_time.reset();
  options_.attempt_timeout.reset();
  Reload();
  Advance(seconds(1000));
  EXPECT_EQ(slow.end(), End::kOpen);
  AnswerAt(0);
  EXPECT_EQ(slow.end(), End::kReplied);
  Advance(seconds(1000));
  EXPECT_EQ(Gauge("connections"), 1);
  options_.pool.idle_time = seconds(60);
  Reload();
  EXPECT_EQ(Gauge("connections"), 0) << "idle for longer than that";
}

TEST_F(ReloadTest, AnotherBalancerKnowsTheEndpoints) {
  Use({At("10.0.0.1"), At("10.0.0.2", 3)});
  options_.balance = Options::Balance::kP2c;
  Reload();
  for (int i = 0; i < 10; i++) Ask();
  options_.balance = Options::Balance::kRoundRobin;
  Reload();
  std::map<std::string, int> got;
  for (int i = 0; i < 40; i++) got[Ask()]++;
  EXPECT_EQ(got["10.0.0.1"] + got["10.0.0.2"], 40);
  EXPECT_GT(got["10.0.0.1"], 0);
}

TEST_F(ReloadTest, BudgetAndAccrualTakeTheNewNumbers) {
  Open();
  options_.accrual.failures = 1;
  options_.budget = {0, 0, seconds(10)};
  Reload();
  TestCall call;
  call.call.idempotent = true;
  Dispatch(call);
  Far(0).Close(true);
  Settle(&loop_);
  ASSERT_EQ(call.end(), End::kFailed);
  EXPECT_NE(call.failure().find("requeueBudget is spent"), std::string::npos);
  EXPECT_EQ(Out(), 1u);
}

TEST_F(ReloadTest, AnEndpointThatIsLeavingIsChangedToo) {
  Open();
  TestCall call;
  Dispatch(call);
  Use({At("10.0.0.2")});
  options_.ttwitter = true;
  Reload(true);
  std::string in = old_ends_[0]->end->TakeAll();
  auto asked = tests::TakeMessages(&in);
  ASSERT_EQ(asked.size(), 1u);
  old_ends_[0]->end->Send(tests::ReplyFrame(asked[0].name, asked[0].seqid));
  Settle(&loop_);
  EXPECT_EQ(call.end(), End::kReplied);
  EXPECT_EQ(Gauge("connections"), 0);
}

TEST_F(ReloadTest, CallsThatWaitForAnAddressGoOnWaiting) {
  TestCall call;
  Dispatch(call);
  options_.framing = thrift::Framing::kBuffered;
  Reload(true);
  EXPECT_EQ(call.end(), End::kOpen);
  Open();
  EXPECT_EQ(Far(0).TakeAll(), tests::CallFrame("userService:addUser", 1).substr(4));
}

}  // namespace
}  // namespace trestle::backend
