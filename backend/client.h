// Client: everything of one worker that leads to one concrete name ("/#/io.l5d.fs/users"): the live
// set of its endpoints, a balancer over them, their pools, and the budget for sending calls again.
//
// Lifetime: owned by the router's client cache, used by bound names. Threading: its worker's loop.
// Errors: a call that cannot be served fails with the step that failed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/balancer.h"
#include "backend/endpoint.h"
#include "backend/options.h"
#include "backend/retry_budget.h"
#include "base/metrics.h"
#include "call/call.h"
#include "call/failure_counters.h"
#include "naming/addr.h"
#include "net/connector.h"

namespace trestle::backend {

// The cells of rt/LABEL/client/ID.
struct ClientMetrics {
  explicit ClientMetrics(base::Scope* scope);
  base::Scope* scope;
  PoolMetrics pool;
  AccrualMetrics accrual;
  base::Counter *requeues, *budget_exhausted, *updates, *adds, *removes;
  base::Gauge* size;
};

class Client final : private EndpointOwner, private call::Holder {
 public:
  Client(net::EventLoop* loop, std::string id, Options options,
         std::unique_ptr<net::Connector> connector, base::Random* random, base::Scope* scope);
  ~Client() override;

  // The set changed. A failed or pending value does not replace a good one.
  void Update(std::shared_ptr<const naming::Addr> addr);
  // Sends `call` to an endpoint. While the address is pending it waits, until call->bind_deadline.
  void Dispatch(call::Call* call);

  // New options: how connections are made and what is spoken on them holds for new ones, and those
  // of before are closed as they become idle; everything else holds at once. Without a
  // `connector` (null: it would be the same) the one of before stays.
  void Reconfigure(const Options& options, std::unique_ptr<net::Connector> connector);

  const std::string& id() const { return id_; }
  const naming::Addr& addr() const { return *addr_; }
  size_t endpoints() const { return endpoints_.size(); }

 private:
  void OnLost(Endpoint* endpoint, call::Call* call, call::Step step, const base::Status& why,
              bool left, bool reached) override;
  void OnNacked(Endpoint* endpoint, call::Call* call, const base::Status& why) override;
  void OnUnused(Endpoint* endpoint) override;
  void OnCancel(call::Call* call) override;

  void Try(call::Call* call);
  // Sends it again if the budget has something left, else fails it.
  void TryAgain(call::Call* call, call::Step step, const base::Status& why);
  void FailUnbound(call::Call* call);
  bool SetEndpoints(const std::vector<naming::Endpoint>& named);
  void FillBalancer();
  // That no endpoint of the set is left to try for it.
  bool AllTried(const call::Call& call) const;
  void ServeWaiting();
  void OnWaitOver();

  net::EventLoop* loop_;
  std::string id_;
  Options options_;  // changed in place: all parts refer to it
  std::unique_ptr<net::Connector> connector_;
  base::Random* random_;
  ClientMetrics metrics_;
  RetryBudget budget_;
  std::shared_ptr<const naming::Addr> addr_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  std::vector<std::unique_ptr<Endpoint>> leaving_;
  std::unique_ptr<Balancer> balancer_;
  call::Queue waiting_;  // for the first address
  net::Timer wait_timer_;
};

}  // namespace trestle::backend
