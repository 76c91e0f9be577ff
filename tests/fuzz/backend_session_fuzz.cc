// A backend that answers anything: calls and oneways on one connection, one or several at a time,
// framed or not, upgraded or not, with THeaders, large messages in pieces; bytes of the input as
// its replies. A call ends exactly once; what reaches its caller is a whole frame with the caller's
// seqid.
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/thrift_session.h"
#include "base/clock.h"
#include "call/crossing.h"
#include "tests/support/memory_transport.h"
#include "tests/support/thrift_wire.h"
#include "thrift/theader.h"
#include "thrift/ttwitter.h"

namespace trestle {
namespace {

constexpr int32_t kCallersSeqid = 0x12345678;
constexpr size_t kMaxCalls = 40;

void Require(bool holds) {
  if (!holds) std::abort();
}

struct Owner final : backend::SessionOwner {
  void OnRoom(backend::Session*) override { Require(!dead); }
  void OnDead(backend::Session*) override {
    Require(!dead);
    dead = true;
  }
  void OnSuccess() override {}
  void OnLetGo(bool) override {}
  void OnLost(call::Call* call, call::Step step, const base::Status& why, bool, bool) override {
    call->Fail(step, why);
  }
  void OnStrayAnswer() override {}
  void OnNacked(call::Call*, const base::Status&) override { Require(false); }
  void OnLeaving(backend::Session*) override { Require(false); }
  void OnReturned(call::Call*) override { Require(false); }
  void OnLease(backend::Session*) override { Require(false); }
  bool dead = false;
};

// A call with its client: takes a large reply as it comes, gives a large request in pieces.
struct Asked final : call::Observer, call::BodySink, call::BodySource {
  Asked(thrift::Protocol protocol, bool oneway, bool large, bool old_form) {
    const std::string body = large ? std::string(200, 'x') + '\0' : tests::kVoidBody;
    thrift::Envelope envelope;
    envelope.type = oneway ? thrift::MessageType::kOneway : thrift::MessageType::kCall;
    std::string message(thrift::EnvelopeSize(protocol, "svc:m", kCallersSeqid, old_form), '\0');
    thrift::EncodeEnvelope(protocol, envelope.type, "svc:m", kCallersSeqid, message.data(),
                           old_form);
    const std::string frame = tests::Frame(message + body);
    call.protocol = protocol;
    call.method = "svc:m";
    thrift::DecodeEnvelope(protocol, std::string_view(frame).substr(4), &call.envelope);
    call.envelope.name = call.method;
    const size_t head = large ? frame.size() - 150 : frame.size();
    call.request = base::Buffer::Copy(frame.substr(0, head));
    call.streamed = large;
    call.request_body = {frame.size() - head, this, nullptr};
    call.sink = this;
  }
  void OnEnded(call::Call*) override {
    Require(++ended == 1);
    if (call.end() != call::End::kReplied) return;
    if (!call.reply_begun()) reply = call.reply.ToString();
    Check();
    Require(call.reply_header_bytes.empty() == (call.reply_form == call::HeaderForm::kNone));
    for (auto form : {call::HeaderForm::kTTwitter, call::HeaderForm::kTHeader}) {
      std::string out;
      call::WriteReplyHeaders(&call, form, 0, &out);
      Require(!out.empty());
    }
  }
  // Its client speaks THeader.
  void PutKeys() {
    std::string header;
    thrift::EncodeTHeader({1, 2, call.protocol, 0, {{"k", "v"}, {"l5d-dtab", "/a=>/b"}}}, &header);
    call.header_bytes = base::Buffer::Copy(header);
    call.header_form = call::HeaderForm::kTHeader;
    call.with_header = true;
  }
  void OnReplyBegun(call::Call*) override {
    Require(!call.ended() && call.reply_body.rest > 0);
    reply = call.reply.ToString();
  }
  bool OnBody(call::Call*, base::Buffer bytes) override {
    Require(call.reply_begun() && !call.ended());
    reply += bytes.ToString();
    return reply.size() % 3 != 0;
  }
  void OnBodyRoom(call::Call*) override { Give(); }
  // Some of the request, if anybody takes it.
  void Give() {
    if (call.ended() || call.request_body.whole() || !call.request_body.sink) return;
    const uint64_t n = std::min<uint64_t>(60, call.request_body.rest);
    call.request_body.rest -= n;
    call.request_body.sink->OnBody(&call, base::Buffer::Copy(std::string(n, 'y')));
  }
  void Room() {
    if (call.ended() || !call.reply_begun() || !call.reply_body.source) return;
    call.reply_body.sink = this;
    call.reply_body.source->OnBodyRoom(&call);
  }
  void Check() const {
    Require(reply.size() > 4 && thrift::ReadU32(reply.data()) == reply.size() - 4);
    thrift::Envelope envelope;
    Require(thrift::DecodeEnvelope(call.protocol, std::string_view(reply).substr(4), &envelope)
                .outcome == thrift::Outcome::kOk);
    Require(envelope.seqid == kCallersSeqid);
    Require(envelope.old_form == call.envelope.old_form);
    Require(envelope.type == thrift::MessageType::kException || envelope.name == "svc:m" ||
            envelope.name == "m");
  }

  call::Call call;
  std::string reply;
  int ended = 0;
};

class Play {
 public:
  Play(const uint8_t* data, size_t size) : data_(data), size_(size) {
    bits_ = Byte();
    mode_ = Byte();
    more_ = Byte();
    if (more_ & 1) options_.wire = backend::Wire::kTHeader;
    options_.theader_zlib = (more_ & 2) != 0;
    options_.verify_seqid = !(bits_ & 2);
    options_.max_frame_bytes = 1 << 16;
    options_.framing = mode_ & 1 ? thrift::Framing::kBuffered : thrift::Framing::kFramed;
    options_.pool.max_in_flight = 1u << ((mode_ >> 2) & 3);
    if (mode_ & 16) options_.stream_threshold = 40;
    if (mode_ & 64) options_.attempt_timeout = std::chrono::milliseconds(50);
    options_.strip_service_name = (mode_ & 128) != 0;
    protocol_ = bits_ & 1 ? thrift::Protocol::kCompact : thrift::Protocol::kBinary;
    auto [near, far] = tests::MemoryTransport::Pair(&loop_);
    far_ = std::move(far);
    session_ = std::make_unique<backend::ThriftSession>(
        &loop_, options_, &owner_, std::move(near),
        backend::Spoken::By(options_, protocol_, (mode_ & 2) != 0, options_.wire));
    session_->Start();
  }

  void Run() {
    Send();
    while (size_ > 0 && !owner_.dead) {
      Step(Byte());
      tests::Settle(&loop_);
      // As a pool does: somebody always waits for a connection.
      if (!session_->busy()) Send();
    }
    far_->Close(false);
    tests::Settle(&loop_);
    for (auto& asked : asked_) asked->Room();  // a reply may wait for it
    tests::Settle(&loop_);
    session_.reset();
    for (const auto& asked : asked_) Require(asked->ended == 1);
  }

 private:
  uint8_t Byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  void Send() {
    if (!session_->HasRoom() || asked_.size() >= kMaxCalls) return;
    const size_t n = asked_.size();
    const bool oneway = ((bits_ >> (2 + n % 6)) & 1) != 0;
    const bool large = (mode_ & 32) && n % 2 == 0 && !session_->busy();
    asked_.push_back(
        std::make_unique<Asked>(protocol_, oneway, large, (mode_ & 128) && n % 3 == 0));
    if (more_ & 4) asked_.back()->PutKeys();
    if (more_ & 8) asked_.back()->call.walked = true;
    session_->Send(&asked_.back()->call);
    tests::Settle(&loop_);
    Note();
  }
  // The seqids that the backend has seen.
  void Note() {
    read_ += far_->TakeAll();
    if (theader()) return NoteHeaded();
    for (size_t at = 0; at < read_.size(); at++) {
      thrift::Envelope envelope;
      auto r = thrift::DecodeEnvelope(protocol_, std::string_view(read_).substr(at), &envelope);
      if (r.outcome != thrift::Outcome::kOk || envelope.name.find('m') == std::string::npos)
        continue;
      if (envelope.name.size() > 5) continue;
      seen_.push_back(envelope.seqid);
      read_.erase(0, at + envelope.size);
      at = 0;
    }
  }
  bool theader() const { return (more_ & 1) != 0; }
  // The same of frames that all have a THeader.
  void NoteHeaded() {
    while (read_.size() >= 4) {
      const uint32_t length = thrift::ReadU32(read_.data());
      const std::string_view frame = std::string_view(read_).substr(4, length);
      thrift::THeader header;
      uint32_t size = 0;
      auto r = thrift::DecodeTHeader(frame, length, &header, &size);
      Require(r.outcome != thrift::Outcome::kMalformed && header.protocol == protocol_);
      if (r.outcome != thrift::Outcome::kOk || (header.zlib > 0 && frame.size() < length)) return;
      base::Buffer message;
      const char* why = "";
      Require(thrift::Inflate(base::Buffer::Copy(frame.substr(size)), header.zlib, 1 << 16,
                              &message, &why));
      const std::string bytes = message.ToString();
      thrift::Envelope envelope;
      r = thrift::DecodeEnvelope(protocol_, bytes, &envelope);
      if (r.outcome == thrift::Outcome::kNeedMore && frame.size() < length) return;
      Require(r.outcome == thrift::Outcome::kOk && envelope.seqid == header.seqid);
      if (!std::exchange(noted_, true)) seen_.push_back(envelope.seqid);
      if (frame.size() < length) return;
      read_.erase(0, 4 + length);
      noted_ = false;
    }
  }
  // What stands before an answer.
  std::string HeaderOf(uint8_t which, int32_t seqid, uint32_t zlib) const {
    std::string header;
    base::Contexts some;
    if (which & 32) some.push_back({"k", "v"});
    if (theader()) {
      if (which & 16) return header;  // as a server may have it
      thrift::EncodeTHeader({0, seqid + 1, protocol_, zlib, some}, &header);
    } else if (mode_ & 2) {
      thrift::EncodeResponseHeader(protocol_, some, &header);
    }
    return header;
  }
  // A good answer to one of the calls.
  void Answer(uint8_t which) {
    if (seen_.empty()) return;
    const size_t at = which % seen_.size();
    const int32_t seqid = seen_[at];
    seen_.erase(seen_.begin() + static_cast<ptrdiff_t>(at));
    std::string message = tests::Message(thrift::MessageType::kReply, "m", seqid,
                                         std::string(which & 64 ? 1 : 0, '\0'), protocol_);
    message += which & 64 ? std::string()
                          : std::string("\x0b\0\0\0\0\0\x3c", 7) + std::string(60, 'z') + '\0';
    if (protocol_ == thrift::Protocol::kCompact) {
      message =
          tests::Message(thrift::MessageType::kReply, "m", seqid,
                         which & 64 ? std::string(1, '\0')
                                    : std::string("\x08\0\x3c", 3) + std::string(60, 'z') + '\0',
                         protocol_);
    }
    const uint32_t zlib = theader() && (which & 24) == 8 ? 1 : 0;
    if (zlib > 0) message = thrift::Deflate(base::Buffer::Copy(message)).ToString();
    message.insert(0, HeaderOf(which, seqid, zlib));
    far_->Send((mode_ & 1) && !theader() ? message : tests::Frame(message));
  }
  void Step(uint8_t what) {
    call::Call* oldest = nullptr;
    for (auto& asked : asked_) {
      if (!oldest && !asked->call.ended()) oldest = &asked->call;
    }
    switch (what) {
      case 0xf0:
        return far_->ShutdownWrite();
      case 0xf1:
        return far_->Close(true);
      case 0xf2:
        if (oldest) oldest->Cancel();
        return;
      case 0xf3:
        if (oldest) oldest->TimeOut(base::Status(base::Code::kTimeout, "late"));
        return;
      case 0xf4:
        return clock_.Advance(std::chrono::milliseconds(30));
      case 0xf5:
        for (auto& asked : asked_) asked->Room();
        return;
      case 0xf6:
        for (auto& asked : asked_) asked->Give();
        return;
      case 0xf7:
        return Answer(Byte());
      case 0xf8:
        return Send();
      default: {
        const size_t n = std::min<size_t>(what, size_);
        far_->Send(std::string_view(reinterpret_cast<const char*>(data_), n));
        data_ += n;
        size_ -= n;
      }
    }
  }

  const uint8_t* data_;
  size_t size_;
  uint8_t bits_ = 0, mode_ = 0, more_ = 0;
  bool noted_ = false;  // the first frame of read_
  base::FakeClock clock_;
  net::EventLoop loop_{&clock_};
  backend::Options options_;
  thrift::Protocol protocol_ = thrift::Protocol::kBinary;
  Owner owner_;
  std::deque<std::unique_ptr<Asked>> asked_;
  std::unique_ptr<tests::MemoryTransport> far_;
  std::unique_ptr<backend::ThriftSession> session_;
  std::string read_;
  std::vector<int32_t> seen_;
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
