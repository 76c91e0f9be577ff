// PairTest: a TLS server and client of ours, each a Connection or a bare transport, with a pipe in
// memory between them.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/connection.h"
#include "tests/net/recording_owner.h"
#include "tests/support/memory_transport.h"
#include "tests/tls/certs.h"
#include "tls/tls_transport.h"

namespace trestle::tls {

using net::RecordingOwner;
using tests::MemoryTransport;
using tests::Settle;
using Kind = net::IoResult::Kind;

class PairTest : public testing::Test {
 protected:
  // One end: the connection, and what it stands on.
  struct End {
    RecordingOwner owner;
    MemoryTransport* inner = nullptr;
    TlsTransport* tls = nullptr;
    std::unique_ptr<net::Connection> connection;

    void Write(std::string_view bytes) { connection->Write(base::Buffer::Copy(bytes)); }
    void Drop() {
      connection.reset();
      tls = nullptr;
    }
  };

  PairTest() {
    server_options_.certificates = {Certs::Pair("a")};
    server_options_.tickets = tickets_;
    client_options_.common_name = "a.example";
    client_options_.trust_certs = {Certs::Pem("ca")};
  }
  ~PairTest() override {
    client_.Drop();
    server_.Drop();
  }

  static std::shared_ptr<const ServerContext> Load(const ServerOptions& options) {
    auto context = ServerContext::Load(options);
    EXPECT_TRUE(context.ok()) << context.status().message();
    return context.ok() ? *context : nullptr;
  }
  static std::shared_ptr<const ClientContext> Load(const ClientOptions& options) {
    auto context = ClientContext::Load(options);
    EXPECT_TRUE(context.ok()) << context.status().message();
    return context.ok() ? *context : nullptr;
  }

  // Makes the ends by the options; those of before go. The handshake waits for Settle().
  void Begin(size_t capacity = 1 << 20) {
    if (!server_context_) server_context_ = Load(server_options_);
    if (!client_context_) client_context_ = Load(client_options_);
    auto [near, far] = MemoryTransport::Pair(&loop_, capacity);
    near->set_peer({*net::Address::Parse("10.0.0.1", 443), {}});
    far->set_peer({*net::Address::Parse("10.0.0.2", 40000), {}});
    client_.inner = near.get();
    server_.inner = far.get();
    auto server = TlsTransport::Server(&loop_, std::move(far), server_context_);
    auto client = TlsTransport::Client(&loop_, std::move(near), client_context_, &sessions_);
    server_.tls = server.get();
    client_.tls = client.get();
    Own(&server_, std::move(server));
    Own(&client_, std::move(client));
  }
  void Own(End* end, std::unique_ptr<net::Transport> transport) {
    end->owner = RecordingOwner();
    end->connection = std::make_unique<net::Connection>(&loop_, std::move(transport), &end->owner);
    end->connection->Start();
  }
  // Begins and shakes hands.
  void Open(size_t capacity = 1 << 20) {
    Begin(capacity);
    Settle(&loop_);
  }
  void OpenWell(size_t capacity = 1 << 20) {
    Open(capacity);
    ASSERT_TRUE(server_.tls->open()) << server_.tls->why();
    ASSERT_TRUE(client_.tls->open()) << client_.tls->why();
  }
  // Both ends go, in good order.
  void End2() {
    client_.Drop();
    server_.Drop();
    Settle(&loop_);
  }
  void Forget() {
    server_context_ = nullptr;
    client_context_ = nullptr;
  }

  static std::string Pattern(size_t size) {
    std::string out(size, '\0');
    for (size_t i = 0; i < size; i++) out[i] = static_cast<char>(i * 31 >> 5);
    return out;
  }

  base::FakeClock clock_;
  net::EventLoop loop_{&clock_};
  std::shared_ptr<TicketKeys> tickets_ = std::make_shared<TicketKeys>(&clock_);
  ServerOptions server_options_;
  ClientOptions client_options_;
  ClientSessions sessions_;
  std::shared_ptr<const ServerContext> server_context_;
  std::shared_ptr<const ClientContext> client_context_;
  End server_, client_;
};

}  // namespace trestle::tls
