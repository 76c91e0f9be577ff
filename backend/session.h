// Session: a connection to a backend, as a pool sees it: it can take calls, or not; it is busy, or
// idle; one day it is dead. What is spoken on it is its own affair.
//
// Lifetime: owned by its Pool. Threading: its worker's loop. Errors: told to its SessionOwner, with
// whether the call had left.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/clock.h"
#include "base/status.h"
#include "call/call.h"

namespace trestle::backend {

class Session;

// What a session tells its pool.
class SessionOwner {
 public:
  virtual ~SessionOwner() = default;
  // It may take another call, if it HasRoom. Told before the caller gets the reply.
  virtual void OnRoom(Session* session) = 0;
  // The connection is closed; it takes no call any more, and those it has are told of at once.
  virtual void OnDead(Session* session) = 0;
  // A call is over: a reply or a written oneway.
  virtual void OnSuccess() = 0;
  // The caller let go; `slow`: as the backend took too long.
  virtual void OnLetGo(bool slow) = 0;
  // The call is lost here. `left`: some of its bytes were written. `counts`: a failure of the
  // backend; a connection that is lost with many calls is one. The owner ends the call or sends it
  // elsewhere.
  virtual void OnLost(call::Call* call, call::Step step, const base::Status& why, bool left,
                      bool counts) = 0;
  // A late answer was dropped: to a oneway, or to a call that was let go of.
  virtual void OnStrayAnswer() = 0;

  // --- mux only ---
  // The backend would not take the call; nothing was done of it, and it may go elsewhere.
  virtual void OnNacked(call::Call* call, const base::Status& why) = 0;
  // It takes no more calls; it ends by itself when those that it has are over.
  virtual void OnLeaving(Session* session) = 0;
  // Of a session that is leaving: nothing of the call was sent, another connection is to carry it.
  virtual void OnReturned(call::Call* call) = 0;
  // Its lease_end() is another now.
  virtual void OnLease(Session* session) = 0;
};

class Session {
 public:
  virtual ~Session() = default;
  // Begins to read.
  virtual void Start() = 0;
  // Sends `call`; only when it HasRoom and Speaks that call's language.
  virtual void Send(call::Call* call) = 0;
  // It carries calls.
  virtual bool busy() const = 0;
  virtual bool HasRoom() const = 0;
  // How many calls it carries, some that were let go of included.
  virtual size_t load() const = 0;
  // Whether it can carry this call beside those it has.
  virtual bool Speaks(const call::Call& call) const = 0;
  // Of an idle connection: its end or bytes are here, though nobody was told yet. A system call.
  virtual bool Stirs() = 0;
  // Closes it; not while busy.
  virtual void Close() = 0;
  // The options are others now.
  virtual void OnOptions() {}
  virtual uint64_t sent_bytes() const = 0;
  virtual uint64_t received_bytes() const = 0;

  // The last call was a oneway: the backend may still be at work on it.
  bool after_oneway() const { return after_oneway_; }
  base::TimePoint opened() const { return opened_; }
  base::TimePoint idle_since() const { return idle_since_; }
  // From then on the backend would rather be left alone.
  base::TimePoint lease_end() const { return lease_end_; }

  // The pool's own.
  enum class Shelf : uint8_t { kNone, kIdle, kBusy };
  Shelf shelf = Shelf::kNone;  // where it stands among those that can take a call
  size_t position = 0;
  uint32_t generation = 0;
  bool leaving = false;                             // OnLeaving was told
  uint64_t counted_sent = 0, counted_received = 0;  // in its metrics

 protected:
  explicit Session(base::TimePoint now) : opened_(now), idle_since_(now) {}
  void set_idle_since(base::TimePoint at) { idle_since_ = at; }
  void set_after_oneway(bool is) { after_oneway_ = is; }
  void set_lease_end(base::TimePoint at) { lease_end_ = at; }

 private:
  bool after_oneway_ = false;
  base::TimePoint opened_, idle_since_;
  base::TimePoint lease_end_ = base::TimePoint::max();
};

}  // namespace trestle::backend
