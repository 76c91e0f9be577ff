// Calls of one plain connection: their order, how many run at a time, their seqids, oneways.
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "tests/server/server_fixture.h"

namespace trestle::server {
namespace {

using OrderTest = ServerTest;

TEST_F(OrderTest, ACallIsHandedOnAndItsReplyComesBack) {
  Client& client = Connect();
  const std::string frame = CallFrame("userService:addUser", 42, "body" + kVoidBody);
  Send(client, frame);
  ASSERT_EQ(handler_.open.size(), 1u);
  call::Call* call = handler_.Take();
  EXPECT_EQ(call->method, "userService:addUser");
  EXPECT_EQ(call->envelope.name, "userService:addUser");
  EXPECT_EQ(call->envelope.seqid, 42);
  EXPECT_EQ(call->request.ToString(), frame);
  EXPECT_EQ(call->request_bytes, frame.size());
  EXPECT_FALSE(call->header.has_value());
  EXPECT_FALSE(call->oneway());
  EXPECT_EQ(call->start, loop_.Now());
  EXPECT_EQ(call->default_dest, nullptr);
  handler_.Reply(call, "answer");
  EXPECT_EQ(Take(client), ReplyFrame("userService:addUser", 42, "answer"));
  EXPECT_FALSE(Ended(client));
}

TEST_F(OrderTest, RepliesGoOutInTheOrderOfTheCallsHoweverTheyEnd) {
  Client& client = Connect();
  for (int i = 0; i < 6; i++) Send(client, CallFrame("m" + std::to_string(i), i));
  ASSERT_EQ(handler_.open.size(), 6u);
  handler_.ReplyNext(5);
  handler_.Fail(handler_.Take(3));
  handler_.ReplyNext(1);
  EXPECT_EQ(Take(client), "");
  handler_.ReplyNext(0);
  EXPECT_EQ(Shown(Replies(client)), "m0/0 m1/1");
  handler_.ReplyNext(1);  // m4
  EXPECT_EQ(Take(client), "");
  handler_.ReplyNext(0);  // m2
  EXPECT_EQ(Shown(Replies(client)), "m2/2 m3/3! m4/4 m5/5");
}

TEST_F(OrderTest, SeqidsComeBackExactlyAsSentInBothProtocols) {
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    options_.dialect.protocol = protocol;
    server_.reset();
    Client& client = Connect();
    for (int32_t seqid :
         {0, -1, 1, 77, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()}) {
      for (bool fails : {false, true}) {
        Send(client, CallFrame("svc:m", seqid, kVoidBody, protocol));
        ASSERT_EQ(handler_.open.size(), 1u);
        EXPECT_EQ(handler_.open[0]->protocol, protocol);
        fails ? handler_.Fail(handler_.Take()) : handler_.Reply(handler_.Take());
        EXPECT_EQ(Shown(Replies(client)),
                  (fails ? "m/" : "svc:m/") + std::to_string(seqid) + (fails ? "!" : ""));
      }
    }
    Reset(client);
  }
}

TEST_F(OrderTest, EqualSeqidsArePairedByOrder) {
  Client& client = Connect();
  Send(client, CallFrame("a", 0) + CallFrame("b", 0) + CallFrame("c", 0));
  handler_.ReplyNext(2);
  handler_.ReplyNext(1);
  handler_.ReplyNext(0);
  EXPECT_EQ(Shown(Replies(client)), "a/0 b/0 c/0");
}

TEST_F(OrderTest, OnlySoManyRunAtATimeAndTheRestWait) {
  for (uint32_t most : {1u, 2u, 32u}) {
    options_.max_pipelined = most;
    server_.reset();
    handler_ = tests::FakeHandler();
    Client& client = Connect();
    std::string all;
    for (int i = 0; i < 100; i++) all += CallFrame("m", i);
    Send(client, all);
    EXPECT_EQ(handler_.open.size(), most);
    std::string got;
    for (int i = 0; i < 100; i++) {
      ASSERT_FALSE(handler_.open.empty()) << i;
      handler_.ReplyNext(handler_.open.size() - 1);  // the last first
      Settle(&loop_);
    }
    auto replies = Replies(client);
    ASSERT_EQ(replies.size(), 100u);
    for (int i = 0; i < 100; i++) EXPECT_EQ(replies[static_cast<size_t>(i)].seqid, i);
    EXPECT_EQ(handler_.most_open, most);
    Reset(client);
  }
}

TEST_F(OrderTest, AFullConnectionReadsNoMoreFromItsClient) {
  options_.max_pipelined = 1;
  Client& client = Connect(64 * 1024);
  Send(client, CallFrame("first", 1));
  std::string big = CallFrame("big", 2, std::string(50'000, 'x'));
  Send(client, big);
  Send(client, "");
  struct iovec more {
    big.data(), big.size()
  };
  EXPECT_LT(client.end->Write(&more, 1).bytes, big.size()) << "nothing holds the client back";
  handler_.ReplyNext();
  Settle(&loop_);
  ASSERT_EQ(handler_.open.size(), 1u);
  EXPECT_EQ(handler_.open[0]->method, "big");
}

TEST_F(OrderTest, CallsThatEndInsideHandleAreAllAnswered) {
  options_.max_pipelined = 2;
  handler_.at_once = [this](call::Call* call) {
    if (call->envelope.seqid % 7 == 3) return handler_.Fail(call);
    handler_.Reply(call);
  };
  Client& client = Connect();
  std::string all;
  for (int i = 0; i < 100; i++) all += CallFrame("m", i);
  Send(client, all);
  auto replies = Replies(client);
  ASSERT_EQ(replies.size(), 100u);
  for (int i = 0; i < 100; i++) EXPECT_EQ(replies[static_cast<size_t>(i)].seqid, i);
  EXPECT_LE(client.near->writes(), 2) << "few writes for the replies of a turn";
}

TEST_F(OrderTest, CallsThatEndInsideHandleBehindOneThatDoesNot) {
  options_.max_pipelined = 3;
  handler_.at_once = [this](call::Call* call) {
    if (call->method != "slow") return handler_.Reply(call);
    handler_.open.push_back(call);
  };
  Client& client = Connect();
  Send(client, CallFrame("a", 1) + CallFrame("slow", 2) + CallFrame("b", 3) + CallFrame("c", 4) +
                   CallFrame("d", 5) + CallFrame("e", 6));
  EXPECT_EQ(Shown(Replies(client)), "a/1");
  EXPECT_EQ(handler_.handled, 4) << "three in hand, whether ended or not";
  handler_.Reply(handler_.Take());
  EXPECT_EQ(Shown(Replies(client)), "slow/2 b/3 c/4 d/5 e/6");
}

TEST_F(OrderTest, ByteByByteItIsTheSame) {
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    options_.dialect.protocol = protocol;
    server_.reset();
    handler_ = tests::FakeHandler();
    handler_.at_once = [this](call::Call* call) { handler_.Reply(call, call->method); };
    Client& client = Connect();
    client.near->set_max_read(1);
    Send(client, CallFrame("one", 1, "abc", protocol) + CallFrame("two", 2, "def", protocol));
    auto replies = Replies(client);
    ASSERT_EQ(replies.size(), 2u);
    EXPECT_EQ(replies[0].body, "one");
    EXPECT_EQ(replies[1].body, "two");
    Reset(client);
  }
}

TEST_F(OrderTest, OnewaysAreHandedOnAndNeverAnswered) {
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    options_.dialect.protocol = protocol;
    server_.reset();
    handler_ = tests::FakeHandler();
    Client& client = Connect();
    Send(client, OnewayFrame("log", 1, protocol) + OnewayFrame("log", 2, protocol) +
                     OnewayFrame("log", 3, protocol) + CallFrame("m", 4, kVoidBody, protocol));
    ASSERT_EQ(handler_.open.size(), 4u);
    EXPECT_TRUE(handler_.open[0]->oneway());
    handler_.Reply(handler_.Take(3));
    EXPECT_EQ(Take(client), "");
    handler_.Take(0)->OnewayDone();
    handler_.Fail(handler_.Take(0));
    handler_.Reply(handler_.Take(0));  // even if somebody answers it
    EXPECT_EQ(Shown(Replies(client)), "m/4");
    Reset(client);
  }
  EXPECT_EQ(Count("oneways"), 2u);
}

TEST_F(OrderTest, WrittenOnewaysMakeRoomForMoreCalls) {
  options_.max_pipelined = 1;
  Client& client = Connect();
  std::string all;
  for (int i = 0; i < 10; i++) all += OnewayFrame("log", i);
  Send(client, all + CallFrame("m", 10));
  for (int i = 0; i < 10; i++) {
    ASSERT_EQ(handler_.open.size(), 1u);
    handler_.Take()->OnewayDone();
  }
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(client)), "m/10");
}

TEST_F(OrderTest, ErrorsCarryTheBareNameTheSeqidAndOneLineOfText) {
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    options_.dialect.protocol = protocol;
    server_.reset();
    Client& client = Connect();
    std::string logical = "/thrift/users";
    Send(client, CallFrame("userService:addUser", -5, kVoidBody, protocol));
    call::Call* call = handler_.Take();
    call->logical = &logical;
    handler_.Fail(call, "first\nsecond");
    auto replies = Replies(client);
    ASSERT_EQ(replies.size(), 1u);
    EXPECT_EQ(replies[0].type, MessageType::kException);
    EXPECT_EQ(replies[0].name, "addUser");
    EXPECT_EQ(replies[0].seqid, -5);
    EXPECT_EQ(replies[0].exception_type, thrift::kInternalError);
    EXPECT_EQ(replies[0].text, "trestle: connect: /thrift/users: first second");
    EXPECT_FALSE(Ended(client)) << "the message was whole: the connection stays";
    Send(client, CallFrame("again", 6, kVoidBody, protocol));
    handler_.ReplyNext();
    EXPECT_EQ(Shown(Replies(client)), "again/6");
    Reset(client);
  }
}

TEST_F(OrderTest, TheServersDestIsHandedOn) {
  options_.dest = "/users";
  Client& client = Connect();
  Send(client, CallFrame("m", 1));
  ASSERT_NE(handler_.open[0]->default_dest, nullptr);
  EXPECT_EQ(*handler_.open[0]->default_dest, "/users");
  handler_.ReplyNext();
}

TEST_F(OrderTest, AClientThatDoesNotReadIsNotReadFromEither) {
  options_.max_connection_bytes = 1000;
  handler_.at_once = [this](call::Call* call) { handler_.Reply(call, std::string(300, 'r')); };
  Client& client = Connect(200);
  std::string sent;
  for (int i = 0; i < 100; i++) sent += CallFrame("m", i);
  for (size_t at = 0; at < sent.size();) {
    struct iovec rest {
      sent.data() + at, sent.size() - at
    };
    net::IoResult r = client.end->Write(&rest, 1);
    Settle(&loop_);
    if (r.kind != net::IoResult::Kind::kBytes) break;
    at += r.bytes;
  }
  const int held = handler_.handled;
  EXPECT_LT(held, 20) << "it reads on though nobody takes the replies";
  EXPECT_GT(held, 2);
  Take(client);
  EXPECT_GT(handler_.handled, held) << "it does not go on when the replies are taken";
}

TEST_F(OrderTest, RepliesThatWaitForTheirTurnHoldNoReadMemory) {
  Client& client = Connect();
  Send(client, CallFrame("slow", 0));
  const size_t before = base::Block::BytesOnThread();
  for (int i = 1; i < 20; i++) {
    Send(client, CallFrame("m", i));
    call::Call* call = handler_.Take(1);
    // The reply is a small piece of a large block that was read into.
    std::string frame = ReplyFrame("m", i);
    base::Slice large = base::Slice::Copy(frame + std::string(100'000, ' '));
    call->Reply(
        base::Buffer(base::Slice(large.block(), large.data(), static_cast<uint32_t>(frame.size()))),
        thrift::ReplyKind::kResult);
  }
  EXPECT_LT(base::Block::BytesOnThread() - before, 500'000u);
  handler_.ReplyNext();
  EXPECT_EQ(Replies(client).size(), 20u);
}

TEST_F(OrderTest, CallsAndRepliesAreCountedByKind) {
  Client& client = Connect();
  const std::string call = CallFrame("m", 1);
  for (int i = 0; i < 6; i++) Send(client, call);
  using thrift::ReplyKind;
  handler_.Reply(handler_.Take(), kVoidBody, ReplyKind::kResult);
  handler_.Reply(handler_.Take(), tests::kDeclaredBody, ReplyKind::kDeclaredException);
  handler_.Reply(handler_.Take(), kVoidBody, ReplyKind::kApplicationException);
  clock_.Advance(std::chrono::milliseconds(5));
  loop_.Poll();
  handler_.Fail(handler_.Take());
  EXPECT_EQ(Gauge("pending"), 2);
  handler_.Take()->OnewayDone();
  const size_t sent = Take(client).size();
  Reset(client);
  EXPECT_EQ(Count("requests"), 6u);
  EXPECT_EQ(Count("success"), 4u);
  EXPECT_EQ(Count("replies/result"), 1u);
  EXPECT_EQ(Count("replies/declared_exception"), 1u);
  EXPECT_EQ(Count("replies/application_exception"), 1u);
  EXPECT_EQ(Count("replies/router_error"), 1u);
  EXPECT_EQ(Count("failures"), 1u);
  EXPECT_EQ(Count("failures/connect/unavailable"), 1u);
  EXPECT_EQ(Count("oneways"), 1u);
  EXPECT_EQ(Count("cancelled"), 1u);
  EXPECT_EQ(Count("received_bytes"), 6 * call.size());
  EXPECT_EQ(Count("sent_bytes"), sent);
  EXPECT_EQ(table_.root()->histogram("request_latency_ms")->sum(), 3 * 5000u);
  EXPECT_EQ(table_.root()->histogram("connection_requests")->sum(), 6u);
}

}  // namespace
}  // namespace trestle::server
