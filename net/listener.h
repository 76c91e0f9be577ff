// Listener: one listening socket. What it accepts it gives away as a bare descriptor, so that
// another loop may take it.
//
// Lifetime: closing (or destroying) it stops listening at once. Threading: its loop's. Errors:
// Listen tells why ("address already in use"); when descriptors run out, accepting pauses and
// resumes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/status.h"
#include "net/address.h"
#include "net/event_loop.h"
#include "net/tcp_transport.h"

struct event;

namespace trestle::net {

class Listener {
 public:
  // A fresh connection: the taker owns the (non-blocking) descriptor.
  using Accepted = std::function<void(int descriptor, const Address& peer)>;

  Listener(EventLoop* loop, Accepted accepted);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Binds and listens; port 0 takes a free one. Accepting begins with Start().
  base::Status Listen(const Address& at, const SocketOptions& options);
  void Start();
  void Close();
  // Accepts no more until Resume(); what waits stays in the system's queue.
  void Pause();
  void Resume();
  const Address& address() const { return address_; }

 private:
  void OnAcceptable();

  EventLoop* loop_;
  Accepted accepted_;
  Address address_;
  int descriptor_ = -1;
  event* event_ = nullptr;
  bool paused_ = false;
  Timer retry_;
};

}  // namespace trestle::net
