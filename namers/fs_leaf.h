// FsLeaf: one file under rootDir, by the name that leads to it: whether it is there, and the Addr
// that its lines make. One object for all who use the name, also while the file comes and goes.
//
// Lifetime: held by shared_ptr (the Addr's pointer counts, too); the last one takes its watches
// along. Threading: the control loop; files are small and local, so they are read right there.
// Errors: in the Addr. A file that was good once and is bad now, half written, unreadable or over
// 500 kB keeps its last good endpoints, with the cause beside them.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "namers/trail.h"
#include "naming/addr.h"
#include "naming/inet.h"
#include "naming/resolved_set.h"
#include "naming/var.h"
#include "net/event_loop.h"

namespace trestle::namers {

// A file that was changed, but not closed after writing or renamed, is read once it was quiet so
// long.
inline constexpr base::Duration kFsQuiet = std::chrono::milliseconds(50);
// If then it is empty or its last line has no end, its writer may only be slow: the last good
// endpoints stay for so long more.
inline constexpr base::Duration kFsUnfinished = std::chrono::milliseconds(500);

// Changes (as a Source) when the file comes or goes, or a directory stands in its place.
class FsLeaf final : public naming::Source, public std::enable_shared_from_this<FsLeaf> {
 public:
  enum class Presence {
    kAbsent,   // the file system says that there is no such file
    kThere,    // it is there, or was when last one could tell
    kUnknown,  // it was never possible to tell: see reason()
  };
  FsLeaf(net::EventLoop* loop, net::FileWatch* watch, naming::InetResolver* inet,
         const std::string& root, const std::vector<std::string>& labels);

  // To be called once, when a shared_ptr holds it.
  void Open();
  Presence presence() const { return presence_; }
  const std::string& reason() const { return reason_; }
  std::shared_ptr<naming::Var<naming::Addr>> addr() { return {shared_from_this(), &addr_}; }

 private:
  // Why the file is read, which tells how sure it is that its writer is done.
  enum class Reason { kFirst, kWhole, kQuiet };
  void OnChange(Trail::Change change);
  void OnQuiet();
  void FollowEnd(bool settled);
  void Read(Reason why);
  void SetAbsent();
  void SetBad(const std::string& cause);
  void Publish();
  void SetPresence(Presence presence);

  net::EventLoop* loop_;
  const std::string shown_;  // for the log
  Trail trail_;
  naming::ResolvedSet set_;
  net::Timer quiet_;
  Presence presence_ = Presence::kUnknown;
  std::string reason_;
  bool directory_ = false;  // the name leads to a directory
  bool good_ = false;       // set_ has what was read from a good file
  bool waited_ = false;     // kFsUnfinished has been given
  std::string stale_;       // why set_ is not what the file says now
  naming::Var<naming::Addr> addr_;
};

}  // namespace trestle::namers
