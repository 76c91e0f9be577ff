// Tinit and Rinit.
#include "mux/message.h"
#include "mux/reader.h"

namespace trestle::mux {
namespace {

constexpr size_t kMaxInitBytes = 64 * 1024;
constexpr size_t kMaxInitHeaders = 100;
constexpr std::string_view kLevels[] = {"off", "desired", "required"};

// `n:4` and n bytes.
bool LongPiece(Reader* reader, std::string_view* value) {
  uint32_t n = 0;
  return reader->Number<4>(&n) && reader->Bytes(n, value);
}

void PutU32(size_t value, std::string* out) {
  for (int shift = 24; shift >= 0; shift -= 8) out->push_back(static_cast<char>(value >> shift));
}

}  // namespace

DecodeResult DecodeInit(std::string_view body, Init* out) {
  out->headers.clear();
  if (body.size() > kMaxInitBytes) return {Outcome::kMalformed, "over 64 KiB of headers"};
  // The body is there as a whole, so what goes beyond its end is malformed.
  Reader reader(body, body.size(), "cut short");
  uint32_t version = 0;
  if (!reader.Number<2>(&version)) return reader.result();
  out->version = static_cast<uint16_t>(version);
  while (!reader.done()) {
    if (out->headers.size() == kMaxInitHeaders) return {Outcome::kMalformed, "over 100 headers"};
    base::KeyValue& header = out->headers.emplace_back();
    if (!LongPiece(&reader, &header.key) || !LongPiece(&reader, &header.value)) {
      return reader.result();
    }
  }
  return {Outcome::kOk};
}

void EncodeInit(const Init& init, std::string* out) {
  out->push_back(static_cast<char>(init.version >> 8));
  out->push_back(static_cast<char>(init.version));
  for (const base::KeyValue& header : init.headers) {
    PutU32(header.key.size(), out);
    out->append(header.key);
    PutU32(header.value.size(), out);
    out->append(header.value);
  }
}

// Keys of headers are compared as they are, and of equal ones the first holds: so Finagle does it,
// other than with contexts.
std::optional<uint32_t> FramerOf(const Init& init) {
  for (const base::KeyValue& header : init.headers) {
    if (header.key != kFramerKey) continue;
    Reader reader(header.value, header.value.size(), "cut short");
    uint32_t bytes = 0;
    if (!reader.Number<4>(&bytes) || bytes == 0 || bytes > INT32_MAX) return std::nullopt;
    return bytes;
  }
  return std::nullopt;
}

std::string_view TlsLevelName(TlsLevel level) { return kLevels[static_cast<size_t>(level)]; }

TlsLevel TlsLevelOf(const Init& init) {
  for (const base::KeyValue& header : init.headers) {
    if (header.key != kTlsKey) continue;
    for (TlsLevel level : {TlsLevel::kDesired, TlsLevel::kRequired}) {
      if (header.value == TlsLevelName(level)) return level;
    }
    return TlsLevel::kOff;
  }
  return TlsLevel::kOff;
}

TlsChoice ChooseTls(TlsLevel one, TlsLevel other) {
  if (one != TlsLevel::kOff && other != TlsLevel::kOff) return TlsChoice::kTls;
  const bool insists = one == TlsLevel::kRequired || other == TlsLevel::kRequired;
  return insists ? TlsChoice::kRefuse : TlsChoice::kClear;
}

std::string ShowFramer(uint32_t bytes) {
  std::string out;
  PutU32(bytes, &out);
  return out;
}

}  // namespace trestle::mux
