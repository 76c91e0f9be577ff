// What the router does to the bytes of a mux call: cuts messages, reads and writes what stands
// before the payload, splits and joins large ones.
#include <benchmark/benchmark.h>

#include <string>
#include <string_view>

#include "base/buffer.h"
#include "mux/frame.h"
#include "mux/joiner.h"
#include "mux/splitter.h"
#include "mux/tags.h"

namespace trestle::mux {
namespace {

// As a Finagle client with a deadline and an id sends it, and an entry of a dtab.
Dispatch FourContexts() {
  Dispatch dispatch;
  dispatch.contexts = {{base::kTraceKey, "0123456789abcdef0123456789abcdef"},
                       {base::kDeadlineKey, "0123456789abcdef"},
                       {base::kClientIdKey, "web-frontend"},
                       {"com.twitter.finagle.Retries", "0000"}};
  dispatch.dtab = {{"/srv/users", "/srv/users-v2"}};
  return dispatch;
}

std::string Message(uint32_t tag) {
  std::string body;
  EncodeDispatch(FourContexts(), &body);
  return ShowMessage(Type::kTdispatch, tag, body + std::string(64, 'x'));
}

void BM_DecodeDispatch(benchmark::State& state) {
  std::string bytes;
  EncodeDispatch(FourContexts(), &bytes);
  bytes.append(64, 'x');
  Dispatch dispatch;
  uint32_t size = 0;
  for (auto _ : state) {
    DecodeResult result = DecodeDispatch(bytes, &dispatch, &size);
    benchmark::DoNotOptimize(result);
    benchmark::DoNotOptimize(size);
  }
}
BENCHMARK(BM_DecodeDispatch);

void BM_EncodeDispatch(benchmark::State& state) {
  const Dispatch dispatch = FourContexts();
  std::string out;
  for (auto _ : state) {
    out.clear();
    EncodeDispatch(dispatch, &out);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(BM_EncodeDispatch);

// Sixteen calls that one read brought; the time is that of all of them.
void BM_Decode16DispatchesOfOneRead(benchmark::State& state) {
  std::string bytes;
  for (uint32_t tag = 2; tag < 18; tag++) bytes += Message(tag);
  const base::Slice read = base::Slice::Copy(bytes);
  FrameDecoder decoder(16 << 20);
  Joiner joiner{Joiner::Bounds{}};
  Dispatch dispatch;
  Frame frame;
  for (auto _ : state) {
    base::Buffer in{base::Slice(read)};
    while (decoder.Next(&in, &frame) == Outcome::kOk && joiner.Take(&frame) == Outcome::kOk) {
      uint32_t size = 0;
      DecodeDispatch({frame.body.Front(frame.body.size()), frame.body.size()}, &dispatch, &size);
      benchmark::DoNotOptimize(size);
    }
  }
  state.SetItemsProcessed(16 * state.iterations());
}
BENCHMARK(BM_Decode16DispatchesOfOneRead);

void BM_WriteHead(benchmark::State& state) {
  char head[kHeadBytes];
  uint32_t tag = 0;
  for (auto _ : state) {
    WriteHead(Type::kRdispatch, ++tag, false, 100, head);
    benchmark::DoNotOptimize(head);
  }
}
BENCHMARK(BM_WriteHead);

// A call's tag, taken and given back, with so many others in flight.
void BM_Tag(benchmark::State& state) {
  Tags<void*> tags;
  for (int64_t i = 0; i < state.range(0); i++) tags.Add(nullptr);
  for (auto _ : state) {
    const uint32_t tag = tags.Add(nullptr);
    benchmark::DoNotOptimize(tags.Find(tag));
    tags.Remove(tag);
  }
}
BENCHMARK(BM_Tag)->Arg(0)->Arg(16)->Arg(1000);

// 1 MiB as it is read, split into pieces of 64 KiB and joined again.
void BM_SplitAndJoin1MiB(benchmark::State& state) {
  base::Buffer body;
  for (int i = 0; i < 8; i++) body.Append(base::Slice::Copy(std::string(128 * 1024, 'x')));
  base::Arena arena;
  Splitter splitter;
  splitter.set_piece(64 * 1024);
  Joiner joiner{Joiner::Bounds{}};
  FrameDecoder decoder(1 << 20);
  Frame frame;
  for (auto _ : state) {
    splitter.Add(Type::kRdispatch, 2, body.Share());
    while (!splitter.empty()) {
      base::Buffer out = splitter.Next(&arena);
      if (decoder.Next(&out, &frame) != Outcome::kOk) return state.SkipWithError("not a message");
      joiner.Take(&frame);
    }
    benchmark::DoNotOptimize(frame.body.size());
    frame.body.Clear();
  }
}
BENCHMARK(BM_SplitAndJoin1MiB);

}  // namespace
}  // namespace trestle::mux
