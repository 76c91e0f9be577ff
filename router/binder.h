// Binder: the names that one worker knows, bound. A call whose name is known touches nothing but
// this worker's memory; one that is not waits while the control loop binds it.
//
// Names of per-request dtabs, names that lead nowhere, and names not yet known have bounds of their
// own, so that they cannot push out the rest. A name in use is never pushed out.
//
// Lifetime: of its Router. Threading: its worker's loop; NameListener's calls come from the control
// loop and are carried over. Errors: calls whose name cannot be bound fail with step bind.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/metrics.h"
#include "base/random.h"
#include "call/call.h"
#include "conf/config.h"
#include "net/event_loop.h"
#include "router/clients.h"
#include "router/identifier.h"
#include "router/names.h"
#include "router/setup.h"
#include "router/use_order.h"

namespace trestle::router {

// The most text of dtabs of requests that one worker keeps for a router; parsed and bound they take
// some fifty times as much. What is over it is forgotten after its call.
inline constexpr size_t kMaxLocalBytes = 512 * 1024;

// A logical name on one worker.
struct BoundNameEntry {
  struct Leaf {
    ClientEntry* client = nullptr;         // null: over bindingCache.clients
    call::CallMetrics* metrics = nullptr;  // rt/LABEL/client/ID/service/NAME; the client's
  };
  enum class Class { kPending, kPositive, kNegative, kLocal };

  NameKey key;
  uint64_t token = 0;
  std::string shown;  // "/thrift/userService/addUser"
  Class kind = Class::kPending;
  conf::ServiceOptions service;
  std::unique_ptr<call::CallMetrics> metrics;  // rt/LABEL/service/NAME; once it led somewhere
  std::shared_ptr<const Bound> bound;          // null until the first answer
  std::vector<Leaf> leaves;                    // as bound->leaves
  call::Queue waiting;                         // for the first answer
  std::unique_ptr<net::Timer> timer;           // for the oldest of them
  uint32_t in_use = 0;                         // calls in flight
  base::TimePoint last_used{};
  BoundNameEntry *older = nullptr, *newer = nullptr;  // of its kind, of those that nobody uses
  bool idle = false;
  std::vector<std::string> keys;  // of the calls that have this name
  size_t key_bytes = 0;
};

class Binder final : public call::Holder {
 public:
  // `route` goes on with a call whose name is bound.
  using Route = std::function<void(call::Call*, BoundNameEntry*)>;
  Binder(net::EventLoop* loop, Names* names, uint32_t router, RouterPart config, Clients* clients,
         base::Scope* router_scope, Route route);
  ~Binder() override;

  // The name of `call`, which is in use then until Unuse; an error fails the call with step
  // identify or, over a bound, bind.
  base::Result<BoundNameEntry*> Find(const call::Call& call);
  void Unuse(BoundNameEntry* name);
  // The client of a leaf of a bound name. One that there was no room for is looked for again; null:
  // there is none yet.
  ClientEntry* ClientOf(BoundNameEntry* name, size_t leaf);
  // Holds `call` until its name is bound, then gives it to `route`.
  void Await(call::Call* call, BoundNameEntry* name);
  // Names stay as they are bound. Where calls are named in another way than before, the names they
  // have had are found by what they are called only.
  void Reconfigure(RouterPart config);
  // Drops what was not used for long.
  void Sweep();
  size_t size() const { return names_.size(); }

 private:
  class Ear;  // carries news from the control loop to this one

  void OnCancel(call::Call* call) override;
  void OnBound(uint64_t token, std::shared_ptr<const Bound> bound);
  void SetBound(BoundNameEntry* name, std::shared_ptr<const Bound> bound);
  base::Result<BoundNameEntry*> Make(const call::Call& call, std::string_view key);
  void OnWaitOver(BoundNameEntry* name);
  void Remember(BoundNameEntry* name, std::string_view key);
  base::Status MayAdd(BoundNameEntry::Class kind);
  bool DropOldest(BoundNameEntry::Class kind);
  bool MakeRoom(BoundNameEntry::Class kind);
  UseOrder<BoundNameEntry>& Unused(BoundNameEntry::Class kind) {
    return unused_[static_cast<size_t>(kind)];
  }
  uint32_t& Count(BoundNameEntry::Class kind) { return counts_[static_cast<size_t>(kind)]; }
  ClientEntry* UseClient(const Bound::Leaf& leaf, BoundNameEntry::Class kind);
  uint32_t Max(BoundNameEntry::Class kind) const;
  void Drop(BoundNameEntry* name);
  void SetClass(BoundNameEntry* name, BoundNameEntry::Class kind);
  void ForgetKeys();
  const conf::RouterConfig& config() const { return *config_.router; }

  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const { return std::hash<std::string_view>()(s); }
  };
  struct KeyHash {
    size_t operator()(const NameKey& k) const {
      return std::hash<std::string>()(k.path) * 31 + std::hash<std::string>()(k.local_dtab);
    }
  };

  net::EventLoop* loop_;
  Names* source_;
  uint32_t router_;
  RouterPart config_;
  Clients* clients_;
  base::Scope* scope_;
  Route route_;
  Identifier identifier_;
  std::shared_ptr<Ear> ear_;
  // By what a call brings; many keys may mean one name.
  std::unordered_map<std::string, BoundNameEntry*, Hash, std::equal_to<>> by_key_;
  std::unordered_map<NameKey, std::unique_ptr<BoundNameEntry>, KeyHash> names_;
  std::unordered_map<uint64_t, BoundNameEntry*> by_token_;
  size_t local_bytes_ = 0;   // of the dtabs of requests, as they were written
  uint32_t counts_[4] = {};  // by Class
  uint32_t unbound_ = 0;     // that have no answer yet, of whatever kind
  UseOrder<BoundNameEntry> unused_[4];
  BoundNameEntry* settling_ = nullptr;  // its clients are being looked for
  uint64_t next_token_ = 1;
  base::Counter *misses_, *evicts_, *expires_, *local_misses_;
};

}  // namespace trestle::router
