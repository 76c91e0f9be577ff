#include "net/connector.h"

#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace trestle::net {
namespace {

// What the machine has no more of says nothing of the peer.
bool IsOurs(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

class TcpAttempt final : public Connector::Attempt {
 public:
  TcpAttempt(EventLoop* loop, const Address& to, const SocketOptions& options, Connector::Done done)
      : loop_(loop), to_(to), options_(options), done_(std::move(done)), timer_(loop, [this] {
          if (failed_at_once_) return Fail(failed_at_once_);
          Finish(base::Status(base::Code::kTimeout, "no connection to " + to_.Show() + " within " +
                                                        base::ShowMillis(timeout_)));
        }) {}

  ~TcpAttempt() override { Drop(); }

  void Start(base::Duration timeout) {
    timeout_ = timeout;
    fd_ = socket(to_.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) return FailSoon(errno);
    int r = connect(fd_, to_.sockaddr_ptr(), to_.length());
    if (r != 0 && errno != EINPROGRESS) return FailSoon(errno);
    event_ = event_new(
        loop_->base(), fd_, EV_WRITE,
        [](evutil_socket_t, short, void* self) {
          static_cast<TcpAttempt*>(self)->loop_->Refresh();
          static_cast<TcpAttempt*>(self)->OnConnected();
        },
        this);
    event_add(event_, nullptr);
    timer_.Arm(timeout);
  }

 private:
  void OnConnected() {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return Fail(error);
    event_free(event_);
    event_ = nullptr;
    auto transport = std::make_unique<TcpTransport>(loop_, fd_, to_, options_);
    fd_ = -1;
    Finish(std::unique_ptr<Transport>(std::move(transport)));
  }

  // Never from within Connect().
  void FailSoon(int error) {
    failed_at_once_ = error;
    timer_.Arm(base::Duration(0));
  }

  void Fail(int error) {
    Finish(base::Status(IsOurs(error) ? base::Code::kInternal : base::Code::kUnavailable,
                        "cannot connect to " + to_.Show() + ": " + std::strerror(error)));
  }

  void Finish(base::Result<std::unique_ptr<Transport>> result) {
    Drop();
    timer_.Cancel();
    auto done = std::move(done_);
    done(std::move(result));
  }

  void Drop() {
    if (event_) event_free(event_);
    event_ = nullptr;
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

  EventLoop* loop_;
  Address to_;
  SocketOptions options_;
  Connector::Done done_;
  Timer timer_;
  base::Duration timeout_{};
  int fd_ = -1;
  int failed_at_once_ = 0;
  event* event_ = nullptr;
};

}  // namespace

std::unique_ptr<Connector::Attempt> TcpConnector::Connect(const Address& to, base::Duration timeout,
                                                          Done done) {
  auto attempt = std::make_unique<TcpAttempt>(loop_, to, options_, std::move(done));
  attempt->Start(timeout);
  return attempt;
}

}  // namespace trestle::net
