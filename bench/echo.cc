// bench_echo: a Thrift server (binary; framed, mux, or told by the first bytes of a connection)
// that gives back what it was given, as fast as memory allows: the call's own bytes with two of
// them changed. Says `listening PORT`, runs until killed.
//
// It reads field 1 of a call as the result whatever its type, and takes nothing but calls: a oneway
// or anything else that is not a call ends the connection. In mux it takes the start of a session,
// pings and discards besides.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bench/bytes.h"
#include "bench/echo_reply.h"
#include "bench/mux_wire.h"
#include "bench/socket.h"

namespace trestle::bench {
namespace {

constexpr size_t kFirstBytes = 16 * 1024;
constexpr uint32_t kMostFrameBytes = 256 << 20;

enum class Dialect { kFramed, kMux, kAuto };

// One connection: what was read, of which the front is answered in place and then written.
class Echo {
 public:
  Echo(int fd, Dialect dialect) : fd_(fd), dialect_(dialect), bytes_(kFirstBytes) {}
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
  // Answers every whole message behind those that are.
  bool Answer() {
    while (size_ - taken_ >= 4) {
      const uint32_t length = Read<4>(bytes_.data() + taken_);
      if (length > kMostFrameBytes) return false;
      const size_t whole = 4 + size_t{length};
      if (size_ - taken_ < whole) {
        if (bytes_.size() < whole) wanted_ = whole;
        return true;
      }
      if (!AnswerOne(whole)) return false;
    }
    return true;
  }
  bool AnswerOne(size_t whole) {
    char* message = bytes_.data() + taken_;
    if (dialect_ == Dialect::kAuto) {
      const bool thrift = whole >= 6 && message[4] == '\x80' && message[5] == '\x01';
      dialect_ = thrift ? Dialect::kFramed : Dialect::kMux;
    }
    if (dialect_ == Dialect::kMux) return AnswerMuxMessage({message, whole});
    if (!ToReply(message + 4, whole - 4)) return false;
    taken_ += whole;
    answered_ = taken_;
    return true;
  }
  bool AnswerMuxMessage(std::string_view message) {
    if (message.size() < kMuxHead) return false;
    taken_ += message.size();
    if (message[kMuxTypeAt] != kTdispatch) {
      std::string answer;
      if (!AnswerMux(message, &answer)) return false;
      Insert(answer);
      return true;
    }
    char* end = bytes_.data() + taken_;
    const char* reply = ToMuxReply(end - message.size(), message.size());
    if (!reply) return false;
    const auto size = static_cast<size_t>(end - reply);
    std::memmove(bytes_.data() + answered_, reply, size);
    answered_ += size;
    return true;
  }
  // An answer that is perhaps longer than what was asked.
  void Insert(std::string_view answer) {
    if (taken_ - answered_ < answer.size()) {
      bytes_.insert(bytes_.begin() + static_cast<ptrdiff_t>(taken_), answer.size(), '\0');
      taken_ += answer.size();
      size_ += answer.size();
    }
    std::memcpy(bytes_.data() + answered_, answer.data(), answer.size());
    answered_ += answer.size();
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
    if (taken_ > 0) std::memmove(bytes_.data(), bytes_.data() + taken_, size_ - taken_);
    size_ -= taken_;
    taken_ = answered_ = written_ = 0;
    if (wanted_ > bytes_.size()) bytes_.resize(wanted_);
    if (size_ == bytes_.size()) bytes_.resize(2 * size_);
  }

  int fd_;
  Dialect dialect_;
  std::vector<char> bytes_;
  size_t size_ = 0;  // written_ <= answered_ <= taken_ <= size_
  size_t taken_ = 0;
  size_t answered_ = 0;
  size_t written_ = 0;
  size_t wanted_ = 0;  // the size of a frame that does not fit
};

void AcceptAll(int listener, int epoll, Dialect dialect) {
  for (;;) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    MakeReady(fd);
    Watch(epoll, fd, new Echo(fd, dialect));  // Run deletes it at its end
  }
}

[[noreturn]] void Run(uint16_t port, Dialect dialect) {
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
        AcceptAll(listener, epoll, dialect);
      } else if (!echo->Serve(events[i].events)) {
        delete echo;
      }
    }
  }
}

}  // namespace
}  // namespace trestle::bench

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): it ends the program
  using trestle::bench::Dialect;
  uint16_t port = 0;
  Dialect dialect = Dialect::kFramed;
  CLI::App app{"bench_echo: a Thrift server that gives back what it was given"};
  app.add_option("--port", port, "on 127.0.0.1; 0: a free one")->capture_default_str();
  const std::map<std::string, Dialect> dialects{
      {"framed", Dialect::kFramed}, {"mux", Dialect::kMux}, {"auto", Dialect::kAuto}};
  app.add_option("--dialect", dialect, "framed (default), mux; auto: by the first bytes")
      ->transform(CLI::CheckedTransformer(dialects));
  CLI11_PARSE(app, argc, argv);
  trestle::bench::Run(port, dialect);
}
