// FileWatch: hears from the kernel what happens in directories (inotify); nothing is polled.
//
// A directory is watched once, however many ask for it, and no longer than somebody does. The
// kernel tells of a file through its directory, so a file that does not exist yet can be waited
// for.
//
// Lifetime: destroyed before its loop; a Handle ends its own part and may outlive the FileWatch.
// Threading: all calls and callbacks on the loop's thread. A callback may drop any Handle, its own
// too, and add others. Errors: Add says why a directory cannot be watched: kNoRoute it is not
// there, kRefused one of the bounds, kUnavailable the rest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "net/event_loop.h"

struct event;

namespace trestle::net {

class FileWatch {
 public:
  enum class Kind : uint8_t {
    kCreated,     // a new entry; a regular file may still be in writing
    kWritten,     // closed by somebody who had it open for writing
    kModified,    // written into or cut, and not closed yet
    kAttributes,  // permissions, owner or times
    kMovedIn,     // a whole entry came by rename, perhaps over another one
    kMovedOut,
    kDeleted,
    kGone,      // the directory itself was deleted, renamed or unmounted
    kOverflow,  // the kernel dropped events: whatever was read before may be old
  };
  struct Event {
    Kind kind;
    std::string_view
        name;  // of the entry; empty for kGone, kOverflow and the directory's attributes
    bool directory = false;  // the entry is one
  };
  // kEntries leaves out kWritten and kModified, which are many in a busy directory.
  enum class Interest : uint8_t { kEntries, kContents };
  using Call = std::function<void(const Event&)>;
  class Handle;

  // The kernel bounds inotify descriptors per user (128 by default): one FileWatch per loop.
  static base::Result<std::unique_ptr<FileWatch>> Make(EventLoop* loop,
                                                       size_t max_directories = 8192);
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  // Calls for what happens to the entry `name` of `directory` ("" for every entry), and for what
  // concerns the directory as a whole. The entry may be absent, the directory may not.
  base::Result<std::unique_ptr<Handle>> Add(const std::string& directory, const std::string& name,
                                            Interest interest, Call call);
  // How many directories the kernel watches for us.
  size_t directories() const { return directories_.size(); }
  // Takes events in inotify(7)'s form. Public so that a test can say what kernels say rarely.
  void Take(std::string_view events);

 private:
  struct Listener {
    Call call;
    bool contents;
  };
  struct Directory;
  FileWatch(EventLoop* loop, int fd, size_t max_directories);
  void OnReadable();
  void Dispatch(Directory* directory, const Event& event);
  void Forget(int watch);

  EventLoop* loop_;
  int fd_;
  size_t max_directories_;
  event* readable_ = nullptr;
  std::map<int, std::shared_ptr<Directory>> directories_;  // by the kernel's watch descriptor
};

// One who listens. Destroying it ends that.
class FileWatch::Handle {
 public:
  ~Handle();
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

 private:
  friend class FileWatch;
  Handle(std::shared_ptr<Directory> directory, const std::string& name, Listener listener);
  std::shared_ptr<Directory> directory_;
  std::shared_ptr<Listener> listener_;
  std::multimap<std::string, std::weak_ptr<Listener>>::iterator at_;
};

}  // namespace trestle::net
