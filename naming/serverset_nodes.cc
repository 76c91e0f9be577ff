// ParseServersetNodes: the JSON of members and vectors.
#include <algorithm>
#include <compare>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "naming/serverset.h"
#include "naming/text.h"

namespace trestle::naming {
namespace {

using Json = nlohmann::json;

constexpr size_t kDeepest = 1000;

// How deep the JSON of a text nests, as far as it is any.
size_t DepthOf(const std::string& text) {
  size_t depth = 0, deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); i++) {
    const char c = text[i];
    if (c == '"') in_string = !in_string;
    if (in_string && c == '\\') i++;
    if (in_string) continue;
    if (c == '[' || c == '{') deepest = std::max(deepest, ++depth);
    if ((c == ']' || c == '}') && depth > 0) depth--;
  }
  return deepest;
}

// The first JSON value of the text; text after it is not looked at (Finagle's parser does not).
// Null when it is no object.
Json ParseObject(const std::string& text) {
  // JSON may nest as deep as the text is long, and so would its destruction and comparison.
  if (DepthOf(text) > kDeepest) return nullptr;
  try {
    std::istringstream stream(text);
    Json value;
    stream >> value;
    return value.is_object() ? value : Json(nullptr);
  } catch (const Json::exception&) {
    return nullptr;
  }
}

const Json& Field(const Json& object, const char* name) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(name);
  return found == object.end() ? kNull : *found;
}

// Of integers only what fits: Java's ints.
std::optional<int64_t> Integer(const Json& value) {
  if (!value.is_number_integer()) return std::nullopt;
  if (value.is_number_unsigned() &&
      value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int32_t>::max())) {
    return std::nullopt;
  }
  const auto number = value.get<int64_t>();
  if (number < std::numeric_limits<int32_t>::min()) return std::nullopt;
  return number;
}

std::string Status(const Json& value) {
  static const char* const kKnown[] = {"ALIVE",    "DEAD",    "STARTING",
                                       "STOPPING", "STOPPED", "WARNING"};
  if (value.is_string()) {
    for (const char* known : kKnown) {
      if (value.get<std::string>() == known) return known;
    }
  }
  return "UNKNOWN";
}

std::shared_ptr<const std::map<std::string, std::string>> Metadata(const Json& value) {
  if (!value.is_object()) return nullptr;
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.items()) {
    if (text.is_string()) metadata[key] = text.get<std::string>();
  }
  if (metadata.empty()) return nullptr;
  return std::make_shared<const std::map<std::string, std::string>>(std::move(metadata));
}

// Which entry a host and port have; the text of the host is the JSON's.
using EntryByAddress = std::map<std::pair<std::string_view, int64_t>, size_t>;

// Adds `endpoint` of a member: a name more for an address that it gave already, or a new entry.
// Gives what is wrong with it, or null.
const char* AddEndpoint(const Json& endpoint, std::optional<std::string> name,
                        const ServersetEntry& member, std::vector<ServersetEntry>* entries,
                        EntryByAddress* known) {
  const Json& host = Field(endpoint, "host");
  const std::optional<int64_t> port = Integer(Field(endpoint, "port"));
  if (endpoint.is_null()) return "no serviceEndpoint";
  if (!host.is_string()) return "host is no text";
  if (!port) return "port is no integer";
  const std::string_view text = host.get_ref<const std::string&>();
  const auto [at, is_new] = known->try_emplace({text, *port}, entries->size());
  if (is_new) {
    ServersetEntry& entry = entries->emplace_back(member);
    entry.host = text;
    entry.port = *port;
  }
  (*entries)[at->second].names.push_back(std::move(name));
  return nullptr;
}

struct Selector {
  std::string kind;  // "member", "shard", "inet"
  std::string value;
  double weight = 1.0;
  double priority = 1.0;  // told apart only to see which vectors are equal
  friend std::partial_ordering operator<=>(const Selector&, const Selector&) = default;
};
using Vector = std::vector<Selector>;

Vector ParseVector(const ServersetNode& node) {
  Vector vector;
  const Json object = ParseObject(node.data);
  const Json& list = Field(object, "vector");
  if (!list.is_array()) return vector;
  for (const Json& item : list) {
    const Json& select = Field(item, "select");
    if (!select.is_string()) continue;
    const std::string text = select.get<std::string>();
    const size_t equals = text.find('=');
    if (equals == std::string::npos || text.find('=', equals + 1) != std::string::npos) continue;
    Selector selector{text.substr(0, equals), text.substr(equals + 1)};
    if (selector.kind != "member" && selector.kind != "shard" && selector.kind != "inet") continue;
    if (Field(item, "weight").is_number()) selector.weight = Field(item, "weight").get<double>();
    if (Field(item, "priority").is_number()) {
      selector.priority = Field(item, "priority").get<double>();
    }
    vector.push_back(std::move(selector));
  }
  return vector;
}

}  // namespace

ServersetMember ParseServersetMember(const ServersetNode& node) {
  ServersetMember out;
  const Json object = ParseObject(node.data);
  if (object.is_null()) {
    out.why = "no JSON object";
    return out;
  }
  ServersetEntry member;
  member.member = node.name;
  member.status = Status(Field(object, "status"));
  member.shard = Integer(Field(object, "shard"));
  member.metadata = Metadata(Field(object, "metadata"));
  const Json& more = Field(object, "additionalEndpoints");
  if (more.is_object() && more.size() >= kMostServersetEndpoints) {
    out.why = "more than " + std::to_string(kMostServersetEndpoints) + " endpoints";
    return out;
  }
  EntryByAddress known;
  const char* why =
      AddEndpoint(Field(object, "serviceEndpoint"), std::nullopt, member, &out.entries, &known);
  if (more.is_object()) {
    for (const auto& [name, endpoint] : more.items()) {
      AddEndpoint(endpoint, name, member, &out.entries, &known);
    }
  }
  if (out.entries.empty()) out.why = why;
  return out;
}

ServersetWeights::ServersetWeights(const std::vector<ServersetNode>& nodes) {
  // Finagle keeps the vectors in a set: equal ones count once.
  std::set<Vector> vectors;
  for (const ServersetNode& node : nodes) vectors.insert(ParseVector(node));
  auto multiply = [](auto* map, auto key, double weight) {
    map->try_emplace(std::move(key), 1.0).first->second *= weight;
  };
  for (const Vector& vector : vectors) {
    for (const Selector& selector : vector) {
      if (selector.kind == "member") {
        multiply(&members_, selector.value, selector.weight);
      } else if (selector.kind == "shard") {
        if (const auto shard = ParseInt32(selector.value)) {
          multiply(&shards_, int64_t{*shard}, selector.weight);
        }
      } else {
        const auto pieces = SplitDroppingEmptyTail(selector.value, ':');
        const auto port = pieces.size() == 2 ? ParseInt32(pieces[1]) : std::nullopt;
        if (port) {
          multiply(&inets_, std::pair(std::string(pieces[0]), int64_t{*port}), selector.weight);
        }
      }
    }
  }
}

double ServersetWeights::Of(const ServersetEntry& entry) const {
  double weight = 1.0;
  const auto member = members_.find(entry.member);
  if (member != members_.end()) weight *= member->second;
  const auto shard = entry.shard ? shards_.find(*entry.shard) : shards_.end();
  if (shard != shards_.end()) weight *= shard->second;
  if (inets_.empty()) return weight;
  const auto inet = inets_.find({entry.host, entry.port});
  return inet == inets_.end() ? weight : weight * inet->second;
}

std::vector<ServersetEntry> ParseServersetNodes(const std::vector<ServersetNode>& nodes) {
  std::vector<ServersetEntry> entries;
  std::vector<ServersetNode> vectors;
  for (const ServersetNode& node : nodes) {
    if (node.name.starts_with("vector_")) vectors.push_back(node);
    if (!node.name.starts_with("member_")) continue;
    ServersetMember member = ParseServersetMember(node);
    std::move(member.entries.begin(), member.entries.end(), std::back_inserter(entries));
  }
  const ServersetWeights weights(vectors);
  for (ServersetEntry& entry : entries) entry.weight = weights.Of(entry);
  return entries;
}

}  // namespace trestle::naming
