// The calls of one connection: places, order and seqids.
#include "backend/in_flight.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <vector>

#include "base/random.h"

namespace trestle::backend {
namespace {

TEST(InFlightTest, OneAtATimeHasSeqidsThatCountUp) {
  InFlight calls(1);
  call::Call call;
  for (int32_t i = 1; i < 1000; i++) {
    InFlight::Entry* e = calls.Add(&call, {});
    EXPECT_EQ(e->seqid, i);
    EXPECT_TRUE(calls.full());
    EXPECT_EQ(calls.Find(i), e);
    EXPECT_EQ(calls.Find(i - 1), nullptr);
    calls.Remove(e);
    EXPECT_EQ(calls.Find(i), nullptr);
  }
}

TEST(InFlightTest, ASeqidThatWasUsedFindsNobodyElse) {
  InFlight calls(3);
  call::Call a, b;
  const int32_t old = calls.Add(&a, {})->seqid;
  calls.Remove(calls.Find(old));
  InFlight::Entry* e = calls.Add(&b, {});
  EXPECT_NE(e->seqid, old);
  EXPECT_EQ(calls.Find(old), nullptr);
}

TEST(InFlightTest, HoweverManyPlacesASeqidIsNotUsedAgainSoon) {
  InFlight calls(UINT32_MAX);
  call::Call call;
  std::set<int32_t> seen;
  for (int i = 0; i < 30'000; i++) {
    InFlight::Entry* e = calls.Add(&call, {});
    ASSERT_TRUE(seen.insert(e->seqid).second) << i;
    calls.Remove(e);
  }
}

TEST(InFlightTest, SeqidsOfNobodyFindNobody) {
  InFlight calls(8);
  call::Call a;
  const int32_t seqid = calls.Add(&a, {})->seqid;
  for (int32_t other : {0, -1, INT32_MAX, INT32_MIN, seqid + 1, seqid + 8, -seqid}) {
    EXPECT_EQ(calls.Find(other), nullptr) << other;
  }
}

TEST(InFlightTest, AnyOrderOfAddingAndRemovingKeepsTheOrderOfSending) {
  base::SeededRandom random(5);
  for (uint32_t places : {1u, 2u, 5u, 64u}) {
    InFlight calls(places);
    std::vector<std::unique_ptr<call::Call>> made;
    std::vector<call::Call*> model;
    for (int step = 0; step < 5000; step++) {
      if (model.size() < places && random.Below(2) == 0) {
        made.push_back(std::make_unique<call::Call>());
        calls.Add(made.back().get(), {});
        model.push_back(made.back().get());
      } else if (!model.empty()) {
        const size_t at = random.Below(static_cast<uint32_t>(model.size()));
        InFlight::Entry* e = calls.Of(model[at]);
        ASSERT_NE(e, nullptr);
        ASSERT_EQ(calls.Find(e->seqid), e);
        ASSERT_GT(e->seqid, 0);
        calls.Remove(e);
        model.erase(model.begin() + static_cast<ptrdiff_t>(at));
      }
      ASSERT_EQ(calls.size(), model.size());
      ASSERT_EQ(calls.full(), model.size() == places);
      InFlight::Entry* e = calls.oldest();
      for (call::Call* call : model) {
        ASSERT_EQ(e->call, call);
        e = calls.Next(e);
      }
      ASSERT_EQ(e, nullptr);
    }
  }
}

// Of many that are let go of at once, each is found in one step.
TEST(InFlightTest, ACallKnowsItsPlace) {
  InFlight calls(4), others(4);
  call::Call a, b, c, never;
  calls.Add(&a, {});
  InFlight::Entry* second = calls.Add(&b, {});
  others.Add(&c, {});
  EXPECT_EQ(a.place, 0u);
  EXPECT_EQ(b.place, 1u);
  EXPECT_EQ(calls.Of(&b)->seqid, second->seqid);
  EXPECT_EQ(calls.Of(&never), nullptr);
  EXPECT_EQ(calls.Of(&c), nullptr) << "it is on another connection, in a's place";
  EXPECT_EQ(others.Of(&b), nullptr);
  // Lost there and sent again here.
  others.Remove(others.Of(&c));
  EXPECT_EQ(others.Of(&c), nullptr);
  calls.Add(&c, {});
  EXPECT_EQ(calls.Of(&c)->call, &c);
}

TEST(InFlightTest, WhoWasLetGoOfKeepsItsPlace) {
  InFlight calls(2);
  call::Call a, b;
  InFlight::Entry* first = calls.Add(&a, {});
  const int32_t seqid = first->seqid;
  calls.LetGo(first);
  calls.LetGo(first);  // once is enough
  calls.Add(&b, {});
  EXPECT_TRUE(calls.full());
  EXPECT_EQ(calls.live(), 1u);
  ASSERT_NE(calls.Find(seqid), nullptr);
  EXPECT_EQ(calls.Find(seqid)->call, nullptr);
  EXPECT_EQ(calls.Of(&a), nullptr);
  calls.Remove(calls.Find(seqid));
  EXPECT_EQ(calls.live(), 1u);
  EXPECT_FALSE(calls.full());
}

TEST(InFlightTest, TheUnwrittenAreTheEndOfTheOrder) {
  InFlight calls(4);
  call::Call a, b, c;
  calls.Add(&a, {});
  calls.Add(&b, {});
  EXPECT_EQ(calls.unwritten()->call, &a);
  calls.OnWritten(calls.unwritten());
  EXPECT_EQ(calls.unwritten()->call, &b);
  calls.Add(&c, {});
  calls.Remove(calls.Of(&b));  // cancelled before it was written
  EXPECT_EQ(calls.unwritten()->call, &c);
  calls.OnWritten(calls.unwritten());
  EXPECT_EQ(calls.unwritten(), nullptr);
  calls.Remove(calls.Of(&a));
  EXPECT_EQ(calls.unwritten(), nullptr);
}

}  // namespace
}  // namespace trestle::backend
