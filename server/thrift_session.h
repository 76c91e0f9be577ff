// ThriftSession: one client connection that speaks framed Thrift, plain or upgraded to TTwitter.
//
// Up to maxPipelined calls run at the same time; their replies go out in the order of the calls.
// Bad bytes close the connection after the replies to the good calls before them.
//
// Lifetime: owned by its Server; it removes itself. Threading: its worker's loop. Errors: told to
// the client as exceptions, or by closing.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "call/call.h"
#include "net/connection.h"
#include "server/server.h"
#include "thrift/frame.h"

namespace trestle::server {

class ThriftSession final : private net::Connection::Owner, private call::Observer {
 public:
  ThriftSession(Server* server, std::unique_ptr<net::Transport> transport);
  ~ThriftSession() override;
  void Start();
  // Serves what is in flight, then closes.
  void Drain();
  // Closes now; calls are cancelled.
  void Abandon();

 private:
  enum class Input { kOpen, kEnded, kBad };

  void OnBytes(base::Buffer* in) override;
  void OnEnd() override;
  void OnEndAhead() override { OnHalfClosed(); }
  void OnGone(const base::Status& why) override;
  void OnFlushed() override;
  void OnClosed() override;
  void OnEnded(call::Call* call) override;

  bool MayRead() const;
  void ReadFrames(base::Buffer* in);
  // Serves one frame; false when the connection's input is bad.
  bool OnFrame(base::Buffer frame);
  thrift::DecodeResult ReadHeader(base::Buffer* frame, call::Call* call);
  void Begin(std::unique_ptr<call::Call> call);
  void AnswerUpgrade(std::unique_ptr<call::Call> call);
  // Writes the replies whose turn has come.
  void WriteReady();
  void WriteReply(call::Call* call);
  void Count(const call::Call& call);
  void Bad(const std::string& why);
  void OnHalfClosed();
  void Resume();
  void CloseIfDone();
  void Finish();
  void CancelAll();
  void OnTimer();
  void ArmTimer();

  Server* server_;
  net::Connection connection_;
  thrift::FrameDecoder frames_;
  std::deque<std::unique_ptr<call::Call>> calls_;  // in the order of their arrival
  Input input_ = Input::kOpen;
  bool upgraded_ = false;
  bool draining_ = false;
  bool old_ = false;        // over its life time
  bool lingering_ = false;  // the rest of a last frame is waited for
  bool removed_ = false;
  bool in_bytes_ = false;  // inside OnBytes: replies are written when it is done
  uint64_t served_ = 0;
  size_t waiting_bytes_ = 0;  // replies that wait for their turn
  base::TimePoint opened_, last_used_, half_closed_{};
  net::Timer timer_;
};

}  // namespace trestle::server
