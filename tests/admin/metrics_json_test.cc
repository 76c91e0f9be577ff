#include "admin/metrics_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace trestle::admin {
namespace {

class MetricsJsonTest : public ::testing::Test {
 protected:
  std::string Text(const MetricsQuery& query = {}) {
    return MetricsJson(window_.View(), query).value_or("(no such subtree)");
  }

  base::Metrics metrics_;
  base::Scope* root_ = metrics_.NewTable()->root();
  MetricsWindow window_{&metrics_};
};

TEST_F(MetricsJsonTest, Nothing) {
  EXPECT_EQ(Text(), "{}");
  EXPECT_EQ(Text({.tree = true}), "{}");
  EXPECT_EQ(Text({.below = "rt"}), "(no such subtree)");
}

TEST_F(MetricsJsonTest, FlatNames) {
  base::Scope* rt = root_->Labelled("rt", "thr");
  rt->Labelled("server", "127.0.0.1/4114")->counter("requests")->Add(11);
  rt->Labelled("server", "127.0.0.1/4114")->gauge("connections")->Set(2);
  rt->Labelled("client", "#/io.l5d.fs/echo")->Child("loadbalancer")->gauge("size")->Set(-1);
  rt->counter("big")->Add(18'446'744'073'709'551'615ULL);
  EXPECT_EQ(Text(), R"({"rt/thr/big":18446744073709551615,)"
                    R"("rt/thr/client/#/io.l5d.fs/echo/loadbalancer/size":-1,)"
                    R"("rt/thr/server/127.0.0.1/4114/connections":2,)"
                    R"("rt/thr/server/127.0.0.1/4114/requests":11})");
}

TEST_F(MetricsJsonTest, Pretty) {
  root_->counter("b")->Add(2);
  root_->counter("a")->Add(1);
  EXPECT_EQ(Text({.pretty = true}), "{\n  \"a\": 1,\n  \"b\": 2\n}");
}

TEST_F(MetricsJsonTest, AHistogramOfWholeNumbers) {
  for (uint64_t v = 1; v <= 10; v++) root_->histogram("h")->Record(v);
  EXPECT_EQ(Text(),
            R"({"h.avg":5.5,"h.count":10,"h.max":10,"h.min":1,"h.p50":5,"h.p90":9,"h.p95":10,)"
            R"("h.p99":10,"h.p9990":10,"h.p9999":10,"h.sum":55})");
}

TEST_F(MetricsJsonTest, WholeNumbersStayWholeInWideBuckets) {
  root_->histogram("h")->Record(17);
  EXPECT_EQ(Text(),
            R"({"h.avg":17.0,"h.count":1,"h.max":17,"h.min":16,"h.p50":16,"h.p90":16,"h.p95":16,)"
            R"("h.p99":16,"h.p9990":16,"h.p9999":16,"h.sum":17})");
}

TEST_F(MetricsJsonTest, AHistogramOfMicrosecondsInMilliseconds) {
  base::Histogram* h = root_->Child("x")->histogram("request_latency_ms", 1000);
  h->Record(1024);
  h->Record(3000);
  EXPECT_EQ(Text({.below = "x"}),
            R"({"request_latency_ms.avg":2.012,"request_latency_ms.count":2,)"
            R"("request_latency_ms.max":3.071,"request_latency_ms.min":1.024,)"
            R"("request_latency_ms.p50":1.087,"request_latency_ms.p90":2.943,)"
            R"("request_latency_ms.p95":2.943,"request_latency_ms.p99":2.943,)"
            R"("request_latency_ms.p9990":2.943,"request_latency_ms.p9999":2.943,)"
            R"("request_latency_ms.sum":4.024})");
}

TEST_F(MetricsJsonTest, AnEmptyMinuteHasTheCountOnly) {
  root_->histogram("h")->Record(1);
  window_.EndMinute();
  window_.EndMinute();
  EXPECT_EQ(Text(), R"({"h.count":0})");
}

TEST_F(MetricsJsonTest, Below) {
  root_->Child("a")->Child("b")->counter("c")->Add(1);
  root_->Child("a")->counter("bc")->Add(2);
  root_->Child("a")->counter("b")->Add(3);
  struct Row {
    const char* below;
    const char* text;
  } rows[] = {
      {"", R"({"a/b":3,"a/b/c":1,"a/bc":2})"},
      {"a", R"({"b":3,"b/c":1,"bc":2})"},
      {"/a/", R"({"b":3,"b/c":1,"bc":2})"},
      {"a/b", R"({"b":3,"c":1})"},
      {"a/b/c", R"({"c":1})"},
      {"b", "(no such subtree)"},
      {"a/b/c/d", "(no such subtree)"},
      {"a/", R"({"b":3,"b/c":1,"bc":2})"},
  };
  for (const Row& row : rows) EXPECT_EQ(Text({.below = row.below}), row.text) << row.below;
}

TEST_F(MetricsJsonTest, Tree) {
  base::Scope* rt = root_->Labelled("rt", "thr");
  rt->Labelled("server", "127.0.0.1/4114")->counter("requests")->Add(11);
  rt->counter("failures")->Add(2);
  rt->Child("failures")->counter("bind")->Add(2);
  rt->gauge("connections")->Set(5);
  rt->histogram("empty");
  EXPECT_EQ(Text({.tree = true}),
            R"({"rt":{"thr":{"connections":{"gauge":5},"empty":{"stat.count":0},)"
            R"("failures":{"bind":{"counter":2},"counter":2},)"
            R"("server":{"127.0.0.1":{"4114":{"requests":{"counter":11}}}}}}})");
  EXPECT_EQ(Text({.tree = true, .below = "rt/thr/failures"}),
            R"({"bind":{"counter":2},"counter":2})");
  EXPECT_EQ(Text({.pretty = true, .tree = true, .below = "rt/thr/connections"}),
            "{\n  \"gauge\": 5\n}");
}

TEST_F(MetricsJsonTest, AChildMayBeNamedAsAKind) {
  root_->counter("a")->Add(1);
  root_->Child("a")->counter("counter")->Add(2);
  EXPECT_EQ(Text({.tree = true}), R"({"a":{"counter":1}})");
}

TEST_F(MetricsJsonTest, StrangeNamesAreStillJson) {
  root_->counter("a\"\\\n\xff\xc3\xa4//b")->Add(1);
  for (bool tree : {false, true}) {
    auto parsed = nlohmann::json::parse(Text({.tree = tree}), nullptr, false);
    EXPECT_TRUE(parsed.is_object()) << tree;
  }
  EXPECT_EQ(Text(), "{\"a\\\"\\\\\\n\xef\xbf\xbd\xc3\xa4//b\":1}");
}

}  // namespace
}  // namespace trestle::admin
