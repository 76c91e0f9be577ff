#include "naming/parser.h"

#include <charconv>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "naming/path_text.h"
#include "naming/text.h"

namespace trestle::naming {
namespace {

// Longer texts are quoted around the fault only: an error text goes into replies and logs.
constexpr size_t kMaxQuote = 4096;
constexpr size_t kQuoteAround = 200;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// `text` with bytes that are no UTF-8 as \xNN, since error texts end up in JSON.
std::string Printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const CodePoint point = DecodeUtf8(text);
    if (point.valid) {
      out += text.substr(0, point.length);
    } else {
      AppendEscaped(text[0], &out);
    }
    text.remove_prefix(point.length);
  }
  return out;
}

size_t Utf16Length(std::string_view text) {
  size_t units = 0;
  while (!text.empty()) {
    const CodePoint point = DecodeUtf8(text);
    units += point.value > 0xffff ? 2 : 1;
    text.remove_prefix(point.length);
  }
  return units;
}

std::string Before(std::string_view text) {
  if (text.size() <= kMaxQuote) return Printable(text);
  return "…" + Printable(text.substr(text.size() - kQuoteAround));
}

std::string After(std::string_view text) {
  if (text.size() <= kMaxQuote) return Printable(text);
  return Printable(text.substr(0, kQuoteAround)) + "…";
}

}  // namespace

Parser::Parser(std::string_view text) : text_(text) {
  if (text.size() <= kMaxTextBytes) return;
  failure_.text = "text of at most " + std::to_string(kMaxTextBytes) + " bytes expected but " +
                  std::to_string(text.size()) + " found";
  failure_.pos = kMaxTextBytes;
  text_ = {};
}

base::Status Parser::FailedStatus(size_t* error_pos) const {
  if (error_pos != nullptr) *error_pos = failure_.pos;
  return {base::Code::kInvalid, failure_.text};
}

bool Parser::Fail(std::string_view expected) {
  if (!failure_.text.empty()) return false;
  std::string found = "end of input";
  std::string bracket;
  size_t length = 0;
  if (!AtEnd()) {
    length = DecodeUtf8(text_.substr(pos_)).length;
    bracket = Printable(text_.substr(pos_, length));
    found = "'" + bracket + "'";
  }
  failure_.text = std::string(expected) + " expected but " + found + " found at '" +
                  Before(text_.substr(0, pos_)) + "[" + bracket + "]" +
                  After(text_.substr(pos_ + length)) + "'";
  failure_.pos = Utf16Length(text_.substr(0, pos_));
  return false;
}

void Parser::SkipSpace() {
  while (!AtEnd()) {
    if (text_[pos_] == '#') {
      const size_t line_end = text_.find('\n', pos_);
      pos_ = line_end == std::string_view::npos ? text_.size() : line_end;
      continue;
    }
    const CodePoint point = DecodeUtf8(text_.substr(pos_));
    if (!point.valid || !IsJavaWhitespace(point.value)) return;
    pos_ += point.length;
  }
}

bool Parser::MaybeEat(char c) {
  if (AtEnd() || text_[pos_] != c) return false;
  ++pos_;
  return true;
}

bool Parser::Eat(char c) {
  if (MaybeEat(c)) return true;
  const char expected[] = {'\'', c, '\''};
  return Fail(std::string_view(expected, sizeof expected));
}

bool Parser::ReadEnd() {
  SkipSpace();
  if (!failure_.text.empty()) return false;
  return AtEnd() || Fail("end of input");
}

bool Parser::ReadArrow() {
  SkipSpace();
  return Eat('=') && Eat('>');
}

bool Parser::AtLabel() const {
  return !AtEnd() && (IsPlainLabelByte(text_[pos_]) || text_[pos_] == '\\');
}

bool Parser::ReadHexDigit(int* value) {
  const char c = AtEnd() ? '\0' : text_[pos_];
  if (IsDigit(c)) {
    *value = c - '0';
  } else if (c >= 'a' && c <= 'f') {
    *value = c - 'a' + 10;
  } else if (c >= 'A' && c <= 'F') {
    *value = c - 'A' + 10;
  } else {
    return Fail("hex char");
  }
  ++pos_;
  return true;
}

bool Parser::ReadLabel(std::string* label) {
  if (!AtLabel()) return Fail("label char");
  while (AtLabel()) {
    if (text_[pos_] != '\\') {
      label->push_back(text_[pos_++]);
      continue;
    }
    ++pos_;
    int high = 0;
    int low = 0;
    if (!Eat('x') || !ReadHexDigit(&high) || !ReadHexDigit(&low)) return false;
    label->push_back(static_cast<char>(high * 16 + low));
  }
  return true;
}

bool Parser::ReadPath(Path* path) {
  SkipSpace();
  if (!Eat('/')) return false;
  std::vector<std::string> labels;
  if (AtLabel()) {
    do {
      labels.emplace_back();
      if (!ReadLabel(&labels.back())) return false;
    } while (MaybeEat('/'));
  }
  *path = Path(std::move(labels));
  return true;
}

bool Parser::ReadPrefix(Prefix* prefix) {
  SkipSpace();
  if (!Eat('/')) return false;
  std::vector<std::optional<std::string>> elems;
  if (AtLabel() || (!AtEnd() && text_[pos_] == '*')) {
    do {
      elems.emplace_back();
      if (MaybeEat('*')) continue;
      if (!ReadLabel(&elems.back().emplace())) return false;
    } while (MaybeEat('/'));
  }
  *prefix = Prefix(std::move(elems));
  return true;
}

bool Parser::ReadTree(PathTree* tree) {
  std::vector<PathTree> trees;
  do {
    trees.emplace_back();
    if (!ReadUnion(&trees.back())) return false;
    SkipSpace();
  } while (MaybeEat('|'));
  *tree = trees.size() == 1 ? std::move(trees[0]) : PathTree::Alt(std::move(trees));
  return true;
}

bool Parser::ReadUnion(PathTree* tree) {
  std::vector<PathTree::Weighted> parts;
  do {
    parts.emplace_back();
    if (!ReadPart(&parts.back())) return false;
    SkipSpace();
  } while (MaybeEat('&'));
  *tree = parts.size() == 1 ? std::move(parts[0].tree) : PathTree::Union(std::move(parts));
  return true;
}

bool Parser::AtDigitOrDot() const {
  return !AtEnd() && (IsDigit(text_[pos_]) || text_[pos_] == '.');
}

bool Parser::ReadPart(PathTree::Weighted* part) {
  SkipSpace();
  if (AtDigitOrDot()) {
    if (!ReadWeight(&part->weight)) return false;
    SkipSpace();
    if (!Eat('*')) return false;
    SkipSpace();
  }
  return ReadSimple(&part->tree);
}

bool Parser::ReadWeight(double* weight) {
  const size_t start = pos_;
  bool dot = false;
  while (AtDigitOrDot()) {
    if (text_[pos_] == '.') {
      if (dot) return Fail("number char");
      dot = true;
    }
    ++pos_;
  }
  const std::string_view number = text_.substr(start, pos_ - start);
  if (number == ".") {
    // Finagle names the dot as found though it has passed it.
    failure_.text = "weight expected but '.' found at '";
    const std::string_view rest = text_.substr(pos_);
    const size_t length = rest.empty() ? 0 : DecodeUtf8(rest).length;
    failure_.text += Before(text_.substr(0, pos_)) + "[" + Printable(rest.substr(0, length)) + "]" +
                     After(rest.substr(length)) + "'";
    failure_.pos = Utf16Length(text_.substr(0, pos_));
    return false;
  }
  const auto result = std::from_chars(number.data(), number.data() + number.size(), *weight);
  if (result.ec == std::errc::result_out_of_range) {
    // Digits without an exponent: too large, unless it begins with nothing but zeros.
    const bool tiny = number.find_first_not_of('0') == number.find('.');
    *weight = tiny ? 0.0 : std::numeric_limits<double>::infinity();
  }
  return true;
}

bool Parser::ReadSimple(PathTree* tree) {
  const char c = AtEnd() ? '\0' : text_[pos_];
  if (c == '/') {
    tree->kind = PathTree::Kind::kLeaf;
    return ReadPath(&tree->leaf);
  }
  if (c == '(') {
    if (parens_ == kMaxParens) {
      return Fail("at most " + std::to_string(kMaxParens) + " open parentheses");
    }
    ++parens_;
    ++pos_;
    if (!ReadTree(tree)) return false;
    SkipSpace();
    --parens_;
    return Eat(')');
  }
  if (!AtEnd() && (c == '~' || c == '!' || c == '$')) {
    ++pos_;
    *tree = c == '~' ? PathTree::Neg() : c == '!' ? PathTree::Fail() : PathTree::Empty();
    return true;
  }
  return Fail("simple");
}

}  // namespace trestle::naming
