#include "net/connection.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace trestle::net {
namespace {

// At least this much room is offered to a read, so that a large frame does not come in crumbs.
constexpr uint32_t kReadRoom = 64 * 1024;
constexpr int kMaxIovecs = 64;
// Reads after a failed write.
constexpr int kRestReads = 64;
// So much output does not wait for the other events of the turn: it would have left the processor's
// cache by then.
constexpr size_t kWriteSoon = 32 * 1024;

}  // namespace

Connection::Connection(EventLoop* loop, std::unique_ptr<Transport> transport, Owner* owner)
    : loop_(loop), transport_(std::move(transport)), owner_(owner) {
  transport_->Attach(this);
}

Connection::~Connection() { Close(); }

void Connection::Start(base::Buffer unread) {
  transport_->WatchRead(Transport::Watch::kRead);
  if (unread.empty()) return;
  received_ += unread.size();
  in_ = std::move(unread);
  offer_ = true;
  loop_->AtTurnEnd(this);
}

void Connection::SetTimeouts(std::optional<base::Duration> read,
                             std::optional<base::Duration> write) {
  if (closed_ || (read == read_timeout_ && write == write_timeout_)) return;
  read_timeout_ = read;
  write_timeout_ = write;
  last_read_ = last_written_ = loop_->Now();
  timer_.reset();
  if (!read && !write) return;
  timer_ = std::make_unique<Timer>(loop_, [this] { OnTime(); });
  OnTime();
}

void Connection::OnTime() {
  if (closed_) return;
  base::TimePoint now = loop_->Now();
  if (!blocked_) last_written_ = now;
  if (paused_) last_read_ = now;  // we do not read, so its silence is ours
  bool read_over = read_timeout_ && !ended_ && now - last_read_ >= *read_timeout_;
  bool write_over = write_timeout_ && now - last_written_ >= *write_timeout_;
  if (read_over || write_over) return Gone(base::Code::kTimeout, ETIMEDOUT);
  std::optional<base::TimePoint> next;
  if (read_timeout_ && !ended_) next = last_read_ + *read_timeout_;
  if (write_timeout_) {
    base::TimePoint at = last_written_ + *write_timeout_;
    next = next ? std::min(*next, at) : at;
  }
  if (next) timer_->ArmAt(*next);
}

void Connection::OnReadable() {
  uint32_t room = 0;
  char* to = loop_->arena()->Room(kReadRoom, &room);
  IoResult r = transport_->Read(to, room);
  switch (r.kind) {
    case IoResult::Kind::kAgain:
      return;
    case IoResult::Kind::kBroken:
      return Gone(base::Code::kClosed, r.error);
    case IoResult::Kind::kEnd:
      OfferFirst();
      if (closed_) return;
      ended_ = true;
      WatchForHangup();
      if (!closing_) {
        owner_->OnEnd();
      } else if (shut_) {
        LastWritten();
      }
      return;
    case IoResult::Kind::kBytes:
      break;
  }
  received_ += r.bytes;
  if (timer_) last_read_ = loop_->Now();
  if (closing_) return;  // read only to see the end
  in_.Append(loop_->arena()->Commit(static_cast<uint32_t>(r.bytes)));
  Offer();
}

void Connection::Offer() {
  owner_->OnBytes(&in_);
  if (!in_.empty() && !closed_) in_.Compact();
}

// What was there at the start.
void Connection::OfferFirst() {
  if (std::exchange(offer_, false) && !paused_ && !in_.empty()) Offer();
}

void Connection::Write(base::Buffer&& bytes) {
  if (closed_ || shut_) return;
  out_.Append(std::move(bytes));
  if (blocked_) {
    out_.Compact();  // what waits must not pin read memory
  } else {
    loop_->AtTurnEnd(this);
    if (out_.size() >= kWriteSoon) loop_->EndTurnSoon();
  }
}

void Connection::OnTurnEnd() {
  OfferFirst();
  if (!closed_) Flush();
}

void Connection::Flush() {
  while (!out_.empty()) {
    struct iovec iov[kMaxIovecs];
    int n = out_.Iovecs(iov, kMaxIovecs);
    size_t offered = 0;
    for (int i = 0; i < n; i++) offered += iov[i].iov_len;
    IoResult r = transport_->Write(iov, n);
    if (r.kind == IoResult::Kind::kBroken) return OnWriteBroken(r.error);
    size_t taken = r.kind == IoResult::Kind::kBytes ? r.bytes : 0;
    out_.TrimFront(taken);
    sent_ += taken;
    if (timer_ && taken > 0) last_written_ = loop_->Now();
    if (taken < offered) {
      if (!blocked_) OnBlocked();
      return;
    }
  }
  if (blocked_) {
    blocked_ = false;
    transport_->WatchWrite(false);
    if (ended_ || paused_) WatchForHangup();
    owner_->OnFlushed();
  } else if (paused_) {
    owner_->OnFlushed();
  }
  if (!closed_ && closing_ && out_.empty()) LastWritten();
}

// A peer that has enough may answer and close before it read all; its answer is here then.
void Connection::OnWriteBroken(int error) {
  broken_ = true;
  const bool reads = !ended_ && !closing_ && owner_->ReadsRest();
  for (int i = 0; reads && i < kRestReads && !closed_ && !paused_; i++) {
    uint32_t room = 0;
    char* to = loop_->arena()->Room(kReadRoom, &room);
    IoResult r = transport_->Read(to, room);
    if (r.kind != IoResult::Kind::kBytes) break;
    received_ += r.bytes;
    in_.Append(loop_->arena()->Commit(static_cast<uint32_t>(r.bytes)));
    Offer();
  }
  Gone(base::Code::kClosed, error);
}

void Connection::OnBlocked() {
  blocked_ = true;
  out_.Compact();
  if (timer_) last_written_ = loop_->Now();
  transport_->WatchWrite(true);
}

// Reading is off; a broken stream is still to be noticed. While output waits, writing will tell,
// and a transport may not be able to watch for both.
void Connection::WatchForHangup() {
  transport_->WatchRead(blocked_ ? Transport::Watch::kOff : Transport::Watch::kHangup);
}

void Connection::LastWritten() {
  if (ended_) {
    Close();
    owner_->OnClosed();
    return;
  }
  if (shut_) return;
  shut_ = true;
  transport_->ShutdownWrite();
  transport_->WatchRead(Transport::Watch::kRead);
}

void Connection::OnWritable() { Flush(); }

void Connection::OnHangup() { Gone(base::Code::kClosed, ECONNRESET); }

void Connection::OnEndAhead() {
  if (end_ahead_ || ended_ || closing_) return;
  end_ahead_ = true;
  owner_->OnEndAhead();
}

void Connection::Gone(base::Code code, int error) {
  if (closed_) return;
  std::string what = transport_->why();
  if (what.empty()) what = std::strerror(error);
  const base::Status why(code, "connection to " + peer().address.Show() + " broke: " + what);
  Close();
  if (closing_) {
    owner_->OnClosed();
  } else {
    owner_->OnGone(why);
  }
}

void Connection::PauseReading() {
  if (paused_ || closed_) return;
  paused_ = true;
  if (!ended_) WatchForHangup();
}

void Connection::ResumeReading() {
  if (!paused_ || closed_) return;
  paused_ = false;
  if (timer_) last_read_ = loop_->Now();
  if (!ended_) transport_->WatchRead(Transport::Watch::kRead);
  if (!in_.empty()) Offer();
}

void Connection::CloseAfterWrites() {
  if (closed_ || closing_) return;
  closing_ = true;
  paused_ = false;
  in_.Clear();
  if (!blocked_) loop_->AtTurnEnd(this);
}

std::unique_ptr<Transport> Connection::Release(base::Buffer* unread) {
  closed_ = true;
  if (timer_) timer_->Cancel();
  *unread = std::move(in_);
  in_.Clear();
  transport_->WatchRead(Transport::Watch::kOff);
  return std::move(transport_);
}

void Connection::Close(bool reset) {
  if (closed_) return;
  closed_ = true;
  if (timer_) timer_->Cancel();
  in_.Clear();
  out_.Clear();
  transport_->Close(reset);
}

}  // namespace trestle::net
