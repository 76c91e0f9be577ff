#include "naming/bind.h"

#include <gtest/gtest.h>

#include "naming/shares.h"
#include "tests/naming/fakes.h"

namespace trestle::naming {
namespace {

using testing::At;
using testing::D;
using testing::P;

class BindTest : public ::testing::Test {
 protected:
  BindTest() {
    files_.Add("/users", users_);
    files_.Add("/cart", At({{"10.0.0.3", 80, 1.0, false}}));
    set_.entries.push_back({P("/#/io.l5d.fs"), &files_});
  }
  std::string Show(const char* dtab, const char* path) {
    const BindResult result = Bind(D(dtab), P(path), set_);
    if (result.ok()) return ShowTree(result.tree);
    return result.state == BindResult::State::kPending ? "pending" : "failed: " + result.error;
  }

  std::shared_ptr<Var<Addr>> users_ = At({{"10.0.0.1", 80, 1.0, false}});
  testing::TableNamer files_;
  NamerSet set_;
};

TEST_F(BindTest, ALeafHoldsTheNamersAddress) {
  const BindResult result = Bind(D("/svc => /#/io.l5d.fs"), P("/svc/users/add"), set_);
  ASSERT_TRUE(result.ok());
  ASSERT_TRUE(result.tree.is(BoundTree::Kind::kLeaf));
  EXPECT_EQ(result.tree.leaf.id, P("/#/io.l5d.fs/users"));
  EXPECT_EQ(result.tree.leaf.residual, P("/add"));
  EXPECT_EQ(result.tree.leaf.addr, users_);
}

TEST_F(BindTest, DependenciesAreCollectedAlsoForNeg) {
  Dependencies deps;
  const BindResult result =
      Bind(D("/a => /#/io.l5d.fs/no | /#/io.l5d.fs/none"), P("/a"), set_, &deps);
  EXPECT_TRUE(result.tree.is(BoundTree::Kind::kNeg));
  const auto sources = deps.Take();
  ASSERT_EQ(sources.size(), 1u);  // asked twice, but one source
  EXPECT_EQ(sources[0], files_.changes);
  EXPECT_EQ(files_.asked, 2);
  EXPECT_TRUE(deps.Take().empty());
}

TEST_F(BindTest, LaterAlternativesAreNotAsked) {
  EXPECT_EQ(Show("/a => /#/io.l5d.fs/users | /#/io.l5d.fs/cart", "/a"), "/#/io.l5d.fs/users");
  EXPECT_EQ(files_.asked, 1);
}

TEST_F(BindTest, TheTraceTellsThePathsInOrder) {
  BindTrace trace;
  EXPECT_TRUE(Bind(D("/svc=>/srv;/srv=>/#/no"), P("/svc/u"), set_, nullptr, &trace)
                  .tree.is(BoundTree::Kind::kNeg));
  EXPECT_EQ(trace.Text(), "/svc/u → /srv/u → /#/no/u");
  BindTrace loop;
  EXPECT_FALSE(Bind(D("/a=>/a"), P("/a"), set_, nullptr, &loop).ok());
  EXPECT_EQ(loop.paths.size(), BindTrace::kMaxPaths);
  EXPECT_TRUE(loop.Text().ends_with("→ … (85 more)")) << loop.Text();
}

TEST_F(BindTest, OldNamesOnlyWhereNothingElseAnswers) {
  EXPECT_EQ(Show("", "/io.l5d.fs/users/add"), "~");
  set_.old_aliases = true;
  EXPECT_EQ(Show("", "/io.l5d.fs/users/add"), "/#/io.l5d.fs/users");
  EXPECT_EQ(Show("/svc => /io.l5d.fs", "/svc/users"), "/#/io.l5d.fs/users");
  EXPECT_EQ(Show("", "/io.l5d.fs/none"), "~");
  EXPECT_EQ(Show("", "/io.l5d.consul/users"), "~");
  // The dtab goes before the alias, and may say what the new name means.
  EXPECT_EQ(Show("/io.l5d.fs => /#/io.l5d.fs/cart", "/io.l5d.fs/users"), "/#/io.l5d.fs/cart");
  EXPECT_EQ(Show("/io.l5d.fs => !", "/io.l5d.fs/users"), "!");
  EXPECT_EQ(Show("/io.l5d.fs => ~", "/io.l5d.fs/users"), "/#/io.l5d.fs/users");
  EXPECT_EQ(Show("/io.l5d.fs => ~ | ~", "/io.l5d.fs/users"), "~");
  EXPECT_EQ(Show("/#/io.l5d.fs/users => /#/io.l5d.fs/cart", "/io.l5d.fs/users"),
            "/#/io.l5d.fs/cart");
  set_.entries[0].prefix = P("/#/my/files");
  EXPECT_EQ(Show("", "/my/files/users"), "/#/my/files/users");
  EXPECT_EQ(Show("", "/my"), "~");
}

TEST_F(BindTest, NoSystemNamer) { EXPECT_EQ(Show("", "/$/nil"), "~"); }

// What clients can send must cost little. Each of these would run for ever or eat the stack.
TEST_F(BindTest, HostileDtabsEndSoon) {
  std::string wide = "/a => /a";
  for (int i = 0; i < 5'000; ++i) wide += " & /a";
  std::string many;
  for (int i = 0; i < 20'000; ++i) many += "/a=>/a;";
  std::string deep = "/a => ";
  for (int i = 0; i < 99; ++i) deep += "(/n | ";
  deep += "/a" + std::string(99, ')');
  const std::string longest = "/a => /a" + std::string(100'000, 'x') + " | /x";
  std::string growing = "/a => /a";
  for (int i = 0; i < 1'000; ++i) growing += "/a";
  const std::string texts[] = {"/a => /a & /a",
                               "/a => /a & /a & /a ; /a => /a & /a",
                               wide,
                               many,
                               deep,
                               longest,
                               growing,
                               growing + " & /a",
                               "/ => /a & /a | /b"};
  for (const std::string& text : texts) {
    const BindResult result = Bind(D(text), P("/a"), set_);
    if (text == longest) {
      EXPECT_TRUE(result.ok());
      continue;
    }
    ASSERT_EQ(result.state, BindResult::State::kFailed) << text.substr(0, 60);
    EXPECT_TRUE(result.kind == "max_depth" || result.kind == "too_many_lookups") << result.kind;
  }
  EXPECT_EQ(Bind(D("/a => /a & /a"), P("/a"), set_).error,
            "gave up after 10001 lookups: the dtab loops or fans out without end");
}

TEST_F(BindTest, FanOutWithinTheBoundsIsFine) {
  std::string text;
  for (int i = 0; i < 11; ++i) {
    const std::string next = "/n" + std::to_string(i + 1);
    text += "/n" + std::to_string(i) + "=>" + next + " & " + next + ";";
  }
  text += "/n11 => /#/io.l5d.fs/users";
  const BindResult result = Bind(D(text), P("/n0"), set_);
  ASSERT_TRUE(result.ok()) << result.error;
  EXPECT_EQ(Shares(result.tree).size(), 2048u);
}

TEST_F(BindTest, BindingTwiceGivesTheSame) {
  testing::Random random(7);
  size_t leaves = 0;
  for (int i = 0; i < 1000; ++i) {
    const Dtab dtab =
        random.LayeredDtab({"/#/io.l5d.fs/users", "/#/io.l5d.fs/cart", "/#/io.l5d.fs/no", "/no"});
    const Path path = P("/l0") + random.SomePath(2);
    const BindResult once = Bind(dtab, path, set_);
    const BindResult twice = Bind(dtab, path, set_);
    EXPECT_EQ(once.state, twice.state);
    EXPECT_EQ(once.error, twice.error);
    EXPECT_TRUE(SameTree(once.tree, twice.tree));
    if (!once.ok()) continue;
    double sum = 0;
    for (const Share& share : Shares(once.tree)) {
      sum += share.p;
      leaves += share.leaf ? 1 : 0;
    }
    EXPECT_NEAR(sum, 1.0, 1e-9) << ShowTree(once.tree);
    EXPECT_EQ(ShowTree(once.tree).find('|'), std::string::npos);
  }
  EXPECT_GT(leaves, 200u);
}

TEST_F(BindTest, MergedAddress) {
  const auto slow = std::make_shared<Var<Addr>>();
  const auto bad = std::make_shared<Var<Addr>>(Addr::Failed("x"));
  const auto gone = std::make_shared<Var<Addr>>(Addr::Neg());
  files_.Add("/slow", slow);
  files_.Add("/bad", bad);
  files_.Add("/bad2", bad);
  files_.Add("/gone", gone);
  files_.Add("/gone2", gone);
  const auto merged = [&](const char* tree) {
    const Addr addr =
        MergedAddr(Bind(D(std::string("/a=>") + tree + ";/f=>/#/io.l5d.fs"), P("/a"), set_).tree);
    return std::string(addr.kind == Addr::Kind::kBound     ? "bound "
                       : addr.kind == Addr::Kind::kNeg     ? "neg"
                       : addr.kind == Addr::Kind::kPending ? "pending"
                                                           : "failed") +
           (addr.kind == Addr::Kind::kBound ? std::to_string(addr.endpoints.size()) : "");
  };
  EXPECT_EQ(merged("/f/users & /f/cart"), "bound 2");
  EXPECT_EQ(merged("/f/users & /f/users"), "bound 1");
  EXPECT_EQ(merged("/f/users & /f/slow & /f/bad"), "bound 1");
  EXPECT_EQ(merged("/f/gone & /f/gone2"), "neg");
  EXPECT_EQ(merged("/f/bad & /f/bad2"), "failed");
  EXPECT_EQ(merged("/f/bad & /f/gone"), "pending");
  EXPECT_EQ(merged("/f/slow & /f/slow"), "pending");
  EXPECT_EQ(merged("$"), "bound 0");
  EXPECT_EQ(merged("!"), "neg");
}

TEST(Shares, WeightsAreDividedByTheirSum) {
  const auto leaf = [](const char* id) { return BoundTree::Leaf({P(id), Path(), nullptr}); };
  const auto shown = [](const BoundTree& tree) {
    std::string text;
    for (const Share& share : Shares(tree)) {
      text += (share.leaf ? share.leaf->id.Show() : "none") + ":" +
              std::to_string(share.p).substr(0, 5) + " ";
    }
    return text;
  };
  EXPECT_EQ(shown(leaf("/a")), "/a:1.000 ");
  EXPECT_EQ(shown(BoundTree::Neg()), "none:1.000 ");
  EXPECT_EQ(shown(BoundTree::Union({{3, leaf("/a")}, {1, leaf("/b")}})), "/a:0.750 /b:0.250 ");
  EXPECT_EQ(shown(BoundTree::Union({{0, leaf("/a")}, {0, leaf("/b")}})), "/a:0.500 /b:0.500 ");
  EXPECT_EQ(shown(BoundTree::Union({{0, BoundTree::Empty()}, {0, leaf("/b")}})), "/b:1.000 ");
  EXPECT_EQ(shown(BoundTree::Union({{1, BoundTree::Empty()}, {3, leaf("/b")}})),
            "none:0.250 /b:0.750 ");
  EXPECT_EQ(shown(BoundTree::Union({{0, BoundTree::Empty()}, {0, BoundTree::Empty()}})),
            "none:1.000 ");
  EXPECT_EQ(shown(BoundTree::Union({{HUGE_VAL, leaf("/a")}, {1, leaf("/b")}})),
            "/a:0.500 /b:0.500 ");
}

}  // namespace
}  // namespace trestle::naming
