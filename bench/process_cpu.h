// ProcessCpu: the CPU time that the threads of some processes have used, as the scheduler counts it
// in nanoseconds (/proc/PID/task/TID/schedstat), user and system time together.
//
// Lifetime: a snapshot; two of them make a window. Threading: any. Errors: a process that is gone
// has used nothing; a thread that ends inside a window is lost for it.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

namespace trestle::bench {

struct ProcessCpu {
  static ProcessCpu Of(const std::vector<int>& pids);
  // What the threads of `now` have used since `before`, in nanoseconds, the busiest first.
  static std::vector<uint64_t> Spent(const ProcessCpu& before, const ProcessCpu& now);

  std::map<int, uint64_t> ns_by_thread;
};

}  // namespace trestle::bench
