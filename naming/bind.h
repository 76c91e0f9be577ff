// Bind: turns a path, by a dtab and the namers, into a tree of bound leaves.
//
// Lifetime: the result holds the addresses of its leaves; `deps` gets all that the answer hangs on:
// subscribe to it, and bind again after a change.
// Threading: the control loop, since namers are asked.
// Errors: BindResult; nothing throws.
//
// Bounds: kMaxDepth lookups in a chain, as Finagle has it, and of our own kMaxLookups in all,
// kMaxBindCost for what they compare and copy, and kMaxNesting for the stack. So the worst that a
// client can send costs some 20 ms ("/a => /a & /a" alone would be 2^100 lookups; it costs 6).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "naming/dtab.h"
#include "naming/namer.h"
#include "naming/path.h"
#include "naming/tree.h"

namespace trestle::naming {

inline constexpr int kMaxDepth = 100;
inline constexpr size_t kMaxLookups = 10'000;
inline constexpr size_t kMaxBindCost = 250'000;  // entries compared, trees grafted, labels copied
inline constexpr int kMaxNesting = 1'000;  // trees within trees, all lookups of a chain together

struct BindResult {
  enum class State { kOk, kPending, kFailed };
  State state = State::kOk;
  BoundTree tree;     // kOk; holds no Alt
  std::string error;  // kFailed
  // kFailed: "max_depth", "unknown_namer", "lookup_failed", or "too_many_lookups" where a bound of
  // our own was reached.
  std::string kind;

  bool ok() const { return state == State::kOk; }
};

// The paths that were looked up, in order, for error texts.
struct BindTrace {
  static constexpr size_t kMaxPaths = 16;
  std::vector<Path> paths;  // the first kMaxPaths
  size_t more = 0;          // how many came after them
  // "/svc/users → /srv/users → …"; empty when nothing was looked up.
  std::string Text() const;
};

// `dtab`: the base dtab + the local dtab of the request. `deps` and `trace` may be null.
BindResult Bind(const Dtab& dtab, const Path& path, const NamerSet& namers,
                Dependencies* deps = nullptr, BindTrace* trace = nullptr);

}  // namespace trestle::naming
