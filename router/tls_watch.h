// TlsWatch: tells when files of certificates and keys may have changed, and shows how long
// certificates hold still: tls/certificate/PATH/days_left, with a warning from 14 days before.
//
// Lifetime: the process's. Threading: the control loop. Errors: a folder that cannot be watched is
// told in the log, and tried again from time to time; SIGHUP reads its files all the same.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "net/event_loop.h"
#include "net/file_watch.h"
#include "router/tls_contexts.h"

namespace trestle::router {

class TlsWatch {
 public:
  // Changes that come one after the other are told once, behind the last of them or 2 s after the
  // first.
  TlsWatch(net::EventLoop* loop, base::Scope* scope, std::function<void()> changed);
  ~TlsWatch();
  TlsWatch(const TlsWatch&) = delete;
  TlsWatch& operator=(const TlsWatch&) = delete;

  // From now on these are watched.
  void Watch(std::shared_ptr<const TlsContexts> contexts);

 private:
  void WatchFolders();
  void OnEvent(const std::string& folder, const net::FileWatch::Event& event);
  void OnChange();
  void ShowExpiries();

  net::EventLoop* loop_;
  base::Scope* scope_;
  std::shared_ptr<const TlsContexts> contexts_;
  std::unique_ptr<net::FileWatch> files_;  // made with the first file
  std::map<std::string, std::unique_ptr<net::FileWatch::Handle>> folders_;
  std::set<std::string> told_;  // folders of which the log knows that they are not watched
  base::TimePoint latest_{};    // for what is settling
  net::Timer settle_, again_, show_;
  std::map<std::string, base::Gauge*> days_;
};

}  // namespace trestle::router
