#include "conf/parts.h"
#include "naming/rewrite_namer.h"

namespace trestle::conf {
namespace {

const std::vector<std::string_view> kNotYet = {
    "io.l5d.zkLeader", "io.l5d.curator",      "io.l5d.consul",    "io.l5d.k8s",
    "io.l5d.k8s.ns",   "io.l5d.k8s.external", "io.l5d.k8s.istio", "io.l5d.dnssrv",
    "io.l5d.marathon", "io.l5d.rancher"};

// What the namer itself says of a text, without the word for which of its two texts it was.
std::string Reason(const base::Status& status) {
  const std::string& text = status.message();
  const size_t colon = text.find(": ");
  return colon == std::string::npos ? text : text.substr(colon + 2);
}

void ReadRewrite(Section* section, NamerConfig* namer) {
  namer->pattern = NeedText(section, "pattern");
  namer->name = NeedText(section, "name");
  if (namer->pattern.line == 0 || namer->name.line == 0) return;  // told already
  const auto pattern = naming::RewriteNamer::Make(namer->pattern.value, "/x");
  if (!pattern.ok()) {
    section->findings()->Wrong(namer->pattern.line, namer->pattern.key, Reason(pattern.status()));
    return;
  }
  const auto whole = naming::RewriteNamer::Make(namer->pattern.value, namer->name.value);
  if (!whole.ok()) {
    section->findings()->Wrong(namer->name.line, namer->name.key, Reason(whole.status()));
  }
}

void ReadServersets(Section* section, NamerConfig* namer) {
  ServersetsConfig& out = namer->serversets;
  if (section->Take("clusters")) {
    for (const Item& item : section->List("clusters")) {
      Section one(item, section->findings());
      out.clusters.push_back(ReadZkCluster(&one));
      one.Done();
    }
    if (out.clusters.empty()) {
      section->findings()->Wrong(section->line(), section->KeyOf("clusters"), "names no cluster");
    }
  } else {
    out.clusters.push_back(ReadZkCluster(section));
  }
  if (auto folder = section->Text("cacheDir")) {
    if (folder->value.empty()) section->findings()->Wrong(folder->line, folder->key, "is empty");
    out.cache_dir = *std::move(folder);
  }
  out.stabilization = section->Time("stabilizationMs", 0, out.stabilization);
  out.min_retained = section->Real("minRetained", 0, 1, out.min_retained);
  out.retained_hold = section->Time("minRetainedHoldMs", 0, out.retained_hold);
}

std::optional<NamerConfig> ReadNamer(Section section) {
  const auto kind =
      section.Kind("kind", {"io.l5d.fs", "io.l5d.rewrite", "io.l5d.serversets"}, kNotYet);
  if (!kind) return std::nullopt;
  NamerConfig namer;
  naming::Path prefix(std::vector<std::string>{*kind});
  if (const auto written = section.PathOf("prefix")) {
    prefix = written->value;
    if (!prefix.empty() && prefix[0] == "#") {
      section.findings()->Warn(
          written->line, written->key,
          "a prefix is put behind /# already, so this namer answers /#" + prefix.Show());
    }
  }
  namer.prefix = naming::Path(std::vector<std::string>{"#"}) + prefix;
  if (*kind == "io.l5d.fs") {
    namer.kind = NamerConfig::Kind::kFs;
    namer.root_dir = NeedText(&section, "rootDir");
  } else if (*kind == "io.l5d.serversets") {
    namer.kind = NamerConfig::Kind::kServersets;
    ReadServersets(&section, &namer);
  } else {
    namer.kind = NamerConfig::Kind::kRewrite;
    ReadRewrite(&section, &namer);
  }
  section.Flag("experimental", false);
  section.Done({{"transformers", "[]"}});
  return namer;
}

}  // namespace

std::vector<NamerConfig> ReadNamers(Section* top) {
  std::vector<NamerConfig> namers;
  for (const Item& item : top->List("namers")) {
    if (auto namer = ReadNamer(Section(item, top->findings()))) namers.push_back(*std::move(namer));
  }
  return namers;
}

}  // namespace trestle::conf
