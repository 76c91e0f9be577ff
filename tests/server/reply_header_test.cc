// What a backend sent beside its reply, to clients of every form: every bridge, byte by byte.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "mux/message.h"
#include "tests/server/fake_body.h"
#include "tests/server/server_fixture.h"
#include "tests/support/theader_wire.h"
#include "thrift/ttwitter.h"

namespace trestle::server {
namespace {

using call::HeaderForm;
using tests::HeaderBytes;
using tests::HeaderFrame;
using thrift::Framing;

constexpr HeaderForm kForms[] = {HeaderForm::kNone, HeaderForm::kTTwitter, HeaderForm::kTHeader,
                                 HeaderForm::kMux};

// A backend's form, and what it writes for one header of the application and one context.
struct Beside {
  HeaderForm form;
  std::string bytes;
};

class ReplyHeaderTest : public ServerTest {
 protected:
  ReplyHeaderTest() { options_.dialect = {}; }
  // `seen` = `yes` of the application, and a context.
  base::Contexts AsContexts() {
    packed_ = base::ShowApplicationHeaders({{"seen", "yes"}});
    return {{"com.twitter.finagle.X", "x"}, {base::kResponseHeadersKey, packed_}};
  }
  base::Contexts AsKeys() { return {{"com.twitter.finagle.X", "x"}, {"seen", "yes"}}; }
  std::string Response(Protocol protocol, bool some) {
    std::string out;
    thrift::EncodeResponseHeader(protocol, some ? AsContexts() : base::Contexts(), &out);
    return out;
  }
  Beside From(HeaderForm form, Protocol protocol) {
    Beside out{form, {}};
    if (form == HeaderForm::kTTwitter) out.bytes = Response(protocol, true);
    if (form == HeaderForm::kTHeader) out.bytes = HeaderBytes({0, 77, protocol, 0, AsKeys()});
    if (form == HeaderForm::kMux) {
      mux::DispatchReply reply;
      reply.contexts = AsContexts();
      mux::EncodeDispatchReply(reply, &out.bytes);
    }
    return out;
  }
  std::string Framed(Framing framing, const std::string& message) {
    return framing == Framing::kBuffered ? message : Frame(message);
  }
  // The bytes of a client of this form, and those that it is to get: of a reply with `beside`.
  std::string CallOf(HeaderForm form, Framing framing, Protocol protocol) {
    const std::string call = Message(MessageType::kCall, "m", 5, kVoidBody, protocol);
    std::string header;
    if (form == HeaderForm::kTHeader) header = HeaderBytes({3, 9, protocol, 0, {}});
    if (form == HeaderForm::kTTwitter) thrift::EncodeRequestHeader(protocol, {}, &header);
    return Framed(framing, header + call);
  }
  std::string Due(HeaderForm form, Framing framing, Protocol protocol, bool some,
                  const std::string& message) {
    std::string header;
    if (form == HeaderForm::kTHeader) {
      header = HeaderBytes({3, 5, protocol, 0, some ? AsKeys() : base::Contexts()});
    }
    if (form == HeaderForm::kTTwitter) header = Response(protocol, some);
    return Framed(framing, header + message);
  }
  void Upgrade(Client& client, Framing framing, Protocol protocol) {
    Send(client, Framed(framing, thrift::EncodeUpgradeCall(protocol)));
    EXPECT_NE(Take(client), "");
  }
  std::string packed_;
};

TEST_F(ReplyHeaderTest, FromEveryFormToEveryForm) {
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    const std::string reply = Message(MessageType::kReply, "m", 5, kVoidBody, protocol);
    const std::string large = Message(MessageType::kReply, "m", 5, std::string(500, 'r'), protocol);
    for (HeaderForm to : {HeaderForm::kNone, HeaderForm::kTTwitter, HeaderForm::kTHeader}) {
      for (Framing framing : {Framing::kFramed, Framing::kBuffered}) {
        if (to == HeaderForm::kTHeader && framing == Framing::kBuffered) continue;
        for (HeaderForm from : kForms) {
          SCOPED_TRACE(std::to_string(static_cast<int>(from)) + " to " +
                       std::to_string(static_cast<int>(to)));
          Client& client = Connect();
          if (to == HeaderForm::kTTwitter) Upgrade(client, framing, protocol);
          const std::string one = CallOf(to, framing, protocol);
          Send(client, one + one + one + one);
          ASSERT_EQ(handler_.open.size(), 4u);
          const Beside beside = From(from, protocol);
          for (call::Call* call : handler_.open) {
            call->reply_header_bytes = base::Buffer::Copy(beside.bytes);
            call->reply_form = beside.form;
          }
          // The second waits for its turn, the third comes in pieces, the fourth breaks off.
          const bool some = from != HeaderForm::kNone;
          handler_.ReplyNext(1);
          handler_.ReplyNext(0);
          tests::FakeSource source;
          source.Begin(handler_.Take(), Frame(large), 100);
          handler_.Fail(handler_.Take());
          EXPECT_EQ(Take(client), Due(to, framing, protocol, some, reply) +
                                      Due(to, framing, protocol, some, reply) +
                                      Due(to, framing, protocol, some, large) +
                                      Due(to, framing, protocol, false,
                                          thrift::EncodeApplicationException(
                                              protocol, "m", 5, 6, "trestle: connect: no way")));
          Reset(client);
        }
      }
    }
  }
}

TEST_F(ReplyHeaderTest, WhatCannotBeReadIsLeftOut) {
  for (HeaderForm from : {HeaderForm::kTTwitter, HeaderForm::kTHeader, HeaderForm::kMux}) {
    for (HeaderForm to : {HeaderForm::kTTwitter, HeaderForm::kTHeader}) {
      Client& client = Connect();
      if (to == HeaderForm::kTTwitter) Upgrade(client, Framing::kFramed, Protocol::kBinary);
      Send(client, CallOf(to, Framing::kFramed, Protocol::kBinary));
      call::Call* call = handler_.Take();
      call->reply_header_bytes = base::Buffer::Copy("\x0f\xff nonsense");
      call->reply_form = from;
      handler_.Reply(call);
      EXPECT_EQ(Take(client), Due(to, Framing::kFramed, Protocol::kBinary, false,
                                  Message(MessageType::kReply, "m", 5)));
      Reset(client);
    }
  }
}

// One context may hold more headers of the application than a THeader has keys.
TEST_F(ReplyHeaderTest, MoreThanAHeaderHoldsIsLeftOut) {
  Client& client = Connect();
  Send(client, CallOf(HeaderForm::kTHeader, Framing::kFramed, Protocol::kBinary));
  const std::string packed = base::ShowApplicationHeaders(base::Contexts(1500, {"k", "v"}));
  mux::DispatchReply reply;
  reply.contexts = {{base::kResponseHeadersKey, packed}};
  std::string bytes;
  mux::EncodeDispatchReply(reply, &bytes);
  call::Call* call = handler_.Take();
  call->reply_header_bytes = base::Buffer::Copy(bytes);
  call->reply_form = HeaderForm::kMux;
  handler_.Reply(call);
  const tests::Headed got = tests::ReadHeaderFrame(Take(client));
  EXPECT_EQ(got.keys.size(), thrift::kMaxTHeaderKeys);
  EXPECT_EQ(got.message, Message(MessageType::kReply, "m", 5));
}

// Keys that wait for their turn cost as much as bodies do.
TEST_F(ReplyHeaderTest, WhatWaitsForItsTurnCounts) {
  options_.max_connection_bytes = 100'000;
  Client& client = Connect();
  const std::string one = CallOf(HeaderForm::kTHeader, Framing::kFramed, Protocol::kBinary);
  Send(client, one + one);
  ASSERT_EQ(handler_.open.size(), 2u);
  call::Call* call = handler_.Take(1);
  const std::string value(150'000, 'v');
  call->reply_header_bytes =
      base::Buffer::Copy(HeaderBytes({0, 1, Protocol::kBinary, 0, {{"k", value}}}));
  call->reply_form = HeaderForm::kTHeader;
  handler_.Reply(call);
  Settle(&loop_);
  Send(client, one);
  EXPECT_EQ(handler_.open.size(), 1u) << "no more is read for now";
  handler_.ReplyNext();
  Take(client);
  EXPECT_EQ(handler_.open.size(), 1u);
  handler_.ReplyNext();
}

}  // namespace
}  // namespace trestle::server
