// What the tests of the router say and hear: framed Thrift messages in binary, and a client at the
// other end of a transport in memory.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/memory_transport.h"
#include "thrift/frame.h"
#include "thrift/message.h"
#include "thrift/ttwitter.h"

namespace trestle::router::testing {

inline constexpr auto kBinary = thrift::Protocol::kBinary;
// Bodies: no field at all; field 0, a string; field 1, an empty struct (a declared exception).
inline const std::string kVoid("\0", 1);
inline const std::string kDeclared("\x0c\0\x01\0\0", 5);
inline std::string ResultBody(std::string_view text) {
  std::string body("\x0b\0\0\0\0\0\0", 7);
  thrift::WriteU32(body.data() + 3, static_cast<uint32_t>(text.size()));
  return body.append(text).append(1, '\0');
}
inline std::string ResultText(std::string_view body) {
  return body.size() < 8 || body[0] != '\x0b' ? "?" : std::string(body.substr(7, body.size() - 8));
}

inline std::string Message(thrift::MessageType type, std::string_view name, int32_t seqid,
                           std::string_view body) {
  std::string out(thrift::EnvelopeSize(kBinary, name, seqid), '\0');
  thrift::EncodeEnvelope(kBinary, type, name, seqid, out.data());
  return out.append(body);
}
inline std::string Frame(std::string_view message) {
  std::string out(4, '\0');
  thrift::WriteU32(out.data(), static_cast<uint32_t>(message.size()));
  return out.append(message);
}

struct Received {
  thrift::MessageType type{};
  std::string name;
  int32_t seqid = 0;
  std::string body;
  // A result's string, or an exception's text.
  std::string Text() const {
    if (type != thrift::MessageType::kException) return ResultText(body);
    std::string text;
    int32_t ignored = 0;
    EXPECT_TRUE(thrift::DecodeApplicationException(kBinary, body, &text, &ignored));
    return text;
  }
};

// Takes the whole messages off the front of `in`; `headed`: each has an empty ResponseHeader.
inline std::vector<Received> TakeMessages(std::string* in, bool headed = false) {
  std::vector<Received> out;
  while (in->size() >= 4 && in->size() >= 4 + thrift::ReadU32(in->data())) {
    const uint32_t size = thrift::ReadU32(in->data());
    std::string message = in->substr(4, size);
    in->erase(0, 4 + size);
    if (headed) {
      EXPECT_EQ(message[0], '\0') << "no ResponseHeader";
      message.erase(0, 1);
    }
    thrift::Envelope envelope;
    EXPECT_EQ(thrift::DecodeEnvelope(kBinary, message, &envelope).outcome, thrift::Outcome::kOk);
    out.push_back(
        {envelope.type, std::string(envelope.name), envelope.seqid, message.substr(envelope.size)});
  }
  return out;
}

class Client {
 public:
  explicit Client(std::unique_ptr<tests::MemoryTransport> end) : end_(std::move(end)) {}

  void Call(std::string_view method, int32_t seqid = 7) {
    end_->Send(Frame(Message(thrift::MessageType::kCall, method, seqid, kVoid)));
  }
  void Oneway(std::string_view method) {
    end_->Send(Frame(Message(thrift::MessageType::kOneway, method, 1, kVoid)));
  }
  void AskUpgrade() { end_->Send(Frame(thrift::EncodeUpgradeCall(kBinary))); }
  // After the upgrade's answer was taken.
  void set_upgraded() { upgraded_ = true; }
  void CallWith(const thrift::RequestHeader& header, std::string_view method, int32_t seqid = 7) {
    std::string bytes;
    thrift::EncodeRequestHeader(kBinary, header, &bytes);
    end_->Send(Frame(bytes + Message(thrift::MessageType::kCall, method, seqid, kVoid)));
  }
  std::vector<Received> Replies() {
    in_ += end_->TakeAll();
    return TakeMessages(&in_, upgraded_);
  }
  void Reset() { end_->Close(true); }
  bool closed_by_router() const { return end_->peer_ended(); }

 private:
  std::unique_ptr<tests::MemoryTransport> end_;
  std::string in_;
  bool upgraded_ = false;
};

}  // namespace trestle::router::testing
