#include "backend/failure_accrual.h"

#include <algorithm>

namespace trestle::backend {

void FailureAccrual::OnFailure(base::TimePoint now) {
  ++failures_;
  if (!options_.enabled) {
    // Only connecting counts, and that it could.
    if (out_) Revive();
    return;
  }
  if (out_ || failures_ >= options_.failures) TakeOut(now, options_.backoff, &rounds_);
}

void FailureAccrual::OnConnectFailure(base::TimePoint now) {
  ++failures_;
  if (options_.enabled && failures_ >= options_.failures) {
    TakeOut(now, options_.backoff, &rounds_);
  } else {
    TakeOut(now, options_.connect_backoff, &connect_rounds_);
  }
}

void FailureAccrual::Revive() {
  out_ = probing_ = false;
  rounds_ = connect_rounds_ = 0;
  metrics_->revivals->Add();
}

void FailureAccrual::TakeOut(base::TimePoint now, const Backoff& backoff, uint32_t* round) {
  // Failures of calls that were given before it went out do not make its time longer.
  if (out_ && !probing_ && now < out_until_) return;
  if (!out_) metrics_->removals->Add();
  constexpr uint32_t kMaxRound = 20;
  base::Duration time = backoff.min;
  for (uint32_t i = 0; i < *round && time < backoff.max; i++) time *= 2;
  time = std::min(time, backoff.max);
  *round = std::min(*round + 1, kMaxRound);
  if (backoff.jittered) {
    auto half = time / 2;
    time = half + base::Duration(
                      static_cast<int64_t>(static_cast<double>(half.count()) * random_->Unit()));
  }
  out_ = true;
  probing_ = false;
  out_until_ = now + time;
}

}  // namespace trestle::backend
