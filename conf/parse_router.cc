#include <algorithm>

#include "conf/parts.h"

namespace trestle::conf {
namespace {

constexpr uint32_t kMostCached = 10'000'000;
constexpr uint32_t kLeastHeld = 4096;
constexpr uint32_t kLargestFrame = 1u << 30;
constexpr uint32_t kMostHops = 1000;

const std::vector<std::string_view> kInterpretersNotYet = {
    "io.l5d.namerd", "io.l5d.namerd.http",   "io.l5d.mesh",
    "io.l5d.fs",     "io.l5d.k8s.configMap", "io.l5d.consul.interpreter"};

BindingCacheConfig ReadBindingCache(std::optional<Section> section) {
  BindingCacheConfig cache;
  if (!section) return cache;
  cache.paths = section->Whole("paths", 1, kMostCached, cache.paths);
  cache.trees = section->Whole("trees", 1, kMostCached, cache.trees);
  cache.bounds = section->Whole("bounds", 1, kMostCached, cache.bounds);
  cache.clients = section->Whole("clients", 1, kMostCached, cache.clients);
  cache.negatives = section->Whole("negatives", 1, kMostCached, cache.negatives);
  cache.local_dtabs = section->Whole("localDtabs", 1, kMostCached, cache.local_dtabs);
  cache.pending = section->Whole("pending", 1, kMostCached, cache.pending);
  cache.idle_ttl = section->Time("idleTtlSecs", 1, cache.idle_ttl, 1000);
  section->Done();
  return cache;
}

// Finagle's text quotes all of the dtab with the bad character in brackets; of many lines, the one
// with the brackets is enough. `at`: where they are.
std::string OfOneLine(const std::string& text, size_t at) {
  constexpr std::string_view kQuote = " at '";
  const size_t quote = text.find(kQuote);
  if (quote == std::string::npos) return text;
  const size_t start = quote + kQuote.size();
  const size_t bracket = std::min(start + at, text.size());
  const size_t before = text.rfind('\n', bracket);
  const size_t begin = before == std::string::npos || before < start ? start : before + 1;
  const size_t shown = std::min(text.find_first_not_of(' ', begin), bracket);
  // The bad character may be the newline itself.
  const size_t end = text.find('\n', std::min(bracket + 2, text.size()));
  return text.substr(0, start) + text.substr(shown, end - shown) +
         (end == std::string::npos ? "" : "'");
}

// The dtab, or a problem at the line and column where it stops being one.
Located<naming::Dtab> ReadDtab(Section* router) {
  Located<naming::Dtab> dtab{{}, router->line(), router->KeyOf("dtab")};
  const auto item = router->Take("dtab");
  const auto text = router->Text("dtab");
  if (!text) return dtab;
  dtab.line = text->line;
  size_t at = 0;
  auto parsed = naming::Dtab::Parse(text->value, &at);
  if (parsed.ok()) {
    dtab.value = *std::move(parsed);
    return dtab;
  }
  const std::string_view before = std::string_view(text->value).substr(0, at);
  const auto lines = static_cast<int>(std::count(before.begin(), before.end(), '\n'));
  const size_t column = before.size() - (before.rfind('\n') + 1) + 1;
  std::string where = " (column " + std::to_string(column);
  if (lines > 0) where += " of its line " + std::to_string(lines + 1);
  // Only a "|" block keeps its lines, so only there the line of the file is known.
  const int line = item->node->literal ? item->node->line + 1 + lines : text->line;
  router->findings()->Wrong(line, dtab.key, OfOneLine(parsed.status().message(), at) + where + ")");
  return dtab;
}

void ReadInterpreter(std::optional<Section> section) {
  if (!section) return;
  if (!section->Kind("kind", {"default"}, kInterpretersNotYet)) return;
  section->Flag("experimental", false);
  section->Done({{"transformers", "[]"}});
}

void ReadServers(Section* section, RouterConfig* router) {
  for (const Item& item : section->List("servers")) {
    router->servers.push_back(ReadServer(Section(item, section->findings()), router->protocol));
  }
  const auto written = section->Take("servers");
  if (!written || (written->node->kind == YamlNode::Kind::kList && written->node->items.empty())) {
    section->findings()->Wrong(written ? written->line : section->line(), section->KeyOf("servers"),
                               "a router needs at least one server");
  }
}

std::optional<RouterProtocol> ReadProtocol(Section* section) {
  const auto word = section->Kind("protocol", {"thrift", "thriftmux", "mux"}, {"http", "h2"});
  if (!word) return std::nullopt;
  if (*word == "thriftmux") return RouterProtocol::kThriftMux;
  return *word == "mux" ? RouterProtocol::kMux : RouterProtocol::kThrift;
}

Located<std::string> ReadLabel(Section* section, RouterProtocol protocol) {
  Located<std::string> label{NameOf(protocol), section->line(), section->KeyOf("label")};
  const auto written = section->Label("label");
  if (!written) return label;
  if (written->value.empty()) {
    section->findings()->Wrong(written->line, written->key, "must not be empty");
    return label;
  }
  return *written;
}

std::optional<thrift::Protocol> MaybeThriftProtocol(Section* section) {
  if (!section->Take("thriftProtocol")) return std::nullopt;
  const size_t word = section->Word("thriftProtocol", {"binary", "compact"}, 0);
  return word == 0 ? thrift::Protocol::kBinary : thrift::Protocol::kCompact;
}

// How a call is named from its message. Plain mux is named by the destination alone: what it
// carries is not looked into.
void ReadNaming(Section* section, RouterConfig* router) {
  if (router->protocol == RouterProtocol::kMux) {
    RefuseOn(router->protocol, section, "thriftMethodInDst");
    RefuseOn(router->protocol, section, "thriftProtocol");
  } else {
    router->thrift_method_in_dst = section->Flag("thriftMethodInDst", router->thrift_method_in_dst);
    router->thrift_protocol = MaybeThriftProtocol(section);
  }
  if (router->protocol == RouterProtocol::kThriftMux) {
    router->thrift_mux_dst_in_name =
        section->Flag("thriftMuxDstInName", router->thrift_mux_dst_in_name);
  } else {
    RefuseOn(router->protocol, section, "thriftMuxDstInName");
  }
}

}  // namespace

std::optional<RouterConfig> ReadRouter(Section section) {
  const auto protocol = ReadProtocol(&section);
  if (!protocol) return std::nullopt;
  RouterConfig router;
  router.protocol = *protocol;
  router.line = section.line();
  router.key = section.key();
  router.label = ReadLabel(&section, router.protocol);
  if (auto prefix = section.PathOf("dstPrefix")) router.dst_prefix = std::move(prefix->value);
  router.dtab = ReadDtab(&section);
  ReadNaming(&section, &router);
  router.binding_timeout = section.Time("bindingTimeoutMs", 1, router.binding_timeout);
  router.binding_cache = ReadBindingCache(section.Map("bindingCache"));
  router.max_frame_bytes =
      section.Whole("maxFrameBytes", 1024, kLargestFrame, router.max_frame_bytes);
  router.stream_threshold_bytes = section.Whole("streamThresholdBytes", kLeastHeld, kLargestFrame,
                                                router.stream_threshold_bytes);
  router.body_idle_timeout = section.Time("bodyIdleTimeoutMs", 1, router.body_idle_timeout);
  router.deadline_tolerance = section.Time("deadlineToleranceMs", 0, router.deadline_tolerance);
  router.max_hops = section.Whole("maxHops", 1, kMostHops, router.max_hops);
  section.RefuseNothing("overrides");
  router.overrides = ReadOverrides(section.Map("overrides"));
  router.announcers = ReadAnnouncers(&section);
  ReadServers(&section, &router);
  router.client = ReadClient(section.Map("client"), router.protocol);
  router.service = ReadService(section.Map("service"));
  ReadInterpreter(section.Map("interpreter"));
  section.Flag("experimental", false);
  section.Done({{"originator", "false"}});
  return router;
}

}  // namespace trestle::conf
