// Reader: a cursor over the fields of a Thrift struct, in binary or compact, that believes nothing.
//
// Every size, count and id is checked against the bytes at hand and a bound before it is used. The
// first failure stays: all later reads give false, and result() tells whether more bytes would
// help.
//
// Lifetime: views point into the bytes given. Threading: pure. Errors: Outcome and a static reason.
#pragma once

#include <cstdint>
#include <string_view>

#include "thrift/message.h"

namespace trestle::thrift {

// Types of values; the numbers are those of the binary protocol.
enum class Type : uint8_t {
  kStop = 0,
  kBool = 2,
  kByte = 3,
  kDouble = 4,
  kI16 = 6,
  kI32 = 8,
  kI64 = 10,
  kBinary = 11,
  kStruct = 12,
  kMap = 13,
  kSet = 14,
  kList = 15,
  kUuid = 16,
};

// The type for the number on the wire; false if no type has it. Compact's two bools are one type.
bool BinaryType(uint8_t wire, Type* type);
bool CompactType(uint8_t wire, Type* type);

// Bytes of a value whose size its type tells; 0 if it does not.
inline uint32_t FixedSize(Protocol protocol, Type type) {
  static constexpr uint8_t kInBinary[] = {0, 0, 1, 1, 8, 0, 2, 0, 4, 0, 8, 0, 0, 0, 0, 0, 16};
  static constexpr uint8_t kInCompact[] = {0, 0, 1, 1, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16};
  return (protocol == Protocol::kBinary ? kInBinary : kInCompact)[static_cast<uint8_t>(type)];
}

// The reason for what goes over the limit given.
inline constexpr char kOverBound[] = "longer than its bound";

// The header of a field. One Field{} goes through all fields of one struct: compact ids are written
// as steps from the one before.
struct Field {
  Type type = Type::kStop;
  int16_t id = 0;
  bool truth = false;  // compact: a bool's value stands in the header of its field
};

class Reader {
 public:
  // A struct that would end behind `limit` bytes is malformed, however many bytes there are.
  Reader(Protocol protocol, std::string_view bytes, uint32_t limit)
      : protocol_(protocol), bytes_(bytes), limit_(limit) {}

  // The next field of a struct; false at its stop byte, and after a failure.
  bool NextField(Field* field);

  bool Bool(const Field& field, bool* value);
  bool I32(int32_t* value);
  bool I64(int64_t* value);
  bool Binary(std::string_view* value);
  // The head of a list or set. `count` elements have room in the bytes at hand.
  bool List(Type* element, uint32_t* count);
  // Walks over the value of a field of a struct that is `depth` deep (the outermost one: 1).
  bool Skip(const Field& field, int depth);
  // The same, and gives the value's bytes as they are; a compact bool has none.
  bool Raw(const Field& field, int depth, std::string_view* value);
  // Walks over all fields of a struct up to its stop byte.
  bool SkipFields(int depth);
  // Walks over what follows the head of a list or set that is `depth` deep.
  bool SkipElements(Type element, uint32_t count, int depth);

  bool Fail(const char* why);
  bool ok() const { return result_.outcome == Outcome::kOk; }
  const DecodeResult& result() const { return result_; }
  // Bytes read so far.
  uint32_t at() const { return static_cast<uint32_t>(at_); }

 private:
  bool CompactField(uint8_t head, Field* field);
  bool SkipValue(Type type, int depth);
  bool SkipMap(int depth);
  // Whether `n` more bytes are there; if not, fails with kNeedMore, or kMalformed over the limit.
  bool Has(uint64_t n);
  bool Step(uint64_t n);
  bool Byte(uint8_t* value);
  bool Fixed32(uint32_t* value);
  // At most `bits` bits, in no more bytes than those need: 3 for an id, 5 for a size, 10 for an
  // i64.
  bool Varint(uint32_t bits, uint64_t* value);
  // A size or count: never negative, never over 2^31 - 1.
  bool Size(uint32_t* value);
  bool ElementType(uint8_t wire, Type* type);

  Protocol protocol_;
  std::string_view bytes_;
  uint64_t limit_;
  uint64_t at_ = 0;
  DecodeResult result_{Outcome::kOk};
};

}  // namespace trestle::thrift
