// Accepting and TlsConnector: connections until they are ready, in bounded time.
#include "tls/handshake.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>

#include "tests/support/fake_connector.h"
#include "tests/tls/pair_fixture.h"
#include "tests/tls/raw_peer.h"
#include "tls/tls_connector.h"

namespace trestle::tls {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Result = base::Result<std::unique_ptr<net::Transport>>;

class AcceptingTest : public PairTest {
 protected:
  void Accept() {
    auto [near, far] = MemoryTransport::Pair(&loop_);
    far->set_peer({*net::Address::Parse("10.0.0.2", 40000), {}});
    server_.inner = far.get();
    near_ = std::move(near);
    accepting_ = std::make_unique<Accepting>(&loop_, std::move(far), Load(server_options_),
                                             seconds(5), [this](Result r) {
                                               told_++;
                                               result_ = std::move(r);
                                               loop_.DeleteLater(std::move(accepting_));
                                             });
    EXPECT_EQ(told_, 0) << "told from within the call";
  }
  void Connect() {
    auto client = TlsTransport::Client(&loop_, std::move(near_), Load(client_options_), nullptr);
    client_.tls = client.get();
    Own(&client_, std::move(client));
  }
  std::string Error() {
    EXPECT_EQ(told_, 1);
    return result_ && !result_->ok() ? result_->status().ToString() : "none";
  }
  // What was given becomes a Connection.
  void Take() {
    ASSERT_TRUE(result_ && result_->ok());
    server_.owner = RecordingOwner();
    server_.connection =
        std::make_unique<net::Connection>(&loop_, std::move(**result_), &server_.owner);
    server_.connection->Start();
  }

  std::unique_ptr<MemoryTransport> near_;
  std::unique_ptr<Accepting> accepting_;
  std::optional<Result> result_;
  int told_ = 0;
};

TEST_F(AcceptingTest, AReadyTransportIsGivenOnce) {
  Accept();
  Connect();
  client_.Write("before it was taken");
  Settle(&loop_);
  EXPECT_EQ(told_, 1);
  ASSERT_TRUE(result_->ok());
  Take();
  client_.Write(", and after");
  Settle(&loop_);
  EXPECT_EQ(server_.owner.got, "before it was taken, and after");
  clock_.Advance(seconds(10));
  Settle(&loop_);
  EXPECT_EQ(told_, 1);
}

TEST_F(AcceptingTest, ItMayBeTakenInsideTheCallback) {
  auto [near, far] = MemoryTransport::Pair(&loop_);
  near_ = std::move(near);
  Accepting accepting(&loop_, std::move(far), Load(server_options_), seconds(5), [this](Result r) {
    result_ = std::move(r);
    Take();
  });
  Connect();
  client_.Write("hello");
  Settle(&loop_);
  EXPECT_EQ(server_.owner.got, "hello");
}

TEST_F(AcceptingTest, ItMayBeDroppedInsideTheCallback) {
  auto [near, far] = MemoryTransport::Pair(&loop_);
  near_ = std::move(near);
  Accepting accepting(&loop_, std::move(far), Load(server_options_), seconds(5),
                      [this](Result) { told_++; });
  Connect();
  Settle(&loop_);
  EXPECT_EQ(told_, 1);
  EXPECT_EQ(client_.owner.ends, 1);
}

TEST_F(AcceptingTest, AClientThatHangsInMidHandshakeIsGivenUpInTime) {
  Accept();
  near_->Send(std::string("\x16\x03\x01\x02", 4));
  Settle(&loop_);
  clock_.Advance(milliseconds(4999));
  Settle(&loop_);
  EXPECT_EQ(told_, 0);
  clock_.Advance(milliseconds(1));
  Settle(&loop_);
  EXPECT_EQ(Error(), "timeout: the TLS handshake with 10.0.0.2:40000 took longer than 5000 ms");
  EXPECT_TRUE(near_->peer_ended());
}

TEST_F(AcceptingTest, AFailureHasItsReason) {
  Accept();
  near_->Send(std::string("\x80\x01\x00\x01\x00\x00\x00\x04ping", 12));
  Settle(&loop_);
  EXPECT_EQ(Error(),
            "closed: the TLS handshake with 10.0.0.2:40000 failed: the peer does not speak TLS "
            "(it sent 0x8001000100)");
  EXPECT_TRUE(near_->peer_ended());
}

TEST_F(AcceptingTest, AClientThatLeavesAtOnceIsTold) {
  Accept();
  near_->Close(false);
  Settle(&loop_);
  EXPECT_EQ(
      Error(),
      "cancelled: the TLS handshake with 10.0.0.2:40000 failed: the peer closed the connection "
      "before the handshake");
}

TEST_F(AcceptingTest, GivingUpClosesAndTellsNothing) {
  Accept();
  Settle(&loop_);
  accepting_.reset();
  Settle(&loop_);
  EXPECT_EQ(told_, 0);
  EXPECT_TRUE(near_->peer_ended());
}

// --- connecting ---

class TlsConnectorTest : public PairTest {
 protected:
  TlsConnectorTest() {
    auto inner = std::make_unique<tests::FakeConnector>(&loop_);
    fake_ = inner.get();
    connector_ =
        std::make_unique<TlsConnector>(&loop_, std::move(inner), Load(client_options_), &sessions_);
  }
  void Connect(base::Duration timeout = seconds(3)) {
    result_.reset();
    attempt_ = connector_->Connect(to_, timeout, [this](auto r) {
      told_++;
      result_ = std::move(r);
      loop_.DeleteLater(std::move(attempt_));
    });
    EXPECT_FALSE(result_);
  }
  // Our server at the far end of the newest connection.
  void Serve() {
    Settle(&loop_);
    auto server =
        TlsTransport::Server(&loop_, std::move(fake_->to(to_.Show())->end), Load(server_options_));
    server_.tls = server.get();
    Own(&server_, std::move(server));
    Settle(&loop_);
  }
  std::string Error() { return result_ && !result_->ok() ? result_->status().ToString() : "none"; }

  const net::Address to_ = *net::Address::Parse("10.0.0.1", 443);
  tests::FakeConnector* fake_ = nullptr;
  std::unique_ptr<TlsConnector> connector_;
  std::unique_ptr<net::Connector::Attempt> attempt_;
  std::optional<base::Result<std::unique_ptr<net::Transport>>> result_;
  int told_ = 0;
};

TEST_F(TlsConnectorTest, AVerifiedTransportIsGiven) {
  Connect();
  Serve();
  ASSERT_TRUE(result_ && result_->ok()) << Error();
  Own(&client_, std::move(**result_));
  EXPECT_EQ(client_.connection->peer().identity, "a.example");
  EXPECT_EQ(client_.connection->peer().address.Show(), "10.0.0.1:443");
  client_.Write("hello");
  Settle(&loop_);
  EXPECT_EQ(server_.owner.got, "hello");
  EXPECT_EQ(told_, 1);
}

TEST_F(TlsConnectorTest, TheNextConnectionIsResumed) {
  for (const bool resumed : {false, true, true}) {
    Connect();
    Serve();
    ASSERT_TRUE(result_ && result_->ok()) << Error();
    EXPECT_EQ(dynamic_cast<TlsTransport&>(***result_).resumed(), resumed);
    Own(&client_, std::move(**result_));
    Settle(&loop_);
    End2();
  }
}

TEST_F(TlsConnectorTest, WhatTheInnerConnectorSaysIsHandedOn) {
  fake_->refuse_all = true;
  Connect();
  Settle(&loop_);
  EXPECT_EQ(Error(), "unavailable: cannot connect to 10.0.0.1:443: refused");
  fake_->refused_as = base::Code::kInternal;
  Connect();
  Settle(&loop_);
  EXPECT_EQ(result_->status().code(), base::Code::kInternal);
  EXPECT_EQ(fake_->last_timeout, base::Duration(seconds(3)));
}

TEST_F(TlsConnectorTest, AServerThatIsNotTheOneIsUnavailable) {
  server_options_.certificates = {Certs::Pair("b")};
  Connect();
  Serve();
  EXPECT_EQ(Error(),
            "unavailable: no TLS connection to 10.0.0.1:443: the certificate is for b.example, "
            "also-b.example, not a.example");
  EXPECT_EQ(told_, 1);
}

TEST_F(TlsConnectorTest, AServerThatSpeaksNoTlsIsUnavailable) {
  Connect();
  Settle(&loop_);
  fake_->to(to_.Show())->end->Send("HTTP/1.1 400 Bad Request");
  Settle(&loop_);
  EXPECT_EQ(Error(),
            "unavailable: no TLS connection to 10.0.0.1:443: the peer does not speak TLS (it sent "
            "\"HTTP/\")");
  EXPECT_TRUE(fake_->to(to_.Show())->end->peer_ended());
}

TEST_F(TlsConnectorTest, AServerThatClosesIsUnavailable) {
  Connect();
  Settle(&loop_);
  fake_->to(to_.Show())->end->Close(false);
  Settle(&loop_);
  EXPECT_EQ(Error(),
            "unavailable: no TLS connection to 10.0.0.1:443: the peer closed the connection "
            "before the handshake");
}

TEST_F(TlsConnectorTest, TheTimeIsForAllOfIt) {
  fake_->hold = true;
  Connect(seconds(3));
  clock_.Advance(seconds(2));
  Settle(&loop_);
  fake_->Go();
  Settle(&loop_);
  EXPECT_FALSE(result_);
  clock_.Advance(milliseconds(999));
  Settle(&loop_);
  EXPECT_FALSE(result_);
  clock_.Advance(milliseconds(1));
  Settle(&loop_);
  EXPECT_EQ(Error(), "timeout: no TLS handshake with 10.0.0.1:443 within 3000 ms");
  EXPECT_TRUE(fake_->to(to_.Show())->end->peer_ended());
}

TEST_F(TlsConnectorTest, ADroppedAttemptTellsNothingAndCloses) {
  Connect();
  Settle(&loop_);
  attempt_.reset();
  Settle(&loop_);
  EXPECT_EQ(told_, 0);
  EXPECT_TRUE(fake_->to(to_.Show())->end->peer_ended());
}

}  // namespace
}  // namespace trestle::tls
