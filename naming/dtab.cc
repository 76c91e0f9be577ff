#include "naming/dtab.h"

#include <utility>

#include "naming/parser.h"

namespace trestle::naming {

base::Result<Dentry> Dentry::Parse(std::string_view prefix, std::string_view dst) {
  base::Result<Prefix> left = Prefix::Parse(prefix);
  if (!left.ok()) return left.status();
  base::Result<PathTree> right = ParseTree(dst);
  if (!right.ok()) return right.status();
  return Dentry{std::move(*left), std::move(*right)};
}

std::string Dentry::Show() const { return prefix.Show() + "=>" + ShowTree(dst); }

base::Result<Dtab> Dtab::Parse(std::string_view text, size_t* error_pos) {
  Parser parser(text);
  Dtab dtab;
  do {
    parser.SkipSpace();
    if (parser.AtEnd()) break;
    Dentry dentry;
    if (!parser.ReadPrefix(&dentry.prefix) || !parser.ReadArrow() ||
        !parser.ReadTree(&dentry.dst)) {
      return parser.FailedStatus(error_pos);
    }
    dtab.Append(std::move(dentry));
    parser.SkipSpace();
  } while (parser.MaybeEat(';'));
  if (!parser.ReadEnd()) return parser.FailedStatus(error_pos);
  return dtab;
}

Dtab Dtab::operator+(const Dtab& later) const {
  Dtab both = *this;
  both.dentries_.insert(both.dentries_.end(), later.dentries_.begin(), later.dentries_.end());
  return both;
}

PathTree Graft(const PathTree& tree, const Path& rest, Budget* budget) {
  if (budget != nullptr && !budget->Spend(1)) return PathTree::Neg();
  switch (tree.kind) {
    case PathTree::Kind::kLeaf:
      if (budget != nullptr && !budget->Spend(CostOf(tree.leaf) + CostOf(rest))) {
        return PathTree::Neg();
      }
      return PathTree::Leaf(tree.leaf + rest);
    case PathTree::Kind::kAlt: {
      std::vector<PathTree> trees;
      trees.reserve(tree.trees.size());
      for (const PathTree& child : tree.trees) trees.push_back(Graft(child, rest, budget));
      return PathTree::Alt(std::move(trees));
    }
    case PathTree::Kind::kUnion: {
      std::vector<PathTree::Weighted> parts;
      parts.reserve(tree.parts.size());
      for (const auto& part : tree.parts) {
        parts.push_back({part.weight, Graft(part.tree, rest, budget)});
      }
      return PathTree::Union(std::move(parts));
    }
    default:
      return PathTree::Of(tree.kind);
  }
}

PathTree Dtab::Lookup(const Path& path) const {
  Budget endless(static_cast<size_t>(-1));
  return *Lookup(path, &endless);
}

std::optional<PathTree> Dtab::Lookup(const Path& path, Budget* budget) const {
  if (!budget->Spend(1 + dentries_.size() / 8)) return std::nullopt;
  std::vector<PathTree> matches;
  for (auto dentry = dentries_.rbegin(); dentry != dentries_.rend(); ++dentry) {
    if (!dentry->prefix.Matches(path)) continue;
    matches.push_back(Graft(dentry->dst, path.Drop(dentry->prefix.size()), budget));
    if (budget->spent()) return std::nullopt;
  }
  if (matches.empty()) return PathTree::Neg();
  if (matches.size() == 1) return std::move(matches[0]);
  return PathTree::Alt(std::move(matches));
}

std::string Dtab::Show() const {
  std::string out;
  for (const Dentry& dentry : dentries_) {
    if (!out.empty()) out += ';';
    out += dentry.Show();
  }
  return out;
}

Dtab Dtab::Simplified() const {
  Dtab simple;
  for (const Dentry& dentry : dentries_) {
    PathTree dst = SimplifyTree(dentry.dst);
    if (!dst.is(PathTree::Kind::kNeg)) simple.Append({dentry.prefix, std::move(dst)});
  }
  return simple;
}

bool SameDtab(const Dtab& a, const Dtab& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a.dentries()[i].prefix != b.dentries()[i].prefix) return false;
    if (!SameTree(a.dentries()[i].dst, b.dentries()[i].dst)) return false;
  }
  return true;
}

}  // namespace trestle::naming
