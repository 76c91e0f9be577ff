#include "backend/exchange.h"

#include <utility>

namespace trestle::backend {
namespace {

using Kind = net::IoResult::Kind;

constexpr uint32_t kReadRoom = 64 * 1024;

}  // namespace

Exchange::Exchange(net::EventLoop* loop, std::unique_ptr<net::Transport> transport,
                   base::Duration timeout)
    : loop_(loop), transport_(std::move(transport)), timeout_(timeout), timer_(loop, [this] {
        if (!over()) OnSilence();
      }) {
  transport_->Attach(this);
}

void Exchange::Begin(std::string_view bytes) {
  timer_.Arm(timeout_);
  transport_->WatchRead(net::Transport::Watch::kRead);
  Say(bytes);
}

void Exchange::Say(std::string_view bytes) {
  out_.Append(base::Buffer::Copy(bytes));
  if (!blocked_) Write();
}

void Exchange::Write() {
  if (over() || out_.empty()) return;
  struct iovec iov[2];
  net::IoResult r = transport_->Write(iov, out_.Iovecs(iov, 2));
  if (r.kind == Kind::kBroken) return OnBroken();
  if (r.kind == Kind::kBytes) out_.TrimFront(r.bytes);
  if (blocked_ == !out_.empty()) return;
  blocked_ = !out_.empty();
  transport_->WatchWrite(blocked_);
}

void Exchange::OnHangup() {
  if (!over()) OnBroken();
}

void Exchange::OnReadable() {
  if (over()) return;
  uint32_t room = 0;
  char* to = loop_->arena()->Room(kReadRoom, &room);
  net::IoResult r = transport_->Read(to, room);
  if (r.kind == Kind::kAgain) return;
  if (r.kind != Kind::kBytes) return OnBroken();
  in_.Append(loop_->arena()->Commit(static_cast<uint32_t>(r.bytes)));
  OnBytes(&in_);
  if (!over()) in_.Compact();
}

std::string Exchange::Why() const {
  const std::string why = transport_->why();
  return why.empty() ? why : " (" + why + ")";
}

std::unique_ptr<net::Transport> Exchange::Take() {
  timer_.Cancel();
  in_.Clear();
  return std::move(transport_);
}

void Exchange::Close() {
  auto transport = Take();
  transport->Close(false);
  loop_->DeleteLater(std::move(transport));
}

}  // namespace trestle::backend
