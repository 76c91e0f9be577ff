#include "conf/options.h"

#include "naming/label_pattern.h"

namespace trestle::conf {
namespace {

template <class T, class U>
void Take(const std::optional<T>& from, U* to) {
  if (from) *to = *from;
}

ClientTlsConfig Filled(ClientTlsConfig tls, const naming::LabelPattern::Captures& captures) {
  const auto pattern = naming::LabelPattern::Parse(tls.common_name.value, false);
  if (pattern.ok()) tls.common_name.value = pattern->Fill(captures);
  return tls;
}

}  // namespace

ClientOptions ResolveClient(const ClientConfig& config, const naming::Path& id) {
  ClientOptions options;
  options.protocol = config.protocol;
  for (const ClientEntry& entry : config.entries) {
    if (!entry.prefix.Matches(id)) continue;
    Take(entry.host_connection_pool, &options.host_connection_pool);
    Take(entry.request_attempt_timeout, &options.request_attempt_timeout);
    Take(entry.load_balancer, &options.load_balancer);
    Take(entry.fail_fast, &options.fail_fast);
    Take(entry.failure_accrual, &options.failure_accrual);
    Take(entry.requeue_budget, &options.requeue_budget);
    Take(entry.client_session, &options.client_session);
    Take(entry.socket_options, &options.socket_options);
    Take(entry.connect_timeout, &options.connect_timeout);
    Take(entry.verify_seqid, &options.verify_seqid);
    Take(entry.protocol, &options.protocol);
    Take(entry.thrift_framed, &options.thrift_framed);
    Take(entry.attempt_ttwitter_upgrade, &options.attempt_ttwitter_upgrade);
    Take(entry.theader_zlib, &options.theader_zlib);
    Take(entry.mux, &options.mux);
    Take(entry.strip_service_name, &options.strip_service_name);
    if (entry.tls) options.tls = Filled(*entry.tls, entry.prefix.CapturesOf(id));
  }
  if (options.tls && !options.tls->enabled) options.tls.reset();
  return options;
}

ServiceOptions ResolveService(const ServiceConfig& config, const naming::Path& logical) {
  ServiceOptions options;
  for (const ServiceEntry& entry : config.entries) {
    if (!entry.prefix.Matches(logical)) continue;
    Take(entry.total_timeout, &options.total_timeout);
    Take(entry.idempotent_methods, &options.idempotent_methods);
  }
  return options;
}

bool IsIdempotent(const ServiceOptions& service, std::string_view message_name) {
  const size_t colon = message_name.find(':');
  const bool is_multiplexed = colon != std::string_view::npos;
  const std::string_view method = is_multiplexed ? message_name.substr(colon + 1) : message_name;
  for (const std::string_view listed : service.idempotent_methods) {
    if (listed == "*" || listed == message_name || listed == method) return true;
    const bool whole_service =
        is_multiplexed && listed.ends_with(":*") &&
        listed.substr(0, listed.size() - 1) == message_name.substr(0, colon + 1);
    if (whole_service) return true;
  }
  return false;
}

}  // namespace trestle::conf
