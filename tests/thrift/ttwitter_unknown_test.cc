// Fields of a RequestHeader that nobody here knows: they are carried on as they came.
#include <gtest/gtest.h>

#include "tests/thrift/bytes.h"
#include "thrift/ttwitter.h"
#include "thrift/walk.h"
#include "thrift/writer.h"

namespace trestle::thrift {
namespace {

constexpr Protocol kBinary = Protocol::kBinary;
constexpr Protocol kCompact = Protocol::kCompact;
constexpr Protocol kBoth[] = {kBinary, kCompact};

RequestHeader Read(Protocol protocol, std::string_view bytes) {
  RequestHeader header;
  uint32_t size = 0;
  const DecodeResult result = DecodeRequestHeader(protocol, bytes, &header, &size);
  EXPECT_EQ(result.outcome, Outcome::kOk) << result.why;
  EXPECT_EQ(size, bytes.size());
  return header;
}

std::string Encoded(Protocol protocol, const RequestHeader& header) {
  std::string out;
  EncodeRequestHeader(protocol, header, &out);
  return out;
}

struct Kept {
  const char* about;
  Protocol protocol;
  const char* in;   // the fields without the stop byte
  const char* out;  // as they are written behind the empty list of contexts
};

constexpr Kept kKept[] = {
    {"bool", kBinary, "020063 01", "020063 01"},
    {"byte", kBinary, "030063 ff", "030063 ff"},
    {"double", kBinary, "04ffff 0123456789abcdef", "04ffff 0123456789abcdef"},
    {"numbers", kBinary, "060063 0102 080064 01020304 0a0065 0102030405060708",
     "060063 0102 080064 01020304 0a0065 0102030405060708"},
    {"string", kBinary, "0b000c 00000002 6869", "0b000c 00000002 6869"},
    {"struct", kBinary, "0c000c 0b0001 00000001 78 00", "0c000c 0b0001 00000001 78 00"},
    {"map", kBinary, "0d000c 0b 08 00000001 00000001 61 00000007",
     "0d000c 0b 08 00000001 00000001 61 00000007"},
    {"set and list", kBinary, "0e000c 0b 00000000 0f000d 08 00000001 00000007",
     "0e000c 0b 00000000 0f000d 08 00000001 00000007"},
    {"uuid", kBinary, "100063 00112233445566778899aabbccddeeff",
     "100063 00112233445566778899aabbccddeeff"},
    {"the id that was never given", kBinary, "080004 00000007", "080004 00000007"},
    {"a known id with another type", kBinary, "080001 00000007 0b000a 00000001 61",
     "080001 00000007 0b000a 00000001 61"},
    {"the same id twice", kBinary, "030063 01 030063 02", "030063 01 030063 02"},

    // Contexts have id 8; 12 is a step of 4 from it.
    {"true and false", kCompact, "c1 12", "41 12"},
    {"byte and double", kCompact, "c3 ff 17 0123456789abcdef", "43 ff 17 0123456789abcdef"},
    {"numbers", kCompact, "c4 8101 15 ffffffff0f 16 ffffffffffffffffff01",
     "44 8101 15 ffffffff0f 16 ffffffffffffffffff01"},
    {"string and struct", kCompact, "c8 02 6869 1c 18 01 78 00", "48 02 6869 1c 18 01 78 00"},
    {"list, set, map, empty map", kCompact, "c9 25 01 02 1a 18 01 61 1b 01 85 01 61 0e 1b 00",
     "49 25 01 02 1a 18 01 61 1b 01 85 01 61 0e 1b 00"},
    {"uuid", kCompact, "cd 00112233445566778899aabbccddeeff",
     "4d 00112233445566778899aabbccddeeff"},
    {"ids written out", kCompact, "03 c601 01 05 01 02", "03 c601 01 05 01 02"},
    {"a number written too long", kCompact, "c5 8000", "45 8000"},
    {"a known id with another type", kCompact, "15 0e", "05 02 0e"},
};

TEST(UnknownFields, AreWrittenAgainAsTheyCame) {
  for (const Kept& kept : kKept) {
    SCOPED_TRACE(std::string(ProtocolName(kept.protocol)) + " " + kept.about);
    const Exact bytes(Hex(kept.in) + '\0');
    const RequestHeader header = Read(kept.protocol, bytes.view());
    for (const auto& unknown : header.unknown) EXPECT_TRUE(bytes.Holds(unknown.value));
    const std::string contexts = kept.protocol == kBinary ? Hex("0f0008 0c 00000000") : Hex("890c");
    const std::string once = Encoded(kept.protocol, header);
    EXPECT_EQ(once, contexts + Hex(kept.out) + '\0');
    EXPECT_EQ(Encoded(kept.protocol, Read(kept.protocol, once)), once);
  }
}

TEST(UnknownFields, StandBesideTheKnownOnes) {
  const std::string bytes =
      Hex("0a0001 0000000000000007 080063 00000001 0b0009 00000001 2f 0a000b 0000000000000009 00");
  const RequestHeader header = Read(kBinary, bytes);
  EXPECT_EQ(header.trace_id, 7);
  EXPECT_EQ(header.dest, "/");
  EXPECT_EQ(header.trace_id_high, 9);
  ASSERT_EQ(header.unknown.size(), 1u);
  EXPECT_EQ(header.unknown[0].field.id, 0x63);
  EXPECT_EQ(header.unknown[0].field.type, Type::kI32);
  EXPECT_EQ(header.unknown[0].value, Hex("00000001"));
}

// The bytes of a value mean something in their protocol only.
TEST(UnknownFields, AreLeftOutInTheOtherProtocol) {
  EXPECT_EQ(Encoded(kCompact, Read(kBinary, Hex("080063 00000001 00"))), Hex("890c 00"));
  EXPECT_EQ(Encoded(kBinary, Read(kCompact, Hex("c5 02 00"))), Hex("0f0008 0c 00000000 00"));
}

TEST(UnknownFields, AreForgottenWithTheRest) {
  RequestHeader header = Read(kBinary, Hex("080063 00000001 00"));
  ASSERT_EQ(header.unknown.size(), 1u);
  header.Clear();
  EXPECT_TRUE(header.unknown.empty());
  uint32_t size = 0;
  const std::string with = Hex("030063 01 00");
  ASSERT_EQ(DecodeRequestHeader(kBinary, with, &header, &size).outcome, Outcome::kOk);
  ASSERT_EQ(DecodeRequestHeader(kBinary, with, &header, &size).outcome, Outcome::kOk);
  EXPECT_EQ(header.unknown.size(), 1u) << "one header serves many calls";
}

TEST(UnknownFields, TheirNumberIsBounded) {
  for (const Protocol protocol : kBoth) {
    for (const uint32_t count : {kMaxUnknownFields, kMaxUnknownFields + 1}) {
      std::string bytes;
      Writer writer(protocol, &bytes);
      for (uint32_t i = 0; i < count; i++) writer.Bool(static_cast<int16_t>(100 + i), true);
      writer.Stop();
      RequestHeader header;
      uint32_t size = 0;
      const DecodeResult result = DecodeRequestHeader(protocol, bytes, &header, &size);
      if (count == kMaxUnknownFields) {
        EXPECT_EQ(result.outcome, Outcome::kOk);
      } else {
        EXPECT_STREQ(result.why, "over 1000 unknown fields");
      }
    }
  }
}

TEST(UnknownFields, EveryPrefixAsksForMore) {
  for (const Kept& kept : kKept) {
    const std::string bytes = Hex(kept.in) + '\0';
    for (size_t n = 0; n < bytes.size(); n++) {
      const Exact prefix(bytes.substr(0, n));
      RequestHeader header;
      uint32_t size = 0;
      EXPECT_EQ(DecodeRequestHeader(kept.protocol, prefix.view(), &header, &size).outcome,
                Outcome::kNeedMore)
          << kept.about << " " << n;
    }
  }
}

}  // namespace
}  // namespace trestle::thrift
