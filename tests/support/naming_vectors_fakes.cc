#include "tests/support/naming_vectors_fakes.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <stdexcept>
#include <utility>

#include "naming/rewrite_namer.h"
#include "naming/serverset.h"
#include "naming/tree.h"

namespace trestle::tests {
namespace {

using naming::Addr;
using naming::BoundName;
using naming::Dependencies;
using naming::Lookup;
using naming::Name;
using naming::NameTree;
using naming::Path;
using naming::PathTree;
using AddrVar = std::shared_ptr<naming::Var<Addr>>;

Path PathOf(const std::string& text) {
  auto path = Path::Parse(text);
  if (!path.ok()) throw std::runtime_error("bad path in the vector: " + path.status().message());
  return *path;
}

AddrVar VarOf(const VectorJson& json) {
  return std::make_shared<naming::Var<Addr>>(AddrOfJson(json));
}

NameTree<Name> NamesOf(const PathTree& tree, const Path& rest) {
  using Names = NameTree<Name>;
  switch (tree.kind) {
    case PathTree::Kind::kLeaf: {
      Name name;
      name.path = tree.leaf + rest;
      return Names::Leaf(std::move(name));
    }
    case PathTree::Kind::kAlt: {
      std::vector<Names> trees;
      for (const PathTree& child : tree.trees) trees.push_back(NamesOf(child, rest));
      return Names::Alt(std::move(trees));
    }
    case PathTree::Kind::kUnion: {
      std::vector<Names::Weighted> parts;
      for (const auto& part : tree.parts) parts.push_back({part.weight, NamesOf(part.tree, rest)});
      return Names::Union(std::move(parts));
    }
    case PathTree::Kind::kFail:
      return Names::Fail();
    case PathTree::Kind::kEmpty:
      return Names::Empty();
    case PathTree::Kind::kNeg:
      break;
  }
  return Names::Neg();
}

class FileNamer : public naming::Namer {
 public:
  explicit FileNamer(const VectorJson& files) {
    for (const auto& [path, addr] : files.items()) files_[PathOf(path)] = VarOf(addr);
  }
  Lookup Find(const Path& prefix, const Path& rest, Dependencies*) override {
    for (size_t n = 1; n <= rest.size(); ++n) {
      const auto file = files_.find(rest.Take(n));
      if (file == files_.end()) continue;
      return Lookup::Bound({prefix + rest.Take(n), rest.Drop(n), file->second});
    }
    return Lookup::Neg();
  }

 private:
  std::map<Path, AddrVar> files_;
};

class ServersetNamer : public naming::Namer {
 public:
  explicit ServersetNamer(const VectorJson& sets) {
    for (const auto& [path, addr] : sets.items()) sets_[PathOf(path)] = VarOf(addr);
  }
  Lookup Find(const Path& prefix, const Path& rest, Dependencies*) override {
    for (size_t n = rest.size() + 1; n-- > 0;) {
      const Path tried = rest.Take(n);
      const auto name = naming::ParseServersetName(tried);
      if (!name.ok()) return Lookup::Failed(name.status().message());
      const auto set = sets_.find(tried);
      if (set == sets_.end()) continue;
      const Addr& addr = set->second->Get();
      if (addr.kind == Addr::Kind::kPending) return Lookup::Pending();
      if (addr.kind == Addr::Kind::kFailed) return Lookup::Failed(addr.cause);
      if (addr.kind == Addr::Kind::kNeg) continue;
      return Lookup::Bound({prefix + tried, rest.Drop(n), set->second});
    }
    return Lookup::Neg();
  }

 private:
  std::map<Path, AddrVar> sets_;
};

class StaticNamer : public naming::Namer {
 public:
  explicit StaticNamer(const VectorJson& entries) {
    for (const auto& [path, entry] : entries.items()) {
      Entry made;
      if (entry.contains("tree")) {
        auto tree = naming::ParseTree(entry["tree"].get<std::string>());
        if (!tree.ok()) throw std::runtime_error("bad tree in the vector");
        made.tree = *tree;
      } else if (entry.contains("addr")) {
        made.addr = VarOf(entry["addr"]);
      } else if (entry.contains("failed")) {
        made.failed = entry["failed"].get<std::string>();
        made.is_failed = true;
      } else {
        made.pending = true;
      }
      entries_[PathOf(path)] = std::move(made);
    }
  }
  Lookup Find(const Path& prefix, const Path& rest, Dependencies*) override {
    for (size_t n = rest.size() + 1; n-- > 0;) {
      const auto found = entries_.find(rest.Take(n));
      if (found == entries_.end()) continue;
      const Entry& entry = found->second;
      if (entry.pending) return Lookup::Pending();
      if (entry.is_failed) return Lookup::Failed(entry.failed);
      if (entry.addr == nullptr) return Lookup::Ok(NamesOf(entry.tree, rest.Drop(n)));
      return Lookup::Bound({prefix + rest.Take(n), rest.Drop(n), entry.addr});
    }
    return Lookup::Neg();
  }

 private:
  struct Entry {
    PathTree tree;
    AddrVar addr;
    std::string failed;
    bool is_failed = false;
    bool pending = false;
  };
  std::map<Path, Entry> entries_;
};

std::unique_ptr<naming::Namer> MakeNamer(const VectorJson& json) {
  const std::string kind = json.at("kind");
  if (kind == "fs") return std::make_unique<FileNamer>(json.at("files"));
  if (kind == "serversets") return std::make_unique<ServersetNamer>(json.at("sets"));
  if (kind == "static") return std::make_unique<StaticNamer>(json.at("entries"));
  if (kind != "rewrite") throw std::runtime_error("unknown kind of namer: " + kind);
  auto namer = naming::RewriteNamer::Make(json.at("pattern").get<std::string>(),
                                          json.at("name").get<std::string>());
  if (!namer.ok()) throw std::runtime_error("rewrite namer: " + namer.status().message());
  return std::move(namer).value();
}

}  // namespace

std::string CanonicalIp(const std::string& host) {
  if (host == "localhost") return "127.0.0.1";
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (host.empty() || getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return "";
  char text[INET6_ADDRSTRLEN] = "";
  getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
  freeaddrinfo(found);
  return text;
}

AddrVar LiteralResolver::Resolve(const std::string& host, uint16_t port) {
  AddrVar& known = known_[host + " " + std::to_string(port)];
  if (known == nullptr) {
    const std::string ip = host.empty() ? std::string("127.0.0.1") : CanonicalIp(host);
    known = std::make_shared<naming::Var<Addr>>(ip.empty() ? Addr::Neg()
                                                           : Addr::Bound({{ip, port, 1.0, false}}));
  }
  return known;
}

Addr AddrOfJson(const VectorJson& json) {
  const std::string type = json.at("type");
  if (type == "neg") return Addr::Neg();
  if (type == "pending") return Addr::Pending();
  if (type == "failed") return Addr::Failed(json.at("cause"));
  std::vector<naming::Endpoint> endpoints;
  for (const auto& addr : json.at("addrs")) {
    naming::Endpoint endpoint;
    endpoint.host = addr.at("ip");
    endpoint.port = addr.at("port");
    endpoint.has_weight = addr.contains("weight");
    if (endpoint.has_weight) endpoint.weight = addr.at("weight");
    endpoints.push_back(std::move(endpoint));
  }
  return Addr::Bound(std::move(endpoints));
}

NamersOfVector::NamersOfVector(const VectorJson& namers) {
  for (const auto& json : namers) {
    owned_.push_back(MakeNamer(json));
    set_.entries.push_back({PathOf(json.at("prefix")), owned_.back().get()});
  }
  set_.system = &system_;
}

std::vector<naming::Transformer> TransformersOfVector(const VectorJson& transformers) {
  std::vector<naming::Transformer> made;
  for (const auto& json : transformers) {
    if (json.at("kind") != "io.l5d.port") {
      throw std::runtime_error("unknown transformer: " + json.at("kind").get<std::string>());
    }
    const auto port = json.at("port").get<uint16_t>();
    const Path prefix({"%", "io.l5d.port", std::to_string(port)});
    made.push_back({"DelegatingNameTreeTransformer$", [port, prefix](const BoundName& bound) {
                      Addr addr = bound.addr->Get();
                      for (auto& endpoint : addr.endpoints) endpoint.port = port;
                      return BoundName{prefix + bound.id, bound.residual,
                                       std::make_shared<naming::Var<Addr>>(std::move(addr))};
                    }});
  }
  return made;
}

}  // namespace trestle::tests
