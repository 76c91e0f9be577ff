#include "admin/prometheus.h"

#include <charconv>
#include <cstdint>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "naming/text.h"

namespace trestle::admin {
namespace {

constexpr std::pair<const char*, double> kQuantiles[] = {
    {"0", 0},       {"0.5", 0.5},     {"0.9", 0.9},       {"0.95", 0.95},
    {"0.99", 0.99}, {"0.999", 0.999}, {"0.9999", 0.9999}, {"1", 1}};

// The shortest text that reads back as the same number.
std::string Number(double value) {
  char text[400];
  auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed).ptr;
  return {text, end};
}

// A label value: "\", quote and new line escaped, bytes that are no UTF-8 as "?".
void AppendEscaped(std::string_view value, std::string* out) {
  while (!value.empty()) {
    naming::CodePoint c = naming::DecodeUtf8(value);
    if (!c.valid) {
      out->push_back('?');
    } else if (c.value == '\n') {
      out->append("\\n");
    } else {
      if (c.value == '\\' || c.value == '"') out->push_back('\\');
      out->append(value.substr(0, c.length));
    }
    value.remove_prefix(c.valid ? c.length : 1);
  }
}

// `rt="thrift", service="svc/echo"`, without the braces.
std::string LabelText(const std::vector<base::Label>& labels) {
  std::string out;
  for (const base::Label& label : labels) {
    if (!out.empty()) out += ", ";
    out += label.key + "=\"";
    AppendEscaped(label.value, &out);
    out += '"';
  }
  return out;
}

class Text {
 public:
  void Type(const std::string& family, const char* type) {
    out_ += "# TYPE " + family + " " + type + "\n";
  }
  void Sample(const std::string& name, const std::string& labels, const std::string& value) {
    out_ += name;
    if (!labels.empty()) out_ += "{" + labels + "}";
    out_ += " " + value + "\n";
  }
  std::string Take() { return std::move(out_); }

 private:
  std::string out_;
};

// All series of a family stand together, as the format demands: by family, then by labels.
template <class T>
using Families = std::map<std::string, std::map<std::string, T>>;

template <class T>
Families<T> Grouped(const auto& cells, const std::string& prefix) {
  Families<T> out;
  for (const auto& cell : cells) {
    out[prefix + cell.series.family][LabelText(cell.series.labels)] += cell.value;
  }
  return out;
}

template <class T>
void Write(const Families<T>& families, const char* type, Text* text) {
  for (const auto& [family, series] : families) {
    text->Type(family, type);
    for (const auto& [labels, value] : series) {
      text->Sample(family, labels, std::to_string(value));
    }
  }
}

struct Histograms {
  const base::HistogramValue* start = nullptr;
  const base::HistogramValue* minute = nullptr;
};

void WriteSummary(const std::string& family, const std::map<std::string, Histograms>& series,
                  Text* text) {
  text->Type(family, "summary");
  for (const auto& [labels, histogram] : series) {
    text->Sample(family + "_count", labels, std::to_string(histogram.start->count));
    text->Sample(family + "_sum", labels, Number(Summary(*histogram.start).sum()));
    Summary minute(*histogram.minute);
    if (minute.count() == 0) continue;
    for (auto [name, q] : kQuantiles) {
      std::string with = labels + (labels.empty() ? "" : ", ") + "quantile=\"" + name + "\"";
      text->Sample(family, with, Number(minute.Quantile(q)));
    }
  }
  bool typed = false;
  for (const auto& [labels, histogram] : series) {
    Summary minute(*histogram.minute);
    if (minute.count() == 0) continue;
    if (!std::exchange(typed, true)) text->Type(family + "_avg", "gauge");
    text->Sample(family + "_avg", labels, Number(minute.avg()));
  }
}

}  // namespace

std::string PrometheusText(const MetricsView& view, const std::string& prefix) {
  Text text;
  Write(Grouped<uint64_t>(view.now.counters, prefix), "counter", &text);
  Write(Grouped<int64_t>(view.now.gauges, prefix), "gauge", &text);
  Families<Histograms> histograms;
  for (size_t i = 0; i < view.now.histograms.size(); i++) {
    const auto& h = view.now.histograms[i];
    histograms[prefix + h.series.family].try_emplace(LabelText(h.series.labels),
                                                     Histograms{&h.value, &view.minute[i]});
  }
  for (const auto& [family, series] : histograms) WriteSummary(family, series, &text);
  return text.Take();
}

}  // namespace trestle::admin
