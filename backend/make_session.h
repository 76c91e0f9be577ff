// MakeSession: the one place that knows which kinds of sessions there are.
//
// Lifetime: the session is its owner's. Threading: its worker's loop. Errors: none.
#pragma once

#include <memory>

#include "backend/options.h"
#include "backend/session.h"
#include "backend/spoken.h"
#include "net/event_loop.h"
#include "net/transport.h"

namespace trestle::backend {

// A session over a fresh connection; not started.
std::unique_ptr<Session> MakeSession(net::EventLoop* loop, const Options& options,
                                     SessionOwner* owner, std::unique_ptr<net::Transport> transport,
                                     const Spoken& spoken);

}  // namespace trestle::backend
