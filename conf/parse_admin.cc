#include "conf/parts.h"

namespace trestle::conf {

AdminConfig ReadAdmin(std::optional<Section> section) {
  AdminConfig admin;
  if (!section) return admin;
  admin.ip = section->Ip("ip", admin.ip.value);
  admin.port = section->Port("port", admin.port.value);
  admin.shutdown_grace = section->Time("shutdownGraceMs", 0, admin.shutdown_grace);
  section->Done({{"socketOptions", "{}"},
                 {"tls"},
                 {"httpIdentifierPort"},
                 {"workerThreads", "2"},
                 {"security", "{}"}});
  return admin;
}

std::vector<PrometheusConfig> ReadTelemetry(Section* top) {
  std::vector<PrometheusConfig> all;
  for (const Item& item : top->List("telemetry")) {
    Section section(item, top->findings());
    const auto kind = section.Kind("kind", {"io.l5d.prometheus"},
                                   {"io.l5d.influxdb", "io.l5d.statsd", "io.l5d.tracelog",
                                    "io.l5d.recentRequests", "io.l5d.zipkin"});
    if (!kind) continue;
    PrometheusConfig prometheus;
    prometheus.path.line = section.line();
    prometheus.path.key = section.KeyOf("path");
    if (auto path = section.Text("path")) {
      if (path->value.starts_with("/")) {
        prometheus.path = *std::move(path);
      } else {
        top->findings()->Wrong(path->line, path->key, "must begin with /");
      }
    }
    if (auto prefix = section.Text("prefix")) prometheus.prefix = prefix->value;
    section.Flag("experimental", false);
    section.Done();
    all.push_back(std::move(prometheus));
  }
  if (all.empty()) all.emplace_back();
  return all;
}

}  // namespace trestle::conf
