#include "naming/rewrite_namer.h"

#include <set>
#include <utility>

namespace trestle::naming {

base::Result<std::unique_ptr<RewriteNamer>> RewriteNamer::Make(std::string_view pattern,
                                                               std::string_view name) {
  auto from = LabelPattern::ParseAll(pattern, true);
  if (!from.ok()) return base::Status(base::Code::kInvalid, "pattern: " + from.status().message());
  auto to = LabelPattern::ParseAll(name, false);
  if (!to.ok()) return base::Status(base::Code::kInvalid, "name: " + to.status().message());
  std::set<std::string> known;
  for (const LabelPattern& element : *from) {
    for (std::string& capture : element.names()) known.insert(std::move(capture));
  }
  for (const LabelPattern& element : *to) {
    for (const std::string& capture : element.names()) {
      if (known.contains(capture)) continue;
      return base::Status(base::Code::kInvalid,
                          "name: the pattern has no such capture: '{" + capture + "}'");
    }
  }
  std::unique_ptr<RewriteNamer> namer(new RewriteNamer);
  namer->pattern_ = std::move(*from);
  namer->name_ = std::move(*to);
  return namer;
}

Lookup RewriteNamer::Find(const Path& /*prefix*/, const Path& rest, Dependencies* /*deps*/) {
  if (rest.size() < pattern_.size()) return Lookup::Neg();
  LabelPattern::Captures captures;
  for (size_t i = 0; i < pattern_.size(); ++i) {
    if (!pattern_[i].Fits(rest[i], &captures)) return Lookup::Neg();
  }
  std::vector<std::string> labels;
  for (const LabelPattern& element : name_) {
    std::string label = element.Fill(captures);
    if (label.empty()) {
      return Lookup::Failed("a capture of " + rest.Show() + " is empty: no name can be made of it");
    }
    labels.push_back(std::move(label));
  }
  return Lookup::To(Path(std::move(labels)));
}

}  // namespace trestle::naming
