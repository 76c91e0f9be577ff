#include "naming/fs_file.h"

#include <optional>
#include <string>
#include <vector>

#include "naming/text.h"

namespace trestle::naming {
namespace {

constexpr std::string_view kSpace = " \t\n\v\f\r";

std::string_view Trim(std::string_view text) {
  const size_t from = text.find_first_not_of(kSpace);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(kSpace) - from + 1);
}

std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  for (line = Trim(line); !line.empty(); line = Trim(line)) {
    words.push_back(line.substr(0, line.find_first_of(kSpace)));
    line.remove_prefix(words.back().size());
  }
  return words;
}

std::optional<Endpoint> ParseLine(std::string_view line) {
  const auto words = Words(line);
  if (words.size() != 2 && words.size() != 4) return std::nullopt;
  const std::optional<int32_t> port = ParseInt32(words[1]);
  if (!port || *port < 1 || *port > 65535) return std::nullopt;
  Endpoint endpoint;
  endpoint.port = static_cast<uint16_t>(*port);
  std::string_view host = words[0];
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  endpoint.host = host;
  if (words.size() == 4) {
    const std::optional<double> weight = ParseNumber(words[3]);
    if (words[2] != "*" || !weight) return std::nullopt;
    endpoint.weight = *weight;
    endpoint.has_weight = true;
  }
  return endpoint;
}

}  // namespace

Addr ParseFsFile(std::string_view text) {
  if (text.size() > kMaxFsFileBytes) {
    return Addr::Failed("file of " + std::to_string(text.size()) + " bytes: at most " +
                        std::to_string(kMaxFsFileBytes) + " are read");
  }
  std::vector<Endpoint> endpoints;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    line = Trim(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    const std::optional<Endpoint> endpoint = ParseLine(line);
    if (!endpoint) return Addr::Failed("malformed address: " + std::string(line));
    endpoints.push_back(*endpoint);
  }
  return Addr::Bound(std::move(endpoints));
}

}  // namespace trestle::naming
