// What the tests of names share: namers of a table, a resolver in memory, random trees, short ways
// to write values.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "naming/dtab.h"
#include "naming/inet.h"
#include "naming/namer.h"
#include "naming/tree.h"

namespace trestle::naming::testing {

inline Path P(std::string_view text) {
  auto path = Path::Parse(text);
  EXPECT_TRUE(path.ok()) << text;
  return path.ok() ? *path : Path();
}
inline Dtab D(std::string_view text) {
  auto dtab = Dtab::Parse(text);
  EXPECT_TRUE(dtab.ok()) << text << ": " << dtab.status().message();
  return dtab.ok() ? *dtab : Dtab();
}
inline PathTree T(std::string_view text) {
  auto tree = ParseTree(text);
  EXPECT_TRUE(tree.ok()) << text << ": " << tree.status().message();
  return tree.ok() ? *tree : PathTree();
}
inline std::shared_ptr<Var<Addr>> At(std::vector<Endpoint> endpoints) {
  return std::make_shared<Var<Addr>>(Addr::Bound(std::move(endpoints)));
}

// Names that lead straight to an answer: "/users" with any residual behind it.
class TableNamer : public Namer {
 public:
  void Add(std::string_view path, std::shared_ptr<Var<Addr>> addr) {
    leaves_[P(path)] = std::move(addr);
  }
  void Say(std::string_view path, Lookup lookup) { said_[P(path)] = std::move(lookup); }
  Lookup Find(const Path& prefix, const Path& rest, Dependencies* deps) override {
    ++asked;
    deps->Add(changes);
    for (size_t n = rest.size() + 1; n-- > 0;) {
      const auto said = said_.find(rest.Take(n));
      if (said != said_.end()) return said->second;
      const auto leaf = leaves_.find(rest.Take(n));
      if (leaf == leaves_.end()) continue;
      return Lookup::Bound({prefix + rest.Take(n), rest.Drop(n), leaf->second});
    }
    return Lookup::Neg();
  }
  int asked = 0;
  std::shared_ptr<Var<int>> changes = std::make_shared<Var<int>>(0);

 private:
  std::map<Path, std::shared_ptr<Var<Addr>>> leaves_;
  std::map<Path, Lookup> said_;
};

// Gives out one Var for each host and port, pending until a test sets it.
class FakeResolver : public InetResolver {
 public:
  std::shared_ptr<Var<Addr>> Resolve(const std::string& host, uint16_t port) override {
    auto& var = vars[{host, port}];
    if (var == nullptr) var = std::make_shared<Var<Addr>>();
    return var;
  }
  std::map<std::pair<std::string, uint16_t>, std::shared_ptr<Var<Addr>>> vars;
};

// Random values from a fixed seed; labels from a small set, so that prefixes match often.
class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  unsigned Below(unsigned n) { return static_cast<unsigned>(engine_() % n); }
  std::string Label() {
    static const std::string kLabels[] = {"a",   "b",  "users", "svc", "#",
                                          "$",   "*x", "\xff ", "a/b", std::string(1, '\0'),
                                          "v.2", ":",  "h:80",  "%",   "-"};
    return kLabels[Below(sizeof kLabels / sizeof kLabels[0])];
  }
  Path SomePath(unsigned most) {
    std::vector<std::string> labels;
    for (unsigned n = Below(most + 1); n > 0; --n) labels.push_back(Label());
    return Path(std::move(labels));
  }
  Prefix SomePrefix() {
    std::vector<std::optional<std::string>> elems;
    for (unsigned n = Below(4); n > 0; --n) {
      elems.push_back(Below(4) == 0 ? std::nullopt : std::optional(Label()));
    }
    return Prefix(std::move(elems));
  }
  // Weights have two decimals, so that they survive being shown.
  PathTree SomeTree(int depth) {
    const unsigned kind = Below(depth > 0 ? 10 : 6);
    if (kind < 3) return PathTree::Leaf(SomePath(4));
    if (kind == 3) return PathTree::Neg();
    if (kind == 4) return PathTree::Fail();
    if (kind == 5) return PathTree::Empty();
    if (kind < 8) {
      std::vector<PathTree> trees;
      for (unsigned n = 2 + Below(3); n > 0; --n) trees.push_back(SomeTree(depth - 1));
      return PathTree::Alt(std::move(trees));
    }
    std::vector<PathTree::Weighted> parts;
    for (unsigned n = 2 + Below(3); n > 0; --n) {
      parts.push_back({static_cast<double>(Below(500)) / 100, SomeTree(depth - 1)});
    }
    return PathTree::Union(std::move(parts));
  }
  Dtab SomeDtab() {
    Dtab dtab;
    for (unsigned n = Below(8); n > 0; --n) dtab.Append({SomePrefix(), SomeTree(2)});
    return dtab;
  }
  // Without loops: entries of /l0 … /l3 lead to later ones or to `ends`.
  Dtab LayeredDtab(const std::vector<std::string>& ends) {
    Dtab dtab;
    for (unsigned layer = 0; layer < 4; ++layer) {
      for (unsigned n = 1 + Below(2); n > 0; --n) {
        std::vector<std::optional<std::string>> prefix{"l" + std::to_string(layer)};
        if (Below(4) == 0) prefix.push_back(std::nullopt);
        PathTree dst = SomeTree(1);
        Redirect(&dst, layer + 1, ends);
        dtab.Append({Prefix(std::move(prefix)), std::move(dst)});
      }
    }
    return dtab;
  }

 private:
  void Redirect(PathTree* tree, unsigned layer, const std::vector<std::string>& ends) {
    if (tree->is(PathTree::Kind::kLeaf)) {
      const bool end = Below(3) == 0;
      tree->leaf = P(end ? ends[Below(static_cast<unsigned>(ends.size()))]
                         : "/l" + std::to_string(layer + Below(2)));
    }
    for (PathTree& child : tree->trees) Redirect(&child, layer, ends);
    for (auto& part : tree->parts) Redirect(&part.tree, layer, ends);
  }

  std::mt19937 engine_;
};

}  // namespace trestle::naming::testing
