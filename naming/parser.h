// Parser: reads paths, prefixes, trees and dtabs from text, one character ahead, as Finagle does,
// with Finagle's error texts.
//
// Lifetime: the text must outlive the parser. Threading: none. Errors: a Read that says false has
// set failure(), and the parser is of no more use. Bounds, since dtabs come from the network:
// kMaxTextBytes of text, kMaxParens of nesting. (Finagle has neither.)
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/status.h"
#include "naming/path.h"
#include "naming/tree.h"

namespace trestle::naming {

inline constexpr size_t kMaxTextBytes = 1 << 20;
inline constexpr int kMaxParens = 100;

struct ParseFailure {
  std::string text;  // "label char expected but '/' found at '/a/[/]b'"
  size_t pos = 0;    // of the bracket, in UTF-16 units (bytes, when the text is ASCII)
};

class Parser {
 public:
  explicit Parser(std::string_view text);

  bool ReadPath(Path* path);
  bool ReadPrefix(Prefix* prefix);
  bool ReadTree(PathTree* tree);
  // "prefix =>".
  bool ReadArrow();
  // Whitespace, then the end of the text.
  bool ReadEnd();

  void SkipSpace();
  bool AtEnd() const { return pos_ >= text_.size(); }
  bool MaybeEat(char c);

  const ParseFailure& failure() const { return failure_; }
  // The failure as a Status; its position goes to `error_pos` unless that is null.
  base::Status FailedStatus(size_t* error_pos) const;

 private:
  bool Fail(std::string_view expected);
  bool Eat(char c);
  bool AtDigitOrDot() const;
  bool AtLabel() const;
  bool ReadLabel(std::string* label);
  bool ReadHexDigit(int* value);
  bool ReadUnion(PathTree* tree);
  bool ReadPart(PathTree::Weighted* part);
  bool ReadWeight(double* weight);
  bool ReadSimple(PathTree* tree);

  std::string_view text_;
  size_t pos_ = 0;
  int parens_ = 0;
  ParseFailure failure_;
};

}  // namespace trestle::naming
