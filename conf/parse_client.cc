#include "conf/parts.h"

namespace trestle::conf {
namespace {

constexpr uint32_t kAnyNumber = 2'147'483'647;
constexpr uint32_t kMostInFlight = 65'536;  // as backend::InFlight
constexpr uint32_t kMostKept = 10'000;      // connections to one endpoint that wait for calls
constexpr uint32_t kLeastFragment = 1024;

// In the order of ClientProtocol.
const std::vector<std::string_view> kProtocols = {"thrift", "theader", "thriftmux", "auto"};

std::optional<PoolConfig> ReadPool(std::optional<Section> section) {
  if (!section) return std::nullopt;
  PoolConfig pool;
  const auto least = section->Take("minSize");
  pool.min_size = section->Whole("minSize", 0, kMostKept, pool.min_size);
  pool.max_size = section->Whole("maxSize", 1, kAnyNumber, pool.max_size);
  pool.idle_time = section->Time("idleTimeMs", 0, pool.idle_time);
  pool.max_waiters = section->Whole("maxWaiters", 0, kAnyNumber, pool.max_waiters);
  pool.max_in_flight = section->MaybeWhole("maxInFlight", 1, kMostInFlight);
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

std::optional<MuxClientConfig> ReadMux(std::optional<Section> section) {
  if (!section) return std::nullopt;
  MuxClientConfig mux;
  mux.max_fragment_bytes =
      section->Whole("maxFragmentBytes", kLeastFragment, kAnyNumber, mux.max_fragment_bytes);
  mux.ping_interval = section->Time("pingIntervalMs", 0, mux.ping_interval);
  mux.ping_timeout = section->Time("pingTimeoutMs", 1, mux.ping_timeout);
  section->Done();
  return mux;
}

std::optional<ClientProtocol> MaybeProtocol(Section* section) {
  if (!section->Take("protocol")) return std::nullopt;
  // A wrong word is taken for the one that excludes nothing: one problem is enough.
  const size_t fallback = static_cast<size_t>(ClientProtocol::kAuto);
  return static_cast<ClientProtocol>(section->Word("protocol", kProtocols, fallback));
}

// "thriftFramed: false" beside a protocol that has frames of its own.
void Exclude(Section* section, const std::string& key, const char* value,
             const std::string& protocol) {
  section->Wrong(*section->Take(key),
                 key + ": " + value + " and protocol: " + protocol + " exclude each other");
}

// `fallback`: the protocol of an entry that says none, if no other entry can.
void CheckDialect(Section* section, const ClientEntry& entry,
                  std::optional<ClientProtocol> fallback) {
  const auto protocol = entry.protocol ? entry.protocol : fallback;
  if (protocol == ClientProtocol::kThriftMux || protocol == ClientProtocol::kTHeader) {
    std::string shown(kProtocols[static_cast<size_t>(*protocol)]);
    if (!entry.protocol) shown += " (a mux router's default)";
    if (entry.attempt_ttwitter_upgrade == true) {
      Exclude(section, "attemptTTwitterUpgrade", "true", shown);
    }
    if (entry.thrift_framed == false) Exclude(section, "thriftFramed", "false", shown);
  }
  const bool agreed = entry.tls && entry.tls->opportunistic != OpportunisticTls::kOff;
  if (agreed && (protocol == ClientProtocol::kThrift || protocol == ClientProtocol::kTHeader)) {
    section->Wrong(*section->Take("tls"),
                   "opportunistic is agreed upon in the handshake of mux, and protocol is " +
                       std::string(kProtocols[static_cast<size_t>(*protocol)]));
  }
  const bool may_have_theader =
      entry.protocol == ClientProtocol::kTHeader || entry.protocol == ClientProtocol::kAuto;
  if (entry.theader_zlib == true && !may_have_theader) {
    const auto item = section->Take("theaderZlib");
    section->findings()->Warn(item->line, item->key,
                              "is of use with protocol: theader only, which is not asked for here");
  }
}

// Only seqids tell the replies of one connection apart.
void CheckSeqids(const Section& section, const ClientEntry& entry,
                 const std::optional<Item>& verify) {
  if (entry.verify_seqid.value_or(true) || !entry.host_connection_pool) return;
  // On mux sessions it is tags that tell.
  if (entry.protocol == ClientProtocol::kThriftMux) return;
  const uint32_t most = entry.host_connection_pool->max_in_flight.value_or(1);
  if (most == 1) return;
  section.Wrong(*verify, "must be true where maxInFlight is over 1 (it is " + std::to_string(most) +
                             "): nothing else tells the replies of one connection apart");
}

// The keys that `client` has under io.l5d.global, and each of its configs under io.l5d.static.
// `fallback`: as for CheckDialect.
ClientEntry ReadEntry(Section* section, NamePattern prefix,
                      std::optional<ClientProtocol> fallback = std::nullopt) {
  ClientEntry entry;
  entry.prefix = std::move(prefix);
  section->RefuseNothing("tls");
  entry.tls = ReadClientTls(section->Map("tls"), entry.prefix);
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
  entry.protocol = MaybeProtocol(section);
  entry.thrift_framed = section->MaybeFlag("thriftFramed");
  entry.attempt_ttwitter_upgrade = section->MaybeFlag("attemptTTwitterUpgrade");
  entry.theader_zlib = section->MaybeFlag("theaderZlib");
  entry.mux = ReadMux(section->Map("mux"));
  entry.strip_service_name = section->MaybeFlag("stripServiceName");
  CheckSeqids(*section, entry, section->Take("verifySeqid"));
  section->Done({{"requestAuthorizers", "[]"}, {"forwardClientCert", "false"}});
  CheckDialect(section, entry, fallback);
  return entry;
}

}  // namespace

ClientConfig ReadClient(std::optional<Section> section, RouterProtocol protocol) {
  ClientConfig client;
  if (protocol == RouterProtocol::kMux) client.protocol = ClientProtocol::kThriftMux;
  if (!section) return client;
  const auto kind = section->Kind("kind", {"io.l5d.global", "io.l5d.static"}, {}, "io.l5d.global");
  if (!kind) return client;
  if (*kind == "io.l5d.global") {
    client.entries.push_back(ReadEntry(&*section, NamePattern(), client.protocol));
    return client;
  }
  section->Need("configs");
  for (const Item& item : section->List("configs")) {
    Section config(item, section->findings());
    NamePattern prefix = ReadPrefix(&config);
    client.entries.push_back(ReadEntry(&config, std::move(prefix)));
  }
  section->Done();
  return client;
}

}  // namespace trestle::conf
