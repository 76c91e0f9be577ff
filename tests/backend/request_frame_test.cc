// A call as one backend wants it: what of its headers, name and form goes on.
#include "backend/request_frame.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/backend/captures.h"
#include "tests/backend/test_call.h"
#include "thrift/ttwitter.h"

namespace trestle::backend {
namespace {

using thrift::Framing;
using thrift::MessageType;
using thrift::Protocol;

constexpr uint32_t kLength = 4;

class RequestFrameTest : public testing::Test {
 protected:
  std::string Make(TestCall& call, int32_t seqid = 5) {
    spoken_.protocol = call.call.protocol;
    call::Onward onward;
    onward.seqid = seqid;
    if (spoken_.upgraded) onward.form = call::HeaderForm::kTTwitter;
    return MakeRequestFrame(&call.call, spoken_, onward, &arena_).ToString();
  }
  // A call as a server session makes it of a whole TTwitter frame.
  static std::unique_ptr<TestCall> FromFrame(const std::string& frame, Protocol protocol) {
    thrift::RequestHeader header;
    uint32_t size = 0;
    EXPECT_EQ(thrift::DecodeRequestHeader(protocol, std::string_view(frame).substr(kLength),
                                          &header, &size)
                  .outcome,
              thrift::Outcome::kOk);
    thrift::Envelope envelope;
    std::string_view message = std::string_view(frame).substr(kLength + size);
    EXPECT_EQ(thrift::DecodeEnvelope(protocol, message, &envelope).outcome, thrift::Outcome::kOk);
    auto call =
        std::make_unique<TestCall>(std::string(envelope.name), envelope.seqid, envelope.type,
                                   protocol, std::string(message.substr(envelope.size)));
    call->call.header_bytes = base::Buffer::Copy(frame.substr(0, kLength + size));
    call->call.header_form = call::HeaderForm::kTTwitter;
    call->call.with_header = true;
    return call;
  }

  base::Arena arena_;
  Spoken spoken_;
};

// Finagle's clients write no dest; all else of their header goes on as it came.
TEST_F(RequestFrameTest, TheHeadersOfRealClientsGoOnWithADest) {
  const struct {
    const char* capture;
    Protocol protocol;
  } kCases[] = {
      {"thrift_ttwitter_minimal", Protocol::kBinary},
      {"thrift_ttwitter_upgrade_accepted", Protocol::kBinary},
      {"thrift_ttwitter_128bit_trace", Protocol::kBinary},
      {"thrift_ttwitter_oneway", Protocol::kBinary},
      {"thrift_ttwitter_upgrade_accepted_compact", Protocol::kCompact},
  };
  spoken_.upgraded = true;
  for (const auto& c : kCases) {
    for (const char* dest : {"", "/extra/path"}) {
      SCOPED_TRACE(std::string(c.capture) + dest);
      const std::string frame = Captured(c.capture, "client")[1];
      auto call = FromFrame(frame, c.protocol);
      call->call.dest = dest;
      const std::string made = Make(*call, call->call.envelope.seqid);
      thrift::RequestHeader was, now;
      uint32_t was_size = 0, now_size = 0;
      std::string_view was_bytes = std::string_view(frame).substr(kLength);
      std::string_view now_bytes = std::string_view(made).substr(kLength);
      thrift::DecodeRequestHeader(c.protocol, was_bytes, &was, &was_size);
      ASSERT_EQ(thrift::DecodeRequestHeader(c.protocol, now_bytes, &now, &now_size).outcome,
                thrift::Outcome::kOk);
      EXPECT_EQ(thrift::ReadU32(made.data()), made.size() - kLength);
      EXPECT_EQ(now_bytes.substr(now_size), was_bytes.substr(was_size)) << "the message";
      EXPECT_EQ(now.dest, *dest ? dest : "/");
      // But for the dest it is byte for byte what came.
      now.dest = was.dest;
      std::string again;
      thrift::EncodeRequestHeader(c.protocol, now, &again);
      EXPECT_EQ(again, was_bytes.substr(0, was_size));
      EXPECT_GE(now.contexts.size(), 2u);
    }
  }
}

TEST_F(RequestFrameTest, UnknownFieldsAndDelegationsGoOn) {
  spoken_.upgraded = true;
  // 1: trace_id, 10: [{1: "/s", 2: "/t"}], 900: i32.
  const std::string header(
      "\x0a\0\x01\0\0\0\0\0\0\0\x07"
      "\x0f\0\x0a\x0c\0\0\0\x01\x0b\0\x01\0\0\0\x02/s\x0b\0\x02\0\0\0\x02/t\0"
      "\x08\x03\x84\x01\x02\x03\x04\0",
      11 + 8 + 9 + 9 + 1 + 8);
  auto call = FromFrame(tests::Frame(header + tests::Message(MessageType::kCall, "m", 9)),
                        Protocol::kBinary);
  const std::string made = Make(*call);
  thrift::RequestHeader now;
  uint32_t size = 0;
  ASSERT_EQ(thrift::DecodeRequestHeader(Protocol::kBinary, std::string_view(made).substr(kLength),
                                        &now, &size)
                .outcome,
            thrift::Outcome::kOk);
  EXPECT_EQ(now.trace_id, 7);
  ASSERT_EQ(now.delegations.size(), 1u);
  EXPECT_EQ(now.delegations[0].src, "/s");
  EXPECT_EQ(now.delegations[0].dst, "/t");
  ASSERT_EQ(now.unknown.size(), 1u);
  EXPECT_EQ(now.unknown[0].field.id, 900);
  EXPECT_EQ(now.unknown[0].value, "\x01\x02\x03\x04");
}

TEST_F(RequestFrameTest, APlainClientsCallHasAHeaderWithItsDestOnly) {
  spoken_.upgraded = true;
  const std::string kBinaryHead("\x0f\0\x08\x0c\0\0\0\0\x0b\0\x09\0\0\0\x02/x\0", 18);
  TestCall call("m", 9);
  call.call.dest = "/x";
  EXPECT_EQ(Make(call), tests::Frame(kBinaryHead + tests::Message(MessageType::kCall, "m", 5)));
  // 8: an empty list of structs; 9, by delta: a string.
  const std::string kCompactHead("\x89\x0c\x18\x01/\0", 6);
  TestCall compact("m", 9, MessageType::kCall, Protocol::kCompact);
  EXPECT_EQ(Make(compact),
            tests::Frame(kCompactHead + tests::Message(MessageType::kCall, "m", 5, tests::kVoidBody,
                                                       Protocol::kCompact)));
}

TEST_F(RequestFrameTest, AHeaderOfTheLargestSizeGoesOn) {
  spoken_.upgraded = true;
  std::string header("\x0f\0\x08\x0c\0\0\0\x01\x0b\0\x01\0\0\0\x01k\x0b\0\x02\0\x03\0\0", 23);
  header += std::string(0x30000, 'v') + std::string(2, '\0');
  auto call = FromFrame(tests::Frame(header + tests::Message(MessageType::kCall, "m", 9)),
                        Protocol::kBinary);
  const std::string made = Make(*call);
  EXPECT_EQ(thrift::ReadU32(made.data()), made.size() - kLength);
  EXPECT_NE(made.find(std::string(0x30000, 'v')), std::string::npos);
}

TEST_F(RequestFrameTest, TheServiceNameIsTakenOffWhereTheBackendDoesNotKnowIt) {
  spoken_.strip_service_name = true;
  const struct {
    const char* name;
    const char* sent;
  } kCases[] = {{"svc:m", "m"}, {"m", "m"}, {"a:b:c", "a:b:c"}, {"svc:", "svc:"}, {":m", "m"}};
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    for (Framing framing : {Framing::kFramed, Framing::kBuffered}) {
      spoken_.framing = framing;
      for (const auto& c : kCases) {
        TestCall call(c.name, 70'000, MessageType::kCall, protocol, "body");
        const std::string want = tests::CallFrame(c.sent, 5, "body", protocol);
        EXPECT_EQ(Make(call), framing == Framing::kFramed ? want : want.substr(kLength)) << c.name;
        EXPECT_EQ(call.call.request.ToString(),
                  call.call.method == c.sent && protocol == Protocol::kBinary
                      ? want
                      : tests::CallFrame(c.name, 70'000, "body", protocol))
            << "it may be sent again";
      }
    }
  }
}

TEST_F(RequestFrameTest, TheOldFormStaysWithItsCallerBothWays) {
  for (bool old_caller : {false, true}) {
    for (bool old_backend : {false, true}) {
      std::string message(thrift::EnvelopeSize(Protocol::kBinary, "m", 9, old_caller), '\0');
      thrift::EncodeEnvelope(Protocol::kBinary, MessageType::kCall, "m", 9, message.data(),
                             old_caller);
      TestCall call("m", 9);
      call.call.request = base::Buffer::Copy(tests::Frame(message + "body"));
      thrift::DecodeEnvelope(Protocol::kBinary, message, &call.call.envelope);
      call.call.envelope.name = call.call.method;
      std::string sent = Make(call);
      thrift::Envelope envelope;
      thrift::DecodeEnvelope(Protocol::kBinary, std::string_view(sent).substr(kLength), &envelope);
      EXPECT_EQ(envelope.old_form, old_caller);
      EXPECT_EQ(envelope.seqid, 5);

      std::string reply(thrift::EnvelopeSize(Protocol::kBinary, "svc:m", 5, old_backend), '\0');
      thrift::EncodeEnvelope(Protocol::kBinary, MessageType::kReply, "svc:m", 5, reply.data(),
                             old_backend);
      base::Buffer frame = base::Buffer::Copy(tests::Frame(reply + "answer"));
      const std::string bytes = frame.ToString();
      thrift::DecodeEnvelope(Protocol::kBinary,
                             std::string_view(frame.Front(frame.size()), frame.size()).substr(4),
                             &envelope);
      RestoreEnvelope(&frame, envelope, call.call, &arena_);
      const std::string back = frame.ToString();
      thrift::Envelope got;
      ASSERT_EQ(
          thrift::DecodeEnvelope(Protocol::kBinary, std::string_view(back).substr(4), &got).outcome,
          thrift::Outcome::kOk);
      EXPECT_EQ(got.old_form, old_caller);
      EXPECT_EQ(got.seqid, 9);
      EXPECT_EQ(got.name, "svc:m") << "as the backend wrote it";
      EXPECT_EQ(back.substr(kLength + got.size), "answer");
      EXPECT_EQ(thrift::ReadU32(back.data()), back.size() - kLength);
    }
  }
}

}  // namespace
}  // namespace trestle::backend
