// HttpServer: the small HTTP/1.1 server behind the admin port. evhttp underneath, wrapped once; it
// is made for people and scrapers, not for the calls that the router relays.
//
// Lifetime: its loop outlives it; destroy it on that loop, or once the loop has stopped, and not
// from within a handler. A reply that is still owed then is dropped. Threading: everything on the
// loop's thread. Errors: Listen tells why it cannot ("address already in use"); bad requests, and
// requests over a bound, are answered 4xx by evhttp and reach no handler.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "net/address.h"
#include "net/event_loop.h"

struct bufferevent;
struct evconnlistener;
struct evhttp;
struct evhttp_request;

namespace trestle::net {

struct HttpRequest {
  std::string method;                                        // "GET"
  std::string path;                                          // percent-decoded: "/delegator.json"
  std::vector<std::pair<std::string, std::string>> query;    // decoded, in the order of the request
  std::vector<std::pair<std::string, std::string>> headers;  // as they came
  std::string body;

  // The first query parameter of that name.
  std::optional<std::string> Query(std::string_view name) const;
  // The first header of that name, whatever its case; "" if there is none.
  std::string Header(std::string_view name) const;
  // "application/json": the Content-Type in small letters, without its parameters.
  std::string MediaType() const;
};

struct HttpReply {
  int status = 200;
  std::string content_type;  // none is sent when empty
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;

  static HttpReply Text(int status, std::string body) {
    return {status, "text/plain;charset=utf-8", std::move(body), {}};
  }
  static HttpReply Json(int status, std::string body) {
    return {status, "application/json;charset=utf-8", std::move(body), {}};
  }
  static HttpReply Empty(int status) { return {status, "", "", {}}; }
};

struct HttpLimits {
  size_t body_bytes = 1024 * 1024;
  size_t header_bytes = 64 * 1024;
  std::chrono::seconds timeout{30};  // without a byte read or written
  size_t connections = 256;          // more wait in the system's queue
};

class HttpServer {
 public:
  using Handler = std::function<HttpReply(const HttpRequest&)>;
  // Answers once, now or later, on the loop; more answers are ignored, and so is one to a client
  // that is gone (a half-closed connection counts as gone). When the last copy goes unanswered, the
  // client gets a 500.
  using Replier = std::function<void(HttpReply)>;
  using AsyncHandler = std::function<void(const HttpRequest&, Replier)>;

  explicit HttpServer(EventLoop* loop, HttpLimits limits = {});
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Once. `ip` is a literal; port 0 takes a free one.
  base::Status Listen(const std::string& ip, uint16_t port);
  const Address& address() const { return address_; }
  uint16_t port() const { return address_.port(); }

  // The handler of a path gets all its methods. An exact path goes before prefixes, a longer prefix
  // before a shorter one. A path without a handler is answered 404 with no body.
  void Handle(std::string path, Handler handler);
  void HandleAsync(std::string path, AsyncHandler handler);
  void HandlePrefix(std::string prefix, Handler handler);

  // Connections as of the last look, which comes every second and when they reach the bound.
  size_t connections() const { return open_.size(); }

 private:
  class Exchange;
  static void OnRequest(evhttp_request* request, void* self);
  static bufferevent* OnConnection(event_base* base, void* self);
  void Dispatch(evhttp_request* request);
  const AsyncHandler* Find(const std::string& path) const;
  void ForgetClosed();
  void OnTick();

  EventLoop* loop_;
  HttpLimits limits_;
  Address address_;
  std::map<std::string, AsyncHandler> exact_;
  std::map<std::string, AsyncHandler> prefixes_;
  std::set<Exchange*> exchanges_;   // those that owe a reply
  std::vector<bufferevent*> open_;  // one a connection, with a reference of ours
  evhttp* http_ = nullptr;          // owns listener_
  evconnlistener* listener_ = nullptr;
  Timer tick_;
};

}  // namespace trestle::net
