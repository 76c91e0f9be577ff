#include "net/resolver.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <utility>

namespace trestle::net {
namespace {

// A DNS name has at most 253 bytes (RFC 1035, 2.3.4, without the root's dot).
constexpr size_t kMaxHostBytes = 254;

bool SaysNo(int error) {
  return error == EAI_NONAME || error == EAI_NODATA || error == EAI_ADDRFAMILY;
}

}  // namespace

// What the threads see. It outlives the Resolver while a lookup hangs.
struct Resolver::Shared {
  std::mutex mutex;
  std::condition_variable wake;
  bool stop = false;
  Resolver* resolver = nullptr;  // null once it is gone; the loop may be gone then, too
  EventLoop* loop = nullptr;
  std::deque<std::string> waiting;
  std::vector<bool> busy;  // by thread
  size_t max_waiting = 0;
  Lookup lookup;
};

Resolver::Answer Resolver::SystemLookup(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  int error = getaddrinfo(host.c_str(), nullptr, &hints, &list);
  if (error != 0) {
    std::string cause = error == EAI_SYSTEM ? std::strerror(errno) : gai_strerror(error);
    return base::Status(SaysNo(error) ? base::Code::kNoRoute : base::Code::kUnavailable,
                        host + ": " + cause);
  }
  std::vector<std::string> found;
  for (addrinfo* a = list; a; a = a->ai_next) {
    char text[NI_MAXHOST];
    if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) ==
        0) {
      found.emplace_back(text);
    }
  }
  freeaddrinfo(list);
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  if (found.empty()) return base::Status(base::Code::kNoRoute, host + ": no address");
  return found;
}

Resolver::Resolver(EventLoop* loop, int threads, Lookup lookup, size_t max_waiting)
    : loop_(loop), shared_(std::make_shared<Shared>()) {
  size_t count = threads < 1 ? 1 : static_cast<size_t>(threads);
  shared_->resolver = this;
  shared_->loop = loop;
  shared_->max_waiting = max_waiting;
  shared_->lookup = std::move(lookup);
  shared_->busy.resize(count);
  for (size_t i = 0; i < count; i++) {
    threads_.emplace_back([shared = shared_, i] { Work(shared, i); });
  }
}

Resolver::~Resolver() {
  std::vector<bool> busy;
  {
    std::lock_guard lock(shared_->mutex);
    shared_->stop = true;
    shared_->resolver = nullptr;
    shared_->loop = nullptr;
    busy = shared_->busy;
  }
  shared_->wake.notify_all();
  for (size_t i = 0; i < threads_.size(); i++) {
    // One that is in a lookup now may hang there for long.
    if (busy[i]) {
      threads_[i].detach();
    } else {
      threads_[i].join();
    }
  }
}

std::unique_ptr<Resolver::Query> Resolver::Resolve(const std::string& host, Call call) {
  loop_->AssertInLoop();
  auto waiter = std::make_shared<Call>(std::move(call));
  auto query = std::unique_ptr<Query>(new Query(waiter));
  auto refuse = [&](base::Code code, const char* why) {
    loop_->Post([weak = std::weak_ptr<Call>(waiter), answer = Answer(code, host + why)] {
      if (auto alive = weak.lock()) (*alive)(answer);
    });
    return std::move(query);
  };
  if (host.empty() || host.size() > kMaxHostBytes || host.find('\0') != std::string::npos) {
    return refuse(base::Code::kNoRoute, ": not a host name");
  }
  auto running = in_flight_.find(host);
  if (running != in_flight_.end()) {
    auto& waiters = running->second;
    std::erase_if(waiters,
                  [](auto& weak) { return weak.expired(); });  // a lookup may hang for long
    waiters.push_back(waiter);
    return query;
  }
  {
    std::lock_guard lock(shared_->mutex);
    if (shared_->waiting.size() >= shared_->max_waiting) {
      return refuse(base::Code::kRefused, ": too many names wait for DNS");
    }
    shared_->waiting.push_back(host);
  }
  in_flight_[host].push_back(waiter);
  shared_->wake.notify_one();
  return query;
}

void Resolver::Work(const std::shared_ptr<Shared>& shared, size_t thread) {
  std::unique_lock lock(shared->mutex);
  for (;;) {
    shared->wake.wait(lock, [&] { return shared->stop || !shared->waiting.empty(); });
    if (shared->stop) return;
    std::string host = std::move(shared->waiting.front());
    shared->waiting.pop_front();
    shared->busy[thread] = true;
    lock.unlock();
    Answer answer = shared->lookup(host);
    lock.lock();
    shared->busy[thread] = false;
    if (shared->stop) return;
    // Posted under the lock, so the loop is still there; whether the Resolver is when it runs, the
    // Shared tells.
    shared->loop->Post([weak = std::weak_ptr<Shared>(shared), host, answer = std::move(answer)] {
      auto alive = weak.lock();
      if (!alive) return;
      Resolver* resolver;
      {
        std::lock_guard inner(alive->mutex);
        resolver = alive->resolver;
      }
      if (resolver) resolver->OnAnswer(host, answer);
    });
  }
}

void Resolver::OnAnswer(const std::string& host, const Answer& answer) {
  auto at = in_flight_.find(host);
  if (at == in_flight_.end()) return;
  auto waiters = std::move(at->second);
  in_flight_.erase(at);
  for (auto& weak : waiters) {
    if (auto call = weak.lock()) (*call)(answer);
  }
}

}  // namespace trestle::net
