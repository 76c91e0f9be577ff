// MuxSession: one client connection that speaks mux: many calls at the same time, each with its
// tag, answered as their replies come.
//
// The session starts with the handshake (Rerr probe, Tinit) or with its first call. A message that
// makes no sense is answered by Rerr, and the session goes on; bytes that are no mux close it, and
// so does a tag that is used twice. Its end is that of a client that vanished: calls are cancelled.
//
// More than mux.maxDispatches calls at a time are nacked. Replies that the client does not take
// count in maxConnectionBytes: past it no more is read. Messages are held until whole, in either
// direction.
//
// Where both want TLS, the session goes over to it behind its Rinit: the connection is given to the
// Server, and another MuxSession goes on with it.
//
// Lifetime: owned by its Server; it removes itself. Threading: its worker's loop. Errors: told to
// the client by the status of its call, by Rerr, or by closing.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "call/call.h"
#include "mux/frame.h"
#include "mux/joiner.h"
#include "mux/splitter.h"
#include "mux/tags.h"
#include "net/connection.h"
#include "server/dispatch_reader.h"
#include "server/server.h"
#include "server/session.h"

namespace trestle::server {

class MuxSession final : public Session,
                         private net::Connection::Owner,
                         private net::TurnEnd,
                         private call::Observer,
                         private call::BodySink {
 public:
  MuxSession(Server* server, std::unique_ptr<net::Transport> transport);
  ~MuxSession() override;
  // Before Start: the handshake was in clear text, and the client wants messages in pieces of this.
  void GoOn(uint32_t piece);
  void Start(base::Buffer unread) override;
  void OnReconfigured() override;
  void OnMemory() override { Resume(); }
  void OnTight() override { Watch(); }
  bool MidMessage() const override { return partial_ || HasPieces(); }
  void Drain() override;
  void Abandon() override;

 private:
  // A call of the session, by its tag.
  struct Dispatch {
    std::unique_ptr<call::Call> call;
    bool old = false;  // a Treq: it is answered by Rreq
  };

  void OnBytes(base::Buffer* in) override;
  void OnEnd() override;
  void OnEndAhead() override { Abandon(); }  // nobody waits for an answer any more
  void OnGone(const base::Status&) override { Abandon(); }
  void OnFlushed() override;
  void OnClosed() override { Abandon(); }
  void OnTurnEnd() override;
  void OnEnded(call::Call* call) override;
  void OnReplyBegun(call::Call* call) override;
  bool OnBody(call::Call* call, base::Buffer bytes) override;

  // --- messages in ---
  bool MayRead() const;
  void ReadFrames(base::Buffer* in);
  void OnFrame(mux::Frame* frame);
  void DropPiece(const mux::Frame& frame);
  // `joined`: it came in pieces.
  void OnWhole(mux::Frame* frame, bool joined);
  void OnInit(const mux::Frame& frame, std::string_view body);
  void ChooseTls(const mux::Frame& frame, mux::TlsLevel theirs);
  // What begins without a handshake, in clear text; false when that will not do.
  bool MayBegin(uint32_t tag);
  void GoOverToTls();
  void OnProbe(const mux::Frame& frame, std::string_view body);
  void OnDispatch(mux::Frame* frame, bool joined);
  void OnDiscarded(std::string_view body);
  void OnDuplicate(uint32_t tag);
  void Begin(call::Call* call);
  void Unexpected(const mux::Frame& frame);
  void Bad(const std::string& why);
  void Resume();

  // --- messages out ---
  void Say(mux::Type type, uint32_t tag, std::string_view body = {});
  void SayError(uint32_t tag, std::string_view why);
  void Answer(uint32_t tag, Dispatch* dispatch);
  void AnswerReply(uint32_t tag, Dispatch* dispatch);
  void AnswerFailure(uint32_t tag, const Dispatch& dispatch);
  void AnswerWith(uint32_t tag, bool old, mux::ReplyStatus status, std::string_view contexts,
                  base::Buffer payload);
  void Nack(uint32_t tag, bool old, bool with_flags);
  void Send(mux::Type type, uint32_t tag, base::Buffer body);
  void Pump();
  // Ends the call of `tag`, which is answered or needs no answer.
  void Finish(uint32_t tag);

  // --- life ---
  void CancelAll();
  void CloseIfDone();
  void CloseAfterWrites();
  void Watch();
  void ArmBy(base::TimePoint at);
  void ArmTimer();
  void OnTimer();
  bool Stalled();
  bool HasPieces() const { return !joiner_.empty() || !dropped_.empty(); }
  size_t Unsent() const { return connection_.unsent() + splitter_.bytes(); }
  base::TimePoint Now() const { return server_->loop()->Now(); }
  const Options& options() const { return server_->options(); }
  mux::TlsLevel tls_level() const;

  Server* server_;
  net::Connection connection_;
  mux::FrameDecoder frames_;
  mux::Joiner joiner_;
  std::set<uint32_t> dropped_;  // tags of messages in pieces that there is no room for
  mux::Splitter splitter_;
  mux::Tags<Dispatch> calls_;
  DispatchReader reader_;
  // Calls that ended while bytes are read: whoever ended them may not be through with them.
  std::vector<std::unique_ptr<call::Call>> ended_;
  // kSecuring: nothing is read, and when all is written it goes over to TLS.
  enum class State : uint8_t { kFresh, kProbed, kOpen, kSecuring } state_ = State::kFresh;
  enum class Draining : uint8_t { kNo, kAsked, kAgreed } draining_ = Draining::kNo;
  bool bad_ = false;  // nothing more is read: it closes after the calls in flight
  bool removed_ = false;
  bool over_ = false;      // its replies fill the memory: it is closed unless it takes them now
  bool in_bytes_ = false;  // inside OnBytes
  bool partial_ = false;   // the unread bytes are no whole message
  uint64_t served_ = 0;
  uint64_t marked_ = 0;  // what the system had taken at marked_at_
  base::TimePoint opened_, last_used_, moved_, marked_at_{}, close_at_{};
  net::Timer timer_;  // for the earliest of all times, or for an earlier one
};

}  // namespace trestle::server
