#include "net/http_server.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <glog/logging.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "net/event_memory.h"

namespace trestle::net {
namespace {

constexpr std::chrono::seconds kTick{1};

const char* MethodName(evhttp_cmd_type type) {
  switch (type) {
    case EVHTTP_REQ_GET:
      return "GET";
    case EVHTTP_REQ_POST:
      return "POST";
    case EVHTTP_REQ_HEAD:
      return "HEAD";
    case EVHTTP_REQ_PUT:
      return "PUT";
    case EVHTTP_REQ_DELETE:
      return "DELETE";
    case EVHTTP_REQ_OPTIONS:
      return "OPTIONS";
    case EVHTTP_REQ_TRACE:
      return "TRACE";
    case EVHTTP_REQ_CONNECT:
      return "CONNECT";
    case EVHTTP_REQ_PATCH:
      return "PATCH";
  }
  return "?";
}

constexpr ev_uint16_t kMethods = EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
                                 EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS |
                                 EVHTTP_REQ_PATCH;

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool SameName(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return Lower(x) == Lower(y); });
}

std::string Decoded(const std::string& text, bool plus_is_space) {
  size_t size = 0;
  char* decoded = evhttp_uridecode(text.c_str(), plus_is_space ? 1 : 0, &size);
  if (!decoded) return text;
  std::string out(decoded, size);
  FreeEventMemory(decoded);
  return out;
}

// Only "&" separates, since dtabs are full of ";". (evhttp's own parser refuses "?pretty".)
std::vector<std::pair<std::string, std::string>> ParseQuery(const std::string& text) {
  std::vector<std::pair<std::string, std::string>> out;
  for (size_t at = 0; at <= text.size();) {
    size_t end = std::min(text.find('&', at), text.size());
    std::string pair = text.substr(at, end - at);
    at = end + 1;
    if (pair.empty()) continue;
    size_t equals = std::min(pair.find('='), pair.size());
    std::string value = equals < pair.size() ? pair.substr(equals + 1) : "";
    out.emplace_back(Decoded(pair.substr(0, equals), true), Decoded(value, true));
  }
  return out;
}

void ReadUri(evhttp_request* request, HttpRequest* out) {
  const evhttp_uri* uri = evhttp_request_get_evhttp_uri(request);
  if (!uri) return;
  if (const char* path = evhttp_uri_get_path(uri)) out->path = Decoded(path, false);
  if (out->path.empty()) out->path = "/";
  std::string query;
  if (const char* text = evhttp_uri_get_query(uri)) query = text;
  // Fragments are not sent, so a "#" is one of a path like "/#/io.l5d.fs" that nobody encoded.
  if (const char* fragment = evhttp_uri_get_fragment(uri)) query.append("#").append(fragment);
  out->query = ParseQuery(query);
}

HttpRequest ReadRequest(evhttp_request* request) {
  HttpRequest out;
  out.method = MethodName(evhttp_request_get_command(request));
  ReadUri(request, &out);
  const evkeyvalq* headers = evhttp_request_get_input_headers(request);
  for (const evkeyval* h = headers->tqh_first; h != nullptr; h = h->next.tqe_next) {
    out.headers.emplace_back(h->key, h->value);
  }
  evbuffer* body = evhttp_request_get_input_buffer(request);
  out.body.resize(evbuffer_get_length(body));
  evbuffer_copyout(body, out.body.data(), out.body.size());
  return out;
}

}  // namespace

std::optional<std::string> HttpRequest::Query(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return value;
  }
  return std::nullopt;
}

std::string HttpRequest::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (SameName(key, name)) return value;
  }
  return "";
}

std::string HttpRequest::MediaType() const {
  std::string type = Header("Content-Type");
  type = type.substr(0, type.find(';'));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.pop_back();
  std::transform(type.begin(), type.end(), type.begin(), Lower);
  return type;
}

// A request that owes a reply. evhttp keeps the request until it is answered, also when its client
// is gone (the reply then only frees it), so that the pointer is good until Answer or the server's
// end.
class HttpServer::Exchange {
 public:
  Exchange(HttpServer* server, evhttp_request* request) : server_(server), request_(request) {
    server_->exchanges_.insert(this);
  }
  ~Exchange() { Answer(HttpReply::Text(500, "no answer was made\n")); }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  void Answer(const HttpReply& reply) {
    if (!request_) return;
    server_->exchanges_.erase(this);
    evhttp_request* request = std::exchange(request_, nullptr);
    evkeyvalq* headers = evhttp_request_get_output_headers(request);
    if (!reply.content_type.empty()) {
      evhttp_add_header(headers, "Content-Type", reply.content_type.c_str());
    }
    for (const auto& [name, value] : reply.headers) {
      evhttp_add_header(headers, name.c_str(), value.c_str());
    }
    evbuffer* body = evbuffer_new();
    if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD) {
      evhttp_add_header(headers, "Content-Length", std::to_string(reply.body.size()).c_str());
    } else {
      evbuffer_add(body, reply.body.data(), reply.body.size());
    }
    evhttp_send_reply(request, reply.status, nullptr, body);
    evbuffer_free(body);
  }

  // The server ends. evhttp frees the requests of its connections, but not of those that are gone.
  void Abandon() {
    evhttp_request* request = std::exchange(request_, nullptr);
    if (!evhttp_request_get_connection(request)) evhttp_request_free(request);
  }

 private:
  HttpServer* server_;
  evhttp_request* request_;
};

HttpServer::HttpServer(EventLoop* loop, HttpLimits limits)
    : loop_(loop), limits_(limits), tick_(loop, [this] { OnTick(); }) {
  http_ = evhttp_new(loop_->base());
  CHECK(http_ != nullptr) << "cannot make an HTTP server";
  evhttp_set_max_body_size(http_, static_cast<ev_ssize_t>(limits_.body_bytes));
  evhttp_set_max_headers_size(http_, static_cast<ev_ssize_t>(limits_.header_bytes));
  evhttp_set_timeout(http_, static_cast<int>(limits_.timeout.count()));
  evhttp_set_allowed_methods(http_, kMethods);
  evhttp_set_default_content_type(http_, nullptr);
  evhttp_set_gencb(http_, &HttpServer::OnRequest, this);
  evhttp_set_bevcb(http_, &HttpServer::OnConnection, this);
}

HttpServer::~HttpServer() {
  for (Exchange* exchange : exchanges_) exchange->Abandon();
  evhttp_free(http_);
  for (bufferevent* connection : open_) bufferevent_decref(connection);
}

base::Status HttpServer::Listen(const std::string& ip, uint16_t port) {
  CHECK(listener_ == nullptr) << "this HTTP server listens already";
  auto at = Address::Parse(ip, port);
  if (!at.ok()) return at.status();
  evconnlistener* listener = evconnlistener_new_bind(
      loop_->base(), nullptr, nullptr,
      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE | LEV_OPT_DISABLED, 128,
      at->sockaddr_ptr(), static_cast<int>(at->length()));
  if (!listener) {
    return {base::Code::kUnavailable,
            "cannot listen on " + at->Show() + ": " + std::strerror(errno)};
  }
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  getsockname(evconnlistener_get_fd(listener), reinterpret_cast<sockaddr*>(&bound), &length);
  address_ = Address::From(bound);
  if (!evhttp_bind_listener(http_, listener)) {
    evconnlistener_free(listener);
    return {base::Code::kInternal, "cannot listen on " + at->Show()};
  }
  listener_ = listener;
  // Out of descriptors: the waiting connection would wake the loop again and again. The tick
  // resumes.
  evconnlistener_set_error_cb(listener_,
                              [](evconnlistener* self, void*) { evconnlistener_disable(self); });
  evconnlistener_enable(listener_);
  tick_.Arm(kTick);
  return {};
}

void HttpServer::Handle(std::string path, Handler handler) {
  HandleAsync(std::move(path),
              [handler = std::move(handler)](const HttpRequest& request, const Replier& reply) {
                reply(handler(request));
              });
}

void HttpServer::HandleAsync(std::string path, AsyncHandler handler) {
  exact_[std::move(path)] = std::move(handler);
}

void HttpServer::HandlePrefix(std::string prefix, Handler handler) {
  prefixes_[std::move(prefix)] = [handler = std::move(handler)](const HttpRequest& request,
                                                                const Replier& reply) {
    reply(handler(request));
  };
}

const HttpServer::AsyncHandler* HttpServer::Find(const std::string& path) const {
  if (auto it = exact_.find(path); it != exact_.end()) return &it->second;
  // Of the prefixes of one path, the longest is last in order.
  const AsyncHandler* found = nullptr;
  for (const auto& [prefix, handler] : prefixes_) {
    if (path.starts_with(prefix)) found = &handler;
  }
  return found;
}

void HttpServer::OnRequest(evhttp_request* request, void* self) {
  static_cast<HttpServer*>(self)->Dispatch(request);
}

void HttpServer::Dispatch(evhttp_request* request) {
  loop_->Refresh();
  auto exchange = std::make_shared<Exchange>(this, request);
  HttpRequest read = ReadRequest(request);
  const AsyncHandler* handler = Find(read.path);
  if (!handler) return exchange->Answer(HttpReply::Empty(404));
  (*handler)(read, [exchange](const HttpReply& reply) { exchange->Answer(reply); });
}

// evhttp has no bound on connections and does not tell when one ends. So every connection's
// bufferevent is held with a reference of ours: evhttp takes its callbacks off when it lets go.
bufferevent* HttpServer::OnConnection(event_base* base, void* self) {
  auto* server = static_cast<HttpServer*>(self);
  bufferevent* connection = bufferevent_socket_new(base, -1, 0);
  if (!connection) return nullptr;
  bufferevent_incref(connection);
  server->open_.push_back(connection);
  if (server->open_.size() >= server->limits_.connections) {
    evconnlistener_disable(server->listener_);
  }
  return connection;
}

void HttpServer::ForgetClosed() {
  std::erase_if(open_, [](bufferevent* connection) {
    bufferevent_event_cb on_event = nullptr;
    bufferevent_getcb(connection, nullptr, nullptr, &on_event, nullptr);
    if (on_event) return false;
    bufferevent_decref(connection);
    return true;
  });
}

void HttpServer::OnTick() {
  ForgetClosed();
  if (open_.size() < limits_.connections) evconnlistener_enable(listener_);
  tick_.Arm(kTick);
}

}  // namespace trestle::net
