// Suggest: the word that was probably meant.
//
// Lifetime, threading: pure. Errors: none.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trestle::conf {

// How many letters must be put in, dropped, changed or swapped with their neighbour to make one
// word of the other; upper and lower case count as equal.
size_t EditDistance(std::string_view a, std::string_view b);

// "; did you mean X?" for the nearest of `words`, the first of equals; "" when none is near.
std::string Suggestion(std::string_view word, const std::vector<std::string_view>& words);

}  // namespace trestle::conf
