// ExplainText: a delegation tree for a terminal: each step, the entry that fired, which alternative
// is taken and which bind does not look at, why a branch is ~, and the addresses in the end.
//
// Lifetime, threading: pure functions; the addresses of leaves are read now. Errors: none; what
// cannot be had is said in the text.
#pragma once

#include <string>

#include "naming/bind.h"
#include "naming/delegate.h"

namespace trestle::naming {

// A line a step, indented, ending with what calls of this name will do. `bound`: what Bind says of
// the same name now, for that last line (may be null).
std::string ExplainText(const DelegateTree& tree, const BindResult* bound = nullptr);

}  // namespace trestle::naming
