#include "conf/name_pattern.h"

#include <gtest/gtest.h>

namespace trestle::conf {
namespace {

struct Row {
  const char* pattern;
  const char* path;
  bool expected;
};

TEST(NamePatternTest, Matches) {
  for (const Row& row : std::initializer_list<Row>{
           {"/", "/", true},
           {"/", "/a/b", true},
           {"/a", "/a", true},
           {"/a/", "/a", true},
           {"/a", "/a/b", true},
           {"/a", "/ab", false},
           {"/a/b", "/a", false},
           {"/A", "/a", false},
           {"/*", "/a", true},
           {"/*", "/", false},
           {"/a/*/c", "/a/b/c/d", true},
           {"/a/*/c", "/a/b/d", false},
           {"/#/io.l5d.fs", "/#/io.l5d.fs/users", true},
           {"/\\x61", "/a", true},
           {"/{x}", "/a", true},
           {"/{x}/b", "/a/b", true},
           {"/{x}-v2", "/users-v2", true},
           {"/{x}-v2", "/users-v3", false},
           {"/{x}-v2", "/-v2", true},
           {"/{x}-v2", "/users-v2-eu", true},  // found anywhere, as Linkerd looks
           {"/v{x}-eu", "/the-v2-eu", true},
           {"/{a}.{b}", "/x.y", true},
           {"/{a}.{b}", "/xy", false},
           {"/a{x}a", "/a", false},  // the two may not overlap
           {"/a{x}a", "/aa", true},
           {"/{a}b{c}d{e}", "/d-b", false},
           {"/{a}\\x2d{b}", "/x-y", true},
       }) {
    const auto pattern = NamePattern::Parse(row.pattern);
    ASSERT_TRUE(pattern.ok()) << row.pattern << " " << pattern.status().message();
    EXPECT_EQ(pattern->Matches(*naming::Path::Parse(row.path)), row.expected)
        << row.pattern << " " << row.path;
    EXPECT_EQ(pattern->Show(), row.pattern);
  }
}

TEST(NamePatternTest, OnlyTheRootMatchesAll) {
  EXPECT_TRUE(NamePattern().MatchesAll());
  EXPECT_TRUE(NamePattern::Parse("/")->MatchesAll());
  EXPECT_FALSE(NamePattern::Parse("/*")->MatchesAll());
}

TEST(NamePatternTest, WrongPatterns) {
  for (const auto& [text, what] : std::initializer_list<std::pair<const char*, const char*>>{
           {"", "must begin with /, is \"\""},
           {"a/b", "must begin with /, is \"a/b\""},
           {"/a//b", "an empty element: '//b'"},
           {"/a b", "end of input expected but 'b' found at '/a [b]'"},
           {"/a*", "end of input expected but '*' found at '/a[*]'"},
           {"/a/ ", "not a part of a path: ' '"},
           {"/{x}\t", "not a part of a path: '\t'"},
           {"/{x", "unbalanced braces: '{x'"},
           {"/x}", "unbalanced braces: 'x}'"},
           {"/{x{y}}", "unbalanced braces: '{x{y}}'"},
           {"/{}", "a capture without a name: '{}'"},
       }) {
    const auto pattern = NamePattern::Parse(text);
    ASSERT_FALSE(pattern.ok()) << text;
    EXPECT_EQ(pattern.status().message(), what);
    EXPECT_EQ(pattern.status().code(), base::Code::kInvalid);
  }
}

}  // namespace
}  // namespace trestle::conf
