// Handshake: asks a fresh connection for the upgrade to TTwitter, before any call goes on it.
//
// Lifetime: of the Opening that waits for the answer. Threading: its worker's loop. Errors: none; a
// backend that does not answer as it should is one that wants to be spoken to plainly.
#pragma once

#include <cstdint>
#include <memory>

#include "base/buffer.h"
#include "base/clock.h"
#include "net/event_loop.h"
#include "net/transport.h"
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

class Handshake final : private net::Transport::Events {
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
  void OnReadable() override;
  void OnWritable() override { Write(); }
  void OnHangup() override { Give(Answer::kHungUp, false); }
  void OnEndAhead() override {}

  void Write();
  // Looks for the answer in what came so far.
  void Read();
  void Give(Answer answer, bool usable);

  net::EventLoop* loop_;
  std::unique_ptr<net::Transport> transport_;
  thrift::Dialect dialect_;
  base::Duration timeout_;
  Owner* owner_;
  base::Buffer in_, out_;
  bool blocked_ = false;
  net::Timer timer_;
};

}  // namespace trestle::backend
