// One backend connection that speaks THeader: what goes out and what comes back, byte by byte.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/backend/session_fixture.h"
#include "tests/support/theader_wire.h"
#include "tests/thrift/bytes.h"

namespace trestle::backend {
namespace {

using call::HeaderForm;
using tests::Headed;
using tests::HeaderBytes;
using tests::HeaderFrame;
using tests::ReadHeaderFrame;
using thrift::Framing;
using thrift::Hex;

constexpr Protocol kBinary = Protocol::kBinary;
constexpr Protocol kCompact = Protocol::kCompact;

class THeaderSessionTest : public BackendSessionTest {
 protected:
  THeaderSessionTest() { options_.wire = Wire::kTHeader; }
  void Open(size_t capacity = 1 << 20) {
    upgraded_ = false;
    BackendSessionTest::Open(capacity);
  }
  // Calls until the connection's next seqid is `seqid`.
  void OpenAt(int32_t seqid, Protocol protocol) {
    protocol_ = protocol;
    Open();
    for (int32_t i = 1; i < seqid; i++) {
      TestCall call("m", 1000 + i, MessageType::kCall, protocol);
      Send(call);
      Answer(Reply(i, protocol));
      ASSERT_EQ(call.end(), End::kReplied) << call.failure();
    }
  }
  static std::string Reply(int32_t seqid, Protocol protocol = kBinary, base::Contexts keys = {},
                           uint32_t zlib = 0, const std::string& body = kVoidBody) {
    return HeaderFrame(seqid, Message(MessageType::kReply, "m", seqid, body, protocol),
                       std::move(keys), protocol, zlib);
  }
  // As a server session gives the calls of a client that speaks THeader.
  static void Put(TestCall& call, const base::Contexts& keys) {
    call.call.header_bytes = base::Buffer::Copy(HeaderBytes({1, 2, call.call.protocol, 0, keys}));
    call.call.header_form = HeaderForm::kTHeader;
    call.call.with_header = true;
  }
};

TEST_F(THeaderSessionTest, RecordedCallsAndRepliesByteByByte) {
  const std::string hi_binary = Hex("0b0001 00000002 6869 00");
  const std::string hi_compact = Hex("18 02 6869 00");
  const struct {
    Protocol protocol;
    std::string body;
    base::Contexts keys;
    std::string sent;
    std::string reply_header, reply_message;  // as the backend writes them
    bool says = false;
  } kCases[] = {
      {kBinary,
       hi_binary,
       {{"l5d-dtab", "/s=>/b"}},
       Hex("00000038 0fff 0000 00000007 0005  00 00  01 01 08 6c35642d64746162 06 2f733d3e2f62"
           "80010001 00000004 6563686f 00000007 0b0001 00000002 6869 00"),
       Hex("0fff 0000 00000007 0005  00 00  01 01 04 7365656e 08 6c35642d64746162 0000"),
       Hex("80010002 00000004 6563686f 00000007 0b0000 00000002 6869 00"),
       true},
      {kCompact,
       hi_compact,
       {},
       Hex("0000001b 0fff 0000 00000007 0001  02 00  0000   82 21 07 04 6563686f  18 02 6869 00"),
       Hex("0fff 0000 00000007 0001  02 00  0000"),
       Hex("82 41 07 04 6563686f  08 00 02 6869 00")},
      // What C++ pads, and a server that deflates.
      {kBinary,
       hi_binary,
       {},
       Hex("00000028 0fff 0000 00000007 0001 00 00 0000"
           "80010001 00000004 6563686f 00000007 0b0001 00000002 6869 00"),
       Hex("0fff 0000 00000007 0002  00 00  0000 00000000"),
       Hex("80010002 00000004 6563686f 00000007 0b0000 00000002 6869 00")},
  };
  for (const auto& c : kCases) {
    for (size_t at_a_time : {size_t{1}, size_t{3}, size_t{1000}}) {
      OpenAt(7, c.protocol);
      near_->set_max_read(at_a_time);
      TestCall call("echo", 70'000, MessageType::kCall, c.protocol, c.body);
      Put(call, c.keys);
      EXPECT_EQ(Send(call), c.sent);
      Answer(Frame(c.reply_header + c.reply_message));
      ASSERT_EQ(call.end(), End::kReplied) << call.failure();
      std::string body = c.reply_message.substr(c.protocol == kBinary ? 16 : 8);
      EXPECT_EQ(call.reply(), ReplyFrame("echo", 70'000, body, c.protocol));
      EXPECT_EQ(call.call.reply_kind, thrift::ReplyKind::kResult);
      EXPECT_EQ(call.call.reply_header_bytes.ToString(), c.says ? c.reply_header : "");
      EXPECT_EQ(call.call.reply_form, c.says ? HeaderForm::kTHeader : HeaderForm::kNone);
      EXPECT_EQ(owner_.dead, 0);
    }
  }
}

TEST_F(THeaderSessionTest, ARecordedFrameWithZlibIsRead) {
  OpenAt(8, kBinary);
  TestCall call("echo", 5);
  Send(call);
  // The library's own, a call; its type made that of a reply before it was deflated again.
  const std::string call_bytes =
      tests::Inflated(Hex("789c6b60646064606060494dcec807d21cdc60ae462291800100ca29118a"));
  std::string message = call_bytes;
  message[3] = '\2';
  Answer(Frame(Hex("0fff 8001 00000063 0003 00 01 01 01 01 01 6b 01 76 000000") +
               tests::Deflated(message)));
  ASSERT_EQ(call.end(), End::kReplied) << call.failure();
  EXPECT_EQ(call.reply(), ReplyFrame("echo", 5, message.substr(16)));
  EXPECT_EQ(call.call.reply_header_bytes.ToString(),
            Hex("0fff 8001 00000063 0003 00 01 01 01 01 01 6b 01 76 000000"));
}

TEST_F(THeaderSessionTest, AReplyInEveryFormReachesItsCallerWhateverSplitsTheReads) {
  for (Protocol protocol : {kBinary, kCompact}) {
    for (uint32_t places : {1u, 4u}) {
      for (size_t at_a_time : {size_t{1}, size_t{3}, size_t{1000}}) {
        protocol_ = protocol;
        options_.pool.max_in_flight = places;
        Open();
        near_->set_max_read(at_a_time);
        for (int32_t i = 0; i < 8; i++) {
          TestCall call("svc:m", 70'000 + i, MessageType::kCall, protocol);
          const Headed sent = ReadHeaderFrame(Send(call));
          const int32_t seqid = places == 1 ? i + 1 : (i + 1) * 4;
          EXPECT_EQ(sent.seqid, seqid);
          EXPECT_EQ(sent.protocol, protocol);
          EXPECT_EQ(sent.flags, 0);
          EXPECT_EQ(sent.message, Message(MessageType::kCall, "svc:m", seqid, kVoidBody, protocol));
          const std::string message = Message(MessageType::kReply, "m", seqid, kVoidBody, protocol);
          const base::Contexts keys =
              i % 2 == 0 ? base::Contexts() : base::Contexts{{"k", "value"}};
          // Without a header, and with one deflated up to twice; its own seqid tells nothing.
          const bool plain = i >= 6;
          Answer(plain ? Frame(message)
                       : HeaderFrame(i - 3, message, keys, protocol, static_cast<uint32_t>(i) / 2));
          ASSERT_EQ(call.end(), End::kReplied) << call.failure();
          EXPECT_EQ(call.reply(), ReplyFrame("m", 70'000 + i, kVoidBody, protocol));
          EXPECT_EQ(call.call.reply_header_bytes.empty(), plain || i % 2 == 0);
        }
        EXPECT_EQ(owner_.dead, 0);
      }
    }
  }
}

TEST_F(THeaderSessionTest, WhatTheClientSaysBesideGoesOn) {
  options_.attempt_timeout = milliseconds(500);
  Open();
  TestCall call("m", 9);
  Put(call, {{"user", "ada"}, {"l5d-dst", "/a/b"}, {"l5d-dtab", "/x=>/y"}});
  call.call.dest = "/b";
  call.call.hops = 3;
  const Headed sent = ReadHeaderFrame(Send(call));
  const base::WallTime now = clock_.Wall();
  const std::vector<std::pair<std::string, std::string>> kKeys = {
      {"l5d-dst", "/b"},
      {"l5d-dtab", "/x=>/y"},
      {std::string(base::kHopsKey), base::ShowHops(3)},
      {std::string(base::kDeadlineKey), base::ShowDeadline({now, now + milliseconds(500)})},
      {"user", "ada"}};
  EXPECT_EQ(sent.keys, kKeys);
  EXPECT_EQ(sent.message, Message(MessageType::kCall, "m", 1));
}

TEST_F(THeaderSessionTest, ClientsOfEveryFormAreSentTHeader) {
  for (Protocol protocol : {kBinary, kCompact}) {
    protocol_ = protocol;
    Open();
    TestCall plain("m", 9, MessageType::kCall, protocol);
    EXPECT_EQ(Send(plain), HeaderFrame(1, Message(MessageType::kCall, "m", 1, kVoidBody, protocol),
                                       {}, protocol));
    Answer(Reply(1, protocol));
    TestCall ttwitter("m", 9, MessageType::kCall, protocol);
    thrift::RequestHeader header;
    header.client_id = "web";
    header.delegations = {{"/a", "/b"}};
    std::string bytes;
    thrift::EncodeRequestHeader(protocol, header, &bytes);
    ttwitter.call.header_bytes = base::Buffer::Copy(Frame(bytes));
    ttwitter.call.header_form = HeaderForm::kTTwitter;
    EXPECT_EQ(Send(ttwitter),
              HeaderFrame(2, Message(MessageType::kCall, "m", 2, kVoidBody, protocol),
                          {{"l5d-dtab", "/a=>/b;"}, {base::kClientIdKey, "web"}}, protocol));
    Answer(Reply(2, protocol));
    EXPECT_EQ(ttwitter.end(), End::kReplied);
  }
}

TEST_F(THeaderSessionTest, WithZlibRequestsAreDeflatedAndRepliesAsTheyCome) {
  options_.theader_zlib = true;
  const std::string body = std::string("\x0b\0\x01\0\0\0\xff", 7) + std::string(255, 'a') + '\0';
  for (Protocol protocol : {kBinary, kCompact}) {
    protocol_ = protocol;
    Open();
    for (int32_t i = 1; i <= 3; i++) {
      TestCall call("m", 9, MessageType::kCall, protocol, body);
      Put(call, {{"k", "v"}});
      const std::string bytes = Send(call);
      EXPECT_LT(bytes.size(), 120u);
      const Headed sent = ReadHeaderFrame(bytes);
      EXPECT_EQ(sent.zlib, 1u);
      EXPECT_EQ(sent.seqid, i);
      EXPECT_EQ(sent.keys.size(), 1u);
      EXPECT_EQ(sent.message, Message(MessageType::kCall, "m", i, body, protocol));
      Answer(i == 2 ? Frame(Message(MessageType::kReply, "m", i, kVoidBody, protocol))
                    : Reply(i, protocol, {}, i == 3 ? 1 : 0));
      ASSERT_EQ(call.end(), End::kReplied) << call.failure();
    }
  }
}

TEST_F(THeaderSessionTest, NamesAreTakenOffAndTheOldFormGoesBothWays) {
  options_.strip_service_name = true;
  Open();
  TestCall call("svc:m", 9);
  EXPECT_EQ(ReadHeaderFrame(Send(call)).message, Message(MessageType::kCall, "m", 1));
  Answer(Reply(1));
  EXPECT_EQ(call.reply(), ReplyFrame("m", 9));
  std::string message(thrift::EnvelopeSize(kBinary, "m", 9, true), '\0');
  thrift::EncodeEnvelope(kBinary, MessageType::kCall, "m", 9, message.data(), true);
  TestCall old("m", 9);
  old.call.request = base::Buffer::Copy(Frame(message + kVoidBody));
  thrift::DecodeEnvelope(kBinary, message, &old.call.envelope);
  old.call.envelope.name = old.call.method;
  EXPECT_EQ(ReadHeaderFrame(Send(old)).message, std::string("\0\0\0\x01m\x01\0\0\0\x02\0", 11));
  Answer(Reply(2, kBinary, {{"k", "v"}}));
  ASSERT_EQ(old.end(), End::kReplied);
  EXPECT_EQ(old.reply(), Frame(std::string("\0\0\0\x01m\x02\0\0\0\x09\0", 11)));
  EXPECT_FALSE(old.call.reply_header_bytes.empty());
}

TEST_F(THeaderSessionTest, AConnectionKeepsItsProtocol) {
  auto speaks = [this](Protocol p) {
    call::Call call;
    call.protocol = p;
    return session_->Speaks(call);
  };
  for (Protocol protocol : {kBinary, kCompact}) {
    const Protocol other = protocol == kBinary ? kCompact : kBinary;
    Open();
    EXPECT_TRUE(speaks(kBinary));
    EXPECT_TRUE(speaks(kCompact));
    TestCall call("m", 9, MessageType::kCall, protocol);
    Send(call);
    EXPECT_TRUE(speaks(protocol));
    EXPECT_FALSE(speaks(other));
    Answer(Reply(1, other));
    ASSERT_EQ(call.end(), End::kFailed);
    EXPECT_NE(call.failure().find("another protocol"), std::string::npos) << call.failure();
    EXPECT_EQ(owner_.dead, 1);
  }
}

// What an Apache server in C++ says to a THeader that it cannot read.
std::string AboutHeader(int32_t seqid = 0, std::string_view name = "") {
  return thrift::EncodeApplicationException(kBinary, name, seqid, 5, "Unknown transform");
}

TEST_F(THeaderSessionTest, AnExceptionWithoutNameAndSeqidIsForTheOnlyCall) {
  for (const std::string& bytes : {HeaderFrame(0, AboutHeader()), Frame(AboutHeader()),
                                   HeaderFrame(0, AboutHeader(), {}, kBinary, 1)}) {
    Open();
    TestCall call("m", 9);
    Send(call);
    Answer(bytes);
    ASSERT_EQ(call.end(), End::kReplied) << call.failure();
    EXPECT_EQ(call.reply(), Frame(AboutHeader(9)));
    EXPECT_EQ(call.call.reply_kind, thrift::ReplyKind::kApplicationException);
    EXPECT_EQ(owner_.dead, 0);
  }
}

TEST_F(THeaderSessionTest, ItIsNobodysWhereItMayBeAnothers) {
  const std::string about = HeaderFrame(0, AboutHeader());
  {
    options_.pool.max_in_flight = 2;
    Open();
    TestCall a("m", 1), b("m", 2);
    Send(a);
    Send(b);
    Answer(about);
    EXPECT_EQ(a.end(), End::kFailed) << "of which of the two?";
    EXPECT_EQ(b.end(), End::kFailed);
    EXPECT_NE(a.failure().find("a reply with another seqid"), std::string::npos) << a.failure();
  }
  options_.pool.max_in_flight = 1;
  {
    Open();
    auto oneway = TestCall::Oneway();
    Send(*oneway);
    TestCall call("m", 1);
    Send(call);
    Answer(about);
    EXPECT_EQ(call.end(), End::kFailed) << "it may be about the oneway";
  }
  for (const std::string& other :
       {HeaderFrame(0, AboutHeader(0, "x")), HeaderFrame(0, AboutHeader(2)),
        HeaderFrame(0, Message(MessageType::kReply, "", 0))}) {
    Open();
    TestCall call("m", 1);
    Send(call);
    Answer(other);
    EXPECT_EQ(call.end(), End::kFailed);
    EXPECT_EQ(owner_.dead, 1);
  }
  options_.wire = Wire::kThrift;
  Open();
  TestCall call("m", 1);
  Send(call);
  Answer(Frame(AboutHeader()));
  EXPECT_EQ(call.end(), End::kFailed) << "others do not do that";
}

TEST_F(THeaderSessionTest, WithoutVerificationTheOldestCallIsAnswered) {
  options_.verify_seqid = false;
  Open();
  TestCall call("m", 9);
  Send(call);
  Answer(HeaderFrame(5, Message(MessageType::kReply, "m", 4)));
  ASSERT_EQ(call.end(), End::kReplied) << call.failure();
  EXPECT_EQ(call.reply(), ReplyFrame("m", 9));
}

TEST_F(THeaderSessionTest, BadRepliesLoseTheConnection) {
  auto header = [](const std::string& hex) {
    return Frame(Hex("0fff 0000 00000001") + Hex(hex) + Message(MessageType::kReply, "m", 1));
  };
  const std::string bad[] = {
      Frame("\x0f"),
      Frame(Hex("0fff")),
      Frame(Hex("0fff 0000 00000001 00")),
      header("4000 00 00 0000"),
      header("ffff 00 00 0000"),
      header("0000"),
      header("0001 01 00 0000"),
      header("0001 00 01 02 00"),
      header("0001 00 01 7f 00"),
      header("0002 00 05 01 01 01 01 01 00"),
      header("0002 00 00 01 ff ff ff ff 0f"),
      header("0002 00 00 01 01 05 6b 01 76"),
      header("0001 00 01 01 00"),
      Frame(HeaderBytes({0, 1, kBinary, 0, {}})),
      Frame(HeaderBytes({0, 1, kBinary, 0, {}}) + "\x80\x01"),
      HeaderFrame(1, "", {}, kBinary, 1),
      HeaderFrame(1, HeaderFrame(1, Message(MessageType::kReply, "m", 1)).substr(4)),
      HeaderFrame(1, Message(MessageType::kReply, "m", 2)),
      HeaderFrame(1, Message(MessageType::kReply, "n", 1), {{"k", "v"}}),
      HeaderFrame(1, Message(MessageType::kCall, "m", 1)),
      HeaderFrame(1, Message(MessageType::kReply, "m", 1, kVoidBody, kCompact)),
  };
  for (const std::string& bytes : bad) {
    for (size_t at_a_time : {size_t{1}, size_t{1000}}) {
      SCOPED_TRACE(testing::PrintToString(bytes.substr(0, 24)));
      Open();
      near_->set_max_read(at_a_time);
      TestCall call("m", 7);
      Send(call);
      Answer(bytes);
      ASSERT_EQ(call.end(), End::kFailed);
      EXPECT_EQ(call.call.failed_code, base::Code::kMalformed);
      EXPECT_TRUE(call.call.reply_header_bytes.empty());
      EXPECT_EQ(owner_.dead, 1);
      EXPECT_EQ(owner_.failures, 1);
    }
  }
}

TEST_F(THeaderSessionTest, WhereFramesAreSpokenATHeaderIsNoReply) {
  options_.wire = Wire::kThrift;
  for (Framing framing : {Framing::kFramed, Framing::kBuffered}) {
    options_.framing = framing;
    Open();
    TestCall call("m", 7);
    Send(call);
    Answer(Reply(1));
    EXPECT_EQ(call.end(), End::kFailed);
  }
}

TEST_F(THeaderSessionTest, EveryCorruptedByteIsSafe) {
  const std::string replies[] = {Reply(1, kBinary, {{"k", "value"}}), Reply(1, kBinary, {}, 1),
                                 Reply(1, kCompact, {{"k", "value"}}, 2)};
  for (const std::string& reply : replies) {
    protocol_ = ReadHeaderFrame(reply).protocol;
    for (size_t at = 0; at < reply.size(); at++) {
      for (int bit = 0; bit < 8; bit++) {
        Open();
        TestCall call("m", 1, MessageType::kCall, protocol_);
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

TEST_F(THeaderSessionTest, ABackendThatVanishesAtAnyByteFailsTheCall) {
  for (const std::string& reply : {Reply(1, kBinary, {{"k", "v"}}), Reply(1, kBinary, {}, 1)}) {
    for (size_t size = 0; size < reply.size(); size++) {
      Open();
      TestCall call("m", 7);
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

TEST_F(THeaderSessionTest, LateRepliesWithKeysAreDroppedWithThem) {
  options_.pool.max_in_flight = 4;
  Open();
  TestCall other("m", 8);
  Send(other);
  {
    TestCall call("m", 7);
    Send(call);
    call.call.Cancel();
  }
  Answer(Reply(9, kBinary, {{"late", "x"}}));
  EXPECT_EQ(owner_.stray, 1);
  Answer(Reply(4));
  ASSERT_EQ(other.end(), End::kReplied) << other.failure();
  EXPECT_TRUE(other.call.reply_header_bytes.empty());
}

// An unframed client finds the end of its reply by the fields alone.
TEST_F(THeaderSessionTest, ForAnUnframedClientTheFrameIsOneMessage) {
  for (uint32_t zlib : {0u, 1u}) {
    for (const char* keys : {"", "k"}) {
      const base::Contexts some = *keys ? base::Contexts{{keys, "v"}} : base::Contexts();
      for (const char* more : {"", "x"}) {
        Open();
        TestCall call("m", 7);
        call.call.walked = true;
        Send(call);
        Answer(Reply(1, kBinary, some, zlib, kVoidBody + more));
        EXPECT_EQ(call.end(), *more ? End::kFailed : End::kReplied) << call.failure();
      }
    }
  }
}

TEST_F(THeaderSessionTest, ForABackendWithTHeaderARequestIsNotWalked) {
  for (bool zlib : {false, true}) {
    options_.theader_zlib = zlib;
    Open();
    TestCall call("m", 7, MessageType::kCall, kBinary, kVoidBody + "more");
    EXPECT_EQ(ReadHeaderFrame(Send(call)).message,
              Message(MessageType::kCall, "m", 1, kVoidBody + "more"));
  }
}

TEST_F(THeaderSessionTest, WhatATTwitterBackendSaysBesideIsKept) {
  options_.wire = Wire::kThrift;
  const std::string packed = base::ShowApplicationHeaders({{"seen", "yes"}});
  for (Protocol protocol : {kBinary, kCompact}) {
    for (Framing framing : {Framing::kFramed, Framing::kBuffered}) {
      for (size_t at_a_time : {size_t{1}, size_t{1000}}) {
        protocol_ = protocol;
        options_.framing = framing;
        upgraded_ = true;
        BackendSessionTest::Open();
        near_->set_max_read(at_a_time);
        for (bool some : {true, false}) {
          TestCall call("m", 7, MessageType::kCall, protocol);
          Send(call);
          std::string header;
          thrift::EncodeResponseHeader(
              protocol,
              some ? base::Contexts{{base::kResponseHeadersKey, packed}} : base::Contexts(),
              &header);
          const std::string message =
              Message(MessageType::kReply, "m", some ? 1 : 2, kVoidBody, protocol);
          Answer(framing == Framing::kFramed ? Frame(header + message) : header + message);
          ASSERT_EQ(call.end(), End::kReplied) << call.failure();
          EXPECT_EQ(call.reply(), ReplyFrame("m", 7, kVoidBody, protocol));
          EXPECT_EQ(call.call.reply_header_bytes.ToString(), some ? header : "");
          EXPECT_EQ(call.call.reply_form, some ? HeaderForm::kTTwitter : HeaderForm::kNone);
        }
      }
    }
  }
}

}  // namespace
}  // namespace trestle::backend
