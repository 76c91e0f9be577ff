#include "admin/admin_server.h"

#include <glog/logging.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "admin/metrics_json.h"
#include "admin/prometheus.h"

namespace trestle::admin {
namespace {

using net::HttpReply;
using net::HttpRequest;

constexpr std::chrono::minutes kMinute{1};
constexpr std::string_view kNamerState = "/namer_state/";

// As Linkerd reads a switch of a query.
bool IsTrue(const std::optional<std::string>& value) {
  return value == "true" || value == "t" || value == "1";
}

HttpReply NotAllowed(const char* allowed) {
  HttpReply reply = HttpReply::Text(405, std::string("allowed: ") + allowed + "\n");
  reply.headers.emplace_back("Allow", allowed);
  return reply;
}

std::string Json(const nlohmann::ordered_json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

AdminServer::AdminServer(net::EventLoop* loop, AdminOptions options, AdminSources sources)
    : loop_(loop),
      options_(std::move(options)),
      sources_(std::move(sources)),
      started_(loop->clock()->Now()),
      window_(sources_.metrics),
      minute_(loop, [this] { OnMinute(); }),
      http_(loop) {
  CHECK(sources_.metrics != nullptr);
  AddPages();
  AddMetricsPages();
  AddOptionalPages();
}

base::Status AdminServer::Listen(const std::string& ip, uint16_t port) {
  base::Status status = http_.Listen(ip, port);
  if (status.ok()) minute_.ArmAt(loop_->clock()->Now() + kMinute);
  return status;
}

void AdminServer::Add(const std::string& path, const std::string& about, Page page) {
  index_.emplace_back("GET  " + path, about);
  http_.Handle(path, [page = std::move(page)](const HttpRequest& request) {
    if (request.method != "GET" && request.method != "HEAD") return NotAllowed("GET, HEAD");
    return page(request);
  });
}

void AdminServer::AddPages() {
  Add("/admin/ping", "pong, as long as the process lives",
      [](const HttpRequest&) { return HttpReply::Text(200, "pong"); });
  Add("/admin/ready", "200 ready, or 503 draining: send no new connections",
      [this](const HttpRequest&) { return Ready(); });
  Add("/admin/server_info", "name, version and uptime in ms",
      [this](const HttpRequest&) { return ServerPage(); });
  auto index = [this](const HttpRequest& request) {
    if (request.method != "GET" && request.method != "HEAD") return NotAllowed("GET, HEAD");
    return Index();
  };
  for (const char* path : {"/", "/admin", "/admin/"}) http_.Handle(path, index);
}

void AdminServer::AddMetricsPages() {
  Add("/admin/metrics.json", "all metrics; ?pretty=true ?tree=true ?q=rt/LABEL",
      [this](const HttpRequest& request) { return MetricsPage(request); });
  for (const AdminOptions::Prometheus& page : options_.prometheus) {
    Add(page.path, "all metrics for Prometheus", [this, prefix = page.prefix](const HttpRequest&) {
      return HttpReply{200, kPrometheusType, PrometheusText(window_.View(), prefix), {}};
    });
  }
}

void AdminServer::AddOptionalPages() {
  if (sources_.delegate) {
    delegator_ = std::make_unique<DelegatorPage>(loop_, sources_.delegate);
    index_.emplace_back("GET  /delegator.json",
                        "where a name leads; ?namespace=LABEL&path=/svc/NAME&dtab=/a=>/b");
    http_.HandleAsync("/delegator.json",
                      [this](const HttpRequest& request, net::HttpServer::Replier reply) {
                        delegator_->Answer(request, std::move(reply));
                      });
  }
  if (sources_.namer_state) {
    index_.emplace_back("GET  /namer_state/PREFIX.json", "what a namer follows; serversets only");
    http_.HandlePrefix(std::string(kNamerState),
                       [this](const HttpRequest& request) { return NamerPage(request); });
  }
  if (sources_.config_json) {
    Add("/config.json", "the configuration that runs",
        [this](const HttpRequest&) { return HttpReply::Json(200, sources_.config_json()); });
  }
  if (sources_.shutdown) {
    index_.emplace_back("POST /admin/shutdown", "drain and stop");
    http_.Handle("/admin/shutdown", [this](const HttpRequest& request) {
      if (request.method != "POST") return NotAllowed("POST");
      LOG(WARNING) << "admin: asked to shut down by POST /admin/shutdown";
      sources_.shutdown();
      return HttpReply::Text(200, "shutting down\n");
    });
  }
}

HttpReply AdminServer::Ready() const {
  bool ready = !sources_.ready || sources_.ready();
  return ready ? HttpReply::Text(200, "ready") : HttpReply::Text(503, "draining");
}

HttpReply AdminServer::MetricsPage(const HttpRequest& request) const {
  std::string below = request.Query("q").value_or("");
  auto text = MetricsJson(window_.View(),
                          {IsTrue(request.Query("pretty")), IsTrue(request.Query("tree")), below});
  if (text) return HttpReply::Json(200, std::move(*text));
  return HttpReply::Json(404, Json({{"error", "No such subtree: " + below}}));
}

HttpReply AdminServer::ServerPage() const {
  auto uptime =
      std::chrono::duration_cast<std::chrono::milliseconds>(loop_->clock()->Now() - started_);
  return HttpReply::Json(200, Json({{"name", options_.program},
                                    {"version", options_.version},
                                    {"uptime", uptime.count()}}));
}

HttpReply AdminServer::NamerPage(const HttpRequest& request) const {
  if (request.method != "GET" && request.method != "HEAD") return NotAllowed("GET, HEAD");
  std::string_view prefix = std::string_view(request.path).substr(kNamerState.size());
  if (!prefix.ends_with(".json")) return HttpReply::Empty(404);
  prefix.remove_suffix(5);
  auto state = sources_.namer_state(std::string(prefix));
  if (state) return HttpReply::Json(200, std::move(*state));
  return HttpReply::Json(
      404, Json({{"error", "no namer /#/" + std::string(prefix) + " that has something to show"}}));
}

HttpReply AdminServer::Index() const {
  size_t width = 0;
  for (const auto& [page, about] : index_) width = std::max(width, page.size());
  std::string out = options_.program + " " + options_.version + "\n\n";
  for (const auto& [page, about] : index_) {
    out.append(page).append(width - page.size() + 2, ' ').append(about).append("\n");
  }
  return HttpReply::Text(200, std::move(out));
}

void AdminServer::OnMinute() {
  window_.EndMinute();
  // Minutes do not drift, but those that were slept through are skipped.
  base::TimePoint next = minute_.at() + kMinute;
  minute_.ArmAt(next > loop_->Now() ? next : loop_->Now() + kMinute);
}

}  // namespace trestle::admin
