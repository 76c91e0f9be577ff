// What stands on the path of every call takes no memory for valid input.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "tests/thrift/bytes.h"
#include "thrift/buffered.h"
#include "thrift/frame.h"
#include "thrift/theader.h"
#include "thrift/ttwitter.h"

namespace {
size_t allocations = 0;
}

// g++ 12 sees free() behind the inlined delete, but not malloc() behind new.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void* operator new(size_t size) {
  allocations++;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void* operator new[](size_t size) { return operator new(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

namespace trestle::thrift {
namespace {

TEST(Allocation, TheCounterCounts) {
  const size_t before = allocations;
  auto* volatile memory = new std::string(100, 'x');
  delete memory;
  EXPECT_GE(allocations - before, 2u);
}

TEST(Allocation, NoneForAFrameAndItsEnvelope) {
  for (const Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    std::string message(EnvelopeSize(protocol, "userService:addUser", 77), '\0');
    EncodeEnvelope(protocol, MessageType::kReply, "userService:addUser", 77, message.data());
    message.push_back('\0');
    std::string stream;
    for (int i = 0; i < 10; i++) {
      char length[4];
      WriteU32(length, static_cast<uint32_t>(message.size()));
      stream.append(length, 4).append(message);
    }
    base::Buffer in = base::Buffer::Copy(stream);
    FrameDecoder decoder(1000);
    const size_t before = allocations;
    const size_t held = base::Block::BytesOnThread();
    int good = 0;
    base::Buffer frame;
    while (decoder.Next(&in, &frame) == Outcome::kOk) {
      const std::string_view bytes = frame.slice(0).view().substr(4);
      Envelope envelope;
      good += DecodeEnvelope(protocol, bytes, &envelope).outcome == Outcome::kOk;
      good +=
          ClassifyReply(protocol, envelope.type, bytes.substr(envelope.size)) == ReplyKind::kResult;
    }
    EXPECT_EQ(allocations, before);
    EXPECT_LE(base::Block::BytesOnThread(), held);
    EXPECT_EQ(good, 20);
  }
}

// In pieces too: only an envelope that lies in two of them is put together.
TEST(Allocation, NoneForABufferedMessageThatComesInPieces) {
  const std::string message =
      Hex("80010001 00000004 6563686f 00000007 0f0001 0c 00000001 0b0001 00000002 6869 00 00");
  base::Slice pieces[] = {base::Slice::Copy(message.substr(0, 17)),
                          base::Slice::Copy(message.substr(17, 13)),
                          base::Slice::Copy(message.substr(30))};
  BufferedDecoder decoder(Protocol::kBinary, 1000);
  base::Buffer in;
  base::Buffer out;
  const size_t before = allocations;
  Outcome outcome = Outcome::kOk;
  for (const base::Slice& piece : pieces) {
    in.Append(piece);
    outcome = decoder.Next(&in, false, &out);
  }
  EXPECT_EQ(allocations, before);
  EXPECT_EQ(outcome, Outcome::kOk);
  EXPECT_EQ(out.size(), message.size());
}

TEST(Allocation, AHeaderReadAgainReusesItsLists) {
  RequestHeader header;
  header.contexts.resize(10, {"key", "value"});
  header.delegations.resize(10, {"/a", "/b"});
  header.unknown.resize(10, {{Type::kByte, 99, false}, "x"});
  std::string bytes;
  EncodeRequestHeader(Protocol::kBinary, header, &bytes);
  RequestHeader read;
  uint32_t size = 0;
  ASSERT_EQ(DecodeRequestHeader(Protocol::kBinary, bytes, &read, &size).outcome, Outcome::kOk);
  const size_t before = allocations;
  const Outcome outcome = DecodeRequestHeader(Protocol::kBinary, bytes, &read, &size).outcome;
  EXPECT_EQ(allocations, before);
  EXPECT_EQ(outcome, Outcome::kOk);
  EXPECT_EQ(read.contexts.size(), 10u);
  EXPECT_EQ(read.unknown.size(), 10u);
}

TEST(Allocation, ATHeaderReadAndWrittenAgainReusesItsMemory) {
  THeader header;
  header.keys.resize(10, {"key", "value"});
  std::string bytes;
  ASSERT_TRUE(EncodeTHeader(header, &bytes));
  THeader read;
  uint32_t size = 0;
  const auto frame = static_cast<uint32_t>(bytes.size());
  ASSERT_EQ(DecodeTHeader(bytes, frame, &read, &size).outcome, Outcome::kOk);
  std::string written = bytes;
  const size_t before = allocations;
  const Outcome outcome = DecodeTHeader(bytes, frame, &read, &size).outcome;
  written.clear();
  const bool whole = EncodeTHeader(read, &written);
  EXPECT_EQ(allocations, before);
  EXPECT_EQ(outcome, Outcome::kOk);
  EXPECT_TRUE(whole);
  EXPECT_EQ(written, bytes);
}

}  // namespace
}  // namespace trestle::thrift
