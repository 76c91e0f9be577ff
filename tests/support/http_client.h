// HttpClient: one blocking connection to an HTTP server on loopback, for tests.
//
// Errors: a connection that ends early, or says nothing for a minute, gives a reply of status 0.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>

namespace trestle::tests {

struct Reply {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in small letters
  std::string body;
};

class HttpClient {
 public:
  explicit HttpClient(uint16_t port) : port_(port) {
    descriptor_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    timeval patience{60, 0};
    setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(descriptor_, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) Close();
  }
  ~HttpClient() { Close(); }
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  bool connected() const { return descriptor_ >= 0; }
  void Close() {
    if (descriptor_ >= 0) close(descriptor_);
    descriptor_ = -1;
  }
  // Ends with a reset instead of an orderly end.
  void Reset() {
    linger hard{1, 0};
    setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    Close();
  }
  void HalfClose() { shutdown(descriptor_, SHUT_WR); }

  void Send(const std::string& bytes) {
    for (size_t at = 0; at < bytes.size();) {
      ssize_t n = send(descriptor_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
      if (n <= 0) return;
      at += static_cast<size_t>(n);
    }
  }

  Reply Get(const std::string& target) { return Ask("GET", target); }
  Reply Ask(const std::string& method, const std::string& target, const std::string& type = "",
            const std::string& body = "") {
    SendRequest(method, target, type, body);
    return Read(method == "HEAD");
  }
  void SendRequest(const std::string& method, const std::string& target,
                   const std::string& type = "", const std::string& body = "") {
    std::string text =
        method + " " + target + " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port_) + "\r\n";
    if (!type.empty()) text += "Content-Type: " + type + "\r\n";
    if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    Send(text + "\r\n" + body);
  }

  // The next reply. Of a HEAD there is no body.
  Reply Read(bool head = false) {
    Reply reply;
    size_t end;
    while ((end = bytes_.find("\r\n\r\n")) == std::string::npos) {
      if (!Fill()) return {};
    }
    ParseHead(bytes_.substr(0, end + 2), &reply);
    bytes_.erase(0, end + 4);
    size_t length = std::strtoul(reply.headers["content-length"].c_str(), nullptr, 10);
    if (head) return reply;
    while (bytes_.size() < length) {
      if (!Fill()) return {};
    }
    reply.body = bytes_.substr(0, length);
    bytes_.erase(0, length);
    return reply;
  }
  // Waits for the end of the connection; true if nothing came before it.
  bool ReadEnd() {
    bool silent = bytes_.empty();
    while (Fill()) silent = false;
    return silent;
  }

 private:
  bool Fill() {
    char chunk[16384];
    ssize_t n = recv(descriptor_, chunk, sizeof chunk, 0);
    if (n <= 0) return false;
    bytes_.append(chunk, static_cast<size_t>(n));
    return true;
  }
  static void ParseHead(const std::string& head, Reply* reply) {
    size_t at = head.find("\r\n") + 2;
    reply->status = std::atoi(head.c_str() + head.find(' '));
    while (at < head.size()) {
      size_t end = head.find("\r\n", at);
      std::string line = head.substr(at, end - at);
      size_t colon = std::min(line.find(':'), line.size());
      std::string name = line.substr(0, colon);
      for (char& c : name) c = static_cast<char>(std::tolower(c));
      size_t value = line.find_first_not_of(' ', std::min(colon + 1, line.size()));
      reply->headers[name] = value == std::string::npos ? "" : line.substr(value);
      at = end + 2;
    }
  }

  uint16_t port_;
  int descriptor_ = -1;
  std::string bytes_;
};

}  // namespace trestle::tests
