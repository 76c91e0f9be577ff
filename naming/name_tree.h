// NameTree: where a name may lead: alternatives, weighted unions, leaves.
//
// Lifetime, threading: values; copies are deep. Errors: none.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace trestle::naming {

template <class T>
struct NameTree {
  enum class Kind { kLeaf, kAlt, kUnion, kNeg, kFail, kEmpty };

  struct Weighted;

  Kind kind = Kind::kNeg;
  T leaf{};                     // kLeaf
  std::vector<NameTree> trees;  // kAlt, in order of preference
  std::vector<Weighted> parts;  // kUnion

  static NameTree Leaf(T value);
  static NameTree Alt(std::vector<NameTree> trees);
  static NameTree Union(std::vector<Weighted> parts);
  static NameTree Neg() { return Of(Kind::kNeg); }
  static NameTree Fail() { return Of(Kind::kFail); }
  static NameTree Empty() { return Of(Kind::kEmpty); }
  static NameTree Of(Kind kind) {
    NameTree t;
    t.kind = kind;
    return t;
  }
  bool is(Kind k) const { return kind == k; }
};

template <class T>
struct NameTree<T>::Weighted {
  double weight = 1.0;
  NameTree tree;
};

template <class T>
NameTree<T> NameTree<T>::Leaf(T value) {
  NameTree t = Of(Kind::kLeaf);
  t.leaf = std::move(value);
  return t;
}
template <class T>
NameTree<T> NameTree<T>::Alt(std::vector<NameTree> trees) {
  NameTree t = Of(Kind::kAlt);
  t.trees = std::move(trees);
  return t;
}
template <class T>
NameTree<T> NameTree<T>::Union(std::vector<Weighted> parts) {
  NameTree t = Of(Kind::kUnion);
  t.parts = std::move(parts);
  return t;
}

}  // namespace trestle::naming
