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

}  // namespace
}  // namespace trestle::backend
