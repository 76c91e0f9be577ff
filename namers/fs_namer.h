// FsNamer: the namer io.l5d.fs. A name is a path under rootDir: "users/add" is the file users, with
// /add left over, or the file add in the directory users. A file's lines are its endpoints.
//
// What can be followed is: entries and links come, go and are replaced at any depth, rootDir itself
// too. While rootDir is away, names that were there keep their last good endpoints.
//
// Lifetime: outlives every binding made with it; the loop, the FileWatch and the InetResolver
// outlive it. Threading: the control loop. Errors: Make says what is wrong with rootDir; a Lookup
// is failed when the file system cannot say whether a name is there.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "namers/fs_dir.h"
#include "namers/fs_leaf.h"
#include "naming/inet.h"
#include "naming/namer.h"
#include "net/event_loop.h"
#include "net/file_watch.h"

namespace trestle::namers {

class FsNamer final : public naming::Namer {
 public:
  static base::Result<std::unique_ptr<FsNamer>> Make(net::EventLoop* loop, net::FileWatch* watch,
                                                     naming::InetResolver* inet,
                                                     const std::string& root_dir);
  ~FsNamer() override;

  // A name that leads to no file is Neg and hangs on the deepest directory that is there.
  naming::Lookup Find(const naming::Path& prefix, const naming::Path& rest,
                      naming::Dependencies* deps) override;
  // Files in use, and directories that names hang on which lead nowhere.
  size_t leaves() const { return leaves_->size(); }
  size_t dirs() const { return dirs_->size(); }

 private:
  using Labels = std::vector<std::string>;
  template <class T>
  using Nodes = std::map<Labels, std::weak_ptr<T>>;
  // What the disk says at this moment of the first labels of a name.
  enum class Seen { kFile, kDirectory, kMissing, kDangling, kUnclear };

  FsNamer(net::EventLoop* loop, net::FileWatch* watch, naming::InetResolver* inet,
          std::string root_dir);
  Seen Look(const Labels& labels, std::string* reason) const;
  std::shared_ptr<FsLeaf> LeafAt(const Labels& labels);
  std::shared_ptr<FsDir> DirAt(const Labels& labels);
  std::shared_ptr<FsLeaf> KnownLeaf(const Labels& labels) const;
  naming::Lookup AnswerLeaf(const naming::Path& prefix, const naming::Path& rest,
                            const Labels& labels, const std::shared_ptr<FsLeaf>& leaf,
                            naming::Dependencies* deps);
  naming::Lookup AnswerNoFile(const Labels& parent, naming::Dependencies* deps);

  net::EventLoop* loop_;
  net::FileWatch* watch_;
  naming::InetResolver* inet_;
  const std::string root_dir_;  // absolute
  std::shared_ptr<Nodes<FsLeaf>> leaves_;
  std::shared_ptr<Nodes<FsDir>> dirs_;
  std::shared_ptr<FsDir> root_;  // kept, since most names that lead nowhere hang on it
};

}  // namespace trestle::namers
