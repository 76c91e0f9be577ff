#include "naming/delegate.h"

#include <optional>
#include <utility>

#include "naming/bind.h"
#include "naming/resolve.h"

namespace trestle::naming {
namespace {

using Kind = DelegateTree::Kind;
using DentryPtr = std::shared_ptr<const DentryText>;

DelegateTree Node(Kind kind, Path path, DentryPtr dentry) {
  DelegateTree node;
  node.kind = kind;
  node.path = std::move(path);
  node.dentry = std::move(dentry);
  return node;
}

// A step of which the one child stands for the same path says nothing: the child takes its place.
DelegateTree Step(const Path& path, const DentryPtr& dentry, DelegateTree child) {
  const bool keep =
      child.kind == Kind::kNeg || child.kind == Kind::kFail || child.kind == Kind::kEmpty;
  if (!keep && child.path == path) {
    child.dentry = dentry;
    return child;
  }
  DelegateTree step = Node(Kind::kDelegate, path, dentry);
  step.trees.push_back(std::move(child));
  return step;
}

// Alternatives of the same path within alternatives become one list.
DelegateTree Alternatives(const Path& path, const DentryPtr& dentry,
                          std::vector<DelegateTree> children) {
  if (children.size() == 1) return Step(path, dentry, std::move(children[0]));
  DelegateTree alt = Node(Kind::kAlt, path, dentry);
  for (DelegateTree& child : children) {
    if (child.kind == Kind::kAlt && child.path == path) {
      for (DelegateTree& inner : child.trees) alt.trees.push_back(std::move(inner));
    } else {
      alt.trees.push_back(std::move(child));
    }
  }
  return alt;
}

// One delegation. A step that gives nullopt has set pending_ or gave_up_, which end it
// all; else the name loops, which the
// alternative or branch above catches.
class Delegation {
 public:
  Delegation(const Dtab& dtab, const NamerSet& namers, Dependencies* deps,
             const std::vector<Transformer>& transformers)
      : dtab_(dtab), namers_(namers), deps_(deps), transformers_(transformers) {
    texts_.resize(dtab.size());
  }

  base::Result<DelegateTree> Run(const Path& path) {
    std::optional<DelegateTree> tree = Explain(path, nullptr, 0);
    if (pending_) return base::Status(base::Code::kTimeout, "Request timed out.");
    if (gave_up_) {
      return base::Status(base::Code::kInternal,
                          "gave up after " + std::to_string(lookups_) +
                              " lookups: the dtab loops or fans out without end");
    }
    if (!tree) return base::Status(base::Code::kInternal, "Max recursion level reached.");
    return std::move(*tree);
  }

 private:
  using Answer = std::optional<DelegateTree>;

  bool Ended() const { return pending_ || gave_up_; }

  Answer GiveUp() {
    gave_up_ = true;
    return std::nullopt;
  }

  // What the dtab, and if it has nothing the namers, make of `path`.
  Answer Explain(const Path& path, const DentryPtr& dentry, int depth) {
    if (++lookups_ > kMaxDelegateLookups || nesting_ >= kMaxNesting) return GiveUp();
    if (!budget_.Spend(1 + dtab_.size() / 8)) return GiveUp();
    ++nesting_;
    std::vector<size_t> matches;
    for (size_t i = dtab_.size(); i-- > 0;) {
      if (dtab_.dentries()[i].prefix.Matches(path)) matches.push_back(i);
    }
    Answer answer = matches.empty() ? ExplainByNamers(path, dentry, depth)
                                    : ExplainByDtab(path, dentry, matches, depth);
    --nesting_;
    return answer;
  }

  Answer ExplainByDtab(const Path& path, const DentryPtr& dentry,
                       const std::vector<size_t>& matches, int depth) {
    if (depth + 1 > kMaxDepth) return std::nullopt;
    std::vector<DelegateTree> children;
    for (size_t match : matches) {
      const Dentry& entry = dtab_.dentries()[match];
      const Path rest = path.Drop(entry.prefix.size());
      const PathTree tree = Graft(entry.dst, rest, &budget_);
      if (budget_.spent()) return GiveUp();
      Answer child = Dress(path, TextOf(match), tree, depth + 1);
      if (Ended()) return std::nullopt;
      if (!child) {
        if (matches.size() == 1) return std::nullopt;
        child = Looped(path, dentry);
      }
      if (matches.size() == 1 && tree.is(PathTree::Kind::kNeg)) {
        child->why_neg = "written ~ ; alone it does not stop bind from asking the namers";
      }
      children.push_back(std::move(*child));
    }
    return Alternatives(path, dentry, std::move(children));
  }

  Answer ExplainByNamers(const Path& path, const DentryPtr& dentry, int depth) {
    std::string why_neg;
    const Lookup answer = AskNamers(namers_, path, deps_, &why_neg);
    if (answer.state == Lookup::State::kPending) {
      pending_ = true;
      return std::nullopt;
    }
    if (depth + 1 > kMaxDepth) return std::nullopt;
    if (!Pay(path, dentry)) return std::nullopt;
    if (answer.state == Lookup::State::kFailed) {
      DelegateTree node = Node(Kind::kException, path, dentry);
      node.message = answer.error;
      return node;
    }
    if (answer.tree.is(NameTree<Name>::Kind::kNeg)) {
      DelegateTree node = Node(Kind::kNeg, path, dentry);
      node.why_neg = std::move(why_neg);
      return node;
    }
    Answer child = Dress(path, dentry, answer.tree, depth + 1);
    const bool rewritten =
        answer.tree.is(NameTree<Name>::Kind::kLeaf) && answer.tree.leaf.bound == nullptr;
    if (child && rewritten) child->through.insert(child->through.begin(), path);
    return child;
  }

  // Puts path and dentry on each node of `tree`, and explains its leaves.
  template <class T>
  Answer Dress(const Path& path, const DentryPtr& dentry, const NameTree<T>& tree, int depth) {
    using TreeKind = typename NameTree<T>::Kind;
    if (nesting_ >= kMaxNesting) return GiveUp();
    if (!Pay(path, dentry)) return std::nullopt;
    switch (tree.kind) {
      case TreeKind::kLeaf:
        return DressLeaf(path, dentry, tree.leaf, depth);
      case TreeKind::kAlt:
        return tree.trees.empty() ? WrittenNeg(dentry) : DressAlt(path, dentry, tree, depth);
      case TreeKind::kUnion:
        return tree.parts.empty() ? WrittenNeg(dentry) : DressUnion(path, dentry, tree, depth);
      case TreeKind::kFail:
        return Node(Kind::kFail, path, dentry);
      case TreeKind::kEmpty:
        return Node(Kind::kEmpty, path, dentry);
      case TreeKind::kNeg:
        break;
    }
    return WrittenNeg(dentry);
  }

  template <class T>
  Answer DressAlt(const Path& path, const DentryPtr& dentry, const NameTree<T>& tree, int depth) {
    std::vector<DelegateTree> children;
    for (const NameTree<T>& child : tree.trees) {
      Answer dressed = DressChild(path, dentry, child, depth, tree.trees.size() > 1);
      if (!dressed) return std::nullopt;
      children.push_back(std::move(*dressed));
    }
    return Alternatives(path, dentry, std::move(children));
  }

  template <class T>
  Answer DressUnion(const Path& path, const DentryPtr& dentry, const NameTree<T>& tree, int depth) {
    DelegateTree node = Node(Kind::kUnion, path, dentry);
    for (const auto& part : tree.parts) {
      Answer dressed = DressChild(path, dentry, part.tree, depth, tree.parts.size() > 1);
      if (!dressed) return std::nullopt;
      node.weights.push_back(part.weight);
      node.trees.push_back(std::move(*dressed));
    }
    if (node.trees.size() == 1) return Step(path, dentry, std::move(node.trees[0]));
    return node;
  }

  // A loop below one of several children is that child's fault alone.
  template <class T>
  Answer DressChild(const Path& path, const DentryPtr& dentry, const NameTree<T>& child, int depth,
                    bool catches) {
    ++nesting_;
    Answer dressed = Dress(path, dentry, child, depth);
    --nesting_;
    if (!dressed && catches && !Ended()) return Looped(path, dentry);
    return dressed;
  }

  Answer DressLeaf(const Path& /*path*/, const DentryPtr& dentry, const Path& leaf, int depth) {
    return Explain(leaf, dentry, depth);
  }
  Answer DressLeaf(const Path& path, const DentryPtr& dentry, const Name& leaf, int depth) {
    if (leaf.bound == nullptr) return Explain(leaf.path, dentry, depth);
    DelegateTree node = Node(Kind::kLeaf, path, dentry);
    node.bound = *leaf.bound;
    for (const Transformer& transformer : transformers_) node = Transform(transformer, node);
    return node;
  }

  // Wraps the innermost leaf of `node`.
  static DelegateTree Transform(const Transformer& transformer, DelegateTree node) {
    if (node.kind == Kind::kTransformation) {
      node.trees[0] = Transform(transformer, std::move(node.trees[0]));
      return node;
    }
    DelegateTree wrapped = Node(Kind::kTransformation, node.path, nullptr);
    wrapped.name = transformer.name;
    wrapped.bound = node.bound;
    node.bound = transformer.map(node.bound);
    node.path = node.bound.id;
    wrapped.trees.push_back(std::move(node));
    return wrapped;
  }

  static DelegateTree WrittenNeg(const DentryPtr& dentry) {
    DelegateTree node = Node(Kind::kNeg, Path(), dentry);
    node.why_neg = "written ~";
    return node;
  }

  static DelegateTree Looped(const Path& path, const DentryPtr& dentry) {
    DelegateTree node = Node(Kind::kException, path, dentry);
    node.message = "Max recursion level reached.";
    return node;
  }

  const DentryPtr& TextOf(size_t index) {
    DentryPtr& text = texts_[index];
    if (text == nullptr) {
      const Dentry& dentry = dtab_.dentries()[index];
      text = std::make_shared<const DentryText>(
          DentryText{dentry.prefix.Show(), ShowTree(dentry.dst)});
    }
    return text;
  }

  // Each node is shown with its path and dentry: that is what it costs.
  bool Pay(const Path& path, const DentryPtr& dentry) {
    size_t bytes = 64 + (dentry == nullptr ? 0 : dentry->prefix.size() + dentry->dst.size());
    for (const std::string& label : path.labels()) bytes += 1 + label.size();
    gave_up_ = !bytes_.Spend(bytes) || gave_up_;
    return !gave_up_;
  }

  const Dtab& dtab_;
  const NamerSet& namers_;
  Dependencies* deps_;
  const std::vector<Transformer>& transformers_;
  std::vector<DentryPtr> texts_;  // of the dtab's entries, made when first wanted
  Budget budget_{kMaxBindCost};
  Budget bytes_{kMaxDelegateBytes};
  size_t lookups_ = 0;
  int nesting_ = 0;
  bool pending_ = false;
  bool gave_up_ = false;
};

void CollectPending(const DelegateTree& tree, std::vector<std::shared_ptr<Var<Addr>>>* pending) {
  if (tree.bound.addr != nullptr && tree.bound.addr->Get().kind == Addr::Kind::kPending) {
    pending->push_back(tree.bound.addr);
  }
  for (const DelegateTree& child : tree.trees) CollectPending(child, pending);
}

}  // namespace

base::Result<DelegateTree> Delegate(const Dtab& dtab, const Path& path, const NamerSet& namers,
                                    Dependencies* deps,
                                    const std::vector<Transformer>& transformers) {
  Dependencies unused;
  return Delegation(dtab, namers, deps == nullptr ? &unused : deps, transformers).Run(path);
}

std::vector<std::shared_ptr<Var<Addr>>> PendingAddrs(const DelegateTree& tree) {
  std::vector<std::shared_ptr<Var<Addr>>> pending;
  CollectPending(tree, &pending);
  return pending;
}

}  // namespace trestle::naming
