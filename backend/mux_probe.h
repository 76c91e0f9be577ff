// MuxProbe: asks an endpoint, on a connection of its own, whether it speaks mux.
//
// Lifetime: of its Pool; destroying it gives up. Threading: its worker's loop. Errors: told to its
// owner, once.
#pragma once

#include <memory>

#include "backend/mux_handshake.h"
#include "backend/options.h"
#include "net/connector.h"

namespace trestle::backend {

class MuxProbe final : private MuxHandshake::Owner {
 public:
  // Of the answer; connecting has its own time.
  static constexpr base::Duration kTime = std::chrono::seconds(1);

  enum class Outcome : uint8_t {
    kMux,
    kOther,       // it closed, was silent, or sent other bytes
    kNotReached,  // that tells nothing
  };
  class Owner {
   public:
    virtual ~Owner() = default;
    // `why`: kOther and kNotReached. The probe may be destroyed only through
    // EventLoop::DeleteLater.
    virtual void OnProbed(Outcome outcome, const base::Status& why) = 0;
  };

  MuxProbe(net::EventLoop* loop, const Options& options, net::Connector* connector,
           const net::Address& to, Owner* owner);
  void Start();
  // Nothing is told any more, whatever comes until it is destroyed.
  void GiveUp();

 private:
  void OnConnected(base::Result<std::unique_ptr<net::Transport>> result);
  void OnAgreed(std::unique_ptr<net::Transport> transport, base::Buffer unread,
                const MuxTerms& terms) override;
  void OnNoMux(const base::Status& why) override;

  net::EventLoop* loop_;
  const Options& options_;
  net::Connector* connector_;
  net::Address to_;
  Owner* owner_;  // null: given up
  std::unique_ptr<net::Connector::Attempt> attempt_;
  std::unique_ptr<MuxHandshake> handshake_;
};

}  // namespace trestle::backend
