// Overrides: which clients may send a dtab with a call, and which names it may touch. What is not
// allowed is dropped: the call neither goes where it says nor takes it along.
//
// Lifetime: of its Router. Threading: its worker's loop. Errors: none; what is dropped is counted,
// and told in the log, some of it each second.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "call/call.h"
#include "conf/config.h"
#include "naming/dtab.h"
#include "net/event_loop.h"
#include "router/identities.h"

namespace trestle::router {

class Overrides {
 public:
  // `scope` (rt/LABEL) outlives it.
  Overrides(net::EventLoop* loop, base::Scope* scope) : loop_(loop), scope_(scope) {}

  void Set(const conf::OverridesConfig& config);
  // Of a call that has no name yet.
  void Apply(call::Call* call) {
    if (!all_ && call->header && call->header->HasDtab()) Check(call);
  }

 private:
  void Check(call::Call* call);
  bool May(const naming::Prefix& prefix) const;
  void Drop(call::Call* call, std::string left, const std::string& dropped);

  net::EventLoop* loop_;
  base::Scope* scope_;
  bool all_ = true;                  // nothing is to be dropped
  std::optional<Identities> allow_;  // none: everybody may
  std::optional<std::vector<naming::Prefix>> prefixes_;
  base::Counter* dropped_ = nullptr;  // made with the first rule
  base::TimePoint tell_at_{};
  uint64_t untold_ = 0;
};

}  // namespace trestle::router
