// AdminServer: the pages on the admin port: is it alive, is it ready, what does it count, where
// does a name lead. All that it shows is handed to it as functions.
//
// Lifetime: its loop and what the functions reach outlive it; destroy it on its loop or once the
// loop has stopped. Threading: the admin loop's; the functions are called there. Errors: Listen
// tells why it cannot.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "admin/delegator_page.h"
#include "admin/metrics_window.h"
#include "base/metrics.h"
#include "base/status.h"
#include "net/event_loop.h"
#include "net/http_server.h"

namespace trestle::admin {

struct AdminOptions {
  std::string program = "trestle";
  std::string version;
  struct Prometheus {
    std::string path = "/admin/metrics/prometheus";
    std::string prefix;  // of every metric's name
  };
  std::vector<Prometheus> prometheus{Prometheus{}};
};

// The page of a function that is not given does not exist.
struct AdminSources {
  const base::Metrics* metrics = nullptr;  // required
  std::function<bool()> ready;             // false while draining; none: always ready
  Delegate delegate;                       // /delegator.json
  // /namer_state/PREFIX.json: JSON; none: there is no such namer, or it has none to show.
  std::function<std::optional<std::string>(const std::string& prefix)> namer_state;
  std::function<std::string()> config_json;  // /config.json
  std::function<void()> shutdown;            // POST /admin/shutdown; must not end this at once
};

class AdminServer {
 public:
  AdminServer(net::EventLoop* loop, AdminOptions options, AdminSources sources);
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  // Once; `ip` is a literal, port 0 takes a free one. The minutes of the histograms begin here.
  base::Status Listen(const std::string& ip, uint16_t port);
  const net::Address& address() const { return http_.address(); }
  uint16_t port() const { return http_.port(); }

 private:
  using Page = net::HttpServer::Handler;
  // `about`: what the index says of it.
  void Add(const std::string& path, const std::string& about, Page page);
  void AddPages();
  void AddMetricsPages();
  void AddOptionalPages();
  net::HttpReply Ready() const;
  net::HttpReply MetricsPage(const net::HttpRequest& request) const;
  net::HttpReply ServerPage() const;
  net::HttpReply NamerPage(const net::HttpRequest& request) const;
  net::HttpReply Index() const;
  void OnMinute();

  net::EventLoop* loop_;
  AdminOptions options_;
  AdminSources sources_;
  base::TimePoint started_;
  std::vector<std::pair<std::string, std::string>> index_;
  MetricsWindow window_;
  net::Timer minute_;
  std::unique_ptr<DelegatorPage> delegator_;
  net::HttpServer http_;
};

}  // namespace trestle::admin
