// Pool: the connections of one worker to one endpoint, and the calls that wait for one.
//
// Of Thrift connections few carry the load; of mux ones there is one, or as many as minSize asks
// for or maxInFlight makes necessary, and calls are spread over them. With Wire::kAuto a probe
// tells which of the two the endpoint gets; until the first has, calls wait for it.
//
// A call goes on a connection that already carries some and has places left (maxInFlight), else on
// an idle one; a new one is opened only when all are full. Who waits is served in order: a call
// that cannot share the next free place (a large request, the other protocol) holds up those behind
// it until a connection is its own, unless one is being opened. For a large request one of several
// connections takes no more calls meanwhile, and others may go on the rest of them for a while.
//
// Lifetime: of its Endpoint. Threading: its worker's loop. Errors: told to its PoolOwner.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_set>
#include <vector>

#include "backend/lendable.h"
#include "backend/mux_metrics.h"
#include "backend/mux_probe.h"
#include "backend/opening.h"
#include "backend/options.h"
#include "backend/probe_table.h"
#include "backend/session.h"
#include "backend/upgrade_memory.h"
#include "backend/wire_memory.h"
#include "base/metrics.h"
#include "call/call.h"
#include "net/connector.h"

namespace trestle::backend {

// The cells of rt/LABEL/client/ID that pools write.
struct PoolMetrics {
  explicit PoolMetrics(base::Scope* scope);
  // Of the child "mux", made when it is first asked for.
  MuxMetrics* Mux();
  base::Scope* scope;
  base::Counter *connects, *failed_connects, *closes, *sent_bytes, *received_bytes, *stray_answers;
  base::Counter *num_waited, *too_many_waiters;
  base::Counter* answers[4];  // to the upgrade to TTwitter, by Answer
  base::Gauge *connections, *cached, *waiters;
  base::Histogram* connect_latency;

 private:
  std::unique_ptr<MuxMetrics> mux_;
};

// Who owns the endpoint of the pool.
class PoolOwner {
 public:
  virtual ~PoolOwner() = default;
  virtual void OnSuccess() = 0;
  virtual void OnLetGo(bool slow) = 0;
  // `counts`: it was the endpoint's failure, not this machine's.
  virtual void OnConnectFailed(bool counts) = 0;
  // See SessionOwner::OnLost. `reached`: a connection had been there.
  virtual void OnLost(call::Call* call, call::Step step, const base::Status& why, bool left,
                      bool counts, bool reached) = 0;
  virtual void OnNacked(call::Call* call, const base::Status& why) = 0;
  // Nothing is left of a pool that was retired.
  virtual void OnEmpty() = 0;
};

class Pool final : private SessionOwner,
                   private Opening::Owner,
                   private MuxProbe::Owner,
                   private call::Holder {
 public:
  Pool(net::EventLoop* loop, const Options& options, net::Connector* connector,
       const net::Address& to, PoolMetrics* metrics, PoolOwner* owner);
  ~Pool() override;
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Sends `call` on a connection, at once or when there is one.
  void Take(call::Call* call);
  // Opens connections up to minSize, a few at a time. When one cannot be made it stops, until one
  // was made a while later.
  void Warm();
  // No new calls: idle connections close now, others after their call.
  void Retire();
  // The options are others now; what they bound holds at once.
  void OnOptions();
  // Connections are made another way, or something else is spoken on them: those of before are
  // closed as they become idle.
  void Renew(net::Connector* connector);
  bool empty() const { return sessions_.empty() && openings_.empty() && waiters_.empty(); }
  // That the backend does not say it would rather rest.
  bool Welcome(base::TimePoint now) const { return now < lease_end_; }
  size_t open() const { return sessions_.size(); }
  uint32_t waiting() const { return waiters_.size(); }

 private:
  void OnRoom(Session* session) override;
  void OnDead(Session* session) override;
  void OnSuccess() override { owner_->OnSuccess(); }
  void OnLetGo(bool slow) override { owner_->OnLetGo(slow); }
  void OnLost(call::Call* call, call::Step step, const base::Status& why, bool left,
              bool counts) override {
    owner_->OnLost(call, step, why, left, counts, true);
  }
  void OnStrayAnswer() override { metrics_->stray_answers->Add(); }
  void OnNacked(call::Call* call, const base::Status& why) override { owner_->OnNacked(call, why); }
  void OnLeaving(Session* session) override;
  void OnReturned(call::Call* call) override;
  void OnLease(Session*) override { RecountLeases(); }
  void OnCancel(call::Call* call) override;
  void OnAnswer(Opening* opening, Answer answer) override;
  void OnOpened(Opening* opening, base::Result<Opened> result) override;

  // --- which protocol (pool_wire.cc) ---
  void OnProbed(MuxProbe::Outcome outcome, const base::Status& why) override;
  // kAuto: not known yet.
  Wire wire() const { return options_.wire == Wire::kAuto ? wire_.wire() : options_.wire; }
  // Asks the endpoint where that is due.
  void Probe();
  void AskTable();
  void StartProbe();
  void GiveUpProbe();
  void OnWire(Wire now, base::TimePoint until);
  void Doubt();
  // Connections are made anew.
  void Anew();

  // --- connections on their way ---
  // Those that are not about to end by themselves.
  size_t standing() const { return sessions_.size() - leaving_; }
  bool Full() const;
  // More wait, with `more` of them, than what is on its way can carry.
  bool Short(uint64_t more = 0) const {
    return waiters_.size() + more > openings_.size() * uint64_t{options_.Places(wire())};
  }
  bool MustWait(thrift::Protocol protocol) const;
  bool Upgrades() const { return options_.ttwitter && wire() == Wire::kThrift; }
  void Open(thrift::Protocol protocol);
  // For all who wait, as far as there may be connections for them.
  void OpenForWaiters();
  void OnOpenFailed(const base::Status& why);
  // Goes on with what Warm began.
  void WarmMore();
  void GiveUpOpenings();

  // --- calls ---
  // A connection for `call`, good to be used; nullptr when there is none.
  Session* Pick(const call::Call& call);
  void Lend(Session* session, call::Call* call);
  void ServeWaiters();
  // Who waits and can have `session` now; nullptr when nobody can.
  call::Call* NextServed(Session** session);
  // Keeps a connection for the large request that waits first, or none when there is none.
  void Keep();
  Session* PickKept() const;
  bool MayPass() const;
  // The first who waits goes elsewhere.
  void LoseWaiter(const base::Status& why);
  // Of a retired pool without connections: who still waits goes elsewhere.
  void Empty();

  // --- connections at rest (pool_rest.cc) ---
  bool TooOld(const Session& session) const;
  // May take calls still.
  bool Fit(const Session& session) const;
  // Not wanted any more, although idle.
  bool Spare(const Session& session) const;
  void CountBytes(Session* session);
  void CloseAllIdle();
  void CloseIdle();
  void ArmIdle(const Session& session);
  void RecountLeases();

  net::EventLoop* loop_;
  const Options& options_;
  net::Connector* connector_;
  net::Address to_;
  PoolMetrics* metrics_;
  PoolOwner* owner_;
  std::unordered_set<Session*> sessions_;               // owned
  size_t leaving_ = 0;                                  // of those: take no more calls
  base::TimePoint lease_end_ = base::TimePoint::max();  // of the one that ends last
  Lendable lendable_;
  std::vector<std::unique_ptr<Opening>> openings_;
  UpgradeMemory memory_[2];  // by protocol
  WireMemory wire_;          // of kAuto
  std::unique_ptr<ProbeTable::Turn> turn_;
  std::unique_ptr<MuxProbe> probe_;
  thrift::Protocol protocol_ = thrift::Protocol::kBinary;  // of the last call
  uint32_t generation_ = 0;
  uint64_t warming_ = 0;                 // connections that Warm may still open
  std::optional<base::TimePoint> cold_;  // when connecting failed and Warm stopped
  call::Queue waiters_;
  Session* kept_ = nullptr;  // takes no more calls
  base::TimePoint kept_since_{};
  bool retired_ = false;
  bool ending_ = false;  // it is being destroyed
  net::Timer idle_timer_;
  net::Timer ask_;  // the table of probes
};

}  // namespace trestle::backend
