#include "conf/name_pattern.h"

namespace trestle::conf {
namespace {

base::Status Wrong(std::string what) { return {base::Code::kInvalid, std::move(what)}; }

// Text of one label is written as in a path, escapes and all.
base::Result<std::string> ReadText(std::string_view text) {
  if (text.empty()) return std::string();
  const auto path = naming::Path::Parse("/" + std::string(text));
  if (!path.ok()) return path.status();
  if (path->size() != 1) return Wrong("an element of only spaces");  // Parse takes "/ " for "/"
  return path->labels().front();
}

}  // namespace

base::Result<NamePattern> NamePattern::Parse(std::string_view text) {
  if (!text.starts_with('/')) {
    return Wrong("must begin with /, is \"" + std::string(text.substr(0, 60)) + "\"");
  }
  NamePattern pattern;
  pattern.text_ = std::string(text);
  std::string_view rest = text.substr(1);
  while (!rest.empty()) {
    const size_t end = rest.find('/');
    if (end == 0) return Wrong("an empty element in " + pattern.text_);
    auto element = ParseElement(rest.substr(0, end));
    if (!element.ok()) return element.status();
    pattern.elements_.push_back(*std::move(element));
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  return pattern;
}

base::Result<NamePattern::Element> NamePattern::ParseElement(std::string_view text) {
  Element element;
  if (text == "*") {
    element.any = true;
    return element;
  }
  std::string_view rest = text;
  while (true) {
    const size_t brace = rest.find_first_of("{}");
    auto piece = ReadText(rest.substr(0, brace));
    if (!piece.ok()) return piece.status();
    element.pieces.push_back(*std::move(piece));
    if (brace == std::string_view::npos) return element;
    const size_t close = rest.find_first_of("{}", brace + 1);
    if (rest[brace] == '}' || close == std::string_view::npos || rest[close] == '{') {
      return Wrong("unbalanced braces in " + std::string(text));
    }
    if (close == brace + 1) return Wrong("a capture without a name in " + std::string(text));
    element.captures = true;
    rest.remove_prefix(close + 1);
  }
}

bool NamePattern::Fits(const Element& element, std::string_view label) {
  if (element.any) return true;
  if (!element.captures) return label == element.pieces.front();
  // Captures take any text, so it is enough that the pieces are found one after the other.
  size_t at = 0;
  for (const std::string& piece : element.pieces) {
    const size_t found = label.find(piece, at);
    if (found == std::string_view::npos) return false;
    at = found + piece.size();
  }
  return true;
}

bool NamePattern::Matches(const naming::Path& path) const {
  if (path.size() < elements_.size()) return false;
  for (size_t i = 0; i < elements_.size(); ++i) {
    if (!Fits(elements_[i], path[i])) return false;
  }
  return true;
}

}  // namespace trestle::conf
