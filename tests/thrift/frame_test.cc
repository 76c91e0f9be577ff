#include "thrift/frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/thrift/bytes.h"

namespace trestle::thrift {
namespace {

using base::Block;
using base::Buffer;
using base::Slice;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint32_t kMax = 16'384'000;

std::string Framed(std::string_view message) {
  std::string out(4, '\0');
  WriteU32(out.data(), static_cast<uint32_t>(message.size()));
  return out.append(message);
}

// One Slice with memory of its own for each piece.
void AppendPieces(std::string_view bytes, size_t piece, Buffer* to) {
  for (size_t at = 0; at < bytes.size(); at += piece) {
    to->Append(Slice::Copy(bytes.substr(at, piece)));
  }
}

TEST(FrameDecoder, CutsFramesOneAfterTheOther) {
  FrameDecoder decoder(kMax);
  Buffer in = Buffer::Copy(Framed("one") + Framed("second"));
  Buffer frame;
  ASSERT_EQ(decoder.Next(&in, &frame), Outcome::kOk);
  EXPECT_EQ(frame.ToString(), Framed("one"));
  ASSERT_EQ(decoder.Next(&in, &frame), Outcome::kOk);
  EXPECT_EQ(frame.ToString(), Framed("second"));
}

TEST(FrameDecoder, LeavesAHalfFrameAlone) {
  FrameDecoder decoder(kMax);
  const std::string half = Framed("third").substr(0, 7);
  Buffer in = Buffer::Copy(half);
  Buffer frame = Buffer::Copy("kept");
  EXPECT_EQ(decoder.Next(&in, &frame), Outcome::kNeedMore);
  EXPECT_EQ(decoder.Next(&in, &frame), Outcome::kNeedMore) << "asking again changes nothing";
  EXPECT_EQ(in.ToString(), half);
  EXPECT_EQ(frame.ToString(), "kept");
}

TEST(FrameDecoder, EveryPrefixAsksForMoreAndTellsHowMuch) {
  const std::string bytes = Framed("a message");
  for (size_t n = 0; n < bytes.size(); n++) {
    FrameDecoder decoder(kMax);
    Buffer in;
    AppendPieces(bytes.substr(0, n), 1, &in);
    Buffer frame;
    ASSERT_EQ(decoder.Next(&in, &frame), Outcome::kNeedMore) << n;
    EXPECT_EQ(decoder.missing(), n < 4 ? 0 : bytes.size() - n) << n;
    EXPECT_EQ(in.size(), n);
  }
}

TEST(FrameDecoder, OneByteAtATime) {
  const std::string bytes = Framed("first") + Framed("x") + Framed(std::string(300, 'y'));
  FrameDecoder decoder(kMax);
  Buffer in;
  std::string out;
  int frames = 0;
  for (const char c : bytes) {
    in.Append(Slice::Copy({&c, 1}));
    Buffer frame;
    const Outcome outcome = decoder.Next(&in, &frame);
    ASSERT_NE(outcome, Outcome::kMalformed);
    if (outcome == Outcome::kOk) {
      frames++;
      out += frame.ToString();
      EXPECT_TRUE(in.empty());
      EXPECT_EQ(decoder.missing(), 0u);
    }
  }
  EXPECT_EQ(frames, 3);
  EXPECT_EQ(out, bytes);
}

TEST(FrameDecoder, EverySplitGivesTheSameFrames) {
  const std::string bytes = Framed("ab") + Framed("cdefg") + Framed("h");
  for (size_t piece = 1; piece <= bytes.size(); piece++) {
    for (size_t first = 0; first < piece; first++) {
      FrameDecoder decoder(kMax);
      Buffer in = Buffer::Copy(bytes.substr(0, first));
      AppendPieces(std::string_view(bytes).substr(first), piece, &in);
      for (const char* want : {"ab", "cdefg", "h"}) {
        Buffer frame;
        ASSERT_EQ(decoder.Next(&in, &frame), Outcome::kOk) << piece << " " << first;
        ASSERT_EQ(frame.ToString(), Framed(want));
      }
      EXPECT_TRUE(in.empty());
    }
  }
}

TEST(FrameDecoder, HandsTheBytesOnWithoutACopy) {
  Buffer in = Buffer::Copy(Framed("one") + Framed("two"));
  const char* at = in.slice(0).data();
  const size_t held = Block::BytesOnThread();
  FrameDecoder decoder(kMax);
  Buffer one;
  Buffer two;
  ASSERT_EQ(decoder.Next(&in, &one), Outcome::kOk);
  ASSERT_EQ(decoder.Next(&in, &two), Outcome::kOk);
  EXPECT_EQ(one.slice(0).data(), at);
  EXPECT_EQ(two.slice(0).data(), at + 7);
  EXPECT_EQ(Block::BytesOnThread(), held);
}

// Two large Blocks in turn, so that no piece joins the one before it.
TEST(FrameDecoder, ALargeFrameInManySmallPieces) {
  const uint32_t pieces = 100'000;
  std::string bytes = Framed(std::string(8 * pieces - 4, 'z'));
  const Slice even = Slice::Copy(bytes);
  const Slice odd = Slice::Copy(bytes);
  FrameDecoder decoder(kMax);
  Buffer in;
  Buffer frame;
  for (uint32_t i = 0; i < pieces; i++) {
    ASSERT_EQ(decoder.Next(&in, &frame), Outcome::kNeedMore);
    const Slice& from = i % 2 ? odd : even;
    in.Append(Slice(from.block(), from.data() + 8 * i, 8));
  }
  ASSERT_EQ(decoder.Next(&in, &frame), Outcome::kOk);
  EXPECT_EQ(frame.slices(), pieces);
  EXPECT_TRUE(frame.ToString() == bytes);
}

TEST(FrameDecoder, TheBoundItselfIsTaken) {
  FrameDecoder decoder(5);
  Buffer in = Buffer::Copy(Framed("12345") + Framed("123456"));
  Buffer frame;
  EXPECT_EQ(decoder.Next(&in, &frame), Outcome::kOk);
  EXPECT_EQ(decoder.Next(&in, &frame), Outcome::kMalformed);
  EXPECT_EQ(decoder.why(), "a frame of 6 bytes, over the bound of 5");
  EXPECT_EQ(decoder.Next(&in, &frame), Outcome::kMalformed) << "malformed is final";
}

TEST(FrameDecoder, ABoundOverTheFormatsOwn) {
  FrameDecoder decoder(UINT32_MAX);
  Buffer in = Buffer::Copy(Hex("7fffffff 00"));
  Buffer frame;
  EXPECT_EQ(decoder.Next(&in, &frame), Outcome::kNeedMore);
  EXPECT_EQ(decoder.missing(), 0x7ffffffeu);
  Buffer negative = Buffer::Copy(Hex("80000000 00"));
  EXPECT_EQ(decoder.Next(&negative, &frame), Outcome::kMalformed);
}

struct Stranger {
  std::string bytes;
  const char* why;
};

TEST(FrameDecoder, NamesOtherProtocols) {
  const Stranger kStrangers[] = {
      {"GET / HTTP/1.1\r\n", "(looks like HTTP)"},
      {"POST /x HTTP/1.1\r\n", "(looks like HTTP)"},
      {"PUT /x", "(looks like HTTP)"},
      {"HEAD / ", "(looks like HTTP)"},
      {"DELETE / ", "(looks like HTTP)"},
      {"OPTIONS *", "(looks like HTTP)"},
      {"PATCH /", "(looks like HTTP)"},
      {"CONNECT a:1", "(looks like HTTP)"},
      {"TRACE /", "(looks like HTTP)"},
      {"PRI * HTTP/2.0", "(looks like HTTP/2)"},
      {"HTTP/1.1 400", "(looks like an HTTP response)"},
      {Hex("16030100 c8"), "(looks like a TLS hello)"},
      {Hex("16030301"), "(looks like a TLS hello)"},
      {Hex("15030100 02"), "(looks like a TLS alert)"},
      {Hex("80010001 00000004"), "(looks like unframed binary Thrift)"},
      {Hex("82210104"), "(looks like unframed compact Thrift)"},
      {Hex("00000000"), "a frame of no bytes"},
      {Hex("ffffffff"), "a frame of negative length"},
      {Hex("00fa0001"), "a frame of 16384001 bytes, over the bound of 16384000"},
  };
  for (const Stranger& stranger : kStrangers) {
    for (const size_t piece : {size_t{1}, stranger.bytes.size()}) {
      FrameDecoder decoder(kMax);
      Buffer in;
      AppendPieces(stranger.bytes, piece, &in);
      Buffer frame;
      EXPECT_EQ(decoder.Next(&in, &frame), Outcome::kMalformed) << stranger.why;
      EXPECT_THAT(decoder.why(), HasSubstr(stranger.why));
      EXPECT_THAT(decoder.why(), Not(HasSubstr("\n")));
    }
  }
}

TEST(FrameDecoder, EveryOneByteCorruptionOfALengthIsSafe) {
  const std::string good = Framed("message");
  for (size_t at = 0; at < 4; at++) {
    for (int with = 0; with < 256; with++) {
      std::string bad = good;
      bad[at] = static_cast<char>(with);
      FrameDecoder decoder(kMax);
      Buffer in = Buffer::Copy(bad);
      Buffer frame;
      const Outcome outcome = decoder.Next(&in, &frame);
      const uint32_t length = ReadU32(bad.data());
      EXPECT_EQ(outcome, length == 0 || length > kMax ? Outcome::kMalformed
                         : length <= 7                ? Outcome::kOk
                                                      : Outcome::kNeedMore)
          << length;
    }
  }
}

}  // namespace
}  // namespace trestle::thrift
