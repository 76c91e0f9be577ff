// UseOrder: who was let go of first.
#include "router/use_order.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace trestle::router::testing {
namespace {

struct Entry {
  char name;
  int last_used = 0;
  Entry *older = nullptr, *newer = nullptr;
  bool idle = false;
};

class UseOrderTest : public ::testing::Test {
 protected:
  void Add(Entry& entry, int at) {
    entry.last_used = at;
    order_.Add(&entry);
  }
  // From the oldest on; what it says backwards must be the same.
  std::string Order() const {
    std::string names;
    const Entry* last = nullptr;
    for (const Entry* e = order_.oldest(); e; e = e->newer) {
      EXPECT_EQ(e->older, last);
      EXPECT_TRUE(e->idle);
      names += e->name;
      last = e;
    }
    return names;
  }
  Entry a_{'a'}, b_{'b'}, c_{'c'};
  UseOrder<Entry> order_;
};

TEST_F(UseOrderTest, TheFirstIsTheOneNotUsedForLongest) {
  EXPECT_EQ(Order(), "");
  Add(a_, 1);
  Add(b_, 2);
  Add(c_, 3);
  EXPECT_EQ(Order(), "abc");
  Add(a_, 4);
  EXPECT_EQ(Order(), "bca");
}

TEST_F(UseOrderTest, WhatComesFromElsewhereGoesWhereItsTimeIs) {
  Add(b_, 2);
  Add(c_, 3);
  Add(a_, 1);
  EXPECT_EQ(Order(), "abc");
  order_.Remove(&b_);
  Add(b_, 2);
  EXPECT_EQ(Order(), "abc");
}

TEST_F(UseOrderTest, AnyOneMayBeTakenOut) {
  for (Entry* out : {&a_, &b_, &c_}) {
    Add(a_, 1);
    Add(b_, 2);
    Add(c_, 3);
    order_.Remove(out);
    EXPECT_FALSE(out->idle);
    std::string rest = "abc";
    rest.erase(rest.find(out->name), 1);
    EXPECT_EQ(Order(), rest);
    order_.Remove(out);  // is not in it: nothing
    EXPECT_EQ(Order(), rest);
  }
  for (Entry* e : {&a_, &b_, &c_}) order_.Remove(e);
  EXPECT_EQ(Order(), "");
}

}  // namespace
}  // namespace trestle::router::testing
