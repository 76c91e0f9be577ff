// TcpTransport: a Transport over a connected socket.
//
// Lifetime: owns the descriptor. Threading: its loop's. Errors: see Transport.
#pragma once

#include <memory>

#include "net/event_loop.h"
#include "net/transport.h"

struct event;

namespace trestle::net {

// Options of a socket; what the configuration calls socketOptions.
struct SocketOptions {
  bool no_delay = true;
  bool keep_alive = false;
  bool reuse_address = true;  // listening sockets
  bool reuse_port = false;    // listening sockets
  int backlog = SOMAXCONN;    // listening sockets
};

class TcpTransport final : public Transport {
 public:
  // Takes the descriptor over; it is made non-blocking by whoever opened it.
  TcpTransport(EventLoop* loop, int descriptor, const Address& peer, const SocketOptions& options);
  ~TcpTransport() override;

  void Attach(Events* events) override { events_ = events; }
  void WatchRead(Watch watch) override;
  void WatchWrite(bool on) override;
  IoResult Read(char* to, size_t room) override;
  IoResult Write(const struct iovec* from, int count) override;
  void ShutdownWrite() override;
  void Close(bool reset) override;
  bool end_ahead() const override { return end_ahead_; }
  bool Readable() override;
  const net::Peer& peer() const override { return peer_; }
  int descriptor() const override { return descriptor_; }

 private:
  static void OnEvent(int descriptor, short what, void* self);
  void TellOfEnd();

  // What a call needs comes first: it is one line of the processor's cache.
  EventLoop* loop_;
  Events* events_ = nullptr;
  int descriptor_;
  Watch watch_ = Watch::kOff;
  bool end_ahead_ = false;
  event* read_ = nullptr;  // made at the first use, kept
  event* write_ = nullptr;
  net::Peer peer_;
};

}  // namespace trestle::net
