// Addr: what an id leads to at this moment: a set of endpoints, or why there is none.
//
// Lifetime, threading: values; immutable snapshots of them go to workers. Errors: kFailed is one,
// with its cause.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace trestle::naming {

// One address of a backend. `host` is an IP literal ("10.0.0.1", "::1") once it was resolved.
struct Endpoint {
  std::string host;
  uint16_t port = 0;
  double weight = 1.0;
  bool has_weight = false;  // written by somebody (shown as endpoint_addr_weight)
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
  // "10.0.0.1:80", "[::1]:80".
  std::string Show() const;
};

struct Addr {
  enum class Kind { kBound, kNeg, kPending, kFailed };
  Kind kind = Kind::kPending;
  std::vector<Endpoint> endpoints;  // kBound: a set, sorted
  std::string cause;                // kFailed; beside kBound: why the value is stale, else empty

  static Addr Bound(std::vector<Endpoint> endpoints);  // sorts and drops doubles
  static Addr Neg() { return Addr{Kind::kNeg, {}, {}}; }
  static Addr Pending() { return Addr{}; }
  static Addr Failed(std::string cause) { return Addr{Kind::kFailed, {}, std::move(cause)}; }
  friend bool operator==(const Addr&, const Addr&) = default;
};

}  // namespace trestle::naming
