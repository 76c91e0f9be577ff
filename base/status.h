// Status and Result: how a function says that it failed. No exception crosses a folder.
//
// Lifetime: values. Threading: none. Errors: this is them.
// "Need more bytes" is an outcome of a decoder, never a Status.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace trestle::base {

// What kind of failure it was. CodeRow() says what each becomes on the wire and in metrics.
enum class Code : uint8_t {
  kOk,
  kInvalid,      // a text or setting from a user is wrong
  kMalformed,    // bytes from a peer are wrong
  kNoRoute,      // the name leads nowhere
  kUnavailable,  // no endpoint could be reached
  kClosed,       // the peer went away in the middle
  kTimeout,      // it took longer than it may
  kCancelled,    // whoever asked is gone
  kRefused,      // over one of our own bounds, or draining
  kInternal,     // a fault of ours, or of the machine
};

// One row of the table that maps a Code to what the outside sees.
struct CodeRow {
  const char* name;     // metric name and word in texts, for example "timeout"
  int32_t thrift_type;  // type of the TApplicationException
  int http_status;      // status on an admin or control port
  bool mux_nack;        // true: a mux caller may send the call elsewhere (a nack)
};
const CodeRow& RowOf(Code code);
inline const char* CodeName(Code code) { return RowOf(code).name; }

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}
  static Status Ok() { return Status(); }

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }
  // "timeout: no reply within 300 ms"; "ok".
  std::string ToString() const;

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

// A value, or the Status that tells why there is none. Reading the value of a failed Result is a
// fault of the program.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}          // NOLINT(google-explicit-constructor)
  Result(Status status) : status_(std::move(status)) {}  // NOLINT(google-explicit-constructor)
  Result(Code code, std::string message) : status_(code, std::move(message)) {}

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  T& value() & { return *value_; }
  const T& value() const& { return *value_; }
  T&& value() && { return std::move(*value_); }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace trestle::base
