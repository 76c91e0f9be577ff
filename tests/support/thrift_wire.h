// Framed Thrift messages as tests write and read them, in either protocol.
//
// Lifetime, threading: values. Errors: what cannot be read fails the test.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "thrift/frame.h"
#include "thrift/message.h"

namespace trestle::tests {

using thrift::MessageType;
using thrift::Protocol;

inline const std::string kVoidBody("\0", 1);
// Field 1, an empty struct: a declared exception.
inline const std::string kDeclaredBody("\x0c\0\x01\0\0", 5);

inline std::string Frame(std::string_view message) {
  std::string out(4, '\0');
  thrift::WriteU32(out.data(), static_cast<uint32_t>(message.size()));
  return out.append(message);
}

inline std::string Message(MessageType type, std::string_view name, int32_t seqid,
                           std::string_view body = kVoidBody,
                           Protocol protocol = Protocol::kBinary) {
  std::string out(thrift::EnvelopeSize(protocol, name, seqid), '\0');
  thrift::EncodeEnvelope(protocol, type, name, seqid, out.data());
  return out.append(body);
}

inline std::string CallFrame(std::string_view name, int32_t seqid,
                             std::string_view body = kVoidBody,
                             Protocol protocol = Protocol::kBinary) {
  return Frame(Message(MessageType::kCall, name, seqid, body, protocol));
}
inline std::string OnewayFrame(std::string_view name, int32_t seqid,
                               Protocol protocol = Protocol::kBinary) {
  return Frame(Message(MessageType::kOneway, name, seqid, kVoidBody, protocol));
}
inline std::string ReplyFrame(std::string_view name, int32_t seqid,
                              std::string_view body = kVoidBody,
                              Protocol protocol = Protocol::kBinary) {
  return Frame(Message(MessageType::kReply, name, seqid, body, protocol));
}
inline std::string ExceptionFrame(std::string_view name, int32_t seqid, std::string_view text = "x",
                                  Protocol protocol = Protocol::kBinary) {
  return Frame(thrift::EncodeApplicationException(protocol, name, seqid, 1, text));
}

struct Received {
  MessageType type{};
  std::string name;
  int32_t seqid = 0;
  std::string body;
  // Of a TApplicationException.
  std::string text;
  int32_t exception_type = 0;
};

// Takes the whole messages off the front of `in`. `headers`: bytes of a ResponseHeader before each.
inline std::vector<Received> TakeMessages(std::string* in, Protocol protocol = Protocol::kBinary,
                                          size_t headers = 0) {
  std::vector<Received> out;
  while (in->size() >= 4 && in->size() >= 4 + thrift::ReadU32(in->data())) {
    const uint32_t size = thrift::ReadU32(in->data());
    std::string message = in->substr(4, size);
    in->erase(0, 4 + size);
    EXPECT_EQ(message.substr(0, headers), std::string(headers, '\0')) << "no ResponseHeader";
    message.erase(0, headers);
    thrift::Envelope envelope;
    EXPECT_EQ(thrift::DecodeEnvelope(protocol, message, &envelope).outcome, thrift::Outcome::kOk);
    Received r{envelope.type,
               std::string(envelope.name),
               envelope.seqid,
               message.substr(envelope.size),
               {},
               0};
    if (r.type == MessageType::kException) {
      EXPECT_TRUE(thrift::DecodeApplicationException(protocol, r.body, &r.text, &r.exception_type));
    }
    out.push_back(std::move(r));
  }
  return out;
}

}  // namespace trestle::tests
