// FailureAccrual: whether an endpoint gets calls. Failures in a row, or a connect failure, take it
// out for a growing while; then one call probes it.
//
// Lifetime: of its endpoint. Threading: its worker's loop. Errors: none.
#pragma once

#include <cstdint>

#include "backend/options.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"

namespace trestle::backend {

// The cells of …/failure_accrual.
struct AccrualMetrics {
  explicit AccrualMetrics(base::Scope* scope)
      : removals(scope->counter("removals")),
        revivals(scope->counter("revivals")),
        probes(scope->counter("probes")) {}
  base::Counter *removals, *revivals, *probes;
};

class FailureAccrual {
 public:
  FailureAccrual(const AccrualOptions& options, AccrualMetrics* metrics, base::Random* random)
      : options_(options), metrics_(metrics), random_(random) {}

  // In, or its time is over and nobody probes it yet.
  bool Available(base::TimePoint now) const { return !out_ || (now >= out_until_ && !probing_); }
  bool out() const { return out_; }
  base::TimePoint out_until() const { return out_until_; }

  // A call was given to the endpoint.
  void OnPicked() {
    if (!out_) return;
    probing_ = true;
    metrics_->probes->Add();
  }
  // A reply came.
  void OnSuccess() {
    failures_ = 0;
    if (out_) Revive();
  }
  // The call was lost at the endpoint: connection broken, timeout, bad reply.
  void OnFailure(base::TimePoint now);
  void OnConnectFailure(base::TimePoint now);
  // The probe ended and says nothing (its client went away).
  void OnNothing() { probing_ = false; }

 private:
  void Revive();
  void TakeOut(base::TimePoint now, const Backoff& backoff, uint32_t* round);

  const AccrualOptions& options_;
  AccrualMetrics* metrics_;
  base::Random* random_;
  bool out_ = false;
  bool probing_ = false;
  uint32_t failures_ = 0;
  uint32_t rounds_ = 0, connect_rounds_ = 0;
  base::TimePoint out_until_{};
};

}  // namespace trestle::backend
