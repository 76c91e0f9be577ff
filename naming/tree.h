// What one does with a NameTree: read it, show it, compare it, simplify it, evaluate it.
//
// A PathTree is what stands in a dtab; a BoundTree is what binding makes of a name (it holds no
// Alt).
//
// Lifetime, threading: pure functions on values. Errors: ParseTree gives Code::kInvalid with
// Finagle's text, and the position where asked for it.
// Bounds: kMaxTextBytes and kMaxParens of naming/parser.h, so that a text from the network cannot
// exhaust the stack.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "naming/name_tree.h"
#include "naming/namer.h"
#include "naming/path.h"

namespace trestle::naming {

using PathTree = NameTree<Path>;
using BoundTree = NameTree<BoundName>;

// "0.9*/users & 0.1*(/new | ~)". `error_pos`: where it went wrong, in UTF-16 units.
base::Result<PathTree> ParseTree(std::string_view text, size_t* error_pos = nullptr);

// Weights are shown with two decimals: never store or compare trees by their text.
std::string ShowTree(const PathTree& tree);
std::string ShowTree(const BoundTree& tree);  // leaves by their id, without residual

bool SameTree(const PathTree& a, const PathTree& b);
// Leaves are the same when id, residual and address variable are.
bool SameTree(const BoundTree& a, const BoundTree& b);

// Without what cannot matter: Neg in an Alt and all behind a Fail; Neg and Fail in a Union.
PathTree SimplifyTree(const PathTree& tree);
BoundTree SimplifyTree(const BoundTree& tree);

// The set of leaves that the tree stands for, weights left aside, sorted; nullopt: no answer.
// Bound leaves of one id count once.
std::optional<std::vector<Path>> EvalTree(const PathTree& tree);
std::optional<std::vector<BoundName>> EvalTree(const BoundTree& tree);

}  // namespace trestle::naming
