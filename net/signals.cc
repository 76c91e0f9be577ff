#include "net/signals.h"

#include <event2/event.h>

#include <utility>

namespace trestle::net {

Signals::Signals(EventLoop* loop, std::initializer_list<int> signals, std::function<void(int)> call)
    : loop_(loop), call_(std::move(call)) {
  for (int signal : signals) {
    event* e = evsignal_new(
        loop->base(), signal,
        [](evutil_socket_t number, short, void* self) {
          auto* signals_of_loop = static_cast<Signals*>(self);
          signals_of_loop->loop_->Refresh();
          signals_of_loop->call_(static_cast<int>(number));
        },
        this);
    event_add(e, nullptr);
    events_.push_back(e);
  }
}

Signals::~Signals() {
  for (event* e : events_) event_free(e);
}

}  // namespace trestle::net
