// From the configuration to what server, backend and net are told, with each worker's share.
#include "router/options.h"

#include <gtest/gtest.h>

namespace trestle::router::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Options, SharesAddUpAndAreAtLeastOne) {
  for (uint32_t total : {1u, 2u, 7u, 8u, 9u, 1000u, 10'000u, 4'000'000'000u}) {
    for (uint32_t workers : {1u, 2u, 3u, 8u, 64u}) {
      uint64_t sum = 0;
      uint32_t before = UINT32_MAX;
      for (uint32_t i = 0; i < workers; i++) {
        const uint32_t share = ShareOf(total, i, workers);
        EXPECT_GE(share, 1u);
        EXPECT_LE(share, before) << "the remainder goes to the first ones";
        EXPECT_LE(total / workers, share);
        EXPECT_LE(share, total / workers + 1);
        before = share;
        sum += share;
      }
      EXPECT_EQ(sum, std::max(total, workers)) << total << " among " << workers;
    }
  }
}

TEST(Options, OfSockets) {
  conf::SocketOptions in;
  EXPECT_EQ(ToSocketOptions(in).backlog, net::SocketOptions().backlog);
  in.no_delay = false;
  in.keep_alive = true;
  in.reuse_addr = false;
  in.reuse_port = true;
  in.backlog = 5;
  const net::SocketOptions out = ToSocketOptions(in);
  EXPECT_FALSE(out.no_delay);
  EXPECT_TRUE(out.keep_alive);
  EXPECT_FALSE(out.reuse_address);
  EXPECT_TRUE(out.reuse_port);
  EXPECT_EQ(out.backlog, 5);
}

TEST(Options, OfAServer) {
  conf::RouterConfig router;
  conf::ServerConfig server;
  server::Options out = ToServerOptions({}, router, server, 0, 2);
  EXPECT_EQ(out.dest, "");
  EXPECT_FALSE(out.max_concurrent);
  EXPECT_EQ(out.on_half_close, server::Options::OnHalfClose::kServe);
  EXPECT_EQ(out.max_frame_bytes, 16'384'000u);
  EXPECT_EQ(out.max_pipelined, 32u);
  EXPECT_EQ(out.dialect, thrift::DialectHint{}) << "all of it is told from the first bytes";
  EXPECT_EQ(out.stream_threshold, 65'536u);
  EXPECT_EQ(out.body_idle_timeout, seconds(10));
  EXPECT_EQ(out.max_connection_bytes, 1'048'576u);
  EXPECT_EQ(out.max_pending_bindings, 8u);

  router.thrift_protocol = thrift::Protocol::kCompact;
  router.max_frame_bytes = 4096;
  server.max_concurrent_requests = 5;
  server.max_pipelined = 3;
  server.clear_context = true;
  server.dest = naming::Path({"a", "b"});
  server.on_half_close = conf::OnHalfClose::kCancel;
  server.half_close_timeout = milliseconds(70);
  server.server_session = {milliseconds(8), milliseconds(9)};
  out = ToServerOptions({}, router, server, 0, 2);
  EXPECT_EQ(out.dialect.protocol, thrift::Protocol::kCompact);
  EXPECT_EQ(out.max_frame_bytes, 4096u);
  EXPECT_EQ(out.max_concurrent, 3u);
  EXPECT_EQ(ToServerOptions({}, router, server, 1, 2).max_concurrent, 2u);
  EXPECT_EQ(out.max_pipelined, 3u) << "of one connection, which one worker has: not divided";
  EXPECT_TRUE(out.clear_context);
  EXPECT_EQ(out.dest, "/a/b");
  EXPECT_EQ(out.on_half_close, server::Options::OnHalfClose::kCancel);
  EXPECT_EQ(out.half_close_timeout, milliseconds(70));
  EXPECT_EQ(out.idle_time, milliseconds(8));
  EXPECT_EQ(out.life_time, milliseconds(9));
}

TEST(Options, TheDialectOfAServer) {
  const auto hint = [](std::optional<bool> framed, std::optional<thrift::Protocol> protocol) {
    conf::RouterConfig router;
    conf::ServerConfig server;
    router.thrift_protocol = protocol;
    server.thrift_framed = framed;
    return ToServerOptions({}, router, server, 0, 1).dialect;
  };
  using thrift::DialectHint, thrift::Framing, thrift::Protocol;
  EXPECT_EQ(hint({}, {}), (DialectHint{{}, {}}));
  EXPECT_EQ(hint(true, {}), (DialectHint{Framing::kFramed, {}}));
  EXPECT_EQ(hint(false, {}), (DialectHint{Framing::kBuffered, {}}));
  EXPECT_EQ(hint({}, Protocol::kBinary), (DialectHint{{}, Protocol::kBinary}));
  EXPECT_EQ(hint(false, Protocol::kCompact), (DialectHint{Framing::kBuffered, Protocol::kCompact}));
}

TEST(Options, BoundsOfLargeMessages) {
  conf::Config process;
  conf::RouterConfig router;
  conf::ServerConfig server;
  process.max_buffered_bytes = 10'000'000'001;  // more than 32 bits hold
  router.stream_threshold_bytes = 5000;
  router.body_idle_timeout = milliseconds(6);
  server.max_connection_bytes = 7000;
  server.max_pending_bindings = 3;
  const server::Options of_server = ToServerOptions(process, router, server, 0, 2);
  EXPECT_EQ(of_server.stream_threshold, 5000u);
  EXPECT_EQ(of_server.body_idle_timeout, milliseconds(6));
  EXPECT_EQ(of_server.max_connection_bytes, 7000u) << "of one connection: not divided";
  EXPECT_EQ(of_server.max_pending_bindings, 3u) << "of one connection: not divided";
  EXPECT_EQ(of_server.max_buffered_bytes, 5'000'000'001u);
  EXPECT_EQ(ToServerOptions(process, router, server, 1, 2).max_buffered_bytes, 5'000'000'000u);
  process.max_buffered_bytes = 1 << 20;
  EXPECT_EQ(ToServerOptions(process, router, server, 15, 16).max_buffered_bytes, 1u << 20)
      << "a worker needs that much to read at all";
  EXPECT_EQ(ToBackendOptions(process, router, {}, 15, 16).max_buffered_bytes, 1u << 20);
  process.max_buffered_bytes = 10'000'000'001;
  const backend::Options of_backend = ToBackendOptions(process, router, {}, 1, 2);
  EXPECT_EQ(of_backend.stream_threshold, 5000u);
  EXPECT_EQ(of_backend.body_idle_timeout, milliseconds(6));
  EXPECT_EQ(of_backend.max_buffered_bytes, 5'000'000'000u);
}

TEST(Options, TheDialectOfABackend) {
  conf::ClientOptions client;
  backend::Options out = ToBackendOptions({}, {}, client, 0, 1);
  EXPECT_EQ(out.framing, thrift::Framing::kFramed);
  EXPECT_FALSE(out.ttwitter);
  EXPECT_FALSE(out.strip_service_name);
  client.thrift_framed = false;
  client.attempt_ttwitter_upgrade = true;
  client.strip_service_name = true;
  out = ToBackendOptions({}, {}, client, 0, 1);
  EXPECT_EQ(out.framing, thrift::Framing::kBuffered);
  EXPECT_TRUE(out.ttwitter);
  EXPECT_TRUE(out.strip_service_name);
}

TEST(Options, OfABackendsPool) {
  conf::ClientOptions client;
  client.host_connection_pool = {0, 10, milliseconds(500), 0, 16};
  backend::Options out = ToBackendOptions({}, {}, client, 3, 4);
  EXPECT_EQ(out.pool.min_size, 0u) << "none stays none";
  EXPECT_EQ(out.pool.max_size, 2u);
  EXPECT_EQ(out.pool.max_waiters, 0u);
  EXPECT_EQ(out.pool.idle_time, milliseconds(500));
  EXPECT_EQ(out.pool.max_in_flight, 16u) << "of one connection: not divided";
  client.host_connection_pool = {2, 1, milliseconds(500), 5};
  out = ToBackendOptions({}, {}, client, 1, 4);
  EXPECT_EQ(out.pool.max_size, 1u);
  EXPECT_EQ(out.pool.max_waiters, 1u);
  EXPECT_EQ(out.pool.max_in_flight, 1u) << "where nothing is said";
}

TEST(Options, OfABackend) {
  conf::RouterConfig router;
  conf::ClientOptions client;
  backend::Options out = ToBackendOptions({}, router, client, 0, 1);
  EXPECT_EQ(out.balance, backend::Options::Balance::kP2c);
  EXPECT_TRUE(out.accrual.enabled);
  EXPECT_EQ(out.accrual.failures, 5u);
  EXPECT_TRUE(out.accrual.backoff.jittered);
  EXPECT_EQ(out.accrual.connect_backoff.min, milliseconds(100));
  EXPECT_FALSE(out.attempt_timeout);
  EXPECT_EQ(out.connect_timeout, seconds(1));

  router.max_frame_bytes = 99;
  client.load_balancer = {conf::BalancerConfig::Kind::kRoundRobin, 7};
  client.failure_accrual.kind = conf::FailureAccrualConfig::Kind::kNone;
  client.failure_accrual.backoff = {conf::BackoffConfig::Kind::kConstant, seconds(2), seconds(2)};
  client.fail_fast = true;
  client.requeue_budget = {3, 0.5, seconds(4)};
  client.connect_timeout = milliseconds(11);
  client.request_attempt_timeout = milliseconds(12);
  client.client_session = {milliseconds(13), milliseconds(14)};
  client.verify_seqid = false;
  out = ToBackendOptions({}, router, client, 0, 1);
  EXPECT_EQ(out.balance, backend::Options::Balance::kRoundRobin);
  EXPECT_EQ(out.max_effort, 7u);
  EXPECT_FALSE(out.accrual.enabled);
  EXPECT_FALSE(out.accrual.backoff.jittered);
  EXPECT_EQ(out.accrual.backoff.min, seconds(2));
  EXPECT_EQ(out.accrual.connect_backoff.min, seconds(1));
  EXPECT_EQ(out.budget.min_retries_per_sec, 3u);
  EXPECT_EQ(ToBackendOptions({}, router, client, 0, 2).budget.min_retries_per_sec, 2u);
  EXPECT_EQ(ToBackendOptions({}, router, client, 1, 2).budget.min_retries_per_sec, 1u);
  EXPECT_EQ(out.budget.percent_can_retry, 0.5);
  EXPECT_EQ(out.budget.ttl, seconds(4));
  EXPECT_EQ(out.connect_timeout, milliseconds(11));
  EXPECT_EQ(out.attempt_timeout, milliseconds(12));
  EXPECT_EQ(out.session_idle_time, milliseconds(13));
  EXPECT_EQ(out.session_life_time, milliseconds(14));
  EXPECT_FALSE(out.verify_seqid);
  EXPECT_EQ(out.max_frame_bytes, 99u);
}

}  // namespace
}  // namespace trestle::router::testing
