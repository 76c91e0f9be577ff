// Section: one map of the file while it is read, key by key; Findings: what was found wrong so far.
//
// Whoever reads a section asks for every key that it supports, names those that Linkerd has and
// Trestle does not, and ends with Done(), which tells of all others.
//
// Lifetime: the tree and the Findings outlive the section. Threading: none. Errors: every wrong
// value is a problem in the Findings, and the fallback is given instead.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "conf/problem.h"
#include "conf/yaml_tree.h"

namespace trestle::conf {

class Findings {
 public:
  explicit Findings(std::string file) : file_(std::move(file)) {}
  void Wrong(int line, const std::string& key, const std::string& what);
  void Warn(int line, const std::string& key, const std::string& what);
  // Counts a step of the walk. False once there were so many that aliases must have multiplied
  // them: the rest of the file is left unread, and a problem says so.
  bool Step(int line);

  const std::string& file() const { return file_; }
  // In the order of their lines.
  std::vector<Problem> TakeProblems();
  std::vector<Problem> TakeWarnings();

 private:
  std::string file_;
  std::vector<Problem> problems_, warnings_;
  size_t more_ = 0;  // problems beyond those that are kept
  size_t steps_ = 0;
};

// A value with where it stands.
struct Item {
  const YamlNode* node = nullptr;
  int line = 0;
  std::string key;
};

// A key that Linkerd has and Trestle does not support yet; `harmless` is the one value (beside
// nothing at all) that asks for nothing and is therefore fine: a text, "[]" or "{}".
struct KnownKey {
  const char* name;
  const char* harmless = nullptr;
};

class Section {
 public:
  // A value that is no map is a problem, and acts as an empty one.
  Section(const Item& item, Findings* findings);

  // Where the section stands and what it is called.
  int line() const { return line_; }
  const std::string& key() const { return key_; }
  std::string KeyOf(std::string_view name) const;
  Findings* findings() const { return findings_; }

  // The value of a key, unless it is not there or nothing.
  std::optional<Item> Take(std::string_view name);
  // A key whose value is nothing is a problem: what it guards would be open.
  void RefuseNothing(std::string_view name);
  // The same as Take; not being there is a problem.
  std::optional<Item> Need(std::string_view name);
  void Wrong(const Item& item, const std::string& what) const;

  // Each gives no value, or the fallback, when the key is not there or its value is wrong.
  std::optional<bool> MaybeFlag(std::string_view name);
  bool Flag(std::string_view name, bool fallback) { return MaybeFlag(name).value_or(fallback); }
  std::optional<uint64_t> MaybeSize(std::string_view name, uint64_t least, uint64_t most);
  uint64_t Size(std::string_view name, uint64_t least, uint64_t most, uint64_t fallback) {
    return MaybeSize(name, least, most).value_or(fallback);
  }
  std::optional<uint32_t> MaybeWhole(std::string_view name, uint32_t least, uint32_t most);
  uint32_t Whole(std::string_view name, uint32_t least, uint32_t most, uint32_t fallback) {
    return MaybeWhole(name, least, most).value_or(fallback);
  }
  double Real(std::string_view name, double least, double most, double fallback);
  // Milliseconds, or with `unit` 1000 seconds.
  std::optional<Millis> MaybeTime(std::string_view name, uint32_t least, uint32_t unit = 1);
  Millis Time(std::string_view name, uint32_t least, Millis fallback, uint32_t unit = 1) {
    return MaybeTime(name, least, unit).value_or(fallback);
  }
  std::optional<Located<std::string>> Text(std::string_view name);
  // A text for logs and metrics: without control characters.
  std::optional<Located<std::string>> Label(std::string_view name);
  Located<uint16_t> Port(std::string_view name, uint16_t fallback);
  // An address of this machine, as inet_ntop writes it; "localhost" is 127.0.0.1.
  Located<std::string> Ip(std::string_view name, const std::string& fallback);
  std::optional<Located<naming::Path>> PathOf(std::string_view name);
  // One of `words`; gives its place in them.
  size_t Word(std::string_view name, const std::vector<std::string_view>& words, size_t fallback);

  std::optional<Section> Map(std::string_view name);
  // The items of a list; empty when it is not there.
  std::vector<Item> List(std::string_view name);
  std::vector<std::string> Words(std::string_view name);

  // Reads the key that tells what kind of thing this is. `known`: the kinds that Linkerd has
  // beside. Nothing when it is none of `supported`; the section's other keys then mean nothing
  // here.
  std::optional<std::string> Kind(std::string_view name,
                                  const std::vector<std::string_view>& supported,
                                  const std::vector<std::string_view>& known,
                                  const char* fallback = nullptr);

  // Tells of every key that nobody asked for.
  void Done(const std::vector<KnownKey>& known = {});

 private:
  void FindTwins();
  void TellLeftOver(const YamlNode::Member& member, const std::vector<KnownKey>& known);

  Findings* findings_;
  int line_;
  std::string key_;
  const YamlNode* node_;  // nullptr: acts as empty
  std::vector<std::string_view> asked_;
};

// "not supported yet" in the words that all such problems have.
std::string NotSupported(std::string_view what);

}  // namespace trestle::conf
