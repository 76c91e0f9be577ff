// How a mux session comes to TLS, or may not begin without.
#include <utility>

#include "server/mux_session.h"

namespace trestle::server {

// There is nothing to choose where TLS was there before the handshake.
mux::TlsLevel MuxSession::tls_level() const {
  return connection_.peer().secure ? mux::TlsLevel::kOff : options().mux_tls;
}

void MuxSession::ChooseTls(const mux::Frame& frame, mux::TlsLevel theirs) {
  const bool secure = connection_.peer().secure;
  switch (secure ? mux::TlsChoice::kClear : mux::ChooseTls(tls_level(), theirs)) {
    case mux::TlsChoice::kClear:
      return server_->mux().handshakes->Add();
    case mux::TlsChoice::kTls:
      if (server_->draining() || draining_ != Draining::kNo) {
        bad_ = true;  // it has nothing to lose yet, and goes where calls are welcome
        return;
      }
      state_ = State::kSecuring;
      return connection_.PauseReading();  // OnFlushed follows
    case mux::TlsChoice::kRefuse:
      SayError(frame.tag, mux::kNoTlsChoice);
      return Bad(theirs == mux::TlsLevel::kOff ? "it does not want TLS, which is required here"
                                               : "it insists on TLS, which is off here");
  }
}

bool MuxSession::MayBegin(uint32_t tag) {
  const bool opens = state_ != State::kOpen;
  state_ = State::kOpen;
  if (!opens || tls_level() != mux::TlsLevel::kRequired) return true;
  SayError(tag, mux::kNoTlsChoice);
  Bad("it began without a handshake, in clear text, where TLS is required");
  return false;
}

void MuxSession::GoOverToTls() {
  removed_ = true;
  timer_.Cancel();
  server_->mux().open->Add(-1);
  base::Buffer unread;
  auto transport = connection_.Release(&unread);
  Server* server = server_;
  server->Forget(this);  // it is destroyed with the turn
  server->Secure(std::move(transport), std::move(unread), splitter_.piece());
}

void MuxSession::GoOn(uint32_t piece) {
  state_ = State::kOpen;
  splitter_.set_piece(piece);
  server_->mux().handshakes->Add();
}

}  // namespace trestle::server
