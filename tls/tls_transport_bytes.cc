#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "tls/stream.h"
#include "tls/tls_transport.h"

// How bytes go through a TlsTransport.

namespace trestle::tls {

using Kind = net::IoResult::Kind;

// --- reading ---

net::IoResult TlsTransport::Read(char* to, size_t room) {
  drained_ = std::exchange(buffered_only_, false);
  if (handshaking()) return {Kind::kAgain};
  if (!open()) return {Kind::kBroken, 0, error_};
  more_ = false;
  pulled_ = 0;
  size_t n = 0;
  while (n < room && open() && !ended_) {
    wanted_ = room - n;
    size_t got = 0;
    ERR_clear_error();
    const int r = SSL_read_ex(ssl_, to + n, room - n, &got);
    n += got;
    if (got > 0) talk_ = 0;
    if (r == 1 && !Drained()) continue;
    if (r == 1) break;
    const int e = SSL_get_error(ssl_, r);
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE) break;
    if (e == SSL_ERROR_ZERO_RETURN) {
      ended_ = true;
    } else {
      FailFrom(r);
    }
  }
  KeepUnread();
  CheckTalk();
  if (open())
    more_ = n > 0 && (ended_ || (n == room && (SSL_pending(ssl_) > 0 || !unread_.empty())));
  if (more_) loop_->AtTurnEnd(this);
  Flush();
  if (n > 0) return {Kind::kBytes, n};
  if (ended_) return {Kind::kEnd};
  if (!open()) return {Kind::kBroken, 0, error_};
  return {Kind::kAgain};
}

// Nothing is left to read, so that asking OpenSSL once more would be for nothing.
bool TlsTransport::Drained() const {
  const Scratch* scratch = Scratch::Get();
  return drained_ && scratch->in_at == scratch->in_size && unread_.empty() &&
         SSL_pending(ssl_) == 0;
}

void TlsTransport::CheckTalk() {
  if (open() && talk_ > kMostTalk) {
    Fail(EPROTO, "the peer sends nothing but messages of TLS itself, without end");
  }
}

bool TlsTransport::end_ahead() const { return ended_ || inner_->end_ahead(); }

bool TlsTransport::Readable() {
  if (state_ == State::kClosed) return false;
  if (more_ || ended_ || state_ == State::kFailed) return true;
  if (handshaking() || (unread_.empty() && !inner_->Readable())) return false;
  drained_ = false;
  pulled_ = 0;
  wanted_ = 1;
  char one;
  size_t got = 0;
  ERR_clear_error();
  const int r = SSL_peek_ex(ssl_, &one, 1, &got);
  const int e = SSL_get_error(ssl_, r);
  KeepUnread();
  if (r == 1) {
    more_ = true;
  } else if (e == SSL_ERROR_ZERO_RETURN) {
    ended_ = true;
  } else if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE) {
    FailFrom(r);
  }
  CheckTalk();
  Flush();
  const bool here = more_ || ended_ || !open();
  if (here) TellSoon();
  return here;
}

// OpenSSL asks for a record's head, then for its body; the inner transport is asked for as much as
// the reader may have room for.
long TlsTransport::ReadInner(char* to, size_t room) {
  Scratch* scratch = Scratch::Get();
  size_t n = 0;
  if (!unread_.empty()) {
    n = unread_.CopyOut(0, to, room);
    unread_.TrimFront(n);
  } else {
    if (scratch->in_at == scratch->in_size) {
      if (inner_end_) return 0;
      if (drained_ || pulled_ >= kMostPulled) return kNothingNow;
      const size_t ask = std::clamp(wanted_ + kOverhead, kOverhead * 2, sizeof scratch->in);
      const net::IoResult r = inner_->Read(scratch->in, ask);
      drained_ = r.bytes < ask;
      pulled_ += r.bytes;
      if (r.kind == net::IoResult::Kind::kAgain) return kNothingNow;
      if (r.kind == net::IoResult::Kind::kEnd) {
        inner_end_ = true;
        return 0;
      }
      if (r.kind == net::IoResult::Kind::kBroken) {
        inner_error_ = r.error;
        return kBroke;
      }
      scratch->in_at = 0;
      scratch->in_size = r.bytes;
    }
    n = std::min(room, scratch->in_size - scratch->in_at);
    std::memcpy(to, scratch->in + scratch->in_at, n);
    scratch->in_at += n;
  }
  if (open()) talk_ += n;
  if (state_ == State::kHandshake && first_count_ < first_.size()) {
    const size_t keep = std::min(n, first_.size() - first_count_);
    std::copy_n(to, keep, first_.begin() + first_count_);
    first_count_ = static_cast<uint8_t>(first_count_ + keep);
  }
  return static_cast<long>(n);
}

// What was read and not used is kept for the next time.
void TlsTransport::KeepUnread() {
  Scratch* scratch = Scratch::Get();
  if (scratch->in_at < scratch->in_size) {
    unread_.Append(
        base::Slice::Copy({scratch->in + scratch->in_at, scratch->in_size - scratch->in_at}));
  }
  scratch->in_at = scratch->in_size = 0;
}

// --- writing ---

net::IoResult TlsTransport::Write(const struct iovec* from, int count) {
  if (handshaking()) return {Kind::kAgain};
  if (!open()) return {Kind::kBroken, 0, error_};
  if (shut_) return {Kind::kBroken, 0, EPIPE};
  size_t total = 0;
  for (int i = 0; i < count; i++) total += from[i].iov_len;
  size_t taken = TakeGone();
  while (!blocked_ && write_error_ == 0 && taken + owed_ < total) {
    size_t n = 1;
    while (n > 0 && owed_ < kStaged && taken + owed_ < total) {
      n = Encrypt(from, count, taken + owed_);
    }
    Flush();
    taken += TakeGone();
    if (n == 0) break;
  }
  if (taken > 0) return {Kind::kBytes, taken};
  if (!open()) return {Kind::kBroken, 0, error_};
  if (write_error_ != 0) return {Kind::kBroken, 0, write_error_};
  return {Kind::kAgain};
}

// Makes one record, as large as the bytes from `at` on allow. They are copied together only where
// they are in pieces.
size_t TlsTransport::Encrypt(const struct iovec* from, int count, size_t at) {
  int i = 0;
  while (i < count && at >= from[i].iov_len) at -= from[i++].iov_len;
  const char* bytes = static_cast<const char*>(from[i].iov_base) + at;
  size_t size = std::min(from[i].iov_len - at, kRecord);
  if (size < kRecord && i + 1 < count) {
    char* to = Scratch::Get()->gather;
    std::memcpy(to, bytes, size);
    for (i++; i < count && size < kRecord; i++) {
      const size_t n = std::min(from[i].iov_len, kRecord - size);
      if (n > 0) std::memcpy(to + size, from[i].iov_base, n);
      size += n;
    }
    bytes = to;
  }
  size_t written = 0;
  drained_ = true;  // what would be read here, nobody would be told of
  ERR_clear_error();
  const int r = SSL_write_ex(ssl_, bytes, size, &written);
  if (r == 1) {
    NoteRecord(written);
    return written;
  }
  const int e = SSL_get_error(ssl_, r);
  if (e == SSL_ERROR_WANT_READ) {
    write_waits_ = true;
  } else if (e != SSL_ERROR_WANT_WRITE) {
    FailFrom(r);
  }
  return 0;
}

// The records of a peer that wants small ones are many: those past the last place count as one.
void TlsTransport::NoteRecord(size_t plain) {
  if (record_count_ == records_.size()) {
    records_.back() = {staged_, static_cast<uint32_t>(records_.back().plain + plain)};
  } else {
    records_[record_count_++] = {staged_, static_cast<uint32_t>(plain)};
  }
  owed_ += plain;
}

// The plaintext of the records that the inner transport took since the last time.
size_t TlsTransport::TakeGone() {
  size_t plain = 0;
  uint8_t gone = 0;
  while (gone < record_count_ && records_[gone].end <= sent_) plain += records_[gone++].plain;
  std::move(records_.begin() + gone, records_.begin() + record_count_, records_.begin());
  record_count_ = static_cast<uint8_t>(record_count_ - gone);
  owed_ -= plain;
  return plain;
}

void TlsTransport::Stage(const char* bytes, size_t size) {
  Scratch* scratch = Scratch::Get();
  staged_ += size;
  if (pending_.empty() && scratch->out_size + size <= sizeof scratch->out) {
    std::memcpy(scratch->out + scratch->out_size, bytes, size);
    scratch->out_size += size;
    return;
  }
  pending_.append(scratch->out, scratch->out_size).append(bytes, size);
  scratch->out_size = 0;
}

// One system call for all that is staged.
void TlsTransport::Flush() {
  Scratch* scratch = Scratch::Get();
  const bool waits = !pending_.empty();
  char* from = waits ? pending_.data() + pending_at_ : scratch->out;
  const size_t size = waits ? pending_.size() - pending_at_ : scratch->out_size;
  scratch->out_size = 0;
  if (size > 0 && !blocked_ && write_error_ == 0) {
    struct iovec one {
      from, size
    };
    const net::IoResult r = inner_->Write(&one, 1);
    if (r.kind == net::IoResult::Kind::kBroken) write_error_ = r.error;
    sent_ += r.bytes;
    blocked_ = write_error_ == 0 && r.bytes < size;
    if (waits) {
      pending_at_ += r.bytes;
      if (pending_at_ > pending_.size() / 2) pending_.erase(0, std::exchange(pending_at_, 0));
    } else if (blocked_) {
      pending_.assign(from + r.bytes, size - r.bytes);
    }
  }
  if (pending_.size() - pending_at_ > kMostPending) {
    Fail(ENOBUFS, "the peer reads nothing, and goes on asking for what TLS must answer");
  }
  // Of a broken connection nothing waits: its alert went out at once or never will.
  if (state_ == State::kFailed) blocked_ = false;
  if (!blocked_) {
    pending_ = std::string();
    pending_at_ = 0;
    if (shut_inner_) inner_->ShutdownWrite();
    shut_inner_ = false;
  }
  ApplyWatch();
}

}  // namespace trestle::tls
