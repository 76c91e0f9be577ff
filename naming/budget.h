// Budget: what one bind or one delegation may cost, so that a hostile dtab cannot hold the loop.
//
// Lifetime: one per bind. Threading: none. Errors: Spend says false once it is used up, for ever.
#pragma once

#include <cstddef>

#include "naming/path.h"

namespace trestle::naming {

class Budget {
 public:
  explicit Budget(size_t units) : left_(units) {}
  bool Spend(size_t units) {
    if (units > left_) spent_ = true;
    left_ -= units > left_ ? left_ : units;
    return !spent_;
  }
  bool spent() const { return spent_; }

 private:
  size_t left_;
  bool spent_ = false;
};

// What copying a path costs: a unit, one for each label, and one for each 64 bytes.
inline size_t CostOf(const Path& path) {
  size_t cost = 1 + path.size();
  for (const std::string& label : path.labels()) cost += label.size() / 64;
  return cost;
}

}  // namespace trestle::naming
