// NamePattern: the prefix of an entry of io.l5d.static: "/#/io.l5d.fs/*/{version}-eu".
//
// Its elements are literals, "*" (any one label), or text with {captures}: a label fits when it has
// the pieces of text between the captures, in their order, anywhere in it, as Linkerd looks for
// them.
//
// Lifetime, threading: values. Errors: Parse gives Code::kInvalid.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "naming/path.h"

namespace trestle::conf {

class NamePattern {
 public:
  // Matches every path: "/".
  NamePattern() = default;
  static base::Result<NamePattern> Parse(std::string_view text);

  // True when the first labels of `path` fit; a path with fewer labels never does.
  bool Matches(const naming::Path& path) const;
  bool MatchesAll() const { return elements_.empty(); }
  const std::string& Show() const { return text_; }
  // Two that are written alike.
  friend bool operator==(const NamePattern& a, const NamePattern& b) { return a.text_ == b.text_; }

 private:
  struct Element {
    bool any = false;                 // "*"
    bool captures = false;            // has a {capture}
    std::vector<std::string> pieces;  // a literal is one piece
  };
  static base::Result<Element> ParseElement(std::string_view text);
  static bool Fits(const Element& element, std::string_view label);

  std::vector<Element> elements_;
  std::string text_ = "/";
};

}  // namespace trestle::conf
