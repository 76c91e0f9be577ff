// Names: one live binding for each name in use, told to whoever acquired it.
#include "router/names.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/router/fakes.h"

namespace trestle::router::testing {
namespace {

using Says = FakeNamer::Says;

// A worker that writes down what it was told, by token.
class Listener final : public NameListener {
 public:
  void OnBound(uint64_t token, std::shared_ptr<const Bound> news) override {
    ++told;
    bound[token] = std::move(news);
  }
  void OnAddr(const std::string& id, std::shared_ptr<const naming::Addr> addr) override {
    addrs.push_back({id, std::move(addr)});
  }
  struct News {
    std::string id;
    std::shared_ptr<const naming::Addr> addr;
  };
  std::map<uint64_t, std::shared_ptr<const Bound>> bound;
  std::vector<News> addrs;
  int told = 0;
};

class NamesTest : public ::testing::Test {
 protected:
  void SetUp() override { Make("/svc => /#/fs"); }
  void Make(std::string_view dtab) {
    set_.entries = {{P("/#/fs"), &namer_}};
    MakeWith({{0, D(dtab)}});
  }
  void MakeWith(Names::BaseDtabs dtabs) {
    names_ = std::make_unique<Names>(&loop_, Set(), std::move(dtabs),
                                     metrics_.NewTable()->root()->Child("names"));
  }
  std::shared_ptr<const naming::NamerSet> Set() const {
    return std::make_shared<naming::NamerSet>(set_);
  }
  static NameKey Key(std::string_view path, std::string_view local = "") {
    return {0, std::string(path), std::string(local)};
  }
  using Ear = std::shared_ptr<Listener>;
  void Acquire(std::string_view path, uint64_t token, const Ear& listener,
               std::string_view local = "") {
    names_->Acquire(Key(path, local), P(path), D(local), listener, token);
    Turn();
  }
  void Release(std::string_view path, uint64_t token, const Ear& listener,
               std::string_view local = "") {
    names_->Release(Key(path, local), listener, token);
    Turn();
  }
  void Turn() { tests::Settle(&loop_); }
  // "1:/#/fs/a 2:fails", in shares of a hundred.
  static std::string Shares(const Bound& bound) {
    std::string out;
    for (const Bound::Share& s : bound.shares) {
      out += (out.empty() ? "" : " ") + std::to_string(static_cast<int>(s.upto * 100 + 0.5)) + ":" +
             (s.leaf < 0 ? "fails" : bound.leaves[static_cast<size_t>(s.leaf)].shown);
    }
    return out;
  }

  base::FakeClock clock_;
  net::EventLoop loop_{&clock_};
  base::Metrics metrics_;
  FakeNamer namer_;
  naming::NamerSet set_;
  std::unique_ptr<Names> names_;
  Ear ear_ = std::make_shared<Listener>();
};

TEST_F(NamesTest, TellsWhatANameLeadsTo) {
  namer_.Bind("users", {1, 2});
  Acquire("/svc/users/get", 5, ear_);
  ASSERT_TRUE(ear_->bound[5]);
  const Bound& bound = *ear_->bound[5];
  ASSERT_EQ(bound.leaves.size(), 1u);
  EXPECT_EQ(bound.leaves[0].shown, "/#/fs/users");
  EXPECT_EQ(bound.leaves[0].id, P("/#/fs/users"));
  EXPECT_EQ(*bound.leaves[0].addr, Ports({1, 2}));
  EXPECT_EQ(Shares(bound), "100:/#/fs/users");
  EXPECT_FALSE(bound.negative());
}

TEST_F(NamesTest, NeverAnswersInsideAcquire) {
  namer_.Bind("users", {1});
  names_->Acquire(Key("/svc/users"), P("/svc/users"), {}, ear_, 1);
  EXPECT_EQ(ear_->told, 0);
  EXPECT_EQ(names_->size(), 0u);
  Turn();
  EXPECT_EQ(ear_->told, 1);
}

TEST_F(NamesTest, IsSilentWhileANamerIsPending) {
  Make("/svc => /#/fs | /#/fs/other");
  namer_.Bind("other", {9});
  namer_.Say("users", Says::kPending);
  Acquire("/svc/users", 1, ear_);
  EXPECT_EQ(ear_->told, 0) << "what is unknown is not Neg, and fallback does not answer for it";
  namer_.Bind("users", {1});
  Turn();
  EXPECT_EQ(Shares(*ear_->bound[1]), "100:/#/fs/users");
}

TEST_F(NamesTest, FallbackTakesOverOnlyFromNeg) {
  Make("/svc/x => /#/fs/users | /#/fs/other");
  namer_.Bind("other", {9});
  namer_.Bind("users", {1});
  Acquire("/svc/x", 1, ear_);
  EXPECT_EQ(Shares(*ear_->bound[1]), "100:/#/fs/users");
  for (Says says : {Says::kPending, Says::kFailed, Says::kPending}) {
    namer_.Say("users", says);
    Turn();
    EXPECT_EQ(Shares(*ear_->bound[1]), "100:/#/fs/users") << "the last good tree stays";
  }
  namer_.Say("users", Says::kNeg);
  Turn();
  EXPECT_EQ(Shares(*ear_->bound[1]), "100:/#/fs/other");
  namer_.Say("users", Says::kBound);
  Turn();
  EXPECT_EQ(Shares(*ear_->bound[1]), "100:/#/fs/users") << "recovery";
}

TEST_F(NamesTest, NegTakesANameAwayAndTellsWhatWasTried) {
  namer_.Bind("users", {1});
  Acquire("/svc/users", 1, ear_);
  namer_.Say("users", Says::kNeg);
  Turn();
  EXPECT_TRUE(ear_->bound[1]->negative());
  EXPECT_EQ(ear_->bound[1]->code, base::Code::kNoRoute);
  EXPECT_EQ(ear_->bound[1]->why,
            "no entry of the dtab leads anywhere (tried /svc/users → /#/fs/users)");
}

TEST_F(NamesTest, AFailureBeforeAnythingGoodIsTold) {
  namer_.Say("users", Says::kFailed);
  Acquire("/svc/users", 1, ear_);
  ASSERT_TRUE(ear_->bound[1]);
  EXPECT_TRUE(ear_->bound[1]->negative());
  EXPECT_EQ(ear_->bound[1]->code, base::Code::kUnavailable);
  EXPECT_EQ(ear_->bound[1]->why, "the source of users is broken");
  namer_.Bind("users", {1});
  Turn();
  EXPECT_FALSE(ear_->bound[1]->negative());
}

TEST_F(NamesTest, TheDtabsOwnEndsHaveTextsOfTheirOwn) {
  Make("/svc/fail => ! ; /svc/empty => $ ; /svc/neg => ~");
  Acquire("/svc/fail", 1, ear_);
  Acquire("/svc/empty", 2, ear_);
  Acquire("/svc/neg", 3, ear_);
  EXPECT_EQ(ear_->bound[1]->why, "the dtab says ! (fail) (tried /svc/fail)");
  EXPECT_EQ(ear_->bound[2]->why, "the dtab says $ (empty) (tried /svc/empty)");
  EXPECT_EQ(ear_->bound[3]->why, "no entry of the dtab leads anywhere (tried /svc/neg)");
  for (uint64_t token : {1, 2, 3}) EXPECT_TRUE(ear_->bound[token]->negative());
}

TEST_F(NamesTest, ManyChangesOfOneTurnAreOneRebind) {
  Make("/svc => 0.5*/#/fs/a & 0.5*/#/fs/b");
  namer_.Bind("a", {1});
  namer_.Bind("b", {2});
  Acquire("/svc", 1, ear_);
  const int before = ear_->told;
  for (int i = 0; i < 10; i++) {
    namer_.Say("a", i % 2 == 0 ? Says::kNeg : Says::kBound);
    namer_.Say("b", i % 2 == 0 ? Says::kNeg : Says::kBound);
  }
  namer_.Say("a", Says::kNeg);
  Turn();
  EXPECT_EQ(ear_->told, before + 1);
  EXPECT_EQ(Shares(*ear_->bound[1]), "100:/#/fs/b");
  namer_.Say("a", Says::kBound);
  Turn();
  EXPECT_EQ(ear_->told, before + 2) << "a later change is heard too";
}

TEST_F(NamesTest, SharesFollowTheWeights) {
  struct Case {
    const char* dtab;
    const char* shares;
  };
  namer_.Bind("a", {1});
  namer_.Bind("b", {2});
  const Case kCases[] = {
      {"/svc => 0.75*/#/fs/a & 0.25*/#/fs/b", "75:/#/fs/a 100:/#/fs/b"},
      {"/svc => 3*/#/fs/a & 1*/#/fs/b", "75:/#/fs/a 100:/#/fs/b"},
      {"/svc => 0.75*/#/fs/a & 0.25*$", "75:/#/fs/a 100:fails"},
      {"/svc => 0.75*/#/fs/a & 0.25*~", "100:/#/fs/a"},
      {"/svc => 0.5*/#/fs/a & 0.5*(0.5*/#/fs/b & 0.5*/#/fs/a)",
       "50:/#/fs/a 75:/#/fs/b 100:/#/fs/a"},
  };
  uint64_t token = 0;
  for (const Case& c : kCases) {
    Make(c.dtab);
    Acquire("/svc", ++token, ear_);
    ASSERT_TRUE(ear_->bound[token]) << c.dtab;
    EXPECT_EQ(Shares(*ear_->bound[token]), c.shares) << c.dtab;
    EXPECT_EQ(ear_->bound[token]->shares.back().upto, 1) << c.dtab;
  }
  EXPECT_EQ(ear_->bound[token]->leaves.size(), 2u) << "two leaves of one id are one destination";
}

TEST_F(NamesTest, AddressesComeAsTheyChange) {
  namer_.Bind("users", naming::Addr::Pending());
  Acquire("/svc/users", 1, ear_);
  EXPECT_EQ(*ear_->bound[1]->leaves[0].addr, naming::Addr::Pending())
      << "the address takes no part in binding";
  const int told = ear_->told;
  namer_.SetAddr("users", Ports({1}));
  namer_.SetAddr("users", Ports({1, 2}));
  ASSERT_EQ(ear_->addrs.size(), 2u);
  EXPECT_EQ(ear_->addrs[1].id, "/#/fs/users");
  EXPECT_EQ(*ear_->addrs[1].addr, Ports({1, 2}));
  EXPECT_EQ(ear_->told, told) << "nothing was bound again for it";
}

// A second worker that asks for a name long after the first must not get the first one's old news.
TEST_F(NamesTest, WhoComesLaterHearsOfTheAddressAsItIs) {
  namer_.Bind("users", naming::Addr::Pending());
  Acquire("/svc/users", 1, ear_);
  auto first = ear_->bound[1];
  namer_.SetAddr("users", Ports({1}));
  namer_.SetAddr("users", Ports({2}));
  Ear second = std::make_shared<Listener>();
  Acquire("/svc/users", 7, second);
  ASSERT_TRUE(second->bound[7]);
  EXPECT_EQ(*second->bound[7]->leaves[0].addr, Ports({2}));
  EXPECT_EQ(*first->leaves[0].addr, naming::Addr::Pending()) << "a snapshot never changes";
  EXPECT_EQ(names_->size(), 1u) << "one binding for both";
}

TEST_F(NamesTest, ASourceThatFailsLeavesTheLastGoodAddress) {
  Make("/svc => /#/fs/users | /#/fs/other");
  namer_.Bind("users", {1});
  Acquire("/svc", 1, ear_);
  for (const naming::Addr& bad : {naming::Addr::Failed("broken"), naming::Addr::Pending()}) {
    namer_.SetAddr("users", bad);
    EXPECT_TRUE(ear_->addrs.empty());
    Ear later = std::make_shared<Listener>();
    Acquire("/svc", 2, later);
    EXPECT_EQ(*later->bound[2]->leaves[0].addr, Ports({1})) << "also who comes meanwhile";
    namer_.Say("users", Says::kBound);
    Turn();
    EXPECT_EQ(*ear_->bound[1]->leaves[0].addr, Ports({1})) << "also when it is bound again";
    Release("/svc", 2, later);
  }
  namer_.SetAddr("users", naming::Addr::Neg());
  ASSERT_EQ(ear_->addrs.size(), 1u);
  EXPECT_EQ(*ear_->addrs[0].addr, naming::Addr::Neg());
}

TEST_F(NamesTest, EveryListenerHearsUntilItReleases) {
  namer_.Bind("users", {1});
  Ear other = std::make_shared<Listener>();
  Acquire("/svc/users", 1, ear_);
  Acquire("/svc/users", 1, other);
  EXPECT_EQ(namer_.asked, 1) << "bound once for both";
  Release("/svc/users", 1, ear_);
  const int told = ear_->told;
  namer_.SetAddr("users", Ports({2}));
  namer_.Say("users", Says::kNeg);
  Turn();
  EXPECT_EQ(ear_->told, told);
  EXPECT_TRUE(ear_->addrs.empty());
  EXPECT_EQ(other->addrs.size(), 1u);
  EXPECT_TRUE(other->bound[1]->negative());
}

TEST_F(NamesTest, TheLastReleaseLetsGoOfAll) {
  namer_.Bind("users", {1});
  Acquire("/svc/users", 1, ear_);
  Acquire("/svc/users", 2, ear_);
  EXPECT_TRUE(namer_.held("users"));
  Release("/svc/users", 1, ear_);
  EXPECT_EQ(names_->size(), 1u);
  Release("/svc/users", 2, ear_);
  EXPECT_EQ(names_->size(), 0u);
  EXPECT_FALSE(namer_.held("users")) << "what the answer hung on is let go of";
  Release("/svc/users", 2, ear_);  // of a name that nobody has: nothing
  EXPECT_EQ(names_->size(), 0u);
}

TEST_F(NamesTest, AReleaseBetweenAChangeAndItsRebindIsSafe) {
  namer_.Bind("users", {1});
  Acquire("/svc/users", 1, ear_);
  const int told = ear_->told;
  names_->Release(Key("/svc/users"), ear_, 1);
  namer_.Say("users", Says::kNeg);
  Turn();
  EXPECT_EQ(ear_->told, told);
  EXPECT_EQ(names_->size(), 0u);
}

TEST_F(NamesTest, ALocalDtabIsAnotherName) {
  namer_.Bind("users", {1});
  namer_.Bind("next", {2});
  Acquire("/svc/users", 1, ear_);
  Acquire("/svc/users", 2, ear_, "/svc/users => /#/fs/next");
  EXPECT_EQ(Shares(*ear_->bound[1]), "100:/#/fs/users");
  EXPECT_EQ(Shares(*ear_->bound[2]), "100:/#/fs/next");
  EXPECT_EQ(names_->size(), 2u);
  namer_.Say("next", Says::kNeg);
  Turn();
  EXPECT_EQ(Shares(*ear_->bound[2]), "100:/#/fs/users") << "the base dtab answers behind it";
}

TEST_F(NamesTest, EachRouterHasItsOwnBaseDtab) {
  MakeWith({{0, D("/svc => /#/fs/a")}, {1, D("/svc => /#/fs/b")}});
  namer_.Bind("a", {1});
  namer_.Bind("b", {2});
  names_->Acquire({0, "/svc", ""}, P("/svc"), {}, ear_, 1);
  names_->Acquire({1, "/svc", ""}, P("/svc"), {}, ear_, 2);
  Turn();
  EXPECT_EQ(Shares(*ear_->bound[1]), "100:/#/fs/a");
  EXPECT_EQ(Shares(*ear_->bound[2]), "100:/#/fs/b");
}

TEST_F(NamesTest, ALoopOfTheDtabIsAFailureNotAHang) {
  Make("/svc => /svc & /svc");
  Acquire("/svc/x", 1, ear_);
  ASSERT_TRUE(ear_->bound[1]);
  EXPECT_TRUE(ear_->bound[1]->negative());
  EXPECT_NE(ear_->bound[1]->why.find("lookups"), std::string::npos) << ear_->bound[1]->why;
}

// A hundred names that lead to one place are one post to each worker, not a hundred.
TEST_F(NamesTest, AnAddressIsToldOnceHoweverManyNamesLeadToIt) {
  namer_.Bind("users", {1});
  Ear other = std::make_shared<Listener>();
  for (uint64_t i = 0; i < 100; i++) {
    Acquire("/svc/users/m" + std::to_string(i), i, ear_);
    Acquire("/svc/users/m" + std::to_string(i), i, other);
  }
  namer_.SetAddr("users", Ports({2}));
  ASSERT_EQ(ear_->addrs.size(), 1u);
  ASSERT_EQ(other->addrs.size(), 1u);
  EXPECT_EQ(ear_->addrs[0].addr, other->addrs[0].addr) << "one snapshot for all";
  Listener& late = *other;
  Acquire("/svc/users/m7", 1000, other);
  EXPECT_EQ(*late.bound[1000]->leaves[0].addr, Ports({2}));
}

TEST_F(NamesTest, LeavesOfOneIdAndOtherResidualsAreKeptApart) {
  Make("/svc => 0.5*/#/fs/users/x & 0.25*/#/fs/users/y & 0.25*/#/fs/users/x");
  namer_.Bind("users", {1});
  Acquire("/svc/get", 1, ear_);
  const Bound& bound = *ear_->bound[1];
  ASSERT_EQ(bound.leaves.size(), 2u);
  EXPECT_EQ(bound.leaves[0].shown, "/#/fs/users");
  EXPECT_EQ(bound.leaves[0].residual, "/x/get");
  EXPECT_EQ(bound.leaves[1].shown, "/#/fs/users");
  EXPECT_EQ(bound.leaves[1].residual, "/y/get");
  EXPECT_EQ(bound.shares[2].leaf, 0);
  namer_.SetAddr("users", Ports({2}));
  EXPECT_EQ(ear_->addrs.size(), 1u);
  Acquire("/svc/get", 2, ear_);
  for (const Bound::Leaf& leaf : ear_->bound[2]->leaves) EXPECT_EQ(*leaf.addr, Ports({2}));
}

TEST_F(NamesTest, OnlyRoutersWithAnotherDtabAreBoundAgain) {
  MakeWith({{1, D("/svc => /#/fs/a")}, {2, D("/svc => /#/fs/b")}});
  for (const char* label : {"a", "b", "c"}) namer_.Bind(label, {1});
  names_->Acquire({1, "/svc", ""}, P("/svc"), {}, ear_, 1);
  names_->Acquire({2, "/svc", ""}, P("/svc"), {}, ear_, 2);
  Turn();
  const int told = ear_->told;
  names_->Reconfigure(Set(), {{1, D("/svc => /#/fs/a")}, {2, D("/svc => /#/fs/c")}});
  EXPECT_EQ(ear_->told, told) << "nothing at once";
  Turn();
  EXPECT_EQ(ear_->told, told + 1);
  EXPECT_EQ(Shares(*ear_->bound[2]), "100:/#/fs/c");
  EXPECT_FALSE(namer_.held("b"));
}

TEST_F(NamesTest, ARouterThatLeftKeepsItsDtabUntilItIsForgotten) {
  namer_.Bind("users", {1});
  names_->Reconfigure(Set(), {{9, D("/svc => /#/fs/other")}});
  Acquire("/svc/users", 1, ear_);
  EXPECT_EQ(Shares(*ear_->bound[1]), "100:/#/fs/users") << "asked for by a call that was under way";
  Release("/svc/users", 1, ear_);
  names_->Forget(0);
  Acquire("/svc/users", 2, ear_);
  EXPECT_TRUE(ear_->bound[2]->negative());
}

// The namers of before live exactly as long as something that is bound hangs on them.
TEST_F(NamesTest, OldNamersLiveUntilTheNewOnesHaveAnswered) {
  namer_.Bind("users", {1});
  namer_.Bind("idle", {1});
  auto first = std::make_shared<naming::NamerSet>(set_);
  std::weak_ptr<const naming::NamerSet> old = first;
  names_->Reconfigure(std::move(first), {});
  // The set that Make made has the same namers, so it stays.
  EXPECT_TRUE(old.expired());
  FakeNamer next, last;
  next.Bind("users", {2});
  auto use = [this](FakeNamer* namer) {
    set_.entries[0].namer = namer;
    auto set = std::make_shared<naming::NamerSet>(set_);
    std::weak_ptr<const naming::NamerSet> weak = set;
    names_->Reconfigure(std::move(set), {});
    Turn();
    return weak;
  };
  Acquire("/svc/users", 1, ear_);
  auto second = use(&next);
  EXPECT_EQ(*ear_->bound[1]->leaves[0].addr, Ports({2}));
  EXPECT_FALSE(namer_.held("users"));
  last.Bind("users", {3});
  last.Say("users", Says::kPending);
  auto third = use(&last);
  EXPECT_FALSE(second.expired()) << "its leaf is still in use";
  next.SetAddr("users", Ports({4}));
  ASSERT_EQ(ear_->addrs.size(), 1u) << "and heard";
  last.Say("users", Says::kBound);
  Turn();
  EXPECT_EQ(*ear_->bound[1]->leaves[0].addr, Ports({3}));
  EXPECT_TRUE(second.expired());
  EXPECT_FALSE(third.expired());
}

}  // namespace
}  // namespace trestle::router::testing
