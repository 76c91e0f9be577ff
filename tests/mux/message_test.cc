// Types, heads, and the messages that are small.
#include "mux/message.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/thrift/bytes.h"

namespace trestle::mux {
namespace {

using thrift::Exact;
using thrift::Hex;

TEST(Types, AllNumbers) {
  const std::map<int, std::pair<Type, const char*>> known = {
      {1, {Type::kTreq, "Treq"}},
      {-1, {Type::kRreq, "Rreq"}},
      {2, {Type::kTdispatch, "Tdispatch"}},
      {-2, {Type::kRdispatch, "Rdispatch"}},
      {64, {Type::kTdrain, "Tdrain"}},
      {-64, {Type::kRdrain, "Rdrain"}},
      {65, {Type::kTping, "Tping"}},
      {-65, {Type::kRping, "Rping"}},
      {66, {Type::kTdiscarded, "Tdiscarded"}},
      {-66, {Type::kRdiscarded, "Rdiscarded"}},
      {-62, {Type::kTdiscarded, "Tdiscarded"}},
      {67, {Type::kTlease, "Tlease"}},
      {68, {Type::kTinit, "Tinit"}},
      {-68, {Type::kRinit, "Rinit"}},
      {-128, {Type::kRerr, "Rerr"}},
      {127, {Type::kRerr, "Rerr"}},
  };
  for (int wire = -128; wire <= 127; wire++) {
    const auto it = known.find(wire);
    const std::optional<Type> type = KnownType(static_cast<int8_t>(wire));
    const char* name = TypeName(static_cast<Type>(wire));
    if (it == known.end()) {
      EXPECT_EQ(type, std::nullopt) << wire;
      EXPECT_STREQ(name, "unknown") << wire;
    } else {
      EXPECT_EQ(type, it->second.first) << wire;
      EXPECT_STREQ(name, it->second.second);
    }
    EXPECT_EQ(MayBeSplit(static_cast<Type>(wire)), wire == 2 || wire == -2);
  }
}

TEST(Head, OldNumbersAreWritten) {
  struct Case {
    Type type;
    uint32_t tag;
    bool more;
    uint64_t body;
    const char* hex;
  };
  for (const Case& c : std::initializer_list<Case>{
           {Type::kTdispatch, 2, false, 0, "00000004 02 000002"},
           {Type::kTdispatch, 2, true, 9, "0000000d 02 800002"},
           {Type::kRdispatch, kMaxTag, false, 65'536, "00010004 fe 7fffff"},
           {Type::kRdispatch, kMaxTag, true, 1, "00000005 fe ffffff"},
           {Type::kRdispatch, 0xffffff, false, 1, "00000005 fe 7fffff"},
           {Type::kRerr, 1, false, 11, "0000000f 7f 000001"},
           {Type::kOldRerr, 1, false, 11, "0000000f 7f 000001"},
           {Type::kTdiscarded, 0, false, 3, "00000007 c2 000000"},
           {Type::kOldTdiscarded, 0, false, 3, "00000007 c2 000000"},
           {Type::kRdiscarded, 5, false, 0, "00000004 be 000005"},
           {Type::kTinit, 1, false, 0xffff'fffb, "ffffffff 44 000001"},
       }) {
    std::string head(kHeadBytes, 'x');
    WriteHead(c.type, c.tag, c.more, c.body, head.data());
    EXPECT_EQ(head, Hex(c.hex)) << c.hex;
  }
  EXPECT_EQ(ShowMessage(Type::kTping, kControlTag), Hex("00000004 41 000001"));
  EXPECT_EQ(ShowMessage(Type::kRerr, 1, kProbe), Hex("0000000f 7f 000001") + "tinit check");
}

TEST(Discarded, ATagAndAReason) {
  struct Case {
    const char* hex;
    uint32_t tag;
    const char* why;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"000002 676f6e65", 2, "gone"},
           {"7fffff", kMaxTag, ""},
           {"800002 61", 2, "a"},  // the top bit is none of the tag
           {"000000", 0, ""},
       }) {
    const Exact bytes(Hex(c.hex));
    Discarded read;
    ASSERT_EQ(DecodeDiscarded(bytes.view(), &read).outcome, Outcome::kOk);
    EXPECT_EQ(read.tag, c.tag);
    EXPECT_EQ(read.why, c.why);
    EXPECT_TRUE(bytes.Holds(read.why));
  }
  for (const char* hex : {"", "00", "0000"}) {
    const Exact bytes(Hex(hex));
    Discarded read;
    const DecodeResult result = DecodeDiscarded(bytes.view(), &read);
    EXPECT_EQ(result.outcome, Outcome::kMalformed);
    EXPECT_STREQ(result.why, "cut short");
  }
  std::string out = "before";
  EncodeDiscarded({kMaxTag, "why"}, &out);
  EXPECT_EQ(out, "before\x7f\xff\xffwhy");
}

TEST(Lease, Milliseconds) {
  using std::chrono::milliseconds;
  struct Case {
    const char* hex;
    std::optional<base::Duration> lease;
  };
  const base::Duration longest = milliseconds(0xffff'ffff);
  for (const Case& c : std::initializer_list<Case>{
           {"00 0000000000000000", base::Duration(0)},
           {"00 000000000036ee80", milliseconds(3'600'000)},
           {"00 00000000ffffffff", longest},
           {"00 0000000100000000", longest},
           {"00 7fffffffffffffff", longest},
           {"00 8000000000000000", base::Duration(0)},
           {"00 ffffffffffffffff", base::Duration(0)},
           {"00 0000000000000001 aabb", milliseconds(1)},
           {"01 0000000000000001", std::nullopt},
           {"ff 0000000000000001", std::nullopt},
       }) {
    const Exact bytes(Hex(c.hex));
    std::optional<base::Duration> read = base::Duration(77);
    ASSERT_EQ(DecodeLease(bytes.view(), &read).outcome, Outcome::kOk);
    EXPECT_EQ(read, c.lease) << c.hex;
  }
  const std::string whole = Hex("00 0000000000000001");
  for (size_t n = 0; n < whole.size(); n++) {
    const Exact bytes(std::string_view(whole).substr(0, n));
    std::optional<base::Duration> read;
    EXPECT_EQ(DecodeLease(bytes.view(), &read).outcome, Outcome::kMalformed);
  }
}

}  // namespace
}  // namespace trestle::mux
