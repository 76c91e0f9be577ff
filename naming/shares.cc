#include "naming/shares.h"

#include <cmath>

namespace trestle::naming {
namespace {

// Empty with weight 0 is left out; Empty with weight keeps its share, and those calls fail.
bool CountsInUnion(const BoundTree::Weighted& part) {
  return !(part.tree.is(BoundTree::Kind::kEmpty) && part.weight == 0);
}

void AddUnion(const BoundTree& tree, double p, std::vector<Share>* shares);

void Add(const BoundTree& tree, double p, std::vector<Share>* shares) {
  switch (tree.kind) {
    case BoundTree::Kind::kLeaf:
      shares->push_back({tree.leaf, p});
      return;
    case BoundTree::Kind::kUnion:
      return AddUnion(tree, p, shares);
    default:
      shares->push_back({std::nullopt, p});
  }
}

void AddUnion(const BoundTree& tree, double p, std::vector<Share>* shares) {
  double sum = 0;
  size_t count = 0;
  for (const auto& part : tree.parts) {
    if (!CountsInUnion(part)) continue;
    sum += part.weight;
    ++count;
  }
  if (count == 0) {
    shares->push_back({std::nullopt, p});
    return;
  }
  const bool even = sum == 0 || !std::isfinite(sum);
  for (const auto& part : tree.parts) {
    if (!CountsInUnion(part)) continue;
    Add(part.tree, p * (even ? 1.0 / static_cast<double>(count) : part.weight / sum), shares);
  }
}

Addr Read(const BoundName& leaf) {
  return leaf.addr == nullptr ? Addr::Pending() : leaf.addr->Get();
}

}  // namespace

std::vector<Share> Shares(const BoundTree& tree) {
  std::vector<Share> shares;
  Add(tree, 1.0, &shares);
  return shares;
}

Addr MergedAddr(const BoundTree& tree) {
  const auto leaves = EvalTree(tree);
  if (!leaves) return Addr::Neg();
  if (leaves->empty()) return Addr::Bound({});
  if (leaves->size() == 1) return Read(leaves->front());
  std::vector<Endpoint> endpoints;
  size_t bound = 0;
  size_t neg = 0;
  Addr failed;
  size_t failures = 0;
  for (const BoundName& leaf : *leaves) {
    Addr addr = Read(leaf);
    if (addr.kind == Addr::Kind::kBound) {
      ++bound;
      endpoints.insert(endpoints.end(), addr.endpoints.begin(), addr.endpoints.end());
    } else if (addr.kind == Addr::Kind::kNeg) {
      ++neg;
    } else if (addr.kind == Addr::Kind::kFailed && ++failures == 1) {
      failed = std::move(addr);
    }
  }
  if (bound > 0) return Addr::Bound(std::move(endpoints));
  if (neg == leaves->size()) return Addr::Neg();
  if (failures == leaves->size()) return failed;
  return Addr::Pending();
}

}  // namespace trestle::naming
