#include "thrift/walk.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

#include "thrift/frame.h"

namespace trestle::thrift {

DecodeResult SkipStruct(Protocol protocol, std::string_view bytes, uint32_t* size) {
  Reader reader(protocol, bytes, INT32_MAX);
  if (reader.SkipFields(1)) *size = reader.at();
  return reader.result();
}

void Walker::Reset(uint32_t limit) {
  pending_ = Type::kStop;
  carried_ = 0;
  skip_ = 0;
  room_ = std::min<uint32_t>(limit, INT32_MAX);
  result_ = {Outcome::kNeedMore};
  depth_ = 1;
  levels_[0] = {{Type::kStop, Type::kStop}, 0, 0};
}

// What the last piece broke off in is finished byte by byte, the rest is read where it lies.
DecodeResult Walker::Feed(std::string_view bytes, size_t* used) {
  *used = 0;
  if (result_.outcome != Outcome::kNeedMore) return result_;
  size_t from = 0;
  while (carried_ > 0 && from < bytes.size()) {
    assert(carried_ < kCarry);
    carry_[carried_++] = bytes[from++];
    next_ = carry_;
    end_ = carry_ + carried_;
    Run();
    // What is broken off ends with the byte that was just added, or goes on.
    assert(next_ == carry_ || next_ == end_ || result_.outcome == Outcome::kMalformed);
    if (next_ == end_) carried_ = 0;
    if (result_.outcome != Outcome::kNeedMore) break;
  }
  if (carried_ == 0 && result_.outcome == Outcome::kNeedMore) {
    next_ = bytes.data() + from;
    end_ = bytes.data() + bytes.size();
    Run();
    from = static_cast<size_t>(next_ - bytes.data());
  }
  *used = from;
  if (result_.outcome == Outcome::kNeedMore && from < bytes.size()) {
    carried_ = static_cast<uint8_t>(bytes.size() - from);
    std::memcpy(carry_, next_, carried_);
    *used = bytes.size();
  }
  return result_;
}

void Walker::Run() {
  result_ = {Outcome::kOk};
  const auto n =
      static_cast<size_t>(std::min<uint64_t>(skip_, static_cast<uint64_t>(end_ - next_)));
  next_ += n;
  skip_ -= n;
  if (skip_ > 0) {
    result_ = {Outcome::kNeedMore};
    return;
  }
  while (depth_ > 0) {
    const bool more = pending_ != Type::kStop                       ? ReadHead()
                      : levels_[depth_ - 1].types[0] == Type::kStop ? ReadField()
                                                                    : ReadElement();
    if (!more) return;
  }
}

bool Walker::Fail(const char* why) {
  result_ = {Outcome::kMalformed, why};
  return false;
}

bool Walker::Need(uint64_t n) {
  if (n > room_) return Fail(kOverBound);
  if (n <= static_cast<uint64_t>(end_ - next_)) return true;
  result_ = {Outcome::kNeedMore};
  return false;
}

// Only counted, whether or not the bytes are here.
bool Walker::Skip(uint64_t n) {
  if (n > room_) return Fail(kOverBound);
  room_ -= n;
  const auto here = static_cast<uint64_t>(end_ - next_);
  if (n <= here) {
    next_ += n;
    return true;
  }
  next_ = end_;
  skip_ = n - here;
  result_ = {Outcome::kNeedMore};
  return false;
}

bool Walker::Varint(uint32_t bits, uint64_t* value, size_t* at) {
  uint64_t v = 0;
  size_t i = *at;
  for (uint32_t shift = 0; shift < bits; shift += 7) {
    if (!Need(i + 1)) return false;
    const auto byte = static_cast<uint8_t>(next_[i++]);
    // The last byte that the range needs has only the bits that are left, and none follows it.
    if (bits - shift < 7 && byte >> (bits - shift) != 0) break;
    v |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) {
      *value = v;
      *at = i;
      return true;
    }
  }
  return Fail("a varint is out of its range");
}

bool Walker::Size(uint32_t* value, size_t* at) {
  uint64_t v = 0;
  if (protocol_ == Protocol::kCompact) {
    if (!Varint(32, &v, at)) return false;
  } else {
    if (!Need(*at + 4)) return false;
    v = ReadU32(next_ + *at);
    *at += 4;
  }
  if (v > INT32_MAX) return Fail("a size is negative");
  *value = static_cast<uint32_t>(v);
  return true;
}

bool Walker::ElementType(uint8_t wire, Type* type) {
  const bool known =
      protocol_ == Protocol::kBinary ? BinaryType(wire, type) : CompactType(wire, type);
  return known || Fail("an element of unknown type");
}

bool Walker::ReadField() {
  if (!Need(1)) return false;
  const auto head = static_cast<uint8_t>(*next_);
  if (head == 0) {
    Take(1);
    depth_--;
    return true;
  }
  if (protocol_ == Protocol::kCompact) return ReadCompactField(head);
  if (SkipPlainFields()) return true;
  Type type = Type::kStop;
  if (!BinaryType(head, &type)) return Fail("a field of unknown type");
  if (!Need(3)) return false;
  Take(3);
  return BeginValue(type);
}

// The short way for what most structs are made of: binary fields without fields of their own that
// lie whole in the piece. All others, and all faults, are left to the long way.
bool Walker::SkipPlainFields() {
  const char* p = next_;
  uint64_t left = Here();
  while (left >= 7) {
    uint64_t n = 7;
    if (*p == static_cast<char>(Type::kBinary)) {
      n += ReadU32(p + 3);
    } else {
      Type type = Type::kStop;
      const uint32_t fixed =
          BinaryType(static_cast<uint8_t>(*p), &type) ? FixedSize(protocol_, type) : 0;
      if (fixed == 0) break;
      n = 3 + fixed;
    }
    if (n > left) break;
    p += n;
    left -= n;
  }
  const auto n = static_cast<size_t>(p - next_);
  Take(n);
  return n > 0;
}

// The same for strings in a list.
void Walker::SkipPlainStrings(Level* level) {
  uint64_t left = Here();
  while (level->left > 0 && left >= 4) {
    const uint64_t n = uint64_t{4} + ReadU32(next_);
    if (n > left) return;
    Take(n);
    left -= n;
    level->left--;
  }
}

bool Walker::ReadCompactField(uint8_t head) {
  Type type = Type::kStop;
  if (!CompactType(head & 0x0f, &type)) return Fail("a field of unknown type");
  Level& level = levels_[depth_ - 1];
  size_t at = 1;
  int id = level.id + (head >> 4);
  if (head >> 4 == 0) {
    uint64_t v = 0;
    if (!Varint(16, &v, &at)) return false;
    id = static_cast<int>(v >> 1) ^ -static_cast<int>(v & 1);
  }
  if (id > INT16_MAX) return Fail("a field id is out of its range");
  level.id = static_cast<int16_t>(id);
  Take(at);
  return type == Type::kBool || BeginValue(type);  // a bool's value stands in the head
}

bool Walker::BeginValue(Type type) {
  if (const uint32_t fixed = FixedSize(protocol_, type)) return Skip(fixed);
  if (type >= Type::kStruct && depth_ >= kMaxDepth) return Fail("nested over 64 deep");
  if (type == Type::kStruct) {
    levels_[depth_++] = {{Type::kStop, Type::kStop}, 0, 0};
  } else {
    pending_ = type;
  }
  return true;
}

bool Walker::ReadElement() {
  Level& level = levels_[depth_ - 1];
  if (level.left == 0) {
    depth_--;
    return true;
  }
  const Type type = level.types[level.left & 1];
  // Compact numbers and nothing else.
  if (protocol_ == Protocol::kCompact && level.types[0] == level.types[1] && type < Type::kBinary) {
    return ReadVarints(&level);
  }
  if (protocol_ == Protocol::kBinary && level.types[0] == Type::kBinary &&
      level.types[1] == Type::kBinary) {
    SkipPlainStrings(&level);
    if (level.left == 0) return true;
  }
  level.left--;
  return BeginValue(type);
}

// A number ends with a byte without its top bit. Of eight bytes all numbers that end in them are
// taken at once: none of those is longer than a number may be.
bool Walker::ReadVarints(Level* level) {
  constexpr uint64_t kTops = 0x8080808080808080;
  while (level->left > 0) {
    if (std::endian::native == std::endian::little && level->left >= 8 && Here() >= 8) {
      uint64_t eight = 0;
      std::memcpy(&eight, next_, 8);
      const uint64_t ends = ~eight & kTops;
      if (ends != 0) {
        Take(8 - static_cast<size_t>(std::countl_zero(ends)) / 8);
        level->left -= static_cast<uint32_t>(std::popcount(ends));
        continue;
      }
    }
    uint64_t v = 0;
    size_t at = 0;
    if (!Varint(64, &v, &at)) return false;
    Take(at);
    level->left--;
  }
  return true;
}

bool Walker::ReadHead() {
  if (pending_ == Type::kMap) return ReadMapHead();
  if (pending_ >= Type::kSet) return ReadListHead();
  size_t at = 0;
  uint32_t size = 0;
  uint64_t v = 0;
  if (pending_ == Type::kBinary ? !Size(&size, &at) : !Varint(64, &v, &at)) return false;
  pending_ = Type::kStop;
  Take(at);
  return Skip(size);
}

bool Walker::ReadListHead() {
  if (!Need(1)) return false;
  const auto head = static_cast<uint8_t>(*next_);
  const bool compact = protocol_ == Protocol::kCompact;
  uint32_t count = head >> 4;
  size_t at = 1;
  if ((!compact || count == 15) && !Size(&count, &at)) return false;
  Type element = Type::kStop;
  // Some writers name no type for an empty list.
  if (count > 0 && !ElementType(compact ? head & 0x0f : head, &element)) return false;
  pending_ = Type::kStop;
  Take(at);
  if (const uint32_t fixed = FixedSize(protocol_, element)) return Skip(uint64_t{fixed} * count);
  return EnterElements(element, element, count);
}

bool Walker::ReadMapHead() {
  const bool compact = protocol_ == Protocol::kCompact;
  size_t at = compact ? 0 : 2;
  uint32_t count = 0;
  if (!Size(&count, &at)) return false;
  Type key = Type::kStop;
  Type value = Type::kStop;
  if (count > 0) {
    if (compact && !Need(at + 1)) return false;
    const auto first = static_cast<uint8_t>(next_[compact ? at++ : 0]);
    const auto second = compact ? first : static_cast<uint8_t>(next_[1]);
    if (!ElementType(compact ? first >> 4 : first, &key)) return false;
    if (!ElementType(compact ? second & 0x0f : second, &value)) return false;
  }
  pending_ = Type::kStop;
  Take(at);
  const uint64_t keys = FixedSize(protocol_, key);
  const uint64_t values = FixedSize(protocol_, value);
  if (keys > 0 && values > 0) return Skip((keys + values) * count);
  return EnterElements(key, value, 2 * count);  // the size was under 2^31
}

// Every element takes a byte at least, so a count with no room up to the limit is known at once.
bool Walker::EnterElements(Type key, Type value, uint32_t elements) {
  if (elements > room_) return Fail(kOverBound);
  if (elements > 0) levels_[depth_++] = {{key, value}, 0, elements};
  return true;
}

}  // namespace trestle::thrift
