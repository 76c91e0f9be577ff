// Mux or Thrift, told from the first bytes of a connection.
#include <gtest/gtest.h>

#include "mux/message.h"
#include "tests/thrift/bytes.h"

namespace trestle::mux {
namespace {

using thrift::Hex;

Outcome Look(std::string_view first) { return LooksLikeMux(first).outcome; }

// Once told, more bytes do not change it; before that, it is asked for more.
void CheckStart(const std::string& first, Outcome whole) {
  ASSERT_EQ(Look(first), whole);
  bool told = false;
  for (size_t n = 0; n <= first.size(); n++) {
    const Outcome outcome = Look(std::string_view(first).substr(0, n));
    if (outcome == Outcome::kNeedMore) {
      EXPECT_FALSE(told) << n;
      EXPECT_LT(n, 6u);
    } else {
      EXPECT_EQ(outcome, whole) << n;
      told = true;
    }
  }
}

TEST(FirstBytes, Mux) {
  for (const char* hex : {
           "0000000f 7f 000001",  // the probe, with its old number
           "0000000f 80 000001",  // and with its new one
           "0000000f 7f 00ffff",
           "00000006 44 000001",  // Tinit
           "00000004 41 000001",  // Tping
           "0000000b 42 000000",  // Tdiscarded
           "0000000b c2 000000",
           "0000002a 02 000002",  // Tdispatch
           "0000002a 02 000000",
           "0000002a 02 7fffff",
           "0000002a 02 800002",  // its first fragment
           "00000025 01 000002",  // Treq
           "00000025 01 7fffff",
           "00000004 02 000002",  // the smallest size
           "3fffffff 02 000002",
       }) {
    SCOPED_TRACE(hex);
    CheckStart(Hex(hex), Outcome::kOk);
  }
}

TEST(FirstBytes, NotMux) {
  for (const char* hex : {
           "00000028 80010001",  // framed, strict binary: call and oneway
           "00000028 80010004",
           "00000020 82210007",  // framed, compact: call and oneway
           "00000020 82812a04",
           "0000001c 00000004",  // framed, old binary
           "0000001c 00007fff",
           "00000038 0fff0000",   // THeader
           "00000004 65636800",   // unframed, old binary: "ech…"
           "00000004 44657300",   // "Des…": D is Tinit's number
           "00000004 41646400",   // "Add…": A is Tping's
           "00000004 42757900",   // "Buy…": B is Tdiscarded's
           "00000001 44 010000",  // "D"
           "80010001 00000004",   // unframed, strict binary
           "80010001 44000001",   // and a name of 1 GiB
           "80010004 02000002",
           "82210704 6563686f",  // unframed, compact
           "82218080 80808001",  // with seqids of all lengths
           "82218080 02000004",  "82210044 44006563",
           "16030101 02010001",  // a TLS hello of 0x102 bytes
           "16030301 98010001",
           "47455420 2f204854",  // GET /
           "504f5354 202f2048",  // POST /
           "00000000 02000002",  // a size that is too small
           "00000003 02000002",
           "00000004 40000001",  // Tdrain, Tlease, and answers: nothing that a client begins with
           "0000000d 43000000",  "00000004 c0000001",  "00000004 bf000001",  "0000003b fe000002",
           "0000003b ff000002",  "0000002a bc000001",  "00000004 be000002",
           "00000007 21000008",   // an unknown type
           "0000000f 7f 010001",  // tags that no session begins with
           "0000000f 80 800001", "00000006 44 800001", "00000004 41 7fffff",
           "00000025 01 800002",  // a Treq has no fragments
       }) {
    SCOPED_TRACE(hex);
    CheckStart(Hex(hex), Outcome::kMalformed);
  }
}

// Whatever the length, the seqid and the name: framed Thrift and THeader are not mux.
TEST(FirstBytes, FramedThriftIsNeverMux) {
  for (int length = 0; length < 256; length++) {
    for (int type = 1; type <= 4; type++) {
      const char size[4] = {0, 0, static_cast<char>(length / 16), static_cast<char>(length)};
      const std::string front(size, 4);
      EXPECT_EQ(Look(front + Hex("800100") + static_cast<char>(type)), Outcome::kMalformed);
      for (int seqid = 0; seqid < 256; seqid++) {
        const char compact[4] = {'\x82', static_cast<char>(type << 5 | 1), static_cast<char>(seqid),
                                 static_cast<char>(length)};
        EXPECT_EQ(Look(front + std::string(compact, 4)), Outcome::kMalformed);
      }
    }
    for (int name = 0; name < 65'536; name += 17) {
      const char old[4] = {0, static_cast<char>(name % 16), static_cast<char>(name / 256),
                           static_cast<char>(name)};
      const char size[4] = {0, 0, static_cast<char>(length), 40};
      EXPECT_EQ(Look(std::string(size, 4) + std::string(old, 4)), Outcome::kMalformed);
    }
  }
}

// Nor is unframed Thrift, strict or compact: its first byte tells.
TEST(FirstBytes, UnframedThriftIsNeverMux) {
  for (int first = 0x80; first < 256; first++) {
    for (int type = 0; type < 256; type++) {
      const char bytes[8] = {static_cast<char>(first), 1, 0, 1, static_cast<char>(type), 0, 0, 2};
      EXPECT_EQ(Look(std::string_view(bytes, 8)), Outcome::kMalformed);
    }
  }
}

// Old unframed binary: a name of letters, digits, '_', '.' or ':'.
TEST(FirstBytes, OldUnframedThriftIsNeverMux) {
  const std::string letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:";
  for (int length = 1; length < 128; length++) {
    for (const char a : letters) {
      for (const char b : letters) {
        std::string bytes = {0, 0, 0, static_cast<char>(length), a, b, 'x', 'y'};
        if (length == 1) bytes.replace(5, 3, std::string("\1\0\0", 3));
        EXPECT_EQ(Look(bytes), Outcome::kMalformed);
      }
    }
  }
}

}  // namespace
}  // namespace trestle::mux
