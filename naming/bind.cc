#include "naming/bind.h"

#include <utility>

#include "naming/resolve.h"

namespace trestle::naming {
namespace {

using State = BindResult::State;

BindResult Ok(BoundTree tree) {
  BindResult result;
  result.tree = std::move(tree);
  return result;
}

BindResult Failed(std::string error, std::string kind) {
  BindResult result;
  result.state = State::kFailed;
  result.error = std::move(error);
  result.kind = std::move(kind);
  return result;
}

BindResult Pending() {
  BindResult result;
  result.state = State::kPending;
  return result;
}

// One bind. The recursion goes through trees (Tree) and lookups (LookUp) by turns.
class Binding {
 public:
  Binding(const Dtab& dtab, const NamerSet& namers, Dependencies* deps, BindTrace* trace)
      : dtab_(dtab), namers_(namers), deps_(deps), trace_(trace) {}

  BindResult LookUp(const Path& path, int depth) {
    if (++lookups_ > kMaxLookups) return TooMany();
    Note(path);
    std::optional<PathTree> found = dtab_.Lookup(path, &budget_);
    if (!found) return TooMany();
    // Only an answer that is Neg itself hands over to the namers: an Alt of Negs does not.
    if (!found->is(PathTree::Kind::kNeg)) return Tree(*found, depth + 1);
    Lookup answer = AskNamers(namers_, path, deps_, nullptr);
    if (answer.state == Lookup::State::kPending) return Pending();
    if (answer.state == Lookup::State::kFailed) {
      return Failed(std::move(answer.error), std::move(answer.kind));
    }
    return Tree(answer.tree, depth + 1);
  }

  template <class T>
  BindResult Tree(const NameTree<T>& tree, int depth) {
    if (gave_up_) return TooMany();
    if (depth > kMaxDepth) {
      return Failed("Max recursion level: 100 reached in Namer lookup", "max_depth");
    }
    if (nesting_ >= kMaxNesting) return TooMany();
    ++nesting_;
    BindResult result = Node(tree, depth);
    --nesting_;
    return result;
  }

 private:
  template <class T>
  BindResult Node(const NameTree<T>& tree, int depth) {
    using Kind = typename NameTree<T>::Kind;
    switch (tree.kind) {
      case Kind::kLeaf:
        return Leaf(tree.leaf, depth);
      case Kind::kAlt:
        return Alt(tree.trees, depth);
      case Kind::kUnion:
        if (tree.parts.size() == 1) return Tree(tree.parts[0].tree, depth);
        return Union(tree.parts, depth);
      case Kind::kFail:
        return Ok(BoundTree::Fail());
      case Kind::kEmpty:
        return Ok(BoundTree::Empty());
      case Kind::kNeg:
        break;
    }
    return Ok(BoundTree::Neg());
  }

  BindResult Leaf(const Path& path, int depth) { return LookUp(path, depth); }
  BindResult Leaf(const Name& name, int depth) {
    if (name.bound != nullptr) return Ok(BoundTree::Leaf(*name.bound));
    return LookUp(name.path, depth);
  }

  // The first that is not Neg decides, be it Empty, pending or failed.
  template <class T>
  BindResult Alt(const std::vector<NameTree<T>>& trees, int depth) {
    for (const NameTree<T>& child : trees) {
      BindResult result = Tree(child, depth);
      if (!result.ok() || !result.tree.is(BoundTree::Kind::kNeg)) return result;
    }
    return Ok(BoundTree::Neg());
  }

  // Those that are ok, if any is (one alone stands for itself, also a Fail); else the first
  // failure; else pending.
  template <class T>
  BindResult Union(const std::vector<T>& parts, int depth) {
    std::vector<BoundTree::Weighted> good;
    BindResult bad = Pending();
    for (const auto& part : parts) {
      BindResult result = Tree(part.tree, depth);
      if (gave_up_) return TooMany();
      if (result.ok()) {
        good.push_back({part.weight, std::move(result.tree)});
      } else if (result.state == State::kFailed && bad.state == State::kPending) {
        bad = std::move(result);
      }
    }
    if (good.empty()) return parts.empty() ? Ok(BoundTree::Neg()) : bad;
    return Ok(SimplifyTree(BoundTree::Union(std::move(good))));
  }

  BindResult TooMany() {
    gave_up_ = true;
    return Failed("gave up after " + std::to_string(lookups_) +
                      " lookups: the dtab loops or fans out without end",
                  "too_many_lookups");
  }

  void Note(const Path& path) {
    if (trace_ == nullptr) return;
    if (trace_->paths.size() < BindTrace::kMaxPaths) {
      trace_->paths.push_back(path);
    } else {
      ++trace_->more;
    }
  }

  const Dtab& dtab_;
  const NamerSet& namers_;
  Dependencies* deps_;
  BindTrace* trace_;
  Budget budget_{kMaxBindCost};
  size_t lookups_ = 0;
  int nesting_ = 0;
  bool gave_up_ = false;
};

}  // namespace

std::string BindTrace::Text() const {
  std::string text;
  for (const Path& path : paths) {
    if (!text.empty()) text += " → ";
    text += path.Show();
  }
  if (more > 0) text += " → … (" + std::to_string(more) + " more)";
  return text;
}

BindResult Bind(const Dtab& dtab, const Path& path, const NamerSet& namers, Dependencies* deps,
                BindTrace* trace) {
  Dependencies unused;
  Binding binding(dtab, namers, deps == nullptr ? &unused : deps, trace);
  return binding.LookUp(path, 0);
}

}  // namespace trestle::naming
