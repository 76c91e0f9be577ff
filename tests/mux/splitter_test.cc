// Splitter: messages in pieces, each waiting message in turn.
#include "mux/splitter.h"

#include <gtest/gtest.h>

#include "mux/joiner.h"

namespace trestle::mux {
namespace {

using base::Buffer;
using base::Slice;

// What goes out next, read again: "2+abc" is a fragment of tag 2, "2.abc" a whole message or the
// last piece of one.
std::string Next(Splitter* splitter, base::Arena* arena) {
  Buffer out = splitter->Next(arena);
  FrameDecoder decoder(1 << 30);
  Frame frame;
  EXPECT_EQ(decoder.Next(&out, &frame), Outcome::kOk);
  EXPECT_TRUE(out.empty());
  return std::to_string(frame.tag) + (frame.more ? "+" : ".") + frame.body.ToString();
}

std::vector<std::string> All(Splitter* splitter) {
  base::Arena arena;
  std::vector<std::string> out;
  while (!splitter->empty()) out.push_back(Next(splitter, &arena));
  return out;
}

void Add(Splitter* splitter, uint32_t tag, std::string_view body, Type type = Type::kTdispatch) {
  splitter->Add(type, tag, Buffer::Copy(body));
}

using Pieces = std::vector<std::string>;

TEST(Splitter, WithoutALimitAllIsWhole) {
  Splitter splitter;
  EXPECT_EQ(splitter.piece(), UINT32_MAX);
  EXPECT_TRUE(splitter.Whole(UINT32_MAX));
  Add(&splitter, 2, std::string(100'000, 'x'));
  Add(&splitter, 3, "");
  EXPECT_EQ(splitter.bytes(), 100'000u);
  EXPECT_EQ(All(&splitter), (Pieces{"2." + std::string(100'000, 'x'), "3."}));
  EXPECT_EQ(splitter.fragments(), 0u);
  EXPECT_EQ(splitter.bytes(), 0u);
}

TEST(Splitter, SizesOfPieces) {
  struct Case {
    uint32_t piece;
    const char* body;
    Pieces pieces;
  };
  for (const Case& c : std::initializer_list<Case>{
           {1, "abc", {"2+a", "2+b", "2.c"}},
           {1, "a", {"2.a"}},
           {1, "", {"2."}},
           {2, "abc", {"2+ab", "2.c"}},
           {3, "abc", {"2.abc"}},
           {3, "abcdef", {"2+abc", "2.def"}},  // an exact multiple has no empty piece behind it
           {3, "abcdefg", {"2+abc", "2+def", "2.g"}},
           {4, "abc", {"2.abc"}},
       }) {
    for (const Type type : {Type::kTdispatch, Type::kRdispatch}) {
      Splitter splitter;
      splitter.set_piece(c.piece);
      EXPECT_EQ(splitter.Whole(std::string_view(c.body).size()), c.pieces.size() == 1);
      Add(&splitter, 2, c.body, type);
      EXPECT_EQ(All(&splitter), c.pieces);
      EXPECT_EQ(splitter.fragments(), c.pieces.size() == 1 ? 0 : c.pieces.size());
      EXPECT_EQ(splitter.bytes(), 0u);
    }
  }
}

TEST(Splitter, OtherTypesAreNotSplit) {
  Splitter splitter;
  splitter.set_piece(1);
  for (const Type type : {Type::kTreq, Type::kRreq, Type::kRerr, Type::kTinit}) {
    Add(&splitter, 2, "abc", type);
    EXPECT_EQ(All(&splitter), Pieces{"2.abc"});
  }
  EXPECT_EQ(splitter.fragments(), 0u);
}

TEST(Splitter, EachInItsTurn) {
  Splitter splitter;
  splitter.set_piece(2);
  Add(&splitter, 2, "aaaaa");
  Add(&splitter, 3, "bbb");
  Add(&splitter, 4, "c");
  EXPECT_EQ(splitter.bytes(), 9u);
  EXPECT_EQ(All(&splitter), (Pieces{"2+aa", "3+bb", "4.c", "2+aa", "3.b", "2.a"}));
}

TEST(Splitter, ALateOneComesBehindThoseThatWait) {
  Splitter splitter;
  splitter.set_piece(1);
  base::Arena arena;
  Add(&splitter, 2, "abcd");
  Add(&splitter, 3, "xyz");
  EXPECT_EQ(Next(&splitter, &arena), "2+a");
  Add(&splitter, 4, "m");
  EXPECT_EQ(All(&splitter), (Pieces{"3+x", "2+b", "4.m", "3+y", "2+c", "3.z", "2.d"}));
}

TEST(Splitter, ALimitThatChangesHoldsFromTheNextPieceOn) {
  Splitter splitter;
  base::Arena arena;
  splitter.set_piece(1);
  Add(&splitter, 2, "abcdefg");
  EXPECT_EQ(Next(&splitter, &arena), "2+a");
  splitter.set_piece(3);
  EXPECT_EQ(Next(&splitter, &arena), "2+bcd");
  splitter.set_piece(UINT32_MAX);
  EXPECT_EQ(Next(&splitter, &arena), "2.efg");
  EXPECT_EQ(splitter.fragments(), 3u);
}

TEST(Splitter, DropBeforeAndAfterThePiecesBegan) {
  const size_t before = base::Block::BytesOnThread();
  {
    Splitter splitter;
    splitter.set_piece(1);
    base::Arena arena;
    bool begun = false;
    EXPECT_FALSE(splitter.Drop(2, &begun));
    Add(&splitter, 2, "abc");
    Add(&splitter, 3, "xyz");
    EXPECT_EQ(Next(&splitter, &arena), "2+a");
    EXPECT_TRUE(splitter.Drop(3, &begun));
    EXPECT_FALSE(begun);
    EXPECT_EQ(splitter.bytes(), 2u);
    EXPECT_TRUE(splitter.Drop(2, &begun));
    EXPECT_TRUE(begun);
    EXPECT_TRUE(splitter.empty());
    EXPECT_EQ(splitter.bytes(), 0u);
    EXPECT_FALSE(splitter.Drop(2, &begun));
    // The last piece is out: there is nothing to drop.
    Add(&splitter, 2, "a");
    EXPECT_EQ(Next(&splitter, &arena), "2.a");
    EXPECT_FALSE(splitter.Drop(2, &begun));
  }
  EXPECT_EQ(base::Block::BytesOnThread(), before);
}

TEST(Splitter, ADropBetweenOthersLeavesTheirTurns) {
  Splitter splitter;
  splitter.set_piece(1);
  base::Arena arena;
  for (uint32_t tag = 2; tag < 5; tag++) Add(&splitter, tag, "abc");
  EXPECT_EQ(Next(&splitter, &arena), "2+a");
  bool begun = true;
  EXPECT_TRUE(splitter.Drop(3, &begun));
  EXPECT_FALSE(begun);
  EXPECT_EQ(All(&splitter), (Pieces{"4+a", "2+b", "4+b", "2.c", "4.c"}));
}

// Payloads are handed on, not copied.
TEST(Splitter, PiecesAreWhereTheMessageWas) {
  const Slice body = Slice::Copy("abcdef");
  Splitter splitter;
  splitter.set_piece(4);
  splitter.Add(Type::kRdispatch, 2, Buffer(Slice(body)));
  base::Arena arena;
  const Buffer first = splitter.Next(&arena);
  ASSERT_EQ(first.slices(), 2u);
  EXPECT_EQ(first.slice(0).view(), std::string_view("\0\0\0\x08\xfe\x80\0\x02", 8));
  EXPECT_EQ(first.slice(1).data(), body.data());
  const Buffer last = splitter.Next(&arena);
  ASSERT_EQ(last.slices(), 2u);
  EXPECT_EQ(last.slice(1).data(), body.data() + 4);
}

TEST(Splitter, WhatIsSplitJoinsAgain) {
  for (uint32_t piece = 1; piece < 12; piece++) {
    Splitter splitter;
    splitter.set_piece(piece);
    std::vector<std::string> bodies;
    for (uint32_t tag = 0; tag < 20; tag++) {
      bodies.emplace_back(tag, static_cast<char>('a' + tag));
      Add(&splitter, tag, bodies.back());
    }
    base::Arena arena;
    Joiner joiner{Joiner::Bounds{}};
    FrameDecoder decoder(1000);
    size_t whole = 0;
    while (!splitter.empty()) {
      Buffer out = splitter.Next(&arena);
      Frame frame;
      ASSERT_EQ(decoder.Next(&out, &frame), Outcome::kOk);
      ASSERT_LE(frame.body.size(), piece);
      if (joiner.Take(&frame) != Outcome::kOk) continue;
      EXPECT_EQ(frame.body.ToString(), bodies[frame.tag]);
      whole++;
    }
    EXPECT_EQ(whole, 20u);
    EXPECT_TRUE(joiner.empty());
  }
}

}  // namespace
}  // namespace trestle::mux
