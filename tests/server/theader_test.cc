// Clients that speak THeader: each call and its reply, byte by byte.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "call/crossing.h"
#include "tests/server/server_fixture.h"
#include "tests/support/theader_wire.h"
#include "tests/thrift/bytes.h"
#include "thrift/ttwitter.h"

namespace trestle::server {
namespace {

using tests::HeaderBytes;
using tests::HeaderFrame;
using thrift::Framing;
using thrift::Hex;
using thrift::THeader;

constexpr Protocol kBinary = Protocol::kBinary;
constexpr Protocol kCompact = Protocol::kCompact;

// A call and its reply as Apache Thrift's Python library wrote them.
struct Recorded {
  const char* about;
  std::string call, header, message;  // what is before the message, and it
  std::string reply, reply_header, reply_message;
};

Recorded Make(const char* about, const std::string& call, size_t header, const std::string& message,
              const std::string& reply, size_t reply_header) {
  return {about,
          call,
          call.substr(4, header),
          message,
          reply,
          reply.substr(4, reply_header),
          reply.substr(4 + reply_header)};
}

std::vector<Recorded> AllRecorded() {
  const std::string seven = "80010001 00000004 6563686f 00000007 0b0001 00000002 6869 00";
  const std::string eight =
      Hex("80010001 00000004 6563686f 00000008 0b0001 00000028") + std::string(40, 'a') + '\0';
  const std::string nine = Hex("8221 09 04 6563686f 18 28") + std::string(40, 'a') + '\0';
  const std::string back = "80010002 00000004 6563686f 00000005 0b0000 00000002 6869 00";
  return {
      Make("keys",
           Hex("00000038 0fff 0000 00000007 0005 00 00 01 01 08 6c35642d64746162 06 2f733d3e2f62") +
               Hex(seven),
           30, Hex(seven),
           Hex("00000038 0fff 0000 00000007 0005 00 00 01 01 04 7365656e 08 6c35642d64746162 0000"
               "80010002 00000004 6563686f 00000007 0b0000 00000002 6869 00"),
           30),
      Make("compact",
           Hex("0000001b 0fff 0000 00000007 0001 02 00 0000 82 21 07 04 6563686f 18 02 6869 00"),
           14, Hex("82 21 07 04 6563686f 18 02 6869 00"),
           Hex("0000001c 0fff 0000 00000007 0001 02 00 0000 82 41 07 04 6563686f 08 00 02 6869 00"),
           14),
      Make("zlib",
           Hex("00000034 0fff 0000 00000008 0003 00 01 01 01 01 01 6b 01 76 000000"
               "789c6b60646064606060494dcec807d21cdc60ae462291800100ca29118a"),
           22, eight,
           Hex("00000026 0fff 0000 00000008 0001 00 00 0000"
               "80010002 00000004 6563686f 00000008 0b0000 00000000 00"),
           14),
      Make("zlib, compact, flags",
           Hex("00000030 0fff 8001 00000009 0004 02 01 01 01 02 01 6b 01 76 02 6b32 00 000000"
               "789c6b52e464494dcec897d0482412300000bd3811b8"),
           26, nine,
           Hex("00000028 0fff 8001 00000009 0004 02 00 01 01 04 7365656e 04 6b2c6b32 0000"
               "82 41 09 04 6563686f 08 00 02 6869 00"),
           26),
      Make("two seqids",
           Hex("00000028 0fff 0000 00000063 0001 00000000"
               "80010001 00000004 6563686f 00000005 0b0001 00000002 6869 00"),
           14, Hex("80010001 00000004 6563686f 00000005 0b0001 00000002 6869 00"),
           Hex("00000028 0fff 0000 00000005 0001 00000000") + Hex(back), 14),
  };
}

class THeaderTest : public ServerTest {
 protected:
  THeaderTest() { options_.dialect = {}; }
  void Use(const thrift::DialectHint& hint) {
    options_.dialect = hint;
    clients_.clear();
    Settle(&loop_);
    server_.reset();
    handler_.open.clear();
  }
  // Ends the next call as a backend's session does whose backend speaks THeader.
  void Answer(const std::string& header, const std::string& message, size_t i = 0) {
    call::Call* call = handler_.Take(i);
    call->reply_header_bytes = base::Buffer::Copy(header);
    call->reply_form = call::HeaderForm::kTHeader;
    call->Reply(base::Buffer::Copy(Frame(message)), thrift::ReplyKind::kResult);
  }
  static std::string Call(std::string_view name, int32_t seqid, Protocol protocol = kBinary,
                          MessageType type = MessageType::kCall) {
    return Message(type, name, seqid, kVoidBody, protocol);
  }
};

TEST_F(THeaderTest, RecordedCallsAndRepliesByteByByte) {
  for (const Recorded& r : AllRecorded()) {
    for (size_t most : {size_t{1}, size_t{7}, ~size_t{0}}) {
      SCOPED_TRACE(std::string(r.about) + " " + std::to_string(most));
      Client& client = Connect();
      client.near->set_max_read(most);
      Send(client, r.call);
      ASSERT_EQ(handler_.open.size(), 1u);
      call::Call* call = handler_.open[0];
      EXPECT_EQ(call->request.ToString(), Frame(r.message));
      EXPECT_EQ(call->request_bytes, r.call.size());
      EXPECT_EQ(call->header_bytes.ToString(), r.header);
      EXPECT_EQ(call->header_form, call::HeaderForm::kTHeader);
      EXPECT_TRUE(call->with_header);
      EXPECT_EQ(call->method, "echo");
      EXPECT_FALSE(call->walked);
      Answer(r.reply_header, r.reply_message);
      EXPECT_EQ(Take(client), r.reply);
      EXPECT_FALSE(Ended(client));
      Reset(client);
    }
  }
}

TEST_F(THeaderTest, AtEveryCutItIsTheSame) {
  std::string sent, due;
  for (const Recorded& r : AllRecorded()) {
    sent += r.call;
    due += r.reply;
  }
  for (size_t cut = 1; cut < sent.size(); cut++) {
    Client& client = Connect();
    Send(client, sent.substr(0, cut));
    Send(client, sent.substr(cut));
    ASSERT_EQ(handler_.open.size(), AllRecorded().size()) << cut;
    for (const Recorded& r : AllRecorded()) Answer(r.reply_header, r.reply_message);
    ASSERT_EQ(Take(client), due) << cut;
    Reset(client);
  }
}

TEST_F(THeaderTest, HalfAFrameAtTheEndIsBadBytes) {
  for (const Recorded& r : AllRecorded()) {
    for (size_t size = 1; size < r.call.size(); size++) {
      Client& client = Connect();
      Send(client, r.call.substr(0, size));
      const uint64_t malformed = Count("malformed");
      End(client);
      EXPECT_EQ(Count("malformed"), malformed + 1) << r.about << " " << size;
      EXPECT_TRUE(Ended(client));
    }
  }
  EXPECT_EQ(handler_.handled, 0);
}

TEST_F(THeaderTest, EveryChangedBitIsSafe) {
  handler_.at_once = [](call::Call* call) {
    if (call->oneway()) return call->OnewayDone();
    tests::FakeHandler::Reply(call);
  };
  for (const Recorded& r : AllRecorded()) {
    for (size_t at = 0; at < r.call.size(); at++) {
      for (int bit = 0; bit < 8; bit++) {
        std::string bytes = r.call;
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
        const int handled = handler_.handled;
        Client& client = Connect();
        Send(client, bytes);
        End(client);
        EXPECT_LE(handler_.handled, handled + 1);
        EXPECT_TRUE(Ended(client));
      }
    }
  }
  EXPECT_GT(handler_.handled, 0) << "a changed value harms nobody";
}

TEST_F(THeaderTest, KeysAreSortedIntoWhatTheyMean) {
  Client& client = Connect();
  const std::string hops = base::ShowHops(2);
  Send(client, HeaderFrame(1, Call("m", 1),
                           {{"l5d-dtab", "/a=>/b"},
                            {"user", "ada"},
                            {"L5D-DST", "/svc/users"},
                            {base::kHopsKey, hops}}));
  const auto& header = handler_.open.at(0)->header;
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->dtab, "/a=>/b");
  EXPECT_EQ(header->dest, "/svc/users");
  EXPECT_EQ(header->keys, (base::Contexts{{"user", "ada"}}));
  EXPECT_EQ(header->contexts, (base::Contexts{{base::kHopsKey, hops}}));
  handler_.ReplyNext();
  // The next call has none of them.
  Send(client, HeaderFrame(2, Call("m", 2)));
  EXPECT_TRUE(handler_.open.at(0)->header->keys.empty());
  EXPECT_FALSE(handler_.open.at(0)->header->dest.has_value());
  handler_.ReplyNext();
}

TEST_F(THeaderTest, ItIsCountedByItsName) {
  Client& client = Connect();
  Send(client, HeaderFrame(1, Call("m", 1), {}, kBinary));
  EXPECT_EQ(Count("dialects/theader"), 1u);
  handler_.ReplyNext();
}

TEST_F(THeaderTest, OurErrorsAreInTheProtocolOfTheCallWithItsFlags) {
  for (Protocol protocol : {kBinary, kCompact}) {
    Client& client = Connect();
    Send(client, HeaderFrame(99, Call("svc:m", 300, protocol), {{"k", "v"}}, protocol, 1, 0x8001));
    call::Call* call = handler_.Take();
    // Of a reply that broke off before its turn had come.
    call->reply_header_bytes = base::Buffer::Copy(HeaderBytes({0, 1, protocol, 0, {{"x", "y"}}}));
    call->reply_form = call::HeaderForm::kTHeader;
    handler_.Fail(call);
    EXPECT_EQ(Take(client), HeaderFrame(300,
                                        thrift::EncodeApplicationException(
                                            protocol, "m", 300, 6, "trestle: connect: no way"),
                                        {}, protocol, 0, 0x8001));
  }
}

TEST_F(THeaderTest, OnewaysAreNotAnswered) {
  Client& client = Connect();
  Send(client, HeaderFrame(1, Call("log", 1, kBinary, MessageType::kOneway)) +
                   HeaderFrame(2, Call("log", 2, kBinary, MessageType::kOneway)) +
                   HeaderFrame(3, Call("m", 3)));
  handler_.Take()->OnewayDone();
  handler_.Fail(handler_.Take());
  handler_.ReplyNext();
  EXPECT_EQ(Take(client), HeaderFrame(3, Message(MessageType::kReply, "m", 3)));
}

// As Apache's servers have it: header, framed, compact, header in turn are answered so.
TEST_F(THeaderTest, EachMessageMayBeInAnotherForm) {
  Client& client = Connect();
  std::string old(thrift::EnvelopeSize(kBinary, "old", 5, true), '\0');
  thrift::EncodeEnvelope(kBinary, MessageType::kCall, "old", 5, old.data(), true);
  Send(client, HeaderFrame(1, Call("a", 1), {{"k", "v"}}, kBinary, 0, 7) + CallFrame("b", 2) +
                   HeaderFrame(3, Call("c", 3, kCompact), {}, kCompact, 2) +
                   CallFrame("d", 4, kVoidBody, kCompact) + Frame(old + kVoidBody) +
                   HeaderFrame(6, Call("e", 6)));
  ASSERT_EQ(handler_.open.size(), 6u);
  EXPECT_EQ(handler_.open[1]->request.ToString(), CallFrame("b", 2));
  EXPECT_FALSE(handler_.open[1]->with_header);
  EXPECT_FALSE(handler_.open[1]->header.has_value());
  EXPECT_TRUE(handler_.open[1]->header_bytes.empty());
  EXPECT_EQ(handler_.open[1]->header_form, call::HeaderForm::kNone);
  EXPECT_EQ(handler_.open[3]->protocol, kCompact);
  EXPECT_TRUE(handler_.open[4]->envelope.old_form);
  for (size_t i = 6; i-- > 1;) {
    EXPECT_EQ(Take(client), "");
    i == 3 ? handler_.Fail(handler_.Take(i)) : handler_.ReplyNext(i);
  }
  handler_.ReplyNext();
  EXPECT_EQ(
      Take(client),
      HeaderFrame(1, Message(MessageType::kReply, "a", 1), {}, kBinary, 0, 7) + ReplyFrame("b", 2) +
          HeaderFrame(3, Message(MessageType::kReply, "c", 3, kVoidBody, kCompact), {}, kCompact) +
          Frame(
              thrift::EncodeApplicationException(kCompact, "d", 4, 6, "trestle: connect: no way")) +
          ReplyFrame("old", 5) + HeaderFrame(6, Message(MessageType::kReply, "e", 6)));
}

TEST_F(THeaderTest, AProtocolThatIsGivenHoldsForEachMessage) {
  for (Protocol given : {kBinary, kCompact}) {
    const Protocol other = given == kBinary ? kCompact : kBinary;
    const std::string bad[] = {HeaderFrame(2, Call("m", 2, other), {}, other),
                               CallFrame("m", 2, kVoidBody, other)};
    for (const std::string& bytes : bad) {
      Use({{}, given});
      Client& client = Connect();
      Send(client, HeaderFrame(1, Call("a", 1, given), {}, given) +
                       CallFrame("b", 2, kVoidBody, given) + bytes);
      ASSERT_EQ(handler_.open.size(), 2u);
      handler_.ReplyNext();
      handler_.ReplyNext();
      EXPECT_EQ(Take(client),
                HeaderFrame(1, Message(MessageType::kReply, "a", 1, kVoidBody, given), {}, given) +
                    ReplyFrame("b", 2, kVoidBody, given));
      EXPECT_TRUE(Ended(client));
    }
    Use({{}, given});
    Client& client = Connect();
    Send(client, HeaderFrame(1, Call("a", 1, other), {}, other));
    EXPECT_TRUE(Ended(client));
    EXPECT_TRUE(handler_.open.empty());
  }
}

TEST_F(THeaderTest, WhereFramesOrNoneAreGivenThereIsNoTHeader) {
  for (Framing framing : {Framing::kFramed, Framing::kBuffered}) {
    for (std::optional<Protocol> protocol : {std::optional<Protocol>(), std::optional(kBinary)}) {
      Use({framing, protocol});
      Client& client = Connect();
      Send(client, HeaderFrame(1, Call("a", 1)));
      EXPECT_TRUE(Ended(client));
      EXPECT_EQ(Take(client), "");
    }
  }
  EXPECT_EQ(handler_.handled, 0);
}

TEST_F(THeaderTest, AConnectionThatBeganWithoutHasNoneLater) {
  Client& client = Connect();
  Send(client, CallFrame("a", 1) + HeaderFrame(2, Call("b", 2)));
  ASSERT_EQ(handler_.open.size(), 1u);
  handler_.ReplyNext();
  EXPECT_EQ(Take(client), ReplyFrame("a", 1));
  EXPECT_TRUE(Ended(client));
}

TEST_F(THeaderTest, TheUpgradeIsACallLikeOthers) {
  Client& client = Connect();
  Send(client, HeaderFrame(1, thrift::EncodeUpgradeCall(kBinary)) +
                   Frame(thrift::EncodeUpgradeCall(kBinary)) + HeaderFrame(2, Call("m", 2)));
  ASSERT_EQ(handler_.open.size(), 3u);
  EXPECT_EQ(handler_.open[0]->method, thrift::kUpgradeMethod);
  EXPECT_EQ(Count("upgrades"), 0u);
  const std::string refused = thrift::EncodeApplicationException(kBinary, thrift::kUpgradeMethod, 0,
                                                                 thrift::kUnknownMethod, "unknown");
  Answer(HeaderBytes({}), refused);
  handler_.Take()->Reply(base::Buffer::Copy(Frame(refused)),
                         thrift::ReplyKind::kApplicationException);
  handler_.ReplyNext();
  EXPECT_EQ(Take(client), HeaderFrame(0, refused) + Frame(refused) +
                              HeaderFrame(2, Message(MessageType::kReply, "m", 2)));
}

TEST_F(THeaderTest, ClearContextDropsWhatTheClientSentButSpeaksOn) {
  options_.clear_context = true;
  Client& client = Connect();
  Send(client, HeaderFrame(1, Call("m", 1), {{"l5d-dtab", "/a=>/b"}}, kBinary, 1, 9));
  ASSERT_EQ(handler_.open.size(), 1u);
  EXPECT_FALSE(handler_.open[0]->header.has_value());
  EXPECT_TRUE(handler_.open[0]->header_bytes.empty());
  handler_.ReplyNext();
  EXPECT_EQ(Take(client), HeaderFrame(1, Message(MessageType::kReply, "m", 1), {}, kBinary, 0, 9));
}

TEST_F(THeaderTest, BadFramesCloseTheConnectionAfterTheGoodReplies) {
  const std::string good = HeaderFrame(1, Call("m", 1));
  const std::string message = Call("never", 2);
  auto header = [&](const std::string& hex) {
    return Frame(Hex("0fff 0000 00000007") + Hex(hex) + message);
  };
  const std::string bad[] = {
      Frame(""),
      Frame("\x0f"),
      Frame(Hex("0fff")),
      Frame(Hex("0fff 0000 00000007 00")),
      Frame(Hex("0fff 0000 00000007 0001")),
      Frame(Hex("0eff 0000 00000007 0001 00000000") + message),
      header("4000 00 00 0000"),                  // longer than its frame
      header("0000"),                             // no protocol
      header("0001 01 00 0000"),                  // JSON, or what nobody has
      header("0001 ffffffff"),                    // a number without end
      header("0001 00 01 02 00"),                 // HMAC
      header("0001 00 01 03 00"),                 // snappy
      header("0001 00 01 7f 00"),                 // what nobody has
      header("0002 00 05 01 01 01 01 01 00"),     // too many
      header("0002 00 00 01 ff ff ff ff 0f"),     // keys without number
      header("0002 00 00 01 01 05 6b 01 76"),     // a key that is cut off
      header("0001 00 01 01 00"),                 // zlib that is none
      Frame(HeaderBytes({})),                     // no message
      Frame(HeaderBytes({}) + "\x80\x01"),        // half of one
      Frame(HeaderBytes({}) + "\x80\x02\0\x01"),  // none
      HeaderFrame(2, Message(MessageType::kReply, "never", 2)),
      HeaderFrame(2, Message(MessageType::kException, "never", 2)),
      HeaderFrame(2, HeaderFrame(2, message).substr(4)),
      HeaderFrame(2, Call("never", 2, kCompact), {}, kBinary),
      HeaderFrame(2, message, {}, kCompact),
      HeaderFrame(2, "", {}, kBinary, 1),
  };
  for (const std::string& bytes : bad) {
    for (size_t most : {size_t{1}, ~size_t{0}}) {
      SCOPED_TRACE(testing::PrintToString(bytes.substr(0, 24)));
      Client& client = Connect();
      client.near->set_max_read(most);
      const uint64_t malformed = Count("malformed");
      Send(client, good + bytes + HeaderFrame(3, message));
      ASSERT_EQ(handler_.open.size(), 1u);
      EXPECT_EQ(Count("malformed"), malformed + 1);
      EXPECT_FALSE(Ended(client));
      handler_.ReplyNext();
      EXPECT_EQ(Take(client), HeaderFrame(1, Message(MessageType::kReply, "m", 1)));
      EXPECT_TRUE(Ended(client));
      Reset(client);
    }
  }
}

TEST_F(THeaderTest, AHeaderAsLargeAsTheyComeIsRead) {
  options_.stream_threshold = 1 << 20;
  const std::string value(0x3fff0, 'v');
  for (size_t most : {size_t{1000}, ~size_t{0}}) {
    Client& client = Connect();
    client.near->set_max_read(most);
    Send(client, HeaderFrame(1, Call("m", 1), {{"k", value}}));
    ASSERT_EQ(handler_.open.size(), 1u);
    EXPECT_EQ(handler_.open[0]->header->keys.at(0).value.size(), value.size());
    EXPECT_EQ(handler_.open[0]->request.ToString(), CallFrame("m", 1));
    handler_.ReplyNext();
    EXPECT_EQ(Take(client), HeaderFrame(1, Message(MessageType::kReply, "m", 1)));
    Reset(client);
  }
}

}  // namespace
}  // namespace trestle::server
