// FailureCounters: the counters failures/STEP/CAUSE of one scope, found without a lock after the
// first failure of a kind.
//
// Lifetime: that of the scope's table. Threading: the table's owner. Errors: none.
#pragma once

#include <string>

#include "base/metrics.h"
#include "call/call.h"

namespace trestle::call {

class FailureCounters {
 public:
  explicit FailureCounters(base::Scope* scope) : scope_(scope), all_(scope->counter("failures")) {}

  void Add(Step step, base::Code code) {
    all_->Add();
    base::Counter*& cell = cells_[static_cast<size_t>(step)][static_cast<size_t>(code)];
    if (!cell) {
      cell =
          scope_->counter(std::string("failures/") + StepName(step) + "/" + base::CodeName(code));
    }
    cell->Add();
  }

 private:
  static constexpr size_t kSteps = 6, kCodes = 10;
  base::Scope* scope_;
  base::Counter* all_;
  base::Counter* cells_[kSteps][kCodes] = {};
};

}  // namespace trestle::call
