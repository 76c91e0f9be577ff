// ThriftSession: one client connection that speaks Thrift: plain, upgraded to TTwitter, or with
// THeaders.
//
// Up to maxPipelined calls run at the same time; their replies go out in the order of the calls.
// A large message is handed on as it comes, in either direction; nothing else of its connection is
// read or written meanwhile. Bad bytes close the connection after the replies to the good calls
// before them, and so does a client that stands still in the middle of a message.
//
// Lifetime: owned by its Server; it removes itself. Threading: its worker's loop. Errors: told to
// the client as exceptions, or by closing.
#pragma once

#include <memory>
#include <string>

#include "call/call.h"
#include "net/connection.h"
#include "server/call_ring.h"
#include "server/message_reader.h"
#include "server/server.h"

namespace trestle::server {

class ThriftSession final : public Session,
                            private net::Connection::Owner,
                            private net::TurnEnd,
                            private call::Observer,
                            private call::BodySource,
                            private call::BodySink {
 public:
  ThriftSession(Server* server, std::unique_ptr<net::Transport> transport);
  ~ThriftSession() override;
  void Start(base::Buffer unread) override;
  void OnReconfigured() override;
  void OnMemory() override;
  void OnTight() override { WatchGaps(); }
  bool MidMessage() const override { return partial_ || body_rest_ > 0; }
  void Drain() override;
  void Abandon() override;

 private:
  enum class Input : uint8_t { kOpen, kEnded, kBad };

  void OnBytes(base::Buffer* in) override;
  void OnEnd() override;
  void OnEndAhead() override { OnHalfClosed(); }
  void OnGone(const base::Status& why) override;
  void OnFlushed() override;
  void OnClosed() override;
  void OnTurnEnd() override;
  void OnEnded(call::Call* call) override;
  void OnBound(call::Call* call) override;
  void OnReplyBegun(call::Call* call) override;
  void OnBodyRoom(call::Call* call) override;
  bool OnBody(call::Call* call, base::Buffer bytes) override;

  // --- bytes in ---
  // Whether more may be taken out of the bytes that are here, and whether more may be read.
  bool MayTake() const;
  bool MayRead() const;
  void ReadMessages(base::Buffer* in);
  void PassBody(base::Buffer* in);
  void Begin(std::unique_ptr<call::Call> call);
  void AnswerUpgrade(std::unique_ptr<call::Call> call);
  void CountUnbound(const call::Call* bound);
  void Bad(const std::string& why);
  void CutBody();
  // Nothing more can be made of what came.
  bool CutOff() const;
  void Pause();
  void HoldBack();
  void Resume();

  // --- replies out ---
  void Settle();
  void WriteReady();
  void WriteReply(call::Call* call);
  void StartReply(call::Call* call);
  void AskForBody();
  void BreakReply();
  bool MayKeep(const call::Call& call) const;
  void KeepForItsTurn(call::Call* call);
  void Count(const call::Call& call);

  // --- life ---
  void OnHalfClosed();
  void CloseIfDone();
  void Finish();
  void CancelAll();
  void OnTimer();
  void ArmTimer();
  void ArmBy(base::TimePoint at);
  void WatchGaps();
  bool CheckGaps();
  bool Receiving() const;
  bool Sending() const;
  void MarkSent();
  size_t BodyRoom() const;
  base::TimePoint Now() const { return server_->loop()->Now(); }

  Server* server_;
  net::Connection connection_;
  MessageReader reader_;
  CallRing calls_;
  Input input_ = Input::kOpen;
  bool draining_ = false;
  bool removed_ = false;
  bool in_bytes_ = false;    // inside OnBytes: replies are written when it is done
  bool writing_ = false;     // inside WriteReady
  bool partial_ = false;     // the unread bytes are known to be no whole message
  bool body_room_ = false;   // the sink of the request's body takes more
  bool wants_body_ = false;  // the source of the reply's body is to be told when there is room
  bool asked_again_ = false;
  uint32_t unbound_ = 0;  // calls whose name is not bound yet, at most
  uint64_t served_ = 0;
  size_t waiting_bytes_ = 0;  // replies that wait for their turn
  // A large request: what is still to come of it, and its call unless that has ended. Always the
  // last one.
  uint64_t body_rest_ = 0;
  call::Call* body_call_ = nullptr;
  // The first call, when its reply has begun to go out; and its bytes so far.
  call::Call* replying_ = nullptr;
  uint64_t reply_bytes_ = 0;
  uint64_t marked_ = 0;         // what the system had taken at marked_at_
  uint64_t marked_unsent_ = 0;  // and what waited then
  base::TimePoint opened_, last_used_, moved_, marked_at_{}, half_closed_{};
  base::TimePoint close_at_{};  // closing, or draining with half a message: not waited for longer
  net::Timer timer_;            // for the earliest of all times, or for an earlier one
};

}  // namespace trestle::server
