// Connector: opens Transports to endpoints. A pool is handed one and cannot tell TCP from TLS from
// memory.
//
// Lifetime: outlives its Attempts. Threading: its loop's. Errors: the callback gets a Status:
// kUnavailable (refused, unreachable), kTimeout, or kInternal: this machine is out of descriptors
// or memory, and the endpoint was not asked.
#pragma once

#include <functional>
#include <memory>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/status.h"
#include "net/address.h"
#include "net/event_loop.h"
#include "net/tcp_transport.h"
#include "net/transport.h"

namespace trestle::net {

class Connector {
 public:
  using Done = std::function<void(base::Result<std::unique_ptr<Transport>>)>;
  // A connection being opened; destroying it gives up, and `done` is not called.
  class Attempt {
   public:
    virtual ~Attempt() = default;
  };

  virtual ~Connector() = default;
  // `done` is called once, never from within this call. It may destroy the Attempt only through
  // EventLoop::DeleteLater.
  virtual std::unique_ptr<Attempt> Connect(const Address& to, base::Duration timeout,
                                           Done done) = 0;
  // The same for a connection that it opened, which is to go over to TLS behind an agreement in
  // clear text; `unread`: what was read behind that. Nothing where it knows no TLS.
  virtual std::unique_ptr<Attempt> Secure(std::unique_ptr<Transport>, base::Buffer, base::Duration,
                                          Done) {
    return nullptr;
  }
};

class TcpConnector final : public Connector {
 public:
  TcpConnector(EventLoop* loop, const SocketOptions& options) : loop_(loop), options_(options) {}
  std::unique_ptr<Attempt> Connect(const Address& to, base::Duration timeout, Done done) override;

 private:
  EventLoop* loop_;
  SocketOptions options_;
};

}  // namespace trestle::net
