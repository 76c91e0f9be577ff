// SetCache: the last good members of sets, in files, for a start while ZooKeeper is away: one file
// for each set, JSON, put in place in one step. A thread of its own writes them, so that a slow
// disk holds nothing up.
//
// Lifetime: destroying it writes what is not written yet, for at most a second. Threading: the
// control loop. Errors: Open tells why; a file that cannot be written is told in the log, and one
// that cannot be read, or is another set's, counts as none.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "naming/serverset.h"

namespace trestle::serversets {

class SetCache {
 public:
  struct Saved {
    std::vector<naming::ServersetNode> nodes;
    std::chrono::system_clock::time_point at;  // when it was written
  };
  // A larger file is none of ours: it is read on the control loop. A larger set is not kept.
  static constexpr size_t kMostBytes = 4 << 20;

  // Changes nothing on the disk: the folder, if it is not there, is made with the first file. Its
  // parent must be there.
  static base::Result<std::unique_ptr<SetCache>> Open(const std::string& folder);
  ~SetCache();
  SetCache(const SetCache&) = delete;
  SetCache& operator=(const SetCache&) = delete;

  // `hosts`: of the cluster.
  std::optional<Saved> Load(const std::string& hosts, const std::string& path) const;
  // Soon; of what comes for one set before that, the last.
  void Save(const std::string& hosts, const std::string& path,
            const std::vector<naming::ServersetNode>& nodes,
            std::chrono::system_clock::time_point now);
  void Remove(const std::string& hosts, const std::string& path);

 private:
  struct Writer;
  SetCache(std::string folder, std::shared_ptr<Writer> writer);
  std::string FileOf(const std::string& hosts, const std::string& path) const;

  const std::string folder_;
  const std::shared_ptr<Writer> writer_;  // shared with its thread
};

}  // namespace trestle::serversets
