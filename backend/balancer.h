// Balancer: picks the endpoint for a call from those of a set.
//
// Lifetime: of its Client. Threading: its worker's loop. Errors: nullptr when every endpoint was
// tried for this call.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "backend/endpoint.h"
#include "backend/options.h"
#include "base/random.h"

namespace trestle::backend {

class Balancer {
 public:
  virtual ~Balancer() = default;
  // The set changed; pointers hold until the next call.
  virtual void Update(std::span<Endpoint* const> endpoints) = 0;
  // Leaves out what call->tried lists. When no other is available: the one whose time out ends
  // first.
  virtual Endpoint* Pick(const call::Call& call, base::TimePoint now) = 0;
};

std::unique_ptr<Balancer> MakeBalancer(const Options& options, base::Random* random);

}  // namespace trestle::backend
