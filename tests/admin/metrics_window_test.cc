#include "admin/metrics_window.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/random.h"

namespace trestle::admin {
namespace {

using base::Histogram;
using base::HistogramValue;

HistogramValue Of(const std::vector<uint64_t>& values, uint32_t unit = 1) {
  HistogramValue out;
  for (uint64_t v : values) {
    out.buckets[Histogram::BucketOf(v)]++;
    out.count++;
    out.sum += v;
  }
  out.unit_per_shown = unit;
  return out;
}

TEST(Summary, OfNothing) {
  HistogramValue none;
  Summary summary(none);
  EXPECT_EQ(summary.count(), 0u);
  EXPECT_EQ(summary.sum(), 0);
  EXPECT_EQ(summary.avg(), 0);
  EXPECT_EQ(summary.Quantile(0.5), 0);
}

TEST(Summary, ExactWhereBucketsAre) {
  HistogramValue value = Of({1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  Summary summary(value);
  EXPECT_EQ(summary.count(), 10u);
  EXPECT_EQ(summary.sum(), 55);
  EXPECT_EQ(summary.avg(), 5.5);
  EXPECT_EQ(summary.min(), 1);
  EXPECT_EQ(summary.max(), 10);
  EXPECT_EQ(summary.Quantile(0.1), 1);
  EXPECT_EQ(summary.Quantile(0.5), 5);
  EXPECT_EQ(summary.Quantile(0.51), 6);
  EXPECT_EQ(summary.Quantile(0.9), 9);
  EXPECT_EQ(summary.Quantile(0.95), 10);
  EXPECT_EQ(summary.Quantile(0.9999), 10);
}

TEST(Summary, MicrosecondsAsMilliseconds) {
  HistogramValue value = Of({1500, 500}, 1000);
  Summary summary(value);
  EXPECT_FALSE(summary.whole());
  EXPECT_EQ(summary.sum(), 2.0);
  EXPECT_EQ(summary.avg(), 1.0);
  EXPECT_EQ(summary.min(), 0.480);          // 500 is in [480, 512)
  EXPECT_EQ(summary.max(), 1.535);          // 1500 is in [1408, 1536)
  EXPECT_EQ(summary.Quantile(0.5), 0.495);  // the middle
  EXPECT_EQ(summary.Quantile(0.99), 1.471);
}

TEST(Summary, TheLastBucket) {
  HistogramValue value = Of({~0ULL});
  EXPECT_EQ(Summary(value).max(), static_cast<double>((1ULL << 36) - 1));
  EXPECT_EQ(Summary(value).min(), static_cast<double>(15ULL << 32));
}

TEST(Summary, IsWithinAnEighthOfTheTruth) {
  base::SeededRandom random(3);
  std::vector<uint64_t> values(5000);
  for (uint64_t& v : values) v = random.Next() >> (40 + random.Below(20));
  HistogramValue value = Of(values);
  Summary summary(value);
  std::sort(values.begin(), values.end());
  for (double q : {0.01, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999}) {
    auto rank = static_cast<size_t>(std::max(1.0, std::ceil(q * 5000)));
    auto truth = static_cast<double>(values[rank - 1]);
    EXPECT_NEAR(summary.Quantile(q), truth, truth / 8 + 1) << q;
  }
  EXPECT_LE(summary.min(), static_cast<double>(values.front()));
  EXPECT_GE(summary.max(), static_cast<double>(values.back()));
}

class MetricsWindowTest : public ::testing::Test {
 protected:
  uint64_t MinuteCount(size_t i = 0) { return window_.View().minute[i].count; }
  uint64_t TotalCount(size_t i = 0) { return window_.View().now.histograms[i].value.count; }

  base::Metrics metrics_;
  base::Scope* root_ = metrics_.NewTable()->root();
  MetricsWindow window_{&metrics_};
};

TEST_F(MetricsWindowTest, SinceTheStartUntilTheFirstMinuteIsOver) {
  root_->histogram("h")->Record(5);
  EXPECT_EQ(MinuteCount(), 1u);
  root_->histogram("h")->Record(6);
  EXPECT_EQ(MinuteCount(), 2u);
  EXPECT_EQ(window_.View().minute[0].sum, 11u);
}

TEST_F(MetricsWindowTest, ThenTheLastWholeMinute) {
  Histogram* h = root_->histogram("h", 1000);
  h->Record(5);
  h->Record(5);
  window_.EndMinute();
  EXPECT_EQ(MinuteCount(), 2u);
  h->Record(7);
  EXPECT_EQ(MinuteCount(), 2u);  // this minute is not over
  EXPECT_EQ(TotalCount(), 3u);
  window_.EndMinute();
  MetricsView view = window_.View();
  EXPECT_EQ(view.minute[0].count, 1u);
  EXPECT_EQ(view.minute[0].sum, 7u);
  EXPECT_EQ(view.minute[0].buckets[7], 1u);
  EXPECT_EQ(view.minute[0].buckets[5], 0u);
  EXPECT_EQ(view.minute[0].unit_per_shown, 1000u);
  window_.EndMinute();
  EXPECT_EQ(MinuteCount(), 0u);
  EXPECT_EQ(TotalCount(), 3u);
}

TEST_F(MetricsWindowTest, ALateHistogramIsShownSinceItsStart) {
  root_->histogram("a")->Record(1);
  window_.EndMinute();
  window_.EndMinute();
  root_->histogram("b")->Record(2);
  EXPECT_EQ(MinuteCount(0), 0u);
  EXPECT_EQ(MinuteCount(1), 1u);
  window_.EndMinute();
  EXPECT_EQ(MinuteCount(1), 1u);
  window_.EndMinute();
  EXPECT_EQ(MinuteCount(1), 0u);
}

TEST_F(MetricsWindowTest, CountersAndGaugesAreLive) {
  root_->counter("c")->Add(3);
  root_->gauge("g")->Set(-4);
  window_.EndMinute();
  root_->counter("c")->Add();
  EXPECT_EQ(window_.View().now.counters[0].value, 4u);
  EXPECT_EQ(window_.View().now.gauges[0].value, -4);
}

}  // namespace
}  // namespace trestle::admin
