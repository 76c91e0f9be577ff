#include "admin/metrics_json.h"

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

namespace trestle::admin {
namespace {

using nlohmann::json;

struct Field {
  const char* suffix;  // ".p99"; empty for counters and gauges
  json value;
};

struct Metric {
  const char* kind;  // the field's name in a tree
  std::vector<Field> fields;
};

std::vector<Field> Fields(const base::HistogramValue& value) {
  Summary summary(value);
  std::vector<Field> out{{".count", summary.count()}};
  if (summary.count() == 0) return out;
  auto number = [&summary](double v) {
    return summary.whole() ? json(static_cast<uint64_t>(v)) : json(v);
  };
  out.push_back({".max", number(summary.max())});
  out.push_back({".min", number(summary.min())});
  constexpr std::pair<const char*, double> kQuantiles[] = {{".p50", 0.5},     {".p90", 0.9},
                                                           {".p95", 0.95},    {".p99", 0.99},
                                                           {".p9990", 0.999}, {".p9999", 0.9999}};
  for (auto [suffix, q] : kQuantiles) out.push_back({suffix, number(summary.Quantile(q))});
  out.push_back({".sum", summary.whole() ? json(value.sum) : json(summary.sum())});
  out.push_back({".avg", summary.avg()});
  return out;
}

// By flat name. Where a name has two kinds, the first stays.
std::map<std::string, Metric> ByName(const MetricsView& view) {
  std::map<std::string, Metric> out;
  for (const auto& c : view.now.counters) {
    out.try_emplace(c.series.flat, Metric{"counter", {{"", c.value}}});
  }
  for (const auto& g : view.now.gauges) {
    out.try_emplace(g.series.flat, Metric{"gauge", {{"", g.value}}});
  }
  for (size_t i = 0; i < view.now.histograms.size(); i++) {
    out.try_emplace(view.now.histograms[i].series.flat, Metric{"stat", Fields(view.minute[i])});
  }
  return out;
}

// The rest of `name` below `below`: "" for the name itself, nullopt when it is elsewhere.
std::optional<std::string> Rest(std::string_view name, std::string_view below) {
  if (below.empty()) return std::string(name);
  if (!name.starts_with(below)) return std::nullopt;
  if (name.size() == below.size()) return "";
  if (name[below.size()] != '/') return std::nullopt;
  return std::string(name.substr(below.size() + 1));
}

struct Node {
  std::map<std::string, std::unique_ptr<Node>> children;
  const Metric* metric = nullptr;
};

void Insert(Node* node, std::string_view name, const Metric* metric) {
  while (!name.empty()) {
    size_t end = std::min(name.find('/'), name.size());
    auto& child = node->children[std::string(name.substr(0, end))];
    if (!child) child = std::make_unique<Node>();
    node = child.get();
    name.remove_prefix(std::min(end + 1, name.size()));
  }
  node->metric = metric;
}

json ToJson(const Node& node) {
  json out = json::object();
  if (node.metric) {
    for (const Field& f : node.metric->fields) {
      out.emplace(std::string(node.metric->kind) + f.suffix, f.value);
    }
  }
  for (const auto& [name, child] : node.children) out.emplace(name, ToJson(*child));
  return out;
}

}  // namespace

std::optional<std::string> MetricsJson(const MetricsView& view, const MetricsQuery& query) {
  std::string_view below = query.below;
  while (below.starts_with('/')) below.remove_prefix(1);
  while (below.ends_with('/')) below.remove_suffix(1);
  std::map<std::string, Metric> metrics = ByName(view);
  bool found = below.empty();
  json flat = json::object();
  Node root;
  for (const auto& [name, metric] : metrics) {
    std::optional<std::string> rest = Rest(name, below);
    if (!rest) continue;
    found = true;
    if (query.tree) {
      Insert(&root, *rest, &metric);
      continue;
    }
    // The metric itself was asked for: its last element names it.
    if (rest->empty()) *rest = name.substr(name.rfind('/') + 1);
    for (const Field& field : metric.fields) flat.emplace(*rest + field.suffix, field.value);
  }
  if (!found) return std::nullopt;
  if (query.tree) flat = ToJson(root);
  return flat.dump(query.pretty ? 2 : -1, ' ', false, json::error_handler_t::replace);
}

}  // namespace trestle::admin
