#include "tests/support/naming_vectors_json.h"

#include <algorithm>
#include <cmath>

namespace trestle::tests {
namespace {

using naming::Addr;
using naming::BoundName;
using naming::NameTree;
using naming::Path;

void AddLeaf(const Path& path, VectorJson* json) { (*json)["path"] = path.Show(); }
void AddLeaf(const BoundName& bound, VectorJson* json) {
  (*json)["id"] = bound.id.Show();
  (*json)["residual"] = bound.residual.Show();
  (*json)["addr"] = JsonOf(bound.addr->Get());
}

template <class T>
VectorJson TreeJson(const NameTree<T>& tree) {
  using Kind = typename NameTree<T>::Kind;
  static const char* const kKinds[] = {"leaf", "alt", "union", "neg", "fail", "empty"};
  VectorJson json;
  json["kind"] = kKinds[static_cast<size_t>(tree.kind)];
  if (tree.kind == Kind::kLeaf) AddLeaf(tree.leaf, &json);
  if (tree.kind == Kind::kAlt) {
    json["trees"] = VectorJson::array();
    for (const auto& child : tree.trees) json["trees"].push_back(TreeJson(child));
  }
  if (tree.kind == Kind::kUnion) {
    json["trees"] = VectorJson::array();
    for (const auto& part : tree.parts) {
      VectorJson item;
      item["weight"] = part.weight;
      item["tree"] = TreeJson(part.tree);
      json["trees"].push_back(std::move(item));
    }
  }
  return json;
}

bool JvmWorded(const std::string& text) {
  for (const char* head : {"requirement failed", "For input string", "port out of range"}) {
    if (text.starts_with(head)) return true;
  }
  return false;
}

bool SameSet(const VectorJson& expected, const VectorJson& got) {
  if (expected.size() != got.size()) return false;
  std::vector<bool> taken(got.size(), false);
  for (const auto& want : expected) {
    bool found = false;
    for (size_t i = 0; i < got.size() && !found; ++i) {
      found = !taken[i] && AsExpected(want, got[i]);
      if (found) taken[i] = true;
    }
    if (!found) return false;
  }
  return true;
}

bool SameField(const std::string& key, const VectorJson& expected, const VectorJson& got) {
  const bool is_set = key == "addrs" || key == "eval" || key == "entries" || key == "names";
  if (is_set && expected.is_array() && got.is_array()) return SameSet(expected, got);
  if (expected.is_string() && got.is_string()) {
    const std::string want = expected.get<std::string>();
    const std::string have = got.get<std::string>();
    if (want == have) return true;
    if (key == "ip" || key == "host") {
      return !CanonicalIp(want).empty() && CanonicalIp(want) == CanonicalIp(have);
    }
    return (key == "cause" || key == "message" || key == "error" || key == "failed") &&
           JvmWorded(want);
  }
  return AsExpected(expected, got);
}

}  // namespace

VectorJson JsonOf(const naming::PathTree& tree) { return TreeJson(tree); }
VectorJson JsonOf(const naming::BoundTree& tree) { return TreeJson(tree); }

VectorJson JsonOf(const Addr& addr) {
  VectorJson json;
  static const char* const kKinds[] = {"bound", "neg", "pending", "failed"};
  json["type"] = kKinds[static_cast<size_t>(addr.kind)];
  if (addr.kind == Addr::Kind::kFailed) json["cause"] = addr.cause;
  if (addr.kind != Addr::Kind::kBound) return json;
  json["addrs"] = VectorJson::array();
  for (const auto& endpoint : addr.endpoints) {
    VectorJson item;
    item["ip"] = endpoint.host;
    item["port"] = endpoint.port;
    if (endpoint.has_weight) item["weight"] = endpoint.weight;
    json["addrs"].push_back(std::move(item));
  }
  return json;
}

std::string HexOf(const std::string& bytes) {
  std::string hex;
  for (char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

VectorJson JsonOf(const naming::Prefix& prefix) {
  VectorJson json = VectorJson::array();
  for (const auto& elem : prefix.elems()) {
    VectorJson item;
    if (elem) {
      item["label_hex"] = HexOf(*elem);
    } else {
      item["any"] = true;
    }
    json.push_back(std::move(item));
  }
  return json;
}

VectorJson JsonOf(const std::vector<naming::Share>& shares) {
  VectorJson json = VectorJson::array();
  for (const auto& share : shares) {
    VectorJson item;
    if (share.leaf) {
      item["id"] = share.leaf->id.Show();
      item["residual"] = share.leaf->residual.Show();
    } else {
      item["none"] = true;
    }
    item["p"] = share.p;
    json.push_back(std::move(item));
  }
  return json;
}

bool AsExpected(const VectorJson& expected, const VectorJson& got) {
  if (expected.is_number() && got.is_number()) {
    const double want = expected.get<double>();
    const double have = got.get<double>();
    return std::fabs(want - have) <= 1e-9 * std::max(1.0, std::fabs(want));
  }
  if (expected.type() != got.type() || expected.size() != got.size()) return false;
  if (expected.is_object()) {
    for (const auto& [key, value] : expected.items()) {
      if (!got.contains(key) || !SameField(key, value, got.at(key))) return false;
    }
    return true;
  }
  if (expected.is_array()) {
    return std::equal(expected.begin(), expected.end(), got.begin(), AsExpected);
  }
  return expected == got;
}

}  // namespace trestle::tests
