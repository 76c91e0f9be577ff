// OneMessage: a frame is one message, no more and no less, wherever its bytes are cut.
#include "thrift/one_message.h"

#include <gtest/gtest.h>

#include <string>

namespace trestle::thrift {
namespace {

struct Sample {
  Protocol protocol;
  std::string body;
};

// {1: "abc", 2: [{}, {}], 3: a number}.
const Sample kSamples[] = {
    {Protocol::kBinary, std::string("\x0b\0\x01\0\0\0\x03"
                                    "abc\x0f\0\x02\x0c\0\0\0\x02\0\0\x08\0\x03\0\0\0\x01\0",
                                    10 + 10 + 7 + 1)},
    {Protocol::kCompact, std::string("\x18\x03"
                                     "abc\x19\x2c\0\0\x15\x02\0",
                                     5 + 4 + 2 + 1)},
    {Protocol::kBinary, std::string(1, '\0')},
    {Protocol::kCompact, std::string(1, '\0')},
};

// What is said of `bytes` in pieces of `piece`, each in slices of one byte; *fed is how much was
// given by then.
std::string Feed(Protocol protocol, const std::string& bytes, uint64_t size, size_t piece,
                 size_t* fed) {
  OneMessage check(protocol, size);
  for (*fed = 0; *fed < bytes.size();) {
    const std::string some = bytes.substr(*fed, piece);
    base::Buffer buffer = base::Buffer::Copy("xy");  // what stands before the body
    for (char c : some) buffer.Append(base::Slice::Copy({&c, 1}));
    *fed += some.size();
    if (const char* why = check.Feed(buffer, 2)) return why;
  }
  if (bytes.empty()) {
    const char* why = check.Feed(base::Buffer());
    return why ? why : "";
  }
  return "";
}

TEST(OneMessage, IsWhatEndsWithItsFrame) {
  for (const Sample& s : kSamples) {
    for (size_t piece = 1; piece <= s.body.size(); piece++) {
      size_t fed = 0;
      EXPECT_EQ(Feed(s.protocol, s.body, s.body.size(), piece, &fed), "");
    }
  }
}

TEST(OneMessage, AByteBehindItIsKnownBeforeItCame) {
  for (const Sample& s : kSamples) {
    for (const std::string& more : {std::string(1, '\0'), s.body, std::string(100, 'x')}) {
      for (size_t piece : {size_t{1}, size_t{3}, size_t{1000}}) {
        size_t fed = 0;
        EXPECT_EQ(Feed(s.protocol, s.body + more, s.body.size() + more.size(), piece, &fed),
                  "the frame holds more than its message");
        EXPECT_LT(fed, s.body.size() + piece);
      }
    }
  }
}

TEST(OneMessage, EveryShorterFrameIsKnownByItsLastByte) {
  for (const Sample& s : kSamples) {
    for (size_t size = 0; size < s.body.size(); size++) {
      for (size_t piece : {size_t{1}, size_t{3}, size_t{1000}}) {
        size_t fed = 0;
        EXPECT_EQ(Feed(s.protocol, s.body.substr(0, size), size, piece, &fed),
                  "the frame ends inside its message");
      }
    }
  }
}

TEST(OneMessage, AStringLongerThanItsFrameIsKnownAtItsHead) {
  const std::string binary = std::string("\x0b\0\x01\0\0\x03\xe8", 7) + std::string(992, 's');
  const std::string compact = std::string("\x18\xe8\x07") + std::string(996, 's');
  for (const Sample& s : {Sample{Protocol::kBinary, binary}, Sample{Protocol::kCompact, compact}}) {
    size_t fed = 0;
    EXPECT_EQ(Feed(s.protocol, s.body, s.body.size(), 1, &fed),
              "the frame ends inside its message");
    EXPECT_LT(fed, 8u);
  }
}

TEST(OneMessage, BytesBeyondWhatWasToldAreMore) {
  OneMessage check(Protocol::kBinary, 1);
  EXPECT_EQ(check.Feed(base::Buffer::Copy(std::string(1, '\0'))), nullptr);
  EXPECT_STREQ(check.Feed(base::Buffer::Copy(std::string(1, '\0'))),
               "the frame holds more than its message");
}

TEST(OneMessage, WhatIsNoStructIsNone) {
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    for (size_t piece : {size_t{1}, size_t{1000}}) {
      size_t fed = 0;
      EXPECT_EQ(Feed(protocol, "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f", 8, piece, &fed),
                "a field of unknown type");
    }
  }
}

}  // namespace
}  // namespace trestle::thrift
