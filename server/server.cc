#include "server/server.h"

#include <glog/logging.h>

#include <utility>

#include "server/thrift_session.h"

namespace trestle::server {
namespace {

constexpr size_t kMaxFreeCalls = 1024;
constexpr auto kLogEvery = std::chrono::seconds(10);

}  // namespace

ServerMetrics::ServerMetrics(base::Scope* s)
    : scope(s),
      calls(s),
      router_errors(s->counter("replies/router_error")),
      refused(s->counter("refused")),
      upgrades(s->counter("upgrades")),
      connects(s->counter("connects")),
      closes(s->counter("closes")),
      malformed(s->counter("malformed")),
      received_bytes(s->counter("received_bytes")),
      sent_bytes(s->counter("sent_bytes")),
      connections(s->gauge("connections")),
      request_bytes(s->histogram("request_payload_bytes")),
      response_bytes(s->histogram("response_payload_bytes")),
      connection_requests(s->histogram("connection_requests")) {}

Server::Server(net::EventLoop* loop, Options options, call::Handler* handler, base::Scope* scope)
    : loop_(loop), options_(std::move(options)), handler_(handler), metrics_(scope) {}

Server::~Server() {
  CloseAll();
  for (ThriftSession* s : sessions_) delete s;
}

void Server::Accept(std::unique_ptr<net::Transport> transport) {
  loop_->AssertInLoop();
  if (draining_) {
    transport->Close(false);
    if (on_closed) on_closed();
    return;
  }
  auto* session = new ThriftSession(this, std::move(transport));  // Remove() ends it
  sessions_.insert(session);
  metrics_.connects->Add();
  metrics_.connections->Add(1);
  session->Start();
}

void Server::Reconfigure(Options options) { options_ = std::move(options); }

void Server::Remove(ThriftSession* session) {
  if (sessions_.erase(session) == 0) return;
  metrics_.closes->Add();
  metrics_.connections->Add(-1);
  if (on_closed) on_closed();
  loop_->DeleteLater(std::unique_ptr<ThriftSession>(session));
  if (draining_ && sessions_.empty() && drained_) std::exchange(drained_, nullptr)();
}

void Server::Drain(std::function<void()> drained) {
  draining_ = true;
  drained_ = std::move(drained);
  auto all = sessions_;
  for (ThriftSession* s : all) s->Drain();
  if (sessions_.empty() && drained_) std::exchange(drained_, nullptr)();
}

void Server::CloseAll() {
  auto all = sessions_;
  for (ThriftSession* s : all) s->Abandon();
}

std::unique_ptr<call::Call> Server::TakeCall() {
  if (free_calls_.empty()) return std::make_unique<call::Call>();
  auto call = std::move(free_calls_.back());
  free_calls_.pop_back();
  return call;
}

void Server::GiveBack(std::unique_ptr<call::Call> call) {
  --calls_;
  metrics_.calls.pending->Add(-1);
  if (free_calls_.size() >= kMaxFreeCalls) return;
  call->Reset();
  free_calls_.push_back(std::move(call));
}

bool Server::Admit() {
  ++calls_;
  metrics_.calls.pending->Add(1);
  return !options_.max_concurrent || calls_ <= *options_.max_concurrent;
}

void Server::CountBadBytes(const net::Peer& peer, const std::string& why) {
  metrics_.malformed->Add();
  base::TimePoint now = loop_->Now();
  if (last_logged_ != base::TimePoint{} && now - last_logged_ < kLogEvery) {
    ++unlogged_;
    return;
  }
  LOG(WARNING) << metrics_.scope->flat() << ": closed the connection of " << peer.address.Show()
               << ": " << why
               << (unlogged_ ? " (and " + std::to_string(unlogged_) + " more like it)" : "");
  last_logged_ = now;
  unlogged_ = 0;
}

}  // namespace trestle::server
