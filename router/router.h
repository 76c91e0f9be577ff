// Router: takes the calls of one router's servers on one worker, names them, binds the names, picks
// a leaf by its share, and hands the call to that leaf's client.
//
// Lifetime: of its Worker; its servers' sessions are gone before it is. Threading: its worker's
// loop. Errors: every call it was given ends, with the step that failed.
#pragma once

#include <memory>

#include "base/metrics.h"
#include "base/random.h"
#include "call/call.h"
#include "conf/config.h"
#include "net/event_loop.h"
#include "router/binder.h"
#include "router/clients.h"
#include "router/names.h"

namespace trestle::router {

class Router final : public call::Handler, private call::Observer {
 public:
  // `config`, `names` and `scope` (rt/LABEL) outlive it. `index`: which router of the
  // configuration.
  Router(net::EventLoop* loop, const conf::RouterConfig& config, uint32_t index, Names* names,
         Clients::Make make_client, base::Random* random, base::Scope* scope);

  void Handle(call::Call* call) override;
  size_t names() const { return binder_.size(); }
  size_t clients() const { return clients_.size(); }

 private:
  void OnEnded(call::Call* call) override;
  void Route(call::Call* call, BoundNameEntry* name);
  void StartClock(call::Call* call, base::Duration total);
  void Sweep();

  net::EventLoop* loop_;
  const conf::RouterConfig& config_;
  base::Random* random_;
  call::CallMetrics unbound_;  // calls of names that never led anywhere: rt/LABEL/service/other
  Clients clients_;
  Binder binder_;
  net::Timer sweep_;
};

}  // namespace trestle::router
