// Mux sessions: calls that are given up, fragments, bounds, drains and ends.
#include "server/mux_session.h"
#include "tests/server/fake_body.h"
#include "tests/server/mux_fixture.h"

namespace trestle::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class MuxLifeTest : public MuxServerTest {};

// A Tdispatch in pieces of `piece` bytes.
std::string Pieces(uint32_t tag, std::string_view body, size_t piece) {
  std::string out;
  while (body.size() > piece) {
    out += MuxMessage(2, tag | 0x800000, body.substr(0, piece));
    body.remove_prefix(piece);
  }
  return out + MuxMessage(2, tag, body);
}

TEST_F(MuxLifeTest, ADiscardedCallIsCancelledAndItsTagFree) {
  Client& client = Init();
  Send(client, Tdispatch(2, Get(1)) + Tdispatch(3, Get(2)));
  Send(client, Tdiscarded(2));
  EXPECT_EQ(handler_.cancelled, 1);
  EXPECT_EQ(Types(Frames(client)), "-66/2");
  Send(client, Tdispatch(2, Get(3)));
  EXPECT_EQ(handler_.open.size(), 2u);
  EXPECT_EQ(MuxCount("discards"), 1u);
  EXPECT_EQ(Count("cancelled"), 1u);
  handler_.ReplyNext();
  handler_.ReplyNext();
  EXPECT_EQ(Types(Frames(client)), "-2/3 -2/2");
}

TEST_F(MuxLifeTest, ADiscardOfNoCallIsNotAnswered) {
  Client& client = Init();
  Send(client, Tdiscarded(9) + MuxMessage(66, 0, Big(10, 3)));
  EXPECT_EQ(Frames(client).size(), 0u);
  Send(client, Tdispatch(2, Get()));
  handler_.ReplyNext();
  EXPECT_EQ(Types(Frames(client)), "-2/2");
  Send(client, Tdiscarded(2));
  EXPECT_EQ(Frames(client).size(), 0u) << "it was answered already";
}

TEST_F(MuxLifeTest, FragmentsAreJoinedWhateverComesBetween) {
  Client& client = Init();
  const std::string body = tests::DispatchBody(Get(1, std::string(10'000, 'x')), {{"k", "v"}});
  std::string bytes;
  std::string a = Pieces(2, body, 999), b = Pieces(3, body, 1);
  const size_t half = size_t{5} * (999 + 8);
  Send(client, a.substr(0, half));
  Send(client, MuxMessage(65, 1) + Tdispatch(4, Get(4)));
  EXPECT_EQ(handler_.open.size(), 1u);
  Send(client, a.substr(half) + b);
  ASSERT_EQ(handler_.open.size(), 3u);
  EXPECT_EQ(handler_.open[1]->request.ToString(), Frame(Get(1, std::string(10'000, 'x'))));
  EXPECT_EQ(handler_.open[2]->request.ToString(), handler_.open[1]->request.ToString());
  for (int i = 0; i < 3; i++) handler_.ReplyNext();
}

TEST_F(MuxLifeTest, ADiscardAmongFragmentsDropsThemWithoutAnAnswer) {
  Client& client = Init();
  Send(client, MuxMessage(2, 2 | 0x800000, "half of"));
  Send(client, Tdiscarded(2));
  EXPECT_EQ(Frames(client).size(), 0u);
  Send(client, Tdispatch(2, Get()));
  EXPECT_EQ(handler_.open.size(), 1u);
  handler_.ReplyNext();
}

TEST_F(MuxLifeTest, LargeRepliesGoInThePiecesThatTheClientAsksFor) {
  Client& client = Init({{"mux-framer", Big(1000, 4)}});
  Send(client, Tdispatch(2, Get(1)) + Tdispatch(3, Get(2)));
  const std::string body(2500, 'x');
  tests::FakeHandler::Reply(handler_.Take(), body);
  auto all = Frames(client);
  std::string joined;
  for (const MuxReceived& r : all) {
    EXPECT_EQ(r.type, -2);
    EXPECT_EQ(r.tag, 2u);
    EXPECT_LE(r.body.size(), 1000u);
    EXPECT_EQ(r.more, &r != &all.back());
    joined += r.body;
  }
  EXPECT_EQ(all.size(), 3u);
  EXPECT_EQ(joined, Big(0, 3) + Got(1, body));
  EXPECT_EQ(MuxCount("fragments_sent"), 3u);
  handler_.ReplyNext();
  EXPECT_EQ(Types(Frames(client)), "-2/3");
}

TEST_F(MuxLifeTest, SmallRepliesPassALargeOneThatTheClientIsSlowToTake) {
  Client& client = Init({{"mux-framer", Big(16'384, 4)}}, 64 * 1024);
  Send(client, Tdispatch(2, Get(1)) + Tdispatch(3, Get(2)));
  tests::FakeHandler::Reply(handler_.Take(), std::string(900'000, 'x'));
  Settle(&loop_);
  handler_.ReplyNext();
  auto all = Frames(client);
  size_t at = 0;
  while (at < all.size() && all[at].tag != 3) at++;
  ASSERT_LT(at, all.size());
  EXPECT_LT(at, all.size() - 5) << "it did not wait for all of the large one";
}

TEST_F(MuxLifeTest, AllOfALargeReplyArrivesHoweverTheClientTakesIt) {
  for (size_t capacity : {size_t{1000}, size_t{64} * 1024, size_t{512} * 1024, size_t{4} << 20}) {
    SCOPED_TRACE(capacity);
    Client& client = Init({{"mux-framer", Big(4096, 4)}}, capacity);
    Send(client, Tdispatch(2, Get(1)));
    const std::string body(1 << 20, 'x');
    tests::FakeHandler::Reply(handler_.Take(), body);
    std::string joined;
    for (const MuxReceived& r : Frames(client)) joined += r.body;
    EXPECT_EQ(joined.size(), 3 + Got(1, body).size());
    Reset(client);
  }
}

TEST_F(MuxLifeTest, AFragmentSizeThatIsMoreWorkThanItIsWorthIsRefused) {
  Client& client = Connect();
  Send(client, tests::kProbeMessage + MuxMessage(68, 1, InitBody({{"mux-framer", Big(1, 4)}})));
  EXPECT_EQ(Types(Frames(client)), "127/1 127/1");
  EXPECT_TRUE(Ended(client));
}

TEST_F(MuxLifeTest, FragmentsThatNeverEndAreBounded) {
  options_.max_frame_bytes = 100'000;
  Client& client = Init();
  const std::string piece = MuxMessage(2, 2 | 0x800000, std::string(10'000, 'x'));
  for (int i = 0; i < 1000 && !Ended(client); i++) Send(client, piece);
  EXPECT_TRUE(Ended(client));
  EXPECT_EQ(Count("malformed"), 1u);
}

TEST_F(MuxLifeTest, FragmentsThatStandStillEndTheSessionWhateverElseComes) {
  Client& client = Init();
  Send(client, MuxMessage(2, 2 | 0x800000, "half"));
  for (int i = 0; i < 11; i++) {
    Advance(seconds(1));
    Send(client, MuxMessage(65, 1));
  }
  EXPECT_TRUE(Ended(client));
}

TEST_F(MuxLifeTest, OverMaxDispatchesCallsAreNackedAndTheSessionGoesOn) {
  options_.max_dispatches = 10;
  Client& client = Init();
  std::string bytes;
  for (uint32_t tag = 2; tag < 1002; tag++) bytes += Tdispatch(tag, Get());
  Send(client, bytes);
  EXPECT_EQ(handler_.open.size(), 10u);
  auto all = Frames(client);
  EXPECT_EQ(all.size(), 990u);
  for (const MuxReceived& r : all) EXPECT_EQ(r.status, 2);
  EXPECT_EQ(Count("refused"), 990u);
  while (!handler_.open.empty()) handler_.ReplyNext();
  EXPECT_EQ(Frames(client).size(), 10u);
}

TEST_F(MuxLifeTest, OverMaxConcurrentCallsAreNacked) {
  options_.max_concurrent = 1;
  Client& client = Init();
  Send(client, Tdispatch(2, Get()) + Tdispatch(3, Get()));
  EXPECT_EQ(One(client).status, 2);
  handler_.ReplyNext();
  EXPECT_EQ(One(client).status, 0);
  Send(client, Tdispatch(3, Get()));
  EXPECT_EQ(handler_.open.size(), 1u);
  handler_.ReplyNext();
}

TEST_F(MuxLifeTest, AClientThatDiscardsEverythingLeavesNothing) {
  Client& client = Init();
  for (int round = 0; round < 20; round++) {
    std::string bytes;
    for (uint32_t tag = 2; tag < 502; tag++) bytes += Tdispatch(tag, Get());
    for (uint32_t tag = 2; tag < 502; tag++) bytes += Tdiscarded(tag);
    Send(client, bytes);
    EXPECT_EQ(Frames(client).size(), 500u);
  }
  EXPECT_EQ(MuxGauge("tags"), 0);
  EXPECT_EQ(Gauge("pending"), 0);
}

TEST_F(MuxLifeTest, AClientThatTakesNoRepliesIsReadNoMoreAndThenClosed) {
  options_.max_connection_bytes = 100'000;
  handler_.at_once = [](call::Call* call) {
    tests::FakeHandler::Reply(call, std::string(10'000, 'x'));
  };
  Client& client = Init({}, 16 * 1024);
  std::string bytes;
  for (uint32_t tag = 2; tag < 2002; tag++) bytes += Tdispatch(tag, Get());
  EXPECT_LT(SendAll(client, bytes), bytes.size());
  EXPECT_LT(handler_.handled, 30) << "as many as fill what may wait";
  Advance(seconds(11));  // it is seen that nothing was taken since the last bytes
  Advance(seconds(11));
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_F(MuxLifeTest, RepliesThatItDoesNotTakeDoNotFillTheMemory) {
  options_.max_connection_bytes = 100'000;
  options_.max_buffered_bytes = 2'000'000;
  Client& client = Init({}, 16 * 1024);
  std::string bytes;
  for (uint32_t tag = 2; tag < 302; tag++) bytes += Tdispatch(tag, Get());
  SendAll(client, bytes);
  size_t most = 0;
  while (!handler_.open.empty() && server_->connections() > 0) {
    tests::FakeHandler::Reply(handler_.Take(), std::string(100'000, 'x'));
    Settle(&loop_);
    most = std::max(most, base::Block::BytesOnThread());
  }
  EXPECT_EQ(server_->connections(), 0u);
  EXPECT_LT(most, 3'000'000u);
  EXPECT_GT(handler_.cancelled, 100);
}

TEST_F(MuxLifeTest, WhileAClientTakesItsRepliesLateItIsReadAgain) {
  options_.max_connection_bytes = 100'000;
  handler_.at_once = [](call::Call* call) {
    tests::FakeHandler::Reply(call, std::string(10'000, 'x'));
  };
  Client& client = Init({}, 16 * 1024);
  std::string bytes;
  for (uint32_t tag = 2; tag < 202; tag++) bytes += Tdispatch(tag, Get());
  size_t replies = 0;
  for (int i = 0; i < 10'000 && (!bytes.empty() || replies < 200); i++) {
    bytes.erase(0, SendAll(client, bytes));
    replies += Frames(client).size();
  }
  EXPECT_EQ(replies, 200u);
}

TEST_F(MuxLifeTest, TheEndOfASessionCancelsItsCalls) {
  for (bool reset : {false, true}) {
    Client& client = Init();
    Send(client, Tdispatch(2, Get()) + Tdispatch(3, Get()));
    const int before = handler_.cancelled;
    if (reset) {
      Reset(client);
    } else {
      End(client);
    }
    EXPECT_EQ(handler_.cancelled, before + 2);
    EXPECT_EQ(server_->connections(), 0u);
  }
}

TEST_F(MuxLifeTest, TheEndIsSeenWhileNothingIsRead) {
  Client& client = Init();
  Send(client, Tdispatch(2, Get()) + MuxMessage(99, 3));  // it is read no more
  EXPECT_EQ(server_->connections(), 1u);
  End(client);
  EXPECT_EQ(server_->connections(), 0u);
  EXPECT_EQ(handler_.cancelled, 1);
}

TEST_F(MuxLifeTest, ADrainLetsCallsFinishAndThenCloses) {
  Client& client = Init();
  Send(client, Tdispatch(2, Get(1)));
  bool drained = false;
  server_->Drain([&] { drained = true; });
  Settle(&loop_);
  EXPECT_EQ(Types(Frames(client)), "64/1");
  Send(client, Tdispatch(3, Get(2)));
  EXPECT_EQ(handler_.open.size(), 2u) << "before Rdrain calls are still served";
  Send(client, MuxMessage(-64, 1) + Tdispatch(4, Get(3)));
  MuxReceived nack = One(client);
  EXPECT_EQ(nack.tag, 4u);
  EXPECT_EQ(nack.status, 2);
  EXPECT_TRUE(nack.contexts.empty());
  handler_.ReplyNext();
  EXPECT_FALSE(drained);
  EXPECT_FALSE(Ended(client));
  handler_.ReplyNext();
  EXPECT_EQ(Types(Frames(client)), "-2/2 -2/3");
  EXPECT_TRUE(Ended(client));
  client.end->Close(false);
  Settle(&loop_);
  EXPECT_TRUE(drained);
}

TEST_F(MuxLifeTest, AClientThatDoesNotAgreeToADrainIsNotWaitedForLong) {
  Client& client = Init();
  server_->Drain([] {});
  Settle(&loop_);
  EXPECT_FALSE(Ended(client));
  Advance(seconds(2));
  EXPECT_TRUE(Ended(client));
  Advance(seconds(2));
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_F(MuxLifeTest, IdleAndOldSessionsAreDrained) {
  options_.idle_time = seconds(30);
  Client& client = Init();
  Advance(seconds(29));
  Send(client, MuxMessage(65, 1));
  EXPECT_EQ(Types(Frames(client)), "-65/1");
  Advance(seconds(31));
  EXPECT_EQ(Types(Frames(client)), "64/1");
}

TEST_F(MuxLifeTest, AReplyThatComesInPiecesIsHeldUntilItIsWhole) {
  Client& client = Init();
  Send(client, Tdispatch(2, Get(1)));
  call::Call* call = handler_.Take();
  tests::FakeSource source;
  const std::string reply = ReplyFrame("users:get", 1, std::string(200'000, 'y'));
  source.here = 50'000;
  source.Begin(call, reply, 70'000);
  Settle(&loop_);
  EXPECT_EQ(Frames(client).size(), 0u);
  source.here = tests::FakeSource::kAll;
  source.Give(call);
  MuxReceived r = One(client);
  EXPECT_EQ(r.payload, reply.substr(4));
}

// The tag is in use until its last piece is here.
TEST_F(MuxLifeTest, AMessageInPiecesThatThereIsNoRoomForIsNackedAloneAtItsEnd) {
  options_.max_frame_bytes = 100'000;  // and 256 KiB more; twice that for all of them
  Client& client = Init();
  const std::string half(300'000, 'x');
  for (uint32_t tag = 2; tag < 6; tag++) Send(client, MuxMessage(2, tag | 0x800000, half));
  EXPECT_EQ(Frames(client).size(), 0u);
  Send(client, MuxMessage(2, 4 | 0x800000, "more") + MuxMessage(2, 4, "end"));
  MuxReceived nack = One(client);
  EXPECT_EQ(nack.tag, 4u);
  EXPECT_EQ(nack.status, 2);
  Send(client, Tdispatch(4, Get()));
  EXPECT_EQ(handler_.open.size(), 1u) << "the tag is free";
  handler_.ReplyNext();
  EXPECT_EQ(Types(Frames(client)), "-2/4");
  Send(client, Tdiscarded(5));
  Send(client, Tdispatch(5, Get()));
  EXPECT_EQ(handler_.open.size(), 1u) << "a discard frees it too";
  handler_.ReplyNext();
  EXPECT_EQ(Count("refused"), 1u);
}

TEST_F(MuxLifeTest, MoreMessagesInPiecesThanCallsAreAllowedEndTheSession) {
  options_.max_dispatches = 10;
  Client& client = Init();
  for (uint32_t tag = 2; tag < 22; tag++) Send(client, MuxMessage(2, tag | 0x800000, "half"));
  EXPECT_FALSE(Ended(client));
  Send(client, MuxMessage(2, 22 | 0x800000, "half"));
  EXPECT_TRUE(Ended(client));
}

TEST_F(MuxLifeTest, ADrainWaitsForTheRestOfAMessage) {
  Client& client = Init();
  const std::string pieces =
      Pieces(2, tests::DispatchBody(Get(1, std::string(5000, 'x')), {}), 999);
  Send(client, pieces.substr(0, size_t{3} * (999 + 8)));
  server_->Drain([] {});
  Settle(&loop_);
  Send(client, MuxMessage(-64, 1));
  EXPECT_FALSE(Ended(client));
  Advance(seconds(5));
  EXPECT_FALSE(Ended(client));
  Send(client, pieces.substr(size_t{3} * (999 + 8)));
  ASSERT_EQ(handler_.open.size(), 1u) << "it was begun before the drain was agreed to";
  handler_.ReplyNext();
  EXPECT_EQ(Types(Frames(client)), "64/1 -2/2");
  EXPECT_TRUE(Ended(client));
}

TEST_F(MuxLifeTest, ADrainDoesNotWaitForTheRestOfAMessageForEver) {
  Client& client = Init();
  Send(client, MuxMessage(2, 2 | 0x800000, "half"));
  server_->Drain([] {});
  Settle(&loop_);
  Send(client, MuxMessage(-64, 1));
  Advance(options_.body_idle_timeout + seconds(1));
  EXPECT_TRUE(Ended(client));
}

TEST_F(MuxLifeTest, PingsDoNotKeepAnIdleSession) {
  options_.idle_time = seconds(30);
  Client& client = Init();
  Send(client, Tdispatch(2, Get()));
  handler_.ReplyNext();
  Frames(client);
  std::string types;
  for (int i = 0; i < 10; i++) {
    Advance(seconds(4));
    Send(client, MuxMessage(65, 1));
    types += Types(Frames(client)) + " ";
  }
  EXPECT_NE(types.find("64/1"), std::string::npos) << types;
}

TEST_F(MuxLifeTest, AnIdleSessionThatIsAskedToDrainSleeps) {
  options_.idle_time = seconds(30);
  Client& client = Init();
  Advance(seconds(31));
  EXPECT_EQ(Types(Frames(client)), "64/1");
  int turns = 0;
  while (loop_.Poll() && turns < 100) turns++;
  EXPECT_LT(turns, 100) << "its timer rings again and again";
}

TEST_F(MuxLifeTest, ALastPieceMayComeSlowly) {
  Client& client = Init();
  const std::string body = tests::DispatchBody(Get(1, std::string(5000, 'x')), {});
  const std::string pieces = Pieces(2, body, 4000);
  Send(client, pieces.substr(0, 4100));
  for (size_t at = 4100; at < pieces.size(); at += 50) {
    Advance(seconds(2));
    Send(client, pieces.substr(at, 50));
  }
  EXPECT_EQ(handler_.open.size(), 1u);
  EXPECT_EQ(MuxCount("fragments_received"), 2u);
  handler_.ReplyNext();
}

TEST_F(MuxLifeTest, SpareCallsOfABurstAreGivenBackInTime) {
  Client& client = Init();
  std::string bytes;
  for (uint32_t tag = 2; tag < 802; tag++) bytes += Tdispatch(tag, Get());
  Send(client, bytes);
  while (!handler_.open.empty()) handler_.ReplyNext();
  EXPECT_EQ(server_->spare_calls(), 800u);
  for (int i = 0; i < 20; i++) {
    server_->Tidy();
    Send(client, Tdispatch(2, Get()));
    handler_.ReplyNext();
  }
  EXPECT_LT(server_->spare_calls(), 8u);
  EXPECT_GT(server_->spare_calls(), 0u) << "those that are needed stay";
}

}  // namespace
}  // namespace trestle::server
