// The namer io.l5d.serversets over a ZooKeeper in memory: names, members, and every fault of
// ZooKeeper's that calls must not notice.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "serversets/serverset_namer.h"
#include "tests/serversets/zk_fixture.h"
#include "tests/support/binding.h"

namespace trestle::serversets {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using tests::Binding;

std::string Member(const std::string& host, int port, const std::string& more = "") {
  return R"({"serviceEndpoint":{"host":")" + host + R"(","port":)" + std::to_string(port) +
         R"(},"additionalEndpoints":{"http":{"host":")" + host + R"(","port":)" +
         std::to_string(port + 1) + R"(}},"status":"ALIVE")" + more + "}";
}

class ServersetTest : public ZkTest {
 protected:
  ServersetTest() { Start(); }
  void TearDown() override {
    namer_.reset();
    Drain();
    EXPECT_EQ(zk_.watches(), 0u) << "no watch stays behind";
    EXPECT_EQ(table_.root()->gauge("sets")->value(), 0);
    EXPECT_EQ(table_.root()->gauge("members")->value(), 0);
    session_.reset();
  }
  void Start() {
    namer_.reset();
    session_ =
        std::make_unique<ZkSession>(&loop_, options_, zk_.connect(), ZkMetrics(table_.root()));
    namer_ = std::make_unique<ServersetNamer>(
        std::vector{ServersetPlace{&loop_, &inet_, session_.get(), retention_,
                                   ServersetMetrics(table_.root()), cache_.get()}});
    Drain();
  }
  void Put(const std::string& path, const std::string& data = "") {
    zk_.Put(path, data);
    Pass(Serverset::kCoalesce);
  }
  std::unique_ptr<Binding> Bind(const std::string& path) {
    auto binding =
        std::make_unique<Binding>(namer_.get(), *naming::Path::Parse(path), "io.l5d.serversets");
    Drain();
    return binding;
  }
  std::string Show(const std::string& path) { return Bind(path)->Show(); }
  // What /namer_state tells of a set.
  Json State(const std::string& set) const {
    return Json::parse(namer_->State().value()).at("clusters").at(0).at("sets").at(set);
  }
  // Members 1 to `n` of a set, at 10.0.0.1:80 and so on.
  void PutMembers(const std::string& set, int n) {
    for (int i = 1; i <= n; i++) {
      zk_.Put(set + "/member_" + std::to_string(i),
              Member("10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250), 80));
    }
    Pass(Serverset::kCoalesce);
  }

  tests::FakeInet inet_;
  ZkSession::Options options_{"zk:2181"};
  Retention::Options retention_;
  std::unique_ptr<SetCache> cache_;
  std::unique_ptr<ZkSession> session_;
  std::unique_ptr<ServersetNamer> namer_;
};

TEST_F(ServersetTest, ANameIsAPathOfZnodesAndWhatIsBehindTheSetIsLeftOver) {
  PutMembers("/discovery/users", 2);
  EXPECT_EQ(Show("/discovery/users"),
            "/#/io.l5d.serversets/discovery/users / = 10.0.0.1:80*1.0, 10.0.0.2:80*1.0");
  EXPECT_EQ(Show("/discovery/users/get"),
            "/#/io.l5d.serversets/discovery/users /get = 10.0.0.1:80*1.0, 10.0.0.2:80*1.0");
  EXPECT_EQ(Show("/discovery/users:http/a/b"),
            "/#/io.l5d.serversets/discovery/users:http /a/b = 10.0.0.1:81*1.0, 10.0.0.2:81*1.0");
  EXPECT_EQ(Show("/discovery/users:nope"), "neg");
  EXPECT_EQ(Show("/discovery"), "neg");
  EXPECT_EQ(Show("/elsewhere/x"), "neg");
  EXPECT_EQ(Show("/"), "neg");
  EXPECT_EQ(Show("/discovery/a:b:c/d"), "failed: invalid job syntax: a:b:c");
}

TEST_F(ServersetTest, AShardIsOneOfTheMembers) {
  Put("/s/member_1", Member("10.0.0.1", 80, R"(,"shard":0)"));
  Put("/s/member_2", Member("10.0.0.2", 80, R"(,"shard":1)"));
  EXPECT_EQ(Bind("/s#1")->Addr(), "10.0.0.2:80*1.0");
  EXPECT_EQ(Bind("/s#2")->Show(), "neg");
  EXPECT_EQ(Bind("/s:http#0")->Addr(), "10.0.0.1:81*1.0");
}

TEST_F(ServersetTest, MembersThatComeAndGoAreFollowed) {
  PutMembers("/s", 1);
  auto name = Bind("/s");
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0");
  Put("/s/member_7", Member("10.0.0.7", 80));
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0, 10.0.0.7:80*1.0");
  zk_.Remove("/s/member_1");
  Pass(Serverset::kCoalesce);
  EXPECT_EQ(name->Addr(), "10.0.0.7:80*1.0");
  Put("/s/member_7", R"({"serviceEndpoint":{"host":"10.0.0.8","port":80},"status":"ALIVE"})");
  EXPECT_EQ(name->Addr(), "10.0.0.8:80*1.0") << "data that changed is read again";
}

TEST_F(ServersetTest, NamesThatLeadNowhereAreBoundWhenTheyDo) {
  Put("/discovery");
  auto deep = Bind("/discovery/prod/users/get");
  EXPECT_EQ(deep->Show(), "neg");
  const int finds = deep->finds();
  Put("/discovery/other");
  EXPECT_EQ(deep->finds(), finds) << "another name's znode is none of its business";
  PutMembers("/discovery/prod/users", 1);
  EXPECT_EQ(deep->Show(), "/#/io.l5d.serversets/discovery/prod/users /get = 10.0.0.1:80*1.0");
  Put("/discovery/prod/users/get/member_1", Member("10.0.0.9", 80));
  EXPECT_EQ(deep->Show(), "/#/io.l5d.serversets/discovery/prod/users/get / = 10.0.0.9:80*1.0")
      << "the whole path comes first";
}

TEST_F(ServersetTest, ThousandsOfWrongNamesCostNoWatchAndHardlyARead) {
  PutMembers("/discovery/users", 1);
  auto right = Bind("/discovery/users");
  auto first = Bind("/discovery/wrong");
  const size_t watches = zk_.watches();
  const int reads = zk_.reads;
  std::vector<std::unique_ptr<Binding>> wrong;
  for (int i = 0; i < 5000; i++) {
    wrong.push_back(Bind("/discovery/no" + std::to_string(i) + "/get"));
    EXPECT_EQ(wrong.back()->Show(), "neg");
  }
  EXPECT_EQ(zk_.watches(), watches);
  EXPECT_EQ(zk_.reads, reads);
  PutMembers("/discovery/no77", 1);
  EXPECT_EQ(wrong[77]->Addr(), "10.0.0.1:80*1.0");
  EXPECT_EQ(wrong[78]->Show(), "neg");
}

TEST_F(ServersetTest, AllNamesOfASetShareItsWatches) {
  PutMembers("/s", 3);
  auto a = Bind("/s"), b = Bind("/s:http"), c = Bind("/s/x"), d = Bind("/s/y/z");
  EXPECT_EQ(zk_.watches(), 4u) << "of the list, and of each member";
  EXPECT_EQ(a->var(), c->var());
}

TEST_F(ServersetTest, WhatMakesNoSenseIsLeftOutAloneWithItsReason) {
  PutMembers("/s", 1);
  Put("/s/member_2", "{not json");
  Put("/s/member_3", R"({"serviceEndpoint":{"host":"h"},"status":"ALIVE"})");
  Put("/s/member_4", std::string(70'000, ' '));
  Put("/s/lock", "whatever");
  auto name = Bind("/s");
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0");
  const Json kWhy = {{"member_2", "no JSON object"},
                     {"member_3", "port is no integer"},
                     {"member_4", "over 64 KiB"}};
  EXPECT_EQ(State("/s").at("leftOut"), kWhy);
  EXPECT_EQ(table_.root()->gauge("left_out")->value(), 3);
}

TEST_F(ServersetTest, WhenAllMembersAreJunkTheLastGoodOnesStay) {
  PutMembers("/s", 1);
  auto name = Bind("/s");
  Put("/s/member_1", "{not json");
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0 (no member of /s is of use: member_1: no JSON object)");
  Put("/s/member_1", Member("10.0.0.2", 80));
  EXPECT_EQ(name->Addr(), "10.0.0.2:80*1.0");
}

TEST_F(ServersetTest, WhenMembersBecomeJunkOneAfterTheOtherAllStayInTheEnd) {
  PutMembers("/s", 3);
  auto name = Bind("/s");
  Put("/s/member_1", "{not json");
  EXPECT_EQ(name->Addr(), "10.0.0.2:80*1.0, 10.0.0.3:80*1.0");
  Put("/s/member_2", std::string(70'000, ' '));
  EXPECT_EQ(name->Addr(), "10.0.0.3:80*1.0");
  Put("/s/member_3", R"({"serviceEndpoint":{"host":"10.0.0.3","port":70000},"status":"ALIVE"})");
  EXPECT_EQ(name->Addr(),
            "10.0.0.1:80*1.0, 10.0.0.2:80*1.0, 10.0.0.3:80*1.0 "
            "(no member of /s is of use: member_1: no JSON object)");
  EXPECT_EQ(State("/s").at("leftOut").at("member_3"), "port is not 1 to 65535");
  Put("/s/member_2", Member("10.0.0.2", 80));
  EXPECT_EQ(name->Addr(), "10.0.0.2:80*1.0");
}

TEST_F(ServersetTest, WhenHostsAreGoneOneAfterTheOtherAllStayInTheEnd) {
  Put("/s/member_1", Member("a.example", 80));
  Put("/s/member_2", Member("b.example", 80));
  auto name = Bind("/s");
  inet_.SayIps("a.example", 80, {"10.0.0.1"});
  inet_.SayIps("b.example", 80, {"10.0.0.2"});
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0, 10.0.0.2:80*1.0");
  inet_.Say("b.example", 80, naming::Addr::Neg());
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0");
  inet_.Say("a.example", 80, naming::Addr::Neg());
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0, 10.0.0.2:80*1.0 (/s: no host of it resolves)");
}

TEST_F(ServersetTest, OfALargeSetAShareStaysWhenHostsResolveNoMore) {
  for (int i = 0; i < 10; i++) {
    Put("/s/member_" + std::to_string(i), Member("h" + std::to_string(i), 80));
  }
  auto name = Bind("/s");
  for (int i = 0; i < 10; i++) {
    inet_.SayIps("h" + std::to_string(i), 80, {"10.0.0." + std::to_string(i)});
  }
  EXPECT_EQ(name->var()->Get().endpoints.size(), 10u);
  for (int i = 0; i < 9; i++) inet_.Say("h" + std::to_string(i), 80, naming::Addr::Neg());
  EXPECT_EQ(name->var()->Get().endpoints.size(), 5u);
  EXPECT_EQ(State("/s").at("served").at("/s").at("unresolved").at("h3"), "no such host");
  EXPECT_EQ(table_.root()->gauge("unresolved")->value(), 9);
  for (int i = 0; i < 11; i++) Pass(seconds(1));
  EXPECT_EQ(name->var()->Get().endpoints.size(), 1u);
}

TEST_F(ServersetTest, ANamerThatReplacesAnotherServesWhatThatOneHad) {
  PutMembers("/junk", 2);
  PutMembers("/gone", 2);
  auto junk = Bind("/junk");
  auto gone = Bind("/gone");
  for (const char* member : {"/junk/member_1", "/junk/member_2"}) Put(member, "{not json");
  zk_.RemoveAll("/gone");
  Pass(seconds(1));
  zk_.silent = true;
  auto fresh_session =
      std::make_unique<ZkSession>(&loop_, options_, zk_.connect(), ZkMetrics(table_.root()));
  auto fresh = std::make_unique<ServersetNamer>(std::vector{
      ServersetPlace{&loop_, &inet_, fresh_session.get(), retention_,
                     ServersetMetrics(table_.root()), nullptr, namer_->History("zk:2181")}});
  const auto bind = [&fresh](const char* path) {
    return std::make_unique<Binding>(fresh.get(), *naming::Path::Parse(path));
  };
  auto fresh_junk = bind("/junk");
  auto fresh_gone = bind("/gone");
  const std::string both = "10.0.0.1:80*1.0, 10.0.0.2:80*1.0 ";
  EXPECT_EQ(fresh_junk->Addr(),
            both + "(/junk is as it was before the configuration was read again)");
  Drain();
  zk_.Answer();
  Pass(milliseconds(200));
  EXPECT_EQ(fresh_junk->Addr(), both + "(no member of /junk is of use: member_1: no JSON object)");
  EXPECT_EQ(fresh_gone->Addr(), both + "(2 that left /gone are kept)");
  fresh_junk.reset();
  fresh_gone.reset();
  junk.reset();
  gone.reset();
  fresh.reset();
  Drain();
}

TEST_F(ServersetTest, UnderANewSessionALargeSetIsToldAFewTimes) {
  PutMembers("/s", 2000);
  auto name = Bind("/s");
  int told = 0;
  const auto heard = name->var()->Subscribe([&told] { ++told; });
  for (int i = 1; i <= 2000; i++) {
    zk_.Put("/s/member_" + std::to_string(i), Member("10.1.0.1", 1000 + i));
  }
  zk_.Expire();
  for (int i = 0; i < 200; i++) Pass(milliseconds(10));
  EXPECT_EQ(name->var()->Get().endpoints.size(), 2000u);
  EXPECT_EQ(name->var()->Get().endpoints[0].host, "10.1.0.1");
  EXPECT_LE(told, 20);
}

TEST_F(ServersetTest, MembersThatSayTheyAreDeadAreNoLongerServed) {
  PutMembers("/s", 1);
  auto name = Bind("/s");
  Put("/s/member_1", R"({"serviceEndpoint":{"host":"10.0.0.1","port":80},"status":"DEAD"})");
  EXPECT_EQ(name->Show(), "neg");
}

TEST_F(ServersetTest, AHostThatDoesNotResolveLeavesOutOneMember) {
  Put("/s/member_1", Member("a.example", 80));
  Put("/s/member_2", Member("b.example", 80));
  auto name = Bind("/s");
  EXPECT_EQ(name->Show(), "pending");
  inet_.SayIps("a.example", 80, {"10.0.0.1"});
  inet_.Say("b.example", 80, naming::Addr::Neg());
  Drain();
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0");
  inet_.Say("a.example", 80, naming::Addr::Neg());
  Drain();
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0 (/s: no host of it resolves)") << "the last good ones";
}

TEST_F(ServersetTest, WithoutZooKeeperNothingThatWasKnownChanges) {
  PutMembers("/s", 2);
  auto name = Bind("/s");
  const std::string before = name->Show();
  zk_.Lose();
  Pass(seconds(5));
  EXPECT_EQ(name->Show(), before);
  EXPECT_FALSE(session_->connected());
  EXPECT_EQ(Show("/other"), "pending") << "nobody knows; a fallback must not answer";
  zk_.Return();
  Drain();
  EXPECT_EQ(Show("/other"), "neg");
  EXPECT_EQ(zk_.made, 1) << "the session went on";
}

TEST_F(ServersetTest, WithoutZooKeeperAtTheStartNamesArePendingUntilItIsThere) {
  zk_.up = false;
  Start();
  zk_.Put("/s/member_1", Member("10.0.0.1", 80));
  auto name = Bind("/s");
  for (int i = 0; i < 300; i++) Pass(seconds(1));
  EXPECT_EQ(name->Show(), "pending");
  EXPECT_GT(zk_.made, 10) << "clients are made anew, so that hosts are looked up again";
  EXPECT_EQ(zk_.clients.size(), 1u);
  zk_.up = true;
  for (int i = 0; i < 25; i++) Pass(seconds(1));
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0");
}

TEST_F(ServersetTest, AnExpiredSessionIsReplacedAndEachWatchSetOnce) {
  PutMembers("/s", 3);
  auto name = Bind("/s");
  const std::string before = name->Show();
  const size_t watches = zk_.watches();
  for (int i = 0; i < 20; i++) {
    const int reads = zk_.reads;
    zk_.Expire();
    Pass(seconds(6));
    EXPECT_EQ(name->Show(), before);
    EXPECT_EQ(zk_.reads - reads, 4) << "the list and three members, once";
    EXPECT_EQ(zk_.watches(), watches);
    EXPECT_EQ(zk_.clients.size(), 1u);
  }
  zk_.Remove("/s/member_1");
  Pass(Serverset::kCoalesce);
  EXPECT_EQ(name->Addr(), "10.0.0.2:80*1.0, 10.0.0.3:80*1.0") << "what changed is heard still";
}

TEST_F(ServersetTest, WhatChangedWhileTheSessionWasAwayIsRead) {
  PutMembers("/s", 3);
  auto name = Bind("/s");
  zk_.Lose();
  Drain();
  zk_.Put("/s/member_9", Member("10.0.0.9", 80));
  zk_.Remove("/s/member_1");
  zk_.Expire();
  zk_.up = true;
  Pass(seconds(1));
  EXPECT_EQ(name->Addr(), "10.0.0.2:80*1.0, 10.0.0.3:80*1.0, 10.0.0.9:80*1.0");
}

TEST_F(ServersetTest, AConnectionLostWhileAReadIsOutLosesNothing) {
  PutMembers("/s", 2);
  zk_.silent = true;
  auto name = Bind("/s");
  EXPECT_EQ(name->Show(), "pending");
  zk_.Lose();
  zk_.Answer();
  Drain();
  EXPECT_EQ(name->Show(), "pending");
  zk_.Return();
  Drain();
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0, 10.0.0.2:80*1.0");
}

TEST_F(ServersetTest, ASetThatVanishesWholeIsServedForAWhile) {
  PutMembers("/s", 3);
  auto name = Bind("/s");
  zk_.RemoveAll("/s");
  Pass(Serverset::kCoalesce);
  EXPECT_EQ(name->Addr(),
            "10.0.0.1:80*1.0, 10.0.0.2:80*1.0, 10.0.0.3:80*1.0 (3 that left /s are kept)");
  Pass(seconds(5));
  PutMembers("/s", 2);
  Pass(milliseconds(200));
  EXPECT_EQ(name->Addr(),
            "10.0.0.1:80*1.0, 10.0.0.2:80*1.0, 10.0.0.3:80*1.0 (1 that left /s are kept)")
      << "made again, but not all";
  Pass(seconds(5));
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0, 10.0.0.2:80*1.0");
  zk_.RemoveAll("/s");
  for (int i = 0; i < 110; i++) Pass(milliseconds(100));
  EXPECT_EQ(name->Show(), "neg");
  PutMembers("/s", 1);
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0");
}

TEST_F(ServersetTest, ASetThatIsMadeAgainBeforeItsMembersKeepsThoseItHad) {
  for (const int members : {1, 3, 6}) {
    const std::string set = "/s" + std::to_string(members);
    PutMembers(set, members);
    auto name = Bind(set);
    const auto served = [&] { return name->var() ? name->var()->Get().endpoints.size() : 0; };
    zk_.RemoveAll(set);
    Pass(seconds(1));
    zk_.Put(set);
    for (int i = 0; i < 30; i++) {
      Pass(milliseconds(100));
      EXPECT_EQ(served(), static_cast<size_t>(members));
    }
    PutMembers(set, 1);
    for (int i = 0; i < 30; i++) {
      Pass(milliseconds(100));
      EXPECT_EQ(served(), static_cast<size_t>(members)) << "the others may come, too";
    }
    for (int i = 0; i < 50; i++) Pass(milliseconds(100));
    EXPECT_EQ(served(), 1u);
  }
}

TEST_F(ServersetTest, AMemberThatMayNotBeReadIsTriedAgain) {
  PutMembers("/s", 2);
  zk_.denied.insert("/s/member_1");
  auto name = Bind("/s");
  EXPECT_EQ(name->Addr(), "10.0.0.2:80*1.0");
  EXPECT_EQ(State("/s").at("leftOut").at("member_1"), "not authenticated");
  zk_.denied = {"/s/member_2"};
  zk_.Put("/s/member_2", Member("10.0.0.3", 80));
  for (int i = 0; i < 5; i++) Pass(seconds(1));
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0, 10.0.0.2:80*1.0") << "what was read stays";
  const int reads = zk_.reads;
  for (int i = 0; i < 300; i++) Pass(seconds(1));
  EXPECT_LE(zk_.reads - reads, 20) << "less and less often";
  zk_.denied.clear();
  for (int i = 0; i < 60; i++) Pass(seconds(1));
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0, 10.0.0.3:80*1.0");
}

TEST_F(ServersetTest, AMemberThatIsMadeAgainBetweenTwoReadsIsNotLost) {
  PutMembers("/s", 1);
  auto name = Bind("/s");
  zk_.silent = true;
  zk_.Put("/s/member_2", Member("10.0.0.2", 80));
  Pass(Serverset::kCoalesce);
  zk_.Answer();  // the list
  zk_.silent = true;
  Drain();
  zk_.Remove("/s/member_2");
  zk_.Answer();  // its data: it is not there
  zk_.Put("/s/member_2", Member("10.0.0.9", 80));
  for (int i = 0; i < 5; i++) Pass(Serverset::kCoalesce);
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0, 10.0.0.9:80*1.0");
}

TEST_F(ServersetTest, ALongNameAsksForItsFirstZnodesOnly) {
  PutMembers("/s", 1);
  std::string deep = "/s", nowhere;
  for (int i = 0; i < 500; i++) deep += "/x";
  for (int i = 0; i < 500; i++) nowhere += "/y";
  zk_.denied.insert("/");
  EXPECT_EQ(Bind(deep)->Addr(), "10.0.0.1:80*1.0");
  EXPECT_EQ(Show(nowhere), "failed: /: not authenticated");
  EXPECT_LE(zk_.reads, 300);
  EXPECT_EQ(Show(deep + "/a:b:c"), "failed: invalid job syntax: a:b:c");
  zk_.denied.clear();
}

TEST_F(ServersetTest, HostsThatAreNoMachinesAndPortsThatAreNoneAreJunk) {
  PutMembers("/s", 1);
  Put("/s/member_2", Member("", 80));
  Put("/s/member_3", Member("0", 80));
  Put("/s/member_4", Member("::", 80));
  Put("/s/member_5", R"({"serviceEndpoint":{"host":"10.0.0.5","port":0},"status":"ALIVE"})");
  EXPECT_EQ(Bind("/s")->Addr(), "10.0.0.1:80*1.0");
  auto name = Bind("/s");
  EXPECT_EQ(State("/s").at("leftOut").size(), 4u);
  EXPECT_EQ(State("/s").at("leftOut").at("member_5"), "port is not 1 to 65535");
  EXPECT_EQ(State("/s").at("leftOut").at("member_3"), "host is no machine's: \"0\"");
}

TEST_F(ServersetTest, WeightsThatAreNoNumbersCountAsOne) {
  PutMembers("/s", 2);
  const std::string huge = R"({"vector":[{"select":"member=member_1","weight":1e308}]})";
  Put("/s/vector_0", huge);
  Put("/s/vector_1", R"({"vector":[{"select":"member=member_1","weight":1e307}]})");
  EXPECT_EQ(Bind("/s")->Addr(), "10.0.0.1:80*1.0, 10.0.0.2:80*1.0");
}

TEST_F(ServersetTest, WithSlowAnswersWhatWasReadIsToldAllTheSame) {
  PutMembers("/s", 1);
  auto name = Bind("/s");
  std::unique_ptr<Binding> late;
  int next = 2, told = 0;
  const auto heard = name->var()->Subscribe([&told] { ++told; });
  for (int i = 0; i < 200; i++) {
    zk_.silent = true;
    for (int j = 0; j < 3; j++, next++) {
      zk_.Put("/s/member_" + std::to_string(next), Member("10.0.0.1", next));
      if (next > 12) zk_.Remove("/s/member_" + std::to_string(next - 10));
      Pass(milliseconds(20));
    }
    zk_.Answer();
    zk_.silent = true;  // there is always something on its way
    Drain();
    if (i == 100) late = Bind("/s");
  }
  EXPECT_GT(told, 40);
  EXPECT_NE(late->Show(), "pending");
}

TEST_F(ServersetTest, ASmallSetWhoseMembersGoBeforeItIsServedForAWhile) {
  PutMembers("/s", 2);
  auto name = Bind("/s");
  for (const char* path : {"/s/member_1", "/s/member_2"}) {
    zk_.Remove(path);
    Pass(milliseconds(60));
  }
  zk_.Remove("/s");
  Pass(seconds(5));
  EXPECT_EQ(name->Addr(), "10.0.0.2:80*1.0 (1 that left /s are kept)");
  PutMembers("/s", 2);
  Pass(milliseconds(200));
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0, 10.0.0.2:80*1.0");
}

TEST_F(ServersetTest, TheLastMemberThatLeavesIsGoneWithin200Ms) {
  PutMembers("/s", 1);
  auto name = Bind("/s");
  zk_.Remove("/s/member_1");
  for (int i = 0; i < 20; i++) Pass(milliseconds(10));
  EXPECT_EQ(name->Show(), "neg");
  zk_.Remove("/s");
  Pass(milliseconds(200));
  EXPECT_EQ(name->Show(), "neg");
  PutMembers("/s", 1);
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0");
}

TEST_F(ServersetTest, HowLongZooKeeperIsAwayIsShown) {
  PutMembers("/s", 1);
  auto name = Bind("/s");
  const base::Gauge* stale = table_.root()->gauge("stale_s");
  EXPECT_EQ(State("/s").at("stale"), Json());
  EXPECT_EQ(State("/s").at("watch"), Json({{"list", true}, {"members", 1}}));
  zk_.Lose();
  for (int i = 0; i < 70; i++) Pass(seconds(1));
  EXPECT_EQ(stale->value(), 70);
  EXPECT_EQ(State("/s").at("watch"), Json({{"list", false}, {"members", 0}}));
  EXPECT_EQ(State("/s").at("stale").at("why"), "the connection was lost");
  EXPECT_EQ(State("/s").at("served").at("/s").at("addresses"), Json({"10.0.0.1:80"}));
  zk_.up = true;
  for (int i = 0; i < 12; i++) Pass(seconds(1));
  EXPECT_EQ(stale->value(), 0);
  EXPECT_EQ(State("/s").at("stale"), Json());
}

// --- the cache on disk ---

class CachedTest : public ServersetTest {
 protected:
  CachedTest() {
    char made[] = "/tmp/trestle-cache-XXXXXX";
    folder_ = mkdtemp(made);
    Restart();
  }
  ~CachedTest() override {
    cache_.reset();  // it makes its folder again
    std::filesystem::remove_all(folder_);
  }
  void Restart() {
    namer_.reset();
    cache_.reset();  // all is written then
    auto cache = SetCache::Open(folder_ + "/sets");
    ASSERT_TRUE(cache.ok()) << cache.status().message();
    cache_ = std::move(*cache);
    Start();
  }
  std::string folder_;
};

TEST_F(CachedTest, WithoutZooKeeperAtTheStartTheLastGoodSetsAreServedAndMarkedStale) {
  PutMembers("/s", 2);
  Put("/s/member_junk", "{not json");
  Put("/t/member_1", Member("10.0.1.1", 80));
  for (const char* path : {"/s", "/t", "/s/x"}) Show(path);
  zk_.up = false;
  Restart();
  auto name = Bind("/s:http/get");
  EXPECT_EQ(name->Show(),
            "/#/io.l5d.serversets/s:http /get = 10.0.0.1:81*1.0, 10.0.0.2:81*1.0 (/s is read from "
            "the cache)");
  EXPECT_EQ(State("/s").at("stale").at("why"), "read from the cache");
  EXPECT_EQ(Show("/never"), "pending");
  zk_.Remove("/s/member_1");
  zk_.Put("/s/member_3", Member("10.0.0.3", 80));
  zk_.up = true;
  for (int i = 0; i < 12; i++) Pass(seconds(1));
  EXPECT_EQ(name->Addr(), "10.0.0.2:81*1.0, 10.0.0.3:81*1.0") << "nothing old is held";
  EXPECT_EQ(State("/s").at("stale"), Json());
}

TEST_F(CachedTest, ASetThatIsGoneWhenZooKeeperIsBackIsHeldAsAnyOther) {
  PutMembers("/s", 2);
  Show("/s");
  zk_.up = false;
  Restart();
  auto name = Bind("/s");
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0, 10.0.0.2:80*1.0 (/s is read from the cache)");
  zk_.RemoveAll("/s");
  zk_.up = true;
  for (int i = 0; i < 12; i++) Pass(seconds(1));
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0, 10.0.0.2:80*1.0 (2 that left /s are kept)");
  for (int i = 0; i < 12; i++) Pass(seconds(1));
  EXPECT_EQ(name->Show(), "neg");
  name.reset();
  zk_.up = false;
  Restart();
  EXPECT_EQ(Show("/s"), "pending") << "and its file too";
}

std::string Deep(int depth) {
  std::string text = R"({"cluster":)";
  for (int i = 0; i < depth; i++) text += R"({"a":)";
  return text + "1" + std::string(static_cast<size_t>(depth) + 1, '}');
}

TEST_F(CachedTest, FilesThatMakeNoSenseAreNone) {
  PutMembers("/s", 1);
  Show("/s");
  zk_.up = false;
  Restart();
  std::vector<std::filesystem::path> files;
  for (const auto& file : std::filesystem::directory_iterator(folder_ + "/sets")) {
    files.push_back(file.path());
  }
  ASSERT_EQ(files.size(), 1u);
  std::string whole;
  std::getline(std::ifstream(files[0]), whole, '\0');
  const std::vector<std::string> bad = {
      "",
      "{",
      "[]",
      whole.substr(0, whole.size() / 2),
      R"({"cluster":1})",
      R"({"cluster":"zk:2181","path":"/t","savedMs":1,"members":{}})",
      R"({"cluster":"zk:2181","path":"/s","savedMs":"1","members":{}})",
      R"({"cluster":"zk:2181","path":"/s","savedMs":1,"members":[]})",
      R"({"cluster":"zk:2181","path":"/s","savedMs":1000000000000000000,"members":{}})",
      std::string(3'000'000, '['),
      Deep(200'000)};
  for (const std::string& text : bad) {
    std::ofstream(files[0]) << text;
    EXPECT_EQ(Show("/s"), "pending") << text;
  }
  std::filesystem::remove(files[0]);
  ASSERT_EQ(mkfifo(files[0].c_str(), 0600), 0);
  EXPECT_EQ(Show("/s"), "pending") << "nobody writes to that pipe";
  std::filesystem::remove(files[0]);
  std::ofstream(files[0]) << whole;
  EXPECT_EQ(Show("/s"), "/#/io.l5d.serversets/s / = 10.0.0.1:80*1.0 (/s is read from the cache)");
}

TEST_F(CachedTest, AFolderThatCannotBeHadIsAnError) {
  std::ofstream(folder_ + "/file") << "x";
  EXPECT_EQ(SetCache::Open(folder_ + "/file").status().message(), folder_ + "/file: is no folder");
  EXPECT_EQ(SetCache::Open(folder_ + "/a/b").status().message(),
            folder_ + "/a/b: cannot make it: No such file or directory");
}

// --- several clusters ---

class TwoClustersTest : public ServersetTest {
 protected:
  TwoClustersTest() {
    namer_ = std::make_unique<ServersetNamer>(
        std::vector{Place(session_.get()), Place(west_session_.get())});
    Drain();
  }
  void TearDown() override {
    ServersetTest::TearDown();
    EXPECT_EQ(west_.watches(), 0u);
  }
  ServersetPlace Place(ZkSession* session) {
    return {&loop_, &inet_, session, retention_, ServersetMetrics(table_.root()), nullptr};
  }
  base::MetricsTable west_table_;
  FakeZk west_{&loop_};
  std::unique_ptr<ZkSession> west_session_ =
      std::make_unique<ZkSession>(&loop_, options_, west_.connect(), ZkMetrics(west_table_.root()));
};

TEST_F(TwoClustersTest, WhatTheyHaveIsPutTogether) {
  PutMembers("/s", 2);
  west_.Put("/s/member_1", Member("10.0.0.2", 80));
  west_.Put("/s/member_2", Member("10.1.0.1", 80));
  west_.Put("/t/member_1", Member("10.1.0.9", 80));
  auto name = Bind("/s/get");
  EXPECT_EQ(name->Show(),
            "/#/io.l5d.serversets/s /get = 10.0.0.1:80*1.0, 10.0.0.2:80*1.0, 10.1.0.1:80*1.0");
  EXPECT_EQ(Bind("/s")->var(), name->var());
  EXPECT_EQ(Bind("/t")->Addr(), "10.1.0.9:80*1.0");
  EXPECT_EQ(Show("/u"), "neg");
  west_.Put("/s/member_3", Member("10.1.0.2", 80));
  Pass(Serverset::kCoalesce);
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0, 10.0.0.2:80*1.0, 10.1.0.1:80*1.0, 10.1.0.2:80*1.0");
  for (int i = 1; i <= 3; i++) west_.Remove("/s/member_" + std::to_string(i));
  for (int i = 0; i < 20; i++) Pass(milliseconds(10));
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0, 10.0.0.2:80*1.0") << "that of one is left";
}

TEST_F(TwoClustersTest, WhatComesInOneWhileTheOtherHasItAlreadyIsHeard) {
  west_.Put("/prod/s/member_1", Member("10.1.0.1", 80));
  zk_.Put("/prod/x");
  auto name = Bind("/prod/s/get");
  EXPECT_EQ(name->Addr(), "10.1.0.1:80*1.0");
  PutMembers("/prod/s", 1);
  Pass(Serverset::kCoalesce);
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0, 10.1.0.1:80*1.0") << "its parent is there";
  auto deep = Bind("/new/a/b");
  west_.Put("/new/a/b/member_1", Member("10.1.0.1", 80));
  Pass(Serverset::kCoalesce);
  EXPECT_EQ(deep->Addr(), "10.1.0.1:80*1.0");
  PutMembers("/new/a/b", 1);
  for (int i = 0; i < 5; i++) Pass(Serverset::kCoalesce);
  EXPECT_EQ(deep->Addr(), "10.0.0.1:80*1.0, 10.1.0.1:80*1.0") << "not even its parents were";
}

TEST_F(TwoClustersTest, OneThatIsAwayHidesNothingOfTheOther) {
  west_.Lose();
  Drain();
  PutMembers("/s", 1);
  auto name = Bind("/s");
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0");
  EXPECT_EQ(Bind("/s/get")->Addr(), "10.0.0.1:80*1.0");
  EXPECT_EQ(Show("/t"), "pending") << "the other one may have it";
  west_.Put("/s/member_1", Member("10.1.0.1", 80));
  west_.Return();
  Drain();
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0, 10.1.0.1:80*1.0");
  EXPECT_EQ(Show("/t"), "neg");
}

TEST_F(ServersetTest, AThousandChangesASecondAreReadTwentyTimes) {
  PutMembers("/s", 5);
  auto name = Bind("/s");
  const int reads = zk_.reads;
  for (int i = 0; i < 1000; i++) {
    const std::string path = "/s/member_x" + std::to_string(i % 7);
    if (i / 7 % 2 == 0) {
      zk_.Put(path, Member("10.0.1." + std::to_string(i % 7), 80));
    } else {
      zk_.Remove(path);
    }
    Pass(milliseconds(1));
  }
  EXPECT_LT(zk_.reads - reads, 200);
  EXPECT_GT(table_.root()->counter("coalesced")->value(), 500u);
}

TEST_F(ServersetTest, ASetThatMayNotBeReadFailsAndIsTriedAgain) {
  PutMembers("/s", 1);
  zk_.denied.insert("/s");
  auto name = Bind("/s");
  EXPECT_EQ(name->Show(), "failed: /s: not authenticated");
  zk_.denied.clear();
  Pass(seconds(1));
  EXPECT_EQ(name->Addr(), "10.0.0.1:80*1.0");
}

TEST_F(ServersetTest, QuestionsGoOutSomeAtATime) {
  PutMembers("/s", 2000);
  auto name = Bind("/s");
  EXPECT_EQ(name->var()->Get().endpoints.size(), 2000u);
  EXPECT_LE(zk_.most_asked, 256u);
}

TEST_F(ServersetTest, WithTooManyWatchesTheSessionIsNotTakenUpAgain) {
  options_.max_resumed_bytes = 100;
  Start();
  PutMembers("/a-long-name-of-a-set", 5);
  auto name = Bind("/a-long-name-of-a-set");
  const int made = zk_.made;
  zk_.Lose();
  Drain();
  zk_.Return();
  Pass(seconds(1));
  EXPECT_EQ(zk_.made, made + 1);
  EXPECT_EQ(zk_.watches(), 6u);
}

}  // namespace
}  // namespace trestle::serversets
