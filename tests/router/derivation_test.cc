// Derivation: the same lookup and namers as the calls', for people.
#include "router/derivation.h"

#include <gtest/gtest.h>

#include <optional>

#include "naming/delegate_json.h"
#include "tests/router/fakes.h"

namespace trestle::router::testing {
namespace {

using std::chrono::milliseconds;
using Says = FakeNamer::Says;

class DerivationTest : public ::testing::Test {
 protected:
  DerivationTest() { set_.entries.push_back({P("/#/fs"), &namer_}); }
  void Ask(std::string_view dtab, std::string_view path, base::Duration patience) {
    derivations_->Derive(Set(), D(dtab), P(path), patience, [this](auto tree) {
      EXPECT_FALSE(tree_) << "answered twice";
      tree_ = std::move(tree);
    });
    tests::Settle(&loop_);
  }
  std::shared_ptr<const naming::NamerSet> Set() const {
    return std::make_shared<naming::NamerSet>(set_);
  }
  void Pass(base::Duration time) {
    clock_.Advance(time);
    tests::Settle(&loop_);
  }
  std::string Expected(std::string_view dtab, std::string_view path) {
    auto tree = naming::Delegate(D(dtab), P(path), set_);
    EXPECT_TRUE(tree.ok());
    return tree.ok() ? naming::DelegateJson(*tree) : "";
  }

  base::FakeClock clock_;
  net::EventLoop loop_{&clock_};
  FakeNamer namer_;
  naming::NamerSet set_;
  std::optional<base::Result<naming::DelegateTree>> tree_;
  std::unique_ptr<Derivations> derivations_ = std::make_unique<Derivations>(&loop_);
};

constexpr const char* kDtab = "/svc => /#/fs | /#/fs/other ; /svc/x => !";

TEST_F(DerivationTest, AnswersAtOnceWhenAllIsKnown) {
  namer_.Bind("users", {1});
  for (const char* path : {"/svc/users", "/svc/nobody", "/svc/x", "/elsewhere"}) {
    tree_.reset();
    Ask(kDtab, path, milliseconds(100));
    ASSERT_TRUE(tree_ && tree_->ok()) << path;
    EXPECT_EQ(naming::DelegateJson(**tree_), Expected(kDtab, path));
  }
  EXPECT_NE(Expected(kDtab, "/svc/users").find("10.0.0.1"), std::string::npos);
}

TEST_F(DerivationTest, WaitsForANamer) {
  namer_.Say("users", Says::kPending);
  Ask(kDtab, "/svc/users", milliseconds(100));
  EXPECT_FALSE(tree_);
  namer_.Bind("users", naming::Addr::Pending());
  Pass(milliseconds(1));
  EXPECT_FALSE(tree_) << "then for its address";
  namer_.SetAddr("users", Ports({3}));
  Pass(milliseconds(1));
  ASSERT_TRUE(tree_ && tree_->ok());
  EXPECT_EQ(naming::DelegateJson(**tree_), Expected(kDtab, "/svc/users"));
  Pass(milliseconds(1000));
  EXPECT_FALSE(namer_.held("users")) << "who answered holds on to nothing";
}

TEST_F(DerivationTest, ItsPatienceHasAnEnd) {
  namer_.Say("users", Says::kPending);
  Ask(kDtab, "/svc/users", milliseconds(100));
  Pass(milliseconds(99));
  EXPECT_FALSE(tree_);
  Pass(milliseconds(1));
  ASSERT_TRUE(tree_);
  EXPECT_EQ(tree_->status().code(), base::Code::kTimeout);
  EXPECT_FALSE(namer_.held("users"));
  namer_.Bind("users", {1});  // too late; nobody listens
  Pass(milliseconds(1));
}

TEST_F(DerivationTest, ASilentAddressIsShownAsItIs) {
  namer_.Bind("users", naming::Addr::Pending());
  Ask(kDtab, "/svc/users", milliseconds(100));
  EXPECT_FALSE(tree_);
  Pass(milliseconds(100));
  ASSERT_TRUE(tree_ && tree_->ok());
  EXPECT_EQ(naming::DelegateJson(**tree_), Expected(kDtab, "/svc/users"));
}

TEST_F(DerivationTest, AnswersThePage) {
  std::optional<net::HttpReply> reply;
  auto ask = [&](std::string_view path) {
    reply.reset();
    derivations_->Answer(Set(), D(kDtab), P(path),
                         [&reply](net::HttpReply r) { reply = std::move(r); });
    tests::Settle(&loop_);
  };
  namer_.Bind("users", {1});
  ask("/svc/users");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->body, Expected(kDtab, "/svc/users"));
  namer_.Say("users", Says::kPending);
  ask("/svc/users");
  EXPECT_FALSE(reply);
  Pass(std::chrono::seconds(2));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 503);
}

TEST_F(DerivationTest, WhatIsNotAnsweredGoesWithIt) {
  namer_.Say("users", Says::kPending);
  auto namers = Set();
  std::weak_ptr<const naming::NamerSet> held = namers;
  derivations_->Derive(std::move(namers), D(kDtab), P("/svc/users"), milliseconds(100),
                       [](auto) { FAIL() << "nobody asks any more"; });
  EXPECT_EQ(derivations_->waiting(), 1u);
  EXPECT_FALSE(held.expired());
  derivations_.reset();
  EXPECT_TRUE(held.expired());
  EXPECT_FALSE(namer_.held("users"));
  namer_.Bind("users", {1});
  Pass(milliseconds(1000));
}

}  // namespace
}  // namespace trestle::router::testing
