#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <climits>

#include "tests/thrift/bytes.h"
#include "thrift/message.h"

namespace trestle::thrift {
namespace {

using ::testing::HasSubstr;

struct Good {
  const char* about;
  Protocol protocol;
  std::string bytes;  // the envelope, canonical
  MessageType type;
  std::string name;
  int32_t seqid;
  uint32_t seqid_at, seqid_size;
  bool old_form = false;
};

std::vector<Good> GoodEnvelopes() {
  const auto b = Protocol::kBinary;
  const auto c = Protocol::kCompact;
  return {
      {"call", b, Hex("80010001 00000004 6563686f 00000007"), MessageType::kCall, "echo", 7, 12, 4},
      {"reply", b, Hex("80010002 00000001 78 ffffffff"), MessageType::kReply, "x", -1, 9, 4},
      {"exception, no name", b, Hex("80010003 00000000 80000000"), MessageType::kException, "",
       INT_MIN, 8, 4},
      {"oneway", b, Hex("80010004 00000003 613a62 7fffffff"), MessageType::kOneway, "a:b", INT_MAX,
       11, 4},
      {"longest name", b, Hex("80010001 00001000") + std::string(4096, 'n') + Hex("00000000"),
       MessageType::kCall, std::string(4096, 'n'), 0, 8 + 4096, 4},
      {"old call", b, Hex("00000004 6563686f 01 00000007"), MessageType::kCall, "echo", 7, 9, 4,
       true},
      {"old reply", b, Hex("00000001 78 02 ffffffff"), MessageType::kReply, "x", -1, 6, 4, true},
      {"old exception, no name", b, Hex("00000000 03 80000000"), MessageType::kException, "",
       INT_MIN, 5, 4, true},
      {"old oneway", b, Hex("00000003 613a62 04 7fffffff"), MessageType::kOneway, "a:b", INT_MAX, 8,
       4, true},
      {"longest old name", b, Hex("00001000") + std::string(4096, 'n') + Hex("01 00000000"),
       MessageType::kCall, std::string(4096, 'n'), 0, 5 + 4096, 4, true},
      {"call", c, Hex("8221 07 04 6563686f"), MessageType::kCall, "echo", 7, 2, 1},
      {"seqid of 2 bytes", c, Hex("8241 8001 01 78"), MessageType::kReply, "x", 128, 2, 2},
      {"seqid of 5 bytes", c, Hex("8261 ffffffff0f 00"), MessageType::kException, "", -1, 2, 5},
      {"least seqid", c, Hex("8281 8080808008 01 79"), MessageType::kOneway, "y", INT_MIN, 2, 5},
      {"longest name", c, Hex("8221 00 8020") + std::string(4096, 'n'), MessageType::kCall,
       std::string(4096, 'n'), 0, 2, 1},
  };
}

TEST(Envelope, ReadsGoodOnes) {
  for (const Good& good : GoodEnvelopes()) {
    SCOPED_TRACE(std::string(ProtocolName(good.protocol)) + " " + good.about);
    const Exact bytes(good.bytes + "body");
    Envelope envelope;
    const DecodeResult result = DecodeEnvelope(good.protocol, bytes.view(), &envelope);
    ASSERT_EQ(result.outcome, Outcome::kOk) << result.why;
    EXPECT_EQ(envelope.type, good.type);
    EXPECT_EQ(envelope.name, good.name);
    EXPECT_EQ(envelope.seqid, good.seqid);
    EXPECT_EQ(envelope.old_form, good.old_form);
    EXPECT_EQ(envelope.size, good.bytes.size());
    EXPECT_EQ(envelope.seqid_at, good.seqid_at);
    EXPECT_EQ(envelope.seqid_size, good.seqid_size);
    EXPECT_TRUE(bytes.Holds(envelope.name)) << "the name is a view, not a copy";
  }
}

TEST(Envelope, WritesTheSameBytes) {
  for (const Good& good : GoodEnvelopes()) {
    SCOPED_TRACE(std::string(ProtocolName(good.protocol)) + " " + good.about);
    const uint32_t size = EnvelopeSize(good.protocol, good.name, good.seqid, good.old_form);
    EXPECT_EQ(size, good.bytes.size());
    EXPECT_LE(size, MaxEnvelopeSize(static_cast<uint32_t>(good.name.size())));
    const auto out = std::make_unique<char[]>(size);
    EXPECT_EQ(
        EncodeEnvelope(good.protocol, good.type, good.name, good.seqid, out.get(), good.old_form),
        size);
    EXPECT_EQ(std::string_view(out.get(), size), good.bytes);
  }
}

TEST(Envelope, EveryPrefixAsksForMore) {
  for (const Good& good : GoodEnvelopes()) {
    SCOPED_TRACE(std::string(ProtocolName(good.protocol)) + " " + good.about);
    for (size_t n = 0; n < good.bytes.size(); n++) {
      Envelope envelope;
      const Exact prefix(std::string_view(good.bytes).substr(0, n));
      const DecodeResult result = DecodeEnvelope(good.protocol, prefix.view(), &envelope);
      ASSERT_EQ(result.outcome, Outcome::kNeedMore) << n << " bytes: " << result.why;
    }
  }
}

// Whatever one byte becomes, what is read lies inside the bytes.
TEST(Envelope, EveryOneByteCorruptionIsSafe) {
  for (const Good& good : GoodEnvelopes()) {
    if (good.bytes.size() > 100) continue;
    for (size_t at = 0; at < good.bytes.size(); at++) {
      for (int with = 0; with < 256; with++) {
        std::string bad = good.bytes;
        bad[at] = static_cast<char>(with);
        const Exact bytes(bad);
        Envelope envelope;
        const DecodeResult result = DecodeEnvelope(good.protocol, bytes.view(), &envelope);
        if (result.outcome == Outcome::kMalformed) {
          EXPECT_STRNE(result.why, "");
        }
        if (result.outcome != Outcome::kOk) continue;
        ASSERT_LE(envelope.size, bad.size());
        ASSERT_TRUE(bytes.Holds(envelope.name));
        ASSERT_LE(envelope.seqid_at + envelope.seqid_size, envelope.size);
      }
    }
  }
}

struct Bad {
  Protocol protocol;
  std::string bytes;
  const char* why;
};

TEST(Envelope, SaysWhyOneIsMalformed) {
  const auto b = Protocol::kBinary;
  const auto c = Protocol::kCompact;
  const Bad kBad[] = {
      {b, Hex("80010000 00000000 00000000"), "unknown message type"},
      {b, Hex("80010005 00000000 00000000"), "unknown message type"},
      {b, Hex("800100ff"), "unknown message type"},
      {b, Hex("80010101 00000000 00000000"), "bad version"},
      {b, Hex("80020001 00000000 00000000"), "bad version"},
      {b, Hex("8002"), "bad version"},
      {b, Hex("00000004 6563686f 00 00000000 00"), "unknown message type"},
      {b, Hex("00000004 6563686f 05 00000000 00"), "unknown message type"},
      {b, Hex("00000000 41 00000000"), "unknown message type"},
      {b, Hex("00001001"), "name over 4096 bytes"},
      {b, Hex("00ffffff"), "name over 4096 bytes"},
      {b, Hex("0000002a 80010001 00000004"), "looks like framed binary Thrift"},
      {b, Hex("0000002a 8221"), "looks like framed compact Thrift"},
      {b, Hex("0000002a 0fff"), "looks like THeader"},
      {b, Hex("0000000f 7f000001 74696e69"), "looks like ThriftMux"},
      {c, Hex("00"), "bad version"},
      {b, Hex("8221 07 04 6563686f"), "looks like compact"},
      {b, Hex("8221"), "looks like compact"},
      {b, Hex("0fff 0000 00000007 0005"), "looks like THeader"},
      {c, Hex("0fff 0000 00000007 0005"), "looks like THeader"},
      {b, Hex("7f000001 74696e697420636865636b"), "looks like ThriftMux"},
      {c, Hex("7f000001 74696e697420636865636b"), "looks like ThriftMux"},
      {b, Hex("80010001 00001001"), "name over 4096 bytes"},
      {b, Hex("80010001 7fffffff"), "name over 4096 bytes"},
      {b, Hex("80010001 80000000"), "name of negative length"},
      {b, Hex("80010001 ffffffff 00000000"), "name of negative length"},
      {c, Hex("80010001 00000004"), "looks like binary"},
      {c, Hex("83"), "bad version"},
      {c, Hex("8222"), "bad version"},
      {c, Hex("8220"), "bad version"},
      {c, Hex("8201 00 00"), "unknown message type"},
      {c, Hex("82a1 00 00"), "unknown message type"},
      {c, Hex("82e1 00 00"), "unknown message type"},
      {c, Hex("8221 ffffffff10"), "seqid over 32 bits"},
      {c, Hex("8221 8080808080"), "seqid over 32 bits"},
      {c, Hex("8221 00 ffffffff1f"), "name length over 32 bits"},
      {c, Hex("8221 00 ffffffff0f"), "name of negative length"},
      {c, Hex("8221 00 8120"), "name over 4096 bytes"},
  };
  for (const Bad& bad : kBad) {
    Envelope envelope;
    const Exact bytes(bad.bytes);
    const DecodeResult result = DecodeEnvelope(bad.protocol, bytes.view(), &envelope);
    EXPECT_EQ(result.outcome, Outcome::kMalformed) << bad.why;
    EXPECT_THAT(result.why, HasSubstr(bad.why));
  }
}

TEST(Envelope, PutsASeqidOnInPlace) {
  std::string message = Hex("80010001 00000004 6563686f 00000007 00");
  Envelope envelope;
  ASSERT_EQ(DecodeEnvelope(Protocol::kBinary, message, &envelope).outcome, Outcome::kOk);
  PatchBinarySeqid(message.data(), envelope, -2);
  EXPECT_EQ(message, Hex("80010001 00000004 6563686f fffffffe 00"));
}

TEST(Envelope, PutsASeqidOnAnOldOneInPlace) {
  std::string message = Hex("00000004 6563686f 01 00000007 00");
  Envelope envelope;
  ASSERT_EQ(DecodeEnvelope(Protocol::kBinary, message, &envelope).outcome, Outcome::kOk);
  PatchBinarySeqid(message.data(), envelope, -2);
  EXPECT_EQ(message, Hex("00000004 6563686f 01 fffffffe 00"));
}

// What is read into an Envelope that held one of the other form.
TEST(Envelope, TheFormIsSetEachTime) {
  Envelope envelope;
  for (const bool old_form : {true, false, true}) {
    char out[MaxEnvelopeSize(1)];
    const uint32_t size =
        EncodeEnvelope(Protocol::kBinary, MessageType::kCall, "m", 1, out, old_form);
    ASSERT_EQ(DecodeEnvelope(Protocol::kBinary, {out, size}, &envelope).outcome, Outcome::kOk);
    EXPECT_EQ(envelope.old_form, old_form);
  }
  ASSERT_EQ(DecodeEnvelope(Protocol::kCompact, Hex("8221 07 01 78"), &envelope).outcome,
            Outcome::kOk);
  EXPECT_FALSE(envelope.old_form);
}

TEST(Envelope, TakesACompactSeqidWrittenTooLong) {
  const std::string bytes = Hex("8221 8700 01 78");
  Envelope envelope;
  ASSERT_EQ(DecodeEnvelope(Protocol::kCompact, bytes, &envelope).outcome, Outcome::kOk);
  EXPECT_EQ(envelope.seqid, 7);
  EXPECT_EQ(envelope.seqid_size, 2u);
  EXPECT_EQ(envelope.name, "x");
}

TEST(Envelope, SeqidsOfAllSizesComeBack) {
  for (const Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    for (int bit = 0; bit < 32; bit++) {
      for (const int32_t off : {-1, 0, 1}) {
        const auto seqid = static_cast<int32_t>((1u << bit) + static_cast<uint32_t>(off));
        char out[MaxEnvelopeSize(1)];
        const uint32_t size = EncodeEnvelope(protocol, MessageType::kReply, "m", seqid, out);
        ASSERT_EQ(size, EnvelopeSize(protocol, "m", seqid));
        Envelope envelope;
        ASSERT_EQ(DecodeEnvelope(protocol, {out, size}, &envelope).outcome, Outcome::kOk);
        ASSERT_EQ(envelope.seqid, seqid);
        ASSERT_EQ(envelope.size, size);
      }
    }
  }
}

}  // namespace
}  // namespace trestle::thrift
