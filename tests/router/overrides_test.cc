// Overrides: who may send a dtab with a call, and what it may touch.
#include "router/overrides.h"

#include <gtest/gtest.h>

#include "tests/router/fixture.h"

namespace trestle::router::testing {
namespace {

class OverridesTest : public RouterTest {
 protected:
  OverridesTest() {
    namer_.Bind("users", {1});
    namer_.Bind("next", {2});
    namer_.Bind("other", {3});
  }
  conf::OverridesConfig& overrides() { return config_.overrides; }
  static naming::Prefix Pre(const char* text) { return *naming::Prefix::Parse(text); }
  // A call of users:a with a dtab of so many entries.
  std::string AskWithDtab(const std::vector<std::pair<std::string, std::string>>& dtab) {
    Client& client = NewUpgradedClient();
    thrift::RequestHeader header;
    for (const auto& [src, dst] : dtab) header.delegations.push_back({src, dst});
    client.CallWith(header, "users:a");
    return Answer(client);
  }
  uint64_t Dropped() { return Count("rt/thr/overrides/dropped_dtabs"); }
};

const char kOne[] = "10.0.0.1:1", kTwo[] = "10.0.0.1:2", kThree[] = "10.0.0.1:3";

TEST_F(OverridesTest, WithoutARuleEverybodyMaySendAnything) {
  Start();
  EXPECT_EQ(AskWith("/svc/users", "/#/fs/next", "users:a"), kTwo);
  EXPECT_EQ(Dropped(), 0u);
}

TEST_F(OverridesTest, OnlyThoseWhoAreAllowed) {
  overrides().allow = {"*.ci.example", "spiffe://test/*"};
  Start();
  EXPECT_EQ(AskWith("/svc/users", "/#/fs/next", "users:a"), kOne) << "nobody is known";
  identity_ = "a.ci.example.org";
  EXPECT_EQ(AskWith("/svc/users", "/#/fs/next", "users:a"), kOne);
  EXPECT_EQ(Dropped(), 2u);
  identity_ = "spiffe://test/runner";
  EXPECT_EQ(AskWith("/svc/users", "/#/fs/next", "users:a"), kTwo);
  EXPECT_EQ(Dropped(), 2u);
}

TEST_F(OverridesTest, NobodyMay) {
  overrides().allow.emplace();
  Start();
  identity_ = "a";
  EXPECT_EQ(AskWith("/svc/users", "/#/fs/next", "users:a"), kOne);
  EXPECT_EQ(AskWith("/svc/users", "what is | this", "users:a"), kOne)
      << "it is dropped as it is, right or wrong";
}

TEST_F(OverridesTest, OnlyWhatBeginsWithAPrefix) {
  overrides().prefixes = {Pre("/svc/users"), Pre("/srv/*/x")};
  Start();
  EXPECT_EQ(AskWith("/svc/users", "/#/fs/next", "users:a"), kTwo);
  EXPECT_EQ(AskWith("/svc/users/a", "/#/fs/next", "users:a"), kTwo);
  for (const char* src : {"/svc", "/", "/svc/*", "/*/users", "/#/fs/users", "/srv/a"}) {
    EXPECT_EQ(AskWith(src, "/#/fs/next", "users:a"), kOne) << src;
  }
  EXPECT_EQ(Dropped(), 6u);
}

TEST_F(OverridesTest, TheRestOfADtabHolds) {
  overrides().prefixes = {Pre("/svc/users")};
  Start();
  EXPECT_EQ(AskWithDtab({{"/svc/users", "/#/fs/next"}, {"/svc", "/#/fs/other"}}), kTwo);
  EXPECT_EQ(AskWithDtab({{"/svc", "/#/fs/other"}, {"/svc/users", "/#/fs/next"}}), kTwo);
  EXPECT_EQ(Dropped(), 2u);
  const std::string text = AskWithDtab({{"/svc/users", "what is | this"}});
  EXPECT_NE(text.find("local dtab"), std::string::npos) << text;
}

TEST_F(OverridesTest, BothRulesHoldTogetherAndAReloadChangesThem) {
  overrides().allow = {"a"};
  overrides().prefixes = {Pre("/svc/users")};
  Start();
  identity_ = "a";
  EXPECT_EQ(AskWith("/svc/users", "/#/fs/next", "users:a"), kTwo);
  EXPECT_EQ(AskWith("/svc", "/#/fs/other", "users:a"), kOne);
  overrides() = {};
  Reload();
  EXPECT_EQ(AskWith("/svc/users", "/#/fs/other", "users:a"), kThree);
  overrides().allow = {"b"};
  Reload();
  EXPECT_EQ(AskWith("/svc/users", "/#/fs/other", "users:a"), kOne);
}

}  // namespace
}  // namespace trestle::router::testing
