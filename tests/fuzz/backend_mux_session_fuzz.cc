// A mux backend that answers anything: calls, oneways, payloads that are no Thrift and large
// requests on one connection; messages made of the input and its bare bytes as what the backend
// says, at any time, read by it or not. A call ends exactly once; what reaches its caller is a
// whole frame with the caller's seqid; memory is bounded; no tag is used again before it was
// answered.
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "backend/mux_session.h"
#include "base/clock.h"
#include "tests/support/memory_transport.h"
#include "tests/support/thrift_wire.h"

namespace trestle {
namespace {

using mux::Type;

constexpr int32_t kCallersSeqid = 0x12345678;
constexpr size_t kMaxCalls = 60;
constexpr size_t kMaxBytes = 1 << 20;
constexpr size_t kHuge = 300'000, kMaxHuge = 3;  // requests that wait in pieces

void Require(bool holds) {
  if (!holds) std::abort();
}

struct Owner final : backend::SessionOwner {
  void OnRoom(backend::Session*) override { Require(!dead); }
  void OnDead(backend::Session*) override { Require(!std::exchange(dead, true)); }
  void OnSuccess() override { told++; }
  void OnLetGo(bool) override { told++; }
  void OnLost(call::Call* call, call::Step step, const base::Status& why, bool, bool) override {
    told++;
    call->Fail(step, why);
  }
  void OnStrayAnswer() override {}
  void OnNacked(call::Call* call, const base::Status& why) override {
    told++;
    Require(!call->request.empty() && call->request_body.whole());
    call->Fail(call::Step::kDispatch, why);
  }
  void OnLeaving(backend::Session*) override { Require(!dead && !std::exchange(leaving, true)); }
  void OnReturned(call::Call* call) override {
    told++;
    Require(leaving && !call->holder && !call->request_body.sink);
    call->Fail(call::Step::kConnect, base::Status(base::Code::kUnavailable, "returned"));
  }
  void OnLease(backend::Session*) override { Require(!dead); }
  bool dead = false, leaving = false;
  size_t told = 0;  // of the ends of calls
};

// A call with its client, who gives a large request in pieces.
struct Asked final : call::Observer, call::BodySource {
  Asked(thrift::Protocol protocol, uint8_t bits) {
    const bool large = bits & 1, old_form = (bits & 8) && protocol == thrift::Protocol::kBinary;
    const auto type = bits & 2 ? thrift::MessageType::kOneway : thrift::MessageType::kCall;
    const std::string body((bits & 64) ? kHuge : (bits & 16) ? 3000 : 200, 'x');
    std::string message(thrift::EnvelopeSize(protocol, "svc:m", kCallersSeqid, old_form), '\0');
    thrift::EncodeEnvelope(protocol, type, "svc:m", kCallersSeqid, message.data(), old_form);
    const std::string frame = tests::Frame(message + body);
    call.protocol = protocol;
    call.method = "svc:m";
    thrift::DecodeEnvelope(protocol, std::string_view(frame).substr(4), &call.envelope);
    call.envelope.name = call.method;
    call.opaque = (bits & 4) != 0;
    call.walked = (bits & 32) != 0 && !call.opaque;
    const size_t head = large ? frame.size() - 150 : frame.size();
    call.request = base::Buffer::Copy(frame.substr(0, head));
    call.streamed = large;
    call.request_body = {frame.size() - head, this, nullptr};
    call.sink = this;
  }
  void OnEnded(call::Call*) override {
    Require(++ended == 1);
    if (call.end() != call::End::kReplied || call.reply_is_error) return;
    const std::string reply = call.reply.ToString();
    Require(reply.size() >= 4 && thrift::ReadU32(reply.data()) == reply.size() - 4);
    if (call.opaque) return;
    thrift::Envelope envelope;
    Require(thrift::DecodeEnvelope(call.protocol, std::string_view(reply).substr(4), &envelope)
                .outcome == thrift::Outcome::kOk);
    Require(envelope.seqid == kCallersSeqid);
    Require(envelope.old_form == call.envelope.old_form);
    Require(envelope.type == thrift::MessageType::kException || envelope.name == "svc:m" ||
            envelope.name == "m");
  }
  void OnBodyRoom(call::Call*) override { Give(); }
  void Give() {
    if (call.ended() || call.request_body.whole() || !call.request_body.sink) return;
    const uint64_t n = std::min<uint64_t>(60, call.request_body.rest);
    call.request_body.rest -= n;
    call.request_body.sink->OnBody(&call, base::Buffer::Copy(std::string(n, 'y')));
  }

  call::Call call;
  int ended = 0;
};

class Play {
 public:
  Play(const uint8_t* data, size_t size) : data_(data), size_(size) {
    bits_ = Byte();
    mode_ = Byte();
    options_.wire = backend::Wire::kMux;
    options_.max_frame_bytes = 1 << 16;
    options_.max_buffered_bytes = before_ + kMaxBytes;
    options_.pool.mux_in_flight = bits_ & 1 ? 4 : 100;
    options_.ping_interval = std::chrono::milliseconds(bits_ & 2 ? 100 : 0);
    options_.ping_timeout = std::chrono::milliseconds(80);
    if (bits_ & 4) options_.attempt_timeout = std::chrono::milliseconds(50);
    options_.strip_service_name = (bits_ & 8) != 0;
    options_.body_idle_timeout = std::chrono::milliseconds(300);
    protocol_ = bits_ & 16 ? thrift::Protocol::kCompact : thrift::Protocol::kBinary;
    auto [near, far] = tests::MemoryTransport::Pair(&loop_, bits_ & 32 ? 512 : 1 << 20);
    far_ = std::move(far);
    backend::MuxTerms terms{(mode_ & 1) != 0, mode_ & 2 ? 1500u : UINT32_MAX};
    session_ = std::make_unique<backend::MuxSession>(
        &loop_, options_, &owner_, backend::Opened{std::move(near), {}, terms},
        backend::Spoken::By(options_, protocol_, false, backend::Wire::kMux), metrics_);
    session_->Start();
  }

  void Run() {
    Send(mode_);
    while (size_ > 0 && !owner_.dead) {
      Step(Byte());
      tests::Settle(&loop_);
      Listen();
      Require(base::Block::BytesOnThread() < before_ + 4 * kMaxBytes);
      Require(!owner_.leaving || !session_->HasRoom());
    }
    far_->Close(false);
    tests::Settle(&loop_);
    Require(owner_.dead);
    session_.reset();
    tests::Settle(&loop_);
    for (const auto& asked : asked_) Require(asked->ended == 1);
    Require(owner_.told == asked_.size());
    Require(metrics_.sessions->value() == 0 && metrics_.tags->value() == 0);
    Require(metrics_.abandoned->value() == 0);
  }

 private:
  uint8_t Byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  std::string Take(size_t n) {
    n = std::min(n, size_);
    std::string bytes(reinterpret_cast<const char*>(data_), n);
    data_ += n;
    size_ -= n;
    return bytes;
  }
  void Send(uint8_t bits) {
    if (!session_->HasRoom() || asked_.size() >= kMaxCalls) return;
    if ((bits & 64) && huge_++ >= kMaxHuge) bits &= ~64;
    asked_.push_back(std::make_unique<Asked>(protocol_, bits));
    session_->Send(&asked_.back()->call);
  }
  // Everything that the backend says.
  void Say(const std::string& bytes) {
    for (size_t at = 0; at < bytes.size() && !owner_.dead;) {
      struct iovec rest {
        const_cast<char*>(bytes.data()) + at, bytes.size() - at
      };
      net::IoResult r = far_->Write(&rest, 1);
      if (r.kind == net::IoResult::Kind::kBroken) break;
      at += r.bytes;
      tests::Settle(&loop_);
    }
    said_.Append(base::Buffer::Copy(bytes));
    mux::Frame frame;
    while (says_.Next(&said_, &frame) == mux::Outcome::kOk) {
      const bool ends = frame.type == Type::kRdispatch || frame.type == Type::kRreq ||
                        frame.type == Type::kRerr || frame.type == Type::kRdiscarded;
      if (!ends || frame.more || frame.tag < mux::kFirstTag) continue;
      if (tags_.erase(frame.tag) == 0) confused_ = true;  // an answer to what it has not heard
    }
  }
  // What the session says is mux, and takes no tag that is in use.
  void Listen() {
    if (mode_ & 4) {
      if (Byte() & 1) return;  // it does not read now
    }
    for (int i = 0; i < 16; i++) {
      char some[4096];
      net::IoResult r = far_->Read(some, sizeof some);
      if (r.kind != net::IoResult::Kind::kBytes) break;
      heard_.Append(base::Buffer::Copy(std::string_view(some, r.bytes)));
      tests::Settle(&loop_);
    }
    mux::Frame frame;
    mux::Outcome outcome;
    while ((outcome = hears_.Next(&heard_, &frame)) == mux::Outcome::kOk) {
      if (frame.type == Type::kTdispatch || frame.type == Type::kTreq) {
        Require(frame.tag >= mux::kFirstTag);
        if (frame.more) {
          parts_.insert(frame.tag);
        } else {
          parts_.erase(frame.tag);
          Require(tags_.insert(frame.tag).second || confused_);
        }
      } else if (frame.type == Type::kTdiscarded) {
        mux::Discarded discarded;
        const std::string body = frame.body.ToString();
        Require(mux::DecodeDiscarded(body, &discarded).outcome == mux::Outcome::kOk);
        parts_.erase(discarded.tag);
      }
    }
    Require(outcome == mux::Outcome::kNeedMore);
  }
  uint32_t Tag() {
    const uint8_t n = Byte();
    if (n & 0x80 || tags_.empty()) return n & 0x7f;
    auto it = tags_.begin();
    std::advance(it, n % tags_.size());
    return *it;
  }
  void SayMessage() {
    static constexpr Type kTypes[] = {
        Type::kTreq,      Type::kRreq,      Type::kTdispatch,  Type::kRdispatch,  Type::kTdrain,
        Type::kRdrain,    Type::kTping,     Type::kRping,      Type::kTdiscarded, Type::kRdiscarded,
        Type::kTlease,    Type::kTinit,     Type::kRinit,      Type::kRerr,       Type::kOldRerr,
        Type::kRdispatch, Type::kRdispatch, Type::kRdiscarded, Type::kRping};
    const uint8_t what = Byte();
    const Type type = kTypes[what % std::size(kTypes)];
    const uint32_t tag = type == Type::kRping ? 1 : Tag();
    const std::string body = Take(Byte());
    char head[mux::kHeadBytes];
    mux::WriteHead(type, tag, what >= 0xc0 && type == Type::kRdispatch, body.size(), head);
    Say(std::string(head, sizeof head) + body);
  }
  // A good reply, or one with a status, contexts, or in pieces.
  void Answer() {
    const uint8_t bits = Byte();
    const uint32_t tag = Tag();
    mux::DispatchReply reply;
    const std::string flags = mux::ShowFailureFlags(bits >> 5);
    reply.status = static_cast<mux::ReplyStatus>((bits >> 1) % 3);
    if (bits & 1) reply.contexts.push_back({base::kMuxFailureKey, flags});
    std::string body;
    mux::EncodeDispatchReply(reply, &body);
    body += tests::Message(thrift::MessageType::kReply, bits & 8 ? "m" : "svc:m",
                           bits & 16 ? kCallersSeqid : 7, std::string(1, '\0'), protocol_);
    if (bits & 16) {
      const size_t cut = Byte() % body.size();
      char head[mux::kHeadBytes];
      mux::WriteHead(Type::kRdispatch, tag, true, cut, head);
      Say(std::string(head, sizeof head) + body.substr(0, cut));
      body.erase(0, cut);
    }
    Say(mux::ShowMessage(Type::kRdispatch, tag, body));
  }
  // A large piece of a reply.
  void Flood() {
    char head[mux::kHeadBytes];
    const uint8_t bits = Byte();
    const std::string body(size_t{bits} * 512, 'z');
    mux::WriteHead(Type::kRdispatch, Tag(), bits & 1, body.size(), head);
    Say(std::string(head, sizeof head) + body);
  }
  void Step(uint8_t what) {
    call::Call* some = nullptr;
    size_t skip = what & 3;
    for (auto& asked : asked_) {
      if (asked->call.ended()) continue;
      some = &asked->call;
      if (skip-- == 0) break;
    }
    switch (what >> 2) {
      case 0x3f:
        return what & 1 ? far_->ShutdownWrite() : far_->Close(true);
      case 0x3e:
        if (some) some->Cancel();
        return;
      case 0x3d:
        if (some) some->TimeOut(base::Status(base::Code::kTimeout, "late"));
        return;
      case 0x3c:
        return clock_.Advance(std::chrono::milliseconds(10 << (what & 3)));
      case 0x3b:
        for (auto& asked : asked_) asked->Give();
        return;
      case 0x3a:
      case 0x39:
        return Answer();
      case 0x38:
      case 0x37:
        return Send(Byte());
      case 0x36:
        return Flood();
      case 0x35:
      case 0x34:
        return SayMessage();
      default:
        return Say(Take(what));
    }
  }

  const uint8_t* data_;
  size_t size_;
  uint8_t bits_ = 0, mode_ = 0;
  const size_t before_ = base::Block::BytesOnThread();
  base::FakeClock clock_;
  net::EventLoop loop_{&clock_};
  base::MetricsTable table_;
  backend::MuxMetrics metrics_{table_.root()};
  backend::Options options_;
  thrift::Protocol protocol_ = thrift::Protocol::kBinary;
  Owner owner_;
  std::deque<std::unique_ptr<Asked>> asked_;
  std::unique_ptr<tests::MemoryTransport> far_;
  std::unique_ptr<backend::MuxSession> session_;
  mux::FrameDecoder says_{1 << 24}, hears_{1 << 24};
  base::Buffer said_, heard_;
  std::set<uint32_t> tags_, parts_;  // in use, as the backend sees it; and not whole
  bool confused_ = false;
  size_t huge_ = 0;
};

}  // namespace
}  // namespace trestle

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trestle;
  const size_t before = base::Block::BytesOnThread();
  Play(data, size).Run();
  Require(base::Block::BytesOnThread() == before);
  return 0;
}
