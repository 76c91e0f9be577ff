// A member that is kept in a ZooKeeper in memory, whatever happens to the session and the znode.
#include "serversets/announcement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/serversets/zk_fixture.h"

namespace trestle::serversets {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

constexpr char kSet[] = "/discovery/prod/users";

class AnnouncementTest : public ZkTest {
 protected:
  AnnouncementTest() {
    session_ = std::make_unique<ZkSession>(&loop_, ZkSession::Options{"zk:2181"}, zk_.connect(),
                                           ZkMetrics(table_.root()));
  }
  void TearDown() override {
    announcement_.reset();
    EXPECT_EQ(there(), 0);
    Drain();
    EXPECT_EQ(zk_.watches(), 0u) << "no watch stays behind";
  }
  std::unique_ptr<Announcement> Make(const std::string& data) {
    return std::make_unique<Announcement>(&loop_, session_.get(), Announcement::Member{kSet, data},
                                          gauge_);
  }
  void Announce() {
    announcement_ = Make("{me}");
    Drain();
  }
  void Leave() {
    announcement_->Leave([this] { answers_++; });
  }
  std::vector<std::string> Members() const { return zk_.Members(kSet); }
  int64_t there() const { return gauge_->value(); }

  base::Gauge* gauge_ = table_.root()->gauge("announced");
  std::unique_ptr<ZkSession> session_;
  std::unique_ptr<Announcement> announcement_;
  int answers_ = 0;
};

TEST_F(AnnouncementTest, TheMemberIsMadeOnceAndItsParentsBeforeIt) {
  Announce();
  EXPECT_THAT(Members(), ElementsAre("member_0000000000 {me} by 1"));
  EXPECT_EQ(there(), 1);
  EXPECT_EQ(zk_.creates, 4) << "/discovery, prod, users and the member";
  Pass(seconds(100));
  EXPECT_EQ(zk_.creates, 4);
}

TEST_F(AnnouncementTest, NothingIsAskedOfParentsThatAreThere) {
  zk_.Put(kSet);
  zk_.denied = {"/discovery", "/discovery/prod", kSet};
  Announce();
  EXPECT_THAT(Members(), SizeIs(1));
}

TEST_F(AnnouncementTest, SeveralMembersOfOneSet) {
  auto other = Make("{other}");
  Announce();
  EXPECT_THAT(Members(), UnorderedElementsAre("member_0000000000 {other} by 1",
                                              "member_0000000001 {me} by 1"));
  EXPECT_EQ(there(), 2);
  Leave();
  Drain();
  EXPECT_THAT(Members(), ElementsAre("member_0000000000 {other} by 1"));
  EXPECT_EQ(there(), 1);
}

TEST_F(AnnouncementTest, ItWaitsForZooKeeper) {
  zk_.Lose();
  Announce();
  EXPECT_EQ(there(), 0);
  Pass(seconds(3));
  zk_.Return();
  Drain();
  EXPECT_THAT(Members(), SizeIs(1));
  EXPECT_EQ(there(), 1);
}

TEST_F(AnnouncementTest, AfterAnExpiredSessionItIsMadeByTheNextOne) {
  Announce();
  zk_.Expire();
  EXPECT_THAT(Members(), IsEmpty());
  Pass(seconds(1));
  EXPECT_THAT(Members(), ElementsAre("member_0000000002 {me} by 2"));
  EXPECT_EQ(there(), 1);
}

TEST_F(AnnouncementTest, ASessionThatGoesOnKeepsIt) {
  Announce();
  zk_.Lose();
  Drain();
  EXPECT_EQ(there(), 0) << "nobody knows";
  zk_.Return();
  Drain();
  EXPECT_THAT(Members(), ElementsAre("member_0000000000 {me} by 1"));
  EXPECT_EQ(there(), 1);
  EXPECT_EQ(zk_.creates, 4);
}

// The server was away for longer than the session lasts, and gives the old one its time again.
TEST_F(AnnouncementTest, WhatTheSessionBeforeHasStillIsTakenAway) {
  Announce();
  zk_.Lose();
  Pass(seconds(30));
  ASSERT_GT(zk_.made, 1);
  zk_.Return();
  Pass(seconds(2));
  ASSERT_THAT(Members(), SizeIs(1));
  EXPECT_EQ(Members()[0].find("member_0000000001 {me} by "), 0u) << Members()[0];
  EXPECT_EQ(there(), 1);
}

TEST_F(AnnouncementTest, OneWhoseAnswerWasLostIsFound) {
  zk_.Put(std::string(kSet) + "/member_0000000007", "{me}");
  for (int i = 400; i < 600; i++) {
    zk_.Put(std::string(kSet) + "/member_0000000" + std::to_string(i), "{somebody else}");
  }
  zk_.lose = 1;
  Announce();
  EXPECT_EQ(there(), 0);
  Pass(seconds(1));
  EXPECT_EQ(zk_.creates, 1) << "it is not made a second time";
  EXPECT_EQ(there(), 1);
  Leave();
  Drain();
  EXPECT_THAT(Members(), SizeIs(201)) << "ours went, and nobody else's";
  EXPECT_TRUE(zk_.Has(std::string(kSet) + "/member_0000000007"));
}

TEST_F(AnnouncementTest, OneThatWasNotMadeIsMadeAfterTheSearch) {
  zk_.Put(kSet);
  zk_.silent = true;
  Announce();
  zk_.Lose();
  zk_.Answer();
  Drain();
  zk_.Return();
  Pass(seconds(1));
  EXPECT_THAT(Members(), SizeIs(1));
  EXPECT_EQ(zk_.creates, 1);
}

TEST_F(AnnouncementTest, OneThatAStrangerDeletesIsMadeAgain) {
  Announce();
  zk_.Remove(std::string(kSet) + "/member_0000000000");
  Drain();
  EXPECT_THAT(Members(), ElementsAre("member_0000000002 {me} by 1"));
  EXPECT_EQ(there(), 1);
  zk_.RemoveAll(kSet);
  Drain();
  EXPECT_THAT(Members(), IsEmpty()) << "who deletes it again and again is no reason for haste";
  Pass(seconds(1));
  EXPECT_THAT(Members(), SizeIs(1)) << "with its parents";
}

TEST_F(AnnouncementTest, WhatAStrangerWritesStays) {
  Announce();
  zk_.Put(std::string(kSet) + "/member_0000000000", "{changed}");
  Drain();
  EXPECT_THAT(Members(), ElementsAre("member_0000000000 {changed} by 1"));
  EXPECT_EQ(there(), 1);
  Leave();
  Drain();
  EXPECT_THAT(Members(), IsEmpty());
}

TEST_F(AnnouncementTest, WhatIsDeniedIsTriedAgain) {
  zk_.Put(kSet);
  zk_.denied = {std::string(kSet) + "/member_"};
  Announce();
  EXPECT_EQ(there(), 0);
  const int first = zk_.reads;
  Pass(seconds(1));
  EXPECT_EQ(zk_.reads, first + 1);
  Pass(seconds(1));
  EXPECT_EQ(zk_.reads, first + 1) << "the pause grows";
  zk_.denied.clear();
  Pass(seconds(10));
  EXPECT_THAT(Members(), SizeIs(1));
  EXPECT_EQ(there(), 1);
}

TEST_F(AnnouncementTest, LeavingTakesTheMemberAndLeavesTheSet) {
  Announce();
  Leave();
  EXPECT_EQ(answers_, 0);
  Drain();
  EXPECT_EQ(answers_, 1);
  EXPECT_TRUE(announcement_->gone());
  EXPECT_THAT(Members(), IsEmpty());
  EXPECT_TRUE(zk_.Has(kSet));
  EXPECT_EQ(there(), 0);
  Pass(seconds(60));
  EXPECT_THAT(Members(), IsEmpty());
}

TEST_F(AnnouncementTest, LeavingWithoutAConnectionIsAnsweredAtOnce) {
  Announce();
  zk_.Lose();
  Drain();
  Leave();
  EXPECT_EQ(answers_, 1);
  EXPECT_FALSE(announcement_->gone());
  zk_.Return();
  Drain();
  EXPECT_TRUE(announcement_->gone()) << "it is done when it can be";
  EXPECT_THAT(Members(), IsEmpty());
  EXPECT_EQ(answers_, 1);
}

TEST_F(AnnouncementTest, TheConnectionIsLostWhileLeaving) {
  Announce();
  zk_.silent = true;
  Leave();
  Drain();
  EXPECT_EQ(answers_, 0);
  zk_.Lose();
  Drain();
  EXPECT_EQ(answers_, 1);
}

TEST_F(AnnouncementTest, LeavingWhileItIsMade) {
  zk_.Put(kSet);
  zk_.silent = true;
  Announce();
  Leave();
  Drain();
  EXPECT_EQ(answers_, 0);
  zk_.Answer();
  Drain();
  EXPECT_EQ(answers_, 1);
  EXPECT_TRUE(announcement_->gone());
  EXPECT_THAT(Members(), IsEmpty());
  EXPECT_EQ(zk_.creates, 1);
}

TEST_F(AnnouncementTest, LeavingWhileNobodyKnowsWhetherItWasMade) {
  zk_.Put(kSet);
  zk_.lose = 1;
  Announce();
  EXPECT_THAT(Members(), SizeIs(1));
  Leave();
  Drain();
  EXPECT_TRUE(announcement_->gone());
  EXPECT_THAT(Members(), IsEmpty());
}

TEST_F(AnnouncementTest, LeavingBeforeThereIsAnything) {
  zk_.denied = {std::string(kSet) + "/member_"};
  zk_.Put(kSet);
  Announce();
  Leave();
  EXPECT_EQ(answers_, 1);
  EXPECT_TRUE(announcement_->gone());
}

TEST_F(AnnouncementTest, ItMayComeBack) {
  Announce();
  Leave();
  announcement_->Return();
  EXPECT_EQ(answers_, 1) << "nobody waits for it any more";
  Pass(seconds(1));
  EXPECT_FALSE(announcement_->gone());
  EXPECT_THAT(Members(), SizeIs(1));
  EXPECT_EQ(there(), 1);
}

TEST_F(AnnouncementTest, ItMayGoWhileItIsMade) {
  zk_.silent = true;
  Announce();
  announcement_.reset();
  zk_.Answer();
  Drain();
}

}  // namespace
}  // namespace trestle::serversets
