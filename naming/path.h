// Path and Prefix: names as lists of labels, as Finagle has them.
//
// Lifetime, threading: values. Errors: parse errors are Code::kInvalid with Finagle's text; their
// position goes to `error_pos` (in UTF-16 units: bytes, when the text is ASCII).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace trestle::naming {

// "/users/add": labels are bytes, never empty. "/" has none.
class Path {
 public:
  Path() = default;
  explicit Path(std::vector<std::string> labels) : labels_(std::move(labels)) {}
  // Reads all of `text` ("EXPECTED expected but FOUND found at '…'" when wrong).
  static base::Result<Path> Parse(std::string_view text, size_t* error_pos = nullptr);

  size_t size() const { return labels_.size(); }
  bool empty() const { return labels_.empty(); }
  const std::vector<std::string>& labels() const { return labels_; }
  const std::string& operator[](size_t i) const { return labels_[i]; }
  bool StartsWith(const Path& head) const;
  // Without the first n labels (all of them when there are fewer).
  Path Drop(size_t n) const;
  Path Take(size_t n) const;
  Path operator+(const Path& tail) const;
  // Labels joined by "/"; one with an unusual byte is written wholly as \xNN.
  std::string Show() const;

  friend bool operator==(const Path&, const Path&) = default;
  friend auto operator<=>(const Path&, const Path&) = default;

 private:
  std::vector<std::string> labels_;
};

// The left side of a dentry: a Path in which "*" stands for any one label.
class Prefix {
 public:
  Prefix() = default;
  explicit Prefix(std::vector<std::optional<std::string>> elems) : elems_(std::move(elems)) {}
  static base::Result<Prefix> Parse(std::string_view text, size_t* error_pos = nullptr);

  size_t size() const { return elems_.size(); }
  // nullopt is the "*".
  const std::vector<std::optional<std::string>>& elems() const { return elems_; }
  bool Matches(const Path& path) const;
  // It matches all that `other` matches.
  bool Covers(const Prefix& other) const;
  std::string Show() const;
  friend bool operator==(const Prefix&, const Prefix&) = default;

 private:
  std::vector<std::optional<std::string>> elems_;
};

}  // namespace trestle::naming
