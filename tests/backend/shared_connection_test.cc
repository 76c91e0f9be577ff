// One backend connection with several calls in flight: who gets which reply, and what is lost when
// one of them goes wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/backend/session_fixture.h"

namespace trestle::backend {
namespace {

class SharedConnectionTest : public BackendSessionTest {
 protected:
  SharedConnectionTest() { options_.pool.max_in_flight = 4; }
  // Sends `n` calls m0, m1, … with the callers' seqids 100, 101, …; notes what the backend reads.
  void Ask(int n, Protocol protocol = Protocol::kBinary) {
    protocol_ = protocol;
    calls_.clear();
    for (int i = 0; i < n; i++) {
      calls_.push_back(std::make_unique<TestCall>("m" + std::to_string(i), 100 + i,
                                                  MessageType::kCall, protocol));
      ASSERT_TRUE(session_->HasRoom());
      session_->Send(&calls_.back()->call);
    }
    std::string in = Read();
    asked_ = tests::TakeMessages(&in, protocol);
    ASSERT_EQ(asked_.size(), static_cast<size_t>(n));
  }
  std::string ReplyTo(size_t i) {
    return ReplyFrame(asked_[i].name, asked_[i].seqid, "body" + std::to_string(i), protocol_);
  }
  // That call `i` has its own answer.
  void ExpectAnswered(size_t i) {
    ASSERT_EQ(calls_[i]->end(), End::kReplied) << i << calls_[i]->failure();
    EXPECT_EQ(calls_[i]->reply(), ReplyFrame(asked_[i].name, 100 + static_cast<int32_t>(i),
                                             "body" + std::to_string(i), protocol_));
  }

  std::vector<std::unique_ptr<TestCall>> calls_;
  std::vector<tests::Received> asked_;
};

TEST_F(SharedConnectionTest, EveryOrderOfRepliesReachesItsCallers) {
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    std::vector<size_t> order = {0, 1, 2, 3};
    do {
      for (size_t at_a_time : {size_t{1}, size_t{1000}}) {
        Open();
        near_->set_max_read(at_a_time);
        Ask(4, protocol);
        EXPECT_FALSE(session_->HasRoom());
        std::string all;
        for (size_t i : order) all += ReplyTo(i);
        Answer(all);
        for (size_t i : order) ExpectAnswered(i);
        EXPECT_EQ(owner_.dead, 0);
        EXPECT_EQ(owner_.success, 4);
        EXPECT_EQ(owner_.room, 4);
        EXPECT_EQ(owner_.idle, 1) << "and idle only once";
      }
    } while (std::next_permutation(order.begin(), order.end()));
  }
}

TEST_F(SharedConnectionTest, TheCallsOfOneTurnGoOutInOneWrite) {
  Open();
  const int before = near_->writes();
  Ask(4);
  EXPECT_EQ(near_->writes(), before + 1);
}

// Nothing would tell the reply of one call from that of another.
TEST_F(SharedConnectionTest, WithoutVerifySeqidItCarriesOneCallAtATime) {
  options_.verify_seqid = false;
  Open();
  for (int i = 0; i < 3; i++) {
    Ask(1);
    EXPECT_FALSE(session_->HasRoom());
    Answer(ReplyFrame(asked_[0].name, 0, "body0"));
    ExpectAnswered(0);
    EXPECT_TRUE(session_->HasRoom());
  }
  EXPECT_EQ(owner_.dead, 0);
}

TEST_F(SharedConnectionTest, WithoutVerifySeqidACallThatIsLetGoTakesTheConnectionWithIt) {
  options_.verify_seqid = false;
  for (bool late : {false, true}) {
    Open();
    Ask(1);
    late ? calls_[0]->call.TimeOut(base::Status(base::Code::kTimeout, "late"))
         : calls_[0]->call.Cancel();
    EXPECT_EQ(owner_.dead, 1);
    EXPECT_FALSE(session_->HasRoom());
    EXPECT_TRUE(far_->peer_ended());
  }
}

// It was opened when seqids counted; its replies go by them.
TEST_F(SharedConnectionTest, VerifySeqidThatIsTakenAwayMixesUpNoReplies) {
  Open();
  Ask(3);
  options_.verify_seqid = false;
  for (size_t i : {2, 0, 1}) {
    Answer(ReplyTo(i));
    ExpectAnswered(i);
  }
  EXPECT_EQ(owner_.dead, 0);
}

TEST_F(SharedConnectionTest, ABackendThatAnswersTwiceLosesTheConnectionAndItsCalls) {
  Open();
  Ask(3);
  Answer(ReplyTo(1));
  Answer(ReplyTo(1));
  ExpectAnswered(1);
  for (size_t i : {0, 2}) {
    ASSERT_EQ(calls_[i]->end(), End::kFailed);
    EXPECT_EQ(calls_[i]->failure(),
              "trestle: reply: bad reply from 10.0.0.1:80: a reply with another seqid");
  }
  EXPECT_EQ(owner_.dead, 1);
  EXPECT_EQ(owner_.lost, 2);
  EXPECT_TRUE(owner_.left);
}

TEST_F(SharedConnectionTest, ABackendThatAnswersTwiceInOneReadLosesTheConnection) {
  Open();
  Ask(1);
  Answer(ReplyTo(0) + ReplyTo(0));
  ExpectAnswered(0);
  EXPECT_EQ(owner_.dead, 1);
  EXPECT_EQ(owner_.room, 0);
}

TEST_F(SharedConnectionTest, WhatIsNoReplyToAnyOfThemLosesAll) {
  const struct {
    const char* what;
    std::function<std::string(const tests::Received&)> bytes;
  } kCases[] = {
      {"another's seqid", [](const auto& m) { return ReplyFrame(m.name, m.seqid + 64); }},
      {"no seqid", [](const auto& m) { return ReplyFrame(m.name, 0); }},
      {"another name", [](const auto& m) { return ReplyFrame("other", m.seqid); }},
      {"the name of another call", [](const auto& m) { return ReplyFrame("m1", m.seqid); }},
      {"a call", [](const auto& m) { return CallFrame(m.name, m.seqid); }},
      {"another protocol",
       [](const auto& m) { return ReplyFrame(m.name, m.seqid, kVoidBody, Protocol::kCompact); }},
      {"no frame", [](const auto&) { return std::string("\xff\xff\xff\xff", 4); }},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.what);
    Open();
    Ask(2);
    Answer(c.bytes(asked_[0]));
    for (auto& call : calls_) {
      EXPECT_EQ(call->end(), End::kFailed);
      EXPECT_EQ(call->call.failed_code, base::Code::kMalformed);
    }
    EXPECT_EQ(owner_.dead, 1);
    EXPECT_TRUE(far_->peer_ended());
  }
}

TEST_F(SharedConnectionTest, AnExceptionOfEachTypeIsItsCallersOnly) {
  for (int32_t type = 0; type <= 10; type++) {
    Open();
    Ask(2);
    Answer(Frame(thrift::EncodeApplicationException(Protocol::kBinary, "whatever", asked_[1].seqid,
                                                    type, "no")));
    ASSERT_EQ(calls_[1]->end(), End::kReplied) << type;
    EXPECT_EQ(calls_[1]->reply(), Frame(thrift::EncodeApplicationException(
                                      Protocol::kBinary, "whatever", 101, type, "no")));
    Answer(ReplyTo(0));
    ExpectAnswered(0);
    EXPECT_EQ(owner_.dead, 0);
  }
}

TEST_F(SharedConnectionTest, ABackendThatVanishesAtAnyByteLosesThoseWithoutAnswer) {
  Open();
  Ask(2);
  const std::string all = ReplyTo(0) + ReplyTo(1);
  const size_t first = ReplyTo(0).size();
  for (bool reset : {false, true}) {
    for (size_t size = 0; size < all.size(); size++) {
      SCOPED_TRACE(size);
      Open();
      Ask(2);
      Answer(all.substr(0, size));
      reset ? far_->Close(true) : far_->ShutdownWrite();
      Settle(&loop_);
      EXPECT_EQ(calls_[0]->end(), size < first ? End::kFailed : End::kReplied);
      ASSERT_EQ(calls_[1]->end(), End::kFailed);
      EXPECT_EQ(calls_[1]->call.failed_code, base::Code::kClosed);
      EXPECT_EQ(owner_.dead, 1);
    }
  }
}

TEST_F(SharedConnectionTest, TheRepliesBeforeAFailedWriteAreTakenAndLeaveNoRoom) {
  Open();
  Ask(3);
  TestCall last("last", 9);
  near_->break_writes();
  loop_.Post([&] {
    far_->Send(ReplyTo(0) + ReplyTo(2));
    session_->Send(&last.call);
  });
  Settle(&loop_);
  ExpectAnswered(0);
  ExpectAnswered(2);
  EXPECT_EQ(owner_.room, 0);
  EXPECT_EQ(calls_[1]->end(), End::kFailed);
  EXPECT_EQ(last.end(), End::kFailed);
  EXPECT_EQ(owner_.dead, 1);
}

TEST_F(SharedConnectionTest, AnEndBehindARepyLeavesNoRoomButTheOthersAreAnsweredFirst) {
  Open();
  Ask(3);
  far_->Send(ReplyTo(0) + ReplyTo(2));
  far_->ShutdownWrite();
  Settle(&loop_);
  ExpectAnswered(0);
  ExpectAnswered(2);
  EXPECT_EQ(owner_.room, 0) << "the end was there to be seen";
  EXPECT_EQ(calls_[1]->end(), End::kFailed);
  EXPECT_EQ(owner_.dead, 1);
}

// --- let go of ---

TEST_F(SharedConnectionTest, ACancelledCallLeavesTheOthersAlone) {
  Open();
  Ask(4);
  calls_[1]->call.Cancel();
  EXPECT_EQ(owner_.let_go, 1);
  EXPECT_EQ(owner_.dead, 0);
  EXPECT_FALSE(session_->HasRoom()) << "the backend is still at work on it";
  Answer(ReplyTo(1));
  EXPECT_EQ(owner_.stray, 1);
  EXPECT_TRUE(session_->HasRoom());
  for (size_t i : {3, 0, 2}) {
    Answer(ReplyTo(i));
    ExpectAnswered(i);
  }
  EXPECT_EQ(owner_.dead, 0);
  EXPECT_EQ(owner_.idle, 1);
}

TEST_F(SharedConnectionTest, ALateReplyMayHaveAnyName) {
  Open();
  Ask(2);
  calls_[0]->call.Cancel();
  Answer(ReplyFrame("other", asked_[0].seqid));
  EXPECT_EQ(owner_.dead, 0);
  EXPECT_EQ(owner_.stray, 1);
  Answer(ReplyFrame("other", asked_[0].seqid));
  EXPECT_EQ(owner_.dead, 1) << "but it comes once";
}

TEST_F(SharedConnectionTest, WhenAllLetGoTheConnectionIsClosed) {
  Open();
  Ask(3);
  for (size_t i : {0, 1}) calls_[i]->call.Cancel();
  EXPECT_EQ(owner_.dead, 0);
  calls_[2]->call.TimeOut(base::Status(base::Code::kTimeout, "late"));
  EXPECT_EQ(owner_.dead, 1);
  EXPECT_EQ(owner_.let_go, 2);
  EXPECT_EQ(owner_.late, 1);
  Settle(&loop_);
  EXPECT_TRUE(far_->peer_ended());
}

TEST_F(SharedConnectionTest, WhenTheLastWhoWaitsIsAnsweredTheDesertedConnectionIsClosed) {
  Open();
  Ask(2);
  calls_[0]->call.Cancel();
  Answer(ReplyTo(1));
  ExpectAnswered(1);
  EXPECT_EQ(owner_.dead, 1);
  EXPECT_EQ(owner_.room, 0);
}

TEST_F(SharedConnectionTest, AnEndOfOneCallMayCancelTheOthers) {
  Open();
  Ask(3);
  calls_[1]->on_end = [this] {
    calls_[0]->call.Cancel();
    calls_[2]->call.Cancel();
  };
  Answer(ReplyTo(1) + ReplyTo(0) + ReplyTo(2));
  ExpectAnswered(1);
  EXPECT_EQ(owner_.let_go, 2);
  EXPECT_EQ(owner_.dead, 1);
}

TEST_F(SharedConnectionTest, TheLossOfOneCallMayCancelTheOthers) {
  Open();
  Ask(3);
  calls_[0]->on_end = [this] {
    calls_[1]->call.Cancel();
    calls_[2]->call.Cancel();
  };
  far_->Close(true);
  Settle(&loop_);
  EXPECT_EQ(calls_[0]->end(), End::kFailed);
  EXPECT_EQ(calls_[1]->end(), End::kCancelled);
  EXPECT_EQ(owner_.lost, 1);
  EXPECT_EQ(owner_.let_go, 2);
}

// --- time ---

TEST_F(SharedConnectionTest, ACallOverItsAttemptTimeLeavesTheYoungerAlone) {
  options_.attempt_timeout = milliseconds(300);
  Open();
  Ask(2);
  clock_.Advance(milliseconds(200));
  Settle(&loop_);
  TestCall young("young", 7);
  const std::string sent = Send(young);
  clock_.Advance(milliseconds(100));
  Settle(&loop_);
  for (size_t i : {0, 1}) {
    ASSERT_EQ(calls_[i]->end(), End::kFailed);
    EXPECT_EQ(calls_[i]->failure(),
              "trestle: reply: no reply from 10.0.0.1:80 within 300 ms (requestAttemptTimeoutMs)");
  }
  EXPECT_EQ(owner_.dead, 0);
  EXPECT_EQ(owner_.lost, 2);
  Answer(ReplyTo(0));
  EXPECT_EQ(owner_.stray, 1);
  clock_.Advance(milliseconds(199));
  Settle(&loop_);
  EXPECT_EQ(young.end(), End::kOpen);
  clock_.Advance(milliseconds(1));
  Settle(&loop_);
  EXPECT_EQ(young.end(), End::kFailed);
  EXPECT_EQ(owner_.dead, 1) << "a backend that never answers";
}

TEST_F(SharedConnectionTest, WhatCannotBeWrittenInTimeTakesTheConnectionWithIt) {
  options_.attempt_timeout = milliseconds(300);
  Open(64);
  TestCall a("a", 1, MessageType::kCall, Protocol::kBinary, std::string(500, 'x'));
  TestCall b("b", 2);
  session_->Send(&a.call);
  Settle(&loop_);
  clock_.Advance(milliseconds(100));
  session_->Send(&b.call);
  Settle(&loop_);
  clock_.Advance(milliseconds(200));
  Settle(&loop_);
  EXPECT_NE(a.failure().find("could not write all to"), std::string::npos) << a.failure();
  EXPECT_EQ(b.end(), End::kFailed);
  EXPECT_EQ(b.call.failed_step, Step::kDispatch) << "it never left";
  EXPECT_EQ(owner_.dead, 1);
}

TEST_F(SharedConnectionTest, ATimeoutThatIsTakenAwayIsNotWaitedFor) {
  options_.attempt_timeout = milliseconds(300);
  Open();
  Ask(2);
  options_.attempt_timeout.reset();
  clock_.Advance(milliseconds(1000));
  Settle(&loop_);
  EXPECT_EQ(owner_.dead + owner_.lost, 0);
  Answer(ReplyTo(0) + ReplyTo(1));
  ExpectAnswered(1);
}

// --- oneways among others ---

TEST_F(SharedConnectionTest, AOnewayAmongCallsIsDoneWhenItIsWritten) {
  Open();
  TestCall before("before", 1), after("after", 2);
  auto oneway = TestCall::Oneway();
  session_->Send(&before.call);
  session_->Send(&oneway->call);
  session_->Send(&after.call);
  std::string in = Read();
  auto asked = tests::TakeMessages(&in);
  ASSERT_EQ(asked.size(), 3u);
  EXPECT_EQ(oneway->end(), End::kOneway);
  Answer(ExceptionFrame("log", asked[1].seqid) + ReplyFrame("after", asked[2].seqid) +
         ReplyFrame("before", asked[0].seqid));
  EXPECT_EQ(owner_.stray, 1);
  EXPECT_EQ(before.end(), End::kReplied);
  EXPECT_EQ(after.end(), End::kReplied);
  EXPECT_EQ(owner_.dead, 0);
}

TEST_F(SharedConnectionTest, OnewaysDoNotStandInTheOrderOfReplies) {
  options_.verify_seqid = false;
  Open();
  auto oneway = TestCall::Oneway();
  TestCall call("m", 9);
  Send(*oneway);
  Send(call);
  Answer(ReplyFrame("m", 0, "answer"));
  ASSERT_EQ(call.end(), End::kReplied);
  EXPECT_EQ(call.reply(), ReplyFrame("m", 9, "answer"));
}

TEST_F(SharedConnectionTest, ManyRoundsUsePlacesAgain) {
  Open();
  for (int round = 0; round < 500; round++) {
    Ask(4);
    Answer(ReplyTo(2) + ReplyTo(0) + ReplyTo(3) + ReplyTo(1));
    for (size_t i = 0; i < 4; i++) ExpectAnswered(i);
  }
  EXPECT_EQ(owner_.dead, 0);
}

TEST_F(SharedConnectionTest, TheEndOfASessionEndsAllItsCalls) {
  Open();
  Ask(3);
  session_.reset();
  for (auto& call : calls_) EXPECT_EQ(call->end(), End::kFailed);
}

}  // namespace
}  // namespace trestle::backend
