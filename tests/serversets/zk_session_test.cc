// A session with a ZooKeeper in memory: whose watches stay, and for how long it waits.
#include "serversets/zk_session.h"

#include <glog/logging.h>
#include <gtest/gtest.h>

#include "tests/serversets/zk_fixture.h"

namespace trestle::serversets {
namespace {

using Kind = ZkSession::Kind;
using std::chrono::seconds;

class ZkSessionTest : public ZkTest {
 protected:
  ZkSessionTest() { zk_.Put("/s/m"); }
  void Start() {
    session_ = std::make_unique<ZkSession>(&loop_, options_, zk_.connect(), metrics_);
    Drain();
  }
  // Reads it, unless the answer has to wait.
  std::unique_ptr<ZkSession::Watched> Watch(Kind kind, const std::string& path) {
    auto node = std::make_unique<ZkSession::Watched>(
        session_.get(), kind, path, [](const ZkAnswer&) {}, [this] { changes_++; });
    node->Read();
    Drain();
    return node;
  }

  ZkMetrics metrics_{table_.root()};
  ZkSession::Options options_{"zk:2181"};
  std::unique_ptr<ZkSession> session_;
  int changes_ = 0;
};

TEST_F(ZkSessionTest, AWatchThatIsNotWantedAnyMoreWhileZooKeeperIsAwayGoesWhenItIsBack) {
  Start();
  auto list = Watch(Kind::kChildren, "/s");
  auto data = Watch(Kind::kData, "/s/m");
  zk_.Lose();
  Drain();
  list.reset();
  data.reset();
  Drain();
  EXPECT_EQ(metrics_.watches->value(), 2) << "they come back with the connection";
  zk_.Return();
  Drain();
  EXPECT_EQ(zk_.made, 1) << "it is the same session";
  EXPECT_EQ(zk_.watches(), 0u);
  EXPECT_EQ(metrics_.watches->value(), 0);
}

TEST_F(ZkSessionTest, AWatchIsTakenAwayAgainIfTheAnswerIsLost) {
  Start();
  auto list = Watch(Kind::kChildren, "/s");
  zk_.lose_unwatch = 1;
  list.reset();
  Drain();
  EXPECT_EQ(zk_.watches(), 0u);
  EXPECT_EQ(metrics_.watches->value(), 0);
}

TEST_F(ZkSessionTest, AWatchThatIsWantedAgainIsNotTakenAway) {
  Start();
  auto list = Watch(Kind::kChildren, "/s");
  zk_.Lose();
  Drain();
  list.reset();
  list = Watch(Kind::kChildren, "/s");
  zk_.Return();
  Drain();
  EXPECT_TRUE(list->watched());
  EXPECT_EQ(zk_.watches(), 1u);
  EXPECT_EQ(metrics_.watches->value(), 1);
  zk_.Put("/s/other");
  Drain();
  EXPECT_EQ(changes_, 1);
  EXPECT_EQ(metrics_.watches->value(), 0);
}

TEST_F(ZkSessionTest, AWatchWhoseUserComesAndCannotReadItGoes) {
  Start();
  auto list = Watch(Kind::kChildren, "/s");
  zk_.Lose();
  Drain();
  list.reset();
  zk_.denied = {"/s"};
  list = Watch(Kind::kChildren, "/s");
  zk_.Return();
  Drain();
  EXPECT_FALSE(list->watched());
  EXPECT_EQ(zk_.watches(), 0u);
  EXPECT_EQ(metrics_.watches->value(), 0);
}

TEST_F(ZkSessionTest, AWatchThatGoesOffWhileItIsToGoIsGone) {
  Start();
  auto list = Watch(Kind::kChildren, "/s");
  zk_.Lose();
  Drain();
  list.reset();
  zk_.Put("/s/other");
  Drain();
  EXPECT_EQ(metrics_.watches->value(), 0);
  zk_.Return();
  Drain();
  EXPECT_EQ(zk_.unwatches, 0);
}

TEST_F(ZkSessionTest, ANewSessionHasNoWatchesToTakeAway) {
  Start();
  auto list = Watch(Kind::kChildren, "/s");
  auto data = Watch(Kind::kData, "/s/m");
  zk_.Lose();
  Drain();
  list.reset();
  Pass(options_.patience);
  EXPECT_EQ(metrics_.watches->value(), 0);
  zk_.Return();
  Drain();
  EXPECT_GT(zk_.made, 1);
  EXPECT_EQ(zk_.unwatches, 0);
  EXPECT_EQ(zk_.watches(), 1u);
  EXPECT_EQ(metrics_.watches->value(), 1);
}

TEST_F(ZkSessionTest, WatchesThatAreToGoCountForHowMuchIsTakenUpAgain) {
  options_.max_resumed_bytes = 8;
  Start();
  auto list = Watch(Kind::kChildren, "/s");
  auto data = Watch(Kind::kData, "/s/m");
  zk_.lose_unwatch = 1'000'000;  // it is lost before they are gone
  list.reset();
  data.reset();
  zk_.Lose();
  zk_.lose_unwatch = 0;
  Drain();
  Pass(seconds(1));
  zk_.Return();
  Drain();
  EXPECT_EQ(zk_.made, 2);
  EXPECT_EQ(metrics_.watches->value(), 0);
}

// Those of the session.
struct LogLines final : google::LogSink {
  LogLines() { google::AddLogSink(this); }
  ~LogLines() override { google::RemoveLogSink(this); }
  LogLines(const LogLines&) = delete;
  LogLines& operator=(const LogLines&) = delete;
  void send(google::LogSeverity, const char*, const char*, int, const google::LogMessageTime&,
            const char* text, size_t size) override {
    if (std::string_view(text, size).find("zk:2181") != std::string_view::npos) count++;
  }
  int count = 0;
};

TEST_F(ZkSessionTest, AConnectionThatComesAndGoesDoesNotFillTheLog) {
  LogLines lines;
  Start();
  for (int i = 0; i < 500; i++) {
    zk_.Lose();
    Pass(std::chrono::milliseconds(50));
    zk_.Return();
    Pass(std::chrono::milliseconds(50));
  }
  EXPECT_GE(metrics_.lost->value(), 20u);
  const int told = lines.count;
  EXPECT_LE(told, 11) << "ten of connections, and why a session was begun";
  Pass(std::chrono::minutes(1));
  zk_.Lose();
  Drain();
  EXPECT_GE(lines.count, told + 2) << "how many there were, and that";
}

TEST_F(ZkSessionTest, ItConnectsWhenItIsToldTo) {
  options_.at_once = false;
  Start();
  auto list = Watch(Kind::kChildren, "/s");
  Pass(2 * options_.patience);
  EXPECT_EQ(zk_.made, 0);
  session_->Start();
  session_->Start();
  Drain();
  EXPECT_EQ(zk_.made, 1);
  EXPECT_TRUE(list->watched());
}

TEST_F(ZkSessionTest, AClientThatLooksItsHostsUpIsWaitedFor) {
  zk_.opening = true;
  Start();
  Pass(10 * options_.patience);
  EXPECT_EQ(zk_.made, 1);
  zk_.Opened();
  Drain();
  EXPECT_EQ(zk_.made, 1);
  EXPECT_TRUE(session_->connected());
}

TEST_F(ZkSessionTest, PatienceBeginsWhenTheHostsAreLookedUp) {
  zk_.up = false;
  zk_.opening = true;
  Start();
  Pass(options_.patience);
  zk_.Opened();
  Pass(options_.patience - seconds(1));
  EXPECT_EQ(zk_.made, 1);
  Pass(seconds(1));
  EXPECT_EQ(zk_.made, 2);
}

TEST_F(ZkSessionTest, ThatTheHostsAreKnownMayBeToldBehindTheConnection) {
  Start();
  zk_.Opened();
  Pass(2 * options_.patience);
  EXPECT_TRUE(session_->connected());
  EXPECT_EQ(zk_.made, 1);
}

TEST_F(ZkSessionTest, SessionsThatEndAtOnceAreBegunWithPauses) {
  Start();
  for (int i = 0; i < 600; i++) {
    zk_.Expire();
    Pass(std::chrono::milliseconds(100));
  }
  EXPECT_LE(zk_.made, 70) << "in a minute";
  for (int i = 0; i < 10; i++) Pass(seconds(1));
  const int made = zk_.made;
  zk_.Expire();
  Pass(std::chrono::milliseconds(1));
  EXPECT_EQ(zk_.made, made + 1) << "one that held for long is replaced at once";
}

TEST_F(ZkSessionTest, ConnectionsThatDoNotLastAreBegunWithPauses) {
  Start();
  for (int i = 0; i < 600; i++) {
    zk_.Lose();
    zk_.Return();
    Pass(std::chrono::milliseconds(10));
  }
  EXPECT_GE(zk_.made, 3) << "it does not go on with a library that does not pause";
  EXPECT_LE(metrics_.lost->value(), 100u);
}

}  // namespace
}  // namespace trestle::serversets
