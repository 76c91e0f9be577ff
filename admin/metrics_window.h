// MetricsWindow: the metrics as they are, with each histogram's last whole minute, which is what
// Linkerd's pages show of a histogram. Until a histogram has seen the end of a minute, it is shown
// since its start.
//
// Lifetime: the Metrics outlive it. Threading: the admin loop's. Errors: none.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/metrics.h"

namespace trestle::admin {

struct MetricsView {
  base::MetricsSnapshot now;                 // since the start
  std::vector<base::HistogramValue> minute;  // for each of now.histograms, in the same order
};

class MetricsWindow {
 public:
  explicit MetricsWindow(const base::Metrics* metrics) : metrics_(metrics) {}
  // A minute is over: what came since the last call is what View() shows until the next.
  void EndMinute();
  MetricsView View() const;

 private:
  struct Minute {
    base::HistogramValue end;   // since the start, at the end of the last minute
    base::HistogramValue last;  // of the last minute
  };
  const base::Metrics* metrics_;
  std::map<std::string, Minute> minutes_;  // by flat name
};

// The figures of a histogram in the unit in which they are shown. Buckets are up to an eighth wide:
// a percentile is the middle of its bucket, min and max are the far ends of theirs; count, sum and
// avg are exact.
class Summary {
 public:
  explicit Summary(const base::HistogramValue& value) : value_(value) {}
  uint64_t count() const { return value_.count; }
  // True when figures are whole numbers, recorded and shown in the same unit.
  bool whole() const { return value_.unit_per_shown == 1; }
  double sum() const { return static_cast<double>(value_.sum) / value_.unit_per_shown; }
  double avg() const { return value_.count == 0 ? 0 : sum() / static_cast<double>(value_.count); }
  double min() const { return Quantile(0); }
  double max() const { return Quantile(1); }
  // The least figure that `q` of all values do not exceed; 0 <= q <= 1; 0 when there are none.
  double Quantile(double q) const;

 private:
  double Shown(uint64_t recorded) const {
    return static_cast<double>(recorded) / value_.unit_per_shown;
  }
  const base::HistogramValue& value_;
};

}  // namespace trestle::admin
