#include "backend/opening.h"

#include <utility>

namespace trestle::backend {

Opening::Opening(net::EventLoop* loop, const Options& options, net::Connector* connector,
                 const net::Address& to, const What& what, Owner* owner)
    : loop_(loop),
      options_(options),
      connector_(connector),
      to_(to),
      what_(what),
      owner_(owner),
      started_(loop->Now()) {}

void Opening::Connect() {
  attempt_ = connector_->Connect(to_, options_.connect_timeout,
                                 [this](base::Result<std::unique_ptr<net::Transport>> result) {
                                   loop_->DeleteLater(std::move(attempt_));
                                   OnConnected(std::move(result));
                                 });
}

// The attempt or the handshake may be in the event at hand: they end with the turn.
void Opening::GiveUp() {
  owner_ = nullptr;
  loop_->DeleteLater(std::move(attempt_));
  loop_->DeleteLater(std::move(handshake_));
  loop_->DeleteLater(std::move(mux_));
}

void Opening::OnConnected(base::Result<std::unique_ptr<net::Transport>> result) {
  if (!owner_) return;
  if (!result.ok()) return owner_->OnOpened(this, result.status());
  connected_ = true;
  if (what_.wire == Wire::kMux) {
    MuxHandshake::Owner* self = this;
    const MuxHandshake::Wish wish{options_.mux_fragment, options_.mux_tls};
    mux_ =
        std::make_unique<MuxHandshake>(loop_, std::move(*result), MuxHandshake::Purpose::kSession,
                                       wish, options_.connect_timeout, self);
    return mux_->Start();
  }
  if (options_.mux_tls == mux::TlsLevel::kRequired) {
    (*result)->Close(false);
    loop_->DeleteLater(std::move(*result));
    return owner_->OnOpened(
        this, base::Status(base::Code::kUnavailable,
                           "tls.opportunistic is required, and " + to_.Show() + " speaks no mux"));
  }
  if (!what_.ask) return owner_->OnOpened(this, Opened{std::move(*result), {}, {}});
  Handshake::Owner* self = this;
  handshake_ = std::make_unique<Handshake>(loop_, std::move(*result),
                                           thrift::Dialect{options_.framing, what_.protocol},
                                           options_.connect_timeout, self);
  handshake_->Start();
}

void Opening::OnAnswer(Answer answer, std::unique_ptr<net::Transport> transport) {
  // The transport is the one whose event this is.
  if (!owner_) return loop_->DeleteLater(std::move(transport));
  loop_->DeleteLater(std::move(handshake_));
  what_.ask = false;
  upgraded_ = answer == Answer::kAccepted && transport != nullptr;
  owner_->OnAnswer(this, answer);
  if (!owner_) return loop_->DeleteLater(std::move(transport));
  if (transport) return owner_->OnOpened(this, Opened{std::move(transport), {}, {}});
  Connect();
}

void Opening::OnAgreed(std::unique_ptr<net::Transport> transport, base::Buffer unread,
                       const MuxTerms& terms) {
  if (!owner_) return loop_->DeleteLater(std::move(transport));
  loop_->DeleteLater(std::move(mux_));
  if (!terms.tls) {
    return owner_->OnOpened(this, Opened{std::move(transport), std::move(unread), terms});
  }
  attempt_ =
      connector_->Secure(std::move(transport), std::move(unread), options_.connect_timeout,
                         [this, terms](base::Result<std::unique_ptr<net::Transport>> secured) {
                           loop_->DeleteLater(std::move(attempt_));
                           OnSecured(std::move(secured), terms);
                         });
  if (attempt_) return;
  owner_->OnOpened(this, base::Status(base::Code::kInternal, "TLS was agreed on, and is unknown"));
}

void Opening::OnSecured(base::Result<std::unique_ptr<net::Transport>> result,
                        const MuxTerms& terms) {
  if (!owner_) return;
  if (!result.ok()) return owner_->OnOpened(this, result.status());
  owner_->OnOpened(this, Opened{std::move(*result), {}, terms});
}

void Opening::OnNoMux(const base::Status& why) {
  if (!owner_) return;
  loop_->DeleteLater(std::move(mux_));
  owner_->OnOpened(this, why);
}

}  // namespace trestle::backend
