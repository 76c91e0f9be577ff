#include "thrift/dialect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/thrift/bytes.h"

namespace trestle::thrift {
namespace {

constexpr uint32_t kMax = 16'384'000;
constexpr Framing kFramed = Framing::kFramed;
constexpr Framing kBuffered = Framing::kBuffered;
constexpr Framing kTHeader = Framing::kTHeader;
constexpr Protocol kBinary = Protocol::kBinary;
constexpr Protocol kCompact = Protocol::kCompact;
constexpr DialectHint kNone = {};

struct Row {
  const char* about;
  std::string bytes;
  size_t after;  // so many bytes tell
  Dialect want;
  DialectHint hint;
};

std::vector<Row> Rows() {
  const Dialect fb{kFramed, kBinary}, fc{kFramed, kCompact};
  const Dialect bb{kBuffered, kBinary}, bc{kBuffered, kCompact};
  const Dialect header{kTHeader, kBinary};
  const DialectHint framed{kFramed, {}}, buffered{kBuffered, {}};
  const DialectHint binary{{}, kBinary}, compact{{}, kCompact};
  const std::string strict = Hex("80010001 00000004 6563686f 00000007 00");
  const std::string oneway = Hex("80010004 00000004 6563686f 00000007 00");
  const std::string terse = Hex("8221 07 04 6563686f 00");
  const std::string old = Hex("00000004 6563686f 01 00000007 00");
  const std::string nameless = Hex("00000000 01 00000007 00");
  const std::string in_header = Hex("0000001f 0fff0000 00000007 0001 00000000") + strict;
  const std::string terse_in_header = Hex("00000017 0fff0000 00000007 0001 02000000") + terse;
  return {
      {"1 buffered binary", strict, 2, bb, kNone},
      {"1 buffered binary, oneway", oneway, 2, bb, kNone},
      {"2 buffered compact", terse, 2, bc, kNone},
      {"2 buffered compact reply", Hex("8241 00 00 00"), 2, bc, kNone},
      {"4 framed binary", Hex("00000011") + strict, 6, fb, kNone},
      {"4 a large frame", Hex("00fa0000") + strict, 6, fb, kNone},
      {"5 framed compact", Hex("00000009") + terse, 6, fc, kNone},
      {"6 THeader", in_header, 6, header, kNone},
      {"6 THeader of compact", terse_in_header, 6, header, kNone},
      {"6 THeader with flags", Hex("00000014 0fff8001 00000007 0001 00000000"), 6, header, kNone},
      {"6 a large THeader", Hex("00fa0000 0fffffff"), 6, header, kNone},
      {"6 a THeader that its reader refuses", Hex("00000002 0fff0000"), 6, header, kNone},
      {"7 framed old binary", Hex("0000000e") + old, 5, fb, kNone},
      {"7 framed old binary without a name", Hex("0000000a") + nameless, 5, fb, kNone},
      {"8 buffered old binary", old, 6, bb, kNone},
      {"8 with a service", Hex("00000006 612e623a6364 01 00000000 00"), 6, bb, kNone},
      {"8 a digit first", Hex("00000002 3978 01 00000000 00"), 6, bb, kNone},
      {"8 an underscore first", Hex("00000002 5f78 01 00000000 00"), 6, bb, kNone},
      {"8 a name of one byte", Hex("00000001 61 01 00000000 00"), 6, bb, kNone},
      {"8 a name of one byte, oneway", Hex("00000001 61 04 00000000 00"), 6, bb, kNone},
      {"8 like Tinit, but a name", Hex("00000004 446f4974 01 00000000 00"), 6, bb, kNone},
      {"8 the longest name", Hex("0000007f") + std::string(127, 'n') + Hex("0100000000 00"), 6, bb,
       kNone},

      {"framed: binary", Hex("00000011") + strict, 6, fb, framed},
      {"framed: compact", Hex("00000009") + terse, 6, fc, framed},
      {"framed: old binary", Hex("0000000e") + old, 5, fb, framed},
      {"buffered: binary", strict, 2, bb, buffered},
      {"buffered: compact", terse, 2, bc, buffered},
      {"buffered: old binary", old, 6, bb, buffered},
      {"buffered: no name", nameless, 6, bb, buffered},
      {"buffered: a name like no other", Hex("00000002 2f78 01 00000000 00"), 6, bb, buffered},
      {"buffered: the longest name", Hex("00001000") + std::string(4096, 'n'), 6, bb, buffered},
      {"binary: framed", Hex("00000011") + strict, 6, fb, binary},
      {"binary: buffered", strict, 2, bb, binary},
      {"binary: framed old", Hex("0000000e") + old, 5, fb, binary},
      {"binary: buffered old", old, 6, bb, binary},
      {"compact: framed", Hex("00000009") + terse, 6, fc, compact},
      {"compact: buffered", terse, 2, bc, compact},
      {"binary: THeader", in_header, 6, header, binary},
      {"binary: THeader of compact", terse_in_header, 6, header, binary},
      {"compact: THeader", in_header, 6, header, compact},
      {"compact: THeader of compact", terse_in_header, 6, header, compact},
      {"THeader: THeader", in_header, 6, header, {kTHeader, {}}},
  };
}

DecodeResult Detect(std::string_view bytes, const DialectHint& hint, Dialect* out) {
  const Exact exact(bytes);
  return DetectDialect(exact.view(), hint, kMax, out);
}

TEST(Dialect, IsToldAsSoonAsTheBytesAllow) {
  for (const Row& row : Rows()) {
    SCOPED_TRACE(row.about);
    ASSERT_LE(row.after, kDetectBytes);
    Dialect found;
    for (size_t n = 0; n < row.after; n++) {
      EXPECT_EQ(Detect(row.bytes.substr(0, n), row.hint, &found).outcome, Outcome::kNeedMore) << n;
    }
    for (size_t n = row.after; n <= std::min<size_t>(row.bytes.size(), 20); n++) {
      const DecodeResult result = Detect(row.bytes.substr(0, n), row.hint, &found);
      ASSERT_EQ(result.outcome, Outcome::kOk) << n << " " << result.why;
      EXPECT_EQ(FramingName(found.framing), FramingName(row.want.framing));
      EXPECT_EQ(ProtocolName(found.protocol), ProtocolName(row.want.protocol));
    }
  }
}

TEST(Dialect, WhatIsFixedIsNotGuessed) {
  for (const Framing framing : {kFramed, kBuffered, kTHeader}) {
    for (const Protocol protocol : {kBinary, kCompact}) {
      for (const char* bytes : {"", "G", "GET / HTTP/1.1\r\n"}) {
        Dialect found{framing == kFramed ? kBuffered : kFramed, kBinary};
        EXPECT_EQ(Detect(bytes, {framing, protocol}, &found).outcome, Outcome::kOk);
        EXPECT_EQ(found, (Dialect{framing, protocol}));
      }
    }
  }
}

struct Refused {
  std::string bytes;
  const char* why;
  DialectHint hint;
};

std::vector<Refused> AllRefused() {
  const DialectHint framed{kFramed, {}}, buffered{kBuffered, {}}, header{kTHeader, {}};
  const DialectHint binary{{}, kBinary}, compact{{}, kCompact};
  const std::string strict = Hex("80010001 00000004 6563686f 00000007 00");
  const std::string terse = Hex("8221 07 04 6563686f 00");
  const std::string old = Hex("00000004 6563686f 01 00000007 00");
  const std::string probe = Hex("0000000f 7f000001 74696e697420636865636b");
  const std::string theader = Hex("00000020 0fff0000 00000007");
  std::vector<Refused> out = {
      {Hex("0000000f 44000001 0001"), "looks like ThriftMux", kNone},
      {Hex("0000000f 02000002 0000"), "looks like ThriftMux", kNone},
      {Hex("0000000f 01000002 0000"), "looks like ThriftMux", kNone},
      {Hex("00000004 41000001"), "looks like ThriftMux", kNone},
      {Hex("00000000 80010001"), "a frame of no bytes", kNone},
      {Hex("00000000 0fff0000"), "a frame of no bytes", kNone},
      {Hex("00fa0001 0fff0000"), "a length over the bound on frames", kNone},
      {Hex("0fff0000 00000007 0001"), "a length over the bound on frames", kNone},
      {Hex("0000001e 0eff0000"), "neither binary nor compact Thrift", kNone},
      {Hex("0000001e 0ffe0000"), "neither binary nor compact Thrift", kNone},
      {Hex("00fa0001 80010001"), "a length over the bound on frames", kNone},
      {Hex("80020001"), "neither a length nor a version in front", kNone},
      {Hex("82220001"), "neither a length nor a version in front", kNone},
      {Hex("ffffffff"), "neither a length nor a version in front", kNone},
      {Hex("00000080 6563686f"), "neither binary nor compact Thrift", kNone},
      {Hex("00000004 65000000"), "neither binary nor compact Thrift", kNone},
      {Hex("00000001 65660000"), "neither binary nor compact Thrift", kNone},
      {Hex("00000001 65ff0000"), "neither binary nor compact Thrift", kNone},
      {Hex("00000004 2d656566"), "neither binary nor compact Thrift", kNone},
      {Hex("00000004 80028002"), "neither binary nor compact Thrift", kNone},
      {strict, "looks like unframed binary Thrift", framed},
      {terse, "looks like unframed compact Thrift", framed},
      {old, "looks like unframed binary Thrift", framed},
      {Hex("00000011") + strict, "looks like framed binary Thrift", buffered},
      {Hex("00000009") + terse, "looks like framed compact Thrift", buffered},
      {Hex("0000000e") + old, "looks like framed binary Thrift", buffered},
      {Hex("00001001 6563686f"), "name over 4096 bytes", buffered},
      {Hex("12345678 6563686f"), "neither a version nor a name's length in front", buffered},
      {terse, "looks like compact, not binary", binary},
      {Hex("00000009") + terse, "looks like compact, not binary", binary},
      {strict, "looks like binary, not compact", compact},
      {Hex("00000011") + strict, "looks like binary, not compact", compact},
      {Hex("0000000e") + old, "looks like binary, not compact", compact},
      {old, "looks like binary, not compact", compact},
      {theader, "looks like THeader; thriftFramed says otherwise", framed},
      {theader, "looks like THeader; thriftFramed says otherwise", buffered},
      {strict, "looks like unframed binary Thrift", header},
      {terse, "looks like unframed compact Thrift", header},
      {Hex("00000011") + strict, "looks like framed binary Thrift", header},
      {Hex("00000009") + terse, "looks like framed compact Thrift", header},
  };
  for (const DialectHint& hint : {kNone, framed, buffered, header, binary, compact}) {
    out.push_back({"GET / HTTP/1.1\r\n", "looks like HTTP", hint});
    out.push_back({"PRI * HTTP/2.0", "looks like HTTP/2", hint});
    out.push_back({Hex("16030100 c8010000"), "looks like a TLS hello", hint});
    out.push_back({Hex("15030300 020100"), "looks like a TLS alert", hint});
    out.push_back({probe, "looks like ThriftMux", hint});
  }
  return out;
}

TEST(Dialect, SaysWhatElseItLooksLike) {
  for (const Refused& refused : AllRefused()) {
    Dialect found{kBuffered, kCompact};
    const DecodeResult result = Detect(refused.bytes, refused.hint, &found);
    EXPECT_EQ(result.outcome, Outcome::kMalformed) << refused.why;
    EXPECT_STREQ(result.why, refused.why);
    EXPECT_EQ(found, (Dialect{kBuffered, kCompact})) << "left alone";
  }
}

// With every byte more the verdict stays open or is the one of the whole, and eight are enough.
TEST(Dialect, AVerdictOnceGivenStays) {
  for (const Refused& refused : AllRefused()) {
    Dialect found;
    for (size_t n = 0; n <= refused.bytes.size(); n++) {
      const DecodeResult result = Detect(refused.bytes.substr(0, n), refused.hint, &found);
      EXPECT_NE(result.outcome, Outcome::kOk) << refused.why << n;
      EXPECT_STREQ(result.why, result.outcome == Outcome::kMalformed ? refused.why : "") << n;
      EXPECT_TRUE(n < kDetectBytes || result.outcome == Outcome::kMalformed) << refused.why;
    }
  }
}

TEST(Dialect, EveryOneByteCorruptionIsDecidedInTime) {
  for (const Row& row : Rows()) {
    for (size_t at = 0; at < std::min<size_t>(8, row.bytes.size()); at++) {
      for (int with = 0; with < 256; with++) {
        std::string bad = row.bytes;
        bad.resize(std::max<size_t>(bad.size(), kDetectBytes));
        bad[at] = static_cast<char>(with);
        Dialect found;
        const DecodeResult result = Detect(bad.substr(0, kDetectBytes), row.hint, &found);
        ASSERT_NE(result.outcome, Outcome::kNeedMore) << row.about;
        ASSERT_EQ(result.outcome == Outcome::kMalformed, result.why[0] != '\0');
      }
    }
  }
}

TEST(Dialect, TheBoundOnFramesIsTheCallers) {
  Dialect found;
  const std::string bytes = Hex("00000011 80010001");
  EXPECT_EQ(DetectDialect(bytes, kNone, 17, &found).outcome, Outcome::kOk);
  EXPECT_EQ(DetectDialect(bytes, kNone, 16, &found).outcome, Outcome::kMalformed);
  EXPECT_EQ(DetectDialect(Hex("80000000 80010001"), kNone, UINT32_MAX, &found).outcome,
            Outcome::kMalformed)
      << "no length is negative";
}

}  // namespace
}  // namespace trestle::thrift
