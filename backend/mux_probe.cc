#include "backend/mux_probe.h"

#include <utility>

namespace trestle::backend {

MuxProbe::MuxProbe(net::EventLoop* loop, const Options& options, net::Connector* connector,
                   const net::Address& to, Owner* owner)
    : loop_(loop), options_(options), connector_(connector), to_(to), owner_(owner) {}

void MuxProbe::Start() {
  attempt_ = connector_->Connect(to_, options_.connect_timeout,
                                 [this](base::Result<std::unique_ptr<net::Transport>> result) {
                                   loop_->DeleteLater(std::move(attempt_));
                                   OnConnected(std::move(result));
                                 });
}

void MuxProbe::GiveUp() {
  owner_ = nullptr;
  loop_->DeleteLater(std::move(attempt_));
  loop_->DeleteLater(std::move(handshake_));
}

void MuxProbe::OnConnected(base::Result<std::unique_ptr<net::Transport>> result) {
  if (!owner_) return;
  if (!result.ok()) return owner_->OnProbed(Outcome::kNotReached, result.status());
  MuxHandshake::Owner* self = this;
  handshake_ = std::make_unique<MuxHandshake>(
      loop_, std::move(*result), MuxHandshake::Purpose::kProbe, MuxHandshake::Wish{}, kTime, self);
  handshake_->Start();
}

void MuxProbe::OnAgreed(std::unique_ptr<net::Transport> transport, base::Buffer, const MuxTerms&) {
  transport->Close(false);
  loop_->DeleteLater(std::move(transport));
  loop_->DeleteLater(std::move(handshake_));
  if (owner_) owner_->OnProbed(Outcome::kMux, base::Status::Ok());
}

void MuxProbe::OnNoMux(const base::Status& why) {
  loop_->DeleteLater(std::move(handshake_));
  if (owner_) owner_->OnProbed(Outcome::kOther, why);
}

}  // namespace trestle::backend
