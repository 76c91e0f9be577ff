#include "naming/path.h"

#include <algorithm>

#include "naming/parser.h"
#include "naming/path_text.h"

namespace trestle::naming {

base::Result<Path> Path::Parse(std::string_view text, size_t* error_pos) {
  Parser parser(text);
  Path path;
  if (parser.ReadPath(&path) && parser.ReadEnd()) return path;
  return parser.FailedStatus(error_pos);
}

bool Path::StartsWith(const Path& head) const {
  return head.size() <= size() &&
         std::equal(head.labels_.begin(), head.labels_.end(), labels_.begin());
}

Path Path::Drop(size_t n) const {
  const auto from = labels_.begin() + static_cast<std::ptrdiff_t>(std::min(n, size()));
  return Path(std::vector<std::string>(from, labels_.end()));
}

Path Path::Take(size_t n) const {
  const auto to = labels_.begin() + static_cast<std::ptrdiff_t>(std::min(n, size()));
  return Path(std::vector<std::string>(labels_.begin(), to));
}

Path Path::operator+(const Path& tail) const {
  std::vector<std::string> labels;
  labels.reserve(size() + tail.size());
  labels.insert(labels.end(), labels_.begin(), labels_.end());
  labels.insert(labels.end(), tail.labels_.begin(), tail.labels_.end());
  return Path(std::move(labels));
}

std::string Path::Show() const {
  if (labels_.empty()) return "/";
  std::string out;
  for (const std::string& label : labels_) {
    out += '/';
    AppendLabel(label, &out);
  }
  return out;
}

base::Result<Prefix> Prefix::Parse(std::string_view text, size_t* error_pos) {
  Parser parser(text);
  Prefix prefix;
  if (parser.ReadPrefix(&prefix) && parser.ReadEnd()) return prefix;
  return parser.FailedStatus(error_pos);
}

bool Prefix::Matches(const Path& path) const {
  if (path.size() < size()) return false;
  for (size_t i = 0; i < size(); ++i) {
    if (elems_[i] && *elems_[i] != path[i]) return false;
  }
  return true;
}

bool Prefix::Covers(const Prefix& other) const {
  if (other.size() < size()) return false;
  for (size_t i = 0; i < size(); ++i) {
    if (elems_[i] && elems_[i] != other.elems_[i]) return false;
  }
  return true;
}

std::string Prefix::Show() const {
  if (elems_.empty()) return "/";
  std::string out;
  for (const auto& elem : elems_) {
    out += '/';
    if (elem) {
      AppendLabel(*elem, &out);
    } else {
      out += '*';
    }
  }
  return out;
}

}  // namespace trestle::naming
