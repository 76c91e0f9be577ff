// Connection: the bytes of one peer: what was read and not yet used, what is still to be written,
// and how the stream ends.
//
// What one turn of the loop writes goes out together at its end, in as few system calls as the
// bytes allow. Reading goes into the loop's arena, so an idle Connection holds no memory for it.
//
// Lifetime: owned by a session; it must not be destroyed inside one of its own callbacks (use
// EventLoop::DeleteLater). Threading: its loop's. Errors: OnGone tells why, once, as the last call;
// after Close() nothing is called any more.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/buffer.h"
#include "base/status.h"
#include "net/event_loop.h"
#include "net/transport.h"

namespace trestle::net {

class Connection final : private Transport::Events, private TurnEnd {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // `in` has everything not used so far; takes from its front what it can use.
    virtual void OnBytes(base::Buffer* in) = 0;
    // The peer will send no more; it may still read.
    virtual void OnEnd() = 0;
    // While reading is paused: the peer has sent its end, though not all before it was read. Once;
    // OnEnd follows when it was.
    virtual void OnEndAhead() {}
    // A write failed: whether what the peer sent before is still of use. OnBytes then has it before
    // OnGone.
    virtual bool ReadsRest() { return false; }
    // The stream is broken: a reset, or a failed write.
    virtual void OnGone(const base::Status& why) = 0;
    // All output has been handed to the system, after it had to wait or while reading was paused.
    virtual void OnFlushed() {}
    // The close that CloseAfterWrites asked for is done.
    virtual void OnClosed() {}
  };

  Connection(EventLoop* loop, std::unique_ptr<Transport> transport, Owner* owner);
  ~Connection() override;

  // Begins to read. `unread`: what was read of the stream before; it is offered first, at the end
  // of this turn.
  void Start(base::Buffer unread = {});
  // The connection breaks (OnGone, kTimeout) when nothing came, or nothing of what waits could be
  // sent, for so long from now. None: never. Not from within one of its own callbacks.
  void SetTimeouts(std::optional<base::Duration> read, std::optional<base::Duration> write);
  // Queues `bytes` for the end of the turn; dropped once our end was said.
  void Write(base::Buffer&& bytes);
  // Stops and goes on reading; bytes already here stay. ResumeReading offers them again.
  void PauseReading();
  void ResumeReading();
  bool paused() const { return paused_; }
  // Writes the output, says that no more comes, and closes when the peer has ended too: bytes that
  // are still on their way here must not turn the end into a reset, which would take the last
  // replies with it. What is read meanwhile is dropped. The owner bounds the wait by Close().
  void CloseAfterWrites();
  // Gives the stream away, to go on with it elsewhere; `unread` gets what was read and not used.
  // All that was written must have left. It is closed from here on, and has no peer() any more.
  std::unique_ptr<Transport> Release(base::Buffer* unread);
  // Closes at once; `reset` tells the peer that it was no orderly end.
  void Close(bool reset = false);
  bool closed() const { return closed_; }
  bool ended() const { return ended_; }
  // In OnBytes: the end is known to come behind these bytes.
  bool end_ahead() const { return broken_ || transport_->end_ahead(); }
  // True from CloseAfterWrites on.
  bool closing() const { return closing_; }

  // Output waits for the system; OnFlushed follows. If not, it leaves at the end of the turn.
  bool blocked() const { return blocked_; }
  size_t unsent() const { return out_.size(); }
  size_t unread() const { return in_.size(); }
  // Bytes ever queued, and ever taken by the system: a message queued at position p has not left
  // while sent() <= p.
  uint64_t queued() const { return sent_ + out_.size(); }
  uint64_t sent() const { return sent_; }
  uint64_t received() const { return received_; }
  const Peer& peer() const { return transport_->peer(); }
  Transport* transport() { return transport_.get(); }
  EventLoop* loop() { return loop_; }

 private:
  void OnReadable() override;
  void OnWritable() override;
  void OnHangup() override;
  void OnEndAhead() override;
  void OnTurnEnd() override;
  void Flush();
  void OnWriteBroken(int error);
  void OnBlocked();
  void WatchForHangup();
  void LastWritten();
  void Gone(base::Code code, int error);
  void OnTime();
  void Offer();
  void OfferFirst();

  EventLoop* loop_;
  std::unique_ptr<Transport> transport_;
  Owner* owner_;
  base::Buffer in_, out_;
  uint64_t sent_ = 0;
  uint64_t received_ = 0;
  bool offer_ = false;  // what was there at the start was not offered yet
  bool paused_ = false;
  bool ended_ = false;
  bool end_ahead_ = false;  // told
  bool closing_ = false;
  bool closed_ = false;
  bool shut_ = false;     // our end was said
  bool blocked_ = false;  // the system took less than it was given
  bool broken_ = false;   // a write failed
  std::optional<base::Duration> read_timeout_, write_timeout_;
  base::TimePoint last_read_{}, last_written_{};
  std::unique_ptr<Timer> timer_;  // only with a timeout
};

}  // namespace trestle::net
