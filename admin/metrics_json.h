// The metrics as /admin/metrics.json shows them: Linkerd's names, flat or as a tree.
//
// Lifetime, threading: pure. Errors: nullopt when there is no such subtree.
#pragma once

#include <optional>
#include <string>

#include "admin/metrics_window.h"

namespace trestle::admin {

struct MetricsQuery {
  bool pretty = false;     // indented by two
  bool tree = false;       // objects within objects, one for each element of a name
  std::string below = "";  // only what is at this name or below it; names begin after it
};

// {"rt/thr/server/127.0.0.1/4114/requests":11,…,"….request_latency_ms.p99":3.2}
std::optional<std::string> MetricsJson(const MetricsView& view, const MetricsQuery& query);

}  // namespace trestle::admin
