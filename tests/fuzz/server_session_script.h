// A script of steps for a server session: a client that does anything, and a backend that does
// anything a backend may: bytes in pieces of any size, ends, resets, time that passes, replies in
// any order, large messages in either direction, memory that is short. Every call ends exactly
// once, and nothing is left behind.
//
// Lifetime, threading: one run. Errors: abort.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "mux/message.h"
#include "server/server.h"
#include "tests/support/memory_transport.h"
#include "tests/support/thrift_wire.h"
#include "thrift/theader.h"
#include "thrift/ttwitter.h"

namespace trestle {

inline void Require(bool holds, int line = __builtin_LINE()) {
  if (holds) return;
  std::fprintf(stderr, "what line %d requires does not hold\n", line);
  std::abort();
}

// The input: two bytes of options, then steps: a byte that says what, and what it needs.
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

// Whoever has the calls: a backend that takes and gives bodies as the script says.
class Backend final : public call::Handler,
                      private call::Holder,
                      private call::BodySink,
                      private call::BodySource {
 public:
  explicit Backend(bool binds) : binds_(binds) {}
  bool empty() const { return open_.empty(); }
  size_t handled() const { return handled_; }

  void Handle(call::Call* call) override {
    handled_++;
    Require(call->request.size() >= 4);
    Require(thrift::ReadU32(call->request.Front(4)) + 4 ==
            call->request.size() + call->request_body.rest);
    Require(call->streamed == !call->request_body.whole());
    call->holder = this;
    if (binds_) call->step = call::Step::kBind;
    open_.push_back({call});
  }

  // Does one thing to one of the open calls.
  void Do(uint8_t what, uint8_t which, uint8_t much) {
    if (open_.empty()) return;
    Open& o = open_[which % open_.size()];
    call::Call* call = o.call;
    switch (what) {
      case 0xf4:
        if (call->oneway()) return Take(call)->OnewayDone();
        if (call->reply_begun()) return Give(call, ~size_t{0});
        return Take(call)->Reply(base::Buffer::Copy(Reply(*call, much)),
                                 thrift::ReplyKind::kResult);
      case 0xf5:
        return Take(call)->Fail(call::Step::kConnect,
                                base::Status(base::Code::kUnavailable, "no way"));
      case 0xf6:
        if (!call->request_body.source) return;
        room_ = much & 1;
        call->request_body.sink = much & 2 ? nullptr : this;
        if (much & 4) call->request_body.source->OnBodyRoom(call);
        return;
      case 0xf7:
        return Begin(&o, much);
      case 0xf8:
        return Give(call, much);
      case 0xf9:
        call->sink->OnBound(call);
        call->step = call::Step::kBalance;
        return;
      case 0xfd:
        call->reply_form = static_cast<call::HeaderForm>(much % 4);
        call->reply_header_bytes = base::Buffer::Copy(Beside(*call, much & 4));
        return;
      default:
        return call->TimeOut(base::Status(base::Code::kTimeout, "late"));
    }
  }

 private:
  struct Open {
    call::Call* call;
    std::string left{};
    bool room = false;
    bool eager = false;
  };
  static std::string Reply(const call::Call& call, size_t body) {
    return tests::ReplyFrame(call.method, call.envelope.seqid, std::string(body, 'r'),
                             call.protocol);
  }
  // What came beside a reply, in its form; or what is none.
  static std::string Beside(const call::Call& call, bool good) {
    if (!good) return "\x0f\xff";
    const std::string packed = base::ShowApplicationHeaders({{"seen", "yes"}});
    const base::Contexts contexts = {{base::kResponseHeadersKey, packed}};
    std::string out;
    switch (call.reply_form) {
      case call::HeaderForm::kNone:
        break;
      case call::HeaderForm::kTTwitter:
        thrift::EncodeResponseHeader(call.protocol, contexts, &out);
        break;
      case call::HeaderForm::kTHeader:
        thrift::EncodeTHeader({1, 2, call.protocol, 0, {{"seen", "yes"}}}, &out);
        break;
      case call::HeaderForm::kMux: {
        mux::DispatchReply reply;
        reply.contexts = contexts;
        mux::EncodeDispatchReply(reply, &out);
      }
    }
    return out;
  }
  std::vector<Open>::iterator Find(call::Call* call) {
    return std::find_if(open_.begin(), open_.end(), [&](Open& o) { return o.call == call; });
  }
  call::Call* Take(call::Call* call) {
    open_.erase(Find(call));
    call->holder = nullptr;
    return call;
  }
  void Begin(Open* o, uint8_t much) {
    call::Call* call = o->call;
    if (call->oneway() || call->reply_begun()) return;
    std::string reply = Reply(*call, size_t{much} * 100 + 1);
    const size_t head = reply.size() - size_t{much} * 100;
    o->eager = much & 1;
    o->left = reply.substr(head);
    call->BeginReply(base::Buffer::Copy(reply.substr(0, head)), thrift::ReplyKind::kResult,
                     o->left.size(), this);
  }
  void Give(call::Call* call, size_t most) {
    for (auto o = Find(call); o != open_.end() && o->room && most > 0; o = Find(call)) {
      const std::string bytes = o->left.substr(0, std::min<size_t>(most, 1000));
      if (bytes.empty()) break;
      o->left.erase(0, bytes.size());
      most -= bytes.size();
      call->reply_body.rest = o->left.size();
      const bool room = call->reply_body.sink->OnBody(call, base::Buffer::Copy(bytes));
      o = Find(call);
      if (o != open_.end()) o->room = room;
    }
    auto o = Find(call);
    if (o != open_.end() && call->reply_begun() && o->left.empty()) Take(call)->EndReply();
  }
  void OnBodyRoom(call::Call* call) override {
    auto o = Find(call);
    Require(o != open_.end() && call->reply_body.sink);
    o->room = true;
    if (o->eager) Give(call, ~size_t{0});
  }
  bool OnBody(call::Call* call, base::Buffer bytes) override {
    Require(Find(call) != open_.end());
    Require(call->request_body.sink == this && !bytes.empty());
    return room_;
  }
  void OnCancel(call::Call* call) override { open_.erase(Find(call)); }

  const bool binds_;
  bool room_ = true;
  size_t handled_ = 0;
  std::vector<Open> open_;
};

using MakeOptions = server::Options (*)(uint8_t bits, uint8_t more);

// One step after the bytes of a kind; false when the client is gone.
inline bool Step(Script* script, uint8_t what, MakeOptions options, Backend* backend,
                 server::Server* server, tests::MemoryTransport* client, base::FakeClock* clock) {
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
    case 0xfb: {
      const uint8_t bits = script->Byte();
      server->Reconfigure(options(bits, script->Byte()));
      return true;
    }
    case 0xfc:
      server->Drain([] {});
      return true;
    default:
      break;
  }
  if (what >= 0xf4) {
    const uint8_t which = script->Byte();
    backend->Do(what, which, what == 0xf5 ? uint8_t{0} : script->Byte());
  } else {
    client->Send(script->Bytes(what));
  }
  return true;
}

inline int RunServerScript(const uint8_t* data, size_t size, MakeOptions options) {
  const size_t before = base::Block::BytesOnThread();
  {
    Script script(data, size);
    base::FakeClock clock;
    net::EventLoop loop(&clock);
    base::MetricsTable table;
    const uint8_t bits = script.Byte();
    const uint8_t more = script.Byte();
    Backend backend(more & 128);
    server::Server server(&loop, options(bits, more), &backend, table.root());
    auto [near, client] = tests::MemoryTransport::Pair(&loop, 1 << 12);
    server.Accept(std::move(near));
    while (!script.done()) {
      if (!Step(&script, script.Byte(), options, &backend, &server, client.get(), &clock)) break;
      for (int i = 0; i < 3; i++) loop.Poll();
    }
    // As TCP does: who closes with bytes unread resets.
    client->Close(!client->TakeAll().empty());
    // Whoever is gone costs no more than the time for its last replies.
    for (int i = 0; i < 5; i++) {
      clock.Advance(std::chrono::seconds(60));
      tests::Settle(&loop);
    }
    Require(server.connections() == 0);
    Require(backend.empty());
    const auto ended = table.root()->counter("requests")->value();
    const auto refused = table.root()->counter("refused")->value();
    Require(ended == backend.handled() + refused);
    Require(table.root()->gauge("pending")->value() == 0);
    Require(table.root()->gauge("connections")->value() == 0);
    Require(table.root()->gauge("held_back")->value() == 0);
  }
  Require(base::Block::BytesOnThread() == before);
  return 0;
}

}  // namespace trestle
