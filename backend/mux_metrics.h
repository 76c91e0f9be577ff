// MuxMetrics: the cells of rt/LABEL/client/ID/mux.
//
// Lifetime: that of the scope's table. Threading: the table's owner. Errors: none.
#pragma once

#include "base/metrics.h"

namespace trestle::backend {

struct MuxMetrics {
  // `s`: the scope "mux".
  explicit MuxMetrics(base::Scope* s);

  base::Gauge* sessions;
  base::Gauge* tags;       // in use
  base::Gauge* abandoned;  // of those: nobody waits for the answer any more
  base::Counter* drains;   // Tdrain came
  base::Counter* leases;   // Tlease came
  base::Counter *pings, *ping_timeouts;
  base::Histogram* ping_latency;
  base::Counter* nacks;
  base::Counter* discards;  // Tdiscarded sent
  base::Counter* rerrs;     // Rerr came
  base::Counter *fragments_sent, *fragments_received;
  base::Counter* probes;       // of kAuto
  base::Counter* downgrades;   // of kAuto: an endpoint was found not to speak mux
  base::Counter* old_servers;  // sessions that turned to Treq
};

}  // namespace trestle::backend
