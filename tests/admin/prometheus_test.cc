#include "admin/prometheus.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>

namespace trestle::admin {
namespace {

// A reader of the text format, version 0.0.4, that takes nothing else: names, labels, escapes, one
// TYPE line before a family's samples, and all of them together.
class Reader {
 public:
  // The first fault, or "".
  std::string Read(const std::string& text) {
    if (!text.empty() && text.back() != '\n') return "no new line at the end";
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      std::string fault = line.starts_with("# TYPE ") ? Type(line.substr(7)) : Sample(line);
      if (!fault.empty()) return fault + ": " + line;
    }
    return "";
  }
  std::map<std::string, double> samples;  // name{labels as written}

 private:
  static bool IsName(const std::string& name) {
    if (name.empty() || isdigit(name[0])) return false;
    for (char c : name) {
      if (!isalnum(c) && c != '_' && c != ':') return false;
    }
    return true;
  }
  std::string Type(const std::string& rest) {
    size_t space = rest.find(' ');
    if (space == std::string::npos) return "TYPE without a type";
    family_ = rest.substr(0, space);
    type_ = rest.substr(space + 1);
    if (!IsName(family_)) return "bad family";
    if (type_ != "counter" && type_ != "gauge" && type_ != "summary") return "unknown type";
    return families_.insert(family_).second ? "" : "a family in two places";
  }
  std::string Sample(const std::string& line) {
    size_t at = line.find_first_of("{ ");
    if (at == std::string::npos) return "no value";
    std::string name = line.substr(0, at);
    if (!IsName(name)) return "bad name";
    if (name != family_ &&
        (type_ != "summary" || (name != family_ + "_sum" && name != family_ + "_count"))) {
      return "a sample outside its family";
    }
    std::set<std::string> keys;
    if (line[at] == '{' && !Labels(line, &at, &keys)) return "bad labels";
    if (keys.count("quantile") > 0 && (type_ != "summary" || name != family_)) return "a quantile";
    if (type_ == "summary" && name == family_ && keys.count("quantile") == 0) return "no quantile";
    if (at >= line.size() || line[at] != ' ') return "no space before the value";
    char* end = nullptr;
    double value = std::strtod(line.c_str() + at + 1, &end);
    if (end == line.c_str() + at + 1 || *end != '\0') return "bad value";
    return samples.emplace(line.substr(0, at), value).second ? "" : "a sample twice";
  }
  // From the "{" to behind the "}".
  static bool Labels(const std::string& line, size_t* at, std::set<std::string>* keys) {
    for (++*at; *at < line.size(); ++*at) {
      size_t equals = line.find('=', *at);
      if (equals == std::string::npos) return false;
      std::string key = line.substr(*at, equals - *at);
      if (key.starts_with(' ')) key.erase(0, 1);
      if (!IsName(key) || key.find(':') != std::string::npos) return false;
      if (!keys->insert(key).second || line[equals + 1] != '"') return false;
      for (*at = equals + 2; *at < line.size() && line[*at] != '"'; ++*at) {
        if (line[*at] != '\\') continue;
        ++*at;
        if (*at >= line.size() || !strchr("\\\"n", line[*at])) return false;
      }
      if (++*at >= line.size()) return false;
      if (line[*at] == '}') {
        ++*at;
        return true;
      }
      if (line[*at] != ',') return false;
    }
    return false;
  }

  std::string family_, type_;
  std::set<std::string> families_;
};

class PrometheusTest : public ::testing::Test {
 protected:
  std::string Text() {
    std::string text = PrometheusText(window_.View());
    Reader reader;
    EXPECT_EQ(reader.Read(text), "");
    samples_ = std::move(reader.samples);
    return text;
  }

  base::Metrics metrics_;
  base::Scope* root_ = metrics_.NewTable()->root();
  MetricsWindow window_{&metrics_};
  std::map<std::string, double> samples_;
};

TEST(PrometheusReader, FindsFaults) {
  for (const char* bad : {"a 1",                                        // no type
                          "# TYPE a counter\na 1",                      // no end
                          "# TYPE a counter\nb 1\n",                    // another family
                          "# TYPE a counter\na{x=\"1} 1\n",             // open quote
                          "# TYPE a counter\na{x=\"\\q\"} 1\n",         // unknown escape
                          "# TYPE a counter\na 1\na 2\n",               // twice
                          "# TYPE a counter\na x\n",                    // no number
                          "# TYPE a-b counter\n",                       // bad name
                          "# TYPE a counter\n# TYPE a counter\n",       // in two places
                          "# TYPE a counter\na{9=\"\"} 1\n",            // bad key
                          "# TYPE a summary\na 1\n",                    // no quantile
                          "# TYPE a counter\na{x=\"\",x=\"\"} 1\n"}) {  // a key twice
    EXPECT_NE(Reader().Read(bad), "") << bad;
  }
  EXPECT_EQ(Reader().Read("# TYPE a counter\na{x=\"\\\\\\\"\\n,}{\", y=\"\"} 1\n"), "");
}

TEST_F(PrometheusTest, Nothing) { EXPECT_EQ(Text(), ""); }

TEST_F(PrometheusTest, NamesAndLabelsAsLinkerdHasThem) {
  base::Scope* rt = root_->Labelled("rt", "thrift");
  rt->Labelled("service", "svc/echo")->counter("requests")->Add(11);
  rt->Labelled("service", "svc/users")->counter("requests")->Add(3);
  rt->Labelled("server", "127.0.0.1/4114")->gauge("connections")->Set(2);
  base::Scope* client = rt->Labelled("client", "#/io.l5d.fs/echo");
  client->Child("loadbalancer")->gauge("size")->Set(1);
  client->Labelled("service", "svc/echo")->counter("requests")->Add(7);
  root_->counter("plain.name")->Add(1);
  EXPECT_EQ(Text(), R"(# TYPE plain_name counter
plain_name 1
# TYPE rt:client:service:requests counter
rt:client:service:requests{rt="thrift", client="#/io.l5d.fs/echo", service="svc/echo"} 7
# TYPE rt:service:requests counter
rt:service:requests{rt="thrift", service="svc/echo"} 11
rt:service:requests{rt="thrift", service="svc/users"} 3
# TYPE rt:client:loadbalancer:size gauge
rt:client:loadbalancer:size{rt="thrift", client="#/io.l5d.fs/echo"} 1
# TYPE rt:server:connections gauge
rt:server:connections{rt="thrift", server="127.0.0.1/4114"} 2
)");
}

TEST_F(PrometheusTest, EscapesLabelValues) {
  root_->Labelled("service", "a\\b\"c\nd\xc3\xa4\xff}")->counter("x")->Add(1);
  EXPECT_EQ(Text(),
            "# TYPE service:x counter\nservice:x{service=\"a\\\\b\\\"c\\nd\xc3\xa4?}\"} 1\n");
}

TEST_F(PrometheusTest, HistogramsAreSummaries) {
  base::Scope* server = root_->Labelled("rt", "thr")->Labelled("server", "x");
  for (uint64_t v = 1; v <= 4; v++) server->histogram("size")->Record(v);
  EXPECT_EQ(Text(), R"(# TYPE rt:server:size summary
rt:server:size_count{rt="thr", server="x"} 4
rt:server:size_sum{rt="thr", server="x"} 10
rt:server:size{rt="thr", server="x", quantile="0"} 1
rt:server:size{rt="thr", server="x", quantile="0.5"} 2
rt:server:size{rt="thr", server="x", quantile="0.9"} 4
rt:server:size{rt="thr", server="x", quantile="0.95"} 4
rt:server:size{rt="thr", server="x", quantile="0.99"} 4
rt:server:size{rt="thr", server="x", quantile="0.999"} 4
rt:server:size{rt="thr", server="x", quantile="0.9999"} 4
rt:server:size{rt="thr", server="x", quantile="1"} 4
# TYPE rt:server:size_avg gauge
rt:server:size_avg{rt="thr", server="x"} 2.5
)");
}

TEST_F(PrometheusTest, AHistogramWithoutLabelsInMilliseconds) {
  root_->histogram("latency_ms", 1000)->Record(1024);
  Text();
  EXPECT_EQ(samples_["latency_ms_count"], 1);
  EXPECT_EQ(samples_["latency_ms_sum"], 1.024);
  EXPECT_EQ(samples_["latency_ms_avg"], 1.024);
  EXPECT_EQ(samples_["latency_ms{quantile=\"0\"}"], 1.024);
  EXPECT_EQ(samples_["latency_ms{quantile=\"0.5\"}"], 1.087);
}

TEST_F(PrometheusTest, CountAndSumNeverGoBackWhileTheRestIsOfTheLastMinute) {
  base::Histogram* h = root_->histogram("h");
  h->Record(2);
  h->Record(4);
  window_.EndMinute();
  h->Record(9);
  window_.EndMinute();
  Text();
  EXPECT_EQ(samples_["h_count"], 3);
  EXPECT_EQ(samples_["h_sum"], 15);
  EXPECT_EQ(samples_["h_avg"], 9);
  EXPECT_EQ(samples_["h{quantile=\"0\"}"], 9);
  window_.EndMinute();
  EXPECT_EQ(Text(), "# TYPE h summary\nh_count 3\nh_sum 15\n");
}

TEST_F(PrometheusTest, NamesThatBecomeTheSameAreAddedUp) {
  root_->counter("a.b")->Add(1);
  root_->counter("a_b")->Add(2);
  root_->gauge("g-")->Set(-1);
  root_->gauge("g.")->Set(5);
  EXPECT_EQ(Text(), "# TYPE a_b counter\na_b 3\n# TYPE g_ gauge\ng_ 4\n");
}

TEST_F(PrometheusTest, LargeNumbersAreWrittenOut) {
  root_->counter("c")->Add(18'446'744'073'709'551'615ULL);
  for (int i = 0; i < 1000; i++) root_->histogram("h")->Record(1ULL << 50);
  std::string text = Text();
  EXPECT_NE(text.find("\nc 18446744073709551615\n"), std::string::npos);
  EXPECT_NE(text.find("\nh_sum 1125899906842624000\n"), std::string::npos);
}

}  // namespace
}  // namespace trestle::admin
