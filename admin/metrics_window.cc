#include "admin/metrics_window.h"

#include <algorithm>
#include <cmath>

namespace trestle::admin {
namespace {

using base::Histogram;
using base::HistogramValue;

HistogramValue Difference(const HistogramValue& now, const HistogramValue& before) {
  HistogramValue out;
  for (size_t i = 0; i < out.buckets.size(); i++)
    out.buckets[i] = now.buckets[i] - before.buckets[i];
  out.count = now.count - before.count;
  out.sum = now.sum - before.sum;
  out.unit_per_shown = now.unit_per_shown;
  return out;
}

// The greatest value that falls into the bucket.
uint64_t UpperBound(uint32_t bucket) { return Histogram::LowerBound(bucket + 1) - 1; }

}  // namespace

void MetricsWindow::EndMinute() {
  for (const auto& histogram : metrics_->Collect().histograms) {
    Minute& minute = minutes_[histogram.series.flat];
    minute.last = Difference(histogram.value, minute.end);
    minute.end = histogram.value;
  }
}

MetricsView MetricsWindow::View() const {
  MetricsView view{metrics_->Collect(), {}};
  view.minute.reserve(view.now.histograms.size());
  for (const auto& histogram : view.now.histograms) {
    auto it = minutes_.find(histogram.series.flat);
    view.minute.push_back(it == minutes_.end() ? histogram.value : it->second.last);
  }
  return view;
}

double Summary::Quantile(double q) const {
  auto rank = static_cast<uint64_t>(std::ceil(q * static_cast<double>(value_.count)));
  rank = std::clamp<uint64_t>(rank, 1, std::max<uint64_t>(value_.count, 1));
  uint64_t seen = 0;
  for (uint32_t i = 0; i < Histogram::kBuckets; i++) {
    seen += value_.buckets[i];
    if (seen < rank) continue;
    uint64_t lower = Histogram::LowerBound(i), upper = UpperBound(i);
    if (q <= 0) return Shown(lower);
    if (q >= 1) return Shown(upper);
    return Shown(lower + (upper - lower) / 2);
  }
  return 0;
}

}  // namespace trestle::admin
