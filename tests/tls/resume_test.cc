// Sessions that are resumed: at other workers, after reloads, and not for longer than they should.
#include <gtest/gtest.h>

#include <string>

#include "tests/tls/pair_fixture.h"

namespace trestle::tls {
namespace {

class ResumeTest : public PairTest, public testing::WithParamInterface<const char*> {
 protected:
  ResumeTest() { client_options_.protocols = {GetParam()}; }
  bool Resumed() {
    OpenWell();
    if (!client_.tls || !client_.tls->open()) return false;
    const bool resumed = client_.tls->resumed();
    EXPECT_EQ(resumed, server_.tls->resumed());
    client_.Write("x");
    Settle(&loop_);
    EXPECT_EQ(server_.owner.got, "x");
    End2();
    return resumed;
  }
  bool TLS13() const { return std::string(GetParam()) == "TLSv1.3"; }
};
INSTANTIATE_TEST_SUITE_P(Versions, ResumeTest, testing::Values("TLSv1.2", "TLSv1.3"),
                         [](const auto& version) {
                           return version.param == std::string("TLSv1.2") ? "Tls12" : "Tls13";
                         });

TEST_P(ResumeTest, TheSecondConnectionIsResumed) {
  EXPECT_FALSE(Resumed());
  EXPECT_EQ(sessions_.size(), 1u);
  for (int i = 0; i < 3; i++) EXPECT_TRUE(Resumed());
  EXPECT_EQ(sessions_.size(), 1u);
}

TEST_P(ResumeTest, AfterAReloadThatKeepsTheKeysToo) {
  EXPECT_FALSE(Resumed());
  server_options_.certificates = {Certs::Pair("a"), Certs::Pair("b")};
  server_context_ = Load(server_options_);
  EXPECT_TRUE(Resumed());
}

TEST_P(ResumeTest, NotAfterOneWithOtherKeys) {
  EXPECT_FALSE(Resumed());
  server_options_.tickets = std::make_shared<TicketKeys>(&clock_);
  server_context_ = Load(server_options_);
  EXPECT_FALSE(Resumed());
  EXPECT_TRUE(Resumed());
}

TEST_P(ResumeTest, WithoutTicketsNothingIsResumed) {
  server_options_.tickets = nullptr;
  EXPECT_FALSE(Resumed());
  EXPECT_FALSE(Resumed());
}

TEST_P(ResumeTest, OldKeysStillOpenForATimeAndTheTicketIsReplaced) {
  EXPECT_FALSE(Resumed());
  clock_.Advance(std::chrono::hours(13));
  EXPECT_TRUE(Resumed());  // under the old key; a ticket under the fresh one came
  clock_.Advance(std::chrono::hours(12));
  EXPECT_TRUE(Resumed());
  clock_.Advance(std::chrono::hours(25));
  EXPECT_FALSE(Resumed());
}

TEST_P(ResumeTest, AnotherContextOrNameOrEndpointStartsAnew) {
  server_options_.certificates = {Certs::Pair("a"), Certs::Pair("b")};
  EXPECT_FALSE(Resumed());
  const auto first = client_context_;
  client_context_ = Load(client_options_);
  EXPECT_FALSE(Resumed()) << "the rules may be others";
  client_context_ = first->WithName("b.example");
  EXPECT_FALSE(Resumed());
  EXPECT_TRUE(Resumed());
  client_context_ = first;
  EXPECT_TRUE(Resumed());
}

TEST_P(ResumeTest, AResumedClientIsStillKnown) {
  server_options_.require_client_auth = true;
  server_options_.ca_cert_path = Certs::Pem("ca");
  client_options_.client_auth = Certs::Pair("client_uri", false);
  EXPECT_FALSE(Resumed());
  OpenWell();
  EXPECT_TRUE(server_.tls->resumed());
  EXPECT_EQ(server_.tls->peer().identity, "spiffe://example/client");
  EXPECT_EQ(client_.tls->peer().identity, "a.example");
}

TEST_P(ResumeTest, TicketsOfOtherRulesAreNotTaken) {
  client_options_.client_auth = Certs::Pair("client_uri", false);
  EXPECT_FALSE(Resumed());
  server_options_.require_client_auth = true;
  server_options_.ca_cert_path = Certs::Pem("ca");
  server_context_ = Load(server_options_);
  EXPECT_FALSE(Resumed()) << "nobody asked who it is when the ticket was made";
  OpenWell();
  EXPECT_EQ(server_.tls->peer().identity, "spiffe://example/client");
  End2();
  server_options_.ca_cert_path = Certs::Pem("stranger_ca");
  server_context_ = Load(server_options_);
  Open();
  EXPECT_FALSE(server_.tls->open()) << "who signed it is not trusted any more";
}

TEST_P(ResumeTest, TheTableIsBounded) {
  ClientSessions few(2);
  client_context_ = Load(client_options_);
  auto connect = [&](const char* ip) {
    server_context_ = Load(server_options_);
    auto [near, far] = MemoryTransport::Pair(&loop_);
    near->set_peer({*net::Address::Parse(ip, 1), {}});
    auto server = TlsTransport::Server(&loop_, std::move(far), server_context_);
    auto client = TlsTransport::Client(&loop_, std::move(near), client_context_, &few);
    Settle(&loop_);
    char some[10];
    EXPECT_EQ(client->Read(some, sizeof some).kind, Kind::kAgain);  // a ticket
    return client->resumed();
  };
  EXPECT_FALSE(connect("10.0.0.1"));
  EXPECT_FALSE(connect("10.0.0.2"));
  EXPECT_TRUE(connect("10.0.0.1"));
  EXPECT_FALSE(connect("10.0.0.3"));  // 10.0.0.2 was not used for longest
  EXPECT_EQ(few.size(), 2u);
  EXPECT_TRUE(connect("10.0.0.1"));
  EXPECT_FALSE(connect("10.0.0.2"));
}

}  // namespace
}  // namespace trestle::tls
