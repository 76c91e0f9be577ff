#include "router/options.h"

#include <algorithm>

namespace trestle::router {

namespace {

constexpr uint32_t kMuxInFlight = 65'536;

uint64_t SizeOf(uint64_t total, uint32_t index, uint32_t workers) {
  return std::max(uint64_t{1}, total / workers + (index < total % workers ? 1 : 0));
}

// Of messages held: below this a worker would refuse calls for the memory that it reads into.
uint64_t BytesOf(uint64_t total, uint32_t index, uint32_t workers) {
  return std::max(uint64_t{1} << 20, SizeOf(total, index, workers));
}

server::Options::Port ToPort(conf::RouterProtocol protocol) {
  using Port = server::Options::Port;
  if (protocol == conf::RouterProtocol::kMux) return Port::kMux;
  return protocol == conf::RouterProtocol::kThriftMux ? Port::kThriftMux : Port::kThrift;
}

backend::Wire ToWire(conf::ClientProtocol protocol) {
  using Wire = backend::Wire;
  switch (protocol) {
    case conf::ClientProtocol::kThrift:
      return Wire::kThrift;
    case conf::ClientProtocol::kTHeader:
      return Wire::kTHeader;
    case conf::ClientProtocol::kThriftMux:
      return Wire::kMux;
    case conf::ClientProtocol::kAuto:
      break;
  }
  return Wire::kAuto;
}

mux::TlsLevel ToLevel(conf::OpportunisticTls level) {
  using Level = conf::OpportunisticTls;
  if (level == Level::kOff) return mux::TlsLevel::kOff;
  return level == Level::kDesired ? mux::TlsLevel::kDesired : mux::TlsLevel::kRequired;
}

thrift::Framing ToFraming(bool framed) {
  return framed ? thrift::Framing::kFramed : thrift::Framing::kBuffered;
}

}  // namespace

uint32_t ShareOf(uint32_t total, uint32_t index, uint32_t workers) {
  return static_cast<uint32_t>(SizeOf(total, index, workers));
}

net::SocketOptions ToSocketOptions(const conf::SocketOptions& options) {
  net::SocketOptions out;
  out.no_delay = options.no_delay;
  out.keep_alive = options.keep_alive;
  out.reuse_address = options.reuse_addr;
  out.reuse_port = options.reuse_port;
  if (options.backlog) out.backlog = *options.backlog;
  return out;
}

server::Options ToServerOptions(const conf::Config& process, const conf::RouterConfig& router,
                                const conf::ServerConfig& server, uint32_t index,
                                uint32_t workers) {
  server::Options out;
  out.port = ToPort(router.protocol);
  out.max_dispatches = server.mux.max_dispatches;
  out.mux_fragment = server.mux.max_fragment_bytes;
  if (server.tls) out.mux_tls = ToLevel(server.tls->opportunistic);
  out.dialect.protocol = router.thrift_protocol;
  out.dialect.framing.reset();
  if (server.thrift_framed) out.dialect.framing = ToFraming(*server.thrift_framed);
  out.max_frame_bytes = router.max_frame_bytes;
  out.stream_threshold = router.stream_threshold_bytes;
  out.body_idle_timeout = router.body_idle_timeout;
  out.max_pipelined = server.max_pipelined;
  if (server.max_concurrent_requests) {
    out.max_concurrent = ShareOf(*server.max_concurrent_requests, index, workers);
  }
  out.clear_context = server.clear_context;
  if (server.dest) out.dest = server.dest->Show();
  if (server.on_half_close == conf::OnHalfClose::kCancel) {
    out.on_half_close = server::Options::OnHalfClose::kCancel;
  }
  out.half_close_timeout = server.half_close_timeout;
  out.idle_time = server.server_session.idle_time;
  out.life_time = server.server_session.life_time;
  out.read_timeout = server.socket_options.read_timeout;
  out.write_timeout = server.socket_options.write_timeout;
  // A connection is one worker's, so its bounds are not divided.
  out.max_connection_bytes = server.max_connection_bytes;
  out.max_pending_bindings = server.max_pending_bindings;
  out.max_buffered_bytes = BytesOf(process.max_buffered_bytes, index, workers);
  return out;
}

backend::Options ToBackendOptions(const conf::Config& process, const conf::RouterConfig& router,
                                  const conf::ClientOptions& client, uint32_t index,
                                  uint32_t workers) {
  backend::Options out;
  const conf::PoolConfig& pool = client.host_connection_pool;
  out.pool.max_size = ShareOf(pool.max_size, index, workers);
  out.pool.min_size = pool.min_size == 0 ? 0 : ShareOf(pool.min_size, index, workers);
  out.pool.max_waiters = pool.max_waiters == 0 ? 0 : ShareOf(pool.max_waiters, index, workers);
  out.pool.idle_time = pool.idle_time;
  out.wire = ToWire(client.protocol);
  out.theader_zlib = client.theader_zlib;
  out.mux_fragment = client.mux.max_fragment_bytes;
  if (client.tls) out.mux_tls = ToLevel(client.tls->opportunistic);
  out.ping_interval = client.mux.ping_interval;
  out.ping_timeout = client.mux.ping_timeout;
  // A mux session is for many calls; a plain connection for one, unless its backend is known to
  // take more.
  out.pool.max_in_flight = pool.max_in_flight.value_or(1);
  out.pool.mux_in_flight = pool.max_in_flight.value_or(kMuxInFlight);
  out.balance = client.load_balancer.kind == conf::BalancerConfig::Kind::kRoundRobin
                    ? backend::Options::Balance::kRoundRobin
                    : backend::Options::Balance::kP2c;
  out.max_effort = client.load_balancer.max_effort;
  out.accrual.enabled =
      client.failure_accrual.kind == conf::FailureAccrualConfig::Kind::kConsecutiveFailures;
  out.accrual.failures = client.failure_accrual.failures;
  const conf::BackoffConfig& backoff = client.failure_accrual.backoff;
  out.accrual.backoff = {backoff.min, backoff.max,
                         backoff.kind == conf::BackoffConfig::Kind::kJittered};
  // Finagle's fail-fast waits a second after the first refused connection, and longer after more.
  if (client.fail_fast) {
    out.accrual.connect_backoff = {std::chrono::seconds(1), std::chrono::seconds(32), true};
  }
  uint32_t retries = client.requeue_budget.min_retries_per_sec;
  out.budget.min_retries_per_sec = retries == 0 ? 0 : ShareOf(retries, index, workers);
  out.budget.percent_can_retry = client.requeue_budget.percent_can_retry;
  out.budget.ttl = client.requeue_budget.ttl;
  out.connect_timeout = client.connect_timeout;
  out.attempt_timeout = client.request_attempt_timeout;
  out.session_idle_time = client.client_session.idle_time;
  out.session_life_time = client.client_session.life_time;
  out.read_timeout = client.socket_options.read_timeout;
  out.write_timeout = client.socket_options.write_timeout;
  out.verify_seqid = client.verify_seqid;
  out.max_frame_bytes = router.max_frame_bytes;
  out.framing = ToFraming(client.thrift_framed);
  out.ttwitter = client.attempt_ttwitter_upgrade;
  out.strip_service_name = client.strip_service_name;
  out.stream_threshold = router.stream_threshold_bytes;
  out.body_idle_timeout = router.body_idle_timeout;
  out.max_buffered_bytes = BytesOf(process.max_buffered_bytes, index, workers);
  return out;
}

}  // namespace trestle::router
