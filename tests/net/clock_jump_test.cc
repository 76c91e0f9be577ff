// A clock that jumps (a machine that slept, a process that was stopped) or stands still: the loop
// and its timers. tests/backend and tests/server have what connections make of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/connection.h"
#include "net/event_loop.h"
#include "net/tcp_transport.h"
#include "tests/net/recording_owner.h"

namespace trestle::net {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;

constexpr auto kYears = hours(24 * 365 * 50);

class ClockJumpTest : public testing::Test {
 protected:
  void Note(std::string what) { log_.push_back(std::move(what)); }
  // Turns until nothing happens; gives how many turns that took.
  int Rest() {
    int turns = 0;
    while (loop_.Poll() && turns < 1000) ++turns;
    return turns;
  }

  base::FakeClock clock_;
  EventLoop loop_{&clock_};
  std::vector<std::string> log_;
};

TEST_F(ClockJumpTest, FarAheadEveryTimerRunsOnceInItsOrder) {
  Timer hour(&loop_, [this] { Note("hour"); });
  Timer second(&loop_, [this] { Note("second"); });
  Timer later(&loop_, [this] { Note("later"); });
  hour.Arm(hours(1));
  second.Arm(seconds(1));
  later.Arm(kYears * 2);
  clock_.Advance(kYears);
  EXPECT_LT(Rest(), 10);
  EXPECT_THAT(log_, ElementsAre("second", "hour"));
  EXPECT_TRUE(later.armed());
  EXPECT_EQ(loop_.Now(), clock_.Now());
}

TEST_F(ClockJumpTest, WhatComesAgainAndAgainDoesNotCatchUp) {
  int runs = 0;
  Timer often(&loop_, [&] {
    ++runs;
    often.Arm(milliseconds(10));
  });
  often.Arm(milliseconds(10));
  clock_.Advance(kYears);
  EXPECT_LT(Rest(), 10);
  EXPECT_EQ(runs, 1);
  clock_.Advance(milliseconds(10));
  Rest();
  EXPECT_EQ(runs, 2);
}

TEST_F(ClockJumpTest, WhatIsArmedAfterAJumpCountsFromThere) {
  clock_.Advance(kYears);
  Rest();
  Timer timer(&loop_, [this] { Note("timer"); });
  timer.Arm(seconds(1));
  Rest();
  EXPECT_THAT(log_, ElementsAre());
  clock_.Advance(seconds(1));
  Rest();
  EXPECT_THAT(log_, ElementsAre("timer"));
}

TEST_F(ClockJumpTest, ManyJumpsInARow) {
  int runs = 0;
  Timer timer(&loop_, [&] {
    ++runs;
    timer.Arm(seconds(1));
  });
  timer.Arm(seconds(1));
  for (int i = 0; i < 1000; i++) {
    clock_.Advance(hours(24 * 30));
    loop_.Poll();
  }
  EXPECT_EQ(runs, 1000);
}

TEST_F(ClockJumpTest, AClockThatStandsStillRunsNoTimerAndHoldsUpNoWork) {
  Timer soon(&loop_, [this] { Note("soon"); });
  Timer now(&loop_, [this] { Note("now"); });
  soon.Arm(milliseconds(1));
  now.Arm(milliseconds(0));
  for (int i = 0; i < 5; i++) {
    loop_.Post([this] { Note("work"); });
    loop_.Poll();
  }
  EXPECT_EQ(std::count(log_.begin(), log_.end(), "work"), 5);
  EXPECT_EQ(std::count(log_.begin(), log_.end(), "now"), 1);
  EXPECT_EQ(std::count(log_.begin(), log_.end(), "soon"), 0);
  EXPECT_EQ(Rest(), 0) << "the loop is never at rest";
}

TEST_F(ClockJumpTest, BackATimerWaitsForItsTimeAndNewOnesDoNot) {
  Timer old(&loop_, [this] { Note("old"); });
  Timer fresh(&loop_, [this] { Note("fresh"); });
  clock_.Advance(hours(2));
  Rest();
  old.Arm(seconds(1));
  clock_.Advance(-hours(1));
  EXPECT_LT(Rest(), 10);
  fresh.Arm(seconds(2));
  clock_.Advance(seconds(2));
  Rest();
  EXPECT_THAT(log_, ElementsAre("fresh"));
  clock_.Advance(hours(1));
  Rest();
  EXPECT_THAT(log_, ElementsAre("fresh", "old"));
}

// --- what came while we stood still ---

// Two connections of ours with each other, over real sockets: what the system gives in one go is
// bounded.
struct Wire {
  explicit Wire(EventLoop* loop) {
    int fds[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    for (size_t i : {0, 1}) {
      ends[i] = std::make_unique<Connection>(
          loop,
          std::make_unique<TcpTransport>(loop, fds[i], *Address::Parse("127.0.0.1", 1),
                                         SocketOptions()),
          &owners[i]);
      ends[i]->Start();
    }
  }
  void Send(size_t from) { ends[from]->Write(base::Buffer::Copy("x")); }

  RecordingOwner owners[2];
  std::unique_ptr<Connection> ends[2];
};

TEST_F(ClockJumpTest, WhatCameMeanwhileGoesBeforeTheTimersThatRanOut) {
  std::vector<std::unique_ptr<Wire>> wires;
  for (int i = 0; i < 200; i++) {
    wires.push_back(std::make_unique<Wire>(&loop_));
    wires.back()->owners[1].on_bytes = [this](base::Buffer*) { Note("bytes"); };
    wires.back()->Send(0);
  }
  Timer timer(&loop_, [this] { Note("timer"); });
  timer.Arm(seconds(1));
  loop_.Post([this] { clock_.Advance(seconds(5)); });  // the turn at whose end they are sent
  loop_.Poll();
  loop_.Poll();
  EXPECT_EQ(std::count(log_.begin(), log_.end(), "bytes"), 200);
  ASSERT_EQ(log_.size(), 201u);
  EXPECT_EQ(log_.back(), "timer");
}

// A message goes through us: the next bytes come only when those before were taken.
TEST_F(ClockJumpTest, WhatThatSetsOffGoesBeforeTheTimersToo) {
  Wire a(&loop_), b(&loop_);
  int hops = 0;
  a.owners[1].on_bytes = [&](base::Buffer*) {
    hops++;
    b.Send(0);
  };
  b.owners[1].on_bytes = [&](base::Buffer*) {
    if (hops < 10) loop_.Post([&] { a.Send(0); });
  };
  Timer timer(&loop_, [this, &hops] { Note(std::to_string(hops)); });
  timer.Arm(seconds(1));
  a.Send(0);
  loop_.Post([this] { clock_.Advance(seconds(5)); });
  loop_.Poll();
  loop_.Poll();
  EXPECT_THAT(log_, ElementsAre("10"));
}

TEST_F(ClockJumpTest, WhoSendsWithoutEndDoesNotPutTimersOff) {
  Wire busy(&loop_);
  int heard = 0;
  auto answer = [&](size_t end) {
    return [&, end](base::Buffer*) {
      heard++;
      busy.Send(end);
    };
  };
  busy.owners[0].on_bytes = answer(0);
  busy.owners[1].on_bytes = answer(1);
  busy.Send(0);
  loop_.Poll();
  std::vector<int> before;
  Timer timer(&loop_, [&] { before.push_back(heard); });
  for (int i = 0; i < 3; i++) {
    heard = 0;
    timer.Arm(milliseconds(1));
    clock_.Advance(milliseconds(100));
    loop_.Poll();
    ASSERT_EQ(before.size(), static_cast<size_t>(i + 1)) << "it had to wait for a turn";
  }
  EXPECT_GT(before[0], 1);
  EXPECT_LT(before[0], 100);
  EXPECT_EQ(before[1], 1) << "who is late all the time has too much to do";
  EXPECT_EQ(before[2], 1);
}

}  // namespace
}  // namespace trestle::net
