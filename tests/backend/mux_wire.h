// Mux messages as tests write and read them.
//
// Lifetime, threading: values. Errors: what cannot be read fails the test.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mux/frame.h"
#include "mux/message.h"
#include "tests/support/thrift_wire.h"

namespace trestle::backend {

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct MuxMessage {
  mux::Type type{};  // the old numbers made new
  int wire = 0;
  uint32_t tag = 0;
  bool more = false;
  std::string body;
  std::string bytes;  // all of it
};

// Takes the whole messages off the front of `in`.
inline std::vector<MuxMessage> TakeMux(std::string* in) {
  std::vector<MuxMessage> out;
  while (in->size() >= mux::kHeadBytes) {
    const size_t whole = 4 + size_t{thrift::ReadU32(in->data())};
    if (in->size() < whole) break;
    base::Buffer buffer = base::Buffer::Copy(std::string_view(*in).substr(0, whole));
    mux::Frame frame;
    EXPECT_EQ(mux::FrameDecoder(UINT32_MAX).Next(&buffer, &frame), mux::Outcome::kOk);
    out.push_back({frame.type, frame.wire, frame.tag, frame.more, frame.body.ToString(),
                   in->substr(0, whole)});
    in->erase(0, whole);
  }
  EXPECT_EQ(*in, "") << "half a message";
  return out;
}

// What stands before the payload of a Tdispatch, and the payload.
struct Sent {
  Pairs contexts;
  std::string dst;
  Pairs dtab;
  std::string payload;
};
inline Sent ReadDispatch(const std::string& body) {
  mux::Dispatch dispatch;
  uint32_t size = 0;
  EXPECT_EQ(mux::DecodeDispatch(body, &dispatch, &size).outcome, mux::Outcome::kOk);
  Sent sent;
  for (const auto& c : dispatch.contexts) sent.contexts.emplace_back(c.key, c.value);
  sent.dst = dispatch.dst;
  for (const auto& d : dispatch.dtab) sent.dtab.emplace_back(d.prefix, d.tree);
  sent.payload = body.substr(size);
  return sent;
}

inline std::string DispatchHead(const Pairs& contexts, std::string_view dst = {},
                                const Pairs& dtab = {}) {
  mux::Dispatch dispatch;
  for (const auto& [key, value] : contexts) dispatch.contexts.push_back({key, value});
  dispatch.dst = dst;
  for (const auto& [prefix, tree] : dtab) dispatch.dtab.push_back({prefix, tree});
  std::string out;
  mux::EncodeDispatch(dispatch, &out);
  return out;
}

inline std::string ReplyBody(mux::ReplyStatus status, std::string_view payload,
                             const Pairs& contexts = {}) {
  mux::DispatchReply reply;
  reply.status = status;
  for (const auto& [key, value] : contexts) reply.contexts.push_back({key, value});
  std::string out;
  mux::EncodeDispatchReply(reply, &out);
  return out.append(payload);
}
inline std::string Rdispatch(uint32_t tag, mux::ReplyStatus status, std::string_view payload,
                             const Pairs& contexts = {}) {
  return mux::ShowMessage(mux::Type::kRdispatch, tag, ReplyBody(status, payload, contexts));
}
inline std::string Ok(uint32_t tag, std::string_view payload, const Pairs& contexts = {}) {
  return Rdispatch(tag, mux::ReplyStatus::kOk, payload, contexts);
}
inline std::string Nack(uint32_t tag, const Pairs& contexts = {}) {
  return Rdispatch(tag, mux::ReplyStatus::kNack, {}, contexts);
}
inline Pairs FailureContext(uint64_t flags) {
  return {{std::string(base::kMuxFailureKey), mux::ShowFailureFlags(flags)}};
}
// A piece of an Rdispatch.
inline std::string Piece(uint32_t tag, std::string_view bytes, bool more) {
  char head[mux::kHeadBytes];
  mux::WriteHead(mux::Type::kRdispatch, tag, more, bytes.size(), head);
  return std::string(head, sizeof head).append(bytes);
}
inline std::string Tlease(int64_t ms) {
  std::string body(1, '\0');
  for (int shift = 56; shift >= 0; shift -= 8) body.push_back(static_cast<char>(ms >> shift));
  return mux::ShowMessage(mux::Type::kTlease, mux::kMarkerTag, body);
}
// A good reply, without a length.
inline std::string Good(std::string_view name = "addUser", int32_t seqid = 1000,
                        std::string_view body = tests::kVoidBody,
                        thrift::Protocol protocol = thrift::Protocol::kBinary) {
  return tests::Message(thrift::MessageType::kReply, name, seqid, body, protocol);
}
// A result of a string of `n` bytes.
inline std::string StringBody(size_t n) {
  std::string body("\x0b\0\0", 3);
  body.resize(7);
  thrift::WriteU32(body.data() + 3, static_cast<uint32_t>(n));
  return body + std::string(n, 'r') + '\0';
}

}  // namespace trestle::backend
