// ThriftSession: one backend connection that speaks framed Thrift, one call at a time.
//
// It puts a seqid of its own on the call, checks that the reply is the answer to it (seqid, name,
// type), and gives the reply with the caller's seqid. What is not such an answer fails the call and
// closes the connection; it never reaches a client.
//
// Lifetime: owned by its Pool. Threading: its worker's loop. Errors: told to the Pool with whether
// the call had left.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "backend/options.h"
#include "call/call.h"
#include "net/connection.h"
#include "thrift/frame.h"

namespace trestle::backend {

class ThriftSession;

// What a session tells its pool.
class SessionOwner {
 public:
  virtual ~SessionOwner() = default;
  // It may take the next call. Told before the caller gets the reply.
  virtual void OnIdle(ThriftSession* session) = 0;
  // The connection is closed; it has no call any more.
  virtual void OnDead(ThriftSession* session) = 0;
  // A call is over: a reply or a written oneway.
  virtual void OnSuccess() = 0;
  // The caller let go; `out_of_time`: the backend took too long.
  virtual void OnLetGo(bool out_of_time) = 0;
  // The call is lost here. `left`: some of its bytes were written. The owner ends it or sends it
  // elsewhere.
  virtual void OnLost(call::Call* call, call::Step step, const base::Status& why, bool left) = 0;
  // A late answer to a oneway was dropped.
  virtual void OnStrayAnswer() = 0;
};

class ThriftSession final : private net::Connection::Owner,
                            private net::TurnEnd,
                            private call::Holder {
 public:
  ThriftSession(net::EventLoop* loop, const Options& options, SessionOwner* owner,
                std::unique_ptr<net::Transport> transport);
  ~ThriftSession() override;
  void Start() {
    connection_.SetTimeouts(options_.read_timeout, options_.write_timeout);
    connection_.Start();
  }

  // Sends `call`; only when idle.
  void Send(call::Call* call);
  bool busy() const { return call_ != nullptr; }
  // The last call was a oneway: the backend may still be at work on it.
  bool after_oneway() const { return after_oneway_; }
  // Closes it; not while busy.
  void Close();

  base::TimePoint opened() const { return opened_; }
  base::TimePoint idle_since() const { return idle_since_; }
  uint64_t sent_bytes() const { return connection_.sent(); }
  uint64_t received_bytes() const { return connection_.received(); }
  uint64_t counted_sent = 0, counted_received = 0;  // by the pool, in its metrics
  size_t position = 0;                              // in the pool's list of idle ones

 private:
  void OnBytes(base::Buffer* in) override;
  void OnEnd() override;
  void OnGone(const base::Status& why) override;
  void OnFlushed() override { OnTurnEnd(); }
  void OnTurnEnd() override;
  void OnCancel(call::Call* call) override;

  // Handles one frame; false when the connection is done with.
  bool OnFrame(base::Buffer frame, bool last);
  // Why `envelope` cannot be the reply to call_; nullptr when it can.
  const char* Refuse(const thrift::Envelope& envelope) const;
  bool IsOneway(int32_t seqid) const;
  void OnAttemptOver();
  void Lose(call::Step step, const base::Status& why);
  void Die();
  std::string Where() const { return connection_.peer().address.Show(); }

  net::EventLoop* loop_;
  const Options& options_;
  SessionOwner* owner_;
  net::Connection connection_;
  thrift::FrameDecoder frames_;
  call::Call* call_ = nullptr;
  std::string name_;  // as it was sent
  thrift::Protocol protocol_ = thrift::Protocol::kBinary;
  int32_t seqid_ = 0;
  uint64_t position_ = 0;  // of the call in what was queued
  bool dead_ = false;
  bool after_oneway_ = false;
  // seqids of the last oneways: an answer to one is dropped.
  std::array<int32_t, 8> oneways_{};
  uint32_t oneway_count_ = 0;
  base::TimePoint opened_, idle_since_;
  net::Timer timer_;
};

}  // namespace trestle::backend
