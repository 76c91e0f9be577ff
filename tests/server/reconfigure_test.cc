// Options that change under connections, and what an idle connection costs.
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "net/tcp_transport.h"
#include "server/thrift_session.h"
#include "tests/server/server_fixture.h"

namespace trestle::server {
namespace {

using std::chrono::seconds;
using thrift::Framing;

class ReconfigureTest : public ServerTest {
 protected:
  void Reconfigure() {
    server().Reconfigure(options_);
    Settle(&loop_);
  }
};

TEST_F(ReconfigureTest, TimesThatAreNoMoreOrThatComeHoldAtOnce) {
  options_.idle_time = seconds(10);
  options_.life_time = seconds(20);
  Client& client = Connect();
  options_.idle_time.reset();
  options_.life_time.reset();
  Reconfigure();
  Advance(seconds(1000));
  EXPECT_FALSE(Ended(client));
  options_.idle_time = seconds(2000);
  Reconfigure();
  Advance(seconds(999));
  EXPECT_FALSE(Ended(client)) << "longer than it was idle so far";
  Advance(seconds(1));
  EXPECT_TRUE(Ended(client));
  Client& old = Connect();
  Send(old, CallFrame("m", 1));
  options_.idle_time.reset();
  options_.life_time = seconds(5);
  Advance(seconds(60));
  Reconfigure();
  Advance(seconds(0));
  EXPECT_FALSE(Ended(old)) << "it has a call in flight";
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(old)), "m/1");
  EXPECT_TRUE(Ended(old));
}

TEST_F(ReconfigureTest, TimesMayGoWhileTheirTimerIsDue) {
  options_.idle_time = seconds(10);
  Client& client = Connect();
  clock_.Advance(seconds(10));
  options_.idle_time.reset();
  server().Reconfigure(options_);
  Settle(&loop_);
  EXPECT_FALSE(Ended(client));
}

TEST_F(ReconfigureTest, TheDialectAndTheBoundsOfMessagesAreThoseOfTheBeginning) {
  options_.max_frame_bytes = 1000;
  Client& before = Connect();
  options_.dialect = {Framing::kFramed, Protocol::kCompact};
  options_.max_frame_bytes = 30;
  options_.stream_threshold = 1;
  Reconfigure();
  Client& after = Connect();
  Send(before, CallFrame("m", 1, std::string(100, 'b')));
  ASSERT_EQ(handler_.open.size(), 1u);
  EXPECT_FALSE(handler_.open[0]->streamed);
  handler_.Reply(handler_.Take());
  EXPECT_EQ(Take(before), ReplyFrame("m", 1));
  Send(after, CallFrame("m", 2, kVoidBody, Protocol::kCompact));
  ASSERT_EQ(handler_.open.size(), 1u);
  EXPECT_EQ(handler_.open[0]->protocol, Protocol::kCompact);
  handler_.ReplyNext();
  Send(after, CallFrame("m", 2, std::string(100, 'b'), Protocol::kCompact));
  EXPECT_TRUE(Ended(after));
}

TEST_F(ReconfigureTest, MoreRoomIsUsedAtOnceAndLessAtTheNextCall) {
  options_.max_pipelined = 1;
  Client& client = Connect();
  std::string sent;
  for (int i = 0; i < 6; i++) sent += CallFrame("m", i);
  Send(client, sent);
  EXPECT_EQ(handler_.open.size(), 1u);
  options_.max_pipelined = 4;
  Reconfigure();
  EXPECT_EQ(handler_.open.size(), 4u);
  options_.max_pipelined = 1;
  Reconfigure();
  EXPECT_EQ(handler_.open.size(), 4u) << "nothing is taken back";
  handler_.ReplyNext();
  handler_.ReplyNext();
  Settle(&loop_);
  EXPECT_EQ(handler_.open.size(), 2u);
  while (!handler_.open.empty()) {
    handler_.ReplyNext();
    Settle(&loop_);
  }
  EXPECT_EQ(Replies(client).size(), 6u);
}

TEST_F(ReconfigureTest, TimeoutsOfTheSocketHoldForConnectionsThatAreThere) {
  Client& client = Connect();
  Send(client, CallFrame("a", 1));
  handler_.ReplyNext();
  Settle(&loop_);
  options_.read_timeout = std::chrono::seconds(5);
  Reconfigure();
  for (int i = 0; i < 4; i++) Advance(std::chrono::seconds(1));
  EXPECT_EQ(server().connections(), 1u);
  for (int i = 0; i < 4; i++) Advance(std::chrono::seconds(1));
  EXPECT_EQ(server().connections(), 0u);
}

TEST_F(ReconfigureTest, TimeoutsOfTheSocketCanBeTakenAway) {
  options_.read_timeout = std::chrono::seconds(5);
  Connect();
  options_.read_timeout.reset();
  Reconfigure();
  for (int i = 0; i < 20; i++) Advance(std::chrono::seconds(1));
  EXPECT_EQ(server().connections(), 1u);
}

// --- what an idle connection costs ---

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kOwnAllocator = true;  // mallinfo2 tells nothing
#else
constexpr bool kOwnAllocator = false;
#endif

size_t HeapBytes() { return mallinfo2().uordblks + mallinfo2().hblkhd; }

TEST_F(ReconfigureTest, AnIdleConnectionCostsLessThanAPage) {
  constexpr int kConnections = 400;
  if (kOwnAllocator) GTEST_SKIP() << "another allocator";
  const std::string calls[] = {CallFrame("m", 1), CallFrame("m", 1).substr(4)};
  for (const std::string& call : calls) {
    options_.dialect = {};
    server_.reset();
    server();
    std::vector<int> ends;
    handler_.at_once = [this](call::Call* c) { handler_.Reply(c); };
    for (bool used : {false, true}) {
      const size_t before = HeapBytes();
      const size_t had = server().connections();
      for (int i = 0; i < kConnections; i++) {
        int pair[2];
        ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
        ends.push_back(pair[1]);
        server().Accept(std::make_unique<net::TcpTransport>(&loop_, pair[0], net::Address(),
                                                            net::SocketOptions()));
        if (!used) continue;
        ASSERT_EQ(write(pair[1], call.data(), call.size()), static_cast<ssize_t>(call.size()));
      }
      Settle(&loop_);
      ASSERT_EQ(server().connections(), had + kConnections);
      const size_t each = (HeapBytes() - before) / kConnections;
      RecordProperty(used ? "bytes_used" : "bytes_fresh", static_cast<int>(each));
      EXPECT_LT(each, 3500u) << (used ? "after a call" : "fresh");
    }
    for (int end : ends) close(end);
    Settle(&loop_);
    EXPECT_EQ(server().connections(), 0u);
  }
}

TEST_F(ReconfigureTest, ASessionIsSmall) { EXPECT_LE(sizeof(ThriftSession), 1024u); }

}  // namespace
}  // namespace trestle::server
