#include "net/address.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace trestle::net {
namespace {

struct Case {
  const char* ip;
  uint16_t port;
  const char* shown;
};

TEST(Address, LiteralsAreShownAsTheyAreWritten) {
  for (const Case& c :
       {Case{"127.0.0.1", 80, "127.0.0.1:80"}, Case{"0.0.0.0", 0, "0.0.0.0:0"},
        Case{"255.255.255.255", 65535, "255.255.255.255:65535"}, Case{"::1", 4114, "[::1]:4114"},
        Case{"2001:db8::0:1", 1, "[2001:db8::1]:1"},
        Case{"::ffff:10.0.0.1", 9, "[::ffff:10.0.0.1]:9"}}) {
    auto a = Address::Parse(c.ip, c.port);
    ASSERT_TRUE(a.ok()) << c.ip;
    EXPECT_EQ(a->Show(), c.shown);
    EXPECT_EQ(a->port(), c.port);
    sockaddr_storage storage{};
    std::memcpy(&storage, a->sockaddr_ptr(), a->length());
    EXPECT_EQ(Address::From(storage).Show(), c.shown);
  }
}

TEST(Address, WhatIsNoLiteralIsRefusedWithItsText) {
  for (const char* ip :
       {"", "localhost", "127.0.0.1:80", "1.2.3", "256.0.0.1", "[::1]", "::1%lo", "1.2.3.4 "}) {
    auto a = Address::Parse(ip, 1);
    ASSERT_FALSE(a.ok()) << ip;
    EXPECT_EQ(a.status().code(), base::Code::kInvalid);
    EXPECT_EQ(a.status().message(), std::string("not an IP address: ") + ip);
  }
}

TEST(Address, OneThatWasNeverSetSaysSo) {
  EXPECT_EQ(Address().Show(), "?");
  EXPECT_EQ(Address().Ip(), "?");
  EXPECT_EQ(Address().port(), 0);
}

}  // namespace
}  // namespace trestle::net
