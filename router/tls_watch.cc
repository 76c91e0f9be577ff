#include "router/tls_watch.h"

#include <glog/logging.h>

#include <set>
#include <utility>

namespace trestle::router {
namespace {

// A certificate and its key are written one after the other.
constexpr base::Duration kSettle = std::chrono::milliseconds(300);
constexpr base::Duration kShowAgain = std::chrono::hours(1);
constexpr int64_t kWarnDays = 14;

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
      show_(loop, [this] { ShowExpiries(); }) {}

TlsWatch::~TlsWatch() = default;

// Whole folders: a file may be a link into another one that is changed as a whole.
void TlsWatch::Watch(std::shared_ptr<const TlsContexts> contexts) {
  contexts_ = std::move(contexts);
  std::set<std::string> wanted;
  for (const std::string& file : contexts_->files()) wanted.insert(FolderOf(file));
  std::erase_if(folders_, [&wanted](const auto& known) { return !wanted.contains(known.first); });
  if (!wanted.empty() && !files_) {
    auto files = net::FileWatch::Make(loop_);
    if (files.ok()) {
      files_ = std::move(*files);
    } else {
      LOG(WARNING) << "tls: files are not watched: " << files.status().message();
    }
  }
  for (const std::string& folder : wanted) {
    if (!files_ || folders_.contains(folder)) continue;
    auto handle = files_->Add(folder, "", net::FileWatch::Interest::kContents,
                              [this](const net::FileWatch::Event&) { settle_.Arm(kSettle); });
    if (handle.ok()) {
      folders_[folder] = std::move(*handle);
    } else {
      LOG(WARNING) << "tls: " << folder << " is not watched: " << handle.status().message();
    }
  }
  ShowExpiries();
}

void TlsWatch::ShowExpiries() {
  const base::WallTime now = loop_->clock()->Wall();
  for (const TlsContexts::Expiry& expiry : contexts_->expiries()) {
    base::Gauge*& gauge = days_[expiry.cert_path];
    if (!gauge) {
      gauge =
          scope_->Labelled("certificate", expiry.cert_path)->gauge("days_left", base::Merge::kMost);
    }
    const auto left = std::chrono::duration_cast<std::chrono::hours>(expiry.at - now).count() / 24;
    gauge->Set(left);
    LOG_IF(WARNING, left < kWarnDays)
        << "tls: " << expiry.cert_path << " (or a certificate with it) expires in " << left
        << " days";
  }
  if (contexts_->expiries().empty()) return show_.Cancel();
  show_.Arm(kShowAgain);
}

}  // namespace trestle::router
