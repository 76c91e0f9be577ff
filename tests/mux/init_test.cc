// Tinit and Rinit: versions and headers.
#include <gtest/gtest.h>

#include "mux/message.h"
#include "tests/thrift/bytes.h"

namespace trestle::mux {
namespace {

using thrift::Exact;
using thrift::Hex;

const std::string kInit =
    Hex("0001 0000000a 6d75782d6672616d6572 00000004 00010000"
        "00000003 746c73 00000003 6f6666");

TEST(Init, VersionAndHeaders) {
  Init init;
  ASSERT_EQ(DecodeInit(kInit, &init).outcome, Outcome::kOk);
  EXPECT_EQ(init.version, kVersion);
  EXPECT_EQ(init.headers,
            (base::Contexts{{kFramerKey, std::string_view("\0\1\0\0", 4)}, {kTlsKey, "off"}}));
  EXPECT_EQ(FramerOf(init), 65'536u);
  // Read again, there is no more than what was read.
  ASSERT_EQ(DecodeInit(Hex("ffff"), &init).outcome, Outcome::kOk);
  EXPECT_EQ(init.version, 0xffff);
  EXPECT_TRUE(init.headers.empty());
  EXPECT_EQ(FramerOf(init), std::nullopt);
}

// A body is there as a whole: one that ends within a header is malformed.
TEST(Init, EveryPrefix) {
  const size_t whole[] = {2, 24, kInit.size()};
  for (size_t n = 0; n <= kInit.size(); n++) {
    const Exact bytes(std::string_view(kInit).substr(0, n));
    Init init;
    const DecodeResult result = DecodeInit(bytes.view(), &init);
    const bool good = std::find(std::begin(whole), std::end(whole), n) != std::end(whole);
    EXPECT_EQ(result.outcome, good ? Outcome::kOk : Outcome::kMalformed) << n;
    if (!good) {
      EXPECT_STREQ(result.why, "cut short");
    }
  }
}

TEST(Init, EveryCorruptionOfAByteIsSafe) {
  for (size_t i = 0; i < kInit.size(); i++) {
    for (int value = 0; value < 256; value++) {
      std::string corrupt = kInit;
      corrupt[i] = static_cast<char>(value);
      const Exact bytes(corrupt);
      Init init;
      if (DecodeInit(bytes.view(), &init).outcome != Outcome::kOk) continue;
      for (const base::KeyValue& header : init.headers) {
        ASSERT_TRUE(bytes.Holds(header.key) && bytes.Holds(header.value));
      }
      std::string again;
      EncodeInit(init, &again);
      ASSERT_EQ(again, corrupt);
      FramerOf(init);
    }
  }
}

TEST(Init, Bounds) {
  Init init;
  init.headers.assign(100, {"k", "v"});
  std::string bytes;
  EncodeInit(init, &bytes);
  Init read;
  ASSERT_EQ(DecodeInit(bytes, &read).outcome, Outcome::kOk);
  EXPECT_EQ(read.headers, init.headers);
  init.headers.push_back({"k", "v"});
  bytes.clear();
  EncodeInit(init, &bytes);
  EXPECT_STREQ(DecodeInit(bytes, &read).why, "over 100 headers");

  const std::string large(64 * 1024 - 2 - 8 - 1, 'x');
  init.headers = {{"k", large}};
  bytes.clear();
  EncodeInit(init, &bytes);
  EXPECT_EQ(bytes.size(), 64u * 1024);
  EXPECT_EQ(DecodeInit(bytes, &read).outcome, Outcome::kOk);
  EXPECT_STREQ(DecodeInit(bytes + "x", &read).why, "over 64 KiB of headers");
  for (const char* hex : {"0001 ffffffff", "0001 00000000 ffffffff", "0001 7fffffff 61"}) {
    EXPECT_EQ(DecodeInit(Hex(hex), &read).outcome, Outcome::kMalformed) << hex;
  }
}

TEST(Framer, ANumberOverZeroOrNoLimit) {
  struct Case {
    const char* hex;
    std::optional<uint32_t> framer;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"", std::nullopt},
           {"000001", std::nullopt},
           {"00000000", std::nullopt},
           {"ffffffff", std::nullopt},
           {"80000000", std::nullopt},
           {"00000001", 1},
           {"00010000", 65'536},
           {"7fffffff", 0x7fffffff},
           {"0000000100", 1},
       }) {
    const std::string value = Hex(c.hex);
    EXPECT_EQ(FramerOf({kVersion, {{kFramerKey, value}}}), c.framer) << c.hex;
  }
  EXPECT_EQ(ShowFramer(65'536), Hex("00010000"));
  const std::string one = ShowFramer(1);
  const std::string two = ShowFramer(2);
  EXPECT_EQ(FramerOf({kVersion, {{"x", two}, {kFramerKey, one}, {kFramerKey, two}}}), 1u);
  EXPECT_EQ(FramerOf({kVersion, {{"Mux-Framer", one}}}), std::nullopt);
}

TEST(InitTest, WhatIsSaidOfTlsAndWhatBecomesOfIt) {
  const auto level = [](std::vector<base::KeyValue> headers) {
    return TlsLevelOf({kVersion, std::move(headers)});
  };
  EXPECT_EQ(level({}), TlsLevel::kOff);
  EXPECT_EQ(level({{"tls", "off"}}), TlsLevel::kOff);
  EXPECT_EQ(level({{"tls", "desired"}}), TlsLevel::kDesired);
  EXPECT_EQ(level({{"x", "off"}, {"tls", "required"}}), TlsLevel::kRequired);
  EXPECT_EQ(level({{"tls", "Required"}}), TlsLevel::kOff) << "nothing that is known";
  EXPECT_EQ(level({{"tls", "off"}, {"tls", "required"}}), TlsLevel::kOff) << "the first holds";
  for (TlsLevel one : {TlsLevel::kOff, TlsLevel::kDesired, TlsLevel::kRequired}) {
    EXPECT_EQ(level({{"tls", TlsLevelName(one)}}), one);
  }
  using L = TlsLevel;
  using C = TlsChoice;
  const C choices[3][3] = {{C::kClear, C::kClear, C::kRefuse},
                           {C::kClear, C::kTls, C::kTls},
                           {C::kRefuse, C::kTls, C::kTls}};
  for (L one : {L::kOff, L::kDesired, L::kRequired}) {
    for (L other : {L::kOff, L::kDesired, L::kRequired}) {
      EXPECT_EQ(ChooseTls(one, other), choices[static_cast<int>(one)][static_cast<int>(other)]);
    }
  }
}

}  // namespace
}  // namespace trestle::mux
