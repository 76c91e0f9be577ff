// FrameDecoder: messages cut out of what was read.
#include "mux/frame.h"

#include <gtest/gtest.h>

#include "tests/thrift/bytes.h"

namespace trestle::mux {
namespace {

using base::Buffer;
using base::Slice;
using thrift::Hex;

constexpr uint32_t kMax = 1000;

TEST(Frame, AMessageAndItsParts) {
  struct Case {
    const char* hex;
    Type type;
    int8_t wire;
    uint32_t tag;
    bool more;
    const char* body;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"00000004 41 000001", Type::kTping, 65, 1, false, ""},
           {"0000000b 42 000000 00000267", Type::kTdiscarded, 66, 0, false, "00000267"},
           {"00000007 c2 000000 000002", Type::kTdiscarded, -62, 0, false, "000002"},
           {"00000006 7f 000001 6162", Type::kRerr, 127, 1, false, "6162"},
           {"00000006 80 000001 6162", Type::kRerr, -128, 1, false, "6162"},
           {"00000005 02 ffffff aa", Type::kTdispatch, 2, kMaxTag, true, "aa"},
           {"00000005 fe 800000 aa", Type::kRdispatch, -2, 0, true, "aa"},
           {"00000004 fe 7fffff", Type::kRdispatch, -2, kMaxTag, false, ""},
       }) {
    std::string bytes = Hex(c.hex);
    const std::string body = Hex(c.body);
    bytes[3] = static_cast<char>(4 + body.size());
    Buffer in = Buffer::Copy(bytes + "next");
    FrameDecoder decoder(kMax);
    Frame frame;
    frame.body = Buffer::Copy("of the one before");
    ASSERT_EQ(decoder.Next(&in, &frame), Outcome::kOk) << c.hex;
    EXPECT_EQ(frame.type, c.type);
    EXPECT_EQ(frame.wire, c.wire);
    EXPECT_EQ(frame.tag, c.tag);
    EXPECT_EQ(frame.more, c.more);
    EXPECT_EQ(frame.body.ToString(), body);
    EXPECT_EQ(in.ToString(), "next");
    EXPECT_EQ(decoder.missing(), 0u);
  }
}

TEST(Frame, EveryPrefixAsksForMoreAndTellsHowMuch) {
  const std::string whole = Hex("0000000a 02 000002 000000000000");
  for (size_t n = 0; n < whole.size(); n++) {
    Buffer in = Buffer::Copy(whole.substr(0, n));
    FrameDecoder decoder(kMax);
    Frame frame;
    EXPECT_EQ(decoder.Next(&in, &frame), Outcome::kNeedMore) << n;
    EXPECT_EQ(decoder.missing(), n < 4 ? 0 : whole.size() - n);
    EXPECT_EQ(in.ToString(), whole.substr(0, n)) << "left alone";
  }
}

TEST(Frame, InTwoSlicesCutEverywhere) {
  const std::string first = Hex("00000008 02 800002 61626364");
  const std::string both = first + Hex("00000004 41 000001");
  for (size_t cut = 0; cut <= both.size(); cut++) {
    Buffer in;
    in.Append(Slice::Copy(both.substr(0, cut)));
    in.Append(Slice::Copy(both.substr(cut)));
    FrameDecoder decoder(kMax);
    Frame frame;
    ASSERT_EQ(decoder.Next(&in, &frame), Outcome::kOk);
    EXPECT_EQ(frame.type, Type::kTdispatch);
    EXPECT_EQ(frame.body.ToString(), "abcd");
    ASSERT_EQ(decoder.Next(&in, &frame), Outcome::kOk);
    EXPECT_EQ(frame.type, Type::kTping);
    EXPECT_TRUE(frame.body.empty());
    EXPECT_EQ(decoder.Next(&in, &frame), Outcome::kNeedMore);
    EXPECT_TRUE(in.empty());
  }
}

// What is wrong is told by the first bytes that show it.
TEST(Frame, WhatIsMalformed) {
  struct Case {
    const char* hex;
    uint32_t max;
    const char* why;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"00000000", kMax, "a message of 0 bytes, too short for a type and a tag"},
           {"00000003", kMax, "a message of 3 bytes, too short for a type and a tag"},
           {"000003e9", kMax, "a message of 1001 bytes, over the bound of 1000"},
           {"ffffffff", kMax, "a message of 4294967295 bytes, over the bound of 1000"},
           {"00000005", 4, "a message of 5 bytes, over the bound of 4"},
           {"00000005 21", kMax, "a message of the unknown type 33"},
           {"00000005 00", kMax, "a message of the unknown type 0"},
           {"00000005 9d", kMax, "a message of the unknown type -99"},
           {"00000004 03 000002", kMax, "a message of the unknown type 3"},
       }) {
    const std::string bytes = Hex(c.hex);
    FrameDecoder decoder(c.max);
    Frame frame;
    for (size_t n = 0; n < std::min<size_t>(bytes.size(), 5); n++) {
      const bool last = n + 1 == bytes.size() || n == 4;
      Buffer in = Buffer::Copy(bytes.substr(0, n + 1));
      EXPECT_EQ(decoder.Next(&in, &frame), last ? Outcome::kMalformed : Outcome::kNeedMore);
    }
    EXPECT_EQ(decoder.why(), c.why);
    Buffer in = Buffer::Copy(bytes);
    EXPECT_EQ(decoder.Next(&in, &frame), Outcome::kMalformed);
  }
}

TEST(Frame, TheBoundIsOfWhatTheSizeCounts) {
  const std::string body(kMax - 4, 'x');
  Buffer in = Buffer::Copy(ShowMessage(Type::kRdispatch, 2, body));
  FrameDecoder decoder(kMax);
  Frame frame;
  ASSERT_EQ(decoder.Next(&in, &frame), Outcome::kOk);
  EXPECT_EQ(frame.body.size(), kMax - 4);
  in = Buffer::Copy(ShowMessage(Type::kRdispatch, 2, body + "x"));
  EXPECT_EQ(decoder.Next(&in, &frame), Outcome::kMalformed);
  // The largest bound there is; nothing is taken for what is not there yet.
  FrameDecoder boundless(UINT32_MAX);
  in = Buffer::Copy(Hex("ffffffff 02"));
  EXPECT_EQ(boundless.Next(&in, &frame), Outcome::kNeedMore);
  EXPECT_EQ(boundless.missing(), 0xfffffffe);
}

TEST(Frame, EveryCorruptionOfAByteIsSafe) {
  const std::string good = Hex("00000008 02 000002 61626364 00000004 bf 000001");
  for (size_t i = 0; i < good.size(); i++) {
    for (int value = 0; value < 256; value++) {
      std::string corrupt = good;
      corrupt[i] = static_cast<char>(value);
      Buffer in = Buffer::Copy(corrupt);
      FrameDecoder decoder(kMax);
      Frame frame;
      Outcome outcome = Outcome::kOk;
      size_t used = 0;
      while ((outcome = decoder.Next(&in, &frame)) == Outcome::kOk) {
        used += kHeadBytes + frame.body.size();
        ASSERT_EQ(in.size(), corrupt.size() - used);
        ASSERT_LE(frame.tag, kMaxTag);
        ASSERT_EQ(KnownType(frame.wire), frame.type);
      }
      ASSERT_EQ(outcome == Outcome::kMalformed, !decoder.why().empty());
    }
  }
}

// Payloads are handed on, not copied.
TEST(Frame, TheBodyIsWhereItWasRead) {
  const Slice read = Slice::Copy(ShowMessage(Type::kTdispatch, 2, "payload"));
  Buffer in{Slice(read)};
  FrameDecoder decoder(kMax);
  Frame frame;
  ASSERT_EQ(decoder.Next(&in, &frame), Outcome::kOk);
  ASSERT_EQ(frame.body.slices(), 1u);
  EXPECT_EQ(frame.body.slice(0).data(), read.data() + kHeadBytes);
}

}  // namespace
}  // namespace trestle::mux
