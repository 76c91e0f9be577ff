// The ZkClient over ZooKeeper's C library: host names are looked up again when a connection is
// lost, with pauses, and never while one holds.
#include "serversets/zookeeper.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <set>
#include <string>

namespace {

std::atomic<const char*> g_address{"127.0.0.1"};  // null: it does not resolve
std::atomic<int> g_lookups{0};

}  // namespace

// In place of the C library's, for the one name that the tests look up.
extern "C" int getaddrinfo(const char* host, const char* service, const addrinfo* hints,
                           addrinfo** out) {
  static const auto real =
      reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  if (!host || std::strcmp(host, "zk.test") != 0) return real(host, service, hints, out);
  ++g_lookups;
  if (!g_address.load()) return EAI_AGAIN;
  return real(g_address.load(), service, hints, out);
}

namespace trestle::serversets {
namespace {

// A server that takes connections, one at a time, and says nothing.
class Silent {
 public:
  Silent(const char* ip, uint16_t port) : listening_(socket(AF_INET, SOCK_STREAM, 0)) {
    const int on = 1;
    setsockopt(listening_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    inet_pton(AF_INET, ip, &at.sin_addr);
    EXPECT_EQ(bind(listening_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    EXPECT_EQ(listen(listening_, 16), 0);
    socklen_t size = sizeof at;
    getsockname(listening_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
  }
  ~Silent() { close(listening_); }
  // Waits for a connection.
  int Take() const { return accept(listening_, nullptr, nullptr); }
  uint16_t port() const { return port_; }
  int descriptor() const { return listening_; }

 private:
  int listening_;
  uint16_t port_ = 0;
};

class ZooKeeperTest : public testing::Test, protected ZkClient::Owner {
 protected:
  ZooKeeperTest() {
    g_address = "127.0.0.1";
    g_lookups = 0;
  }
  ~ZooKeeperTest() override {
    client_.reset();
    EXPECT_TRUE(AwaitZooKeeper(std::chrono::seconds(60)));
  }
  void Connect(uint16_t port) {
    ZkCluster cluster;
    cluster.hosts = "zk.test:" + std::to_string(port);
    states_.clear();
    client_ = ConnectZooKeeper(&loop_, cluster, this);
  }
  // Until it comes; all waits of the client are over at once.
  void Await(ZkClient::State state) {
    while (!states_.contains(state)) {
      if (loop_.Poll()) continue;
      clock_.Advance(std::chrono::milliseconds(100));
      usleep(1000);
    }
  }
  void OnState(ZkClient::State state, const std::string&) override { states_.insert(state); }
  void OnEvent(ZkClient::Event, const std::string&) override {}

  base::FakeClock clock_;
  net::EventLoop loop_{&clock_};
  std::set<ZkClient::State> states_;
  std::unique_ptr<ZkClient> client_;
};

// Takes a connection and begins a session.
int Greet(const Silent& server) {
  const int fd = server.Take();
  char asked[49];
  EXPECT_EQ(recv(fd, asked, sizeof asked, MSG_WAITALL), ssize_t{sizeof asked});
  // Its length, the protocol, the time-out (10,000 ms), the session, its password, "read-only: no".
  const std::string answer = std::string("\0\0\0\x25\0\0\0\0\0\0\x27\x10", 12) +
                             std::string("\0\0\0\0\0\0\0\1\0\0\0\x10", 12) + std::string(17, '\0');
  EXPECT_EQ(send(fd, answer.data(), answer.size(), 0), static_cast<ssize_t>(answer.size()));
  return fd;
}

TEST_F(ZooKeeperTest, HostNamesAreLookedUpAgainWhenAConnectionIsLost) {
  Silent before("127.0.0.1", 0);
  Silent after("127.0.0.2", before.port());
  Connect(before.port());
  const int first = Greet(before);
  Await(ZkClient::State::kConnected);
  EXPECT_EQ(g_lookups, 1);
  g_address = "127.0.0.2";
  close(first);
  Await(ZkClient::State::kOver);
  Connect(before.port());
  close(after.Take());  // ends only if it comes there
}

TEST_F(ZooKeeperTest, NamesThatDoNotResolveAnyMoreAreNotLookedUpWithoutAPause) {
  Silent server("127.0.0.1", 0);
  Connect(server.port());
  const int first = server.Take();
  g_address = nullptr;
  close(first);
  int tries = 0;
  while (tries < 3 && g_lookups < 100) {  // at the address that is known, or never
    pollfd at{server.descriptor(), POLLIN, 0};
    if (poll(&at, 1, 10) != 1) continue;
    close(server.Take());
    tries++;
  }
  EXPECT_EQ(g_lookups, 1);
}

TEST_F(ZooKeeperTest, TheClientIsOverIfNoNameResolves) {
  g_address = nullptr;
  Connect(2181);
  Await(ZkClient::State::kOver);
  EXPECT_EQ(g_lookups, 1);
}

}  // namespace
}  // namespace trestle::serversets
