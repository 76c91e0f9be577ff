// The bodies of mux messages, each decoder on the same bytes: what was read lies in the bytes, is
// written as it came, and is cut short by one byte less.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "mux/message.h"

namespace {

using namespace trestle::mux;  // NOLINT(google-build-using-namespace)
using trestle::base::Contexts;

void Check(bool good) {
  if (!good) std::abort();
}

bool Inside(std::string_view bytes, std::string_view part) {
  return part.data() >= bytes.data() && part.data() + part.size() <= bytes.data() + bytes.size();
}

void CheckInside(std::string_view bytes, const Contexts& contexts) {
  for (const auto& [key, value] : contexts) Check(Inside(bytes, key) && Inside(bytes, value));
}

// `decode(bytes, &size)` said kOk with `size`: so it does for just so many bytes, and for fewer it
// asks for more.
template <class Decode>
void CheckCuts(std::string_view bytes, uint32_t size, Decode decode) {
  Check(size <= bytes.size());
  uint32_t again = 0;
  Check(decode(bytes.substr(0, size), &again).outcome == Outcome::kOk && again == size);
  for (uint32_t n : {size - 1, size / 2, 0u}) {
    if (n < size) Check(decode(bytes.substr(0, n), &again).outcome == Outcome::kNeedMore);
  }
}

bool Good(const DecodeResult& result) {
  Check(result.outcome == Outcome::kOk || std::strlen(result.why) > 0);
  return result.outcome == Outcome::kOk;
}

void CheckDispatch(std::string_view bytes) {
  Dispatch read;
  uint32_t size = 0;
  if (!Good(DecodeDispatch(bytes, &read, &size))) return;
  CheckInside(bytes, read.contexts);
  Check(read.dst.empty() || Inside(bytes, read.dst));
  for (const Dentry& dentry : read.dtab) {
    Check(Inside(bytes, dentry.prefix) && Inside(bytes, dentry.tree));
  }
  Check(Misfit(read) == nullptr);
  std::string again;
  EncodeDispatch(read, &again);
  Check(again == bytes.substr(0, size));
  CheckCuts(bytes, size, [](std::string_view cut, uint32_t* to) {
    Dispatch other;
    return DecodeDispatch(cut, &other, to);
  });
}

void CheckReply(std::string_view bytes) {
  DispatchReply read;
  uint32_t size = 0;
  if (!Good(DecodeDispatchReply(bytes, &read, &size))) return;
  CheckInside(bytes, read.contexts);
  Check(Misfit(read) == nullptr);
  if (const auto flags = FailureFlags(read.contexts)) {
    const auto value = trestle::base::Find(read.contexts, trestle::base::kMuxFailureKey);
    Check(value->substr(0, 8) == ShowFailureFlags(*flags));
  }
  std::string again;
  EncodeDispatchReply(read, &again);
  Check(again == bytes.substr(0, size));
  CheckCuts(bytes, size, [](std::string_view cut, uint32_t* to) {
    DispatchReply other;
    return DecodeDispatchReply(cut, &other, to);
  });
}

void CheckOld(std::string_view bytes) {
  Dispatch read;
  DispatchReply reply;
  std::string trace;
  uint32_t size = 0;
  if (Good(DecodeOldRequest(bytes, &trace, &read, &size))) {
    Check(read.contexts.size() == (trace.empty() ? 0 : 1) && read.dst.empty());
    if (!trace.empty()) Check(trestle::base::ParseTrace(read.contexts[0].value).has_value());
    CheckCuts(bytes, size, [](std::string_view cut, uint32_t* to) {
      Dispatch other;
      std::string made;
      return DecodeOldRequest(cut, &made, &other, to);
    });
  }
  if (Good(DecodeOldReply(bytes, &reply, &size))) {
    Check(size == 1 && reply.contexts.empty());
    Check(static_cast<char>(reply.status) == bytes[0]);
  }
}

void CheckSession(std::string_view body) {
  Init init;
  if (Good(DecodeInit(body, &init))) {
    CheckInside(body, init.headers);
    std::string again;
    EncodeInit(init, &again);
    Check(again == body);
    if (const auto framer = FramerOf(init)) Check(*framer > 0 && *framer <= INT32_MAX);
  }
  Discarded discarded;
  if (Good(DecodeDiscarded(body, &discarded))) {
    std::string again;
    EncodeDiscarded(discarded, &again);
    Check(again.substr(1) == body.substr(1) && (again[0] & 0x7f) == (body[0] & 0x7f));
  }
  std::optional<trestle::base::Duration> lease;
  if (Good(DecodeLease(body, &lease)) && lease) {
    Check(*lease >= lease->zero() && *lease <= std::chrono::milliseconds(0xffff'ffff));
  }
}

// The contexts' values, of which each decoder takes the whole.
void CheckValues(std::string_view value) {
  using namespace trestle::base;  // NOLINT(google-build-using-namespace)
  if (const auto trace = ParseTrace(value)) Check(ShowTrace(*trace) == value);
  if (const auto deadline = ParseDeadline(value)) Check(ShowDeadline(*deadline) == value);
  if (const auto hops = ParseHops(value)) Check(ShowHops(*hops) == value);
  Contexts headers;
  if (ParseApplicationHeaders(value, &headers)) {
    CheckInside(value, headers);
    Check(ShowApplicationHeaders(headers) == value);
  } else {
    Check(headers.empty());
  }
}

// Once told, it stays so however many bytes come.
void CheckFirst(std::string_view first) {
  Outcome told = Outcome::kNeedMore;
  for (size_t n = 0; n <= first.size() && n <= 10; n++) {
    const Outcome outcome = LooksLikeMux(first.substr(0, n)).outcome;
    Check(told == Outcome::kNeedMore || outcome == told);
    Check(n < 6 || outcome != Outcome::kNeedMore);
    told = outcome;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // A copy with nothing behind it.
  const std::unique_ptr<char[]> copy(new char[size]);
  if (size > 0) std::memcpy(copy.get(), data, size);
  const std::string_view bytes(copy.get(), size);
  CheckDispatch(bytes);
  CheckReply(bytes);
  CheckOld(bytes);
  CheckSession(bytes);
  CheckValues(bytes);
  CheckFirst(bytes);
  return 0;
}
