#include "backend/mux_metrics.h"

namespace trestle::backend {
namespace {

constexpr uint32_t kMicrosPerMs = 1000;

}  // namespace

MuxMetrics::MuxMetrics(base::Scope* s)
    : sessions(s->gauge("sessions")),
      tags(s->gauge("tags_in_use")),
      abandoned(s->gauge("tags_abandoned")),
      drains(s->counter("drains")),
      leases(s->counter("leases")),
      pings(s->counter("pings")),
      ping_timeouts(s->counter("ping_timeouts")),
      ping_latency(s->histogram("ping_latency_ms", kMicrosPerMs)),
      nacks(s->counter("nacks")),
      discards(s->counter("discards")),
      rerrs(s->counter("rerrs")),
      fragments_sent(s->counter("fragments_sent")),
      fragments_received(s->counter("fragments_received")),
      probes(s->counter("probes")),
      downgrades(s->counter("downgrades")),
      old_servers(s->counter("old_servers")) {}

}  // namespace trestle::backend
