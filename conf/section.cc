#include "conf/section.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <utility>

#include "conf/suggest.h"

namespace trestle::conf {
namespace {

constexpr size_t kMostProblems = 100;
constexpr size_t kMostSteps = 50'000;
constexpr uint32_t kMostTime = 2'147'483'647;  // Linkerd's, in either unit

// The whole of `text` as a number.
template <class Number>
std::optional<Number> Read(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool OnlyDigits(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool IsHarmless(const YamlNode& node, const char* harmless) {
  if (node.kind == YamlNode::Kind::kNull) return true;
  if (harmless == nullptr) return false;
  const std::string_view wanted = harmless;
  if (node.kind == YamlNode::Kind::kList) return wanted == "[]" && node.items.empty();
  if (node.kind == YamlNode::Kind::kMap) return wanted == "{}" && node.members.empty();
  return node.text == wanted;
}

std::string Shown(double value) {
  std::string text = std::to_string(value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

}  // namespace

std::string NotSupported(std::string_view what) {
  return std::string(what) + " is known to Linkerd, but not supported yet";
}

void Findings::Wrong(int line, const std::string& key, const std::string& what) {
  if (problems_.size() >= kMostProblems) {
    ++more_;
  } else {
    problems_.push_back({file_, line, key, what});
  }
}

void Findings::Warn(int line, const std::string& key, const std::string& what) {
  if (warnings_.size() < kMostProblems) warnings_.push_back({file_, line, key, what});
}

bool Findings::Step(int line) {
  if (steps_ > kMostSteps) return false;
  if (++steps_ <= kMostSteps) return true;
  problems_.push_back({file_, line, "",
                       "more than " + std::to_string(kMostSteps) +
                           " keys and items, aliases counted as what they stand for; the rest was "
                           "not read"});
  return false;
}

std::vector<Problem> Findings::TakeProblems() {
  SortByLine(&problems_);
  if (more_ > 0) problems_.push_back({file_, 0, "", std::to_string(more_) + " more problems"});
  return std::move(problems_);
}

std::vector<Problem> Findings::TakeWarnings() {
  SortByLine(&warnings_);
  return std::move(warnings_);
}

Section::Section(const Item& item, Findings* findings)
    : findings_(findings), line_(item.line), key_(item.key), node_(item.node) {
  if (node_->kind != YamlNode::Kind::kMap) {
    findings_->Wrong(line_, key_, "must be a map, is " + Describe(*node_));
    node_ = nullptr;
    return;
  }
  FindTwins();
}

// A key that stands there twice: which of them counts is nothing to guess at.
void Section::FindTwins() {
  std::set<std::string_view> seen;
  for (const YamlNode::Member& member : node_->members) {
    if (!findings_->Step(member.line)) {
      node_ = nullptr;
      return;
    }
    if (!seen.insert(member.key).second) {
      findings_->Wrong(member.line, KeyOf(member.key), "stands here for the second time");
    }
  }
}

std::string Section::KeyOf(std::string_view name) const {
  constexpr size_t kShown = 80;  // of a hostile key
  const std::string shown(name.substr(0, kShown));
  return key_.empty() ? shown : key_ + "." + shown;
}

void Section::RefuseNothing(std::string_view name) {
  if (node_ == nullptr) return;
  for (const YamlNode::Member& member : node_->members) {
    if (member.key != name || member.value->kind != YamlNode::Kind::kNull) continue;
    findings_->Wrong(member.line, KeyOf(name), "has no value; take the key out if that is meant");
  }
}

std::optional<Item> Section::Take(std::string_view name) {
  asked_.push_back(name);
  if (node_ == nullptr) return std::nullopt;
  for (const YamlNode::Member& member : node_->members) {
    if (member.key != name) continue;
    if (member.value->kind == YamlNode::Kind::kNull) return std::nullopt;
    return Item{member.value, member.line, KeyOf(name)};
  }
  return std::nullopt;
}

std::optional<Item> Section::Need(std::string_view name) {
  auto item = Take(name);
  if (!item) findings_->Wrong(line_, KeyOf(name), "is missing");
  return item;
}

void Section::Wrong(const Item& item, const std::string& what) const {
  findings_->Wrong(item.line, item.key, what);
}

std::optional<bool> Section::MaybeFlag(std::string_view name) {
  const auto item = Take(name);
  if (!item) return std::nullopt;
  const std::string& text = item->node->text;
  if (item->node->kind == YamlNode::Kind::kScalar) {
    if (text == "true" || text == "True" || text == "TRUE") return true;
    if (text == "false" || text == "False" || text == "FALSE") return false;
  }
  Wrong(*item, "must be true or false, is " + Describe(*item->node));
  return std::nullopt;
}

std::optional<uint64_t> Section::MaybeSize(std::string_view name, uint64_t least, uint64_t most) {
  const auto item = Take(name);
  if (!item) return std::nullopt;
  const YamlNode& node = *item->node;
  if (node.kind != YamlNode::Kind::kScalar || !OnlyDigits(node.text)) {
    Wrong(*item, "must be a whole number, is " + Describe(node));
    return std::nullopt;
  }
  const auto value = Read<int64_t>(node.text);
  const bool is_less = node.text.starts_with('-') || (value && std::cmp_less(*value, least));
  if (value && !is_less && std::cmp_less_equal(*value, most)) return static_cast<uint64_t>(*value);
  const std::string shown = node.text.substr(0, 30);
  if (is_less) {
    Wrong(*item, "must be at least " + std::to_string(least) + ", is " + shown);
  } else {
    Wrong(*item, "must be at most " + std::to_string(most) + ", is " + shown);
  }
  return std::nullopt;
}

std::optional<uint32_t> Section::MaybeWhole(std::string_view name, uint32_t least, uint32_t most) {
  const auto value = MaybeSize(name, least, most);
  if (!value) return std::nullopt;
  return static_cast<uint32_t>(*value);
}

double Section::Real(std::string_view name, double least, double most, double fallback) {
  const auto item = Take(name);
  if (!item) return fallback;
  const auto value =
      item->node->kind == YamlNode::Kind::kScalar ? Read<double>(item->node->text) : std::nullopt;
  if (!value || !std::isfinite(*value)) {
    Wrong(*item, "must be a number, is " + Describe(*item->node));
  } else if (*value < least || *value > most) {
    Wrong(*item, "must be from " + Shown(least) + " to " + Shown(most) + ", is " +
                     item->node->text.substr(0, 30));
  } else {
    return *value;
  }
  return fallback;
}

std::optional<Millis> Section::MaybeTime(std::string_view name, uint32_t least, uint32_t unit) {
  const auto value = MaybeWhole(name, least, kMostTime);
  if (!value) return std::nullopt;
  return Millis(int64_t{*value} * unit);
}

std::optional<Located<std::string>> Section::Text(std::string_view name) {
  const auto item = Take(name);
  if (!item) return std::nullopt;
  if (item->node->kind != YamlNode::Kind::kScalar) {
    Wrong(*item, "must be a text, is " + Describe(*item->node));
    return std::nullopt;
  }
  return Located<std::string>{item->node->text, item->line, item->key};
}

std::optional<Located<std::string>> Section::Label(std::string_view name) {
  auto text = Text(name);
  if (!text) return text;
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; };
  if (std::none_of(text->value.begin(), text->value.end(), is_control)) return text;
  findings_->Wrong(text->line, text->key, "must have no control characters");
  return std::nullopt;
}

Located<uint16_t> Section::Port(std::string_view name, uint16_t fallback) {
  const auto item = Take(name);
  const auto value = MaybeWhole(name, 0, 65'535);
  return {static_cast<uint16_t>(value.value_or(fallback)), item ? item->line : line_, KeyOf(name)};
}

Located<std::string> Section::Ip(std::string_view name, const std::string& fallback) {
  auto text = Text(name);
  if (!text) return {fallback, line_, KeyOf(name)};
  if (text->value == "localhost") {
    text->value = "127.0.0.1";
    return *std::move(text);
  }
  char bytes[sizeof(in6_addr)];
  char shown[INET6_ADDRSTRLEN];
  for (const int family : {AF_INET, AF_INET6}) {
    // c_str() ends at a NUL, which no text of a file has.
    if (inet_pton(family, text->value.c_str(), bytes) != 1) continue;
    text->value = inet_ntop(family, bytes, shown, sizeof(shown));
    return *std::move(text);
  }
  findings_->Wrong(text->line, text->key,
                   "must be an IPv4 or IPv6 address, is \"" + text->value.substr(0, 60) + "\"");
  text->value = fallback;
  return *std::move(text);
}

std::optional<Located<naming::Path>> Section::PathOf(std::string_view name) {
  const auto text = Text(name);
  if (!text) return std::nullopt;
  auto path = naming::Path::Parse(text->value);
  if (!path.ok()) {
    findings_->Wrong(text->line, text->key, path.status().message());
    return std::nullopt;
  }
  return Located<naming::Path>{*std::move(path), text->line, text->key};
}

size_t Section::Word(std::string_view name, const std::vector<std::string_view>& words,
                     size_t fallback) {
  const auto item = Take(name);
  if (!item) return fallback;
  std::string all;
  for (size_t i = 0; i < words.size(); ++i) {
    if (item->node->kind == YamlNode::Kind::kScalar && item->node->text == words[i]) return i;
    all += (i == 0 ? "" : " or ") + std::string(words[i]);
  }
  Wrong(*item, "must be " + all + ", is " + Describe(*item->node));
  return fallback;
}

std::optional<Section> Section::Map(std::string_view name) {
  const auto item = Take(name);
  if (!item) return std::nullopt;
  return Section(*item, findings_);
}

std::vector<Item> Section::List(std::string_view name) {
  std::vector<Item> items;
  const auto item = Take(name);
  if (!item) return items;
  if (item->node->kind != YamlNode::Kind::kList) {
    Wrong(*item, "must be a list, is " + Describe(*item->node));
    return items;
  }
  for (const YamlNode* node : item->node->items) {
    if (!findings_->Step(node->line)) break;
    items.push_back({node, node->line, item->key + "[" + std::to_string(items.size()) + "]"});
  }
  return items;
}

std::vector<std::string> Section::Words(std::string_view name) {
  std::vector<std::string> words;
  for (const Item& item : List(name)) {
    const bool one = item.node->kind == YamlNode::Kind::kScalar && !item.node->text.empty() &&
                     item.node->text.find_first_of(" \t\n") == std::string::npos;
    if (one) {
      words.push_back(item.node->text);
    } else {
      Wrong(item, "must be a word, is " + Describe(*item.node));
    }
  }
  return words;
}

std::optional<std::string> Section::Kind(std::string_view name,
                                         const std::vector<std::string_view>& supported,
                                         const std::vector<std::string_view>& known,
                                         const char* fallback) {
  const auto is_in = [](const std::vector<std::string_view>& words, std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  const auto item = fallback == nullptr && node_ != nullptr ? Need(name) : Take(name);
  if (!item) return fallback == nullptr ? std::nullopt : std::optional<std::string>(fallback);
  const YamlNode& node = *item->node;
  if (node.kind != YamlNode::Kind::kScalar) {
    Wrong(*item, "must be a word, is " + Describe(node));
    return std::nullopt;
  }
  if (is_in(supported, node.text)) return node.text;
  if (is_in(known, node.text)) {
    Wrong(*item, NotSupported(node.text));
    return std::nullopt;
  }
  std::vector<std::string_view> all = supported;
  all.insert(all.end(), known.begin(), known.end());
  const std::string with_family = "io.l5d." + node.text;
  const std::string hint =
      is_in(all, with_family) ? "; did you mean " + with_family + "?" : Suggestion(node.text, all);
  Wrong(*item, "no such " + std::string(name) + ": " + Describe(node) + hint);
  return std::nullopt;
}

void Section::Done(const std::vector<KnownKey>& known) {
  if (node_ == nullptr) return;
  for (const YamlNode::Member& member : node_->members) {
    const bool was_asked =
        std::find(asked_.begin(), asked_.end(), std::string_view(member.key)) != asked_.end();
    if (!was_asked) TellLeftOver(member, known);
  }
}

void Section::TellLeftOver(const YamlNode::Member& member, const std::vector<KnownKey>& known) {
  std::vector<std::string_view> words = asked_;
  for (const KnownKey& key : known) {
    if (member.key != key.name) {
      words.push_back(key.name);
      continue;
    }
    if (IsHarmless(*member.value, key.harmless)) return;
    const std::string value = member.value->kind == YamlNode::Kind::kScalar
                                  ? ": " + member.value->text.substr(0, 60)
                                  : "";
    findings_->Wrong(member.line, KeyOf(member.key), NotSupported(key.name + value));
    return;
  }
  findings_->Wrong(member.line, KeyOf(member.key), "unknown key" + Suggestion(member.key, words));
}

}  // namespace trestle::conf
