#include "namers/fs_leaf.h"

#include <glog/logging.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "naming/fs_file.h"
#include "net/read_file.h"

namespace trestle::namers {
namespace {

using naming::Addr;

std::string Join(const std::string& root, const std::vector<std::string>& labels) {
  std::string path = root;
  for (const auto& label : labels) path += "/" + label;
  return path;
}

}  // namespace

FsLeaf::FsLeaf(net::EventLoop* loop, net::FileWatch* watch, naming::InetResolver* inet,
               const std::string& root, const std::vector<std::string>& labels)
    : loop_(loop),
      shown_(Join(root, labels)),
      trail_(watch, root, labels, [this](Trail::Change change) { OnChange(change); }),
      set_(inet,
           [this] {
             auto self = shared_from_this();
             Publish();
           }),
      quiet_(loop, [this] { OnQuiet(); }) {}

void FsLeaf::Open() {
  const Trail::End& end = trail_.Resolve();
  if (end.kind == Trail::End::Kind::kFile) {
    Read(Reason::kFirst);
  } else {
    FollowEnd(true);
  }
}

void FsLeaf::OnChange(Trail::Change change) {
  auto self = shared_from_this();  // a listener may let go of us
  waited_ = false;
  switch (change) {
    case Trail::Change::kWritten:
      quiet_.Cancel();
      if (trail_.end().kind == Trail::End::Kind::kFile) Read(Reason::kWhole);
      return;
    case Trail::Change::kTouched:
      return quiet_.Arm(kFsQuiet);
    case Trail::Change::kSettled:
    case Trail::Change::kUnsettled:
      trail_.Resolve();
      return FollowEnd(change == Trail::Change::kSettled);
  }
}

void FsLeaf::OnQuiet() {
  auto self = shared_from_this();
  if (trail_.end().kind == Trail::End::Kind::kFile) Read(Reason::kQuiet);
}

void FsLeaf::FollowEnd(bool settled) {
  const Trail::End& end = trail_.end();
  switch (end.kind) {
    case Trail::End::Kind::kFile:
      if (!settled) return quiet_.Arm(kFsQuiet);
      quiet_.Cancel();
      return Read(Reason::kWhole);
    case Trail::End::Kind::kMissing:
    case Trail::End::Kind::kDirectory: {
      SetAbsent();
      // A link that led nowhere leads to a directory now: longer names may be files in it.
      bool directory = end.kind == Trail::End::Kind::kDirectory;
      if (std::exchange(directory_, directory) != directory) NotifyAll();
      return;
    }
    case Trail::End::Kind::kFailed:
      if (presence_ == Presence::kThere) return SetBad(end.reason);
      if (presence_ == Presence::kUnknown) reason_ = end.reason;
      return;
  }
}

void FsLeaf::Read(Reason why) {
  net::FileContents contents = net::ReadFile(trail_.end().path, naming::kMaxFsFileBytes);
  if (contents.error == ENOENT || (!contents.error && !contents.regular)) return SetAbsent();
  if (contents.error) {
    SetBad(shown_ + ": " + std::strerror(contents.error));
    // What the process is short of may be back soon, and no change of the file tells of that.
    if (contents.error == EMFILE || contents.error == ENFILE) quiet_.Arm(kFsUnfinished);
    return SetPresence(Presence::kThere);
  }
  bool finished = contents.text.ends_with('\n');
  if (why == Reason::kFirst && !finished) {
    auto age = loop_->clock()->Wall() - contents.modified;
    if (age >= base::Duration(0) && age < kFsQuiet) {  // it is being made right now
      quiet_.Arm(kFsQuiet);
      return SetAbsent();
    }
  }
  if (why == Reason::kWhole && !finished && good_ && !waited_) {
    // The next writer may have begun already: one more look when it is quiet.
    waited_ = true;
    return quiet_.Arm(kFsQuiet);
  }
  if (why == Reason::kQuiet && !finished && good_ && !waited_) {
    waited_ = true;
    return quiet_.Arm(kFsUnfinished);
  }
  Addr addr = contents.text.size() > naming::kMaxFsFileBytes
                  ? Addr::Failed("over " + std::to_string(naming::kMaxFsFileBytes) + " bytes")
                  : naming::ParseFsFile(contents.text);
  if (addr.kind != Addr::Kind::kBound) {
    SetBad(addr.cause);
  } else {
    good_ = true;
    stale_.clear();
    set_.Set(std::move(addr.endpoints));
    Publish();
  }
  SetPresence(Presence::kThere);
}

void FsLeaf::SetAbsent() {
  good_ = false;
  stale_.clear();
  set_.Set({});
  SetPresence(Presence::kAbsent);
  if (addr_.Get() != Addr::Neg()) addr_.Set(Addr::Neg());
}

void FsLeaf::SetBad(const std::string& cause) {
  LOG_EVERY_T(WARNING, 1) << (cause.starts_with('/') ? "" : shown_ + ": ") << cause
                          << (good_ ? "; the last good endpoints stay" : "");
  if (good_) {
    stale_ = cause;
    return Publish();
  }
  if (addr_.Get() != Addr::Failed(cause)) addr_.Set(Addr::Failed(cause));
}

void FsLeaf::Publish() {
  Addr addr = set_.Value();
  const Addr& now = addr_.Get();
  bool held = now.kind == Addr::Kind::kBound && !now.endpoints.empty();
  if (held && (addr.kind == Addr::Kind::kPending || addr.kind == Addr::Kind::kFailed)) {
    std::string cause = addr.cause.empty() ? "its hosts are not resolved yet" : addr.cause;
    addr = now;
    addr.cause = std::move(cause);
  }
  if (!stale_.empty() && addr.kind == Addr::Kind::kBound) addr.cause = stale_;
  if (addr != now) addr_.Set(std::move(addr));
}

void FsLeaf::SetPresence(Presence presence) {
  if (presence_ == presence) return;
  presence_ = presence;
  NotifyAll();
}

}  // namespace trestle::namers
