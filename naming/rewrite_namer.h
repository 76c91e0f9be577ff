// RewriteNamer: the namer io.l5d.rewrite: a pattern with captures, and the name to make of them.
//
// "/{env}/{svc}" with "/srv/{svc}/{env}" makes "/srv/users/prod" of "/prod/users/x": elements past
// the pattern are lost.
//
// Lifetime, threading: as Namer; it keeps no state. Errors: Make refuses a pattern or name that
// cannot be read; a name that does not fit is Neg.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "naming/namer.h"

namespace trestle::naming {

class RewriteNamer : public Namer {
 public:
  // `pattern`: elements that are literals, "*", or text with {captures}, each the longest text that
  // lets the rest fit, found anywhere in the element. `name`: a path with captures of the pattern.
  static base::Result<std::unique_ptr<RewriteNamer>> Make(std::string_view pattern,
                                                          std::string_view name);
  Lookup Find(const Path& prefix, const Path& rest, Dependencies* deps) override;

 private:
  // Text and captures by turns.
  struct Piece {
    bool capture = false;
    std::string text;  // the literal, or the name of the capture
  };
  struct Element {
    bool any = false;  // "*"
    std::vector<Piece> pieces;
  };
  using Captures = std::map<std::string, std::string>;

  RewriteNamer() = default;
  static base::Result<std::vector<Element>> ParseElements(std::string_view text, bool stars);
  static base::Result<Element> ParseElement(std::string_view text, bool stars);
  static bool Fits(const Element& element, const std::string& label, Captures* captures);

  std::vector<Element> pattern_;
  std::vector<Element> name_;
};

}  // namespace trestle::naming
