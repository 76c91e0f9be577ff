// The connections to one endpoint when each may carry several calls, and when some calls want one
// of their own; connections that their backends closed, or that grew old.
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

class PoolSharingTest : public PoolTest {
 protected:
  PoolSharingTest() { options_.pool.max_in_flight = 3; }
  using Calls = std::vector<std::unique_ptr<TestCall>>;
  Calls Start(size_t n) {
    Calls out;
    for (size_t i = 0; i < n; i++) {
      out.push_back(std::make_unique<TestCall>());
      Dispatch(*out.back());
    }
    return out;
  }
  // Answers all that connection `i` has; gives how many.
  size_t AnswerAll(size_t i) {
    std::string in = Far(i).TakeAll();
    auto calls = tests::TakeMessages(&in);
    for (const auto& c : calls) Far(i).Send(tests::ReplyFrame(c.name, c.seqid));
    Settle(&loop_);
    return calls.size();
  }
  static size_t Replied(const Calls& calls) {
    size_t n = 0;
    for (const auto& c : calls) n += c->end() == End::kReplied;
    return n;
  }
};

TEST_F(PoolSharingTest, AConnectionIsOpenedOnlyWhenAllAreFull) {
  Open();
  Calls calls = Start(7);
  EXPECT_EQ(Opened(), 3u);
  EXPECT_EQ(AnswerAll(0), 3u);
  EXPECT_EQ(AnswerAll(1), 3u);
  EXPECT_EQ(AnswerAll(2), 1u);
  EXPECT_EQ(Replied(calls), 7u);
  EXPECT_EQ(Gauge("pool_cached"), 3);
}

TEST_F(PoolSharingTest, OneConnectionIsOnItsWayForAsManyAsItCanCarry) {
  client();
  net_->hold = true;
  Open();
  Calls calls = Start(7);
  EXPECT_EQ(net_->trying(), 3u);
  net_->hold = false;
  while (net_->Go()) Settle(&loop_);
  EXPECT_EQ(AnswerAll(0) + AnswerAll(1) + AnswerAll(2), 7u);
  EXPECT_EQ(Replied(calls), 7u);
}

TEST_F(PoolSharingTest, FewConnectionsCarryTheLoad) {
  Open();
  Calls first = Start(6);
  ASSERT_EQ(Opened(), 2u);
  AnswerAll(0);
  AnswerAll(1);
  Calls next = Start(3);
  EXPECT_EQ(AnswerAll(0) + 3 * AnswerAll(1), 9u) << "not all on the one used last";
  Calls one = Start(1);
  Calls two = Start(1);
  EXPECT_EQ(AnswerAll(1), 2u) << "who is busy with room goes before who is idle";
}

TEST_F(PoolSharingTest, WithoutVerifySeqidEachCallHasAConnectionOfItsOwn) {
  options_.verify_seqid = false;
  client();
  net_->hold = true;
  Open();
  Calls calls = Start(4);
  EXPECT_EQ(net_->trying(), 4u);
  net_->hold = false;
  while (net_->Go()) Settle(&loop_);
  for (size_t i = 0; i < 4; i++) EXPECT_EQ(AnswerAll(i), 1u);
  EXPECT_EQ(Replied(calls), 4u);
}

TEST_F(PoolSharingTest, OverMaxSizeCallsWaitForAPlace) {
  options_.pool.max_size = 1;
  Open();
  Calls calls = Start(5);
  EXPECT_EQ(Gauge("pool_waiters"), 2);
  EXPECT_EQ(AnswerAll(0), 3u);
  EXPECT_EQ(AnswerAll(0), 2u);
  EXPECT_EQ(Replied(calls), 5u);
}

TEST_F(PoolSharingTest, ALostConnectionFailsTheWrittenAndSendsTheIdempotentElsewhere) {
  Open();
  Calls calls = Start(2);
  TestCall again;
  again.call.idempotent = true;
  Dispatch(again);
  Far(0).Close(true);
  Settle(&loop_);
  for (auto& c : calls) EXPECT_EQ(c->end(), End::kFailed);
  ASSERT_EQ(Opened(), 2u);
  EXPECT_EQ(AnswerAll(1), 1u);
  EXPECT_EQ(again.end(), End::kReplied);
}

TEST_F(PoolSharingTest, LateRepliesAreCountedAsStray) {
  Open();
  Calls calls = Start(2);
  calls[0]->call.Cancel();
  EXPECT_EQ(AnswerAll(0), 2u);
  EXPECT_EQ(calls[1]->end(), End::kReplied);
  EXPECT_EQ(Count("stray_oneway_answers"), 1u);
  EXPECT_EQ(Gauge("connections"), 1);
}

TEST_F(PoolSharingTest, ThePlacesOfThoseLetGoOfAreNotGivenAway) {
  options_.pool.max_size = 1;
  Open();
  Calls calls = Start(4);
  calls[0]->call.Cancel();
  EXPECT_EQ(calls[3]->end(), End::kOpen);
  EXPECT_EQ(Gauge("pool_waiters"), 1);
  EXPECT_EQ(AnswerAll(0), 3u);
  EXPECT_EQ(AnswerAll(0), 1u);
  EXPECT_EQ(calls[3]->end(), End::kReplied);
}

TEST_F(PoolSharingTest, TwoProtocolsAtOnceHaveAConnectionEach) {
  Open();
  TestCall binary;
  TestCall compact("m", 1, thrift::MessageType::kCall, thrift::Protocol::kCompact);
  Dispatch(binary);
  Dispatch(compact);
  ASSERT_EQ(Opened(), 2u);
  AnswerAll(0);
  EXPECT_EQ(binary.end(), End::kReplied);
}

TEST_F(PoolSharingTest, APlaceForOneConnectionServesTwoProtocolsInTurn) {
  options_.pool.max_size = 1;
  Open();
  TestCall binary, last;
  TestCall compact("m", 1, thrift::MessageType::kCall, thrift::Protocol::kCompact);
  Dispatch(binary);
  Dispatch(compact);
  Dispatch(last);
  EXPECT_EQ(AnswerAll(0), 1u) << "who waits first goes first";
  Settle(&loop_);
  std::string in = Far(1).TakeAll();  // a connection keeps the protocol of its first call
  auto asked = tests::TakeMessages(&in, thrift::Protocol::kCompact);
  ASSERT_EQ(asked.size(), 1u);
  Far(1).Send(tests::ReplyFrame("m", asked[0].seqid, tests::kVoidBody, thrift::Protocol::kCompact));
  Settle(&loop_);
  EXPECT_EQ(compact.end(), End::kReplied);
  Settle(&loop_);
  EXPECT_EQ(AnswerAll(2), 1u);
  EXPECT_EQ(last.end(), End::kReplied);
}

// --- large requests ---

// A call of which half the request is there; its client sends no more.
std::unique_ptr<TestCall> Large(call::BodySource* source) {
  auto call = std::make_unique<TestCall>();
  call->call.streamed = true;
  call->call.request_body = {100, source, nullptr};
  return call;
}
struct Source final : call::BodySource {
  void OnBodyRoom(call::Call* call) override {
    call->request_body.rest = 0;
    call->request_body.sink->OnBody(call, base::Buffer::Copy(std::string(100, 'x')));
  }
};

TEST_F(PoolSharingTest, ALargeRequestHasAConnectionOfItsOwn) {
  Open();
  Source source;
  Calls others = Start(1);
  auto large = Large(&source);
  Dispatch(*large);
  ASSERT_EQ(Opened(), 2u);
  Calls more = Start(2);
  EXPECT_EQ(Opened(), 2u);
  EXPECT_EQ(AnswerAll(0), 3u);
  Far(1).Send(tests::ReplyFrame("userService:addUser", 4));
  Settle(&loop_);
  EXPECT_EQ(large->end(), End::kReplied) << large->failure();
  EXPECT_EQ(Gauge("pool_cached"), 2);
}

TEST_F(PoolSharingTest, AtMaxSizeALargeRequestWaitsForAnIdleConnectionAndIsNotOvertaken) {
  options_.pool.max_size = 1;
  Open();
  Source source;
  Calls before = Start(1);
  auto large = Large(&source);
  Dispatch(*large);
  Calls after = Start(1);
  EXPECT_EQ(AnswerAll(0), 1u);
  EXPECT_EQ(Replied(after), 0u);
  Far(0).TakeAll();
  Far(0).Send(tests::ReplyFrame("userService:addUser", 8));
  Settle(&loop_);
  EXPECT_EQ(large->end(), End::kReplied) << large->failure();
  EXPECT_EQ(AnswerAll(0), 1u);
  EXPECT_EQ(Replied(after), 1u);
}

TEST_F(PoolSharingTest, ALargeRequestThatLeftIsNeverSentAgain) {
  Open();
  Source source;
  auto large = Large(&source);
  large->call.idempotent = true;
  Dispatch(*large);
  Far(0).Close(true);
  Settle(&loop_);
  EXPECT_EQ(large->end(), End::kFailed);
  EXPECT_EQ(Opened(), 1u);
}

TEST_F(PoolSharingTest, ALargeRequestOnAConnectionFoundClosedGoesToAnother) {
  Open();
  Ask();
  Source source;
  auto large = Large(&source);
  Far(0).Close(false);
  Dispatch(*large);
  ASSERT_EQ(Opened(), 2u);
  Far(1).Send(tests::ReplyFrame("userService:addUser", 4));
  Settle(&loop_);
  EXPECT_EQ(large->end(), End::kReplied) << large->failure();
}

// --- at rest ---

TEST_F(PoolSharingTest, AnIdleConnectionThatItsBackendClosedInThisTurnIsNotUsed) {
  for (bool reset : {false, true}) {
    client_.reset();
    Open();
    Ask();
    Advance(milliseconds(501));
    const uint64_t requeues = CountOf("retries", "requeues");
    TestCall call;
    Far(0).Close(reset);
    Dispatch(call);  // before the loop turns
    ASSERT_EQ(Opened(), 2u);
    EXPECT_EQ(AnswerAll(1), 1u);
    EXPECT_EQ(call.end(), End::kReplied);
    EXPECT_EQ(CountOf("retries", "requeues"), requeues) << "it went there first";
  }
}

TEST_F(PoolSharingTest, IdleConnectionsAreClosedAtTheEndOfTheirLifeTime) {
  for (bool idle_time : {false, true}) {
    client_.reset();
    options_.session_life_time = seconds(100);
    if (idle_time) options_.pool.idle_time = seconds(3600);
    Open();
    Calls calls = Start(1);
    Advance(seconds(60));
    AnswerAll(0);
    Advance(seconds(40));
    EXPECT_EQ(Gauge("connections"), 1);
    Advance(milliseconds(2));
    EXPECT_EQ(Gauge("connections"), 0);
    EXPECT_TRUE(Far(0).peer_ended());
  }
}

TEST_F(PoolSharingTest, AConnectionOverItsLifeTimeFinishesItsCallsAndTakesNoMore) {
  options_.session_life_time = seconds(100);
  Open();
  Calls calls = Start(2);
  Advance(seconds(101));
  std::string in = Far(0).TakeAll();
  auto asked = tests::TakeMessages(&in);
  Far(0).Send(tests::ReplyFrame(asked[0].name, asked[0].seqid));
  Settle(&loop_);
  TestCall next;
  Dispatch(next);
  ASSERT_EQ(Opened(), 2u);
  Far(0).Send(tests::ReplyFrame(asked[1].name, asked[1].seqid));
  Settle(&loop_);
  EXPECT_EQ(Replied(calls), 2u);
  EXPECT_TRUE(Far(0).peer_ended());
  EXPECT_EQ(AnswerAll(1), 1u);
}

}  // namespace
}  // namespace trestle::backend
