// MuxHandshake: the first words of a mux session. The probe, an Rerr that a peer which knows Tinit
// echoes; then Tinit and its Rinit. Any other first answer means that there is nothing to agree on,
// and the session begins at once.
//
// As a probe alone it tells whether the peer speaks mux at all: it answers with an Rerr. A backend
// of another protocol closes, is silent, or sends other bytes.
//
// Lifetime: of whoever waits for the end; destroyed only through EventLoop::DeleteLater.
// Threading: its worker's loop. Errors: told to its owner.
#pragma once

#include <memory>
#include <string>

#include "backend/exchange.h"
#include "backend/mux_terms.h"
#include "base/status.h"
#include "mux/frame.h"

namespace trestle::backend {

class MuxHandshake final : private Exchange {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // Either of them, once. `unread`: what came behind the last answer; it is the session's, or
    // that of TLS, which begins now if `terms` says so.
    virtual void OnAgreed(std::unique_ptr<net::Transport> transport, base::Buffer unread,
                          const MuxTerms& terms) = 0;
    // The connection is closed. kTimeout: it was silent.
    virtual void OnNoMux(const base::Status& why) = 0;
  };
  enum class Purpose : uint8_t { kSession, kProbe };

  // What is wanted from the peer.
  struct Wish {
    uint32_t fragment = INT32_MAX;            // the largest body in one frame
    mux::TlsLevel tls = mux::TlsLevel::kOff;  // of no account where the stream is in TLS already
  };
  MuxHandshake(net::EventLoop* loop, std::unique_ptr<net::Transport> transport, Purpose purpose,
               const Wish& wish, base::Duration timeout, Owner* owner);
  void Start();

 private:
  void OnBytes(base::Buffer* in) override;
  void OnBroken() override;
  void OnSilence() override;
  void OnFirst(mux::Frame* frame, base::Buffer* in);
  void OnRinit(const mux::Frame& frame, base::Buffer* in);
  void Agree(base::Buffer unread, const MuxTerms& terms);
  void Refuse(base::Code code, const std::string& why);
  const char* awaited() const { return asked_ ? "Rinit" : "the probe's answer"; }

  Purpose purpose_;
  Wish wish_;
  base::Duration time_;
  Owner* owner_;
  bool asked_ = false;  // Tinit is out
  mux::FrameDecoder frames_;
};

}  // namespace trestle::backend
