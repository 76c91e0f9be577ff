// What the tests of conf share: a small good file to put a wrong line into.
#pragma once

#include <string>
#include <vector>

#include "conf/parse.h"

namespace trestle::conf {

// A file "f" whose lines 1 to 3 are a good router; `more` goes on from line 4, still in the router.
inline std::string WithRouter(const std::string& more) {
  return "routers:\n- protocol: thrift\n  servers: [{port: 0}]\n" + more;
}
// A file whose line 1 is a whole router; `more` goes on from line 2, at the top.
inline std::string AtTop(const std::string& more) {
  return "routers: [{protocol: thrift, servers: [{port: 0}]}]\n" + more;
}
// A file whose lines 1 to 3 are the head of a router; `more` goes on from line 4, in its one
// server.
inline std::string InServer(const std::string& more) {
  return "routers:\n- protocol: thrift\n  servers:\n  - port: 0\n" + more;
}

inline std::vector<std::string> Shown(const std::vector<Problem>& problems) {
  std::vector<std::string> lines;
  for (const Problem& problem : problems) lines.push_back(problem.Show());
  return lines;
}
inline std::vector<std::string> ProblemsOf(const std::string& text) {
  return Shown(Parse(text, "f").problems);
}

}  // namespace trestle::conf
