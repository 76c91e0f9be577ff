#include "naming/path.h"

#include <gtest/gtest.h>

#include "naming/parser.h"
#include "naming/text.h"
#include "tests/naming/fakes.h"

namespace trestle::naming {
namespace {

using testing::P;

TEST(Path, Parts) {
  const Path path = P("/a/b/c");
  EXPECT_EQ(path.size(), 3u);
  EXPECT_EQ(path.Drop(1), P("/b/c"));
  EXPECT_EQ(path.Drop(9), Path());
  EXPECT_EQ(path.Take(2), P("/a/b"));
  EXPECT_EQ(path.Take(9), path);
  EXPECT_EQ(P("/a") + P("/b/c"), path);
  EXPECT_EQ(Path() + path, path);
  EXPECT_TRUE(path.StartsWith(P("/a/b")));
  EXPECT_TRUE(path.StartsWith(Path()));
  EXPECT_FALSE(path.StartsWith(P("/a/c")));
  EXPECT_FALSE(P("/a").StartsWith(path));
}

TEST(Path, ErrorsTellTextAndPosition) {
  const struct {
    const char* text;
    const char* error;
    size_t pos;
  } kRows[] = {
      {"/a/", "label char expected but end of input found at '/a/[]'", 3},
      {"/a b", "end of input expected but 'b' found at '/a [b]'", 3},
      {"/\xc3\xa9", "end of input expected but '\xc3\xa9' found at '/[\xc3\xa9]'", 1},
      // Positions count UTF-16 units: the comment's last sign is two of them.
      {"#\xf0\x9f\x98\x80\n/a b",
       "end of input expected but 'b' found at '#\xf0\x9f\x98\x80\n/a [b]'", 7},
      // Bytes that are no UTF-8 are shown, never passed on.
      {"/a\xff", "end of input expected but '\\xff' found at '/a[\\xff]'", 2},
  };
  for (const auto& row : kRows) {
    size_t pos = 99;
    const auto path = Path::Parse(row.text, &pos);
    ASSERT_FALSE(path.ok()) << row.text;
    EXPECT_EQ(path.status().code(), base::Code::kInvalid);
    EXPECT_EQ(path.status().message(), row.error);
    EXPECT_EQ(pos, row.pos) << row.text;
  }
}

TEST(Path, LongTextsAreRefusedAndQuotedInPart) {
  size_t pos = 0;
  const auto huge = Path::Parse(std::string(kMaxTextBytes + 1, '/'), &pos);
  ASSERT_FALSE(huge.ok());
  EXPECT_LT(huge.status().message().size(), 200u);
  const auto faulty =
      Path::Parse("/" + std::string(100'000, 'a') + "*" + std::string(100'000, 'b'));
  ASSERT_FALSE(faulty.ok());
  EXPECT_LT(faulty.status().message().size(), 1000u);
  EXPECT_NE(faulty.status().message().find("aaa[*]bbb"), std::string::npos);
  EXPECT_TRUE(Path::Parse("/" + std::string(kMaxTextBytes - 1, 'a')).ok());
}

TEST(Path, ShowReadsBackForAnyBytes) {
  testing::Random random(1);
  for (int i = 0; i < 2000; ++i) {
    const Path path = random.SomePath(6);
    const auto again = Path::Parse(path.Show());
    ASSERT_TRUE(again.ok()) << path.Show();
    EXPECT_EQ(*again, path);
  }
  for (int byte = 0; byte < 256; ++byte) {
    const Path path({std::string(1, static_cast<char>(byte))});
    const auto again = Path::Parse(path.Show());
    ASSERT_TRUE(again.ok()) << path.Show();
    EXPECT_EQ(*again, path);
  }
}

TEST(Prefix, ShowReadsBackAndMatchesByElements) {
  testing::Random random(2);
  for (int i = 0; i < 2000; ++i) {
    const Prefix prefix = random.SomePrefix();
    const auto again = Prefix::Parse(prefix.Show());
    ASSERT_TRUE(again.ok()) << prefix.Show();
    EXPECT_EQ(*again, prefix);
    const Path path = random.SomePath(5);
    bool matches = path.size() >= prefix.size();
    for (size_t j = 0; matches && j < prefix.size(); ++j) {
      matches = !prefix.elems()[j] || *prefix.elems()[j] == path[j];
    }
    EXPECT_EQ(prefix.Matches(path), matches) << prefix.Show() << " " << path.Show();
  }
}

TEST(Text, Integers) {
  EXPECT_EQ(ParseInt32("+80"), 80);
  EXPECT_EQ(ParseInt32("0080"), 80);
  EXPECT_EQ(ParseInt32("-2147483648"), INT32_MIN);
  for (const char* bad : {"", "+", "-", "+-1", "--1", "2147483648", "1 ", " 1", "1x", "0x1"}) {
    EXPECT_EQ(ParseInt32(bad), std::nullopt) << bad;
  }
}

TEST(Text, Numbers) {
  EXPECT_EQ(ParseNumber("1."), 1.0);
  EXPECT_EQ(ParseNumber("+.5"), 0.5);
  EXPECT_EQ(ParseNumber("2f"), 2.0);
  EXPECT_EQ(ParseNumber("-1e3"), -1000.0);
  for (const char* bad : {"", ".", "f", "1e999", "nan", "inf", "Infinity", "1 ", "+-1", "two"}) {
    EXPECT_EQ(ParseNumber(bad), std::nullopt) << bad;
  }
}

TEST(Text, WeightsRoundHalfUpOnTheirShortestDecimal) {
  const struct {
    double weight;
    const char* shown;
  } kRows[] = {{0.125, "0.13"},        {0.001, "0.00"},
               {0.005, "0.01"},        {1.005, "1.01"},
               {0.0, "0.00"},          {9.999, "10.00"},
               {99.994, "99.99"},      {1e21, "1000000000000000000000.00"},
               {1e-9, "0.00"},         {0.995, "1.00"},
               {3.14159, "3.14"},      {100, "100.00"},
               {0.05, "0.05"},         {0.0949, "0.09"},
               {12345.678, "12345.68"}};
  for (const auto& row : kRows) EXPECT_EQ(ShowWeight(row.weight), row.shown);
  EXPECT_EQ(ShowWeight(HUGE_VAL), "Infinity");
}

TEST(Text, Utf8) {
  EXPECT_EQ(DecodeUtf8("\xe3\x80\x80").value, 0x3000u);
  EXPECT_EQ(DecodeUtf8("\xf0\x9f\x98\x80").length, 4u);
  for (const char* bad : {"\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff",
                          "\x80", "\xe3\x80", "\xc3("}) {
    EXPECT_FALSE(DecodeUtf8(bad).valid);
    EXPECT_EQ(DecodeUtf8(bad).length, 1u);
  }
}

}  // namespace
}  // namespace trestle::naming
