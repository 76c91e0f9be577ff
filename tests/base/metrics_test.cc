#include "base/metrics.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"

namespace trestle::base {
namespace {

std::string LabelText(const std::vector<Label>& labels) {
  std::string out;
  for (const Label& label : labels) out += label.key + "=" + label.value + ";";
  return out;
}

template <class T>
const T* Find(const std::vector<T>& all, const std::string& flat) {
  for (const T& one : all) {
    if (one.series.flat == flat) return &one;
  }
  return nullptr;
}

TEST(Histogram, SmallValuesHaveABucketEach) {
  for (uint32_t v = 0; v < 16; v++) {
    EXPECT_EQ(Histogram::BucketOf(v), v);
    EXPECT_EQ(Histogram::LowerBound(v), v);
  }
}

TEST(Histogram, BucketTable) {
  struct Row {
    uint64_t value;
    uint32_t bucket;
    uint64_t lower;
  } rows[] = {
      {16, 16, 16},
      {17, 16, 16},
      {18, 17, 18},
      {31, 23, 30},
      {32, 24, 32},
      {35, 24, 32},
      {36, 25, 36},
      {1000, 16 + 8 * 5 + 7, 960},
      {1024, 16 + 8 * 6, 1024},
      {1'000'000, 16 + 8 * 15 + 7, 983'040},
      {(1ULL << 36) - 1, Histogram::kBuckets - 1, 15ULL << 32},
      {1ULL << 36, Histogram::kBuckets - 1, 15ULL << 32},
      {~0ULL, Histogram::kBuckets - 1, 15ULL << 32},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(Histogram::BucketOf(row.value), row.bucket) << row.value;
    EXPECT_EQ(Histogram::LowerBound(row.bucket), row.lower) << row.value;
  }
}

TEST(Histogram, EveryBucketStartsAtItsLowerBoundAndIsAtMostAnEighthWide) {
  for (uint32_t b = 0; b < Histogram::kBuckets; b++) {
    uint64_t lower = Histogram::LowerBound(b);
    EXPECT_EQ(Histogram::BucketOf(lower), b);
    if (b == 0) continue;
    EXPECT_EQ(Histogram::BucketOf(lower - 1), b - 1);
    uint64_t before = Histogram::LowerBound(b - 1);
    EXPECT_LE((lower - before) * 8, std::max<uint64_t>(before, 8)) << b;
  }
}

TEST(Histogram, RandomValuesFallBetweenTheBounds) {
  SeededRandom random(7);
  for (int i = 0; i < 100'000; i++) {
    uint64_t value = random.Next() >> (28 + random.Below(36));
    uint32_t b = Histogram::BucketOf(value);
    EXPECT_GE(value, Histogram::LowerBound(b));
    if (b + 1 < Histogram::kBuckets) {
      EXPECT_LT(value, Histogram::LowerBound(b + 1));
    }
  }
}

TEST(Scope, GivesTheSameCellsAndScopesAgain) {
  MetricsTable table;
  Scope* root = table.root();
  EXPECT_EQ(root->counter("a"), root->counter("a"));
  EXPECT_NE(root->counter("a"), root->counter("b"));
  EXPECT_EQ(root->gauge("a"), root->gauge("a"));
  EXPECT_EQ(root->histogram("a"), root->histogram("a", 1000));
  EXPECT_EQ(root->Child("c"), root->Child("c"));
  EXPECT_EQ(root->Labelled("rt", "x"), root->Labelled("rt", "x"));
  EXPECT_NE(root->Labelled("rt", "x"), root->Labelled("rt", "y"));
  EXPECT_NE(root->Labelled("rt", "x"), root->Labelled("server", "x"));
}

TEST(Scope, NamesOfEachKind) {
  MetricsTable table;
  Scope* rt = table.root()->Labelled("rt", "thr");
  EXPECT_EQ(table.root()->flat(), "");
  EXPECT_EQ(table.root()->family(), "");
  EXPECT_EQ(rt->flat(), "rt/thr");
  EXPECT_EQ(rt->family(), "rt");
  EXPECT_EQ(LabelText(rt->labels()), "rt=thr;");
  Scope* service = rt->Labelled("service", "thrift/users/add");
  EXPECT_EQ(service->flat(), "rt/thr/service/thrift/users/add");
  EXPECT_EQ(service->family(), "rt:service");
  EXPECT_EQ(LabelText(service->labels()), "rt=thr;service=thrift/users/add;");
  Scope* balancer = rt->Labelled("client", "#/io.l5d.fs/users")->Child("loadbalancer");
  EXPECT_EQ(balancer->flat(), "rt/thr/client/#/io.l5d.fs/users/loadbalancer");
  EXPECT_EQ(balancer->family(), "rt:client:loadbalancer");
  EXPECT_EQ(LabelText(balancer->labels()), "rt=thr;client=#/io.l5d.fs/users;");
}

TEST(Scope, FamiliesHoldOnlyWhatPrometheusAllows) {
  struct Row {
    const char* child;
    const char* family;
  } rows[] = {{"plain_Name9", "plain_Name9"}, {"io.l5d.fs", "io_l5d_fs"}, {"a/b", "a:b"},
              {"a b\"c\n", "a_b_c_"},         {"\xc3\xa4", "__"},         {"9lives", "_9lives"}};
  MetricsTable table;
  for (const Row& row : rows) EXPECT_EQ(table.root()->Child(row.child)->family(), row.family);
  EXPECT_EQ(table.root()->Child("a")->Child("9")->family(), "a:9");
}

TEST(Scope, PastTheBoundANewValueIsOther) {
  MetricsTable table(2);
  Scope* rt = table.root()->Labelled("rt", "thr");
  Scope* a = rt->Labelled("service", "a");
  Scope* b = rt->Labelled("service", "b");
  Scope* c = rt->Labelled("service", "c");
  EXPECT_EQ(c->flat(), "rt/thr/service/other");
  EXPECT_EQ(LabelText(c->labels()), "rt=thr;service=other;");
  EXPECT_EQ(rt->Labelled("service", "d"), c);
  EXPECT_EQ(rt->Labelled("service", "a"), a);
  EXPECT_EQ(rt->Labelled("service", "b"), b);
  // Another kind, and another parent, have bounds of their own.
  EXPECT_EQ(rt->Labelled("client", "c")->flat(), "rt/thr/client/c");
  EXPECT_EQ(table.root()->Labelled("rt", "two")->Labelled("service", "c")->flat(),
            "rt/two/service/c");
  EXPECT_EQ(table.root()->Labelled("rt", "three"), table.root()->Labelled("rt", "four"));
}

TEST(Metrics, CollectsNothingFromNothing) {
  Metrics metrics;
  metrics.NewTable();
  MetricsSnapshot seen = metrics.Collect();
  EXPECT_TRUE(seen.counters.empty());
  EXPECT_TRUE(seen.gauges.empty());
  EXPECT_TRUE(seen.histograms.empty());
}

TEST(Metrics, WhatEveryTableSeesWholeIsNotAddedUp) {
  Metrics metrics;
  metrics.NewTable()->root()->gauge("size", Merge::kMost)->Set(3);
  metrics.NewTable()->root()->gauge("size", Merge::kMost)->Set(2);
  MetricsSnapshot snapshot = metrics.Collect();
  ASSERT_EQ(snapshot.gauges.size(), 1u);
  EXPECT_EQ(snapshot.gauges[0].value, 3);
}

TEST(Metrics, AddsUpTheTablesByFlatName) {
  Metrics metrics;
  for (uint64_t worker = 1; worker <= 3; worker++) {
    Scope* rt = metrics.NewTable()->root()->Labelled("rt", "thr");
    rt->counter("requests")->Add(worker);
    rt->gauge("connections")->Set(static_cast<int64_t>(worker) - 3);
    Histogram* latency = rt->histogram("request_latency_ms", 1000);
    latency->Record(worker * 10);
    latency->Record(5);
    if (worker == 2) rt->counter("only_here")->Add();
  }
  MetricsSnapshot seen = metrics.Collect();
  ASSERT_EQ(seen.counters.size(), 2u);
  EXPECT_EQ(Find(seen.counters, "rt/thr/requests")->value, 6u);
  EXPECT_EQ(Find(seen.counters, "rt/thr/only_here")->value, 1u);
  EXPECT_EQ(Find(seen.counters, "rt/thr/requests")->series.family, "rt:requests");
  EXPECT_EQ(LabelText(Find(seen.counters, "rt/thr/requests")->series.labels), "rt=thr;");
  ASSERT_EQ(seen.gauges.size(), 1u);
  EXPECT_EQ(seen.gauges[0].value, -3);
  ASSERT_EQ(seen.histograms.size(), 1u);
  const HistogramValue& latency = seen.histograms[0].value;
  EXPECT_EQ(latency.count, 6u);
  EXPECT_EQ(latency.sum, 75u);
  EXPECT_EQ(latency.unit_per_shown, 1000u);
  EXPECT_EQ(latency.buckets[5], 3u);
  EXPECT_EQ(latency.buckets[10], 1u);
  EXPECT_EQ(latency.buckets[Histogram::BucketOf(20)], 1u);
  EXPECT_EQ(latency.buckets[Histogram::BucketOf(30)], 1u);
}

TEST(Metrics, SeriesComeInTheOrderOfTheFlatNames) {
  Metrics metrics;
  Scope* one = metrics.NewTable()->root();
  Scope* two = metrics.NewTable()->root();
  one->Child("b")->counter("z");
  one->counter("c");
  two->Labelled("b", "a")->counter("y");
  two->counter("a");
  std::vector<std::string> names;
  for (const auto& counter : metrics.Collect().counters) names.push_back(counter.series.flat);
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b/a/y", "b/z", "c"}));
}

TEST(Metrics, AUnitOfZeroIsOne) {
  Metrics metrics;
  metrics.NewTable()->root()->histogram("h", 0)->Record(3);
  EXPECT_EQ(metrics.Collect().histograms[0].value.unit_per_shown, 1u);
}

// Writers make scopes and write cells while a scrape reads: nothing is lost, and no counter is ever
// seen to go back. With thread sanitizer this is also the proof that there is no race.
TEST(Metrics, ScrapesWhileThreadsWriteAndMakeScopes) {
  constexpr int kThreads = 3;
  constexpr uint64_t kRounds = 2000;
  Metrics metrics;
  std::atomic<int> running{kThreads};
  std::vector<std::thread> writers;
  for (int t = 0; t < kThreads; t++) {
    writers.emplace_back([&metrics, &running, t] {
      Scope* root = metrics.NewTable(50)->root();
      Counter* counter = root->counter("requests");
      Gauge* gauge = root->gauge("pending");
      Histogram* histogram = root->histogram("latency");
      for (uint64_t i = 0; i < kRounds; i++) {
        counter->Add();
        gauge->Add(i % 2 == 0 ? 1 : -1);
        histogram->Record(i);
        if (i % 20 == 0) {
          std::string value = std::to_string(t) + "-" + std::to_string(i);
          root->Labelled("service", value)->counter("requests")->Add();
        }
      }
      running--;
    });
  }
  uint64_t last = 0, last_count = 0, last_sum = 0;
  while (running.load() > 0) {
    MetricsSnapshot seen = metrics.Collect();
    if (const auto* counter = Find(seen.counters, "requests")) {
      EXPECT_GE(counter->value, last);
      last = counter->value;
    }
    if (const auto* histogram = Find(seen.histograms, "latency")) {
      EXPECT_GE(histogram->value.count, last_count);
      EXPECT_GE(histogram->value.sum, last_sum);
      last_count = histogram->value.count;
      last_sum = histogram->value.sum;
    }
  }
  for (std::thread& writer : writers) writer.join();
  MetricsSnapshot seen = metrics.Collect();
  EXPECT_EQ(Find(seen.counters, "requests")->value, kThreads * kRounds);
  EXPECT_EQ(Find(seen.gauges, "pending")->value, 0);
  EXPECT_EQ(Find(seen.histograms, "latency")->value.count, kThreads * kRounds);
  EXPECT_EQ(Find(seen.histograms, "latency")->value.sum, kThreads * (kRounds * (kRounds - 1) / 2));
  // 100 values a thread over a bound of 50: 50 of each, and one "other" that all three share.
  uint64_t labelled = 0, series = 0;
  for (const auto& counter : seen.counters) {
    if (counter.series.flat.starts_with("service/")) {
      labelled += counter.value;
      series++;
    }
  }
  EXPECT_EQ(labelled, kThreads * kRounds / 20);
  EXPECT_EQ(series, kThreads * 50u + 1);
  EXPECT_EQ(Find(seen.counters, "service/other/requests")->value, kThreads * 50u);
}

}  // namespace
}  // namespace trestle::base
