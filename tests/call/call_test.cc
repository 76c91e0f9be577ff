#include "call/call.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "call/failure_counters.h"
#include "tests/support/thrift_wire.h"

namespace trestle::call {
namespace {

using tests::CallFrame;
using tests::kVoidBody;
using thrift::Protocol;

struct Watcher final : Observer {
  Watcher(std::vector<std::string>* l, std::string n) : log(l), name(std::move(n)) {}
  void OnEnded(Call* call) override {
    log->push_back(name + " " + std::to_string(static_cast<int>(call->end())));
    EXPECT_EQ(call->holder, nullptr);
  }
  std::vector<std::string>* log;
  std::string name;
};

struct Hand final : Holder {
  void OnCancel(Call* call) override {
    cancelled++;
    was_out_of_time = call->out_of_time;
    EXPECT_FALSE(call->ended());
  }
  int cancelled = 0;
  bool was_out_of_time = false;
};

class CallTest : public testing::Test {
 protected:
  CallTest() {
    call_.observer = &router_;
    call_.sink = &server_;
    call_.holder = &hand_;
  }
  std::vector<std::string> log_;
  Watcher router_{&log_, "router"}, server_{&log_, "server"};
  Hand hand_;
  Call call_;
};

using Log = std::vector<std::string>;

TEST_F(CallTest, AReplyEndsItAndTheRouterHearsFirst) {
  call_.Reply(base::Buffer::Copy("reply"), thrift::ReplyKind::kDeclaredException);
  EXPECT_EQ(call_.end(), End::kReplied);
  EXPECT_EQ(call_.reply.ToString(), "reply");
  EXPECT_EQ(call_.reply_kind, thrift::ReplyKind::kDeclaredException);
  EXPECT_EQ(log_, (Log{"router 1", "server 1"}));
  EXPECT_EQ(hand_.cancelled, 0);
  call_.Cancel();
  call_.TimeOut(base::Status(base::Code::kTimeout, "late"));
  EXPECT_EQ(log_.size(), 2u) << "ended twice";
}

TEST_F(CallTest, OnewayDoneEndsIt) {
  call_.OnewayDone();
  EXPECT_EQ(call_.end(), End::kOneway);
  EXPECT_EQ(log_, (Log{"router 3", "server 3"}));
}

TEST_F(CallTest, AFailureTellsStepNamesAndCauseOnOneLine) {
  std::string logical = "/thrift/users", concrete = "/#/fs/users";
  struct Case {
    Step step;
    const std::string *logical, *concrete;
    const char* why;
    const char* text;
  };
  for (const Case& c : {
           Case{Step::kIdentify, nullptr, nullptr, "bad", "trestle: identify: bad"},
           Case{Step::kBind, &logical, nullptr, "gone", "trestle: bind: /thrift/users: gone"},
           Case{Step::kBalance, &logical, &concrete, "empty",
                "trestle: balance: /thrift/users: /#/fs/users: empty"},
           Case{Step::kConnect, &logical, &concrete, "a\nb\r\n\tc\x7f\x01",
                "trestle: connect: /thrift/users: /#/fs/users: a b   c  "},
           Case{Step::kDispatch, nullptr, &concrete, "ä ü", "trestle: dispatch: /#/fs/users: ä ü"},
           Case{Step::kReply, nullptr, nullptr, "", "trestle: reply: "},
           Case{Step::kReply, nullptr, nullptr, "a\xff\xfe b", "trestle: reply: a?? b"},
       }) {
    Call call;
    call.logical = c.logical;
    call.concrete = c.concrete;
    call.Fail(c.step, base::Status(base::Code::kClosed, c.why));
    EXPECT_EQ(call.failure, c.text);
    EXPECT_EQ(call.failed_step, c.step);
    EXPECT_EQ(call.failed_code, base::Code::kClosed);
    EXPECT_EQ(call.end(), End::kFailed);
  }
}

TEST_F(CallTest, AFailuresTextIsBounded) {
  call_.Fail(Step::kBind, base::Status(base::Code::kInvalid, std::string(100'000, 'x')));
  EXPECT_LE(call_.failure.size(), 4200u);
  EXPECT_TRUE(call_.failure.ends_with("x…"));
}

TEST_F(CallTest, CancelTellsTheHolderOnceAndThenTheOthers) {
  call_.Cancel();
  call_.Cancel();
  EXPECT_EQ(hand_.cancelled, 1);
  EXPECT_FALSE(hand_.was_out_of_time);
  EXPECT_EQ(log_, (Log{"router 4", "server 4"}));
}

TEST_F(CallTest, TimeOutTakesItFromItsHolderAndFailsWhereItStands) {
  call_.step = Step::kReply;
  call_.TimeOut(base::Status(base::Code::kTimeout, "too long"));
  EXPECT_EQ(hand_.cancelled, 1);
  EXPECT_TRUE(hand_.was_out_of_time);
  EXPECT_EQ(call_.failure, "trestle: reply: too long");
  EXPECT_EQ(log_, (Log{"router 2", "server 2"}));
}

TEST_F(CallTest, WhatTheRouterRefusesInTheMiddleWasNotTheTime) {
  call_.TimeOut(base::Status(base::Code::kRefused, "memory is short"));
  EXPECT_EQ(hand_.cancelled, 1);
  EXPECT_FALSE(hand_.was_out_of_time);
}

TEST_F(CallTest, ItsTimerStopsWithIt) {
  base::FakeClock clock;
  net::EventLoop loop(&clock);
  int fired = 0;
  call_.timer = std::make_unique<net::Timer>(&loop, [&] { fired++; });
  call_.timer->Arm(std::chrono::seconds(1));
  call_.OnewayDone();
  clock.Advance(std::chrono::seconds(2));
  loop.Poll();
  EXPECT_EQ(fired, 0);
}

TEST_F(CallTest, ResetForgetsEverythingOfTheLastCall) {
  std::string name = "/x";
  call_.request = base::Buffer::Copy("q");
  call_.idempotent = true;
  call_.header.emplace();
  call_.header_bytes = base::Buffer::Copy("h");
  call_.default_dest = call_.logical = call_.concrete = &name;
  call_.name = call_.service = call_.client = call_.metrics = &name;
  call_.attempts = 3;
  call_.tried[0] = 1;
  call_.tried_count = 1;
  call_.envelope.type = thrift::MessageType::kOneway;
  call_.with_header = true;
  call_.theader_flags = 7;
  call_.reply_header_bytes = base::Buffer::Copy("r");
  call_.reply_form = HeaderForm::kTHeader;
  call_.TimeOut(base::Status(base::Code::kTimeout, "x"));
  EXPECT_TRUE(call_.reply_header_bytes.empty()) << "a failure has nothing of a backend's beside it";
  call_.reply_header_bytes = base::Buffer::Copy("r");
  call_.Reset();
  EXPECT_FALSE(call_.with_header);
  EXPECT_EQ(call_.theader_flags, 0);
  EXPECT_TRUE(call_.reply_header_bytes.empty());
  EXPECT_EQ(call_.reply_form, HeaderForm::kNone);
  EXPECT_EQ(call_.end(), End::kOpen);
  EXPECT_FALSE(call_.ended() || call_.idempotent || call_.out_of_time || call_.oneway());
  EXPECT_FALSE(call_.header.has_value());
  EXPECT_EQ(call_.request.size() + call_.header_bytes.size() + call_.reply.size(), 0u);
  EXPECT_EQ(call_.default_dest, nullptr);
  EXPECT_EQ(call_.logical, nullptr);
  EXPECT_EQ(call_.concrete, nullptr);
  EXPECT_EQ(call_.name, nullptr);
  EXPECT_EQ(call_.service, nullptr);
  EXPECT_EQ(call_.client, nullptr);
  EXPECT_EQ(call_.metrics, nullptr);
  EXPECT_EQ(call_.sink, nullptr);
  EXPECT_EQ(call_.observer, nullptr);
  EXPECT_EQ(call_.holder, nullptr);
  EXPECT_EQ(call_.failure, "");
  EXPECT_EQ(call_.attempts + call_.tried_count, 0u);
  EXPECT_EQ(call_.step, Step::kIdentify);
}

TEST(Queue, KeepsItsOrderWhateverIsTakenOut) {
  Call calls[5];
  Queue queue;
  for (Call& c : calls) queue.Push(&c);
  EXPECT_EQ(queue.size(), 5u);
  queue.Remove(&calls[2]);  // the middle
  queue.Remove(&calls[0]);  // the first
  queue.Remove(&calls[4]);  // the last
  queue.Remove(&calls[4]);  // not in it any more: nothing
  EXPECT_EQ(queue.size(), 2u);
  EXPECT_EQ(queue.front(), &calls[1]);
  EXPECT_EQ(queue.Pop(), &calls[1]);
  EXPECT_EQ(queue.Pop(), &calls[3]);
  EXPECT_EQ(queue.Pop(), nullptr);
  EXPECT_TRUE(queue.empty());
}

TEST(Queue, TakesAllOfAnotherAndLeavesStrangersAlone) {
  Call calls[3];
  Queue a, b;
  a.Push(&calls[0]);
  b.Push(&calls[1]);
  b.Push(&calls[2]);
  a.Remove(&calls[1]);
  EXPECT_EQ(b.size(), 2u) << "took a call out of another queue";
  a.TakeAll(&b);
  EXPECT_TRUE(b.empty());
  for (Call& c : calls) EXPECT_EQ(a.Pop(), &c);
}

TEST(Queue, ACallOutlivesItsQueue) {
  Call call;
  {
    Queue queue;
    queue.Push(&call);
  }
  call.Reset();  // asserts that it is in none
  Queue next;
  next.Push(&call);
  EXPECT_EQ(next.size(), 1u);
}

TEST(BareMethod, IsWhatFollowsTheOnlyColon) {
  const struct {
    const char *name, *bare;
  } kCases[] = {{"addUser", "addUser"},
                {"userService:addUser", "addUser"},
                {":addUser", "addUser"},
                {"userService:", "userService:"},
                {"a:b:c", "a:b:c"},
                {"", ""},
                {":", ":"},
                {"a::b", "a::b"}};
  for (const auto& c : kCases) EXPECT_EQ(BareMethod(c.name), c.bare) << c.name;
}

TEST(StepNames, AreThoseOfTheMetrics) {
  const char* expected[] = {"identify", "bind", "balance", "connect", "dispatch", "reply"};
  for (int i = 0; i < 6; i++) EXPECT_STREQ(StepName(static_cast<Step>(i)), expected[i]);
}

// --- PutSeqid ---

constexpr int32_t kSeqids[] = {0,
                               1,
                               -1,
                               63,
                               64,
                               127,
                               128,
                               16383,
                               16384,
                               1 << 30,
                               std::numeric_limits<int32_t>::max(),
                               std::numeric_limits<int32_t>::min()};

// A frame in pieces of `piece` bytes, each in a Block of its own.
base::Buffer InPieces(std::string_view bytes, size_t piece) {
  base::Buffer out;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
    out.Append(base::Slice::Copy(bytes.substr(0, piece)));
  }
  return out;
}

TEST(PutSeqid, MakesTheFrameAsIfItHadBeenWrittenWithTheOther) {
  base::Arena arena;
  const std::string body = "\x0b" + std::string(200, 'b') + kVoidBody;
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    for (int32_t from : kSeqids) {
      for (int32_t to : kSeqids) {
        for (size_t piece : {size_t{1}, size_t{3}, size_t{10'000}}) {
          std::string frame = CallFrame("userService:addUser", from, body, protocol);
          thrift::Envelope envelope;
          ASSERT_EQ(thrift::DecodeEnvelope(protocol, std::string_view(frame).substr(4), &envelope)
                        .outcome,
                    thrift::Outcome::kOk);
          base::Buffer buffer = InPieces(frame, piece);
          PutSeqid(&buffer, protocol, envelope, to, &arena);
          EXPECT_EQ(buffer.ToString(), CallFrame("userService:addUser", to, body, protocol))
              << thrift::ProtocolName(protocol) << " " << from << " -> " << to;
        }
      }
    }
  }
}

TEST(PutSeqid, MayBePutOnAgainAndAgainForEachAttempt) {
  base::Arena arena;
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    std::string frame = CallFrame("addUser", 77777, kVoidBody, protocol);
    thrift::Envelope envelope;
    thrift::DecodeEnvelope(protocol, std::string_view(frame).substr(4), &envelope);
    base::Buffer request = base::Buffer::Copy(frame);
    for (int32_t seqid : kSeqids) {
      base::Buffer sent = request.Share();
      PutSeqid(&sent, protocol, envelope, seqid, &arena);
      EXPECT_EQ(sent.ToString(), CallFrame("addUser", seqid, kVoidBody, protocol));
    }
  }
}

TEST(FailureCountersTest, EachStepAndCauseHasItsCellAndAllAreCounted) {
  base::MetricsTable table;
  FailureCounters failures(table.root());
  failures.Add(Step::kBind, base::Code::kNoRoute);
  failures.Add(Step::kBind, base::Code::kNoRoute);
  failures.Add(Step::kReply, base::Code::kTimeout);
  EXPECT_EQ(table.root()->counter("failures")->value(), 3u);
  EXPECT_EQ(table.root()->counter("failures/bind/no_route")->value(), 2u);
  EXPECT_EQ(table.root()->counter("failures/reply/timeout")->value(), 1u);
}

}  // namespace
}  // namespace trestle::call
