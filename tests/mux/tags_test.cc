// Tags: the lowest free one first, and any that a peer chose.
#include "mux/tags.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "base/random.h"
#include "tests/mux/allocations.h"

namespace trestle::mux {
namespace {

TEST(Tags, TheLowestFreeOneFirst) {
  Tags<std::string> tags;
  EXPECT_TRUE(tags.empty());
  EXPECT_EQ(tags.Add("a"), kFirstTag);
  EXPECT_EQ(tags.Add("b"), 3u);
  EXPECT_EQ(tags.Add("c"), 4u);
  EXPECT_EQ(tags.size(), 3u);
  EXPECT_EQ(*tags.Find(3), "b");
  tags.Remove(3);
  EXPECT_EQ(tags.Find(3), nullptr);
  tags.Remove(2);
  EXPECT_EQ(tags.size(), 1u);
  EXPECT_EQ(tags.Add("d"), 2u);
  EXPECT_EQ(tags.Add("e"), 3u);
  EXPECT_EQ(tags.Add("f"), 5u);
  EXPECT_EQ(*tags.Find(2), "d");
  EXPECT_EQ(*tags.Find(4), "c");
}

TEST(Tags, WhatIsNotThere) {
  Tags<int> tags;
  for (const uint32_t tag : {0u, 1u, 2u, 4095u, 4096u, kMaxTag, 0xffffffffu}) {
    EXPECT_EQ(tags.Find(tag), nullptr);
    tags.Remove(tag);
  }
  EXPECT_TRUE(tags.empty());
  EXPECT_TRUE(tags.All().empty());
  EXPECT_EQ(tags.Add(7), kFirstTag);
}

// As a receiver has them: what its peer chose, tag 0 and the largest too.
TEST(Tags, ThoseThatAPeerChose) {
  Tags<int> tags;
  const std::vector<uint32_t> chosen = {0, 1, 2, 4095, 4096, 5000, kMaxTag};
  for (const uint32_t tag : chosen) {
    EXPECT_EQ(*tags.Put(tag, static_cast<int>(tag)), static_cast<int>(tag));
  }
  EXPECT_EQ(tags.size(), chosen.size());
  std::vector<uint32_t> all = tags.All();
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, chosen);
  for (const uint32_t tag : chosen) {
    ASSERT_NE(tags.Find(tag), nullptr);
    EXPECT_EQ(*tags.Find(tag), static_cast<int>(tag));
    tags.Remove(tag);
    EXPECT_EQ(tags.Find(tag), nullptr);
  }
  EXPECT_TRUE(tags.empty());
}

TEST(Tags, PointersHoldUntilTheirTagIsRemoved) {
  Tags<std::unique_ptr<int>> tags;
  const uint32_t first = tags.Add(std::make_unique<int>(1));
  auto* low = tags.Find(first);
  auto* high = tags.Put(1'000'000, std::make_unique<int>(2));
  for (int i = 0; i < 10'000; i++) tags.Add(std::make_unique<int>(i));
  for (uint32_t tag = 3; tag < 10'000; tag += 2) tags.Remove(tag);
  EXPECT_EQ(tags.Find(first), low);
  EXPECT_EQ(**low, 1);
  EXPECT_EQ(tags.Find(1'000'000), high);
  EXPECT_EQ(**high, 2);
}

// What is removed is destroyed at once, and so is all with the table.
TEST(Tags, ValuesAreDestroyed) {
  auto value = std::make_shared<int>(1);
  {
    Tags<std::shared_ptr<int>> tags;
    tags.Add(value);
    tags.Put(5000, value);
    tags.Put(4000, value);
    EXPECT_EQ(value.use_count(), 4);
    tags.Remove(2);
    tags.Remove(5000);
    EXPECT_EQ(value.use_count(), 2);
  }
  EXPECT_EQ(value.use_count(), 1);
}

TEST(Tags, AllOfThemThenNone) {
  constexpr uint32_t kLast = 5000;
  Tags<char, kLast> tags;
  for (uint32_t tag = kFirstTag; tag <= kLast; tag++) ASSERT_EQ(tags.Add('x'), tag);
  EXPECT_EQ(tags.Add('y'), 0u);
  EXPECT_EQ(tags.size(), size_t{kLast} - 1);
  for (const uint32_t tag : {4096u, 2u, 4095u, kLast}) {
    tags.Remove(tag);
    EXPECT_EQ(tags.Add('z'), tag);
    EXPECT_EQ(*tags.Find(tag), 'z');
    EXPECT_EQ(tags.Add('y'), 0u);
  }
}

// Random steps on a table and on a map say the same.
class Twins {
 public:
  explicit Twins(uint64_t seed) : random_(seed) {}
  void Step() {
    switch (random_.Below(5)) {
      case 0:
      case 1:
        return Add();
      case 2:
        return Put();
      default:
        return Remove();
    }
  }
  void Check() {
    ASSERT_EQ(tags_.size(), model_.size());
    ASSERT_EQ(tags_.empty(), model_.empty());
    for (const auto& [tag, value] : model_) {
      ASSERT_NE(tags_.Find(tag), nullptr);
      ASSERT_EQ(*tags_.Find(tag), value);
    }
    std::vector<uint32_t> all = tags_.All();
    std::sort(all.begin(), all.end());
    ASSERT_TRUE(std::equal(all.begin(), all.end(), model_.begin(), model_.end(),
                           [](uint32_t tag, const auto& pair) { return tag == pair.first; }));
    const uint32_t some = Some();
    ASSERT_EQ(tags_.Find(some) != nullptr, model_.contains(some));
  }

 private:
  // Mostly low ones, so that they meet; some at the edges.
  uint32_t Some() {
    static constexpr uint32_t kEdges[] = {0, 1, 4095, 4096, 4097, kMaxTag};
    return random_.Below(8) == 0 ? kEdges[random_.Below(6)] : random_.Below(40);
  }
  void Add() {
    uint32_t want = kFirstTag;
    while (model_.contains(want)) ++want;
    const int value = static_cast<int>(random_.Below(1000));
    ASSERT_EQ(tags_.Add(value), want);
    model_[want] = value;
  }
  void Put() {
    const uint32_t tag = Some();
    if (model_.contains(tag)) return;
    const int value = static_cast<int>(random_.Below(1000));
    tags_.Put(tag, value);
    model_[tag] = value;
  }
  void Remove() {
    const uint32_t tag = Some();
    tags_.Remove(tag);
    model_.erase(tag);
  }

  base::SeededRandom random_;
  Tags<int> tags_;
  std::map<uint32_t, int> model_;
};

TEST(Tags, SayWhatAMapSays) {
  for (uint64_t seed = 1; seed <= 15; seed++) {
    SCOPED_TRACE(seed);
    Twins twins(seed);
    for (int step = 0; step < 1000; step++) {
      twins.Step();
      twins.Check();
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

// A session that lives long: a million calls, some in flight at any time, in any order.
TEST(Tags, AMillionRoundsTakeNoMoreMemory) {
  base::SeededRandom random(1);
  Tags<int> tags;
  std::vector<uint32_t> used;
  const auto add = [&] { used.push_back(tags.Add(1)); };
  const auto remove = [&] {
    const uint32_t i = random.Below(static_cast<uint32_t>(used.size()));
    tags.Remove(used[i]);
    used[i] = used.back();
    used.pop_back();
  };
  constexpr size_t kAtOnce = 200;
  while (used.size() < kAtOnce) add();
  while (!used.empty()) remove();
  const size_t held = HeldBytes();
  uint32_t highest = 0;
  for (int i = 0; i < 1'000'000; i++) {
    if (used.empty() || (used.size() < kAtOnce && random.Below(2) == 0)) {
      add();
      highest = std::max(highest, used.back());
    } else {
      remove();
    }
  }
  EXPECT_EQ(HeldBytes(), held);
  EXPECT_LT(highest, kFirstTag + kAtOnce);
}

// One that puts in what its peer chose, however the peer chooses.
TEST(Tags, AMillionChosenTagsTakeNoMoreMemory) {
  base::SeededRandom random(1);
  Tags<int> tags;
  const auto round = [&] {
    const uint32_t tag = random.Below(2) == 0 ? random.Below(4096) : random.Below(kMaxTag + 1);
    if (tags.Find(tag) != nullptr) return;
    tags.Put(tag, 1);
    tags.Remove(tag);
  };
  for (int i = 0; i < 100'000; i++) round();
  const size_t held = HeldBytes();
  for (int i = 0; i < 1'000'000; i++) round();
  EXPECT_EQ(HeldBytes(), held);
}

}  // namespace
}  // namespace trestle::mux
