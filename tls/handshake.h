// Accepting: a client's connection until it speaks TLS, or, where both are welcome, until it is
// known which of TLS and clear text it speaks.
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
  enum class Mode {
    kTls,
    // TLS is told from clear text by its first two bytes (16 03: as a frame of Thrift it would be
    // one of 369 MB). A client that is silent for `timeout` is taken for one of clear text: it may
    // wait in a pool for hours.
    kOptional,
  };
  struct Accepted {
    std::unique_ptr<net::Transport> transport;  // nothing is watched
    bool tls = false;
    base::Buffer unread;  // clear bytes that were read already
  };
  using Done = std::function<void(base::Result<Accepted>)>;

  // `done` is called once, never from within this call. It may destroy the Accepting only through
  // EventLoop::DeleteLater. `timeout`: from now until the end of the handshake. `unread`: what was
  // read behind an agreement in clear text; kTls only.
  Accepting(net::EventLoop* loop, std::unique_ptr<net::Transport> transport,
            std::shared_ptr<const ServerContext> context, Mode mode, base::Duration timeout,
            Done done, base::Buffer unread = {});
  ~Accepting() override;

 private:
  void OnReadable() override;
  void OnWritable() override {}
  void OnHangup() override {}
  void OnEndAhead() override {}
  void BeginTls(std::unique_ptr<net::Transport> inner);
  void Look();
  void OnTime();
  void GiveClear();
  void Fail(base::Code code, const std::string& what);
  void Finish(base::Result<Accepted> result);

  net::EventLoop* loop_;
  std::unique_ptr<net::Transport> clear_;  // while it is not known what it speaks
  std::unique_ptr<TlsTransport> tls_;
  std::shared_ptr<const ServerContext> context_;
  base::Duration timeout_;
  base::Buffer unread_;
  Done done_;
  net::Timer timer_;
};

}  // namespace trestle::tls
