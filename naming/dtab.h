// Dtab: the delegation table. "/svc => /srv ; /srv/users => 0.9*/#/io.l5d.fs/users & 0.1*/new".
//
// A path that begins with an entry's prefix becomes the entry's tree, with what is left of the path
// put behind each of its leaves. All matching entries count, the last one first; there is no
// longest prefix: order alone decides.
//
// Lifetime, threading: values. Errors: Parse gives Code::kInvalid with Finagle's text and a
// position. Bounds: those of naming/parser.h.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "naming/budget.h"
#include "naming/path.h"
#include "naming/tree.h"

namespace trestle::naming {

struct Dentry {
  Prefix prefix;
  PathTree dst;
  // One entry from its two sides, as headers carry it.
  static base::Result<Dentry> Parse(std::string_view prefix, std::string_view dst);
  std::string Show() const;  // "/svc=>/srv"
};

class Dtab {
 public:
  Dtab() = default;
  explicit Dtab(std::vector<Dentry> dentries) : dentries_(std::move(dentries)) {}
  // `error_pos`: where it went wrong, in UTF-16 units (bytes, when the text is ASCII).
  static base::Result<Dtab> Parse(std::string_view text, size_t* error_pos = nullptr);

  const std::vector<Dentry>& dentries() const { return dentries_; }
  size_t size() const { return dentries_.size(); }
  bool empty() const { return dentries_.empty(); }
  void Append(Dentry dentry) { dentries_.push_back(std::move(dentry)); }
  // The entries of `later` come first in lookups.
  Dtab operator+(const Dtab& later) const;

  // One step: Neg, the one tree, or an Alt of the trees of the matching entries.
  PathTree Lookup(const Path& path) const;
  // The same within a budget; nullopt once that is spent.
  std::optional<PathTree> Lookup(const Path& path, Budget* budget) const;

  std::string Show() const;  // "/a=>/b;/c=>/d"
  // Each tree simplified; entries that become Neg are dropped.
  Dtab Simplified() const;

 private:
  std::vector<Dentry> dentries_;
};

bool SameDtab(const Dtab& a, const Dtab& b);
inline bool operator==(const Dtab& a, const Dtab& b) { return SameDtab(a, b); }

// `tree` with `rest` put behind each of its leaves; what it costs is taken from `budget` (may be
// null). Nothing to rely on once the budget is spent.
PathTree Graft(const PathTree& tree, const Path& rest, Budget* budget);

}  // namespace trestle::naming
