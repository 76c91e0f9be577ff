// Source and Var: a value that changes, and those who want to hear of it.
//
// Lifetime: held by shared_ptr; what feeds it (a file watch, a DNS refresh) may be tied to its
// life, so that letting go of the last pointer stops the work. A Subscription ends when it is
// destroyed and may outlive the Source. Threading: everything on one loop. Errors: none.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <utility>

namespace trestle::naming {

class Source;

class Subscription {
 public:
  Subscription() = default;
  Subscription(Subscription&&) noexcept = default;
  Subscription& operator=(Subscription&&) noexcept = default;

 private:
  friend class Source;
  explicit Subscription(std::shared_ptr<std::function<void()>> call) : call_(std::move(call)) {}
  std::shared_ptr<std::function<void()>> call_;  // the Source holds it weakly
};

class Source {
 public:
  Source() = default;
  virtual ~Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  // `changed` is called after every change, while the Subscription lives.
  Subscription Subscribe(std::function<void()> changed);

 protected:
  void NotifyAll();

 private:
  std::list<std::weak_ptr<std::function<void()>>> listeners_;
};

template <class T>
class Var : public Source {
 public:
  Var() = default;
  explicit Var(T value) : value_(std::move(value)) {}
  const T& Get() const { return value_; }
  void Set(T value) {
    value_ = std::move(value);
    NotifyAll();
  }

 private:
  T value_;
};

}  // namespace trestle::naming
