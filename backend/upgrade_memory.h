// UpgradeMemory: what an endpoint said when it was asked for the upgrade to TTwitter, and whether a
// new connection to it is to be asked.
//
// Lifetime: of a Pool. Threading: its worker's loop. Errors: none.
#pragma once

#include "backend/handshake.h"
#include "base/clock.h"

namespace trestle::backend {

class UpgradeMemory {
 public:
  // A refusal is a word that holds; one who hangs up or says nothing may just have been restarted.
  static constexpr base::Duration kRefusedFor = std::chrono::minutes(10);
  static constexpr base::Duration kNoAnswerFor = std::chrono::minutes(1);

  enum class Next {
    kAsk,    // the new connection asks
    kPlain,  // it does not
    kWait,   // another one asks for the first time: its answer tells
  };
  Next For(base::TimePoint now) const {
    if (state_ == State::kAccepts) return Next::kAsk;
    if (state_ == State::kUnknown) return asking_ ? Next::kWait : Next::kAsk;
    return asking_ || now < until_ ? Next::kPlain : Next::kAsk;
  }
  // A connection that asks is being opened; and it came to nothing.
  void OnAsking() { asking_ = true; }
  void OnGivenUp() { asking_ = false; }
  // True when an endpoint that was spoken to plainly accepts now.
  bool OnAnswer(Answer answer, base::TimePoint now) {
    asking_ = false;
    if (answer == Answer::kAccepted) {
      const bool turned = state_ == State::kPlain;
      state_ = State::kAccepts;
      return turned;
    }
    state_ = State::kPlain;
    until_ = now + (answer == Answer::kRefused ? kRefusedFor : kNoAnswerFor);
    return false;
  }

 private:
  enum class State { kUnknown, kAccepts, kPlain } state_ = State::kUnknown;
  bool asking_ = false;
  base::TimePoint until_{};
};

}  // namespace trestle::backend
