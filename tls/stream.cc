#include "tls/stream.h"

#include <algorithm>
#include <cstring>

#include "tls/tls_transport.h"

namespace trestle::tls {

const BIO_METHOD* Stream::Method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "trestle transport");
    BIO_meth_set_read(m, &Read);
    BIO_meth_set_write(m, &Write);
    BIO_meth_set_ctrl(m, &Control);
    return m;
  }();
  return method;
}

BIO* Stream::New(TlsTransport* transport) {
  BIO* bio = BIO_new(Method());
  if (!bio) return nullptr;
  BIO_set_data(bio, transport);
  BIO_set_init(bio, 1);
  return bio;
}

int Stream::Read(BIO* bio, char* to, int room) {
  BIO_clear_retry_flags(bio);
  auto* transport = static_cast<TlsTransport*>(BIO_get_data(bio));
  const long n = transport->ReadInner(to, static_cast<size_t>(room));
  if (n == TlsTransport::kNothingNow) BIO_set_retry_read(bio);
  return static_cast<int>(n);
}

int Stream::Write(BIO* bio, const char* from, int size) {
  BIO_clear_retry_flags(bio);
  static_cast<TlsTransport*>(BIO_get_data(bio))->Stage(from, static_cast<size_t>(size));
  return size;
}

long Stream::Control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_EOF) return static_cast<TlsTransport*>(BIO_get_data(bio))->inner_end_;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
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
      if (drained_) return kNothingNow;
      const size_t ask = std::clamp(wanted_ + kOverhead, kOverhead * 2, sizeof scratch->in);
      const net::IoResult r = inner_->Read(scratch->in, ask);
      drained_ = r.bytes < ask;
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
    } else if (blocked_) {
      pending_.assign(from + r.bytes, size - r.bytes);
    }
  }
  if (!blocked_) {
    pending_ = std::string();
    pending_at_ = 0;
    if (shut_inner_) inner_->ShutdownWrite();
    shut_inner_ = false;
  }
  ApplyWatch();
}

}  // namespace trestle::tls
