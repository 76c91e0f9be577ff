// CallMetrics: the cells that tell how the calls of one scope went: requests, success, replies by
// their kind, failures by step and cause, latency.
//
// Lifetime: that of the scope's table. Threading: the table's owner. Errors: none.
#pragma once

#include "base/clock.h"
#include "base/metrics.h"
#include "call/call.h"
#include "call/failure_counters.h"

namespace trestle::call {

struct CallMetrics {
  explicit CallMetrics(base::Scope* scope);
  // Counts a call that has ended; `since`: where its time in this scope began.
  void Record(const Call& call, base::TimePoint since, base::TimePoint now);

  base::Counter *requests, *success, *results, *declared_exceptions, *application_exceptions,
      *errors;
  base::Counter *oneways, *cancelled;
  FailureCounters failures;
  base::Gauge* pending;
  base::Histogram* latency;
};

}  // namespace trestle::call
