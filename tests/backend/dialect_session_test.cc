// One backend connection in the other dialects: unframed, behind TTwitter headers, in the old form,
// with service names taken off.
#include <gtest/gtest.h>

#include <string>

#include "tests/backend/session_fixture.h"

namespace trestle::backend {
namespace {

using thrift::Framing;

class DialectSessionTest : public BackendSessionTest {
 protected:
  // Struct {0: string}.
  static std::string Body(Protocol protocol, const std::string& text) {
    const auto n = static_cast<char>(text.size());
    std::string head =
        protocol == Protocol::kBinary ? std::string("\x0b\0\0\0\0\0", 6) : std::string("\x08\0", 2);
    return head + n + text + '\0';
  }
  static std::string ReplyMessage(Protocol protocol, int32_t seqid, const std::string& text) {
    return Message(MessageType::kReply, "svc:m", seqid, Body(protocol, text), protocol);
  }
  std::string Wire(std::string message) {
    if (upgraded_) message.insert(0, header_);
    return options_.framing == Framing::kFramed ? Frame(message) : message;
  }
  bool Speaks(Protocol protocol) {
    TestCall call("svc:m", 1, MessageType::kCall, protocol);
    return session_->Speaks(call.call);
  }
  std::string header_ = std::string(1, '\0');
};

TEST_F(DialectSessionTest, InEveryDialectAReplyReachesItsCallerWhateverSplitsTheReads) {
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    for (Framing framing : {Framing::kFramed, Framing::kBuffered}) {
      for (bool upgraded : {false, true}) {
        for (uint32_t places : {1u, 4u}) {
          for (size_t at_a_time : {size_t{1}, size_t{3}, size_t{1000}}) {
            protocol_ = protocol;
            upgraded_ = upgraded;
            options_.framing = framing;
            options_.pool.max_in_flight = places;
            Open();
            near_->set_max_read(at_a_time);
            for (int32_t i = 0; i < 3; i++) {
              TestCall call("svc:m", 70'000 + i, MessageType::kCall, protocol);
              std::string sent = Send(call);
              const int32_t seqid = places == 1 ? i + 1 : (i + 1) * 4;
              std::string want = Message(MessageType::kCall, "svc:m", seqid, kVoidBody, protocol);
              if (framing == Framing::kBuffered) sent = Frame(sent);
              EXPECT_EQ(sent.substr(sent.size() - want.size()), want);
              EXPECT_EQ(sent.size() == 4 + want.size(), !upgraded);
              Answer(Wire(ReplyMessage(protocol, seqid, "hello")));
              ASSERT_EQ(call.end(), End::kReplied) << call.failure();
              EXPECT_EQ(call.reply(),
                        ReplyFrame("svc:m", 70'000 + i, Body(protocol, "hello"), protocol));
              EXPECT_EQ(call.call.reply_kind, thrift::ReplyKind::kResult);
            }
            EXPECT_EQ(owner_.dead, 0);
          }
        }
      }
    }
  }
}

TEST_F(DialectSessionTest, InEveryDialectABackendThatVanishesAtAnyByteFailsTheCall) {
  for (Framing framing : {Framing::kFramed, Framing::kBuffered}) {
    for (bool upgraded : {false, true}) {
      upgraded_ = upgraded;
      options_.framing = framing;
      const std::string reply = Wire(ReplyMessage(Protocol::kBinary, 1, "hello"));
      for (size_t size = 0; size < reply.size(); size++) {
        Open();
        TestCall call("svc:m", 7);
        Send(call);
        Answer(reply.substr(0, size));
        EXPECT_EQ(call.end(), End::kOpen);
        far_->ShutdownWrite();
        Settle(&loop_);
        ASSERT_EQ(call.end(), End::kFailed);
        EXPECT_EQ(call.call.failed_code, base::Code::kClosed);
      }
    }
  }
}

TEST_F(DialectSessionTest, InEveryDialectEveryCorruptedByteIsSafe) {
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    for (Framing framing : {Framing::kFramed, Framing::kBuffered}) {
      for (bool upgraded : {false, true}) {
        protocol_ = protocol;
        upgraded_ = upgraded;
        options_.framing = framing;
        const std::string reply = Wire(ReplyMessage(protocol, 1, "hi"));
        for (size_t at = 0; at < reply.size(); at++) {
          for (int bit = 0; bit < 8; bit++) {
            Open();
            TestCall call("svc:m", 1, MessageType::kCall, protocol);
            Send(call);
            std::string bytes = reply;
            bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
            Answer(bytes);
            far_->ShutdownWrite();
            Settle(&loop_);
            EXPECT_EQ(call.ends, 1);
            EXPECT_EQ(owner_.dead, 1);
          }
        }
      }
    }
  }
}

TEST_F(DialectSessionTest, AResponseHeaderWithSomethingInItIsSkipped) {
  upgraded_ = true;
  // 2: a list of one {1: "k", 2: "v"}.
  header_ =
      std::string("\x0f\0\x02\x0c\0\0\0\x01\x0b\0\x01\0\0\0\x01k\x0b\0\x02\0\0\0\x01v\0\0", 26);
  for (Framing framing : {Framing::kFramed, Framing::kBuffered}) {
    options_.framing = framing;
    for (size_t at_a_time : {size_t{1}, size_t{1000}}) {
      Open();
      near_->set_max_read(at_a_time);
      TestCall call("svc:m", 7);
      Send(call);
      Answer(Wire(ReplyMessage(Protocol::kBinary, 1, "x")));
      ASSERT_EQ(call.end(), End::kReplied) << call.failure();
      EXPECT_EQ(call.reply(), ReplyFrame("svc:m", 7, Body(Protocol::kBinary, "x")));
    }
  }
}

// linkerd#602: some servers leave it out of empty replies.
TEST_F(DialectSessionTest, AReplyWithoutItsResponseHeaderFailsTheCallOnly) {
  upgraded_ = true;
  for (const std::string& frame :
       {Frame(ReplyMessage(Protocol::kBinary, 1, "x")), Frame(std::string(1, '\0')),
        Frame(std::string("\0\x80\x01", 3))}) {
    Open();
    TestCall call("svc:m", 7);
    Send(call);
    Answer(frame);
    ASSERT_EQ(call.end(), End::kFailed);
    EXPECT_EQ(call.call.failed_code, base::Code::kMalformed);
    EXPECT_EQ(owner_.dead, 1);
  }
}

TEST_F(DialectSessionTest, AResponseHeaderWithoutEndIsBounded) {
  upgraded_ = true;
  Open();
  TestCall call("svc:m", 7);
  Send(call);
  std::string header("\x0b\0\x05\0\x05\0\0", 7);  // a string of 320 KiB
  Answer(
      Frame(header + std::string(0x50000, 'x') + '\0' + ReplyMessage(Protocol::kBinary, 1, "x")));
  ASSERT_EQ(call.end(), End::kFailed);
  EXPECT_EQ(call.call.failed_code, base::Code::kMalformed);
}

TEST_F(DialectSessionTest, UnframedTwoRepliesInOneReadAreTwo) {
  options_.framing = Framing::kBuffered;
  options_.pool.max_in_flight = 2;
  Open();
  TestCall a("svc:m", 1), b("svc:m", 2);
  session_->Send(&a.call);
  Send(b);
  Answer(ReplyMessage(Protocol::kBinary, 5, "b") + ReplyMessage(Protocol::kBinary, 2, "a"));
  EXPECT_EQ(a.reply(), ReplyFrame("svc:m", 1, Body(Protocol::kBinary, "a")));
  EXPECT_EQ(b.reply(), ReplyFrame("svc:m", 2, Body(Protocol::kBinary, "b")));
}

TEST_F(DialectSessionTest, UnframedAFrameIsMalformed) {
  options_.framing = Framing::kBuffered;
  Open();
  TestCall call("svc:m", 1, MessageType::kCall, Protocol::kCompact);
  Send(call);
  Answer(Frame(ReplyMessage(Protocol::kCompact, 1, "b")));
  ASSERT_EQ(call.end(), End::kFailed);
  EXPECT_NE(call.failure().find("bad frame from 10.0.0.1:80: "), std::string::npos)
      << call.failure();
}

TEST_F(DialectSessionTest, APlainConnectionKeepsTheProtocolOfItsFirstCall) {
  // A server may tell it from the first bytes of the connection, as Trestle itself does.
  for (Framing framing : {Framing::kFramed, Framing::kBuffered}) {
    for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
      options_.framing = framing;
      Open();
      EXPECT_TRUE(Speaks(Protocol::kBinary));
      EXPECT_TRUE(Speaks(Protocol::kCompact));
      TestCall call("svc:m", 9, MessageType::kCall, protocol);
      Send(call);
      Answer(Wire(ReplyMessage(protocol, 1, "x")));
      ASSERT_EQ(call.end(), End::kReplied) << call.failure();
      EXPECT_EQ(Speaks(Protocol::kBinary), protocol == Protocol::kBinary);
      EXPECT_EQ(Speaks(Protocol::kCompact), protocol == Protocol::kCompact);
    }
  }
}

TEST_F(DialectSessionTest, AnUpgradedConnectionKeepsItsProtocol) {
  upgraded_ = true;
  Open();
  EXPECT_TRUE(Speaks(Protocol::kBinary));
  EXPECT_FALSE(Speaks(Protocol::kCompact));
}

TEST_F(DialectSessionTest, WithTheServiceNameTakenOffRepliesMayHaveEitherName) {
  options_.strip_service_name = true;
  for (const char* name : {"m", "svc:m"}) {
    Open();
    TestCall call("svc:m", 7);
    EXPECT_EQ(Send(call), CallFrame("m", 1));
    Answer(ReplyFrame(name, 1));
    ASSERT_EQ(call.end(), End::kReplied);
    EXPECT_EQ(call.reply(), ReplyFrame(name, 7));
  }
  Open();
  TestCall call("svc:m", 7);
  Send(call);
  Answer(ReplyFrame("svc", 1));
  EXPECT_EQ(call.end(), End::kFailed);
}

TEST_F(DialectSessionTest, TheOldFormGoesBothWays) {
  Open();
  std::string message(thrift::EnvelopeSize(Protocol::kBinary, "m", 9, true), '\0');
  thrift::EncodeEnvelope(Protocol::kBinary, MessageType::kCall, "m", 9, message.data(), true);
  TestCall call("m", 9);
  call.call.request = base::Buffer::Copy(Frame(message + kVoidBody));
  thrift::DecodeEnvelope(Protocol::kBinary, message, &call.call.envelope);
  call.call.envelope.name = call.call.method;
  const std::string sent = Send(call);
  EXPECT_EQ(sent, Frame(std::string("\0\0\0\x01m\x01\0\0\0\x01\0", 11)));
  Answer(ReplyFrame("m", 1));  // a backend that answers in the strict form
  ASSERT_EQ(call.end(), End::kReplied);
  EXPECT_EQ(call.reply(), Frame(std::string("\0\0\0\x01m\x02\0\0\0\x09\0", 11)));
}

}  // namespace
}  // namespace trestle::backend
