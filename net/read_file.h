// ReadFile: what is in a regular file. It waits for nobody: a pipe of that name is none.
//
// Lifetime, threading: pure but for the system calls; a slow disk holds up who asks. Errors: an
// errno in the contents.
#pragma once

#include <cstddef>
#include <string>

#include "base/clock.h"

namespace trestle::net {

struct FileContents {
  int error = 0;  // an errno
  bool regular = false;
  base::WallTime modified{};
  std::string text;  // somewhat over what was asked for at most, so that it can be told
};

FileContents ReadFile(const std::string& path, size_t most);

}  // namespace trestle::net
