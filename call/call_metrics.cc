#include "call/call_metrics.h"

namespace trestle::call {
namespace {

constexpr uint32_t kMicrosPerMs = 1000;

}  // namespace

CallMetrics::CallMetrics(base::Scope* s)
    : requests(s->counter("requests")),
      success(s->counter("success")),
      results(s->counter("replies/result")),
      declared_exceptions(s->counter("replies/declared_exception")),
      application_exceptions(s->counter("replies/application_exception")),
      errors(s->counter("replies/error")),
      oneways(s->counter("oneways")),
      cancelled(s->counter("cancelled")),
      failures(s),
      pending(s->gauge("pending")),
      latency(s->histogram("request_latency_ms", kMicrosPerMs)) {}

void CallMetrics::Record(const Call& call, base::TimePoint since, base::TimePoint now) {
  requests->Add();
  latency->Record(static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(now - since).count()));
  switch (call.end()) {
    case End::kOpen:
      return;
    case End::kCancelled:
      return cancelled->Add();
    case End::kFailed:
      return failures.Add(call.failed_step, call.failed_code);
    case End::kOneway:
      oneways->Add();
      break;
    case End::kReplied:
      if (call.reply_is_error) return errors->Add();
      if (call.reply_kind == thrift::ReplyKind::kDeclaredException) {
        declared_exceptions->Add();
      } else if (call.reply_kind == thrift::ReplyKind::kApplicationException) {
        application_exceptions->Add();
      } else {
        results->Add();
      }
      break;
  }
  success->Add();
}

}  // namespace trestle::call
