// Pool: the connections of one worker to one endpoint, each for one call at a time, and the calls
// that wait for one.
//
// Lifetime: of its Endpoint. Threading: its worker's loop. Errors: told to its PoolOwner.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "backend/options.h"
#include "backend/thrift_session.h"
#include "base/metrics.h"
#include "call/call.h"
#include "net/connector.h"

namespace trestle::backend {

// The cells of rt/LABEL/client/ID that pools write.
struct PoolMetrics {
  explicit PoolMetrics(base::Scope* scope);
  base::Counter *connects, *failed_connects, *closes, *sent_bytes, *received_bytes, *stray_answers;
  base::Counter *num_waited, *too_many_waiters;
  base::Gauge *connections, *cached, *waiters;
  base::Histogram* connect_latency;
};

// Who owns the endpoint of the pool.
class PoolOwner {
 public:
  virtual ~PoolOwner() = default;
  virtual void OnSuccess() = 0;
  virtual void OnLetGo(bool out_of_time) = 0;
  virtual void OnConnectFailed() = 0;
  // See SessionOwner::OnLost. `reached`: a connection had been there.
  virtual void OnLost(call::Call* call, call::Step step, const base::Status& why, bool left,
                      bool reached) = 0;
  // Nothing is left of a pool that was retired.
  virtual void OnEmpty() = 0;
};

class Pool final : private SessionOwner, private call::Holder {
 public:
  Pool(net::EventLoop* loop, const Options& options, net::Connector* connector,
       const net::Address& to, PoolMetrics* metrics, PoolOwner* owner);
  ~Pool() override;
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Sends `call` on a connection, at once or when there is one.
  void Take(call::Call* call);
  // Opens connections up to minSize.
  void Warm();
  // No new calls: idle connections close now, others after their call.
  void Retire();
  bool empty() const { return sessions_.empty() && attempts_.empty() && waiters_.empty(); }
  size_t open() const { return sessions_.size(); }
  uint32_t waiting() const { return waiters_.size(); }

 private:
  void OnIdle(ThriftSession* session) override;
  void OnDead(ThriftSession* session) override;
  void OnSuccess() override { owner_->OnSuccess(); }
  void OnLetGo(bool out_of_time) override { owner_->OnLetGo(out_of_time); }
  void OnLost(call::Call* call, call::Step step, const base::Status& why, bool left) override {
    owner_->OnLost(call, step, why, left, true);
  }
  void OnStrayAnswer() override { metrics_->stray_answers->Add(); }
  void OnCancel(call::Call* call) override;

  void Open();
  void OnOpened(uint64_t id, base::Result<std::unique_ptr<net::Transport>> result);
  void OnOpenFailed(const base::Status& why);
  // The first who waits goes elsewhere.
  void LoseWaiter(const base::Status& why);
  // Of a retired pool without connections: who still waits goes elsewhere.
  void Empty();
  ThriftSession* PickIdle() const;
  void Forget(ThriftSession* session);
  void CountBytes(ThriftSession* session);
  bool TooOld(const ThriftSession& session) const;
  void CloseIdle();
  void ArmIdle();

  net::EventLoop* loop_;
  const Options& options_;
  net::Connector* connector_;
  net::Address to_;
  PoolMetrics* metrics_;
  PoolOwner* owner_;
  std::unordered_set<ThriftSession*> sessions_;  // owned
  std::vector<ThriftSession*> idle_;             // the one used last at the end
  std::unordered_map<uint64_t, std::unique_ptr<net::Connector::Attempt>> attempts_;
  uint64_t next_attempt_ = 0;
  call::Queue waiters_;
  bool retired_ = false;
  net::Timer idle_timer_;
};

}  // namespace trestle::backend
