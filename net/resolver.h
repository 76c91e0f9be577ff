// Resolver: host names to IP addresses, by the machine's own means (getaddrinfo: hosts file, DNS,
// …), which block; so they run on threads of the Resolver's own, never on a loop.
//
// Lifetime: destroyed on its loop's thread; it does not wait for a lookup that hangs: that thread
// ends by itself when the lookup does. Threading: all calls and callbacks on the loop's thread.
// Errors: an answer is kNoRoute when the name is said not to exist or to have no address,
// kUnavailable when nobody could say, kRefused when too many names wait. There is no time limit
// here: whoever asks stops waiting by dropping its Query.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
#include "net/event_loop.h"

namespace trestle::net {

class Resolver {
 public:
  // IP literals, IPv4 and IPv6, sorted, each once.
  using Answer = base::Result<std::vector<std::string>>;
  using Call = std::function<void(const Answer&)>;
  // Answers one name, and may block. Called on the Resolver's threads, several at a time.
  using Lookup = std::function<Answer(const std::string& host)>;
  // getaddrinfo.
  static Answer SystemLookup(const std::string& host);

  // One who waits for an answer; dropping it drops the callback.
  class Query;

  Resolver(EventLoop* loop, int threads, Lookup lookup = SystemLookup, size_t max_waiting = 1024);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Calls back once, from the loop, never at once. A name that is being looked up already is not
  // looked up a second time: all who ask get the one answer.
  std::unique_ptr<Query> Resolve(const std::string& host, Call call);
  // Names that are looked up or wait for it.
  size_t in_flight() const { return in_flight_.size(); }

 private:
  struct Shared;
  static void Work(const std::shared_ptr<Shared>& shared, size_t thread);
  void OnAnswer(const std::string& host, const Answer& answer);

  EventLoop* loop_;
  std::shared_ptr<Shared> shared_;
  std::vector<std::thread> threads_;
  std::map<std::string, std::vector<std::weak_ptr<Call>>> in_flight_;
};

class Resolver::Query {
 private:
  friend class Resolver;
  explicit Query(std::shared_ptr<Call> call) : call_(std::move(call)) {}
  std::shared_ptr<Call> call_;
};

}  // namespace trestle::net
