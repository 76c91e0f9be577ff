// Buffered messages: however the bytes are split into slices, the same messages come out, each an
// envelope and a struct.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "thrift/buffered.h"
#include "thrift/ttwitter.h"
#include "thrift/walk.h"

namespace {

using trestle::base::Buffer;
using trestle::base::Slice;
using trestle::thrift::BufferedDecoder;
using trestle::thrift::DecodeEnvelope;
using trestle::thrift::Envelope;
using trestle::thrift::Outcome;
using trestle::thrift::Protocol;
using trestle::thrift::SkipStruct;

void Check(bool good) {
  if (!good) std::abort();
}

struct Run {
  std::vector<std::string> messages;
  std::string rest;
  Outcome end = Outcome::kNeedMore;
  bool operator==(const Run&) const = default;
};

struct Mode {
  Protocol protocol;
  bool with_header;
  uint32_t max;
};

void CheckMessage(const Mode& mode, std::string_view message) {
  Check(message.size() <= mode.max);
  uint32_t size = 0;
  if (mode.with_header) {
    Check(SkipStruct(mode.protocol, message, &size).outcome == Outcome::kOk);
    Check(size <= trestle::thrift::kMaxHeaderBytes);
    message.remove_prefix(size);
  }
  Envelope envelope;
  Check(DecodeEnvelope(mode.protocol, message, &envelope).outcome == Outcome::kOk);
  Check(SkipStruct(mode.protocol, message.substr(envelope.size), &size).outcome == Outcome::kOk);
  Check(envelope.size + size == message.size());
}

// `piece`: bytes of each slice; messages are asked for after every `often` of them.
Run Feed(const Mode& mode, std::string_view bytes, size_t piece, size_t often) {
  Run run;
  BufferedDecoder decoder(mode.protocol, mode.max);
  Buffer in;
  size_t slices = 0;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    in.Append(Slice::Copy(bytes.substr(at, piece)));
    if (run.end == Outcome::kMalformed) continue;
    if (++slices % often != 0 && at + piece < bytes.size()) continue;
    Buffer message;
    while ((run.end = decoder.Next(&in, mode.with_header, &message)) == Outcome::kOk) {
      run.messages.push_back(message.ToString());
      CheckMessage(mode, run.messages.back());
      Check(!decoder.begun());
    }
    Check((run.end == Outcome::kMalformed) == !decoder.why().empty());
    Check(run.end != Outcome::kNeedMore || decoder.begun() == !in.empty());
  }
  run.rest = in.ToString();
  return run;
}

}  // namespace

// The first byte chooses protocol, header and bound, the second how the bytes are cut.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  const Mode mode{data[0] & 1 ? Protocol::kCompact : Protocol::kBinary, (data[0] & 2) != 0,
                  data[0] & 4 ? 64 : 1u << 20};
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const Run whole = Feed(mode, bytes, bytes.size(), 1);
  Check(whole == Feed(mode, bytes, 1, 1));
  Check(whole == Feed(mode, bytes, 1 + data[1] % 11, 1 + data[1] / 11 % 5));
  std::string all;
  for (const std::string& message : whole.messages) all += message;
  Check(all + whole.rest == bytes);
  return 0;
}
