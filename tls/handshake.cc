#include "tls/handshake.h"

#include <utility>

namespace trestle::tls {

Accepting::Accepting(net::EventLoop* loop, std::unique_ptr<net::Transport> transport,
                     std::shared_ptr<const ServerContext> context, base::Duration timeout,
                     Done done, base::Buffer unread)
    : loop_(loop),
      tls_(TlsTransport::Server(loop, std::move(transport), std::move(context), std::move(unread))),
      timeout_(timeout),
      done_(std::move(done)),
      timer_(loop, [this] { OnTime(); }) {
  timer_.Arm(timeout);
  tls_->Attach(this);
  tls_->WatchRead(net::Transport::Watch::kRead);
}

Accepting::~Accepting() {
  if (tls_) tls_->Close(false);
}

void Accepting::OnReadable() {
  if (!tls_ || tls_->handshaking()) return;
  if (!tls_->open()) {
    return Fail(tls_->heard() ? base::Code::kClosed : base::Code::kCancelled,
                "failed: " + tls_->why());
  }
  tls_->WatchRead(net::Transport::Watch::kOff);
  Finish(std::unique_ptr<net::Transport>(std::move(tls_)));
}

void Accepting::OnTime() {
  Fail(base::Code::kTimeout, "took longer than " + base::ShowMillis(timeout_));
}

void Accepting::Fail(base::Code code, const std::string& what) {
  const std::string who = tls_->peer().address.Show();
  tls_->Close(false);
  loop_->DeleteLater(std::move(tls_));
  Finish(base::Status(code, "the TLS handshake with " + who + " " + what));
}

// The last thing that is done: the callback may let go of this.
void Accepting::Finish(base::Result<std::unique_ptr<net::Transport>> result) {
  timer_.Cancel();
  auto done = std::move(done_);
  done(std::move(result));
}

}  // namespace trestle::tls
