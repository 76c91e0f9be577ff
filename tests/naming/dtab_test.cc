#include "naming/dtab.h"

#include <gtest/gtest.h>

#include "naming/parser.h"
#include "tests/naming/fakes.h"

namespace trestle::naming {
namespace {

using testing::D;
using testing::P;
using testing::Random;
using testing::T;

TEST(Tree, ShowReadsBack) {
  Random random(3);
  for (int i = 0; i < 2000; ++i) {
    const PathTree tree = random.SomeTree(4);
    const auto again = ParseTree(ShowTree(tree));
    ASSERT_TRUE(again.ok()) << ShowTree(tree);
    EXPECT_TRUE(SameTree(*again, tree)) << ShowTree(tree);
  }
}

// Simplifying does not change what a tree stands for, and is done after one go.
TEST(Tree, SimplifyKeepsTheMeaning) {
  Random random(4);
  for (int i = 0; i < 2000; ++i) {
    const PathTree tree = random.SomeTree(4);
    const PathTree simple = SimplifyTree(tree);
    EXPECT_EQ(EvalTree(simple), EvalTree(tree)) << ShowTree(tree);
    EXPECT_TRUE(SameTree(SimplifyTree(simple), simple)) << ShowTree(tree);
  }
}

TEST(Tree, Same) {
  EXPECT_TRUE(SameTree(T("0.1*/a & /b"), T("0.1*/a & 1.0*/b")));
  EXPECT_FALSE(SameTree(T("0.1*/a & /b"), T("0.2*/a & /b")));
  EXPECT_FALSE(SameTree(T("/a | /b"), T("/a & /b")));
  EXPECT_FALSE(SameTree(T("/a | /b"), T("/b | /a")));
  EXPECT_FALSE(SameTree(T("~"), T("!")));
}

TEST(Tree, NestingIsBounded) {
  const auto nested = [](int n) {
    return std::string(static_cast<size_t>(n), '(') + "/a" +
           std::string(static_cast<size_t>(n), ')');
  };
  EXPECT_TRUE(ParseTree(nested(kMaxParens)).ok());
  size_t pos = 0;
  const auto deep = ParseTree(nested(kMaxParens + 1), &pos);
  ASSERT_FALSE(deep.ok());
  EXPECT_EQ(pos, static_cast<size_t>(kMaxParens));
  EXPECT_EQ(deep.status().message().find("at most 100 open parentheses expected but '(' found"),
            0u);
  // Unclosed ones by the hundred thousand: refused as early.
  EXPECT_FALSE(ParseTree(std::string(500'000, '(')).ok());
}

TEST(Tree, WeightsOfAnySize) {
  EXPECT_EQ(ShowTree(T(std::string(400, '9') + "*/a & /b")), "Infinity*/a & /b");
  EXPECT_EQ(ShowTree(T("0." + std::string(400, '0') + "1*/a & /b")), "0.00*/a & /b");
}

TEST(Dtab, ConcatenationAndOrder) {
  const Dtab both = D("/a=>/b") + D("/a=>/c;/x=>/y");
  EXPECT_EQ(both.Show(), "/a=>/b;/a=>/c;/x=>/y");
  EXPECT_EQ(ShowTree(both.Lookup(P("/a/r"))), "/c/r | /b/r");
  EXPECT_TRUE(Dtab().Lookup(P("/a")).is(PathTree::Kind::kNeg));
}

TEST(Dtab, PositionOfAnError) {
  size_t pos = 0;
  EXPECT_FALSE(Dtab::Parse("/a => /b ;\n/c = /d", &pos).ok());
  EXPECT_EQ(pos, 15u);
  EXPECT_FALSE(Dtab::Parse(std::string(kMaxTextBytes, ' ') + " ", &pos).ok());
}

TEST(Dtab, ShowReadsBack) {
  Random random(5);
  for (int i = 0; i < 500; ++i) {
    const Dtab dtab = random.SomeDtab();
    const auto again = Dtab::Parse(dtab.Show());
    ASSERT_TRUE(again.ok()) << dtab.Show();
    EXPECT_TRUE(SameDtab(*again, dtab)) << dtab.Show();
  }
}

PathTree NaiveGraft(const PathTree& tree, const Path& rest) {
  PathTree copy = tree;
  if (copy.is(PathTree::Kind::kLeaf)) copy.leaf = copy.leaf + rest;
  for (PathTree& child : copy.trees) child = NaiveGraft(child, rest);
  for (auto& part : copy.parts) part.tree = NaiveGraft(part.tree, rest);
  return copy;
}

// Lookups against the rule as the specification words it.
TEST(Dtab, LookupAgainstANaiveReference) {
  Random random(6);
  size_t alts = 0;
  for (int i = 0; i < 3000; ++i) {
    const Dtab dtab = random.SomeDtab();
    const Path path = random.SomePath(5);
    std::vector<PathTree> trees;
    for (const Dentry& dentry : dtab.dentries()) {
      const auto& elems = dentry.prefix.elems();
      bool matches = elems.size() <= path.size();
      for (size_t j = 0; matches && j < elems.size(); ++j) {
        matches = !elems[j].has_value() || elems[j].value() == path[j];
      }
      if (matches) {
        trees.insert(trees.begin(), NaiveGraft(dentry.dst, path.Drop(elems.size())));
      }
    }
    const PathTree expected = trees.empty()       ? PathTree::Neg()
                              : trees.size() == 1 ? trees[0]
                                                  : PathTree::Alt(trees);
    alts += trees.size() > 1 ? 1 : 0;
    EXPECT_TRUE(SameTree(dtab.Lookup(path), expected)) << dtab.Show() << " at " << path.Show();
  }
  EXPECT_GT(alts, 100u);  // the random tables do overlap
}

TEST(Dtab, LookupWithinABudget) {
  Budget enough(1000);
  EXPECT_TRUE(D("/a=>/b").Lookup(P("/a/c"), &enough).has_value());
  Budget little(3);
  EXPECT_FALSE(D("/a=>/b & /c & /d & /e").Lookup(P("/a/x"), &little).has_value());
  EXPECT_TRUE(little.spent());
}

// Whatever happens to a dtab on its way, reading it is safe: it is read or refused.
TEST(Dtab, EveryPrefixAndEveryChangedByteIsSafe) {
  const std::string text =
      "/svc/*\t=> 0.9*/#/io.l5d.fs & .1*(/srv/\\x41 | ~) # note\n; /a => ! | $ ;";
  ASSERT_TRUE(Dtab::Parse(text).ok());
  const auto check = [](const std::string& changed) {
    size_t pos = 0;
    const auto dtab = Dtab::Parse(changed, &pos);
    if (dtab.ok()) {
      EXPECT_TRUE(Dtab::Parse(dtab->Show()).ok()) << changed;
    } else {
      EXPECT_LE(pos, changed.size()) << changed;
      EXPECT_NE(dtab.status().message().find(" expected but "), std::string::npos) << changed;
    }
  };
  for (size_t n = 0; n < text.size(); ++n) {
    check(text.substr(0, n));
    check(text.substr(n));
    std::string changed = text;
    for (int byte = 0; byte < 256; ++byte) {
      changed[n] = static_cast<char>(byte);
      check(changed);
    }
  }
}

}  // namespace
}  // namespace trestle::naming
