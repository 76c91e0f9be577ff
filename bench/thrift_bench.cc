// What the router does to the bytes of a call: cuts frames, reads envelopes, puts seqids on, walks
// over the fields of messages that have no length in front.
#include <benchmark/benchmark.h>

#include <string>
#include <string_view>

#include "base/buffer.h"
#include "call/call.h"
#include "thrift/frame.h"
#include "thrift/message.h"
#include "thrift/walk.h"

namespace trestle::thrift {
namespace {

constexpr std::string_view kName = "userService:addUser";

// A struct with one string, field 1.
std::string Body(Protocol protocol, uint32_t bytes) {
  std::string out;
  if (protocol == Protocol::kBinary) {
    out = {'\x0b', '\0', '\x01', '\0', '\0', '\0', '\0'};
    WriteU32(out.data() + 3, bytes);
  } else {
    out = "\x18";
    for (; bytes >= 0x80; bytes >>= 7) out += static_cast<char>(bytes | 0x80);
    out += static_cast<char>(bytes);
  }
  return out.append(bytes, 'x').append(1, '\0');
}

std::string Frame(Protocol protocol, int32_t seqid) {
  std::string out(4 + EnvelopeSize(protocol, kName, seqid), '\0');
  EncodeEnvelope(protocol, MessageType::kCall, kName, seqid, out.data() + 4);
  out += Body(protocol, 64);
  WriteU32(out.data(), static_cast<uint32_t>(out.size() - 4));
  return out;
}

void BM_DecodeEnvelope(benchmark::State& state) {
  const auto protocol = static_cast<Protocol>(state.range(0));
  const std::string frame = Frame(protocol, 77'777);
  Envelope envelope;
  for (auto _ : state) {
    auto result = DecodeEnvelope(protocol, std::string_view(frame).substr(4), &envelope);
    benchmark::DoNotOptimize(result);
    benchmark::DoNotOptimize(envelope);
  }
  state.SetLabel(ProtocolName(protocol));
}
BENCHMARK(BM_DecodeEnvelope)
    ->Arg(static_cast<int>(Protocol::kBinary))
    ->Arg(static_cast<int>(Protocol::kCompact));

// Sixteen pipelined calls that one read brought; the time is that of all of them.
void BM_Decode16FramesOfOneRead(benchmark::State& state) {
  std::string bytes;
  for (int32_t i = 0; i < 16; i++) bytes += Frame(Protocol::kBinary, i);
  const base::Slice read = base::Slice::Copy(bytes);
  FrameDecoder decoder(16 << 20);
  for (auto _ : state) {
    base::Buffer in{base::Slice(read)};
    base::Buffer frame;
    while (decoder.Next(&in, &frame) == Outcome::kOk) {
      Envelope envelope;
      const char* front = frame.Front(frame.size());
      DecodeEnvelope(Protocol::kBinary, {front + 4, frame.size() - 4}, &envelope);
      benchmark::DoNotOptimize(envelope);
    }
  }
  state.SetItemsProcessed(16 * state.iterations());
}
BENCHMARK(BM_Decode16FramesOfOneRead);

void BM_PutSeqid(benchmark::State& state) {
  const auto protocol = static_cast<Protocol>(state.range(0));
  const std::string bytes = Frame(protocol, 77'777);
  const base::Slice read = base::Slice::Copy(bytes);
  Envelope envelope;
  DecodeEnvelope(protocol, read.view().substr(4), &envelope);
  base::Arena arena;
  int32_t seqid = 0;
  for (auto _ : state) {
    base::Buffer frame{base::Slice(read)};
    call::PutSeqid(&frame, protocol, envelope, ++seqid, &arena);
    benchmark::DoNotOptimize(frame);
  }
  state.SetLabel(ProtocolName(protocol));
}
BENCHMARK(BM_PutSeqid)
    ->Arg(static_cast<int>(Protocol::kBinary))
    ->Arg(static_cast<int>(Protocol::kCompact));

// A list of `count` structs of an i32 and a short string, as a buffered message might bring it.
std::string ListOfStructs(uint32_t count) {
  std::string out = {'\x0f', '\0', '\x01', '\x0c', '\0', '\0', '\0', '\0'};
  WriteU32(out.data() + 4, count);
  const std::string_view element(
      "\x08\0\x01\0\0\0\x2a\x0b\0\x02\0\0\0\x06"
      "abcdef\0",
      21);
  for (uint32_t i = 0; i < count; i++) out += element;
  return out.append(1, '\0');
}

void Walk(benchmark::State& state, std::string_view body) {
  Walker walker(Protocol::kBinary);
  for (auto _ : state) {
    walker.Reset();
    size_t used = 0;
    const DecodeResult result = walker.Feed(body, &used);
    if (result.outcome != Outcome::kOk || used != body.size()) {
      return state.SkipWithError("the walk did not end where the struct does");
    }
  }
  state.SetBytesProcessed(static_cast<int64_t>(body.size()) * state.iterations());
}
void BM_Walk64KiBString(benchmark::State& state) {
  Walk(state, Body(Protocol::kBinary, 64 * 1024));
}
BENCHMARK(BM_Walk64KiBString);
void BM_Walk64KiBOfSmallStructs(benchmark::State& state) {
  Walk(state, ListOfStructs(64 * 1024 / 21));
}
BENCHMARK(BM_Walk64KiBOfSmallStructs);

}  // namespace
}  // namespace trestle::thrift
