#include "naming/delegate_json.h"

#include <nlohmann/json.hpp>

namespace trestle::naming {
namespace {

using Json = nlohmann::ordered_json;
using Kind = DelegateTree::Kind;

const char* TypeOf(Kind kind) {
  switch (kind) {
    case Kind::kDelegate:
      return "delegate";
    case Kind::kAlt:
      return "alt";
    case Kind::kUnion:
      return "union";
    case Kind::kLeaf:
      return "leaf";
    case Kind::kNeg:
      return "neg";
    case Kind::kFail:
      return "fail";
    case Kind::kEmpty:
      return "empty";
    case Kind::kException:
      return "exception";
    case Kind::kTransformation:
      break;
  }
  return "transformation";
}

// A written "~" has no path of its own; "!" shows one only where it came from /$/fail.
std::string PathOf(const DelegateTree& tree) {
  static const Path kFail({"$", "fail"});
  if (tree.kind == Kind::kNeg && tree.path.empty()) return "~";
  if (tree.kind == Kind::kFail && !tree.path.StartsWith(kFail)) return "!";
  return tree.path.Show();
}

Json AddrJson(const Addr& addr) {
  Json json;
  switch (addr.kind) {
    case Addr::Kind::kNeg:
      json["type"] = "neg";
      return json;
    case Addr::Kind::kPending:
      json["type"] = "pending";
      return json;
    case Addr::Kind::kFailed:
      json["type"] = "failed";
      json["cause"] = addr.cause;
      return json;
    case Addr::Kind::kBound:
      break;
  }
  json["type"] = "bound";
  json["addrs"] = Json::array();
  for (const Endpoint& endpoint : addr.endpoints) {
    Json meta = Json::object();
    if (endpoint.has_weight) meta["endpoint_addr_weight"] = endpoint.weight;
    json["addrs"].push_back({{"ip", endpoint.host}, {"port", endpoint.port}, {"meta", meta}});
  }
  json["meta"] = Json::object();
  return json;
}

Json BoundJson(const BoundName& bound) {
  Json json;
  json["addr"] = AddrJson(bound.addr == nullptr ? Addr::Pending() : bound.addr->Get());
  json["id"] = bound.id.Show();
  json["path"] = bound.residual.Show();
  return json;
}

Json TreeJson(const DelegateTree& tree) {
  Json json;
  json["type"] = TypeOf(tree.kind);
  json["path"] = PathOf(tree);
  if (tree.dentry != nullptr && tree.kind != Kind::kTransformation) {
    json["dentry"] = {{"prefix", tree.dentry->prefix}, {"dst", tree.dentry->dst}};
  }
  switch (tree.kind) {
    case Kind::kDelegate:
      json["delegate"] = TreeJson(tree.trees[0]);
      break;
    case Kind::kAlt:
      json["alt"] = Json::array();
      for (const DelegateTree& child : tree.trees) json["alt"].push_back(TreeJson(child));
      break;
    case Kind::kUnion:
      json["union"] = Json::array();
      for (size_t i = 0; i < tree.trees.size(); ++i) {
        Json part;
        part["weight"] = tree.weights[i];
        part["tree"] = TreeJson(tree.trees[i]);
        json["union"].push_back(std::move(part));
      }
      break;
    case Kind::kLeaf:
      json["bound"] = BoundJson(tree.bound);
      break;
    case Kind::kException:
      json["message"] = tree.message;
      break;
    case Kind::kTransformation:
      json["name"] = tree.name;
      json["bound"] = BoundJson(tree.bound);
      json["tree"] = TreeJson(tree.trees[0]);
      break;
    default:
      break;
  }
  return json;
}

}  // namespace

std::string DelegateJson(const DelegateTree& tree) {
  // Causes may quote bytes that are no UTF-8.
  return TreeJson(tree).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace trestle::naming
