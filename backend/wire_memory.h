// WireMemory: whether an endpoint speaks mux, as its probe told, and whether it is to be probed.
//
// Lifetime: of a Pool. Threading: its worker's loop. Errors: none.
#pragma once

#include "backend/options.h"
#include "base/clock.h"

namespace trestle::backend {

class WireMemory {
 public:
  // When it could not be reached; what was known holds on.
  static constexpr base::Duration kNotReachedFor = std::chrono::minutes(1);

  // kAuto until the first outcome.
  Wire wire() const { return wire_; }
  bool Due(base::TimePoint now) const {
    return !asking_ && (wire_ == Wire::kAuto || now >= until_);
  }
  void OnAsking() { asking_ = true; }
  void OnNotReached(base::TimePoint now) {
    asking_ = false;
    until_ = now + kNotReachedFor;
  }
  // True when it is another than was known.
  bool OnOutcome(Wire wire, base::TimePoint until) {
    asking_ = false;
    until_ = until;
    const bool turned = wire != wire_;
    wire_ = wire;
    return turned;
  }
  // It did not do as it was known to.
  void Doubt() { until_ = {}; }

 private:
  Wire wire_ = Wire::kAuto;
  bool asking_ = false;
  base::TimePoint until_{};
};

}  // namespace trestle::backend
