#include "namers/trail.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <utility>

namespace trestle::namers {

struct Trail::Component {
  std::string name;
  bool in_root;  // of root or of a link on its way
};

namespace {

using net::FileWatch;

// As many links as the kernel follows (path_resolution(7)).
constexpr int kMaxLinks = 40;

std::string Join(const std::string& directory, const std::string& name) {
  return directory == "/" ? "/" + name : directory + "/" + name;
}

std::string ParentOf(const std::string& directory) {
  size_t slash = directory.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : directory.substr(0, slash);
}

base::Result<std::string> ReadLink(const std::string& path) {
  char text[PATH_MAX];
  ssize_t n = readlink(path.c_str(), text, sizeof text);
  if (n < 0) return base::Status(base::Code::kUnavailable, std::strerror(errno));
  return std::string(text, static_cast<size_t>(n));
}

}  // namespace

bool SafeLabel(std::string_view label) {
  return !label.empty() && label != "." && label != ".." && label.size() <= NAME_MAX &&
         label.find_first_of(std::string_view("/\0", 2)) == std::string_view::npos;
}

// One walk. `directory` has no links in it, so ".." of a link is its lexical parent.
struct Trail::Walk {
  std::deque<Component> ahead;
  std::string directory = "/";
  int links = 0;
  bool done = false;
  End end;
  std::vector<std::unique_ptr<FileWatch::Handle>> steps;

  void Finish(End::Kind kind, std::string text = {}) {
    done = true;
    end.kind = kind;
    (kind == End::Kind::kFailed ? end.reason : end.path) = std::move(text);
  }
  // Puts what `path` leads through before the rest.
  void Push(std::string_view path, bool in_root) {
    std::vector<Component> parts;
    while (!path.empty()) {
      size_t slash = path.find('/');
      std::string_view part = path.substr(0, slash);
      if (!part.empty() && part != ".") parts.push_back({std::string(part), in_root});
      path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    }
    ahead.insert(ahead.begin(), parts.begin(), parts.end());
  }
  // Root itself may be away for a moment (not mounted yet, being replaced): that says nothing about
  // the names in it.
  void Missing(const std::string& path, bool in_root, int error) {
    if (in_root) {
      Finish(End::Kind::kFailed, path + ": " + std::strerror(error));
    } else {
      Finish(End::Kind::kMissing);
    }
  }
};

Trail::Trail(FileWatch* watch, std::string root, std::vector<std::string> labels,
             std::function<void(Change)> changed)
    : watch_(watch),
      root_(std::move(root)),
      labels_(std::move(labels)),
      changed_(std::move(changed)) {}

Trail::~Trail() = default;

const Trail::End& Trail::Resolve() {
  Walk walk;
  walk.Push(root_, true);
  for (const std::string& label : labels_) walk.ahead.push_back({label, false});
  while (!walk.done) Step(&walk);
  end_ = std::move(walk.end);
  // The old watches go only now, so that those on the same directories stay all the while.
  steps_.swap(walk.steps);
  return end_;
}

void Trail::Step(Walk* walk) {
  if (walk->ahead.empty()) return walk->Finish(End::Kind::kDirectory, walk->directory);
  Component next = std::move(walk->ahead.front());
  walk->ahead.pop_front();
  if (next.name == "..") {
    walk->directory = ParentOf(walk->directory);
    return;
  }
  // Watched first and looked at then: what happens in between is heard.
  if (!WatchEntry(walk, next, FileWatch::Interest::kEntries)) return;
  std::string path = Join(walk->directory, next.name);
  struct stat st;
  if (lstat(path.c_str(), &st) != 0) {
    int error = errno;
    if (error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG) {
      return walk->Missing(path, next.in_root, error);
    }
    return walk->Finish(End::Kind::kFailed, path + ": " + std::strerror(error));
  }
  if (S_ISDIR(st.st_mode)) {
    walk->directory = path;
  } else if (S_ISLNK(st.st_mode)) {
    auto target = ReadLink(path);
    if (!target.ok()) {
      return walk->Finish(End::Kind::kFailed, path + ": " + target.status().message());
    }
    if (++walk->links > kMaxLinks) {
      return walk->Finish(End::Kind::kFailed, path + ": " + std::strerror(ELOOP));
    }
    if (target->starts_with('/')) walk->directory = "/";
    walk->Push(*target, next.in_root);
  } else if (S_ISREG(st.st_mode) && walk->ahead.empty() && !next.in_root) {
    // Only now more is asked of the kernel: contents are of no interest on the way to the file. A
    // label's entry is always watched; the first Handle goes after the second came.
    auto entries = std::move(walk->steps.back());
    walk->steps.pop_back();
    if (WatchEntry(walk, next, FileWatch::Interest::kContents)) {
      walk->Finish(End::Kind::kFile, path);
    }
  } else {
    walk->Missing(path, next.in_root, ENOTDIR);
  }
}

bool Trail::WatchEntry(Walk* walk, const Component& entry, FileWatch::Interest interest) {
  size_t step = walk->steps.size();
  auto handle = watch_->Add(walk->directory, entry.name, interest,
                            [this, step](const FileWatch::Event& event) { OnEvent(step, event); });
  if (handle.ok()) {
    walk->steps.push_back(std::move(*handle));
    return true;
  }
  // Directories above root may be closed to us; then only their changes are not heard.
  if (entry.in_root && handle.status().code() != base::Code::kNoRoute) return true;
  if (handle.status().code() == base::Code::kNoRoute) {
    walk->Missing(walk->directory, entry.in_root, ENOENT);
  } else {
    walk->Finish(End::Kind::kFailed, handle.status().message());
  }
  return false;
}

void Trail::OnEvent(size_t step, const FileWatch::Event& event) {
  bool last = step + 1 == steps_.size();
  switch (event.kind) {
    case FileWatch::Kind::kModified:
      if (last) changed_(Change::kTouched);
      return;
    case FileWatch::Kind::kWritten:
      if (last) changed_(Change::kWritten);
      return;
    case FileWatch::Kind::kAttributes: {
      if (event.name.empty() && !step) return;  // of "/" itself
      bool file = last && end_.kind == End::Kind::kFile && !event.name.empty();
      changed_(file ? Change::kTouched : Change::kUnsettled);
      return;
    }
    case FileWatch::Kind::kMovedIn:
      changed_(Change::kSettled);
      return;
    case FileWatch::Kind::kCreated:
    case FileWatch::Kind::kMovedOut:
    case FileWatch::Kind::kDeleted:
    case FileWatch::Kind::kGone:
    case FileWatch::Kind::kOverflow:
      changed_(Change::kUnsettled);
      return;
  }
}

}  // namespace trestle::namers
