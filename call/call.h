// Call: one request of a client on its way to a backend, and its one Reply.
//
// A server session makes it, the router names it, a backend session answers it. Exactly one of
// Reply(), Fail() and OnewayDone() ends it; or Cancel(), when its client is gone.
//
// A message larger than streamThresholdBytes is not held whole: `request` (and `reply`) then have
// its first bytes only, with the whole length in front, and `request_body` (`reply_body`) is the
// way of the rest.
//
// Lifetime: owned by the server session that made it until it was ended; whoever works on it in
// between is its Holder and lets go when told OnCancel. Threading: one worker's loop. Errors: a
// Failure carries the step that made it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/status.h"
#include "call/body.h"
#include "call/headers.h"
#include "net/event_loop.h"
#include "thrift/message.h"

namespace trestle::call {

class Call;

// The step of a call's way that failed.
enum class Step : uint8_t { kIdentify, kBind, kBalance, kConnect, kDispatch, kReply };
const char* StepName(Step step);  // "identify", "bind", …

// How a call ended.
enum class End : uint8_t {
  kOpen,       // not yet
  kReplied,    // with a backend's reply
  kFailed,     // with an error of the router's own
  kOneway,     // oneway: written
  kCancelled,  // the client is gone
};

// Whoever has the call in hand at the moment: a queue for a name, a pool, a backend session.
class Holder {
 public:
  virtual ~Holder() = default;
  // The client is gone, or the call ran out of time: forget the call now.
  virtual void OnCancel(Call* call) = 0;
};

// Who hears what becomes of a call.
class Observer {
 public:
  virtual ~Observer() = default;
  // Once, by the first End that is not kOpen.
  virtual void OnEnded(Call* call) = 0;
  // Its name is bound now; it had to wait for that.
  virtual void OnBound(Call*) {}
  // BeginReply was called; the rest of the reply comes when `reply_body` has a sink.
  virtual void OnReplyBegun(Call*) {}
};

// Calls that wait for something, in order; a call is in at most one.
class Queue;

class Call {
 public:
  Call() = default;
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // --- the request, as the server session read it ---
  // The frame: `length:4 message`, whatever the framing of the client, and without a TTwitter
  // header. Given up once it was written, unless the call may be sent again.
  base::Buffer request;
  Body request_body;        // what of the request is not in `request`
  bool streamed = false;    // the request was not held whole: once it left, it cannot be sent again
  bool idempotent = false;  // may be sent again after it was written
  // Its client is unframed: the request was walked over to its last byte, and a framed reply has to
  // be, as the client will find its end in no other way.
  bool walked = false;
  thrift::Protocol protocol = thrift::Protocol::kBinary;
  thrift::Envelope envelope;  // of the message in `request`; its name is `method`
  std::string method;         // the message name: "userService:addUser"; outlives `request`
  bool oneway() const { return envelope.type == thrift::MessageType::kOneway; }
  // A mux backend answers every call. Only of one that is known to be a oneway nobody waits for it.
  bool mux_oneway() const { return oneway() && !opaque; }
  // The payload of a mux call that may be anything: `request` is `length:4 payload`, and so is the
  // reply. If it looks like a Thrift call, `envelope` is that; else its size is 0.
  bool opaque = false;
  // What `header` points into, as the client wrote it in `header_form`: `length:4 RequestHeader`;
  // all of a THeader from its magic to its payload; what stands before the payload of a dispatch.
  // Kept after the naming only when a backend may want it, and no longer than `request`.
  base::Buffer header_bytes;
  HeaderForm header_form = HeaderForm::kNone;
  MaybeHeaders header;         // what the client sent beside, until the call is named
  bool with_header = false;    // it came with a header (TTwitter, THeader), so its reply has one
  uint16_t theader_flags = 0;  // of that THeader: its reply's has the same
  // What goes on beside it; set when it is named.
  std::optional<base::Deadline> deadline;  // the caller's, lowered by the router's total time
  uint32_t hops = 0;  // routers that it went through, this one too once it is named; 0: not said
  // What its client said beside it counts for nothing, but for the routers that it went through:
  // without them two that clear contexts would send a call to each other for ever. `keep_dest`, of
  // a dispatch: the destination stays, too.
  void ClearContext(bool keep_dest);
  // Before it is named: of the dtab that its client sent there is only this, as one text.
  void KeepOfDtab(std::string left);
  std::optional<std::string> dtab_left;
  // Once it is named: forgets the header's bytes.
  void DropHeader() {
    header.reset();
    header_bytes.Clear();
  }
  // It waits for long: what was read must not pin read memory meanwhile.
  void Compact() {
    request.Compact();
    header_bytes.Compact();
  }
  // It is not sent again: forgets what was read.
  void ForgetBytes() {
    request.Clear();
    header_bytes.Clear();
  }
  std::string dest;  // what is left of the name behind the concrete one: "/extra"; may be empty
  const std::string* default_dest = nullptr;  // the server's `dest`; outlives the call
  // Its client's, by a certificate that was verified; outlives the call. Null: not known.
  const std::string* identity = nullptr;
  base::TimePoint start{};

  // --- the names, once known; they outlive the call ---
  const std::string* logical = nullptr;   // "/thrift/userService/addUser"
  const std::string* concrete = nullptr;  // "/#/io.l5d.fs/users"

  // --- the end ---
  // `frame`: `length:4 message`, with the caller's seqid.
  void Reply(base::Buffer frame, thrift::ReplyKind kind);
  // The first bytes of a reply that is not held whole: `reply_body` has its rest and source. The
  // call stays open; its Holder goes on to hold it, hands the body on and calls EndReply, or Fail
  // if it breaks off.
  void BeginReply(base::Buffer head, thrift::ReplyKind kind, uint64_t rest, BodySource* source);
  void EndReply() { EndWith(End::kReplied); }
  bool reply_begun() const { return reply_begun_; }
  // A mux backend answers with an error below Thrift: `payload` is its text. It goes to a mux
  // client as it came; the call of any other fails with it.
  void ReplyError(base::Buffer payload);
  void Fail(Step at, const base::Status& status);
  // In OnEnded, by the sink: there is no memory to keep the reply, so it becomes a failure.
  void Withdraw(const base::Status& status);
  void OnewayDone();
  // Ends the call without an answer; its Holder lets go.
  void Cancel();
  // Takes it from its Holder and fails it where it stands: its whole time is over, or (kRefused)
  // the router has no memory for its rest.
  void TimeOut(const base::Status& status);

  End end() const { return end_; }
  bool ended() const { return end_ != End::kOpen; }
  base::Buffer reply;           // kReplied, or begun; the server session takes it
  bool reply_is_error = false;  // kReplied by ReplyError: `reply` is a text without a length
  // What the backend sent beside, in `reply_form`: a ResponseHeader; all of a THeader from its
  // magic to its payload; what stands before the payload of a dispatch. Empty: nothing of interest.
  base::Buffer reply_header_bytes;
  HeaderForm reply_form = HeaderForm::kNone;
  Body reply_body;                                             // begun
  thrift::ReplyKind reply_kind = thrift::ReplyKind::kUnknown;  // kReplied
  Step failed_step = Step::kIdentify;                          // kFailed
  base::Code failed_code = base::Code::kOk;                    // kFailed
  std::string failure;  // kFailed: "trestle: bind: /thrift/users: …", one line

  // --- for who works on it ---
  Holder* holder = nullptr;
  Observer* sink = nullptr;      // the server session; told last
  Observer* observer = nullptr;  // the router; told first
  size_t waiting_bytes = 0;      // of a reply that waits for its turn; the server session's own
  uint32_t tag = 0;              // of a mux client's call; the server session's own
  uint32_t place = 0;            // on the connection that carries it; the backend session's own
  uint32_t request_bytes = 0;    // frame size, kept when `request` is gone
  Step step = Step::kIdentify;   // where it stands
  bool out_of_time = false;      // that its time is over is why its Holder lets go
  // The backend is to blame for that: how long a caller waits is the caller's own choice.
  bool backend_was_slow() const { return out_of_time && !timed_by_caller; }
  bool timed_by_caller = false;  // its time is that of the caller's deadline
  uint32_t attempts = 0;         // how often it was sent or tried to be
  static constexpr uint32_t kMaxAttempts = 8;
  uint64_t tried[kMaxAttempts] = {};  // numbers of endpoints that could not be reached for it
  uint32_t tried_count = 0;
  // The router's own: the bound name, the client, and the cells that count each and both together.
  void* name = nullptr;
  void* service = nullptr;
  void* client = nullptr;
  void* metrics = nullptr;
  std::unique_ptr<net::Timer> timer;  // of the whole call; made at the first use, kept
  base::TimePoint bind_deadline{};
  base::TimePoint attempt_start{};

  // Makes it as new, to be used again; keeps memory.
  void Reset();

 private:
  friend class Queue;
  void EndWith(End end);
  void SetFailure(Step at, const base::Status& status);
  End end_ = End::kOpen;
  bool reply_begun_ = false;
  Call* next_ = nullptr;
  Call* previous_ = nullptr;
  Queue* in_ = nullptr;
};

class Queue {
 public:
  Queue() = default;
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  ~Queue();
  bool empty() const { return first_ == nullptr; }
  uint32_t size() const { return size_; }
  Call* front() const { return first_; }
  // Who comes behind `call`, which is in here.
  Call* Next(const Call* call) const { return call->next_; }
  void Push(Call* call);
  Call* Pop();
  void Remove(Call* call);
  // Takes all calls out of `other`.
  void TakeAll(Queue* other);

 private:
  Call* first_ = nullptr;
  Call* last_ = nullptr;
  uint32_t size_ = 0;
};

// Where calls go: the router implements it, a server session calls it.
class Handler {
 public:
  virtual ~Handler() = default;
  // The call may end before this returns.
  virtual void Handle(Call* call) = 0;
};

// "addUser" of "userService:addUser": exactly two pieces; else the whole name.
std::string_view BareMethod(std::string_view message_name);

// Puts `seqid` into the message of `frame` (`length:4 message`, of which `frame` may have the first
// bytes only), whose envelope is given. In binary the four bytes are overwritten; in compact the
// length of the envelope may change, so a new head is made in `arena` and the body stays where it
// is.
void PutSeqid(base::Buffer* frame, thrift::Protocol protocol, const thrift::Envelope& envelope,
              int32_t seqid, base::Arena* arena);
// Gives the message of `frame` the envelope `now` in place of `was`; `size` and places of `now`
// count for nothing.
void PutEnvelope(base::Buffer* frame, thrift::Protocol protocol, const thrift::Envelope& was,
                 const thrift::Envelope& now, base::Arena* arena);

}  // namespace trestle::call
