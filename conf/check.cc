#include <arpa/inet.h>

#include <map>
#include <string_view>

#include "conf/parts.h"

namespace trestle::conf {
namespace {

void CheckLabels(const Config& config, Findings* findings) {
  std::map<std::string, int> seen;  // label to line
  for (const RouterConfig& router : config.routers) {
    const Located<std::string>& label = router.label;
    const auto [first, fresh] = seen.emplace(label.value, label.line);
    if (fresh) continue;
    findings->Wrong(label.line, label.key,
                    "the router of line " + std::to_string(first->second) + " has the label \"" +
                        label.value + "\" too (a router without one has its protocol's name)");
  }
}

// Who has which socket, so that the second one to ask for it can be told of the first.
class Sockets {
 public:
  explicit Sockets(Findings* findings) : findings_(findings) {}

  void Add(const Located<std::string>& ip, const Located<uint16_t>& port) {
    if (port.value == 0) return;  // each gets a free one
    auto& taken = by_port_[port.value];
    const std::string* rival = Rival(taken, ip.value);
    if (rival != nullptr) {
      findings_->Wrong(
          port.line, port.key,
          "port " + std::to_string(port.value) + " of " + ip.value + " is taken by " + *rival);
    }
    std::string who = port.key;
    if (port.line > 0) who += " (line " + std::to_string(port.line) + ")";
    taken.emplace(ip.value, std::move(who));
  }

 private:
  using Taken = std::map<std::string, std::string>;  // address to who has it

  // "0.0.0.0" stands for every IPv4 address, "::" for every one.
  static const std::string* Rival(const Taken& taken, const std::string& ip) {
    const bool is_v6 = ip.find(':') != std::string::npos;
    for (const std::string& other :
         {ip, std::string("::"), std::string(is_v6 ? "::" : "0.0.0.0")}) {
      const auto found = taken.find(other);
      if (found != taken.end()) return &found->second;
    }
    if (ip != "::" && ip != "0.0.0.0") return nullptr;
    for (const auto& [other, who] : taken) {
      if (ip == "::" || other.find(':') == std::string::npos) return &who;
    }
    return nullptr;
  }

  Findings* findings_;
  std::map<uint16_t, Taken> by_port_;
};

void CheckSockets(const Config& config, Findings* findings) {
  Sockets sockets(findings);
  sockets.Add(config.admin.ip, config.admin.port);
  for (const RouterConfig& router : config.routers) {
    for (const ServerConfig& server : router.servers) sockets.Add(server.ip, server.port);
  }
}

// What the admin server shows by itself: admin/admin_server.cc.
constexpr std::string_view kAdminPages[] = {"/",
                                            "/admin",
                                            "/admin/",
                                            "/admin/metrics.json",
                                            "/admin/ping",
                                            "/admin/ready",
                                            "/admin/server_info",
                                            "/admin/shutdown",
                                            "/config.json",
                                            "/delegator.json",
                                            "/namer_state/"};

void CheckPages(const Config& config, Findings* findings) {
  std::map<std::string, std::string> taken;  // path to who has it
  for (const std::string_view page : kAdminPages) taken.emplace(page, "the admin server itself");
  for (const PrometheusConfig& page : config.prometheus) {
    const Located<std::string>& path = page.path;
    const auto [first, fresh] =
        taken.emplace(path.value, path.key + " (line " + std::to_string(path.line) + ")");
    if (fresh) continue;
    findings->Wrong(path.line, path.key,
                    "the page " + path.value + " is taken by " + first->second);
  }
}

void WarnOfNoTimeout(const RouterConfig& router, Findings* findings) {
  for (const ClientEntry& entry : router.client.entries) {
    if (entry.request_attempt_timeout) return;
  }
  for (const ServiceEntry& entry : router.service.entries) {
    if (entry.total_timeout) return;
  }
  findings->Warn(router.line, router.key,
                 "neither client.requestAttemptTimeoutMs nor service.totalTimeoutMs is set, and "
                 "they have no default: a call waits for its backend without end");
}

}  // namespace

void CheckWhole(const Config& config, Findings* findings) {
  CheckLabels(config, findings);
  CheckSockets(config, findings);
  CheckPages(config, findings);
  CheckAnnounce(config, findings);
  for (const RouterConfig& router : config.routers) WarnOfNoTimeout(router, findings);
}

}  // namespace trestle::conf
