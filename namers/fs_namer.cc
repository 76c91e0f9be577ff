#include "namers/fs_namer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

namespace trestle::namers {
namespace {

using naming::BoundName;
using naming::Dependencies;
using naming::Lookup;
using naming::Name;
using naming::NameTree;
using naming::Path;

bool Absent(int error) { return error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG; }

base::Result<std::string> Absolute(const std::string& path) {
  if (path.starts_with('/')) return path;
  char here[PATH_MAX];
  if (!getcwd(here, sizeof here)) {
    return base::Status(base::Code::kInvalid,
                        std::string("working directory: ") + std::strerror(errno));
  }
  return std::string(here) + "/" + path;
}

base::Status CheckReadable(const std::string& directory) {
  int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || faccessat(fd, ".", X_OK, AT_EACCESS) != 0) {
    int error = errno;
    if (fd >= 0) close(fd);
    return {base::Code::kInvalid, "rootDir " + directory + ": " + std::strerror(error)};
  }
  close(fd);
  return base::Status::Ok();
}

// The node at `key`, made by `make` if nobody uses one. It leaves the map when its last user goes.
template <class T, class Make>
std::shared_ptr<T> Shared(
    const std::shared_ptr<std::map<std::vector<std::string>, std::weak_ptr<T>>>& nodes,
    const std::vector<std::string>& key, Make make) {
  if (auto at = nodes->find(key); at != nodes->end()) {
    if (auto node = at->second.lock()) return node;
  }
  std::shared_ptr<T> node(make(), [nodes, key](T* dead) {
    nodes->erase(key);
    delete dead;
  });
  (*nodes)[key] = node;
  node->Open();
  return node;
}

}  // namespace

base::Result<std::unique_ptr<FsNamer>> FsNamer::Make(net::EventLoop* loop, net::FileWatch* watch,
                                                     naming::InetResolver* inet,
                                                     const std::string& root_dir) {
  if (root_dir.empty()) return base::Status(base::Code::kInvalid, "rootDir is empty");
  auto absolute = Absolute(root_dir);
  if (!absolute.ok()) return absolute.status();
  if (auto status = CheckReadable(*absolute); !status.ok()) return status;
  std::unique_ptr<FsNamer> namer(new FsNamer(loop, watch, inet, *absolute));
  if (namer->root_->end().kind != Trail::End::Kind::kDirectory) {
    return base::Status(base::Code::kInvalid, "rootDir " + namer->root_->end().reason);
  }
  return namer;
}

FsNamer::FsNamer(net::EventLoop* loop, net::FileWatch* watch, naming::InetResolver* inet,
                 std::string root_dir)
    : loop_(loop),
      watch_(watch),
      inet_(inet),
      root_dir_(std::move(root_dir)),
      leaves_(std::make_shared<Nodes<FsLeaf>>()),
      dirs_(std::make_shared<Nodes<FsDir>>()),
      root_(DirAt({})) {}

FsNamer::~FsNamer() = default;

Lookup FsNamer::Find(const Path& prefix, const Path& rest, Dependencies* deps) {
  Labels labels;
  for (const std::string& label : rest.labels()) {
    Labels parent = labels;
    // No entry can ever have such a name, so the answer hangs on nothing.
    if (!SafeLabel(label)) return Lookup::Neg();
    labels.push_back(label);
    if (auto leaf = KnownLeaf(labels)) return AnswerLeaf(prefix, rest, labels, leaf, deps);
    std::string reason;
    Seen seen = Look(labels, &reason);
    if (seen == Seen::kMissing) {
      // Looked at again once the directory is watched, so that nothing comes unheard.
      auto dir = DirAt(parent);
      seen = Look(labels, &reason);
      if (seen == Seen::kMissing) return AnswerNoFile(parent, deps);
    }
    if (seen == Seen::kFile || seen == Seen::kDangling) {
      auto leaf = LeafAt(labels);
      return AnswerLeaf(prefix, rest, labels, leaf, deps);
    }
    if (seen == Seen::kUnclear) {
      deps->Add(DirAt(parent));
      return Lookup::Failed(reason);
    }
  }
  // A directory. The last entry may be replaced by a file.
  if (!labels.empty()) labels.pop_back();
  return AnswerNoFile(labels, deps);
}

Lookup FsNamer::AnswerLeaf(const Path& prefix, const Path& rest, const Labels& labels,
                           const std::shared_ptr<FsLeaf>& leaf, Dependencies* deps) {
  deps->Add(leaf);
  switch (leaf->presence()) {
    case FsLeaf::Presence::kUnknown:
      return Lookup::Failed(leaf->reason());
    case FsLeaf::Presence::kAbsent:
      return Lookup::Neg();
    case FsLeaf::Presence::kThere:
      break;
  }
  auto bound = std::make_shared<BoundName>(
      BoundName{prefix + Path(labels), rest.Drop(labels.size()), leaf->addr()});
  return Lookup::Ok(NameTree<Name>::Leaf(Name{{}, std::move(bound)}));
}

Lookup FsNamer::AnswerNoFile(const Labels& parent, Dependencies* deps) {
  auto dir = DirAt(parent);
  deps->Add(dir);
  // Nothing is known of names while rootDir is away or a directory cannot be watched.
  if (dir->end().kind == Trail::End::Kind::kFailed) return Lookup::Failed(dir->end().reason);
  return Lookup::Neg();
}

FsNamer::Seen FsNamer::Look(const Labels& labels, std::string* reason) const {
  std::string path = root_dir_;
  for (const std::string& label : labels) path += "/" + label;
  struct stat st;
  if (stat(path.c_str(), &st) == 0) {
    if (S_ISDIR(st.st_mode)) return Seen::kDirectory;
    return S_ISREG(st.st_mode) ? Seen::kFile : Seen::kMissing;
  }
  int error = errno;
  if (!Absent(error)) {
    *reason = path + ": " + std::strerror(error);
    return Seen::kUnclear;
  }
  // A link to nothing: what it waits for may come anywhere.
  bool dangling = lstat(path.c_str(), &st) == 0 && S_ISLNK(st.st_mode);
  return dangling ? Seen::kDangling : Seen::kMissing;
}

// Only one that is of use: one that is absent must not hide a directory which took its place.
std::shared_ptr<FsLeaf> FsNamer::KnownLeaf(const Labels& labels) const {
  auto at = leaves_->find(labels);
  auto leaf = at == leaves_->end() ? nullptr : at->second.lock();
  return leaf && leaf->presence() == FsLeaf::Presence::kThere ? leaf : nullptr;
}

std::shared_ptr<FsLeaf> FsNamer::LeafAt(const Labels& labels) {
  return Shared(leaves_, labels,
                [&] { return new FsLeaf(loop_, watch_, inet_, root_dir_, labels); });
}

std::shared_ptr<FsDir> FsNamer::DirAt(const Labels& labels) {
  return Shared(dirs_, labels, [&] { return new FsDir(loop_, watch_, root_dir_, labels); });
}

}  // namespace trestle::namers
