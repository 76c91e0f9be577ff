#include "conf/parts.h"

namespace trestle::conf {
namespace {

constexpr uint32_t kAnyNumber = 2'147'483'647;
constexpr uint32_t kMostInFlight = 65'536;  // as backend::InFlight

std::optional<PoolConfig> ReadPool(std::optional<Section> section) {
  if (!section) return std::nullopt;
  PoolConfig pool;
  const auto least = section->Take("minSize");
  pool.min_size = section->Whole("minSize", 0, kAnyNumber, pool.min_size);
  pool.max_size = section->Whole("maxSize", 1, kAnyNumber, pool.max_size);
  pool.idle_time = section->Time("idleTimeMs", 0, pool.idle_time);
  pool.max_waiters = section->Whole("maxWaiters", 0, kAnyNumber, pool.max_waiters);
  pool.max_in_flight = section->Whole("maxInFlight", 1, kMostInFlight, pool.max_in_flight);
  section->Done();
  if (pool.min_size > pool.max_size) {
    section->Wrong(*least, "must be at most maxSize (" + std::to_string(pool.max_size) + "), is " +
                               std::to_string(pool.min_size));
  }
  return pool;
}

std::optional<BalancerConfig> ReadBalancer(std::optional<Section> section) {
  if (!section) return std::nullopt;
  BalancerConfig balancer;
  const auto kind = section->Kind("kind", {"p2c", "roundRobin"}, {"ewma", "aperture", "heap"});
  if (!kind) return std::nullopt;
  if (*kind == "roundRobin") balancer.kind = BalancerConfig::Kind::kRoundRobin;
  balancer.max_effort = section->Whole("maxEffort", 1, 1000, balancer.max_effort);
  section->Done({{"enableProbation", "false"}});
  return balancer;
}

// Two ends of a backoff, with the first at most the second.
void ReadJittered(Section* section, BackoffConfig* backoff) {
  const auto least = section->Need("minMs");
  const auto most = section->Need("maxMs");
  backoff->min = section->Time("minMs", 0, backoff->min);
  backoff->max = section->Time("maxMs", 0, backoff->max);
  if (least && most && backoff->min > backoff->max) {
    section->Wrong(*least, "must be at most maxMs (" + std::to_string(backoff->max.count()) +
                               "), is " + std::to_string(backoff->min.count()));
  }
}

BackoffConfig ReadBackoff(std::optional<Section> section) {
  BackoffConfig backoff;
  if (!section) return backoff;
  const auto kind = section->Kind("kind", {"constant", "jittered"}, {});
  if (!kind) return backoff;
  if (*kind == "constant") {
    backoff.kind = BackoffConfig::Kind::kConstant;
    backoff.min = backoff.max = section->Time("ms", 0, Millis(0));
  } else {
    ReadJittered(&*section, &backoff);
  }
  section->Done();
  return backoff;
}

std::optional<FailureAccrualConfig> ReadAccrual(std::optional<Section> section) {
  if (!section) return std::nullopt;
  const auto kind = section->Kind("kind", {"none", "io.l5d.consecutiveFailures"},
                                  {"io.l5d.successRate", "io.l5d.successRateWindowed"});
  if (!kind) return std::nullopt;
  FailureAccrualConfig accrual;
  if (*kind == "none") {
    accrual.kind = FailureAccrualConfig::Kind::kNone;
  } else {
    accrual.failures = section->Whole("failures", 1, kAnyNumber, accrual.failures);
    accrual.backoff = ReadBackoff(section->Map("backoff"));
  }
  section->Done();
  return accrual;
}

std::optional<RetryBudgetConfig> ReadBudget(std::optional<Section> section) {
  if (!section) return std::nullopt;
  RetryBudgetConfig budget;
  budget.min_retries_per_sec =
      section->Whole("minRetriesPerSec", 0, kAnyNumber, budget.min_retries_per_sec);
  budget.percent_can_retry = section->Real("percentCanRetry", 0, 1000, budget.percent_can_retry);
  budget.ttl = section->Time("ttlSecs", 1, budget.ttl, 1000);
  section->Done();
  return budget;
}

// The keys that `client` has under io.l5d.global, and each of its configs under io.l5d.static.
ClientEntry ReadEntry(Section* section) {
  ClientEntry entry;
  entry.host_connection_pool = ReadPool(section->Map("hostConnectionPool"));
  entry.request_attempt_timeout = section->MaybeTime("requestAttemptTimeoutMs", 1);
  entry.load_balancer = ReadBalancer(section->Map("loadBalancer"));
  entry.fail_fast = section->MaybeFlag("failFast");
  entry.failure_accrual = ReadAccrual(section->Map("failureAccrual"));
  entry.requeue_budget = ReadBudget(section->Map("requeueBudget"));
  entry.client_session = MaybeSessionBounds(section, "clientSession");
  entry.socket_options = MaybeSocketOptions(section);
  entry.connect_timeout = section->MaybeTime("connectTimeoutMs", 1);
  entry.verify_seqid = section->MaybeFlag("verifySeqid");
  entry.thrift_framed = section->MaybeFlag("thriftFramed");
  entry.attempt_ttwitter_upgrade = section->MaybeFlag("attemptTTwitterUpgrade");
  entry.strip_service_name = section->MaybeFlag("stripServiceName");
  section->Done({{"tls"}, {"requestAuthorizers", "[]"}, {"forwardClientCert", "false"}});
  return entry;
}

}  // namespace

ClientConfig ReadClient(std::optional<Section> section) {
  ClientConfig client;
  if (!section) return client;
  const auto kind = section->Kind("kind", {"io.l5d.global", "io.l5d.static"}, {}, "io.l5d.global");
  if (!kind) return client;
  if (*kind == "io.l5d.global") {
    client.entries.push_back(ReadEntry(&*section));
    return client;
  }
  section->Need("configs");
  for (const Item& item : section->List("configs")) {
    Section config(item, section->findings());
    NamePattern prefix = ReadPrefix(&config);
    client.entries.push_back(ReadEntry(&config));
    client.entries.back().prefix = std::move(prefix);
  }
  section->Done();
  return client;
}

}  // namespace trestle::conf
