#include "net/tcp_transport.h"

#include <event2/event.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace trestle::net {

TcpTransport::TcpTransport(EventLoop* loop, int descriptor, const Address& peer,
                           const SocketOptions& options)
    : loop_(loop), descriptor_(descriptor), peer_{peer, {}} {
  int on = 1;
  if (options.no_delay) setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (options.keep_alive) setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

TcpTransport::~TcpTransport() { Close(false); }

void TcpTransport::OnEvent(int, short what, void* arg) {
  auto* self = static_cast<TcpTransport*>(arg);
  EventLoop* loop = self->loop_;
  loop->Refresh();
  if (what & EV_WRITE) {
    self->events_->OnWritable();
  } else if (self->watch_ == Watch::kRead) {
    self->end_ahead_ = (what & EV_CLOSED) != 0;
    self->events_->OnReadable();
  } else if (self->watch_ == Watch::kHangup) {
    self->TellOfEnd();
  }
  loop->AfterEvent();
}

void TcpTransport::TellOfEnd() {
  pollfd p{descriptor_, POLLRDHUP, 0};
  if (poll(&p, 1, 0) <= 0) return;
  if (p.revents & (POLLERR | POLLHUP)) {
    events_->OnHangup();
  } else if (p.revents & POLLRDHUP) {
    events_->OnEndAhead();
  }
}

void TcpTransport::WatchRead(Watch watch) {
  if (watch == watch_ || descriptor_ < 0) return;
  if (read_) event_del(read_);
  watch_ = watch;
  if (watch == Watch::kOff) return;
  // Edge-triggered for kHangup: unread bytes or a seen end must not turn the loop for nothing.
  // EV_CLOSED beside EV_READ: an end that came with the last bytes is known before they are used.
  auto what =
      static_cast<short>(EV_READ | EV_PERSIST | (watch == Watch::kHangup ? EV_ET : EV_CLOSED));
  if (read_) {
    event_assign(read_, loop_->base(), descriptor_, what, &OnEvent, this);
  } else {
    read_ = event_new(loop_->base(), descriptor_, what, &OnEvent, this);
  }
  event_add(read_, nullptr);
}

void TcpTransport::WatchWrite(bool on) {
  if (descriptor_ < 0) return;
  if (on) {
    // The two events of one descriptor must agree on edge or level.
    if (watch_ == Watch::kHangup) WatchRead(Watch::kOff), watch_ = Watch::kOff;
    if (!write_) {
      write_ = event_new(loop_->base(), descriptor_, EV_WRITE | EV_PERSIST, &OnEvent, this);
    }
    event_add(write_, nullptr);
  } else if (write_) {
    event_del(write_);
  }
}

IoResult TcpTransport::Read(char* to, size_t room) {
  ssize_t n = recv(descriptor_, to, room, 0);
  if (n > 0) return {IoResult::Kind::kBytes, static_cast<size_t>(n), 0};
  if (n == 0) return {IoResult::Kind::kEnd};
  if (errno == EAGAIN || errno == EINTR) return {IoResult::Kind::kAgain};
  return {IoResult::Kind::kBroken, 0, errno};
}

IoResult TcpTransport::Write(const struct iovec* from, int count) {
  ssize_t n;
  if (count == 1) {
    n = send(descriptor_, from->iov_base, from->iov_len, MSG_NOSIGNAL);
  } else {
    msghdr message{};
    message.msg_iov = const_cast<struct iovec*>(from);
    message.msg_iovlen = static_cast<size_t>(count);
    n = sendmsg(descriptor_, &message, MSG_NOSIGNAL);
  }
  if (n >= 0) return {IoResult::Kind::kBytes, static_cast<size_t>(n), 0};
  if (errno == EAGAIN || errno == EINTR) return {IoResult::Kind::kAgain};
  return {IoResult::Kind::kBroken, 0, errno};
}

bool TcpTransport::Readable() {
  pollfd p{descriptor_, POLLIN | POLLRDHUP, 0};
  return poll(&p, 1, 0) > 0;
}

void TcpTransport::ShutdownWrite() {
  if (descriptor_ >= 0) shutdown(descriptor_, SHUT_WR);
}

void TcpTransport::Close(bool reset) {
  if (descriptor_ < 0) return;
  if (read_) event_free(read_);
  if (write_) event_free(write_);
  read_ = write_ = nullptr;
  if (reset) {
    linger hard{1, 0};
    setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  }
  close(descriptor_);
  descriptor_ = -1;
}

}  // namespace trestle::net
