// Mux messages as tests write and read them. The bytes are put together here by hand, so that the
// tests of sessions do not go by the codec that they use.
//
// Lifetime, threading: values. Errors: what cannot be read fails the test.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trestle::tests {

using Pairs = std::vector<std::pair<std::string, std::string>>;

inline std::string Big(uint64_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; i--) {
    out.push_back(static_cast<char>(i < 8 ? value >> (8 * i) : 0));
  }
  return out;
}
inline std::string Sized(std::string_view text, int bytes) {
  return Big(text.size(), bytes).append(text);
}

// `type` as it stands on the wire; `tag` with the top bit, if it has one.
inline std::string MuxMessage(int type, uint32_t tag, std::string_view body = {}) {
  return Big(body.size() + 4, 4) + Big(static_cast<uint8_t>(type), 1) + Big(tag, 3) +
         std::string(body);
}

inline std::string ContextsOf(const Pairs& contexts) {
  std::string out = Big(contexts.size(), 2);
  for (const auto& [key, value] : contexts) out += Sized(key, 2) + Sized(value, 2);
  return out;
}
inline std::string DispatchBody(std::string_view payload, const Pairs& contexts = {},
                                std::string_view dst = {}, const Pairs& dtab = {}) {
  return ContextsOf(contexts) + Sized(dst, 2) + ContextsOf(dtab) + std::string(payload);
}
inline std::string Tdispatch(uint32_t tag, std::string_view payload, const Pairs& contexts = {},
                             std::string_view dst = {}, const Pairs& dtab = {}) {
  return MuxMessage(2, tag, DispatchBody(payload, contexts, dst, dtab));
}
inline std::string Rdispatch(uint32_t tag, std::string_view payload, int status = 0,
                             const Pairs& contexts = {}) {
  return MuxMessage(
      -2, tag, Big(static_cast<uint64_t>(status), 1) + ContextsOf(contexts) + std::string(payload));
}
inline std::string Tdiscarded(uint32_t tag, std::string_view why = "gone") {
  return MuxMessage(-62, 0, Big(tag, 3) + std::string(why));
}
inline std::string InitBody(const Pairs& headers, uint16_t version = 1) {
  std::string out = Big(version, 2);
  for (const auto& [key, value] : headers) out += Sized(key, 4) + Sized(value, 4);
  return out;
}
inline const std::string kProbeMessage = MuxMessage(127, 1, "tinit check");

struct MuxReceived {
  int type = 0;
  uint32_t tag = 0;
  bool more = false;
  std::string body;
  // Of a whole Rdispatch.
  int status = -1;
  Pairs contexts;
  std::string payload;
};

// Reads status, contexts and payload of an Rdispatch.
inline void ReadRdispatch(MuxReceived* r) {
  auto number = [r](size_t at, size_t n) {
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++) value = value << 8 | static_cast<uint8_t>(r->body.at(at + i));
    return value;
  };
  r->status = static_cast<int>(number(0, 1));
  size_t at = 3;
  auto piece = [&] {
    const size_t n = number(at, 2);
    std::string text = r->body.substr(at + 2, n);
    at += 2 + n;
    return text;
  };
  for (size_t n = number(1, 2); n > 0; n--) {
    std::string key = piece();
    r->contexts.emplace_back(std::move(key), piece());
  }
  r->payload = r->body.substr(at);
}

// Takes the whole messages off the front of `in`. Fragments stay apart: only their bodies are
// given.
inline std::vector<MuxReceived> TakeMux(std::string* in) {
  std::vector<MuxReceived> out;
  auto number = [in](size_t at, size_t n) {
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++) value = value << 8 | static_cast<uint8_t>((*in)[at + i]);
    return value;
  };
  while (in->size() >= 8 && in->size() >= 4 + number(0, 4)) {
    const size_t size = number(0, 4);
    MuxReceived r;
    r.type = static_cast<int8_t>(number(4, 1));
    r.tag = static_cast<uint32_t>(number(5, 3)) & 0x7fffff;
    r.more = (number(5, 1) & 0x80) != 0;
    r.body = in->substr(8, size - 4);
    in->erase(0, 4 + size);
    const bool piece = r.more || (!out.empty() && out.back().more && out.back().tag == r.tag);
    if (r.type == -2 && !piece && r.body.size() >= 3) ReadRdispatch(&r);
    out.push_back(std::move(r));
  }
  return out;
}

}  // namespace trestle::tests
