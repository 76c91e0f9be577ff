#include "naming/label_pattern.h"

#include <utility>

#include "naming/path.h"

namespace trestle::naming {
namespace {

base::Status Bad(std::string_view what, std::string_view text) {
  return {base::Code::kInvalid, std::string(what) + ": '" + std::string(text) + "'"};
}

}  // namespace

base::Result<LabelPattern> LabelPattern::Parse(std::string_view text, bool stars) {
  LabelPattern pattern;
  if (stars && text == "*") {
    pattern.any_ = true;
    return pattern;
  }
  std::string literal;  // read as a label, so that \xNN works as in any path
  const auto flush = [&]() -> base::Status {
    if (literal.empty()) return base::Status::Ok();
    base::Result<Path> label = Path::Parse("/" + literal);
    if (!label.ok()) return label.status();
    if (label->size() != 1) return Bad("not a part of a path", literal);
    pattern.pieces_.push_back({false, (*label)[0]});
    literal.clear();
    return base::Status::Ok();
  };
  while (!text.empty()) {
    const size_t open = text.find_first_of("{}");
    literal = text.substr(0, open);
    if (base::Status status = flush(); !status.ok()) return status;
    if (open == std::string_view::npos) break;
    const size_t close = text.find_first_of("{}", open + 1);
    if (text[open] == '}' || close == std::string_view::npos || text[close] == '{') {
      return Bad("unbalanced braces", text);
    }
    if (close == open + 1) return Bad("a capture without a name", text);
    pattern.pieces_.push_back({true, std::string(text.substr(open + 1, close - open - 1))});
    text.remove_prefix(close + 1);
  }
  return pattern;
}

base::Result<std::vector<LabelPattern>> LabelPattern::ParseAll(std::string_view text, bool stars) {
  if (text.empty() || text[0] != '/') return Bad("must begin with '/'", text);
  std::vector<LabelPattern> patterns;
  while (text.size() > 1) {
    const size_t end = text.find('/', 1);
    const std::string_view piece = text.substr(1, end == std::string_view::npos ? end : end - 1);
    if (piece.empty()) return Bad("an empty element", text);
    base::Result<LabelPattern> pattern = Parse(piece, stars);
    if (!pattern.ok()) return pattern.status();
    patterns.push_back(*std::move(pattern));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end);
    if (text == "/") return Bad("ends with '/'", piece);
  }
  return patterns;
}

bool LabelPattern::Fits(const std::string& label, Captures* captures) const {
  if (any_) return true;
  const std::vector<Piece>& pieces = pieces_;
  bool has_capture = false;
  for (const Piece& piece : pieces) has_capture = has_capture || piece.capture;
  if (!has_capture) return pieces.size() == 1 && pieces[0].text == label;
  // Captures are greedy, so each literal behind one stands as far right as the literals after it
  // leave room for; only a leading literal stands as far left as it can.
  std::vector<size_t> starts(pieces.size());
  size_t limit = label.size();
  const size_t leading = pieces[0].capture ? 0 : 1;
  for (size_t i = pieces.size(); i-- > leading;) {
    if (pieces[i].capture) continue;
    if (pieces[i].text.size() > limit) return false;
    starts[i] = label.rfind(pieces[i].text, limit - pieces[i].text.size());
    if (starts[i] == std::string::npos) return false;
    limit = starts[i];
  }
  size_t at = 0;
  if (leading == 1) {
    starts[0] = label.find(pieces[0].text);
    if (starts[0] == std::string::npos || starts[0] + pieces[0].text.size() > limit) return false;
  }
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (!pieces[i].capture) {
      at = starts[i] + pieces[i].text.size();
      continue;
    }
    // Of several captures in a row the first takes all.
    size_t next = i + 1;
    while (next < pieces.size() && pieces[next].capture) ++next;
    const size_t end = next < pieces.size() ? starts[next] : label.size();
    if (captures) (*captures)[pieces[i].text] = label.substr(at, end - at);
    at = end;
  }
  return true;
}

std::string LabelPattern::Fill(const Captures& captures) const {
  std::string label;
  for (const Piece& piece : pieces_) {
    const auto captured = piece.capture ? captures.find(piece.text) : captures.end();
    if (!piece.capture) label += piece.text;
    if (captured != captures.end()) label += captured->second;
  }
  return label;
}

std::vector<std::string> LabelPattern::names() const {
  std::vector<std::string> names;
  for (const Piece& piece : pieces_) {
    if (piece.capture) names.push_back(piece.text);
  }
  return names;
}

}  // namespace trestle::naming
