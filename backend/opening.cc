#include "backend/opening.h"

#include <utility>

namespace trestle::backend {

Opening::Opening(net::EventLoop* loop, const Options& options, net::Connector* connector,
                 const net::Address& to, thrift::Protocol protocol, bool ask, Owner* owner)
    : loop_(loop),
      options_(options),
      connector_(connector),
      to_(to),
      protocol_(protocol),
      ask_(ask),
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
}

void Opening::OnConnected(base::Result<std::unique_ptr<net::Transport>> result) {
  if (!owner_) return;
  if (!result.ok() || !ask_) return owner_->OnOpened(this, std::move(result));
  Handshake::Owner* self = this;
  handshake_ = std::make_unique<Handshake>(loop_, std::move(*result),
                                           thrift::Dialect{options_.framing, protocol_},
                                           options_.connect_timeout, self);
  handshake_->Start();
}

void Opening::OnAnswer(Answer answer, std::unique_ptr<net::Transport> transport) {
  // The transport is the one whose event this is.
  if (!owner_) return loop_->DeleteLater(std::move(transport));
  loop_->DeleteLater(std::move(handshake_));
  ask_ = false;
  upgraded_ = answer == Answer::kAccepted && transport != nullptr;
  owner_->OnAnswer(this, answer);
  if (!owner_) return loop_->DeleteLater(std::move(transport));
  if (transport) return owner_->OnOpened(this, std::move(transport));
  Connect();
}

}  // namespace trestle::backend
