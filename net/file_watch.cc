#include "net/file_watch.h"

#include <event2/event.h>
#include <fcntl.h>
#include <glog/logging.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

namespace trestle::net {
namespace {

constexpr uint32_t kEntryMask =
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;
constexpr uint32_t kContentMask = IN_CLOSE_WRITE | IN_MODIFY;
// Holds many events; the largest one is sizeof(inotify_event) + NAME_MAX + 1.
constexpr size_t kReadBytes = 64 * 1024;
// Reads in one turn, so that a busy directory cannot hold the loop.
constexpr int kReadsPerTurn = 8;

struct MaskRow {
  uint32_t mask;
  FileWatch::Kind kind;
};
// One event has one of these bits, beside IN_ISDIR.
constexpr MaskRow kMaskRows[] = {
    {IN_CREATE, FileWatch::Kind::kCreated},   {IN_CLOSE_WRITE, FileWatch::Kind::kWritten},
    {IN_MODIFY, FileWatch::Kind::kModified},  {IN_ATTRIB, FileWatch::Kind::kAttributes},
    {IN_MOVED_TO, FileWatch::Kind::kMovedIn}, {IN_MOVED_FROM, FileWatch::Kind::kMovedOut},
    {IN_DELETE, FileWatch::Kind::kDeleted},   {IN_DELETE_SELF, FileWatch::Kind::kGone},
    {IN_MOVE_SELF, FileWatch::Kind::kGone},   {IN_UNMOUNT, FileWatch::Kind::kGone},
};

base::Status WatchError(const std::string& directory, int error) {
  base::Code code = base::Code::kUnavailable;
  if (error == ENOENT || error == ENOTDIR) code = base::Code::kNoRoute;
  if (error == ENOSPC) {
    return {base::Code::kRefused, directory +
                                      ": no more inotify watches (see "
                                      "/proc/sys/fs/inotify/max_user_watches)"};
  }
  return {code, directory + ": " + std::strerror(error)};
}

bool ForAll(FileWatch::Kind kind) {
  return kind == FileWatch::Kind::kGone || kind == FileWatch::Kind::kOverflow;
}

bool OfContents(FileWatch::Kind kind) {
  return kind == FileWatch::Kind::kWritten || kind == FileWatch::Kind::kModified;
}

}  // namespace

struct FileWatch::Directory {
  FileWatch* owner;  // null once the kernel or the owner gave it up
  int watch;
  std::multimap<std::string, std::weak_ptr<Listener>> listeners;
};

FileWatch::Handle::Handle(std::shared_ptr<Directory> directory, const std::string& name,
                          Listener listener)
    : directory_(std::move(directory)),
      listener_(std::make_shared<Listener>(std::move(listener))),
      at_(directory_->listeners.emplace(name, listener_)) {}

FileWatch::Handle::~Handle() {
  directory_->listeners.erase(at_);
  if (!directory_->listeners.empty() || !directory_->owner) return;
  FileWatch* owner = directory_->owner;
  inotify_rm_watch(owner->fd_, directory_->watch);
  owner->Forget(directory_->watch);
}

base::Result<std::unique_ptr<FileWatch>> FileWatch::Make(EventLoop* loop, size_t max_directories) {
  int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) {
    return base::Status(base::Code::kInternal,
                        std::string("inotify: ") + std::strerror(errno) +
                            " (see /proc/sys/fs/inotify/max_user_instances)");
  }
  return std::unique_ptr<FileWatch>(new FileWatch(loop, fd, max_directories));
}

FileWatch::FileWatch(EventLoop* loop, int fd, size_t max_directories)
    : loop_(loop), fd_(fd), max_directories_(max_directories) {
  readable_ = event_new(
      loop->base(), fd, EV_READ | EV_PERSIST,
      [](evutil_socket_t, short, void* self) { static_cast<FileWatch*>(self)->OnReadable(); },
      this);
  CHECK(readable_ && event_add(readable_, nullptr) == 0) << "cannot listen to inotify";
}

FileWatch::~FileWatch() {
  for (auto& [watch, directory] : directories_) directory->owner = nullptr;
  event_free(readable_);
  close(fd_);
}

base::Result<std::unique_ptr<FileWatch::Handle>> FileWatch::Add(const std::string& directory,
                                                                const std::string& name,
                                                                Interest interest, Call call) {
  loop_->AssertInLoop();
  bool contents = interest == Interest::kContents;
  // IN_MASK_ADD: another listener of this directory may have asked for more.
  uint32_t mask = kEntryMask | (contents ? kContentMask : 0) | IN_MASK_ADD | IN_ONLYDIR;
  // The kernel gives one number to a directory, by whatever path it is reached.
  int watch = inotify_add_watch(fd_, directory.c_str(), mask);
  if (watch < 0) return WatchError(directory, errno);
  auto& place = directories_[watch];
  if (!place) {
    if (directories_.size() > max_directories_) {
      directories_.erase(watch);
      inotify_rm_watch(fd_, watch);
      return base::Status(
          base::Code::kRefused,
          directory + ": over " + std::to_string(max_directories_) + " watched directories");
    }
    place = std::make_shared<Directory>(Directory{this, watch, {}});
  }
  return std::unique_ptr<Handle>(new Handle(place, name, Listener{std::move(call), contents}));
}

void FileWatch::Forget(int watch) {
  auto at = directories_.find(watch);
  if (at == directories_.end()) return;
  at->second->owner = nullptr;
  directories_.erase(at);
}

void FileWatch::OnReadable() {
  loop_->Refresh();
  alignas(inotify_event) char bytes[kReadBytes];
  for (int i = 0; i < kReadsPerTurn; i++) {
    ssize_t n = read(fd_, bytes, sizeof bytes);
    if (n <= 0) return;
    Take({bytes, static_cast<size_t>(n)});
  }
}

void FileWatch::Take(std::string_view events) {
  while (events.size() >= sizeof(inotify_event)) {
    inotify_event head;
    std::memcpy(&head, events.data(), sizeof head);
    events.remove_prefix(sizeof head);
    if (head.len > events.size()) return;
    std::string_view name = events.substr(0, head.len);
    name = name.substr(0, name.find('\0'));  // padded with zeros
    events.remove_prefix(head.len);
    if (head.mask & IN_Q_OVERFLOW) {
      LOG(WARNING) << "inotify: events were lost; reading every watched directory again";
      std::vector<std::shared_ptr<Directory>> all;
      for (auto& [watch, directory] : directories_) all.push_back(directory);
      for (auto& directory : all) Dispatch(directory.get(), {Kind::kOverflow, {}, false});
      continue;
    }
    auto at = directories_.find(head.wd);
    if (at == directories_.end()) continue;  // said before we let go of it
    std::shared_ptr<Directory> directory = at->second;
    for (const MaskRow& row : kMaskRows) {
      if (!(head.mask & row.mask)) continue;
      Dispatch(directory.get(), {row.kind, name, (head.mask & IN_ISDIR) != 0});
    }
    if (head.mask & IN_IGNORED) Forget(head.wd);
  }
}

void FileWatch::Dispatch(Directory* directory, const Event& event) {
  // Copied first: a callback may add and drop listeners.
  std::vector<std::weak_ptr<Listener>> hear;
  auto collect = [&hear](auto range) {
    for (auto i = range.first; i != range.second; ++i) hear.push_back(i->second);
  };
  auto& all = directory->listeners;
  if (ForAll(event.kind) || event.name.empty()) {
    collect(std::pair(all.begin(), all.end()));
  } else {
    collect(all.equal_range(std::string(event.name)));
    collect(all.equal_range(std::string()));
  }
  for (auto& weak : hear) {
    auto listener = weak.lock();
    if (!listener || (OfContents(event.kind) && !listener->contents)) continue;
    listener->call(event);
  }
}

}  // namespace trestle::net
