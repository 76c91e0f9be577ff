// LoopThread: an EventLoop that turns in a thread of its own, for tests with a blocking client.
//
// Lifetime: the loop stops and the thread ends with it. Threading: set up before Start(); then only
// In() reaches the loop.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <thread>

#include "net/event_loop.h"

namespace trestle::tests {

class LoopThread {
 public:
  explicit LoopThread(const base::Clock* clock) : loop_(clock) {}
  ~LoopThread() { Stop(); }

  net::EventLoop* loop() { return &loop_; }
  void Start() {
    thread_ = std::thread([this] { loop_.Run(); });
  }
  void Stop() {
    if (!thread_.joinable()) return;
    loop_.Stop();
    thread_.join();
  }
  // Runs `work` on the loop and waits for it.
  void In(const std::function<void()>& work) {
    std::promise<void> done;
    loop_.Post([&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }
  // Waits until the timers that are due by now, as a FakeClock that was moved says, have run: after
  // a standstill what was posted goes before them.
  void Turn() {
    std::promise<void> done;
    std::unique_ptr<net::Timer> last;  // those that are due for longer go first
    loop_.Post([&] {
      last = std::make_unique<net::Timer>(&loop_, [&] { done.set_value(); });
      last->ArmAt(loop_.Now());
    });
    done.get_future().wait();
    In([&] { last.reset(); });
  }

 private:
  net::EventLoop loop_;
  std::thread thread_;
};

}  // namespace trestle::tests
