// Retention: which endpoints of a set are served while some go away.
//
// A removal may be held back for a while, so that a member that comes back at once was never gone
// (stabilization). And when most of a set goes within a short time, which is a fault of whoever
// writes it more often than the truth, a share of it stays for longer (min_retained): of the most
// that were there at one time so many are served, those that left last. The last one of a set stays
// for a moment, until it is clear whether the whole set goes. What is added is served at once.
//
// Lifetime: one for each set that is served. Threading: none; time is handed in. Errors: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
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
    // Of the most that were there at one time within the last `hold` so many stay, if those were at
    // least kLeastGuarded.
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
    kEmptied,  // its last member is gone: it may vanish in a moment, and what left now stays until
               // that is clear
    kUnsure,   // it vanished a moment ago, or not all of it was read: what leaves is kept for
               // `hold`, as long as no more are served than were there at one time
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
  void Count(size_t there, base::TimePoint now);
  size_t LeastServed(Set set) const;

  Options options_;
  std::map<Key, Member> members_;  // those that were there within `hold` or `stabilization`
  // How many were there at one time, and until when; the largest first, the last is of now.
  struct Size {
    size_t there;
    base::TimePoint until;
  };
  std::deque<Size> sizes_;
  std::optional<base::TimePoint> next_;
  size_t held_ = 0;
};

}  // namespace trestle::serversets
