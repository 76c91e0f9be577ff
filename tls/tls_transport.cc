#include "tls/tls_transport.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "tls/pem.h"
#include "tls/reason.h"
#include "tls/stream.h"

namespace trestle::tls {

using Kind = net::IoResult::Kind;

std::unique_ptr<TlsTransport> TlsTransport::Server(net::EventLoop* loop,
                                                   std::unique_ptr<net::Transport> inner,
                                                   std::shared_ptr<const ServerContext> context,
                                                   base::Buffer unread) {
  std::unique_ptr<TlsTransport> out(
      new TlsTransport(loop, std::move(inner), true, std::move(unread)));
  out->server_context_ = std::move(context);
  out->Begin(SSL_new(out->server_context_->first()));
  return out;
}

std::unique_ptr<TlsTransport> TlsTransport::Client(net::EventLoop* loop,
                                                   std::unique_ptr<net::Transport> inner,
                                                   std::shared_ptr<const ClientContext> context,
                                                   ClientSessions* sessions, base::Buffer unread) {
  std::unique_ptr<TlsTransport> out(
      new TlsTransport(loop, std::move(inner), false, std::move(unread)));
  if (sessions) {
    out->place_ = std::make_unique<ClientSessions::Place>(
        ClientSessions::Place{sessions, ClientSessions::Key(out->peer_.address, *context)});
  }
  out->client_context_ = std::move(context);
  out->Begin(SSL_new(out->client_context_->context()));
  return out;
}

TlsTransport::TlsTransport(net::EventLoop* loop, std::unique_ptr<net::Transport> inner, bool server,
                           base::Buffer unread)
    : loop_(loop),
      inner_(std::move(inner)),
      server_(server),
      unread_(std::move(unread)),
      peer_{inner_->peer().address, {}} {
  inner_->Attach(this);
}

TlsTransport::~TlsTransport() { Close(false); }

void TlsTransport::Begin(ssl_st* ssl) {
  ssl_ = ssl;
  BIO* stream = Stream::New(this);
  if (!ssl || !stream) {
    BIO_free(stream);
    return Fail(ENOMEM, "no memory for a TLS connection");
  }
  SSL_set_bio(ssl, stream, stream);
  SSL_set_app_data(ssl, this);
  SSL_set_verify(ssl, SSL_get_verify_mode(ssl), &TlsTransport::OnVerify);
  if (server_) {
    SSL_set_accept_state(ssl);
  } else {
    SSL_set_connect_state(ssl);
    if (!client_context_->Prepare(ssl)) {
      return Fail(EINVAL, "there is no name to verify the server's certificate by");
    }
    if (place_) ClientSessions::Begin(ssl, place_.get());
  }
  Step();
}

// --- the handshake ---

void TlsTransport::Step() {
  // Once more after a write that failed: the peer may have said why.
  for (bool again = true; again && state_ == State::kHandshake; again = write_error_ != 0) {
    const bool broke = write_error_ != 0;
    drained_ = false;
    pulled_ = 0;
    wanted_ = kRecord;
    ERR_clear_error();
    const int r = SSL_do_handshake(ssl_);
    KeepUnread();
    if (r == 1) {
      OnOpen();
    } else if (const int e = SSL_get_error(ssl_, r);
               e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE) {
      FailFrom(r);
    } else if (broke) {
      Fail(write_error_, "the connection broke in the middle of the handshake: " +
                             std::string(std::strerror(write_error_)));
    }
    Flush();
  }
}

void TlsTransport::OnOpen() {
  X509* certificate = SSL_get0_peer_certificate(ssl_);
  const bool verifies = (SSL_get_verify_mode(ssl_) & SSL_VERIFY_PEER) != 0;
  // A session that is resumed shows no certificate again.
  if (certificate && verifies && resumed() && HasExpired(certificate)) {
    return Fail(EPROTO, "certificate expired on " + ShowTime(X509_get0_notAfter(certificate)));
  }
  state_ = State::kOpen;
  peer_.secure = true;
  why_.clear();  // what was said of a certificate that nobody minds
  SSL_free_buffers(ssl_);
  const bool verified = verifies && SSL_get_verify_result(ssl_) == X509_V_OK;
  if (certificate && verified) peer_.identity = Identity(certificate);
  // OpenSSL tells of no session that replaces one that was resumed, before TLS 1.3.
  if (place_ && resumed() && SSL_version(ssl_) < TLS1_3_VERSION) {
    ClientSessions::OnNew(ssl_, SSL_get_session(ssl_));
  }
  if (shut_) SayEnd();
  TellSoon();
}

int TlsTransport::OnVerify(int ok, x509_store_ctx_st* store) {
  if (ok) return ok;
  auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* self = static_cast<TlsTransport*>(SSL_get_app_data(ssl));
  self->why_ =
      WhyUnverified(store, self->client_context_ ? self->client_context_->name() : std::string());
  return ok;
}

// --- failures ---

void TlsTransport::FailFrom(int result) {
  const bool done = state_ != State::kHandshake;
  if (SSL_get_error(ssl_, result) == SSL_ERROR_SYSCALL && inner_error_ != 0) {
    const std::string error = std::strerror(inner_error_);
    return Fail(inner_error_,
                done ? error : "the connection broke in the middle of the handshake: " + error);
  }
  if (!done && inner_end_ && first_count_ == 0) {
    return Fail(ECONNRESET, "the peer closed the connection before the handshake");
  }
  const std::string_view first(reinterpret_cast<const char*>(first_.data()), first_count_);
  Fail(inner_end_ ? ECONNRESET : EPROTO, WhyBroken(first, done));
}

void TlsTransport::Fail(int error, std::string why) {
  if (state_ == State::kHandshake && place_) place_->sessions->Drop(place_->key);
  state_ = State::kFailed;
  error_ = error;
  if (why_.empty()) why_ = std::move(why);  // what was said of a certificate is better
  TellSoon();
}

// --- events ---

void TlsTransport::TellSoon() {
  tell_ = true;
  loop_->AtTurnEnd(this);
}

void TlsTransport::Attach(net::Transport::Events* events) {
  events_ = events;
  buffered_only_ = false;  // what another one was told, and did not read
}

void TlsTransport::WatchRead(Watch watch) {
  watch_ = watch;
  if (state_ == State::kClosed) return;
  ApplyWatch();
  const bool failed = state_ == State::kFailed;
  const bool here = more_ || ended_ || (open() && !unread_.empty());
  if ((watch == Watch::kRead && (failed || here)) || (watch == Watch::kHangup && failed)) {
    TellSoon();
  }
}

void TlsTransport::WatchWrite(bool on) {
  want_write_ = on;
  if (state_ == State::kFailed && on) TellSoon();
  ApplyWatch();
}

void TlsTransport::ApplyWatch() {
  if (state_ == State::kClosed) return;
  const bool failed = state_ == State::kFailed;
  const bool write = !failed && (blocked_ || (want_write_ && open() && !write_waits_));
  Watch read = watch_;
  if (failed) read = Watch::kOff;
  if (handshaking() || (open() && write_waits_)) read = Watch::kRead;
  // A transport may not be able to watch for both.
  if (write && read == Watch::kHangup) read = Watch::kOff;
  if (write != inner_write_) inner_->WatchWrite(write);
  inner_write_ = write;
  if (read != inner_watch_) inner_->WatchRead(read);
  inner_watch_ = read;
}

// Whatever an owner is told comes last: it may destroy this.

void TlsTransport::OnReadable() {
  buffered_only_ = false;
  if (handshaking()) return Step();
  if (std::exchange(write_waits_, false)) {
    if (watch_ != Watch::kRead) Readable();  // TLS reads its own; what is the owner's waits for him
    ApplyWatch();
  }
  if (watch_ == Watch::kRead && events_) events_->OnReadable();
}

void TlsTransport::OnWritable() {
  blocked_ = false;
  Flush();
  if (want_write_ && !handshaking() && events_) events_->OnWritable();
}

void TlsTransport::OnHangup() {
  if (events_) events_->OnHangup();
}

void TlsTransport::OnEndAhead() {
  if (events_) events_->OnEndAhead();
}

void TlsTransport::OnTurnEnd() {
  if (!events_ || state_ == State::kClosed) return;
  const bool tell = std::exchange(tell_, false);
  if (watch_ == Watch::kRead && (tell || more_)) {
    // Not more than is here: other connections have their turn first.
    buffered_only_ = open();
    return events_->OnReadable();
  }
  if (state_ != State::kFailed) return;
  if (watch_ == Watch::kHangup) return events_->OnHangup();
  if (want_write_) events_->OnWritable();
}

// --- ends ---

void TlsTransport::ShutdownWrite() {
  if (shut_ || state_ == State::kClosed) return;
  shut_ = true;
  if (open()) {
    SayEnd();
    Flush();
  } else if (state_ == State::kFailed) {
    inner_->ShutdownWrite();
  }
}

void TlsTransport::SayEnd() {
  ERR_clear_error();
  SSL_shutdown(ssl_);
  shut_inner_ = true;
}

void TlsTransport::Close(bool reset) {
  if (state_ == State::kClosed) return;
  if (open() && !reset && !shut_ && !blocked_ && write_error_ == 0) {
    SayEnd();
    shut_inner_ = false;
    Flush();
  }
  state_ = State::kClosed;
  error_ = EBADF;
  inner_->Close(reset);
  SSL_free(ssl_);
  ssl_ = nullptr;
  unread_.Clear();
  pending_ = std::string();
}

bool TlsTransport::resumed() const { return ssl_ && SSL_session_reused(ssl_) == 1; }

std::string TlsTransport::version() const { return ssl_ ? SSL_get_version(ssl_) : ""; }

}  // namespace trestle::tls
