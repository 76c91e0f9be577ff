#include "conf/suggest.h"

#include <gtest/gtest.h>

namespace trestle::conf {
namespace {

TEST(SuggestTest, Distance) {
  EXPECT_EQ(EditDistance("", ""), 0u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("abc", ""), 3u);
  EXPECT_EQ(EditDistance("port", "port"), 0u);
  EXPECT_EQ(EditDistance("port", "PORT"), 0u);
  EXPECT_EQ(EditDistance("prot", "port"), 1u);   // two neighbours swapped
  EXPECT_EQ(EditDistance("pot", "port"), 1u);    // one put in
  EXPECT_EQ(EditDistance("poort", "port"), 1u);  // one dropped
  EXPECT_EQ(EditDistance("pork", "port"), 1u);   // one changed
  EXPECT_EQ(EditDistance("dtba", "dtab"), 1u);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
}

TEST(SuggestTest, TheNearestWordOrNone) {
  const std::vector<std::string_view> keys = {"port", "ip", "label", "maxPipelined", "dest"};
  EXPECT_EQ(Suggestion("prot", keys), "; did you mean port?");
  EXPECT_EQ(Suggestion("pi", keys), "; did you mean ip?");
  EXPECT_EQ(Suggestion("maxpipelined", keys), "; did you mean maxPipelined?");
  EXPECT_EQ(Suggestion("maxPiplined", keys), "; did you mean maxPipelined?");
  EXPECT_EQ(Suggestion("identifier", keys), "");
  EXPECT_EQ(Suggestion("xy", keys), "");
  EXPECT_EQ(Suggestion("", keys), "");
  EXPECT_EQ(Suggestion("port", {}), "");
  EXPECT_EQ(Suggestion(std::string(100'000, 'p'), keys), "");
}

}  // namespace
}  // namespace trestle::conf
