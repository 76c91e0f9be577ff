#include "thrift/lookalike.h"

namespace trestle::thrift {
namespace {

struct Lookalike {
  std::string_view start;
  const char* text;
};

constexpr char kHttp[] = "looks like HTTP";
constexpr Lookalike kStrangers[] = {
    {"GET ", kHttp},
    {"POST", kHttp},
    {"PUT ", kHttp},
    {"HEAD", kHttp},
    {"DELE", kHttp},
    {"OPTI", kHttp},
    {"PATC", kHttp},
    {"CONN", kHttp},
    {"TRAC", kHttp},
    {"PRI ", "looks like HTTP/2"},
    {"HTTP", "looks like an HTTP response"},
    {"\x16\x03", "looks like a TLS hello"},
    {"\x15\x03", "looks like a TLS alert"},
};

}  // namespace

const char* LooksLikeStranger(std::string_view first) {
  for (const Lookalike& other : kStrangers) {
    if (first.substr(0, other.start.size()) == other.start) return other.text;
  }
  return nullptr;
}

const char* LooksLikeUnframed(std::string_view first) {
  if (BinaryStart(first)) return "looks like unframed binary Thrift";
  if (CompactStart(first)) return "looks like unframed compact Thrift";
  return nullptr;
}

const char* LooksLikeFramed(std::string_view first) {
  if (first.size() < 6) return nullptr;
  const std::string_view message = first.substr(4);
  if (BinaryStart(message)) return "looks like framed binary Thrift";
  if (CompactStart(message)) return "looks like framed compact Thrift";
  if (HeaderStart(message)) return kLooksLikeHeader;
  if (message[0] == '\x7f' && message[1] == 0) return kLooksLikeMux;  // a session's first frame
  return nullptr;
}

}  // namespace trestle::thrift
