// Which clients get a place to shake hands, and which make room.
#include "router/handshakes.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/memory_transport.h"
#include "tests/tls/certs.h"
#include "tls/tls_transport.h"

namespace trestle::router {
namespace {

using std::chrono::milliseconds;
using tests::MemoryTransport;
using tests::Settle;
using tls::Certs;

class HandshakesTest : public testing::Test {
 protected:
  HandshakesTest() {
    tls::ServerOptions server;
    server.certificates = {Certs::Pair("a")};
    options_.context = *tls::ServerContext::Load(server);
    options_.timeout = milliseconds(5000);
    options_.most = 2;
    tls::ClientOptions client;
    client.common_name = "a.example";
    client.trust_certs = {Certs::Pem("ca")};
    client_ = *tls::ClientContext::Load(client);
    handshakes_.Set(options_);
  }
  ~HandshakesTest() override {
    handshakes_.GiveUp();
    Settle(&loop_);
    EXPECT_EQ(Pending(), 0);
  }

  // A client's end of a fresh connection.
  std::unique_ptr<MemoryTransport> Come() {
    auto [near, far] = MemoryTransport::Pair(&loop_);
    far->set_peer({*net::Address::Parse("10.0.0.2", port_++), {}});
    handshakes_.Begin(std::move(far));
    Settle(&loop_);
    return std::move(near);
  }
  void Begin(MemoryTransport* client) {
    client->Send(std::string("\x16\x03\x01\x00", 4));
    Settle(&loop_);
  }
  // So many clients that begin and go no further.
  void Clog(int count) {
    for (int i = 0; i < count; i++) {
      slow_.push_back(Come());
      Begin(slow_.back().get());
    }
  }
  std::unique_ptr<tls::TlsTransport> ComeGood() {
    auto transport = tls::TlsTransport::Client(&loop_, Come(), client_, nullptr);
    Settle(&loop_);
    return transport;
  }
  void Pass(int ms) {
    clock_.Advance(milliseconds(ms));
    Settle(&loop_);
  }
  int64_t Pending() { return scope_->gauge("pending")->value(); }
  uint64_t Failures() { return scope_->counter("failures")->value(); }

  base::FakeClock clock_;
  net::EventLoop loop_{&clock_};
  base::Metrics metrics_;
  base::Scope* scope_ = metrics_.NewTable()->root()->Child("tls");
  Handshakes::Options options_;
  std::shared_ptr<const tls::ClientContext> client_;
  std::vector<std::unique_ptr<net::Transport>> ready_;
  std::string unread_;  // of the last one that is ready
  int failed_ = 0;
  Handshakes handshakes_{&loop_, scope_,
                         [this](std::unique_ptr<net::Transport> transport, base::Buffer unread) {
                           unread_ = unread.ToString();
                           if (!transport) return void(failed_++);
                           ready_.push_back(std::move(transport));
                         }};
  uint16_t port_ = 40'000;
  std::vector<std::unique_ptr<MemoryTransport>> slow_;
};

TEST_F(HandshakesTest, WhoIsSilentTakesNoPlaceAndEndsInTime) {
  std::vector<std::unique_ptr<MemoryTransport>> silent;
  for (int i = 0; i < 10; i++) silent.push_back(Come());
  EXPECT_EQ(Pending(), 10);
  EXPECT_TRUE(ComeGood()->open());
  EXPECT_EQ(ready_.size(), 1u);
  Pass(4999);
  EXPECT_EQ(failed_, 0);
  Pass(1);
  EXPECT_EQ(failed_, 10);
  EXPECT_TRUE(silent[0]->peer_ended());
  EXPECT_EQ(Failures(), 10u);
}

TEST_F(HandshakesTest, NoMoreThanSoManyRunAtOnce) {
  Clog(2);
  auto good = ComeGood();
  EXPECT_TRUE(good->handshaking());
  Begin(slow_[0].get());  // it is no hello: this one ends
  slow_[0]->Send(std::string(100, 'x'));
  Settle(&loop_);
  EXPECT_EQ(failed_, 1);
  EXPECT_TRUE(good->open());
}

TEST_F(HandshakesTest, ASlowOneMakesRoomForOthersAfterAFifthOfItsTime) {
  Clog(2);
  Pass(600);
  auto good = ComeGood();
  EXPECT_TRUE(good->handshaking());
  Pass(399);
  EXPECT_TRUE(good->handshaking());
  Pass(251);
  EXPECT_TRUE(good->open());
  EXPECT_EQ(failed_, 1) << "no more than are wanted";
  EXPECT_TRUE(slow_[0]->peer_ended()) << "the oldest";
  EXPECT_FALSE(slow_[1]->peer_ended());
}

TEST_F(HandshakesTest, WhileNobodyWaitsASlowOneHasAllOfItsTime) {
  Clog(2);
  Pass(4999);
  EXPECT_EQ(failed_, 0);
  Pass(1);
  EXPECT_EQ(failed_, 2);
}

TEST_F(HandshakesTest, AsManySlowOnesAsLikeToKeepAGoodOneWaitingForAFifthOnly) {
  Clog(500);
  auto good = ComeGood();
  EXPECT_TRUE(good->handshaking());
  Pass(1000);
  EXPECT_TRUE(good->open()) << "before those who wait for longer";
}

TEST_F(HandshakesTest, WhoWaitsEndsInTimeToo) {
  options_.timeout = milliseconds(10);
  handshakes_.Set(options_);
  Clog(20);
  Pass(10);
  Pass(1);
  EXPECT_EQ(failed_, 20);
  EXPECT_EQ(Pending(), 0);
}

TEST_F(HandshakesTest, ThePartOfItsTimeThatAClientWasSilentIsGone) {
  auto late = Come();
  Pass(4000);
  Begin(late.get());
  Pass(999);
  EXPECT_EQ(failed_, 0);
  Pass(1);
  EXPECT_EQ(failed_, 1);
}

TEST_F(HandshakesTest, MorePlacesAreUsedAtOnce) {
  Clog(2);
  auto good = ComeGood();
  options_.most = 3;
  handshakes_.Set(options_);
  Settle(&loop_);
  EXPECT_TRUE(good->open());
}

TEST_F(HandshakesTest, WhereClearTextIsWelcomeASilentClientIsReadyAfterItsTime) {
  options_.optional = true;
  handshakes_.Set(options_);
  std::vector<std::unique_ptr<MemoryTransport>> silent;
  for (int i = 0; i < 10; i++) silent.push_back(Come());
  EXPECT_TRUE(ComeGood()->open()) << "though so many rest in a pool";
  auto clear = Come();
  clear->Send("clear text");
  Settle(&loop_);
  EXPECT_EQ(ready_.size(), 2u);
  Pass(5000);
  EXPECT_EQ(ready_.size(), 12u);
  EXPECT_EQ(failed_, 0);
  EXPECT_FALSE(silent[0]->peer_ended());
}

TEST_F(HandshakesTest, WhereBothAreWelcomeTheFirstBytesTell) {
  options_.optional = true;
  handshakes_.Set(options_);
  for (const std::string& first :
       {std::string("\0\0\0\x04ping", 8), std::string("\x80\x01\x00\x01", 4), std::string("GET /"),
        std::string("\x16\x04"), std::string("\x15\x03\x01")}) {
    ready_.clear();
    auto client = Come();
    client->Send(first);
    Settle(&loop_);
    ASSERT_EQ(ready_.size(), 1u) << first;
    EXPECT_EQ(unread_, first);
    EXPECT_EQ(scope_->counter("handshakes")->value(), 0u);
  }
  ready_.clear();
  unread_.clear();
  auto [near, far] = MemoryTransport::Pair(&loop_);
  far->set_max_read(1);  // byte by byte
  handshakes_.Begin(std::move(far));
  auto client = tls::TlsTransport::Client(&loop_, std::move(near), client_, nullptr);
  Settle(&loop_);
  EXPECT_EQ(ready_.size(), 1u);
  EXPECT_TRUE(ready_[0]->peer().secure);
  EXPECT_EQ(scope_->counter("handshakes")->value(), 1u);
}

TEST_F(HandshakesTest, OneByteOfTlsAndSilenceIsClearTextToo) {
  options_.optional = true;
  handshakes_.Set(options_);
  auto client = Come();
  client->Send("\x16");
  Settle(&loop_);
  EXPECT_EQ(ready_.size(), 0u);
  Pass(5000);
  ASSERT_EQ(ready_.size(), 1u);
  EXPECT_EQ(unread_, "\x16");
}

TEST_F(HandshakesTest, ClearTextNeedsNoPlaceAmongHandshakes) {
  options_.optional = true;
  handshakes_.Set(options_);
  Clog(2);
  auto client = Come();
  client->Send("clear text");
  Settle(&loop_);
  EXPECT_EQ(ready_.size(), 1u);
  auto ended = Come();
  ended->ShutdownWrite();
  Settle(&loop_);
  EXPECT_EQ(ready_.size(), 2u) << "its reader sees the end";
}

TEST_F(HandshakesTest, WhoLeavesBeforeItBeganIsCounted) {
  Come();
  Settle(&loop_);
  EXPECT_EQ(failed_, 1);
  EXPECT_EQ(Pending(), 0);
}

TEST_F(HandshakesTest, GivingUpInTheTurnInWhichOneFailedEndsItOnce) {
  // In some turn of these the failure is known and not told yet.
  for (int turns = 0; turns < 8; turns++) {
    failed_ = 0;
    auto client = Come();
    client->Send("no TLS at all");
    for (int i = 0; i < turns; i++) loop_.Poll();
    loop_.Post([this] { handshakes_.GiveUp(); });
    Settle(&loop_);
    EXPECT_EQ(failed_, 1);
    EXPECT_EQ(Pending(), 0);
  }
}

TEST_F(HandshakesTest, GivingUpEndsAllOfThem) {
  auto silent = Come();
  Clog(3);
  handshakes_.GiveUp();
  Settle(&loop_);
  EXPECT_EQ(failed_, 4);
  EXPECT_TRUE(silent->peer_ended());
  for (const auto& slow : slow_) EXPECT_TRUE(slow->peer_ended());
}

TEST_F(HandshakesTest, AHealthCheckIsNoFailure) {
  Come()->Close(false);
  Settle(&loop_);
  EXPECT_EQ(failed_, 1) << "its connection is over";
  EXPECT_EQ(Failures(), 0u);
  EXPECT_EQ(scope_->counter("gone")->value(), 1u);
}

TEST_F(HandshakesTest, OneThatAgreedOnTlsIsToldWhoAskedForIt) {
  auto secure = [this](std::unique_ptr<MemoryTransport> end, std::vector<int>* told) {
    handshakes_.Secure(std::move(end), {},
                       [told](std::unique_ptr<net::Transport> transport, base::Buffer) {
                         told->push_back(transport ? 1 : 0);
                       });
  };
  std::vector<int> good, bad;
  auto [near, far] = MemoryTransport::Pair(&loop_);
  secure(std::move(far), &good);
  auto client = tls::TlsTransport::Client(&loop_, std::move(near), client_, nullptr);
  Settle(&loop_);
  EXPECT_EQ(good, std::vector<int>{1});
  auto [other, end] = MemoryTransport::Pair(&loop_);
  secure(std::move(end), &bad);
  other->Send("what is not TLS");
  Settle(&loop_);
  EXPECT_EQ(bad, std::vector<int>{0});
  EXPECT_EQ(Failures(), 1u);
  EXPECT_TRUE(ready_.empty()) << "these are for fresh ones";
  EXPECT_EQ(failed_, 0);
}

TEST_F(HandshakesTest, WhatWasReadBehindTheAgreementIsTls) {
  std::vector<int> told;
  auto [near, far] = MemoryTransport::Pair(&loop_);
  handshakes_.Secure(std::move(far), base::Buffer::Copy("smuggled"),
                     [&told](std::unique_ptr<net::Transport> transport, base::Buffer) {
                       told.push_back(transport ? 1 : 0);
                     });
  Settle(&loop_);
  EXPECT_EQ(told, std::vector<int>{0}) << "though nothing else came";
  EXPECT_TRUE(near->peer_ended());
}

}  // namespace
}  // namespace trestle::router
