#include "namers/fs_dir.h"

#include "namers/fs_leaf.h"

namespace trestle::namers {

using net::FileWatch;

FsDir::FsDir(net::EventLoop* loop, FileWatch* watch, const std::string& root,
             const std::vector<std::string>& labels)
    : loop_(loop),
      watch_(watch),
      trail_(watch, root, labels,
             [this](Trail::Change) {
               Listen();
               loop_->AtTurnEnd(this);
             }),
      created_(loop, [this] { loop_->AtTurnEnd(this); }) {}

void FsDir::Open() { Listen(); }

void FsDir::Listen() {
  const Trail::End& end = trail_.Resolve();
  auto old = std::move(entries_);  // goes after the new one came, so that the watch stays
  if (end.kind != Trail::End::Kind::kDirectory) return;
  auto handle = watch_->Add(end.path, "", FileWatch::Interest::kContents,
                            [this](const FileWatch::Event& event) { OnEntry(event); });
  if (handle.ok()) {
    entries_ = std::move(*handle);
  } else if (handle.status().code() != base::Code::kNoRoute) {
    trail_.Fail(handle.status().message());
  }
}

void FsDir::OnEntry(const FileWatch::Event& event) {
  switch (event.kind) {
    case FileWatch::Kind::kCreated:
      // A regular file counts once it was written and closed. Links, hard or symbolic, never are,
      // so what was made is looked at a little later, too.
      if (event.directory) return loop_->AtTurnEnd(this);
      if (!created_.armed()) created_.Arm(kFsQuiet);
      return;
    case FileWatch::Kind::kWritten:
      if (created_.armed()) loop_->AtTurnEnd(this);
      return;
    case FileWatch::Kind::kAttributes:
      if (event.directory) loop_->AtTurnEnd(this);  // perhaps it can be read now
      return;
    case FileWatch::Kind::kMovedIn:
    case FileWatch::Kind::kOverflow:
      return loop_->AtTurnEnd(this);
    case FileWatch::Kind::kModified:
    case FileWatch::Kind::kMovedOut:
    case FileWatch::Kind::kDeleted:
    case FileWatch::Kind::kGone:  // the Trail hears of that
      return;
  }
}

void FsDir::OnTurnEnd() {
  auto self = shared_from_this();
  NotifyAll();
}

}  // namespace trestle::namers
