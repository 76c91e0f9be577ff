#include "router/tls_watch.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

namespace trestle::router {
namespace {

// A certificate and its key are written one after the other; others may write there all the time.
constexpr base::Duration kSettle = std::chrono::milliseconds(300);
constexpr base::Duration kLatest = std::chrono::seconds(2);
constexpr base::Duration kTryAgain = std::chrono::seconds(5);
constexpr base::Duration kShowAgain = std::chrono::hours(1);
constexpr int64_t kWarnDays = 14;
constexpr int64_t kNotUsed = 10'000;  // what is shown for a certificate that was in use once

std::string FolderOf(const std::string& file) {
  const size_t slash = file.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : file.substr(0, slash);
}

}  // namespace

TlsWatch::TlsWatch(net::EventLoop* loop, base::Scope* scope, std::function<void()> changed)
    : loop_(loop),
      scope_(scope),
      settle_(loop, std::move(changed)),
      again_(loop, [this] { WatchFolders(); }),
      show_(loop, [this] { ShowExpiries(); }) {}

TlsWatch::~TlsWatch() = default;

void TlsWatch::Watch(std::shared_ptr<const TlsContexts> contexts) {
  contexts_ = std::move(contexts);
  WatchFolders();
  ShowExpiries();
}

// Whole folders: a file may be a link into another one that is changed as a whole.
void TlsWatch::WatchFolders() {
  std::set<std::string> wanted;
  for (const std::string& file : contexts_->files()) wanted.insert(FolderOf(file));
  std::erase_if(folders_, [&wanted](const auto& known) { return !wanted.contains(known.first); });
  if (!wanted.empty() && !files_) {
    auto files = net::FileWatch::Make(loop_);
    if (!files.ok()) {
      LOG_IF(WARNING, told_.insert("").second)
          << "tls: files are not watched: " << files.status().message();
      return again_.Arm(kTryAgain);
    }
    files_ = std::move(*files);
  }
  for (const std::string& folder : wanted) {
    if (folders_.contains(folder)) continue;
    auto handle =
        files_->Add(folder, "", net::FileWatch::Interest::kContents,
                    [this, folder](const net::FileWatch::Event& event) { OnEvent(folder, event); });
    if (handle.ok()) {
      folders_[folder] = std::move(*handle);
      if (told_.erase(folder) > 0) OnChange();
    } else {
      LOG_IF(WARNING, told_.insert(folder).second)
          << "tls: " << folder << " is not watched: " << handle.status().message();
      again_.Arm(kTryAgain);
    }
  }
}

void TlsWatch::OnEvent(const std::string& folder, const net::FileWatch::Event& event) {
  if (event.kind == net::FileWatch::Kind::kGone) {
    LOG(WARNING) << "tls: " << folder << " is gone; what was read of it stays in use";
    told_.insert(folder);
    folders_.erase(folder);  // its name may be another folder's by now
    return again_.Arm(base::Duration(0));
  }
  OnChange();
}

void TlsWatch::OnChange() {
  const base::TimePoint now = loop_->Now();
  if (!settle_.armed()) latest_ = now + kLatest;
  settle_.ArmAt(std::min(now + kSettle, latest_));
}

void TlsWatch::ShowExpiries() {
  const base::WallTime now = loop_->clock()->Wall();
  std::map<std::string, int64_t> left;
  for (const auto& [path, gauge] : days_) left[path] = kNotUsed;
  for (const TlsContexts::Expiry& expiry : contexts_->expiries()) {
    const auto hours = std::chrono::duration_cast<std::chrono::hours>(expiry.at - now);
    left[expiry.cert_path] = hours.count() / 24;
  }
  for (const auto& [path, days] : left) {
    base::Gauge*& gauge = days_[path];
    if (!gauge) {
      gauge = scope_->Labelled("certificate", path)->gauge("days_left", base::Merge::kMost);
    }
    gauge->Set(days);
    LOG_IF(WARNING, days < kWarnDays)
        << "tls: " << path << " (or a certificate with it) expires in " << days << " days";
  }
  if (contexts_->expiries().empty()) return show_.Cancel();
  show_.Arm(kShowAgain);
}

}  // namespace trestle::router
