// What real peers sent each other (tests/vectors/wire).
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace trestle::backend {

// The frames that `from` ("client" or "server") sent on the first connection of a capture.
inline std::vector<std::string> Captured(const std::string& name, const std::string& from) {
  std::ifstream file(std::string(TRESTLE_VECTORS) + "/wire/" + name + ".json");
  nlohmann::json capture = nlohmann::json::parse(file);
  std::vector<std::string> out;
  for (const auto& frame : capture["frames"]) {
    const std::string hex = frame.value("hex", "");
    if (frame["from"] != from || frame["conn"] != 0 || hex.empty()) continue;
    std::string bytes;
    for (size_t i = 0; i + 1 < hex.size(); i += 2) {
      bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    }
    out.push_back(std::move(bytes));
  }
  EXPECT_FALSE(out.empty()) << name;
  return out;
}

}  // namespace trestle::backend
