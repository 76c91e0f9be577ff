// Collecting: a call whose request is not whole yet, on its way to a session that wants it whole.
// It takes the rest as it comes; then the call is one like others, and may be sent again.
//
// Lifetime: of the session; destroyed only through EventLoop::DeleteLater. Threading: its worker's
// loop. Errors: told to its owner.
#pragma once

#include "base/clock.h"
#include "call/call.h"
#include "net/event_loop.h"

namespace trestle::backend {

class Collecting final : private call::Holder, private call::BodySink {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // More came; the call is still this one's.
    virtual void OnMore(Collecting* collecting) = 0;
    // The call is let go of; it is not this one's any more.
    virtual void OnCollectingCancelled(Collecting* collecting, call::Call* call) = 0;
  };

  Collecting(net::EventLoop* loop, call::Call* call, Owner* owner);
  ~Collecting() override;
  // Asks for the rest. Not from within the hand-over of the call.
  void Ask();
  bool asked() const { return asked_; }
  bool whole() const { return call_->request_body.whole(); }
  // Gives the call back with what is here of it.
  call::Call* GiveBack();
  base::TimePoint moved() const { return moved_; }  // when the last bytes came

 private:
  void OnCancel(call::Call* call) override;
  bool OnBody(call::Call* call, base::Buffer bytes) override;

  net::EventLoop* loop_;
  call::Call* call_;  // null: given back
  Owner* owner_;
  bool asked_ = false;
  base::TimePoint moved_;
};

}  // namespace trestle::backend
