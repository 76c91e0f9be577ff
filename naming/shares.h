// Shares and MergedAddr: what a bound tree means for calls: which leaf gets which part of them, and
// all addresses behind a name together.
//
// Lifetime, threading: pure functions; addresses are read once, now. Errors: none.
#pragma once

#include <optional>
#include <vector>

#include "naming/addr.h"
#include "naming/tree.h"

namespace trestle::naming {

// One leaf's part of the calls, in the order of the tree. Without a leaf: calls that fail at once.
struct Share {
  std::optional<BoundName> leaf;
  double p = 0;  // the products of the weights down the tree; they add up to 1
};
std::vector<Share> Shares(const BoundTree& tree);

// The addresses that a Union's weights pick among, weights of the Union left aside: those of all
// bound leaves; neg, failed or pending where none is bound.
Addr MergedAddr(const BoundTree& tree);

}  // namespace trestle::naming
