// Tdispatch and Rdispatch, and Treq and Rreq, which stood in their place before.
#include <utility>

#include "mux/message.h"
#include "mux/reader.h"

namespace trestle::mux {
namespace {

constexpr char kLongHeader[] = "over 256 KiB before the payload";
constexpr char kManyContexts[] = "over 1000 contexts";
constexpr char kManyDentries[] = "over 1000 dtab entries";

bool ReadContexts(Reader* reader, base::Contexts* out) {
  uint32_t count = 0;
  if (!reader->Number<2>(&count)) return false;
  if (count > kMaxContexts) return reader->Fail(kManyContexts);
  for (; count > 0; count--) {
    base::KeyValue& pair = out->emplace_back();
    if (!reader->Piece(&pair.key) || !reader->Piece(&pair.value)) return false;
  }
  return true;
}

bool ReadDtab(Reader* reader, std::vector<Dentry>* out) {
  uint32_t count = 0;
  if (!reader->Number<2>(&count)) return false;
  if (count > kMaxDentries) return reader->Fail(kManyDentries);
  for (; count > 0; count--) {
    Dentry& dentry = out->emplace_back();
    if (!reader->Piece(&dentry.prefix) || !reader->Piece(&dentry.tree)) return false;
  }
  return true;
}

bool ReadStatus(Reader* reader, ReplyStatus* out) {
  uint32_t status = 0;
  if (!reader->Number<1>(&status)) return false;
  if (status > static_cast<uint32_t>(ReplyStatus::kNack)) return reader->Fail("unknown status");
  *out = static_cast<ReplyStatus>(status);
  return true;
}

std::pair<std::string_view, std::string_view> Parts(const base::KeyValue& pair) {
  return {pair.key, pair.value};
}
std::pair<std::string_view, std::string_view> Parts(const Dentry& dentry) {
  return {dentry.prefix, dentry.tree};
}

template <class Pair>
bool HasRoom(const Pair& pair) {
  const auto [first, second] = Parts(pair);
  return first.size() <= kMaxPiece && second.size() <= kMaxPiece;
}

// Those of a list that can be written: how many, and the bytes of the list.
struct Extent {
  uint32_t count = 0;
  size_t bytes = 2;
};
template <class Pair>
Extent Measure(const std::vector<Pair>& list, uint32_t max) {
  Extent extent;
  for (const Pair& pair : list) {
    if (extent.count == max) break;
    if (!HasRoom(pair)) continue;
    const auto [first, second] = Parts(pair);
    extent.count++;
    extent.bytes += 4 + first.size() + second.size();
  }
  return extent;
}

char* Put16(size_t value, char* to) {
  to[0] = static_cast<char>(value >> 8);
  to[1] = static_cast<char>(value);
  return to + 2;
}

char* PutPiece(std::string_view piece, char* to) {
  to = Put16(piece.size(), to);
  piece.copy(to, piece.size());
  return to + piece.size();
}

template <class Pair>
char* PutList(const std::vector<Pair>& list, uint32_t count, char* to) {
  to = Put16(count, to);
  for (const Pair& pair : list) {
    if (count == 0) break;
    if (!HasRoom(pair)) continue;
    const auto [first, second] = Parts(pair);
    to = PutPiece(second, PutPiece(first, to));
    count--;
  }
  return to;
}

char* Grow(size_t bytes, std::string* out) {
  out->resize(out->size() + bytes);
  return out->data() + out->size() - bytes;
}

template <class Pair>
const char* MisfitOf(const std::vector<Pair>& list, uint32_t max, const char* many) {
  if (list.size() > max) return many;
  for (const Pair& pair : list) {
    if (!HasRoom(pair)) return "a length over 32767";
  }
  return nullptr;
}

// What the keys of a Treq say of its trace.
struct OldTrace {
  std::string_view ids;  // `span:8 parent:8 trace:8`
  uint8_t flags = 0;
};

bool ReadOldKey(Reader* reader, OldTrace* trace) {
  uint32_t key = 0;
  uint32_t size = 0;
  std::string_view value;
  if (!reader->Number<1>(&key) || !reader->Number<1>(&size)) return false;
  if (key == 1 && size != 24) return reader->Fail("a trace that has not 24 bytes");
  if (!reader->Bytes(size, &value)) return false;
  if (key == 1) trace->ids = value;
  if (key == 2 && size > 0) trace->flags = static_cast<uint8_t>(value.back());
  return true;
}

}  // namespace

void Dispatch::Clear() {
  contexts.clear();
  dst = {};
  dtab.clear();
}

DecodeResult DecodeDispatch(std::string_view bytes, Dispatch* out, uint32_t* size) {
  out->Clear();
  Reader reader(bytes, kMaxHeaderBytes, kLongHeader);
  if (ReadContexts(&reader, &out->contexts) && reader.Piece(&out->dst) &&
      ReadDtab(&reader, &out->dtab)) {
    *size = static_cast<uint32_t>(reader.at());
  }
  return reader.result();
}

const char* Misfit(const Dispatch& dispatch) {
  if (const char* why = MisfitOf(dispatch.contexts, kMaxContexts, kManyContexts)) return why;
  if (const char* why = MisfitOf(dispatch.dtab, kMaxDentries, kManyDentries)) return why;
  if (dispatch.dst.size() > kMaxPiece) return "a length over 32767";
  const size_t bytes = Measure(dispatch.contexts, kMaxContexts).bytes + 2 + dispatch.dst.size() +
                       Measure(dispatch.dtab, kMaxDentries).bytes;
  return bytes > kMaxHeaderBytes ? kLongHeader : nullptr;
}

void EncodeDispatch(const Dispatch& dispatch, std::string* out) {
  const Extent contexts = Measure(dispatch.contexts, kMaxContexts);
  const Extent dtab = Measure(dispatch.dtab, kMaxDentries);
  const std::string_view dst = dispatch.dst.size() > kMaxPiece ? std::string_view() : dispatch.dst;
  char* to = Grow(contexts.bytes + 2 + dst.size() + dtab.bytes, out);
  to = PutList(dispatch.contexts, contexts.count, to);
  to = PutPiece(dst, to);
  PutList(dispatch.dtab, dtab.count, to);
}

// Finagle reads the number of keys as signed, the sizes not.
DecodeResult DecodeOldRequest(std::string_view bytes, std::string* trace, Dispatch* out,
                              uint32_t* size) {
  out->Clear();
  trace->clear();
  Reader reader(bytes, kMaxHeaderBytes, kLongHeader);
  OldTrace old;
  uint32_t keys = 0;
  if (reader.Number<1>(&keys) && keys > INT8_MAX) reader.Fail("over 127 keys");
  for (; keys > 0; keys--) {
    if (!ReadOldKey(&reader, &old)) break;
  }
  if (reader.result().outcome != Outcome::kOk) return reader.result();
  *size = static_cast<uint32_t>(reader.at());
  if (!old.ids.empty()) {
    trace->assign(old.ids).append(7, '\0').push_back(static_cast<char>(old.flags));
    out->contexts.push_back({base::kTraceKey, *trace});
  }
  return {Outcome::kOk};
}

DecodeResult DecodeDispatchReply(std::string_view bytes, DispatchReply* out, uint32_t* size) {
  out->contexts.clear();
  Reader reader(bytes, kMaxHeaderBytes, kLongHeader);
  if (ReadStatus(&reader, &out->status) && ReadContexts(&reader, &out->contexts)) {
    *size = static_cast<uint32_t>(reader.at());
  }
  return reader.result();
}

const char* Misfit(const DispatchReply& reply) {
  if (const char* why = MisfitOf(reply.contexts, kMaxContexts, kManyContexts)) return why;
  const size_t bytes = 1 + Measure(reply.contexts, kMaxContexts).bytes;
  return bytes > kMaxHeaderBytes ? kLongHeader : nullptr;
}

void EncodeDispatchReply(const DispatchReply& reply, std::string* out) {
  const Extent contexts = Measure(reply.contexts, kMaxContexts);
  char* to = Grow(1 + contexts.bytes, out);
  *to++ = static_cast<char>(reply.status);
  PutList(reply.contexts, contexts.count, to);
}

DecodeResult DecodeOldReply(std::string_view bytes, DispatchReply* out, uint32_t* size) {
  out->contexts.clear();
  Reader reader(bytes, kMaxHeaderBytes, kLongHeader);
  if (ReadStatus(&reader, &out->status)) *size = static_cast<uint32_t>(reader.at());
  return reader.result();
}

std::optional<uint64_t> FailureFlags(const base::Contexts& contexts) {
  const auto value = base::Find(contexts, base::kMuxFailureKey);
  if (!value || value->size() < 8) return std::nullopt;
  uint64_t flags = 0;
  for (int i = 0; i < 8; i++) flags = flags << 8 | static_cast<uint8_t>((*value)[i]);
  return flags;
}

std::string ShowFailureFlags(uint64_t flags) {
  std::string out;
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(flags >> shift));
  return out;
}

}  // namespace trestle::mux
