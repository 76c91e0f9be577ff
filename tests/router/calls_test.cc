// Calls through a whole router: times, retries, clients that vanish at every step, and what is
// counted.
#include <gtest/gtest.h>

#include "tests/router/fixture.h"

namespace trestle::router::testing {
namespace {

using Mode = Backends::Mode;
const std::string kService = "rt/thr/service/svc/users/a";
const std::string kClient = "rt/thr/client/#/fs/users";
const std::string kBoth = kClient + "/service/svc/users/a";

class CallsTest : public RouterTest {
 protected:
  void Advance(Client& client, int calls) {
    for (int i = 0; i < calls; i++) client.Call("users:a", i);
    Settle();
  }
};

TEST_F(CallsTest, AddressChangesReachTheClient) {
  namer_.Bind("users", {1});
  Start();
  EXPECT_EQ(Ask("users:a"), "10.0.0.1:1");
  namer_.SetAddr("users", Ports({2}));
  Settle();
  EXPECT_EQ(Ask("users:a"), "10.0.0.1:2");
  EXPECT_EQ(backends_.open(), 1u) << "the one that left is closed";
  namer_.SetAddr("users", naming::Addr::Failed("no answer"));
  Settle();
  EXPECT_EQ(Ask("users:a"), "10.0.0.1:2") << "the last good one stays";
  namer_.SetAddr("users", naming::Addr::Neg());
  Settle();
  EXPECT_EQ(Ask("users:a"),
            "trestle: balance: /svc/users/a: /#/fs/users: no endpoint: the name is gone");
  EXPECT_EQ(Count(kBoth + "/failures/balance/unavailable"), 1u);
  EXPECT_EQ(Pending(), 0);
}

TEST_F(CallsTest, OneIdInTwoNamesIsOneClientAndOnePool) {
  config_.dtab.value = D("/svc/one => /#/fs/users ; /svc/two => /#/fs/users");
  namer_.Bind("users", {1});
  Start();
  EXPECT_EQ(Ask("one"), "10.0.0.1:1");
  EXPECT_EQ(Ask("two"), "10.0.0.1:1");
  EXPECT_EQ(router_->names(), 2u);
  EXPECT_EQ(router_->clients(), 1u);
  EXPECT_EQ(backends_.connects["10.0.0.1:1"], 1);
  EXPECT_EQ(Count(kClient + "/requests"), 2u);
  EXPECT_EQ(Count(kClient + "/service/svc/one/requests"), 1u);
  EXPECT_EQ(Count("rt/thr/service/svc/two/success"), 1u);
}

TEST_F(CallsTest, WaitsForAnAddressAndNoLongerThanBindingTimeoutMs) {
  config_.binding_timeout = milliseconds(500);
  namer_.Bind("users", naming::Addr::Pending());
  Start();
  Client& client = NewClient();
  client.Call("users:a", 1);
  Pass(milliseconds(499));
  EXPECT_TRUE(client.Replies().empty());
  EXPECT_EQ(Level(kBoth + "/pending"), 1);
  Pass(milliseconds(1));
  EXPECT_EQ(Answer(client),
            "trestle: balance: /svc/users/a: /#/fs/users: "
            "no address within bindingTimeoutMs");
  EXPECT_EQ(Count(kBoth + "/failures/balance/timeout"), 1u);
  client.Call("users:a", 2);
  Settle();
  namer_.SetAddr("users", Ports({1}));
  EXPECT_EQ(Answer(client), "10.0.0.1:1");
  EXPECT_EQ(Pending(), 0);
}

TEST_F(CallsTest, TheTotalTimeEndsACallWhereItStandsAndCountsAgainstTheBackend) {
  service_config().total_timeout = milliseconds(100);
  client_config().failure_accrual = conf::FailureAccrualConfig{};
  client_config().failure_accrual->failures = 2;
  namer_.Bind("users", {1});
  Start();
  for (int i = 0; i < 2; i++) {
    Client& client = NewClient();
    client.Call("users:a");
    Pass(milliseconds(99));
    EXPECT_TRUE(client.Replies().empty());
    EXPECT_EQ(Count(kClient + "/failure_accrual/removals"), 0u);
    Pass(milliseconds(1));
    auto replies = client.Replies();
    ASSERT_EQ(replies.size(), 1u);
    EXPECT_EQ(replies[0].Text(),
              "trestle: reply: /svc/users/a: /#/fs/users: "
              "no reply within 100 ms (totalTimeoutMs)");
    EXPECT_EQ(backends_.open(), 0u) << "a connection with a reply outstanding is closed";
  }
  EXPECT_EQ(Count(kClient + "/failure_accrual/removals"), 1u);
  for (const std::string& scope : {kService, kClient, kBoth}) {
    EXPECT_EQ(Count(scope + "/failures/reply/timeout"), 2u) << scope;
    EXPECT_EQ(Count(scope + "/failures"), 2u) << scope;
    EXPECT_EQ(Count(scope + "/success"), 0u) << scope;
  }
  EXPECT_EQ(Pending(), 0);
}

TEST_F(CallsTest, TheTotalTimeCoversEveryStep) {
  service_config().total_timeout = milliseconds(100);
  config_.dtab.value = D("/svc => /#/fs");
  namer_.Say("unknown", Says::kPending);
  namer_.Bind("nowhere", naming::Addr::Pending());
  namer_.Bind("silent", {5});
  backends_.modes["10.0.0.1:5"] = Mode::kSilent;
  Start();
  const std::pair<const char*, const char*> kCases[] = {
      {"unknown", "trestle: bind: /svc/unknown: no reply within 100 ms (totalTimeoutMs)"},
      {"nowhere",
       "trestle: balance: /svc/nowhere: /#/fs/nowhere: no reply within 100 ms (totalTimeoutMs)"},
      {"silent",
       "trestle: connect: /svc/silent: /#/fs/silent: no reply within 100 ms (totalTimeoutMs)"},
  };
  for (const auto& [method, text] : kCases) {
    Client& client = NewClient();
    client.Call(method);
    Pass(milliseconds(100));
    EXPECT_EQ(Answer(client), text);
  }
  EXPECT_EQ(Pending(), 0);
}

TEST_F(CallsTest, AReplyInTimeStopsTheClock) {
  service_config().total_timeout = milliseconds(100);
  namer_.Bind("users", {1});
  Start();
  Client& client = NewClient();
  client.Call("users:a");
  EXPECT_EQ(Answer(client), "10.0.0.1:1");
  Pass(milliseconds(500));
  EXPECT_TRUE(client.Replies().empty());
  client.Call("users:a");  // on the same memory, with the same clock
  Pass(milliseconds(50));
  EXPECT_EQ(Answer(client), "10.0.0.1:1");
}

TEST_F(CallsTest, OnlyIdempotentCallsAreSentAgainOnceWritten) {
  service_config().idempotent_methods = {"users:get"};
  namer_.Bind("users", {1});
  Start();
  for (const char* method : {"users:get", "users:add"}) {
    Client& client = NewClient();
    client.Call(method, 9);
    Settle();
    auto requests = backends_.Take();
    ASSERT_EQ(requests.size(), 1u);
    requests[0].peer->end->Close(true);  // lost after it was written
    const std::string answer = Answer(client);
    if (std::string_view(method) == "users:get") {
      EXPECT_EQ(answer, "10.0.0.1:1");
    } else {
      EXPECT_TRUE(answer.starts_with("trestle: reply: /svc/users/add: /#/fs/users: ")) << answer;
    }
  }
  EXPECT_EQ(Count(kClient + "/retries/requeues"), 1u);
  EXPECT_EQ(Count("rt/thr/service/svc/users/get/requests"), 1u) << "sent twice, one call";
  EXPECT_EQ(Pending(), 0);
}

TEST_F(CallsTest, ARefusedConnectionSendsTheCallElsewhere) {
  namer_.Bind("users", {1, 2});
  backends_.modes["10.0.0.1:1"] = Mode::kRefuse;
  Start();
  for (int i = 0; i < 10; i++) EXPECT_EQ(Ask("users:a"), "10.0.0.1:2");
  EXPECT_EQ(Count(kService + "/failures"), 0u);
  namer_.SetAddr("users", Ports({1}));
  Settle();
  EXPECT_EQ(Ask("users:a"),
            "trestle: connect: /svc/users/a: /#/fs/users: 10.0.0.1:1: connection refused")
      << "the only one is tried, though it is out";
  EXPECT_EQ(Count(kBoth + "/failures/connect/unavailable"), 1u);
  EXPECT_EQ(Pending(), 0);
}

TEST_F(CallsTest, AClientThatVanishesCancelsItsCallsAtEveryStep) {
  client_config().host_connection_pool = conf::PoolConfig{0, 1, milliseconds(600'000), 10};
  namer_.Say("unknown", Says::kPending);
  namer_.Bind("nowhere", naming::Addr::Pending());
  namer_.Bind("silent", {5});
  namer_.Bind("users", {1});
  backends_.modes["10.0.0.1:5"] = Mode::kSilent;
  Start();
  Client& stays = NewClient();
  stays.Call("users:a");  // has the only connection
  Settle();
  for (const char* method : {"unknown", "nowhere", "silent", "users:a"}) {
    Client& client = NewClient();
    client.Call(method);
    Settle();
    client.Reset();
    Settle();
    EXPECT_EQ(server_->connections(), 1u) << method;
  }
  EXPECT_EQ(Count("rt/thr/service/other/cancelled"), 1u) << "the one that was never bound";
  EXPECT_EQ(Count("rt/thr/service/svc/nowhere/cancelled"), 1u);
  EXPECT_EQ(Count("rt/thr/client/#/fs/silent/cancelled"), 1u);
  EXPECT_EQ(Count(kBoth + "/cancelled"), 1u);
  EXPECT_EQ(Level(kBoth + "/pending"), 1) << "of the client that stays";
  EXPECT_EQ(Answer(stays), "10.0.0.1:1") << "no neighbour is disturbed";
  EXPECT_EQ(Pending(), 0);
  // What they waited for comes now: it finds nobody.
  namer_.Bind("unknown", {1});
  namer_.SetAddr("nowhere", Ports({1}));
  Settle();
  EXPECT_TRUE(backends_.Take().empty());
}

TEST_F(CallsTest, AClientThatVanishesInFlightCostsTheBackendNothing) {
  client_config().failure_accrual = conf::FailureAccrualConfig{};
  client_config().failure_accrual->failures = 1;
  namer_.Bind("users", {1});
  Start();
  Client& client = NewClient();
  client.Call("users:a");
  Settle();
  ASSERT_EQ(backends_.Take().size(), 1u);
  client.Reset();
  Settle();
  EXPECT_EQ(backends_.open(), 0u) << "a connection with a reply outstanding is never used again";
  EXPECT_EQ(Count(kClient + "/failure_accrual/removals"), 0u);
  EXPECT_EQ(Count(kService + "/cancelled"), 1u);
  EXPECT_EQ(Count(kService + "/failures"), 0u);
  EXPECT_EQ(Ask("users:a"), "10.0.0.1:1");
  EXPECT_EQ(Pending(), 0);
}

TEST_F(CallsTest, RepliesAreCountedByTheirKind) {
  namer_.Bind("users", {1});
  Start();
  Client& client = NewClient();
  Advance(client, 2);
  auto requests = backends_.Take();
  ASSERT_EQ(requests.size(), 2u);
  Backends::Reply(requests[0], kDeclared);
  requests[1].peer->end->Send(Frame(thrift::EncodeApplicationException(
      kBinary, "users:a", requests[1].message.seqid, 6, "broken")));
  Settle();
  EXPECT_EQ(client.Replies().size(), 2u);
  client.Call("users:a");
  EXPECT_EQ(Answer(client), "10.0.0.1:1");
  client.Oneway("users:a");
  Settle();
  EXPECT_EQ(backends_.Take().size(), 1u);
  for (const std::string& scope : {kService, kClient, kBoth}) {
    EXPECT_EQ(Count(scope + "/requests"), 4u) << scope;
    EXPECT_EQ(Count(scope + "/success"), 4u) << scope;
    EXPECT_EQ(Count(scope + "/replies/result"), 1u) << scope;
    EXPECT_EQ(Count(scope + "/replies/declared_exception"), 1u) << scope;
    EXPECT_EQ(Count(scope + "/replies/application_exception"), 1u) << scope;
    EXPECT_EQ(Count(scope + "/oneways"), 1u) << scope;
  }
  EXPECT_TRUE(client.Replies().empty()) << "a oneway is not answered";
  EXPECT_EQ(Pending(), 0);
}

TEST_F(CallsTest, PendingCountsCallsUnderWay) {
  namer_.Bind("users", {1});
  Start();
  Client& client = NewClient();
  Advance(client, 5);
  for (const std::string& scope : {kService, kClient, kBoth}) {
    EXPECT_EQ(Level(scope + "/pending"), 5) << scope;
  }
  Serve();
  EXPECT_EQ(client.Replies().size(), 5u);
  EXPECT_EQ(Pending(), 0);
}

TEST_F(CallsTest, AFailingOnewayIsNeverAnswered) {
  Start();
  Client& client = NewClient();
  client.Oneway("nobody");
  client.Oneway("add user");
  Serve();
  EXPECT_TRUE(client.Replies().empty());
  EXPECT_FALSE(client.closed_by_router());
  EXPECT_EQ(Count("rt/thr/service/other/failures/bind/no_route"), 1u);
  EXPECT_EQ(Count("rt/thr/service/other/failures/identify/invalid"), 1u);
}

TEST_F(CallsTest, CallsInFlightOutliveTheirNamesBinding) {
  config_.dtab.value = D("/svc => /#/fs/old ; /svc => /#/fs/new");
  namer_.Bind("old", {1});
  namer_.Bind("new", {2});
  Start();
  Client& client = NewClient();
  client.Call("a");
  Settle();
  auto requests = backends_.Take();
  ASSERT_EQ(requests.size(), 1u);
  namer_.Say("new", Says::kNeg);
  Settle();
  EXPECT_EQ(Ask("a"), "10.0.0.1:1");
  Pass(seconds(30));  // a sweep finds its client in use
  Backends::Reply(requests[0], ResultBody("late"));
  Settle();
  auto replies = client.Replies();
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(replies[0].Text(), "late");
  EXPECT_EQ(Pending(), 0);
}

}  // namespace
}  // namespace trestle::router::testing
