// ThriftSession: one backend connection that speaks Thrift, framed or not, plain, upgraded to
// TTwitter or with THeaders. It carries one call at a time, or as many as its pool allows.
//
// It puts a seqid of its own on each call, checks that a reply is the answer to one of them (seqid,
// name, type), and gives the reply with the caller's seqid and envelope. What is no such answer
// loses the connection with all its calls; it never reaches a client.
//
// A call that is let go of while others are in flight leaves its place behind (InFlight): its late
// reply is dropped. When nobody is left who waits, the connection is closed. A message that is not
// held whole (call/body.h), request or reply, has the connection for itself until it is through.
//
// Between a framed and an unframed side a frame has to hold exactly one message: what is behind it,
// or missing from it, would become part of the next one. A request that does not is not written, a
// reply that does not is bad. Where both are framed nobody looks into them.
//
// Lifetime: owned by its Pool. Threading: its worker's loop. Errors: told to the Pool with whether
// the call had left.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/in_flight.h"
#include "backend/options.h"
#include "backend/refused.h"
#include "backend/reply_reader.h"
#include "backend/session.h"
#include "backend/spoken.h"
#include "call/call.h"
#include "call/crossing.h"
#include "net/connection.h"
#include "thrift/one_message.h"

namespace trestle::backend {

class ThriftSession final : public Session,
                            private net::Connection::Owner,
                            private net::TurnEnd,
                            private call::Holder,
                            private call::BodySource,
                            private call::BodySink {
 public:
  ThriftSession(net::EventLoop* loop, const Options& options, SessionOwner* owner,
                std::unique_ptr<net::Transport> transport, const Spoken& spoken);
  ~ThriftSession() override;
  void Start() override;

  // A call whose request is not held whole has the connection for itself.
  void Send(call::Call* call) override;
  bool busy() const override { return !in_flight_.empty(); }
  bool HasRoom() const override { return !dead_ && !alone_ && !ending_ && !in_flight_.full(); }
  bool Speaks(const call::Call& call) const override;
  bool Stirs() override { return connection_.transport()->Readable(); }
  void Close() override { Die(); }
  size_t load() const override { return in_flight_.size(); }
  uint64_t sent_bytes() const override { return connection_.sent(); }
  uint64_t received_bytes() const override { return connection_.received(); }

 private:
  using Entry = InFlight::Entry;

  void OnBytes(base::Buffer* in) override;
  void OnEnd() override;
  bool ReadsRest() override { return true; }
  void OnGone(const base::Status& why) override { Lose(call::Step::kReply, why); }
  void OnFlushed() override { OnTurnEnd(); }
  void OnTurnEnd() override;
  void OnCancel(call::Call* call) override;
  // The next byte of `call`, there or back, is the backend's to take or to send.
  bool IsBackendsTurn(const call::Call& call) const;

  void Written(Entry* entry);
  void HoldLess();
  // Handles one reply; false when the rest of the bytes is not to be read now.
  bool OnReply(Reply* reply, bool last);
  call::Onward OnwardAs(const call::Call& call, int32_t seqid) const;
  // Why a frame is not exactly one message where that counts; nullptr when it is, as far as it
  // came.
  const char* CheckRequest(call::Call* call);
  const char* CheckReply(const call::Call& call, Reply* reply);
  void LoseBad(const char* why);
  void LoseUnread();
  // The call that a reply with this envelope must be for; nullptr when there is none.
  Entry* Match(const thrift::Envelope& envelope);
  // An Apache server's complaint about a THeader that it could not read.
  bool IsAboutHeader(const thrift::Envelope& envelope) const;
  // Why `envelope` cannot be the reply to `entry`; nullptr when it can.
  const char* Refuse(const Entry* entry, const thrift::Envelope& envelope) const;
  bool IsOneway(int32_t seqid) const;
  void DropStray(Entry* entry);
  void OnMidReply(const base::Buffer& in);
  // A call is over, the connection goes on; `clean`: nothing came that belongs to no call.
  void Settle(bool clean);
  // It carries nothing but calls that were let go of.
  bool Deserted() const { return in_flight_.live() == 0 && !in_flight_.empty(); }
  void Lose(call::Step step, const base::Status& why);
  // The connection is at no fault: its calls fail, and nobody is blamed.
  void FailAll(const base::Status& why);
  // The call is this session's no more.
  void Release(call::Call* call);
  void Die();
  std::string Where() const { return connection_.peer().address.Show(); }

  // --- time (thrift_session_time.cc) ---
  void OnTimer();
  void ArmTimer();
  std::optional<base::TimePoint> NextTime();
  void CheckAttempts();
  void CheckBody();
  // Its client still gets the replies before, and reading stopped for that. They may wait for this
  // very connection, so that has an end.
  bool AwaitsTurn() const {
    return downloading_ && !downloading_->reply_body.sink && connection_.paused();
  }
  // A request that is not held whole is not written whole.
  bool Sending() { return uploading_ || (alone_ && in_flight_.unwritten()); }
  void NoteSent();
  base::Status AttemptOver(const char* what) const;

  // --- messages that are not held whole (thrift_session_body.cc) ---
  void OnBodyRoom(call::Call* call) override;
  bool OnBody(call::Call* call, base::Buffer bytes) override;
  void AskForBody();
  bool MayHoldLess();
  bool BeginReply(Entry* entry, Reply* reply);
  bool HandOn(base::Buffer* in);
  void EndReply(bool last);

  net::EventLoop* loop_;
  const Options& options_;
  SessionOwner* owner_;
  Spoken spoken_;
  net::Connection connection_;
  ReplyReader replies_;
  InFlight in_flight_;
  Refused refused_;
  // Of messages that are not held whole.
  std::unique_ptr<thrift::OneMessage> request_check_, reply_check_;
  bool dead_ = false;
  bool ending_ = false;                // the backend's end is known to come
  bool stuck_ = false;                 // calls wait to be written since an earlier turn
  bool alone_ = false;                 // a message that is not held whole is on its way
  bool uploading_ = false;             // of the only call: its request is not whole
  bool body_waits_ = false;            // its source waits to be told of room
  bool reply_room_ = false;            // the sink of downloading_ takes more
  call::Call* downloading_ = nullptr;  // its reply is not whole
  base::TimePoint begun_{};            // when the reply of downloading_ began
  base::TimePoint moved_{};            // when a byte of a body was moved
  uint64_t moved_sent_ = 0;            // of all that was sent, as it was seen last
  // seqids of the last oneways, from the first on: an answer to one is dropped.
  std::vector<int32_t> oneways_;
  uint32_t oneway_count_ = 0;
  net::Timer timer_;  // never later than the next thing that is due, perhaps earlier
};

}  // namespace trestle::backend
