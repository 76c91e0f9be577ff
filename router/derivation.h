// Derivation: where a name leads, step by step, for /delegator.json and `trestle explain`: the same
// lookup and the same namers as the calls'.
//
// Lifetime: what waits for an address keeps itself until it answered. Threading: the control loop.
// Errors: in the answer.
#pragma once

#include <functional>
#include <string>

#include "base/status.h"
#include "naming/delegate.h"
#include "naming/dtab.h"
#include "naming/namer.h"
#include "naming/path.h"
#include "net/event_loop.h"
#include "net/http_server.h"

namespace trestle::router {

// Derives once every namer and address on the way has answered, or `patience` is over (then with
// what is known; kTimeout if a namer is silent).
void Derive(net::EventLoop* loop, const naming::NamerSet* namers, naming::Dtab dtab,
            naming::Path path, base::Duration patience,
            std::function<void(base::Result<naming::DelegateTree>)> done);

// The same as the answer of /delegator.json.
void AnswerDelegate(net::EventLoop* loop, const naming::NamerSet* namers, naming::Dtab dtab,
                    naming::Path path, std::function<void(net::HttpReply)> answer);

}  // namespace trestle::router
