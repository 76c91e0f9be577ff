// DelegateTree: how a name comes to its addresses, step by step, for people: the same lookup and
// the same namers as Bind, but all alternatives are followed, also those that bind would not look
// at.
//
// Lifetime: a value; leaves hold their addresses, which are read when it is shown. Threading: the
// control loop. Errors: kTimeout "Request timed out." while a namer is pending (wait for one of
// `deps` to change and ask again), kInternal where the name loops or a bound of ours is reached.
// Bounds: kMaxDelegateLookups lookups, kMaxDelegateBytes of text, and those of naming/bind.h.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "naming/dtab.h"
#include "naming/namer.h"

namespace trestle::naming {

inline constexpr size_t kMaxDelegateLookups = 10'000;
inline constexpr size_t kMaxDelegateBytes = 8 << 20;

// A dentry as it is shown: "/svc" and "/srv | /new".
struct DentryText {
  std::string prefix;
  std::string dst;
};

struct DelegateTree {
  enum class Kind {
    kDelegate,        // a step: trees[0]
    kAlt,             // trees, in order of preference
    kUnion,           // trees with weights
    kLeaf,            // bound
    kNeg,             // path is empty for a written "~"
    kFail,            //
    kEmpty,           //
    kException,       // message
    kTransformation,  // bound before; trees[0] after, made by `name`
  };
  Kind kind = Kind::kNeg;
  Path path;
  std::shared_ptr<const DentryText> dentry;  // what led here; null at the root
  std::vector<DelegateTree> trees;
  std::vector<double> weights;
  BoundName bound;
  std::string message;
  std::string name;
  // For ExplainText only, not in the JSON: why a kNeg is one, and names that namers rewrote on the
  // way to this node.
  std::string why_neg;
  std::vector<Path> through;
};

// Maps bound leaves, as "/%/io.l5d.port/4140" does.
struct Transformer {
  std::string name;
  std::function<BoundName(const BoundName&)> map;
};

// `dtab`: the base dtab + the local one. `deps` may be null.
base::Result<DelegateTree> Delegate(const Dtab& dtab, const Path& path, const NamerSet& namers,
                                    Dependencies* deps = nullptr,
                                    const std::vector<Transformer>& transformers = {});

// The addresses of the leaves that are still pending: wait for them before showing the tree.
std::vector<std::shared_ptr<Var<Addr>>> PendingAddrs(const DelegateTree& tree);

}  // namespace trestle::naming
