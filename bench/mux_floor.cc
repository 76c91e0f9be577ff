// bench_mux_floor: the least that a relay of mux can do: it looks at the head of each message,
// gives each call a tag of its own on the one connection to the backend that all clients share, and
// puts the caller's back into the reply. No names, no checks, no timeouts; what became ready in one
// turn leaves with one write for each connection. Says `listening PORT`, runs until killed.
//
// It answers the start of a session and pings by itself, and swallows discards.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "bench/bytes.h"
#include "bench/mux_wire.h"
#include "bench/socket.h"

namespace trestle::bench {
namespace {

constexpr size_t kReadBytes = 256 * 1024;
constexpr uint32_t kMostMessageBytes = 256 << 20;

struct Connection {
  int fd = -1;
  bool dirty = false, over = false;
  std::string in, out;  // a message that is not whole; what the kernel did not take yet
  size_t out_at = 0;
};
struct Call {
  Connection* client = nullptr;  // null: it is gone
  uint32_t tag = 0;              // the client's
};

class Floor {
 public:
  Floor(uint16_t port, uint16_t backend) : in_(kReadBytes), listener_(ListenOn(&port)) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) DieOfErrno("epoll_create1");
    std::string why;
    backend_.fd = ConnectTo(backend);
    if (backend_.fd < 0) DieOfErrno("the backend");
    if (!StartMuxSession(backend_.fd, kMostMessageBytes, &why)) Die("the backend: " + why);
    Watch(epoll_, backend_.fd, &backend_);
    Watch(epoll_, listener_, nullptr);
    std::printf("listening %u\n", unsigned{port});
    std::fflush(stdout);
  }

  [[noreturn]] void Run() {
    epoll_event events[256];
    for (;;) {
      const int n = epoll_wait(epoll_, events, 256, -1);
      for (int i = 0; i < n; i++) Serve(static_cast<Connection*>(events[i].data.ptr), events[i]);
      for (Connection* c : dirty_) Flush(c);
      dirty_.clear();
      for (Connection* c : over_) delete c;
      over_.clear();
    }
  }

 private:
  void Serve(Connection* c, const epoll_event& event) {
    if (!c) return Accept();
    if (event.events & EPOLLOUT) Queue(c);
    const bool ended = event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    for (bool more = true; more && !c->over;) {
      const ssize_t n = recv(c->fd, in_.data(), in_.size(), 0);
      if (n < 0 && errno == EAGAIN) return;
      if (n <= 0) return End(c);
      Take(c, {in_.data(), static_cast<size_t>(n)});
      more = static_cast<size_t>(n) == in_.size() || ended;
    }
  }
  void Accept() {
    for (int fd; (fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
      MakeReady(fd);
      auto* c = new Connection;  // Run deletes it at its end
      c->fd = fd;
      Watch(epoll_, fd, c);
    }
  }
  void End(Connection* c) {
    if (c == &backend_) Die("the backend closed the connection");
    if (c->over) return;
    c->over = true;
    close(c->fd);
    for (Call& call : calls_) {
      if (call.client == c) call.client = nullptr;
    }
    over_.push_back(c);
  }
  void Queue(Connection* c) {
    if (!c->dirty) dirty_.push_back(c);
    c->dirty = true;
  }
  void Flush(Connection* c) {
    c->dirty = false;
    while (!c->over && c->out_at < c->out.size()) {
      const ssize_t n =
          send(c->fd, c->out.data() + c->out_at, c->out.size() - c->out_at, MSG_NOSIGNAL);
      if (n < 0 && errno == EAGAIN) return;
      if (n < 0) return End(c);
      c->out_at += static_cast<size_t>(n);
    }
    c->out.clear();
    c->out_at = 0;
  }

  void Take(Connection* c, std::string_view bytes) {
    const bool kept = !c->in.empty();
    if (kept) bytes = c->in.append(bytes);
    while (bytes.size() >= 4 && !c->over) {
      const uint32_t size = Read<4>(bytes.data());
      if (size < 4 || size > kMostMessageBytes) return End(c);
      if (bytes.size() - 4 < size) break;
      const std::string_view message = bytes.substr(0, 4 + size_t{size});
      bytes.remove_prefix(message.size());
      if (!(c == &backend_ ? FromBackend(message) : FromClient(c, message))) return End(c);
    }
    if (kept) {
      c->in.erase(0, c->in.size() - bytes.size());
    } else {
      c->in.assign(bytes);
    }
  }
  bool FromClient(Connection* c, std::string_view message) {
    if (message[kMuxTypeAt] != kTdispatch) {
      Queue(c);
      return AnswerMux(message, &c->out);
    }
    if (free_.empty()) {
      free_.push_back(static_cast<uint32_t>(calls_.size()));
      calls_.emplace_back();
    }
    const uint32_t i = free_.back();
    free_.pop_back();
    calls_[i] = {c, Read<3>(message.data() + kMuxTagAt)};
    Relay(message, kMuxFirstTag + i, &backend_);
    return true;
  }
  bool FromBackend(std::string_view message) {
    const uint32_t i = Read<3>(message.data() + kMuxTagAt) - kMuxFirstTag;
    if (message[kMuxTypeAt] != kRdispatch || i >= calls_.size()) {
      Die("the backend says what a floor does not know: " + Shown(message));
    }
    if (calls_[i].client) Relay(message, calls_[i].tag, calls_[i].client);
    free_.push_back(i);
    return true;
  }
  void Relay(std::string_view message, uint32_t tag, Connection* to) {
    const size_t at = to->out.size();
    to->out.append(message);
    Put<3>(tag, to->out.data() + at + kMuxTagAt);
    Queue(to);
  }

  std::vector<char> in_;
  int listener_, epoll_ = -1;
  Connection backend_;
  std::vector<Call> calls_;     // at tags from kMuxFirstTag on
  std::vector<uint32_t> free_;  // of calls_
  std::vector<Connection*> dirty_, over_;
};

}  // namespace
}  // namespace trestle::bench

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): it ends the program
  uint16_t port = 0, backend = 0;
  CLI::App app{"bench_mux_floor: the least that a relay of mux can do"};
  app.add_option("--port", port, "on 127.0.0.1; 0: a free one")->capture_default_str();
  app.add_option("--backend", backend, "the port of a mux server on 127.0.0.1")->required();
  CLI11_PARSE(app, argc, argv);
  trestle::bench::Floor(port, backend).Run();
}
