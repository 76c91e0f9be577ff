#include "naming/serverset.h"

#include <algorithm>

#include "naming/text.h"

namespace trestle::naming {
namespace {

bool AllDigits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

base::Status BadJob(const std::string& element) {
  return {base::Code::kInvalid, "invalid job syntax: " + element};
}

}  // namespace

base::Result<ServersetName> ParseServersetName(const Path& path) {
  ServersetName name;
  name.znodes = path.labels();
  if (path.empty()) return name;
  const std::string& element = path.labels().back();
  std::string_view rest = element;
  const size_t hash = rest.find('#');
  if (hash != std::string_view::npos) {
    const std::string_view digits = rest.substr(hash + 1);
    name.shard = AllDigits(digits) ? ParseInt32(digits) : std::nullopt;
    if (!name.shard) return BadJob(element);
    rest = rest.substr(0, hash);
  }
  const size_t colon = rest.find(':');
  if (colon != std::string_view::npos) {
    name.endpoint = std::string(rest.substr(colon + 1));
    if (name.endpoint->empty() || name.endpoint->find(':') != std::string::npos) {
      return BadJob(element);
    }
    rest = rest.substr(0, colon);
  }
  if (rest.empty()) return BadJob(element);
  name.znodes.back() = std::string(rest);
  return name;
}

base::Result<std::optional<ServersetPath>> ParseServersetPath(std::string_view text) {
  base::Result<Path> path = Path::Parse(text);
  if (!path.ok()) return path.status();
  if (path->empty()) return std::optional<ServersetPath>();
  base::Result<ServersetName> name = ParseServersetName(path->Drop(1));
  if (!name.ok()) return name.status();
  return std::optional<ServersetPath>(ServersetPath{(*path)[0], std::move(*name)});
}

bool IsPicked(const ServersetEntry& entry, double weight,
              const std::optional<std::string>& endpoint, std::optional<int64_t> shard) {
  if (entry.status != "ALIVE" || weight == -1.0 || (shard && entry.shard != shard)) return false;
  return std::find(entry.names.begin(), entry.names.end(), endpoint) != entry.names.end();
}

std::vector<ServersetEntry> PickServersetEntries(const std::vector<ServersetEntry>& entries,
                                                 const std::optional<std::string>& endpoint,
                                                 std::optional<int64_t> shard) {
  std::vector<ServersetEntry> used;
  for (const ServersetEntry& entry : entries) {
    if (IsPicked(entry, entry.weight, endpoint, shard)) used.push_back(entry);
  }
  return used;
}

Addr ServersetAddr(const std::vector<ServersetNode>& nodes,
                   const std::optional<std::string>& endpoint, std::optional<int64_t> shard) {
  std::vector<Endpoint> endpoints;
  for (const auto& entry : PickServersetEntries(ParseServersetNodes(nodes), endpoint, shard)) {
    if (entry.port < 0 || entry.port > 65535) continue;
    endpoints.push_back({entry.host, static_cast<uint16_t>(entry.port), entry.weight, true});
  }
  if (endpoints.empty()) return Addr::Neg();
  return Addr::Bound(std::move(endpoints));
}

}  // namespace trestle::naming
