// One backend connection between a framed and an unframed side: a frame that is not exactly one
// message would become part of the next one, and answer or be answered in its place.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "tests/backend/body_fixture.h"

namespace trestle::backend {
namespace {

using thrift::Framing;

constexpr char kMore[] = "the frame holds more than its message";
constexpr char kLess[] = "the frame ends inside its message";

// A struct {1: a string of `size` bytes}; `says`: the size that it declares.
std::string Body(Protocol protocol, uint32_t size, uint32_t says) {
  std::string body("\x0b\0\x01\0\0\0\0", 7);
  thrift::WriteU32(body.data() + 3, says);
  if (protocol == Protocol::kCompact) {
    body = '\x18';
    for (; says >= 0x80; says >>= 7) body += static_cast<char>(says | 0x80);
    body += static_cast<char>(says);
  }
  return body + std::string(size, 's') + '\0';
}

struct BadFrame {
  const char* name;
  std::string body;
  const char* why;
};

class OneMessageTest : public BodyTest {
 protected:
  // Bodies that are not one, in frames that say nothing of it.
  static std::vector<BadFrame> BadFrames(Protocol protocol, size_t size = 10) {
    const auto n = static_cast<uint32_t>(size);
    const std::string good = Body(protocol, n, n);
    const std::string smuggled = Message(MessageType::kCall, "steal", 1, kVoidBody, protocol);
    return {
        {"a second message", good + smuggled, kMore},
        {"one byte more", good + '\0', kMore},
        {"a string longer than the frame", Body(protocol, n, n + 200), kLess},
        {"a string that takes the stop byte", Body(protocol, n, n + 1), kLess},
        {"no stop byte", good.substr(0, good.size() - 1), kLess},
        {"no body", "", kLess},
        {"an unknown field", "\x7f" + good, "a field of unknown type"},
    };
  }
  // A call as a framed client's, in any protocol.
  static std::unique_ptr<TestCall> FramedCall(Protocol protocol, const std::string& body,
                                              MessageType type = MessageType::kCall) {
    return std::make_unique<TestCall>("m", 9, type, protocol, body);
  }
  void ExpectRefused(const call::Call& call, const char* why) {
    ASSERT_EQ(call.end(), End::kFailed);
    EXPECT_EQ(call.failed_code, base::Code::kMalformed);
    EXPECT_EQ(call.failed_step, Step::kDispatch);
    EXPECT_EQ(call.failure, std::string("trestle: dispatch: bad call: ") + why);
    EXPECT_EQ(owner_.lost, 0) << "no fault of the backend";
  }
};

// --- framed client, unframed backend ---

TEST_F(OneMessageTest, ARequestThatIsNotOneIsNotWrittenAndTheConnectionGoesOn) {
  options_.framing = Framing::kBuffered;
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    for (bool upgraded : {false, true}) {
      for (MessageType type : {MessageType::kCall, MessageType::kOneway}) {
        for (const BadFrame& bad : BadFrames(protocol)) {
          SCOPED_TRACE(bad.name);
          protocol_ = protocol;
          upgraded_ = upgraded;
          Open();
          auto call = FramedCall(protocol, bad.body, type);
          EXPECT_EQ(Send(*call), "");
          ExpectRefused(call->call, bad.why);
          EXPECT_EQ(owner_.let_go, 1);
          EXPECT_EQ(owner_.dead, 0);
          ASSERT_TRUE(session_->HasRoom());
          EXPECT_FALSE(session_->busy());
          auto next = FramedCall(protocol, Body(protocol, 10, 10));
          const std::string want =
              Message(MessageType::kCall, "m", 1, Body(protocol, 10, 10), protocol);
          const std::string sent = Send(*next);
          ASSERT_GE(sent.size(), want.size());
          EXPECT_EQ(sent.substr(sent.size() - want.size()), want);
          Answer((upgraded ? std::string(1, '\0') : "") +
                 Message(MessageType::kReply, "m", 1, kVoidBody, protocol));
          EXPECT_EQ(next->end(), End::kReplied) << next->failure();
        }
      }
    }
  }
}

// What it was about: the answer to the second message of a frame is the answer to another's call.
TEST_F(OneMessageTest, ASmuggledCallAnswersNobody) {
  options_.framing = Framing::kBuffered;
  options_.pool.max_in_flight = 4;
  Open();
  TestCall good("m", 1), other("m", 2);
  auto bad = FramedCall(Protocol::kBinary, kVoidBody + Message(MessageType::kCall, "m", 8));
  session_->Send(&good.call);
  session_->Send(&bad->call);
  EXPECT_EQ(bad->end(), End::kOpen) << "not before whoever sends it is through";
  session_->Send(&other.call);
  EXPECT_EQ(Read(), CallFrame("m", 4).substr(4) + CallFrame("m", 9).substr(4));
  ExpectRefused(bad->call, kMore);
  Answer(ReplyFrame("m", 9).substr(4) + ReplyFrame("m", 4).substr(4));
  EXPECT_EQ(good.reply(), ReplyFrame("m", 1));
  EXPECT_EQ(other.reply(), ReplyFrame("m", 2));
}

TEST_F(OneMessageTest, ACallThatIsCancelledBeforeItIsRefusedIsForgotten) {
  options_.framing = Framing::kBuffered;
  Open();
  auto bad = FramedCall(Protocol::kBinary, "");
  session_->Send(&bad->call);
  bad->call.Cancel();
  Settle(&loop_);
  EXPECT_EQ(bad->end(), End::kCancelled);
  EXPECT_EQ(owner_.let_go, 1);
}

TEST_F(OneMessageTest, ASessionThatGoesTakesWhatItRefusedWithIt) {
  options_.framing = Framing::kBuffered;
  Open();
  auto bad = FramedCall(Protocol::kBinary, "");
  session_->Send(&bad->call);
  session_.reset();
  EXPECT_EQ(bad->end(), End::kFailed);
}

TEST_F(OneMessageTest, ARequestInManySlicesIsWalkedWhereItLies) {
  options_.framing = Framing::kBuffered;
  for (bool bad : {false, true}) {
    Open();
    auto call = FramedCall(Protocol::kBinary, Body(Protocol::kBinary, 10, 10) + (bad ? "x" : ""));
    const std::string frame = call->call.request.ToString();
    call->call.request.Clear();
    for (char c : frame) call->call.request.Append(base::Slice::Copy({&c, 1}));
    EXPECT_EQ(Send(*call).empty(), bad);
    EXPECT_EQ(call->end(), bad ? End::kFailed : End::kOpen);
  }
}

TEST_F(OneMessageTest, InTheOldFormToo) {
  options_.framing = Framing::kBuffered;
  for (const char* more : {"", "x"}) {
    Open();
    std::string message(thrift::EnvelopeSize(Protocol::kBinary, "m", 9, true), '\0');
    thrift::EncodeEnvelope(Protocol::kBinary, MessageType::kCall, "m", 9, message.data(), true);
    TestCall call("m", 9);
    call.call.request = base::Buffer::Copy(Frame(message + kVoidBody + more));
    thrift::DecodeEnvelope(Protocol::kBinary, message, &call.call.envelope);
    call.call.envelope.name = call.call.method;
    const std::string sent = Send(call);
    if (*more) {
      EXPECT_EQ(sent, "");
      ExpectRefused(call.call, kMore);
    } else {
      EXPECT_EQ(sent, std::string("\0\0\0\x01m\x01\0\0\0\x01\0", 11));
    }
  }
}

TEST_F(OneMessageTest, WhatWasWalkedByTheServerOrStaysFramedIsNotLookedInto) {
  for (Framing framing : {Framing::kFramed, Framing::kBuffered}) {
    options_.framing = framing;
    Open();
    auto call = FramedCall(Protocol::kBinary, "no struct");
    call->call.walked = framing == Framing::kBuffered;
    const std::string want = CallFrame("m", 1, "no struct");
    EXPECT_EQ(Send(*call), framing == Framing::kFramed ? want : want.substr(4));
  }
}

// --- the same, not held whole ---

// A call of which `here` bytes of the body are there.
void Fill(LargeCall* c, Protocol protocol, const std::string& body, size_t here) {
  c->call.protocol = protocol;
  c->all = CallFrame("m", 9, body, protocol);
  thrift::DecodeEnvelope(protocol, std::string_view(c->all).substr(4), &c->call.envelope);
  c->call.envelope.name = c->call.method;
  c->at = c->all.size() - (body.size() - here);
  c->call.request = base::Buffer::Copy(c->all.substr(0, c->at));
  c->call.streamed = here < body.size();
  c->call.request_body = {c->all.size() - c->at, c, nullptr};
}

TEST_F(OneMessageTest, ALargeRequestThatIsOneGoesThroughHoweverItComes) {
  options_.framing = Framing::kBuffered;
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    for (size_t here : {size_t{0}, size_t{1}, size_t{5}, size_t{300}}) {
      for (size_t piece : {size_t{1}, size_t{7}, size_t{1000}}) {
        protocol_ = protocol;
        Open();
        const std::string body = Body(protocol, 500, 500);
        LargeCall c(8, 8);
        Fill(&c, protocol, body, here);
        session_->Send(&c.call);
        std::string sent = Read();
        while (c.call.request_body.rest > 0) {
          c.Give(piece);
          sent += Read();
        }
        EXPECT_EQ(sent, Message(MessageType::kCall, "m", 1, body, protocol));
        Answer(Message(MessageType::kReply, "m", 1, kVoidBody, protocol));
        EXPECT_EQ(c.call.end(), End::kReplied) << c.call.failure;
        EXPECT_EQ(owner_.idle, 1);
      }
    }
  }
}

// The connection is closed before the byte behind the message, or in its place, is written.
TEST_F(OneMessageTest, ALargeRequestThatIsNotOneClosesTheConnection) {
  options_.framing = Framing::kBuffered;
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    for (const BadFrame& bad : BadFrames(protocol, 500)) {
      if (bad.body.empty()) continue;
      for (size_t piece : {size_t{1}, size_t{7}, size_t{1000}}) {
        SCOPED_TRACE(testing::Message() << bad.name << " by " << piece);
        protocol_ = protocol;
        Open();
        LargeCall c(8, 8);
        Fill(&c, protocol, bad.body, 0);
        session_->Send(&c.call);
        std::string sent = Read();
        while (!c.call.ended()) {
          ASSERT_GT(c.call.request_body.rest, 0u) << "it was not seen";
          EXPECT_EQ(owner_.dead, 0);
          c.Give(piece);
          sent += Read();
        }
        ExpectRefused(c.call, bad.why);
        EXPECT_EQ(owner_.let_go, 1);
        EXPECT_EQ(owner_.dead, 1);
        const std::string message = Message(MessageType::kCall, "m", 1, bad.body, protocol);
        EXPECT_EQ(sent, message.substr(0, sent.size()));
        EXPECT_LT(sent.size(), message.size() - bad.body.size() + Body(protocol, 500, 500).size())
            << "no whole message, and nothing behind one";
      }
    }
  }
}

TEST_F(OneMessageTest, ALargeRequestWhoseHeadShowsItIsNotWritten) {
  options_.framing = Framing::kBuffered;
  for (const char* why : {kMore, kLess}) {
    Open();
    LargeCall c(8, 8);
    Fill(&c, Protocol::kBinary,
         why == kMore ? kVoidBody + std::string(500, 'x') : Body(Protocol::kBinary, 500, 600), 100);
    session_->Send(&c.call);
    EXPECT_EQ(Read(), "");
    ExpectRefused(c.call, why);
    EXPECT_EQ(owner_.dead, 0);
    EXPECT_TRUE(session_->HasRoom());
    LargeCall next(300'000, 100);
    next.give_all = true;
    session_->Send(&next.call);
    EXPECT_EQ(Read(), CallFrame("m", 1, next.body).substr(4));
  }
}

// --- unframed client, framed backend ---

TEST_F(OneMessageTest, AReplyThatIsNotOneNeverReachesAnUnframedClient) {
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    for (bool upgraded : {false, true}) {
      for (bool unframed : {true, false}) {
        for (const BadFrame& bad : BadFrames(protocol)) {
          SCOPED_TRACE(bad.name);
          protocol_ = protocol;
          upgraded_ = upgraded;
          Open();
          auto call = FramedCall(protocol, kVoidBody);
          call->call.walked = unframed;
          Send(*call);
          Answer(Frame((upgraded ? std::string(1, '\0') : "") +
                       Message(MessageType::kReply, "m", 1, bad.body, protocol)));
          if (!unframed) {
            EXPECT_EQ(call->reply(), ReplyFrame("m", 9, bad.body, protocol)) << "not looked into";
            continue;
          }
          ASSERT_EQ(call->end(), End::kFailed);
          EXPECT_EQ(call->call.failed_code, base::Code::kMalformed);
          EXPECT_EQ(call->failure(),
                    std::string("trestle: reply: bad reply from 10.0.0.1:80: ") + bad.why);
          EXPECT_EQ(owner_.lost, 1);
          EXPECT_EQ(owner_.dead, 1);
        }
      }
    }
  }
}

TEST_F(OneMessageTest, AReplyThatIsOneReachesAnUnframedClient) {
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    protocol_ = protocol;
    Open();
    auto call = FramedCall(protocol, kVoidBody);
    call->call.walked = true;
    Send(*call);
    Answer(ReplyFrame("m", 1, Body(protocol, 10, 10), protocol));
    EXPECT_EQ(call->reply(), ReplyFrame("m", 9, Body(protocol, 10, 10), protocol));
    auto again = FramedCall(protocol, kVoidBody);
    again->call.walked = true;
    Send(*again);
    Answer(ExceptionFrame("m", 2, "no", protocol));
    EXPECT_EQ(again->reply(), ExceptionFrame("m", 9, "no", protocol));
  }
}

TEST_F(OneMessageTest, ALargeReplyIsWalkedAsItGoes) {
  options_.stream_threshold = 100;
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    std::vector<BadFrame> frames = BadFrames(protocol, 500);
    frames.push_back({"good", Body(protocol, 500, 500), nullptr});
    for (const BadFrame& f : frames) {
      if (f.body.empty()) continue;
      for (size_t at_a_time : {size_t{1}, size_t{7}, size_t{10'000}}) {
        SCOPED_TRACE(testing::Message() << f.name << " by " << at_a_time);
        protocol_ = protocol;
        Open();
        near_->set_max_read(at_a_time);
        LargeCall c(8, 8);
        Fill(&c, protocol, kVoidBody, 1);
        c.call.walked = true;
        session_->Send(&c.call);
        Read();
        Answer(ReplyFrame("m", 1, f.body, protocol));
        const std::string whole = ReplyFrame("m", 9, f.body, protocol);
        if (!f.why) {
          ASSERT_EQ(c.call.end(), End::kReplied) << c.call.failure;
          EXPECT_EQ(c.reply, whole);
          continue;
        }
        ASSERT_EQ(c.call.end(), End::kFailed);
        EXPECT_NE(c.call.failure.find(f.why), std::string::npos) << c.call.failure;
        EXPECT_EQ(owner_.lost, 1);
        EXPECT_EQ(owner_.dead, 1);
        EXPECT_EQ(c.call.reply_body.source, nullptr);
        if (!c.begun) continue;
        EXPECT_EQ(c.reply, whole.substr(0, c.reply.size()));
        EXPECT_LT(c.reply.size(), whole.size() - f.body.size() + Body(protocol, 500, 500).size());
      }
    }
  }
}

}  // namespace
}  // namespace trestle::backend
