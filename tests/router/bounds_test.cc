// What a worker remembers is bounded, and what one sort of names takes is not taken from another.
#include <gtest/gtest.h>

#include "tests/router/fixture.h"

namespace trestle::router::testing {
namespace {

const std::string kPath = "rt/thr/bindcache/path/";
const std::string kCache = "rt/thr/bindcache/client/";
constexpr const char* kFull = "too many names in use (bindingCache)";

class BoundsTest : public RouterTest {
 protected:
  BoundsTest() {
    for (const char* label : {"a", "b", "c", "d", "e"}) namer_.Bind(label, {1});
  }
  // The names are looked up again only if they were not kept: tells by the misses it costs.
  bool Kept(std::string_view method) {
    const uint64_t before = Count(kPath + "misses");
    EXPECT_EQ(Ask(method), "10.0.0.1:1");
    return Count(kPath + "misses") == before;
  }
  std::string AskLocal(const std::string& dst) { return AskWith("/svc/x", dst, "x"); }
};

TEST_F(BoundsTest, TheNameNotUsedForLongestGivesWay) {
  config_.binding_cache.paths = 2;
  Start();
  Ask("a");
  Pass(milliseconds(1));
  Ask("b");
  Pass(milliseconds(1));
  Ask("a");
  Pass(milliseconds(1));
  Ask("c");
  EXPECT_EQ(router_->names(), 2u);
  EXPECT_EQ(Count(kPath + "evicts"), 1u);
  EXPECT_TRUE(Kept("a"));
  Pass(milliseconds(1));
  EXPECT_TRUE(Kept("c"));
  EXPECT_FALSE(Kept("b"));
  Settle();
  EXPECT_EQ(names_->size(), 2u) << "what was evicted is bound no more";
  EXPECT_FALSE(namer_.held("a"));
}

TEST_F(BoundsTest, TheLeastOfPathsTreesAndBoundsHolds) {
  config_.binding_cache.trees = 1;
  Start();
  Ask("a");
  Ask("b");
  EXPECT_EQ(router_->names(), 1u);
}

TEST_F(BoundsTest, ANameInUseStaysAndOverTheBoundACallIsRefused) {
  config_.binding_cache.paths = 1;
  Start();
  Client& busy = NewClient();
  busy.Call("a");
  Settle();
  auto requests = backends_.Take();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(Ask("b"), std::string("trestle: bind: /svc/b: ") + kFull);
  EXPECT_EQ(Count("rt/thr/service/other/failures/bind/refused"), 1u);
  Backends::Reply(requests[0], ResultBody("done"));
  EXPECT_EQ(Answer(busy), "done");
  EXPECT_EQ(Ask("b"), "10.0.0.1:1") << "its place is free again";
  EXPECT_EQ(router_->names(), 1u);
}

TEST_F(BoundsTest, NamesThatLeadNowhereDoNotPushOutGoodOnes) {
  config_.binding_cache.paths = 2;
  config_.binding_cache.negatives = 3;
  Start();
  Ask("a");
  Ask("b");
  for (int i = 0; i < 50; i++) {
    Pass(milliseconds(1));
    EXPECT_TRUE(Ask("nobody" + std::to_string(i)).starts_with("trestle: bind: /svc/nobody"));
  }
  EXPECT_EQ(router_->names(), 5u);
  EXPECT_TRUE(Kept("a"));
  EXPECT_TRUE(Kept("b"));
  const uint64_t misses = Count(kPath + "misses");
  for (int i = 47; i < 50; i++) Ask("nobody" + std::to_string(i));
  EXPECT_EQ(Count(kPath + "misses"), misses) << "the last ones are remembered";
  Settle();
  EXPECT_EQ(names_->size(), 5u);
}

TEST_F(BoundsTest, NamesNotYetKnownDoNotPushOutGoodOnes) {
  config_.binding_cache.paths = 2;
  for (int i = 0; i < 3; i++) namer_.Say("slow" + std::to_string(i), Says::kPending);
  Start();
  Ask("a");
  Ask("b");
  for (int i = 0; i < 3; i++) {
    Client& client = NewClient();
    client.Call("slow" + std::to_string(i));
    Settle();
    auto replies = client.Replies();
    ASSERT_EQ(replies.size(), i < 2 ? 0u : 1u) << i;
    for (const Received& reply : replies) {
      EXPECT_EQ(reply.Text(), std::string("trestle: bind: /svc/slow2: ") + kFull);
    }
  }
  EXPECT_TRUE(Kept("a"));
  EXPECT_TRUE(Kept("b"));
  namer_.Bind("slow0", {1});
  namer_.Bind("slow1", {1});
  Serve();
  EXPECT_EQ(router_->names(), 2u) << "once they lead somewhere they take their places";
  EXPECT_EQ(clients_[2]->Replies().size(), 1u);
  EXPECT_EQ(clients_[3]->Replies().size(), 1u);
  EXPECT_EQ(Pending(), 0);
}

TEST_F(BoundsTest, ANegativeNameThatBecomesPositiveMovesOver) {
  config_.binding_cache.paths = 2;
  config_.binding_cache.negatives = 1;
  Start();
  Ask("a");
  Pass(milliseconds(1));
  Ask("b");
  Pass(milliseconds(1));
  Ask("late");
  namer_.Bind("late", {1});
  Settle();
  EXPECT_EQ(router_->names(), 2u) << "it has a place among the good ones, the oldest gave way";
  EXPECT_TRUE(Kept("late"));
  EXPECT_TRUE(Kept("b"));
  Pass(milliseconds(1));
  Ask("nobody");
  EXPECT_EQ(router_->names(), 3u) << "the place of the negative one is free";
  namer_.Say("b", Says::kNeg);
  namer_.Say("late", Says::kNeg);
  Settle();
  EXPECT_EQ(router_->names(), 1u) << "only one place for those that lead nowhere";
  EXPECT_EQ(Ask("a"), "10.0.0.1:1");
}

TEST_F(BoundsTest, DtabsOfRequestsDoNotPushOutTheRest) {
  config_.binding_cache.paths = 2;
  config_.binding_cache.negatives = 1;
  config_.binding_cache.local_dtabs = 2;
  Start();
  Ask("a");
  Ask("b");
  Ask("nobody");
  for (const char* dst : {"/#/fs/a", "/#/fs/b", "/#/fs/c", "/#/fs/d", "/#/fs/e"}) {
    Pass(milliseconds(1));
    EXPECT_EQ(AskLocal(dst), "10.0.0.1:1");
  }
  Pass(milliseconds(1));
  EXPECT_TRUE(AskLocal("/#/fs/nobody").starts_with("trestle: bind: /svc/x: "));
  EXPECT_EQ(router_->names(), 5u);
  EXPECT_TRUE(Kept("a"));
  EXPECT_TRUE(Kept("b"));
  const uint64_t misses = Count(kPath + "oneshots");
  AskLocal("/#/fs/e");
  EXPECT_EQ(Count(kPath + "oneshots"), misses);
  AskLocal("/#/fs/d");
  EXPECT_EQ(Count(kPath + "oneshots"), misses + 1) << "the older one gave way";
  Settle();
  EXPECT_EQ(names_->size(), 5u);
}

TEST_F(BoundsTest, NamesOfRequestsInUseStayAndOverTheBoundACallIsRefused) {
  config_.binding_cache.local_dtabs = 1;
  Start();
  Client& busy = NewUpgradedClient();
  thrift::RequestHeader header;
  header.delegations.push_back({"/svc/x", "/#/fs/a"});
  busy.CallWith(header, "x");
  Settle();
  auto requests = backends_.Take();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(AskLocal("/#/fs/b"), std::string("trestle: bind: /svc/x: ") + kFull);
  EXPECT_EQ(Ask("a"), "10.0.0.1:1") << "others have their own places";
  Backends::Reply(requests[0], ResultBody("done"));
  EXPECT_EQ(Answer(busy), "done");
  EXPECT_EQ(AskLocal("/#/fs/b"), "10.0.0.1:1");
}

TEST_F(BoundsTest, WhatIsIdleExpires) {
  config_.binding_cache.idle_ttl = seconds(60);
  Start();
  Ask("a");
  AskLocal("/#/fs/b");
  Ask("nobody");
  Pass(seconds(55));
  Ask("a");
  Pass(seconds(15));  // past a sweep
  EXPECT_EQ(router_->names(), 1u);
  EXPECT_EQ(names_->size(), 1u);
  EXPECT_EQ(Count(kPath + "expires"), 2u);
  EXPECT_TRUE(namer_.held("a"));
  EXPECT_FALSE(namer_.held("b"));
  EXPECT_FALSE(namer_.held("nobody"));
  EXPECT_EQ(router_->clients(), 2u) << "the client of what expired waits its own time";
  Pass(seconds(70));
  Pass(seconds(70));
  EXPECT_EQ(router_->names(), 0u);
  EXPECT_EQ(names_->size(), 0u);
  EXPECT_EQ(router_->clients(), 0u);
  EXPECT_EQ(backends_.open(), 0u) << "with its connections";
  EXPECT_EQ(Count(kCache + "expires"), 2u);
  EXPECT_EQ(Ask("a"), "10.0.0.1:1") << "and is made again";
}

TEST_F(BoundsTest, ANameWithACallInFlightDoesNotExpire) {
  config_.binding_cache.idle_ttl = seconds(60);
  Start();
  Client& client = NewClient();
  client.Call("a");
  Pass(seconds(600));
  EXPECT_EQ(router_->names(), 1u);
  EXPECT_EQ(Answer(client), "10.0.0.1:1");
}

TEST_F(BoundsTest, AClientNobodyUsesFindsItsConnectionsAgain) {
  config_.dtab.value = D("/svc => /#/fs/a ; /svc => /#/fs/new");
  namer_.Bind("new", {2});
  Start();
  EXPECT_EQ(Ask("x"), "10.0.0.1:2");
  namer_.Say("new", Says::kNeg);
  Settle();
  EXPECT_EQ(Ask("x"), "10.0.0.1:1");
  Pass(seconds(30));
  namer_.Say("new", Says::kBound);
  Settle();
  EXPECT_EQ(Ask("x"), "10.0.0.1:2");
  EXPECT_EQ(backends_.connects["10.0.0.1:2"], 1) << "a dtab that went back and forth";
  EXPECT_EQ(Count(kCache + "misses"), 2u);
}

TEST_F(BoundsTest, AnIdleClientThatIsUsedAgainHasTheAddressesOfToday) {
  config_.dtab.value = D("/svc => /#/fs/a ; /svc => /#/fs/new");
  namer_.Bind("new", {2});
  Start();
  EXPECT_EQ(Ask("x"), "10.0.0.1:2");
  namer_.Say("new", Says::kNeg);
  Settle();
  namer_.SetAddr("new", Ports({3}));
  namer_.Say("new", Says::kBound);
  Settle();
  EXPECT_EQ(Ask("x"), "10.0.0.1:3");
}

TEST_F(BoundsTest, TheClientNotUsedForLongestGivesWayOnlyWhenNobodyUsesIt) {
  config_.binding_cache.paths = 1;
  config_.binding_cache.clients = 2;
  Start();
  for (const char* method : {"a", "b", "c", "d"}) {
    Pass(milliseconds(1));
    EXPECT_EQ(Ask(method), "10.0.0.1:1");
    EXPECT_LE(router_->clients(), 2u);
  }
  EXPECT_EQ(Count(kCache + "evicts"), 2u);
  Ask("c");
  EXPECT_EQ(Count(kCache + "misses"), 4u) << "c was kept";
}

TEST_F(BoundsTest, IdleNamesGiveWayForTheClientOfAnotherThoseOfRequestsFirst) {
  config_.binding_cache.clients = 2;
  Start();
  Ask("a");
  Pass(milliseconds(1));
  EXPECT_EQ(AskLocal("/#/fs/b"), "10.0.0.1:1");
  Pass(milliseconds(1));
  EXPECT_EQ(Ask("c"), "10.0.0.1:1");
  EXPECT_EQ(router_->clients(), 2u);
  EXPECT_TRUE(Kept("a")) << "the name of the request gave way, though used later";
  EXPECT_EQ(Ask("d"), "10.0.0.1:1");
}

TEST_F(BoundsTest, TheNameOfARequestTakesNoClientFromTheRest) {
  config_.binding_cache.clients = 1;
  Start();
  Ask("a");
  EXPECT_EQ(AskLocal("/#/fs/b"),
            "trestle: bind: /svc/x: too many concrete names in use (bindingCache.clients)");
  EXPECT_TRUE(Kept("a"));
}

TEST_F(BoundsTest, WithAllClientsInUseACallIsRefused) {
  config_.binding_cache.clients = 1;
  Start();
  Client& busy = NewClient();
  busy.Call("a");
  Settle();
  EXPECT_EQ(Ask("b"),
            "trestle: bind: /svc/b: too many concrete names in use (bindingCache.clients)");
  EXPECT_EQ(router_->clients(), 1u);
  Answer(busy);
  EXPECT_EQ(Ask("b"), "10.0.0.1:1") << "it was refused while there was no room, not for ever";
}

TEST_F(BoundsTest, ADtabOfOneRequestLeadsToSoManyDestinationsOnly) {
  Start();
  std::string dst = "/#/fs/a";
  for (size_t i = 1; i <= kMaxLocalLeaves; i++) dst += " & /#/fs/a";
  EXPECT_EQ(AskLocal(dst),
            "trestle: bind: /svc/x: a dtab of one request may lead to at most 64 destinations");
  EXPECT_EQ(router_->clients(), 0u);
}

TEST_F(BoundsTest, DtabsOfRequestsAreBoundedByTheirTextToo) {
  Start();
  const std::string padding(kMaxLocalBytes / 16, 'x');
  for (int i = 0; i < 40; i++) {
    EXPECT_EQ(AskWith("/svc/x", "/#/fs/a | /" + padding + std::to_string(i), "x"), "10.0.0.1:1");
    Pass(milliseconds(1));
  }
  EXPECT_GE(router_->names(), 15u);
  EXPECT_LE(router_->names(), 17u);
}

TEST_F(BoundsTest, NamesThatAreNotBoundYetHaveABoundOfTheirOwn) {
  config_.binding_cache.pending = 2;
  config_.binding_timeout = milliseconds(100);
  for (const char* label : {"s0", "s1", "s2", "s3"}) namer_.Say(label, Says::kPending);
  Start();
  EXPECT_EQ(Ask("a"), "10.0.0.1:1");
  Client& first = NewClient();
  first.Call("s0");
  Client& second = NewUpgradedClient();
  thrift::RequestHeader header;
  header.delegations.push_back({"/svc/x", "/#/fs/s1"});
  second.CallWith(header, "x");
  Settle();
  const char* kOver = "too many names not bound yet (bindingCache.pending)";
  EXPECT_EQ(Ask("s2"), std::string("trestle: bind: /svc/s2: ") + kOver);
  EXPECT_EQ(AskLocal("/#/fs/s3"), std::string("trestle: bind: /svc/x: ") + kOver);
  EXPECT_EQ(Ask("a"), "10.0.0.1:1") << "what is known goes on";
  Client& same = NewClient();
  same.Call("s0");  // one that is waited for already
  namer_.Bind("s0", {1});
  Serve();
  EXPECT_EQ(same.Replies().size(), 1u);
  EXPECT_EQ(Ask("b"), "10.0.0.1:1") << "there is room again";
  Pass(milliseconds(100));
  EXPECT_EQ(second.Replies().size(), 1u) << "its time is over";
  EXPECT_FALSE(namer_.held("s1")) << "nobody waits for the dtab of that request any more";
  for (const char* label : {"s2", "s3", "s2"}) {
    Client& client = NewClient();
    client.Call(label);
    Pass(milliseconds(100));
    EXPECT_EQ(Answer(client), "trestle: bind: /svc/" + std::string(label) +
                                  ": not resolved within 100 ms (bindingTimeoutMs)");
  }
  Client& last = NewClient();
  last.Call("s1");
  Settle();
  EXPECT_TRUE(last.Replies().empty()) << "those that nobody waits for give way";
}

TEST_F(BoundsTest, ScopesOfNamesAreNotMadeForWhatLedNowhere) {
  Start();
  for (int i = 0; i < 10; i++) Ask("nobody" + std::to_string(i));
  EXPECT_EQ(Count("rt/thr/service/other/requests"), 10u);
  for (const auto& c : metrics_.Collect().counters) {
    EXPECT_EQ(c.series.flat.find("nobody"), std::string::npos) << c.series.flat;
  }
}

}  // namespace
}  // namespace trestle::router::testing
