// What feeds names: variables, fs files, serversets, the names and delegations of calls.
#include <gtest/gtest.h>

#include "naming/call_name.h"
#include "naming/fs_file.h"
#include "naming/serverset.h"
#include "tests/naming/fakes.h"

namespace trestle::naming {
namespace {

using testing::P;

TEST(Var, TellsThoseWhoListen) {
  Var<int> var(1);
  int first = 0;
  int second = 0;
  Subscription one = var.Subscribe([&] { ++first; });
  {
    const Subscription two = var.Subscribe([&] { ++second; });
    var.Set(2);
  }
  var.Set(3);
  EXPECT_EQ(var.Get(), 3);
  EXPECT_EQ(first, 2);
  EXPECT_EQ(second, 1);
  one = Subscription();
  var.Set(4);
  EXPECT_EQ(first, 2);
}

TEST(Var, ListenersMayEndEachOtherAndTheVar) {
  auto var = std::make_shared<Var<int>>(1);
  int second = 0;
  Subscription two;
  Subscription one = var->Subscribe([&] { two = Subscription(); });
  two = var->Subscribe([&] { ++second; });
  var->Set(2);
  EXPECT_EQ(second, 0);
  one = Subscription();

  Subscription late;
  Subscription adds = var->Subscribe([&] { late = var->Subscribe([&] { ++second; }); });
  var->Set(3);
  EXPECT_EQ(second, 0);  // who comes during a change hears of the next
  adds = Subscription();

  // A listener lets go of itself and of the last pointer to the variable.
  Subscription last;
  last = var->Subscribe([&] {
    last = Subscription();
    var = nullptr;
  });
  var->Set(4);
  EXPECT_EQ(var, nullptr);
  EXPECT_EQ(second, 1);
}

TEST(Var, SubscriptionsOutliveIt) {
  Subscription subscription;
  {
    Var<int> var(1);
    subscription = var.Subscribe([] {});
  }
  subscription = Subscription();
}

TEST(Addr, BoundIsASet) {
  const Addr addr = Addr::Bound(
      {{"b", 1, 1.0, false}, {"a", 1, 1.0, false}, {"b", 1, 1.0, false}, {"b", 1, 1.0, true}});
  ASSERT_EQ(addr.endpoints.size(), 3u);
  EXPECT_EQ(addr.endpoints[0].host, "a");
  EXPECT_EQ((Endpoint{"10.0.0.1", 80, 1.0, false}).Show(), "10.0.0.1:80");
  EXPECT_EQ((Endpoint{"::1", 80, 1.0, false}).Show(), "[::1]:80");
}

TEST(FsFile, Edges) {
  EXPECT_EQ(ParseFsFile("[::1] 80\r\n"), Addr::Bound({{"::1", 80, 1.0, false}}));
  EXPECT_EQ(ParseFsFile("users.example.com 80"),
            Addr::Bound({{"users.example.com", 80, 1.0, false}}));
  EXPECT_EQ(ParseFsFile("h 80 * nan"), Addr::Failed("malformed address: h 80 * nan"));
  EXPECT_EQ(ParseFsFile("h 80 * 2 x"), Addr::Failed("malformed address: h 80 * 2 x"));
  EXPECT_EQ(ParseFsFile("h 80 x 2"), Addr::Failed("malformed address: h 80 x 2"));
  EXPECT_EQ(ParseFsFile("  h   # note").cause, "malformed address: h");
  EXPECT_EQ(ParseFsFile(std::string(kMaxFsFileBytes, '\n')).kind, Addr::Kind::kBound);
  EXPECT_EQ(ParseFsFile(std::string(kMaxFsFileBytes + 1, '\n')).kind, Addr::Kind::kFailed);
}

TEST(CallName, DestMustBeAPath) {
  EXPECT_EQ(NameOfCall(P("/svc"), "/a/b", "m", true)->Show(), "/svc/a/b/m");
  EXPECT_FALSE(NameOfCall(P("/svc"), "a", "m", true).ok());
  EXPECT_EQ(NameOfCall(P("/svc"), std::nullopt, "s:m::", true)->Show(), "/svc/s/m");
}

TEST(CallName, Delegations) {
  const auto dtab = ParseDelegations({{"/a/*", "/b | ~"}, {"/c", "0.5*/d & /e"}});
  ASSERT_TRUE(dtab.ok());
  EXPECT_EQ(dtab->Show(), "/a/*=>/b | ~;/c=>0.50*/d & /e");
  EXPECT_TRUE(ParseDelegations({})->empty());
  EXPECT_FALSE(ParseDelegations({{"/a=>/b;/c", "/d"}}).ok());
  EXPECT_FALSE(ParseDelegations({{"/a", "/b;/c=>/d"}}).ok());
  EXPECT_FALSE(ParseDelegations({{"/a", ""}}).ok());
  EXPECT_FALSE(ParseDelegations(std::vector<Delegation>(kMaxDelegations + 1, {"/a", "/b"})).ok());
  const std::string big = "/" + std::string(kMaxDelegationBytes, 'a');
  const auto refused = ParseDelegations({{"/a", big}});
  ASSERT_FALSE(refused.ok());
  EXPECT_LT(refused.status().message().size(), 200u);
}

TEST(Serverset, Names) {
  const auto name = ParseServersetName(P("/a:b/users:http#07"));
  ASSERT_TRUE(name.ok());
  EXPECT_EQ(name->znodes, (std::vector<std::string>{"a:b", "users"}));
  EXPECT_EQ(name->endpoint, "http");
  EXPECT_EQ(name->shard, 7);
  EXPECT_TRUE(ParseServersetName(Path())->znodes.empty());
  EXPECT_EQ(ParseServersetName(P("/a/b#:c")).status().message(), "invalid job syntax: b#:c");
}

TEST(Serverset, NodesInAnyState) {
  const std::string member =
      R"({"serviceEndpoint":{"host":"10.0.0.1","port":80},"status":"ALIVE","shard":1})";
  const auto addr = [](const std::string& data, const std::string& vector) {
    return ServersetAddr({{"member_1", data}, {"vector_1", vector}}, std::nullopt, std::nullopt);
  };
  EXPECT_EQ(addr(member, "{}"), Addr::Bound({{"10.0.0.1", 80, 1.0, true}}));
  // Weights that are JSON integers count as their value.
  EXPECT_EQ(addr(member, R"({"vector":[{"select":"shard=1","weight":2}]})"),
            Addr::Bound({{"10.0.0.1", 80, 2.0, true}}));
  EXPECT_EQ(addr(R"({"serviceEndpoint":{"host":"h","port":70000},"status":"ALIVE"})", ""),
            Addr::Neg());
  EXPECT_EQ(
      addr(R"({"serviceEndpoint":{"host":"h","port":18446744073709551615},"status":"ALIVE"})", ""),
      Addr::Neg());
  EXPECT_EQ(addr(std::string(100'000, '['), std::string(100'000, '{')), Addr::Neg());
  EXPECT_EQ(addr(R"({"a":"]]]\"]","serviceEndpoint":)" + std::string(100'000, '['), ""),
            Addr::Neg());
  EXPECT_EQ(addr("[1]", "[]"), Addr::Neg());
  // Half-written or damaged nodes are safe, and count as nothing or as what they say.
  for (size_t n = 0; n < member.size(); ++n) {
    EXPECT_EQ(addr(member.substr(0, n), member.substr(n)), Addr::Neg()) << n;
    for (char byte : {'\0', '"', '{', '}', '\xff', '9'}) {
      std::string changed = member;
      changed[n] = byte;
      EXPECT_LE(ParseServersetNodes({{"member_1", changed}}).size(), 1u);
    }
  }
}

// A member with a service endpoint and `more`, each at an address of its own.
ServersetNode MemberOf(size_t more) {
  std::string data = R"({"serviceEndpoint":{"host":"h","port":1},"metadata":{"k":"v"},)"
                     R"("status":"ALIVE","additionalEndpoints":{)";
  for (size_t i = 0; i < more; i++) {
    const std::string n = std::to_string(i + 2);
    data += (i == 0 ? "\"" : ",\"") + n + R"(":{"host":"h","port":)" + n + "}";
  }
  return {"member_1", data + "}}"};
}

TEST(Serverset, EndpointsOfAMemberHaveABound) {
  const ServersetMember most = ParseServersetMember(MemberOf(kMostServersetEndpoints - 1));
  EXPECT_EQ(most.entries.size(), kMostServersetEndpoints);
  EXPECT_EQ(most.why, "");
  const ServersetMember more = ParseServersetMember(MemberOf(kMostServersetEndpoints));
  EXPECT_TRUE(more.entries.empty());
  EXPECT_EQ(more.why, "more than 1000 endpoints");
}

TEST(Serverset, EndpointsOfAMemberShareItsMetadata) {
  const ServersetMember member = ParseServersetMember(MemberOf(3));
  ASSERT_EQ(member.entries.size(), 4u);
  ASSERT_NE(member.entries[0].metadata, nullptr);
  EXPECT_EQ(member.entries[0].metadata->at("k"), "v");
  for (const ServersetEntry& entry : member.entries) {
    EXPECT_EQ(entry.metadata, member.entries[0].metadata);
  }
}

}  // namespace
}  // namespace trestle::naming
