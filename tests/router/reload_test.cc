// What another configuration changes in a router that runs, and what it leaves alone.
#include <gtest/gtest.h>

#include "tests/router/fixture.h"

namespace trestle::router::testing {
namespace {

class ReloadTest : public RouterTest {
 protected:
  ReloadTest() {
    config_.dtab.value = D("/svc => /#/fs/old");
    namer_.Bind("old", {1});
    namer_.Bind("new", {2});
  }
  // On one connection, which must live through it all.
  std::string AskOn(Client& client, std::string_view method) {
    client.Call(method);
    return Answer(client);
  }
  void UseNewDtab() { config_.dtab.value = D("/svc => /#/fs/new"); }
};

TEST_F(ReloadTest, AnotherDtabBindsNamesAgainInPlace) {
  Start();
  Client& client = NewClient();
  EXPECT_EQ(AskOn(client, "a"), "10.0.0.1:1");
  UseNewDtab();
  Reload();
  EXPECT_EQ(AskOn(client, "a"), "10.0.0.1:2");
  EXPECT_EQ(AskOn(client, "b"), "10.0.0.1:2") << "also a name that comes later";
  EXPECT_EQ(Count("names/rebinds"), 1u);
  EXPECT_EQ(Count("rt/thr/bindcache/path/misses"), 2u) << "a was not forgotten";
  config_.dtab.value = D("/svc => /#/fs/old");
  Reload();
  EXPECT_EQ(AskOn(client, "a"), "10.0.0.1:1");
  EXPECT_EQ(backends_.connects["10.0.0.1:1"], 1) << "its connection was kept";
  EXPECT_EQ(Count("rt/thr/service/svc/a/success"), 3u);
}

TEST_F(ReloadTest, NothingIsBoundAgainWhenNothingChanged) {
  Start();
  EXPECT_EQ(Ask("a"), "10.0.0.1:1");
  const int asked = namer_.asked;
  Reload();
  EXPECT_EQ(Ask("a"), "10.0.0.1:1");
  EXPECT_EQ(namer_.asked, asked);
  EXPECT_EQ(connectors_, 1);
  EXPECT_EQ(backends_.connects["10.0.0.1:1"], 1);
}

TEST_F(ReloadTest, TheLastGoodValueStaysWhileTheNewAnswerIsPending) {
  Start();
  Client& client = NewClient();
  EXPECT_EQ(AskOn(client, "a"), "10.0.0.1:1");
  UseNewDtab();
  for (Says says : {Says::kPending, Says::kFailed}) {
    namer_.Say("new", says);
    Reload();
    EXPECT_EQ(AskOn(client, "a"), "10.0.0.1:1");
  }
  namer_.SetAddr("old", Ports({3}));
  EXPECT_EQ(AskOn(client, "a"), "10.0.0.1:3") << "and goes on to live";
  namer_.Say("new", Says::kBound);
  Settle();
  EXPECT_EQ(AskOn(client, "a"), "10.0.0.1:2");
  EXPECT_FALSE(namer_.held("old"));
}

TEST_F(ReloadTest, ACallThatWaitsForItsNameIsServedByTheNewDtab) {
  namer_.Say("old", Says::kPending);
  Start();
  Client& client = NewClient();
  client.Call("a");
  Settle();
  UseNewDtab();
  Reload();
  EXPECT_EQ(Answer(client), "10.0.0.1:2");
  EXPECT_EQ(Pending(), 0);
}

TEST_F(ReloadTest, ACallInFlightFinishesWhereItWasSent) {
  Start();
  Client& client = NewClient();
  client.Call("a");
  Settle();
  auto requests = backends_.Take();
  ASSERT_EQ(requests.size(), 1u);
  UseNewDtab();
  config_.dst_prefix = P("/other");
  Reload();
  Backends::Reply(requests[0], ResultBody("done"));
  EXPECT_EQ(Answer(client), "done");
  EXPECT_EQ(Count("rt/thr/service/svc/a/success"), 1u);
  EXPECT_EQ(Pending(), 0);
}

TEST_F(ReloadTest, TheDtabOfARequestStandsOverTheNewBase) {
  namer_.Bind("mine", {9});
  Start();
  Client& client = NewUpgradedClient();
  thrift::RequestHeader header;
  header.delegations.push_back({"/svc/x", "/#/fs/mine"});
  client.CallWith(header, "x");
  EXPECT_EQ(Answer(client), "10.0.0.1:9");
  client.CallWith(header, "y");
  EXPECT_EQ(Answer(client), "10.0.0.1:1");
  UseNewDtab();
  Reload();
  client.CallWith(header, "x");
  EXPECT_EQ(Answer(client), "10.0.0.1:9");
  client.CallWith(header, "y");
  EXPECT_EQ(Answer(client), "10.0.0.1:2");
}

TEST_F(ReloadTest, AnotherNamerOfTheSamePrefix) {
  FakeNamer other;
  other.Bind("old", {7});
  Start();
  Client& client = NewClient();
  EXPECT_EQ(AskOn(client, "a"), "10.0.0.1:1");
  other.Say("old", Says::kPending);
  set_.entries = {{P("/#/fs"), &other}};
  Reload();
  EXPECT_EQ(AskOn(client, "a"), "10.0.0.1:1") << "the new one has not answered yet";
  EXPECT_EQ(AskOn(client, "a"), "10.0.0.1:1");
  other.Say("old", Says::kBound);
  Settle();
  EXPECT_EQ(AskOn(client, "a"), "10.0.0.1:7");
  EXPECT_FALSE(namer_.held("old"));
  EXPECT_EQ(router_->clients(), 1u) << "the concrete name is the same";
}

TEST_F(ReloadTest, ANamerThatIsGoneTakesItsNamesAway) {
  config_.dtab.value = D("/svc => /#/fs/old | /#/more/x");
  FakeNamer more;
  more.Bind("x", {8});
  set_.entries.push_back({P("/#/more"), &more});
  Start();
  EXPECT_EQ(Ask("a"), "10.0.0.1:1");
  set_.entries.erase(set_.entries.begin());
  Reload();
  EXPECT_EQ(Ask("a"), "10.0.0.1:8");
}

TEST_F(ReloadTest, AnotherDstPrefixNamesCallsAnew) {
  config_.dtab.value = D("/svc => /#/fs/old ; /other => /#/fs/new");
  Start();
  Client& client = NewClient();
  EXPECT_EQ(AskOn(client, "a"), "10.0.0.1:1");
  config_.dst_prefix = P("/other");
  Reload();
  EXPECT_EQ(AskOn(client, "a"), "10.0.0.1:2");
  config_.dst_prefix = P("/svc");
  Reload();
  EXPECT_EQ(AskOn(client, "a"), "10.0.0.1:1");
  EXPECT_EQ(Count("rt/thr/bindcache/path/misses"), 2u) << "the first name was still there";
}

TEST_F(ReloadTest, TheMethodMayLeaveTheName) {
  config_.dtab.value = D("/svc/users => /#/fs/old ; /svc/users/get => /#/fs/new");
  Start();
  Client& client = NewClient();
  EXPECT_EQ(AskOn(client, "users:get"), "10.0.0.1:2");
  config_.thrift_method_in_dst = false;
  Reload();
  EXPECT_EQ(AskOn(client, "users:get"), "10.0.0.1:1");
  EXPECT_EQ(Count("rt/thr/service/svc/users/success"), 1u);
}

TEST_F(ReloadTest, ANewBindingTimeoutHoldsForCallsThatCome) {
  namer_.Say("old", Says::kPending);
  config_.binding_timeout = milliseconds(300);
  Start();
  Client& before = NewClient();
  before.Call("a");
  Settle();
  config_.binding_timeout = milliseconds(500);
  Reload();
  Client& after = NewClient();
  after.Call("b");
  Pass(milliseconds(300));
  EXPECT_EQ(before.Replies().size(), 1u);
  EXPECT_TRUE(after.Replies().empty());
  Pass(milliseconds(200));
  EXPECT_EQ(Answer(after), "trestle: bind: /svc/b: not resolved within 500 ms (bindingTimeoutMs)");
}

TEST_F(ReloadTest, ANewTotalTimeoutHoldsForCallsThatComeOfNamesThatAreKnown) {
  service_config().total_timeout = milliseconds(100);
  Start();
  EXPECT_EQ(Ask("a"), "10.0.0.1:1");
  Client& before = NewClient();
  before.Call("a");
  Settle();
  service_config().total_timeout.reset();
  Reload();
  Client& none = NewClient();
  none.Call("a");
  Settle();
  service_config().total_timeout = milliseconds(400);
  Reload();
  Client& after = NewClient();
  after.Call("a");
  Pass(milliseconds(100));
  const auto first = before.Replies();
  ASSERT_EQ(first.size(), 1u);
  EXPECT_NE(first[0].Text().find("no reply within 100 ms (totalTimeoutMs)"), std::string::npos)
      << first[0].Text();
  Pass(milliseconds(300));
  const auto second = after.Replies();
  ASSERT_EQ(second.size(), 1u);
  EXPECT_NE(second[0].Text().find("no reply within 400 ms (totalTimeoutMs)"), std::string::npos)
      << second[0].Text();
  EXPECT_TRUE(none.Replies().empty());
  EXPECT_EQ(Answer(none), "10.0.0.1:1");
}

TEST_F(ReloadTest, OnlyClientsOfWhichSomethingElseIsSaidHearOfIt) {
  config_.dtab.value = D("/svc => /#/fs");
  Start();
  Client& client = NewClient();
  EXPECT_EQ(AskOn(client, "old"), "10.0.0.1:1");
  EXPECT_EQ(AskOn(client, "new"), "10.0.0.1:2");
  EXPECT_EQ(connectors_, 2);
  service_config().total_timeout = milliseconds(400);
  Reload();
  EXPECT_EQ(connectors_, 2) << "nothing of theirs";
  config_.client.entries.emplace_back();
  config_.client.entries.back().prefix = *conf::NamePattern::Parse("/#/fs/new");
  config_.client.entries.back().request_attempt_timeout = milliseconds(50);
  Reload();
  EXPECT_EQ(connectors_, 2) << "nothing of their connections";
  Client& waits = NewClient();
  waits.Call("new");
  Client& other = NewClient();
  other.Call("old");
  Pass(milliseconds(50));
  EXPECT_EQ(waits.Replies().size(), 1u);
  EXPECT_EQ(Answer(other), "10.0.0.1:1");
  config_.client.entries.back().socket_options = conf::SocketOptions{};
  config_.client.entries.back().socket_options->keep_alive = true;
  Reload();
  EXPECT_EQ(connectors_, 3);
  EXPECT_TRUE(last_sockets_.keep_alive);
  Reload();
  EXPECT_EQ(connectors_, 3);
  EXPECT_EQ(AskOn(client, "old"), "10.0.0.1:1");
  EXPECT_EQ(AskOn(client, "new"), "10.0.0.1:2");
  EXPECT_EQ(backends_.connects["10.0.0.1:1"], 1) << "its pool stayed";
}

TEST_F(ReloadTest, SmallerCachesPushOutWhatIsOverThem) {
  config_.dtab.value = D("/svc => /#/fs");
  for (const char* label : {"a", "b", "c"}) namer_.Bind(label, {1});
  Start();
  for (const char* label : {"a", "b", "c"}) {
    EXPECT_EQ(Ask(label), "10.0.0.1:1");
    Pass(milliseconds(1));
  }
  Client& busy = NewClient();
  busy.Call("a");
  Settle();
  config_.binding_cache.paths = 1;
  config_.binding_cache.clients = 1;
  Reload();
  EXPECT_EQ(router_->names(), 1u) << "the one in use";
  EXPECT_EQ(router_->clients(), 1u);
  EXPECT_EQ(Answer(busy), "10.0.0.1:1");
  EXPECT_EQ(Ask("b"), "10.0.0.1:1");
  EXPECT_EQ(router_->names(), 1u);
}

TEST_F(ReloadTest, AnIdleTimeThatIsShorterNow) {
  Start();
  EXPECT_EQ(Ask("a"), "10.0.0.1:1");
  config_.binding_cache.idle_ttl = seconds(15);
  Reload();
  Pass(seconds(11));
  EXPECT_EQ(router_->names(), 1u);
  Pass(seconds(11));
  EXPECT_EQ(router_->names(), 0u);
}

}  // namespace
}  // namespace trestle::router::testing
