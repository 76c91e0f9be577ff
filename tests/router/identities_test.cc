// Identities: which names a pattern takes in.
#include "router/identities.h"

#include <gtest/gtest.h>

namespace trestle::router {
namespace {

TEST(IdentitiesTest, OnlyTheStarIsSpecial) {
  struct Case {
    const char *pattern, *identity;
    bool has;
  };
  for (const Case& c : {
           Case{"a.example", "a.example", true},
           Case{"a.example", "A.example", false},
           Case{"*.example", "a.b.example", true},
           Case{"*.example", ".example", true},
           Case{"*.example", "a.example.org", false},
           Case{"spiffe://prod/*", "spiffe://prod/users/1", true},
           Case{"spiffe://prod/*", "spiffe://test/users", false},
           Case{"*", "anything", true},
           Case{"*", "", false},
           Case{"*", "spiffe://prod/users", true},
           Case{"*.ops.example", "spiffe://tenant/x.ops.example", false},
           Case{"spiffe*", "spiffe://prod/users", false},
           Case{"urn:*", "urn:prod:users", true},
           Case{"*:*", "a.example", false},
           Case{"[a-d]", "b", false},
           Case{"[a-d]", "[a-d]", true},
           Case{"a?c", "abc", false},
           Case{"a?c", "a?c", true},
           Case{"a\\*", "a\\b", true},
           Case{"a\\*", "a*", false},
       }) {
    EXPECT_EQ(Identities({c.pattern}).Have(c.identity), c.has) << c.pattern << " " << c.identity;
  }
  EXPECT_TRUE(Identities({"x", "a*"}).Have("abc"));
  EXPECT_FALSE(Identities({}).Have("a"));
}

}  // namespace
}  // namespace trestle::router
