// zlib inside a THeader: undone however it comes in pieces, bounded, and refused when it is not
// exactly one stream.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <zlib.h>

#include <algorithm>
#include <vector>

#include "tests/thrift/bytes.h"
#include "thrift/theader.h"

namespace trestle::thrift {
namespace {

using base::Block;
using base::Buffer;
using base::Slice;

constexpr uint32_t kMax = 16'384'000;
constexpr uint32_t kMiB = 1 << 20;

// One Slice with memory of its own for each piece.
Buffer Pieces(std::string_view bytes, size_t piece) {
  Buffer out;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    out.Append(Slice::Copy(bytes.substr(at, piece)));
  }
  return out;
}

std::string Zlib(std::string bytes, uint32_t times = 1) {
  for (; times > 0; times--) bytes = Deflate(Buffer::Copy(bytes)).ToString();
  return bytes;
}

// Bytes that do not get smaller.
std::string Noise(size_t n) {
  std::string out;
  for (uint32_t x = 1; out.size() < n; x = x * 1664525 + 1013904223) {
    out.push_back(static_cast<char>(x >> 24));
  }
  return out;
}

std::vector<std::string> Payloads() {
  return {"",
          "x",
          Hex("80010001 00000004 6563686f 00000008 0b0001 00000028") + std::string(40, 'a') +
              std::string(1, '\0'),
          std::string(65'535, 'a'),
          std::string(65'536, 'b'),
          std::string(65'537, 'c'),
          Noise(100),
          Noise(200'000),
          std::string(kMiB, 'a') + Noise(100) + std::string(kMiB, 'b')};
}

struct Result {
  bool good = false;
  std::string bytes, why;
};

Result Undo(const Buffer& bytes, uint32_t times = 1, uint32_t max = kMax) {
  Buffer out = Buffer::Copy("kept");
  const char* why = "";
  Result result;
  result.good = Inflate(bytes, times, max, &out, &why);
  if (result.good) {
    EXPECT_STREQ(why, "");
    result.bytes = out.ToString();
  } else {
    EXPECT_EQ(out.ToString(), "kept");
    EXPECT_STRNE(why, "");
    result.why = why;
  }
  return result;
}

Result Undo(std::string_view bytes, uint32_t times = 1, uint32_t max = kMax) {
  return Undo(Buffer::Copy(bytes), times, max);
}

TEST(THeaderZlib, WhatThePythonLibraryWroteIsInflated) {
  EXPECT_EQ(Undo(Hex("789c6b60646064606060494dcec807d21cdc60ae462291800100ca29118a")).bytes,
            Hex("80010001 00000004 6563686f 00000008 0b0001 00000028") + std::string(40, 'a') +
                std::string(1, '\0'));
  EXPECT_EQ(Undo(Hex("789c6b52e464494dcec897d0482412300000bd3811b8")).bytes,
            Hex("82210904 6563686f 1828") + std::string(40, 'a') + std::string(1, '\0'));
}

TEST(THeaderZlib, IsUndoneAsOftenAsItWasDone) {
  for (const std::string& payload : Payloads()) {
    for (uint32_t times = 0; times <= kMaxTHeaderTransforms; times++) {
      SCOPED_TRACE(testing::Message() << payload.size() << " bytes, times " << times);
      const std::string zlib = Zlib(payload, times);
      const Result result = Undo(zlib, times);
      EXPECT_TRUE(result.good) << result.why;
      EXPECT_TRUE(result.bytes == payload);
      // Once too often: the payload itself is no stream.
      EXPECT_FALSE(Undo(zlib, times + 1).good);
    }
  }
}

TEST(THeaderZlib, PiecesMakeNoDifference) {
  const std::string payload = Payloads()[2] + Noise(300);
  for (uint32_t times = 1; times <= 3; times++) {
    const std::string zlib = Zlib(payload, times);
    for (size_t piece = 1; piece <= 40; piece++) {
      EXPECT_EQ(Undo(Pieces(zlib, piece), times).bytes, payload) << times << " " << piece;
    }
  }
  const std::string large = Noise(200'000);
  EXPECT_TRUE(Undo(Pieces(Zlib(large), 1)).bytes == large) << "byte by byte";
  EXPECT_TRUE(Deflate(Pieces(large, 7)).ToString() == Zlib(large));
}

TEST(THeaderZlib, EveryPrefixIsCutOff) {
  const std::string payload = Payloads()[2];
  for (uint32_t times = 1; times <= 2; times++) {
    const std::string zlib = Zlib(payload, times);
    for (size_t n = 0; n < zlib.size(); n++) {
      EXPECT_EQ(Undo(zlib.substr(0, n), times).why, "a zlib stream that is cut off") << n;
    }
  }
  // The outer stream is whole, the inner one is not.
  const std::string inner = Zlib(payload);
  for (size_t n = 0; n < inner.size(); n++) {
    EXPECT_EQ(Undo(Zlib(inner.substr(0, n)), 2).why, "a zlib stream that is cut off") << n;
  }
}

TEST(THeaderZlib, BytesBehindAreRefused) {
  for (const std::string& payload : Payloads()) {
    const std::string zlib = Zlib(payload);
    for (const std::string& more : {std::string(1, '\0'), std::string("x"), zlib}) {
      EXPECT_EQ(Undo(zlib + more).why, "bytes behind a zlib stream");
      EXPECT_EQ(Undo(Zlib(zlib + more), 2).why, "bytes behind a zlib stream");
      Buffer apart = Buffer::Copy(zlib);
      apart.Append(Slice::Copy(more));
      EXPECT_EQ(Undo(apart).why, "bytes behind a zlib stream");
    }
  }
}

TEST(THeaderZlib, WhatIsNoStreamIsRefused) {
  const std::string zlib = Zlib("payload");
  const std::string bad[] = {
      "payload",
      Hex("1f8b0800000000000003"),               // gzip
      zlib.substr(2),                            // a raw stream
      Hex("78bb00000001") + zlib.substr(2),      // wants a dictionary
      Hex("789d") + zlib.substr(2),              // the check of the head is wrong
      zlib.substr(0, zlib.size() - 1) + "\x7f",  // that of the bytes
  };
  for (const std::string& bytes : bad) {
    EXPECT_EQ(Undo(bytes).why, "no zlib stream") << testing::PrintToString(bytes);
    EXPECT_EQ(Undo(Pieces(bytes, 1)).why, "no zlib stream");
    EXPECT_EQ(Undo(Zlib(bytes), 2).why, "no zlib stream");
  }
}

// A wrong byte is refused, or harmless.
TEST(THeaderZlib, EveryOneByteCorruptionIsSafe) {
  for (uint32_t times = 1; times <= 2; times++) {
    const std::string payload = Payloads()[2];
    const std::string zlib = Zlib(payload, times);
    for (size_t at = 0; at < zlib.size(); at++) {
      for (int with = 0; with < 256; with++) {
        std::string bad = zlib;
        bad[at] = static_cast<char>(with);
        const Result whole = Undo(bad, times);
        ASSERT_TRUE(!whole.good || whole.bytes == payload) << at << " " << with;
        const Result apart = Undo(Pieces(bad, 3), times);
        ASSERT_EQ(whole.good, apart.good);
      }
    }
  }
}

TEST(THeaderZlib, TheBoundIsExact) {
  for (const std::string& payload : Payloads()) {
    const auto size = static_cast<uint32_t>(payload.size());
    EXPECT_TRUE(Undo(Zlib(payload), 1, size).good) << size;
    EXPECT_TRUE(Undo(Zlib(payload), 1, UINT32_MAX).good) << size;
    EXPECT_TRUE(Undo(payload, 0, size).good) << size;
    if (size == 0) continue;
    EXPECT_EQ(Undo(Zlib(payload), 1, size - 1).why, "zlib that inflates to more than its bound");
    EXPECT_EQ(Undo(Zlib(payload), 1, 0).why, "zlib that inflates to more than its bound");
    EXPECT_EQ(Undo(payload, 0, size - 1).why, "more bytes than their bound");
  }
}

// Work is bounded too: what is large between two times is refused, though little comes of it.
TEST(THeaderZlib, TheBoundHoldsInBetween) {
  std::string blocks = Hex("7801");
  for (int i = 0; i < 1000; i++) blocks += Hex("00 0000 ffff");  // stored, of no bytes
  blocks += Hex("01 0100 feff 78") + Hex("00790079");            // the last, and the check
  ASSERT_EQ(Undo(blocks).bytes, "x");
  const std::string twice = Zlib(blocks);
  const auto between = static_cast<uint32_t>(blocks.size());
  EXPECT_EQ(Undo(twice, 2, between).bytes, "x");
  EXPECT_EQ(Undo(twice, 2, between - 1).why, "zlib that inflates to more than its bound");
}

// A stream of `count` times 1 MiB of zeros; each is about a kilobyte, and all are the same bytes.
Buffer Bomb(uint32_t count) {
  const std::string zeros(kMiB, '\0');
  std::string block(4096, '\0');
  z_stream stream = {};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(zeros.data()));
  stream.avail_in = kMiB;
  stream.next_out = reinterpret_cast<Bytef*>(block.data());
  stream.avail_out = static_cast<uInt>(block.size());
  EXPECT_EQ(deflate(&stream, Z_FULL_FLUSH), Z_OK);
  EXPECT_GT(stream.avail_out, 0u) << "all of it was written";
  block.resize(block.size() - stream.avail_out);
  deflateEnd(&stream);
  const uLong one = adler32(1, reinterpret_cast<const Bytef*>(zeros.data()), kMiB);
  uLong check = 1;
  for (uint32_t i = 0; i < count; i++) check = adler32_combine(check, one, kMiB);
  Buffer out = Buffer::Copy(Hex("78da"));
  const Slice slice = Slice::Copy(block);
  for (uint32_t i = 0; i < count; i++) out.Append(slice);
  std::string end = Hex("01 0000 ffff");
  for (int shift = 24; shift >= 0; shift -= 8) end.push_back(static_cast<char>(check >> shift));
  out.Append(Slice::Copy(end));
  return out;
}

// The most memory that the process ever had, in bytes.
int64_t Peak() {
  struct rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

TEST(THeaderZlib, ABombIsRefusedAtTheBound) {
  ASSERT_EQ(Undo(Bomb(3)).bytes, std::string(3 * kMiB, '\0')) << "it is a good stream";
  const Buffer bomb = Bomb(1024);
  ASSERT_LT(bomb.size(), 2u * kMiB);
  const Buffer nested = Deflate(bomb);
  ASSERT_LT(nested.size(), 64u * 1024);
  const size_t held = Block::BytesOnThread();
  const int64_t before = Peak();
  EXPECT_EQ(Undo(bomb).why, "zlib that inflates to more than its bound");
  EXPECT_EQ(Undo(nested, 2).why, "zlib that inflates to more than its bound");
  EXPECT_EQ(Undo(Deflate(nested), 3).why, "zlib that inflates to more than its bound");
  EXPECT_EQ(Block::BytesOnThread(), held);
  EXPECT_LT(Peak() - before, int64_t{256} * kMiB) << "of the 1024 MiB that it says it is";
}

// What the result holds on to is about as much as it is.
TEST(THeaderZlib, TheResultHoldsNoMoreThanItIs) {
  for (const std::string& payload : Payloads()) {
    const Buffer zlib = Buffer::Copy(Zlib(payload));
    const size_t held = Block::BytesOnThread();
    Buffer out;
    const char* why = "";
    ASSERT_TRUE(Inflate(zlib, 1, kMax, &out, &why)) << why;
    EXPECT_LE(Block::BytesOnThread() - held, std::max<size_t>(512, out.size() + 64 * 1024));
    if (payload.size() < 100) {
      EXPECT_LE(Block::BytesOnThread() - held, 512u);
    }
    for (uint32_t i = 0; i < out.slices(); i++) {
      EXPECT_LE(out.slice(i).block()->capacity(), 64u * 1024);
    }
    const Buffer again = Deflate(out);
    for (uint32_t i = 0; i < again.slices(); i++) {
      EXPECT_LE(again.slice(i).block()->capacity(), 64u * 1024);
    }
    EXPECT_TRUE(again.ToString() == zlib.ToString());
    out.Clear();
  }
}

TEST(THeaderZlib, ZeroTimesIsTheSameBytes) {
  const Buffer bytes = Buffer::Copy("payload");
  Buffer out;
  const char* why = "";
  ASSERT_TRUE(Inflate(bytes, 0, kMax, &out, &why));
  EXPECT_EQ(out.slice(0).data(), bytes.slice(0).data()) << "no copy";
}

}  // namespace
}  // namespace trestle::thrift
