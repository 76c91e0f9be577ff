#include "call/deadline.h"

#include <algorithm>
#include <limits>

namespace trestle::call {
namespace {

// Peers write what they like: no sum may overflow.
base::Duration Less(base::WallTime a, base::WallTime b) {
  int64_t difference = 0;
  const int64_t x = a.time_since_epoch().count(), y = b.time_since_epoch().count();
  if (!__builtin_sub_overflow(x, y, &difference)) return base::Duration(difference);
  return x > y ? base::Duration::max() / 2 : base::Duration::min() / 2;
}

base::WallTime Add(base::WallTime at, base::Duration time) {
  int64_t sum = 0;
  if (!__builtin_add_overflow(at.time_since_epoch().count(), time.count(), &sum)) {
    return base::WallTime(base::Duration(sum));
  }
  return base::WallTime(base::Duration(std::numeric_limits<int64_t>::max()));
}

}  // namespace

base::Duration LeftOf(const base::Deadline& deadline, base::WallTime now) {
  const base::Duration ours = Less(deadline.deadline, now);
  const base::Duration theirs = Less(deadline.deadline, deadline.timestamp);
  return std::clamp(std::min(ours, theirs), base::Duration::min() / 2, base::Duration::max() / 2);
}

base::Deadline Lower(const std::optional<base::Deadline>& deadline, base::WallTime now,
                     base::Duration time) {
  const base::Deadline own{now, Add(now, time)};
  if (!deadline) return own;
  base::Deadline lower{std::max(deadline->timestamp, own.timestamp),
                       std::min(deadline->deadline, own.deadline)};
  if (deadline->timestamp > now) {
    // The caller's clock is ahead of ours, so its timestamp says nothing of our deadline.
    const base::Duration theirs = Less(deadline->deadline, deadline->timestamp);
    lower.timestamp = std::min(lower.timestamp, Add(lower.deadline, -std::min(theirs, time)));
  }
  return lower;
}

}  // namespace trestle::call
