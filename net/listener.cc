#include "net/listener.h"

#include <event2/event.h>
#include <glog/logging.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace trestle::net {
namespace {

// How many are accepted in one turn, so that a flood of connections does not starve calls.
constexpr int kAcceptsPerTurn = 64;
constexpr auto kRetryAfter = std::chrono::milliseconds(100);

base::Status Failed(const char* what, const Address& at) {
  return {base::Code::kUnavailable,
          std::string("cannot ") + what + " " + at.Show() + ": " + std::strerror(errno)};
}

}  // namespace

Listener::Listener(EventLoop* loop, Accepted accepted)
    : loop_(loop), accepted_(std::move(accepted)), retry_(loop, [this] {
        if (event_ && !paused_) event_add(event_, nullptr);
      }) {}

Listener::~Listener() { Close(); }

base::Status Listener::Listen(const Address& at, const SocketOptions& options) {
  int fd = socket(at.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Failed("open a socket for", at);
  int on = 1;
  if (options.reuse_address) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (options.reuse_port) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (bind(fd, at.sockaddr_ptr(), at.length()) != 0 || listen(fd, options.backlog) != 0) {
    base::Status failed = Failed("listen on", at);
    close(fd);
    return failed;
  }
  sockaddr_storage got{};
  socklen_t size = sizeof got;
  getsockname(fd, reinterpret_cast<sockaddr*>(&got), &size);
  address_ = Address::From(got);
  descriptor_ = fd;
  return base::Status::Ok();
}

void Listener::Start() {
  if (descriptor_ < 0 || event_) return;
  event_ = event_new(
      loop_->base(), descriptor_, EV_READ | EV_PERSIST,
      [](evutil_socket_t, short, void* self) {
        static_cast<Listener*>(self)->loop_->Refresh();
        static_cast<Listener*>(self)->OnAcceptable();
      },
      this);
  if (!paused_) event_add(event_, nullptr);
}

void Listener::OnAcceptable() {
  for (int i = 0; i < kAcceptsPerTurn && descriptor_ >= 0 && !paused_; i++) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    int fd = accept4(descriptor_, reinterpret_cast<sockaddr*>(&peer), &size,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      accepted_(fd, Address::From(peer));
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      LOG_EVERY_N(ERROR, 100) << "cannot accept on " << address_.Show() << ": "
                              << std::strerror(errno) << "; trying again";
      event_del(event_);
      retry_.Arm(kRetryAfter);
    }
    return;
  }
}

void Listener::Pause() {
  paused_ = true;
  if (event_) event_del(event_);
}

void Listener::Resume() {
  paused_ = false;
  if (event_) event_add(event_, nullptr);
}

void Listener::Close() {
  retry_.Cancel();
  if (event_) event_free(event_);
  event_ = nullptr;
  if (descriptor_ >= 0) close(descriptor_);
  descriptor_ = -1;
}

}  // namespace trestle::net
