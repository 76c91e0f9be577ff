// What a router puts on a call before it hands it on, and what it takes off.
#include <gtest/gtest.h>

#include "tests/router/fixture.h"

namespace trestle::router::testing {
namespace {

class HandingOnTest : public RouterTest, private call::Observer {
 protected:
  HandingOnTest() {
    config_.dtab.value = D("/svc => /#/fs");
    namer_.Bind("users", {1});
  }
  ~HandingOnTest() override {
    if (!call_.ended()) call_.Cancel();
  }
  // A call as a session of an upgraded connection makes it.
  void Give(const std::string& method) {
    call_.method = method;
    const std::string message = Message(thrift::MessageType::kCall, method, 1, kVoid);
    ASSERT_EQ(thrift::DecodeEnvelope(kBinary, message, &call_.envelope).outcome,
              thrift::Outcome::kOk);
    call_.request = base::Buffer::Copy(Frame(message));
    call_.header.emplace();
    call_.header_bytes = base::Buffer::Copy(Frame("h"));
    call_.sink = this;
    call_.start = worker_.Now();
    router_->Handle(&call_);
  }
  call::Call call_;
  int bound_ = 0;

 private:
  void OnEnded(call::Call*) override {}
  void OnBound(call::Call* call) override {
    EXPECT_EQ(call, &call_);
    EXPECT_EQ(call->client, nullptr) << "told before it goes on";
    ++bound_;
  }
};

TEST_F(HandingOnTest, TheResidualIsItsDest) {
  Start();
  Give("users:add");
  Settle();
  EXPECT_EQ(call_.dest, "/add");
  EXPECT_EQ(*call_.concrete, "/#/fs/users");
}

TEST_F(HandingOnTest, WithoutAResidualItsDestIsEmpty) {
  config_.thrift_method_in_dst = false;
  Start();
  Give("users:add");
  Settle();
  EXPECT_EQ(call_.dest, "");
  ASSERT_TRUE(call_.concrete);
}

TEST_F(HandingOnTest, ItsSessionHearsThatItIsBoundOnlyWhenItHadToWait) {
  Start();
  Give("users:add");
  EXPECT_EQ(bound_, 0);
  Settle();
  EXPECT_EQ(bound_, 1);
  EXPECT_EQ(Ask("users:add"), "10.0.0.1:1");
  call_.Cancel();
  call_.Reset();
  Give("users:add");
  Settle();
  EXPECT_EQ(bound_, 1) << "the name was known";
}

TEST_F(HandingOnTest, TheHeadersBytesGoWithItOnlyWhereABackendMayWantThem) {
  config_.client.entries.emplace_back();
  config_.client.entries.back().prefix = *conf::NamePattern::Parse("/#/fs/users");
  config_.client.entries.back().attempt_ttwitter_upgrade = true;
  namer_.Bind("plain", {2});
  Start();
  Give("plain:get");
  EXPECT_FALSE(call_.header) << "the name has it now";
  EXPECT_FALSE(call_.header_bytes.empty()) << "it is not known yet where it goes";
  Settle();
  EXPECT_TRUE(call_.header_bytes.empty());
  call_.Cancel();
  call_.Reset();
  Give("users:get");
  Settle();
  EXPECT_FALSE(call_.header);
  EXPECT_EQ(call_.header_bytes.size(), 5u);
}

TEST_F(HandingOnTest, WhereNoBackendWantsThemTheyGoAtOnceAlsoAfterAReload) {
  client_config().attempt_ttwitter_upgrade = true;
  Start();
  client_config().attempt_ttwitter_upgrade = false;
  Reload();
  Give("users:get");
  EXPECT_TRUE(call_.header_bytes.empty());
}

TEST_F(HandingOnTest, LeavesOfOneDestinationAreOneClient) {
  config_.dtab.value = D("/svc => 0.5*/#/fs/users/x & 0.5*/#/fs/users/y");
  Start();
  Give("get");
  Settle();
  EXPECT_TRUE(call_.dest == "/x/get" || call_.dest == "/y/get") << call_.dest;
  EXPECT_EQ(router_->clients(), 1u);
}

}  // namespace
}  // namespace trestle::router::testing
