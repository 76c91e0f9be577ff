#include "backend/mux_request.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "mux/message.h"

namespace trestle::backend {
namespace {

constexpr uint32_t kLength = 4;  // bytes of a frame's length
// What a header of common size takes; more memory is given back.
constexpr size_t kKeptHeaderBytes = 16 * 1024;
constexpr char kTraceOfTreq = 1, kFlagsOfTreq = 2;
constexpr size_t kIds = 24;  // bytes of a TraceContext before its flags: all that a Treq has

// The bare message: its own seqid stays, as the tag tells which call is answered.
base::Buffer Payload(call::Call* call, bool strip, base::Arena* arena) {
  base::Buffer frame = call->request.Share();
  const std::string_view name = strip ? call::BareMethod(call->method) : call->method;
  if (!call->opaque && name.size() != call->method.size()) {
    thrift::Envelope now = call->envelope;
    now.name = name;
    call::PutEnvelope(&frame, call->protocol, call->envelope, now, arena);
  }
  frame.TrimFront(kLength);
  return frame;
}

// Makes what stands before the payload of a Tdispatch, from `at` on, that of a Treq.
void MakeOld(std::string* header, size_t at) {
  std::string old(1, '\0');
  mux::Dispatch dispatch;
  uint32_t size = 0;
  const std::string_view bytes = std::string_view(*header).substr(at);
  if (mux::DecodeDispatch(bytes, &dispatch, &size).outcome == mux::Outcome::kOk) {
    const auto value = base::Find(dispatch.contexts, base::kTraceKey);
    const auto trace = value ? base::ParseTrace(*value) : std::nullopt;
    if (trace) {
      old[0] = 2;
      old.append({kTraceOfTreq, static_cast<char>(kIds)});
      old.append(base::ShowTrace(*trace), 0, kIds);
      old.append({kFlagsOfTreq, 1, static_cast<char>(trace->flags)});
    }
  }
  header->replace(at, std::string::npos, old);
}

}  // namespace

base::Buffer MakeMuxRequest(call::Call* call, const call::Onward& onward,
                            const MuxRequestForm& form, base::Arena* arena) {
  static thread_local std::string header;
  header.assign(mux::kHeadBytes, '\0');
  call::WriteRequestHeaders(call, onward, &header);
  if (form.old) MakeOld(&header, mux::kHeadBytes);
  base::Buffer frame = Payload(call, form.strip_service_name, arena);
  const auto type = form.old ? mux::Type::kTreq : mux::Type::kTdispatch;
  const uint64_t body = header.size() - mux::kHeadBytes + frame.size();
  mux::WriteHead(type, form.tag, false, body, header.data());
  base::Slice head = arena->Allot(static_cast<uint32_t>(header.size()));
  std::copy(header.begin(), header.end(), head.data());
  frame.Prepend(std::move(head));
  if (header.capacity() > kKeptHeaderBytes) header = {};
  return frame;
}

}  // namespace trestle::backend
