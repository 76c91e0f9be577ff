#include "conf/parse.h"

#include "conf/parts.h"
#include "conf/section.h"
#include "conf/yaml_tree.h"

namespace trestle::conf {
namespace {

constexpr uint32_t kMostWorkers = 256;
constexpr uint64_t kLeastBuffered = 1 << 20, kMostBuffered = uint64_t{1} << 50;

void ReadRouters(Section* top, Config* config) {
  for (const Item& item : top->List("routers")) {
    if (auto router = ReadRouter(Section(item, top->findings()))) {
      config->routers.push_back(*std::move(router));
    }
  }
  const auto written = top->Take("routers");
  if (!written || (written->node->kind == YamlNode::Kind::kList && written->node->items.empty())) {
    top->findings()->Wrong(written ? written->line : 0, "routers", "at least one router is needed");
  }
}

Config ReadTop(Section top) {
  Config config;
  config.workers = top.MaybeWhole("workers", 1, kMostWorkers);
  config.dns_refresh = top.Time("dnsRefreshMs", 1, config.dns_refresh);
  config.max_buffered_bytes =
      top.Size("maxBufferedBytes", kLeastBuffered, kMostBuffered, config.max_buffered_bytes);
  config.admin = ReadAdmin(top.Map("admin"));
  config.namers = ReadNamers(&top);
  config.prometheus = ReadTelemetry(&top);
  ReadRouters(&top, &config);
  top.Take("usage");  // Linkerd's report to its makers: there is none here
  top.Done();
  return config;
}

}  // namespace

Parsed Parse(std::string_view text, const std::string& file_name) {
  Parsed parsed;
  if (text.size() > kMaxConfigBytes) {
    parsed.problems.push_back({file_name, 0, "",
                               "has " + std::to_string(text.size()) + " bytes; at most " +
                                   std::to_string(kMaxConfigBytes) + " are read"});
    return parsed;
  }
  const auto tree = YamlTree::Read(text, file_name, &parsed.problems);
  if (!tree) return parsed;
  if (tree->root().kind != YamlNode::Kind::kMap) {
    parsed.problems.push_back({file_name, tree->root().line, "",
                               "the file must be a map of keys, is " + Describe(tree->root())});
    return parsed;
  }
  Findings findings(file_name);
  parsed.config = ReadTop(Section({&tree->root(), tree->root().line, ""}, &findings));
  CheckWhole(parsed.config, &findings);
  parsed.problems = findings.TakeProblems();
  parsed.warnings = findings.TakeWarnings();
  return parsed;
}

}  // namespace trestle::conf
