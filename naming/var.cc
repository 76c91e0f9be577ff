#include "naming/var.h"

#include <vector>

namespace trestle::naming {

Subscription Source::Subscribe(std::function<void()> changed) {
  auto call = std::make_shared<std::function<void()>>(std::move(changed));
  std::erase_if(listeners_, [](const auto& listener) { return listener.expired(); });
  listeners_.push_back(call);
  return Subscription(std::move(call));
}

void Source::NotifyAll() {
  // A listener may subscribe, end subscriptions, or let go of this Source: after the first call
  // nothing of it is touched.
  const std::vector<std::weak_ptr<std::function<void()>>> listeners(listeners_.begin(),
                                                                    listeners_.end());
  for (const auto& listener : listeners) {
    if (const auto call = listener.lock()) (*call)();
  }
}

}  // namespace trestle::naming
