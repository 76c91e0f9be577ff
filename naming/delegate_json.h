// The delegation tree as JSON, fields and order as Linkerd's delegator.json has them.
//
// Lifetime, threading: pure functions; the addresses of leaves are read now. Errors: none.
#pragma once

#include <string>

#include "naming/delegate.h"

namespace trestle::naming {

// {"type":"delegate","path":"/svc/users","delegate":{"type":"leaf",…}}. Wait for PendingAddrs
// first.
std::string DelegateJson(const DelegateTree& tree);

}  // namespace trestle::naming
