#include "bench/echo_reply.h"

#include <cstdint>
#include <cstring>

#include "bench/bytes.h"
#include "bench/mux_wire.h"

namespace trestle::bench {
namespace {

// Walks over what stands before the payload of a Tdispatch.
class Walk {
 public:
  Walk(const char* bytes, size_t size) : at_(bytes), left_(size) {}

  bool Count(size_t* out) {
    if (left_ < 2) return false;
    *out = Read<2>(at_);
    return Go(2);
  }
  // That many texts, each with its length in front.
  bool Texts(size_t count) {
    for (size_t size = 0; count > 0; count--) {
      if (!Count(&size) || !Go(size)) return false;
    }
    return true;
  }
  size_t left() const { return left_; }

 private:
  bool Go(size_t bytes) {
    if (left_ < bytes) return false;
    at_ += bytes;
    left_ -= bytes;
    return true;
  }

  const char* at_;
  size_t left_;
};

}  // namespace

bool ToReply(char* message, size_t size) {
  static constexpr char kCall[] = {'\x80', '\x01', '\x00', '\x01'};
  if (size < 8 || std::memcmp(message, kCall, 4) != 0) return false;
  const uint32_t name = Read<4>(message + 4);
  if (name > size || size - name < 15) return false;  // envelope and head of a field
  message[3] = 2;                                     // a reply
  message[8 + name + 4 + 2] = 0;                      // its result
  return true;
}

char* ToMuxReply(char* message, size_t size) {
  constexpr size_t kHead = kMuxHead + 3;  // ok, no contexts
  const uint32_t tag = Read<3>(message + kMuxTagAt);
  if (message[kMuxTypeAt] != kTdispatch || tag > kMuxMaxTag) return nullptr;
  Walk walk(message + kMuxHead, size - kMuxHead);
  size_t contexts = 0, dentries = 0;
  if (!walk.Count(&contexts) || !walk.Texts(2 * contexts) || !walk.Texts(1) ||
      !walk.Count(&dentries) || !walk.Texts(2 * dentries)) {
    return nullptr;
  }
  char* payload = message + size - walk.left();
  if (!ToReply(payload, walk.left())) return nullptr;
  char* reply = payload - kHead;
  Put<4>(kHead + walk.left() - 4, reply);
  reply[kMuxTypeAt] = kRdispatch;
  Put<3>(tag, reply + kMuxTagAt);
  Put<3>(0, reply + kMuxHead);
  return reply;
}

}  // namespace trestle::bench
