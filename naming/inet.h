// InetResolver: how names of hosts become addresses. The system namer asks it; it is implemented
// over DNS elsewhere, so that naming stays without I/O.
//
// Lifetime: outlives the namers that ask it. Threading: the control loop. Errors: in the Addr.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "naming/addr.h"
#include "naming/var.h"

namespace trestle::naming {

class InetResolver {
 public:
  virtual ~InetResolver() = default;
  // The addresses of `host` ("" is this host), kept fresh while somebody holds the Var: pending at
  // first, unless `host` is a literal; neg for a host that does not exist. Literals are read as
  // inet_aton does ("80" is 0.0.0.80, "127.1" is 127.0.0.1), IPv6 ones with or without brackets.
  // The same Var for the same host and port while one lives, so that binding again changes nothing.
  virtual std::shared_ptr<Var<Addr>> Resolve(const std::string& host, uint16_t port) = 0;
};

}  // namespace trestle::naming
