// Serversets: how a ZooKeeper serverset is named, and what its znodes hold.
//
// Lifetime, threading: pure functions on text. Errors: a bad name is Code::kInvalid ("invalid job
// syntax: …"); a bad znode counts as nothing.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
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
  std::map<std::string, std::string> metadata;
};

// All entries, weights of the vectors applied. Into `left_out` (may be null) go the nodes that give
// none, by name, each with the reason.
std::vector<ServersetEntry> ParseServersetNodes(
    const std::vector<ServersetNode>& nodes,
    std::map<std::string, std::string>* left_out = nullptr);

// Those of them that are used: alive, of that endpoint, of that shard if one is asked, and not
// taken out by a weight of exactly -1.
std::vector<ServersetEntry> PickServersetEntries(const std::vector<ServersetEntry>& entries,
                                                 const std::optional<std::string>& endpoint,
                                                 std::optional<int64_t> shard);

// The address of a serverset: bound, or neg when no entry is left.
Addr ServersetAddr(const std::vector<ServersetNode>& nodes,
                   const std::optional<std::string>& endpoint, std::optional<int64_t> shard);

}  // namespace trestle::naming
