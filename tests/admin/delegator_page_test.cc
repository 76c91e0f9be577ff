#include "admin/delegator_page.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"

namespace trestle::admin {
namespace {

using net::HttpReply;
using net::HttpRequest;

class DelegatorPageTest : public ::testing::Test {
 protected:
  DelegatorPageTest() {
    page_ = std::make_unique<DelegatorPage>(
        &loop_, [this](const DelegateRequest& request, DelegateAnswer answer) {
          asked_.push_back(request);
          answers_.push_back(std::move(answer));
        });
  }

  void Ask(const HttpRequest& request) {
    page_->Answer(request, [this](HttpReply reply) { replies_.push_back(std::move(reply)); });
  }
  static HttpRequest Get(std::vector<std::pair<std::string, std::string>> query) {
    return {"GET", "/delegator.json", std::move(query), {}, ""};
  }
  static HttpRequest Post(std::string body, std::string type = "application/json") {
    return {"POST", "/delegator.json", {}, {{"Content-Type", std::move(type)}}, std::move(body)};
  }

  base::FakeClock clock_;
  net::EventLoop loop_{&clock_};
  std::vector<DelegateRequest> asked_;
  std::vector<DelegateAnswer> answers_;
  std::vector<HttpReply> replies_;
  std::unique_ptr<DelegatorPage> page_;
};

TEST_F(DelegatorPageTest, Get) {
  Ask(Get({{"namespace", "thrift"}, {"path", "/svc/users"}, {"dtab", "/svc => /#/io.l5d.fs"}}));
  ASSERT_EQ(asked_.size(), 1u);
  EXPECT_EQ(asked_[0].router, "thrift");
  EXPECT_EQ(asked_[0].path.Show(), "/svc/users");
  EXPECT_EQ(asked_[0].dtab.Show(), "/svc=>/#/io.l5d.fs");
  EXPECT_EQ(asked_[0].dtab_text, "/svc => /#/io.l5d.fs");
  EXPECT_TRUE(replies_.empty());
  answers_[0](HttpReply::Json(200, "{\"type\":\"neg\"}"));
  ASSERT_EQ(replies_.size(), 1u);
  EXPECT_EQ(replies_[0].status, 200);
  EXPECT_EQ(replies_[0].body, "{\"type\":\"neg\"}");
  EXPECT_EQ(replies_[0].content_type, "application/json;charset=utf-8");
}

TEST_F(DelegatorPageTest, NamespaceAndDtabMayBeMissing) {
  Ask(Get({{"path", "/svc"}}));
  Ask(Post(R"({"path":"/svc"})"));
  Ask(Post(R"({"namespace":null,"dtab":null,"path":"/svc","more":1})"));
  ASSERT_EQ(asked_.size(), 3u);
  for (const DelegateRequest& request : asked_) {
    EXPECT_EQ(request.router, std::nullopt);
    EXPECT_TRUE(request.dtab.empty());
    EXPECT_EQ(request.path.Show(), "/svc");
  }
}

TEST_F(DelegatorPageTest, Post) {
  Ask(Post(R"({"namespace":"thrift","dtab":"/a=>/b;/c=>/d","path":"/svc/users"})"));
  Ask(Post(R"({"namespace":"thrift","dtab":"","path":"/svc"})", "Application/JSON; charset=utf-8"));
  ASSERT_EQ(asked_.size(), 2u);
  EXPECT_EQ(asked_[0].router, "thrift");
  EXPECT_EQ(asked_[0].dtab.size(), 2u);
  EXPECT_EQ(asked_[0].path.Show(), "/svc/users");
}

TEST_F(DelegatorPageTest, RefusesWhatItCannotRead) {
  struct Row {
    HttpRequest request;
    int status;
    const char* body;
  } rows[] = {
      {Get({{"path", "/svc"}, {"dtab", "bad"}}), 400,
       "Invalid dtab: '/' expected but 'b' found at '[b]ad'"},
      {Get({{"path", "bad"}}), 400, "Invalid path: '/' expected but 'b' found at '[b]ad'"},
      {Get({{"path", "bad"}, {"dtab", "bad"}}), 400,
       "Invalid dtab: '/' expected but 'b' found at '[b]ad'"},
      {Get({}), 400, "Invalid path: none is given; add ?path=/svc/NAME"},
      {Post(R"({"path":"bad"})"), 400, "Invalid path: '/' expected but 'b' found at '[b]ad'"},
      {Post("{}"), 400, "Malformed delegation request: {}"},
      {Post("{"), 400, "Malformed delegation request: {"},
      {Post("[]"), 400, "Malformed delegation request: []"},
      {Post(""), 400, "Malformed delegation request: "},
      {Post(R"({"path":1})"), 400, R"(Malformed delegation request: {"path":1})"},
      {Post(R"({"path":"/a","dtab":[]})"), 400,
       R"(Malformed delegation request: {"path":"/a","dtab":[]})"},
      {Post(R"({"path":"/a"})", "text/plain"), 415, ""},
      {Post(R"({"path":"/a"})", ""), 415, ""},
      {{"PUT", "/delegator.json", {{"path", "/a"}}, {}, ""}, 405, ""},
      {{"DELETE", "/delegator.json", {{"path", "/a"}}, {}, ""}, 405, ""},
  };
  for (const Row& row : rows) {
    replies_.clear();
    Ask(row.request);
    ASSERT_EQ(replies_.size(), 1u);
    EXPECT_EQ(replies_[0].status, row.status);
    EXPECT_EQ(replies_[0].body, row.body);
  }
  EXPECT_TRUE(asked_.empty());
  EXPECT_EQ(page_->waiting(), 0u);
}

TEST_F(DelegatorPageTest, ALongBadBodyIsShownInPart) {
  Ask(Post(std::string(100'000, 'x')));
  EXPECT_LT(replies_[0].body.size(), 1100u);
}

TEST_F(DelegatorPageTest, AnUnknownRouterIs501) {
  HttpReply reply = UnknownRouter("zz");
  EXPECT_EQ(reply.status, 501);
  EXPECT_EQ(reply.body, "Name Interpreter for zz cannot show delegations");
}

TEST_F(DelegatorPageTest, AfterTwoSecondsTheAnswerIs503) {
  Ask(Get({{"path", "/slow"}}));
  clock_.Advance(std::chrono::milliseconds(1999));
  loop_.Poll();
  EXPECT_TRUE(replies_.empty());
  EXPECT_EQ(page_->waiting(), 1u);
  clock_.Advance(std::chrono::milliseconds(1));
  loop_.Poll();
  ASSERT_EQ(replies_.size(), 1u);
  EXPECT_EQ(replies_[0].status, 503);
  EXPECT_EQ(replies_[0].body, "Request timed out.");
  EXPECT_EQ(page_->waiting(), 0u);
  answers_[0](HttpReply::Json(200, "{}"));  // too late
  EXPECT_EQ(replies_.size(), 1u);
}

TEST_F(DelegatorPageTest, AnAnswerInTimeStopsTheClock) {
  Ask(Get({{"path", "/a"}}));
  Ask(Get({{"path", "/b"}}));
  EXPECT_EQ(page_->waiting(), 2u);
  answers_[1](HttpReply::Json(200, "b"));
  answers_[1](HttpReply::Json(200, "b again"));
  EXPECT_EQ(page_->waiting(), 1u);
  clock_.Advance(std::chrono::seconds(3));
  loop_.Poll();
  ASSERT_EQ(replies_.size(), 2u);
  EXPECT_EQ(replies_[0].body, "b");
  EXPECT_EQ(replies_[1].status, 503);
}

TEST_F(DelegatorPageTest, AnswersAtOnce) {
  DelegatorPage page(&loop_, [](const DelegateRequest& request, const DelegateAnswer& answer) {
    answer(UnknownRouter(request.router.value_or("?")));
  });
  page.Answer(Get({{"namespace", "zz"}, {"path", "/a"}}),
              [this](HttpReply reply) { replies_.push_back(std::move(reply)); });
  ASSERT_EQ(replies_.size(), 1u);
  EXPECT_EQ(replies_[0].status, 501);
  EXPECT_EQ(page.waiting(), 0u);
}

TEST_F(DelegatorPageTest, AnAnswerAfterItsEndIsIgnored) {
  Ask(Get({{"path", "/a"}}));
  page_.reset();
  answers_[0](HttpReply::Json(200, "{}"));
  clock_.Advance(std::chrono::seconds(3));
  loop_.Poll();
  EXPECT_TRUE(replies_.empty());
}

}  // namespace
}  // namespace trestle::admin
