// Namers: everything that turns names into addresses, as one configuration says. With main.cc the
// only code that knows the concrete namers.
//
// Lifetime: shared; the next configuration's shares what it does not change, and the rest goes when
// nothing that is bound hangs on it any more. Threading: the control loop. Errors: as problems of
// the configuration.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "conf/config.h"
#include "conf/problem.h"
#include "naming/namer.h"
#include "net/event_loop.h"
#include "router/tls_contexts.h"

namespace trestle::router {

// What the whole process stands on; outlives all of it.
struct Ground {
  net::EventLoop* loop;  // the control loop
  base::Metrics* metrics;
  base::MetricsTable* namers;  // where namers count, on the control loop
  TlsState* tls;
};

struct Namers;

// Namers that `before` (may be null) has in the same way are shared with it. The others do nothing
// yet. What is wrong goes into `problems`; `file` names the configuration there.
std::shared_ptr<const Namers> BuildNamers(const Ground& ground, const conf::Config& config,
                                          const std::string& file, const Namers* before,
                                          std::vector<conf::Problem>* problems);

// They are to be used: those of ZooKeeper connect.
void StartNamers(const Namers& namers);

// Holds all that it stands on.
std::shared_ptr<const naming::NamerSet> SetOf(const std::shared_ptr<const Namers>& namers);

}  // namespace trestle::router
