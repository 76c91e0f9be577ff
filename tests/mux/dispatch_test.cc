// Tdispatch, Rdispatch, Treq and Rreq: what is read, what is refused, what is written.
#include <gtest/gtest.h>

#include "mux/message.h"
#include "tests/thrift/bytes.h"

namespace trestle::mux {
namespace {

using thrift::Exact;
using thrift::Hex;

// Two contexts, a destination, two entries of a dtab; 3 bytes of payload behind.
const std::string kDispatch =
    Hex("0002 0001 6b 0002 7631 0000 0000"
        "0003 2f6464"
        "0002 0002 2f61 0002 2f62 0002 2f63 0001 7e"
        "aabbcc");
constexpr uint32_t kDispatchSize = 35;
const std::string kReply = Hex("01 0001 0001 6b 0003 766c75 aabb");
constexpr uint32_t kReplySize = 11;
const std::string kOldRequest =
    Hex("02 01 18 0000000000000001 0000000000000002 0000000000000003 02 01 05 aabb");
constexpr uint32_t kOldRequestSize = 30;

bool Holds(const Exact& bytes, const base::Contexts& contexts) {
  for (const base::KeyValue& pair : contexts) {
    if (!bytes.Holds(pair.key) || !bytes.Holds(pair.value)) return false;
  }
  return true;
}

// What was read is in the bytes and is written as it came.
void CheckDispatch(const Exact& bytes, const Dispatch& read, uint32_t size) {
  ASSERT_LE(size, bytes.view().size());
  ASSERT_TRUE(Holds(bytes, read.contexts) && bytes.Holds(read.dst));
  for (const Dentry& dentry : read.dtab) {
    ASSERT_TRUE(bytes.Holds(dentry.prefix) && bytes.Holds(dentry.tree));
  }
  ASSERT_EQ(Misfit(read), nullptr);
  std::string again;
  EncodeDispatch(read, &again);
  ASSERT_EQ(again, bytes.view().substr(0, size));
}

void CheckReply(const Exact& bytes, const DispatchReply& read, uint32_t size) {
  ASSERT_LE(size, bytes.view().size());
  ASSERT_TRUE(Holds(bytes, read.contexts));
  ASSERT_EQ(Misfit(read), nullptr);
  std::string again;
  EncodeDispatchReply(read, &again);
  ASSERT_EQ(again, bytes.view().substr(0, size));
}

TEST(Dispatch, AllPartsAreRead) {
  Dispatch read;
  uint32_t size = 0;
  ASSERT_EQ(DecodeDispatch(kDispatch, &read, &size).outcome, Outcome::kOk);
  EXPECT_EQ(size, kDispatchSize);
  EXPECT_EQ(read.contexts, (base::Contexts{{"k", "v1"}, {"", ""}}));
  EXPECT_EQ(read.dst, "/dd");
  ASSERT_EQ(read.dtab.size(), 2u);
  EXPECT_EQ(read.dtab[0].prefix, "/a");
  EXPECT_EQ(read.dtab[0].tree, "/b");
  EXPECT_EQ(read.dtab[1].prefix, "/c");
  EXPECT_EQ(read.dtab[1].tree, "~");
}

TEST(Dispatch, WhatWasReadBeforeIsForgotten) {
  Dispatch read;
  uint32_t size = 0;
  ASSERT_EQ(DecodeDispatch(kDispatch, &read, &size).outcome, Outcome::kOk);
  ASSERT_EQ(DecodeDispatch(Hex("0000 0000 0000"), &read, &size).outcome, Outcome::kOk);
  EXPECT_EQ(size, 6u);
  EXPECT_TRUE(read.contexts.empty() && read.dst.empty() && read.dtab.empty());
}

TEST(Dispatch, EveryPrefixAsksForMore) {
  for (size_t n = 0; n < kDispatchSize; n++) {
    const Exact bytes(std::string_view(kDispatch).substr(0, n));
    Dispatch read;
    uint32_t size = 77;
    EXPECT_EQ(DecodeDispatch(bytes.view(), &read, &size).outcome, Outcome::kNeedMore) << n;
    EXPECT_EQ(size, 77u);
  }
  for (size_t n = kDispatchSize; n <= kDispatch.size(); n++) {
    const Exact bytes(std::string_view(kDispatch).substr(0, n));
    Dispatch read;
    uint32_t size = 0;
    EXPECT_EQ(DecodeDispatch(bytes.view(), &read, &size).outcome, Outcome::kOk) << n;
    EXPECT_EQ(size, kDispatchSize);
  }
}

TEST(Dispatch, EveryCorruptionOfAByteIsSafe) {
  int good = 0;
  int bad = 0;
  for (size_t i = 0; i < kDispatch.size(); i++) {
    for (int value = 0; value < 256; value++) {
      std::string corrupt = kDispatch;
      corrupt[i] = static_cast<char>(value);
      const Exact bytes(corrupt);
      Dispatch read;
      uint32_t size = 0;
      const DecodeResult result = DecodeDispatch(bytes.view(), &read, &size);
      if (result.outcome == Outcome::kOk) {
        CheckDispatch(bytes, read, size);
        good++;
      } else {
        EXPECT_STRNE(result.why, "");
        bad++;
      }
    }
  }
  EXPECT_GT(good, 1000);
  EXPECT_GT(bad, 1000);
}

TEST(DispatchReply, AllPartsAreRead) {
  DispatchReply read;
  uint32_t size = 0;
  ASSERT_EQ(DecodeDispatchReply(kReply, &read, &size).outcome, Outcome::kOk);
  EXPECT_EQ(size, kReplySize);
  EXPECT_EQ(read.status, ReplyStatus::kError);
  EXPECT_EQ(read.contexts, (base::Contexts{{"k", "vlu"}}));
  ASSERT_EQ(DecodeDispatchReply(Hex("02 0000"), &read, &size).outcome, Outcome::kOk);
  EXPECT_EQ(size, 3u);
  EXPECT_EQ(read.status, ReplyStatus::kNack);
  EXPECT_TRUE(read.contexts.empty());
}

TEST(DispatchReply, EveryPrefixAsksForMore) {
  for (size_t n = 0; n < kReplySize; n++) {
    const Exact bytes(std::string_view(kReply).substr(0, n));
    DispatchReply read;
    uint32_t size = 0;
    EXPECT_EQ(DecodeDispatchReply(bytes.view(), &read, &size).outcome, Outcome::kNeedMore) << n;
  }
}

TEST(DispatchReply, EveryCorruptionOfAByteIsSafe) {
  for (size_t i = 0; i < kReply.size(); i++) {
    for (int value = 0; value < 256; value++) {
      std::string corrupt = kReply;
      corrupt[i] = static_cast<char>(value);
      const Exact bytes(corrupt);
      DispatchReply read;
      uint32_t size = 0;
      const DecodeResult result = DecodeDispatchReply(bytes.view(), &read, &size);
      if (result.outcome == Outcome::kOk) CheckReply(bytes, read, size);
      if (i == 0) {
        EXPECT_EQ(result.outcome, value <= 2 ? Outcome::kOk : Outcome::kMalformed) << value;
      }
    }
  }
}

struct Refused {
  const char* hex;
  const char* why;
};

TEST(Dispatch, WhatIsMalformedHasAReason) {
  for (const auto& [hex, why] : std::initializer_list<Refused>{
           {"03e9", "over 1000 contexts"},
           {"8000", "over 1000 contexts"},
           {"ffff", "over 1000 contexts"},
           {"0001 8000", "a length over 32767"},
           {"0001 0000 ffff", "a length over 32767"},
           {"0000 8000", "a length over 32767"},
           {"0000 0000 03e9", "over 1000 dtab entries"},
           {"0000 0000 ffff", "over 1000 dtab entries"},
           {"0000 0000 0001 8000", "a length over 32767"},
           {"0000 0000 0001 0000 8000", "a length over 32767"},
       }) {
    const Exact bytes(Hex(hex));
    Dispatch read;
    uint32_t size = 0;
    const DecodeResult result = DecodeDispatch(bytes.view(), &read, &size);
    EXPECT_EQ(result.outcome, Outcome::kMalformed) << hex;
    EXPECT_STREQ(result.why, why) << hex;
  }
}

TEST(DispatchReply, WhatIsMalformedHasAReason) {
  for (const auto& [hex, why] : std::initializer_list<Refused>{
           {"03", "unknown status"},
           {"ff", "unknown status"},
           {"00 03e9", "over 1000 contexts"},
           {"02 0001 ffff", "a length over 32767"},
       }) {
    const Exact bytes(Hex(hex));
    DispatchReply read;
    uint32_t size = 0;
    const DecodeResult result = DecodeDispatchReply(bytes.view(), &read, &size);
    EXPECT_EQ(result.outcome, Outcome::kMalformed) << hex;
    EXPECT_STREQ(result.why, why) << hex;
  }
}

// A dispatch of `contexts` equal contexts and as many entries of a dtab, which differ by place.
struct Made {
  std::string key, value, dst;
  Dispatch dispatch;
  Made(uint32_t contexts, size_t key_bytes, size_t value_bytes, size_t dst_bytes, uint32_t entries)
      : key(key_bytes, 'k'), value(value_bytes, 'v'), dst(dst_bytes, '/') {
    dispatch.contexts.assign(contexts, {key, value});
    dispatch.dst = dst;
    dispatch.dtab.assign(entries, {"/a", "/b"});
  }
};

TEST(Dispatch, BoundsHoldBothWays) {
  struct Case {
    uint32_t contexts;
    size_t key, value, dst;
    uint32_t entries;
    const char* why;
  };
  constexpr char kLong[] = "a length over 32767";
  for (const Case& c : std::initializer_list<Case>{
           {1000, 1, 1, 0, 1000, nullptr},
           {1, 32'767, 32'767, 32'767, 1, nullptr},
           {1001, 1, 1, 0, 0, "over 1000 contexts"},
           {0, 0, 0, 0, 1001, "over 1000 dtab entries"},
           {1, 32'768, 0, 0, 0, kLong},
           {1, 0, 32'768, 0, 0, kLong},
           {0, 0, 0, 32'768, 0, kLong},
           // 2 + 4 * (4 + 65530) + 2 + 2 + 2 bytes are 256 KiB.
           {7, 32'767, 32'767, 0, 0, "over 256 KiB before the payload"},
           {4, 32'765, 32'765, 2, 0, nullptr},
           {4, 32'765, 32'765, 3, 0, "over 256 KiB before the payload"},
       }) {
    const Made made(c.contexts, c.key, c.value, c.dst, c.entries);
    EXPECT_STREQ(Misfit(made.dispatch), c.why);
    std::string bytes;
    EncodeDispatch(made.dispatch, &bytes);
    Dispatch read;
    uint32_t size = 0;
    const DecodeResult result = DecodeDispatch(bytes, &read, &size);
    if (c.why == nullptr) {
      ASSERT_EQ(result.outcome, Outcome::kOk) << result.why;
      EXPECT_EQ(size, bytes.size());
      EXPECT_EQ(read.contexts, made.dispatch.contexts);
      EXPECT_EQ(read.dst, made.dst);
      EXPECT_EQ(read.dtab.size(), c.entries);
    } else if (std::string(c.why).find("KiB") != std::string::npos) {
      EXPECT_EQ(result.outcome, Outcome::kMalformed);
      EXPECT_STREQ(result.why, c.why);
    }
  }
}

// A header that would end beyond the bound is refused as soon as that is known, not waited for.
TEST(Dispatch, ATooLongHeaderIsRefusedBeforeItIsThere) {
  const Made made(4, 32'765, 32'765, 3, 0);
  std::string bytes;
  EncodeDispatch(made.dispatch, &bytes);
  Dispatch read;
  uint32_t size = 0;
  const std::string_view all = bytes;
  const size_t dst = bytes.size() - 2 - 3;
  EXPECT_EQ(DecodeDispatch(all.substr(0, dst - 1), &read, &size).outcome, Outcome::kNeedMore);
  EXPECT_EQ(DecodeDispatch(all.substr(0, dst + 1), &read, &size).outcome, Outcome::kNeedMore);
  EXPECT_EQ(DecodeDispatch(all.substr(0, dst + 3), &read, &size).outcome, Outcome::kMalformed);
}

TEST(Dispatch, WhatHasNoRoomIsLeftOut) {
  const std::string large(32'768, 'x');
  Dispatch dispatch;
  dispatch.contexts = {{"a", "1"}, {large, "2"}, {"b", large}, {"c", "3"}};
  dispatch.dst = large;
  dispatch.dtab = {{"/a", large}, {"/b", "/c"}, {large, "/d"}};
  std::string bytes = "before";
  EncodeDispatch(dispatch, &bytes);
  EXPECT_EQ(bytes, "before" + Hex("0002 0001 61 0001 31 0001 63 0001 33 0000"
                                  "0001 0002 2f62 0002 2f63"));
  dispatch.Clear();
  dispatch.contexts.assign(1001, {"k", "v"});
  dispatch.dtab.assign(1001, {"/p", "/t"});
  bytes.clear();
  EncodeDispatch(dispatch, &bytes);
  Dispatch read;
  uint32_t size = 0;
  ASSERT_EQ(DecodeDispatch(bytes, &read, &size).outcome, Outcome::kOk);
  EXPECT_EQ(read.contexts.size(), 1000u);
  EXPECT_EQ(read.dtab.size(), 1000u);
}

TEST(DispatchReply, WhatHasNoRoomIsLeftOut) {
  const std::string large(32'768, 'x');
  DispatchReply reply{ReplyStatus::kNack, {{"a", "1"}, {"b", large}}};
  EXPECT_STREQ(Misfit(reply), "a length over 32767");
  std::string bytes = "before";
  EncodeDispatchReply(reply, &bytes);
  EXPECT_EQ(bytes, "before" + Hex("02 0001 0001 61 0001 31"));
  reply.contexts.assign(1001, {"k", "v"});
  EXPECT_STREQ(Misfit(reply), "over 1000 contexts");
  const std::string half(32'767, 'x');
  reply.contexts.assign(4, {half, half});
  EXPECT_STREQ(Misfit(reply), "over 256 KiB before the payload");
  reply.contexts.pop_back();
  EXPECT_EQ(Misfit(reply), nullptr);
}

TEST(OldRequest, ItsTraceBecomesAContext) {
  Dispatch read;
  std::string trace;
  uint32_t size = 0;
  ASSERT_EQ(DecodeOldRequest(kOldRequest, &trace, &read, &size).outcome, Outcome::kOk);
  EXPECT_EQ(size, kOldRequestSize);
  ASSERT_EQ(read.contexts.size(), 1u);
  EXPECT_EQ(read.contexts[0].key, base::kTraceKey);
  EXPECT_EQ(base::ParseTrace(read.contexts[0].value),
            (base::TraceContext{1, 2, 3, 5, std::nullopt}));
}

TEST(OldRequest, KeysInAnyNumber) {
  const std::string ids(24, '\x07');
  const std::string other(24, '\x01');
  struct Case {
    std::string bytes;
    std::string trace;
    uint32_t size;
  };
  const std::string zeros(7, '\0');
  for (const Case& c : std::initializer_list<Case>{
           {Hex("00 aa"), "", 1},
           {Hex("01 02 01 05"), "", 4},  // flags of no trace
           {Hex("01 01 18") + ids, ids + zeros + '\0', 27},
           {Hex("02 02 01 09 01 18") + ids, ids + zeros + '\x09', 30},
           {Hex("02 01 18") + other + Hex("01 18") + ids, ids + zeros + '\0', 53},  // the last
           {Hex("02 01 18") + ids + Hex("02 00"), ids + zeros + '\0', 29},
           {Hex("02 01 18") + ids + Hex("02 03 010203"), ids + zeros + '\x03', 32},
           {Hex("02 01 18") + ids + Hex("02 01 ff"), ids + zeros + '\xff', 30},
           {Hex("02 63 02 aaaa 01 18") + ids, ids + zeros + '\0', 31},  // an unknown key
           {Hex("01 63 ff") + std::string(255, 'x') + "pay", "", 258},
       }) {
    Dispatch read;
    read.dst = "old";
    std::string trace = "old";
    uint32_t size = 0;
    ASSERT_EQ(DecodeOldRequest(c.bytes, &trace, &read, &size).outcome, Outcome::kOk);
    EXPECT_EQ(size, c.size);
    EXPECT_EQ(trace, c.trace);
    EXPECT_EQ(read.contexts.size(), c.trace.empty() ? 0u : 1u);
    EXPECT_TRUE(read.dst.empty());
  }
}

TEST(OldRequest, PrefixesCorruptionsAndWhatIsMalformed) {
  Dispatch read;
  std::string trace;
  uint32_t size = 0;
  for (size_t n = 0; n < kOldRequestSize; n++) {
    const Exact bytes(std::string_view(kOldRequest).substr(0, n));
    EXPECT_EQ(DecodeOldRequest(bytes.view(), &trace, &read, &size).outcome, Outcome::kNeedMore);
  }
  for (size_t i = 0; i < kOldRequestSize; i++) {
    for (int value = 0; value < 256; value++) {
      std::string corrupt = kOldRequest;
      corrupt[i] = static_cast<char>(value);
      const Exact bytes(corrupt);
      const DecodeResult result = DecodeOldRequest(bytes.view(), &trace, &read, &size);
      if (result.outcome == Outcome::kOk) {
        EXPECT_LE(size, corrupt.size());
        EXPECT_TRUE(trace.empty() || trace.size() == 32);
      }
      if (i == 0) {
        EXPECT_EQ(result.outcome == Outcome::kMalformed, value > 127) << value;
      }
    }
  }
  DecodeResult result = DecodeOldRequest(Hex("80"), &trace, &read, &size);
  EXPECT_STREQ(result.why, "over 127 keys");
  result = DecodeOldRequest(Hex("01 01 17"), &trace, &read, &size);
  EXPECT_EQ(result.outcome, Outcome::kMalformed);
  EXPECT_STREQ(result.why, "a trace that has not 24 bytes");
}

TEST(OldReply, AStatusAndNoContexts) {
  for (int status = 0; status < 256; status++) {
    const Exact bytes(std::string(1, static_cast<char>(status)) + "payload");
    DispatchReply read;
    read.contexts = {{"old", "old"}};
    uint32_t size = 0;
    const DecodeResult result = DecodeOldReply(bytes.view(), &read, &size);
    ASSERT_EQ(result.outcome, status <= 2 ? Outcome::kOk : Outcome::kMalformed);
    if (status > 2) continue;
    EXPECT_EQ(static_cast<int>(read.status), status);
    EXPECT_TRUE(read.contexts.empty());
    EXPECT_EQ(size, 1u);
  }
  DispatchReply read;
  uint32_t size = 0;
  EXPECT_EQ(DecodeOldReply("", &read, &size).outcome, Outcome::kNeedMore);
}

TEST(FailureFlags, EightBytesAndWhatFollowsIsIgnored) {
  EXPECT_EQ(FailureFlags({}), std::nullopt);
  EXPECT_EQ(FailureFlags({{"Other", ShowFailureFlags(1)}}), std::nullopt);
  const std::string flags = ShowFailureFlags(kRetryable | kRejected);
  EXPECT_EQ(flags, Hex("0000000000000003"));
  EXPECT_EQ(FailureFlags({{"MuxFailure", flags}}), 3u);
  EXPECT_EQ(FailureFlags({{"muxfailure", flags}}), 3u);  // keys have no case
  EXPECT_EQ(FailureFlags({{"MuxFailure", flags.substr(1)}}), std::nullopt);
  EXPECT_EQ(FailureFlags({{"MuxFailure", ""}}), std::nullopt);
  const std::string more = flags + "more";
  EXPECT_EQ(FailureFlags({{"MuxFailure", more}}), 3u);
  const std::string last = ShowFailureFlags(0x8000'0000'0000'0006);
  EXPECT_EQ(last, Hex("8000000000000006"));
  EXPECT_EQ(FailureFlags({{"MuxFailure", flags}, {"MuxFailure", last}}), 0x8000'0000'0000'0006);
}

}  // namespace
}  // namespace trestle::mux
