// Workers share contexts, ticket keys and sessions.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/memory_transport.h"
#include "tests/tls/certs.h"
#include "tls/tls_transport.h"

namespace trestle::tls {
namespace {

TEST(ThreadsTest, WorkersShakeHandsAtTheSameTime) {
  base::FakeClock clock;
  ServerOptions server_options;
  server_options.certificates = {Certs::Pair("a"), Certs::Pair("b")};
  server_options.tickets = std::make_shared<TicketKeys>(&clock);
  server_options.require_client_auth = true;
  server_options.ca_cert_path = Certs::Pem("ca");
  ClientOptions client_options;
  client_options.common_name = "b.example";
  client_options.trust_certs = {Certs::Pem("ca")};
  client_options.client_auth = Certs::Pair("client_uri", false);
  const auto server_context = *ServerContext::Load(server_options);
  const auto client_context = *ClientContext::Load(client_options);
  ClientSessions sessions;
  std::atomic<int> resumed{0}, open{0};
  constexpr int kThreads = 4, kEach = 30;
  std::vector<std::thread> workers;
  for (int t = 0; t < kThreads; t++) {
    workers.emplace_back([&] {
      net::EventLoop loop(&clock);
      for (int i = 0; i < kEach; i++) {
        clock.Advance(std::chrono::minutes(10));
        auto [near, far] = tests::MemoryTransport::Pair(&loop);
        auto server = TlsTransport::Server(&loop, std::move(far), server_context);
        auto client = TlsTransport::Client(&loop, std::move(near), client_context, &sessions);
        tests::Settle(&loop);
        char some[10];
        client->Read(some, sizeof some);
        resumed += client->resumed();
        open += client->open() && server->peer().identity == "spiffe://example/client";
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  EXPECT_EQ(open, kThreads * kEach);
  EXPECT_GE(resumed, kThreads * (kEach - 1)) << "a session of one worker serves the others";
}

}  // namespace
}  // namespace trestle::tls
