#include <gtest/gtest.h>

#include "tests/thrift/bytes.h"
#include "thrift/message.h"

namespace trestle::thrift {
namespace {

constexpr Protocol kBinary = Protocol::kBinary;
constexpr Protocol kCompact = Protocol::kCompact;

struct Case {
  const char* about;
  Protocol protocol;
  MessageType type;
  const char* body;
  ReplyKind kind;
};

// Bodies are cut where a caller that passes only a few bytes would cut them.
constexpr Case kCases[] = {
    {"void", kBinary, MessageType::kReply, "00", ReplyKind::kResult},
    {"string result", kBinary, MessageType::kReply, "0b0000 0000000568", ReplyKind::kResult},
    {"only the field's head", kBinary, MessageType::kReply, "0b0000", ReplyKind::kResult},
    {"uuid result", kBinary, MessageType::kReply, "100000", ReplyKind::kResult},
    {"field 1", kBinary, MessageType::kReply, "0c0001 0b0001", ReplyKind::kDeclaredException},
    {"field 256", kBinary, MessageType::kReply, "0c0100", ReplyKind::kDeclaredException},
    {"field -1", kBinary, MessageType::kReply, "0cffff", ReplyKind::kDeclaredException},
    {"nothing", kBinary, MessageType::kReply, "", ReplyKind::kUnknown},
    {"half a head", kBinary, MessageType::kReply, "0c00", ReplyKind::kUnknown},
    {"no type", kBinary, MessageType::kReply, "010000", ReplyKind::kUnknown},
    {"no type", kBinary, MessageType::kReply, "ff0000", ReplyKind::kUnknown},
    {"exception", kBinary, MessageType::kException, "0b0001", ReplyKind::kApplicationException},
    {"exception", kBinary, MessageType::kException, "", ReplyKind::kApplicationException},
    {"a call is no reply", kBinary, MessageType::kCall, "00", ReplyKind::kUnknown},
    {"nor is a oneway", kBinary, MessageType::kOneway, "00", ReplyKind::kUnknown},

    {"void", kCompact, MessageType::kReply, "00", ReplyKind::kResult},
    {"string result", kCompact, MessageType::kReply, "0800 026869", ReplyKind::kResult},
    {"only the field's head", kCompact, MessageType::kReply, "0800", ReplyKind::kResult},
    {"true result", kCompact, MessageType::kReply, "0100", ReplyKind::kResult},
    {"uuid result", kCompact, MessageType::kReply, "0d00", ReplyKind::kResult},
    {"field 1 by step", kCompact, MessageType::kReply, "1c", ReplyKind::kDeclaredException},
    {"field 15 by step", kCompact, MessageType::kReply, "fc", ReplyKind::kDeclaredException},
    {"field 16", kCompact, MessageType::kReply, "0c20", ReplyKind::kDeclaredException},
    {"field 32767", kCompact, MessageType::kReply, "0cfeff03", ReplyKind::kDeclaredException},
    {"nothing", kCompact, MessageType::kReply, "", ReplyKind::kUnknown},
    {"half a head", kCompact, MessageType::kReply, "08", ReplyKind::kUnknown},
    {"half an id", kCompact, MessageType::kReply, "0cfeff", ReplyKind::kUnknown},
    {"id over 16 bits", kCompact, MessageType::kReply, "0cffff04", ReplyKind::kUnknown},
    {"id of 4 bytes", kCompact, MessageType::kReply, "0c80808000", ReplyKind::kUnknown},
    {"no type", kCompact, MessageType::kReply, "0e00", ReplyKind::kUnknown},
    {"a stop with a step", kCompact, MessageType::kReply, "10", ReplyKind::kUnknown},
    {"exception", kCompact, MessageType::kException, "18", ReplyKind::kApplicationException},
};

TEST(ClassifyReply, ByTheFirstField) {
  for (const Case& c : kCases) {
    const Exact body(Hex(c.body));
    EXPECT_EQ(ReplyKindName(ClassifyReply(c.protocol, c.type, body.view())), ReplyKindName(c.kind))
        << ProtocolName(c.protocol) << " " << c.about << " " << c.body;
  }
}

TEST(ClassifyReply, KindsHaveNames) {
  EXPECT_STREQ(ReplyKindName(ReplyKind::kResult), "result");
  EXPECT_STREQ(ReplyKindName(ReplyKind::kDeclaredException), "declared_exception");
  EXPECT_STREQ(ReplyKindName(ReplyKind::kApplicationException), "application_exception");
  EXPECT_STREQ(ReplyKindName(ReplyKind::kUnknown), "unknown");
}

TEST(ApplicationException, IsWrittenAsApacheReadsIt) {
  EXPECT_EQ(EncodeApplicationException(kBinary, "echo", 7, kInternalError, "no"),
            Hex("80010003 00000004 6563686f 00000007 0b0001 00000002 6e6f 080002 00000006 00"));
  EXPECT_EQ(EncodeApplicationException(kCompact, "echo", 7, kInternalError, "no"),
            Hex("8261 07 04 6563686f 18 02 6e6f 15 0c 00"));
  EXPECT_EQ(EncodeApplicationException(kBinary, "", -1, -2, ""),
            Hex("80010003 00000000 ffffffff 0b0001 00000000 080002 fffffffe 00"));
  EXPECT_EQ(EncodeApplicationException(kCompact, "", -1, -2, ""),
            Hex("8261 ffffffff0f 00 18 00 15 03 00"));
}

TEST(ApplicationException, IsReadBack) {
  for (const Protocol protocol : {kBinary, kCompact}) {
    for (const std::string& text : {std::string(), std::string("trestle: bind: /svc/a"),
                                    std::string("\0\xff", 2), std::string(100000, 't')}) {
      for (const int32_t number : {0, 1, 6, -1, INT32_MAX, INT32_MIN}) {
        const std::string message = EncodeApplicationException(protocol, "m", 3, number, text);
        Envelope envelope;
        ASSERT_EQ(DecodeEnvelope(protocol, message, &envelope).outcome, Outcome::kOk);
        EXPECT_EQ(envelope.type, MessageType::kException);
        std::string read;
        int32_t type = 77;
        ASSERT_TRUE(DecodeApplicationException(
            protocol, std::string_view(message).substr(envelope.size), &read, &type));
        EXPECT_EQ(read, text);
        EXPECT_EQ(type, number);
      }
    }
  }
}

struct Body {
  const char* about;
  Protocol protocol;
  const char* hex;
  bool good;
  const char* text;
  int32_t type;
};

TEST(ApplicationException, OtherBodies) {
  const Body kBodies[] = {
      {"fields the other way round", kBinary, "080002 00000001 0b0001 00000001 61 00", true, "a",
       1},
      {"no field", kBinary, "00", true, "", 0},
      {"only a type", kBinary, "080002 00000005 00", true, "", 5},
      {"unknown fields", kBinary, "0c0007 020001 01 00 0b0001 00000001 61 00", true, "a", 0},
      {"type as i64", kBinary, "0a0002 0000000000000001 00", true, "", 0},
      {"no stop", kBinary, "080002 00000001", false, "", 0},
      {"half a text", kBinary, "0b0001 00000002 61", false, "", 0},
      {"negative size", kBinary, "0b0001 ffffffff 61", false, "", 0},
      {"nothing", kBinary, "", false, "", 0},
      {"fields the other way round", kCompact, "25 02 08 02 01 61 00", true, "a", 1},
      {"no field", kCompact, "00", true, "", 0},
      {"type over 32 bits", kCompact, "25 ffffffff7f 00", false, "", 0},
      {"half a text", kCompact, "18 02 61", false, "", 0},
  };
  for (const Body& body : kBodies) {
    const Exact bytes(Hex(body.hex));
    std::string text;
    int32_t type = 0;
    EXPECT_EQ(DecodeApplicationException(body.protocol, bytes.view(), &text, &type), body.good)
        << ProtocolName(body.protocol) << " " << body.about;
    EXPECT_EQ(text, body.text) << body.about;
    EXPECT_EQ(type, body.type) << body.about;
  }
}

TEST(ApplicationException, PrefixesAndCorruptionsAreSafe) {
  for (const Protocol protocol : {kBinary, kCompact}) {
    const std::string message = EncodeApplicationException(protocol, "", 0, 6, "some text");
    const std::string body = message.substr(EnvelopeSize(protocol, "", 0));
    for (size_t n = 0; n < body.size(); n++) {
      const Exact prefix(body.substr(0, n));
      std::string text = "untouched";
      int32_t type = 0;
      EXPECT_FALSE(DecodeApplicationException(protocol, prefix.view(), &text, &type));
      EXPECT_EQ(text, "untouched");
      for (int with = 0; with < 256; with++) {
        std::string bad = body;
        bad[n] = static_cast<char>(with);
        const Exact bytes(bad);
        DecodeApplicationException(protocol, bytes.view(), &text, &type);
        EXPECT_LE(text.size(), bad.size());
      }
    }
  }
}

}  // namespace
}  // namespace trestle::thrift
