// ServersetNamer: the namer io.l5d.serversets. A name is a path of znodes, and what is behind the
// serverset that it leads to is left over; the last element may ask for an endpoint and a shard:
// "discovery/prod/users:http#3".
//
// The whole path is tried first, then one element less each time, until a znode has members of use.
// Several clusters are asked for each path, and what they have is put together. While ZooKeeper
// cannot be asked, names that were never seen are pending.
//
// Lifetime: outlives every binding made with it; what its places point to outlives it. Threading:
// the control loop. Errors: in the answer.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "naming/namer.h"
#include "serversets/serverset_tree.h"

namespace trestle::serversets {

class ServersetNamer final : public naming::Namer {
 public:
  // One place for each cluster, at least one.
  explicit ServersetNamer(const std::vector<ServersetPlace>& places);
  ~ServersetNamer() override;

  naming::Lookup Find(const naming::Path& prefix, const naming::Path& rest,
                      naming::Dependencies* deps) override;
  // What its sets in use have, of the cluster with these hosts.
  std::shared_ptr<const ServersetHistory> History(const std::string& hosts) const;
  // For each cluster, its session and its sets in use; docs/serversets.md shows it.
  std::optional<std::string> State() const override;

 private:
  using Vars = std::vector<std::shared_ptr<naming::Var<naming::Addr>>>;
  class Union;

  ServersetTree::Found FindInAll(const naming::ServersetName& name, naming::Dependencies* deps);
  std::shared_ptr<naming::Var<naming::Addr>> UnionOf(Vars vars);

  std::vector<std::unique_ptr<ServersetTree>> clusters_;
  // Of several clusters, those in use, by their parts.
  std::map<std::vector<const void*>, std::weak_ptr<Union>> unions_;
};

}  // namespace trestle::serversets
