// LabelPattern: one element of a pattern of paths: a literal, "*" (any label), or text with
// {captures}.
//
// A label fits text with captures when it has the pieces of text between them, in their order,
// anywhere in it; each capture takes the longest text that lets the rest fit, as in Linkerd.
//
// Lifetime, threading: values. Errors: Parse gives Code::kInvalid.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace trestle::naming {

class LabelPattern {
 public:
  using Captures = std::map<std::string, std::string>;

  // Literals are written as in a path, escapes and all. `stars`: "*" is any label.
  static base::Result<LabelPattern> Parse(std::string_view text, bool stars);
  // The elements of "/a/{b}/*".
  static base::Result<std::vector<LabelPattern>> ParseAll(std::string_view text, bool stars);

  // Adds what was captured to `captures`, which may be null.
  bool Fits(const std::string& label, Captures* captures) const;
  // The text with the captures put in; one that is not there counts as empty.
  std::string Fill(const Captures& captures) const;
  std::vector<std::string> names() const;  // of the captures

 private:
  // Text and captures by turns.
  struct Piece {
    bool capture = false;
    std::string text;  // the literal, or the name of the capture
  };
  bool any_ = false;  // "*"
  std::vector<Piece> pieces_;
};

}  // namespace trestle::naming
