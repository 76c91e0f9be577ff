// Between framed and unframed: whose requests count as walked, and what becomes of a client whose
// reply or request is found to be no single message half way.
#include <gtest/gtest.h>

#include <string>

#include "tests/server/fake_body.h"
#include "tests/server/server_fixture.h"
#include "thrift/ttwitter.h"

namespace trestle::server {
namespace {

using tests::FakeSink;
using tests::FakeSource;
using thrift::Framing;

class WalkedTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    options_.dialect = {};
  }
  // As a backend session does at a byte that shows it.
  static void FailAsBad(call::Call* call) {
    call->Fail(call::Step::kDispatch, base::Status(base::Code::kMalformed, "bad call"));
  }
};

TEST_F(WalkedTest, AnUnframedRequestIsAndAFramedOneIsNot) {
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    for (Framing framing : {Framing::kFramed, Framing::kBuffered}) {
      for (bool upgraded : {false, true}) {
        std::string header;
        if (upgraded) thrift::EncodeRequestHeader(protocol, {}, &header);
        auto wrapped = [&](const std::string& message) {
          return framing == Framing::kFramed ? Frame(message) : message;
        };
        Client& client = Connect();
        if (upgraded) Send(client, wrapped(thrift::EncodeUpgradeCall(protocol)));
        const std::string call =
            wrapped(header + Message(MessageType::kCall, "m", 1, kVoidBody, protocol));
        // Twice: calls are used again.
        for (int i = 0; i < 2; i++) {
          for (char c : call) Send(client, {&c, 1});
          ASSERT_EQ(handler_.open.size(), 1u);
          EXPECT_EQ(handler_.open[0]->walked, framing == Framing::kBuffered);
          handler_.ReplyNext();
        }
        Reset(client);
      }
    }
  }
}

TEST_F(WalkedTest, AFramedOneWithASecondMessageInItIsOneCall) {
  Client& client = Connect();
  Send(client, CallFrame("m", 1, kVoidBody + Message(MessageType::kCall, "steal", 2)));
  ASSERT_EQ(handler_.methods, std::vector<std::string>{"m"});
  EXPECT_FALSE(handler_.open[0]->walked);
  FailAsBad(handler_.Take());
  Send(client, CallFrame("after", 3));
  handler_.ReplyNext();
  client.in += Take(client);
  EXPECT_EQ(Shown(tests::TakeMessages(&client.in)), "m/1! after/3");
}

// The rest of a large request is dropped, and its client told; the next call is found behind it.
TEST_F(WalkedTest, ALargeOneThatFailsAtAnyByteLeavesItsClientInStep) {
  options_.stream_threshold = 50;
  const std::string request = CallFrame("m", 1, std::string(100, 'q'));
  for (size_t at = 60; at < request.size(); at++) {
    Client& client = Connect();
    Send(client, request.substr(0, 59));
    call::Call* call = handler_.open.at(0);
    EXPECT_FALSE(call->walked);
    FakeSink sink;
    sink.TakeUp(call);
    sink.then = [&](call::Call* c) {
      if (c->request_body.rest > request.size() - at || c->ended()) return;
      handler_.open.clear();
      c->request_body.sink = nullptr;
      FailAsBad(c);
    };
    for (size_t i = 59; i < request.size(); i++) Send(client, request.substr(i, 1));
    Send(client, CallFrame("after", 2));
    handler_.ReplyNext();
    client.in += Take(client);
    EXPECT_EQ(Shown(tests::TakeMessages(&client.in)), "m/1! after/2");
    Reset(client);
  }
}

// What came of the reply is with the client, which would take the next one for its rest.
TEST_F(WalkedTest, AnUnframedClientWhoseReplyBreaksIsLeft) {
  for (size_t before : {size_t{0}, size_t{1}, size_t{300}}) {
    Client& client = Connect();
    Send(client, Message(MessageType::kCall, "m", 1) + Message(MessageType::kCall, "b", 2));
    ASSERT_EQ(handler_.open.size(), 2u);
    ASSERT_TRUE(handler_.open[0]->walked);
    const std::string reply = ReplyFrame("m", 1, std::string(1000, 'r'));
    FakeSource source;
    source.here = before;
    source.Begin(handler_.open[0], reply, 100);
    handler_.ReplyNext(1);
    Settle(&loop_);
    call::Call* call = handler_.Take();
    FailAsBad(call);
    Settle(&loop_);
    EXPECT_TRUE(Ended(client));
    EXPECT_EQ(Take(client), reply.substr(4, 96 + before));
  }
  EXPECT_EQ(Count("broken_replies"), 3u);
}

}  // namespace
}  // namespace trestle::server
