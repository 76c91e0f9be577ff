// Every example is a file that the router takes, and the files that it names are there.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "conf/options.h"
#include "conf/parse.h"

namespace trestle::conf {
namespace {

namespace fs = std::filesystem;

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::vector<fs::path> Examples() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(fs::path(TRESTLE_SOURCE) / "conf/examples")) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  return files;
}

TEST(ExamplesTest, EachIsReadWithoutAProblemOrAWarning) {
  const auto files = Examples();
  EXPECT_GE(files.size(), 6u);
  for (const fs::path& file : files) {
    const Parsed parsed = Parse(ReadFile(file), file.filename());
    EXPECT_EQ(ShowAll(parsed.problems), "");
    EXPECT_EQ(ShowAll(parsed.warnings), "");
  }
}

// They are started from the top of the checkout; the demo brings a folder of its own.
TEST(ExamplesTest, TheirFoldersAreThere) {
  for (const fs::path& file : Examples()) {
    if (file.filename() == "demo.yaml") continue;
    for (const NamerConfig& namer : Parse(ReadFile(file), file.filename()).config.namers) {
      if (namer.kind != NamerConfig::Kind::kFs) continue;
      EXPECT_TRUE(fs::is_directory(fs::path(TRESTLE_SOURCE) / namer.root_dir.value)) << file;
    }
  }
}

TEST(ExamplesTest, WhatTheCommentsSayIsSo) {
  const auto of = [](const std::string& name) {
    return Parse(ReadFile(fs::path(TRESTLE_SOURCE) / "conf/examples" / name), name).config;
  };
  const ClientConfig client = of("static-clients.yaml").routers.at(0).client;
  const auto options = [&](const std::string& id) {
    return ResolveClient(client, *naming::Path::Parse(id));
  };
  EXPECT_EQ(options("/#/io.l5d.fs/users").load_balancer.kind, BalancerConfig::Kind::kRoundRobin);
  EXPECT_EQ(options("/#/io.l5d.fs/users").host_connection_pool.max_size, 200u);
  EXPECT_EQ(options("/#/io.l5d.fs/v2/search").request_attempt_timeout, Millis(3000));
  EXPECT_FALSE(options("/#/io.l5d.fs/users-v2").verify_seqid);
  EXPECT_EQ(options("/#/io.l5d.fs/users-v2").failure_accrual.kind,
            FailureAccrualConfig::Kind::kNone);
  EXPECT_EQ(of("many-ports.yaml").routers.at(0).servers.at(1).dest->Show(), "/v2/search");
  EXPECT_EQ(of("compact.yaml").routers.at(0).dtab.value.Show(),
            of("compact.yaml").routers.at(1).dtab.value.Show());
}

TEST(ExamplesTest, TheOneAtTheTopOfTheDocs) {
  const std::string page = ReadFile(fs::path(TRESTLE_SOURCE) / "docs/config.md");
  const std::string mark = "```yaml\n";
  const size_t begin = page.find(mark);
  ASSERT_NE(begin, std::string::npos);
  const size_t end = page.find("```", begin + mark.size());
  const Parsed parsed = Parse(page.substr(begin + mark.size(), end - begin - mark.size()), "page");
  EXPECT_EQ(ShowAll(parsed.problems) + ShowAll(parsed.warnings), "");
}

// Each has a row of a table.
TEST(ExamplesTest, TheDocsKnowEveryKey) {
  const std::string page = ReadFile(fs::path(TRESTLE_SOURCE) / "docs/config.md");
  for (const std::string key : {"workers",
                                "dnsRefreshMs",
                                "admin",
                                "namers",
                                "routers",
                                "telemetry",
                                "usage",
                                "shutdownGraceMs",
                                "rootDir",
                                "pattern",
                                "protocol",
                                "label",
                                "dstPrefix",
                                "dtab",
                                "thriftMethodInDst",
                                "thriftProtocol",
                                "bindingTimeoutMs",
                                "bindingCache",
                                "negatives",
                                "localDtabs",
                                "idleTtlSecs",
                                "interpreter",
                                "maxFrameBytes",
                                "experimental",
                                "maxConcurrentRequests",
                                "clearContext",
                                "dest",
                                "maxPipelined",
                                "maxConnections",
                                "onHalfClose",
                                "halfCloseTimeoutMs",
                                "socketOptions",
                                "serverSession",
                                "clientSession",
                                "requestAttemptTimeoutMs",
                                "connectTimeoutMs",
                                "hostConnectionPool.minSize",
                                "hostConnectionPool.maxSize",
                                "hostConnectionPool.idleTimeMs",
                                "hostConnectionPool.maxWaiters",
                                "loadBalancer.kind",
                                "loadBalancer.maxEffort",
                                "failureAccrual.kind",
                                "failureAccrual.failures",
                                "failureAccrual.backoff",
                                "failFast",
                                "requeueBudget",
                                "verifySeqid",
                                "totalTimeoutMs",
                                "idempotentMethods",
                                "noDelay",
                                "keepAlive",
                                "reuseAddr",
                                "reusePort",
                                "backlog",
                                "readTimeoutMs",
                                "writeTimeoutMs"}) {
    EXPECT_NE(page.find("| `" + key + "`"), std::string::npos) << key;
  }
}

// A file cut off anywhere, or with one byte changed, is read or refused.
TEST(ExamplesTest, EveryPrefixAndEveryChangedByteIsSafe) {
  const std::string text = ReadFile(fs::path(TRESTLE_SOURCE) / "conf/examples/static-clients.yaml");
  ASSERT_FALSE(text.empty());
  for (size_t n = 0; n < text.size(); n += 7) (void)Parse(text.substr(0, n), "f");
  for (size_t i = 0; i < text.size(); i += 3) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ (1 << (i % 7)));
    const Parsed parsed = Parse(changed, "f");
    EXPECT_TRUE(!parsed.ok() || !parsed.config.routers.empty());
  }
}

}  // namespace
}  // namespace trestle::conf
