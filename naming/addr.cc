#include "naming/addr.h"

#include <algorithm>

namespace trestle::naming {

std::string Endpoint::Show() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Addr Addr::Bound(std::vector<Endpoint> endpoints) {
  // <=> of doubles is partial; weights are finite wherever they are read.
  std::sort(endpoints.begin(), endpoints.end(),
            [](const Endpoint& a, const Endpoint& b) { return (a <=> b) < 0; });
  endpoints.erase(std::unique(endpoints.begin(), endpoints.end()), endpoints.end());
  return Addr{Kind::kBound, std::move(endpoints), {}};
}

}  // namespace trestle::naming
