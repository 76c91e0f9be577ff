// Prefix::Covers: which prefixes are within which.
#include <gtest/gtest.h>

#include "naming/path.h"

namespace trestle::naming {
namespace {

TEST(CoversTest, AllThatIsWithin) {
  struct Case {
    const char *one, *other;
    bool covers;
  };
  for (const Case& c :
       {Case{"/", "/", true}, Case{"/", "/a", true}, Case{"/", "/*", true}, Case{"/a", "/", false},
        Case{"/a", "/a", true}, Case{"/a", "/a/b", true}, Case{"/a", "/b", false},
        Case{"/a", "/ab", false}, Case{"/a", "/*", false}, Case{"/a/b", "/a", false},
        Case{"/*", "/a/b", true}, Case{"/*", "/*", true}, Case{"/*/b", "/a/b/c", true},
        Case{"/*/b", "/a/c", false}, Case{"/a/b", "/a/*", false}, Case{"/a/*", "/a", false}}) {
    EXPECT_EQ(Prefix::Parse(c.one)->Covers(*Prefix::Parse(c.other)), c.covers)
        << c.one << " " << c.other;
  }
}

}  // namespace
}  // namespace trestle::naming
