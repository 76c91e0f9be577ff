#include "thrift/buffered.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/thrift/bytes.h"
#include "tests/thrift/structs.h"
#include "thrift/frame.h"
#include "thrift/ttwitter.h"

namespace trestle::thrift {
namespace {

using base::Buffer;
using base::Slice;
using ::testing::HasSubstr;

constexpr uint32_t kMax = 1 << 20;

struct Case {
  const char* about;
  Protocol protocol;
  bool with_header;
  std::string bytes;
};

std::vector<Case> Cases() {
  const std::string header = Hex("0a0001 0000000000000007 0f0008 0c 00000000 00");
  const std::string small = Hex("16 0e 29 0c 00");
  const std::string strict = Hex("80010001 00000004 6563686f 00000007 0b0001 00000002 6869 00");
  const std::string old = Hex("00000004 6563686f 01 00000007 0b0001 00000002 6869 00");
  const std::string terse = Hex("8221 8701 04 6563686f 18 02 6869 00");
  return {
      {"binary", kBinary, false, strict},
      {"binary, no name, no field", kBinary, false, Hex("80010002 00000000 00000007 00")},
      {"old binary", kBinary, false, old},
      {"old binary, no name, no field", kBinary, false, Hex("00000000 02 00000007 00")},
      {"compact", kCompact, false, terse},
      {"compact, no name, no field", kCompact, false, Hex("8241 00 00 00")},
      {"binary with a header", kBinary, true, header + strict},
      {"binary with an empty header", kBinary, true, '\0' + strict},
      {"old binary with a header", kBinary, true, header + old},
      {"compact with a header", kCompact, true, small + terse},
      {"compact with an empty header", kCompact, true, '\0' + terse},
  };
}

// One Slice with memory of its own for each piece.
void AppendPieces(std::string_view bytes, size_t piece, Buffer* to) {
  for (size_t at = 0; at < bytes.size(); at += piece) {
    to->Append(Slice::Copy(bytes.substr(at, piece)));
  }
}

TEST(BufferedDecoder, CutsMessagesOneAfterTheOther) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.about);
    const std::string all = c.bytes + c.bytes + c.bytes + c.bytes.substr(0, 1);
    for (size_t piece = 1; piece <= all.size(); piece++) {
      BufferedDecoder decoder(c.protocol, kMax);
      Buffer in;
      AppendPieces(all, piece, &in);
      for (int i = 0; i < 3; i++) {
        Buffer message;
        ASSERT_EQ(decoder.Next(&in, c.with_header, &message), Outcome::kOk) << decoder.why();
        ASSERT_EQ(message.ToString(), c.bytes);
        EXPECT_FALSE(decoder.begun());
      }
      Buffer message;
      EXPECT_EQ(decoder.Next(&in, c.with_header, &message), Outcome::kNeedMore);
      EXPECT_TRUE(decoder.begun());
      EXPECT_EQ(in.size(), 1u);
    }
  }
}

TEST(BufferedDecoder, EveryPrefixAsksForMoreAndLeavesItAlone) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.about);
    for (size_t n = 0; n < c.bytes.size(); n++) {
      BufferedDecoder decoder(c.protocol, kMax);
      Buffer in = Buffer::Copy(c.bytes.substr(0, n));
      Buffer message = Buffer::Copy("kept");
      ASSERT_EQ(decoder.Next(&in, c.with_header, &message), Outcome::kNeedMore) << decoder.why();
      ASSERT_EQ(decoder.Next(&in, c.with_header, &message), Outcome::kNeedMore) << "nothing new";
      EXPECT_EQ(in.ToString(), c.bytes.substr(0, n));
      EXPECT_EQ(message.ToString(), "kept");
      EXPECT_EQ(decoder.begun(), n > 0);
      in.Append(Slice::Copy(c.bytes.substr(n)));
      ASSERT_EQ(decoder.Next(&in, c.with_header, &message), Outcome::kOk) << decoder.why();
      EXPECT_EQ(message.ToString(), c.bytes);
    }
  }
}

TEST(BufferedDecoder, OneByteAtATime) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.about);
    BufferedDecoder decoder(c.protocol, kMax);
    Buffer in;
    Buffer message;
    for (int round = 0; round < 2; round++) {
      for (size_t i = 0; i < c.bytes.size(); i++) {
        in.Append(Slice::Copy(c.bytes.substr(i, 1)));
        ASSERT_EQ(decoder.Next(&in, c.with_header, &message),
                  i + 1 < c.bytes.size() ? Outcome::kNeedMore : Outcome::kOk);
      }
      EXPECT_EQ(message.ToString(), c.bytes);
    }
  }
}

// What waits may be moved into other memory: the place is kept as a number of bytes.
TEST(BufferedDecoder, SlicesMayBeJoinedMeanwhile) {
  for (const Case& c : Cases()) {
    BufferedDecoder decoder(c.protocol, kMax);
    Buffer in;
    Buffer message;
    const size_t most = c.bytes.size() - 1;
    for (size_t i = 0; i < most; i++) {
      in.Append(Slice::Copy(c.bytes.substr(i, 1)));
      if (i % 3 == 0) in.Front(in.size());
      ASSERT_EQ(decoder.Next(&in, c.with_header, &message), Outcome::kNeedMore);
    }
    in.Append(Slice::Copy(c.bytes.substr(most)));
    ASSERT_EQ(decoder.Next(&in, c.with_header, &message), Outcome::kOk);
    EXPECT_EQ(message.ToString(), c.bytes);
  }
}

// An upgrade in mid-stream: the header holds for messages that begin after it was asked for.
TEST(BufferedDecoder, AHeaderIsAskedForAtTheFirstByte) {
  const std::string plain = Cases()[0].bytes;
  BufferedDecoder decoder(kBinary, kMax);
  Buffer in = Buffer::Copy(plain.substr(0, 5));
  Buffer message;
  ASSERT_EQ(decoder.Next(&in, false, &message), Outcome::kNeedMore);
  in.Append(Slice::Copy(plain.substr(5) + '\0' + plain));
  ASSERT_EQ(decoder.Next(&in, true, &message), Outcome::kOk) << decoder.why();
  EXPECT_EQ(message.ToString(), plain);
  ASSERT_EQ(decoder.Next(&in, true, &message), Outcome::kOk) << decoder.why();
  EXPECT_EQ(message.ToString(), '\0' + plain);
}

TEST(BufferedDecoder, HandsTheBytesOnWithoutACopy) {
  const std::string bytes = Cases()[0].bytes;
  Buffer in = Buffer::Copy(bytes + bytes);
  const char* at = in.slice(0).data();
  const size_t held = base::Block::BytesOnThread();
  BufferedDecoder decoder(kBinary, kMax);
  Buffer one;
  Buffer two;
  ASSERT_EQ(decoder.Next(&in, false, &one), Outcome::kOk);
  ASSERT_EQ(decoder.Next(&in, false, &two), Outcome::kOk);
  EXPECT_EQ(one.slice(0).data(), at);
  EXPECT_EQ(two.slice(0).data(), at + bytes.size());
  EXPECT_EQ(base::Block::BytesOnThread(), held);
}

// Two large Blocks in turn, so that no piece joins the one before it: a way over all slices at each
// call would be 10^10 steps.
TEST(BufferedDecoder, ALargeMessageInManySmallPieces) {
  const uint32_t pieces = 100'000;
  std::string bytes = Hex("80010001 00000000 00000007 0f0001 0b 00000000");
  const uint32_t strings = (8 * pieces - static_cast<uint32_t>(bytes.size()) - 1) / 5;
  WriteU32(bytes.data() + bytes.size() - 4, strings);
  for (uint32_t i = 0; i < strings; i++) bytes += Hex("00000001 7a");
  bytes += '\0';
  const Slice even = Slice::Copy(bytes);
  const Slice odd = Slice::Copy(bytes);
  BufferedDecoder decoder(kBinary, kMax);
  Buffer in;
  Buffer message;
  for (uint32_t at = 0; at < bytes.size(); at += 8) {
    ASSERT_EQ(decoder.Next(&in, false, &message), Outcome::kNeedMore) << decoder.why();
    const Slice& from = at / 8 % 2 ? odd : even;
    const auto size = std::min<uint32_t>(8, static_cast<uint32_t>(bytes.size()) - at);
    in.Append(Slice(from.block(), from.data() + at, size));
  }
  ASSERT_EQ(decoder.Next(&in, false, &message), Outcome::kOk) << decoder.why();
  EXPECT_TRUE(message.ToString() == bytes);
}

// A long name that comes byte by byte is read once, not anew with each.
TEST(BufferedDecoder, TheLongestNamesByteByByte) {
  const std::string name(kMaxNameBytes, 'n');
  for (const auto& [protocol, head, tail] :
       {std::tuple{kBinary, "80010001 00001000", "00000007 00"},
        std::tuple{kBinary, "00001000", "01 00000007 00"},
        std::tuple{kCompact, "8221 ffffffff0f 8020", "00"}}) {
    const std::string bytes = Hex(head) + name + Hex(tail);
    BufferedDecoder decoder(protocol, kMax);
    Buffer in;
    Buffer message;
    for (size_t i = 0; i < bytes.size(); i++) {
      in.Append(Slice::Copy(bytes.substr(i, 1)));
      ASSERT_EQ(decoder.Next(&in, false, &message),
                i + 1 < bytes.size() ? Outcome::kNeedMore : Outcome::kOk)
          << decoder.why();
    }
    EXPECT_EQ(message.ToString(), bytes);
  }
}

TEST(BufferedDecoder, TheBoundItselfIsTaken) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.about);
    const auto size = static_cast<uint32_t>(c.bytes.size());
    for (const size_t piece : {size_t{1}, size_t{3}, c.bytes.size()}) {
      for (uint32_t max = 0; max <= size; max++) {
        BufferedDecoder decoder(c.protocol, max);
        Buffer in;
        Buffer message;
        Outcome outcome = Outcome::kNeedMore;
        for (size_t at = 0; outcome == Outcome::kNeedMore && at < size; at += piece) {
          ASSERT_TRUE(at <= max || max == 0) << "known once so many bytes have come";
          in.Append(Slice::Copy(std::string_view(c.bytes).substr(at, piece)));
          outcome = decoder.Next(&in, c.with_header, &message);
        }
        if (max == size) {
          EXPECT_EQ(outcome, Outcome::kOk) << decoder.why();
          continue;
        }
        EXPECT_EQ(outcome, Outcome::kMalformed);
        EXPECT_EQ(decoder.why(), "a message over the bound of " + std::to_string(max) + " bytes");
        EXPECT_EQ(decoder.Next(&in, c.with_header, &message), Outcome::kMalformed) << "final";
      }
    }
  }
}

// What cannot end within the bound is refused before its bytes come.
TEST(BufferedDecoder, SizesOverTheBoundAreToldAtOnce) {
  const std::pair<Protocol, const char*> kStarts[] = {
      {kBinary, "80010001 00000000 00000007 0b0001 00100000"},
      {kBinary, "00000000 01 00000007 0f0001 0a 00020000"},
      {kCompact, "8221 07 00 18 808040"},
  };
  for (const auto& [protocol, hex] : kStarts) {
    BufferedDecoder decoder(protocol, kMax);
    Buffer in = Buffer::Copy(Hex(hex));
    Buffer message;
    EXPECT_EQ(decoder.Next(&in, false, &message), Outcome::kMalformed) << hex;
    EXPECT_EQ(decoder.why(), "a message over the bound of 1048576 bytes");
  }
}

TEST(BufferedDecoder, AHeaderHasABoundOfItsOwn) {
  BufferedDecoder decoder(kBinary, kMax);
  Buffer in = Buffer::Copy(Hex("0b0009 00040000"));
  Buffer message;
  EXPECT_EQ(decoder.Next(&in, true, &message), Outcome::kMalformed);
  EXPECT_EQ(decoder.why(), "a header over the bound of 262144 bytes");
}

struct Bad {
  Protocol protocol;
  bool with_header;
  std::string bytes;
  const char* why;
};

TEST(BufferedDecoder, SaysWhyOneIsMalformed) {
  const Bad kBad[] = {
      {kBinary, false, "GET / HTTP/1.1\r\n", "looks like HTTP"},
      {kCompact, false, "POST / HTTP/1.1\r\n", "looks like HTTP"},
      {kBinary, false, Hex("16030100 c8010000"), "looks like a TLS hello"},
      {kCompact, false, Hex("16030100 c8010000"), "looks like a TLS hello"},
      {kBinary, false, Hex("82210700 00"), "looks like compact, not binary"},
      {kCompact, false, Hex("80010001 00000000"), "looks like binary, not compact"},
      {kBinary, false, Hex("00000020 80010001 00000004"), "looks like framed binary Thrift"},
      {kBinary, false, Hex("00000020 82210700"), "looks like framed compact Thrift"},
      {kCompact, false, Hex("00000020 82210700"), "looks like framed compact Thrift"},
      {kCompact, false, Hex("00000020 80010001"), "looks like framed binary Thrift"},
      {kBinary, false, Hex("00000020 0fff0000"), "looks like THeader"},
      {kBinary, false, Hex("0000000f 7f000001 7469"), "looks like ThriftMux"},
      {kBinary, false, Hex("80010005 00000000"), "unknown message type"},
      {kBinary, false, Hex("00000001 78 09 00000007"), "unknown message type"},
      {kBinary, false, Hex("80010001 00001001"), "name over 4096 bytes"},
      {kBinary, false, Hex("80010001 00000000 00000007 05"), "a field of unknown type"},
      {kCompact, false, Hex("82210700 1e"), "a field of unknown type"},
      {kBinary, true, Hex("80010001 00000000 00000007 00"), "a field of unknown type"},
      {kBinary, true, Hex("00 16030100 c8010000"), "looks like a TLS hello"},
  };
  for (const Bad& bad : kBad) {
    BufferedDecoder decoder(bad.protocol, kMax);
    Buffer in = Buffer::Copy(bad.bytes);
    Buffer message;
    EXPECT_EQ(decoder.Next(&in, bad.with_header, &message), Outcome::kMalformed) << bad.why;
    EXPECT_THAT(decoder.why(), HasSubstr(bad.why));
    // One byte at a time it is refused no later, with whatever reason is known by then.
    BufferedDecoder single(bad.protocol, kMax);
    Buffer bytes;
    Outcome outcome = Outcome::kNeedMore;
    for (size_t i = 0; outcome == Outcome::kNeedMore && i < bad.bytes.size(); i++) {
      bytes.Append(Slice::Copy(bad.bytes.substr(i, 1)));
      outcome = single.Next(&bytes, bad.with_header, &message);
    }
    EXPECT_EQ(outcome, Outcome::kMalformed) << bad.why;
  }
}

// However it is cut, a message with a wrong byte ends where the same bytes end in one piece.
TEST(BufferedDecoder, EveryOneByteCorruptionIsSafe) {
  for (const Case& c : Cases()) {
    for (size_t at = 0; at < c.bytes.size(); at++) {
      for (int with = 0; with < 256; with++) {
        std::string bad = c.bytes;
        bad[at] = static_cast<char>(with);
        Outcome first = Outcome::kOk;
        size_t left = 0;
        for (const size_t piece : {bad.size(), size_t{1}, size_t{3}}) {
          BufferedDecoder decoder(c.protocol, kMax);
          Buffer in;
          AppendPieces(bad, piece, &in);
          Buffer message;
          const Outcome outcome = decoder.Next(&in, c.with_header, &message);
          ASSERT_EQ(outcome == Outcome::kMalformed, !decoder.why().empty());
          if (piece == bad.size()) {
            first = outcome;
            left = in.size();
          }
          ASSERT_EQ(outcome, first) << c.about << " " << at << " " << with;
          ASSERT_EQ(in.size(), left);
          ASSERT_TRUE(outcome != Outcome::kOk || message.ToString() + in.ToString() == bad);
        }
      }
    }
  }
}

}  // namespace
}  // namespace trestle::thrift
