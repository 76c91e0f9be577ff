#include "naming/utility_namers.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "naming/text.h"

namespace trestle::naming {
namespace {

constexpr size_t kMaxPortName = 63;

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// [a-z0-9][-a-z0-9]*
bool IsPort(std::string_view text) {
  if (text.empty() || text.size() > kMaxPortName || text[0] == '-') return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return IsLower(c) || IsDigit(c) || c == '-'; });
}

// [A-Z]+
bool IsMethod(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), IsUpper);
}

// [A-Za-z0-9.:_-]+
bool IsHost(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return IsLower(c) || IsUpper(c) || IsDigit(c) || c == '.' || c == ':' || c == '_' || c == '-';
  });
}

// A path cannot hold an empty label; the words are Java's.
Lookup EmptyLabel() { return Lookup::Failed("requirement failed"); }

// What each namer makes of one element: the elements to put in its place, or nothing when it does
// not fit. `domain` is the element before, for the subdomain ones.
using Elements = std::optional<std::vector<std::string>>;

Elements HostAndPort(const std::string& element) {
  const auto pieces = SplitDroppingEmptyTail(element, ':');
  if (pieces.size() != 2 || !IsPort(pieces[1])) return std::nullopt;
  return std::vector<std::string>{std::string(pieces[0]), std::string(pieces[1])};
}

Elements PortAndHost(const std::string& element) {
  Elements pair = HostAndPort(element);
  if (pair) std::swap((*pair)[0], (*pair)[1]);
  return pair;
}

Elements DropMethod(const std::string& element) {
  if (!IsMethod(element)) return std::nullopt;
  return std::vector<std::string>{};
}

Elements DropHost(const std::string& element) {
  if (!IsHost(element)) return std::nullopt;
  return std::vector<std::string>{};
}

// "a.b.c" -> c, b, a.
Elements DomainToPath(const std::string& element) {
  if (!IsHost(element)) return std::nullopt;
  std::vector<std::string> labels;
  for (std::string_view piece : SplitDroppingEmptyTail(element, '.')) labels.emplace_back(piece);
  std::reverse(labels.begin(), labels.end());
  return labels;
}

// "a.b.corp.net:80" under "corp.net" -> "a.b".
Elements Subdomain(const std::string& domain, const std::string& element) {
  if (!IsHost(domain) || !IsHost(element)) return std::nullopt;
  const std::string host = element.substr(0, element.find(':'));
  const std::string tail = "." + domain;
  if (host.size() <= tail.size() || !host.ends_with(tail)) return std::nullopt;
  return std::vector<std::string>{host.substr(0, host.size() - tail.size())};
}

// `kept` elements from `first` on, then what the next element became, then the rest.
Lookup Rewrite(const Path& args, size_t first, size_t kept, const Elements& elements) {
  if (!elements) return Lookup::Neg();
  for (const std::string& element : *elements) {
    if (element.empty()) return EmptyLabel();
  }
  return Lookup::To(args.Take(first + kept).Drop(first) + Path(*elements) +
                    args.Drop(first + kept + 1));
}

struct Row {
  std::string_view name;
  size_t kept;  // elements before the one that is rewritten: 1 for a "Pfx"
  Elements (*rewrite)(const std::string& element);
};
constexpr Row kRows[] = {
    {"io.buoyant.hostportPfx", 1, HostAndPort},
    {"io.buoyant.porthostPfx", 1, PortAndHost},
    {"io.buoyant.http.anyMethod", 0, DropMethod},
    {"io.buoyant.http.anyMethodPfx", 1, DropMethod},
    {"io.buoyant.http.anyHost", 0, DropHost},
    {"io.buoyant.http.anyHostPfx", 1, DropHost},
    {"io.buoyant.http.domainToPath", 0, DomainToPath},
    {"io.buoyant.http.domainToPathPfx", 1, DomainToPath},
};

}  // namespace

std::optional<Lookup> AskUtilityNamer(const std::string& name, const Path& args) {
  for (const Row& row : kRows) {
    if (row.name != name) continue;
    if (args.size() <= row.kept) return Lookup::Neg();
    return Rewrite(args, 0, row.kept, row.rewrite(args[row.kept]));
  }
  const bool with_prefix = name == "io.buoyant.http.subdomainOfPfx";
  if (!with_prefix && name != "io.buoyant.http.subdomainOf") return std::nullopt;
  const size_t kept = with_prefix ? 1 : 0;
  if (args.size() <= 1 + kept) return Lookup::Neg();
  return Rewrite(args, 1, kept, Subdomain(args[0], args[1 + kept]));
}

}  // namespace trestle::naming
