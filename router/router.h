// Router: takes the calls of one router's servers on one worker, names them, binds the names, picks
// a leaf by its share, and hands the call to that leaf's client.
//
// Lifetime: of its Worker; its servers' sessions are gone before it is. Threading: its worker's
// loop. Errors: every call it was given ends, with the step that failed.
#pragma once

#include <memory>
#include <optional>

#include "base/metrics.h"
#include "base/random.h"
#include "call/call.h"
#include "net/event_loop.h"
#include "router/binder.h"
#include "router/clients.h"
#include "router/names.h"
#include "router/overrides.h"
#include "router/setup.h"

namespace trestle::router {

class Router final : public call::Handler, private call::Observer {
 public:
  // `names` and `scope` (rt/LABEL) outlive it. `id`: see Setup.
  Router(net::EventLoop* loop, const RouterPart& config, uint32_t id, Names* names, Share share,
         Clients::Connect connect, base::Random* random, base::Scope* scope);

  void Handle(call::Call* call) override;
  // Calls in flight end by what held when they came.
  void Reconfigure(const RouterPart& config);
  size_t names() const { return binder_.size(); }
  size_t clients() const { return clients_.size(); }

 private:
  void OnEnded(call::Call* call) override;
  void Route(call::Call* call, BoundNameEntry* name);
  void FailUnnamed(call::Call* call, const base::Status& status);
  // Why a call is not to be worked on, by what came beside it; ok when it is.
  base::Status ReadContexts(call::Call* call);
  void StartClock(call::Call* call, std::optional<base::Duration> total);
  void Sweep();
  void Take(const RouterPart& config);

  net::EventLoop* loop_;
  base::Duration binding_timeout_{};
  bool keeps_headers_ = false;  // a backend may want them
  base::Duration deadline_tolerance_{};
  uint32_t max_hops_ = 0;
  base::Random* random_;
  call::CallMetrics unbound_;  // calls of names that never led anywhere: rt/LABEL/service/other
  Overrides overrides_;
  Clients clients_;
  Binder binder_;
  net::Timer sweep_;
};

}  // namespace trestle::router
