// The upgrade to TTwitter of the connections to one endpoint: what it may answer, and what is
// remembered of it.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/backend/captures.h"
#include "tests/backend/pool_fixture.h"
#include "tests/support/theader_wire.h"
#include "thrift/ttwitter.h"

namespace trestle::backend {
namespace {

using call::End;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using tests::Settle;
using thrift::Protocol;

std::string AskFrame(Protocol protocol = Protocol::kBinary) {
  return tests::Frame(thrift::EncodeUpgradeCall(protocol));
}
std::string AcceptFrame(Protocol protocol = Protocol::kBinary) {
  return tests::Frame(thrift::EncodeUpgradeReply(protocol, 0));
}
std::string RefuseFrame(Protocol protocol = Protocol::kBinary) {
  return tests::ExceptionFrame(thrift::kUpgradeMethod, 0, "Invalid method name", protocol);
}
const std::string kNoHeader("\x0f\x00\x08\x0c\0\0\0\0\x0b\x00\x09\0\0\0\x01/\0", 17);

class UpgradeTest : public PoolTest {
 protected:
  UpgradeTest() {
    options_.ttwitter = true;
    options_.connect_timeout = milliseconds(700);
  }
  uint64_t Told(const std::string& what) { return CountOf("ttwitter", what); }
  void AnswerWith(size_t i, const std::string& bytes) {
    Far(i).Send(bytes);
    Settle(&loop_);
  }
  // That connection `i` was asked; and nothing else was said on it.
  void ExpectAsked(size_t i, Protocol protocol = Protocol::kBinary) {
    ASSERT_GT(Opened(), i);
    EXPECT_EQ(Far(i).TakeAll(), AskFrame(protocol));
  }
  // The call on connection `i` has a header or not, and is answered.
  void ExpectServed(TestCall& call, size_t i, bool header, Protocol protocol = Protocol::kBinary) {
    ASSERT_GT(Opened(), i);
    std::string in = Far(i).TakeAll();
    ASSERT_GT(in.size(), 4u);
    if (header) {
      thrift::RequestHeader read;
      uint32_t size = 0;
      ASSERT_EQ(thrift::DecodeRequestHeader(protocol, std::string_view(in).substr(4), &read, &size)
                    .outcome,
                thrift::Outcome::kOk);
      EXPECT_EQ(read.dest, "/");
      in = tests::Frame(in.substr(4 + size));
    }
    auto messages = tests::TakeMessages(&in, protocol);
    ASSERT_EQ(messages.size(), 1u);
    std::string reply = tests::Message(tests::MessageType::kReply, messages[0].name,
                                       messages[0].seqid, tests::kVoidBody, protocol);
    AnswerWith(i, tests::Frame(header ? std::string(1, '\0') + reply : reply));
    EXPECT_EQ(call.end(), End::kReplied) << call.failure();
    EXPECT_EQ(call.reply(),
              tests::ReplyFrame("userService:addUser", 1000, tests::kVoidBody, protocol));
  }
};

TEST_F(UpgradeTest, ABackendThatAcceptsGetsHeaders) {
  Open();
  TestCall call;
  Dispatch(call);
  ExpectAsked(0);
  EXPECT_EQ(Count("connects"), 0u) << "the upgrade is part of connecting";
  Advance(milliseconds(699));
  AnswerWith(0, AcceptFrame());
  EXPECT_EQ(Count("connects"), 1u);
  EXPECT_EQ(Told("accepted"), 1u);
  ExpectServed(call, 0, true);
  TestCall next;
  Dispatch(next);
  ExpectServed(next, 0, true);
}

TEST_F(UpgradeTest, WhoeverSpeaksTHeaderIsNotAsked) {
  options_.wire = Wire::kTHeader;
  Open();
  TestCall call;
  Dispatch(call);
  ASSERT_EQ(Opened(), 1u);
  const tests::Headed sent = tests::ReadHeaderFrame(Far(0).TakeAll());
  EXPECT_EQ(sent.message, tests::Message(tests::MessageType::kCall, "userService:addUser", 1));
  AnswerWith(0, tests::HeaderFrame(1, tests::Message(tests::MessageType::kReply, "addUser", 1)));
  EXPECT_EQ(call.end(), End::kReplied) << call.failure();
}

TEST_F(UpgradeTest, TheFirstBytesAreThoseOfRealPeers) {
  const struct {
    const char* capture;
    Protocol protocol;
    bool accepted;
  } kCases[] = {
      {"thrift_ttwitter_upgrade_accepted", Protocol::kBinary, true},
      {"thrift_ttwitter_upgrade_accepted_compact", Protocol::kCompact, true},
      {"thrift_ttwitter_upgrade_refused_by_plain_server", Protocol::kBinary, false},
      {"thrift_ttwitter_upgrade_refused_compact", Protocol::kCompact, false},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.capture);
    client_.reset();
    Open();
    TestCall call("userService:addUser", 1000, thrift::MessageType::kCall, c.protocol);
    Dispatch(call);
    ASSERT_EQ(Opened(), 1u);
    EXPECT_EQ(Far(0).TakeAll(), Captured(c.capture, "client")[0]);
    AnswerWith(0, Captured(c.capture, "server")[0]);
    ExpectServed(call, 0, c.accepted, c.protocol);
    EXPECT_EQ(Opened(), 1u) << "refused: on the same connection";
  }
}

TEST_F(UpgradeTest, ARealReplyBehindItsHeaderIsRead) {
  for (const char* capture : {"thrift_ttwitter_minimal", "thrift_ttwitter_application_exception"}) {
    options_.verify_seqid = false;  // the capture has that of its own client
    for (size_t at_a_time : {size_t{1}, size_t{1} << 20}) {
      client_.reset();
      Open();
      TestCall call("echo", 77);
      Dispatch(call);
      AnswerWith(0, Captured(capture, "server")[0]);
      net_->backends[0]->near->set_max_read(at_a_time);
      const std::string bytes = Captured(capture, "server")[1];
      AnswerWith(0, bytes);
      ASSERT_EQ(call.end(), End::kReplied) << call.failure();
      std::string reply = call.reply();
      auto got = tests::TakeMessages(&reply);
      ASSERT_EQ(got.size(), 1u);
      EXPECT_EQ(got[0].seqid, 77);
      EXPECT_EQ(got[0].body, bytes.substr(5 + 12 + 4));
    }
  }
}

TEST_F(UpgradeTest, ABackendThatRefusesIsSpokenToPlainlyForTenMinutes) {
  Open();
  TestCall first;
  Dispatch(first);
  ExpectAsked(0);
  AnswerWith(0, RefuseFrame());
  EXPECT_EQ(Told("refused"), 1u);
  TestCall second;
  Dispatch(second);  // while the first is in flight
  ASSERT_EQ(Opened(), 2u);
  ExpectServed(first, 0, false);
  ExpectServed(second, 1, false);
  for (size_t i : {0, 1}) Far(i).Close(false);
  Advance(minutes(10) - milliseconds(1));
  TestCall third;
  Dispatch(third);
  ExpectServed(third, 2, false);
  Far(2).Close(false);
  Advance(milliseconds(1));
  TestCall fourth;
  Dispatch(fourth);
  ExpectAsked(3);
  AnswerWith(3, AcceptFrame());
  ExpectServed(fourth, 3, true);
  EXPECT_EQ(Out(), 0u);
}

TEST_F(UpgradeTest, EveryAnswerThatIsNoExceptionAccepts) {
  for (const std::string& answer : {tests::ReplyFrame(thrift::kUpgradeMethod, 0),
                                    tests::ReplyFrame("x", 5, "\x0b"), tests::CallFrame("y", 0)}) {
    client_.reset();
    Open();
    TestCall call;
    Dispatch(call);
    ExpectAsked(0);
    AnswerWith(0, answer);
    ExpectServed(call, 0, true);
  }
}

TEST_F(UpgradeTest, ABackendThatHangsUpAtAnyByteOfItsAnswerIsConnectedToAgainAndSpokenToPlainly) {
  const std::string answer = AcceptFrame();
  for (bool reset : {false, true}) {
    for (size_t size = 0; size < answer.size(); size++) {
      SCOPED_TRACE(size);
      client_.reset();
      Settle(&loop_);
      const uint64_t before = Told("hung_up");
      Open();
      TestCall call;
      Dispatch(call);
      ExpectAsked(0);
      AnswerWith(0, answer.substr(0, size));
      reset ? Far(0).Close(true) : Far(0).ShutdownWrite();
      Settle(&loop_);
      ExpectServed(call, 1, false);
      EXPECT_EQ(Told("hung_up"), before + 1);
      EXPECT_EQ(Count("failed_connects"), 0u);
      EXPECT_EQ(Out(), 0u) << "no failure of the endpoint";
      EXPECT_EQ(CountOf("retries", "requeues"), 0u);
      EXPECT_TRUE(Far(0).peer_ended());
    }
  }
}

TEST_F(UpgradeTest, WhatIsNoAnswerCountsAsHangingUp) {
  for (const std::string& bytes :
       {std::string("HTTP/1.1 400 Bad Request\r\n\r\n"), std::string(4, '\0'),
        tests::Frame("\x01\x02\x03"), AcceptFrame() + "x", AcceptFrame(Protocol::kCompact)}) {
    client_.reset();
    Open();
    TestCall call;
    Dispatch(call);
    ExpectAsked(0);
    AnswerWith(0, bytes);
    EXPECT_TRUE(Far(0).peer_ended());
    ExpectServed(call, 1, false);
  }
  EXPECT_EQ(Told("hung_up"), 5u);
}

TEST_F(UpgradeTest, ABackendThatRefusesAndClosesIsRememberedAsRefusing) {
  Open();
  TestCall call;
  Dispatch(call);
  ExpectAsked(0);
  Far(0).Send(RefuseFrame());
  Far(0).ShutdownWrite();
  Settle(&loop_);
  ExpectServed(call, 1, false);
  EXPECT_EQ(Told("refused"), 1u);
}

TEST_F(UpgradeTest, ABackendThatNeverAnswersIsConnectedToAgainAndSpokenToPlainlyForAMinute) {
  Open();
  TestCall call;
  Dispatch(call);
  ExpectAsked(0);
  Advance(milliseconds(699));
  EXPECT_EQ(Opened(), 1u);
  Advance(milliseconds(1));
  EXPECT_EQ(Told("silent"), 1u);
  EXPECT_TRUE(Far(0).peer_ended());
  ExpectServed(call, 1, false);
  Far(1).Close(false);
  Advance(minutes(1) - milliseconds(1));
  TestCall second;
  Dispatch(second);
  ExpectServed(second, 2, false);
  Far(2).Close(false);
  Advance(milliseconds(1));
  TestCall third;
  Dispatch(third);
  ExpectAsked(3);
  AnswerWith(3, AcceptFrame());
  ExpectServed(third, 3, true);
}

TEST_F(UpgradeTest, ByteByByteTheAnswerIsTheSame) {
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    client_.reset();
    Open();
    TestCall call("userService:addUser", 1000, thrift::MessageType::kCall, protocol);
    Dispatch(call);
    ExpectAsked(0, protocol);
    net_->backends[0]->near->set_max_read(1);
    AnswerWith(0, AcceptFrame(protocol));
    ExpectServed(call, 0, true, protocol);
  }
}

TEST_F(UpgradeTest, OneConnectionAsksAndTheOthersWaitForItsAnswer) {
  for (bool accepted : {true, false}) {
    client_.reset();
    Open();
    TestCall a, b, c;
    for (TestCall* call : {&a, &b, &c}) Dispatch(*call);
    ASSERT_EQ(Opened(), 1u) << "all asked at once";
    ExpectAsked(0);
    AnswerWith(0, accepted ? AcceptFrame() : RefuseFrame());
    ASSERT_EQ(Opened(), 3u);
    ExpectServed(a, 0, accepted);
    for (size_t i : {1, 2}) {
      if (accepted) {
        ExpectAsked(i);
        AnswerWith(i, AcceptFrame());
      }
      // In the order of their calls, on the connection that was free first.
    }
    size_t next = 0;
    for (TestCall* call : {&b, &c}) {
      while (next < 3 && call->end() != End::kReplied) {
        std::string peek = Far(next).TakeAll();
        if (peek.empty()) {
          next++;
          continue;
        }
        Far(next).TakeAll();
        std::string in = accepted ? tests::Frame(peek.substr(4 + kNoHeader.size())) : peek;
        auto m = tests::TakeMessages(&in);
        ASSERT_EQ(m.size(), 1u);
        AnswerWith(next,
                   tests::Frame((accepted ? std::string(1, '\0') : std::string()) +
                                tests::Message(tests::MessageType::kReply, m[0].name, m[0].seqid)));
      }
      EXPECT_EQ(call->end(), End::kReplied);
    }
  }
}

TEST_F(UpgradeTest, WhoWaitsForASilentBackendWaitsItsTimeOnceForAll) {
  Open();
  std::vector<std::unique_ptr<TestCall>> calls;
  for (int i = 0; i < 5; i++) {
    calls.push_back(std::make_unique<TestCall>());
    Dispatch(*calls.back());
  }
  EXPECT_EQ(Opened(), 1u);
  Advance(milliseconds(700));
  ASSERT_EQ(Opened(), 6u) << "now all know";
  for (size_t i = 1; i <= 5; i++) AnswerAt(i);
  for (auto& call : calls) EXPECT_EQ(call->end(), End::kReplied);
  EXPECT_EQ(Out(), 0u);
}

TEST_F(UpgradeTest, AskedAgainOthersGoOnPlainly) {
  Open();
  TestCall first;
  Dispatch(first);
  ExpectAsked(0);
  AnswerWith(0, RefuseFrame());
  ExpectServed(first, 0, false);
  Far(0).Close(false);
  Advance(minutes(10));
  TestCall a, b;
  Dispatch(a);
  ExpectAsked(1);
  Dispatch(b);
  ASSERT_EQ(Opened(), 3u) << "who can be spoken to plainly is not waited for";
  // The one that is free first takes who waits first.
  std::string in = Far(2).TakeAll();
  EXPECT_EQ(tests::TakeMessages(&in).size(), 1u);
  AnswerWith(1, AcceptFrame());
  EXPECT_NE(Far(1).TakeAll(), "");
  EXPECT_EQ(Told("accepted"), 1u);
}

TEST_F(UpgradeTest, ACancelledCallLeavesTheAnswerToTheNext) {
  Open();
  TestCall a;
  Dispatch(a);
  ExpectAsked(0);
  a.call.Cancel();
  TestCall b;
  Dispatch(b);
  EXPECT_EQ(Opened(), 1u);
  AnswerWith(0, AcceptFrame());
  ExpectServed(b, 0, true);
}

TEST_F(UpgradeTest, AConnectFailureSaysNothingOfTheUpgrade) {
  client();
  net_->refusing = {"10.0.0.1:80"};
  Open();
  TestCall a;
  Dispatch(a);
  EXPECT_EQ(a.end(), End::kFailed);
  EXPECT_EQ(a.call.failed_step, call::Step::kConnect);
  net_->refusing.clear();
  Advance(seconds(20));
  TestCall b;
  Dispatch(b);
  ExpectAsked(0);
  AnswerWith(0, AcceptFrame());
  ExpectServed(b, 0, true);
}

TEST_F(UpgradeTest, ThePlainConnectionThatCannotBeOpenedIsAConnectFailure) {
  Open();
  TestCall call;
  Dispatch(call);
  ExpectAsked(0);
  net_->refuse_all = true;
  Far(0).Close(true);
  Settle(&loop_);
  ASSERT_EQ(call.end(), End::kFailed);
  EXPECT_EQ(call.call.failed_step, call::Step::kConnect);
  EXPECT_EQ(Count("failed_connects"), 1u);
}

TEST_F(UpgradeTest, EachProtocolHasItsConnections) {
  Open();
  TestCall binary;
  TestCall compact("userService:addUser", 1000, thrift::MessageType::kCall, Protocol::kCompact);
  Dispatch(binary);
  ExpectAsked(0);
  AnswerWith(0, AcceptFrame());
  ExpectServed(binary, 0, true);
  Dispatch(compact);
  ExpectAsked(1, Protocol::kCompact);
  AnswerWith(1, AcceptFrame(Protocol::kCompact));
  ExpectServed(compact, 1, true, Protocol::kCompact);
  TestCall again;
  Dispatch(again);
  ExpectServed(again, 0, true);
  EXPECT_EQ(Opened(), 2u);
}

TEST_F(UpgradeTest, AFullPoolGivesUpAnIdleConnectionOfTheOtherProtocol) {
  options_.pool.max_size = 1;
  Open();
  TestCall binary;
  Dispatch(binary);
  ExpectAsked(0);
  AnswerWith(0, AcceptFrame());
  TestCall compact("userService:addUser", 1000, thrift::MessageType::kCall, Protocol::kCompact);
  Dispatch(compact);
  EXPECT_EQ(Opened(), 1u);
  ExpectServed(binary, 0, true);
  ExpectAsked(1, Protocol::kCompact);
  EXPECT_TRUE(Far(0).peer_ended());
  AnswerWith(1, AcceptFrame(Protocol::kCompact));
  ExpectServed(compact, 1, true, Protocol::kCompact);
  TestCall last;
  Dispatch(last);
  ExpectAsked(2);
  EXPECT_TRUE(Far(1).peer_ended());
  AnswerWith(2, AcceptFrame());
  ExpectServed(last, 2, true);
}

TEST_F(UpgradeTest, UnframedItWorksToo) {
  options_.framing = thrift::Framing::kBuffered;
  for (size_t at_a_time : {size_t{1}, size_t{1000}}) {
    client_.reset();
    Open();
    TestCall call;
    Dispatch(call);
    ASSERT_EQ(Opened(), 1u);
    EXPECT_EQ(Far(0).TakeAll(), AskFrame().substr(4));
    net_->backends[0]->near->set_max_read(at_a_time);
    AnswerWith(0, AcceptFrame().substr(4));
    EXPECT_EQ(Far(0).TakeAll(), kNoHeader + tests::CallFrame("userService:addUser", 1).substr(4));
    AnswerWith(0, std::string(1, '\0') + tests::ReplyFrame("userService:addUser", 1).substr(4));
    ASSERT_EQ(call.end(), End::kReplied) << call.failure();
    EXPECT_EQ(call.reply(), tests::ReplyFrame("userService:addUser", 1000));
  }
}

TEST_F(UpgradeTest, MinSizeIsOpenedThroughTheUpgrade) {
  options_.pool.min_size = 3;
  Open();
  EXPECT_EQ(Opened(), 1u);
  ExpectAsked(0);
  AnswerWith(0, RefuseFrame());
  EXPECT_EQ(Opened(), 3u);
  EXPECT_EQ(Gauge("pool_cached"), 3);
}

TEST_F(UpgradeTest, AnEndpointThatLeavesWhileItIsAskedLosesNobody) {
  Open();
  TestCall call;
  Dispatch(call);
  ExpectAsked(0);
  Use({At("10.0.0.2")});
  EXPECT_TRUE(Far(0).peer_ended());
  ExpectAsked(1);
  AnswerWith(1, AcceptFrame());
  ExpectServed(call, 1, true);
}

}  // namespace
}  // namespace trestle::backend
