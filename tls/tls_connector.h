// TlsConnector: a Connector whose transports speak TLS: it connects by another Connector, shakes
// hands, and verifies whom it talks to. With When::kAgreed a connection begins in clear text, and
// all of that is done when whoever has it asks for it (Secure).
//
// With TLS 1.3 a server may refuse our certificate, or the lack of one, only after the handshake is
// done for us: the connection breaks at the first read then, and its why() has the reason.
//
// Lifetime: outlives its Attempts. Threading: its loop's. Errors: as Connector's. A handshake that
// fails is kUnavailable, with the reason for people; what the inner connector says is handed on.
#pragma once

#include <memory>

#include "net/connector.h"
#include "tls/context.h"
#include "tls/sessions.h"

namespace trestle::tls {

class TlsConnector final : public net::Connector {
 public:
  enum class When { kAtOnce, kAgreed };
  // `sessions` may be null; it outlives the connections.
  TlsConnector(net::EventLoop* loop, std::unique_ptr<net::Connector> inner,
               std::shared_ptr<const ClientContext> context, ClientSessions* sessions,
               When when = When::kAtOnce)
      : loop_(loop),
        inner_(std::move(inner)),
        context_(std::move(context)),
        sessions_(sessions),
        when_(when) {}

  // `timeout` is for all of it.
  std::unique_ptr<Attempt> Connect(const net::Address& to, base::Duration timeout,
                                   Done done) override;
  std::unique_ptr<Attempt> Secure(std::unique_ptr<net::Transport> clear, base::Buffer unread,
                                  base::Duration timeout, Done done) override;

 private:
  net::EventLoop* loop_;
  std::unique_ptr<net::Connector> inner_;
  std::shared_ptr<const ClientContext> context_;
  ClientSessions* sessions_;
  When when_;
};

}  // namespace trestle::tls
