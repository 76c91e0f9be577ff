// What stands on the path of every call takes no memory for valid input.
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdlib>
#include <new>

#include "mux/frame.h"
#include "mux/joiner.h"
#include "mux/splitter.h"
#include "tests/mux/allocations.h"

namespace {
size_t allocations = 0;
size_t held = 0;
}  // namespace

// g++ 12 sees free() behind the inlined delete, but not malloc() behind new.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void* operator new(size_t size) {
  allocations++;
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  held += malloc_usable_size(memory);
  return memory;
}
void* operator new[](size_t size) { return operator new(size); }
void operator delete(void* memory) noexcept {
  if (memory != nullptr) held -= malloc_usable_size(memory);
  std::free(memory);
}
void operator delete[](void* memory) noexcept { operator delete(memory); }
void operator delete(void* memory, size_t) noexcept { operator delete(memory); }
void operator delete[](void* memory, size_t) noexcept { operator delete(memory); }

namespace trestle::mux {

size_t Allocations() { return allocations; }
size_t HeldBytes() { return held; }

namespace {

TEST(Allocation, TheCountersCount) {
  const size_t before = allocations;
  const size_t held_before = held;
  auto* volatile memory = new std::string(100, 'x');
  EXPECT_GE(held - held_before, 100u);
  delete memory;
  EXPECT_GE(allocations - before, 2u);
  EXPECT_EQ(held, held_before);
}

Dispatch FourContexts() {
  Dispatch dispatch;
  dispatch.contexts = {{base::kTraceKey, "0123456789abcdef0123456789abcdef"},
                       {base::kDeadlineKey, "0123456789abcdef"},
                       {base::kClientIdKey, "client"},
                       {"com.twitter.finagle.Retries", "0000"}};
  dispatch.dst = "/svc/users";
  dispatch.dtab = {{"/a", "/b"}, {"/c", "/d"}};
  return dispatch;
}

TEST(Allocation, NoneForADispatchThatIsReadAndWritten) {
  std::string header;
  EncodeDispatch(FourContexts(), &header);
  const std::string message = ShowMessage(Type::kTdispatch, 2, header + "payload");
  std::string stream;
  for (int i = 0; i < 10; i++) stream += message;
  FrameDecoder decoder(1000);
  Joiner joiner{Joiner::Bounds{}};
  Dispatch read;
  std::string written;
  Frame frame;
  uint32_t size = 0;
  // The lists and the string take their memory the first time.
  ASSERT_EQ(DecodeDispatch(header, &read, &size).outcome, Outcome::kOk);
  EncodeDispatch(read, &written);
  base::Buffer in = base::Buffer::Copy(stream);
  const size_t before = allocations;
  const size_t blocks = base::Block::BytesOnThread();
  int good = 0;
  while (decoder.Next(&in, &frame) == Outcome::kOk) {
    good += joiner.Take(&frame) == Outcome::kOk;
    const std::string_view body(frame.body.Front(frame.body.size()), frame.body.size());
    good += DecodeDispatch(body, &read, &size).outcome == Outcome::kOk;
    written.clear();
    EncodeDispatch(read, &written);
    good += written == body.substr(0, size);
  }
  EXPECT_EQ(allocations, before);
  EXPECT_LE(base::Block::BytesOnThread(), blocks);
  EXPECT_EQ(good, 30);
}

TEST(Allocation, NoneForAReply) {
  DispatchReply reply{ReplyStatus::kNack, {{base::kMuxFailureKey, "12345678"}}};
  std::string bytes;
  EncodeDispatchReply(reply, &bytes);
  DispatchReply read;
  uint32_t size = 0;
  ASSERT_EQ(DecodeDispatchReply(bytes, &read, &size).outcome, Outcome::kOk);
  const size_t before = allocations;
  const Outcome outcome = DecodeDispatchReply(bytes, &read, &size).outcome;
  const bool flags = FailureFlags(read.contexts).has_value();
  bytes.clear();
  EncodeDispatchReply(reply, &bytes);
  EXPECT_EQ(allocations, before);
  EXPECT_TRUE(flags);
  EXPECT_EQ(outcome, Outcome::kOk);
}

TEST(Allocation, NoneForAPieceOfASplitMessage) {
  base::Arena arena;
  arena.Allot(1);
  Splitter splitter;
  splitter.set_piece(1000);
  splitter.Add(Type::kTdispatch, 2, base::Buffer::Copy(std::string(100'000, 'x')));
  const size_t before = allocations;
  for (int i = 0; i < 50; i++) splitter.Next(&arena);
  EXPECT_EQ(allocations, before);
}

}  // namespace
}  // namespace trestle::mux
