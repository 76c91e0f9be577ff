#include "thrift/theader.h"

#include "thrift/frame.h"
#include "thrift/lookalike.h"

namespace trestle::thrift {
namespace {

constexpr std::string_view kMagic = "\x0f\xff";
constexpr uint32_t kWord = 4;
constexpr uint32_t kMaxWords = UINT16_MAX;
static_assert(kMaxWords * kWord <= kMaxTHeaderBytes);

constexpr uint32_t kBinaryId = 0;
constexpr uint32_t kCompactId = 2;

enum Transform : uint32_t { kNone = 0, kZlib = 1, kHmac = 2, kSnappy = 3 };

constexpr uint32_t kKeyValues = 1;  // the only info; 0 is padding

DecodeResult Malformed(const char* why) { return {Outcome::kMalformed, why}; }

uint16_t ReadU16(const char* p) {
  return static_cast<uint16_t>(static_cast<uint8_t>(p[0]) << 8 | static_cast<uint8_t>(p[1]));
}

void WriteU16(char* p, uint32_t v) {
  p[0] = static_cast<char>(v >> 8);
  p[1] = static_cast<char>(v);
}

// The words of a header, all of which are there.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : rest_(bytes) {}

  bool empty() const { return rest_.empty(); }
  const char* why() const { return why_; }
  bool Fail(const char* why) {
    why_ = why;
    return false;
  }
  // Of at most 32 bits, in at most the five bytes that these need.
  bool Varint(uint32_t* value) {
    uint32_t v = 0;
    for (uint32_t shift = 0; shift < 35; shift += 7) {
      if (rest_.empty()) return Fail("a THeader that ends inside a value");
      const auto byte = static_cast<uint8_t>(rest_[0]);
      rest_.remove_prefix(1);
      if (shift == 28 && byte > 0x0f) break;
      v |= static_cast<uint32_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) {
        *value = v;
        return true;
      }
    }
    return Fail("a varint is out of its range");
  }
  bool Piece(std::string_view* piece) {
    uint32_t n = 0;
    if (!Varint(&n)) return false;
    if (n > rest_.size()) return Fail("a THeader that ends inside a value");
    *piece = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return true;
  }

 private:
  std::string_view rest_;
  const char* why_ = "";
};

// What is wrong before the words of the header are counted; nullptr: nothing yet.
const char* BadStart(std::string_view bytes, uint32_t frame) {
  if (frame < kTHeaderFixed) return "a frame too short for a THeader";
  if (frame > kMaxTHeaderFrame) return "a frame over the bound of THeader";
  if (bytes.size() < 2 || HeaderStart(bytes)) return nullptr;
  if (BinaryStart(bytes)) return "looks like framed binary Thrift, not THeader";
  if (CompactStart(bytes)) return "looks like framed compact Thrift, not THeader";
  return "a frame without THeader's magic";
}

bool ReadProtocol(Cursor* cursor, Protocol* out) {
  uint32_t id = 0;
  if (!cursor->Varint(&id)) return false;
  if (id != kBinaryId && id != kCompactId) return cursor->Fail("a THeader of an unknown protocol");
  *out = id == kBinaryId ? Protocol::kBinary : Protocol::kCompact;
  return true;
}

// None but zlib, and what Go's library writes for nothing.
bool ReadTransforms(Cursor* cursor, uint32_t* zlib) {
  uint32_t count = 0;
  if (!cursor->Varint(&count)) return false;
  if (count > kMaxTHeaderTransforms) return cursor->Fail("a THeader of over 4 transforms");
  for (; count > 0; count--) {
    uint32_t id = 0;
    if (!cursor->Varint(&id)) return false;
    if (id == kHmac) return cursor->Fail("a THeader of the transform HMAC, which is not spoken");
    if (id == kSnappy)
      return cursor->Fail("a THeader of the transform snappy, which is not spoken");
    if (id != kZlib && id != kNone) return cursor->Fail("a THeader of an unknown transform");
    if (id == kZlib) ++*zlib;
  }
  return true;
}

// `n (key~ value~){n}`, behind those that were read already.
bool ReadKeys(Cursor* cursor, base::Contexts* out) {
  uint32_t count = 0;
  if (!cursor->Varint(&count)) return false;
  if (count > kMaxTHeaderKeys - out->size()) return cursor->Fail("a THeader of over 1000 keys");
  for (base::KeyValue pair; count > 0; count--) {
    if (!cursor->Piece(&pair.key) || !cursor->Piece(&pair.value)) return false;
    out->push_back(pair);
  }
  return true;
}

// Ends at the padding, and at info of which nobody knows where it ends.
bool ReadInfo(Cursor* cursor, base::Contexts* keys) {
  while (!cursor->empty()) {
    uint32_t id = 0;
    if (!cursor->Varint(&id)) return false;
    if (id != kKeyValues) return true;
    if (!ReadKeys(cursor, keys)) return false;
  }
  return true;
}

uint32_t VarintSize(size_t value) {
  uint32_t n = 1;
  for (; value >= 0x80; value >>= 7) n++;
  return n;
}

void PutVarint(size_t value, std::string* out) {
  for (; value >= 0x80; value >>= 7) out->push_back(static_cast<char>(value | 0x80));
  out->push_back(static_cast<char>(value));
}

void PutPiece(std::string_view piece, std::string* out) {
  PutVarint(piece.size(), out);
  out->append(piece);
}

size_t SizeOf(std::string_view piece) { return VarintSize(piece.size()) + piece.size(); }

// How many of the keys have room in so many bytes, the id and the count before them included.
size_t Fitting(const base::Contexts& keys, size_t room) {
  size_t bytes = 0;
  size_t n = 0;
  for (; n < keys.size() && n < kMaxTHeaderKeys; n++) {
    bytes += SizeOf(keys[n].key) + SizeOf(keys[n].value);
    if (VarintSize(kKeyValues) + VarintSize(n + 1) + bytes > room) break;
  }
  return n;
}

void PutKeys(const base::Contexts& keys, size_t count, std::string* out) {
  if (count == 0) return;
  PutVarint(kKeyValues, out);
  PutVarint(count, out);
  for (size_t i = 0; i < count; i++) {
    PutPiece(keys[i].key, out);
    PutPiece(keys[i].value, out);
  }
}

}  // namespace

void THeader::Clear() {
  flags = 0;
  seqid = 0;
  protocol = Protocol::kBinary;
  zlib = 0;
  keys.clear();
}

uint32_t THeaderSize(std::string_view fixed) {
  return kTHeaderFixed + ReadU16(fixed.data() + 8) * kWord;
}

DecodeResult DecodeTHeader(std::string_view bytes, uint32_t frame, THeader* out, uint32_t* size) {
  out->Clear();
  if (const char* why = BadStart(bytes, frame)) return Malformed(why);
  if (bytes.size() < kTHeaderFixed) return {Outcome::kNeedMore};
  const uint32_t end = THeaderSize(bytes);
  if (end > frame) return Malformed("a THeader longer than its frame");
  if (bytes.size() < end) return {Outcome::kNeedMore};
  out->flags = ReadU16(bytes.data() + 2);
  out->seqid = static_cast<int32_t>(ReadU32(bytes.data() + 4));
  Cursor cursor(bytes.substr(kTHeaderFixed, end - kTHeaderFixed));
  if (!ReadProtocol(&cursor, &out->protocol) || !ReadTransforms(&cursor, &out->zlib) ||
      !ReadInfo(&cursor, &out->keys)) {
    return Malformed(cursor.why());
  }
  *size = end;
  return {Outcome::kOk};
}

bool EncodeTHeader(const THeader& header, std::string* out) {
  char fixed[kTHeaderFixed] = {};
  kMagic.copy(fixed, kMagic.size());
  WriteU16(fixed + 2, header.flags);
  WriteU32(fixed + 4, static_cast<uint32_t>(header.seqid));
  const size_t words_at = out->size() + 8;
  out->append(fixed, kTHeaderFixed);
  const size_t begin = out->size();
  PutVarint(header.protocol == Protocol::kBinary ? kBinaryId : kCompactId, out);
  PutVarint(header.zlib, out);
  out->append(header.zlib, static_cast<char>(kZlib));
  const size_t fitting = Fitting(header.keys, kMaxWords * kWord - (out->size() - begin));
  PutKeys(header.keys, fitting, out);
  const size_t words = (out->size() - begin + kWord - 1) / kWord;
  out->resize(begin + words * kWord);
  WriteU16(out->data() + words_at, static_cast<uint32_t>(words));
  return fitting == header.keys.size();
}

}  // namespace trestle::thrift
