// The pages over real connections.
#include "admin/admin_server.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/clock.h"
#include "tests/support/http_client.h"
#include "tests/support/loop_thread.h"

namespace trestle::admin {
namespace {

using net::HttpReply;
using tests::HttpClient;
using tests::Reply;

class AdminServerTest : public ::testing::Test {
 protected:
  AdminServerTest() { sources_.metrics = &metrics_; }
  void Start() {
    server_ = std::make_unique<AdminServer>(thread_.loop(), options_, sources_);
    ASSERT_TRUE(server_->Listen("127.0.0.1", 0).ok());
    thread_.Start();
  }
  void TearDown() override {
    if (server_) thread_.In([this] { server_.reset(); });
    thread_.Stop();
  }
  Reply Get(const std::string& target) { return HttpClient(server_->port()).Get(target); }
  void Advance(base::Duration by) {
    clock_.Advance(by);
    thread_.Turn();
  }

  base::FakeClock clock_;
  tests::LoopThread thread_{&clock_};
  base::Metrics metrics_;
  base::Scope* root_ = metrics_.NewTable()->root();
  AdminOptions options_{"trestle", "1.2.3", {AdminOptions::Prometheus{}}};
  AdminSources sources_;
  std::unique_ptr<AdminServer> server_;
};

TEST_F(AdminServerTest, Ping) {
  Start();
  Reply reply = Get("/admin/ping");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "pong");
}

TEST_F(AdminServerTest, ReadyUntilDraining) {
  std::atomic<bool> ready{true};
  sources_.ready = [&ready] { return ready.load(); };
  Start();
  EXPECT_EQ(Get("/admin/ready").status, 200);
  EXPECT_EQ(Get("/admin/ready").body, "ready");
  ready = false;
  EXPECT_EQ(Get("/admin/ready").status, 503);
  EXPECT_EQ(Get("/admin/ready").body, "draining");
}

TEST_F(AdminServerTest, ReadyWhenNobodySaysOtherwise) {
  Start();
  EXPECT_EQ(Get("/admin/ready").status, 200);
}

TEST_F(AdminServerTest, ServerInfo) {
  Start();
  Advance(std::chrono::milliseconds(61'500));
  Reply reply = Get("/admin/server_info");
  EXPECT_EQ(reply.body, R"({"name":"trestle","version":"1.2.3","uptime":61500})");
  EXPECT_EQ(reply.headers["content-type"], "application/json;charset=utf-8");
}

TEST_F(AdminServerTest, MetricsJson) {
  root_->Labelled("rt", "thr")->counter("requests")->Add(3);
  root_->counter("other")->Add(1);
  Start();
  Reply reply = Get("/admin/metrics.json");
  EXPECT_EQ(reply.body, R"({"other":1,"rt/thr/requests":3})");
  EXPECT_EQ(reply.headers["content-type"], "application/json;charset=utf-8");
  EXPECT_EQ(Get("/admin/metrics.json?pretty=true").body,
            "{\n  \"other\": 1,\n  \"rt/thr/requests\": 3\n}");
  EXPECT_EQ(Get("/admin/metrics.json?pretty=false").body, reply.body);
  for (const char* tree : {"1", "true", "t"}) {
    EXPECT_EQ(Get(std::string("/admin/metrics.json?tree=") + tree).body,
              R"({"other":{"counter":1},"rt":{"thr":{"requests":{"counter":3}}}})");
  }
  EXPECT_EQ(Get("/admin/metrics.json?q=rt/thr").body, R"({"requests":3})");
  Reply none = Get("/admin/metrics.json?q=no%22ne");
  EXPECT_EQ(none.status, 404);
  EXPECT_EQ(none.body, R"({"error":"No such subtree: no\"ne"})");
}

TEST_F(AdminServerTest, Prometheus) {
  root_->Labelled("rt", "thr")->counter("requests")->Add(3);
  Start();
  Reply reply = Get("/admin/metrics/prometheus");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(reply.body, "# TYPE rt:requests counter\nrt:requests{rt=\"thr\"} 3\n");
}

TEST_F(AdminServerTest, PrometheusElsewhereOrNotAtAll) {
  root_->Labelled("rt", "thr")->counter("requests")->Add(3);
  options_.prometheus = {{"/metrics", "l5d_"}};
  Start();
  Reply reply = Get("/metrics");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "# TYPE l5d_rt:requests counter\nl5d_rt:requests{rt=\"thr\"} 3\n");
  EXPECT_EQ(Get("/admin/metrics/prometheus").status, 404);
  thread_.In([this] {
    options_.prometheus.clear();
    server_ = std::make_unique<AdminServer>(thread_.loop(), options_, sources_);
    ASSERT_TRUE(server_->Listen("127.0.0.1", 0).ok());
  });
  EXPECT_EQ(Get("/metrics").status, 404);
}

TEST_F(AdminServerTest, HistogramsAreRenewedOnceAMinute) {
  base::Histogram* h = root_->histogram("h");
  Start();
  auto count = [this] { return Get("/admin/metrics.json?q=h").body.substr(0, 30); };
  thread_.In([h] { h->Record(4); });
  EXPECT_EQ(count(), R"({"h.avg":4.0,"h.count":1,"h.ma)");
  Advance(std::chrono::seconds(59));
  thread_.In([h] { h->Record(4); });
  EXPECT_EQ(count(), R"({"h.avg":4.0,"h.count":2,"h.ma)");
  Advance(std::chrono::seconds(1));
  thread_.In([h] { h->Record(8); });
  EXPECT_EQ(count(), R"({"h.avg":4.0,"h.count":2,"h.ma)");
  Advance(std::chrono::seconds(60));
  EXPECT_EQ(count(), R"({"h.avg":8.0,"h.count":1,"h.ma)");
  Advance(std::chrono::seconds(60));
  EXPECT_EQ(count(), R"({"h.count":0})");
}

TEST_F(AdminServerTest, MinutesSleptThroughAreOne) {
  base::Histogram* h = root_->histogram("h");
  Start();
  thread_.In([h] { h->Record(1); });
  Advance(std::chrono::minutes(10));
  EXPECT_EQ(Get("/admin/metrics.json?q=h").body.substr(0, 24), R"({"h.avg":1.0,"h.count":1)");
  thread_.Turn();
  EXPECT_EQ(Get("/admin/metrics.json?q=h").body.substr(0, 24), R"({"h.avg":1.0,"h.count":1)");
}

TEST_F(AdminServerTest, DelegatorAnswersNowLaterOrTooLate) {
  DelegateAnswer kept;
  std::promise<void> asked;
  sources_.delegate = [&](const DelegateRequest& request, DelegateAnswer answer) {
    if (request.router == "zz") return answer(UnknownRouter("zz"));
    if (request.path.Show() == "/slow") {
      kept = std::move(answer);
      return asked.set_value();
    }
    answer(HttpReply::Json(200, "{\"path\":\"" + request.path.Show() + "\"}"));
  };
  Start();
  EXPECT_EQ(Get("/delegator.json?path=/svc/a").body, "{\"path\":\"/svc/a\"}");
  EXPECT_EQ(Get("/delegator.json?path=/#/io.l5d.fs").body, "{\"path\":\"/#/io.l5d.fs\"}");
  EXPECT_EQ(Get("/delegator.json?path=/a&namespace=zz").status, 501);
  EXPECT_EQ(Get("/delegator.json?path=a").status, 400);
  HttpClient client(server_->port());
  EXPECT_EQ(client.Ask("POST", "/delegator.json", "application/json", R"({"path":"/b"})").body,
            "{\"path\":\"/b\"}");
  EXPECT_EQ(client.Ask("POST", "/delegator.json", "text/plain", "x").status, 415);
  Reply refused = client.Ask("DELETE", "/delegator.json");
  EXPECT_EQ(refused.status, 405);
  EXPECT_EQ(refused.headers["allow"], "GET, HEAD, POST");
  client.SendRequest("GET", "/delegator.json?path=/slow");
  asked.get_future().wait();
  Advance(std::chrono::seconds(2));
  Reply late = client.Read();
  EXPECT_EQ(late.status, 503);
  EXPECT_EQ(late.body, "Request timed out.");
  thread_.In([&] { kept(HttpReply::Json(200, "{}")); });
}

TEST_F(AdminServerTest, MayEndWhileADelegationIsOwed) {
  DelegateAnswer kept;
  std::promise<void> asked;
  sources_.delegate = [&](const DelegateRequest&, DelegateAnswer answer) {
    kept = std::move(answer);
    asked.set_value();
  };
  Start();
  HttpClient client(server_->port());
  client.SendRequest("GET", "/delegator.json?path=/slow");
  asked.get_future().wait();
  thread_.In([&] {
    server_.reset();
    kept(HttpReply::Json(200, "{}"));
  });
  EXPECT_TRUE(client.ReadEnd());
}

TEST_F(AdminServerTest, ShutdownIsAPost) {
  std::atomic<int> shutdowns{0};
  sources_.shutdown = [&shutdowns] { shutdowns++; };
  Start();
  HttpClient client(server_->port());
  Reply get = client.Get("/admin/shutdown");
  EXPECT_EQ(get.status, 405);
  EXPECT_EQ(get.headers["allow"], "POST");
  EXPECT_EQ(shutdowns, 0);
  EXPECT_EQ(client.Ask("POST", "/admin/shutdown").status, 200);
  EXPECT_EQ(shutdowns, 1);
}

TEST_F(AdminServerTest, ConfigJson) {
  sources_.config_json = [] { return std::string("{\"routers\":[]}"); };
  Start();
  EXPECT_EQ(Get("/config.json").body, "{\"routers\":[]}");
}

TEST_F(AdminServerTest, PagesWithoutASourceDoNotExist) {
  Start();
  HttpClient client(server_->port());
  for (const char* page : {"/config.json", "/delegator.json?path=/a", "/admin/shutdown", "/nope",
                           "/admin/ping/", "/admin/metrics"}) {
    Reply reply = client.Get(page);
    EXPECT_EQ(reply.status, 404) << page;
    EXPECT_EQ(reply.body, "") << page;
  }
}

TEST_F(AdminServerTest, PagesAreRead) {
  Start();
  HttpClient client(server_->port());
  for (const char* page : {"/", "/admin/ping", "/admin/metrics.json"}) {
    Reply reply = client.Ask("POST", page, "text/plain", "x");
    EXPECT_EQ(reply.status, 405) << page;
    EXPECT_EQ(reply.headers["allow"], "GET, HEAD") << page;
    EXPECT_EQ(client.Ask("HEAD", page).status, 200) << page;
  }
}

TEST_F(AdminServerTest, TheIndexListsThePagesThatExist) {
  Start();
  std::string index = Get("/").body;
  EXPECT_EQ(index, R"(trestle 1.2.3

GET  /admin/ping                pong, as long as the process lives
GET  /admin/ready               200 ready, or 503 draining: send no new connections
GET  /admin/server_info         name, version and uptime in ms
GET  /admin/metrics.json        all metrics; ?pretty=true ?tree=true ?q=rt/LABEL
GET  /admin/metrics/prometheus  all metrics for Prometheus
)");
  EXPECT_EQ(Get("/admin").body, index);
  EXPECT_EQ(Get("/admin/").body, index);
  thread_.In([this] {
    sources_.delegate = [](const DelegateRequest&, const DelegateAnswer&) {};
    sources_.config_json = [] { return std::string("{}"); };
    sources_.shutdown = [] {};
    server_ = std::make_unique<AdminServer>(thread_.loop(), options_, sources_);
    ASSERT_TRUE(server_->Listen("127.0.0.1", 0).ok());
  });
  index = Get("/").body;
  for (const char* page : {"GET  /delegator.json", "GET  /config.json", "POST /admin/shutdown"}) {
    EXPECT_NE(index.find(page), std::string::npos) << page;
  }
}

TEST_F(AdminServerTest, ATakenPortIsToldWithItsNumber) {
  Start();
  net::EventLoop loop(&clock_);
  AdminServer second(&loop, options_, sources_);
  base::Status status = second.Listen("127.0.0.1", server_->port());
  EXPECT_EQ(status.code(), base::Code::kUnavailable);
  EXPECT_NE(status.message().find(":" + std::to_string(server_->port()) + ":"), std::string::npos);
}

}  // namespace
}  // namespace trestle::admin
