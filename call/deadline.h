// Deadline: until when a caller waits, as its context says, and how much of that is left here.
//
// The clocks of two machines differ. What is left is the smaller of what the two can tell: the
// deadline less our clock, and the deadline less the caller's own clock at the time when it was
// set.
//
// Lifetime, threading: pure. Errors: none.
#pragma once

#include <optional>

#include "base/clock.h"
#include "base/contexts.h"

namespace trestle::call {

// Negative when it is past.
base::Duration LeftOf(const base::Deadline& deadline, base::WallTime now);

// Whether nobody waits any more: past by more than the tolerance.
inline bool IsSpent(base::Duration left, base::Duration tolerance) { return left < -tolerance; }
// For how long to work on a call that is not spent: what is left; of one that seems past, what is
// left of the tolerance.
inline base::Duration TimeFor(base::Duration left, base::Duration tolerance) {
  return left > base::Duration(0) ? left : left + tolerance;
}

// The deadline to pass on from one who gives a call `time` from `now` on: the later timestamp and
// the earlier deadline of both; a timestamp that is ahead of our clock is set back so that the
// next one is left what we give.
base::Deadline Lower(const std::optional<base::Deadline>& deadline, base::WallTime now,
                     base::Duration time);

}  // namespace trestle::call
