#include "naming/delegate.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "naming/bind.h"
#include "naming/delegate_json.h"
#include "tests/naming/fakes.h"

namespace trestle::naming {
namespace {

using testing::At;
using testing::D;
using testing::P;

class DelegateTest : public ::testing::Test {
 protected:
  DelegateTest() {
    files_.Add("/users", At({{"10.0.0.1", 80, 1.0, false}}));
    files_.Add("/slow", slow_);
    set_.entries.push_back({P("/#/f"), &files_});
  }
  std::string Json(const char* dtab, const char* path) {
    const auto tree = Delegate(D(dtab), P(path), set_);
    return tree.ok() ? DelegateJson(*tree) : tree.status().message();
  }

  std::shared_ptr<Var<Addr>> slow_ = std::make_shared<Var<Addr>>();
  testing::TableNamer files_;
  NamerSet set_;
};

TEST_F(DelegateTest, JsonFieldsStandInLinkerdsOrder) {
  EXPECT_EQ(Json("/svc=>/#/f", "/svc/users/add"),
            R"({"type":"delegate","path":"/svc/users/add","delegate":{"type":"leaf",)"
            R"("path":"/#/f/users/add","dentry":{"prefix":"/svc","dst":"/#/f"},)"
            R"("bound":{"addr":{"type":"bound","addrs":[{"ip":"10.0.0.1","port":80,"meta":{}}],)"
            R"("meta":{}},"id":"/#/f/users","path":"/add"}}})");
  EXPECT_EQ(Json("/svc=>~", "/svc"),
            R"({"type":"delegate","path":"/svc","delegate":{"type":"neg","path":"~",)"
            R"("dentry":{"prefix":"/svc","dst":"~"}}})");
}

TEST_F(DelegateTest, PendingIsTold) {
  files_.Say("/wait", Lookup::Pending());
  const auto wait = Delegate(D("/a=>/#/f/users | /#/f/wait"), P("/a"), set_);
  ASSERT_FALSE(wait.ok());
  EXPECT_EQ(wait.status().code(), base::Code::kTimeout);
  const auto slow = Delegate(D("/a=>/#/f/users | /#/f/slow"), P("/a"), set_);
  ASSERT_TRUE(slow.ok());
  ASSERT_EQ(PendingAddrs(*slow), std::vector<std::shared_ptr<Var<Addr>>>{slow_});
  slow_->Set(Addr::Neg());
  EXPECT_TRUE(PendingAddrs(*slow).empty());
  EXPECT_NE(DelegateJson(*slow).find(R"({"addr":{"type":"neg"},"id":"/#/f/slow")"),
            std::string::npos);
}

TEST_F(DelegateTest, DependenciesOfAllBranches) {
  Dependencies deps;
  ASSERT_TRUE(Delegate(D("/a=>/#/f/users | /#/f/x & /#/f/y"), P("/a"), set_, &deps).ok());
  EXPECT_EQ(deps.Take().size(), 1u);
  EXPECT_EQ(files_.asked, 3);
}

TEST_F(DelegateTest, HostileDtabsEndSoon) {
  std::string wide = "/a => /a";
  for (int i = 0; i < 3'000; ++i) wide += " | /a";
  std::string deep = "/a => ";
  for (int i = 0; i < 99; ++i) deep += "(/n & ";
  deep += "/a" + std::string(99, ')');
  std::string long_dst = "/a => /b";
  for (int i = 0; i < 5'000; ++i) long_dst += " & /b";
  for (const std::string& text : {std::string("/a => /a | /a"), wide, deep,
                                  std::string("/a => /a & /a ; /a => /a"), long_dst}) {
    const auto tree = Delegate(D(text), P("/a"), set_);
    ASSERT_FALSE(tree.ok()) << text.substr(0, 40);
    EXPECT_EQ(tree.status().code(), base::Code::kInternal);
    EXPECT_EQ(tree.status().message().find("gave up after"), 0u) << tree.status().message();
  }
}

TEST_F(DelegateTest, TextsThatAreNoUtf8) {
  files_.Say("/bad", Lookup::Failed("\xff"));
  EXPECT_NE(Json("/a=>/#/f/bad", "/a").find("\"message\":\"\xef\xbf\xbd\""), std::string::npos);
}

// Both walk the same steps: where one finds leaves, so does the other.
TEST_F(DelegateTest, FindsTheLeavesThatBindFinds) {
  testing::Random random(8);
  size_t compared = 0;
  for (int i = 0; i < 1000; ++i) {
    const Dtab dtab = random.LayeredDtab({"/#/f/users", "/#/f/slow", "/#/f/no", "/no"});
    const Path path = P("/l0") + random.SomePath(2);
    const BindResult bound = Bind(dtab, path, set_);
    const auto tree = Delegate(dtab, path, set_);
    if (!bound.ok() || !tree.ok()) continue;
    const std::string json = DelegateJson(*tree);
    ASSERT_TRUE(nlohmann::json::accept(json));
    for (const BoundName& leaf : EvalTree(bound.tree).value_or(std::vector<BoundName>())) {
      const std::string id = nlohmann::json(leaf.id.Show()).dump();
      EXPECT_NE(json.find("\"id\":" + id), std::string::npos) << dtab.Show() << path.Show();
      ++compared;
    }
  }
  EXPECT_GT(compared, 50u);
}

TEST_F(DelegateTest, TransformersWrapLeaves) {
  const Transformer port{"port", [](const BoundName& bound) {
                           return BoundName{Path({"%"}) + bound.id, bound.residual, bound.addr};
                         }};
  const auto tree = Delegate(D("/a=>/#/f/users"), P("/a/x"), set_, nullptr, {port, port});
  ASSERT_TRUE(tree.ok());
  const DelegateTree& outer = tree->trees[0];
  ASSERT_EQ(outer.kind, DelegateTree::Kind::kTransformation);
  ASSERT_EQ(outer.trees[0].kind, DelegateTree::Kind::kTransformation);
  EXPECT_EQ(outer.trees[0].trees[0].bound.id, P("/%/%/#/f/users"));
}

}  // namespace
}  // namespace trestle::naming
