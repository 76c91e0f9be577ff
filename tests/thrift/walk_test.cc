#include "thrift/walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/thrift/bytes.h"
#include "tests/thrift/structs.h"

namespace trestle::thrift {
namespace {

using ::testing::HasSubstr;

TEST(SkipStruct, FindsTheEnd) {
  for (const Struct& s : kStructs) {
    const std::string hex = Hex(s.hex);
    for (const std::string& behind : {std::string(), std::string("\x80\x01\x00\x01", 4)}) {
      const Exact bytes(hex + behind);
      uint32_t size = 0;
      const DecodeResult result = SkipStruct(s.protocol, bytes.view(), &size);
      EXPECT_EQ(result.outcome, Outcome::kOk) << s.about << ": " << result.why;
      EXPECT_EQ(size, hex.size()) << ProtocolName(s.protocol) << " " << s.about;
    }
  }
}

TEST(SkipStruct, EveryPrefixAsksForMore) {
  for (const Struct& s : kStructs) {
    const std::string hex = Hex(s.hex);
    for (size_t n = 0; n < hex.size(); n++) {
      const Exact prefix(hex.substr(0, n));
      uint32_t size = 0;
      const DecodeResult result = SkipStruct(s.protocol, prefix.view(), &size);
      EXPECT_EQ(result.outcome, Outcome::kNeedMore)
          << ProtocolName(s.protocol) << " " << s.about << " at " << n << ": " << result.why;
    }
  }
}

TEST(SkipStruct, EveryOneByteCorruptionIsSafe) {
  for (const Struct& s : kStructs) {
    const std::string hex = Hex(s.hex);
    for (size_t at = 0; at < hex.size(); at++) {
      for (int with = 0; with < 256; with++) {
        std::string bad = hex;
        bad[at] = static_cast<char>(with);
        const Exact bytes(bad);
        uint32_t size = 0;
        const DecodeResult result = SkipStruct(s.protocol, bytes.view(), &size);
        if (result.outcome == Outcome::kOk) {
          ASSERT_GT(size, 0u);
          ASSERT_LE(size, bad.size());
          ASSERT_EQ(bad[size - 1], '\0') << "a struct ends with its stop byte";
        }
      }
    }
  }
}

TEST(SkipStruct, SaysWhyOneIsMalformed) {
  for (const BadStruct& bad : kBadStructs) {
    const Exact bytes(Hex(bad.hex));
    uint32_t size = 0;
    const DecodeResult result = SkipStruct(bad.protocol, bytes.view(), &size);
    EXPECT_EQ(result.outcome, Outcome::kMalformed)
        << ProtocolName(bad.protocol) << " " << bad.about;
    EXPECT_THAT(result.why, HasSubstr(bad.why)) << bad.about;
  }
}

// A great count with no bytes behind it is known at once: nothing is looped over or reserved.
TEST(SkipStruct, CountsAreBelievedOnlyWithBytesBehindThem) {
  for (const char* hex : {"0f0001 0c 7ffffff0", "0d0001 0c 0c 3ffffff0", "0e0001 02 7ffffff0"}) {
    uint32_t size = 0;
    EXPECT_EQ(SkipStruct(kBinary, Hex(hex), &size).outcome, Outcome::kNeedMore) << hex;
  }
}

TEST(SkipStruct, DepthIsBounded) {
  uint32_t size = 0;
  for (const auto& [protocol, head] : {std::pair{kBinary, "0c0001"}, std::pair{kCompact, "1c"}}) {
    EXPECT_EQ(SkipStruct(protocol, Nested(head, kMaxDepth), &size).outcome, Outcome::kOk);
    const DecodeResult deep = SkipStruct(protocol, Nested(head, kMaxDepth + 1), &size);
    EXPECT_EQ(deep.outcome, Outcome::kMalformed);
    EXPECT_STREQ(deep.why, "nested over 64 deep");
    EXPECT_EQ(SkipStruct(protocol, Nested(head, 100'000), &size).outcome, Outcome::kMalformed);
  }
}

// Lists of lists count as depth too: a megabyte of them must not eat the stack.
TEST(SkipStruct, DepthOfContainersIsBounded) {
  std::string binary = Hex("0f0001");
  std::string compact = Hex("19");
  std::string maps = Hex("1b");
  for (int i = 0; i < 100'000; i++) {
    binary += Hex("0f 00000001");
    compact += Hex("19");
    maps += Hex("01 3b 00");
  }
  uint32_t size = 0;
  EXPECT_STREQ(SkipStruct(kBinary, binary, &size).why, "nested over 64 deep");
  EXPECT_STREQ(SkipStruct(kCompact, compact, &size).why, "nested over 64 deep");
  EXPECT_STREQ(SkipStruct(kCompact, maps, &size).why, "nested over 64 deep");
}

}  // namespace
}  // namespace trestle::thrift
