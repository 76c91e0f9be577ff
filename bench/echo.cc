// bench_echo: a Thrift server (framed, binary) that gives back what it was given, as fast as memory
// allows: the call's own bytes with two of them changed. Says `listening PORT`, runs until killed.
//
// It reads field 1 of a call as the result whatever its type, and takes nothing but calls: a oneway
// or anything else that is not a call ends the connection.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "bench/socket.h"

namespace trestle::bench {
namespace {

constexpr size_t kFirstBytes = 16 * 1024;
constexpr uint32_t kMostFrameBytes = 256 << 20;

uint32_t Read32(const char* p) {
  const auto* u = reinterpret_cast<const unsigned char*>(p);
  return uint32_t{u[0]} << 24 | uint32_t{u[1]} << 16 | uint32_t{u[2]} << 8 | uint32_t{u[3]};
}

// One connection: what was read, of which the front is answered in place and then written.
class Echo {
 public:
  explicit Echo(int fd) : fd_(fd), bytes_(kFirstBytes) {}
  ~Echo() { close(fd_); }
  Echo(const Echo&) = delete;
  Echo& operator=(const Echo&) = delete;

  // False: the connection is over.
  bool Serve(uint32_t events) {
    const bool ended = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    for (bool more = true;;) {
      if (!Write()) return false;
      if (written_ < answered_) return true;  // the kernel has enough for now
      Shift();
      if (!more && !ended) return true;
      const size_t room = bytes_.size() - size_;
      const ssize_t n = recv(fd_, bytes_.data() + size_, room, 0);
      if (n < 0 && errno == EAGAIN) return true;
      if (n <= 0) return false;
      size_ += static_cast<size_t>(n);
      more = static_cast<size_t>(n) == room;
      if (!Answer()) return false;
    }
  }

 private:
  // Turns every whole call behind what is answered into its reply.
  bool Answer() {
    while (size_ - answered_ >= 4) {
      char* frame = bytes_.data() + answered_;
      const uint32_t length = Read32(frame);
      if (length > kMostFrameBytes) return false;
      if (size_ - answered_ < 4 + size_t{length}) {
        if (bytes_.size() < 4 + size_t{length}) wanted_ = 4 + size_t{length};
        return true;
      }
      if (!ToReply(frame + 4, length)) return false;
      answered_ += 4 + size_t{length};
    }
    return true;
  }
  static bool ToReply(char* message, uint32_t length) {
    static constexpr char kCall[] = {'\x80', '\x01', '\x00', '\x01'};
    if (length < 8 || std::memcmp(message, kCall, 4) != 0) return false;
    const uint32_t name = Read32(message + 4);
    if (name > length || length - name < 15) return false;  // envelope and head of a field
    message[3] = 2;                                         // a reply
    message[8 + name + 4 + 2] = 0;                          // its result
    return true;
  }
  bool Write() {
    while (written_ < answered_) {
      const ssize_t n = send(fd_, bytes_.data() + written_, answered_ - written_, MSG_NOSIGNAL);
      if (n < 0) return errno == EAGAIN;
      written_ += static_cast<size_t>(n);
    }
    return true;
  }
  // What is written makes room for what comes.
  void Shift() {
    if (answered_ > 0) std::memmove(bytes_.data(), bytes_.data() + answered_, size_ - answered_);
    size_ -= answered_;
    answered_ = written_ = 0;
    if (wanted_ > bytes_.size()) bytes_.resize(wanted_);
    if (size_ == bytes_.size()) bytes_.resize(2 * size_);
  }

  int fd_;
  std::vector<char> bytes_;
  size_t size_ = 0;  // written_ <= answered_ <= size_
  size_t answered_ = 0;
  size_t written_ = 0;
  size_t wanted_ = 0;  // the size of a frame that does not fit
};

void AcceptAll(int listener, int epoll) {
  for (;;) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    MakeReady(fd);
    Watch(epoll, fd, new Echo(fd));  // Run deletes it at its end
  }
}

[[noreturn]] void Run(uint16_t port) {
  const int listener = ListenOn(&port);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) DieOfErrno("epoll_create1");
  Watch(epoll, listener, nullptr);
  std::printf("listening %u\n", unsigned{port});
  std::fflush(stdout);
  epoll_event events[256];
  for (;;) {
    const int n = epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < n; i++) {
      auto* echo = static_cast<Echo*>(events[i].data.ptr);
      if (!echo) {
        AcceptAll(listener, epoll);
      } else if (!echo->Serve(events[i].events)) {
        delete echo;
      }
    }
  }
}

}  // namespace
}  // namespace trestle::bench

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): it ends the program
  uint16_t port = 0;
  CLI::App app{"bench_echo: a Thrift server that gives back what it was given"};
  app.add_option("--port", port, "on 127.0.0.1; 0: a free one")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  trestle::bench::Run(port);
}
