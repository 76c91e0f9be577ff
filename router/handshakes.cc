#include "router/handshakes.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "call/one_line.h"

namespace trestle::router {
namespace {

constexpr base::Duration kTellAgain = std::chrono::seconds(1);
constexpr base::Duration kLeast = std::chrono::milliseconds(1);
constexpr size_t kMostText = 1000;  // of what a peer may have a part in
constexpr uint32_t kReadRoom = 16 * 1024;
constexpr char kHandshakeRecord = 0x16, kMajorVersion = 0x03;

std::string With(const net::Address& peer) { return "the TLS handshake with " + peer.Show() + " "; }

}  // namespace

class Handshakes::Comer final : private net::Transport::Events {
 public:
  // `looks`: whether it is TLS is to be told from its first bytes.
  Comer(Handshakes* owner, std::unique_ptr<net::Transport> from, base::Buffer bytes, bool looks,
        Ready to)
      : transport(std::move(from)),
        unread(std::move(bytes)),
        looking(looks),
        ready(std::move(to)),
        until(owner->loop_->Now() + owner->options_.timeout),
        owner_(owner),
        timer_(owner->loop_, [this] { owner_->OnComerTime(this); }) {
    timer_.ArmAt(until);
    transport->Attach(this);
    transport->WatchRead(net::Transport::Watch::kRead);
  }
  ~Comer() override {
    if (transport) transport->Close(false);
  }

  // For whoever goes on with it; nothing is told any more.
  std::unique_ptr<net::Transport> Take() {
    timer_.Cancel();
    transport->WatchRead(net::Transport::Watch::kOff);
    return std::move(transport);
  }

  std::unique_ptr<net::Transport> transport;
  base::Buffer unread;
  bool looking;
  const Ready ready;
  const base::TimePoint until;
  bool silent = true;
  Comers::iterator at;

 private:
  // Bytes, or its end: whoever shakes hands reads either.
  void OnReadable() override {
    if (looking && !Look()) return;
    transport->WatchRead(net::Transport::Watch::kOff);
    looking ? owner_->OnClear(this) : owner_->OnFirstBytes(this);
  }
  // False while it cannot be told; if not `looking` any more, it is TLS.
  bool Look() {
    base::Arena* arena = owner_->loop_->arena();
    uint32_t room = 0;
    char* to = arena->Room(kReadRoom, &room);
    const net::IoResult r = transport->Read(to, room);
    if (r.kind == net::IoResult::Kind::kAgain) return false;
    if (r.kind != net::IoResult::Kind::kBytes) return true;  // its reader will see that again
    unread.Append(arena->Commit(static_cast<uint32_t>(r.bytes)));
    char first[2];
    const size_t n = unread.CopyOut(0, first, sizeof first);
    if (first[0] != kHandshakeRecord || (n > 1 && first[1] != kMajorVersion)) return true;
    unread.Compact();
    looking = n < 2;
    return !looking;
  }
  void OnWritable() override {}
  void OnHangup() override {}
  void OnEndAhead() override {}

  Handshakes* owner_;
  net::Timer timer_;
};

struct Handshakes::Running {
  net::Transport* transport;  // what TLS is spoken over
  net::Address peer;
  base::TimePoint since;
  Ready ready;
  std::unique_ptr<tls::Accepting> accepting;
};

Handshakes::Handshakes(net::EventLoop* loop, base::Scope* scope, Ready ready)
    : loop_(loop),
      ready_(std::move(ready)),
      crowd_(loop, [this] { MakeRoom(); }),
      handshakes_(scope->counter("handshakes")),
      failures_(scope->counter("failures")),
      refused_(scope->counter("refused")),
      clear_(scope->counter("clear_text")),
      gone_(scope->counter("gone")),
      pending_(scope->gauge("pending")) {}

Handshakes::~Handshakes() { pending_->Add(-static_cast<int64_t>(all())); }

void Handshakes::Set(Options options) {
  options_ = std::move(options);
  Next();
}

void Handshakes::Begin(std::unique_ptr<net::Transport> transport) {
  Add(std::make_unique<Comer>(this, std::move(transport), base::Buffer(), options_.optional,
                              ready_));
}

void Handshakes::Secure(std::unique_ptr<net::Transport> transport, base::Buffer unread,
                        Ready ready) {
  Add(std::make_unique<Comer>(this, std::move(transport), std::move(unread), false,
                              std::move(ready)));
}

void Handshakes::Add(std::unique_ptr<Comer> comer) {
  pending_->Add(1);
  silent_.push_back(std::move(comer));
  Comer* added = silent_.back().get();
  added->at = std::prev(silent_.end());
  if (!added->unread.empty()) OnFirstBytes(added);
}

void Handshakes::OnFirstBytes(Comer* comer) {
  comer->silent = false;
  waiting_.splice(waiting_.end(), silent_, comer->at);
  Next();
  if (!waiting_.empty() && !crowd_.armed()) MakeRoom();
}

// It needs no place.
void Handshakes::OnClear(Comer* comer) {
  std::unique_ptr<Comer> one = std::move(*comer->at);
  silent_.erase(one->at);
  pending_->Add(-1);
  OnAccepted(one->Take(), std::move(one->unread), one->ready);
  loop_->DeleteLater(std::move(one));
}

void Handshakes::OnComerTime(Comer* comer) {
  if (comer->looking) return OnClear(comer);  // it may rest in a client's pool
  Comers& its = comer->silent ? silent_ : waiting_;
  std::unique_ptr<Comer> gone = std::move(*comer->at);
  its.erase(gone->at);
  pending_->Add(-1);
  gone->transport->Close(false);
  Failed(With(gone->transport->peer().address) +
             (gone->silent ? "did not begin within " : "had no turn (maxHandshakes) within ") +
             base::ShowMillis(options_.timeout),
         gone->ready);
  loop_->DeleteLater(std::move(gone));
}

// Perhaps from within an event of the comer's.
void Handshakes::Start(std::unique_ptr<Comer> comer) {
  std::unique_ptr<net::Transport> transport = comer->Take();
  const base::TimePoint now = loop_->Now();
  const base::Duration left = std::max<base::Duration>(comer->until - now, kLeast);
  const auto at = running_.insert(
      running_.end(), {transport.get(), transport->peer().address, now, comer->ready, nullptr});
  at->accepting = std::make_unique<tls::Accepting>(
      loop_, std::move(transport), options_.context, left,
      [this, at](auto result) { OnDone(at, std::move(result)); }, std::move(comer->unread));
  loop_->DeleteLater(std::move(comer));
}

void Handshakes::Next() {
  while (running_.size() < options_.most && !waiting_.empty()) {
    std::unique_ptr<Comer> comer = std::move(waiting_.back());
    waiting_.pop_back();
    Start(std::move(comer));
  }
}

void Handshakes::MakeRoom() {
  const base::TimePoint now = loop_->Now();
  size_t wanted = waiting_.size();
  for (auto at = running_.begin(); at != running_.end() && wanted > 0;) {
    if (now - at->since < patience()) break;
    const auto one = at++;
    if (one->transport->Readable()) continue;  // it goes on in this turn
    --wanted;
    const std::string why = With(one->peer) + "took longer than " + base::ShowMillis(patience()) +
                            " while others wait (maxHandshakes)";
    const Ready ready = std::move(one->ready);
    running_.erase(one);
    pending_->Add(-1);
    Failed(why, ready);
  }
  Next();
  if (!waiting_.empty()) crowd_.Arm(std::max(patience() / 4, kLeast));
}

void Handshakes::OnDone(std::list<Running>::iterator at,
                        base::Result<std::unique_ptr<net::Transport>> result) {
  loop_->DeleteLater(std::move(at->accepting));
  const net::Address peer = at->peer;
  const Ready ready = std::move(at->ready);
  running_.erase(at);
  pending_->Add(-1);
  if (result.ok()) {
    OnAccepted(std::move(*result), {}, ready);
  } else if (result.status().code() == base::Code::kCancelled) {
    gone_->Add();  // nothing to tell anybody
    ready(nullptr, {});
  } else if (result.status().code() == base::Code::kTimeout) {
    Failed(With(peer) + "took longer than " + base::ShowMillis(options_.timeout), ready);
  } else {
    Failed(result.status().message(), ready);
  }
  Next();
}

void Handshakes::OnAccepted(std::unique_ptr<net::Transport> transport, base::Buffer unread,
                            const Ready& ready) {
  const net::Peer& peer = transport->peer();
  if (const std::string why = Refusal(peer); !why.empty()) {
    refused_->Add();
    transport->Close(false);
    loop_->DeleteLater(std::move(transport));
    Tell(why);
    return ready(nullptr, {});
  }
  (peer.secure ? handshakes_ : clear_)->Add();
  ready(std::move(transport), std::move(unread));
}

void Handshakes::Failed(const std::string& why, const Ready& ready) {
  failures_->Add();
  Tell(why);
  ready(nullptr, {});
}

std::string Handshakes::Refusal(const net::Peer& peer) const {
  if (!options_.allow || (!peer.secure && options_.may_agree_later)) return "";
  const std::string who = peer.address.Show() + ": ";
  if (peer.identity.empty()) return who + "who has no identity is not allowed";
  return options_.allow->Have(peer.identity) ? "" : who + peer.identity + " is not allowed";
}

void Handshakes::Tell(const std::string& why) {
  const base::TimePoint now = loop_->Now();
  if (now >= tell_at_) {
    LOG(WARNING) << call::OneLine(why, kMostText)
                 << (untold_ > 0 ? " (and " + std::to_string(untold_) + " more before)" : "");
    tell_at_ = now + kTellAgain;
    untold_ = 0;
  } else {
    ++untold_;
  }
}

void Handshakes::GiveUp() {
  std::vector<Ready> gone;
  for (const Running& one : running_) gone.push_back(one.ready);
  for (const Comers* comers : {&silent_, &waiting_}) {
    for (const auto& one : *comers) gone.push_back(one->ready);
  }
  crowd_.Cancel();
  // At once: who waits for the end of the turn may still tell of its own.
  running_.clear();
  silent_.clear();
  waiting_.clear();
  pending_->Add(-static_cast<int64_t>(gone.size()));
  for (const Ready& ready : gone) ready(nullptr, {});
}

}  // namespace trestle::router
