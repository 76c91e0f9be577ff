// NamePattern: the prefix of an entry of io.l5d.static: "/#/io.l5d.fs/*/{version}-eu".
//
// What an entry says may use the captures of its prefix: LabelPattern.
//
// Lifetime, threading: values. Errors: Parse gives Code::kInvalid.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "naming/label_pattern.h"
#include "naming/path.h"

namespace trestle::conf {

class NamePattern {
 public:
  // Matches every path: "/".
  NamePattern() = default;
  static base::Result<NamePattern> Parse(std::string_view text);

  // True when the first labels of `path` fit; a path with fewer labels never does.
  bool Matches(const naming::Path& path) const;
  // What is captured of a path that matches.
  naming::LabelPattern::Captures CapturesOf(const naming::Path& path) const;
  std::vector<std::string> captures() const;  // their names
  bool MatchesAll() const { return elements_.empty(); }
  const std::string& Show() const { return text_; }
  // Two that are written alike.
  friend bool operator==(const NamePattern& a, const NamePattern& b) { return a.text_ == b.text_; }

 private:
  std::vector<naming::LabelPattern> elements_;
  std::string text_ = "/";
};

}  // namespace trestle::conf
