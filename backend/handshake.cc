#include "backend/handshake.h"

#include <utility>

#include "thrift/buffered.h"
#include "thrift/frame.h"
#include "thrift/ttwitter.h"

namespace trestle::backend {
namespace {

using thrift::Outcome;

constexpr uint32_t kLength = 4;
// An answer is one small message, an exception's text included.
constexpr uint32_t kMaxAnswerBytes = 64 * 1024;

}  // namespace

Handshake::Handshake(net::EventLoop* loop, std::unique_ptr<net::Transport> transport,
                     const thrift::Dialect& dialect, base::Duration timeout, Owner* owner)
    : Exchange(loop, std::move(transport), timeout), dialect_(dialect), owner_(owner) {}

void Handshake::Start() {
  const std::string call = thrift::EncodeUpgradeCall(dialect_.protocol);
  std::string bytes;
  if (dialect_.framing == thrift::Framing::kFramed) {
    bytes.resize(kLength);
    thrift::WriteU32(bytes.data(), static_cast<uint32_t>(call.size()));
  }
  Begin(bytes + call);
}

// Looks for the answer in what came so far.
void Handshake::OnBytes(base::Buffer* in) {
  base::Buffer message;
  const bool framed = dialect_.framing == thrift::Framing::kFramed;
  Outcome outcome =
      framed
          ? thrift::FrameDecoder(kMaxAnswerBytes).Next(in, &message)
          : thrift::BufferedDecoder(dialect_.protocol, kMaxAnswerBytes).Next(in, false, &message);
  if (outcome == Outcome::kNeedMore) return;
  if (outcome == Outcome::kMalformed) return Give(Answer::kHungUp, false);
  if (framed) message.TrimFront(kLength);
  thrift::Envelope envelope;
  std::string_view bytes(message.Front(message.size()), message.size());
  thrift::DecodeResult r = thrift::DecodeEnvelope(dialect_.protocol, bytes, &envelope);
  // Nobody asked for more than the answer.
  if (r.outcome != Outcome::kOk || !in->empty()) return Give(Answer::kHungUp, false);
  const bool refused = envelope.type == thrift::MessageType::kException;
  // A backend may refuse and close.
  Give(refused ? Answer::kRefused : Answer::kAccepted, usable());
}

void Handshake::Give(Answer answer, bool usable) {
  if (usable) return owner_->OnAnswer(answer, Take());
  Close();
  owner_->OnAnswer(answer, nullptr);
}

}  // namespace trestle::backend
