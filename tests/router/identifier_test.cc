// Identifier: what a call is called, and the key that stands for it.
#include "router/identifier.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/router/fakes.h"

namespace trestle::router::testing {
namespace {

struct Headers {
  std::optional<std::string_view> dest;
  std::vector<thrift::RequestHeader::Delegation> delegations;
};

void Fill(call::Call* call, std::string_view method, const std::optional<Headers>& headers) {
  call->method = method;
  if (!headers) return;
  call->header.emplace();
  call->header->dest = headers->dest;
  call->header->delegations = headers->delegations;
}

struct NameCase {
  const char* method;
  std::optional<Headers> headers;
  const char* server_dest;  // null: none
  bool method_in_dst;
  const char* name;  // null: an error
};

TEST(Identifier, NamesCalls) {
  const NameCase kCases[] = {
      {"userService:addUser", {}, nullptr, true, "/thrift/userService/addUser"},
      {"userService:addUser", {}, nullptr, false, "/thrift/userService"},
      {"addUser", {}, nullptr, true, "/thrift/addUser"},
      {"addUser", {}, nullptr, false, "/thrift"},
      {"addUser", {}, "/users", true, "/thrift/users/addUser"},
      {"addUser", {}, "/users", false, "/thrift/users"},
      {"userService:addUser", {}, "/a/b", true, "/thrift/a/b/userService/addUser"},
      {"addUser", Headers{"/wide", {}}, nullptr, false, "/thrift/wide"},
      {"addUser", Headers{"/wide", {}}, "/users", true, "/thrift/wide/addUser"},
      {"addUser", Headers{{}, {}}, "/users", true, "/thrift/users/addUser"},
      {"addUser", Headers{"", {}}, "/users", true, "/thrift/users/addUser"},
      {"addUser", Headers{"/", {}}, "/users", true, "/thrift/users/addUser"},
      {"addUser", Headers{"no path", {}}, nullptr, false, nullptr},
      {"add user", {}, nullptr, true, nullptr},
      {"a/b", {}, nullptr, true, "/thrift/a/b"},
      {"user service:add", {}, nullptr, false, nullptr},
  };
  for (const NameCase& c : kCases) {
    call::Call call;
    Fill(&call, c.method, c.headers);
    const std::string dest = c.server_dest ? c.server_dest : "";
    if (c.server_dest) call.default_dest = &dest;
    const Identifier identifier(P("/thrift"), c.method_in_dst);
    const auto name = identifier.Name(call);
    ASSERT_EQ(name.ok(), c.name != nullptr) << c.method << ": " << name.status().message();
    if (c.name) {
      EXPECT_EQ(name->Show(), c.name) << c.method;
    } else {
      EXPECT_EQ(name.status().code(), base::Code::kInvalid);
    }
  }
}

// What makes a difference to the name makes one to the key, however its bytes are cut.
TEST(Identifier, KeysTellNamesApart) {
  const std::pair<const char*, std::optional<Headers>> kCalls[] = {
      {"ab", {}},
      {"a", {}},
      {"b", Headers{"/a", {}}},
      {"/ab", Headers{{}, {}}},
      {"a", Headers{{}, {{"/a", "/b"}}}},
      {"a", Headers{{}, {{"/a/", "b"}}}},
      {"a", Headers{{}, {{"/a", "/b"}, {"/a", "/b"}}}},
      {"a/a/b", Headers{{}, {}}},
      {"a", Headers{"/x", {{"/a", "/b"}}}},
  };
  Identifier identifier(P("/thrift"), true);
  std::set<std::string> keys;
  for (const auto& [method, headers] : kCalls) {
    call::Call call;
    Fill(&call, method, headers);
    EXPECT_TRUE(keys.emplace(identifier.Key(call)).second) << method;
    EXPECT_FALSE(keys.emplace(identifier.Key(call)).second) << "the same call has the same key";
  }
}

TEST(Identifier, TheHeadersDelegationsAreTheLocalDtab) {
  call::Call call;
  Fill(&call, "a", Headers{{}, {{"/svc", "/a | /b"}, {"/x/*", "/y"}}});
  const auto dtab = Identifier::LocalDtab(call);
  ASSERT_TRUE(dtab.ok());
  EXPECT_TRUE(naming::SameDtab(*dtab, D("/svc => /a | /b; /x/* => /y")));
  EXPECT_NE(Identifier::LocalText(call), "");

  call::Call plain;
  Fill(&plain, "a", {});
  EXPECT_TRUE(Identifier::LocalDtab(plain)->empty());
  EXPECT_EQ(Identifier::LocalText(plain), "");

  call::Call bad;
  Fill(&bad, "a", Headers{{}, {{"/svc", "/a |"}}});
  EXPECT_EQ(Identifier::LocalDtab(bad).status().code(), base::Code::kInvalid);
}

}  // namespace
}  // namespace trestle::router::testing
