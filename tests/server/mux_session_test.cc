// Mux sessions of clients: how they start, calls and their answers, what makes no sense.
#include "server/mux_session.h"

#include "call/crossing.h"
#include "tests/server/mux_fixture.h"

namespace trestle::server {
namespace {

class MuxSessionTest : public MuxServerTest {};

TEST_F(MuxSessionTest, StartsWithTheProbeAndTinit) {
  Client& client = Connect();
  Send(client, tests::kProbeMessage);
  MuxReceived probe = One(client);
  EXPECT_EQ(probe.type, 127);
  EXPECT_EQ(probe.tag, 1u);
  EXPECT_EQ(probe.body, "tinit check");
  Send(client, MuxMessage(68, 1, InitBody({{"mux-framer", Big(INT32_MAX, 4)}})));
  MuxReceived init = One(client);
  EXPECT_EQ(init.type, -68);
  EXPECT_EQ(init.body, InitBody({{"mux-framer", Big(INT32_MAX, 4)}, {"tls", "off"}}));
  EXPECT_EQ(MuxCount("handshakes"), 1u);
  EXPECT_EQ(MuxGauge("open"), 1);
}

TEST_F(MuxSessionTest, TheNewNumberOfTheProbeIsReadAndTheOldOneWritten) {
  Client& client = Connect();
  Send(client, MuxMessage(-128, 1, "tinit check"));
  EXPECT_EQ(One(client).type, 127);
}

TEST_F(MuxSessionTest, TinitMayHaveNoHeadersAndTellsHowLargeFragmentsMayBe) {
  options_.mux_fragment = 5000;
  Client& client = Connect();
  Send(client, tests::kProbeMessage + MuxMessage(68, 1, InitBody({})));
  auto all = Frames(client);
  ASSERT_EQ(Types(all), "127/1 -68/1");
  EXPECT_EQ(all[1].body, InitBody({{"mux-framer", Big(5000, 4)}, {"tls", "off"}}));
}

TEST_F(MuxSessionTest, AnotherVersionIsRefusedAndTheSessionCloses) {
  Client& client = Connect();
  Send(client, tests::kProbeMessage + MuxMessage(68, 1, InitBody({}, 2)));
  auto all = Frames(client);
  ASSERT_EQ(Types(all), "127/1 127/1");
  EXPECT_EQ(all[1].body, "Unsupported Mux version: 2");
  EXPECT_TRUE(Ended(client));
}

TEST_F(MuxSessionTest, AClientThatInsistsOnTlsIsToldAndClosed) {
  Client& client = Connect();
  Send(client, tests::kProbeMessage + MuxMessage(68, 1, InitBody({{"tls", "required"}})));
  auto all = Frames(client);
  ASSERT_EQ(Types(all), "127/1 -68/1 127/1");
  EXPECT_EQ(all[2].body, "Could not negotiate whether to use TLS or not.");
  EXPECT_TRUE(Ended(client));
}

TEST_F(MuxSessionTest, TinitInMidSessionIsAnsweredByRerrAndTheSessionGoesOn) {
  Client& client = Init();
  Send(client, MuxMessage(68, 9, InitBody({})));
  MuxReceived r = One(client);
  EXPECT_EQ(r.type, 127);
  EXPECT_EQ(r.tag, 9u);
  EXPECT_EQ(r.body, "Unexpected mux message type 68");
  Send(client, MuxMessage(65, 1));
  EXPECT_EQ(Types(Frames(client)), "-65/1");
}

TEST_F(MuxSessionTest, WithoutAHandshakeTheFirstCallIsServed) {
  Client& client = Connect();
  Send(client, Tdispatch(2, Get()));
  ASSERT_EQ(handler_.open.size(), 1u);
  EXPECT_EQ(handler_.open[0]->method, "users:get");
  handler_.ReplyNext();
  MuxReceived r = One(client);
  EXPECT_EQ(r.type, -2);
  EXPECT_EQ(r.status, 0);
  EXPECT_EQ(r.payload, Got());
}

TEST_F(MuxSessionTest, WhatStandsBesideACallIsRead) {
  Client& client = Init();
  Send(client, Tdispatch(2, Get(), {{"k", "v"}, {"com.example", ""}}, "/svc/users",
                         {{"/srv/a", "/srv/b | ~"}}));
  call::Call* call = handler_.open.at(0);
  EXPECT_EQ(call->header_form, call::HeaderForm::kMux);
  ASSERT_TRUE(call->header.has_value());
  EXPECT_EQ(call->header->dest, "/svc/users");
  ASSERT_EQ(call->header->contexts.size(), 2u);
  EXPECT_EQ(call->header->contexts[0].value, "v");
  ASSERT_EQ(call->header->delegations.size(), 1u);
  EXPECT_EQ(call->header->delegations[0].dst, "/srv/b | ~");
  EXPECT_EQ(call->request.ToString(), Frame(Get())) << "as every call has it";
  EXPECT_EQ(call->envelope.seqid, 7);
  handler_.ReplyNext();
}

TEST_F(MuxSessionTest, EveryByteByItself) {
  Client& client = Connect();
  const std::string bytes = tests::kProbeMessage + MuxMessage(68, 1, InitBody({})) +
                            Tdispatch(2, Get(), {{"k", "v"}}, "/x", {{"/a", "/b"}}) +
                            Tdispatch(3, Get(8));
  for (char c : bytes) Send(client, std::string(1, c));
  ASSERT_EQ(handler_.open.size(), 2u);
  handler_.ReplyNext(1);
  handler_.ReplyNext(0);
  EXPECT_EQ(Types(Frames(client)), "127/1 -68/1 -2/3 -2/2") << "as they come, not in order";
}

TEST_F(MuxSessionTest, ACompactMessageIsToldByItsFirstByte) {
  Client& client = Init();
  Send(client, Tdispatch(2, Get(7, tests::kVoidBody, Protocol::kCompact)) + Tdispatch(3, Get()));
  ASSERT_EQ(handler_.open.size(), 2u);
  EXPECT_EQ(handler_.open[0]->protocol, Protocol::kCompact);
  EXPECT_EQ(handler_.open[1]->protocol, Protocol::kBinary);
  handler_.ReplyNext();
  handler_.ReplyNext();
}

TEST_F(MuxSessionTest, ARouterOfOneProtocolRefusesTheOther) {
  options_.dialect.protocol = Protocol::kCompact;
  Client& client = Init();
  Send(client, Tdispatch(2, Get()));
  MuxReceived r = One(client);
  EXPECT_EQ(r.status, 1);
  EXPECT_EQ(r.payload.substr(0, 17), "trestle: identify");
  EXPECT_EQ(handler_.handled, 0);
}

TEST_F(MuxSessionTest, APayloadThatIsNoThriftIsAnErrorOfThatCallOnly) {
  Client& client = Init();
  for (const std::string& payload : {std::string(), std::string("\xff\xff\xff\xff", 4),
                                     std::string("\x80\x01\0\x02", 4), Got()}) {
    Send(client, Tdispatch(2, payload));
    MuxReceived r = One(client);
    EXPECT_EQ(r.type, -2);
    EXPECT_EQ(r.status, 1);
  }
  Send(client, Tdispatch(2, Get()));
  EXPECT_EQ(handler_.open.size(), 1u);
  handler_.ReplyNext();
}

TEST_F(MuxSessionTest, AHeadThatDoesNotParseIsAnsweredByRerr) {
  Client& client = Init();
  Send(client, MuxMessage(2, 5, Big(1, 2) + Big(40'000, 2)));
  MuxReceived r = One(client);
  EXPECT_EQ(r.type, 127);
  EXPECT_EQ(r.tag, 5u);
  Send(client, Tdispatch(5, Get()));
  EXPECT_EQ(handler_.open.size(), 1u) << "the tag is free";
  handler_.ReplyNext();
}

TEST_F(MuxSessionTest, TreqIsAnsweredByRreq) {
  Client& client = Init();
  const std::string trace = Big(1, 8) + Big(2, 8) + Big(3, 8);
  Send(client,
       MuxMessage(1, 4,
                  std::string("\x02\x01\x18", 3) + trace + std::string("\x02\x01\x06", 3) + Get()));
  call::Call* call = handler_.open.at(0);
  ASSERT_EQ(call->header->contexts.size(), 1u);
  const auto read = base::ParseTrace(call->header->contexts[0].value);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->span, 1);
  EXPECT_EQ(read->parent, 2);
  EXPECT_EQ(read->trace, 3);
  EXPECT_EQ(read->flags, 6);
  handler_.ReplyNext();
  MuxReceived r = One(client);
  EXPECT_EQ(r.type, -1);
  EXPECT_EQ(r.body, std::string(1, '\0') + Got());
}

TEST_F(MuxSessionTest, PingsAreAnsweredAtAnyTime) {
  Client& client = Init();
  Send(client, Tdispatch(2, Get()) + MuxMessage(65, 1) + MuxMessage(65, 77));
  EXPECT_EQ(Types(Frames(client)), "-65/1 -65/77");
  handler_.ReplyNext();
}

TEST_F(MuxSessionTest, AnyTagIsServedZeroAndTheLargestToo) {
  Client& client = Init();
  Send(client, Tdispatch(0, Get(1)) + Tdispatch(0x7fffff, Get(2)) + Tdispatch(1, Get(3)));
  ASSERT_EQ(handler_.open.size(), 3u);
  EXPECT_EQ(MuxGauge("tags"), 3);
  handler_.ReplyNext(2);
  handler_.ReplyNext(1);
  handler_.ReplyNext(0);
  EXPECT_EQ(Types(Frames(client)), "-2/1 -2/8388607 -2/0");
  EXPECT_EQ(MuxGauge("tags"), 0);
}

TEST_F(MuxSessionTest, ATagThatIsUsedTwiceEndsAllCallsAndTheSession) {
  Client& client = Init();
  Send(client, Tdispatch(2, Get(1)) + Tdispatch(3, Get(2)) + Tdispatch(2, Get(3)));
  auto all = Frames(client);
  ASSERT_EQ(Types(all), "127/2 127/3");
  EXPECT_EQ(all[0].body, "Received duplicate tag 2 from client.");
  EXPECT_TRUE(Ended(client));
  EXPECT_EQ(handler_.cancelled, 2);
  EXPECT_EQ(MuxCount("duplicate_tags"), 1u);
}

TEST_F(MuxSessionTest, ATagIsFreeOnceItIsAnswered) {
  Client& client = Init();
  for (int32_t i = 0; i < 100; i++) {
    Send(client, Tdispatch(2, Get(i)));
    ASSERT_EQ(handler_.open.size(), 1u);
    handler_.ReplyNext();
    EXPECT_EQ(One(client).payload, Got(i));
  }
  EXPECT_EQ(Count("requests"), 100u);
  EXPECT_EQ(Count("success"), 100u);
}

TEST_F(MuxSessionTest, CallsThatEndAtOnceInOneReadEachGetTheirAnswer) {
  handler_.at_once = [](call::Call* call) { tests::FakeHandler::Reply(call); };
  Client& client = Init();
  std::string bytes;
  for (uint32_t tag = 2; tag < 202; tag++) bytes += Tdispatch(tag, Get(static_cast<int32_t>(tag)));
  Send(client, bytes);
  auto all = Frames(client);
  ASSERT_EQ(all.size(), 200u);
  for (const MuxReceived& r : all) EXPECT_EQ(r.payload, Got(static_cast<int32_t>(r.tag)));
}

TEST_F(MuxSessionTest, AMessageThatMakesNoSenseIsAnsweredByRerr) {
  Client& client = Init();
  const struct {
    int type;
    std::string body;
  } kCases[] = {{-65, ""},       {-2, std::string(3, '\0')}, {64, ""},  {-66, ""},
                {67, Big(0, 9)}, {127, "tinit check"},       {-64, ""}, {-68, InitBody({})}};
  for (const auto& c : kCases) {
    Send(client, MuxMessage(c.type, 30, c.body));
    MuxReceived r = One(client);
    EXPECT_EQ(r.type, 127) << c.type;
    EXPECT_EQ(r.tag, 30u);
    EXPECT_EQ(r.body, "Unexpected mux message type " + std::to_string(c.type));
  }
  EXPECT_FALSE(Ended(client));
}

TEST_F(MuxSessionTest, BytesThatAreNoMuxCloseItAfterTheCallsInFlight) {
  for (const std::string& bad : {MuxMessage(99, 3), Big(3, 4) + "abc", Big(1u << 31, 4)}) {
    Client& client = Init();
    Send(client, Tdispatch(2, Get()) + bad + Tdispatch(3, Get()));
    ASSERT_EQ(handler_.open.size(), 1u) << "nothing behind it is read";
    EXPECT_FALSE(Ended(client));
    handler_.ReplyNext();
    EXPECT_EQ(One(client).payload, Got());
    EXPECT_TRUE(Ended(client));
  }
  EXPECT_EQ(Count("malformed"), 3u);
}

TEST_F(MuxSessionTest, OnewaysGetAnEmptyOk) {
  Client& client = Init();
  Send(client, Tdispatch(2, Message(MessageType::kOneway, "note", 1)));
  call::Call* call = handler_.Take();
  EXPECT_TRUE(call->oneway());
  call->OnewayDone();
  MuxReceived r = One(client);
  EXPECT_EQ(r.status, 0);
  EXPECT_EQ(r.payload, "");
}

TEST_F(MuxSessionTest, TheRoutersErrorsAreExceptionsInAnOk) {
  Client& client = Init();
  Send(client, Tdispatch(2, Get()));
  tests::FakeHandler::Fail(handler_.Take());
  MuxReceived r = One(client);
  EXPECT_EQ(r.status, 0);
  std::string framed = Frame(r.payload);
  auto all = tests::TakeMessages(&framed);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].type, MessageType::kException);
  EXPECT_EQ(all[0].name, "get");
  EXPECT_EQ(all[0].seqid, 7);
  EXPECT_EQ(all[0].text, "trestle: connect: no way");
  EXPECT_EQ(all[0].exception_type, 6);
}

TEST_F(MuxSessionTest, WhatTheRouterRefusesIsNacked) {
  Client& client = Init();
  Send(client, Tdispatch(2, Get()));
  handler_.Take()->Fail(call::Step::kConnect, base::Status(base::Code::kRefused, "too many"));
  MuxReceived r = One(client);
  EXPECT_EQ(r.status, 2);
  EXPECT_EQ(r.contexts, (Pairs{{"MuxFailure", Big(3, 8)}}));
  EXPECT_EQ(r.payload, "");
  EXPECT_EQ(MuxCount("nacks"), 1u);
}

TEST_F(MuxSessionTest, AnErrorOfAMuxBackendGoesOnAsItIs) {
  Client& client = Init();
  Send(client, Tdispatch(2, Get()));
  call::Call* call = handler_.Take();
  call->reply_form = call::HeaderForm::kMux;
  call->reply_header_bytes =
      base::Buffer::Copy(Big(1, 1) + tests::ContextsOf({{"MuxFailure", Big(6, 8)}}));
  call->ReplyError(base::Buffer::Copy("rejected"));
  MuxReceived r = One(client);
  EXPECT_EQ(r.status, 1);
  EXPECT_EQ(r.contexts, (Pairs{{"MuxFailure", Big(6, 8)}}));
  EXPECT_EQ(r.payload, "rejected");
  EXPECT_EQ(Count("replies/error"), 1u);
  EXPECT_EQ(Count("success"), 0u);
}

TEST_F(MuxSessionTest, WhatCameBesideAReplyGoesOn) {
  Client& client = Init();
  Send(client, Tdispatch(2, Get()));
  call::Call* call = handler_.Take();
  call->reply_form = call::HeaderForm::kMux;
  call->reply_header_bytes = base::Buffer::Copy(Big(0, 1) + tests::ContextsOf({{"a", "b"}}));
  tests::FakeHandler::Reply(call);
  MuxReceived r = One(client);
  EXPECT_EQ(r.status, 0);
  EXPECT_EQ(r.contexts, (Pairs{{"a", "b"}}));
  EXPECT_EQ(r.payload, Got());
}

TEST_F(MuxSessionTest, OnAMuxPortThePayloadMayBeAnything) {
  options_.port = Options::Port::kMux;
  Client& client = Connect();
  Send(client, Tdispatch(2, "\xff any bytes", {}, "/a/b"));
  call::Call* call = handler_.open.at(0);
  EXPECT_TRUE(call->opaque);
  EXPECT_EQ(call->envelope.size, 0u);
  EXPECT_EQ(call->header->dest, "/a/b");
  handler_.Take()->Reply(base::Buffer::Copy(Frame("\xfe other bytes")),
                         thrift::ReplyKind::kUnknown);
  EXPECT_EQ(One(client).payload, "\xfe other bytes");
  Send(client, Tdispatch(2, Get(), {}, "/a/b"));
  EXPECT_TRUE(handler_.open.at(0)->opaque);
  EXPECT_EQ(handler_.open.at(0)->method, "users:get") << "a Thrift backend needs to know";
  tests::FakeHandler::Fail(handler_.Take());
  MuxReceived r = One(client);
  EXPECT_EQ(r.status, 1);
  EXPECT_EQ(r.payload, "trestle: connect: no way");
}

TEST_F(MuxSessionTest, WhatABackendMayHaveDoneIsNotNacked) {
  Client& client = Init();
  Send(client, Tdispatch(2, Get()) + Tdispatch(3, Get()));
  const base::Status refused(base::Code::kRefused, "over maxBufferedBytes");
  handler_.Take()->Fail(call::Step::kReply, refused);
  EXPECT_EQ(One(client).status, 0) << "an exception";
  handler_.Take()->Fail(call::Step::kDispatch, refused);
  EXPECT_EQ(One(client).status, 2);
}

TEST_F(MuxSessionTest, AMessageOverMaxFrameBytesIsNoNack) {
  options_.max_frame_bytes = 1024;
  Client& client = Init();
  Send(client, Tdispatch(2, Get(1, std::string(2000, 'x'))));
  const MuxReceived r = One(client);
  EXPECT_EQ(r.status, 0);
  EXPECT_NE(r.payload.find("over maxFrameBytes (1024)"), std::string::npos);
}

TEST_F(MuxSessionTest, OnAMuxPortClearContextKeepsTheDestination) {
  options_.port = Options::Port::kMux;
  options_.clear_context = true;
  Client& client = Init();
  Send(client,
       MuxMessage(2, 2, tests::DispatchBody("anything", {{"k", "v"}}, "/users", {{"/a", "/b"}})));
  ASSERT_EQ(handler_.open.size(), 1u);
  call::Call* call = handler_.open[0];
  ASSERT_TRUE(call->header);
  EXPECT_EQ(call->header->dest, "/users");
  EXPECT_TRUE(call->header->contexts.empty());
  EXPECT_TRUE(call->header->delegations.empty());
  std::string onward;
  call::Onward onward_to;
  onward_to.form = call::HeaderForm::kMux;
  call::WriteRequestHeaders(call, onward_to, &onward);
  EXPECT_EQ(onward, std::string(6, '\0')) << "nothing of it goes on";
  handler_.ReplyNext();
}

}  // namespace
}  // namespace trestle::server
