#include "naming/explain.h"

#include <algorithm>
#include <cstdio>
#include <vector>

#include "naming/shares.h"
#include "naming/text.h"

namespace trestle::naming {
namespace {

using Kind = DelegateTree::Kind;

// What bind makes of a node, as far as the choice among alternatives and branches goes.
enum class Outcome { kNeg, kFail, kBroken, kAnswer };

Outcome OutcomeOf(const DelegateTree& tree);

// Of several branches that are no error, ~ and ! vanish; one alone stands for itself.
Outcome OutcomeOfUnion(const DelegateTree& tree) {
  std::vector<Outcome> good;
  for (const DelegateTree& child : tree.trees) {
    const Outcome outcome = OutcomeOf(child);
    if (outcome != Outcome::kBroken) good.push_back(outcome);
  }
  if (good.empty()) return Outcome::kBroken;
  if (good.size() == 1) return good[0];
  const bool answers = std::find(good.begin(), good.end(), Outcome::kAnswer) != good.end();
  return answers ? Outcome::kAnswer : Outcome::kNeg;
}

Outcome OutcomeOf(const DelegateTree& tree) {
  switch (tree.kind) {
    case Kind::kNeg:
      return Outcome::kNeg;
    case Kind::kFail:
      return Outcome::kFail;
    case Kind::kException:
      return Outcome::kBroken;
    case Kind::kDelegate:
      return OutcomeOf(tree.trees[0]);
    case Kind::kAlt:
      for (const DelegateTree& child : tree.trees) {
        const Outcome outcome = OutcomeOf(child);
        if (outcome != Outcome::kNeg) return outcome;
      }
      return Outcome::kNeg;
    case Kind::kUnion:
      return OutcomeOfUnion(tree);
    default:
      return Outcome::kAnswer;
  }
}

std::string Weight(double weight) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", weight);
  return text;
}

std::string Percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g %%", share * 100);
  return text;
}

std::string AddrText(const Addr& addr, const std::string& indent) {
  switch (addr.kind) {
    case Addr::Kind::kNeg:
      return indent + "no address: the host or name does not exist; calls fail\n";
    case Addr::Kind::kPending:
      return indent + "no address yet: pending; calls wait\n";
    case Addr::Kind::kFailed:
      return indent + "no address: " + addr.cause + "; calls fail\n";
    case Addr::Kind::kBound:
      break;
  }
  if (addr.endpoints.empty()) return indent + "no addresses: the set is empty; calls fail\n";
  std::string text;
  for (const Endpoint& endpoint : addr.endpoints) {
    text += indent + endpoint.Show();
    if (endpoint.has_weight) text += "  weight " + Weight(endpoint.weight);
    text += "\n";
  }
  if (!addr.cause.empty()) text += indent + "stale: " + addr.cause + "\n";
  return text;
}

class Explainer {
 public:
  // `head` stands before the name on the node's line, `tail` behind the entry. `told`: the entry
  // that a line above has named already.
  void Node(const DelegateTree& tree, size_t column, const std::string& head,
            const std::string& tail, const DentryText* told = nullptr) {
    Line(tree, column, head, tail, told);
    const size_t inner = column + head.size() + 2;
    switch (tree.kind) {
      case Kind::kDelegate:
        return Node(tree.trees[0], inner, "", "");
      case Kind::kAlt:
        return Alt(tree, inner);
      case Kind::kUnion:
        return Union(tree, inner);
      case Kind::kTransformation:
        return Node(tree.trees[0], inner, "", "");
      default:
        return;
    }
  }

  std::string Take() { return std::move(text_); }

 private:
  static std::string Indent(size_t column) { return std::string(column, ' '); }

  // The entry that all children come from, or null.
  static const DentryText* SharedDentry(const DelegateTree& tree) {
    const DentryText* shared = tree.trees[0].dentry.get();
    for (const DelegateTree& child : tree.trees) {
      if (child.dentry.get() != shared) return nullptr;
    }
    return shared;
  }

  void Choice(size_t column, const char* what, const DentryText* shared, const char* how) {
    text_ += Indent(column) + what;
    if (shared != nullptr) text_ += " of " + shared->prefix + " => " + shared->dst;
    text_ += std::string(", ") + how + ":\n";
  }

  void Line(const DelegateTree& tree, size_t column, const std::string& head,
            const std::string& tail, const DentryText* told) {
    const std::string more = Indent(column + head.size() + 2);
    text_ += Indent(column) + head + NameOf(tree);
    if (tree.dentry != nullptr && tree.dentry.get() != told) {
      text_ += "    (" + tree.dentry->prefix + " => " + tree.dentry->dst + ")";
    }
    if (!tail.empty()) text_ += "    <- " + tail;
    text_ += "\n";
    for (const Path& path : tree.through) {
      text_ += more + "rewritten by the namer of " + path.Show() + "\n";
    }
    switch (tree.kind) {
      case Kind::kNeg:
        text_ += more + "~ : " + (tree.why_neg.empty() ? "no such name" : tree.why_neg) + "\n";
        return;
      case Kind::kFail:
        text_ += more + "! : calls fail here, nothing behind it is tried\n";
        return;
      case Kind::kEmpty:
        text_ += more + "$ : no addresses; calls fail here, nothing behind it is tried\n";
        return;
      case Kind::kException:
        text_ += more + "error: " + tree.message + "\n";
        return;
      case Kind::kLeaf:
        text_ += more + "leaf " + tree.bound.id.Show();
        if (!tree.bound.residual.empty()) text_ += ", residual " + tree.bound.residual.Show();
        text_ += "\n";
        text_ += AddrText(tree.bound.addr == nullptr ? Addr::Pending() : tree.bound.addr->Get(),
                          more + "  ");
        return;
      default:
        return;
    }
  }

  static std::string NameOf(const DelegateTree& tree) {
    if (tree.kind == Kind::kNeg && tree.path.empty()) return "~";
    if (tree.kind == Kind::kTransformation) return tree.path.Show() + " through " + tree.name;
    return tree.path.Show();
  }

  void Alt(const DelegateTree& tree, size_t column) {
    const DentryText* shared = SharedDentry(tree);
    Choice(column, "alternatives", shared == tree.dentry.get() ? nullptr : shared,
           "the first that is not ~ counts");
    bool decided = false;
    for (size_t i = 0; i < tree.trees.size(); ++i) {
      const bool neg = OutcomeOf(tree.trees[i]) == Outcome::kNeg;
      const char* tail = neg ? "nothing here" : unlooked_ > 0 ? "would be taken" : "taken";
      if (decided) tail = unlooked_ > 0 ? "" : "not looked at";
      unlooked_ += decided ? 1 : 0;
      Node(tree.trees[i], column, std::to_string(i + 1) + ". ", tail, shared);
      unlooked_ -= decided ? 1 : 0;
      decided = decided || !neg;
    }
  }

  void Union(const DelegateTree& tree, size_t column) {
    const DentryText* shared = SharedDentry(tree);
    Choice(column, "branches", shared == tree.dentry.get() ? nullptr : shared,
           "each call takes one by weight");
    for (size_t i = 0; i < tree.trees.size(); ++i) {
      const DelegateTree& child = tree.trees[i];
      const bool dropped = OutcomeOf(child) != Outcome::kAnswer;
      Node(child, column, Weight(tree.weights[i]) + " * ",
           dropped ? "left out: its share goes to the others" : "", shared);
    }
  }

  std::string text_;
  int unlooked_ = 0;  // how many alternatives above are not looked at
};

std::string ResultText(const BindResult& bound) {
  if (bound.state == BindResult::State::kPending) {
    return "result: pending; calls wait for the namer\n";
  }
  if (!bound.ok()) return "result: failed: " + bound.error + "\n";
  switch (bound.tree.kind) {
    case BoundTree::Kind::kNeg:
      return "result: ~ : the name leads nowhere; calls fail at once\n";
    case BoundTree::Kind::kFail:
      return "result: ! : calls fail at once\n";
    case BoundTree::Kind::kEmpty:
      return "result: $ : no addresses; calls fail at once\n";
    default:
      break;
  }
  std::string text = "result:\n";
  for (const Share& share : Shares(bound.tree)) {
    text += "  " + Percent(share.p) + "  ";
    if (!share.leaf) {
      text += "fail at once\n";
      continue;
    }
    text += share.leaf->id.Show();
    if (!share.leaf->residual.empty()) text += " (residual " + share.leaf->residual.Show() + ")";
    const Addr addr = share.leaf->addr == nullptr ? Addr::Pending() : share.leaf->addr->Get();
    if (addr.kind == Addr::Kind::kBound) {
      const size_t count = addr.endpoints.size();
      text += ", " + std::to_string(count) + (count == 1 ? " address" : " addresses");
    }
    text += "\n";
  }
  return text;
}

}  // namespace

std::string ExplainText(const DelegateTree& tree, const BindResult* bound) {
  Explainer explainer;
  explainer.Node(tree, 0, "", "");
  std::string text = explainer.Take();
  if (bound != nullptr) text += ResultText(*bound);
  return text;
}

}  // namespace trestle::naming
