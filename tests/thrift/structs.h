// Structs of every kind of field, good and bad ones, for the tests of whatever walks over them.
#pragma once

#include <string>

#include "tests/thrift/bytes.h"
#include "thrift/message.h"
#include "thrift/reader.h"

namespace trestle::thrift {

inline constexpr Protocol kBinary = Protocol::kBinary;
inline constexpr Protocol kCompact = Protocol::kCompact;

struct Struct {
  const char* about;
  Protocol protocol;
  const char* hex;
};

inline constexpr Struct kStructs[] = {
    {"no field", kBinary, "00"},
    {"bool, byte, double", kBinary, "020001 01 030002 ff 040003 0123456789abcdef 00"},
    {"i16, i32, i64", kBinary, "060001 1234 08ffff 12345678 0a7fff 123456789abcdef0 00"},
    {"string and uuid", kBinary, "0b0001 00000002 6869 100002 00112233445566778899aabbccddeeff 00"},
    {"empty string", kBinary, "0b0001 00000000 00"},
    {"struct in struct", kBinary, "0c0001 0c0002 020003 00 00 00 00"},
    {"list of i32", kBinary, "0f0001 08 00000002 00000001 00000002 00"},
    {"set of strings", kBinary, "0e0001 0b 00000002 00000001 61 00000000 00"},
    {"empty list that names no type", kBinary, "0f0001 00 00000000 00"},
    {"list of lists", kBinary, "0f0001 0f 00000002 02 00000001 01 03 00000000 00"},
    {"list of structs", kBinary, "0f0001 0c 00000002 00 020001 01 00 00"},
    {"map", kBinary, "0d0001 0b 08 00000001 00000001 61 00000007 00"},
    {"map of maps", kBinary, "0d0001 03 0d 00000001 05 02 02 00000001 01 00 00"},
    {"empty map that names no types", kBinary, "0d0001 00 00 00000000 00"},
    {"set of uuids", kBinary, "0e0001 10 00000001 00112233445566778899aabbccddeeff 00"},

    {"no field", kCompact, "00"},
    {"true, false, byte", kCompact, "11 12 13 ff 00"},
    {"i16, i32, i64", kCompact, "14 ffff03 15 ffffffff0f 16 ffffffffffffffffff01 00"},
    {"double", kCompact, "17 0123456789abcdef 00"},
    {"string and uuid", kCompact, "18 02 6869 1d 00112233445566778899aabbccddeeff 00"},
    {"ids written out", kCompact, "05 00 02 05 ffff03 02 05 feff03 02 00"},
    {"struct in struct", kCompact, "1c 1c 11 00 00 00"},
    {"list of i32", kCompact, "19 25 01 8001 00"},
    {"list of 15 bools", kCompact, "19 f1 0f 010201020102010201020102010201 00"},
    {"list of bools as type 2", kCompact, "19 22 01 02 00"},
    {"set of strings", kCompact, "1a 28 01 61 00 00"},
    {"empty list", kCompact, "19 05 00"},
    {"empty list that names no type", kCompact, "19 00 00"},
    {"list of structs", kCompact, "19 2c 00 11 00 00"},
    {"empty map", kCompact, "1b 00 00"},
    {"map", kCompact, "1b 01 85 01 61 0e 00"},
    {"map of maps", kCompact, "1b 01 3b 05 01 11 01 02 00"},
};

struct BadStruct {
  const char* about;
  Protocol protocol;
  const char* hex;
  const char* why;
};

inline constexpr BadStruct kBadStructs[] = {
    {"type 1", kBinary, "010001", "field of unknown type"},
    {"type 5", kBinary, "05", "field of unknown type"},
    {"type 17", kBinary, "11", "field of unknown type"},
    {"type 255", kBinary, "ff", "field of unknown type"},
    {"negative string", kBinary, "0b0001 80000000", "size is negative"},
    {"negative list", kBinary, "0f0001 08 ffffffff", "size is negative"},
    {"negative map", kBinary, "0d0001 08 08 ffffffff", "size is negative"},
    {"list of what", kBinary, "0f0001 07 00000001", "element of unknown type"},
    {"set of stops", kBinary, "0e0001 00 00000001", "element of unknown type"},
    {"map of what", kBinary, "0d0001 08 01 00000001", "element of unknown type"},
    {"string over the bound", kBinary, "0b0001 7fffffff", "longer than its bound"},
    {"list over the bound", kBinary, "0f0001 0a 7fffffff", "longer than its bound"},
    {"map over the bound", kBinary, "0d0001 03 03 7fffffff", "longer than its bound"},
    {"type 14", kCompact, "1e", "field of unknown type"},
    {"stop with a step", kCompact, "10", "field of unknown type"},
    {"id over 16 bits", kCompact, "05 ffff04", "varint is out of its range"},
    {"id of 4 bytes", kCompact, "05 80808000", "varint is out of its range"},
    {"size of 6 bytes", kCompact, "18 808080808000", "varint is out of its range"},
    {"id over 32767 by steps", kCompact, "01 feff03 11", "id is out of its range"},
    {"varint over 64 bits", kCompact, "16 ffffffffffffffffff02", "varint is out of its range"},
    {"endless varint", kCompact, "16 80808080808080808080", "varint is out of its range"},
    {"negative string", kCompact, "18 ffffffff0f", "size is negative"},
    {"string size over 32 bits", kCompact, "18 ffffffff1f", "varint is out of its range"},
    {"string over the bound", kCompact, "18 ffffffff07", "longer than its bound"},
    {"list of what", kCompact, "19 1e", "element of unknown type"},
    {"list of stops", kCompact, "19 10", "element of unknown type"},
    {"map of what", kCompact, "1b 01 50", "element of unknown type"},
};

// Structs in structs; `head` is that of the field that holds the next.
inline std::string Nested(const char* head, int depth) {
  std::string out;
  for (int i = 1; i < depth; i++) out += Hex(head);
  return out + std::string(static_cast<size_t>(depth), '\0');
}

}  // namespace trestle::thrift
