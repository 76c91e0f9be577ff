// Problem: one thing that is wrong in a configuration file, and where; Located: a value that knows
// where in the file it was written, so that a part that checks it later can say so too.
//
// Lifetime, threading: values. Errors: this is how they are told.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace trestle::conf {

struct Problem {
  std::string file;
  int line = 0;      // from 1; 0: the file as a whole
  std::string key;   // "routers[0].servers[1].port"; empty: the file as a whole
  std::string what;  // "must be at most 65535, is 70000"
  // "linkerd.yaml:12: routers[0].servers[1].port: must be at most 65535, is 70000".
  std::string Show() const;
  friend bool operator==(const Problem&, const Problem&) = default;
};

template <class T>
struct Located {
  T value{};
  int line = 0;     // from 1; of a default: the line of the map that could have it, or 0
  std::string key;  // the whole key, as in Problem
  // A problem with this value, for the list that main prints.
  Problem Wrong(std::string file, std::string what) const {
    return Problem{std::move(file), line, key, std::move(what)};
  }
  // Of the values alone: a line put in before them changes nothing.
  friend bool operator==(const Located& a, const Located& b) { return a.value == b.value; }
};

// The problems a line each, with a newline after each. Nothing for none.
std::string ShowAll(const std::vector<Problem>& problems);
// Puts them in the order of their lines; those of one line stay in the order they were found in.
void SortByLine(std::vector<Problem>* problems);

}  // namespace trestle::conf
