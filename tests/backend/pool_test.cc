// The connections to one endpoint, seen through a client with that endpoint only.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/backend/pool_fixture.h"

namespace trestle::backend {
namespace {

using call::End;
using std::chrono::milliseconds;
using std::chrono::seconds;
using tests::Settle;

TEST_F(PoolTest, AConnectionIsUsedAgainOneCallAtATime) {
  Open();
  EXPECT_EQ(Tries(), 0u) << "opened before it was needed";
  for (int i = 0; i < 5; i++) {
    TestCall call;
    Dispatch(call);
    AnswerAt(0);
    EXPECT_EQ(call.end(), End::kReplied);
  }
  EXPECT_EQ(Opened(), 1u);
  TestCall a, b;
  Dispatch(a);
  Dispatch(b);
  EXPECT_EQ(Opened(), 2u) << "two calls at once";
  EXPECT_EQ(Gauge("connections"), 2);
  EXPECT_EQ(Gauge("pool_cached"), 0);
  AnswerAt(0);
  AnswerAt(1);
  EXPECT_EQ(Gauge("pool_cached"), 2);
  EXPECT_EQ(Count("connects"), 2u);
  EXPECT_EQ(Count("pool_num_waited"), 0u);
}

TEST_F(PoolTest, TheConnectionUsedLastIsUsedFirst) {
  Open();
  TestCall a, b, c;
  Dispatch(a);
  Dispatch(b);
  Dispatch(c);
  AnswerAt(0);
  AnswerAt(2);
  AnswerAt(1);
  TestCall next;
  Dispatch(next);
  AnswerAt(1);
  EXPECT_EQ(next.end(), End::kReplied);
}

// The backend may still be at work on the oneway, or about to take it badly.
TEST_F(PoolTest, AConnectionAfterAOnewayIsTheLastChoice) {
  Open();
  TestCall a, b;
  Dispatch(a);
  Dispatch(b);
  AnswerAt(0);
  AnswerAt(1);
  auto oneway = TestCall::Oneway();
  Dispatch(*oneway);  // on 1, which was used last
  EXPECT_NE(Far(1).TakeAll(), "");
  TestCall next;
  Dispatch(next);
  AnswerAt(0);
  EXPECT_EQ(next.end(), End::kReplied);
  TestCall one, two;
  Dispatch(one);
  Dispatch(two);
  EXPECT_EQ(Opened(), 2u) << "but it is a choice";
  AnswerAt(0);
  AnswerAt(1);
}

TEST_F(PoolTest, OverMaxSizeCallsWaitInOrder) {
  options_.pool.max_size = 2;
  Open();
  TestCall a, b, c, d;
  for (TestCall* call : {&a, &b, &c, &d}) Dispatch(*call);
  EXPECT_EQ(Opened(), 2u);
  EXPECT_EQ(Gauge("pool_waiters"), 2);
  EXPECT_EQ(Count("pool_num_waited"), 2u);
  AnswerAt(1);
  AnswerAt(1);
  EXPECT_EQ(b.end(), End::kReplied);
  EXPECT_EQ(c.end(), End::kReplied);
  EXPECT_EQ(d.end(), End::kOpen);
  AnswerAt(0);
  EXPECT_EQ(a.end(), End::kReplied);
  AnswerAt(1);
  EXPECT_EQ(d.end(), End::kReplied);
}

TEST_F(PoolTest, OverMaxWaitersACallIsRefused) {
  options_.pool.max_size = 1;
  options_.pool.max_waiters = 1;
  Open();
  TestCall a, b, c;
  Dispatch(a);
  Dispatch(b);
  Dispatch(c);
  ASSERT_EQ(c.end(), End::kFailed);
  EXPECT_EQ(c.call.failed_code, base::Code::kRefused);
  EXPECT_EQ(c.failure(), "trestle: connect: over hostConnectionPool.maxWaiters (1) of 10.0.0.1:80");
  EXPECT_EQ(Count("pool_num_too_many_waiters"), 1u);
  AnswerAt(0);
  AnswerAt(0);
  EXPECT_EQ(b.end(), End::kReplied);
}

TEST_F(PoolTest, ACancelledWaiterLeavesTheQueue) {
  options_.pool.max_size = 1;
  Open();
  TestCall a, b, c;
  Dispatch(a);
  Dispatch(b);
  Dispatch(c);
  b.call.Cancel();
  EXPECT_EQ(Gauge("pool_waiters"), 1);
  AnswerAt(0);
  AnswerAt(0);
  EXPECT_EQ(c.end(), End::kReplied);
  EXPECT_EQ(Opened(), 1u);
}

TEST_F(PoolTest, ACallCancelledWhileConnectingLeavesAConnectionForTheNext) {
  Open();
  net_->hold = true;
  TestCall a;
  Dispatch(a);
  a.call.Cancel();
  net_->Go();
  Settle(&loop_);
  EXPECT_EQ(Gauge("pool_cached"), 1);
  TestCall b;
  Dispatch(b);
  AnswerAt(0);
  EXPECT_EQ(b.end(), End::kReplied);
}

TEST_F(PoolTest, ACallDoesNotOpenMoreThanItNeeds) {
  options_.pool.min_size = 2;
  client();
  net_->hold = true;
  Open();
  EXPECT_EQ(net_->trying(), 2u);
  TestCall a, b, c;
  Dispatch(a);
  Dispatch(b);
  EXPECT_EQ(net_->trying(), 2u) << "two are on their way";
  Dispatch(c);
  EXPECT_EQ(net_->trying(), 3u);
}

TEST_F(PoolTest, MinSizeIsOpenedAheadAndKept) {
  options_.pool.min_size = 2;
  options_.pool.idle_time = seconds(60);
  Open();
  EXPECT_EQ(Opened(), 2u);
  EXPECT_EQ(Gauge("pool_cached"), 2);
  TestCall a, b, c;
  Dispatch(a);
  Dispatch(b);
  Dispatch(c);
  EXPECT_EQ(Opened(), 3u);
  for (size_t i = 0; i < 3; i++) AnswerAt(i);
  Advance(seconds(600));
  EXPECT_EQ(Gauge("connections"), 2);
}

TEST_F(PoolTest, AGreatMinSizeIsOpenedAFewAtATime) {
  options_.pool.min_size = 100;
  client();
  net_->hold = true;
  Open();
  size_t most = 0;
  do {
    most = std::max(most, net_->trying());
  } while (net_->Go() && (Settle(&loop_), true));
  EXPECT_EQ(most, 16u);
  EXPECT_EQ(Opened(), 100u);
  EXPECT_EQ(Gauge("pool_cached"), 100);
}

TEST_F(PoolTest, WhileConnectingFailsNoMoreAreOpenedAhead) {
  options_.pool.min_size = 100;
  client();
  net_->refuse_all = true;
  Open();
  EXPECT_EQ(Tries(), 16u);
  net_->refuse_all = false;
  TestCall call;
  Dispatch(call);
  ASSERT_EQ(Opened(), 1u) << "too soon after the failures";
  AnswerAt(0);
  Advance(seconds(1));
  TestCall a, b;
  Dispatch(a);
  Dispatch(b);
  EXPECT_EQ(Opened(), 100u);
  AnswerAt(0);
  AnswerAt(1);
}

TEST_F(PoolTest, ABackendThatClosesAtOnceIsNotConnectedToForEver) {
  options_.pool.min_size = 100;
  client();
  net_->hold = true;
  Open();
  while (net_->Go() && Tries() < 1000) {
    Settle(&loop_);
    net_->backends.back()->end->Close(false);
    Settle(&loop_);
  }
  EXPECT_EQ(Tries(), 100u);
  EXPECT_EQ(Gauge("connections"), 0);
}

TEST_F(PoolTest, IdleConnectionsAreClosedAfterTheirTime) {
  options_.pool.idle_time = seconds(60);
  Open();
  TestCall a, b;
  Dispatch(a);
  Dispatch(b);
  AnswerAt(0);
  Advance(seconds(30));
  AnswerAt(1);
  Advance(seconds(30));
  EXPECT_EQ(Gauge("connections"), 1);
  EXPECT_TRUE(Far(0).peer_ended());
  EXPECT_FALSE(Far(1).peer_ended());
  Advance(seconds(29));
  TestCall used;
  Dispatch(used);
  AnswerAt(1);
  Advance(seconds(59));
  EXPECT_EQ(Gauge("connections"), 1) << "it was used meanwhile";
  Advance(seconds(1));
  EXPECT_EQ(Gauge("connections"), 0);
  EXPECT_EQ(Count("closes"), 2u);
}

TEST_F(PoolTest, WithAnIdleTimeOfNothingAConnectionServesWhoWaitsAndCloses) {
  options_.pool.idle_time = seconds(0);
  options_.pool.max_size = 1;
  Open();
  TestCall a, b;
  Dispatch(a);
  Dispatch(b);
  AnswerAt(0);
  AnswerAt(0);
  EXPECT_EQ(b.end(), End::kReplied);
  EXPECT_EQ(Opened(), 1u);
  EXPECT_EQ(Gauge("connections"), 0);
  EXPECT_TRUE(Far(0).peer_ended());
}

TEST_F(PoolTest, TheSessionsIdleTimeCountsWhenItIsShorter) {
  options_.pool.idle_time = seconds(60);
  options_.session_idle_time = seconds(10);
  Open();
  Ask();
  Advance(seconds(10));
  EXPECT_EQ(Gauge("connections"), 0);
}

TEST_F(PoolTest, OverItsLifeTimeAConnectionServesNoOther) {
  options_.session_life_time = seconds(100);
  options_.pool.max_size = 1;
  Open();
  TestCall a, b;
  Dispatch(a);
  Dispatch(b);
  Advance(seconds(100) + milliseconds(1));
  EXPECT_EQ(a.end(), End::kOpen) << "calls are not cut off";
  AnswerAt(0);
  EXPECT_EQ(a.end(), End::kReplied);
  ASSERT_EQ(Opened(), 2u) << "who waited got a fresh one";
  EXPECT_TRUE(Far(0).peer_ended());
  AnswerAt(1);
  EXPECT_EQ(b.end(), End::kReplied);
  Advance(seconds(101));
  TestCall c;
  Dispatch(c);
  EXPECT_EQ(Opened(), 3u) << "an old idle connection was used";
  AnswerAt(2);
}

TEST_F(PoolTest, ALifeTimeOfNothingIsOneCallAConnection) {
  options_.session_life_time = seconds(0);
  Open();
  for (size_t i = 0; i < 3; i++) {
    TestCall call;
    Dispatch(call);
    ASSERT_EQ(Opened(), i + 1);
    Advance(milliseconds(1));
    AnswerAt(i);
    EXPECT_EQ(call.end(), End::kReplied);
  }
  EXPECT_LE(Tries(), 4u);
}

TEST_F(PoolTest, AnIdleConnectionThatItsBackendClosedIsNotUsed) {
  for (bool reset : {false, true}) {
    client_.reset();
    Open();
    Ask();
    EXPECT_EQ(Gauge("pool_cached"), 1);
    Far(0).Close(reset);
    Settle(&loop_);
    EXPECT_EQ(Gauge("connections"), 0);
    TestCall call;
    Dispatch(call);
    EXPECT_EQ(Opened(), 2u);
    AnswerAt(1);
    EXPECT_EQ(call.end(), End::kReplied);
    EXPECT_EQ(Out(), 0u) << "closing an idle connection is no failure";
  }
}

TEST_F(PoolTest, ACallOnAConnectionSeenClosedInTheSameTurnGoesToAnother) {
  Open();
  Ask();
  TestCall call;
  Far(0).Close(false);
  Dispatch(call);  // before the loop turns
  ASSERT_EQ(Opened(), 2u);
  AnswerAt(1);
  EXPECT_EQ(call.end(), End::kReplied);
  EXPECT_EQ(Out(), 0u);
  EXPECT_EQ(CountOf("retries", "requeues"), 1u);
}

TEST_F(PoolTest, ACallThatFollowsALostOneGetsAFreshConnection) {
  options_.pool.max_size = 1;
  Open();
  TestCall a, b;
  Dispatch(a);
  Dispatch(b);
  Far(0).Close(true);
  Settle(&loop_);
  EXPECT_EQ(a.end(), End::kFailed);
  ASSERT_EQ(Opened(), 2u);
  AnswerAt(1);
  EXPECT_EQ(b.end(), End::kReplied);
}

TEST_F(PoolTest, ACancelledCallsConnectionIsNotUsedAgain) {
  Open();
  TestCall a;
  Dispatch(a);
  a.call.Cancel();
  Settle(&loop_);
  EXPECT_TRUE(Far(0).peer_ended());
  TestCall b;
  Dispatch(b);
  ASSERT_EQ(Opened(), 2u);
  AnswerAt(1);
  EXPECT_EQ(b.end(), End::kReplied);
  EXPECT_EQ(Out(), 0u);
}

TEST_F(PoolTest, OnewaysShareAConnectionWithoutWaitingForAnswers) {
  Open();
  for (int i = 0; i < 3; i++) {
    auto call = TestCall::Oneway();
    Dispatch(*call);
    EXPECT_EQ(call->end(), End::kOneway);
  }
  EXPECT_EQ(Opened(), 1u);
  std::string in = Far(0).TakeAll();
  EXPECT_EQ(tests::TakeMessages(&in).size(), 3u);
  Far(0).Send(tests::ExceptionFrame("log", 2));
  Settle(&loop_);
  EXPECT_EQ(Count("stray_oneway_answers"), 1u);
  EXPECT_EQ(Gauge("connections"), 1);
}

TEST_F(PoolTest, BytesAreCounted) {
  Open();
  TestCall call;
  const size_t request = call.call.request.size();
  Dispatch(call);
  AnswerAt(0);
  EXPECT_EQ(Count("sent_bytes"), request);
  EXPECT_EQ(Count("received_bytes"), call.reply().size());
  TestCall lost;
  Dispatch(lost);
  Far(0).Close(true);
  Settle(&loop_);
  EXPECT_EQ(Count("sent_bytes"), 2 * request);
}

TEST_F(PoolTest, ConnectsHaveTheirTimeAndAreMeasured) {
  options_.connect_timeout = milliseconds(700);
  Open();
  net_->hold = true;
  TestCall call;
  Dispatch(call);
  EXPECT_EQ(net_->last_timeout, milliseconds(700));
  Advance(milliseconds(5));
  net_->Go();
  Settle(&loop_);
  EXPECT_EQ(table_.root()->histogram("connect_latency_ms")->sum(), 5000u);
}

}  // namespace
}  // namespace trestle::backend
