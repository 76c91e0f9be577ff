// TTwitter headers of either protocol: the walker finds the same end as the reader, and what was
// read is written and read again without a change.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "thrift/ttwitter.h"
#include "thrift/walk.h"

namespace {

using trestle::thrift::DecodeRequestHeader;
using trestle::thrift::EncodeRequestHeader;
using trestle::thrift::Outcome;
using trestle::thrift::Protocol;
using trestle::thrift::RequestHeader;

void Check(bool good) {
  if (!good) std::abort();
}

void CheckSame(const RequestHeader& a, const RequestHeader& b) {
  Check(a.trace_id == b.trace_id && a.span_id == b.span_id && a.flags == b.flags);
  Check(a.parent_span_id == b.parent_span_id && a.trace_id_high == b.trace_id_high);
  Check(a.sampled == b.sampled && a.client_id == b.client_id && a.dest == b.dest);
  Check(a.contexts.size() == b.contexts.size() && a.delegations.size() == b.delegations.size());
  for (size_t i = 0; i < a.contexts.size(); i++) {
    Check(a.contexts[i].key == b.contexts[i].key && a.contexts[i].value == b.contexts[i].value);
  }
  for (size_t i = 0; i < a.delegations.size(); i++) {
    Check(a.delegations[i].src == b.delegations[i].src);
    Check(a.delegations[i].dst == b.delegations[i].dst);
  }
}

// Fields that nobody knows are carried on in the protocol they came in.
void CheckUnknown(Protocol protocol, const RequestHeader& a, const RequestHeader& b) {
  Check(b.unknown.size() == (a.unknown_protocol == protocol ? a.unknown.size() : 0));
  for (size_t i = 0; i < b.unknown.size(); i++) {
    Check(a.unknown[i].field.id == b.unknown[i].field.id);
    Check(a.unknown[i].field.type == b.unknown[i].field.type);
    Check(a.unknown[i].field.truth == b.unknown[i].field.truth);
    Check(a.unknown[i].value == b.unknown[i].value);
  }
}

// In the other protocol the header says the same.
void CheckWritten(Protocol protocol, const RequestHeader& read) {
  std::string first;
  EncodeRequestHeader(protocol, read, &first);
  RequestHeader again;
  uint32_t size = 0;
  // What is left out on reading makes a header shorter; ids written in full can make it longer.
  if (first.size() > trestle::thrift::kMaxHeaderBytes) return;
  Check(DecodeRequestHeader(protocol, first, &again, &size).outcome == Outcome::kOk);
  Check(size == first.size());
  CheckSame(read, again);
  CheckUnknown(protocol, read, again);
  std::string second;
  EncodeRequestHeader(protocol, again, &second);
  Check(first == second);
}

void CheckHeader(Protocol protocol, std::string_view bytes) {
  RequestHeader read;
  uint32_t size = 0;
  const Outcome outcome = DecodeRequestHeader(protocol, bytes, &read, &size).outcome;
  uint32_t walked = 0;
  const Outcome skipped = trestle::thrift::SkipResponseHeader(protocol, bytes, &walked).outcome;
  if (outcome != Outcome::kOk) {
    // A header with too many contexts can still be walked over, and no other.
    Check(outcome == Outcome::kMalformed || skipped == outcome);
    return;
  }
  Check(skipped == Outcome::kOk && walked == size && size <= bytes.size());
  Check(trestle::thrift::SkipStruct(protocol, bytes, &walked).outcome == Outcome::kOk);
  Check(walked == size);
  CheckWritten(Protocol::kBinary, read);
  CheckWritten(Protocol::kCompact, read);
}

}  // namespace

// The first byte chooses the protocol.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  CheckHeader(data[0] % 2 ? Protocol::kCompact : Protocol::kBinary, bytes);
  return 0;
}
