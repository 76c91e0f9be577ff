#include "backend/retry_budget.h"

#include <algorithm>
#include <cmath>

namespace trestle::backend {

RetryBudget::Cell& RetryBudget::Slot(base::TimePoint now) {
  int64_t width = std::max<int64_t>(1, options_.ttl.count() / kSlots);
  int64_t number = now.time_since_epoch().count() / width;
  Cell& cell = cells_[static_cast<size_t>(number % kSlots)];
  if (cell.number != number) cell = Cell{number, 0, 0};
  return cell;
}

int64_t RetryBudget::Balance(base::TimePoint now) {
  int64_t newest = Slot(now).number;
  double calls = 0, retries = 0;
  for (const Cell& c : cells_) {
    // Numbers past the newest are of another ttl, before a reload.
    if (c.number <= newest - kSlots || c.number < 0 || c.number > newest) continue;
    calls += static_cast<double>(c.calls);
    retries += static_cast<double>(c.retries);
  }
  double reserve =
      options_.min_retries_per_sec * std::chrono::duration<double>(options_.ttl).count();
  return static_cast<int64_t>(std::floor(reserve + calls * options_.percent_can_retry - retries));
}

bool RetryBudget::Withdraw(base::TimePoint now) {
  if (Balance(now) < 1) return false;
  Slot(now).retries++;
  return true;
}

}  // namespace trestle::backend
