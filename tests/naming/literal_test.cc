#include "naming/literal.h"

#include <gtest/gtest.h>

namespace trestle::naming {
namespace {

TEST(LiteralIp, Table) {
  struct Row {
    std::string host;
    const char* ip;  // null: a name
  } const rows[] = {
      {"10.0.0.1", "10.0.0.1"},
      {"127.1", "127.0.0.1"},
      {"80", "0.0.0.80"},
      {"10.1.2", "10.1.0.2"},
      {"0x7f.1", "127.0.0.1"},
      {"4294967295", "255.255.255.255"},
      {"4294967296", nullptr},
      {"256.0.0.1", nullptr},
      {"1.2.3.4.5", nullptr},
      {"1.2.3.4 x", nullptr},
      {"1.2.3.4 ", nullptr},
      {std::string("1.2.3.4\0", 8), nullptr},
      {"::1", "::1"},
      {"[::1]", "::1"},
      {"0:0:0:0:0:0:0:1", "::1"},
      {"2001:DB8::A", "2001:db8::a"},
      {"::ffff:10.0.0.1", "::ffff:10.0.0.1"},
      {"[10.0.0.1]", nullptr},
      {"[]", nullptr},
      {"[", nullptr},
      {"[::1", nullptr},
      {":::", nullptr},
      {"", nullptr},
      {"localhost", nullptr},
      {"fade", nullptr},
      {"fade.example", nullptr},
  };
  for (auto& row : rows) {
    auto ip = LiteralIp(row.host);
    EXPECT_EQ(ip.value_or("a name"), row.ip ? row.ip : "a name") << row.host;
  }
}

}  // namespace
}  // namespace trestle::naming
