// THeader: frames of Apache Thrift's Python library, what else its libraries write, and what is
// refused.
#include "thrift/theader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/thrift/bytes.h"
#include "thrift/frame.h"

namespace trestle::thrift {
namespace {

using base::Contexts;

constexpr Protocol kBinary = Protocol::kBinary;
constexpr Protocol kCompact = Protocol::kCompact;

struct Row {
  const char* about;
  std::string frame;  // from the length on
  THeader want;
  std::string payload;
};

THeader Header(uint16_t flags, int32_t seqid, Protocol protocol, uint32_t zlib, Contexts keys) {
  return {flags, seqid, protocol, zlib, std::move(keys)};
}

std::string Framed(const std::string& rest) {
  std::string out(4, '\0');
  WriteU32(out.data(), static_cast<uint32_t>(rest.size()));
  return out + rest;
}

// Written by the Python library, which pads no more than it has to.
std::vector<Row> Recorded() {
  const std::string call = Hex("80010001 00000004 6563686f 00000007 0b0001 00000002 6869 00");
  const std::string reply = Hex("80010002 00000004 6563686f 00000007 0b0000 00000002 6869 00");
  const std::string fifth = Hex("80010001 00000004 6563686f 00000005 0b0001 00000002 6869 00");
  const std::string compact_call = Hex("82210704 6563686f 18026869 00");
  const std::string compact_reply = Hex("82410704 6563686f 0800026869 00");
  const std::string zlib = Hex("789c6b60646064606060494dcec807d21cdc60ae462291800100ca29118a");
  const std::string compact_zlib = Hex("789c6b52e464494dcec897d0482412300000bd3811b8");
  return {
      {"a call with a dtab",
       Hex("00000038 0fff 0000 00000007 0005 00 00 01 01 08 6c35642d64746162 06 2f733d3e2f62") +
           call,
       Header(0, 7, kBinary, 0, {{kDtabKey, "/s=>/b"}}), call},
      {"its reply",
       Hex("00000038 0fff 0000 00000007 0005 00 00 01 01 04 7365656e 08 6c35642d64746162 0000") +
           reply,
       Header(0, 7, kBinary, 0, {{"seen", kDtabKey}}), reply},
      {"compact", Hex("0000001b 0fff 0000 00000007 0001 02 00 0000") + compact_call,
       Header(0, 7, kCompact, 0, {}), compact_call},
      {"compact, the reply", Hex("0000001c 0fff 0000 00000007 0001 02 00 0000") + compact_reply,
       Header(0, 7, kCompact, 0, {}), compact_reply},
      {"zlib", Hex("00000034 0fff 0000 00000008 0003 00 01 01 01 01 01 6b 01 76 000000") + zlib,
       Header(0, 8, kBinary, 1, {{"k", "v"}}), zlib},
      {"zlib, compact, flags, an empty value",
       Hex("00000030 0fff 8001 00000009 0004 02 01 01 01 02 01 6b 01 76 02 6b32 00 000000") +
           compact_zlib,
       Header(0x8001, 9, kCompact, 1, {{"k", "v"}, {"k2", ""}}), compact_zlib},
      {"two seqids", Hex("00000028 0fff 0000 00000063 0001 00000000") + fifth,
       Header(0, 99, kBinary, 0, {}), fifth},
  };
}

// What others write, and what may be written; encoded again it is shorter or another.
std::vector<Row> Others() {
  const auto row = [](const char* about, const std::string& hex, THeader want) {
    return Row{about, Framed(Hex("0fff 0000 00000007") + Hex(hex) + "payload"), std::move(want),
               "payload"};
  };
  const THeader none = Header(0, 7, kBinary, 0, {});
  const THeader one = Header(0, 7, kBinary, 0, {{"k", "v"}});
  return {
      row("C++: a whole word of padding",
          "0006 00 00 01 01 08 6c35642d64746162 06 2f733d3e2f62 "
          "00000000",
          Header(0, 7, kBinary, 0, {{kDtabKey, "/s=>/b"}})),
      row("C++: no keys", "0002 00 00 0000 00000000", none),
      row("many words of padding", "0005 00 00 0000 00000000 00000000 00000000 00000000", none),
      row("two blocks of keys add up", "0004 00 00 01 01 01 6b 01 76 01 01 01 6c 01 77 0000",
          Header(0, 7, kBinary, 0, {{"k", "v"}, {"l", "w"}})),
      row("of equal keys all are told", "0004 00 00 01 02 01 6b 01 76 01 6b 01 77 00000000",
          Header(0, 7, kBinary, 0, {{"k", "v"}, {"k", "w"}})),
      row("info 2 hides what is behind it", "0003 00 00 02 01 01 6b 01 76 00 00 00 00", none),
      row("info 2 leaves what was before it", "0003 00 00 01 01 01 6b 01 76 02 ff ff ff", one),
      row("unknown info of a large id", "0003 00 00 01 01 01 6b 01 76 ff7f ff ff", one),
      row("padding hides what is behind it", "0003 00 00 00 01 01 01 6b 01 76 00 00 00", none),
      row("a block of no keys", "0001 00 00 01 00", none),
      row("no padding", "0002 00 00 01 01 01 6b 01 76", one),
      row("an empty key", "0002 00 00 01 01 00 02 7676", Header(0, 7, kBinary, 0, {{"", "vv"}})),
      row("an empty key and value", "0002 00 00 01 01 00 00 0000",
          Header(0, 7, kBinary, 0, {{"", ""}})),
      row("bytes that are no text", "0002 00 00 01 01 01 00 01 ff",
          Header(0, 7, kBinary, 0, {{std::string_view("\0", 1), "\xff"}})),
      row("numbers longer than they need", "0005 8000 808000 8100 8100 8100 6b 8180808000 76 0000",
          one),
      row("compact by a longer number", "0001 8280 00 00", Header(0, 7, kCompact, 0, {})),
      row("zlib twice", "0001 00 02 01 01", Header(0, 7, kBinary, 2, {})),
      row("zlib four times", "0002 00 04 01 01 01 01 0000", Header(0, 7, kBinary, 4, {})),
      row("Go: a transform that does nothing", "0001 00 01 00 00", none),
      row("Go: zlib and nothing", "0002 02 03 00 01 00 000000", Header(0, 7, kCompact, 1, {})),
  };
}

std::vector<Row> All() {
  std::vector<Row> all = Recorded();
  for (Row& row : Others()) all.push_back(std::move(row));
  return all;
}

uint32_t LengthOf(const Row& row) { return ReadU32(row.frame.data()); }

void ExpectSame(const THeader& got, const THeader& want) {
  EXPECT_EQ(got.flags, want.flags);
  EXPECT_EQ(got.seqid, want.seqid);
  EXPECT_EQ(got.protocol, want.protocol);
  EXPECT_EQ(got.zlib, want.zlib);
  EXPECT_EQ(got.keys, want.keys);
}

TEST(THeader, IsRead) {
  for (const Row& row : All()) {
    SCOPED_TRACE(row.about);
    const Exact bytes(row.frame.substr(4));
    THeader header = Header(77, 77, kCompact, 3, {{"of", "before"}});
    uint32_t size = 0;
    const DecodeResult result = DecodeTHeader(bytes.view(), LengthOf(row), &header, &size);
    ASSERT_EQ(result.outcome, Outcome::kOk) << result.why;
    ExpectSame(header, row.want);
    EXPECT_EQ(bytes.view().substr(size), row.payload);
    for (const base::KeyValue& pair : header.keys) {
      EXPECT_TRUE(bytes.Holds(pair.key) && bytes.Holds(pair.value));
    }
  }
}

TEST(THeader, IsWrittenAsThePythonLibraryWritesIt) {
  for (const Row& row : Recorded()) {
    std::string out = "before";
    EXPECT_TRUE(EncodeTHeader(row.want, &out));
    EXPECT_EQ(out, "before" + row.frame.substr(4, row.frame.size() - 4 - row.payload.size()))
        << row.about;
  }
}

TEST(THeader, WhatIsWrittenIsReadAgain) {
  for (const Row& row : All()) {
    for (const int32_t seqid : {0, -1, INT32_MIN, INT32_MAX}) {
      THeader written = row.want;
      written.seqid = seqid;
      written.flags = static_cast<uint16_t>(seqid);
      std::string out;
      EXPECT_TRUE(EncodeTHeader(written, &out));
      EXPECT_EQ(out.size() % 4, kTHeaderFixed % 4);
      THeader read;
      uint32_t size = 0;
      const auto length = static_cast<uint32_t>(out.size());
      ASSERT_EQ(DecodeTHeader(out, length, &read, &size).outcome, Outcome::kOk) << row.about;
      EXPECT_EQ(size, length);
      ExpectSame(read, written);
    }
  }
}

TEST(THeader, IsPaddedNoMoreThanItHasTo) {
  for (size_t n = 0; n < 20; n++) {
    const std::string value(n, 'v');
    std::string out;
    EXPECT_TRUE(EncodeTHeader(Header(0, 1, kBinary, 0, {{"", value}}), &out));
    EXPECT_EQ(out.size(), kTHeaderFixed + (6 + n + 3) / 4 * 4);
  }
}

TEST(THeader, EveryPrefixAsksForMore) {
  for (const Row& row : All()) {
    const std::string bytes = row.frame.substr(4);
    const size_t whole = bytes.size() - row.payload.size();
    for (size_t n = 0; n <= bytes.size(); n++) {
      const Exact prefix(bytes.substr(0, n));
      THeader header;
      uint32_t size = 12345;
      const DecodeResult result = DecodeTHeader(prefix.view(), LengthOf(row), &header, &size);
      ASSERT_EQ(result.outcome, n < whole ? Outcome::kNeedMore : Outcome::kOk) << row.about << n;
      EXPECT_EQ(size, n < whole ? 12345 : whole) << row.about << n;
      if (n < kTHeaderFixed) continue;
      EXPECT_EQ(THeaderSize(prefix.view()), whole) << row.about << n;
    }
  }
}

TEST(THeader, EveryOneByteCorruptionIsSafe) {
  for (const Row& row : All()) {
    for (size_t at = 4; at < row.frame.size() - row.payload.size(); at++) {
      for (int with = 0; with < 256; with++) {
        std::string bad = row.frame.substr(4);
        bad[at - 4] = static_cast<char>(with);
        const Exact bytes(bad);
        THeader header;
        uint32_t size = 0;
        const DecodeResult result = DecodeTHeader(bytes.view(), LengthOf(row), &header, &size);
        ASSERT_NE(result.outcome, Outcome::kNeedMore) << "the frame is whole";
        ASSERT_EQ(result.outcome == Outcome::kMalformed, result.why[0] != '\0');
        if (result.outcome != Outcome::kOk) continue;
        ASSERT_LE(size, bad.size());
        ASSERT_LE(header.zlib, kMaxTHeaderTransforms);
        for (const base::KeyValue& pair : header.keys) {
          ASSERT_TRUE(bytes.Holds(pair.key) && bytes.Holds(pair.value));
        }
      }
    }
  }
}

// A length that says less than the header is refused, one that says more changes nothing.
TEST(THeader, GoesByTheLengthOfItsFrame) {
  for (const Row& row : All()) {
    const std::string bytes = row.frame.substr(4);
    const auto whole = static_cast<uint32_t>(bytes.size() - row.payload.size());
    for (uint32_t length = 0; length < bytes.size() + 5; length++) {
      THeader header;
      uint32_t size = 0;
      const DecodeResult result = DecodeTHeader(bytes, length, &header, &size);
      ASSERT_EQ(result.outcome, length < whole ? Outcome::kMalformed : Outcome::kOk) << row.about;
    }
  }
}

struct Bad {
  const char* why;
  std::string bytes;  // behind the length, which is theirs
};

TEST(THeader, SaysWhyOneIsMalformed) {
  const std::string start = Hex("0fff 0000 00000007");
  const Bad kBad[] = {
      {"a frame too short for a THeader", ""},
      {"a frame too short for a THeader", start + Hex("00")},
      {"a frame without THeader's magic", Hex("0eff 0000 00000007 0000 0000")},
      {"a frame without THeader's magic", Hex("0ffe 0000 00000007 0000 0000")},
      {"looks like framed binary Thrift, not THeader", Hex("80010001 00000004 6563686f")},
      {"looks like framed compact Thrift, not THeader", Hex("82210704 6563686f 18026869 00")},
      {"a THeader longer than its frame", start + Hex("0001")},
      {"a THeader longer than its frame", start + Hex("0001 000000")},
      {"a THeader longer than its frame", start + Hex("ffff 00000000")},
      {"a THeader that ends inside a value", start + Hex("0000")},
      {"a THeader that ends inside a value", start + Hex("0000 00000000")},
      {"a THeader that ends inside a value", start + Hex("0001 80808080 00000000")},
      {"a THeader that ends inside a value", start + Hex("0001 00 03 01 01 01000000")},
      {"a THeader that ends inside a value", start + Hex("0001 00 00 01 80 00")},
      {"a THeader that ends inside a value", start + Hex("0001 00 00 01 01 00")},
      {"a THeader that ends inside a value", start + Hex("0002 00 00 01 01 01 6b 02 76 00")},
      {"a THeader that ends inside a value", start + Hex("0002 00 00 01 02 01 6b 01 76 01")},
      {"a THeader that ends inside a value", start + Hex("0002 00 00 01 01 ffffffff 0f")},
      {"a varint is out of its range", start + Hex("0002 8080808010 000000")},
      {"a varint is out of its range", start + Hex("0002 808080808000 0000")},
      {"a varint is out of its range", start + Hex("0002 00 00 ffffffff1f 00")},
      {"a THeader of an unknown protocol", start + Hex("0001 01 00 0000")},
      {"a THeader of an unknown protocol", start + Hex("0001 03 00 0000")},
      {"a THeader of an unknown protocol", start + Hex("0002 80808008 00 000000")},
      {"a THeader of over 4 transforms", start + Hex("0002 00 05 01 01 01 01 01 00")},
      {"a THeader of over 4 transforms", start + Hex("0002 00 ffffffff0f 00 00")},
      {"a THeader of the transform HMAC, which is not spoken", start + Hex("0001 00 01 02 00")},
      {"a THeader of the transform snappy, which is not spoken", start + Hex("0001 00 01 03 00")},
      {"a THeader of an unknown transform", start + Hex("0001 00 01 04 00")},
      {"a THeader of an unknown transform", start + Hex("0002 00 02 01 8102 000000")},
      {"a THeader of over 1000 keys", start + Hex("0002 00 00 01 e907 000000")},
      {"a THeader of over 1000 keys", start + Hex("0002 00 00 01 ffffffff0f")},
      {"a THeader of over 1000 keys", start + Hex("0003 00 00 01 01 00 00 01 e807 000000")},
  };
  for (const Bad& bad : kBad) {
    SCOPED_TRACE(bad.why);
    const Exact bytes(bad.bytes);
    THeader header;
    uint32_t size = 12345;
    const auto length = static_cast<uint32_t>(bad.bytes.size());
    const DecodeResult result = DecodeTHeader(bytes.view(), length, &header, &size);
    EXPECT_EQ(result.outcome, Outcome::kMalformed);
    EXPECT_STREQ(result.why, bad.why);
    EXPECT_EQ(size, 12345u) << "left alone";
    // One byte at a time it is refused no later, and once refused it stays so.
    bool refused = false;
    for (size_t n = 0; n <= bad.bytes.size(); n++) {
      const Exact prefix(bad.bytes.substr(0, n));
      const Outcome outcome = DecodeTHeader(prefix.view(), length, &header, &size).outcome;
      ASSERT_NE(outcome, Outcome::kOk);
      ASSERT_TRUE(!refused || outcome == Outcome::kMalformed);
      refused = outcome == Outcome::kMalformed;
    }
    EXPECT_TRUE(refused);
  }
}

TEST(THeader, ALengthThatLooksLikeHttpIsNone) {
  THeader header;
  uint32_t size = 0;
  const std::string bytes = Hex("0fff 0000 00000007 0001 00000000");
  EXPECT_EQ(DecodeTHeader(bytes, kMaxTHeaderFrame, &header, &size).outcome, Outcome::kOk);
  const DecodeResult result = DecodeTHeader(bytes, kMaxTHeaderFrame + 1, &header, &size);
  EXPECT_EQ(result.outcome, Outcome::kMalformed);
  EXPECT_STREQ(result.why, "a frame over the bound of THeader");
  EXPECT_EQ(DecodeTHeader("", ReadU32("HTTP"), &header, &size).outcome, Outcome::kMalformed);
}

// The largest header that the field of its size can tell.
TEST(THeader, OfAllWordsIsReadAndWritten) {
  const uint32_t bytes = 65535 * 4;
  for (const uint32_t zlib : {0u, 1u, 4u}) {
    // Beside the value: protocol, transforms, info, count, an empty key, and a size of 3 bytes.
    const std::string value(bytes - 2 - zlib - 3 - 3, 'v');
    std::string out;
    EXPECT_TRUE(EncodeTHeader(Header(1, 2, kCompact, zlib, {{"", value}}), &out));
    EXPECT_EQ(out.size(), kTHeaderFixed + bytes);
    THeader read;
    uint32_t size = 0;
    const auto length = static_cast<uint32_t>(out.size());
    ASSERT_EQ(DecodeTHeader(out, length, &read, &size).outcome, Outcome::kOk);
    ExpectSame(read, Header(1, 2, kCompact, zlib, {{"", value}}));
    std::string over;
    EXPECT_FALSE(EncodeTHeader(Header(1, 2, kCompact, zlib, {{"", value + "v"}}), &over));
    ASSERT_EQ(DecodeTHeader(over, length, &read, &size).outcome, Outcome::kOk);
    ExpectSame(read, Header(1, 2, kCompact, zlib, {}));
  }
}

TEST(THeader, KeysThatHaveNoRoomAreLeftOutFromTheFirstOn) {
  const std::string large(200'000, 'v');
  const THeader header = Header(0, 1, kBinary, 0, {{"a", large}, {"b", large}, {"c", "small"}});
  std::string out;
  EXPECT_FALSE(EncodeTHeader(header, &out));
  THeader read;
  uint32_t size = 0;
  const auto length = static_cast<uint32_t>(out.size());
  ASSERT_EQ(DecodeTHeader(out, length, &read, &size).outcome, Outcome::kOk);
  EXPECT_EQ(read.keys, (Contexts{{"a", large}}));
}

TEST(THeader, AThousandKeysAreReadAndWritten) {
  for (const size_t n : {127u, 128u, 999u, 1000u, 1001u}) {
    std::string out;
    const Contexts keys(n, {"key", "value"});
    EXPECT_EQ(EncodeTHeader(Header(0, 1, kBinary, 0, keys), &out), n <= kMaxTHeaderKeys);
    THeader read;
    uint32_t size = 0;
    const auto length = static_cast<uint32_t>(out.size());
    ASSERT_EQ(DecodeTHeader(out, length, &read, &size).outcome, Outcome::kOk);
    EXPECT_EQ(read.keys.size(), std::min<size_t>(n, kMaxTHeaderKeys));
  }
}

}  // namespace
}  // namespace trestle::thrift
