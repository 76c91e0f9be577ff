#include "server/server.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "server/greeting.h"
#include "server/mux_session.h"
#include "server/thrift_session.h"

namespace trestle::server {
namespace {

constexpr size_t kMaxFreeCalls = 1024;
// How often it is looked whether those held back can go on, how often whether anybody holds memory
// for nothing, and about how many bytes one may bring with its next read.
constexpr auto kLookAgain = std::chrono::milliseconds(10);
constexpr auto kLookAtAll = std::chrono::seconds(1);
constexpr auto kFavour = std::chrono::seconds(1);  // for which one is read though memory is short
constexpr size_t kReadBytes = 64 * 1024;
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
      broken_replies(s->counter("broken_replies")),
      connections(s->gauge("connections")),
      held_back(s->gauge("held_back")),
      request_bytes(s->histogram("request_payload_bytes")),
      response_bytes(s->histogram("response_payload_bytes")),
      connection_requests(s->histogram("connection_requests")) {}

MuxMetrics::MuxMetrics(base::Scope* s)
    : sessions(s->counter("sessions")),
      handshakes(s->counter("handshakes")),
      pings(s->counter("pings")),
      drains(s->counter("drains")),
      discards(s->counter("discards")),
      nacks(s->counter("nacks")),
      errors(s->counter("errors")),
      duplicate_tags(s->counter("duplicate_tags")),
      fragments_received(s->counter("fragments_received")),
      fragments_sent(s->counter("fragments_sent")),
      open(s->gauge("open")),
      tags(s->gauge("tags")) {}

Server::Server(net::EventLoop* loop, Options options, call::Handler* handler, base::Scope* scope)
    : loop_(loop),
      options_(std::move(options)),
      handler_(handler),
      metrics_(scope),
      look_again_(loop, [this] { OnLookAgain(); }) {}

Server::~Server() {
  CloseAll();
  for (Session* s : sessions_) delete s;
}

void Server::Accept(std::unique_ptr<net::Transport> transport, base::Buffer unread) {
  loop_->AssertInLoop();
  if (draining_) {
    transport->Close(false);
    if (on_closed) on_closed();
    return;
  }
  metrics_.connects->Add();
  metrics_.connections->Add(1);
  if (options_.port == Options::Port::kThriftMux) {
    return Insert(std::make_unique<Greeting>(this, std::move(transport)), std::move(unread));
  }
  Open(std::move(transport), std::move(unread), options_.port == Options::Port::kMux);
}

void Server::Open(std::unique_ptr<net::Transport> transport, base::Buffer unread, bool mux) {
  std::unique_ptr<Session> session;
  if (!mux && options_.mux_tls == mux::TlsLevel::kRequired && !transport->peer().secure) {
    CountBadBytes(transport->peer(), "Thrift in clear text, where TLS is required");
    transport->Close(false);
    loop_->DeleteLater(std::move(transport));
    return OnConnectionGone();
  }
  if (mux) {
    session = std::make_unique<MuxSession>(this, std::move(transport));
  } else {
    session = std::make_unique<ThriftSession>(this, std::move(transport));
  }
  Insert(std::move(session), std::move(unread));
}

void Server::Secure(std::unique_ptr<net::Transport> transport, base::Buffer unread,
                    uint32_t piece) {
  if (!secure || draining_) {
    transport->Close(false);
    loop_->DeleteLater(std::move(transport));
    return OnConnectionGone();
  }
  secure(std::move(transport), std::move(unread),
         [this, piece](std::unique_ptr<net::Transport> secured, base::Buffer rest) {
           if (secured && draining_) {
             secured->Close(false);
             loop_->DeleteLater(std::move(secured));
           }
           if (!secured) return OnConnectionGone();
           auto session = std::make_unique<MuxSession>(this, std::move(secured));
           session->GoOn(piece);
           Insert(std::move(session), std::move(rest));
         });
}

void Server::Insert(std::unique_ptr<Session> session, base::Buffer unread) {
  Session* s = session.release();  // Remove() ends it
  sessions_.insert(s);
  s->Start(std::move(unread));
}

void Server::Reconfigure(Options options) {
  options_ = std::move(options);
  auto all = sessions_;
  for (Session* s : all) s->OnReconfigured();
}

void Server::HoldBack(Session* session) {
  if (session->held_back_) return;
  session->held_back_ = true;
  session->held_at_ = held_back_.insert(held_back_.end(), session);
  metrics_.held_back->Add(1);
  LookAgain();
}

void Server::LookAgain() {
  if (!look_again_.armed()) look_again_.Arm(kLookAgain);
}

void Server::Free(Session* session) {
  if (!session->held_back_) return;
  session->held_back_ = false;
  held_back_.erase(session->held_at_);
  metrics_.held_back->Add(-1);
}

void Server::OnLookAgain() {
  const size_t bound = options_.max_buffered_bytes / 4 * 3;
  const size_t held = base::Block::BytesOnThread();
  // Only as many as may bring what there is room for: all at once would fill it in one turn.
  // While memory is short, one after the other brings its message to its end: that gives some back.
  const bool is_short = held > bound;
  const bool goes_on =
      favoured_ && favoured_->MidMessage() && loop_->Now() < favoured_at_ + kFavour;
  size_t most = is_short ? (goes_on ? 0 : 1) : (bound - held) / kReadBytes + 1;
  if (!is_short || !goes_on) favoured_ = nullptr;
  for (most = std::min(most, held_back_.size()); most > 0 && !held_back_.empty(); most--) {
    Session* session = held_back_.front();
    if (is_short) {
      favoured_ = session;
      favoured_at_ = loop_->Now();
    }
    Free(session);
    session->OnMemory();
  }
  // Clients that do not take their replies hear of nothing: they are looked at.
  if (tight() && loop_->Now() >= all_looked_at_ + kLookAtAll) {
    all_looked_at_ = loop_->Now();
    for (Session* s : sessions_) s->OnTight();
  }
  if (tight() || !held_back_.empty()) LookAgain();
}

void Server::Remove(Session* session) {
  if (Forget(session)) OnConnectionGone();
}

void Server::OnConnectionGone() {
  metrics_.closes->Add();
  metrics_.connections->Add(-1);
  if (on_closed) on_closed();
  if (draining_ && sessions_.empty() && drained_) std::exchange(drained_, nullptr)();
}

bool Server::Forget(Session* session) {
  if (sessions_.erase(session) == 0) return false;
  Free(session);
  if (session == favoured_) favoured_ = nullptr;
  loop_->DeleteLater(std::unique_ptr<Session>(session));
  return true;
}

void Server::Drain(std::function<void()> drained) {
  draining_ = true;
  drained_ = std::move(drained);
  auto all = sessions_;
  for (Session* s : all) s->Drain();
  if (sessions_.empty() && drained_) std::exchange(drained_, nullptr)();
}

void Server::CloseAll() {
  auto all = sessions_;
  for (Session* s : all) s->Abandon();
}

std::unique_ptr<call::Call> Server::TakeCall() {
  if (free_calls_.empty()) {
    least_free_ = 0;
    return std::make_unique<call::Call>();
  }
  auto call = std::move(free_calls_.back());
  free_calls_.pop_back();
  least_free_ = std::min(least_free_, free_calls_.size());
  return call;
}

void Server::Tidy() {
  free_calls_.resize(free_calls_.size() - least_free_ / 2);
  least_free_ = free_calls_.size();
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

void Server::CountDialect(const thrift::Dialect& dialect) {
  base::Counter*& cell =
      dialects_[static_cast<size_t>(dialect.framing)][static_cast<size_t>(dialect.protocol)];
  if (!cell) {
    std::string name = std::string("dialects/") + thrift::FramingName(dialect.framing);
    // The messages of a THeader connection may be of both.
    if (dialect.framing != thrift::Framing::kTHeader) {
      name += std::string("_") + thrift::ProtocolName(dialect.protocol);
    }
    cell = metrics_.scope->counter(name);
  }
  cell->Add();
}

MuxMetrics& Server::mux() {
  if (!mux_metrics_) mux_metrics_ = std::make_unique<MuxMetrics>(metrics_.scope->Child("mux"));
  return *mux_metrics_;
}

void Server::CountBadBytes(const net::Peer& peer, const std::string& why) {
  metrics_.malformed->Add();
  base::TimePoint now = loop_->Now();
  if (last_logged_ != base::TimePoint{} && now - last_logged_ < kLogEvery) {
    ++unlogged_;
    return;
  }
  LOG(WARNING) << metrics_.scope->flat() << ": closed the connection of " << peer.address.Show()
               << (peer.identity.empty() ? "" : " (" + peer.identity + ")") << ": " << why
               << (unlogged_ ? " (and " + std::to_string(unlogged_) + " more)" : "");
  last_logged_ = now;
  unlogged_ = 0;
}

}  // namespace trestle::server
