// When changed certificates are told, and what is shown of those in use.
#include "router/tls_watch.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "tests/tls/certs.h"

namespace trestle::router {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using std::chrono::milliseconds;
using tls::Certs;

class TlsWatchTest : public testing::Test {
 protected:
  TlsWatchTest() {
    std::string name = testing::TempDir() + "tls_watch_XXXXXX";
    dir_ = mkdtemp(name.data());
    Install();
    clock_.Advance(hours(24) * 365 * 50);  // certificates are valid from 2020 on
  }
  ~TlsWatchTest() override { fs::remove_all(dir_); }

  void Install() {
    fs::create_directories(dir_ + "/live");
    for (const char* name : {"a", "b"}) {
      fs::copy_file(Certs::Pem(name), dir_ + "/live/" + name + ".pem");
      fs::copy_file(Certs::KeyOf(name), dir_ + "/live/" + name + ".key");
    }
  }
  // A server with these certificates of the live folder.
  std::shared_ptr<const TlsContexts> Load(const std::vector<std::string>& names) {
    auto config = std::make_shared<conf::Config>();
    config->routers.emplace_back().servers.emplace_back().tls.emplace();
    for (const std::string& name : names) {
      conf::CertificateConfig& one = config->routers[0].servers[0].tls->certificates.emplace_back();
      one.cert_path.value = Path(name + ".pem");
      one.key_path.value = Path(name + ".key");
    }
    std::vector<conf::Problem> problems;
    auto contexts = TlsContexts::Load(*config, "f", state_, nullptr, &problems);
    EXPECT_TRUE(problems.empty());
    return contexts;
  }
  std::string Path(const std::string& name) const { return dir_ + "/live/" + name; }
  void Write(const std::string& name) {
    std::ofstream(Path(name)) << "x";
    Settle();
  }
  void Pass(base::Duration time) {
    clock_.Advance(time);
    Settle();
  }
  void Settle() {
    for (int i = 0; i < 1000 && loop_.Poll(); i++) {
    }
  }
  int64_t DaysLeft(const std::string& name) {
    return scope_->Labelled("certificate", Path(name))
        ->gauge("days_left", base::Merge::kMost)
        ->value();
  }

  base::FakeClock clock_;
  net::EventLoop loop_{&clock_};
  base::Metrics metrics_;
  base::Scope* scope_ = metrics_.NewTable()->root()->Child("tls");
  TlsState state_{&clock_};
  std::string dir_;
  int changes_ = 0;
  TlsWatch watch_{&loop_, scope_, [this] { changes_++; }};
};

TEST_F(TlsWatchTest, ChangesOfOneMomentAreToldOnceBehindTheLast) {
  watch_.Watch(Load({"a"}));
  Write("a.pem");
  Pass(milliseconds(200));
  Write("a.key");
  Pass(milliseconds(299));
  EXPECT_EQ(changes_, 0);
  Pass(milliseconds(1));
  EXPECT_EQ(changes_, 1);
  Pass(hours(1));
  EXPECT_EQ(changes_, 1);
}

TEST_F(TlsWatchTest, AFolderThatIsWrittenToAllTheTimeHidesNoChange) {
  watch_.Watch(Load({"a"}));
  for (int i = 0; i < 19; i++) {
    Write("log");
    Pass(milliseconds(100));
  }
  EXPECT_EQ(changes_, 0);
  Write("log");
  Pass(milliseconds(100));
  EXPECT_EQ(changes_, 1) << "2 s after the first";
}

TEST_F(TlsWatchTest, AFolderThatIsMadeAnewIsWatchedAgain) {
  watch_.Watch(Load({"a"}));
  fs::remove_all(dir_ + "/live");
  Settle();
  Pass(milliseconds(300));
  const int before = changes_;
  Install();
  Pass(std::chrono::seconds(5));
  Pass(milliseconds(300));
  EXPECT_EQ(changes_, before + 1) << "what is there now was not read";
  Write("a.pem");
  Pass(milliseconds(300));
  EXPECT_EQ(changes_, before + 2);
}

TEST_F(TlsWatchTest, AFolderThatTookAnothersPlaceIsWatchedAtOnce) {
  watch_.Watch(Load({"a"}));
  fs::rename(dir_ + "/live", dir_ + "/old");
  Install();
  Settle();
  Pass(milliseconds(0));
  Pass(milliseconds(300));
  EXPECT_EQ(changes_, 1);
  Write("a.pem");
  Pass(milliseconds(300));
  EXPECT_EQ(changes_, 2);
}

TEST_F(TlsWatchTest, EachCertificateShowsItsDays) {
  watch_.Watch(Load({"a", "b"}));
  const int64_t left = DaysLeft("a.pem");
  EXPECT_GT(left, 9000);
  EXPECT_EQ(DaysLeft("b.pem"), left);
  Pass(hours(24));
  EXPECT_EQ(DaysLeft("b.pem"), left - 1);
  watch_.Watch(Load({"a"}));
  EXPECT_EQ(DaysLeft("a.pem"), left - 1);
  EXPECT_EQ(DaysLeft("b.pem"), 10'000) << "nobody is to be woken for it";
}

}  // namespace
}  // namespace trestle::router
