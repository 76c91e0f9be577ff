// Handshake: asks a fresh connection for the upgrade to TTwitter, before any call goes on it.
//
// Lifetime: of the Opening that waits for the answer. Threading: its worker's loop. Errors: none; a
// backend that does not answer as it should is one that wants to be spoken to plainly.
#pragma once

#include <cstdint>
#include <memory>

#include "backend/exchange.h"
#include "thrift/dialect.h"
#include "thrift/message.h"

namespace trestle::backend {

// What a backend says to the upgrade.
enum class Answer : uint8_t {
  kAccepted,  // a message of any type but exception
  kRefused,   // an exception: plain, on the same connection
  kHungUp,    // it closed the connection, or sent what is no answer
  kSilent,    // nothing in time
};

class Handshake final : private Exchange {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // Once. `transport`: the connection, if it can be used; else it is closed. The Handshake may be
    // destroyed only through EventLoop::DeleteLater.
    virtual void OnAnswer(Answer answer, std::unique_ptr<net::Transport> transport) = 0;
  };

  Handshake(net::EventLoop* loop, std::unique_ptr<net::Transport> transport,
            const thrift::Dialect& dialect, base::Duration timeout, Owner* owner);
  void Start();

 private:
  void OnBytes(base::Buffer* in) override;
  void OnBroken() override { Give(Answer::kHungUp, false); }
  void OnSilence() override { Give(Answer::kSilent, false); }
  void Give(Answer answer, bool usable);

  thrift::Dialect dialect_;
  Owner* owner_;
};

}  // namespace trestle::backend
