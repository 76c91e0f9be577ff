// A clock that jumps or stands still: clients that are idle, in the middle of a message, half
// closed, or have calls in flight.
#include <gtest/gtest.h>

#include "tests/server/server_fixture.h"

namespace trestle::server {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kYears = hours(24 * 365 * 50);

class ServerClockJumpTest : public ServerTest {};

TEST_F(ServerClockJumpTest, AnIdleClientIsClosedAfterAJumpAndABusyOneIsNot) {
  options_.idle_time = seconds(60);
  Client& idle = Connect();
  Client& busy = Connect();
  Send(busy, CallFrame("get", 1));
  ASSERT_EQ(handler_.open.size(), 1u);
  Advance(kYears);
  EXPECT_TRUE(Ended(idle));
  EXPECT_FALSE(Ended(busy));
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(busy)), "get/1");
}

TEST_F(ServerClockJumpTest, WithoutBoundsAJumpClosesNobody) {
  Client& idle = Connect();
  Advance(kYears);
  EXPECT_FALSE(Ended(idle));
  Send(idle, CallFrame("get", 1));
  ASSERT_EQ(handler_.open.size(), 1u);
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(idle)), "get/1");
}

TEST_F(ServerClockJumpTest, HalfAMessageIsTooOldAfterAJump) {
  Client& half = Connect();
  Send(half, std::string(CallFrame("get", 1)).substr(0, 9));
  EXPECT_FALSE(Ended(half));
  Advance(kYears);
  EXPECT_TRUE(Ended(half));
}

TEST_F(ServerClockJumpTest, AHalfClosedClientsCallsAreCancelledAfterAJump) {
  Client& client = Connect();
  Send(client, CallFrame("get", 1));
  End(client);
  ASSERT_EQ(handler_.open.size(), 1u);
  Advance(kYears);
  EXPECT_TRUE(handler_.open.empty());
  EXPECT_TRUE(Ended(client));
}

TEST_F(ServerClockJumpTest, AClientThatComesAfterAJumpHasItsWholeTime) {
  options_.idle_time = seconds(60);
  Connect();
  Advance(kYears);
  Client& fresh = Connect();
  Advance(seconds(59));
  EXPECT_FALSE(Ended(fresh));
  Advance(seconds(1));
  EXPECT_TRUE(Ended(fresh));
}

TEST_F(ServerClockJumpTest, WithAClockThatStandsStillEverybodyIsServed) {
  options_.idle_time = options_.life_time = seconds(60);
  Client& client = Connect();
  Client& half = Connect();
  Send(half, std::string(CallFrame("get", 1)).substr(0, 9));
  for (int i = 0; i < 1000; i++) {
    Send(client, CallFrame("get", i));
    ASSERT_EQ(handler_.open.size(), 1u);
    handler_.ReplyNext();
    ASSERT_EQ(Shown(Replies(client)), "get/" + std::to_string(i));
  }
  EXPECT_FALSE(Ended(half));
}

}  // namespace
}  // namespace trestle::server
