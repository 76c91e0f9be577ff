// Calls on a mux session and their replies.
#include <array>

#include "tests/backend/mux_fixture.h"

namespace trestle::backend {
namespace {

TEST_F(MuxSessionTest, ACallIsATdispatchAndItsAnswerIsTheReply) {
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    Open();
    TestCall call("userService:addUser", 7, MessageType::kCall, protocol, "payload");
    const MuxMessage sent = SendOne(call);
    EXPECT_EQ(sent.type, Type::kTdispatch);
    EXPECT_EQ(sent.tag, 2u);
    EXPECT_FALSE(sent.more);
    const Sent dispatch = ReadDispatch(sent.body);
    EXPECT_TRUE(dispatch.contexts.empty());
    EXPECT_EQ(dispatch.dst, "");
    EXPECT_EQ(dispatch.payload,
              Message(MessageType::kCall, "userService:addUser", 7, "payload", protocol))
        << "the caller's seqid stays";
    const std::string reply = Good("addUser", 7, kVoidBody, protocol);
    Say(Ok(2, reply));
    ASSERT_EQ(call.end(), End::kReplied) << call.failure();
    EXPECT_EQ(call.reply(), Frame(reply));
    EXPECT_EQ(call.call.reply_kind, thrift::ReplyKind::kResult);
    EXPECT_EQ(call.call.reply_form, call::HeaderForm::kNone);
    EXPECT_EQ(owner_.success, 1);
    EXPECT_FALSE(session_->busy());
  }
}

TEST_F(MuxSessionTest, BothProtocolsShareASession) {
  Open();
  TestCall binary("m", 1), compact("m", 2, MessageType::kCall, Protocol::kCompact);
  Send(binary);
  EXPECT_TRUE(session_->Speaks(compact.call));
  Send(compact);
  Say(Ok(3, Good("m", 2, kVoidBody, Protocol::kCompact)) + Ok(2, Good("m", 1)));
  EXPECT_EQ(binary.end(), End::kReplied);
  EXPECT_EQ(compact.end(), End::kReplied) << compact.failure();
}

TEST_F(MuxSessionTest, CallsAreAnsweredInAnyOrder) {
  Open();
  std::vector<std::unique_ptr<TestCall>> calls;
  for (int i = 0; i < 100; i++) {
    calls.push_back(std::make_unique<TestCall>("m", i));
    Send(*calls.back());
  }
  auto sent = Read();
  ASSERT_EQ(sent.size(), 100u);
  EXPECT_EQ(session_->load(), 100u);
  EXPECT_EQ(Gauge("tags_in_use"), 100);
  for (size_t i = 0; i < sent.size(); i++) EXPECT_EQ(sent[i].tag, i + 2);
  for (size_t i = 0; i < 100; i++) {
    const size_t at = i * 37 % 100;
    Say(Ok(static_cast<uint32_t>(at + 2), Good("m", static_cast<int32_t>(at))));
    EXPECT_EQ(calls[at]->end(), End::kReplied) << calls[at]->failure();
  }
  EXPECT_FALSE(session_->busy());
  EXPECT_EQ(Gauge("tags_in_use"), 0);
}

TEST_F(MuxSessionTest, TheLowestFreeTagIsTaken) {
  Open();
  TestCall a("m", 1), b("m", 2), c("m", 3), d("m", 4), e("m", 5);
  for (TestCall* call : {&a, &b, &c}) Send(*call);
  Read();
  Say(Ok(3, Good("m", 2)) + Ok(2, Good("m", 1)));
  EXPECT_EQ(SendOne(d).tag, 2u);
  EXPECT_EQ(SendOne(e).tag, 3u);
}

TEST_F(MuxSessionTest, TheCallersSeqidAndFormAreInTheReply) {
  Open();
  TestCall exception("m", 1000), old("m", 5);
  old.call.envelope.old_form = true;
  for (TestCall* call : {&exception, &old}) Send(*call);
  // Servers write exceptions about what they could not read with a seqid of their own.
  Say(Ok(2, thrift::EncodeApplicationException(Protocol::kBinary, "m", 0, 6, "no")));
  Say(Ok(3, Good("m", 5)));
  EXPECT_EQ(exception.reply(),
            Frame(thrift::EncodeApplicationException(Protocol::kBinary, "m", 1000, 6, "no")));
  std::string message(thrift::EnvelopeSize(Protocol::kBinary, "m", 5, true), '\0');
  thrift::EncodeEnvelope(Protocol::kBinary, MessageType::kReply, "m", 5, message.data(), true);
  EXPECT_EQ(old.reply(), Frame(message + kVoidBody));
}

TEST_F(MuxSessionTest, AResultWithAnotherSeqidIsNotTheCalls) {
  Open();
  TestCall binary("m", 1000), compact("m", 3, MessageType::kCall, Protocol::kCompact);
  for (TestCall* call : {&binary, &compact}) Send(*call);
  Say(Ok(2, Good("m", -1)));
  Say(Ok(3, Good("m", 4, kVoidBody, Protocol::kCompact)));
  EXPECT_NE(binary.end(), End::kReplied);
  EXPECT_NE(compact.end(), End::kReplied);
}

TEST_F(MuxSessionTest, KindsOfRepliesAreTold) {
  Open();
  TestCall declared("m", 1), exception("m", 1);
  Send(declared);
  Send(exception);
  Say(Ok(2, Good("m", 1, kDeclaredBody)));
  EXPECT_EQ(declared.call.reply_kind, thrift::ReplyKind::kDeclaredException);
  Say(Ok(3, thrift::EncodeApplicationException(Protocol::kBinary, "other", 1, 6, "no")));
  EXPECT_EQ(exception.end(), End::kReplied) << "an exception may have any name";
  EXPECT_EQ(exception.call.reply_kind, thrift::ReplyKind::kApplicationException);
}

TEST_F(MuxSessionTest, WhatGoesBesideTheCallGoesWithIt) {
  Open();
  TestCall call("m", 1);
  call.call.header_form = call::HeaderForm::kMux;
  call.call.header_bytes =
      base::Buffer::Copy(DispatchHead({{"key", "value"}}, "/ignored", {{"/a", "/b | /c"}}));
  call.call.dest = "/rest";
  call.call.hops = 3;
  const Sent sent = ReadDispatch(SendOne(call).body);
  EXPECT_EQ(sent.contexts,
            (Pairs{{std::string(base::kHopsKey), base::ShowHops(3)}, {"key", "value"}}));
  EXPECT_EQ(sent.dst, "/rest");
  EXPECT_EQ(sent.dtab, (Pairs{{"/a", "/b | /c"}}));
}

TEST_F(MuxSessionTest, TheDeadlineIsLoweredByTheTimeOfTheAttempt) {
  options_.attempt_timeout = milliseconds(300);
  Open();
  TestCall call("m", 1);
  const Sent sent = ReadDispatch(SendOne(call).body);
  ASSERT_EQ(sent.contexts.size(), 1u);
  EXPECT_EQ(sent.contexts[0].first, base::kDeadlineKey);
  const auto deadline = base::ParseDeadline(sent.contexts[0].second);
  ASSERT_TRUE(deadline);
  EXPECT_EQ(deadline->timestamp, clock_.Wall());
  EXPECT_EQ(deadline->deadline, clock_.Wall() + milliseconds(300));
}

TEST_F(MuxSessionTest, TheServiceNameIsTakenOffWhereTheBackendWantsThat) {
  options_.strip_service_name = true;
  Open();
  TestCall call("svc:m", 7);
  EXPECT_EQ(ReadDispatch(SendOne(call).body).payload, Message(MessageType::kCall, "m", 7));
  Say(Ok(2, Good("m", 7)));
  EXPECT_EQ(call.end(), End::kReplied);
}

TEST_F(MuxSessionTest, ContextsOfTheReplyAreKept) {
  Open();
  TestCall call("m", 1);
  Send(call);
  const Pairs contexts{{"a", "1"}, {std::string(300, 'k'), std::string(30'000, 'v')}};
  Say(Ok(2, Good("m", 1), contexts));
  ASSERT_EQ(call.end(), End::kReplied) << call.failure();
  EXPECT_EQ(call.reply(), ReplyFrame("m", 1));
  EXPECT_EQ(call.call.reply_form, call::HeaderForm::kMux);
  EXPECT_EQ(call.call.reply_header_bytes.ToString(), ReplyBody(ReplyStatus::kOk, {}, contexts));
}

TEST_F(MuxSessionTest, APayloadThatIsNoThriftGoesAsItIsBothWays) {
  Open();
  TestCall call, empty;
  for (TestCall* c : {&call, &empty}) {
    c->call.opaque = true;
    c->call.method.clear();
  }
  call.call.request = base::Buffer::Copy(Frame("anything"));
  empty.call.request = base::Buffer::Copy(Frame(""));
  EXPECT_EQ(ReadDispatch(SendOne(call).body).payload, "anything");
  EXPECT_EQ(ReadDispatch(SendOne(empty).body).payload, "");
  Say(Ok(2, "\x80\x01 no thrift either") + Ok(3, ""));
  ASSERT_EQ(call.end(), End::kReplied) << call.failure();
  EXPECT_EQ(call.reply(), Frame("\x80\x01 no thrift either"));
  ASSERT_EQ(empty.end(), End::kReplied) << empty.failure();
  EXPECT_EQ(empty.reply(), Frame(""));
}

TEST_F(MuxSessionTest, AnErrorBelowThriftIsTheCallsWithItsTextAndContexts) {
  Open();
  TestCall call("m", 1), rejected("m", 2), plain("m", 3);
  call.call.header_form = rejected.call.header_form = call::HeaderForm::kMux;
  Send(call);
  Send(rejected);
  Send(plain);
  Say(Rdispatch(4, ReplyStatus::kError, "it broke"));
  ASSERT_EQ(plain.end(), End::kFailed) << "its client has no place for such an error";
  EXPECT_EQ(plain.failure(), "trestle: reply: the backend answered with an error: it broke");
  Say(Rdispatch(2, ReplyStatus::kError, "it broke"));
  ASSERT_EQ(call.end(), End::kReplied);
  EXPECT_TRUE(call.call.reply_is_error);
  EXPECT_EQ(call.reply(), "it broke");
  const Pairs flags = FailureContext(mux::kRejected | mux::kNonRetryable);
  Say(Rdispatch(3, ReplyStatus::kError, "no", flags));
  ASSERT_EQ(rejected.end(), End::kReplied);
  EXPECT_EQ(rejected.call.reply_form, call::HeaderForm::kMux);
  EXPECT_EQ(rejected.call.reply_header_bytes.ToString(), ReplyBody(ReplyStatus::kError, {}, flags));
  EXPECT_EQ(owner_.success, 3);
  EXPECT_EQ(owner_.nacked, 0);
}

TEST_F(MuxSessionTest, WhatIsNackedOrMayBeSentAgainGoesElsewhere) {
  struct Case {
    ReplyStatus status;
    Pairs contexts;
    bool nacked;
  };
  const std::vector<Case> cases{
      {ReplyStatus::kNack, {}, true},
      {ReplyStatus::kNack, FailureContext(mux::kRetryable | mux::kRejected), true},
      {ReplyStatus::kNack, FailureContext(mux::kRejected), true},
      {ReplyStatus::kNack, FailureContext(mux::kRejected | mux::kNonRetryable), false},
      {ReplyStatus::kError, FailureContext(mux::kRetryable), true},
      {ReplyStatus::kError, FailureContext(mux::kRetryable | mux::kNonRetryable), false},
      {ReplyStatus::kError, FailureContext(mux::kRejected), false},
      {ReplyStatus::kError, {}, false},
  };
  for (size_t i = 0; i < cases.size(); i++) {
    Open();
    TestCall call("m", 1);
    Send(call);
    Say(Rdispatch(2, cases[i].status, "", cases[i].contexts));
    EXPECT_TRUE(call.call.ended());
    EXPECT_EQ(owner_.nacked, cases[i].nacked ? 1 : 0) << i;
    EXPECT_EQ(owner_.success, cases[i].nacked ? 0 : 1) << i;
    EXPECT_EQ(owner_.failures, 0) << i << ": a backend that says no is well";
    EXPECT_TRUE(session_->HasRoom());
    EXPECT_FALSE(call.call.request.empty()) << "it is sent again as it was";
  }
  EXPECT_EQ(Count("nacks"), 5u);
}

TEST_F(MuxSessionTest, ANackThatForbidsToSendAgainFailsTheCall) {
  Open();
  TestCall call("m", 1);
  Send(call);
  Say(Nack(2, FailureContext(mux::kNonRetryable)));
  ASSERT_EQ(call.end(), End::kFailed);
  EXPECT_EQ(call.failure(),
            "trestle: reply: 10.0.0.1:80 nacked the call and says not to send it again");
}

// --- what is no reply to the call ---

TEST_F(MuxSessionTest, ABadReplyLosesItsCallAndNoOther) {
  options_.max_frame_bytes = 1000;
  struct Case {
    const char* why;
    std::string bytes;
  };
  const std::vector<Case> cases{
      {"a reply with another name", Ok(2, Good("subUser"))},
      {"a message that is no reply", Ok(2, Message(MessageType::kCall, "addUser", 1000))},
      {"a payload too short for its message", Ok(2, "")},
      {"a payload too short for its message", Ok(2, Good("addUser").substr(0, 9))},
      {"bad version", Ok(2, std::string("\xff\xff\xff\xff", 4) + std::string(20, 'x'))},
      {"an empty message", mux::ShowMessage(Type::kRdispatch, 2)},
      {"a message too short for its contexts",
       mux::ShowMessage(Type::kRdispatch, 2, std::string("\0\0\1", 3))},
      {"status", mux::ShowMessage(Type::kRdispatch, 2, std::string("\3\0\0", 3))},
      {"a message over maxFrameBytes", Ok(2, Good("addUser", 1000, StringBody(1000)))},
      {"", mux::ShowMessage(Type::kRreq, 2)},
  };
  for (const Case& c : cases) {
    Open();
    TestCall call, other;
    Send(call);
    Send(other);
    Say(c.bytes);
    ASSERT_EQ(call.end(), End::kFailed) << c.why;
    EXPECT_NE(call.failure().find("bad reply from 10.0.0.1:80: "), std::string::npos);
    EXPECT_NE(call.failure().find(c.why), std::string::npos) << call.failure();
    EXPECT_TRUE(owner_.left);
    EXPECT_EQ(owner_.failures, 1);
    EXPECT_FALSE(Dead()) << c.why;
    Say(Ok(3, Good()));
    EXPECT_EQ(other.end(), End::kReplied) << other.failure();
  }
}

TEST_F(MuxSessionTest, ForAnUnframedClientAReplyHasToBeOneMessage) {
  for (bool walked : {false, true}) {
    Open();
    TestCall call("m", 1);
    call.call.walked = walked;
    Send(call);
    Say(Ok(2, Good("m", 1) + "more"));
    EXPECT_EQ(call.end(), walked ? End::kFailed : End::kReplied);
  }
  Open();
  TestCall call("m", 1);
  call.call.walked = true;
  Send(call);
  Say(Ok(2, Good("m", 1, StringBody(20))));
  EXPECT_EQ(call.reply(), ReplyFrame("m", 1, StringBody(20)));
}

TEST_F(MuxSessionTest, AnAnswerToNoCallIsDroppedAndCounted) {
  Open();
  Say(Ok(2, Good()) + Ok(9, "x") + Piece(5, "half", true) + Piece(5, "whole", false));
  EXPECT_EQ(owner_.stray, 3);
  TestCall call;
  Send(call);
  Say(Ok(2, Good()));
  EXPECT_EQ(call.end(), End::kReplied);
}

TEST_F(MuxSessionTest, AnAnswerToACallThatHasNotLeftLosesTheSession) {
  Open({true, UINT32_MAX}, 64);
  TestCall first("m", 1, MessageType::kCall, Protocol::kBinary, std::string(100, 'x')), second;
  Send(first);
  Send(second);
  Say(Ok(3, Good()));
  EXPECT_TRUE(Dead());
  EXPECT_NE(second.failure().find("a reply before the call was written"), std::string::npos)
      << second.failure();
}

// --- bytes ---

TEST_F(MuxSessionTest, FramesMayComeByteByByte) {
  Open();
  near_->set_max_read(1);
  TestCall a("m", 1), b("m", 2);
  Send(a);
  Send(b);
  const std::string whole = ReplyBody(ReplyStatus::kOk, Good("m", 2));
  Say(Ok(2, Good("m", 1), {{"k", "v"}}) + Piece(3, whole.substr(0, 1), true) +
      mux::ShowMessage(Type::kTping, 77) + Piece(3, whole.substr(1), false));
  EXPECT_EQ(a.end(), End::kReplied) << a.failure();
  EXPECT_EQ(b.reply(), ReplyFrame("m", 2));
  auto sent = Read();
  ASSERT_EQ(sent.size(), 3u);
  EXPECT_EQ(sent[2].type, Type::kRping);
}

TEST_F(MuxSessionTest, EveryOtherByteInAReplyIsSafe) {
  const std::string good = Ok(2, Good("m", 1), {{"key", "value"}});
  for (size_t at = 0; at < good.size(); at++) {
    for (int flip : {1, 0x80, 0xff}) {
      Open();
      TestCall call("m", 1);
      Send(call);
      std::string bytes = good;
      bytes[at] = static_cast<char>(bytes[at] ^ flip);
      Say(bytes);
      far_->Close(false);
      Settle(&loop_);
      EXPECT_EQ(call.ends, 1) << at;
      if (call.end() == End::kReplied && !call.call.reply_is_error) {
        EXPECT_EQ(call.reply().size() - 4, thrift::ReadU32(call.reply().data()));
      }
    }
  }
}

TEST_F(MuxSessionTest, WhatWasReadBeforeTheSessionIsItsFirstInput) {
  Open({true, UINT32_MAX}, 1 << 20, Tlease(1000) + mux::ShowMessage(Type::kTping, 5));
  EXPECT_EQ(owner_.leases, 1);
  auto sent = Read();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].type, Type::kRping);
  EXPECT_EQ(sent[0].tag, 5u);
}

// --- oneways ---

TEST_F(MuxSessionTest, AOnewayIsDoneWhenItsLastByteIsWrittenAndItsTagWhenItIsAnswered) {
  Open();
  auto oneway = TestCall::Oneway();
  session_->Send(&oneway->call);
  EXPECT_EQ(oneway->end(), End::kOpen);
  Settle(&loop_);
  EXPECT_EQ(oneway->end(), End::kOneway);
  EXPECT_EQ(owner_.success, 1);
  EXPECT_TRUE(session_->busy()) << "to close the connection could stop the work on it";
  TestCall next;
  Send(next);
  auto sent = Read();
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[1].tag, 3u);
  Say(Ok(2, ""));
  EXPECT_EQ(owner_.stray, 0);
  Say(Ok(3, Good()));
  EXPECT_EQ(Gauge("tags_in_use"), 0);
  EXPECT_FALSE(session_->busy());
}

TEST_F(MuxSessionTest, ABlockedOnewayIsDoneOnlyWhenTheConnectionTookIt) {
  Open({true, UINT32_MAX}, 16);
  auto oneway = TestCall::Oneway();
  Send(*oneway);
  EXPECT_EQ(oneway->end(), End::kOpen);
  Read();
  EXPECT_EQ(oneway->end(), End::kOneway);
}

TEST_F(MuxSessionTest, AnyOtherAnswerToAOnewayIsAStray) {
  for (const std::string& answer :
       {Ok(2, Good()), Rdispatch(2, ReplyStatus::kError, "x"),
        mux::ShowMessage(Type::kRdispatch, 2, "?"), Piece(2, "a", true) + Piece(2, "b", false)}) {
    Open();
    auto oneway = TestCall::Oneway();
    Send(*oneway);
    Say(answer);
    EXPECT_EQ(owner_.stray, 1);
    EXPECT_EQ(owner_.nacked + owner_.lost, 0);
    EXPECT_FALSE(session_->busy());
    EXPECT_FALSE(Dead());
  }
}

TEST_F(MuxSessionTest, AOnewayThatIsNeverAnsweredHoldsTheSessionForAWhileOnly) {
  Open();
  auto oneway = TestCall::Oneway();
  Send(*oneway);
  Read();
  Advance(options_.body_idle_timeout - milliseconds(1));
  EXPECT_TRUE(session_->busy());
  Advance(milliseconds(1));
  EXPECT_FALSE(session_->busy());
  EXPECT_EQ(Gauge("tags_abandoned"), 1);
  EXPECT_TRUE(Read().empty()) << "the backend is not told to stop";
  EXPECT_GT(owner_.room, 0);
}

// --- the end of the connection ---

TEST_F(MuxSessionTest, WithTheConnectionItsCallsAreLostAndThatIsOneFailure) {
  for (bool reset : {false, true}) {
    Open();
    std::array<TestCall, 3> calls;
    for (TestCall& call : calls) Send(call);
    Read();
    far_->Close(reset);
    Settle(&loop_);
    EXPECT_EQ(owner_.lost, 3);
    EXPECT_EQ(owner_.failures, 1);
    EXPECT_TRUE(owner_.left);
    EXPECT_TRUE(Dead());
    for (TestCall& call : calls) EXPECT_EQ(call.end(), End::kFailed);
  }
}

TEST_F(MuxSessionTest, ACallOfWhichNoByteLeftIsToldSo) {
  Open();
  TestCall call;
  far_->Close(true);
  Send(call);
  Settle(&loop_);
  EXPECT_EQ(owner_.lost, 1);
  EXPECT_FALSE(owner_.left);
  EXPECT_EQ(owner_.failures, 0);
  EXPECT_EQ(call.call.failed_step, Step::kDispatch);
}

TEST_F(MuxSessionTest, AnEndInTheMiddleOfAReplySaysSo) {
  Open();
  TestCall call;
  Send(call);
  Say(Ok(2, Good()).substr(0, 12));
  far_->Close(false);
  Settle(&loop_);
  EXPECT_NE(call.failure().find("closed the connection in mid-reply"), std::string::npos);
}

TEST_F(MuxSessionTest, WhenItIsDestroyedItsCallsFail) {
  Open();
  TestCall call;
  Send(call);
  session_.reset();
  EXPECT_EQ(call.end(), End::kFailed);
  EXPECT_NE(call.failure().find("shutting down"), std::string::npos);
}

TEST_F(MuxSessionTest, RequestsThatWaitForLongHoldNoReadMemory) {
  Open();
  base::Arena arena;
  std::vector<std::unique_ptr<TestCall>> calls;
  for (int i = 0; i < 8; i++) {
    calls.push_back(std::make_unique<TestCall>());
    const std::string frame = calls.back()->call.request.ToString();
    base::Slice in_block = arena.Allot(static_cast<uint32_t>(frame.size()));
    std::copy(frame.begin(), frame.end(), in_block.data());
    calls.back()->call.request = base::Buffer(std::move(in_block));
    Send(*calls.back());
    Advance(milliseconds(30));
  }
  EXPECT_LT(calls[0]->call.request.slice(0).block()->capacity(), 1000u);
  EXPECT_GT(calls[7]->call.request.slice(0).block()->capacity(), 1000u) << "it is new";
}

// Nobody looks into what a mux port carries.
TEST_F(MuxSessionTest, AnOpaquePayloadThatLooksLikeAOnewayIsWaitedFor) {
  Open();
  TestCall call("m", 1, MessageType::kOneway);
  call.call.opaque = true;
  SendOne(call);
  EXPECT_EQ(call.end(), End::kOpen);
  Say(Ok(2, "an answer"));
  ASSERT_EQ(call.end(), End::kReplied);
  EXPECT_EQ(call.call.reply.ToString().substr(4), "an answer");
}

TEST_F(MuxSessionTest, WithoutVerifySeqidTheTagIsEnough) {
  options_.verify_seqid = false;
  Open();
  TestCall call("m", 7);
  SendOne(call);
  Say(Ok(2, Good("m", 99)));
  EXPECT_EQ(call.end(), End::kReplied) << call.failure();
}

TEST_F(MuxSessionTest, AnRerrToAOnewayTellsThatTheServerIsOldToo) {
  Open({false, UINT32_MAX});
  TestCall oneway("m", 1, MessageType::kOneway), call("m", 2);
  SendOne(oneway);
  EXPECT_EQ(oneway.end(), End::kOneway);
  Say(mux::ShowMessage(Type::kOldRerr, 2, "unexpected message type 2"));
  EXPECT_EQ(SendOne(call).type, Type::kTreq);
  EXPECT_EQ(Count("old_servers"), 1u);
}

TEST_F(MuxSessionTest, ANackOfAOnewayIsCounted) {
  Open();
  TestCall oneway("m", 1, MessageType::kOneway);
  SendOne(oneway);
  Say(Nack(2));
  EXPECT_EQ(Count("nacks"), 1u);
  EXPECT_EQ(owner_.stray, 0);
}

}  // namespace
}  // namespace trestle::backend
