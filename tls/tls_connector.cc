#include "tls/tls_connector.h"

#include <string>
#include <utility>

#include "tls/tls_transport.h"

namespace trestle::tls {
namespace {

using Opened = base::Result<std::unique_ptr<net::Transport>>;

class TlsAttempt final : public net::Connector::Attempt, private net::Transport::Events {
 public:
  TlsAttempt(net::EventLoop* loop, std::shared_ptr<const ClientContext> context,
             ClientSessions* sessions, const net::Address& to, base::Duration timeout,
             net::Connector::Done done)
      : loop_(loop),
        context_(std::move(context)),
        sessions_(sessions),
        to_(to),
        timeout_(timeout),
        until_(loop->Now() + timeout),
        done_(std::move(done)),
        timer_(loop, [this] {
          Fail(base::Code::kTimeout,
               "no TLS handshake with " + to_.Show() + " within " + base::ShowMillis(timeout_));
        }) {}
  ~TlsAttempt() override {
    if (tls_) tls_->Close(false);
  }

  void Start(net::Connector* inner) {
    connecting_ =
        inner->Connect(to_, timeout_, [this](Opened opened) { OnConnected(std::move(opened)); });
  }
  void Begin(std::unique_ptr<net::Transport> connected, base::Buffer unread) {
    timer_.ArmAt(until_);
    tls_ = TlsTransport::Client(loop_, std::move(connected), std::move(context_), sessions_,
                                std::move(unread));
    tls_->Attach(this);
    tls_->WatchRead(net::Transport::Watch::kRead);
  }

 private:
  void OnConnected(Opened opened) {
    loop_->DeleteLater(std::move(connecting_));
    if (!opened.ok()) return Finish(std::move(opened));
    Begin(std::move(*opened), {});
  }
  void OnReadable() override {
    if (!tls_ || tls_->handshaking()) return;
    if (!tls_->open()) {
      return Fail(base::Code::kUnavailable,
                  "no TLS connection to " + to_.Show() + ": " + tls_->why());
    }
    tls_->WatchRead(net::Transport::Watch::kOff);
    Finish(std::unique_ptr<net::Transport>(std::move(tls_)));
  }
  void OnWritable() override {}
  void OnHangup() override {}
  void OnEndAhead() override {}

  void Fail(base::Code code, std::string what) {
    tls_->Close(false);
    loop_->DeleteLater(std::move(tls_));
    Finish(base::Status(code, std::move(what)));
  }
  // The last thing that is done: the callback may let go of this.
  void Finish(Opened result) {
    timer_.Cancel();
    auto done = std::move(done_);
    done(std::move(result));
  }

  net::EventLoop* loop_;
  std::shared_ptr<const ClientContext> context_;
  ClientSessions* sessions_;
  net::Address to_;
  base::Duration timeout_;
  base::TimePoint until_;
  net::Connector::Done done_;
  net::Timer timer_;
  std::unique_ptr<net::Connector::Attempt> connecting_;
  std::unique_ptr<TlsTransport> tls_;
};

}  // namespace

std::unique_ptr<net::Connector::Attempt> TlsConnector::Connect(const net::Address& to,
                                                               base::Duration timeout, Done done) {
  if (when_ == When::kAgreed) return inner_->Connect(to, timeout, std::move(done));
  auto attempt =
      std::make_unique<TlsAttempt>(loop_, context_, sessions_, to, timeout, std::move(done));
  attempt->Start(inner_.get());
  return attempt;
}

std::unique_ptr<net::Connector::Attempt> TlsConnector::Secure(std::unique_ptr<net::Transport> clear,
                                                              base::Buffer unread,
                                                              base::Duration timeout, Done done) {
  auto attempt = std::make_unique<TlsAttempt>(loop_, context_, sessions_, clear->peer().address,
                                              timeout, std::move(done));
  attempt->Begin(std::move(clear), std::move(unread));
  return attempt;
}

}  // namespace trestle::tls
