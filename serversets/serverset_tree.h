// ServersetTree: the sets of one cluster that are in use, by path, and what a name leads to there.
//
// Of a znode that is not there the list of the nearest parent tells, which is watched once for all:
// a thousand wrong names cost nothing.
//
// Lifetime: outlives every binding made with it; what ServersetPlace points to outlives it.
// Threading: the control loop. Errors: in the answer.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "naming/namer.h"
#include "serversets/serverset.h"

namespace trestle::serversets {

class ServersetTree {
 public:
  // What a path leads to, at this moment.
  struct Found {
    enum class Kind { kNeg, kPending, kFailed, kBound };
    Kind kind = Kind::kNeg;
    // kPending: ZooKeeper cannot be asked, and nothing that is known says that the znode is there.
    bool unasked = false;
    std::string why;                                // kFailed
    std::shared_ptr<naming::Var<naming::Addr>> at;  // kBound
  };

  explicit ServersetTree(const ServersetPlace& place);
  ~ServersetTree();
  ServersetTree(const ServersetTree&) = delete;
  ServersetTree& operator=(const ServersetTree&) = delete;

  Found Find(const naming::ServersetName& name, naming::Dependencies* deps);
  // The sets in use.
  std::vector<std::shared_ptr<Serverset>> sets() const;
  const ServersetPlace& place() const { return place_; }

 private:
  using Znodes = std::vector<std::string>;
  using Sets = std::map<Znodes, std::weak_ptr<Serverset>>;

  std::shared_ptr<Serverset> Known(const Znodes& znodes) const;
  std::shared_ptr<Serverset> At(const Znodes& znodes);
  // What the list of the nearest parent that is watched says; the answer hangs on that.
  enum class Told { kAbsent, kThere, kNothing };
  Told ToldByParents(const Znodes& znodes, naming::Dependencies* deps) const;
  // It was found missing: watches for it at the nearest parent that is there.
  Found FindMissing(const Znodes& znodes, naming::Dependencies* deps);

  const ServersetPlace place_;
  const std::shared_ptr<Sets> sets_;
  naming::Subscription session_;
};

}  // namespace trestle::serversets
