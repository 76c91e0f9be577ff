// Walking fields: finds the end of a Thrift value without knowing its types' names.
//
// Lifetime, threading: pure. Errors: Outcome; everything is bounded (depth, counts, sizes) before
// it is believed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "thrift/message.h"
#include "thrift/reader.h"

namespace trestle::thrift {

inline constexpr int kMaxDepth = 64;

// Walks over one struct at the front of `bytes`; *size is its length with the stop byte.
DecodeResult SkipStruct(Protocol protocol, std::string_view bytes, uint32_t* size);

// Walks over one struct whose bytes come in pieces. Every byte is looked at once, wherever the
// pieces are cut: the place in a half-read list or number is kept between two calls. It accepts
// what SkipStruct accepts; what SkipStruct refuses it refuses no later, wherever more bytes come.
class Walker {
 public:
  // A struct that would end behind `limit` bytes is malformed (kOverBound) as soon as it is known.
  explicit Walker(Protocol protocol, uint32_t limit = INT32_MAX) : protocol_(protocol) {
    Reset(limit);
  }
  // Begins anew.
  void Reset(uint32_t limit = INT32_MAX);
  // Takes the next bytes. kOk: the struct ended behind the first *used of them; Reset comes next.
  // kNeedMore: all of them belong to it. kMalformed is final.
  DecodeResult Feed(std::string_view bytes, size_t* used);

 private:
  // A struct, list, set or map that was entered and not left yet.
  struct Level {
    Type types[2];  // of the elements to come, by left & 1 (key and value); kStop: a struct
    int16_t id;     // of a struct's last field
    uint32_t left;  // elements to come
  };

  void Run();
  // Each of these reads one thing whole or leaves its bytes alone; false: result_ tells why.
  bool ReadField();
  bool ReadCompactField(uint8_t head);
  bool SkipPlainFields();
  void SkipPlainStrings(Level* level);
  bool ReadElement();
  bool ReadVarints(Level* level);
  bool ReadHead();
  bool ReadListHead();
  bool ReadMapHead();
  bool EnterElements(Type key, Type value, uint32_t elements);
  bool BeginValue(Type type);
  bool Skip(uint64_t n);
  // Both read at `*at` bytes behind the place, and move it.
  bool Varint(uint32_t bits, uint64_t* value, size_t* at);
  bool Size(uint32_t* value, size_t* at);
  bool ElementType(uint8_t wire, Type* type);
  bool Need(uint64_t n);
  bool Fail(const char* why);
  // Bytes of the piece, up to the limit.
  uint64_t Here() const { return std::min(room_, static_cast<uint64_t>(end_ - next_)); }
  void Take(size_t n) {
    next_ += n;
    room_ -= n;
  }

  static constexpr size_t kCarry = 16;  // the longest thing that is read whole has 10 bytes

  Protocol protocol_;
  Type pending_;  // whose head comes next; kStop: none
  uint8_t carried_;
  int depth_;         // 0: the struct has ended
  uint64_t skip_;     // bytes of a value that are only counted
  uint64_t room_;     // bytes up to the limit, those of skip_ already taken off
  const char* next_;  // in Feed only: where it stands
  const char* end_;   // and where the piece ends
  DecodeResult result_;
  char carry_[kCarry];  // the first bytes of what the last piece broke off in
  Level levels_[kMaxDepth];
};

}  // namespace trestle::thrift
