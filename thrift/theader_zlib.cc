// zlib, the one transform of THeader (RFC 1950).
#include <zlib.h>

#include <algorithm>
#include <memory>
#include <new>
#include <utility>

#include "thrift/theader.h"

namespace trestle::thrift {
namespace {

constexpr uint64_t kLeastBlock = 512;
constexpr uint64_t kMostBlock = 64 * 1024;

// What is small does not hold a large Block.
uint32_t BlockBytes(uint64_t expected) {
  return static_cast<uint32_t>(std::clamp(expected, kLeastBlock, kMostBlock));
}

void SetInput(z_stream* stream, std::string_view bytes) {
  stream->next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));  // only read
  stream->avail_in = static_cast<uInt>(bytes.size());
}

void SetOutput(z_stream* stream, char* to, uint32_t room) {
  stream->next_out = reinterpret_cast<Bytef*>(to);
  stream->avail_out = room;
}

// One time of inflating: hands on what comes out as it goes, to the next time or, the last one, to
// the result. So between two times no more than a Block is held.
class Inflater {
 public:
  // `times` > 0. What comes out of each may have `max_bytes`.
  Inflater(uint32_t times, uint64_t max_bytes, uint32_t block_bytes, base::Buffer* result)
      : max_(max_bytes), arena_(block_bytes), result_(result) {
    if (inflateInit(&stream_) != Z_OK) throw std::bad_alloc();
    if (times > 1) next_ = std::make_unique<Inflater>(times - 1, max_bytes, block_bytes, result);
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // nullptr, or why the bytes are refused.
  const char* Feed(std::string_view bytes);
  // The same when no more bytes come.
  const char* End() const {
    if (!ended_) return "a zlib stream that is cut off";
    return next_ ? next_->End() : nullptr;
  }

 private:
  const char* HandOn(char* bytes, uint32_t n);

  uint64_t max_;
  uint64_t made_ = 0;
  bool ended_ = false;
  z_stream stream_ = {};
  base::Arena arena_;
  base::Buffer* result_;
  std::unique_ptr<Inflater> next_;
};

const char* Inflater::Feed(std::string_view bytes) {
  SetInput(&stream_, bytes);
  bool full = false;  // there may be more to come out without another byte
  while (!ended_ && (stream_.avail_in > 0 || full)) {
    uint32_t room = 0;
    char* to = arena_.Room(1, &room);
    // One byte more than there may be, to see it.
    room = static_cast<uint32_t>(std::min<uint64_t>(room, max_ + 1 - made_));
    SetOutput(&stream_, to, room);
    const int code = inflate(&stream_, Z_NO_FLUSH);
    if (code == Z_MEM_ERROR) throw std::bad_alloc();
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) return "no zlib stream";
    const uint32_t n = room - stream_.avail_out;
    made_ += n;
    if (made_ > max_) return "zlib that inflates to more than its bound";
    ended_ = code == Z_STREAM_END;
    full = stream_.avail_out == 0;
    if (const char* why = HandOn(to, n)) return why;
  }
  return stream_.avail_in > 0 ? "bytes behind a zlib stream" : nullptr;
}

const char* Inflater::HandOn(char* bytes, uint32_t n) {
  if (n == 0) return nullptr;
  if (next_) return next_->Feed({bytes, n});
  result_->Append(arena_.Commit(n));
  return nullptr;
}

// Gives all that the stream has to write for now.
void Drain(z_stream* stream, int flush, base::Arena* arena, base::Buffer* out) {
  do {
    uint32_t room = 0;
    char* to = arena->Room(1, &room);
    SetOutput(stream, to, room);
    deflate(stream, flush);
    const uint32_t n = room - stream->avail_out;
    if (n > 0) out->Append(arena->Commit(n));
  } while (stream->avail_out == 0);
}

bool Refuse(const char* text, const char** why) {
  *why = text;
  return false;
}

}  // namespace

bool Inflate(const base::Buffer& bytes, uint32_t times, uint32_t max_bytes, base::Buffer* out,
             const char** why) {
  if (times == 0) {
    if (bytes.size() > max_bytes) return Refuse("more bytes than their bound", why);
    *out = bytes.Share();
    return true;
  }
  base::Buffer result;
  Inflater inflater(times, max_bytes, BlockBytes(uint64_t{4} * bytes.size()), &result);
  for (uint32_t i = 0; i < bytes.slices(); i++) {
    if (const char* bad = inflater.Feed(bytes.slice(i).view())) return Refuse(bad, why);
  }
  if (const char* bad = inflater.End()) return Refuse(bad, why);
  *out = std::move(result);
  return true;
}

base::Buffer Deflate(const base::Buffer& bytes) {
  z_stream stream = {};
  if (deflateInit(&stream, Z_DEFAULT_COMPRESSION) != Z_OK) throw std::bad_alloc();
  base::Arena arena(BlockBytes(deflateBound(&stream, bytes.size())));
  base::Buffer out;
  for (uint32_t i = 0; i < bytes.slices(); i++) {
    SetInput(&stream, bytes.slice(i).view());
    Drain(&stream, Z_NO_FLUSH, &arena, &out);
  }
  SetInput(&stream, {});
  Drain(&stream, Z_FINISH, &arena, &out);
  deflateEnd(&stream);
  return out;
}

}  // namespace trestle::thrift
