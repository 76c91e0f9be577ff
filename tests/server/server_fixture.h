// ServerTest: a Server in memory with a handler that keeps its calls, and clients at the far ends.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "server/server.h"
#include "tests/support/fake_handler.h"
#include "tests/support/memory_transport.h"
#include "tests/support/thrift_wire.h"

namespace trestle::server {

using tests::CallFrame;
using tests::ExceptionFrame;
using tests::Frame;
using tests::kVoidBody;
using tests::Message;
using tests::OnewayFrame;
using tests::Received;
using tests::ReplyFrame;
using tests::Settle;
using thrift::MessageType;
using thrift::Protocol;

class ServerTest : public testing::Test {
 protected:
  struct Client {
    std::unique_ptr<tests::MemoryTransport> end;
    tests::MemoryTransport* near = nullptr;  // the server's end; valid while it is connected
    std::string in;
  };

  void SetUp() override { blocks_ = base::Block::BytesOnThread(); }
  void TearDown() override {
    // Whatever a test did, each call ended and nothing of it is left.
    clients_.clear();
    if (server_) {
      server_->CloseAll();
      Settle(&loop_);
      EXPECT_EQ(server_->connections(), 0u);
      EXPECT_TRUE(handler_.open.empty()) << "a call was forgotten";
      EXPECT_EQ(Gauge("pending"), 0);
      EXPECT_EQ(Gauge("connections"), 0);
      EXPECT_EQ(Count("connects"), Count("closes"));
    }
    server_.reset();
    Settle(&loop_);
    loop_.arena()->Trim();
    EXPECT_LE(base::Block::BytesOnThread(), blocks_) << "bytes leaked";
  }

  Server& server() {
    if (!server_) server_ = std::make_unique<Server>(&loop_, options_, &handler_, table_.root());
    return *server_;
  }
  Client& Connect(size_t capacity = 1 << 20) {
    auto [near, far] = tests::MemoryTransport::Pair(&loop_, capacity);
    auto client = std::make_unique<Client>();
    client->near = near.get();
    client->end = std::move(far);
    server().Accept(std::move(near));
    Settle(&loop_);
    clients_.push_back(std::move(client));
    return *clients_.back();
  }
  void Send(Client& client, std::string_view bytes) {
    client.end->Send(bytes);
    Settle(&loop_);
  }
  // As much of `bytes` as the server takes from the client; gives how much that is.
  size_t SendAll(Client& client, std::string_view bytes) {
    size_t at = 0;
    while (at < bytes.size()) {
      struct iovec rest {
        const_cast<char*>(bytes.data()) + at, bytes.size() - at
      };
      net::IoResult r = client.end->Write(&rest, 1);
      Settle(&loop_);
      if (r.kind != net::IoResult::Kind::kBytes) break;
      at += r.bytes;
    }
    return at;
  }
  void End(Client& client) {
    client.end->ShutdownWrite();
    Settle(&loop_);
  }
  void Reset(Client& client) {
    client.end->Close(true);
    Settle(&loop_);
  }
  // The bytes that came, read as a client reads them.
  std::string Take(Client& client) {
    std::string all;
    for (;;) {
      Settle(&loop_);
      char some[4096];
      net::IoResult r = client.end->Read(some, sizeof some);
      if (r.kind != net::IoResult::Kind::kBytes) return all;
      all.append(some, r.bytes);
    }
  }
  std::vector<Received> Replies(Client& client, size_t headers = 0) {
    client.in += Take(client);
    return tests::TakeMessages(&client.in, *options_.dialect.protocol, headers);
  }
  // "a/1 b/2": names and seqids of what came.
  std::string Shown(const std::vector<Received>& all) {
    std::string out;
    for (const Received& r : all) {
      out += (out.empty() ? "" : " ") + r.name + "/" + std::to_string(r.seqid);
      if (r.type == MessageType::kException) out += "!";
    }
    return out;
  }
  void Advance(base::Duration by) {
    clock_.Advance(by);
    Settle(&loop_);
  }
  bool Ended(const Client& client) { return client.end->peer_ended(); }
  uint64_t Count(std::string_view name) { return table_.root()->counter(name)->value(); }
  int64_t Gauge(std::string_view name) { return table_.root()->gauge(name)->value(); }

  size_t blocks_ = 0;
  base::FakeClock clock_;
  net::EventLoop loop_{&clock_};
  base::MetricsTable table_;
  tests::FakeHandler handler_;
  Options options_;
  std::unique_ptr<Server> server_;
  std::vector<std::unique_ptr<Client>> clients_;
};

}  // namespace trestle::server
