// Who is let in and whom we trust, and what is said of all others.
#include <gtest/gtest.h>

#include <string>

#include "tests/tls/pair_fixture.h"
#include "tests/tls/raw_peer.h"

namespace trestle::tls {
namespace {

class VerifyTest : public PairTest {
 protected:
  void Serve(const std::string& certificate, bool by_intermediate = true) {
    server_options_.certificates = {Certs::Pair(certificate, by_intermediate)};
  }
  // The client's reason, and what the server heard of it.
  std::string WhyNot() {
    Forget();
    Open();
    EXPECT_FALSE(client_.tls->open());
    EXPECT_EQ(client_.owner.gone, 1);
    return client_.tls->why();
  }
  bool Works() {
    Forget();
    Open();
    client_.Write("x");
    Settle(&loop_);
    return server_.owner.got == "x";
  }
  void RequireClientAuth() {
    server_options_.require_client_auth = true;
    server_options_.ca_cert_path = Certs::Pem("ca");
  }
  // What the server says of a client with that certificate.
  std::string ServersWhyNot(const std::string& certificate) {
    Forget();
    if (certificate.empty()) {
      client_options_.client_auth.reset();
    } else {
      client_options_.client_auth = Certs::Pair(certificate, false);
    }
    Open();
    EXPECT_FALSE(server_.tls->open());
    EXPECT_EQ(server_.owner.gone, 1);
    EXPECT_EQ(client_.owner.gone, 1);
    return server_.tls->why();
  }
  std::string IdentityOf(const std::string& certificate) {
    Forget();
    client_options_.client_auth = Certs::Pair(certificate, false);
    OpenWell();
    return server_.tls->peer().identity;
  }
};

// --- servers ---

TEST_F(VerifyTest, NamesAndAddressesAmongTheSansCount) {
  for (const char* name : {"a.example", "A.Example", "127.0.0.1", "::1"}) {
    client_options_.common_name = name;
    EXPECT_TRUE(Works()) << name;
    EXPECT_EQ(client_.tls->peer().identity, "a.example");
  }
}

TEST_F(VerifyTest, AWildcardStandsForOneLabel) {
  Serve("wild");
  client_options_.common_name = "x.wild.example";
  EXPECT_TRUE(Works());
  client_options_.common_name = "x.y.wild.example";
  EXPECT_EQ(WhyNot(), "the certificate is for *.wild.example, not x.y.wild.example");
  client_options_.common_name = "wild.example";
  EXPECT_EQ(WhyNot(), "the certificate is for *.wild.example, not wild.example");
}

TEST_F(VerifyTest, AnotherNameIsToldWithBoth) {
  client_options_.common_name = "b.example";
  EXPECT_EQ(WhyNot(), "the certificate is for a.example, 127.0.0.1, ::1, not b.example");
  EXPECT_EQ(server_.tls->why(), "the peer says that our certificate is bad");
  client_options_.common_name = "10.1.1.1";
  EXPECT_EQ(WhyNot(), "the certificate is for a.example, 127.0.0.1, ::1, not 10.1.1.1");
}

TEST_F(VerifyTest, TheCommonNameCountsOnlyWhereItIsAllowed) {
  Serve("cn_only");
  client_options_.common_name = "cn.example";
  EXPECT_EQ(WhyNot(),
            "the certificate is for common name cn.example (it has no SAN), not cn.example");
  client_options_.allow_common_name = true;
  EXPECT_TRUE(Works());
  client_options_.common_name = "other.example";
  EXPECT_EQ(WhyNot(),
            "the certificate is for common name cn.example (it has no SAN), not other.example");
  Serve("wild");
  client_options_.common_name = "wild";
  EXPECT_EQ(WhyNot(), "the certificate is for *.wild.example, not wild");
}

TEST_F(VerifyTest, AStrangersCertificateIsToldWithItsIssuer) {
  Serve("stranger", false);
  EXPECT_EQ(WhyNot(), "signed by an unknown authority: CN=Stranger Root");
  EXPECT_EQ(server_.tls->why(), "the peer does not know who signed our certificate");
}

TEST_F(VerifyTest, AMissingIntermediateIsToldAsTheIssuer) {
  Serve("a", false);
  EXPECT_EQ(WhyNot(), "signed by an unknown authority: CN=Test Intermediate");
}

TEST_F(VerifyTest, AnIntermediateOrAServerMayBeTrustedByItself) {
  Serve("a", false);
  client_options_.trust_certs = {Certs::Pem("intermediate")};
  EXPECT_TRUE(Works());
  client_options_.trust_certs = {Certs::Pem("stranger_ca"), Certs::Pem("a")};
  EXPECT_TRUE(Works());
}

TEST_F(VerifyTest, WithoutValidationAllIsTakenAndNobodyIsKnown) {
  Serve("stranger", false);
  client_options_.disable_validation = true;
  for (const char* name : {"", "b.example"}) {
    client_options_.common_name = name;
    EXPECT_TRUE(Works());
    EXPECT_EQ(client_.tls->peer().identity, "");
  }
}

// A server of ours would not load it.
TEST_F(VerifyTest, ACertificateOutOfItsTimeIsToldWithTheDate) {
  for (const auto& [name, why] :
       {std::pair("expired", "certificate expired on 2020-01-02 03:04:05 UTC"),
        std::pair("early", "certificate is not valid before 2049-01-02 03:04:05 UTC")}) {
    auto [near, far] = MemoryTransport::Pair(&loop_);
    RawPeer raw(true, std::move(far));
    SSL_CTX_use_certificate_file(raw.context.get(), Certs::Pem(name).c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(raw.context.get(), Certs::KeyOf(name).c_str(), SSL_FILETYPE_PEM);
    raw.Begin(true);
    auto client = TlsTransport::Client(&loop_, std::move(near), Load(client_options_), nullptr);
    Converse(&raw, &loop_);
    EXPECT_EQ(client->why(), why);
  }
}

TEST_F(VerifyTest, AClientWithoutANameToVerifyDoesNotBegin) {
  client_context_ = Load(client_options_)->WithName("");
  Begin();
  EXPECT_EQ(client_.tls->why(), "there is no name to verify the server's certificate by");
  EXPECT_EQ(server_.inner->TakeAll(), "");
  Settle(&loop_);
  EXPECT_EQ(client_.owner.gone, 1);
}

// --- clients ---

TEST_F(VerifyTest, ARequiredClientIsKnownByUriThenDnsThenCommonName) {
  RequireClientAuth();
  EXPECT_EQ(IdentityOf("client_uri"), "spiffe://example/client");
  EXPECT_EQ(IdentityOf("client_dns"), "client.example");
  EXPECT_EQ(IdentityOf("client_cn"), "a client");
}

TEST_F(VerifyTest, AClientThatIsNotAskedIsNotKnown) { EXPECT_EQ(IdentityOf("client_uri"), ""); }

TEST_F(VerifyTest, ClientsThatAreNotLetInAreToldWhy) {
  RequireClientAuth();
  EXPECT_EQ(ServersWhyNot(""), "the client has no certificate");
  EXPECT_EQ(client_.tls->why(), "the peer wants a certificate of ours");
  EXPECT_EQ(ServersWhyNot("client_stranger"), "signed by an unknown authority: CN=Stranger Root");
  EXPECT_EQ(client_.tls->why(), "the peer does not know who signed our certificate");
}

TEST_F(VerifyTest, NamesThatTryToPassForOthersAreNobodys) {
  RequireClientAuth();
  for (const char* name : {"client_nul", "client_line", "client_cn_uri"}) {
    EXPECT_EQ(IdentityOf(name), "") << name;
  }
}

TEST_F(VerifyTest, CertificatesForTheOtherSideAreNotLoaded) {
  ClientOptions client;
  client.disable_validation = true;
  client.client_auth = Certs::Pair("direct", false);
  EXPECT_EQ(ClientContext::Load(client).status().message(),
            Certs::Pem("direct") +
                ": the certificate is not for clients, as its extendedKeyUsage "
                "or keyUsage says");
  ServerOptions server;
  server.certificates = {Certs::Pair("client_dns", false)};
  EXPECT_EQ(ServerContext::Load(server).status().message(),
            Certs::Pem("client_dns") +
                ": the certificate is not for servers, as its "
                "extendedKeyUsage or keyUsage says");
}

TEST_F(VerifyTest, ANameThatBeginsWithADotIsNoName) {
  client_context_ = Load(client_options_)->WithName(".example");
  Begin();
  EXPECT_EQ(client_.tls->why(), "there is no name to verify the server's certificate by");
}

TEST_F(VerifyTest, AnAddressOfOneByteIsShownAsWhatItIs) {
  server_options_.certificates = {Certs::Pair("short_ip")};
  EXPECT_EQ(WhyNot(), "the certificate is for ?, not a.example");
}

TEST_F(VerifyTest, ClientsThatAreNotLetInAreToldWhyWithTls12) {
  RequireClientAuth();
  client_options_.protocols = {"TLSv1.2"};
  EXPECT_EQ(ServersWhyNot(""), "the client has no certificate");
  EXPECT_EQ(client_.tls->why(),
            "the peer refuses the handshake: no common cipher, or it wants a certificate of ours");
  EXPECT_EQ(ServersWhyNot("client_stranger"), "signed by an unknown authority: CN=Stranger Root");
}

// --- names that clients ask for ---

TEST_F(VerifyTest, TheServersCertificateIsChosenByTheNameAskedFor) {
  server_options_.certificates = {Certs::Pair("a"), Certs::Pair("b"), Certs::Pair("wild"),
                                  Certs::Pair("rsa"), Certs::Pair("cn_only")};
  client_options_.allow_common_name = true;
  for (const char* name : {"a.example", "b.example", "also-b.example", "B.Example",
                           "any.wild.example", "rsa.example", "cn.example"}) {
    client_options_.common_name = name;
    EXPECT_TRUE(Works()) << name << ": " << client_.tls->why();
  }
  client_options_.common_name = "127.0.0.1";  // no name is asked for: the first
  EXPECT_TRUE(Works());
  for (const char* name : {"c.example", "two.labels.wild.example"}) {
    client_options_.common_name = name;
    EXPECT_EQ(WhyNot(),
              "the certificate is for a.example, 127.0.0.1, ::1, not " + std::string(name));
  }
}

TEST_F(VerifyTest, AClientIsRequiredWhateverNameItAsksFor) {
  RequireClientAuth();
  server_options_.certificates = {Certs::Pair("a"), Certs::Pair("b")};
  client_options_.common_name = "b.example";
  EXPECT_EQ(IdentityOf("client_dns"), "client.example");
  EXPECT_EQ(ServersWhyNot("client_stranger"), "signed by an unknown authority: CN=Stranger Root");
}

// --- versions ---

TEST_F(VerifyTest, WithoutACommonVersionBothSaySo) {
  server_options_.protocols = {"TLSv1.3"};
  client_options_.protocols = {"TLSv1.2"};
  EXPECT_EQ(WhyNot(), "no common protocol version, says the peer");
  EXPECT_EQ(server_.tls->why(), "no common protocol version");
  server_options_.protocols = {"TLSv1.2"};
  client_options_.protocols = {"TLSv1.3"};
  EXPECT_EQ(WhyNot(), "no common protocol version, says the peer");
  EXPECT_EQ(server_.tls->why(), "no common protocol version");
}

TEST_F(VerifyTest, OldVersionsAreSpokenOnlyWhereTheyAreNamed) {
  client_options_.protocols = {"TLSv1.1"};
  EXPECT_EQ(WhyNot(), "no common protocol version, says the peer");
  server_options_.protocols = {"TLSv1", "TLSv1.1", "TLSv1.3"};
  EXPECT_TRUE(Works());
  EXPECT_EQ(client_.tls->version(), "TLSv1.1");
  client_options_.protocols = {"TLSv1.2"};
  EXPECT_FALSE(Works()) << "what is not named between two others is not spoken";
}

}  // namespace
}  // namespace trestle::tls
