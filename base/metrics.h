// Metrics: counters, gauges and histograms that one worker writes without a lock and a scrape
// reads.
//
// Every worker has a MetricsTable of its own; Metrics owns them all and adds up equal names. A
// Scope is a place in the tree of names: "rt/thr/service/thrift/users/add". Some of its elements
// are labels (rt="thr", service="thrift/users/add"), which Prometheus shows as such.
//
// Lifetime: cells and scopes live as long as their table. Threading: a cell is written by the one
// thread that owns its table (relaxed atomics); Scope calls take the table's lock, so they are made
// once and the pointers kept; Collect() may be called from any thread. Errors: none; past the bound
// of labelled scopes, a new label value gets the shared series "other". Counters never go back.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trestle::base {

class Counter {
 public:
  void Add(uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// How the gauges of one name in several tables become one.
enum class Merge : uint8_t { kSum, kMost };

class Gauge {
 public:
  void Set(int64_t v) { value_.store(v, std::memory_order_relaxed); }
  void Add(int64_t n) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  friend class Scope;
  friend class MetricsSum;
  std::atomic<int64_t> value_{0};
  Merge merge_ = Merge::kSum;  // guarded by the table's lock
};

// Buckets that grow with the value: exact below 16, then 8 to every doubling (an error of at most
// 12.5 %), up to 2^36. Values are whole numbers in the unit that the name tells.
class Histogram {
 public:
  static constexpr uint32_t kBuckets = 16 + 8 * 32;
  void Record(uint64_t value) {
    auto& b = buckets_[BucketOf(value)];
    b.store(b.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    sum_.store(sum_.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
  }
  static uint32_t BucketOf(uint64_t value) {
    if (value < 16) return static_cast<uint32_t>(value);
    auto exponent = static_cast<uint32_t>(std::bit_width(value)) - 1;
    auto eighth = static_cast<uint32_t>(value >> (exponent - 3)) & 7;
    return std::min(16 + 8 * (exponent - 4) + eighth, kBuckets - 1);
  }
  // The least value that falls into the bucket.
  static uint64_t LowerBound(uint32_t bucket);
  uint64_t bucket(uint32_t i) const { return buckets_[i].load(std::memory_order_relaxed); }
  uint64_t sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  std::array<std::atomic<uint64_t>, kBuckets> buckets_{};
  std::atomic<uint64_t> sum_{0};
};

struct Label {
  std::string key, value;
};

class MetricsTable;
class MetricsSum;

// A place in the tree of names. Cells are made at the first call and the same ones given after.
class Scope {
 public:
  Counter* counter(std::string_view name);
  // kMost: for what every worker sees whole, as the size of a set.
  Gauge* gauge(std::string_view name, Merge merge = Merge::kSum);
  // `unit_per_shown` divides what is recorded for showing: 1000 for microseconds shown as ms.
  Histogram* histogram(std::string_view name, uint32_t unit_per_shown = 1);
  // A plain element below: "loadbalancer".
  Scope* Child(std::string_view name);
  // An element with a label: Labelled("service", "thrift/users") is "service/thrift/users" flat and
  // {service="thrift/users"} in Prometheus. Past the bound: the value "other".
  Scope* Labelled(std::string_view kind, std::string_view value);

  const std::string& flat() const { return flat_; }      // "rt/thr/service/thrift/users"
  const std::string& family() const { return family_; }  // "rt:service"
  const std::vector<Label>& labels() const { return labels_; }

 private:
  friend class MetricsTable;
  friend class MetricsSum;
  struct Shown {
    Histogram histogram;
    uint32_t unit_per_shown = 1;
  };
  MetricsTable* table_ = nullptr;
  std::string flat_, family_;
  std::vector<Label> labels_;
  std::map<std::string, std::unique_ptr<Counter>, std::less<>> counters_;
  std::map<std::string, std::unique_ptr<Gauge>, std::less<>> gauges_;
  std::map<std::string, std::unique_ptr<Shown>, std::less<>> histograms_;
  using Scopes = std::map<std::string, std::unique_ptr<Scope>, std::less<>>;
  Scopes children_;
  std::map<std::string, Scopes> labelled_;  // by kind, then by value
};

// What a scrape sees: every series of all tables added up, in the order of the flat names.
struct HistogramValue {
  std::array<uint64_t, Histogram::kBuckets> buckets{};
  uint64_t count = 0, sum = 0;
  uint32_t unit_per_shown = 1;
};
struct Series {
  std::string flat, family;
  std::vector<Label> labels;
};
struct MetricsSnapshot {
  struct C {
    Series series;
    uint64_t value = 0;
  };
  struct G {
    Series series;
    int64_t value = 0;
  };
  struct H {
    Series series;
    HistogramValue value;
  };
  std::vector<C> counters;
  std::vector<G> gauges;
  std::vector<H> histograms;
};

class MetricsTable {
 public:
  // `max_labelled`: the most values of a label kind under one parent ("service" under "rt/thr").
  explicit MetricsTable(uint32_t max_labelled = 1000);
  Scope* root() { return &root_; }

 private:
  friend class Scope;
  friend class Metrics;
  mutable std::mutex mutex_;  // guards the maps, never the cells
  uint32_t max_labelled_;
  Scope root_;
};

class Metrics {
 public:
  // A table for one more thread; lives as long as this. From any thread.
  MetricsTable* NewTable(uint32_t max_labelled = 1000);
  MetricsSnapshot Collect() const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<MetricsTable>> tables_;
};

}  // namespace trestle::base
