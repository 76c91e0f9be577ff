#include "thrift/writer.h"

#include "thrift/frame.h"

namespace trestle::thrift {
namespace {

enum CompactTypeNumber : uint8_t {
  kTrue = 1,
  kFalse = 2,
  kCompactI32 = 5,
  kCompactI64 = 6,
  kCompactBinary = 8,
  kCompactList = 9,
  kCompactStruct = 12,
};

uint64_t Zigzag(int64_t v) {
  return static_cast<uint64_t>(v) << 1 ^ static_cast<uint64_t>(v >> 63);
}

}  // namespace

void Writer::Varint(uint64_t value) {
  while (value >= 0x80) {
    out_->push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out_->push_back(static_cast<char>(value));
}

void Writer::U32(uint32_t value) {
  char bytes[4];
  WriteU32(bytes, value);
  out_->append(bytes, 4);
}

void Writer::Head(int16_t id, Type type, uint8_t compact_type) {
  if (protocol_ == Protocol::kBinary) {
    out_->push_back(static_cast<char>(type));
    out_->push_back(static_cast<char>(id >> 8));
    out_->push_back(static_cast<char>(id));
    return;
  }
  const int step = id - last_id_;
  if (step > 0 && step <= 15) {
    out_->push_back(static_cast<char>(step << 4 | compact_type));
  } else {
    out_->push_back(static_cast<char>(compact_type));
    Varint(Zigzag(id) & UINT16_MAX);
  }
  last_id_ = id;
}

void Writer::Bool(int16_t id, bool value) {
  Head(id, Type::kBool, value ? kTrue : kFalse);
  if (protocol_ == Protocol::kBinary) out_->push_back(value ? '\1' : '\0');
}

void Writer::I32(int16_t id, int32_t value) {
  Head(id, Type::kI32, kCompactI32);
  if (protocol_ == Protocol::kBinary) {
    U32(static_cast<uint32_t>(value));
  } else {
    Varint(Zigzag(value));
  }
}

void Writer::I64(int16_t id, int64_t value) {
  Head(id, Type::kI64, kCompactI64);
  if (protocol_ == Protocol::kBinary) {
    U32(static_cast<uint32_t>(static_cast<uint64_t>(value) >> 32));
    U32(static_cast<uint32_t>(value));
  } else {
    Varint(Zigzag(value));
  }
}

void Writer::Binary(int16_t id, std::string_view value) {
  Head(id, Type::kBinary, kCompactBinary);
  if (protocol_ == Protocol::kBinary) {
    U32(static_cast<uint32_t>(value.size()));
  } else {
    Varint(value.size());
  }
  out_->append(value);
}

void Writer::Raw(const Field& field, std::string_view value) {
  // By Type; a bool's is that of its value.
  static constexpr uint8_t kNumbers[] = {0, 0, kFalse, 3,  7,  0,  4, 0, 5,
                                         0, 6, 8,      12, 11, 10, 9, 13};
  const bool yes = field.type == Type::kBool && field.truth;
  Head(field.id, field.type, yes ? uint8_t{kTrue} : kNumbers[static_cast<uint8_t>(field.type)]);
  out_->append(value);
}

void Writer::StructList(int16_t id, uint32_t count) {
  Head(id, Type::kList, kCompactList);
  if (protocol_ == Protocol::kBinary) {
    out_->push_back(static_cast<char>(Type::kStruct));
    U32(count);
  } else if (count < 15) {
    out_->push_back(static_cast<char>(count << 4 | kCompactStruct));
  } else {
    out_->push_back(static_cast<char>(0xf0 | kCompactStruct));
    Varint(count);
  }
}

void Writer::BeginStruct(int16_t id) {
  Head(id, Type::kStruct, kCompactStruct);
  BeginElement();
}

void Writer::BeginElement() {
  outer_id_ = last_id_;
  last_id_ = 0;
}

void Writer::EndStruct() {
  out_->push_back('\0');
  last_id_ = outer_id_;
}

}  // namespace trestle::thrift
