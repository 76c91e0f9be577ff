// A large request that waits for one of several connections, and the calls that come after it.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/backend/pool_fixture.h"

namespace trestle::backend {
namespace {

using call::End;
using std::chrono::seconds;
using tests::Settle;

// Hands the rest of a request on as it is asked for.
struct Source final : call::BodySource {
  void OnBodyRoom(call::Call* call) override {
    call->request_body.rest = 0;
    call->request_body.sink->OnBody(call, base::Buffer::Copy(std::string(100, 'x')));
  }
};

class LargeWaitsTest : public PoolTest {
 protected:
  LargeWaitsTest() {
    options_.pool.max_size = 2;
    options_.pool.max_in_flight = 3;
  }
  using Calls = std::vector<std::unique_ptr<TestCall>>;
  Calls Start(size_t n) {
    Calls out;
    for (size_t i = 0; i < n; i++) {
      out.push_back(std::make_unique<TestCall>());
      Dispatch(*out.back());
    }
    return out;
  }
  std::unique_ptr<TestCall> Large(thrift::Protocol protocol = thrift::Protocol::kBinary) {
    auto call = std::make_unique<TestCall>("m", 1, thrift::MessageType::kCall, protocol);
    call->call.streamed = true;
    call->call.request_body = {100, &source_, nullptr};
    Dispatch(*call);
    return call;
  }
  // Connection 0 is full, 1 has a call and two places; a large request waits for one of them.
  void Begin(thrift::Protocol protocol = thrift::Protocol::kBinary) {
    Open();
    before_ = Start(4);
    ASSERT_EQ(Opened(), 2u);
    large_ = Large(protocol);
    ASSERT_EQ(Gauge("pool_waiters"), 1);
  }
  // Answers the oldest call that connection `i` has.
  void AnswerOne(size_t i) {
    auto& asked = asked_[i];
    std::string in = Far(i).TakeAll();
    for (auto& m : tests::TakeMessages(&in)) asked.push_back(m);
    ASSERT_FALSE(asked.empty());
    Far(i).Send(tests::ReplyFrame(asked[0].name, asked[0].seqid));
    asked.erase(asked.begin());
    Settle(&loop_);
  }

  Source source_;
  Calls before_;
  std::unique_ptr<TestCall> large_;
  std::vector<tests::Received> asked_[4];
};

TEST_F(LargeWaitsTest, OthersUseThePlacesOfOtherConnections) {
  Begin();
  Calls after = Start(1);
  EXPECT_EQ(Gauge("pool_waiters"), 1) << "there is a place";
  AnswerOne(1);
  AnswerOne(1);
  EXPECT_EQ(after[0]->end(), End::kReplied);
  EXPECT_NE(Far(1).TakeAll(), "") << "it became idle: the large one has it";
  EXPECT_EQ(Gauge("pool_waiters"), 0);
}

TEST_F(LargeWaitsTest, TheConnectionThatIsKeptForItTakesNoMoreCalls) {
  Begin();
  Calls more = Start(2);  // all places of 1
  Calls later = Start(2);
  EXPECT_EQ(Gauge("pool_waiters"), 3);
  AnswerOne(0);
  AnswerOne(0);
  EXPECT_EQ(Gauge("pool_waiters"), 3) << "0 is kept";
  AnswerOne(1);
  EXPECT_EQ(Gauge("pool_waiters"), 2) << "who waits behind the large one gets a place of 1";
  AnswerOne(0);
  EXPECT_NE(Far(0).TakeAll(), "") << "the large one";
  EXPECT_EQ(Gauge("pool_waiters"), 1);
  AnswerOne(1);
  EXPECT_EQ(Gauge("pool_waiters"), 0);
}

TEST_F(LargeWaitsTest, ItDoesNotWaitForEver) {
  Begin();
  Advance(seconds(10));
  Calls after = Start(1);
  EXPECT_EQ(Gauge("pool_waiters"), 2) << "nobody goes before it any more";
  AnswerOne(1);
  EXPECT_NE(Far(1).TakeAll(), "");
  EXPECT_EQ(Gauge("pool_waiters"), 1);
}

TEST_F(LargeWaitsTest, WhenItGivesUpTheKeptConnectionTakesCallsAgain) {
  Begin();
  large_->call.Cancel();
  AnswerOne(0);
  Calls more = Start(3);
  EXPECT_EQ(Gauge("pool_waiters"), 0) << "two places of 1, and one of 0";
}

TEST_F(LargeWaitsTest, WhenTheKeptConnectionBreaksItGetsANewOne) {
  Begin();
  Far(0).Close(true);
  Settle(&loop_);
  ASSERT_EQ(Opened(), 3u);
  EXPECT_NE(Far(2).TakeAll(), "");
  EXPECT_EQ(Gauge("pool_waiters"), 0);
}

TEST_F(LargeWaitsTest, OfTheOtherProtocolItGetsAConnectionForTheFirstThatIsIdle) {
  Begin(thrift::Protocol::kCompact);
  Calls after = Start(1);
  AnswerOne(1);
  Calls waits = Start(2);
  EXPECT_EQ(Gauge("pool_waiters"), 1) << "as long as there is none";
  for (int i = 0; i < 3; i++) AnswerOne(1);
  ASSERT_EQ(Opened(), 3u);
  EXPECT_NE(Far(2).TakeAll(), "");
  EXPECT_EQ(Gauge("pool_waiters"), 0);
}

TEST_F(LargeWaitsTest, OfTheLargeNoneGoesBeforeAnother) {
  Begin();
  auto second = Large();
  AnswerOne(1);
  EXPECT_EQ(large_->call.request_body.rest, 0u) << "the first has the connection";
  EXPECT_GT(second->call.request_body.rest, 0u);
  EXPECT_EQ(Gauge("pool_waiters"), 1);
}

}  // namespace
}  // namespace trestle::backend
