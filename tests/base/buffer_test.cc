#include "base/buffer.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace trestle::base {
namespace {

// Bytes whose Slices have `size` bytes each, so that no two of them can join.
Buffer Pieces(std::string_view bytes, size_t size) {
  Buffer out;
  for (size_t at = 0; at < bytes.size(); at += size) {
    out.Append(Slice::Copy(bytes.substr(at, size)));
  }
  return out;
}

TEST(Block, CountsItsUsersAndBytes) {
  size_t before = Block::BytesOnThread();
  Block* block = Block::New(1000);
  EXPECT_EQ(block->capacity(), 1000u);
  EXPECT_EQ(Block::BytesOnThread(), before + 1000);
  EXPECT_TRUE(block->alone());
  {
    Slice slice(block, block->data(), 10);
    EXPECT_FALSE(block->alone());
    Slice copy = slice;
    Slice moved = std::move(slice);
    EXPECT_EQ(slice.size(), 0u);
    EXPECT_EQ(slice.block(), nullptr);
    EXPECT_EQ(copy.data(), moved.data());
  }
  EXPECT_TRUE(block->alone());
  block->Unref();
  EXPECT_EQ(Block::BytesOnThread(), before);
}

TEST(Block, SmallOnesAreTakenFromAFreeList) {
  size_t before = Block::BytesOnThread();
  Block* first = Block::New(1);
  EXPECT_GE(first->capacity(), 1u);
  std::memset(first->data(), 'x', first->capacity());
  first->Unref();
  EXPECT_EQ(Block::BytesOnThread(), before);
  Block* second = Block::New(2);
  EXPECT_EQ(first, second);
  EXPECT_TRUE(second->alone());
  second->Unref();
  // More than the list keeps.
  std::vector<Block*> many;
  for (int i = 0; i < 1000; i++) many.push_back(Block::New(16));
  for (Block* block : many) block->Unref();
  EXPECT_EQ(Block::BytesOnThread(), before);
}

TEST(Block, SpareOnesOfTheFreeListGoBackToTheSystem) {
  Block::FreeSpare();
  Block::FreeSpare();  // those that earlier tests left
  EXPECT_EQ(Block::FreeSpare(), 0u);
  const uint32_t large = Arena::kBlockBytes;
  Block* blocks[] = {Block::New(large), Block::New(large), Block::New(large)};
  for (Block* block : blocks) block->Unref();
  EXPECT_EQ(Block::FreeSpare(), 0u) << "they were in use a moment ago";
  Block::New(large)->Unref();  // one is needed
  EXPECT_EQ(Block::FreeSpare(), 2 * large);
  EXPECT_EQ(Block::FreeSpare(), large);
  EXPECT_EQ(Block::FreeSpare(), 0u);
}

TEST(Buffer, EmptyOne) {
  Buffer buffer;
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.slices(), 0u);
  EXPECT_EQ(buffer.ToString(), "");
  EXPECT_EQ(buffer.Front(0), nullptr);
  buffer.TrimFront(0);
  EXPECT_TRUE(buffer.Split(0).empty());
  EXPECT_TRUE(buffer.Share().empty());
  buffer.Compact();
  buffer.Append(Slice());
  buffer.Prepend(Slice());
  buffer.Append(Buffer());
  EXPECT_EQ(buffer.slices(), 0u);
  EXPECT_EQ(buffer.Iovecs(nullptr, 0), 0);
  EXPECT_EQ(buffer.CopyOut(0, nullptr, 0), 0u);
}

TEST(Buffer, CopyOfNothing) {
  Buffer buffer = Buffer::Copy("");
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.slices(), 0u);
}

TEST(Buffer, NeighboursInOneBlockJoin) {
  Block* block = Block::New(10);
  std::memcpy(block->data(), "0123456789", 10);
  Buffer buffer;
  buffer.Append(Slice(block, block->data(), 4));
  buffer.Append(Slice(block, block->data() + 4, 6));
  EXPECT_EQ(buffer.slices(), 1u);
  EXPECT_EQ(buffer.ToString(), "0123456789");
  buffer.Append(Slice(block, block->data(), 2));
  EXPECT_EQ(buffer.slices(), 2u);
  EXPECT_EQ(buffer.ToString(), "012345678901");
  block->Unref();
}

TEST(Buffer, AppendTakesAllOfTheOther) {
  Buffer a = Pieces("abcdef", 2);
  Buffer b = Pieces("ghijkl", 1);
  a.Append(std::move(b));
  EXPECT_EQ(a.ToString(), "abcdefghijkl");
  EXPECT_EQ(b.size(), 0u);
  EXPECT_EQ(b.slices(), 0u);
  b.Append(Slice::Copy("again"));
  EXPECT_EQ(b.ToString(), "again");
}

TEST(Buffer, PrependKeepsTheOrder) {
  Buffer buffer;
  std::string expected;
  for (int i = 0; i < 50; i++) {
    std::string piece = std::to_string(i) + ",";
    buffer.Prepend(Slice::Copy(piece));
    expected = piece + expected;
    EXPECT_EQ(buffer.ToString(), expected);
  }
}

TEST(Buffer, SplitAtEveryPlace) {
  const std::string bytes = "The quick brown fox jumps over the lazy dog";
  for (size_t piece : {1, 2, 3, 7, 100}) {
    for (size_t n = 0; n <= bytes.size(); n++) {
      Buffer rest = Pieces(bytes, piece);
      Buffer head = rest.Split(n);
      EXPECT_EQ(head.ToString(), bytes.substr(0, n));
      EXPECT_EQ(rest.ToString(), bytes.substr(n));
      EXPECT_EQ(head.size() + rest.size(), bytes.size());
    }
  }
}

TEST(Buffer, SplitMovesNoBytes) {
  Buffer rest = Buffer::Copy("headbody");
  char* data = rest.slice(0).data();
  Buffer head = rest.Split(4);
  EXPECT_EQ(head.slice(0).data(), data);
  EXPECT_EQ(rest.slice(0).data(), data + 4);
  head.Append(std::move(rest));
  EXPECT_EQ(head.slices(), 1u);  // they join again
}

TEST(Buffer, TrimFrontAtEveryPlace) {
  const std::string bytes = "0123456789";
  for (size_t piece : {1, 3, 10}) {
    for (size_t n = 0; n <= bytes.size(); n++) {
      Buffer buffer = Pieces(bytes, piece);
      buffer.TrimFront(n);
      EXPECT_EQ(buffer.ToString(), bytes.substr(n));
    }
  }
}

TEST(Buffer, FrontInOnePieceIsWrittenInPlace) {
  Buffer buffer = Buffer::Copy("seqid");
  char* data = buffer.slice(0).data();
  EXPECT_EQ(buffer.Front(5), data);
  buffer.Front(5)[0] = 'S';
  EXPECT_EQ(buffer.ToString(), "Seqid");
}

TEST(Buffer, FrontGathersPieces) {
  Buffer buffer = Pieces("abcdefgh", 3);
  char* front = buffer.Front(7);
  EXPECT_EQ(std::string(front, 7), "abcdefg");
  std::memcpy(front, "ABCDEFG", 7);
  EXPECT_EQ(buffer.ToString(), "ABCDEFGh");
  EXPECT_EQ(buffer.size(), 8u);
}

TEST(Buffer, ShareSeesTheSameBytes) {
  Buffer buffer = Pieces("shared bytes", 5);
  Buffer other = buffer.Share();
  EXPECT_EQ(other.slice(0).data(), buffer.slice(0).data());
  buffer.Clear();
  EXPECT_EQ(other.ToString(), "shared bytes");
}

TEST(Buffer, CopyOutFromEveryPlace) {
  const std::string bytes = "abcdefghij";
  Buffer buffer = Pieces(bytes, 3);
  for (size_t at = 0; at <= bytes.size() + 1; at++) {
    for (size_t n = 0; n <= bytes.size() + 1; n++) {
      std::string out(n, '?');
      size_t got = buffer.CopyOut(at, out.data(), n);
      std::string expected = at < bytes.size() ? bytes.substr(at, n) : "";
      EXPECT_EQ(out.substr(0, got), expected);
    }
  }
}

TEST(Buffer, CompactLetsGoOfLargeBlocks) {
  size_t before = Block::BytesOnThread();
  Buffer buffer;
  {
    Buffer read = Buffer::Copy(std::string(64 * 1024, 'x') + "tail");
    read.TrimFront(64 * 1024);
    buffer = std::move(read);
  }
  EXPECT_GT(Block::BytesOnThread(), before + 64 * 1024);
  buffer.Compact();
  EXPECT_LE(Block::BytesOnThread(), before + 1024);
  EXPECT_EQ(buffer.ToString(), "tail");
  EXPECT_EQ(buffer.slices(), 1u);
}

TEST(Buffer, CompactLeavesWhatFits) {
  Buffer buffer = Buffer::Copy(std::string(4000, 'y'));
  char* data = buffer.slice(0).data();
  buffer.Compact();
  EXPECT_EQ(buffer.slice(0).data(), data);
}

TEST(Buffer, IovecsFromTheFrontUpToTheMost) {
  Buffer buffer = Pieces("aabbccd", 2);
  struct iovec vecs[8];
  EXPECT_EQ(buffer.Iovecs(vecs, 0), 0);
  EXPECT_EQ(buffer.Iovecs(vecs, 3), 3);
  ASSERT_EQ(buffer.Iovecs(vecs, 8), 4);
  std::string seen;
  for (int i = 0; i < 4; i++) {
    seen.append(static_cast<char*>(vecs[i].iov_base), vecs[i].iov_len);
  }
  EXPECT_EQ(seen, "aabbccd");
}

TEST(Buffer, MovesInlineAndGrown) {
  for (size_t piece : {1, 4, 16}) {
    Buffer from = Pieces("0123456789abcdef", piece);
    Buffer to(std::move(from));
    EXPECT_EQ(to.ToString(), "0123456789abcdef");
    EXPECT_TRUE(from.empty());
    Buffer third = Pieces("old bytes", 2);
    third = std::move(to);
    EXPECT_EQ(third.ToString(), "0123456789abcdef");
    EXPECT_TRUE(to.empty());
    Buffer& same = third;
    third = std::move(same);
    EXPECT_EQ(third.ToString(), "0123456789abcdef");
    from.Append(Slice::Copy("usable"));
    EXPECT_EQ(from.ToString(), "usable");
  }
}

TEST(Arena, GivesRoomFrontToBack) {
  Arena arena(100);
  uint32_t room = 0;
  char* first = arena.Room(10, &room);
  EXPECT_EQ(room, 512u);  // small Blocks have one size
  std::memcpy(first, "hello", 5);
  Slice hello = arena.Commit(5);
  EXPECT_EQ(hello.view(), "hello");
  EXPECT_EQ(arena.Room(10, &room), first + 5);
  EXPECT_EQ(room, 507u);
}

TEST(Arena, StartsAgainOnceNobodyPointsIntoTheBlock) {
  Arena arena(4096);
  uint32_t room = 0;
  char* first = arena.Room(1, &room);
  Slice slice = arena.Commit(1000);
  EXPECT_EQ(arena.Room(1, &room), first + 1000);
  slice = Slice();
  EXPECT_EQ(arena.Room(1, &room), first);
  EXPECT_EQ(room, 4096u);
}

TEST(Arena, TakesAnotherBlockWhenThereIsTooLittleRoom) {
  Arena arena(4096);
  Slice first = arena.Allot(4000);
  std::memset(first.data(), 'a', 4000);
  Slice second = arena.Allot(200);
  EXPECT_NE(first.block(), second.block());
  std::memset(second.data(), 'b', 200);
  EXPECT_EQ(first.view(), std::string(4000, 'a'));
}

TEST(Arena, AllotsMoreThanABlock) {
  Arena arena(1024);
  Slice large = arena.Allot(5000);
  EXPECT_EQ(large.size(), 5000u);
  std::memset(large.data(), 'l', 5000);
  EXPECT_EQ(arena.Allot(10).size(), 10u);
}

TEST(Arena, TrimGivesTheBlockBack) {
  size_t before = Block::BytesOnThread();
  {
    Arena arena(4096);
    Slice slice = arena.Allot(10);
    arena.Trim();  // somebody points into it
    EXPECT_EQ(Block::BytesOnThread(), before + 4096);
    slice = Slice();
    arena.Trim();
    EXPECT_EQ(Block::BytesOnThread(), before);
    arena.Trim();
    EXPECT_EQ(arena.Allot(10).size(), 10u);
  }
  EXPECT_EQ(Block::BytesOnThread(), before);
}

TEST(Buffer, AnEmptiedOneKeepsNoMemoryOfABurst) {
  auto heap = [] { return mallinfo2().uordblks; };
  size_t before = heap();
  auto probe = std::make_unique<char[]>(100'000);
  if (heap() < before + 100'000) GTEST_SKIP() << "the allocator does not tell what is in use";
  probe.reset();
  { Pieces(std::string(1000, 'x'), 1); }  // fills the free list of Blocks
  before = heap();
  Buffer cleared = Pieces(std::string(1000, 'x'), 1);
  cleared.Clear();
  Buffer trimmed = Pieces(std::string(1000, 'x'), 1);
  trimmed.TrimFront(1000);
  EXPECT_LT(heap(), before + 1000);
}

}  // namespace
}  // namespace trestle::base
