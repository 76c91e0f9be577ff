// Trail: a path on the disk as it leads at this moment, with every directory entry and symbolic
// link on the way watched, so that whatever makes it lead elsewhere is heard.
//
// It begins at "/", goes through `root` (what the configuration says) and then through `labels`
// (what a name says). Links are followed wherever they lead, those inside of root too: whoever may
// write there decides. Labels must be safe (see SafeLabel), so that names alone never leave root.
//
// Lifetime: the callback may destroy the Trail's owner, if that owner holds on to itself meanwhile.
// Threading: the control loop. Errors: an End of kind kFailed, with the reason.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/file_watch.h"

namespace trestle::namers {

// True if the label can be the name of a directory entry, and only of one beneath its directory:
// not
// ".", "..", nor anything with "/" or a zero byte, nor longer than NAME_MAX.
bool SafeLabel(std::string_view label);

class Trail {
 public:
  enum class Change {
    kSettled,    // something whole was renamed into the way: the end may be another one now
    kUnsettled,  // something on the way was made, removed or lost sight of: the same, but in motion
    kWritten,    // the file at the end was closed after writing
    kTouched,    // the file at the end was written into, cut, or got other permissions
  };
  struct End {
    enum class Kind {
      kFile,
      kDirectory,
      kMissing,  // the file system says so: no such entry, or something else than file or directory
      kFailed,   // it cannot say: root itself is not there, no permission, out of watches, …
    };
    Kind kind = Kind::kMissing;
    std::string path;    // without links; kFile, kDirectory
    std::string reason;  // kFailed: "/srv/disco: Permission denied"
  };

  Trail(net::FileWatch* watch, std::string root, std::vector<std::string> labels,
        std::function<void(Change)> changed);
  ~Trail();
  Trail(const Trail&) = delete;
  Trail& operator=(const Trail&) = delete;

  // Walks again, and watches that way from now on. To be called at first, and after kSettled and
  // kUnsettled.
  const End& Resolve();
  const End& end() const { return end_; }
  // Says that the end, though there, is of no use.
  void Fail(std::string reason) { end_ = {End::Kind::kFailed, {}, std::move(reason)}; }

 private:
  struct Component;
  struct Walk;
  void Step(Walk* walk);
  bool WatchEntry(Walk* walk, const Component& entry, net::FileWatch::Interest interest);
  void OnEvent(size_t step, const net::FileWatch::Event& event);

  net::FileWatch* watch_;
  std::string root_;
  std::vector<std::string> labels_;
  std::function<void(Change)> changed_;
  End end_;
  std::vector<std::unique_ptr<net::FileWatch::Handle>> steps_;
};

}  // namespace trestle::namers
