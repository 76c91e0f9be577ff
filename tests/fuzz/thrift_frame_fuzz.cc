// Frames: however the bytes are split into slices, the same frames come out.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "thrift/frame.h"

namespace {

using trestle::base::Buffer;
using trestle::base::Slice;
using trestle::thrift::FrameDecoder;
using trestle::thrift::Outcome;

void Check(bool good) {
  if (!good) std::abort();
}

struct Run {
  std::vector<std::string> frames;
  std::string rest;
  Outcome end = Outcome::kNeedMore;
  bool operator==(const Run&) const = default;
};

// `piece`: bytes of each slice. Frames are asked for after each.
Run Feed(std::string_view bytes, size_t piece, uint32_t max) {
  Run run;
  FrameDecoder decoder(max);
  Buffer in;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    in.Append(Slice::Copy(bytes.substr(at, piece)));
    if (run.end == Outcome::kMalformed) continue;
    Buffer frame;
    while ((run.end = decoder.Next(&in, &frame)) == Outcome::kOk) {
      run.frames.push_back(frame.ToString());
      Check(run.frames.back().size() > 4 && run.frames.back().size() <= size_t{4} + max);
    }
    Check(run.end == Outcome::kNeedMore || !decoder.why().empty());
  }
  run.rest = in.ToString();
  return run;
}

}  // namespace

// The first byte tells the size of the pieces, the second chooses the bound.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const size_t piece = 1 + data[0] % 9;
  const uint32_t max = data[1] % 2 ? 64 : 1u << 20;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const Run whole = Feed(bytes, bytes.size() + 1, max);
  Check(whole == Feed(bytes, piece, max));
  std::string all;
  for (const std::string& frame : whole.frames) all += frame;
  Check(all + whole.rest == bytes);
  return 0;
}
