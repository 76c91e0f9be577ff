// The text of a file of the fs namer: "HOST PORT" or "HOST PORT * WEIGHT", a line each.
//
// Lifetime, threading: pure functions. Errors: one bad line makes the whole Addr failed
// ("malformed address: LINE"): half a set is worse than the last good one.
#pragma once

#include <cstddef>
#include <string_view>

#include "naming/addr.h"

namespace trestle::naming {

inline constexpr size_t kMaxFsFileBytes = 500'000;

// "#" to the end of a line is a comment; an empty file is bound to no addresses. Hosts stand as
// written (without the brackets of an IPv6 one): they may be names for DNS.
Addr ParseFsFile(std::string_view text);

}  // namespace trestle::naming
