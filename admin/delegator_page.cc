#include "admin/delegator_page.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace trestle::admin {
namespace {

using net::HttpReply;
using net::HttpRequest;

constexpr size_t kShownBody = 1000;

// The question as text, before it is parsed.
struct Question {
  std::optional<std::string> router, dtab, path;
};

bool ReadField(const nlohmann::json& object, const char* name, std::optional<std::string>* out) {
  auto it = object.find(name);
  if (it == object.end() || it->is_null()) return true;
  if (!it->is_string()) return false;
  *out = it->get<std::string>();
  return true;
}

bool ReadJson(const std::string& body, Question* out) {
  nlohmann::json object = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  return object.is_object() && ReadField(object, "namespace", &out->router) &&
         ReadField(object, "dtab", &out->dtab) && ReadField(object, "path", &out->path) &&
         out->path.has_value();
}

// The reply that refuses the request, or nullopt and the question.
std::optional<HttpReply> Read(const HttpRequest& request, Question* out) {
  if (request.method == "GET" || request.method == "HEAD") {
    *out = {request.Query("namespace"), request.Query("dtab"), request.Query("path")};
    if (out->path) return std::nullopt;
    return HttpReply::Text(400, "Invalid path: none is given; add ?path=/svc/NAME");
  }
  if (request.method != "POST") {
    HttpReply reply = HttpReply::Empty(405);
    reply.headers.emplace_back("Allow", "GET, HEAD, POST");
    return reply;
  }
  if (request.MediaType() != "application/json") return HttpReply::Empty(415);
  if (ReadJson(request.body, out)) return std::nullopt;
  return HttpReply::Text(400,
                         "Malformed delegation request: " + request.body.substr(0, kShownBody));
}

std::optional<HttpReply> Parse(const Question& question, DelegateRequest* out) {
  out->router = question.router;
  out->dtab_text = question.dtab.value_or("");
  auto dtab = naming::Dtab::Parse(out->dtab_text);
  if (!dtab.ok()) return HttpReply::Text(400, "Invalid dtab: " + dtab.status().message());
  auto path = naming::Path::Parse(*question.path);
  if (!path.ok()) return HttpReply::Text(400, "Invalid path: " + path.status().message());
  out->dtab = std::move(*dtab);
  out->path = std::move(*path);
  return std::nullopt;
}

}  // namespace

// One question that is not answered yet.
struct DelegatorPage::Waiting {
  net::EventLoop* loop;
  net::HttpServer::Replier reply;
  std::unique_ptr<net::Timer> timer;
  std::weak_ptr<List> list;
  List::iterator place;

  static void Finish(const std::weak_ptr<Waiting>& weak, HttpReply answer) {
    std::shared_ptr<Waiting> self = weak.lock();
    if (!self) return;
    if (std::shared_ptr<List> all = self->list.lock()) all->erase(self->place);
    // This may be the timer's own call.
    self->loop->DeleteLater(std::move(self->timer));
    std::exchange(self->reply, nullptr)(std::move(answer));
  }
};

HttpReply UnknownRouter(const std::string& router) {
  return HttpReply::Text(501, "Name Interpreter for " + router + " cannot show delegations");
}

DelegatorPage::DelegatorPage(net::EventLoop* loop, Delegate delegate)
    : loop_(loop), delegate_(std::move(delegate)), waiting_(std::make_shared<List>()) {}

DelegatorPage::~DelegatorPage() = default;

void DelegatorPage::Answer(const HttpRequest& request, net::HttpServer::Replier reply) {
  Question question;
  DelegateRequest parsed;
  std::optional<HttpReply> refused = Read(request, &question);
  if (!refused) refused = Parse(question, &parsed);
  if (refused) return reply(std::move(*refused));
  auto waiting = std::make_shared<Waiting>();
  std::weak_ptr<Waiting> weak = waiting;
  waiting->loop = loop_;
  waiting->reply = std::move(reply);
  waiting->timer = std::make_unique<net::Timer>(
      loop_, [weak] { Waiting::Finish(weak, HttpReply::Text(503, "Request timed out.")); });
  waiting->timer->Arm(kPatience);
  waiting->list = waiting_;
  waiting->place = waiting_->insert(waiting_->end(), waiting);
  waiting.reset();  // the list alone keeps it
  delegate_(parsed, [weak](HttpReply answer) { Waiting::Finish(weak, std::move(answer)); });
}

}  // namespace trestle::admin
