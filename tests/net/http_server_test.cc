#include "net/http_server.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "tests/support/http_client.h"
#include "tests/support/loop_thread.h"

namespace trestle::net {
namespace {

using tests::HttpClient;
using tests::Reply;

class HttpServerTest : public ::testing::Test {
 protected:
  void Start(HttpLimits limits = {}) {
    server_ = std::make_unique<HttpServer>(thread_.loop(), limits);
    server_->Handle("/hello", [](const HttpRequest&) { return HttpReply::Text(200, "hello\n"); });
    server_->Handle("/echo", [this](const HttpRequest& request) {
      seen_ = request;
      return HttpReply::Json(200, request.body);
    });
    server_->HandleAsync("/later", [this](const HttpRequest&, HttpServer::Replier reply) {
      later_.push_back(std::move(reply));
      if (later_.size() == wanted_) arrived_.set_value();
    });
    server_->HandlePrefix("/files/", [](const HttpRequest& request) {
      return HttpReply::Text(200, "files " + request.path);
    });
    server_->HandlePrefix("/files/deep/", [](const HttpRequest& request) {
      return HttpReply::Text(200, "deep " + request.path);
    });
    ASSERT_TRUE(server_->Listen("127.0.0.1", 0).ok());
    ASSERT_NE(server_->port(), 0);
    thread_.Start();
  }
  void TearDown() override {
    if (server_) thread_.In([this] { server_.reset(); });
    thread_.Stop();
  }
  // Waits until /later holds `n` repliers.
  void AwaitLater() { arrived_.get_future().wait(); }

  base::FakeClock clock_;
  tests::LoopThread thread_{&clock_};
  std::unique_ptr<HttpServer> server_;
  HttpRequest seen_;  // read once its reply came
  std::vector<HttpServer::Replier> later_;
  size_t wanted_ = 1;
  std::promise<void> arrived_;
};

TEST_F(HttpServerTest, AnswersOnOneConnectionAgainAndAgain) {
  Start();
  HttpClient client(server_->port());
  for (int i = 0; i < 3; i++) {
    Reply reply = client.Get("/hello");
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body, "hello\n");
    EXPECT_EQ(reply.headers["content-type"], "text/plain;charset=utf-8");
    EXPECT_EQ(reply.headers["content-length"], "6");
  }
}

TEST_F(HttpServerTest, AnUnknownPathIs404WithoutABody) {
  Start();
  Reply reply = HttpClient(server_->port()).Get("/nothing");
  EXPECT_EQ(reply.status, 404);
  EXPECT_EQ(reply.body, "");
  EXPECT_EQ(reply.headers["content-length"], "0");
  EXPECT_EQ(reply.headers.count("content-type"), 0u);
}

TEST_F(HttpServerTest, ThePathDecidesTheLongestPrefixLast) {
  Start();
  HttpClient client(server_->port());
  struct Row {
    const char* target;
    int status;
    const char* body;
  } rows[] = {{"/files/a", 200, "files /files/a"},
              {"/files/", 200, "files /files/"},
              {"/files", 404, ""},
              {"/files/deep/x", 200, "deep /files/deep/x"},
              {"/files/a%20b", 200, "files /files/a b"},
              {"/hello/x", 404, ""},
              {"/hello?x=1", 200, "hello\n"},
              {"/%68ello", 200, "hello\n"},
              {"/", 404, ""}};
  for (const Row& row : rows) {
    Reply reply = client.Get(row.target);
    EXPECT_EQ(reply.status, row.status) << row.target;
    EXPECT_EQ(reply.body, row.body) << row.target;
  }
}

TEST_F(HttpServerTest, ReadsTheWholeRequest) {
  Start();
  HttpClient client(server_->port());
  client.Send(
      "POST /echo?a=1&dtab=%2Fsvc%3D%3E/x;/y=>/z&b=&pretty&a=2&c+d=e+f%2B HTTP/1.1\r\nHost: x\r\n"
      "X-Thing: Some Value\r\ncontent-TYPE: Application/JSON ; charset=utf-8\r\n"
      "Content-Length: 7\r\n\r\n{\"a\":1}");
  Reply reply = client.Read();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "{\"a\":1}");
  EXPECT_EQ(reply.headers["content-type"], "application/json;charset=utf-8");
  EXPECT_EQ(seen_.method, "POST");
  EXPECT_EQ(seen_.path, "/echo");
  EXPECT_EQ(seen_.query.size(), 6u);
  EXPECT_EQ(seen_.Query("a"), "1");
  EXPECT_EQ(seen_.Query("dtab"), "/svc=>/x;/y=>/z");
  EXPECT_EQ(seen_.Query("b"), "");
  EXPECT_EQ(seen_.Query("pretty"), "");
  EXPECT_EQ(seen_.Query("c d"), "e f+");
  EXPECT_EQ(seen_.Query("A"), std::nullopt);
  EXPECT_EQ(seen_.Header("x-thing"), "Some Value");
  EXPECT_EQ(seen_.Header("absent"), "");
  EXPECT_EQ(seen_.MediaType(), "application/json");
}

TEST_F(HttpServerTest, AHashInAQueryIsPartOfIt) {
  Start();
  HttpClient(server_->port()).Get("/echo?path=/#/io.l5d.fs/users&dtab=/a=>/b");
  EXPECT_EQ(seen_.Query("path"), "/#/io.l5d.fs/users");
  EXPECT_EQ(seen_.Query("dtab"), "/a=>/b");
}

TEST_F(HttpServerTest, BodiesAreBytes) {
  Start();
  std::string body(256, '\0');
  for (size_t i = 0; i < body.size(); i++) body[i] = static_cast<char>(i);
  EXPECT_EQ(HttpClient(server_->port()).Ask("POST", "/echo", "a/b", body).body, body);
  EXPECT_EQ(seen_.MediaType(), "a/b");
}

TEST_F(HttpServerTest, EveryMethodReachesTheHandler) {
  Start();
  HttpClient client(server_->port());
  for (const char* method : {"GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}) {
    EXPECT_EQ(client.Ask(method, "/echo").status, 200) << method;
    EXPECT_EQ(seen_.method, method);
  }
  EXPECT_EQ(client.Ask("BREW", "/echo").status, 501);
}

TEST_F(HttpServerTest, HeadHasTheLengthButNoBody) {
  Start();
  HttpClient client(server_->port());
  Reply reply = client.Ask("HEAD", "/hello");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.headers["content-length"], "6");
  EXPECT_EQ(client.Get("/hello").body, "hello\n");  // nothing was left over
}

TEST_F(HttpServerTest, RepliesCarryTheirHeaders) {
  server_ = std::make_unique<HttpServer>(thread_.loop());
  server_->Handle("/moved", [](const HttpRequest&) {
    return HttpReply{302, "", "", {{"Location", "/admin"}, {"X-A", "b"}}};
  });
  ASSERT_TRUE(server_->Listen("127.0.0.1", 0).ok());
  thread_.Start();
  Reply reply = HttpClient(server_->port()).Get("/moved");
  EXPECT_EQ(reply.status, 302);
  EXPECT_EQ(reply.headers["location"], "/admin");
  EXPECT_EQ(reply.headers["x-a"], "b");
}

TEST_F(HttpServerTest, AnswersLater) {
  Start();
  HttpClient client(server_->port());
  client.SendRequest("GET", "/later");
  AwaitLater();
  EXPECT_EQ(HttpClient(server_->port()).Get("/hello").status, 200);  // others do not wait
  thread_.In([this] {
    later_[0](HttpReply::Text(503, "late"));
    later_[0](HttpReply::Text(200, "twice"));
  });
  Reply reply = client.Read();
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.body, "late");
  EXPECT_EQ(client.Get("/hello").body, "hello\n");
}

TEST_F(HttpServerTest, AReplierThatIsDroppedAnswers500) {
  Start();
  HttpClient client(server_->port());
  client.SendRequest("GET", "/later");
  AwaitLater();
  thread_.In([this] { later_.clear(); });
  EXPECT_EQ(client.Read().status, 500);
}

// evhttp takes a half-close for an end.
TEST_F(HttpServerTest, AClientThatIsGoneGetsNothingAndHarmsNobody) {
  wanted_ = 3;
  Start();
  HttpClient closes(server_->port()), resets(server_->port()), half(server_->port());
  for (HttpClient* client : {&closes, &resets, &half}) client->SendRequest("GET", "/later");
  AwaitLater();
  closes.Close();
  resets.Reset();
  half.HalfClose();
  EXPECT_EQ(HttpClient(server_->port()).Get("/hello").status, 200);  // the ends were seen
  thread_.In([this] {
    for (auto& reply : later_) reply(HttpReply::Text(200, std::string(100'000, 'x')));
  });
  EXPECT_EQ(HttpClient(server_->port()).Get("/hello").status, 200);
}

TEST_F(HttpServerTest, TheServerMayEndBeforeTheReply) {
  wanted_ = 2;
  Start();
  HttpClient stays(server_->port()), gone(server_->port());
  stays.SendRequest("GET", "/later");
  gone.SendRequest("GET", "/later");
  AwaitLater();
  gone.Reset();
  thread_.Turn();
  thread_.In([this] { server_.reset(); });
  EXPECT_TRUE(stays.ReadEnd());
  thread_.In([this] {
    later_[0](HttpReply::Text(200, "too late"));
    later_.clear();
  });
}

TEST_F(HttpServerTest, ABodyOverTheBoundReachesNoHandler) {
  Start({.body_bytes = 1000, .header_bytes = 2000});
  EXPECT_EQ(HttpClient(server_->port()).Ask("POST", "/echo", "", std::string(1000, 'x')).status,
            200);
  seen_ = {};
  Reply reply = HttpClient(server_->port()).Ask("POST", "/echo", "", std::string(1001, 'x'));
  EXPECT_EQ(reply.status, 413);
  EXPECT_EQ(seen_.method, "");
}

TEST_F(HttpServerTest, HeadersOverTheBoundReachNoHandler) {
  Start({.body_bytes = 1000, .header_bytes = 2000});
  HttpClient client(server_->port());
  client.Send("GET /echo HTTP/1.1\r\nX: " + std::string(3000, 'y') + "\r\n\r\n");
  EXPECT_EQ(client.Read().status, 400);
  EXPECT_EQ(seen_.method, "");
}

TEST_F(HttpServerTest, GarbageIsRefusedAndTheConnectionEnds) {
  Start();
  HttpClient client(server_->port());
  client.Send(std::string("\x80\x01\x00\x01\x00\x00\r\n\r\n", 10));
  EXPECT_EQ(client.Read().status, 400);
  EXPECT_EQ(HttpClient(server_->port()).Get("/hello").status, 200);
}

TEST_F(HttpServerTest, ConnectionsOverTheBoundWait) {
  Start({.connections = 2});
  auto first = std::make_unique<HttpClient>(server_->port());
  HttpClient second(server_->port());
  EXPECT_EQ(first->Get("/hello").status, 200);
  EXPECT_EQ(second.Get("/hello").status, 200);
  HttpClient third(server_->port());  // accepted by the system only
  third.SendRequest("GET", "/hello");
  EXPECT_EQ(second.Get("/hello").status, 200);
  clock_.Advance(std::chrono::seconds(1));
  thread_.Turn();
  EXPECT_EQ(second.Get("/hello").status, 200);
  thread_.In([this] { EXPECT_EQ(server_->connections(), 2u); });
  first.reset();
  EXPECT_EQ(second.Get("/hello").status, 200);
  clock_.Advance(std::chrono::seconds(1));
  thread_.Turn();
  EXPECT_EQ(third.Read().status, 200);
}

TEST_F(HttpServerTest, ForgetsConnectionsThatEnded) {
  Start();
  HttpClient stays(server_->port());
  for (int i = 0; i < 20; i++) EXPECT_EQ(HttpClient(server_->port()).Get("/hello").status, 200);
  EXPECT_EQ(stays.Get("/hello").status, 200);
  clock_.Advance(std::chrono::seconds(1));
  thread_.Turn();
  thread_.In([this] { EXPECT_EQ(server_->connections(), 1u); });
}

TEST_F(HttpServerTest, ListenTellsWhyItCannot) {
  Start();
  EventLoop loop(&clock_);
  HttpServer other(&loop);
  base::Status taken = other.Listen("127.0.0.1", server_->port());
  EXPECT_EQ(taken.code(), base::Code::kUnavailable);
  EXPECT_EQ(taken.message(), "cannot listen on 127.0.0.1:" + std::to_string(server_->port()) +
                                 ": Address already in use");
  EXPECT_EQ(other.Listen("localhost", 0).code(), base::Code::kInvalid);
  EXPECT_TRUE(other.Listen("::1", 0).ok());  // after a failure it can be tried again
  EXPECT_EQ(other.address().Ip(), "::1");
}

}  // namespace
}  // namespace trestle::net
