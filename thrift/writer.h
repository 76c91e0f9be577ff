// Writer: appends the fields of Thrift structs to a string, in binary or compact.
//
// Lifetime: the string outlives it. Threading: pure. Errors: none; the caller keeps sizes under
// 2^31.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "thrift/reader.h"

namespace trestle::thrift {

class Writer {
 public:
  Writer(Protocol protocol, std::string* out) : protocol_(protocol), out_(out) {}

  void Bool(int16_t id, bool value);
  void I32(int16_t id, int32_t value);
  void I64(int16_t id, int64_t value);
  void Binary(int16_t id, std::string_view value);
  // A field whose value is at hand as it was written in this protocol.
  void Raw(const Field& field, std::string_view value);
  // A field that is a list of structs; `count` times BeginElement, fields and EndStruct follow.
  void StructList(int16_t id, uint32_t count);
  // A field that is a struct; its fields and EndStruct follow, then the fields behind it.
  void BeginStruct(int16_t id);
  void BeginElement();
  void EndStruct();
  // The stop byte of the outermost struct.
  void Stop() { out_->push_back('\0'); }

 private:
  void Head(int16_t id, Type type, uint8_t compact_type);
  void Varint(uint64_t value);
  void U32(uint32_t value);

  Protocol protocol_;
  std::string* out_;
  int16_t last_id_ = 0;
  int16_t outer_id_ = 0;  // last_id_ of the struct around this one: one level is all we write
};

}  // namespace trestle::thrift
