#include "conf/name_pattern.h"

namespace trestle::conf {

base::Result<NamePattern> NamePattern::Parse(std::string_view text) {
  if (!text.starts_with('/')) {
    return base::Status(base::Code::kInvalid,
                        "must begin with /, is \"" + std::string(text.substr(0, 60)) + "\"");
  }
  NamePattern pattern;
  pattern.text_ = std::string(text);
  if (text.size() > 1 && text.ends_with('/')) text.remove_suffix(1);
  auto elements = naming::LabelPattern::ParseAll(text, true);
  if (!elements.ok()) return elements.status();
  pattern.elements_ = *std::move(elements);
  return pattern;
}

bool NamePattern::Matches(const naming::Path& path) const {
  if (path.size() < elements_.size()) return false;
  for (size_t i = 0; i < elements_.size(); ++i) {
    if (!elements_[i].Fits(path[i], nullptr)) return false;
  }
  return true;
}

naming::LabelPattern::Captures NamePattern::CapturesOf(const naming::Path& path) const {
  naming::LabelPattern::Captures captures;
  for (size_t i = 0; i < elements_.size(); ++i) elements_[i].Fits(path[i], &captures);
  return captures;
}

std::vector<std::string> NamePattern::captures() const {
  std::vector<std::string> names;
  for (const naming::LabelPattern& element : elements_) {
    for (std::string& name : element.names()) names.push_back(std::move(name));
  }
  return names;
}

}  // namespace trestle::conf
