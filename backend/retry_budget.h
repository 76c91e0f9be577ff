// RetryBudget: how many calls may be sent again: a share of the calls of the last while, and a few
// per second in any case.
//
// Lifetime: of its Client. Threading: its worker's loop. Errors: none.
#pragma once

#include <array>
#include <cstdint>

#include "backend/options.h"
#include "base/clock.h"

namespace trestle::backend {

class RetryBudget {
 public:
  explicit RetryBudget(const BudgetOptions& options) : options_(options) {}
  // A call came.
  void Deposit(base::TimePoint now) { Slot(now).calls++; }
  // Takes one retry; false when there is none left.
  bool Withdraw(base::TimePoint now);
  // Retries left at this moment.
  int64_t Balance(base::TimePoint now);

 private:
  static constexpr int kSlots = 10;
  struct Cell {
    int64_t number = -1;
    uint64_t calls = 0, retries = 0;
  };
  Cell& Slot(base::TimePoint now);
  const BudgetOptions& options_;
  std::array<Cell, kSlots> cells_;
};

}  // namespace trestle::backend
