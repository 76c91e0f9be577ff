#include "base/metrics.h"

#include <algorithm>
#include <bit>

namespace trestle::base {
namespace {

constexpr std::string_view kOther = "other";

// A name as an element of a Prometheus name: "/" joins as ":" does, and what is not allowed is "_".
std::string FamilyElement(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (c == '/') c = ':';
    if (!plain && c != ':' && c != '_') c = '_';
  }
  return out;
}

std::string Join(const std::string& head, char between, std::string_view tail) {
  if (head.empty()) return std::string(tail);
  std::string out;
  out.reserve(head.size() + 1 + tail.size());
  return out.append(head).append(1, between).append(tail);
}

std::string JoinFamily(const std::string& head, std::string_view name) {
  std::string out = Join(head, ':', FamilyElement(name));
  // A name may not begin with a digit.
  if (!out.empty() && out[0] >= '0' && out[0] <= '9') out.insert(0, 1, '_');
  return out;
}

template <class Map>
typename Map::mapped_type::element_type* FindOrMake(Map* map, std::string_view name) {
  auto it = map->find(name);
  if (it == map->end()) {
    using Cell = typename Map::mapped_type::element_type;
    it = map->emplace(std::string(name), std::make_unique<Cell>()).first;
  }
  return it->second.get();
}

}  // namespace

uint64_t Histogram::LowerBound(uint32_t bucket) {
  if (bucket < 16) return bucket;
  uint32_t exponent = 4 + (bucket - 16) / 8;
  uint64_t eighth = (bucket - 16) % 8;
  return (8 + eighth) << (exponent - 3);
}

Counter* Scope::counter(std::string_view name) {
  std::lock_guard<std::mutex> lock(table_->mutex_);
  return FindOrMake(&counters_, name);
}

Gauge* Scope::gauge(std::string_view name, Merge merge) {
  std::lock_guard<std::mutex> lock(table_->mutex_);
  Gauge* gauge = FindOrMake(&gauges_, name);
  gauge->merge_ = merge;
  return gauge;
}

Histogram* Scope::histogram(std::string_view name, uint32_t unit_per_shown) {
  std::lock_guard<std::mutex> lock(table_->mutex_);
  auto it = histograms_.find(name);
  if (it == histograms_.end()) {
    auto shown = std::make_unique<Shown>();
    shown->unit_per_shown = std::max(unit_per_shown, 1u);
    it = histograms_.emplace(std::string(name), std::move(shown)).first;
  }
  return &it->second->histogram;
}

Scope* Scope::Child(std::string_view name) {
  std::lock_guard<std::mutex> lock(table_->mutex_);
  bool fresh = children_.find(name) == children_.end();
  Scope* child = FindOrMake(&children_, name);
  if (fresh) {
    child->table_ = table_;
    child->flat_ = Join(flat_, '/', name);
    child->family_ = JoinFamily(family_, name);
    child->labels_ = labels_;
  }
  return child;
}

Scope* Scope::Labelled(std::string_view kind, std::string_view value) {
  std::lock_guard<std::mutex> lock(table_->mutex_);
  auto& values = labelled_[std::string(kind)];
  auto it = values.find(value);
  if (it != values.end()) return it->second.get();
  if (values.size() >= table_->max_labelled_) {
    value = kOther;
    it = values.find(value);
    if (it != values.end()) return it->second.get();
  }
  auto child = std::make_unique<Scope>();
  child->table_ = table_;
  child->flat_ = Join(Join(flat_, '/', kind), '/', value);
  child->family_ = JoinFamily(family_, kind);
  child->labels_ = labels_;
  child->labels_.push_back({std::string(kind), std::string(value)});
  return values.emplace(std::string(value), std::move(child)).first->second.get();
}

// Adds up the cells of tables by flat name. The first table that has a name gives its labels.
class MetricsSum {
 public:
  // Under the lock of the scope's table.
  void Add(const Scope& scope) {
    for (const auto& [name, cell] : scope.counters_) {
      At(&counters_, scope, name).value += cell->value();
    }
    for (const auto& [name, cell] : scope.gauges_) {
      int64_t& value = At(&gauges_, scope, name).value;
      value = cell->merge_ == Merge::kMost ? std::max(value, cell->value()) : value + cell->value();
    }
    for (const auto& [name, cell] : scope.histograms_) {
      HistogramValue& sum = At(&histograms_, scope, name).value;
      sum.unit_per_shown = cell->unit_per_shown;
      sum.sum += cell->histogram.sum();
      for (uint32_t i = 0; i < Histogram::kBuckets; i++) {
        uint64_t n = cell->histogram.bucket(i);
        sum.buckets[i] += n;
        sum.count += n;
      }
    }
    for (const auto& [name, child] : scope.children_) Add(*child);
    for (const auto& [kind, values] : scope.labelled_) {
      for (const auto& [value, child] : values) Add(*child);
    }
  }

  MetricsSnapshot Take() && {
    MetricsSnapshot out;
    Move(&counters_, &out.counters);
    Move(&gauges_, &out.gauges);
    Move(&histograms_, &out.histograms);
    return out;
  }

 private:
  template <class T>
  using Sums = std::map<std::string, T>;

  template <class T>
  static T& At(Sums<T>* sums, const Scope& scope, const std::string& name) {
    auto [it, fresh] = sums->try_emplace(Join(scope.flat_, '/', name));
    if (fresh) it->second.series = {it->first, JoinFamily(scope.family_, name), scope.labels_};
    return it->second;
  }

  template <class T>
  static void Move(Sums<T>* sums, std::vector<T>* out) {
    out->reserve(sums->size());
    for (auto& [flat, value] : *sums) out->push_back(std::move(value));
  }

  Sums<MetricsSnapshot::C> counters_;
  Sums<MetricsSnapshot::G> gauges_;
  Sums<MetricsSnapshot::H> histograms_;
};

MetricsTable::MetricsTable(uint32_t max_labelled) : max_labelled_(max_labelled) {
  root_.table_ = this;
}

MetricsTable* Metrics::NewTable(uint32_t max_labelled) {
  std::lock_guard<std::mutex> lock(mutex_);
  tables_.push_back(std::make_unique<MetricsTable>(max_labelled));
  return tables_.back().get();
}

MetricsSnapshot Metrics::Collect() const {
  std::lock_guard<std::mutex> lock(mutex_);
  MetricsSum sum;
  for (const auto& table : tables_) {
    std::lock_guard<std::mutex> table_lock(table->mutex_);
    sum.Add(table->root_);
  }
  return std::move(sum).Take();
}

}  // namespace trestle::base
