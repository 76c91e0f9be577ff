#include "backend/handshake.h"

#include <utility>

#include "thrift/buffered.h"
#include "thrift/frame.h"
#include "thrift/ttwitter.h"

namespace trestle::backend {
namespace {

using Kind = net::IoResult::Kind;
using thrift::Outcome;

constexpr uint32_t kLength = 4;
// An answer is one small message, an exception's text included.
constexpr uint32_t kMaxAnswerBytes = 64 * 1024;

}  // namespace

Handshake::Handshake(net::EventLoop* loop, std::unique_ptr<net::Transport> transport,
                     const thrift::Dialect& dialect, base::Duration timeout, Owner* owner)
    : loop_(loop),
      transport_(std::move(transport)),
      dialect_(dialect),
      timeout_(timeout),
      owner_(owner),
      timer_(loop, [this] { Give(Answer::kSilent, false); }) {
  transport_->Attach(this);
}

void Handshake::Start() {
  const std::string call = thrift::EncodeUpgradeCall(dialect_.protocol);
  std::string bytes;
  if (dialect_.framing == thrift::Framing::kFramed) {
    bytes.resize(kLength);
    thrift::WriteU32(bytes.data(), static_cast<uint32_t>(call.size()));
  }
  out_ = base::Buffer::Copy(bytes + call);
  timer_.Arm(timeout_);
  transport_->WatchRead(net::Transport::Watch::kRead);
  Write();
}

void Handshake::Write() {
  if (!transport_ || out_.empty()) return;
  struct iovec iov[2];
  net::IoResult r = transport_->Write(iov, out_.Iovecs(iov, 2));
  if (r.kind == Kind::kBroken) return Give(Answer::kHungUp, false);
  if (r.kind == Kind::kBytes) out_.TrimFront(r.bytes);
  if (blocked_ == !out_.empty()) return;
  blocked_ = !out_.empty();
  transport_->WatchWrite(blocked_);
}

void Handshake::OnReadable() {
  if (!transport_) return;
  uint32_t room = 0;
  char* to = loop_->arena()->Room(kMaxAnswerBytes, &room);
  net::IoResult r = transport_->Read(to, room);
  if (r.kind == Kind::kAgain) return;
  if (r.kind != Kind::kBytes) return Give(Answer::kHungUp, false);
  in_.Append(loop_->arena()->Commit(static_cast<uint32_t>(r.bytes)));
  Read();
  if (transport_) in_.Compact();
}

void Handshake::Read() {
  base::Buffer message;
  const bool framed = dialect_.framing == thrift::Framing::kFramed;
  Outcome outcome =
      framed
          ? thrift::FrameDecoder(kMaxAnswerBytes).Next(&in_, &message)
          : thrift::BufferedDecoder(dialect_.protocol, kMaxAnswerBytes).Next(&in_, false, &message);
  if (outcome == Outcome::kNeedMore) return;
  if (outcome == Outcome::kMalformed) return Give(Answer::kHungUp, false);
  if (framed) message.TrimFront(kLength);
  thrift::Envelope envelope;
  std::string_view bytes(message.Front(message.size()), message.size());
  thrift::DecodeResult r = thrift::DecodeEnvelope(dialect_.protocol, bytes, &envelope);
  // Nobody asked for more than the answer.
  if (r.outcome != Outcome::kOk || !in_.empty()) return Give(Answer::kHungUp, false);
  const bool refused = envelope.type == thrift::MessageType::kException;
  // A backend may refuse and close.
  Give(refused ? Answer::kRefused : Answer::kAccepted, out_.empty() && !transport_->end_ahead());
}

void Handshake::Give(Answer answer, bool usable) {
  if (!transport_) return;
  timer_.Cancel();
  in_.Clear();
  auto transport = std::move(transport_);
  if (!usable) {
    transport->Close(false);
    loop_->DeleteLater(std::move(transport));
  }
  owner_->OnAnswer(answer, std::move(transport));
}

}  // namespace trestle::backend
