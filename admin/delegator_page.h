// DelegatorPage: /delegator.json, which explains where a name leads. It reads the question, GET or
// POST, refuses what cannot be read, and hands the rest to a function that knows the namers.
//
// Lifetime: its loop outlives it; answers that come after it ended are ignored. Threading: the
// admin loop's. Errors: as Linkerd answers them, with status and text.
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "naming/dtab.h"
#include "naming/path.h"
#include "net/event_loop.h"
#include "net/http_server.h"

namespace trestle::admin {

struct DelegateRequest {
  std::optional<std::string> router;  // "namespace": a router's label; none: the first one
  naming::Path path;
  naming::Dtab dtab;  // entries to put behind the router's own
  std::string dtab_text;
};

// Answers once, with HttpReply::Json(200, tree) or an error, now or later, on the admin loop. What
// comes after two seconds is too late: the client was told 503.
using DelegateAnswer = std::function<void(net::HttpReply)>;
using Delegate = std::function<void(const DelegateRequest&, DelegateAnswer)>;

// What a Delegate answers when there is no such router: 501, as Linkerd says it.
net::HttpReply UnknownRouter(const std::string& router);

class DelegatorPage {
 public:
  static constexpr std::chrono::seconds kPatience{2};

  DelegatorPage(net::EventLoop* loop, Delegate delegate);
  ~DelegatorPage();
  DelegatorPage(const DelegatorPage&) = delete;
  DelegatorPage& operator=(const DelegatorPage&) = delete;

  void Answer(const net::HttpRequest& request, net::HttpServer::Replier reply);
  size_t waiting() const { return waiting_->size(); }

 private:
  struct Waiting;
  using List = std::list<std::shared_ptr<Waiting>>;

  net::EventLoop* loop_;
  Delegate delegate_;
  std::shared_ptr<List> waiting_;
};

}  // namespace trestle::admin
