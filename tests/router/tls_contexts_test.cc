// What is told of files of certificates, and at which key.
#include "router/tls_contexts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/tls/certs.h"

namespace trestle::router {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using tls::Certs;

class TlsContextsTest : public testing::Test {
 protected:
  TlsContextsTest() { config_.routers.emplace_back().servers.emplace_back().tls.emplace(); }
  conf::ServerTlsConfig& tls() { return *config_.routers[0].servers[0].tls; }
  void Add(const std::string& cert, const std::string& key) {
    conf::CertificateConfig& one = tls().certificates.emplace_back();
    const std::string at = "c[" + std::to_string(tls().certificates.size() - 1) + "].";
    one.cert_path = {cert, 1, at + "certPath"};
    one.key_path = {key, 2, at + "keyPath"};
  }
  std::vector<std::string> Problems() {
    std::vector<conf::Problem> problems;
    TlsContexts::Load(config_, "f", state_, nullptr, &problems);
    std::vector<std::string> shown;
    for (const conf::Problem& problem : problems) shown.push_back(problem.Show());
    return shown;
  }

  base::FakeClock clock_;
  TlsState state_{&clock_};
  conf::Config config_;
};

TEST_F(TlsContextsTest, WhatLacksAFileWasToldByWhoReadTheConfiguration) {
  EXPECT_THAT(Problems(), IsEmpty()) << "no certificate";
  Add(Certs::Pem("a"), "");
  EXPECT_THAT(Problems(), IsEmpty());
}

TEST_F(TlsContextsTest, EachProblemIsToldAtTheKeyOfItsFile) {
  Add(Certs::Pem("a"), "/nowhere.key");
  Add("/nowhere.pem", Certs::KeyOf("a"));
  EXPECT_THAT(Problems(),
              ElementsAre("f:2: c[0].keyPath: /nowhere.key: cannot be read: No such file or "
                          "directory",
                          "f:1: c[1].certPath: /nowhere.pem: cannot be read: No such file or "
                          "directory"));
}

TEST_F(TlsContextsTest, ANameThatIsTheEndOfAnotherIsNotTakenForIt) {
  const std::string old = std::filesystem::current_path();
  std::string dir = testing::TempDir() + "tls_contexts_XXXXXX";
  ASSERT_TRUE(mkdtemp(dir.data()));
  std::filesystem::current_path(dir);
  std::filesystem::copy_file(Certs::Pem("a"), "a.pem");
  std::filesystem::copy_file(Certs::KeyOf("a"), "a.key");
  std::ofstream("xa.pem") << "no PEM";
  Add("xa.pem", "a.key");
  Add("a.pem", "a.key");
  EXPECT_THAT(Problems(),
              ElementsAre("f:1: c[0].certPath: xa.pem: there is no PEM certificate in it"));
  std::filesystem::current_path(old);
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace trestle::router
