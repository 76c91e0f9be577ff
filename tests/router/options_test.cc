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
  server::Options out = ToServerOptions(router, server, 0, 2);
  EXPECT_EQ(out.dest, "");
  EXPECT_FALSE(out.max_concurrent);
  EXPECT_EQ(out.on_half_close, server::Options::OnHalfClose::kServe);
  EXPECT_EQ(out.max_frame_bytes, 16'384'000u);
  EXPECT_EQ(out.max_pipelined, 32u);

  router.thrift_protocol = thrift::Protocol::kCompact;
  router.max_frame_bytes = 4096;
  server.max_concurrent_requests = 5;
  server.max_pipelined = 3;
  server.clear_context = true;
  server.dest = naming::Path({"a", "b"});
  server.on_half_close = conf::OnHalfClose::kCancel;
  server.half_close_timeout = milliseconds(70);
  server.server_session = {milliseconds(8), milliseconds(9)};
  out = ToServerOptions(router, server, 0, 2);
  EXPECT_EQ(out.dialect.protocol, thrift::Protocol::kCompact);
  EXPECT_EQ(out.max_frame_bytes, 4096u);
  EXPECT_EQ(out.max_concurrent, 3u);
  EXPECT_EQ(ToServerOptions(router, server, 1, 2).max_concurrent, 2u);
  EXPECT_EQ(out.max_pipelined, 3u) << "of one connection, which one worker has: not divided";
  EXPECT_TRUE(out.clear_context);
  EXPECT_EQ(out.dest, "/a/b");
  EXPECT_EQ(out.on_half_close, server::Options::OnHalfClose::kCancel);
  EXPECT_EQ(out.half_close_timeout, milliseconds(70));
  EXPECT_EQ(out.idle_time, milliseconds(8));
  EXPECT_EQ(out.life_time, milliseconds(9));
}

TEST(Options, OfABackendsPool) {
  conf::ClientOptions client;
  client.host_connection_pool = {0, 10, milliseconds(500), 0};
  backend::Options out = ToBackendOptions({}, client, 3, 4);
  EXPECT_EQ(out.pool.min_size, 0u) << "none stays none";
  EXPECT_EQ(out.pool.max_size, 2u);
  EXPECT_EQ(out.pool.max_waiters, 0u);
  EXPECT_EQ(out.pool.idle_time, milliseconds(500));
  client.host_connection_pool = {2, 1, milliseconds(500), 5};
  out = ToBackendOptions({}, client, 1, 4);
  EXPECT_EQ(out.pool.max_size, 1u);
  EXPECT_EQ(out.pool.max_waiters, 1u);
}

TEST(Options, OfABackend) {
  conf::RouterConfig router;
  conf::ClientOptions client;
  backend::Options out = ToBackendOptions(router, client, 0, 1);
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
  out = ToBackendOptions(router, client, 0, 1);
  EXPECT_EQ(out.balance, backend::Options::Balance::kRoundRobin);
  EXPECT_EQ(out.max_effort, 7u);
  EXPECT_FALSE(out.accrual.enabled);
  EXPECT_FALSE(out.accrual.backoff.jittered);
  EXPECT_EQ(out.accrual.backoff.min, seconds(2));
  EXPECT_EQ(out.accrual.connect_backoff.min, seconds(1));
  EXPECT_EQ(out.budget.min_retries_per_sec, 3u);
  EXPECT_EQ(ToBackendOptions(router, client, 0, 2).budget.min_retries_per_sec, 2u);
  EXPECT_EQ(ToBackendOptions(router, client, 1, 2).budget.min_retries_per_sec, 1u);
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
