// What holds for every message of either protocol, for the binary and the compact fuzz target.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "thrift/message.h"
#include "thrift/walk.h"

namespace trestle::thrift {

inline void Check(bool good) {
  if (!good) std::abort();
}

// What is written from an envelope reads as that envelope, in as many bytes as were foretold.
inline void CheckEnvelope(Protocol protocol, const Envelope& read) {
  const uint32_t size = EnvelopeSize(protocol, read.name, read.seqid, read.old_form);
  Check(size <= MaxEnvelopeSize(static_cast<uint32_t>(read.name.size())));
  const auto out = std::make_unique<char[]>(size);
  Check(EncodeEnvelope(protocol, read.type, read.name, read.seqid, out.get(), read.old_form) ==
        size);
  Envelope again;
  Check(DecodeEnvelope(protocol, {out.get(), size}, &again).outcome == Outcome::kOk);
  Check(again.type == read.type && again.name == read.name && again.seqid == read.seqid);
  Check(again.size == size && again.old_form == read.old_form);
  for (uint32_t n = 0; n < std::min(size, 64u); n++) {
    Check(DecodeEnvelope(protocol, {out.get(), n}, &again).outcome == Outcome::kNeedMore);
  }
}

inline void CheckBody(Protocol protocol, MessageType type, std::string_view body) {
  const ReplyKind kind = ClassifyReply(protocol, type, body);
  Check(body.size() < 8 || kind == ClassifyReply(protocol, type, body.substr(0, 8)));
  uint32_t size = 0;
  const Outcome outcome = SkipStruct(protocol, body, &size).outcome;
  if (outcome == Outcome::kOk) {
    Check(size > 0 && size <= body.size() && body[size - 1] == '\0');
    Check(type != MessageType::kReply || kind != ReplyKind::kUnknown);
    uint32_t shorter = 0;
    Check(SkipStruct(protocol, body.substr(0, size), &shorter).outcome == Outcome::kOk);
    Check(shorter == size);
    Check(SkipStruct(protocol, body.substr(0, size - 1), &shorter).outcome == Outcome::kNeedMore);
  }
  std::string text;
  int32_t number = 0;
  if (DecodeApplicationException(protocol, body, &text, &number)) {
    Check(outcome == Outcome::kOk);
    const std::string message = EncodeApplicationException(protocol, "m", 1, number, text);
    std::string text_again;
    int32_t number_again = 0;
    Check(DecodeApplicationException(
        protocol, std::string_view(message).substr(EnvelopeSize(protocol, "m", 1)), &text_again,
        &number_again));
    Check(text == text_again && number == number_again);
  }
}

// A message; what is no envelope is read as a body, so that both are reached.
inline void CheckMessage(Protocol protocol, const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Envelope envelope;
  const DecodeResult result = DecodeEnvelope(protocol, bytes, &envelope);
  Check(result.outcome != Outcome::kMalformed || result.why[0] != '\0');
  if (result.outcome != Outcome::kOk) {
    CheckBody(protocol, MessageType::kReply, bytes);
    return;
  }
  Check(envelope.size <= size && envelope.name.size() <= kMaxNameBytes);
  Check(envelope.seqid_at + envelope.seqid_size <= envelope.size);
  CheckEnvelope(protocol, envelope);
  if (protocol == Protocol::kBinary) {
    std::string patched(bytes);
    PatchBinarySeqid(patched.data(), envelope, ~envelope.seqid);
    Envelope other;
    Check(DecodeEnvelope(protocol, patched, &other).outcome == Outcome::kOk);
    Check(other.seqid == ~envelope.seqid && other.name == envelope.name);
  }
  CheckBody(protocol, envelope.type, bytes.substr(envelope.size));
}

}  // namespace trestle::thrift
