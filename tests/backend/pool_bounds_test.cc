// The connections to one endpoint at their bounds: who may wait, who takes the last place, and what
// comes of connections on their way that nobody wants any more.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/backend/pool_fixture.h"
#include "thrift/ttwitter.h"

namespace trestle::backend {
namespace {

using call::End;
using std::chrono::seconds;
using tests::ReplyFrame;
using tests::Settle;

const std::string kName = "userService:addUser";

class PoolBoundsTest : public PoolTest {
 protected:
  // As an upgraded backend replies.
  static std::string WithHeader(const std::string& frame) {
    return tests::Frame(std::string(1, '\0') + frame.substr(4));
  }
  void Accept(size_t i) {
    Far(i).TakeAll();
    Far(i).Send(tests::Frame(thrift::EncodeUpgradeReply(thrift::Protocol::kBinary, 0)));
  }
  void AnswerWith(size_t i, const std::string& bytes) {
    Far(i).Send(bytes);
    Settle(&loop_);
  }
};

// --- the endpoint leaves; the last reply and what nobody wants come in one turn ---

TEST_F(PoolBoundsTest, AConnectionThatComesWhenItWasGivenUpIsNobodys) {
  Open();
  TestCall a, b;
  Dispatch(a);
  net_->hold = true;
  Dispatch(b);
  ASSERT_EQ(net_->trying(), 1u);
  Use({At("10.0.0.2")});
  AnswerAt(0);
  EXPECT_EQ(a.end(), End::kReplied);
  ASSERT_NE(Far(0).TakeAll(), "") << "who waited did not get the connection";
  Far(0).Send(ReplyFrame(kName, 2));
  ASSERT_TRUE(net_->Go());
  Settle(&loop_);
  EXPECT_EQ(b.end(), End::kReplied);
  EXPECT_EQ(Count("connects"), 1u);
  EXPECT_EQ(Gauge("connections"), 0);
}

TEST_F(PoolBoundsTest, AnAnswerToTheUpgradeThatComesWhenItWasGivenUpIsNobodys) {
  options_.ttwitter = true;
  Open();
  TestCall a, b;
  Dispatch(a);
  Accept(0);
  Settle(&loop_);
  Dispatch(b);
  ASSERT_EQ(Opened(), 2u);
  Use({At("10.0.0.2")});
  AnswerWith(0, WithHeader(ReplyFrame(kName, 1)));
  EXPECT_EQ(a.end(), End::kReplied);
  ASSERT_NE(Far(0).TakeAll(), "") << "who waited did not get the connection";
  Far(0).Send(WithHeader(ReplyFrame(kName, 2)));
  Accept(1);
  Settle(&loop_);
  EXPECT_EQ(b.end(), End::kReplied);
  EXPECT_EQ(CountOf("ttwitter", "accepted"), 1u);
  EXPECT_EQ(Gauge("connections"), 0);
  EXPECT_TRUE(Far(1).peer_ended());
}

// --- who may wait ---

TEST_F(PoolBoundsTest, NoMoreWaitForAConnectionOnItsWayThanMayWait) {
  options_.pool.max_in_flight = 100;
  options_.pool.max_waiters = 3;
  options_.pool.max_size = 2;
  client();
  net_->hold = true;
  Open();
  std::vector<std::unique_ptr<TestCall>> calls;
  for (int i = 0; i < 5; i++) {
    calls.push_back(std::make_unique<TestCall>());
    Dispatch(*calls.back());
    EXPECT_EQ(calls.back()->end(), i < 3 ? End::kOpen : End::kFailed) << i;
  }
  EXPECT_EQ(calls[3]->call.failed_code, base::Code::kRefused);
  EXPECT_EQ(Count("pool_num_too_many_waiters"), 2u);
  EXPECT_EQ(Gauge("pool_waiters"), 3);
  EXPECT_EQ(net_->trying(), 1u);
}

TEST_F(PoolBoundsTest, WithoutWaitersEachConnectionOnItsWayHasItsCall) {
  options_.pool.max_waiters = 0;
  options_.pool.min_size = 2;
  options_.pool.max_size = 3;
  client();
  net_->hold = true;
  Open();
  EXPECT_EQ(net_->trying(), 2u);
  TestCall a, b, c, d;
  for (TestCall* call : {&a, &b, &c, &d}) Dispatch(*call);
  EXPECT_EQ(net_->trying(), 3u);
  for (TestCall* call : {&a, &b, &c}) EXPECT_EQ(call->end(), End::kOpen) << call->failure();
  EXPECT_EQ(d.end(), End::kFailed);
}

TEST_F(PoolBoundsTest, WithoutWaitersThoseWhoseConnectionsWaitForTheFirstAnswerWaitToo) {
  options_.ttwitter = true;
  options_.pool.max_waiters = 0;
  options_.pool.max_size = 3;
  Open();
  TestCall a, b, c, d;
  for (TestCall* call : {&a, &b, &c, &d}) Dispatch(*call);
  EXPECT_EQ(Opened(), 1u) << "one is asked first";
  for (TestCall* call : {&a, &b, &c}) EXPECT_EQ(call->end(), End::kOpen) << call->failure();
  EXPECT_EQ(d.end(), End::kFailed) << "there would be no connection for it";
  Accept(0);
  Settle(&loop_);
  ASSERT_EQ(Opened(), 3u);
  Accept(1);
  Accept(2);
  Settle(&loop_);
  for (size_t i = 0; i < 3; i++) AnswerWith(i, WithHeader(ReplyFrame(kName, 1)));
  for (TestCall* call : {&a, &b, &c}) EXPECT_EQ(call->end(), End::kReplied) << call->failure();
}

// --- places ---

// What has a large message to itself stands not in the way of who has places.
TEST_F(PoolBoundsTest, AConnectionWithPlacesIsFoundBehindManyWithLargeReplies) {
  options_.pool.max_in_flight = 2;
  options_.stream_threshold = 100;
  Open();
  constexpr size_t kLarge = 20;
  std::vector<std::unique_ptr<TestCall>> calls;
  for (size_t i = 0; i < 2 * (kLarge + 1); i++) {
    calls.push_back(std::make_unique<TestCall>());
    Dispatch(*calls.back());
  }
  ASSERT_EQ(Opened(), kLarge + 1);
  for (size_t i = 0; i <= kLarge; i++) {
    std::string in = Far(i).TakeAll();
    auto asked = tests::TakeMessages(&in);
    ASSERT_EQ(asked.size(), 2u);
    AnswerWith(i, ReplyFrame(kName, asked[0].seqid));
    if (i == 0) continue;
    AnswerWith(i, ReplyFrame(kName, asked[1].seqid, std::string(1000, '\0')).substr(0, 500));
    ASSERT_TRUE(calls[2 * i + 1]->call.reply_begun());
  }
  TestCall next;
  Dispatch(next);
  EXPECT_EQ(Opened(), kLarge + 1);
  EXPECT_NE(Far(0).TakeAll(), "");
  for (size_t i = 1; i <= kLarge; i++) calls[2 * i + 1]->call.Cancel();
}

// The only idle one is closed for the sake of who cannot use it.
TEST_F(PoolBoundsTest, AConnectionThatMakesPlaceForAnotherIsNotIdle) {
  options_.ttwitter = true;
  options_.pool.max_size = 2;
  options_.pool.idle_time = seconds(60);
  Open();
  TestCall a, b;
  Dispatch(a);
  Accept(0);
  Settle(&loop_);
  Dispatch(b);
  Accept(1);
  Settle(&loop_);
  TestCall compact("m", 1, thrift::MessageType::kCall, thrift::Protocol::kCompact);
  Dispatch(compact);
  AnswerWith(1, WithHeader(ReplyFrame(kName, 1)));
  EXPECT_EQ(b.end(), End::kReplied) << b.failure();
  EXPECT_TRUE(Far(1).peer_ended());
  EXPECT_EQ(Opened(), 3u);
  Advance(seconds(60));
  EXPECT_EQ(a.end(), End::kOpen);
}

// --- health ---

TEST_F(PoolBoundsTest, AConnectionLostWithManyCallsIsOneFailure) {
  options_.pool.max_in_flight = 8;
  options_.accrual.failures = 2;
  Open();
  for (uint64_t round : {0u, 1u}) {
    std::vector<std::unique_ptr<TestCall>> calls;
    for (int i = 0; i < 8; i++) {
      calls.push_back(std::make_unique<TestCall>());
      Dispatch(*calls.back());
    }
    ASSERT_EQ(Opened(), round + 1);
    Far(round).Close(true);
    Settle(&loop_);
    for (auto& call : calls) EXPECT_EQ(call->end(), End::kFailed);
    EXPECT_EQ(Out(), round);
  }
}

}  // namespace
}  // namespace trestle::backend
