// Namer: answers names with trees: the fs namer, serversets, rewriters, DNS.
//
// Lifetime: outlives every binding made with it. Threading: all calls on the control loop. Errors:
// an answer can be failed or pending; nothing throws.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "naming/addr.h"
#include "naming/name_tree.h"
#include "naming/path.h"
#include "naming/var.h"

namespace trestle::naming {

// A bound leaf: a concrete destination. Two leaves of one id are the same destination.
struct BoundName {
  Path id;
  Path residual;
  std::shared_ptr<Var<Addr>> addr;  // changes while the leaf stays
};

// A leaf of what a namer answers: either bound, or a path that goes back to the dtab.
struct Name {
  Path path;                               // when not bound
  std::shared_ptr<const BoundName> bound;  // when bound
};

// The answer at this moment.
struct Lookup {
  enum class State { kOk, kPending, kFailed };
  State state = State::kOk;
  NameTree<Name> tree;  // kOk
  std::string error;    // kFailed: Finagle's text
  std::string kind;     // kFailed: "max_depth", "unknown_namer", "lookup_failed"
  static Lookup Ok(NameTree<Name> tree);
  static Lookup Bound(BoundName bound);  // one bound leaf
  static Lookup To(Path path);           // one path, which goes back to the dtab
  static Lookup Neg() { return Ok(NameTree<Name>::Neg()); }
  static Lookup Pending();
  static Lookup Failed(std::string error, std::string kind = "lookup_failed");
};

// Collects what an answer hangs on. Whoever binds subscribes to all of it and binds again after a
// change; holding the pointers keeps the watches behind them alive.
class Dependencies {
 public:
  void Add(std::shared_ptr<Source> source) { sources_.push_back(std::move(source)); }
  // Each once, however often it was added.
  std::vector<std::shared_ptr<Source>> Take();

 private:
  std::vector<std::shared_ptr<Source>> sources_;
};

class Namer {
 public:
  virtual ~Namer() = default;
  // `rest`: the path without the namer's prefix. `prefix`: the prefix, for the ids of leaves.
  // What the answer hangs on is added to `deps`, also when it is Neg.
  virtual Lookup Find(const Path& prefix, const Path& rest, Dependencies* deps) = 0;
  // What it follows at this moment, as JSON for people; none: it has nothing to tell.
  virtual std::optional<std::string> State() const { return std::nullopt; }
};

// The configured namers in the order in which they are asked, and the system namer.
struct NamerSet {
  struct Entry {
    Path prefix;  // "/#/io.l5d.fs"
    Namer* namer = nullptr;
  };
  std::vector<Entry> entries;
  Namer* system = nullptr;   // answers "/$/…"; its prefix is "/$"
  bool old_aliases = false;  // "/io.l5d.fs/…" means "/#/io.l5d.fs/…" where nothing else answers
};

}  // namespace trestle::naming
