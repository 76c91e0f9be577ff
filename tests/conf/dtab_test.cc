// A wrong dtab is told with Finagle's words and the line of the file it goes wrong in.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/conf/support.h"

namespace trestle::conf {
namespace {

using testing::ElementsAre;

TEST(DtabTest, OnOneLine) {
  EXPECT_THAT(ProblemsOf(WithRouter("  dtab: /svc -> x\n")),
              ElementsAre("f:4: routers[0].dtab: '=' expected but '-' found at '/svc [-]> x' "
                          "(column 6)"));
}

TEST(DtabTest, InABlockTheLineOfTheFile) {
  const std::string head = "  dtab: |\n    /svc => /srv ;\n";
  EXPECT_THAT(ProblemsOf(WithRouter(head + "    /srv - x\n    /a => /b\n")),
              ElementsAre("f:6: routers[0].dtab: '=' expected but '-' found at '/srv [-] x' "
                          "(column 6 of its line 2)"));
  EXPECT_THAT(ProblemsOf(WithRouter(head + "      /srv =>\n\n    ; /a => /b\n")),
              ElementsAre(testing::AllOf(testing::StartsWith("f:8: routers[0].dtab: "),
                                         testing::EndsWith("at '[;] /a => /b' "
                                                           "(column 1 of its line 4)"))));
  EXPECT_THAT(ProblemsOf(WithRouter(head + "    /srv => /a /b")),
              ElementsAre(testing::AllOf(testing::StartsWith("f:6: routers[0].dtab: "),
                                         testing::EndsWith("at '/srv => /a [/]b' "
                                                           "(column 12 of its line 2)"))));
  EXPECT_THAT(ProblemsOf(WithRouter("  dtab: |-\n\n\n    /svc /srv\n")),
              ElementsAre(testing::StartsWith("f:7: routers[0].dtab: '=' expected but '/' found")));
  // After an alias the line is that of the text itself.
  EXPECT_THAT(ProblemsOf("usage: &d |\n  /a\n  => b\n" + WithRouter("  dtab: *d\n")),
              ElementsAre(testing::StartsWith("f:3: routers[0].dtab: simple expected")));
}

TEST(DtabTest, FoldedTextHasOnlyItsFirstLine) {
  EXPECT_THAT(ProblemsOf(WithRouter("  dtab: >-\n    /a => /b ;\n    /c - /d\n")),
              ElementsAre(testing::AllOf(testing::StartsWith("f:4: routers[0].dtab: "),
                                         testing::EndsWith("(column 15)"))));
  EXPECT_THAT(ProblemsOf(WithRouter("  dtab: /a => /b;\n    /c - /d\n")),
              ElementsAre(testing::StartsWith("f:4: routers[0].dtab: ")));
}

TEST(DtabTest, ABarWithinAPlainTextIsNoBlock) {
  EXPECT_THAT(ProblemsOf(WithRouter("  dtab: \"| /a\"\n")),
              ElementsAre(testing::StartsWith("f:4: routers[0].dtab: ")));
}

TEST(DtabTest, WhatIsWrittenIsWhatIsRead) {
  const Parsed parsed = Parse(WithRouter("  dtab: |\n"
                                         "    /srv => /#/io.l5d.fs ;\n"
                                         "    /svc/users => 3 * /srv/users-v2 & /srv/users ;\n"
                                         "    /svc/*/get => /srv/a | /srv/b ;\n"),
                              "f");
  ASSERT_TRUE(parsed.ok()) << ShowAll(parsed.problems);
  EXPECT_EQ(parsed.config.routers.at(0).dtab.value.size(), 3u);
  EXPECT_EQ(parsed.config.routers.at(0).dtab.key, "routers[0].dtab");
  EXPECT_EQ(parsed.config.routers.at(0).dtab.line, 4);
}

TEST(DtabTest, NothingIsTheEmptyDtab) {
  for (const std::string text : {"  dtab:\n", "  dtab: ''\n", "  dtab: |\n    \n"}) {
    const Parsed parsed = Parse(WithRouter(text), "f");
    EXPECT_TRUE(parsed.ok()) << ShowAll(parsed.problems);
    EXPECT_TRUE(parsed.config.routers.at(0).dtab.value.empty());
  }
}

}  // namespace
}  // namespace trestle::conf
