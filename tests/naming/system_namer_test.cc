#include "naming/system_namer.h"

#include <gtest/gtest.h>

#include "naming/bind.h"
#include "naming/rewrite_namer.h"
#include "tests/naming/fakes.h"

namespace trestle::naming {
namespace {

using testing::P;

class SystemNamerTest : public ::testing::Test {
 protected:
  // The one leaf that `path` leads to.
  BoundName Leaf(const char* path) {
    const BindResult result = Bind(Dtab(), P(path), set_);
    EXPECT_TRUE(result.ok()) << path << ": " << result.error;
    EXPECT_TRUE(result.tree.is(BoundTree::Kind::kLeaf)) << path << ": " << ShowTree(result.tree);
    return result.tree.leaf;
  }

  testing::FakeResolver resolver_;
  SystemNamer system_{&resolver_};
  NamerSet set_{{}, &system_, false};
};

TEST_F(SystemNamerTest, InetAsksTheResolver) {
  const BoundName leaf = Leaf("/$/inet/example.com/80/add");
  EXPECT_EQ(leaf.id, P("/$/inet/example.com/80"));
  EXPECT_EQ(leaf.residual, P("/add"));
  EXPECT_EQ(leaf.addr, (resolver_.vars[{"example.com", 80}]));
  EXPECT_EQ(Leaf("/$/inet/8080/add").addr, (resolver_.vars[{"", 8080}]));
  EXPECT_EQ(Leaf("/$/io.buoyant.rinet/80/example.com").addr, leaf.addr);
  EXPECT_EQ(resolver_.vars.size(), 2u);
}

TEST_F(SystemNamerTest, PortsThatAreNone) {
  const struct {
    const char* path;
    const char* cause;
  } kRows[] = {
      {"/$/inet/h/65536", "port out of range:65536"},
      {"/$/inet/h/-1", "port out of range:-1"},
      {"/$/fixedinet/h/99999", "port out of range:99999"},
      {"/$/io.buoyant.rinet/http/h", "For input string: \"http\""},
      {"/$/io.buoyant.rinet/65536/h", "port out of range:65536"},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(Leaf(row.path).addr->Get(), Addr::Failed(row.cause)) << row.path;
    // Binding again gives the same variable, so that nothing seems to change.
    const BoundName held = Leaf(row.path);
    EXPECT_EQ(held.addr, Leaf(row.path).addr) << row.path;
  }
  EXPECT_TRUE(resolver_.vars.empty());
}

TEST_F(SystemNamerTest, FixedinetTakesTheFirstAnswerAndKeepsIt) {
  const BoundName leaf = Leaf("/$/fixedinet/h/80");
  const auto& source = resolver_.vars[{"h", 80}];
  EXPECT_EQ(leaf.addr->Get(), Addr::Pending());
  int changes = 0;
  const Subscription watch = leaf.addr->Subscribe([&] { ++changes; });
  source->Set(Addr::Bound({{"10.0.0.1", 80, 1.0, false}}));
  EXPECT_EQ(leaf.addr->Get(), source->Get());
  source->Set(Addr::Bound({{"10.0.0.2", 80, 1.0, false}}));
  EXPECT_EQ(leaf.addr->Get().endpoints[0].host, "10.0.0.1");
  EXPECT_EQ(changes, 1);
  EXPECT_EQ(source.use_count(), 1);  // it is let go of
  EXPECT_EQ(Leaf("/$/fixedinet/h/80").addr, leaf.addr);
}

TEST_F(SystemNamerTest, ManyAddressesAreForgottenAgain) {
  for (int i = 0; i < 2000; ++i) {
    const std::string path = "/$/fixedinet/h" + std::to_string(i) + "/80";
    EXPECT_EQ(Leaf(path.c_str()).addr->Get(), Addr::Pending());
  }
  EXPECT_LE(system_.held(), 600u);
}

TEST_F(SystemNamerTest, UnknownNamesAreErrors) {
  for (const char* path : {"/$/inet", "/$/inet/h", "/$/neg", "/$/io.buoyant.nope/a"}) {
    const BindResult result = Bind(Dtab(), P(path), set_);
    EXPECT_EQ(result.kind, "unknown_namer") << path;
    EXPECT_TRUE(result.error.ends_with(std::string(" for path: ") + path)) << result.error;
  }
}

TEST_F(SystemNamerTest, UtilityNamersAtTheirEdges) {
  const struct {
    const char* path;
    const char* to;  // null: Neg; "": failed
  } kRows[] = {
      {"hostportPfx/p/h:80/x", "/p/h/80/x"},
      {"hostportPfx/p/h::80", nullptr},
      {"hostportPfx/p/:80", ""},
      {"hostportPfx/p/:", nullptr},
      {"hostportPfx/p/a:b:c", nullptr},
      {"hostportPfx/p", nullptr},
      {"http.anyMethod", nullptr},
      {"http.anyMethod/POST", "/"},
      {"http.domainToPath/./x", "/x"},
      {"http.domainToPath/a..b", ""},
      {"http.subdomainOf/b.c/a.b.c", "/a"},
      {"http.subdomainOf/b.c/.b.c", nullptr},
      {"http.subdomainOfPfx/b.c/p/a.b.c:1", "/p/a"},
      {"http.subdomainOfPfx/b.c/a.b.c", nullptr},
  };
  for (const auto& row : kRows) {
    Dependencies deps;
    const Lookup answer = system_.Find(P("/$"), P(std::string("/io.buoyant.") + row.path), &deps);
    if (row.to == nullptr) {
      EXPECT_TRUE(answer.state == Lookup::State::kOk && answer.tree.is(NameTree<Name>::Kind::kNeg))
          << row.path;
    } else if (*row.to == '\0') {
      EXPECT_EQ(answer.state, Lookup::State::kFailed) << row.path;
    } else {
      EXPECT_EQ(answer.tree.leaf.path.Show(), row.to) << row.path;
    }
  }
}

TEST(RewriteNamer, CapturesAreGreedyAndFoundAnywhere) {
  const struct {
    const char* pattern;
    const char* name;
    const char* path;
    const char* to;  // null: Neg
  } kRows[] = {
      {"/{env}/{svc}", "/s/{svc}/{env}", "/prod/users/x", "/s/users/prod"},
      {"/{env}/{svc}", "/s/{svc}/{env}", "/prod", nullptr},
      {"/*/{svc}", "/s/{svc}", "/any/users", "/s/users"},
      {"/v1/{svc}", "/s/{svc}", "/v2/users", nullptr},
      {"/v1", "/s", "/v1x", nullptr},
      {"/{a}-{b}", "/{a}/{b}", "/x-y-z", "/x-y/z"},
      {"/{a}-{b}-{c}", "/{a}/{b}/{c}", "/w-x-y-z", "/w-x/y/z"},
      {"/v{n}", "/{n}", "/xxv2v3", "/2v3"},
      {"/a{x}b", "/{x}", "/zzaXbYbzz", "/XbY"},
      {"/{svc}.{env}.corp", "/{env}/{svc}", "/users.prod.corp.net", "/prod/users"},
      {"/{svc}.corp", "/s/{svc}", "/users.net", nullptr},
      {"/{a}", "/x-{a}-{a}", "/1", "/x-1-1"},
      {"/{a}{b}", "/{a}", "/xyz", "/xyz"},
      {"/\\x41{a}", "/\\x42{a}", "/Az", "/Bz"},
      {"/{a}", "/{a}", "/\\x2f\\xff", "/\\x2f\\xff"},
      {"/", "/fixed", "/any/thing", "/fixed"},
      {"/a{x}aa", "/{x}z", "/aaa", "/z"},
      {"/aa{x}aa", "/{x}z", "/aaa", nullptr},
  };
  for (const auto& row : kRows) {
    auto namer = RewriteNamer::Make(row.pattern, row.name);
    ASSERT_TRUE(namer.ok()) << row.pattern << ": " << namer.status().message();
    Dependencies deps;
    const Lookup answer = (*namer)->Find(P("/#/rw"), P(row.path), &deps);
    ASSERT_EQ(answer.state, Lookup::State::kOk) << row.pattern;
    if (row.to == nullptr) {
      EXPECT_TRUE(answer.tree.is(NameTree<Name>::Kind::kNeg)) << row.pattern << " " << row.path;
    } else {
      EXPECT_EQ(answer.tree.leaf.path.Show(), row.to) << row.pattern << " " << row.path;
    }
  }
}

TEST(RewriteNamer, AnEmptyCaptureMakesNoName) {
  auto namer = RewriteNamer::Make("/{a}-{b}", "/{b}");
  ASSERT_TRUE(namer.ok());
  Dependencies deps;
  EXPECT_EQ((*namer)->Find(P("/#/rw"), P("/x-"), &deps).state, Lookup::State::kFailed);
}

TEST(RewriteNamer, BadConfigurationIsRefused) {
  const struct {
    const char* pattern;
    const char* name;
    const char* error;
  } kRows[] = {
      {"a", "/b", "pattern: must begin with '/'"},
      {"", "/b", "pattern: must begin with '/'"},
      {"/a/", "/b", "pattern: ends with '/'"},
      {"/a//b", "/b", "pattern: an empty element"},
      {"/{a", "/b", "pattern: unbalanced braces"},
      {"/a}", "/b", "pattern: unbalanced braces"},
      {"/{{a}}", "/b", "pattern: unbalanced braces"},
      {"/{}", "/b", "pattern: a capture without a name"},
      {"/a b", "/b", "pattern: end of input expected"},
      {"/a", "/{b}", "name: the pattern has no such capture: '{b}'"},
      {"/a", "/*", "name: end of input expected"},
      {"/a", "b", "name: must begin with '/'"},
  };
  for (const auto& row : kRows) {
    const auto namer = RewriteNamer::Make(row.pattern, row.name);
    ASSERT_FALSE(namer.ok()) << row.pattern << " " << row.name;
    EXPECT_EQ(namer.status().message().find(row.error), 0u) << namer.status().message();
  }
}

}  // namespace
}  // namespace trestle::naming
