#include "thrift/ttwitter.h"

#include <algorithm>

#include "thrift/reader.h"
#include "thrift/writer.h"

namespace trestle::thrift {
namespace {

// Ids of RequestHeader's fields; there is no 4.
enum HeaderField : int16_t {
  kTraceId = 1,
  kSpanId = 2,
  kParentSpanId = 3,
  kSampled = 5,
  kClientId = 6,
  kFlags = 7,
  kContexts = 8,
  kDest = 9,
  kDelegations = 10,
  kTraceIdHigh = 11,
};
constexpr int16_t kResponseContexts = 2;  // of ResponseHeader

void ReadI64(Reader* reader, std::optional<int64_t>* out) {
  int64_t value = 0;
  if (reader->I64(&value)) *out = value;
}

// ClientId {1: name}.
void ReadClientId(Reader* reader, std::optional<std::string_view>* out) {
  Field field;
  while (reader->NextField(&field)) {
    std::string_view name;
    if (field.id == 1 && field.type == Type::kBinary) {
      if (reader->Binary(&name)) *out = name;
    } else {
      reader->Skip(field, 2);
    }
  }
}

// A struct {1: first, 2: second} of two strings, as RequestContext and Delegation are.
bool ReadPair(Reader* reader, std::string_view* first, std::string_view* second) {
  Field field;
  while (reader->NextField(&field)) {
    if (field.type == Type::kBinary && (field.id == 1 || field.id == 2)) {
      reader->Binary(field.id == 1 ? first : second);
    } else {
      reader->Skip(field, 3);
    }
  }
  return reader->ok();
}

// How many such structs a list holds, all of which are to be read next; a list of anything else is
// walked over.
uint32_t PairCount(Reader* reader, uint32_t max, const char* too_many) {
  Type element = Type::kStop;
  uint32_t count = 0;
  if (!reader->List(&element, &count)) return 0;
  if (element != Type::kStruct) {
    reader->SkipElements(element, count, 2);
    return 0;
  }
  if (count > max) {
    reader->Fail(too_many);
    return 0;
  }
  return count;
}

// Of two lists with the same id the last one holds.
void ReadContexts(Reader* reader, std::vector<RequestHeader::Context>* out) {
  out->clear();
  uint32_t count = PairCount(reader, kMaxContexts, "over 1000 contexts");
  for (RequestHeader::Context pair; count > 0; count--) {
    pair = {};
    if (!ReadPair(reader, &pair.key, &pair.value)) return;
    out->push_back(pair);
  }
}

void ReadDelegations(Reader* reader, std::vector<RequestHeader::Delegation>* out) {
  out->clear();
  uint32_t count = PairCount(reader, kMaxDelegations, "over 1000 delegations");
  for (RequestHeader::Delegation pair; count > 0; count--) {
    pair = {};
    if (!ReadPair(reader, &pair.src, &pair.dst)) return;
    out->push_back(pair);
  }
}

// A known id with another type is kept like an unknown one: generated readers walk over it.
void KeepUnknown(Reader* reader, const Field& field, RequestHeader* out) {
  std::string_view value;
  if (out->unknown.size() == kMaxUnknownFields) {
    reader->Fail("over 1000 unknown fields");
  } else if (reader->Raw(field, 1, &value)) {
    out->unknown.push_back({field, value});
  }
}

// Reads the field if it has its type; false: it is none of ours.
bool ReadHeaderField(Reader* reader, const Field& field, RequestHeader* out) {
  switch (field.type) {
    case Type::kI64: {
      std::optional<int64_t>* to = field.id == kTraceId        ? &out->trace_id
                                   : field.id == kSpanId       ? &out->span_id
                                   : field.id == kParentSpanId ? &out->parent_span_id
                                   : field.id == kFlags        ? &out->flags
                                   : field.id == kTraceIdHigh  ? &out->trace_id_high
                                                               : nullptr;
      if (to) ReadI64(reader, to);
      return to != nullptr;
    }
    case Type::kBool: {
      if (field.id != kSampled) return false;
      bool sampled = false;
      if (reader->Bool(field, &sampled)) out->sampled = sampled;
      return true;
    }
    case Type::kStruct:
      if (field.id != kClientId) return false;
      ReadClientId(reader, &out->client_id);
      return true;
    case Type::kBinary: {
      if (field.id != kDest) return false;
      std::string_view dest;
      if (reader->Binary(&dest)) out->dest = dest;
      return true;
    }
    case Type::kList:
      if (field.id == kContexts) {
        ReadContexts(reader, &out->contexts);
      } else if (field.id == kDelegations) {
        ReadDelegations(reader, &out->delegations);
      } else {
        return false;
      }
      return true;
    default:
      return false;
  }
}

void WritePair(Writer* writer, std::string_view first, std::string_view second) {
  writer->BeginElement();
  writer->Binary(1, first);
  writer->Binary(2, second);
  writer->EndStruct();
}

std::string UpgradeMessage(Protocol protocol, MessageType type, int32_t seqid) {
  std::string out(EnvelopeSize(protocol, kUpgradeMethod, seqid), '\0');
  EncodeEnvelope(protocol, type, kUpgradeMethod, seqid, out.data());
  out.push_back('\0');  // ConnectionOptions {} or UpgradeReply {}
  return out;
}

}  // namespace

void RequestHeader::Clear() {
  trace_id.reset();
  span_id.reset();
  parent_span_id.reset();
  trace_id_high.reset();
  flags.reset();
  sampled.reset();
  client_id.reset();
  dest.reset();
  contexts.clear();
  delegations.clear();
  unknown.clear();
}

DecodeResult DecodeRequestHeader(Protocol protocol, std::string_view bytes, RequestHeader* out,
                                 uint32_t* size) {
  out->Clear();
  out->unknown_protocol = protocol;
  Reader reader(protocol, bytes, kMaxHeaderBytes);
  Field field;
  while (reader.NextField(&field)) {
    if (!ReadHeaderField(&reader, field, out)) KeepUnknown(&reader, field, out);
  }
  if (reader.ok()) *size = reader.at();
  return reader.result();
}

void EncodeRequestHeader(Protocol protocol, const RequestHeader& header, std::string* out) {
  Writer writer(protocol, out);
  if (header.trace_id) writer.I64(kTraceId, *header.trace_id);
  if (header.span_id) writer.I64(kSpanId, *header.span_id);
  if (header.parent_span_id) writer.I64(kParentSpanId, *header.parent_span_id);
  if (header.sampled) writer.Bool(kSampled, *header.sampled);
  if (header.client_id) {
    writer.BeginStruct(kClientId);
    writer.Binary(1, *header.client_id);
    writer.EndStruct();
  }
  if (header.flags) writer.I64(kFlags, *header.flags);
  writer.StructList(kContexts, static_cast<uint32_t>(header.contexts.size()));
  for (const auto& context : header.contexts) WritePair(&writer, context.key, context.value);
  if (header.dest) writer.Binary(kDest, *header.dest);
  if (!header.delegations.empty()) {
    writer.StructList(kDelegations, static_cast<uint32_t>(header.delegations.size()));
    for (const auto& entry : header.delegations) WritePair(&writer, entry.src, entry.dst);
  }
  if (header.trace_id_high) writer.I64(kTraceIdHigh, *header.trace_id_high);
  if (header.unknown_protocol == protocol) {
    for (const auto& unknown : header.unknown) writer.Raw(unknown.field, unknown.value);
  }
  writer.Stop();
}

DecodeResult DecodeResponseHeader(Protocol protocol, std::string_view bytes, base::Contexts* out,
                                  uint32_t* size) {
  Reader reader(protocol, bytes, kMaxHeaderBytes);
  Field field;
  while (reader.NextField(&field)) {
    if (field.id == kResponseContexts && field.type == Type::kList) {
      ReadContexts(&reader, out);
    } else {
      reader.Skip(field, 1);
    }
  }
  if (reader.ok()) *size = reader.at();
  return reader.result();
}

void EncodeResponseHeader(Protocol protocol, const base::Contexts& contexts, std::string* out) {
  Writer writer(protocol, out);
  if (!contexts.empty()) {
    writer.StructList(kResponseContexts, static_cast<uint32_t>(contexts.size()));
    for (const auto& context : contexts) WritePair(&writer, context.key, context.value);
  }
  writer.Stop();
}

DecodeResult SkipResponseHeader(Protocol protocol, std::string_view bytes, uint32_t* size) {
  // Nearly every ResponseHeader is the empty one.
  if (!bytes.empty() && bytes[0] == '\0') {
    *size = 1;
    return {Outcome::kOk};
  }
  Reader reader(protocol, bytes, kMaxHeaderBytes);
  if (reader.SkipFields(1)) *size = reader.at();
  return reader.result();
}

std::string EncodeUpgradeCall(Protocol protocol) {
  return UpgradeMessage(protocol, MessageType::kCall, 0);
}

std::string EncodeUpgradeReply(Protocol protocol, int32_t seqid) {
  return UpgradeMessage(protocol, MessageType::kReply, seqid);
}

}  // namespace trestle::thrift
