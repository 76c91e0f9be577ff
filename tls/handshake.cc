#include "tls/handshake.h"

#include <cstring>
#include <utility>

namespace trestle::tls {
namespace {

using Kind = net::IoResult::Kind;

constexpr uint32_t kReadRoom = 16 * 1024;
constexpr char kHandshakeRecord = 0x16, kMajorVersion = 0x03;

}  // namespace

Accepting::Accepting(net::EventLoop* loop, std::unique_ptr<net::Transport> transport,
                     std::shared_ptr<const ServerContext> context, Mode mode,
                     base::Duration timeout, Done done, base::Buffer unread)
    : loop_(loop),
      context_(std::move(context)),
      timeout_(timeout),
      unread_(std::move(unread)),
      done_(std::move(done)),
      timer_(loop, [this] { OnTime(); }) {
  timer_.Arm(timeout);
  if (mode == Mode::kTls) {
    BeginTls(std::move(transport));
    return;
  }
  clear_ = std::move(transport);
  clear_->Attach(this);
  clear_->WatchRead(net::Transport::Watch::kRead);
}

Accepting::~Accepting() {
  if (clear_) clear_->Close(false);
  if (tls_) tls_->Close(false);
}

void Accepting::BeginTls(std::unique_ptr<net::Transport> inner) {
  tls_ = TlsTransport::Server(loop_, std::move(inner), context_, std::move(unread_));
  tls_->Attach(this);
  tls_->WatchRead(net::Transport::Watch::kRead);
}

void Accepting::OnReadable() {
  if (clear_) return Look();
  if (!tls_ || tls_->handshaking()) return;
  if (!tls_->open()) {
    return Fail(tls_->heard() ? base::Code::kClosed : base::Code::kCancelled,
                "failed: " + tls_->why());
  }
  tls_->WatchRead(net::Transport::Watch::kOff);
  Finish(Accepted{std::move(tls_), true, {}});
}

void Accepting::Look() {
  base::Arena* arena = loop_->arena();
  uint32_t room = 0;
  char* to = arena->Room(kReadRoom, &room);
  const net::IoResult r = clear_->Read(to, room);
  if (r.kind == Kind::kAgain) return;
  if (r.kind == Kind::kBroken) {
    return Fail(base::Code::kClosed, std::string("did not begin: ") + std::strerror(r.error));
  }
  if (r.kind == Kind::kEnd) return GiveClear();  // its reader will see the end again
  unread_.Append(arena->Commit(static_cast<uint32_t>(r.bytes)));
  char first[2];
  const size_t n = unread_.CopyOut(0, first, sizeof first);
  if (first[0] != kHandshakeRecord || (n > 1 && first[1] != kMajorVersion)) return GiveClear();
  if (n < 2) return unread_.Compact();
  clear_->WatchRead(net::Transport::Watch::kOff);
  BeginTls(std::move(clear_));
}

void Accepting::OnTime() {
  if (clear_) return GiveClear();
  Fail(base::Code::kTimeout, "took longer than " + base::ShowMillis(timeout_));
}

void Accepting::GiveClear() {
  clear_->WatchRead(net::Transport::Watch::kOff);
  Finish(Accepted{std::move(clear_), false, std::move(unread_)});
}

void Accepting::Fail(base::Code code, const std::string& what) {
  std::unique_ptr<net::Transport> dead = std::move(clear_);
  if (tls_) dead = std::move(tls_);
  const std::string who = dead->peer().address.Show();
  dead->Close(false);
  loop_->DeleteLater(std::move(dead));
  Finish(base::Status(code, "the TLS handshake with " + who + " " + what));
}

// The last thing that is done: the callback may let go of this.
void Accepting::Finish(base::Result<Accepted> result) {
  timer_.Cancel();
  auto done = std::move(done_);
  done(std::move(result));
}

}  // namespace trestle::tls
