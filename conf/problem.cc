#include "conf/problem.h"

#include <algorithm>

namespace trestle::conf {

std::string Problem::Show() const {
  std::string out = file;
  if (line > 0) out += ":" + std::to_string(line);
  out += ": ";
  if (!key.empty()) out += key + ": ";
  out += what;
  // A key or a quoted value may have a newline in it; a problem is one line.
  std::replace_if(
      out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  return out;
}

std::string ShowAll(const std::vector<Problem>& problems) {
  std::string out;
  for (const Problem& problem : problems) out += problem.Show() + "\n";
  return out;
}

void SortByLine(std::vector<Problem>* problems) {
  std::stable_sort(problems->begin(), problems->end(),
                   [](const Problem& a, const Problem& b) { return a.line < b.line; });
}

}  // namespace trestle::conf
