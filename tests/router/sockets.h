// The other ends of a router that runs: a backend of threads on a loopback port, and a client that
// blocks.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/router/wire.h"

namespace trestle::router::testing {

inline sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// One whole frame, without its length; empty at the end of the stream.
inline std::string ReadFrame(int fd) {
  auto read_all = [fd](char* to, size_t n) {
    for (size_t done = 0; done < n;) {
      const ssize_t got = recv(fd, to + done, n - done, 0);
      if (got <= 0) return false;
      done += static_cast<size_t>(got);
    }
    return true;
  };
  char length[4];
  if (!read_all(length, sizeof length)) return "";
  std::string message(thrift::ReadU32(length), '\0');
  return read_all(message.data(), message.size()) ? message : "";
}

class BlockingClient {
 public:
  explicit BlockingClient(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_in to = Loopback(port);
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  }
  ~BlockingClient() { Close(); }
  BlockingClient(const BlockingClient&) = delete;
  BlockingClient& operator=(const BlockingClient&) = delete;

  bool connected() const { return connected_; }
  // A connection that is gone shows when the reply is read.
  void Send(std::string_view method) {
    const std::string frame = Frame(Message(thrift::MessageType::kCall, method, 5, kVoid));
    send(fd_, frame.data(), frame.size(), MSG_NOSIGNAL);
  }
  // The reply's text; "end" when there is none.
  std::string Receive() {
    const std::string message = ReadFrame(fd_);
    if (message.empty()) return "end";
    std::string framed = Frame(message);
    auto replies = TakeMessages(&framed);
    return replies.size() == 1 && replies[0].seqid == 5 ? replies[0].Text() : "not a reply";
  }
  std::string Ask(std::string_view method) {
    Send(method);
    return Receive();
  }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
  bool connected_ = false;
};

// Answers every call with its own name; calls of "hold" only once they are let go.
class ThreadedBackend {
 public:
  explicit ThreadedBackend(std::string name) : name_(std::move(name)) {
    listen_fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at = Loopback(0);
    socklen_t size = sizeof at;
    EXPECT_EQ(bind(listen_fd_, reinterpret_cast<sockaddr*>(&at), size), 0);
    EXPECT_EQ(listen(listen_fd_, 16), 0);
    getsockname(listen_fd_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
    acceptor_ = std::thread([this] { AcceptAll(); });
  }
  ~ThreadedBackend() {
    LetGo();
    shutdown(listen_fd_, SHUT_RDWR);
    acceptor_.join();
    {
      std::lock_guard lock(mutex_);
      for (int fd : fds_) shutdown(fd, SHUT_RDWR);
    }
    for (std::thread& t : threads_) t.join();
    for (int fd : fds_) close(fd);
    close(listen_fd_);
  }

  uint16_t port() const { return port_; }
  void LetGo() {
    std::lock_guard lock(mutex_);
    held_ = false;
    changed_.notify_all();
  }
  // Until `n` calls of `method` came in all.
  void WaitFor(const std::string& method, int n) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return Calls(method) >= n; });
  }
  int calls(const std::string& method) {
    std::lock_guard lock(mutex_);
    return Calls(method);
  }

 private:
  int Calls(const std::string& method) const {
    int n = 0;
    for (const std::string& m : methods_) n += m == method ? 1 : 0;
    return n;
  }
  void AcceptAll() {
    for (;;) {
      const int fd = accept(listen_fd_, nullptr, nullptr);
      if (fd < 0) return;
      std::lock_guard lock(mutex_);
      fds_.push_back(fd);
      threads_.emplace_back([this, fd] { Serve(fd); });
    }
  }
  void Serve(int fd) {
    for (;;) {
      std::string message = ReadFrame(fd);
      if (message.empty()) return;
      std::string framed = Frame(message);
      const Received call = TakeMessages(&framed).at(0);
      {
        std::unique_lock lock(mutex_);
        methods_.push_back(call.name);
        changed_.notify_all();
        if (call.name == "hold") changed_.wait(lock, [this] { return !held_; });
      }
      const std::string reply =
          Frame(Message(thrift::MessageType::kReply, call.name, call.seqid, ResultBody(name_)));
      send(fd, reply.data(), reply.size(), MSG_NOSIGNAL);
    }
  }

  const std::string name_;
  int listen_fd_ = -1;
  uint16_t port_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = true;
  std::vector<std::string> methods_;
  std::vector<int> fds_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace trestle::router::testing
