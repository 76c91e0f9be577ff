// THeader frames as tests write and read them.
//
// Lifetime, threading: values. Errors: what cannot be read fails the test.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "tests/support/thrift_wire.h"
#include "thrift/theader.h"

namespace trestle::tests {

// What stands before the message: from the magic to the payload.
inline std::string HeaderBytes(const thrift::THeader& header) {
  std::string out;
  EXPECT_TRUE(thrift::EncodeTHeader(header, &out));
  return out;
}

inline std::string Deflated(std::string bytes, uint32_t times = 1) {
  for (; times > 0; times--) bytes = thrift::Deflate(base::Buffer::Copy(bytes)).ToString();
  return bytes;
}
inline std::string Inflated(std::string_view bytes, uint32_t times = 1) {
  base::Buffer out;
  const char* why = "";
  EXPECT_TRUE(thrift::Inflate(base::Buffer::Copy(bytes), times, INT32_MAX, &out, &why)) << why;
  return out.ToString();
}

// The frame of `message`, deflated as the header says.
inline std::string HeaderFrame(const thrift::THeader& header, std::string_view message) {
  return Frame(HeaderBytes(header) + Deflated(std::string(message), header.zlib));
}
inline std::string HeaderFrame(int32_t seqid, std::string_view message, base::Contexts keys = {},
                               Protocol protocol = Protocol::kBinary, uint32_t zlib = 0,
                               uint16_t flags = 0) {
  return HeaderFrame({flags, seqid, protocol, zlib, std::move(keys)}, message);
}

// A frame as it came, its message inflated.
struct Headed {
  uint16_t flags = 0;
  int32_t seqid = 0;
  Protocol protocol{};
  uint32_t zlib = 0;
  std::vector<std::pair<std::string, std::string>> keys;
  std::string message;
};

inline Headed ReadHeaderFrame(std::string_view frame) {
  Headed out;
  thrift::THeader header;
  uint32_t size = 0;
  EXPECT_GE(frame.size(), 4u);
  if (frame.size() < 4) return out;
  EXPECT_EQ(thrift::ReadU32(frame.data()), frame.size() - 4);
  const thrift::DecodeResult r = thrift::DecodeTHeader(
      frame.substr(4), static_cast<uint32_t>(frame.size() - 4), &header, &size);
  EXPECT_EQ(r.outcome, thrift::Outcome::kOk) << r.why;
  if (r.outcome != thrift::Outcome::kOk) return out;
  out = {header.flags, header.seqid, header.protocol, header.zlib, {}, {}};
  for (const auto& key : header.keys) out.keys.emplace_back(key.key, key.value);
  out.message = Inflated(frame.substr(4 + size), header.zlib);
  return out;
}

}  // namespace trestle::tests
