// What calls keep in memory while they wait: never the block that they were read into, which holds
// the bytes of others too.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/backend/client_fixture.h"
#include "tests/backend/session_fixture.h"
#include "thrift/ttwitter.h"

namespace trestle::backend {
namespace {

constexpr size_t kReadBlock = base::Arena::kBlockBytes;
constexpr size_t kSmall = 8 * 1024;  // what may be left of a small call

std::string Header() {
  thrift::RequestHeader header;
  header.client_id = "web";
  std::string bytes;
  thrift::EncodeRequestHeader(Protocol::kBinary, header, &bytes);
  return Frame(bytes);
}

// The bytes of `buffer`, at the front of a block of read memory that nobody else holds.
base::Buffer AsRead(const base::Buffer& buffer) {
  base::Arena arena;
  base::Slice slice = arena.Allot(static_cast<uint32_t>(buffer.size()));
  buffer.CopyOut(0, slice.data(), buffer.size());
  return base::Buffer(std::move(slice));
}

// A small call as its client wrote it: with a header, message and header in read memory.
std::unique_ptr<TestCall> ReadCall() {
  auto call = std::make_unique<TestCall>();
  call->call.request = AsRead(call->call.request);
  call->call.header_bytes = AsRead(base::Buffer::Copy(Header()));
  call->call.with_header = true;
  return call;
}

class Held {
 public:
  // How much more is held than when this was made.
  size_t more() const { return base::Block::BytesOnThread() - before_; }

 private:
  size_t before_ = base::Block::BytesOnThread();
};

TEST_F(BackendSessionTest, ACallInFlightHoldsNoReadMemory) {
  for (bool upgraded : {true, false}) {
    for (bool idempotent : {true, false}) {
      SCOPED_TRACE(testing::Message() << "upgraded " << upgraded << ", again " << idempotent);
      upgraded_ = upgraded;
      Open();
      loop_.arena()->Allot(1);  // its block is not what is measured
      Held held;
      auto call = ReadCall();
      call->call.idempotent = idempotent;
      EXPECT_GE(held.more(), 2 * kReadBlock);
      EXPECT_NE(Send(*call), "");
      EXPECT_EQ(call->call.step, Step::kReply);
      EXPECT_LT(held.more(), kSmall);
      EXPECT_EQ(call->call.header_bytes.ToString(), idempotent ? Header() : "");
    }
  }
}

TEST_F(BackendSessionTest, CallsThatTheBackendDoesNotReadHoldNoReadMemory) {
  options_.pool.max_in_flight = 100;
  upgraded_ = true;
  Open(10);
  loop_.arena()->Allot(1);
  Held held;
  std::vector<std::unique_ptr<TestCall>> calls;
  for (int turns = 0; turns < 3; turns++) {
    for (int i = 0; i < 5; i++) {
      calls.push_back(ReadCall());
      session_->Send(&calls.back()->call);
    }
    Settle(&loop_);
    EXPECT_LT(held.more(), calls.size() * kSmall);
  }
  EXPECT_EQ(calls[0]->call.step, Step::kDispatch);
  // And they are still what they were.
  Read();
  EXPECT_EQ(calls.back()->call.step, Step::kReply);
  EXPECT_LT(held.more(), calls.size() * kSmall);
}

class WaitingTest : public ClientTest {
 protected:
  // Calls that wait; gives what they hold, without what the first of them needs.
  size_t HeldBy(size_t count) {
    Held held;
    for (size_t i = 0; i < count; i++) {
      calls_.push_back(ReadCall());
      Dispatch(*calls_.back());
      EXPECT_EQ(calls_.back()->end(), call::End::kOpen) << calls_.back()->failure();
      EXPECT_EQ(calls_.back()->call.header_bytes.ToString(), Header());
    }
    return held.more();
  }
  std::vector<std::unique_ptr<TestCall>> calls_;
};

TEST_F(WaitingTest, ForAConnectionThatIsBeingOpened) {
  Use({At("10.0.0.1")});
  net_->hold = true;
  EXPECT_LT(HeldBy(10), 10 * kSmall);
  EXPECT_EQ(net_->trying(), 10u);
}

TEST_F(WaitingTest, ForAPlaceInThePool) {
  options_.pool.max_size = 1;
  Use({At("10.0.0.1")});
  net_->hold = true;
  EXPECT_LT(HeldBy(10), 10 * kSmall);
  EXPECT_EQ(net_->trying(), 1u);
}

TEST_F(WaitingTest, ForTheFirstAddress) { EXPECT_LT(HeldBy(10), 10 * kSmall); }

TEST_F(WaitingTest, ForAnAnswerToTheUpgrade) {
  options_.ttwitter = true;
  Use({At("10.0.0.1")});
  EXPECT_LT(HeldBy(10), 10 * kSmall + kReadBlock);
  EXPECT_EQ(Tries(), 1u);
}

}  // namespace
}  // namespace trestle::backend
