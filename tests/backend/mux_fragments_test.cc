// Messages in pieces, both ways, and the memory of replies that are not whole.
#include <algorithm>
#include <map>

#include "tests/backend/mux_fixture.h"

namespace trestle::backend {
namespace {

class MuxFragmentsTest : public MuxSessionTest {
 protected:
  static std::string Join(const std::vector<MuxMessage>& sent, uint32_t tag) {
    std::string all;
    for (const MuxMessage& m : sent) {
      if (m.tag == tag) all += m.body;
    }
    return all;
  }
};

TEST_F(MuxFragmentsTest, ARequestGoesInPiecesOfTheSizeThatTheBackendWants) {
  for (uint32_t framer : {1u, 10u, 65'536u, 1'000'000u}) {
    Open({true, framer});
    const std::string body(framer < 100 ? 500 : 300'000, 'x');
    TestCall call("m", 1, MessageType::kCall, Protocol::kBinary, body);
    session_->Send(&call.call);
    auto sent = Read();
    const std::string all = Join(sent, 2);
    EXPECT_EQ(ReadDispatch(all).payload, Message(MessageType::kCall, "m", 1, body));
    EXPECT_EQ(sent.size(), (all.size() + framer - 1) / framer);
    for (size_t i = 0; i < sent.size(); i++) {
      EXPECT_EQ(sent[i].type, Type::kTdispatch);
      EXPECT_EQ(sent[i].more, i + 1 < sent.size());
      EXPECT_LE(sent[i].body.size(), framer);
    }
    Say(Ok(2, Good("m", 1)));
    EXPECT_EQ(call.end(), End::kReplied);
  }
  EXPECT_GT(Count("fragments_sent"), 500u);
}

TEST_F(MuxFragmentsTest, AMessageOfExactlyThatSizeIsWhole) {
  TestCall probe("m", 1, MessageType::kCall, Protocol::kBinary, std::string(100, 'x'));
  Open();
  const auto size = static_cast<uint32_t>(SendOne(probe).body.size());
  for (bool fits : {true, false}) {
    Open({true, fits ? size : size - 1});
    TestCall call("m", 1, MessageType::kCall, Protocol::kBinary, std::string(100, 'x'));
    Send(call);
    EXPECT_EQ(Read().size(), fits ? 1u : 2u);
  }
}

TEST_F(MuxFragmentsTest, OthersGoBetweenThePiecesOfALargeRequest) {
  Open({true, 10'000}, 20'000);
  TestCall large("m", 1, MessageType::kCall, Protocol::kBinary, std::string(2'000'000, 'x'));
  TestCall small("m", 2);
  Send(large);
  Send(small);
  auto sent = Read();
  const auto at = std::find_if(sent.begin(), sent.end(), [](auto& m) { return m.tag == 3; });
  ASSERT_NE(at, sent.end());
  EXPECT_LT(at - sent.begin(), 30) << "it does not wait for all of the large one";
  EXPECT_EQ(Join(sent, 2).size(), ReadDispatch(Join(sent, 2)).payload.size() + 6);
}

TEST_F(MuxFragmentsTest, LargeRequestsTakeTurns) {
  Open({true, 10'000}, 20'000);
  TestCall a("m", 1, MessageType::kCall, Protocol::kBinary, std::string(1'000'000, 'a'));
  TestCall b("m", 2, MessageType::kCall, Protocol::kBinary, std::string(1'000'000, 'b'));
  Send(a);
  Send(b);
  auto sent = Read();
  size_t turns = 0;
  for (size_t i = 1; i < sent.size(); i++) turns += sent[i].tag != sent[i - 1].tag;
  EXPECT_GT(turns, 100u);
  EXPECT_EQ(ReadDispatch(Join(sent, 2)).payload,
            Message(MessageType::kCall, "m", 1, std::string(1'000'000, 'a')));
  EXPECT_EQ(ReadDispatch(Join(sent, 3)).payload,
            Message(MessageType::kCall, "m", 2, std::string(1'000'000, 'b')));
}

TEST_F(MuxFragmentsTest, AOnewayInPiecesIsDoneWithItsLastByte) {
  Open({true, 1000}, 2000);
  TestCall oneway("log", 1, MessageType::kOneway, Protocol::kBinary, std::string(100'000, 'x'));
  Send(oneway);
  EXPECT_EQ(oneway.end(), End::kOpen);
  Read();
  EXPECT_EQ(oneway.end(), End::kOneway);
}

TEST_F(MuxFragmentsTest, WithTheConnectionACallThatWaitsForItsFirstPieceHasNotLeft) {
  Open({true, 1000}, 2000);
  const std::string large(400'000, 'x');
  TestCall first("m", 1, MessageType::kCall, Protocol::kBinary, large);
  TestCall second("m", 2, MessageType::kCall, Protocol::kBinary, large);
  Send(first);
  Send(second);
  std::map<const TestCall*, bool> left;
  for (TestCall* call : {&first, &second}) {
    call->on_end = [&, call] { left[call] = owner_.left; };
  }
  far_->Close(true);
  Settle(&loop_);
  EXPECT_TRUE(left[&first]);
  EXPECT_FALSE(left[&second]);
}

// --- replies ---

TEST_F(MuxFragmentsTest, AReplyIsPutTogetherWhereverItWasCut) {
  const std::string whole = ReplyBody(ReplyStatus::kOk, Good("m", 1, StringBody(40)), {{"k", "v"}});
  for (size_t cut = 0; cut <= whole.size(); cut++) {
    Open();
    TestCall call("m", 1);
    Send(call);
    Say(Piece(2, whole.substr(0, cut), true) + Piece(2, whole.substr(cut), false));
    ASSERT_EQ(call.end(), End::kReplied) << cut << call.failure();
    EXPECT_EQ(call.reply(), ReplyFrame("m", 1, StringBody(40)));
    EXPECT_EQ(call.call.reply_header_bytes.size(), 9u);
  }
}

TEST_F(MuxFragmentsTest, PiecesOfManyRepliesComeMixed) {
  Open();
  constexpr uint32_t kCalls = 20;
  std::vector<std::unique_ptr<TestCall>> calls;
  std::vector<std::string> rest;
  for (uint32_t i = 0; i < kCalls; i++) {
    calls.push_back(std::make_unique<TestCall>("m", i));
    Send(*calls.back());
    rest.push_back(
        ReplyBody(ReplyStatus::kOk, Good("m", static_cast<int32_t>(i), StringBody(1000 + i))));
  }
  for (size_t round = 0; round < 10; round++) {
    std::string bytes;
    for (uint32_t i = 0; i < kCalls; i++) {
      bytes += Piece(i + 2, rest[i].substr(0, 100), true);
      rest[i].erase(0, 100);
    }
    Say(bytes);
  }
  for (uint32_t i = 0; i < kCalls; i++) {
    EXPECT_EQ(calls[i]->end(), End::kOpen);
    Say(Piece(i + 2, rest[i], false));
    EXPECT_EQ(calls[i]->reply(), ReplyFrame("m", static_cast<int32_t>(i), StringBody(1000 + i)));
  }
  EXPECT_EQ(Count("fragments_received"), kCalls * 11);
}

TEST_F(MuxFragmentsTest, APieceOfAMessageThatHasNoneLosesTheSession) {
  for (Type type : {Type::kTping, Type::kRreq, Type::kOldRerr, Type::kTdrain, Type::kRdiscarded}) {
    Open();
    TestCall call;
    Send(call);
    char head[mux::kHeadBytes];
    mux::WriteHead(type, 2, true, 0, head);
    Say(std::string_view(head, sizeof head));
    EXPECT_TRUE(Dead()) << mux::TypeName(type);
    EXPECT_NE(call.failure().find("a fragment of a type that has none"), std::string::npos);
  }
}

TEST_F(MuxFragmentsTest, AReplyInPiecesThatNeverEndLosesItsCallAlone) {
  options_.max_frame_bytes = 100'000;
  Open();
  TestCall call, other("m", 3);
  Send(call);
  Send(other);
  Read();
  for (int i = 0; i < 20; i++) Say(Piece(2, std::string(50'000, 'x'), true));
  ASSERT_EQ(call.end(), End::kFailed);
  EXPECT_NE(call.failure().find("a message over maxFrameBytes"), std::string::npos);
  EXPECT_FALSE(Dead());
  auto sent = Read();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].type, Type::kTdiscarded);
  EXPECT_LT(base::Block::BytesOnThread(), 1u << 20);
  Say(Piece(2, "end", false) + Ok(3, Good("m", 3)));
  EXPECT_EQ(other.end(), End::kReplied);
  EXPECT_EQ(Gauge("tags_in_use"), 0);
}

TEST_F(MuxFragmentsTest, AFrameOverTheBoundLosesTheSession) {
  options_.max_frame_bytes = 100'000;
  Open();
  TestCall call;
  Send(call);
  Say(Ok(2, std::string(1'000'000, 'x')).substr(0, 100));
  EXPECT_TRUE(Dead());
  EXPECT_NE(call.failure().find("over the bound of"), std::string::npos) << call.failure();
}

// --- memory ---

TEST_F(MuxFragmentsTest, WhenMemoryIsShortTheLargestReplyInPiecesGivesWay) {
  options_.max_buffered_bytes = base::Block::BytesOnThread() + 2'000'000;
  Open();
  TestCall large("m", 1), small("m", 2);
  Send(large);
  Send(small);
  Read();
  for (int i = 0; i < 80 && !large.call.ended(); i++) {
    if (i < 2) Say(Piece(3, std::string(30'000, 's'), true));
    Say(Piece(2, std::string(60'000, 'x'), true));
  }
  ASSERT_EQ(large.end(), End::kFailed);
  EXPECT_EQ(large.call.failed_code, base::Code::kRefused);
  EXPECT_NE(large.failure().find("over maxBufferedBytes with a reply of 10.0.0.1:80"),
            std::string::npos);
  EXPECT_EQ(owner_.let_go, 1) << "nobody is to blame";
  EXPECT_FALSE(Dead());
  EXPECT_EQ(small.end(), End::kOpen);
  ASSERT_EQ(Read().size(), 1u) << "a Tdiscarded";
  const std::string rest = Good("m", 2).substr(0, 0);
  Say(Piece(3, rest, false));
  EXPECT_TRUE(small.call.ended());
}

TEST_F(MuxFragmentsTest, ALargeReplyInOnePieceIsDroppedAsItComes) {
  options_.max_buffered_bytes = base::Block::BytesOnThread() + 2'000'000;
  Open();
  TestCall large("m", 1), other("m", 2);
  Send(large);
  Send(other);
  Read();
  const std::string reply = Ok(2, Good("m", 1, StringBody(12'000'000)));
  for (size_t at = 0; at < reply.size(); at += 100'000) {
    Say(reply.substr(at, 100'000));
    EXPECT_LT(base::Block::BytesOnThread(), options_.max_buffered_bytes + 1'000'000);
  }
  ASSERT_EQ(large.end(), End::kFailed);
  EXPECT_EQ(large.call.failed_code, base::Code::kRefused);
  EXPECT_FALSE(Dead());
  EXPECT_EQ(Gauge("tags_in_use"), 1) << "its end frees the tag";
  Say(Ok(3, Good("m", 2)));
  EXPECT_EQ(other.end(), End::kReplied) << other.failure();
}

}  // namespace
}  // namespace trestle::backend
