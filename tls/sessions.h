// ClientSessions: the TLS sessions that connections to backends may resume, for all workers.
//
// A session is kept as bytes, and each connection that resumes it has a copy of its own: OpenSSL's
// session objects are not made to be used by two threads at a time.
//
// Lifetime: outlives the connections that were handed it. Threading: any; a lock that only
// handshakes (and tickets that come after them) take. Errors: none; a session that is not there, or
// that the server does not know any more, costs a whole handshake.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "net/address.h"

struct ssl_st;
struct ssl_session_st;

namespace trestle::tls {

class ClientContext;

class ClientSessions {
 public:
  // Where a connection finds its session and puts new ones.
  struct Place {
    ClientSessions* sessions;
    std::string key;
  };

  // At most so many, about 2 KiB each; the one that was not used for longest goes first.
  explicit ClientSessions(size_t most = 1024) : most_(most) {}
  ~ClientSessions();
  ClientSessions(const ClientSessions&) = delete;
  ClientSessions& operator=(const ClientSessions&) = delete;

  static std::string Key(const net::Address& endpoint, const ClientContext& context);
  size_t size();

  // For this folder: `ssl` offers the session of `place`, if there is one, and what the server
  // gives later goes there. `place` outlives `ssl`.
  static void Begin(ssl_st* ssl, const Place* place);
  // The session of `key` did no good.
  void Drop(const std::string& key);
  // Called by OpenSSL with a fresh session.
  static int OnNew(ssl_st* ssl, ssl_session_st* session);

 private:
  using Bytes = std::vector<unsigned char>;
  using Entry = std::pair<std::string, Bytes>;
  void Put(const std::string& key, Bytes session);
  Bytes Get(const std::string& key);

  size_t most_;
  std::mutex mutex_;
  std::list<Entry> used_;  // the last used first
  std::unordered_map<std::string, std::list<Entry>::iterator> at_;
};

}  // namespace trestle::tls
