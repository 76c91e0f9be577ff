// Hosts that are IP addresses already.
//
// Lifetime, threading: functions on values. Errors: nullopt is not an error but a name for DNS.
#pragma once

#include <optional>
#include <string>

namespace trestle::naming {

// The address in its usual form: "127.1" is "127.0.0.1", "80" is "0.0.0.80", "[::1]" and "0:0::1"
// are
// "::1". nullopt if `host` is no literal.
std::optional<std::string> LiteralIp(const std::string& host);

}  // namespace trestle::naming
