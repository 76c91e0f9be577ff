#include "router/handshakes.h"

#include <fnmatch.h>
#include <glog/logging.h>

#include <utility>

namespace trestle::router {
namespace {

constexpr base::Duration kTellAgain = std::chrono::seconds(1);

}  // namespace

struct Handshakes::Running {
  std::unique_ptr<tls::Accepting> accepting;
};

Handshakes::Handshakes(net::EventLoop* loop, base::Scope* scope, Ready ready,
                       std::function<void()> failed)
    : loop_(loop),
      ready_(std::move(ready)),
      failed_(std::move(failed)),
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
  pending_->Add(1);
  if (running_.size() >= options_.most) return waiting_.push_back(std::move(transport));
  Start(std::move(transport));
}

void Handshakes::Start(std::unique_ptr<net::Transport> transport) {
  const auto at = running_.emplace(running_.end());
  at->accepting = std::make_unique<tls::Accepting>(
      loop_, std::move(transport), options_.context, options_.mode, options_.timeout,
      [this, at](base::Result<tls::Accepting::Accepted> result) { OnDone(at, std::move(result)); });
}

void Handshakes::OnDone(std::list<Running>::iterator at,
                        base::Result<tls::Accepting::Accepted> result) {
  loop_->DeleteLater(std::move(at->accepting));
  running_.erase(at);
  pending_->Add(-1);
  if (!result.ok()) {
    failures_->Add();
    Failed(result.status().message());
  } else if (const std::string why = Refusal(*result); !why.empty()) {
    refused_->Add();
    result->transport->Close(false);
    loop_->DeleteLater(std::move(result->transport));
    Failed(why);
  } else {
    (result->tls ? handshakes_ : clear_)->Add();
    ready_(std::move(result->transport), std::move(result->unread));
  }
  Next();
}

std::string Handshakes::Refusal(const tls::Accepting::Accepted& accepted) const {
  if (!options_.allow) return "";
  const net::Peer& peer = accepted.transport->peer();
  if (peer.identity.empty()) return peer.address.Show() + ": who has no identity is not allowed";
  for (const std::string& pattern : *options_.allow) {
    if (fnmatch(pattern.c_str(), peer.identity.c_str(), 0) == 0) return "";
  }
  return peer.address.Show() + ": " + peer.identity + " is not allowed";
}

void Handshakes::Failed(const std::string& why) {
  const base::TimePoint now = loop_->Now();
  if (now >= tell_at_) {
    LOG(WARNING) << why
                 << (untold_ > 0 ? " (and " + std::to_string(untold_) + " more before)" : "");
    tell_at_ = now + kTellAgain;
    untold_ = 0;
  } else {
    ++untold_;
  }
  failed_();
}

void Handshakes::Next() {
  while (running_.size() < options_.most && !waiting_.empty()) {
    auto transport = std::move(waiting_.front());
    waiting_.pop_front();
    Start(std::move(transport));
  }
}

void Handshakes::GiveUp() {
  const size_t all = running_.size() + waiting_.size();
  for (auto& one : std::exchange(running_, {})) loop_->DeleteLater(std::move(one.accepting));
  for (auto& transport : std::exchange(waiting_, {})) transport->Close(false);
  pending_->Add(-static_cast<int64_t>(all));
  for (size_t i = 0; i < all; i++) failed_();
}

}  // namespace trestle::router
