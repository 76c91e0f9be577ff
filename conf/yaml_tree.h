// YamlTree: a YAML document as plain nodes that know their lines. The only place that sees
// yaml-cpp.
//
// An alias is the node that it stands for, shared and not copied, so a tree is never larger than
// its text; whoever walks it bounds the walk.
//
// Lifetime: nodes live as long as their tree. Threading: none. Errors: Problems; no exception
// leaves.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/problem.h"

namespace trestle::conf {

struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };
  struct Member {
    std::string key;
    int line = 0;
    const YamlNode* value = nullptr;
  };
  Kind kind = Kind::kNull;
  int line = 0;                        // from 1
  std::string text;                    // kScalar
  bool literal = false;                // kScalar: a "|" block, whose first line of text is line + 1
  std::vector<const YamlNode*> items;  // kList
  std::vector<Member> members;         // kMap; a key may stand there twice
};

// "a map", "a list", "nothing", or a text in quotes.
std::string Describe(const YamlNode& node);

class YamlTree {
 public:
  // The one document of `text`. When something is wrong with it, one Problem is added and the tree
  // is not there.
  static std::optional<YamlTree> Read(std::string_view text, const std::string& file_name,
                                      std::vector<Problem>* problems);
  const YamlNode& root() const { return *root_; }

 private:
  std::deque<YamlNode> nodes_;
  const YamlNode* root_ = nullptr;
};

}  // namespace trestle::conf
