#include "server/greeting.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "mux/message.h"

namespace trestle::server {
namespace {

constexpr size_t kFirstBytes = 8;
constexpr uint32_t kReadRoom = 64 * 1024;

}  // namespace

Greeting::Greeting(Server* server, std::unique_ptr<net::Transport> transport)
    : server_(server),
      transport_(std::move(transport)),
      timer_(server->loop(), [this] { Abandon(); }),
      opened_(server->loop()->Now()),
      moved_(opened_) {
  transport_->Attach(this);
}

Greeting::~Greeting() {
  if (transport_) transport_->Close(false);
}

void Greeting::Start(base::Buffer unread) {
  in_ = std::move(unread);
  if (!in_.empty() && Tell()) return;
  transport_->WatchRead(net::Transport::Watch::kRead);
  ArmTimer();
}

void Greeting::OnReconfigured() {
  if (transport_) ArmTimer();
}

// A client that says nothing costs a connection for as long as an idle one may; one that has begun
// may not stand still.
void Greeting::ArmTimer() {
  const Options& o = server_->options();
  std::optional<base::TimePoint> at;
  auto sooner = [&at](base::TimePoint other) { at = at ? std::min(*at, other) : other; };
  if (!in_.empty()) sooner(moved_ + o.body_idle_timeout);
  if (o.idle_time) sooner(moved_ + *o.idle_time);
  if (o.life_time) sooner(opened_ + *o.life_time);
  if (o.read_timeout) sooner(moved_ + *o.read_timeout);
  timer_.Cancel();
  if (at) timer_.ArmAt(*at);
}

void Greeting::OnReadable() {
  if (!transport_) return;
  base::Arena* arena = server_->loop()->arena();
  uint32_t room = 0;
  char* to = arena->Room(kReadRoom, &room);
  net::IoResult r = transport_->Read(to, room);
  if (r.kind == net::IoResult::Kind::kAgain) return;
  if (r.kind != net::IoResult::Kind::kBytes) {
    if (!in_.empty()) server_->CountBadBytes(transport_->peer(), "ended in its first bytes");
    return Abandon();
  }
  in_.Append(arena->Commit(static_cast<uint32_t>(r.bytes)));
  if (Tell()) return;
  moved_ = server_->loop()->Now();
  ArmTimer();
}

bool Greeting::Tell() {
  char first[kFirstBytes];
  const size_t n = in_.CopyOut(0, first, sizeof first);
  const mux::DecodeResult looks = mux::LooksLikeMux({first, n});
  if (looks.outcome == mux::Outcome::kNeedMore && n < kFirstBytes) {
    in_.Compact();
    return false;
  }
  timer_.Cancel();
  transport_->WatchRead(net::Transport::Watch::kOff);
  Server* server = server_;
  auto transport = std::move(transport_);
  base::Buffer unread = std::move(in_);
  server->Forget(this);  // it is destroyed with the turn
  server->Open(std::move(transport), std::move(unread), looks.outcome == mux::Outcome::kOk);
  return true;
}

void Greeting::Abandon() {
  if (!transport_) return;
  timer_.Cancel();
  transport_->Close(false);
  server_->loop()->DeleteLater(std::move(transport_));
  server_->Remove(this);
}

}  // namespace trestle::server
