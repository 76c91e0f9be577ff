#include "bench/process_cpu.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <system_error>

namespace trestle::bench {

ProcessCpu ProcessCpu::Of(const std::vector<int>& pids) {
  ProcessCpu out;
  for (int pid : pids) {
    std::error_code gone;
    const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
    for (const auto& task : std::filesystem::directory_iterator(tasks, gone)) {
      const std::string name = task.path().filename().string();
      int thread = 0;
      std::from_chars(name.data(), name.data() + name.size(), thread);
      uint64_t ns = 0;
      if (std::ifstream(task.path() / "schedstat") >> ns) out.ns_by_thread[thread] = ns;
    }
  }
  return out;
}

std::vector<uint64_t> ProcessCpu::Spent(const ProcessCpu& before, const ProcessCpu& now) {
  std::vector<uint64_t> out;
  for (const auto& [thread, ns] : now.ns_by_thread) {
    auto it = before.ns_by_thread.find(thread);
    out.push_back(it == before.ns_by_thread.end() ? ns : ns - it->second);
  }
  std::sort(out.begin(), out.end(), std::greater<>());
  return out;
}

}  // namespace trestle::bench
