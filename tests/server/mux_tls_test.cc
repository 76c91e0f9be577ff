// Mux sessions that go over to TLS in their handshake: whose level decides what, and what the
// connection goes through. What stands for TLS here is another connection in memory.
#include <optional>

#include "mux/message.h"
#include "tests/server/mux_fixture.h"

namespace trestle::server {
namespace {

class MuxTlsTest : public MuxServerTest {
 protected:
  void Offer(mux::TlsLevel level) {
    options_.mux_tls = level;
    server().secure = [this](std::unique_ptr<net::Transport> transport, base::Buffer unread,
                             Server::Secured secured) {
      given_ = std::move(transport);
      unread_ = unread.ToString();
      secured_ = std::move(secured);
    };
  }
  Client& Hello(std::string_view level, std::string_view behind = "",
                const Pairs& more = {{"mux-framer", Big(INT32_MAX, 4)}}) {
    Client& client = Connect();
    Pairs headers = more;
    headers.emplace_back("tls", std::string(level));
    std::string bytes = tests::kProbeMessage + MuxMessage(68, 1, InitBody(headers));
    Send(client, bytes.append(behind));
    return client;
  }
  // The handshake was done: the session goes on over another connection.
  Client& Secured(base::Buffer unread = {}) {
    auto [near, far] = tests::MemoryTransport::Pair(&loop_);
    near->set_peer({{}, "spiffe://a", true});
    auto client = std::make_unique<Client>();
    client->near = near.get();
    client->end = std::move(far);
    std::exchange(secured_, nullptr)(std::move(near), std::move(unread));
    given_.reset();
    Settle(&loop_);
    clients_.push_back(std::move(client));
    return *clients_.back();
  }
  void TearDown() override {
    if (secured_) std::exchange(secured_, nullptr)(nullptr, {});
    given_.reset();
    MuxServerTest::TearDown();
  }

  std::unique_ptr<net::Transport> given_;
  std::string unread_;
  Server::Secured secured_;
};

TEST_F(MuxTlsTest, BothSayDesiredAndTheSessionGoesOnInTls) {
  Offer(mux::TlsLevel::kDesired);
  Client& clear = Hello("desired", "the hello");
  auto all = Frames(clear);
  ASSERT_EQ(Types(all), "127/1 -68/1");
  EXPECT_EQ(all[1].body, InitBody({{"mux-framer", Big(INT32_MAX, 4)}, {"tls", "desired"}}));
  ASSERT_TRUE(given_);
  EXPECT_EQ(unread_, "the hello") << "it is read as TLS, never as mux";
  EXPECT_EQ(MuxCount("handshakes"), 0u) << "not yet";
  EXPECT_EQ(MuxGauge("open"), 0);
  EXPECT_EQ(Gauge("connections"), 1);

  Client& secure = Secured(base::Buffer::Copy(Tdispatch(2, Get())));
  ASSERT_EQ(handler_.open.size(), 1u) << "what came with the end of TLS's handshake";
  EXPECT_EQ(*handler_.open[0]->identity, "spiffe://a");
  handler_.ReplyNext();
  Settle(&loop_);
  EXPECT_EQ(Types(Frames(secure)), "-2/2");
  EXPECT_EQ(MuxCount("handshakes"), 1u);
  EXPECT_EQ(MuxCount("sessions"), 1u);
  EXPECT_EQ(Count("connects"), 1u);
  Send(secure, MuxMessage(68, 3, InitBody({})));
  EXPECT_EQ(One(secure).body, "Unexpected mux message type 68") << "there is one handshake only";
}

TEST_F(MuxTlsTest, TheSizeOfPiecesThatWasSaidInClearTextHolds) {
  Offer(mux::TlsLevel::kRequired);
  Hello("required", "", {{"mux-framer", Big(100, 4)}});
  Client& secure = Secured();
  Send(secure, Tdispatch(2, Get()));
  tests::FakeHandler::Reply(handler_.Take(), std::string(150, 'x'));
  Settle(&loop_);
  EXPECT_EQ(Frames(secure).at(0).body.size(), 100u);
}

TEST_F(MuxTlsTest, WhoseLevelsDoNotFitIsToldAndClosed) {
  for (auto [ours, theirs] :
       {std::pair{mux::TlsLevel::kRequired, "off"}, {mux::TlsLevel::kRequired, "sure"}}) {
    Offer(ours);
    Client& client = Hello(theirs);
    auto all = Frames(client);
    ASSERT_EQ(Types(all), "127/1 -68/1 127/1") << theirs;
    EXPECT_EQ(all[2].body, mux::kNoTlsChoice);
    EXPECT_TRUE(Ended(client));
    EXPECT_FALSE(given_);
  }
}

TEST_F(MuxTlsTest, DesiredAndOffStayInClearText) {
  Offer(mux::TlsLevel::kDesired);
  Client& client = Hello("off", Tdispatch(2, Get()));
  EXPECT_FALSE(given_);
  EXPECT_EQ(handler_.open.size(), 1u);
  EXPECT_EQ(Types(Frames(client)), "127/1 -68/1");
}

TEST_F(MuxTlsTest, WhereItIsRequiredNothingElseBeginsInClearText) {
  Offer(mux::TlsLevel::kRequired);
  for (const std::string& first : {Tdispatch(2, Get()), MuxMessage(65, 2)}) {
    Client& client = Connect();
    Send(client, first);
    EXPECT_EQ(One(client).body, mux::kNoTlsChoice);
    EXPECT_TRUE(Ended(client));
  }
  Client& plain = Connect();
  const std::string call = Get();
  Send(plain, Big(static_cast<int64_t>(call.size()), 4) + call);
  EXPECT_TRUE(Ended(plain));
  EXPECT_EQ(Take(plain), "");
  EXPECT_EQ(Count("malformed"), 3u);
  EXPECT_TRUE(handler_.open.empty());
}

TEST_F(MuxTlsTest, AConnectionThatIsInTlsAlreadyMayDoAsItLikes) {
  Offer(mux::TlsLevel::kRequired);
  for (const char* level : {"off", "desired", "required"}) {
    auto [near, far] = tests::MemoryTransport::Pair(&loop_);
    near->set_peer({{}, "", true});
    server().Accept(std::move(near));
    far->Send(tests::kProbeMessage + MuxMessage(68, 1, InitBody({{"tls", level}})) +
              Tdispatch(2, Get()));
    Settle(&loop_);
    std::string in = far->TakeAll();
    auto all = tests::TakeMux(&in);
    ASSERT_EQ(Types(all), "127/1 -68/1") << level;
    EXPECT_EQ(all[1].body, InitBody({{"mux-framer", Big(INT32_MAX, 4)}, {"tls", "off"}}));
    EXPECT_EQ(handler_.open.size(), 1u);
    handler_.ReplyNext();
    far->Close(false);
    Settle(&loop_);
  }
}

TEST_F(MuxTlsTest, AHandshakeThatFailsIsAClosedConnection) {
  Offer(mux::TlsLevel::kDesired);
  Hello("required");
  ASSERT_TRUE(given_);
  std::exchange(secured_, nullptr)(nullptr, {});
  EXPECT_EQ(Gauge("connections"), 0);
  EXPECT_EQ(Count("closes"), 1u);
}

TEST_F(MuxTlsTest, ItsRinitLeavesBeforeTlsBegins) {
  Offer(mux::TlsLevel::kDesired);
  auto [near, far] = tests::MemoryTransport::Pair(&loop_, 20);
  server().Accept(std::move(near));
  far->Send(tests::kProbeMessage);
  Settle(&loop_);
  far->TakeAll();
  const std::string init = MuxMessage(68, 1, InitBody({{"tls", "desired"}}));
  std::string came;
  for (size_t at = 0; at < init.size(); at += 20) {
    far->Send(init.substr(at, 20));
    Settle(&loop_);
  }
  EXPECT_FALSE(given_) << "some of it waits for the client";
  for (int i = 0; i < 10 && !given_; i++) {
    char some[20];
    const net::IoResult r = far->Read(some, sizeof some);
    if (r.kind == net::IoResult::Kind::kBytes) came.append(some, r.bytes);
    Settle(&loop_);
  }
  ASSERT_TRUE(given_);
  came += far->TakeAll();
  EXPECT_EQ(Types(tests::TakeMux(&came)), "-68/1");
}

TEST_F(MuxTlsTest, AReloadThatTakesTlsAwayClosesWhatWaitsForIt) {
  Offer(mux::TlsLevel::kDesired);
  server().secure = nullptr;
  Client& client = Hello("desired");
  EXPECT_TRUE(Ended(client));
  EXPECT_EQ(Gauge("connections"), 0);
}

TEST_F(MuxTlsTest, BytesThatWereReadBeforeAreWhatTellsOfThriftAndMux) {
  const std::string call = Get();
  for (const std::string& first :
       {Tdispatch(2, call), Big(static_cast<int64_t>(call.size()), 4) + call}) {
    for (size_t cut : {size_t{0}, size_t{3}, size_t{8}, first.size()}) {
      auto [near, far] = tests::MemoryTransport::Pair(&loop_);
      server().Accept(std::move(near), base::Buffer::Copy(first.substr(0, cut)));
      far->Send(first.substr(cut));
      Settle(&loop_);
      ASSERT_EQ(handler_.open.size(), 1u) << cut;
      handler_.ReplyNext();
      Settle(&loop_);
      EXPECT_NE(far->TakeAll(), "");
      far->Close(false);
      Settle(&loop_);
    }
  }
}

TEST_F(MuxTlsTest, WhoComesToItWhileTheServerDrainsIsClosed) {
  Offer(mux::TlsLevel::kDesired);
  Client& client = Connect();
  Send(client, tests::kProbeMessage);
  bool drained = false;
  server().Drain([&drained] { drained = true; });
  Settle(&loop_);
  Send(client, MuxMessage(68, 1, InitBody({{"tls", "desired"}})));
  EXPECT_FALSE(given_);
  EXPECT_TRUE(Ended(client));
  client.end->Close(false);
  Settle(&loop_);
  EXPECT_TRUE(drained);
}

TEST_F(MuxTlsTest, AHandshakeThatEndsWhileTheServerDrainsIsForNothing) {
  Offer(mux::TlsLevel::kDesired);
  Hello("desired");
  ASSERT_TRUE(given_);
  bool drained = false;
  server().Drain([&drained] { drained = true; });
  Client& secure = Secured();
  EXPECT_TRUE(Ended(secure));
  EXPECT_TRUE(handler_.open.empty());
}

}  // namespace
}  // namespace trestle::server
