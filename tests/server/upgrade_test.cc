// Connections that a client upgraded to TTwitter.
#include <gtest/gtest.h>

#include <string>

#include "tests/server/server_fixture.h"
#include "thrift/ttwitter.h"

namespace trestle::server {
namespace {

class UpgradeTest : public ServerTest {
 protected:
  std::string Header(const thrift::RequestHeader& header) {
    std::string out;
    thrift::EncodeRequestHeader(*options_.dialect.protocol, header, &out);
    return out;
  }
  std::string Headed(const std::string& header, std::string_view name, int32_t seqid,
                     MessageType type = MessageType::kCall) {
    return Frame(header + Message(type, name, seqid, kVoidBody, *options_.dialect.protocol));
  }
  void Upgrade(Client& client) {
    Send(client, Frame(thrift::EncodeUpgradeCall(*options_.dialect.protocol)));
    thrift::Envelope asked;
    const std::string call = thrift::EncodeUpgradeCall(*options_.dialect.protocol);
    thrift::DecodeEnvelope(*options_.dialect.protocol, call, &asked);
    EXPECT_EQ(Take(client),
              Frame(thrift::EncodeUpgradeReply(*options_.dialect.protocol, asked.seqid)));
  }
};

TEST_F(UpgradeTest, TheHeaderIsReadAndCutOffTheRequest) {
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    options_.dialect.protocol = protocol;
    server_.reset();
    Client& client = Connect();
    Upgrade(client);
    EXPECT_EQ(handler_.open.size(), 0u) << "the upgrade was relayed";
    thrift::RequestHeader header;
    header.dest = "/svc/users";
    header.client_id = "web";
    header.trace_id = 1;
    header.delegations = {{"/svc/users", "/srv/users-v2"}, {"/a", "/b | /c"}};
    header.contexts = {{"key", "value"}};
    Send(client, Headed(Header(header), "userService:addUser", 9));
    ASSERT_EQ(handler_.open.size(), 1u);
    call::Call* call = handler_.Take();
    EXPECT_EQ(call->request.ToString(), CallFrame("userService:addUser", 9, kVoidBody, protocol));
    ASSERT_TRUE(call->header.has_value());
    EXPECT_EQ(call->header->dest, "/svc/users");
    EXPECT_EQ(call->header->client_id, "web");
    EXPECT_EQ(call->header->trace_id, 1);
    ASSERT_EQ(call->header->delegations.size(), 2u);
    EXPECT_EQ(call->header->delegations[0].src, "/svc/users");
    EXPECT_EQ(call->header->delegations[0].dst, "/srv/users-v2");
    ASSERT_EQ(call->header->contexts.size(), 1u);
    EXPECT_EQ(call->header->contexts[0].value, "value");
    handler_.Reply(call);
    EXPECT_EQ(Take(client),
              Frame(std::string(thrift::kEmptyResponseHeader) +
                    Message(MessageType::kReply, "userService:addUser", 9, kVoidBody, protocol)));
    Reset(client);
  }
  EXPECT_EQ(Count("upgrades"), 2u);
  EXPECT_EQ(Count("requests"), 2u) << "an upgrade is no request";
}

TEST_F(UpgradeTest, EachCallHasAHeaderOfItsOwn) {
  Client& client = Connect();
  Upgrade(client);
  thrift::RequestHeader with;
  with.dest = "/first";
  Send(client, Headed(Header(with), "a", 1) + Headed(Header({}), "b", 2));
  ASSERT_EQ(handler_.open.size(), 2u);
  EXPECT_EQ(handler_.open[0]->header->dest, "/first");
  EXPECT_FALSE(handler_.open[1]->header->dest.has_value());
  EXPECT_TRUE(handler_.open[1]->header->delegations.empty());
  handler_.ReplyNext(1);
  handler_.ReplyNext(0);
  EXPECT_EQ(Shown(Replies(client, 1)), "a/1 b/2");
}

TEST_F(UpgradeTest, ClearContextDropsWhatTheClientSentButSpeaksOn) {
  options_.clear_context = true;
  Client& client = Connect();
  Upgrade(client);
  thrift::RequestHeader header;
  header.dest = "/svc/users";
  header.delegations = {{"/a", "/b"}};
  Send(client, Headed(Header(header), "m", 1));
  EXPECT_FALSE(handler_.open[0]->header.has_value());
  EXPECT_EQ(handler_.open[0]->request.ToString(), CallFrame("m", 1));
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(client, 1)), "m/1");
}

TEST_F(UpgradeTest, ErrorsHaveTheResponseHeaderTooAndOnewaysNothing) {
  for (Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    options_.dialect.protocol = protocol;
    server_.reset();
    Client& client = Connect();
    Upgrade(client);
    Send(client, Headed(Header({}), "log", 1, MessageType::kOneway) +
                     Headed(Header({}), "svc:m", 2) + Headed(Header({}), "n", 3));
    handler_.Take()->OnewayDone();
    handler_.Fail(handler_.Take());
    handler_.ReplyNext();
    EXPECT_EQ(Shown(Replies(client, 1)), "m/2! n/3");
    Reset(client);
  }
}

TEST_F(UpgradeTest, CallsFromBeforeTheUpgradeAreAnsweredPlainAndInOrder) {
  Client& client = Connect();
  Send(client, CallFrame("before", 1) + CallFrame("failing", 2) +
                   Frame(thrift::EncodeUpgradeCall(Protocol::kBinary)) +
                   Headed(Header({}), "after", 3));
  ASSERT_EQ(handler_.open.size(), 3u);
  handler_.Reply(handler_.Take(2));
  EXPECT_EQ(Take(client), "") << "the upgrade's reply waits for its turn";
  handler_.Reply(handler_.Take(0));
  handler_.Fail(handler_.Take(0), "x");
  std::string got = Take(client);
  EXPECT_EQ(got, ReplyFrame("before", 1) +
                     Frame(thrift::EncodeApplicationException(Protocol::kBinary, "failing", 2, 6,
                                                              "trestle: connect: x")) +
                     Frame(thrift::EncodeUpgradeReply(Protocol::kBinary, 0)) +
                     Frame(std::string(1, '\0') + Message(MessageType::kReply, "after", 3)));
}

TEST_F(UpgradeTest, TheUpgradesSeqidComesBack) {
  Client& client = Connect();
  Send(client, CallFrame(thrift::kUpgradeMethod, -77));
  auto replies = Replies(client);
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(replies[0].seqid, -77);
  EXPECT_EQ(replies[0].type, MessageType::kReply);
}

TEST_F(UpgradeTest, UpgradesInARowWithFewCallsAtATimeDoNotStop) {
  options_.max_pipelined = 1;
  Client& client = Connect();
  Send(client, Frame(thrift::EncodeUpgradeCall(Protocol::kBinary)) + Headed(Header({}), "a", 1) +
                   Headed(Header({}), "b", 2));
  ASSERT_EQ(handler_.open.size(), 1u);
  client.in = Take(client);
  EXPECT_EQ(Shown(tests::TakeMessages(&client.in)), std::string(thrift::kUpgradeMethod) + "/0");
  handler_.ReplyNext();
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(client, 1)), "a/1 b/2");
}

TEST_F(UpgradeTest, OnAnUpgradedConnectionTheMethodIsOneLikeOthers) {
  Client& client = Connect();
  Upgrade(client);
  Send(client, Headed(Header({}), thrift::kUpgradeMethod, 5));
  ASSERT_EQ(handler_.open.size(), 1u);
  handler_.ReplyNext();
  EXPECT_EQ(Replies(client, 1).size(), 1u);
}

TEST_F(UpgradeTest, BadHeadersCloseTheConnectionAfterTheGoodReplies) {
  const std::string good = Header({});
  const std::string bad[] = {
      Frame("\x0b"),                             // a header cut off
      Frame(good),                               // and no message
      Frame("\x0c" + std::string(600, '\x01')),  // garbage
      Frame(good + "\x80\x01"),                  // half an envelope
      Frame(good + Message(MessageType::kReply, "m", 1)),
      CallFrame("m", 1),  // no header: its bytes are none
  };
  for (const std::string& bytes : bad) {
    SCOPED_TRACE(testing::PrintToString(bytes.substr(0, 20)));
    Client& client = Connect();
    Upgrade(client);
    const uint64_t malformed = Count("malformed");
    Send(client, Headed(good, "m", 1) + bytes + Headed(good, "never", 2));
    ASSERT_EQ(handler_.open.size(), 1u);
    EXPECT_EQ(Count("malformed"), malformed + 1);
    EXPECT_FALSE(Ended(client));
    handler_.ReplyNext();
    EXPECT_EQ(Shown(Replies(client, 1)), "m/1");
    EXPECT_TRUE(Ended(client));
    Reset(client);
  }
}

TEST_F(UpgradeTest, AHeaderInPiecesIsReadAllTheSame) {
  Client& client = Connect();
  Upgrade(client);
  client.near->set_max_read(1);
  thrift::RequestHeader header;
  std::string dest = "/svc/" + std::string(3000, 'd');
  header.dest = dest;
  Send(client, Headed(Header(header), "m", 1));
  ASSERT_EQ(handler_.open.size(), 1u);
  EXPECT_EQ(handler_.open[0]->header->dest, dest);
  EXPECT_EQ(handler_.open[0]->request.ToString(), CallFrame("m", 1));
  handler_.ReplyNext();
  EXPECT_EQ(Shown(Replies(client, 1)), "m/1");
}

}  // namespace
}  // namespace trestle::server
