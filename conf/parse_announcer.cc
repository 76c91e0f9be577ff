#include <algorithm>

#include "conf/announced.h"
#include "conf/parts.h"

namespace trestle::conf {
namespace {

constexpr uint32_t kMostShards = 2'147'483'647;

// What a znode may be called; "/" in a label would be two of them.
bool IsZnode(const std::string& label) {
  const auto is_odd = [](char c) { return c <= ' ' || c >= 0x7f || c == '/'; };
  return label != "." && label != ".." && std::none_of(label.begin(), label.end(), is_odd);
}

void ReadAdvertisedHost(Section* section, AnnouncerConfig* announcer) {
  auto host = section->Text("advertisedHost");
  if (!host) return;
  if (!IsHost(host->value)) {
    section->findings()->Wrong(host->line, host->key,
                               "must be a host name or an address, without a port, is \"" +
                                   host->value.substr(0, 60) + "\"");
  } else if (IsUnspecified(host->value)) {
    section->findings()->Wrong(host->line, host->key,
                               host->value + " is no address that others can reach");
  } else {
    announcer->advertised_host = std::move(host->value);
  }
}

// A path of znodes, wherever it is written.
bool CheckZnodes(const Located<naming::Path>& path, Findings* findings) {
  for (const std::string& label : path.value.labels()) {
    if (IsZnode(label)) continue;
    const std::string shown = naming::Path(std::vector<std::string>{label}).Show().substr(1);
    findings->Wrong(path.line, path.key, "no znode can be called " + shown);
    return false;
  }
  return true;
}

std::optional<AnnouncerConfig> ReadAnnouncer(Section section) {
  const auto kind = section.Kind("kind", {"io.l5d.serversets"}, {});
  if (!kind) return std::nullopt;
  AnnouncerConfig announcer;
  announcer.line = section.line();
  announcer.key = section.key();
  naming::Path prefix(std::vector<std::string>{*kind});
  if (auto written = section.PathOf("prefix")) {
    prefix = std::move(written->value);
    if (!prefix.empty() && prefix[0] == "#") {
      section.findings()->Warn(
          written->line, written->key,
          "a prefix is put behind /# already, so this announcer takes /#" + prefix.Show());
    }
  }
  announcer.prefix = naming::Path(std::vector<std::string>{"#"}) + prefix;
  announcer.cluster = ReadZkCluster(&section);
  if (announcer.cluster.read_only) {
    section.Wrong(*section.Take("readOnly"), "has no meaning for an announcer: it writes");
  }
  if (auto path = section.PathOf("pathPrefix"); path && CheckZnodes(*path, section.findings())) {
    announcer.path_prefix = std::move(path->value);
  }
  ReadAdvertisedHost(&section, &announcer);
  announcer.shard = section.Whole("shard", 0, kMostShards, announcer.shard);
  announcer.announce_admin = section.MaybeFlag("announceAdmin");
  section.Flag("experimental", false);
  section.Done();
  return announcer;
}

}  // namespace

std::vector<AnnouncerConfig> ReadAnnouncers(Section* router) {
  std::vector<AnnouncerConfig> all;
  for (const Item& item : router->List("announcers")) {
    if (auto one = ReadAnnouncer(Section(item, router->findings()))) all.push_back(*std::move(one));
  }
  return all;
}

std::vector<Located<naming::Path>> ReadAnnounce(Section* server) {
  std::vector<Located<naming::Path>> names;
  for (const Item& item : server->List("announce")) {
    if (item.node->kind != YamlNode::Kind::kScalar) {
      server->Wrong(item,
                    "must be a name like /#/io.l5d.serversets/users, is " + Describe(*item.node));
      continue;
    }
    auto path = naming::Path::Parse(item.node->text);
    if (!path.ok()) {
      server->Wrong(item, path.status().message());
      continue;
    }
    Located<naming::Path> name{*std::move(path), item.line, item.key};
    if (std::find(names.begin(), names.end(), name) != names.end()) {
      server->Wrong(item, name.value.Show() + " stands here for the second time");
    } else if (CheckZnodes(name, server->findings())) {
      names.push_back(std::move(name));
    }
  }
  return names;
}

}  // namespace trestle::conf
