#include "naming/explain.h"

#include <gtest/gtest.h>

#include "tests/naming/fakes.h"

namespace trestle::naming {
namespace {

using testing::At;
using testing::D;
using testing::P;
using testing::T;

class ExplainTest : public ::testing::Test {
 protected:
  ExplainTest() {
    files_.Add("/users", At({{"10.0.0.1", 80, 1.0, false}, {"10.0.0.2", 80, 2.5, true}}));
    files_.Add("/users-v2", At({{"::1", 81, 1.0, false}}));
    files_.Add("/empty", At({}));
    files_.Add("/broken", std::make_shared<Var<Addr>>(Addr::Failed("malformed address: x")));
    files_.Add("/slow", std::make_shared<Var<Addr>>());
    files_.Add("/gone", std::make_shared<Var<Addr>>(Addr::Neg()));
    files_.Say("/rw", Lookup::To(P("/svc/users/add")));
    set_.entries.push_back({P("/#/io.l5d.fs"), &files_});
  }

  std::string Explain(const char* dtab, const char* path) {
    const auto tree = Delegate(D(dtab), P(path), set_);
    if (!tree.ok()) return tree.status().message();
    const BindResult bound = Bind(D(dtab), P(path), set_);
    return "\n" + ExplainText(*tree, &bound);
  }

  testing::TableNamer files_;
  NamerSet set_;
};

TEST_F(ExplainTest, StepsEndAtTheAddresses) {
  EXPECT_EQ(Explain("/srv => /#/io.l5d.fs ; /svc => /srv", "/svc/users/add"), R"(
/svc/users/add
  /srv/users/add    (/svc => /srv)
    /#/io.l5d.fs/users/add    (/srv => /#/io.l5d.fs)
      leaf /#/io.l5d.fs/users, residual /add
        10.0.0.1:80
        10.0.0.2:80  weight 2.5
result:
  100 %  /#/io.l5d.fs/users (residual /add), 2 addresses
)");
}

TEST_F(ExplainTest, AlternativesSayWhichIsTakenAndWhy) {
  EXPECT_EQ(Explain("/svc => /#/io.l5d.fs/no | /#/io.l5d.fs/users-v2 | ! | /nowhere", "/svc"), R"(
/svc
  alternatives of /svc => /#/io.l5d.fs/no | /#/io.l5d.fs/users-v2 | ! | /nowhere, the first that is not ~ counts:
  1. /#/io.l5d.fs/no    <- nothing here
       ~ : /#/io.l5d.fs has no such name
  2. /#/io.l5d.fs/users-v2    <- taken
       leaf /#/io.l5d.fs/users-v2
         [::1]:81
  3. /svc    <- not looked at
       ! : calls fail here, nothing behind it is tried
  4. /nowhere    <- not looked at
       ~ : no entry of the dtab begins this name
result:
  100 %  /#/io.l5d.fs/users-v2, 1 address
)");
}

// Alternatives of different entries: each line names its own.
TEST_F(ExplainTest, EntriesThatOverride) {
  EXPECT_EQ(Explain("/svc => /#/io.l5d.fs/users ; /svc/a => /#/io.l5d.fs/users-v2", "/svc/a"), R"(
/svc/a
  alternatives, the first that is not ~ counts:
  1. /#/io.l5d.fs/users-v2    (/svc/a => /#/io.l5d.fs/users-v2)    <- taken
       leaf /#/io.l5d.fs/users-v2
         [::1]:81
  2. /#/io.l5d.fs/users/a    (/svc => /#/io.l5d.fs/users)    <- not looked at
       leaf /#/io.l5d.fs/users, residual /a
         10.0.0.1:80
         10.0.0.2:80  weight 2.5
result:
  100 %  /#/io.l5d.fs/users-v2, 1 address
)");
}

// Below an alternative that bind does not look at, nothing is taken.
TEST_F(ExplainTest, AlternativesThatAreNotLookedAt) {
  const std::string text = Explain("/b => /#/io.l5d.fs/users | ! ; /a => $ | /b", "/a");
  EXPECT_NE(text.find("1. /a    <- taken"), std::string::npos) << text;
  EXPECT_NE(text.find("2. /b    <- not looked at"), std::string::npos) << text;
  EXPECT_NE(text.find("1. /#/io.l5d.fs/users    <- would be taken"), std::string::npos) << text;
  EXPECT_NE(text.find("2. /b\n"), std::string::npos) << text;
}

// A union that stands among alternatives names its entry once.
TEST_F(ExplainTest, UnionsWithinAlternatives) {
  EXPECT_EQ(Explain("/svc => /#/no ; /svc => /#/io.l5d.fs/empty & /#/io.l5d.fs/gone", "/svc"), R"(
/svc
  alternatives, the first that is not ~ counts:
  1. /svc    (/svc => /#/io.l5d.fs/empty & /#/io.l5d.fs/gone)    <- taken
       branches, each call takes one by weight:
       1 * /#/io.l5d.fs/empty
             leaf /#/io.l5d.fs/empty
               no addresses: the set is empty; calls fail
       1 * /#/io.l5d.fs/gone
             leaf /#/io.l5d.fs/gone
               no address: the host or name does not exist; calls fail
  2. /#/no    (/svc => /#/no)    <- not looked at
       ~ : no namer is configured for /#/no
result:
  50 %  /#/io.l5d.fs/empty, 0 addresses
  50 %  /#/io.l5d.fs/gone
)");
}

TEST_F(ExplainTest, UnionsShowWeightsAndWhatIsLeftOut) {
  EXPECT_EQ(
      Explain("/svc => 3*/#/io.l5d.fs/users & 1*/#/io.l5d.fs/users-v2 & 9*/#/consul/x", "/svc"),
      R"(
/svc
  branches of /svc => 3.00*/#/io.l5d.fs/users & /#/io.l5d.fs/users-v2 & 9.00*/#/consul/x, each call takes one by weight:
  3 * /#/io.l5d.fs/users
        leaf /#/io.l5d.fs/users
          10.0.0.1:80
          10.0.0.2:80  weight 2.5
  1 * /#/io.l5d.fs/users-v2
        leaf /#/io.l5d.fs/users-v2
          [::1]:81
  9 * /#/consul/x    <- left out: its share goes to the others
        ~ : no namer is configured for /#/consul
result:
  75 %  /#/io.l5d.fs/users, 2 addresses
  25 %  /#/io.l5d.fs/users-v2, 1 address
)");
}

TEST_F(ExplainTest, AddressesThatAreNone) {
  EXPECT_NE(Explain("/a=>/#/io.l5d.fs/empty", "/a").find("the set is empty; calls fail"),
            std::string::npos);
  EXPECT_NE(Explain("/a=>/#/io.l5d.fs/broken", "/a").find("malformed address: x; calls fail"),
            std::string::npos);
  EXPECT_NE(Explain("/a=>/#/io.l5d.fs/slow", "/a").find("pending; calls wait"), std::string::npos);
  EXPECT_NE(Explain("/a=>/#/io.l5d.fs/gone", "/a").find("does not exist; calls fail"),
            std::string::npos);
}

TEST_F(ExplainTest, ARewriteOnTheWayIsTold) {
  EXPECT_EQ(Explain("/svc => /#/io.l5d.fs ; /a => /#/io.l5d.fs/rw", "/a"), R"(
/a
  /svc/users/add    (/a => /#/io.l5d.fs/rw)
    rewritten by the namer of /#/io.l5d.fs/rw
    /#/io.l5d.fs/users/add    (/svc => /#/io.l5d.fs)
      leaf /#/io.l5d.fs/users, residual /add
        10.0.0.1:80
        10.0.0.2:80  weight 2.5
result:
  100 %  /#/io.l5d.fs/users (residual /add), 2 addresses
)");
}

TEST_F(ExplainTest, OldAliasesAreAStep) {
  set_.old_aliases = true;
  const std::string text = Explain("/svc => /io.l5d.fs", "/svc/users-v2");
  EXPECT_NE(text.find("rewritten by the namer of /io.l5d.fs/users-v2"), std::string::npos) << text;
  EXPECT_NE(text.find("leaf /#/io.l5d.fs/users-v2\n"), std::string::npos) << text;
}

// What is called taken must be what bind takes.
TEST_F(ExplainTest, TakenIsWhatBindTakes) {
  const struct {
    const char* dst;
    const char* taken;  // the line that is marked, or null for none
  } kRows[] = {
      {"~ | ! | /#/io.l5d.fs/users", "2. "},
      {"(~ & !) | /#/io.l5d.fs/users", "2. "},  // a union of ~ and ! is ~
      {"(! & !) | /#/io.l5d.fs/users", "2. "},
      {"(~ & /#/io.l5d.fs/empty) | /#/io.l5d.fs/users", "1. "},
      {"$ | /#/io.l5d.fs/users", "1. "},
      {"/#/io.l5d.fs/broken | /#/io.l5d.fs/users", "1. "},
      {"~ | (~ & ~)", nullptr},
  };
  for (const auto& row : kRows) {
    const std::string text = Explain((std::string("/a => ") + row.dst).c_str(), "/a");
    const size_t mark = text.find("<- taken");
    if (row.taken == nullptr) {
      EXPECT_EQ(mark, std::string::npos) << text;
      continue;
    }
    ASSERT_NE(mark, std::string::npos) << text;
    const size_t line = text.rfind('\n', mark) + 1;
    EXPECT_EQ(text.substr(text.find_first_not_of(' ', line), 3), row.taken) << text;
  }
}

TEST_F(ExplainTest, Results) {
  EXPECT_NE(Explain("", "/a").find("result: ~ : the name leads nowhere"), std::string::npos);
  EXPECT_NE(Explain("/a => !", "/a").find("result: ! "), std::string::npos);
  EXPECT_NE(Explain("/a => $", "/a").find("result: $ "), std::string::npos);
  EXPECT_EQ(Explain("/a => /a", "/a"), "Max recursion level reached.");
  files_.Say("/bad", Lookup::Failed("boom"));
  EXPECT_NE(Explain("/a => /#/io.l5d.fs/bad", "/a").find("result: failed: boom"),
            std::string::npos);
  // A lone ~ is shown as ~, but bind asks the namers: the text says so.
  const std::string lone = Explain("/#/io.l5d.fs/users => ~", "/#/io.l5d.fs/users");
  EXPECT_NE(lone.find("alone it does not stop bind"), std::string::npos) << lone;
  EXPECT_NE(lone.find("100 %  /#/io.l5d.fs/users"), std::string::npos) << lone;
}

}  // namespace
}  // namespace trestle::naming
