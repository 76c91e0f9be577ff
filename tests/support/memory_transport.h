// MemoryTransport: two ends of a stream in memory, so that sessions are tested without a socket.
//
// Lifetime: each end lives by itself; the pipe between them is shared. Threading: one loop, driven
// by EventLoop::Poll(). What one end writes, the other is told of in a later turn.
#pragma once

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "net/connector.h"
#include "net/event_loop.h"
#include "net/transport.h"

namespace trestle::tests {

class MemoryTransport final : public net::Transport {
 public:
  // The two ends. `capacity`: bytes that one direction takes before it is full.
  static std::pair<std::unique_ptr<MemoryTransport>, std::unique_ptr<MemoryTransport>> Pair(
      net::EventLoop* loop, size_t capacity = 1 << 20) {
    auto a = std::make_shared<Half>();
    auto b = std::make_shared<Half>();
    a->capacity = b->capacity = capacity;
    std::unique_ptr<MemoryTransport> left(new MemoryTransport(loop, a, b));
    std::unique_ptr<MemoryTransport> right(new MemoryTransport(loop, b, a));
    a->reader = left.get();
    b->reader = right.get();
    return {std::move(left), std::move(right)};
  }
  ~MemoryTransport() override { Close(false); }

  void Attach(Events* events) override { events_ = events; }
  void WatchRead(Watch watch) override {
    watch_ = watch;
    Wake();
  }
  void WatchWrite(bool on) override {
    want_write_ = on;
    Wake();
  }
  net::IoResult Read(char* to, size_t room) override {
    if (in_->reset) return {net::IoResult::Kind::kBroken, 0, ECONNRESET};
    if (in_->bytes.empty()) {
      return {in_->ended ? net::IoResult::Kind::kEnd : net::IoResult::Kind::kAgain};
    }
    size_t n = std::min({room, in_->bytes.size(), max_read_});
    std::copy(in_->bytes.begin(), in_->bytes.begin() + static_cast<ptrdiff_t>(n), to);
    in_->bytes.erase(0, n);
    Wake();
    if (out_->reader) out_->reader->Wake();
    return {net::IoResult::Kind::kBytes, n};
  }
  net::IoResult Write(const struct iovec* from, int count) override {
    ++writes_;
    if (out_->reset || in_->reset || closed_ || writes_break_) {
      return {net::IoResult::Kind::kBroken, 0, EPIPE};
    }
    size_t done = 0;
    for (int i = 0; i < count; i++) {
      size_t n = std::min(from[i].iov_len, out_->capacity - out_->bytes.size());
      out_->bytes.append(static_cast<const char*>(from[i].iov_base), n);
      done += n;
      if (n < from[i].iov_len) break;
    }
    if (out_->reader) out_->reader->Wake();
    if (done == 0) return {net::IoResult::Kind::kAgain};
    return {net::IoResult::Kind::kBytes, done};
  }
  void ShutdownWrite() override {
    out_->ended = true;
    if (out_->reader) out_->reader->Wake();
  }
  void Close(bool reset) override {
    if (closed_) return;
    closed_ = true;
    in_->reader = nullptr;
    if (reset) out_->reset = true;
    ShutdownWrite();
  }
  bool end_ahead() const override { return in_->ended; }
  bool Readable() override { return !in_->bytes.empty() || in_->ended || in_->reset; }
  const net::Peer& peer() const override { return peer_; }
  int descriptor() const override { return -1; }

  // --- for tests ---
  bool closed() const { return closed_; }
  // Everything that came so far and was not read.
  std::string TakeAll() { return std::exchange(in_->bytes, std::string()); }
  void Send(std::string_view bytes) {
    struct iovec one {
      const_cast<char*>(bytes.data()), bytes.size()
    };
    Write(&one, 1);
  }
  // The other end said that it will write no more (or closed).
  bool peer_ended() const { return in_->ended; }
  bool peer_reset() const { return in_->reset; }
  // At most so many bytes in one read of this end (1: byte by byte).
  void set_max_read(size_t n) { max_read_ = n; }
  int writes() const { return writes_; }
  // As after a peer that closed with bytes unread: what it sent before can still be read.
  void break_writes() { writes_break_ = true; }
  void set_peer(net::Peer peer) { peer_ = std::move(peer); }

 private:
  struct Half {
    std::string bytes;
    size_t capacity = 0;
    bool ended = false;
    bool reset = false;
    MemoryTransport* reader = nullptr;
  };
  MemoryTransport(net::EventLoop* loop, std::shared_ptr<Half> in, std::shared_ptr<Half> out)
      : loop_(loop), in_(std::move(in)), out_(std::move(out)) {}

  // Looks in the next turn whether there is something to tell.
  void Wake() {
    if (!events_ || closed_) return;
    loop_->Post([weak = std::weak_ptr<MemoryTransport*>(self_)] {
      if (auto self = weak.lock()) (*self)->Tell();
    });
  }
  void Tell() {
    if (closed_) return;
    bool readable = !in_->bytes.empty() || in_->ended || in_->reset;
    if (watch_ == Watch::kRead && readable) {
      auto alive = std::weak_ptr<MemoryTransport*>(self_);
      events_->OnReadable();
      if (alive.expired() || closed_) return;
      // Level-triggered, as sockets are watched.
      if (watch_ == Watch::kRead && (!in_->bytes.empty() || in_->reset)) Wake();
    } else if (watch_ == Watch::kHangup && in_->reset) {
      return events_->OnHangup();
    } else if (watch_ == Watch::kHangup && in_->ended) {
      auto alive = std::weak_ptr<MemoryTransport*>(self_);
      events_->OnEndAhead();
      if (alive.expired()) return;
    }
    if (!closed_ && want_write_ && out_->bytes.size() < out_->capacity) events_->OnWritable();
  }

  net::EventLoop* loop_;
  std::shared_ptr<Half> in_, out_;
  Events* events_ = nullptr;
  Watch watch_ = Watch::kOff;
  bool want_write_ = false;
  bool closed_ = false;
  bool writes_break_ = false;
  size_t max_read_ = ~size_t{0};
  int writes_ = 0;
  net::Peer peer_;
  std::shared_ptr<MemoryTransport*> self_ = std::make_shared<MemoryTransport*>(this);
};

// Turns the loop until nothing happens any more.
inline void Settle(net::EventLoop* loop) {
  for (int i = 0; i < 10'000 && loop->Poll(); i++) {
  }
}

}  // namespace trestle::tests
