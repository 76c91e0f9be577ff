// Parse: the text of a configuration file (YAML, so JSON too) to a Config.
//
// Everything that is wrong is found at one go: unknown keys, wrong types, numbers out of range, bad
// paths and dtabs, duplicate labels and sockets, and keys that Linkerd knows but Trestle does not
// support yet. Nothing is ignored in silence.
//
// Lifetime, threading: a pure function; opens no file. Errors: Parsed.problems.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "conf/problem.h"

namespace trestle::conf {

// The most bytes of a configuration file.
inline constexpr size_t kMaxConfigBytes = 1 << 20;

struct Parsed {
  Config config;                  // to be used only if ok()
  std::vector<Problem> problems;  // in the order of their lines
  std::vector<Problem> warnings;  // the same, of what is allowed but seldom meant
  bool ok() const { return problems.empty(); }
};

// `file_name` goes into the problems.
Parsed Parse(std::string_view text, const std::string& file_name);

}  // namespace trestle::conf
