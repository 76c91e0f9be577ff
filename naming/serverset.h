// Serversets: how a ZooKeeper serverset is named, and what its znodes hold.
//
// Lifetime, threading: pure functions on text. Errors: a bad name is Code::kInvalid ("invalid job
// syntax: …"); a bad znode counts as nothing.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "naming/addr.h"
#include "naming/path.h"

namespace trestle::naming {

// "/discovery/prod/users:http#3": a path of znodes, an endpoint, a shard.
struct ServersetName {
  std::vector<std::string> znodes;
  std::optional<std::string> endpoint;
  std::optional<int32_t> shard;
};
// Only the last element may have an endpoint and a shard.
base::Result<ServersetName> ParseServersetName(const Path& path);

// Text of `/HOSTS/znode…` (several clusters: "zk1:2181#zk2:2181"); nullopt: no hosts stand there.
struct ServersetPath {
  std::string hosts;
  ServersetName name;
};
base::Result<std::optional<ServersetPath>> ParseServersetPath(std::string_view text);

// One child of a serverset's znode.
struct ServersetNode {
  std::string name;  // "member_0000000001", "vector_0"
  std::string data;  // JSON
};

// One address that a member gives, used or not.
struct ServersetEntry {
  std::string member;
  // The endpoints at this address; nullopt is the service endpoint.
  std::vector<std::optional<std::string>> names;
  std::string status;  // "ALIVE"; "UNKNOWN" for what is no status
  std::string host;
  int64_t port = 0;
  double weight = 1.0;
  std::optional<int64_t> shard;
  // All entries of a member have the same; null: none.
  std::shared_ptr<const std::map<std::string, std::string>> metadata;
};

// A member that gives more is left out.
inline constexpr size_t kMostServersetEndpoints = 1000;

// What one member node gives.
struct ServersetMember {
  std::vector<ServersetEntry> entries;  // their weights are 1
  std::string why;                      // there are none
};
ServersetMember ParseServersetMember(const ServersetNode& node);

// The weights that the vectors of a set give, all put together.
class ServersetWeights {
 public:
  ServersetWeights() = default;
  explicit ServersetWeights(const std::vector<ServersetNode>& vectors);
  double Of(const ServersetEntry& entry) const;

 private:
  std::map<std::string, double, std::less<>> members_;
  std::map<int64_t, double> shards_;
  std::map<std::pair<std::string, int64_t>, double> inets_;
};

// All entries of a set, weights of the vectors applied.
std::vector<ServersetEntry> ParseServersetNodes(const std::vector<ServersetNode>& nodes);

// An entry with that weight is used: alive, of that endpoint, of that shard if one is asked, and
// not taken out by a weight of exactly -1.
bool IsPicked(const ServersetEntry& entry, double weight,
              const std::optional<std::string>& endpoint, std::optional<int64_t> shard);
std::vector<ServersetEntry> PickServersetEntries(const std::vector<ServersetEntry>& entries,
                                                 const std::optional<std::string>& endpoint,
                                                 std::optional<int64_t> shard);

// The address of a serverset: bound, or neg when no entry is left.
Addr ServersetAddr(const std::vector<ServersetNode>& nodes,
                   const std::optional<std::string>& endpoint, std::optional<int64_t> shard);

}  // namespace trestle::naming
