#include "backend/endpoint.h"

namespace trestle::backend {

uint64_t Endpoint::NextNumber() {
  thread_local uint64_t last = 0;
  return ++last;
}

Endpoint::Endpoint(net::EventLoop* loop, const Options& options, net::Connector* connector,
                   const naming::Endpoint& named, const net::Address& address,
                   PoolMetrics* pool_metrics, AccrualMetrics* accrual_metrics, base::Random* random,
                   EndpointOwner* owner)
    : loop_(loop),
      named_(named),
      accrual_(options.accrual, accrual_metrics, random),
      owner_(owner),
      pool_(loop, options, connector, address, pool_metrics, this) {}

void Endpoint::OnSuccess() {
  --load_;
  accrual_.OnSuccess();
}

void Endpoint::OnLetGo(bool slow) {
  --load_;
  if (slow) {
    accrual_.OnFailure(loop_->Now());
  } else {
    accrual_.OnNothing();
  }
}

void Endpoint::OnLost(call::Call* call, call::Step step, const base::Status& why, bool left,
                      bool counts, bool reached) {
  --load_;
  // An idle connection that the backend closed says nothing of its health.
  if (counts) {
    accrual_.OnFailure(loop_->Now());
  } else if (reached && !left) {
    accrual_.OnNothing();
  }
  owner_->OnLost(this, call, step, why, left, reached);
}

// A backend that says so is well.
void Endpoint::OnNacked(call::Call* call, const base::Status& why) {
  --load_;
  accrual_.OnNothing();
  owner_->OnNacked(this, call, why);
}

}  // namespace trestle::backend
