#include "naming/rewrite_namer.h"

#include <set>
#include <utility>

namespace trestle::naming {
namespace {

base::Status Bad(std::string_view what, std::string_view text) {
  return {base::Code::kInvalid, std::string(what) + ": '" + std::string(text) + "'"};
}

}  // namespace

base::Result<RewriteNamer::Element> RewriteNamer::ParseElement(std::string_view text, bool stars) {
  Element element;
  if (stars && text == "*") {
    element.any = true;
    return element;
  }
  std::string literal;  // read as a label, so that \xNN works as in any path
  const auto flush = [&]() -> base::Status {
    if (literal.empty()) return base::Status::Ok();
    base::Result<Path> label = Path::Parse("/" + literal);
    if (!label.ok()) return label.status();
    if (label->size() != 1) return Bad("not a part of a path", literal);
    element.pieces.push_back({false, (*label)[0]});
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
    element.pieces.push_back({true, std::string(text.substr(open + 1, close - open - 1))});
    text.remove_prefix(close + 1);
  }
  return element;
}

base::Result<std::vector<RewriteNamer::Element>> RewriteNamer::ParseElements(std::string_view text,
                                                                             bool stars) {
  if (text.empty() || text[0] != '/') return Bad("must begin with '/'", text);
  std::vector<Element> elements;
  while (text.size() > 1) {
    const size_t end = text.find('/', 1);
    const std::string_view piece = text.substr(1, end == std::string_view::npos ? end : end - 1);
    if (piece.empty()) return Bad("an empty element", text);
    base::Result<Element> element = ParseElement(piece, stars);
    if (!element.ok()) return element.status();
    elements.push_back(std::move(*element));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end);
    if (text == "/") return Bad("ends with '/'", piece);
  }
  return elements;
}

base::Result<std::unique_ptr<RewriteNamer>> RewriteNamer::Make(std::string_view pattern,
                                                               std::string_view name) {
  base::Result<std::vector<Element>> from = ParseElements(pattern, true);
  if (!from.ok()) return base::Status(base::Code::kInvalid, "pattern: " + from.status().message());
  base::Result<std::vector<Element>> to = ParseElements(name, false);
  if (!to.ok()) return base::Status(base::Code::kInvalid, "name: " + to.status().message());
  std::set<std::string> known;
  for (const Element& element : *from) {
    for (const Piece& piece : element.pieces) {
      if (piece.capture) known.insert(piece.text);
    }
  }
  for (const Element& element : *to) {
    for (const Piece& piece : element.pieces) {
      if (piece.capture && !known.contains(piece.text)) {
        return Bad("name: the pattern has no such capture", "{" + piece.text + "}");
      }
    }
  }
  std::unique_ptr<RewriteNamer> namer(new RewriteNamer);
  namer->pattern_ = std::move(*from);
  namer->name_ = std::move(*to);
  return namer;
}

bool RewriteNamer::Fits(const Element& element, const std::string& label, Captures* captures) {
  if (element.any) return true;
  const std::vector<Piece>& pieces = element.pieces;
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
    (*captures)[pieces[i].text] = label.substr(at, end - at);
    at = end;
  }
  return true;
}

Lookup RewriteNamer::Find(const Path& /*prefix*/, const Path& rest, Dependencies* /*deps*/) {
  if (rest.size() < pattern_.size()) return Lookup::Neg();
  Captures captures;
  for (size_t i = 0; i < pattern_.size(); ++i) {
    if (!Fits(pattern_[i], rest[i], &captures)) return Lookup::Neg();
  }
  std::vector<std::string> labels;
  for (const Element& element : name_) {
    std::string label;
    for (const Piece& piece : element.pieces) {
      label += piece.capture ? captures[piece.text] : piece.text;
    }
    if (label.empty()) {
      return Lookup::Failed("a capture of " + rest.Show() + " is empty: no name can be made of it");
    }
    labels.push_back(std::move(label));
  }
  return Lookup::To(Path(std::move(labels)));
}

}  // namespace trestle::naming
