#include "naming/tree.h"

#include <map>
#include <utility>

#include "naming/parser.h"
#include "naming/text.h"

namespace trestle::naming {
namespace {

std::string ShowLeaf(const Path& path) { return path.Show(); }
std::string ShowLeaf(const BoundName& bound) { return bound.id.Show(); }

bool SameLeaf(const Path& a, const Path& b) { return a == b; }
bool SameLeaf(const BoundName& a, const BoundName& b) {
  return a.id == b.id && a.residual == b.residual && a.addr == b.addr;
}

const Path& KeyOf(const Path& path) { return path; }
const Path& KeyOf(const BoundName& bound) { return bound.id; }

// Where a tree stands decides whether it needs parentheses.
enum class Within { kNothing, kAlt, kUnion };

template <class T>
void Show(const NameTree<T>& tree, Within within, std::string* out) {
  using Kind = typename NameTree<T>::Kind;
  switch (tree.kind) {
    case Kind::kLeaf:
      *out += ShowLeaf(tree.leaf);
      return;
    case Kind::kNeg:
      *out += '~';
      return;
    case Kind::kFail:
      *out += '!';
      return;
    case Kind::kEmpty:
      *out += '$';
      return;
    case Kind::kAlt: {
      if (tree.trees.empty()) return static_cast<void>(*out += '~');
      if (tree.trees.size() == 1) return Show(tree.trees[0], within, out);
      const bool parens = within != Within::kNothing;
      if (parens) *out += '(';
      for (size_t i = 0; i < tree.trees.size(); ++i) {
        if (i > 0) *out += " | ";
        Show(tree.trees[i], Within::kAlt, out);
      }
      if (parens) *out += ')';
      return;
    }
    case Kind::kUnion: {
      if (tree.parts.empty()) return static_cast<void>(*out += '~');
      if (tree.parts.size() == 1) return Show(tree.parts[0].tree, within, out);
      const bool parens = within == Within::kUnion;
      if (parens) *out += '(';
      for (size_t i = 0; i < tree.parts.size(); ++i) {
        if (i > 0) *out += " & ";
        if (tree.parts[i].weight != 1.0) *out += ShowWeight(tree.parts[i].weight) + '*';
        Show(tree.parts[i].tree, Within::kUnion, out);
      }
      if (parens) *out += ')';
      return;
    }
  }
}

template <class T>
bool Same(const NameTree<T>& a, const NameTree<T>& b) {
  if (a.kind != b.kind || a.trees.size() != b.trees.size() || a.parts.size() != b.parts.size()) {
    return false;
  }
  if (a.kind == NameTree<T>::Kind::kLeaf) return SameLeaf(a.leaf, b.leaf);
  for (size_t i = 0; i < a.trees.size(); ++i) {
    if (!Same(a.trees[i], b.trees[i])) return false;
  }
  for (size_t i = 0; i < a.parts.size(); ++i) {
    if (a.parts[i].weight != b.parts[i].weight) return false;
    if (!Same(a.parts[i].tree, b.parts[i].tree)) return false;
  }
  return true;
}

template <class T>
NameTree<T> Simplify(const NameTree<T>& tree) {
  using Tree = NameTree<T>;
  using Kind = typename Tree::Kind;
  if (tree.kind == Kind::kAlt) {
    std::vector<Tree> kept;
    for (const Tree& child : tree.trees) {
      Tree simple = Simplify(child);
      if (simple.is(Kind::kNeg)) continue;
      const bool last = simple.is(Kind::kFail);
      kept.push_back(std::move(simple));
      if (last) break;
    }
    if (kept.empty()) return Tree::Neg();
    if (kept.size() == 1) return std::move(kept[0]);
    return Tree::Alt(std::move(kept));
  }
  if (tree.kind == Kind::kUnion) {
    // One part alone is that part, also a Fail.
    if (tree.parts.size() == 1) return Simplify(tree.parts[0].tree);
    std::vector<typename Tree::Weighted> kept;
    for (const auto& part : tree.parts) {
      Tree simple = Simplify(part.tree);
      if (simple.is(Kind::kNeg) || simple.is(Kind::kFail)) continue;
      kept.push_back({part.weight, std::move(simple)});
    }
    if (kept.empty()) return Tree::Neg();
    if (kept.size() == 1) return std::move(kept[0].tree);
    return Tree::Union(std::move(kept));
  }
  return tree;
}

template <class T>
using LeafSet = std::map<Path, T>;
enum class Answer { kLeaves, kNeg, kFail };

template <class T>
Answer Eval(const NameTree<T>& tree, LeafSet<T>* leaves) {
  using Kind = typename NameTree<T>::Kind;
  switch (tree.kind) {
    case Kind::kLeaf:
      leaves->emplace(KeyOf(tree.leaf), tree.leaf);
      return Answer::kLeaves;
    case Kind::kEmpty:
      return Answer::kLeaves;
    case Kind::kNeg:
      return Answer::kNeg;
    case Kind::kFail:
      return Answer::kFail;
    case Kind::kAlt:
      for (const auto& child : tree.trees) {
        const Answer answer = Eval(child, leaves);
        if (answer != Answer::kNeg) return answer;
      }
      return Answer::kNeg;
    case Kind::kUnion: {
      if (tree.parts.size() == 1) return Eval(tree.parts[0].tree, leaves);
      bool any = false;
      for (const auto& part : tree.parts) {
        any = (Eval(part.tree, leaves) == Answer::kLeaves) || any;
      }
      return any ? Answer::kLeaves : Answer::kNeg;
    }
  }
  return Answer::kNeg;
}

template <class T>
std::optional<std::vector<T>> EvalAll(const NameTree<T>& tree) {
  LeafSet<T> leaves;
  if (Eval(tree, &leaves) != Answer::kLeaves) return std::nullopt;
  std::vector<T> list;
  for (auto& [key, leaf] : leaves) list.push_back(std::move(leaf));
  return list;
}

}  // namespace

base::Result<PathTree> ParseTree(std::string_view text, size_t* error_pos) {
  Parser parser(text);
  PathTree tree;
  if (parser.ReadTree(&tree) && parser.ReadEnd()) return tree;
  return parser.FailedStatus(error_pos);
}

std::string ShowTree(const PathTree& tree) {
  std::string out;
  Show(tree, Within::kNothing, &out);
  return out;
}
std::string ShowTree(const BoundTree& tree) {
  std::string out;
  Show(tree, Within::kNothing, &out);
  return out;
}

bool SameTree(const PathTree& a, const PathTree& b) { return Same(a, b); }
bool SameTree(const BoundTree& a, const BoundTree& b) { return Same(a, b); }

PathTree SimplifyTree(const PathTree& tree) { return Simplify(tree); }
BoundTree SimplifyTree(const BoundTree& tree) { return Simplify(tree); }

std::optional<std::vector<Path>> EvalTree(const PathTree& tree) { return EvalAll(tree); }
std::optional<std::vector<BoundName>> EvalTree(const BoundTree& tree) { return EvalAll(tree); }

}  // namespace trestle::naming
