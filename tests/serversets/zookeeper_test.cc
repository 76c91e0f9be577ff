// The ZkClient over ZooKeeper's C library: host names are looked up again when a connection is
// lost, and never while one holds.
#include "serversets/zookeeper.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <thread>

namespace {

std::atomic<const char*> g_address{"127.0.0.1"};
std::atomic<int> g_lookups{0};

}  // namespace

// In place of the C library's, for the one name that the tests look up.
extern "C" int getaddrinfo(const char* host, const char* service, const addrinfo* hints,
                           addrinfo** out) {
  static const auto real =
      reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  if (!host || std::strcmp(host, "zk.test") != 0) return real(host, service, hints, out);
  ++g_lookups;
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

 private:
  int listening_;
  uint16_t port_ = 0;
};

class Nobody final : public ZkClient::Owner {
  void OnState(ZkClient::State, const std::string&) override {}
  void OnEvent(ZkClient::Event, const std::string&) override {}
};

TEST(ZooKeeperTest, HostNamesAreLookedUpAgainWhenAConnectionIsLost) {
  base::SystemClock clock;
  net::EventLoop loop(&clock);
  Nobody owner;
  Silent before("127.0.0.1", 0);
  Silent after("127.0.0.2", before.port());
  ZkCluster cluster;
  cluster.hosts = "zk.test:" + std::to_string(before.port());
  auto client = ConnectZooKeeper(&loop, cluster, &owner);
  const int first = before.Take();
  g_address = "127.0.0.2";
  close(first);
  close(after.Take());  // ends only if it comes there
  EXPECT_GE(g_lookups, 2);
}

}  // namespace
}  // namespace trestle::serversets
