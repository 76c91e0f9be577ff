// Refused: calls that a session does not write, as their bytes would harm its connection. They fail
// at the end of the turn, when whoever handed them over is through with it.
//
// Lifetime: of its session. Threading: its worker's loop. Errors: this is about them.
#pragma once

#include <vector>

#include "call/call.h"
#include "net/event_loop.h"

namespace trestle::backend {

class Refused final : private net::TurnEnd, private call::Holder {
 public:
  explicit Refused(net::EventLoop* loop) : loop_(loop) {}
  ~Refused() override;
  // `why`: static text.
  void Add(call::Call* call, const char* why);
  // What is said of a call that cannot be written.
  static base::Status Why(const char* why);

 private:
  struct One {
    call::Call* call;
    const char* why;
  };

  void OnTurnEnd() override;
  void OnCancel(call::Call* call) override;

  net::EventLoop* loop_;
  std::vector<One> calls_;
};

}  // namespace trestle::backend
