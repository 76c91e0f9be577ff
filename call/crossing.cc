#include "call/crossing.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "call/deadline.h"
#include "naming/dtab.h"
#include "thrift/theader.h"
#include "thrift/ttwitter.h"

namespace trestle::call {
namespace {

constexpr uint32_t kLength = 4;  // bytes of a frame's length
// What headers of common size take; more memory is given back.
constexpr size_t kKeptBytes = 16 * 1024;
constexpr std::string_view kFinagle = "com.twitter.finagle.";
// Of the flags of a trace: whether sampling was decided, and how.
constexpr int64_t kDebug = 1, kSamplingKnown = 2, kSampled = 4;

// Reading and writing headers again and again takes no memory. Nothing in it outlives one use.
struct Scratch {
  Headers headers;
  mux::Dispatch dispatch;
  mux::DispatchReply reply;
  thrift::THeader theader;
  base::Contexts more;
  std::vector<std::string> dtab;
  // Values that are made here, and that the lists point to.
  std::string trace, deadline, hops, application, dtab_text;
};

Scratch& TakeScratch() {
  static thread_local Scratch scratch;
  return scratch;
}

void GiveBack(Scratch* scratch) {
  scratch->headers.Clear();
  scratch->dispatch.Clear();
  scratch->reply.contexts.clear();
  scratch->theader.Clear();
  scratch->more.clear();
  scratch->dtab.clear();
  const size_t kept = scratch->application.capacity() + scratch->dtab_text.capacity() +
                      sizeof(base::KeyValue) * scratch->headers.contexts.capacity();
  if (kept > kKeptBytes) *scratch = {};
}

bool IsContextKey(std::string_view key) {
  return base::IsKey(key.substr(0, kFinagle.size()), kFinagle) || base::IsKey(key, base::kHopsKey);
}

// --- reading, in whatever form ---

bool ReadDispatch(std::string_view bytes, Scratch* scratch, Headers* out) {
  uint32_t size = 0;
  mux::Dispatch& dispatch = scratch->dispatch;
  dispatch.Clear();
  if (mux::DecodeDispatch(bytes, &dispatch, &size).outcome != mux::Outcome::kOk) return false;
  TakeDispatch(&dispatch, out);
  return true;
}

bool ReadTHeader(std::string_view bytes, Scratch* scratch, Headers* out) {
  uint32_t size = 0;
  const auto frame = static_cast<uint32_t>(bytes.size());
  if (thrift::DecodeTHeader(bytes, frame, &scratch->theader, &size).outcome !=
      thrift::Outcome::kOk) {
    return false;
  }
  ReadKeys(scratch->theader.keys, out);
  return true;
}

// What the client of `call` sent beside it; nothing where it cannot be read.
void ReadRequestHeaders(Call* call, Scratch* scratch) {
  Headers* out = &scratch->headers;
  out->Clear();
  std::string_view bytes = call->header_bytes.Whole();
  bool read = false;
  switch (call->header_form) {
    case HeaderForm::kTTwitter: {
      uint32_t size = 0;
      read =
          bytes.size() > kLength &&
          thrift::DecodeRequestHeader(call->protocol, bytes.substr(kLength), out, &size).outcome ==
              thrift::Outcome::kOk;
      break;
    }
    case HeaderForm::kTHeader:
      read = ReadTHeader(bytes, scratch, out);
      break;
    case HeaderForm::kMux:
      read = ReadDispatch(bytes, scratch, out);
      break;
    case HeaderForm::kNone:
      break;
  }
  if (!read) return out->Clear();
  if (!call->dtab_left) return;
  out->delegations.clear();
  out->dtab = *call->dtab_left;
}

void ReadReply(Call* call, Scratch* scratch) {
  Headers* out = &scratch->headers;
  out->Clear();
  std::string_view bytes = call->reply_header_bytes.Whole();
  uint32_t size = 0;
  switch (call->reply_form) {
    case HeaderForm::kTTwitter:
      thrift::DecodeResponseHeader(call->protocol, bytes, &out->contexts, &size);
      break;
    case HeaderForm::kTHeader:
      ReadTHeader(bytes, scratch, out);
      break;
    case HeaderForm::kMux:
      if (mux::DecodeDispatchReply(bytes, &scratch->reply, &size).outcome == mux::Outcome::kOk) {
        out->contexts.swap(scratch->reply.contexts);
      }
      break;
    case HeaderForm::kNone:
      break;
  }
}

// --- what is the router's to change ---

void Drop(base::Contexts* contexts, std::string_view key) {
  std::erase_if(*contexts, [key](const base::KeyValue& c) { return base::IsKey(c.key, key); });
}

// In front: where there are too many, it is the last ones that are left out.
void Put(base::Contexts* contexts, std::string_view key, std::string_view value) {
  Drop(contexts, key);
  contexts->insert(contexts->begin(), {key, value});
}

void Change(const Call& call, const Onward& onward, Scratch* scratch) {
  std::optional<base::Deadline> deadline = call.deadline;
  if (onward.attempt_time) deadline = Lower(deadline, onward.now, *onward.attempt_time);
  if (deadline) {
    scratch->deadline = base::ShowDeadline(*deadline);
    Put(&scratch->headers.contexts, base::kDeadlineKey, scratch->deadline);
  }
  if (call.hops > 0) {
    scratch->hops = base::ShowHops(call.hops);
    Put(&scratch->headers.contexts, base::kHopsKey, scratch->hops);
  }
}

// --- ids that stand in fields, or in contexts ---

void MakeContexts(Scratch* scratch) {
  Headers* h = &scratch->headers;
  if (h->trace_id && h->span_id && !base::Find(h->contexts, base::kTraceKey)) {
    int64_t flags = h->flags.value_or(0);
    if (h->sampled) flags |= kSamplingKnown | (*h->sampled ? kSampled : 0);
    scratch->trace = base::ShowTrace({*h->span_id, h->parent_span_id.value_or(*h->span_id),
                                      *h->trace_id, flags, h->trace_id_high});
    h->contexts.push_back({base::kTraceKey, scratch->trace});
  }
  if (h->client_id && !base::Find(h->contexts, base::kClientIdKey)) {
    h->contexts.push_back({base::kClientIdKey, *h->client_id});
  }
}

void MakeFields(Headers* h) {
  auto value = base::Find(h->contexts, base::kTraceKey);
  auto trace = value ? base::ParseTrace(*value) : std::nullopt;
  if (trace) {
    h->trace_id = trace->trace;
    h->span_id = trace->span;
    if (trace->parent != trace->span) h->parent_span_id = trace->parent;
    h->flags = trace->flags & kDebug;
    if (trace->flags & kDebug) {
      h->sampled = true;
    } else if (trace->flags & kSamplingKnown) {
      h->sampled = (trace->flags & kSampled) != 0;
    }
  }
  auto client = base::Find(h->contexts, base::kClientIdKey);
  if (client && !client->empty()) h->client_id = *client;
}

// --- the local dtab: entries, or one text ---

// The entries as they are written; where a ';' or "=>" may be something else, as they are shown.
void SplitDtab(Scratch* scratch) {
  Headers* h = &scratch->headers;
  auto parsed = naming::Dtab::Parse(h->dtab);
  if (!parsed.ok()) return;
  for (std::string_view rest = h->dtab; !rest.empty();) {
    const size_t end = std::min(rest.find(';'), rest.size());
    const std::string_view entry = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const size_t arrow = entry.find("=>");
    if (arrow == std::string_view::npos) continue;
    h->delegations.push_back({entry.substr(0, arrow), entry.substr(arrow + 2)});
  }
  const bool commented = h->dtab.find('#') != std::string_view::npos &&
                         h->dtab.find_first_of("\n\r") != std::string_view::npos;
  if (h->delegations.size() == parsed->size() && !commented) return;
  h->delegations.clear();
  scratch->dtab.reserve(parsed->size());
  for (const naming::Dentry& entry : parsed->dentries()) {
    scratch->dtab.push_back(entry.Show());
    const std::string_view shown = scratch->dtab.back();
    const size_t arrow = shown.find("=>");
    h->delegations.push_back({shown.substr(0, arrow), shown.substr(arrow + 2)});
  }
}

void JoinDtab(Scratch* scratch) {
  Headers* h = &scratch->headers;
  if (!h->dtab.empty() || h->delegations.empty()) return;
  scratch->dtab_text.clear();
  for (const auto& entry : h->delegations) {
    scratch->dtab_text.append(entry.src).append("=>").append(entry.dst).append(";");
  }
  h->dtab = scratch->dtab_text;
}

// --- headers of the application: keys, or one context ---

// `key`: Request.headers or Response.headers.
void PackKeys(std::string_view key, Scratch* scratch) {
  Headers* h = &scratch->headers;
  if (h->keys.empty()) return;
  scratch->more.clear();
  if (auto had = base::Find(h->contexts, key)) {
    base::ParseApplicationHeaders(*had, &scratch->more);
  }
  scratch->more.insert(scratch->more.end(), h->keys.begin(), h->keys.end());
  std::string packed = base::ShowApplicationHeaders(scratch->more);
  if (packed.size() > mux::kMaxPiece) return;  // Finagle reads no longer value
  scratch->application = std::move(packed);
  Drop(&h->contexts, key);
  h->contexts.push_back({key, scratch->application});
}

void UnpackKeys(std::string_view key, Scratch* scratch) {
  Headers* h = &scratch->headers;
  scratch->more.clear();
  for (const base::KeyValue& context : h->contexts) {
    if (base::IsKey(context.key, key) &&
        base::ParseApplicationHeaders(context.value, &scratch->more)) {
      continue;
    }
    scratch->more.push_back(context);
  }
  scratch->more.insert(scratch->more.end(), h->keys.begin(), h->keys.end());
  // Keys of these names would be taken for what the router says itself.
  std::erase_if(scratch->more, [](const base::KeyValue& pair) {
    return base::IsKey(pair.key, thrift::kDtabKey) || base::IsKey(pair.key, thrift::kDstKey);
  });
}

// --- writing ---

void WriteTTwitter(Call* call, Scratch* scratch, std::string* out) {
  Headers* h = &scratch->headers;
  if (call->header_form != HeaderForm::kTTwitter) MakeFields(h);
  if (!h->dtab.empty()) SplitDtab(scratch);
  PackKeys(base::kRequestHeadersKey, scratch);
  if (h->contexts.size() > thrift::kMaxContexts) h->contexts.resize(thrift::kMaxContexts);
  h->dest = call->dest.empty() ? std::string_view("/") : call->dest;
  thrift::EncodeRequestHeader(call->protocol, *h, out);
}

void WriteDispatch(Call* call, Scratch* scratch, std::string* out) {
  Headers* h = &scratch->headers;
  if (call->header_form == HeaderForm::kTTwitter) MakeContexts(scratch);
  if (!h->dtab.empty()) SplitDtab(scratch);
  PackKeys(base::kRequestHeadersKey, scratch);
  mux::Dispatch& dispatch = scratch->dispatch;
  dispatch.Clear();
  dispatch.contexts.swap(h->contexts);
  dispatch.dst = call->dest;
  for (const auto& entry : h->delegations) dispatch.dtab.push_back({entry.src, entry.dst});
  mux::EncodeDispatch(dispatch, out);
  h->contexts.swap(dispatch.contexts);
}

void WriteTHeader(Call* call, const Onward& onward, Scratch* scratch, std::string* out) {
  Headers* h = &scratch->headers;
  if (call->header_form == HeaderForm::kTTwitter) MakeContexts(scratch);
  JoinDtab(scratch);
  UnpackKeys(base::kRequestHeadersKey, scratch);
  thrift::THeader& header = scratch->theader;
  header.Clear();
  header.keys.swap(scratch->more);
  if (!h->dtab.empty()) header.keys.insert(header.keys.begin(), {thrift::kDtabKey, h->dtab});
  if (!call->dest.empty()) header.keys.insert(header.keys.begin(), {thrift::kDstKey, call->dest});
  header.seqid = onward.seqid;
  header.protocol = call->protocol;
  header.zlib = onward.zlib;
  thrift::EncodeTHeader(header, out);
  scratch->more.swap(header.keys);
}

}  // namespace

void ReadKeys(const base::Contexts& keys, Headers* out) {
  for (const base::KeyValue& pair : keys) {
    if (base::IsKey(pair.key, thrift::kDtabKey)) {
      out->dtab = pair.value;
    } else if (base::IsKey(pair.key, thrift::kDstKey)) {
      out->dest = pair.value;
    } else {
      (IsContextKey(pair.key) ? out->contexts : out->keys).push_back(pair);
    }
  }
}

void TakeDispatch(mux::Dispatch* dispatch, Headers* out) {
  out->contexts.swap(dispatch->contexts);
  if (!dispatch->dst.empty()) out->dest = dispatch->dst;
  for (const mux::Dentry& entry : dispatch->dtab) {
    out->delegations.push_back({entry.prefix, entry.tree});
  }
}

void WriteRequestHeaders(Call* call, const Onward& onward, std::string* out) {
  if (onward.form == HeaderForm::kNone) return;
  Scratch& scratch = TakeScratch();
  ReadRequestHeaders(call, &scratch);
  Change(*call, onward, &scratch);
  if (onward.form == HeaderForm::kTTwitter) {
    WriteTTwitter(call, &scratch, out);
  } else if (onward.form == HeaderForm::kMux) {
    WriteDispatch(call, &scratch, out);
  } else {
    WriteTHeader(call, onward, &scratch, out);
  }
  GiveBack(&scratch);
}

bool HasReplyHeaders(const Call& call) { return !call.reply_header_bytes.empty(); }

void WriteReplyHeaders(Call* call, HeaderForm form, uint16_t flags, std::string* out) {
  Scratch& scratch = TakeScratch();
  ReadReply(call, &scratch);
  Headers* h = &scratch.headers;
  if (form == HeaderForm::kTHeader) {
    UnpackKeys(base::kResponseHeadersKey, &scratch);
    thrift::THeader& header = scratch.theader;
    header.Clear();
    header.keys.swap(scratch.more);
    header.flags = flags;
    header.seqid = call->envelope.seqid;
    header.protocol = call->protocol;
    thrift::EncodeTHeader(header, out);
    scratch.more.swap(header.keys);
  } else if (form != HeaderForm::kNone) {
    PackKeys(base::kResponseHeadersKey, &scratch);
    if (form == HeaderForm::kTTwitter) {
      thrift::EncodeResponseHeader(call->protocol, h->contexts, out);
    } else {
      scratch.reply.status = mux::ReplyStatus::kOk;
      scratch.reply.contexts.swap(h->contexts);
      mux::EncodeDispatchReply(scratch.reply, out);
      h->contexts.swap(scratch.reply.contexts);
    }
  }
  GiveBack(&scratch);
}

}  // namespace trestle::call
