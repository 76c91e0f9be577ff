#include "router/handshakes.h"

#include <glog/logging.h>

#include <utility>

namespace trestle::router {
namespace {

constexpr base::Duration kTellAgain = std::chrono::seconds(1);

}  // namespace

Handshakes::Handshakes(net::EventLoop* loop, base::Scope* scope, Ready ready)
    : loop_(loop),
      ready_(std::move(ready)),
      handshakes_(scope->counter("handshakes")),
      failures_(scope->counter("failures")),
      refused_(scope->counter("refused")),
      clear_(scope->counter("clear_text")),
      pending_(scope->gauge("pending")) {}

Handshakes::~Handshakes() {
  pending_->Add(-static_cast<int64_t>(running_.size() + waiting_.size()));
}

void Handshakes::Set(Options options) { options_ = std::move(options); }

void Handshakes::Begin(std::unique_ptr<net::Transport> transport) {
  Add({std::move(transport), {}, options_.mode, ready_});
}

void Handshakes::Secure(std::unique_ptr<net::Transport> transport, base::Buffer unread,
                        Ready ready) {
  Add({std::move(transport), std::move(unread), tls::Accepting::Mode::kTls, std::move(ready)});
}

void Handshakes::Add(Fresh fresh) {
  pending_->Add(1);
  if (running_.size() >= options_.most) return waiting_.push_back(std::move(fresh));
  Start(std::move(fresh));
}

void Handshakes::Start(Fresh fresh) {
  const auto at = running_.emplace(running_.end());
  at->ready = std::move(fresh.ready);
  at->accepting = std::make_unique<tls::Accepting>(
      loop_, std::move(fresh.transport), options_.context, fresh.mode, options_.timeout,
      [this, at](base::Result<tls::Accepting::Accepted> result) { OnDone(at, std::move(result)); },
      std::move(fresh.unread));
}

void Handshakes::OnDone(std::list<Running>::iterator at,
                        base::Result<tls::Accepting::Accepted> result) {
  loop_->DeleteLater(std::move(at->accepting));
  const Ready ready = std::move(at->ready);
  running_.erase(at);
  pending_->Add(-1);
  if (!result.ok()) {
    failures_->Add();
    Tell(result.status().message());
    ready(nullptr, {});
  } else if (const std::string why = Refusal(*result); !why.empty()) {
    refused_->Add();
    Tell(why);
    result->transport->Close(false);
    loop_->DeleteLater(std::move(result->transport));
    ready(nullptr, {});
  } else {
    (result->tls ? handshakes_ : clear_)->Add();
    ready(std::move(result->transport), std::move(result->unread));
  }
  Next();
}

std::string Handshakes::Refusal(const tls::Accepting::Accepted& accepted) const {
  if (!options_.allow || (!accepted.tls && options_.may_agree_later)) return "";
  const net::Peer& peer = accepted.transport->peer();
  if (peer.identity.empty()) return peer.address.Show() + ": who has no identity is not allowed";
  return options_.allow->Have(peer.identity)
             ? ""
             : peer.address.Show() + ": " + peer.identity + " is not allowed";
}

void Handshakes::Tell(const std::string& why) {
  const base::TimePoint now = loop_->Now();
  if (now >= tell_at_) {
    LOG(WARNING) << why
                 << (untold_ > 0 ? " (and " + std::to_string(untold_) + " more before)" : "");
    tell_at_ = now + kTellAgain;
    untold_ = 0;
  } else {
    ++untold_;
  }
}

void Handshakes::Next() {
  while (running_.size() < options_.most && !waiting_.empty()) {
    Fresh fresh = std::move(waiting_.front());
    waiting_.pop_front();
    Start(std::move(fresh));
  }
}

void Handshakes::GiveUp() {
  std::vector<Ready> gone;
  for (Running& one : running_) {
    loop_->DeleteLater(std::move(one.accepting));
    gone.push_back(std::move(one.ready));
  }
  for (Fresh& one : waiting_) {
    one.transport->Close(false);
    gone.push_back(std::move(one.ready));
  }
  running_.clear();
  waiting_.clear();
  pending_->Add(-static_cast<int64_t>(gone.size()));
  for (const Ready& ready : gone) ready(nullptr, {});
}

}  // namespace trestle::router
