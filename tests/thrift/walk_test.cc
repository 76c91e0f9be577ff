#include "thrift/walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/thrift/bytes.h"

namespace trestle::thrift {
namespace {

using ::testing::HasSubstr;

constexpr Protocol kBinary = Protocol::kBinary;
constexpr Protocol kCompact = Protocol::kCompact;

struct Struct {
  const char* about;
  Protocol protocol;
  const char* hex;
};

constexpr Struct kStructs[] = {
    {"no field", kBinary, "00"},
    {"bool, byte, double", kBinary, "020001 01 030002 ff 040003 0123456789abcdef 00"},
    {"i16, i32, i64", kBinary, "060001 1234 08ffff 12345678 0a7fff 123456789abcdef0 00"},
    {"string and uuid", kBinary, "0b0001 00000002 6869 100002 00112233445566778899aabbccddeeff 00"},
    {"empty string", kBinary, "0b0001 00000000 00"},
    {"struct in struct", kBinary, "0c0001 0c0002 020003 00 00 00 00"},
    {"list of i32", kBinary, "0f0001 08 00000002 00000001 00000002 00"},
    {"set of strings", kBinary, "0e0001 0b 00000002 00000001 61 00000000 00"},
    {"empty list that names no type", kBinary, "0f0001 00 00000000 00"},
    {"list of lists", kBinary, "0f0001 0f 00000002 02 00000001 01 03 00000000 00"},
    {"list of structs", kBinary, "0f0001 0c 00000002 00 020001 01 00 00"},
    {"map", kBinary, "0d0001 0b 08 00000001 00000001 61 00000007 00"},
    {"map of maps", kBinary, "0d0001 03 0d 00000001 05 02 02 00000001 01 00 00"},
    {"empty map that names no types", kBinary, "0d0001 00 00 00000000 00"},
    {"set of uuids", kBinary, "0e0001 10 00000001 00112233445566778899aabbccddeeff 00"},

    {"no field", kCompact, "00"},
    {"true, false, byte", kCompact, "11 12 13 ff 00"},
    {"i16, i32, i64", kCompact, "14 ffff03 15 ffffffff0f 16 ffffffffffffffffff01 00"},
    {"double", kCompact, "17 0123456789abcdef 00"},
    {"string and uuid", kCompact, "18 02 6869 1d 00112233445566778899aabbccddeeff 00"},
    {"ids written out", kCompact, "05 00 02 05 ffff03 02 05 feff03 02 00"},
    {"struct in struct", kCompact, "1c 1c 11 00 00 00"},
    {"list of i32", kCompact, "19 25 01 8001 00"},
    {"list of 15 bools", kCompact, "19 f1 0f 010201020102010201020102010201 00"},
    {"list of bools as type 2", kCompact, "19 22 01 02 00"},
    {"set of strings", kCompact, "1a 28 01 61 00 00"},
    {"empty list", kCompact, "19 05 00"},
    {"empty list that names no type", kCompact, "19 00 00"},
    {"list of structs", kCompact, "19 2c 00 11 00 00"},
    {"empty map", kCompact, "1b 00 00"},
    {"map", kCompact, "1b 01 85 01 61 0e 00"},
    {"map of maps", kCompact, "1b 01 3b 05 01 11 01 02 00"},
};

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

struct Bad {
  const char* about;
  Protocol protocol;
  const char* hex;
  const char* why;
};

TEST(SkipStruct, SaysWhyOneIsMalformed) {
  const Bad kBad[] = {
      {"type 1", kBinary, "010001", "field of unknown type"},
      {"type 5", kBinary, "05", "field of unknown type"},
      {"type 17", kBinary, "11", "field of unknown type"},
      {"type 255", kBinary, "ff", "field of unknown type"},
      {"negative string", kBinary, "0b0001 80000000", "size is negative"},
      {"negative list", kBinary, "0f0001 08 ffffffff", "size is negative"},
      {"negative map", kBinary, "0d0001 08 08 ffffffff", "size is negative"},
      {"list of what", kBinary, "0f0001 07 00000001", "element of unknown type"},
      {"set of stops", kBinary, "0e0001 00 00000001", "element of unknown type"},
      {"map of what", kBinary, "0d0001 08 01 00000001", "element of unknown type"},
      {"string over the bound", kBinary, "0b0001 7fffffff", "longer than its bound"},
      {"list over the bound", kBinary, "0f0001 0a 7fffffff", "longer than its bound"},
      {"map over the bound", kBinary, "0d0001 03 03 7fffffff", "longer than its bound"},
      {"type 14", kCompact, "1e", "field of unknown type"},
      {"stop with a step", kCompact, "10", "field of unknown type"},
      {"id over 16 bits", kCompact, "05 ffff04", "varint is out of its range"},
      {"id of 4 bytes", kCompact, "05 80808000", "varint is out of its range"},
      {"size of 6 bytes", kCompact, "18 808080808000", "varint is out of its range"},
      {"id over 32767 by steps", kCompact, "01 feff03 11", "id is out of its range"},
      {"varint over 64 bits", kCompact, "16 ffffffffffffffffff02", "varint is out of its range"},
      {"endless varint", kCompact, "16 80808080808080808080", "varint is out of its range"},
      {"negative string", kCompact, "18 ffffffff0f", "size is negative"},
      {"string size over 32 bits", kCompact, "18 ffffffff1f", "varint is out of its range"},
      {"string over the bound", kCompact, "18 ffffffff07", "longer than its bound"},
      {"list of what", kCompact, "19 1e", "element of unknown type"},
      {"list of stops", kCompact, "19 10", "element of unknown type"},
      {"map of what", kCompact, "1b 01 50", "element of unknown type"},
  };
  for (const Bad& bad : kBad) {
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

// Structs in structs; `head` is that of the field that holds the next.
std::string Nested(const char* head, int depth) {
  std::string out;
  for (int i = 1; i < depth; i++) out += Hex(head);
  return out + std::string(static_cast<size_t>(depth), '\0');
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
