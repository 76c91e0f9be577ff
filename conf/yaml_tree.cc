#include "conf/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <sstream>

namespace trestle::conf {
namespace {

// What ends the reading of a document from within an event.
struct Refused {
  int line;
  std::string what;
};

// Takes yaml-cpp's events and makes nodes of them.
class Builder final : public YAML::EventHandler {
 public:
  Builder(std::string_view text, std::deque<YamlNode>* nodes) : text_(text), nodes_(nodes) {}

  const YamlNode* root() const { return root_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (root_ != nullptr) throw Refused{LineOf(mark), "a second document; one is read"};
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Place(New(YamlNode::Kind::kNull, mark, anchor), mark);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw Refused{LineOf(mark), "an alias of what is not known here"};
    for (const Open& open : open_) {
      if (open.node == found->second) throw Refused{LineOf(mark), "an alias within what it names"};
    }
    Place(found->second, mark);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode* node = New(YamlNode::Kind::kScalar, mark, anchor);
    node->text = value;
    node->literal = tag != "?" && RestOfLine(mark).starts_with('|');
    Place(node, mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Enter(New(YamlNode::Kind::kList, mark, anchor), mark);
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Enter(New(YamlNode::Kind::kMap, mark, anchor), mark);
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  // A list or map whose end has not come yet; of a map, whether its next node is a value.
  struct Open {
    YamlNode* node;
    bool has_key = false;
  };

  static int LineOf(const YAML::Mark& mark) { return mark.line + 1; }

  // What the line of the file has from `mark` on, without an anchor or a tag in front.
  std::string_view RestOfLine(const YAML::Mark& mark) {
    // Marks come nearly in order; lines are walked once.
    if (mark.line < line_) line_start_ = 0;
    if (mark.line < line_) line_ = 0;
    for (; line_ < mark.line; ++line_) {
      const size_t end = text_.find('\n', line_start_);
      if (end == std::string_view::npos) return {};
      line_start_ = end + 1;
    }
    std::string_view rest = text_.substr(line_start_, text_.find('\n', line_start_) - line_start_);
    rest = rest.substr(std::min(rest.size(), static_cast<size_t>(mark.column)));
    while (rest.starts_with('&') || rest.starts_with('!')) {
      rest = rest.substr(std::min(rest.size(), rest.find_first_of(" \t")));
      rest = rest.substr(std::min(rest.size(), rest.find_first_not_of(" \t")));
    }
    return rest;
  }

  YamlNode* New(YamlNode::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    YamlNode& node = nodes_->emplace_back();
    node.kind = kind;
    node.line = LineOf(mark);
    if (anchor != 0) anchors_[anchor] = &node;
    return &node;
  }

  // Puts the node where the next one belongs.
  void Place(const YamlNode* node, const YAML::Mark& mark) {
    if (open_.empty()) {
      root_ = node;
      return;
    }
    Open& top = open_.back();
    if (top.node->kind == YamlNode::Kind::kList) {
      top.node->items.push_back(node);
    } else if (top.has_key) {
      top.node->members.back().value = node;
      top.has_key = false;
    } else {
      if (node->kind != YamlNode::Kind::kScalar) {
        throw Refused{LineOf(mark), "the key of a map must be a word, is " + Describe(*node)};
      }
      top.node->members.push_back({node->text, LineOf(mark), nullptr});
      top.has_key = true;
    }
  }
  void Enter(YamlNode* node, const YAML::Mark& mark) {
    Place(node, mark);
    open_.push_back({node});
  }

  std::string_view text_;
  std::deque<YamlNode>* nodes_;
  const YamlNode* root_ = nullptr;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, YamlNode*> anchors_;
  int line_ = 0;
  size_t line_start_ = 0;
};

// A byte that no YAML text has. yaml-cpp takes some of them for the end of the file, and would
// leave out the rest in silence.
std::optional<Problem> StrayByte(std::string_view text, const std::string& file_name) {
  int line = 1;
  for (const char c : text) {
    if (c == '\n') ++line;
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' && c != '\r') {
      return Problem{file_name, line, "", "a control character; the file must be UTF-8 text"};
    }
  }
  return std::nullopt;
}

}  // namespace

std::string Describe(const YamlNode& node) {
  constexpr size_t kShown = 60;
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kList:
      return "a list";
    case YamlNode::Kind::kMap:
      return "a map";
    case YamlNode::Kind::kScalar:
      break;
  }
  std::string shown = node.text.substr(0, kShown);
  for (char& c : shown) {
    if (c == '\n') c = ' ';
  }
  return "\"" + shown + (node.text.size() > kShown ? "…\"" : "\"");
}

std::optional<YamlTree> YamlTree::Read(std::string_view text, const std::string& file_name,
                                       std::vector<Problem>* problems) {
  if (auto stray = StrayByte(text, file_name)) {
    problems->push_back(*std::move(stray));
    return std::nullopt;
  }
  YamlTree tree;
  Builder builder(text, &tree.nodes_);
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Refused& refused) {
    problems->push_back({file_name, refused.line, "", refused.what});
    return std::nullopt;
  } catch (const YAML::Exception& error) {
    problems->push_back({file_name, error.mark.line + 1, "", "not YAML: " + error.msg});
    return std::nullopt;
  } catch (const std::exception& error) {  // a number in a directive, memory
    problems->push_back({file_name, 0, "", std::string("not YAML: ") + error.what()});
    return std::nullopt;
  }
  tree.root_ = builder.root() != nullptr ? builder.root() : &tree.nodes_.emplace_back();
  return tree;
}

}  // namespace trestle::conf
