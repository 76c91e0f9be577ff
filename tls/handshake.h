// Accepting: a client's connection until it speaks TLS.
//
// Lifetime: destroying it gives up and closes the connection; `done` is not called then. Threading:
// its loop's. Errors: kTimeout; kCancelled: the client went without a word, as health checks do;
// kClosed: all else. With a text for people that has the client's address.
#pragma once

#include <functional>
#include <memory>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/status.h"
#include "net/event_loop.h"
#include "net/transport.h"
#include "tls/context.h"
#include "tls/tls_transport.h"

namespace trestle::tls {

class Accepting final : private net::Transport::Events {
 public:
  using Done = std::function<void(base::Result<std::unique_ptr<net::Transport>>)>;

  // `done` is called once, never from within this call; nothing is watched of what it gets. It may
  // destroy the Accepting only through EventLoop::DeleteLater. `timeout`: from now until the end of
  // the handshake. `unread`: what was read of the stream already.
  Accepting(net::EventLoop* loop, std::unique_ptr<net::Transport> transport,
            std::shared_ptr<const ServerContext> context, base::Duration timeout, Done done,
            base::Buffer unread = {});
  ~Accepting() override;

 private:
  void OnReadable() override;
  void OnWritable() override {}
  void OnHangup() override {}
  void OnEndAhead() override {}
  void OnTime();
  void Fail(base::Code code, const std::string& what);
  void Finish(base::Result<std::unique_ptr<net::Transport>> result);

  net::EventLoop* loop_;
  std::unique_ptr<TlsTransport> tls_;
  base::Duration timeout_;
  Done done_;
  net::Timer timer_;
};

}  // namespace trestle::tls
