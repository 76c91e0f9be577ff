// ServersetNamer: the namer io.l5d.serversets. A name is a path of znodes, and what is behind the
// serverset that it leads to is left over; the last element may ask for an endpoint and a shard:
// "discovery/prod/users:http#3".
//
// The whole path is tried first, then one element less each time, until a znode has members of use.
// Of what is not there the list of the nearest parent tells, which is watched once for all: a
// thousand wrong names cost nothing. While ZooKeeper cannot be asked, names that were never seen
// are pending.
//
// Lifetime: outlives every binding made with it; the loop, the session and the InetResolver outlive
// it. Threading: the control loop. Errors: in the answer.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "naming/namer.h"
#include "serversets/serverset.h"

namespace trestle::serversets {

class ServersetNamer final : public naming::Namer {
 public:
  explicit ServersetNamer(const ServersetPlace& place);
  ~ServersetNamer() override;

  naming::Lookup Find(const naming::Path& prefix, const naming::Path& rest,
                      naming::Dependencies* deps) override;
  // The sets in use.
  std::vector<std::shared_ptr<Serverset>> sets() const;

 private:
  using Znodes = std::vector<std::string>;
  using Sets = std::map<Znodes, std::weak_ptr<Serverset>>;

  std::shared_ptr<Serverset> Known(const Znodes& znodes) const;
  std::shared_ptr<Serverset> At(const Znodes& znodes);
  // The list of a parent that is watched says so.
  bool IsAbsent(const Znodes& znodes) const;

  const ServersetPlace place_;
  std::shared_ptr<Sets> sets_;
};

}  // namespace trestle::serversets
