// Headers: what a client sends beside a message, whatever its dialect: destination, local dtab,
// contexts, ids, headers of the application.
//
// Lifetime: views point into the bytes that they were read from. Threading: none. Errors: none.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/contexts.h"
#include "thrift/ttwitter.h"

namespace trestle::call {

// How what goes beside a message is written.
enum class HeaderForm : uint8_t {
  kNone,      // nowhere: plain Thrift
  kTTwitter,  // a RequestHeader, or ResponseHeader, before the message
  kTHeader,   // key/values before the message
  kMux,       // the parts of a dispatch before its payload
};

// All that a RequestHeader of TTwitter has, and what others have beside. A TTwitter header is read
// into it as it is; of a mux dispatch come contexts, `dest` and `delegations`.
struct Headers : thrift::RequestHeader {
  std::string_view dtab;  // THeader: the local dtab as one text
  base::Contexts keys;    // THeader: headers of the application

  bool HasDtab() const { return !delegations.empty() || !dtab.empty(); }

  void Clear() {
    RequestHeader::Clear();
    dtab = {};
    keys.clear();
  }
};

// How many routers the call went through before; 0 where that is not said.
inline uint32_t HopsOf(const Headers& headers) {
  auto value = base::Find(headers.contexts, base::kHopsKey);
  return value ? base::ParseHops(*value).value_or(0) : 0;
}

// Headers that are there or not; keeps the memory of their lists for the next call.
class MaybeHeaders {
 public:
  bool has_value() const { return has_; }
  explicit operator bool() const { return has_; }
  const Headers& operator*() const { return headers_; }
  Headers& operator*() { return headers_; }
  const Headers* operator->() const { return &headers_; }
  Headers* operator->() { return &headers_; }
  Headers& emplace() {
    reset();
    has_ = true;
    return headers_;
  }
  void reset() {
    if (has_) headers_.Clear();
    has_ = false;
  }

 private:
  bool has_ = false;
  Headers headers_;
};

}  // namespace trestle::call
