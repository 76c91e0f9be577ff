#include "conf/yaml_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trestle::conf {
namespace {

using Kind = YamlNode::Kind;

YamlTree Good(const std::string& text) {
  std::vector<Problem> problems;
  auto tree = YamlTree::Read(text, "f", &problems);
  EXPECT_EQ(ShowAll(problems), "");
  return std::move(tree).value();
}

TEST(YamlTreeTest, NodesKnowTheirLines) {
  const YamlTree tree = Good("# c\na: 1\nb:\n- x\n- {y: ~}\n\nc: |\n\n  t\n  u\n");
  const YamlNode& root = tree.root();
  ASSERT_EQ(root.kind, Kind::kMap);
  ASSERT_EQ(root.members.size(), 3u);
  EXPECT_EQ(root.members[0].key, "a");
  EXPECT_EQ(root.members[0].line, 2);
  EXPECT_EQ(root.members[0].value->text, "1");
  const YamlNode& list = *root.members[1].value;
  ASSERT_EQ(list.kind, Kind::kList);
  EXPECT_EQ(root.members[1].line, 3);
  EXPECT_EQ(list.items.at(0)->line, 4);
  EXPECT_EQ(list.items.at(1)->line, 5);
  EXPECT_EQ(list.items.at(1)->members.at(0).value->kind, Kind::kNull);
  EXPECT_EQ(root.members[2].value->text, "\nt\nu\n");
  EXPECT_EQ(root.members[2].value->line, 7);
}

TEST(YamlTreeTest, OnlyABlockWithABarIsLiteral) {
  for (const std::string text : {"a: |\n  x\n", "a: |-\n  x\n", "a: |2+\n  x\n", "a: &z |\n  x\n",
                                 "a: !!str |\n  x\n", "\xc3\xa9: |\n  x\n", "- |\n  x\n"}) {
    const YamlTree tree = Good(text);
    const YamlNode& root = tree.root();
    const YamlNode* node = root.items.empty() ? root.members.at(0).value : root.items.at(0);
    EXPECT_TRUE(node->literal) << text;
    EXPECT_EQ(node->line, 1);
  }
  for (const std::string text : {"a: >\n  x\n", "a: \"|\"\n", "a: '|'\n", "a: b|\n", "a: b\n"}) {
    EXPECT_FALSE(Good(text).root().members.at(0).value->literal) << text;
  }
}

TEST(YamlTreeTest, AnAliasIsTheSameNode) {
  const YamlTree tree = Good("a: &x [1]\nb: *x\n");
  EXPECT_EQ(tree.root().members.at(0).value, tree.root().members.at(1).value);
}

TEST(YamlTreeTest, BothOfTwoEqualKeysAreKept) {
  EXPECT_EQ(Good("a: 1\na: 2\n").root().members.size(), 2u);
}

TEST(YamlTreeTest, NothingIsNull) {
  EXPECT_EQ(Good("").root().kind, Kind::kNull);
  EXPECT_EQ(Good("# only\n").root().kind, Kind::kNull);
  EXPECT_EQ(Good("~\n").root().kind, Kind::kNull);
}

TEST(YamlTreeTest, Describe) {
  EXPECT_EQ(Describe(Good("~").root()), "nothing");
  EXPECT_EQ(Describe(Good("[]").root()), "a list");
  EXPECT_EQ(Describe(Good("{}").root()), "a map");
  EXPECT_EQ(Describe(Good("|\n  a\n  b\n").root()), "\"a b \"");
}

// Every beginning of a good file is read or refused, and never more than that.
TEST(YamlTreeTest, EveryPrefixIsSafe) {
  const std::string text =
      "a: &x [1, {b: 'c'}, \"d\\n\"]\n? k\n: !!str |-\n  t\ne: *x\nf: >+\n  g\n\n...\n";
  for (size_t n = 0; n <= text.size(); ++n) {
    std::vector<Problem> problems;
    const auto tree = YamlTree::Read(text.substr(0, n), "f", &problems);
    EXPECT_EQ(tree.has_value(), problems.empty()) << n;
  }
}

}  // namespace
}  // namespace trestle::conf
