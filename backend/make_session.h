// MakeSession: the one place that knows which kinds of sessions there are.
//
// Lifetime: the session is its owner's. Threading: its worker's loop. Errors: none.
#pragma once

#include <memory>

#include "backend/mux_metrics.h"
#include "backend/opening.h"
#include "backend/options.h"
#include "backend/session.h"
#include "backend/spoken.h"
#include "net/event_loop.h"

namespace trestle::backend {

// A session over a fresh connection; not started. `metrics`: only with Wire::kMux.
std::unique_ptr<Session> MakeSession(net::EventLoop* loop, const Options& options,
                                     SessionOwner* owner, Opened opened, const Spoken& spoken,
                                     MuxMetrics* metrics);

}  // namespace trestle::backend
