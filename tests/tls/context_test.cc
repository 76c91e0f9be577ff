// Contexts: what is loaded, and what is said of files that cannot be used.
#include "tls/context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <ctime>
#include <string>

#include "tests/tls/certs.h"

namespace trestle::tls {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string Wrong(const ServerOptions& options) {
  auto context = ServerContext::Load(options);
  EXPECT_FALSE(context.ok());
  EXPECT_EQ(context.status().code(), base::Code::kInvalid);
  return context.status().message();
}
std::string Wrong(const KeyPair& pair) {
  ServerOptions options;
  options.certificates = {pair};
  return Wrong(options);
}
std::string Wrong(const ClientOptions& options) {
  auto context = ClientContext::Load(options);
  EXPECT_FALSE(context.ok());
  return context.status().message();
}
base::WallTime Utc(int year, int month, int day, int hour = 0, int minute = 0, int second = 0) {
  tm t{};
  t.tm_year = year - 1900;
  t.tm_mon = month - 1;
  t.tm_mday = day;
  t.tm_hour = hour;
  t.tm_min = minute;
  t.tm_sec = second;
  return base::WallTime(std::chrono::seconds(timegm(&t)));
}

TEST(ServerContextTest, AllKindsOfKeysAreLoaded) {
  ServerOptions options;
  const std::string rsa = Certs::Pem("rsa");
  options.certificates = {Certs::Pair("a"),
                          Certs::Pair("rsa"),
                          {rsa, Certs::KeyOf("rsa_pkcs1"), {Certs::Pem("intermediate")}},
                          {Certs::Pem("a_chain"), Certs::KeyOf("a"), {}}};
  auto context = ServerContext::Load(options);
  ASSERT_TRUE(context.ok()) << context.status().message();
  EXPECT_EQ((*context)->expires(), std::vector<base::WallTime>(4, Utc(2050, 1, 1)));
}

TEST(ServerContextTest, WithoutCertificatesThereIsNone) {
  EXPECT_EQ(Wrong(ServerOptions()), "a server needs a certificate");
}

TEST(ServerContextTest, FilesThatCannotBeUsedAreNamedWithTheReason) {
  const std::string a = Certs::Pem("a"), key = Certs::KeyOf("a");
  const std::string nowhere = Certs::Dir() + "/nowhere";
  EXPECT_EQ(Wrong(KeyPair{nowhere, key, {}}),
            nowhere + ": cannot be read: No such file or directory");
  EXPECT_EQ(Wrong(KeyPair{a, nowhere, {}}),
            nowhere + ": cannot be read: No such file or directory");
  EXPECT_EQ(Wrong(KeyPair{Certs::Dir(), key, {}}),
            Certs::Dir() + ": cannot be read: it is no regular file");
  const std::string pipe = Certs::Dir() + "/pipe";
  ASSERT_TRUE(mkfifo(pipe.c_str(), 0600) == 0 || errno == EEXIST);
  EXPECT_EQ(Wrong(KeyPair{pipe, key, {}}), pipe + ": cannot be read: it is no regular file")
      << "nobody waits for who might write to it";
  EXPECT_EQ(Wrong(KeyPair{key, key, {}}), key + ": there is no PEM certificate in it");
  EXPECT_EQ(Wrong(KeyPair{Certs::Pem("empty"), key, {}}),
            Certs::Pem("empty") + ": there is no PEM certificate in it");
  EXPECT_THAT(Wrong(KeyPair{Certs::Pem("broken"), key, {}}),
              StartsWith(Certs::Pem("broken") + ": certificate 1 of it cannot be parsed: "));
  EXPECT_EQ(Wrong(KeyPair{a, a, {}}), a + ": there is no PEM private key (PKCS#1, PKCS#8) in it");
  EXPECT_EQ(Wrong(KeyPair{a, Certs::Pem("empty"), {}}),
            Certs::Pem("empty") + ": there is no PEM private key (PKCS#1, PKCS#8) in it");
  EXPECT_EQ(Wrong(KeyPair{a, Certs::KeyOf("other"), {}}),
            Certs::KeyOf("other") + ": the key does not fit the certificate in " + a);
  EXPECT_EQ(Wrong(KeyPair{a, Certs::KeyOf("rsa"), {}}),
            Certs::KeyOf("rsa") + ": the key does not fit the certificate in " + a);
  EXPECT_EQ(Wrong(KeyPair{Certs::Pem("rsa"), Certs::KeyOf("rsa_encrypted"), {}}),
            Certs::KeyOf("rsa_encrypted") +
                ": the key is encrypted; it must be stored without a password");
  EXPECT_EQ(Wrong(KeyPair{Certs::Pem("weak"), Certs::KeyOf("weak"), {}}),
            Certs::Pem("weak") + ": the certificate cannot be used: ee key too small");
}

TEST(ServerContextTest, CertificatesOutOfTheirTimeAreRefusedWithTheDate) {
  EXPECT_EQ(Wrong(Certs::Pair("expired")),
            Certs::Pem("expired") +
                ": the certificate of CN=a.example expired on 2020-01-02 03:04:05 UTC");
  EXPECT_EQ(Wrong(Certs::Pair("early")),
            Certs::Pem("early") +
                ": the certificate of CN=a.example is not valid before 2049-01-02 03:04:05 UTC");
}

TEST(ServerContextTest, ChainsMustLeadFromTheCertificate) {
  KeyPair pair = Certs::Pair("a");
  pair.intermediate_certs_paths = {Certs::Pem("stranger_ca")};
  EXPECT_EQ(Wrong(pair), Certs::Pem("stranger_ca") + ": no certificate in it is the issuer of " +
                             Certs::Pem("a") + " (CN=Test Intermediate)");
  pair.intermediate_certs_paths = {Certs::Pem("broken")};
  EXPECT_THAT(Wrong(pair), StartsWith(Certs::Pem("broken") + ": certificate 1 of it"));
  pair.intermediate_certs_paths = {Certs::Pem("intermediate"), Certs::Pem("empty")};
  EXPECT_EQ(Wrong(pair), Certs::Pem("empty") + ": there is no PEM certificate in it");
}

TEST(ServerContextTest, AllThatIsWrongIsToldAtOnce) {
  ServerOptions options;
  options.certificates = {Certs::Pair("expired"), {Certs::Pem("a"), Certs::KeyOf("other"), {}}};
  const std::string wrong = Wrong(options);
  EXPECT_THAT(wrong, HasSubstr("expired on 2020"));
  EXPECT_THAT(wrong, HasSubstr("; " + Certs::KeyOf("other") + ": the key does not fit"));
}

TEST(ServerContextTest, ACaFileMustHaveCertificates) {
  ServerOptions options;
  options.certificates = {Certs::Pair("a")};
  options.require_client_auth = true;
  options.ca_cert_path = Certs::Pem("empty");
  EXPECT_EQ(Wrong(options), Certs::Pem("empty") + ": there is no PEM certificate in it");
}

TEST(ServerContextTest, ProtocolsMustBeKnown) {
  ServerOptions options;
  options.certificates = {Certs::Pair("a")};
  options.protocols = {"TLSv1.2", "SSLv3"};
  EXPECT_EQ(Wrong(options), "protocol 'SSLv3' is none of TLSv1, TLSv1.1, TLSv1.2, TLSv1.3");
}

TEST(ClientContextTest, ItNeedsANameUnlessNothingIsVerified) {
  ClientOptions options;
  options.trust_certs = {Certs::Pem("ca")};
  EXPECT_THAT(Wrong(options), HasSubstr("there is no common name"));
  options.disable_validation = true;
  EXPECT_TRUE(ClientContext::Load(options).ok());
}

TEST(ClientContextTest, TheSystemsTrustIsTheDefault) {
  ClientOptions options;
  options.common_name = "a.example";
  EXPECT_TRUE(ClientContext::Load(options).ok());
}

TEST(ClientContextTest, AllThatIsWrongIsToldAtOnce) {
  ClientOptions options;
  options.common_name = "a.example";
  options.trust_certs = {Certs::Pem("ca"), Certs::Pem("empty")};
  options.client_auth = Certs::Pair("client_expired", false);
  const std::string wrong = Wrong(options);
  EXPECT_THAT(wrong, HasSubstr(Certs::Pem("empty") + ": there is no PEM certificate in it; "));
  EXPECT_THAT(wrong, HasSubstr("expired on 2020-01-02 03:04:05 UTC"));
}

TEST(ClientContextTest, ItExpiresWithItsOwnCertificate) {
  ClientOptions options;
  options.common_name = "a.example";
  options.trust_certs = {Certs::Pem("ca")};
  EXPECT_FALSE((*ClientContext::Load(options))->expires());
  options.client_auth = Certs::Pair("client_uri", false);
  EXPECT_EQ((*ClientContext::Load(options))->expires(), Utc(2050, 1, 1));
}

TEST(ClientContextTest, AnotherNameSharesTheRest) {
  ClientOptions options;
  options.common_name = "a.example";
  options.trust_certs = {Certs::Pem("ca")};
  auto a = *ClientContext::Load(options);
  auto b = a->WithName("b.example");
  EXPECT_EQ(b->name(), "b.example");
  EXPECT_EQ(b->context(), a->context());
  EXPECT_EQ(b->id(), a->id());
  EXPECT_NE((*ClientContext::Load(options))->id(), a->id());
}

TEST(TicketKeysTest, AFreshKeyIsMadeByTimeAndTheOneBeforeItStillOpens) {
  base::FakeClock clock;
  TicketKeys keys(&clock, std::chrono::hours(12));
  const TicketKey first = keys.Current();
  clock.Advance(std::chrono::hours(12) - std::chrono::seconds(1));
  EXPECT_EQ(keys.Current().name, first.name);
  EXPECT_FALSE(keys.Find(first.name.data())->old);
  clock.Advance(std::chrono::seconds(1));
  const TicketKey second = keys.Current();
  EXPECT_NE(second.name, first.name);
  EXPECT_NE(second.cipher, first.cipher);
  EXPECT_NE(second.mac, first.mac);
  EXPECT_TRUE(keys.Find(first.name.data())->old);
  EXPECT_EQ(keys.Find(first.name.data())->key.mac, first.mac);
  EXPECT_FALSE(keys.Find(second.name.data())->old);
  clock.Advance(std::chrono::hours(12));
  EXPECT_FALSE(keys.Find(first.name.data()));
  EXPECT_TRUE(keys.Find(second.name.data())->old);
  clock.Advance(std::chrono::hours(48));
  EXPECT_FALSE(keys.Find(second.name.data())) << "after a long rest none is left";
}

}  // namespace
}  // namespace trestle::tls
