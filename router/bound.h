// Bound: what a name leads to at this moment, as workers see it: leaves and their shares of the
// calls.
//
// Lifetime: an immutable snapshot, shared by the workers through shared_ptr<const Bound>.
// Threading: read-only. Errors: a name that leads nowhere has no share with a leaf; `why` tells.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "naming/addr.h"
#include "naming/path.h"

namespace trestle::router {

struct Bound {
  struct Leaf {
    naming::Path id;
    std::string shown;     // "/#/io.l5d.fs/users"
    std::string residual;  // what is left of the name behind it: "/addUser"; may be empty
    std::shared_ptr<const naming::Addr> addr;
  };
  struct Share {
    double upto = 0;  // shares add up along the list, the last one to 1
    int leaf = -1;    // of `leaves`; -1: these calls fail
  };
  std::vector<Leaf> leaves;
  std::vector<Share> shares;
  base::Code code = base::Code::kNoRoute;  // of calls that fail
  std::string why;                         // of calls that fail

  bool negative() const { return leaves.empty(); }
};

}  // namespace trestle::router
