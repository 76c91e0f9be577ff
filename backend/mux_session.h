// MuxSession: one backend connection that speaks mux: many calls at a time, each under a tag of its
// own, answered in any order.
//
// A call goes out as one Tdispatch, or in pieces where the backend wants them small; between the
// pieces of a large one, others go. A call that is let go of is discarded with the backend, and its
// tag stays taken until the backend has answered; the connection lives. A reply that is no answer
// to its call loses that call alone; bytes that are no mux lose the connection with all its calls.
//
// Pings tell whether the backend is there at all. When it says Tdrain the session takes no new
// calls, finishes those it has, and ends. A Tlease says how long calls are welcome.
//
// Lifetime: owned by its Pool. Threading: its worker's loop. Errors: told to the Pool with whether
// the call had left.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backend/collecting.h"
#include "backend/mux_calls.h"
#include "backend/mux_metrics.h"
#include "backend/mux_reply.h"
#include "backend/opening.h"
#include "backend/options.h"
#include "backend/session.h"
#include "backend/spoken.h"
#include "mux/frame.h"
#include "mux/joiner.h"
#include "mux/splitter.h"
#include "net/connection.h"

namespace trestle::backend {

class MuxSession final : public Session,
                         private net::Connection::Owner,
                         private net::TurnEnd,
                         private MuxCalls::Owner,
                         private Collecting::Owner {
 public:
  MuxSession(net::EventLoop* loop, const Options& options, SessionOwner* owner, Opened opened,
             const Spoken& spoken, const MuxMetrics& metrics);
  ~MuxSession() override;
  void Start() override;

  // A call whose request is not held whole is collected first.
  void Send(call::Call* call) override;
  bool busy() const override { return calls_.live() > 0 || !collecting_.empty(); }
  bool HasRoom() const override { return !dead_ && !leaving_ && load() < places_; }
  size_t load() const override { return calls_.size() + collecting_.size(); }
  bool Speaks(const call::Call&) const override { return true; }
  bool Stirs() override { return connection_.transport()->Readable(); }
  void Close() override { Die(); }
  void OnOptions() override { ArmNext(); }
  uint64_t sent_bytes() const override { return connection_.sent(); }
  uint64_t received_bytes() const override { return connection_.received(); }

 private:
  using Entry = MuxCalls::Entry;
  using State = MuxCalls::State;
  static constexpr uint64_t kNever = MuxCalls::kNever;

  void OnBytes(base::Buffer* in) override;
  void OnEnd() override;
  void OnGone(const base::Status& why) override { Lose(call::Step::kReply, why); }
  void OnFlushed() override;
  void OnTurnEnd() override;
  void OnCancel(Entry* entry) override;
  void OnMore(Collecting* collecting) override;
  void OnCollectingCancelled(Collecting* collecting, call::Call* call) override;

  // --- requests ---
  void Dispatch(call::Call* call);
  // Writes pieces of what waits in the splitter, as long as little is unsent.
  void Pump();
  void WritePiece();
  void NoteWritten();
  void Written(Entry* entry);
  void AskForBodies();
  call::Call* TakeBack(Collecting* collecting);

  // --- the ends of calls ---
  // A call is over, and told so next.
  void OnCallOver();
  // The backend is done with the tag: it is free, unless its message is not all written.
  void Free(Entry* entry);
  // Nobody waits for the answer any more; the backend is told.
  void Abandon(Entry* entry, std::string_view why);
  void Cut(Entry* entry, std::string_view why);
  // The call fails, and nobody is blamed.
  void Refuse(Entry* entry, const base::Status& why);
  void LoseOne(call::Call* call, const std::string& why);
  void Lose(call::Step step, const base::Status& why);
  void LoseBad(const std::string& why);
  void Leave();
  void Die();
  // Of one that is leaving, when all is done.
  void DieIfDone();
  std::string Where() const { return connection_.peer().address.Show(); }

  // --- what the backend sends (mux_session_reply.cc) ---
  void OnFrame(mux::Frame* frame);
  void OnAnswer(mux::Frame* frame);
  void OnReply(Entry* entry, mux::Type type, base::Buffer body);
  void EndWith(call::Call* call, MuxReply reply);
  // To a oneway, or to a call that was let go of.
  void OnLateAnswer(Entry* entry, mux::Frame* frame);
  void OnTagFree(Entry* entry);
  // Puts pieces together; true when `frame` is whole.
  bool Join(Entry* entry, mux::Frame* frame);
  void DropPieces(uint32_t tag);
  bool Overfull() const;
  void RefuseLargest();
  void OnMidFrame(base::Buffer* in);
  // The rest of a message that is not wanted; false when more of it is to come.
  bool Skip(base::Buffer* in);

  // --- messages of the session (mux_session_control.cc) ---
  void Control(mux::Type type, uint32_t tag, std::string_view body = {});
  void Discard(uint32_t tag, std::string_view why);
  void OnRerr(const mux::Frame& frame);
  void OnRdiscarded(uint32_t tag);
  void OnTdrain(uint32_t tag);
  void SendRdrain();
  void ReturnUnsent();
  void OnTlease(base::Buffer body);
  void Ping();
  void OnPong();

  // --- time (mux_session_time.cc) ---
  void OnTimer();
  void ArmBy(base::TimePoint at);
  void ArmNext();
  void WatchStall();
  void CheckStall();
  void CheckPing();
  void CheckAttempts();
  void CheckOneways();
  void CheckBodies();
  base::Duration OnewayTime() const;

  net::EventLoop* loop_;
  const Options& options_;
  SessionOwner* owner_;
  Spoken spoken_;
  MuxTerms terms_;
  MuxMetrics metrics_;  // its own: it may outlive its pool until the end of the turn
  size_t places_;
  base::Buffer unread_;  // until it starts
  net::Connection connection_;
  mux::FrameDecoder frames_;
  mux::Joiner joiner_;
  mux::Splitter splitter_;
  MuxCalls calls_;
  std::vector<std::unique_ptr<Collecting>> collecting_;

  // Messages that are queued whole, in the order of their ends.
  struct Queued {
    uint64_t end;
    uint32_t tag;
  };
  std::deque<Queued> queued_;
  std::map<uint32_t, uint64_t> pieces_;  // bytes of replies that are not whole, by tag
  uint64_t skip_ = 0;                    // bytes that are dropped as they come
  uint32_t skip_tag_ = 0;                // of what is skipped; 0: none
  uint64_t control_ = 0;                 // bytes of answers to the backend that it has not taken

  bool dead_ = false;
  bool leaving_ = false;
  bool settle_ = false;             // a call was let go of in this turn
  bool again_ = false;              // the turn's end comes once more
  bool old_ = false;                // it knows Treq only
  bool known_ = false;              // it has answered a Tdispatch
  std::optional<uint32_t> rdrain_;  // the tag of a Tdrain that is to be answered

  bool pinging_ = false;
  uint64_t ping_ = 0;           // its number
  uint64_t ping_end_ = 0;       // its place in all that was queued
  base::TimePoint pinged_{};    // when the last one was sent
  base::TimePoint ping_due_{};  // the answer
  uint64_t ping_received_ = 0;  // of all that came, when it was looked at last
  std::vector<uint32_t> cut_;   // tags that wait for a ping's answer
  bool stalling_ = false;       // output waits
  base::TimePoint stalled_{};   // since when nothing of it was taken
  uint64_t stalled_at_ = 0;     // of all that was sent
  net::Timer timer_;            // never later than the next thing that is due, perhaps earlier
  net::Timer pump_;
};

}  // namespace trestle::backend
