// Joiner: fragments of messages put together, tag by tag.
#include "mux/joiner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/random.h"

namespace trestle::mux {
namespace {

using base::Block;
using base::Buffer;
using base::Slice;

Frame Piece(uint32_t tag, std::string_view body, bool more, Type type = Type::kTdispatch) {
  return {type, static_cast<int8_t>(type), tag, more, Buffer::Copy(body)};
}

Outcome Take(Joiner* joiner, uint32_t tag, std::string_view body, bool more = true,
             Type type = Type::kTdispatch) {
  Frame frame = Piece(tag, body, more, type);
  return joiner->Take(&frame);
}

TEST(Joiner, WhatIsNoFragmentPasses) {
  Joiner joiner{Joiner::Bounds{}};
  for (const Type type : {Type::kTdispatch, Type::kRdispatch, Type::kTping, Type::kRerr}) {
    Frame frame = Piece(2, "whole", false, type);
    EXPECT_EQ(joiner.Take(&frame), Outcome::kOk);
    EXPECT_EQ(frame.body.ToString(), "whole");
    EXPECT_TRUE(joiner.empty());
  }
}

TEST(Joiner, PiecesBecomeOneMessage) {
  Joiner joiner{Joiner::Bounds{}};
  EXPECT_EQ(Take(&joiner, 2, "one, "), Outcome::kNeedMore);
  EXPECT_TRUE(joiner.Has(2));
  EXPECT_FALSE(joiner.Has(3));
  EXPECT_EQ(Take(&joiner, 2, ""), Outcome::kNeedMore);
  EXPECT_EQ(Take(&joiner, 2, "two, "), Outcome::kNeedMore);
  EXPECT_EQ(joiner.messages(), 1u);
  EXPECT_EQ(joiner.bytes(), 10u);
  Frame last = Piece(2, "three", false);
  EXPECT_EQ(joiner.Take(&last), Outcome::kOk);
  EXPECT_EQ(last.body.ToString(), "one, two, three");
  EXPECT_EQ(last.tag, 2u);
  EXPECT_TRUE(joiner.empty());
  EXPECT_EQ(joiner.bytes(), 0u);
  // The tag is free for a message of its own.
  Frame next = Piece(2, "next", false);
  EXPECT_EQ(joiner.Take(&next), Outcome::kOk);
  EXPECT_EQ(next.body.ToString(), "next");
}

TEST(Joiner, LastPieceMayBeEmptyAndSoMayTheMessage) {
  Joiner joiner{Joiner::Bounds{}};
  EXPECT_EQ(Take(&joiner, 2, "all"), Outcome::kNeedMore);
  Frame last = Piece(2, "", false);
  EXPECT_EQ(joiner.Take(&last), Outcome::kOk);
  EXPECT_EQ(last.body.ToString(), "all");
  EXPECT_EQ(Take(&joiner, 2, ""), Outcome::kNeedMore);
  EXPECT_TRUE(joiner.Has(2));
  EXPECT_EQ(joiner.bytes(), 0u);
  last = Piece(2, "", false);
  EXPECT_EQ(joiner.Take(&last), Outcome::kOk);
  EXPECT_TRUE(last.body.empty());
}

// Whole messages come between, with the same tag too when their type is not split.
TEST(Joiner, OtherMessagesComeBetween) {
  Joiner joiner{Joiner::Bounds{}};
  EXPECT_EQ(Take(&joiner, 2, "a"), Outcome::kNeedMore);
  for (const Type type : {Type::kTping, Type::kTreq, Type::kRerr, Type::kRdiscarded}) {
    Frame frame = Piece(2, "whole", false, type);
    EXPECT_EQ(joiner.Take(&frame), Outcome::kOk);
    EXPECT_EQ(frame.body.ToString(), "whole");
  }
  Frame other = Piece(3, "whole", false);
  EXPECT_EQ(joiner.Take(&other), Outcome::kOk);
  EXPECT_EQ(other.body.ToString(), "whole");
  Frame last = Piece(2, "b", false);
  EXPECT_EQ(joiner.Take(&last), Outcome::kOk);
  EXPECT_EQ(last.body.ToString(), "ab");
}

TEST(Joiner, DroppedPiecesAreGone) {
  const size_t before = Block::BytesOnThread();
  Joiner joiner{Joiner::Bounds{}};
  EXPECT_FALSE(joiner.Drop(2));
  EXPECT_EQ(Take(&joiner, 2, "gone"), Outcome::kNeedMore);
  EXPECT_EQ(Take(&joiner, 3, "stays"), Outcome::kNeedMore);
  EXPECT_TRUE(joiner.Drop(2));
  EXPECT_FALSE(joiner.Drop(2));
  EXPECT_FALSE(joiner.Has(2));
  EXPECT_EQ(joiner.bytes(), 5u);
  Frame frame = Piece(2, "whole", false);
  EXPECT_EQ(joiner.Take(&frame), Outcome::kOk);
  EXPECT_EQ(frame.body.ToString(), "whole");
  frame.body.Clear();
  EXPECT_TRUE(joiner.Drop(3));
  EXPECT_EQ(Block::BytesOnThread(), before);
}

TEST(Joiner, FragmentsOfTypesThatHaveNone) {
  for (int wire = -128; wire <= 127; wire++) {
    const auto type = KnownType(static_cast<int8_t>(wire));
    if (!type || MayBeSplit(*type)) continue;
    Joiner joiner{Joiner::Bounds{}};
    EXPECT_EQ(Take(&joiner, 2, "a", true, *type), Outcome::kMalformed) << TypeName(*type);
    EXPECT_EQ(joiner.why(), "a fragment of a type that has none");
    EXPECT_TRUE(joiner.empty());
  }
}

TEST(Joiner, PiecesOfTwoTypes) {
  Joiner joiner{Joiner::Bounds{}};
  EXPECT_EQ(Take(&joiner, 2, "a"), Outcome::kNeedMore);
  EXPECT_EQ(Take(&joiner, 2, "b", true, Type::kRdispatch), Outcome::kMalformed);
  EXPECT_EQ(joiner.why(), "a fragment of another type");
  Joiner other{Joiner::Bounds{}};
  EXPECT_EQ(Take(&other, 2, "a"), Outcome::kNeedMore);
  EXPECT_EQ(Take(&other, 2, "b", false, Type::kRdispatch), Outcome::kMalformed);
  EXPECT_EQ(other.why(), "a last piece of another type");
}

TEST(Joiner, BoundOfAMessage) {
  constexpr Joiner::Bounds kBounds{10, 100, 5};
  for (const bool more : {true, false}) {
    Joiner joiner(kBounds);
    EXPECT_EQ(Take(&joiner, 2, "12345"), Outcome::kNeedMore);
    EXPECT_EQ(Take(&joiner, 2, "12345", more), more ? Outcome::kNeedMore : Outcome::kOk);
    Joiner over(kBounds);
    EXPECT_EQ(Take(&over, 2, "12345"), Outcome::kNeedMore);
    EXPECT_EQ(Take(&over, 2, "123456", more), Outcome::kMalformed);
    EXPECT_EQ(over.why(), "a message in pieces over its bound");
  }
  Joiner first(kBounds);
  EXPECT_EQ(Take(&first, 2, "12345678901"), Outcome::kMalformed);
}

TEST(Joiner, BoundsOfAll) {
  Joiner joiner(Joiner::Bounds{10, 20, 3});
  EXPECT_EQ(Take(&joiner, 2, "1234567890"), Outcome::kNeedMore);
  EXPECT_EQ(Take(&joiner, 3, "123456789"), Outcome::kNeedMore);
  EXPECT_EQ(Take(&joiner, 4, "1"), Outcome::kNeedMore);
  EXPECT_EQ(joiner.bytes(), 20u);
  // What makes one whole takes its bytes out; it was never over the bound of those that are not.
  EXPECT_EQ(Take(&joiner, 3, "1", false), Outcome::kOk);
  EXPECT_EQ(joiner.bytes(), 11u);
  EXPECT_EQ(Take(&joiner, 3, "123456789"), Outcome::kNeedMore);
  EXPECT_EQ(Take(&joiner, 4, "1"), Outcome::kMalformed);
  EXPECT_EQ(joiner.why(), "messages in pieces over their bound");

  Joiner many(Joiner::Bounds{10, 20, 3});
  for (uint32_t tag = 2; tag < 5; tag++) EXPECT_EQ(Take(&many, tag, ""), Outcome::kNeedMore);
  EXPECT_EQ(Take(&many, 2, "a"), Outcome::kNeedMore);
  EXPECT_EQ(Take(&many, 5, ""), Outcome::kMalformed);
  EXPECT_EQ(many.why(), "too many messages in pieces");
}

// A piece of one byte does not hold on to the memory that it was read into, nor does it cost a
// slice.
TEST(Joiner, SmallPiecesTakeLittleMemory) {
  base::Arena arena;
  const size_t before = Block::BytesOnThread();
  Joiner joiner{Joiner::Bounds{}};
  constexpr int kPieces = 100'000;
  for (int i = 0; i < kPieces; i++) {
    Frame frame = Piece(2, "", true);
    frame.body = Buffer(arena.Allot(1));
    frame.body.Front(1)[0] = static_cast<char>(i);
    arena.Allot(50'000);  // what else was read meanwhile
    ASSERT_EQ(joiner.Take(&frame), Outcome::kNeedMore);
  }
  arena.Trim();
  EXPECT_LT(Block::BytesOnThread() - before, 4 * kPieces);
  Frame last = Piece(2, "", false);
  ASSERT_EQ(joiner.Take(&last), Outcome::kOk);
  ASSERT_EQ(last.body.size(), static_cast<size_t>(kPieces));
  EXPECT_LT(last.body.slices(), 20u);
  const std::string body = last.body.ToString();
  for (int i = 0; i < kPieces; i++) ASSERT_EQ(body[i], static_cast<char>(i));
}

TEST(Joiner, ManySmallPartsTakeLittleMemory) {
  base::Arena arena;
  const size_t before = Block::BytesOnThread();
  Joiner joiner{Joiner::Bounds{}};
  for (uint32_t tag = 2; tag < 1026; tag++) {
    Frame frame = Piece(tag, "", true);
    frame.body = Buffer(arena.Allot(1));
    arena.Allot(100'000);
    ASSERT_EQ(joiner.Take(&frame), Outcome::kNeedMore);
  }
  arena.Trim();
  EXPECT_LE(Block::BytesOnThread() - before, 1024 * 512u);
}

// Nor does a large piece that came in crumbs.
TEST(Joiner, CrumbsOfALargePieceTakeLittleMemory) {
  base::Arena arena;
  const size_t before = Block::BytesOnThread();
  Joiner joiner{Joiner::Bounds{}};
  Frame frame = Piece(2, "", true);
  std::string body;
  for (int i = 0; i < 200; i++) {
    base::Slice crumb = arena.Allot(100);
    std::fill_n(crumb.data(), 100, static_cast<char>(i));
    body += crumb.view();
    frame.body.Append(std::move(crumb));
    arena.Allot(100'000);
  }
  ASSERT_GE(Block::BytesOnThread() - before, 200u * base::Arena::kBlockBytes / 2);
  ASSERT_EQ(joiner.Take(&frame), Outcome::kNeedMore);
  arena.Trim();
  EXPECT_LT(Block::BytesOnThread() - before, 2 * body.size());
  Frame last = Piece(2, "", false);
  ASSERT_EQ(joiner.Take(&last), Outcome::kOk);
  EXPECT_TRUE(last.body.ToString() == body);
}

// Large ones are handed on, and so is a last one of any size.
TEST(Joiner, LargeAndLastPiecesAreNotCopied) {
  Joiner joiner{Joiner::Bounds{}};
  const Slice first = Slice::Copy(std::string(65'536, 'a'));
  const Slice last = Slice::Copy("b");
  Frame frame = Piece(2, "", true);
  frame.body = Buffer(Slice(first));
  ASSERT_EQ(joiner.Take(&frame), Outcome::kNeedMore);
  frame = Piece(2, "", false);
  frame.body = Buffer(Slice(last));
  ASSERT_EQ(joiner.Take(&frame), Outcome::kOk);
  ASSERT_EQ(frame.body.slices(), 2u);
  EXPECT_EQ(frame.body.slice(0).data(), first.data());
  EXPECT_EQ(frame.body.slice(1).data(), last.data());
}

// Messages of random sizes, cut into random pieces, which come in any order but that of each tag.
TEST(Joiner, AnyInterleaving) {
  const size_t before = Block::BytesOnThread();
  for (uint64_t seed = 1; seed <= 200; seed++) {
    base::SeededRandom random(seed);
    std::map<uint32_t, std::string> left;  // of each message, what has not come yet
    std::map<uint32_t, std::string> whole;
    for (uint32_t tag = 0; tag < 1 + random.Below(8); tag++) {
      std::string body(random.Below(seed % 4 == 0 ? 100'000 : 100), '\0');
      for (char& c : body) c = static_cast<char>(random.Next());
      left[tag] = whole[tag] = body;
    }
    const uint32_t largest = seed % 4 == 0 ? 40'000 : 1 + random.Below(40);
    Joiner joiner{Joiner::Bounds{}};
    size_t bytes = 0;
    while (!left.empty()) {
      auto it = std::next(left.begin(), random.Below(static_cast<uint32_t>(left.size())));
      auto& [tag, rest] = *it;
      const size_t n = std::min<size_t>(rest.size(), random.Below(largest + 1));
      const bool more = n < rest.size() || random.Below(4) == 0;
      Frame frame = Piece(tag, rest.substr(0, n), more);
      rest.erase(0, n);
      const size_t had = whole[tag].size() - rest.size() - n;
      ASSERT_EQ(joiner.Take(&frame), more ? Outcome::kNeedMore : Outcome::kOk);
      bytes = more ? bytes + n : bytes - had;
      ASSERT_EQ(joiner.bytes(), bytes);
      if (more) continue;
      ASSERT_TRUE(frame.body.ToString() == whole[tag]);
      left.erase(it);
    }
    ASSERT_TRUE(joiner.empty());
  }
  EXPECT_EQ(Block::BytesOnThread(), before);
}

}  // namespace
}  // namespace trestle::mux
