// Signals: process signals as calls on a loop.
//
// Lifetime: one in a process; destroying it gives the signals their usual meaning back. Threading:
// its loop's. Errors: none.
#pragma once

#include <functional>
#include <initializer_list>
#include <vector>

#include "net/event_loop.h"

struct event;

namespace trestle::net {

class Signals {
 public:
  Signals(EventLoop* loop, std::initializer_list<int> signals, std::function<void(int)> call);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  EventLoop* loop_;
  std::function<void(int)> call_;
  std::vector<event*> events_;
};

}  // namespace trestle::net
