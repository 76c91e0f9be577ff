#include "thrift/ttwitter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "tests/thrift/bytes.h"
#include "thrift/walk.h"

namespace trestle::thrift {
namespace {

using ::testing::HasSubstr;

constexpr Protocol kBinary = Protocol::kBinary;
constexpr Protocol kCompact = Protocol::kCompact;
constexpr Protocol kBoth[] = {kBinary, kCompact};

RequestHeader FullHeader() {
  RequestHeader header;
  header.trace_id = 0xa1;
  header.span_id = -1;
  header.parent_span_id = INT64_MIN;
  header.sampled = true;
  header.client_id = "golden-client";
  header.flags = 0;
  header.contexts = {{"key", "value"}, {"", ""}};
  header.dest = "/thrift/users";
  header.delegations = {{"/s/users", "/srv/users-v2"}, {"/s", "/srv"}};
  header.trace_id_high = INT64_MAX;
  return header;
}

std::string Encoded(Protocol protocol, const RequestHeader& header) {
  std::string out;
  EncodeRequestHeader(protocol, header, &out);
  return out;
}

void ExpectSame(const RequestHeader& a, const RequestHeader& b) {
  EXPECT_EQ(a.trace_id, b.trace_id);
  EXPECT_EQ(a.span_id, b.span_id);
  EXPECT_EQ(a.parent_span_id, b.parent_span_id);
  EXPECT_EQ(a.trace_id_high, b.trace_id_high);
  EXPECT_EQ(a.flags, b.flags);
  EXPECT_EQ(a.sampled, b.sampled);
  EXPECT_EQ(a.client_id, b.client_id);
  EXPECT_EQ(a.dest, b.dest);
  ASSERT_EQ(a.contexts.size(), b.contexts.size());
  for (size_t i = 0; i < a.contexts.size(); i++) {
    EXPECT_EQ(a.contexts[i].key, b.contexts[i].key);
    EXPECT_EQ(a.contexts[i].value, b.contexts[i].value);
  }
  ASSERT_EQ(a.delegations.size(), b.delegations.size());
  for (size_t i = 0; i < a.delegations.size(); i++) {
    EXPECT_EQ(a.delegations[i].src, b.delegations[i].src);
    EXPECT_EQ(a.delegations[i].dst, b.delegations[i].dst);
  }
}

// Fields that are carried on are compared where both sides were written in one protocol.
void ExpectSameUnknown(const RequestHeader& a, const RequestHeader& b) {
  ASSERT_EQ(a.unknown.size(), b.unknown.size());
  for (size_t i = 0; i < a.unknown.size(); i++) {
    EXPECT_EQ(a.unknown[i].field.id, b.unknown[i].field.id);
    EXPECT_EQ(a.unknown[i].field.type, b.unknown[i].field.type);
    EXPECT_EQ(a.unknown[i].field.truth, b.unknown[i].field.truth);
    EXPECT_EQ(a.unknown[i].value, b.unknown[i].value);
  }
}

TEST(RequestHeader, BytesOfAFullOne) {
  RequestHeader header = FullHeader();
  header.contexts = {{"k", "v"}};
  header.delegations = {{"/s", "/d"}};
  header.dest = "/x";
  header.client_id = "me";
  EXPECT_EQ(Encoded(kBinary, header),
            Hex("0a0001 00000000000000a1 0a0002 ffffffffffffffff 0a0003 8000000000000000"
                "020005 01 0c0006 0b0001 00000002 6d65 00 0a0007 0000000000000000"
                "0f0008 0c 00000001 0b0001 00000001 6b 0b0002 00000001 76 00"
                "0b0009 00000002 2f78"
                "0f000a 0c 00000001 0b0001 00000002 2f73 0b0002 00000002 2f64 00"
                "0a000b 7fffffffffffffff 00"));
  EXPECT_EQ(Encoded(kCompact, header),
            Hex("16 c202 16 01 16 ffffffffffffffffff01 21 1c 18 02 6d65 00 16 00"
                "19 1c 18 01 6b 18 01 76 00 18 02 2f78 19 1c 18 02 2f73 18 02 2f64 00"
                "16 feffffffffffffffff01 00"));
}

TEST(RequestHeader, AnEmptyOneStillHasContexts) {
  EXPECT_EQ(Encoded(kBinary, {}), Hex("0f0008 0c 00000000 00"));
  EXPECT_EQ(Encoded(kCompact, {}), Hex("89 0c 00"));
}

TEST(RequestHeader, ComesBackAsItWas) {
  std::vector<RequestHeader> headers = {RequestHeader{}, FullHeader()};
  headers.emplace_back().sampled = false;
  headers.emplace_back().dest = "";
  headers.emplace_back().client_id = "";
  headers.emplace_back().trace_id_high = 1;
  for (const int64_t id : {INT64_MIN, int64_t{-1}, int64_t{0}, int64_t{64}, INT64_MAX}) {
    headers.emplace_back().span_id = id;
  }
  for (const size_t count : {14, 15, 16, 1000}) {
    headers.emplace_back().contexts.resize(count, {"k", "v"});
    headers.emplace_back().delegations.resize(count, {"/a", "/b"});
  }
  for (const Protocol protocol : kBoth) {
    for (const RequestHeader& header : headers) {
      const std::string bytes = Encoded(protocol, header);
      const Exact input(bytes + "message");
      RequestHeader read;
      uint32_t size = 0;
      const DecodeResult result = DecodeRequestHeader(protocol, input.view(), &read, &size);
      ASSERT_EQ(result.outcome, Outcome::kOk) << result.why;
      EXPECT_EQ(size, bytes.size());
      ExpectSame(read, header);
      EXPECT_EQ(Encoded(protocol, read), bytes);
    }
  }
}

TEST(RequestHeader, RandomOnesComeBack) {
  base::SeededRandom random(7);
  const std::string text(400, 't');
  const auto piece = [&] { return std::string_view(text).substr(0, random.Below(400)); };
  for (int i = 0; i < 500; i++) {
    RequestHeader header;
    for (auto* id : {&header.trace_id, &header.span_id, &header.parent_span_id, &header.flags,
                     &header.trace_id_high}) {
      if (random.Below(2)) *id = static_cast<int64_t>(random.Next() >> random.Below(64));
    }
    if (random.Below(2)) header.sampled = random.Below(2) == 1;
    if (random.Below(2)) header.client_id = piece();
    if (random.Below(2)) header.dest = piece();
    for (uint32_t n = random.Below(20); n > 0; n--) header.contexts.push_back({piece(), piece()});
    for (uint32_t n = random.Below(20); n > 0; n--)
      header.delegations.push_back({piece(), piece()});
    for (const Protocol protocol : kBoth) {
      const std::string bytes = Encoded(protocol, header);
      RequestHeader read;
      uint32_t size = 0;
      ASSERT_EQ(DecodeRequestHeader(protocol, bytes, &read, &size).outcome, Outcome::kOk);
      ASSERT_EQ(size, bytes.size());
      ExpectSame(read, header);
    }
  }
}

TEST(RequestHeader, ViewsPointIntoTheBytes) {
  for (const Protocol protocol : kBoth) {
    const Exact bytes(Encoded(protocol, FullHeader()));
    RequestHeader read;
    uint32_t size = 0;
    ASSERT_EQ(DecodeRequestHeader(protocol, bytes.view(), &read, &size).outcome, Outcome::kOk);
    EXPECT_TRUE(bytes.Holds(*read.client_id));
    EXPECT_TRUE(bytes.Holds(*read.dest));
    EXPECT_TRUE(bytes.Holds(read.contexts[0].value));
    EXPECT_TRUE(bytes.Holds(read.delegations[1].dst));
  }
}

TEST(RequestHeader, EveryPrefixAsksForMore) {
  for (const Protocol protocol : kBoth) {
    const std::string bytes = Encoded(protocol, FullHeader());
    for (size_t n = 0; n < bytes.size(); n++) {
      const Exact prefix(bytes.substr(0, n));
      RequestHeader read;
      uint32_t size = 0;
      const DecodeResult result = DecodeRequestHeader(protocol, prefix.view(), &read, &size);
      ASSERT_EQ(result.outcome, Outcome::kNeedMore) << n << ": " << result.why;
    }
  }
}

TEST(RequestHeader, EveryOneByteCorruptionIsSafe) {
  for (const Protocol protocol : kBoth) {
    const std::string good = Encoded(protocol, FullHeader());
    for (size_t at = 0; at < good.size(); at++) {
      for (int with = 0; with < 256; with++) {
        std::string bad = good;
        bad[at] = static_cast<char>(with);
        const Exact bytes(bad);
        RequestHeader read;
        uint32_t size = 0;
        const DecodeResult result = DecodeRequestHeader(protocol, bytes.view(), &read, &size);
        if (result.outcome != Outcome::kOk) continue;
        ASSERT_LE(size, bad.size());
        for (const auto& context : read.contexts) ASSERT_TRUE(bytes.Holds(context.value));
        for (const auto& entry : read.delegations) ASSERT_TRUE(bytes.Holds(entry.dst));
        // The walker finds the same end, and what was read can be written and read again.
        uint32_t walked = 0;
        ASSERT_EQ(SkipStruct(protocol, bytes.view(), &walked).outcome, Outcome::kOk);
        ASSERT_EQ(walked, size);
        RequestHeader again;
        const std::string written = Encoded(protocol, read);
        ASSERT_EQ(DecodeRequestHeader(protocol, written, &again, &size).outcome, Outcome::kOk);
        ExpectSame(again, read);
        ExpectSameUnknown(again, read);
      }
    }
  }
}

struct Odd {
  const char* about;
  Protocol protocol;
  const char* hex;
  RequestHeader want;
};

TEST(RequestHeader, TakesOddOnes) {
  RequestHeader seven;
  seven.trace_id = 7;
  RequestHeader last;
  last.contexts = {{"b", ""}};
  RequestHeader swapped;
  swapped.delegations = {{"a", "b"}};
  RequestHeader sampled;
  sampled.sampled = true;
  RequestHeader halves;
  halves.contexts = {{"a", "b"}, {"c", ""}, {"", "d"}};
  RequestHeader last_entry;
  last_entry.delegations = {{"", "b"}};
  const Odd kOdd[] = {
      {"no field at all", kBinary, "00", {}},
      {"unknown fields", kBinary,
       "0c0004 0f0001 0b 00000001 00000001 61 00 0a0001 0000000000000007"
       "0d0063 08 0b 00000001 00000001 00000001 61 00",
       seven},
      {"unknown fields", kCompact, "4c 19 18 01 61 00 06 02 0e 0b c601 01 58 02 01 61 00", seven},
      {"a known id with another type", kBinary, "080002 00000001 0a0001 0000000000000007 00",
       seven},
      {"a known id with another type", kBinary, "0a0001 0000000000000007 0b0001 00000000 00",
       seven},
      {"fields backwards", kBinary, "0b0063 00000000 0a0001 0000000000000007 00", seven},
      {"the last of two lists", kBinary,
       "0f0008 0c 00000001 0b0001 00000001 61 00 0f0008 0c 00000001 0b0001 00000001 62 00 00",
       last},
      {"the last of two lists", kCompact, "89 1c 18 01 61 00 09 10 1c 18 01 62 00 00", last},
      {"the last of two lists", kCompact, "a9 1c 28 01 61 00 09 14 1c 28 01 62 00 00", last_entry},
      {"halves of pairs", kCompact, "89 3c 18 01 61 18 01 62 00 18 01 63 00 28 01 64 00 00",
       halves},
      {"a list of strings", kBinary, "0f0008 0b 00000001 00000001 61 00", {}},
      {"a pair backwards", kCompact, "a9 1c 28 01 62 08 02 01 61 00 00", swapped},
      {"more fields in a pair", kBinary,
       "0f000a 0c 00000001 080009 00000000 0b0002 00000001 62 0b0001 00000001 61 00 00", swapped},
      {"a client id without name", kBinary, "0c0006 00 00", {}},
      {"any byte but 0 is true", kBinary, "020005 07 00", sampled},
  };
  for (const Odd& odd : kOdd) {
    SCOPED_TRACE(std::string(ProtocolName(odd.protocol)) + " " + odd.about);
    const Exact bytes(Hex(odd.hex));
    RequestHeader read = FullHeader();  // what was there before must be gone
    uint32_t size = 0;
    const DecodeResult result = DecodeRequestHeader(odd.protocol, bytes.view(), &read, &size);
    ASSERT_EQ(result.outcome, Outcome::kOk) << result.why;
    EXPECT_EQ(size, bytes.view().size());
    ExpectSame(read, odd.want);
  }
}

TEST(RequestHeader, BoundsAreKept) {
  RequestHeader contexts;
  contexts.contexts.resize(kMaxContexts + 1);
  RequestHeader delegations;
  delegations.delegations.resize(kMaxDelegations + 1);
  const std::string large(kMaxHeaderBytes, 'x');
  RequestHeader over;
  over.dest = large;
  RequestHeader read;
  uint32_t size = 0;
  for (const Protocol protocol : kBoth) {
    EXPECT_STREQ(DecodeRequestHeader(protocol, Encoded(protocol, contexts), &read, &size).why,
                 "over 1000 contexts");
    EXPECT_STREQ(DecodeRequestHeader(protocol, Encoded(protocol, delegations), &read, &size).why,
                 "over 1000 delegations");
    const DecodeResult result =
        DecodeRequestHeader(protocol, Encoded(protocol, over).substr(0, 100), &read, &size);
    EXPECT_EQ(result.outcome, Outcome::kMalformed) << "told before the bytes are there";
    EXPECT_STREQ(result.why, "longer than its bound");
  }
}

// A header of just so many bytes, most of them in its dest.
std::string HeaderOf(Protocol protocol, uint32_t bytes) {
  const std::string large(bytes, 'x');
  RequestHeader header;
  header.dest = large;
  const size_t rest = Encoded(protocol, header).size() - bytes;
  header.dest = std::string_view(large).substr(rest);
  return Encoded(protocol, header);
}

TEST(RequestHeader, TheLongestThatIsTaken) {
  for (const Protocol protocol : kBoth) {
    for (const uint32_t more : {0, 1, 2}) {
      const std::string bytes = HeaderOf(protocol, kMaxHeaderBytes + more);
      ASSERT_EQ(bytes.size(), kMaxHeaderBytes + more);
      RequestHeader read;
      uint32_t size = 0;
      const Outcome want = more == 0 ? Outcome::kOk : Outcome::kMalformed;
      EXPECT_EQ(DecodeRequestHeader(protocol, bytes, &read, &size).outcome, want) << more;
      EXPECT_EQ(SkipResponseHeader(protocol, bytes, &size).outcome, want) << more;
    }
  }
}

// A count that could only end behind the bound is refused before the bytes come.
TEST(RequestHeader, CountsOverTheBoundAreToldAtOnce) {
  RequestHeader read;
  uint32_t size = 0;
  for (const char* hex : {"0f0063 0b 00040000", "0e0063 0a 00008000", "0d0063 0b 0b 00020000"}) {
    const DecodeResult result = DecodeRequestHeader(kBinary, Hex(hex), &read, &size);
    EXPECT_EQ(result.outcome, Outcome::kMalformed) << hex;
    EXPECT_STREQ(result.why, "longer than its bound");
  }
}

TEST(ResponseHeader, IsWalkedOver) {
  const std::pair<Protocol, const char*> kHeaders[] = {
      {kBinary, "00"},
      {kCompact, "00"},
      {kBinary, "0f0001 0c 00000000 0f0002 0c 00000001 0b0001 00000001 6b 00 00"},
      {kCompact, "19 0c 19 1c 18 01 6b 00 00"},
  };
  for (const auto& [protocol, hex] : kHeaders) {
    const std::string header = Hex(hex);
    for (size_t n = 0; n < header.size(); n++) {
      const Exact prefix(header.substr(0, n));
      uint32_t size = 0;
      EXPECT_EQ(SkipResponseHeader(protocol, prefix.view(), &size).outcome, Outcome::kNeedMore);
    }
    const Exact bytes(header + "message");
    uint32_t size = 0;
    EXPECT_EQ(SkipResponseHeader(protocol, bytes.view(), &size).outcome, Outcome::kOk);
    EXPECT_EQ(size, header.size());
  }
  uint32_t size = 0;
  const std::string message = Hex("80010002 00000001 78 00000001 00");
  EXPECT_EQ(SkipResponseHeader(kBinary, message, &size).outcome, Outcome::kMalformed)
      << "a reply without its header";
  EXPECT_EQ(kEmptyResponseHeader, std::string(1, '\0'));
}

TEST(Upgrade, RepliesWithTheCallersSeqid) {
  for (const Protocol protocol : kBoth) {
    const std::string reply = EncodeUpgradeReply(protocol, -5);
    Envelope envelope;
    ASSERT_EQ(DecodeEnvelope(protocol, reply, &envelope).outcome, Outcome::kOk);
    EXPECT_EQ(envelope.type, MessageType::kReply);
    EXPECT_EQ(envelope.name, kUpgradeMethod);
    EXPECT_EQ(envelope.seqid, -5);
    EXPECT_EQ(reply.substr(envelope.size), std::string(1, '\0'));
  }
}

}  // namespace
}  // namespace trestle::thrift
