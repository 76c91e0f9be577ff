// Lendable: the connections of a pool that can take a call.
//
// First those that carry calls and have places left, the one that got room last before others: so
// few connections carry the load and their bytes share system calls. Then idle ones, the one used
// last first, so that those that are not needed grow old.
//
// Lifetime: of its Pool. Threading: its worker's loop. Errors: none.
#pragma once

#include <vector>

#include "backend/session.h"
#include "base/metrics.h"

namespace trestle::backend {

class Lendable {
 public:
  explicit Lendable(base::Gauge* idle) : count_(idle) {}

  // Puts it where it belongs, by what it carries now.
  void Put(Session* session);
  void Remove(Session* session);
  // One that can take `call`; nullptr when there is none. It stays here.
  Session* Pick(const call::Call& call);
  // The least loaded, busy or idle; before others one whose backend would not rather rest.
  Session* PickLeast(const call::Call& call, base::TimePoint now);
  // The one that is idle for longest comes first.
  const std::vector<Session*>& idle() const { return idle_; }

 private:
  Session* PickBusy(const call::Call& call);
  Session* PickIdle(const call::Call& call) const;

  std::vector<Session*> busy_, idle_;
  size_t turn_ = 0;  // where PickLeast looks first
  base::Gauge* count_;
};

}  // namespace trestle::backend
