// Endpoint: one address of a Client on one worker: its pool, its load, and whether it gets calls.
//
// Lifetime: owned by its Client; one that left the set lives on until its last call is over.
// Threading: its worker's loop. Errors: told to the EndpointOwner.
#pragma once

#include <string>

#include "backend/failure_accrual.h"
#include "backend/pool.h"
#include "naming/addr.h"

namespace trestle::backend {

class Endpoint;

class EndpointOwner {
 public:
  virtual ~EndpointOwner() = default;
  // The call was lost at `endpoint`; see SessionOwner::OnLost.
  virtual void OnLost(Endpoint* endpoint, call::Call* call, call::Step step,
                      const base::Status& why, bool left, bool reached) = 0;
  virtual void OnNacked(Endpoint* endpoint, call::Call* call, const base::Status& why) = 0;
  // It left the set and nothing of it is in use.
  virtual void OnUnused(Endpoint* endpoint) = 0;
};

class Endpoint final : private PoolOwner {
 public:
  Endpoint(net::EventLoop* loop, const Options& options, net::Connector* connector,
           const naming::Endpoint& named, const net::Address& address, PoolMetrics* pool_metrics,
           AccrualMetrics* accrual_metrics, base::Random* random, EndpointOwner* owner);

  void Take(call::Call* call) {
    ++load_;
    accrual_.OnPicked();
    pool_.Take(call);
  }
  void Retire() { pool_.Retire(); }
  void Warm() { pool_.Warm(); }
  // The options are others now. `connector`: null, or all connections are to be made anew with it.
  void Reconfigure(net::Connector* connector) {
    if (connector) pool_.Renew(connector);
    pool_.OnOptions();
  }

  const naming::Endpoint& named() const { return named_; }
  // Of this worker, never given twice: memory is, when an endpoint has left.
  uint64_t number() const { return number_; }
  // The same address, perhaps with another weight.
  void Rename(const naming::Endpoint& named) { named_ = named; }
  double weight() const { return named_.weight; }
  uint32_t load() const { return load_; }  // calls given and not yet over
  bool Available(base::TimePoint now) const {
    return accrual_.Available(now) && pool_.Welcome(now);
  }
  const FailureAccrual& accrual() const { return accrual_; }
  const Pool& pool() const { return pool_; }
  double round_robin_credit = 0;  // the balancer's own

 private:
  void OnSuccess() override;
  void OnLetGo(bool slow) override;
  void OnConnectFailed(bool counts) override {
    counts ? accrual_.OnConnectFailure(loop_->Now()) : accrual_.OnNothing();
  }
  void OnLost(call::Call* call, call::Step step, const base::Status& why, bool left, bool counts,
              bool reached) override;
  void OnNacked(call::Call* call, const base::Status& why) override;
  void OnEmpty() override { owner_->OnUnused(this); }

  static uint64_t NextNumber();

  const uint64_t number_ = NextNumber();
  net::EventLoop* loop_;
  naming::Endpoint named_;
  FailureAccrual accrual_;
  EndpointOwner* owner_;
  uint32_t load_ = 0;
  Pool pool_;
};

}  // namespace trestle::backend
