// What an idle connection costs: OpenSSL's memory, counted where it is taken.
#include <gtest/gtest.h>
#include <malloc.h>
#include <openssl/crypto.h>

#include <atomic>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/tls/pair_fixture.h"

namespace trestle::tls {
namespace {

std::atomic<size_t> live{0};

void* Counted(void* p) {
  if (p) live += malloc_usable_size(p);
  return p;
}
void* Take(size_t n, const char*, int) { return Counted(std::malloc(n)); }
void Free(void* p, const char*, int) {
  if (p) live -= malloc_usable_size(p);
  std::free(p);
}
void* Resize(void* p, size_t n, const char*, int) {
  if (p) live -= malloc_usable_size(p);
  if (n == 0) {
    std::free(p);
    return nullptr;
  }
  return Counted(std::realloc(p, n));
}
// Before OpenSSL takes any.
const int counts = CRYPTO_set_mem_functions(&Take, &Resize, &Free);

class IdleMemoryTest : public PairTest {};

TEST_F(IdleMemoryTest, AnIdleConnectionIsSmall) {
  ASSERT_EQ(counts, 1);
  constexpr size_t kMany = 250, kBound = 24 * 1024;
  for (const char* version : {"TLSv1.2", "TLSv1.3"}) {
    for (const bool resumed : {false, true}) {
      Forget();
      client_options_.protocols = {version};
      OpenWell();  // what is made once is there
      if (resumed) End2();
      ClientSessions none(0);
      std::vector<std::unique_ptr<net::Connection>> servers, clients;
      const size_t before = live;
      for (size_t i = 0; i < kMany; i++) {
        auto [near, far] = MemoryTransport::Pair(&loop_);
        near->set_peer({*net::Address::Parse("10.0.0.1", 443), {}});
        auto server = TlsTransport::Server(&loop_, std::move(far), server_context_);
        auto client = TlsTransport::Client(&loop_, std::move(near), client_context_,
                                           resumed ? &sessions_ : &none);
        TlsTransport* tls = client.get();
        servers.push_back(
            std::make_unique<net::Connection>(&loop_, std::move(server), &server_.owner));
        clients.push_back(
            std::make_unique<net::Connection>(&loop_, std::move(client), &client_.owner));
        servers.back()->Start();
        clients.back()->Start();
        for (const size_t size : {100'000u, 10u}) {
          servers.back()->Write(base::Buffer::Copy(Pattern(size)));
          clients.back()->Write(base::Buffer::Copy(Pattern(size)));
          Settle(&loop_);
        }
        ASSERT_EQ(tls->resumed(), resumed);
        client_.owner.got = server_.owner.got = "";
      }
      const size_t both = live - before;
      for (auto& c : clients) c->Close(true);
      const size_t server = (live - before) / kMany + sizeof(TlsTransport);
      const size_t client = both / kMany - (live - before) / kMany + sizeof(TlsTransport);
      std::cout << version << (resumed ? " resumed" : "") << ": server " << server << ", client "
                << client << " bytes\n";
      EXPECT_LT(server, kBound) << version;
      EXPECT_LT(client, kBound) << version;
      client_.Drop();
      server_.Drop();
    }
  }
}

}  // namespace
}  // namespace trestle::tls
