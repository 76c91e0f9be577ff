#include "thrift/reader.h"

#include "thrift/frame.h"
#include "thrift/walk.h"

namespace trestle::thrift {
namespace {

int64_t Unzigzag(uint64_t v) { return static_cast<int64_t>((v >> 1) ^ (~(v & 1) + 1)); }

}  // namespace

bool BinaryType(uint8_t wire, Type* type) {
  constexpr uint32_t kKnown = 1u << 2 | 1u << 3 | 1u << 4 | 1u << 6 | 1u << 8 | 0x7fu << 10;
  if (wire > 16 || (kKnown >> wire & 1) == 0) return false;
  *type = static_cast<Type>(wire);
  return true;
}

bool CompactType(uint8_t wire, Type* type) {
  static constexpr Type kTypes[] = {Type::kStop,   Type::kBool, Type::kBool, Type::kByte,
                                    Type::kI16,    Type::kI32,  Type::kI64,  Type::kDouble,
                                    Type::kBinary, Type::kList, Type::kSet,  Type::kMap,
                                    Type::kStruct, Type::kUuid};
  if (wire == 0 || wire > 13) return false;
  *type = kTypes[wire];
  return true;
}

bool Reader::Fail(const char* why) {
  if (ok()) result_ = {Outcome::kMalformed, why};
  return false;
}

bool Reader::Has(uint64_t n) {
  if (!ok()) return false;
  if (n <= bytes_.size() - at_ && at_ + n <= limit_) return true;
  if (at_ + n > limit_) return Fail(kOverBound);
  result_ = {Outcome::kNeedMore};
  return false;
}

bool Reader::Step(uint64_t n) {
  if (!Has(n)) return false;
  at_ += n;
  return true;
}

bool Reader::Byte(uint8_t* value) {
  if (!Has(1)) return false;
  *value = static_cast<uint8_t>(bytes_[at_++]);
  return true;
}

bool Reader::Fixed32(uint32_t* value) {
  if (!Has(4)) return false;
  *value = ReadU32(bytes_.data() + at_);
  at_ += 4;
  return true;
}

bool Reader::Varint(uint32_t bits, uint64_t* value) {
  uint64_t v = 0;
  for (uint32_t shift = 0; shift < bits; shift += 7) {
    uint8_t byte = 0;
    if (!Byte(&byte)) return false;
    // The last byte that the range needs has only the bits that are left, and none follows it.
    if (bits - shift < 7 && byte >> (bits - shift) != 0) break;
    v |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) {
      *value = v;
      return true;
    }
  }
  return Fail("a varint is out of its range");
}

bool Reader::Size(uint32_t* value) {
  if (protocol_ == Protocol::kBinary) {
    return Fixed32(value) && (*value <= INT32_MAX || Fail("a size is negative"));
  }
  uint64_t v = 0;
  if (!Varint(32, &v)) return false;
  if (v > INT32_MAX) return Fail("a size is negative");
  *value = static_cast<uint32_t>(v);
  return true;
}

bool Reader::NextField(Field* field) {
  uint8_t head = 0;
  if (!Byte(&head)) return false;
  if (head == 0) {
    field->type = Type::kStop;
    return false;
  }
  if (protocol_ == Protocol::kCompact) return CompactField(head, field);
  if (!BinaryType(head, &field->type)) return Fail("a field of unknown type");
  if (!Has(2)) return false;
  field->id = static_cast<int16_t>(static_cast<uint8_t>(bytes_[at_]) << 8 |
                                   static_cast<uint8_t>(bytes_[at_ + 1]));
  at_ += 2;
  return true;
}

bool Reader::CompactField(uint8_t head, Field* field) {
  const uint8_t wire = head & 0x0f;
  if (!CompactType(wire, &field->type)) return Fail("a field of unknown type");
  field->truth = wire == 1;
  int64_t id = field->id + (head >> 4);
  if (head >> 4 == 0) {
    uint64_t v = 0;
    if (!Varint(16, &v)) return false;
    id = Unzigzag(v);
  }
  if (id > INT16_MAX) return Fail("a field id is out of its range");
  field->id = static_cast<int16_t>(id);
  return true;
}

bool Reader::Bool(const Field& field, bool* value) {
  if (protocol_ == Protocol::kCompact) {
    *value = field.truth;
    return ok();
  }
  uint8_t byte = 0;
  if (!Byte(&byte)) return false;
  *value = byte != 0;
  return true;
}

bool Reader::I32(int32_t* value) {
  if (protocol_ == Protocol::kCompact) {
    uint64_t v = 0;
    if (!Varint(32, &v)) return false;
    *value = static_cast<int32_t>(Unzigzag(v));
    return true;
  }
  uint32_t v = 0;
  if (!Fixed32(&v)) return false;
  *value = static_cast<int32_t>(v);
  return true;
}

bool Reader::I64(int64_t* value) {
  uint64_t v = 0;
  if (protocol_ == Protocol::kCompact) {
    if (!Varint(64, &v)) return false;
    *value = Unzigzag(v);
    return true;
  }
  if (!Has(8)) return false;
  v = uint64_t{ReadU32(bytes_.data() + at_)} << 32 | ReadU32(bytes_.data() + at_ + 4);
  at_ += 8;
  *value = static_cast<int64_t>(v);
  return true;
}

bool Reader::Binary(std::string_view* value) {
  uint32_t n = 0;
  if (!Size(&n) || !Has(n)) return false;
  *value = bytes_.substr(at_, n);
  at_ += n;
  return true;
}

bool Reader::ElementType(uint8_t wire, Type* type) {
  const bool known =
      protocol_ == Protocol::kBinary ? BinaryType(wire, type) : CompactType(wire, type);
  return known || Fail("an element of unknown type");
}

// Every element takes a byte at least, so a count with no room is known before the first is read.
bool Reader::List(Type* element, uint32_t* count) {
  uint8_t head = 0;
  if (!Byte(&head)) return false;
  uint8_t wire = head;
  if (protocol_ == Protocol::kCompact) {
    wire = head & 0x0f;
    *count = head >> 4;
  }
  if ((protocol_ == Protocol::kBinary || *count == 15) && !Size(count)) return false;
  *element = Type::kStop;
  // Some writers name no type for an empty list.
  if (*count == 0) return true;
  if (!ElementType(wire, element)) return false;
  const uint64_t least = FixedSize(protocol_, *element);
  return Has(*count * (least == 0 ? 1 : least));
}

bool Reader::SkipElements(Type element, uint32_t count, int depth) {
  if (!ok()) return false;
  if (const uint32_t fixed = FixedSize(protocol_, element)) return Step(uint64_t{fixed} * count);
  for (uint32_t i = 0; i < count; i++) {
    if (!SkipValue(element, depth)) return false;
  }
  return true;
}

bool Reader::SkipMap(int depth) {
  uint8_t key = 0;
  uint8_t value = 0;
  uint32_t count = 0;
  if (protocol_ == Protocol::kBinary) {
    if (!Byte(&key) || !Byte(&value) || !Size(&count)) return false;
    if (count == 0) return true;
  } else {
    uint8_t types = 0;
    if (!Size(&count)) return false;
    if (count == 0) return true;
    if (!Byte(&types)) return false;
    key = types >> 4;
    value = types & 0x0f;
  }
  Type key_type = Type::kStop;
  Type value_type = Type::kStop;
  if (!ElementType(key, &key_type) || !ElementType(value, &value_type)) return false;
  if (!Has(uint64_t{2} * count)) return false;
  for (uint32_t i = 0; i < count; i++) {
    if (!SkipValue(key_type, depth) || !SkipValue(value_type, depth)) return false;
  }
  return true;
}

bool Reader::SkipValue(Type type, int depth) {
  if (const uint32_t fixed = FixedSize(protocol_, type)) return Step(fixed);
  if (type >= Type::kStruct && depth >= kMaxDepth) return Fail("nested over 64 deep");
  switch (type) {
    case Type::kI16:
    case Type::kI32:
    case Type::kI64: {
      uint64_t v = 0;
      return Varint(64, &v);
    }
    case Type::kBinary: {
      std::string_view bytes;
      return Binary(&bytes);
    }
    case Type::kStruct:
      return SkipFields(depth + 1);
    case Type::kMap:
      return SkipMap(depth + 1);
    case Type::kSet:
    case Type::kList: {
      Type element = Type::kStop;
      uint32_t count = 0;
      return List(&element, &count) && SkipElements(element, count, depth + 1);
    }
    default:
      return Fail("a value of unknown type");
  }
}

bool Reader::Skip(const Field& field, int depth) {
  if (!ok()) return false;
  if (protocol_ == Protocol::kCompact && field.type == Type::kBool) return true;
  return SkipValue(field.type, depth);
}

bool Reader::Raw(const Field& field, int depth, std::string_view* value) {
  const uint64_t from = at_;
  if (!Skip(field, depth)) return false;
  *value = bytes_.substr(from, at_ - from);
  return true;
}

bool Reader::SkipFields(int depth) {
  Field field;
  while (NextField(&field)) {
    if (!Skip(field, depth)) return false;
  }
  return ok();
}

}  // namespace trestle::thrift
