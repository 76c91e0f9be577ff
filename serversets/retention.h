// Retention: which endpoints of a set are served while some go away.
//
// A removal may be held back for a while, so that a member that comes back at once was never gone
// (stabilization). And when most of a set goes within a short time, which is a fault of whoever
// writes it more often than the truth, a share of it stays for longer (min_retained): those that
// left last. The last one of a set stays for a moment, until it is clear whether the whole set
// goes. What is added is served at once.
//
// Lifetime: one for each set that is served. Threading: none; time is handed in. Errors: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "naming/addr.h"

namespace trestle::serversets {

class Retention {
 public:
  struct Options {
    base::Duration stabilization{};  // how long a removal is held back
    // Of the endpoints that were there within the last `hold` so many stay, if there were at least
    // kLeastGuarded of them.
    double min_retained = 0.5;
    base::Duration hold = std::chrono::seconds(10);
    friend bool operator==(const Options&, const Options&) = default;
  };
  static constexpr size_t kLeastGuarded = 5;
  // A set that lost its last member vanishes within that, if it does.
  static constexpr base::Duration kEmptied = std::chrono::milliseconds(100);

  explicit Retention(const Options& options) : options_(options) {}

  enum class Set {
    kThere,
    kEmptied,   // its last member is gone: it may vanish in a moment, and what left now stays until
                // that is clear
    kVanished,  // not even the set is there; all of it stays for `hold`
  };
  // `there`: what the set has now. Gives what is to be served, sorted.
  std::vector<naming::Endpoint> Update(const std::vector<naming::Endpoint>& there, Set set,
                                       base::TimePoint now);
  // When Update is to be called again though nothing changed.
  std::optional<base::TimePoint> next() const { return next_; }
  // Served though they are gone.
  size_t held() const { return held_; }

 private:
  using Key = std::pair<std::string, uint16_t>;
  struct Member {
    naming::Endpoint endpoint;
    std::optional<base::TimePoint> gone;  // since when
    bool served = true;
  };
  void Take(const std::vector<naming::Endpoint>& there, base::TimePoint now);
  size_t LeastServed(Set set) const;

  Options options_;
  std::map<Key, Member> members_;  // those that were there within `hold` or `stabilization`
  std::optional<base::TimePoint> next_;
  size_t held_ = 0;
};

}  // namespace trestle::serversets
