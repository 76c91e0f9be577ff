// Walker: the same end and the same verdict as SkipStruct, wherever the bytes are cut.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"
#include "tests/thrift/bytes.h"
#include "tests/thrift/structs.h"
#include "thrift/walk.h"
#include "thrift/writer.h"

namespace trestle::thrift {
namespace {

struct Walk {
  DecodeResult result{Outcome::kNeedMore};
  size_t size = 0;
};

// Feeds pieces that end where the memory does.
Walk FeedPieces(Walker* walker, std::string_view bytes, const std::vector<size_t>& cuts) {
  Walk walk;
  size_t from = 0;
  for (const size_t cut : cuts) {
    const Exact piece(bytes.substr(from, cut - from));
    size_t used = 0;
    walk.result = walker->Feed(piece.view(), &used);
    walk.size += used;
    if (walk.result.outcome != Outcome::kNeedMore) break;
    EXPECT_EQ(used, cut - from) << "all of a piece belongs to the struct";
    from = cut;
  }
  return walk;
}

Walk FeedWhole(Protocol protocol, std::string_view bytes) {
  Walker walker(protocol);
  return FeedPieces(&walker, bytes, {bytes.size()});
}

Walk FeedSingly(Protocol protocol, std::string_view bytes) {
  std::vector<size_t> cuts;
  for (size_t i = 1; i <= bytes.size(); i++) cuts.push_back(i);
  Walker walker(protocol);
  return FeedPieces(&walker, bytes, cuts);
}

// What must hold for any bytes: the walker takes what SkipStruct takes, and refuses what it
// refuses. It may refuse where SkipStruct waits: that one first wants a list's bytes at hand.
void ExpectLikeSkipStruct(Protocol protocol, std::string_view bytes, const Walk& walk) {
  uint32_t size = 0;
  const DecodeResult want = SkipStruct(protocol, bytes, &size);
  if (want.outcome == Outcome::kOk || walk.result.outcome == Outcome::kOk) {
    ASSERT_EQ(walk.result.outcome, want.outcome) << walk.result.why << want.why;
    ASSERT_EQ(walk.size, size);
  } else if (want.outcome == Outcome::kMalformed) {
    ASSERT_EQ(walk.result.outcome, Outcome::kMalformed) << want.why;
  }
}

TEST(Walker, FindsTheEnd) {
  for (const Struct& s : kStructs) {
    SCOPED_TRACE(std::string(ProtocolName(s.protocol)) + " " + s.about);
    const std::string bytes = Hex(s.hex);
    for (const std::string& behind : {std::string(), std::string("\x80\x01\x00\x01", 4)}) {
      for (const Walk& walk :
           {FeedWhole(s.protocol, bytes + behind), FeedSingly(s.protocol, bytes + behind)}) {
        EXPECT_EQ(walk.result.outcome, Outcome::kOk) << walk.result.why;
        EXPECT_EQ(walk.size, bytes.size());
      }
    }
  }
}

TEST(Walker, EveryPairOfCuts) {
  for (const Struct& s : kStructs) {
    SCOPED_TRACE(std::string(ProtocolName(s.protocol)) + " " + s.about);
    const std::string bytes = Hex(s.hex);
    Walker walker(s.protocol);
    for (size_t first = 0; first <= bytes.size(); first++) {
      for (size_t second = first; second <= bytes.size(); second++) {
        walker.Reset();
        const Walk walk = FeedPieces(&walker, bytes + "x", {first, second, bytes.size() + 1});
        ASSERT_EQ(walk.result.outcome, Outcome::kOk) << first << " " << second;
        ASSERT_EQ(walk.size, bytes.size());
      }
    }
  }
}

TEST(Walker, EveryPrefixAsksForMore) {
  for (const Struct& s : kStructs) {
    const std::string bytes = Hex(s.hex);
    for (size_t n = 0; n < bytes.size(); n++) {
      for (const Walk& walk : {FeedWhole(s.protocol, bytes.substr(0, n)),
                               FeedSingly(s.protocol, bytes.substr(0, n))}) {
        EXPECT_EQ(walk.result.outcome, Outcome::kNeedMore) << s.about << " " << walk.result.why;
        EXPECT_EQ(walk.size, n);
      }
    }
  }
}

TEST(Walker, EveryOneByteCorruptionIsSafe) {
  for (const Struct& s : kStructs) {
    SCOPED_TRACE(std::string(ProtocolName(s.protocol)) + " " + s.about);
    const std::string good = Hex(s.hex);
    for (size_t at = 0; at < good.size(); at++) {
      for (int with = 0; with < 256; with++) {
        std::string bad = good;
        bad[at] = static_cast<char>(with);
        const Walk whole = FeedWhole(s.protocol, bad);
        const Walk singly = FeedSingly(s.protocol, bad);
        ExpectLikeSkipStruct(s.protocol, bad, whole);
        ASSERT_EQ(singly.result.outcome, whole.result.outcome) << at << " " << with;
        ASSERT_STREQ(singly.result.why, whole.result.why);
        if (whole.result.outcome != Outcome::kMalformed) {
          ASSERT_EQ(singly.size, whole.size);
        }
      }
    }
  }
}

TEST(Walker, SaysWhyOneIsMalformed) {
  for (const BadStruct& bad : kBadStructs) {
    SCOPED_TRACE(std::string(ProtocolName(bad.protocol)) + " " + bad.about);
    const std::string bytes = Hex(bad.hex);
    for (const Walk& walk : {FeedWhole(bad.protocol, bytes), FeedSingly(bad.protocol, bytes)}) {
      EXPECT_EQ(walk.result.outcome, Outcome::kMalformed);
      EXPECT_THAT(walk.result.why, testing::HasSubstr(bad.why));
    }
  }
}

TEST(Walker, MalformedIsFinal) {
  Walker walker(kBinary);
  size_t used = 0;
  EXPECT_EQ(walker.Feed("\x01", &used).outcome, Outcome::kMalformed);
  const DecodeResult again = walker.Feed(std::string_view("\0", 1), &used);
  EXPECT_EQ(again.outcome, Outcome::kMalformed);
  EXPECT_STREQ(again.why, "a field of unknown type");
  EXPECT_EQ(used, 0u);
  walker.Reset();
  EXPECT_EQ(walker.Feed(std::string_view("\0", 1), &used).outcome, Outcome::kOk);
  EXPECT_EQ(walker.Feed(std::string_view("\0", 1), &used).outcome, Outcome::kOk);
  EXPECT_EQ(used, 0u) << "an ended struct takes nothing more";
}

TEST(Walker, NoBytesChangeNothing) {
  Walker walker(kCompact);
  const std::string bytes = Hex("1c 18 02 6869 19 25 01 8001 00 00");
  size_t used = 9;
  for (const char c : bytes.substr(0, bytes.size() - 1)) {
    EXPECT_EQ(walker.Feed({}, &used).outcome, Outcome::kNeedMore);
    EXPECT_EQ(used, 0u);
    EXPECT_EQ(walker.Feed({&c, 1}, &used).outcome, Outcome::kNeedMore);
  }
  EXPECT_EQ(walker.Feed({&bytes.back(), 1}, &used).outcome, Outcome::kOk);
}

TEST(Walker, DepthIsBounded) {
  for (const auto& [protocol, head] : {std::pair{kBinary, "0c0001"}, std::pair{kCompact, "1c"}}) {
    EXPECT_EQ(FeedSingly(protocol, Nested(head, kMaxDepth)).result.outcome, Outcome::kOk);
    EXPECT_STREQ(FeedSingly(protocol, Nested(head, kMaxDepth + 1)).result.why,
                 "nested over 64 deep");
    EXPECT_STREQ(FeedWhole(protocol, Nested(head, 100'000)).result.why, "nested over 64 deep");
  }
}

// Containers of every kind count: each head holds one element, the next container.
TEST(Walker, DepthOfContainersIsBounded) {
  const std::pair<Protocol, std::pair<const char*, const char*>> kKinds[] = {
      {kBinary, {"0f0001", "0f00000001"}},
      {kBinary, {"0e0001", "0e00000001"}},
      {kBinary, {"0d0001", "030d0000000101"}},
      {kCompact, {"19", "19"}},
      {kCompact, {"1a", "1a"}},
      {kCompact, {"1b", "013b01"}},
  };
  for (const auto& [protocol, kind] : kKinds) {
    for (const int depth : {kMaxDepth - 2, kMaxDepth - 1}) {
      std::string bytes = Hex(kind.first);
      for (int i = 0; i < depth; i++) bytes += Hex(kind.second);
      const Walk walk = FeedWhole(protocol, bytes);
      EXPECT_EQ(walk.result.outcome,
                depth == kMaxDepth - 1 ? Outcome::kMalformed : Outcome::kNeedMore)
          << kind.second << " " << walk.result.why;
      ExpectLikeSkipStruct(protocol, bytes, walk);
    }
  }
}

// Sizes that are only counted: nothing of them needs to be held.
TEST(Walker, LongRunsAreCountedNotLookedAt) {
  const std::string piece(1 << 20, '\x55');
  const std::pair<const char*, uint64_t> kRuns[] = {
      {"0f0001 0a 00100000", 8u << 20},    {"0e0001 10 00010000", 16u << 16},
      {"0d0001 08 0a 00010000", 12 << 16}, {"0b0001 00300000", 3u << 20},
      {"0d0001 02 10 00010000", 17 << 16},
  };
  for (const auto& [hex, bytes] : kRuns) {
    Walker walker(kBinary);
    size_t used = 0;
    ASSERT_EQ(walker.Feed(Hex(hex), &used).outcome, Outcome::kNeedMore) << hex;
    for (uint64_t left = bytes; left > 0; left -= used) {
      const DecodeResult result = walker.Feed(std::string_view(piece).substr(0, left), &used);
      ASSERT_EQ(result.outcome, Outcome::kNeedMore) << hex << result.why;
    }
    EXPECT_EQ(walker.Feed(std::string_view("\0x", 2), &used).outcome, Outcome::kOk) << hex;
    EXPECT_EQ(used, 1u);
  }
}

// 2^31 - 1 elements of 16 bytes do not fit 32 bits: they must not be taken for few.
TEST(Walker, ProductsDoNotWrap) {
  for (const char* hex : {"0f0001 10 10000000", "0f0001 0a 20000000", "0d0001 10 10 08000000",
                          "0d0001 0b 0b 7fffffff"}) {
    const Walk walk = FeedWhole(kBinary, Hex(hex));
    EXPECT_EQ(walk.result.outcome, Outcome::kMalformed) << hex;
    EXPECT_STREQ(walk.result.why, kOverBound);
  }
}

TEST(Walker, ALimitIsKeptAsSoonAsItIsKnown) {
  for (const Struct& s : kStructs) {
    SCOPED_TRACE(std::string(ProtocolName(s.protocol)) + " " + s.about);
    const std::string bytes = Hex(s.hex);
    for (uint32_t limit = 0; limit <= bytes.size(); limit++) {
      const bool fits = limit == bytes.size();
      for (size_t piece : {size_t{1}, size_t{2}, bytes.size()}) {
        Walker walker(s.protocol, limit);
        Walk walk;
        for (size_t at = 0; walk.result.outcome == Outcome::kNeedMore && at < bytes.size();) {
          size_t used = 0;
          walk.result = walker.Feed(std::string_view(bytes).substr(at, piece), &used);
          at += piece;
          if (!fits && at >= limit) {
            ASSERT_EQ(walk.result.outcome, Outcome::kMalformed) << "known when it is reached";
          }
        }
        EXPECT_EQ(walk.result.outcome, fits ? Outcome::kOk : Outcome::kMalformed) << limit;
        EXPECT_STREQ(walk.result.why, fits ? "" : kOverBound);
      }
    }
  }
}

TEST(Walker, ALimitRefusesSizesBeforeTheirBytes) {
  const std::pair<Protocol, const char*> kHeads[] = {
      {kBinary, "0b0001 00000100"},    {kBinary, "0f0001 0a 00000020"},
      {kBinary, "0f0001 0c 00000100"}, {kBinary, "0d0001 0b 0b 00000080"},
      {kCompact, "18 8002"},           {kCompact, "19 fc 8002"},
      {kCompact, "1b 8001 88"},
  };
  for (const auto& [protocol, hex] : kHeads) {
    const std::string bytes = Hex(hex);
    size_t used = 0;
    const auto limit = static_cast<uint32_t>(bytes.size() + 255);
    EXPECT_STREQ(Walker(protocol, limit).Feed(bytes, &used).why, kOverBound) << hex;
    EXPECT_EQ(Walker(protocol, limit + 1).Feed(bytes, &used).outcome, Outcome::kNeedMore) << hex;
  }
}

// Numbers of all lengths, many at once and one by one.
TEST(Walker, CompactListsOfNumbers) {
  base::SeededRandom random(3);
  for (int round = 0; round < 200; round++) {
    const uint32_t count = 15 + random.Below(60);
    std::string bytes = Hex("19 f6") + static_cast<char>(count);
    for (uint32_t i = 0; i < count; i++) {
      const uint32_t length = random.Below(4) ? 1 : 1 + random.Below(10);
      for (uint32_t n = 1; n < length; n++) bytes.push_back(static_cast<char>(0x80 | n));
      bytes.push_back('\1');
    }
    bytes.push_back('\0');
    for (size_t piece = 1; piece < 30; piece += 4) {
      std::vector<size_t> cuts;
      for (size_t at = piece; at < bytes.size(); at += piece) cuts.push_back(at);
      cuts.push_back(bytes.size());
      Walker walker(kCompact);
      const Walk walk = FeedPieces(&walker, bytes, cuts);
      ASSERT_EQ(walk.result.outcome, Outcome::kOk) << walk.result.why;
      ASSERT_EQ(walk.size, bytes.size());
    }
  }
}

TEST(Walker, RandomBytesInRandomPieces) {
  base::SeededRandom random(11);
  constexpr char kLikely[] = "\0\1\2\3\x08\x0a\x0b\x0c\x0d\x0e\x0f\x19\x1b\x1c\x00\x80";
  int ended = 0;
  for (int round = 0; round < 20'000; round++) {
    std::string bytes(1 + random.Below(40), '\0');
    for (char& c : bytes) {
      c = random.Below(8) ? kLikely[random.Below(16)] : static_cast<char>(random.Next());
    }
    const Protocol protocol = round % 2 ? kBinary : kCompact;
    std::vector<size_t> cuts;
    for (size_t at = 0; at < bytes.size();) {
      at = std::min<size_t>(bytes.size(), at + random.Below(7));
      cuts.push_back(at);
    }
    Walker walker(protocol);
    const Walk cut = FeedPieces(&walker, bytes, cuts);
    const Walk whole = FeedWhole(protocol, bytes);
    ASSERT_EQ(cut.result.outcome, whole.result.outcome);
    ASSERT_STREQ(cut.result.why, whole.result.why);
    ExpectLikeSkipStruct(protocol, bytes, cut);
    ended += whole.result.outcome == Outcome::kOk && whole.size > 3;
  }
  EXPECT_GT(ended, 500) << "some must be more than an empty struct";
}

TEST(Walker, IsSmall) { EXPECT_LE(sizeof(Walker), 640u); }

}  // namespace
}  // namespace trestle::thrift
