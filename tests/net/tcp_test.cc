// TcpTransport, Listener and TcpConnector over real sockets of the loopback, on ports that the
// system picks.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/connection.h"
#include "net/connector.h"
#include "net/listener.h"
#include "net/tcp_transport.h"
#include "tests/net/recording_owner.h"

namespace trestle::net {
namespace {

using std::chrono::seconds;
using Opened = base::Result<std::unique_ptr<Transport>>;

class TcpTest : public testing::Test {
 protected:
  void SetUp() override {
    auto any = Address::Parse("127.0.0.1", 0);
    ASSERT_TRUE(any.ok());
    ASSERT_TRUE(listener_.Listen(*any, SocketOptions()).ok());
    listener_.Start();
  }
  void TearDown() override {
    for (int fd : accepted_) close(fd);
  }

  // Waits, turn by turn, until `done`; what never comes ends in the test's time limit.
  template <class Condition>
  void Until(Condition done) {
    while (!done()) loop_.Poll();
  }
  // A connection of ours and the bare descriptor of its peer.
  int Connect(int send_buffer = 0) {
    Opened opened(base::Code::kInternal, "not yet");
    bool done = false;
    auto attempt = connector_.Connect(listener_.address(), seconds(10), [&](Opened result) {
      opened = std::move(result);
      done = true;
    });
    Until([&] { return done && !accepted_.empty(); });
    EXPECT_TRUE(opened.ok()) << opened.status().message();
    if (send_buffer > 0) {
      setsockopt((*opened)->descriptor(), SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
    }
    connection_ = std::make_unique<Connection>(&loop_, std::move(*opened), &owner_);
    connection_->Start();
    int peer = accepted_.back();
    accepted_.pop_back();
    return peer;
  }
  static void Reset(int fd) {
    linger hard{1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
  }
  std::string ReadSome(int fd) {
    char some[65536];
    ssize_t n = recv(fd, some, sizeof some, MSG_DONTWAIT);
    return n > 0 ? std::string(some, static_cast<size_t>(n)) : std::string();
  }

  base::SystemClock clock_;
  EventLoop loop_{&clock_};
  std::vector<int> accepted_;
  Listener listener_{&loop_, [this](int fd, const Address&) { accepted_.push_back(fd); }};
  TcpConnector connector_{&loop_, SocketOptions()};
  RecordingOwner owner_;
  std::unique_ptr<Connection> connection_;
};

TEST_F(TcpTest, BytesGoBothWaysAndEndsAreSeen) {
  int peer = Connect();
  EXPECT_EQ(connection_->peer().address.Show(), listener_.address().Show());
  connection_->Write(base::Buffer::Copy("ping"));
  std::string got;
  Until([&] { return (got += ReadSome(peer)) == "ping"; });
  ASSERT_EQ(send(peer, "pong", 4, 0), 4);
  shutdown(peer, SHUT_WR);
  Until([&] { return owner_.ends == 1; });
  EXPECT_EQ(owner_.got, "pong");
  connection_->Write(base::Buffer::Copy("after the end"));
  connection_->CloseAfterWrites();
  Until([&] { return owner_.closed == 1; });
  EXPECT_EQ(ReadSome(peer), "after the end");
  char c;
  EXPECT_EQ(recv(peer, &c, 1, 0), 0) << "no FIN";
  EXPECT_EQ(owner_.gone, 0);
  close(peer);
}

TEST_F(TcpTest, ALargeWriteWithASmallSendBufferArrivesWhole) {
  int peer = Connect(4096);
  std::string sent(3'000'000, 'x');
  for (size_t i = 0; i < sent.size(); i++) sent[i] = static_cast<char>(i * 31 >> 5);
  connection_->Write(base::Buffer::Copy(sent));
  loop_.Poll();
  EXPECT_GT(connection_->unsent(), 0u) << "the system took all: nothing is tested";
  std::string got;
  while (got.size() < sent.size()) {
    loop_.Poll();
    got += ReadSome(peer);
  }
  EXPECT_TRUE(got == sent);
  Until([&] { return owner_.flushed == 1; });
  EXPECT_EQ(connection_->unsent(), 0u);
  close(peer);
}

TEST_F(TcpTest, AResetIsSeenWhileReading) {
  int peer = Connect();
  Reset(peer);
  Until([&] { return owner_.gone == 1; });
  EXPECT_NE(owner_.why.message().find(listener_.address().Show()), std::string::npos);
  EXPECT_NE(owner_.why.message().find("reset"), std::string::npos) << owner_.why.message();
}

TEST_F(TcpTest, AResetIsSeenWhilePausedEvenWithUnreadBytes) {
  int peer = Connect();
  connection_->PauseReading();
  ASSERT_EQ(send(peer, "unread", 6, 0), 6);
  for (int i = 0; i < 5; i++) loop_.Poll();
  EXPECT_EQ(owner_.told(), 0);
  Reset(peer);
  Until([&] { return owner_.gone == 1; });
}

TEST_F(TcpTest, AnEndIsSeenAheadWhilePausedEvenWithUnreadBytes) {
  for (bool before : {false, true}) {
    owner_ = RecordingOwner();
    int peer = Connect();
    if (!before) connection_->PauseReading();
    for (int i = 0; i < 5; i++) loop_.Poll();
    ASSERT_EQ(send(peer, "unread", 6, 0), 6);
    shutdown(peer, SHUT_WR);
    if (before) connection_->PauseReading();
    Until([&] { return owner_.ahead == 1; });
    EXPECT_EQ(owner_.told(), 1);
    connection_->ResumeReading();
    Until([&] { return owner_.ends == 1; });
    EXPECT_EQ(owner_.got, "unread");
    EXPECT_EQ(owner_.ahead, 1);
    close(peer);
  }
}

TEST_F(TcpTest, AResetIsSeenAfterThePeersEnd) {
  int peer = Connect();
  shutdown(peer, SHUT_WR);
  Until([&] { return owner_.ends == 1; });
  for (int i = 0; i < 5; i++) loop_.Poll();
  EXPECT_EQ(owner_.gone, 0) << "half-closed is not gone";
  Reset(peer);
  Until([&] { return owner_.gone == 1; });
}

TEST_F(TcpTest, AResetIsSeenAfterAnEndThatCameWhileOutputWaited) {
  int peer = Connect(4096);
  std::string sent(1'000'000, 'x');
  connection_->Write(base::Buffer::Copy(sent));
  loop_.Poll();
  ASSERT_GT(connection_->unsent(), 0u);
  shutdown(peer, SHUT_WR);
  Until([&] { return owner_.ends == 1; });
  size_t got = 0;
  Until([&] {
    got += ReadSome(peer).size();
    return got == sent.size();
  });
  Until([&] { return owner_.flushed == 1; });
  EXPECT_EQ(owner_.gone, 0);
  Reset(peer);
  Until([&] { return owner_.gone == 1; });
}

TEST_F(TcpTest, AResetIsSeenWhileOutputWaitsAndReadingIsPaused) {
  int peer = Connect(4096);
  connection_->Write(base::Buffer::Copy(std::string(1'000'000, 'x')));
  loop_.Poll();
  ASSERT_GT(connection_->unsent(), 0u);
  connection_->PauseReading();
  Reset(peer);
  Until([&] { return owner_.gone == 1; });
}

// An answer before all was read, and the end of the connection: the reset does not take it away.
TEST_F(TcpTest, WhatCameBeforeAFailedWriteIsReadWhereItIsOfUse) {
  for (bool reads_rest : {true, false}) {
    owner_ = RecordingOwner();
    owner_.reads_rest = reads_rest;
    int peer = Connect();
    connection_->Write(base::Buffer::Copy("a part"));
    loop_.Poll();
    bool ahead = false;
    owner_.on_bytes = [&](base::Buffer*) { ahead = connection_->end_ahead(); };
    loop_.Post([&] {  // behind the events of this turn
      EXPECT_EQ(send(peer, "early", 5, 0), 5);
      close(peer);  // with bytes unread: a reset
      connection_->Write(base::Buffer::Copy("and the rest"));
    });
    Until([&] { return owner_.gone == 1; });
    EXPECT_EQ(owner_.got, reads_rest ? "early" : "");
    EXPECT_EQ(ahead, reads_rest);
    EXPECT_EQ(owner_.ends, 0) << "it broke";
  }
}

TEST_F(TcpTest, CloseWithResetIsSeenByThePeerAsOne) {
  int peer = Connect();
  connection_->Close(true);
  char c;
  pollfd p{peer, POLLIN, 0};
  ASSERT_EQ(poll(&p, 1, 10'000), 1);
  EXPECT_EQ(recv(peer, &c, 1, 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
  close(peer);
}

TEST_F(TcpTest, ARefusedConnectSaysToWhomAndWhy) {
  const Address gone = listener_.address();
  listener_.Close();
  std::optional<base::Status> failed;
  auto attempt = connector_.Connect(gone, seconds(10), [&](Opened result) {
    EXPECT_FALSE(result.ok());
    failed = result.status();
  });
  EXPECT_FALSE(failed) << "told from within Connect()";
  Until([&] { return failed.has_value(); });
  EXPECT_EQ(failed->code(), base::Code::kUnavailable);
  EXPECT_EQ(failed->message(), "cannot connect to " + gone.Show() + ": Connection refused");
}

TEST_F(TcpTest, AConnectThatFailsAtOnceIsToldLater) {
  auto nowhere = Address::Parse("255.255.255.255", 1);  // TCP cannot broadcast
  std::optional<base::Status> failed;
  auto attempt =
      connector_.Connect(*nowhere, seconds(10), [&](Opened result) { failed = result.status(); });
  EXPECT_FALSE(failed);
  Until([&] { return failed.has_value(); });
  EXPECT_EQ(failed->code(), base::Code::kUnavailable);
}

// So that whoever asked for the connection knows that the peer was not even asked.
TEST_F(TcpTest, AConnectWithoutADescriptorIsAFaultOfThisMachine) {
  // Ubsan looks at the first object of each kind through a pipe: here it can.
  auto nowhere = Address::Parse("255.255.255.255", 1);
  connector_.Connect(*nowhere, seconds(10), [](Opened) {}).reset();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  std::optional<base::Status> failed;
  auto attempt = connector_.Connect(listener_.address(), seconds(10),
                                    [&](Opened result) { failed = result.status(); });
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  Until([&] { return failed.has_value(); });
  EXPECT_EQ(failed->code(), base::Code::kInternal);
  EXPECT_EQ(failed->message(),
            "cannot connect to " + listener_.address().Show() + ": Too many open files");
}

TEST_F(TcpTest, ADroppedAttemptTellsNothing) {
  bool told = false;
  auto attempt = connector_.Connect(listener_.address(), seconds(10), [&](Opened) { told = true; });
  attempt.reset();
  for (int i = 0; i < 5; i++) loop_.Poll();
  EXPECT_FALSE(told);
}

TEST_F(TcpTest, AConnectTakesNoLongerThanItsTime) {
  base::FakeClock clock;
  EventLoop loop(&clock);
  TcpConnector connector(&loop, SocketOptions());
  // A queue of one that is full: the system drops the SYN and the connect hangs.
  int full = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  auto any = Address::Parse("127.0.0.1", 0);
  ASSERT_EQ(bind(full, any->sockaddr_ptr(), any->length()), 0);
  ASSERT_EQ(listen(full, 0), 0);
  sockaddr_storage at{};
  socklen_t size = sizeof at;
  getsockname(full, reinterpret_cast<sockaddr*>(&at), &size);
  std::vector<int> fill;
  for (int i = 0; i < 4; i++) {
    fill.push_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    static_cast<void>(connect(fill.back(), reinterpret_cast<sockaddr*>(&at), size));
  }
  std::optional<base::Status> failed;
  auto attempt = connector.Connect(Address::From(at), std::chrono::milliseconds(1500),
                                   [&](Opened result) { failed = result.status(); });
  for (int i = 0; i < 5; i++) loop.Poll();
  clock.Advance(std::chrono::milliseconds(1499));
  loop.Poll();
  EXPECT_FALSE(failed);
  clock.Advance(std::chrono::milliseconds(1));
  loop.Poll();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->code(), base::Code::kTimeout);
  EXPECT_EQ(failed->message(), "no connection to " + Address::From(at).Show() + " within 1500 ms");
  for (int fd : fill) close(fd);
  close(full);
}

// --- listening ---

TEST_F(TcpTest, ATakenPortIsAnErrorThatNamesIt) {
  Listener second(&loop_, [](int, const Address&) {});
  base::Status status = second.Listen(listener_.address(), SocketOptions());
  EXPECT_EQ(status.code(), base::Code::kUnavailable);
  EXPECT_EQ(status.message(),
            "cannot listen on " + listener_.address().Show() + ": Address already in use");
}

TEST_F(TcpTest, APausedListenerLeavesConnectionsInTheQueue) {
  listener_.Pause();
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  ASSERT_EQ(connect(fd, listener_.address().sockaddr_ptr(), listener_.address().length()), 0);
  for (int i = 0; i < 5; i++) loop_.Poll();
  EXPECT_TRUE(accepted_.empty());
  listener_.Resume();
  Until([&] { return accepted_.size() == 1; });
  close(fd);
}

TEST_F(TcpTest, AListenerMayCloseInsideItsCallback) {
  int taken = 0;
  std::unique_ptr<Listener> once;
  once = std::make_unique<Listener>(&loop_, [&](int fd, const Address& peer) {
    EXPECT_EQ(peer.Ip(), "127.0.0.1");
    taken++;
    close(fd);
    once->Close();
  });
  ASSERT_TRUE(once->Listen(*Address::Parse("127.0.0.1", 0), SocketOptions()).ok());
  once->Start();
  const Address at = once->address();
  int fds[2];
  for (int& fd : fds) {
    fd = socket(AF_INET, SOCK_STREAM, 0);
    ASSERT_EQ(connect(fd, at.sockaddr_ptr(), at.length()), 0);
  }
  Until([&] { return taken == 1; });
  for (int i = 0; i < 5; i++) loop_.Poll();
  EXPECT_EQ(taken, 1);
  for (int fd : fds) close(fd);
}

TEST_F(TcpTest, AcceptedDescriptorsDoNotBlock) {
  int peer = Connect();
  char c;
  EXPECT_EQ(recv(peer, &c, 1, 0), -1);
  EXPECT_EQ(errno, EAGAIN);
  close(peer);
}

}  // namespace
}  // namespace trestle::net
