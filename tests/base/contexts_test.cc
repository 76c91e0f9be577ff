// Contexts: keys without case, and the values that a router understands.
#include "base/contexts.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <memory>

namespace trestle::base {
namespace {

using std::chrono::nanoseconds;

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

std::string Bytes(std::initializer_list<int> bytes) {
  std::string out;
  for (int byte : bytes) out.push_back(static_cast<char>(byte));
  return out;
}

// A copy that ends where its memory ends, so that a read past it is seen by asan.
class Exact {
 public:
  explicit Exact(std::string_view bytes) : data_(new char[bytes.size()]), size_(bytes.size()) {
    bytes.copy(data_.get(), size_);
  }
  std::string_view view() const { return {data_.get(), size_}; }
  bool Holds(std::string_view part) const {
    return part.data() >= data_.get() && part.data() + part.size() <= data_.get() + size_;
  }

 private:
  std::unique_ptr<char[]> data_;
  size_t size_;
};

TEST(Contexts, KeysHaveNoCase) {
  EXPECT_TRUE(IsKey("com.twitter.finagle.Deadline", kDeadlineKey));
  EXPECT_TRUE(IsKey("COM.Twitter.finagle.deadline", kDeadlineKey));
  EXPECT_FALSE(IsKey("com.twitter.finagle.Deadlin", kDeadlineKey));
  EXPECT_FALSE(IsKey("com.twitter.finagle.Deadline2", kDeadlineKey));
  EXPECT_FALSE(IsKey("", kDeadlineKey));
  EXPECT_TRUE(IsKey("", ""));
  // Only letters have two cases: these differ by the same bit.
  EXPECT_FALSE(IsKey("@", "`"));
  EXPECT_FALSE(IsKey("[", "{"));
  EXPECT_FALSE(IsKey("a\xc9", "a\xe9"));
}

TEST(Contexts, OfEqualKeysTheLastHolds) {
  const Contexts contexts = {{"a", "1"}, {"b", "2"}, {"A", "3"}, {"c", ""}};
  EXPECT_EQ(Find(contexts, "a"), "3");
  EXPECT_EQ(Find(contexts, "B"), "2");
  EXPECT_EQ(Find(contexts, "c"), "");
  EXPECT_EQ(Find(contexts, "d"), std::nullopt);
  EXPECT_EQ(Find({}, "a"), std::nullopt);
}

TEST(Contexts, TraceOf64And128Bits) {
  const std::string value = Bytes({0, 0, 0, 0, 0, 0, 0, 1, 0,    0, 0, 0, 0, 0, 0, 2,
                                   0, 0, 0, 0, 0, 0, 0, 3, 0x80, 0, 0, 0, 0, 0, 0, 6});
  const TraceContext trace{1, 2, 3, kMin + 6, std::nullopt};
  EXPECT_EQ(ParseTrace(value), trace);
  EXPECT_EQ(ShowTrace(trace), value);
  const std::string high = value + Bytes({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff});
  TraceContext wide = trace;
  wide.trace_high = -1;
  EXPECT_EQ(ParseTrace(high), wide);
  EXPECT_EQ(ShowTrace(wide), high);
  for (size_t n = 0; n <= 48; n++) {
    const Exact bytes(std::string(n, 'x'));
    EXPECT_EQ(ParseTrace(bytes.view()).has_value(), n == 32 || n == 40) << n;
  }
}

TEST(Contexts, TracesComeBackAsTheyWent) {
  for (const int64_t id : {int64_t{0}, int64_t{1}, int64_t{-1}, kMin, kMax}) {
    for (const std::optional<int64_t> high : {std::optional<int64_t>(), {0}, {kMin}}) {
      const TraceContext trace{id, ~id, id / 2, id, high};
      EXPECT_EQ(ParseTrace(ShowTrace(trace)), trace);
    }
  }
}

TEST(Contexts, Deadlines) {
  const std::string value = Bytes({0x18, 0xea, 0xb5, 0x95, 0x29, 0x1b, 0xb4, 0x40,  //
                                   0x18, 0xea, 0xb5, 0x95, 0xdb, 0xec, 0x12, 0x40});
  const Deadline deadline{WallTime(nanoseconds(1'795'447'053'705'000'000)),
                          WallTime(nanoseconds(1'795'447'056'705'000'000))};
  EXPECT_EQ(ParseDeadline(value), deadline);
  EXPECT_EQ(ShowDeadline(deadline), value);
  for (size_t n = 0; n <= 24; n++) {
    const Exact bytes(std::string(n, '\xff'));
    EXPECT_EQ(ParseDeadline(bytes.view()).has_value(), n == 16) << n;
  }
  for (const int64_t at : {int64_t{0}, int64_t{-1}, kMin, kMax}) {
    const Deadline edge{WallTime(nanoseconds(at)), WallTime(nanoseconds(~at))};
    EXPECT_EQ(ParseDeadline(ShowDeadline(edge)), edge);
  }
}

TEST(Contexts, Hops) {
  EXPECT_EQ(ShowHops(0x01020304), Bytes({1, 2, 3, 4}));
  for (const uint32_t hops : {0u, 1u, 16u, 0x80000000u, 0xffffffffu}) {
    EXPECT_EQ(ParseHops(ShowHops(hops)), hops);
  }
  for (size_t n = 0; n <= 8; n++) {
    const Exact bytes(std::string(n, 'x'));
    EXPECT_EQ(ParseHops(bytes.view()).has_value(), n == 4) << n;
  }
}

TEST(Contexts, ApplicationHeaders) {
  const std::string value =
      Bytes({0, 1, 'k', 0, 2, 'v', 'v', 0, 0, 0, 0, 0, 1, 'k', 0, 0});  // three, one of them empty
  Contexts headers = {{"kept", "here"}};
  ASSERT_TRUE(ParseApplicationHeaders(value, &headers));
  EXPECT_EQ(headers, (Contexts{{"kept", "here"}, {"k", "vv"}, {"", ""}, {"k", ""}}));
  headers.erase(headers.begin());
  EXPECT_EQ(ShowApplicationHeaders(headers), value);
  headers.clear();
  EXPECT_TRUE(ParseApplicationHeaders("", &headers));
  EXPECT_TRUE(headers.empty());
  EXPECT_EQ(ShowApplicationHeaders({}), "");
}

TEST(Contexts, ApplicationHeadersThatAreCutShortAddNothing) {
  const std::string value = Bytes({0, 1, 'k', 0, 2, 'v', 'v', 0, 0, 0, 1, 'w'});
  for (size_t n = 0; n <= value.size(); n++) {
    const Exact bytes(std::string_view(value).substr(0, n));
    Contexts headers = {{"kept", "here"}};
    const bool whole = n == 0 || n == 7 || n == value.size();
    EXPECT_EQ(ParseApplicationHeaders(bytes.view(), &headers), whole) << n;
    EXPECT_EQ(headers.size(), whole ? 1 + (n > 0) + (n > 7) : 1u);
  }
}

TEST(Contexts, EveryCorruptionOfApplicationHeadersIsSafe) {
  const std::string value = Bytes({0, 1, 'k', 0, 2, 'v', 'v', 0, 0, 0, 1, 'w'});
  int good = 0;
  for (size_t i = 0; i < value.size(); i++) {
    for (int byte = 0; byte < 256; byte++) {
      std::string corrupt = value;
      corrupt[i] = static_cast<char>(byte);
      const Exact bytes(corrupt);
      Contexts headers;
      if (!ParseApplicationHeaders(bytes.view(), &headers)) continue;
      for (const KeyValue& pair : headers) {
        ASSERT_TRUE(bytes.Holds(pair.key) && bytes.Holds(pair.value));
      }
      ASSERT_EQ(ShowApplicationHeaders(headers), corrupt);
      good++;
    }
  }
  EXPECT_GE(good, 4 * 256);  // those of the letters at least
}

// Lengths of two bytes go up to 32767.
TEST(Contexts, LongApplicationHeaders) {
  const std::string longest(32'767, 'x');
  const std::string longer(32'768, 'x');
  const std::string value = ShowApplicationHeaders({{longest, longest}});
  EXPECT_EQ(value.size(), 4 + 2 * longest.size());
  Contexts headers;
  ASSERT_TRUE(ParseApplicationHeaders(value, &headers));
  EXPECT_EQ(headers, (Contexts{{longest, longest}}));
  headers.clear();
  EXPECT_FALSE(ParseApplicationHeaders(Bytes({0x80, 0}) + longer + Bytes({0, 0}), &headers));
  EXPECT_FALSE(ParseApplicationHeaders(Bytes({0, 0, 0x80, 0}) + longer, &headers));
  EXPECT_TRUE(headers.empty());
  // One that has no room is left out.
  EXPECT_EQ(ShowApplicationHeaders({{"a", "b"}, {longer, ""}, {"", longer}}),
            Bytes({0, 1, 'a', 0, 1, 'b'}));
}

}  // namespace
}  // namespace trestle::base
