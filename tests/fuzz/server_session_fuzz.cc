// A client that does anything: bytes in pieces of any size, ends, resets, time that passes, replies
// in any order. Every call ends exactly once, and nothing is left behind.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/metrics.h"
#include "server/server.h"
#include "tests/support/fake_handler.h"
#include "tests/support/memory_transport.h"

namespace trestle {
namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

// The input: a byte of options, then steps: a byte that says what, and what it needs.
class Script {
 public:
  Script(const uint8_t* data, size_t size) : at_(data), end_(data + size) {}
  bool done() const { return at_ == end_; }
  uint8_t Byte() { return done() ? uint8_t{0} : *at_++; }
  std::string_view Bytes(size_t n) {
    n = std::min(n, static_cast<size_t>(end_ - at_));
    std::string_view out(reinterpret_cast<const char*>(at_), n);
    at_ += n;
    return out;
  }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
};

server::Options OptionsFrom(uint8_t bits) {
  server::Options options;
  options.dialect.protocol = bits & 1 ? thrift::Protocol::kCompact : thrift::Protocol::kBinary;
  options.max_pipelined = bits & 2 ? 1 : 3;
  options.clear_context = bits & 4;
  if (bits & 8) options.on_half_close = server::Options::OnHalfClose::kCancel;
  if (bits & 16) options.max_concurrent = 2;
  if (bits & 32) options.idle_time = std::chrono::seconds(3);
  if (bits & 64) options.life_time = std::chrono::seconds(5);
  options.max_connection_bytes = bits & 128 ? 64 : 1 << 20;
  options.max_frame_bytes = 1 << 16;
  return options;
}

// One step after the bytes of a kind; false when the client is gone.
bool Step(Script* script, uint8_t what, tests::FakeHandler* handler, tests::MemoryTransport* client,
          base::FakeClock* clock) {
  switch (what) {
    case 0xf0:
      client->ShutdownWrite();
      return true;
    case 0xf1:
      client->Close(true);
      return false;
    case 0xf2:
      clock->Advance(std::chrono::seconds(1));
      return true;
    case 0xf3:
      client->TakeAll();
      return true;
    case 0xf4:
    case 0xf5: {
      if (handler->open.empty()) return true;
      call::Call* call = handler->Take(script->Byte() % handler->open.size());
      if (call->oneway()) {
        call->OnewayDone();
      } else if (what == 0xf4) {
        handler->Reply(call);
      } else {
        handler->Fail(call);
      }
      return true;
    }
    default:
      client->Send(script->Bytes(what));
      return true;
  }
}

}  // namespace
}  // namespace trestle

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trestle;
  const size_t before = base::Block::BytesOnThread();
  {
    Script script(data, size);
    base::FakeClock clock;
    net::EventLoop loop(&clock);
    base::MetricsTable table;
    tests::FakeHandler handler;
    server::Server server(&loop, OptionsFrom(script.Byte()), &handler, table.root());
    auto [near, client] = tests::MemoryTransport::Pair(&loop, 1 << 12);
    server.Accept(std::move(near));
    while (!script.done()) {
      if (!Step(&script, script.Byte(), &handler, client.get(), &clock)) break;
      for (int i = 0; i < 3; i++) loop.Poll();
    }
    client->Close(false);
    // Whoever is gone costs no more than the time for its last replies.
    clock.Advance(std::chrono::seconds(60));
    tests::Settle(&loop);
    clock.Advance(std::chrono::seconds(60));
    tests::Settle(&loop);
    Require(server.connections() == 0);
    Require(handler.open.empty());
    const auto ended = table.root()->counter("requests")->value();
    const auto refused = table.root()->counter("refused")->value();
    Require(ended == static_cast<uint64_t>(handler.handled) + refused);
    Require(table.root()->gauge("pending")->value() == 0);
    Require(table.root()->gauge("connections")->value() == 0);
  }
  Require(base::Block::BytesOnThread() == before);
  return 0;
}
