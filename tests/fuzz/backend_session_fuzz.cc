// A backend that answers anything: calls and oneways on one connection, bytes of the input as its
// replies. A call ends exactly once; what reaches its caller is a whole frame with the caller's
// seqid.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "backend/thrift_session.h"
#include "base/clock.h"
#include "tests/support/memory_transport.h"
#include "tests/support/thrift_wire.h"

namespace trestle {
namespace {

constexpr int32_t kCallersSeqid = 0x12345678;

void Require(bool holds) {
  if (!holds) std::abort();
}

struct Owner final : backend::SessionOwner, call::Observer {
  void OnIdle(backend::ThriftSession*) override { Require(!dead); }
  void OnDead(backend::ThriftSession*) override {
    Require(!dead);
    dead = true;
  }
  void OnSuccess() override {}
  void OnLetGo(bool) override {}
  void OnLost(call::Call* call, call::Step step, const base::Status& why, bool) override {
    call->Fail(step, why);
  }
  void OnStrayAnswer() override {}
  void OnEnded(call::Call*) override { ended++; }
  bool dead = false;
  int ended = 0;
};

void Fill(call::Call* call, thrift::Protocol protocol, bool oneway, Owner* owner) {
  const std::string frame = tests::Frame(
      tests::Message(oneway ? thrift::MessageType::kOneway : thrift::MessageType::kCall, "svc:m",
                     kCallersSeqid, tests::kVoidBody, protocol));
  call->protocol = protocol;
  call->method = "svc:m";
  thrift::DecodeEnvelope(protocol, std::string_view(frame).substr(4), &call->envelope);
  call->envelope.name = call->method;
  call->request = base::Buffer::Copy(frame);
  call->sink = owner;
}

void CheckReply(const call::Call& call) {
  if (call.end() != call::End::kReplied) return;
  const std::string frame = call.reply.ToString();
  Require(frame.size() > 4 && thrift::ReadU32(frame.data()) == frame.size() - 4);
  thrift::Envelope envelope;
  Require(
      thrift::DecodeEnvelope(call.protocol, std::string_view(frame).substr(4), &envelope).outcome ==
      thrift::Outcome::kOk);
  Require(envelope.seqid == kCallersSeqid);
  Require(envelope.type == thrift::MessageType::kException || envelope.name == "svc:m" ||
          envelope.name == "m");
}

// What the backend does with one byte of the input and those that it asks for.
void Step(uint8_t what, const uint8_t** data, size_t* size, tests::MemoryTransport* far,
          call::Call* call) {
  switch (what) {
    case 0xf0:
      return far->ShutdownWrite();
    case 0xf1:
      return far->Close(true);
    case 0xf2:
      return call->Cancel();
    case 0xf3:
      return call->TimeOut(base::Status(base::Code::kTimeout, "late"));
    default: {
      const size_t n = std::min<size_t>(what, *size);
      far->Send(std::string_view(reinterpret_cast<const char*>(*data), n));
      *data += n;
      *size -= n;
    }
  }
}

void Play(const uint8_t* data, size_t size) {
  base::FakeClock clock;
  net::EventLoop loop(&clock);
  const uint8_t bits = size > 0 ? *data++ : uint8_t{0};
  if (size > 0) size--;
  backend::Options options;
  options.verify_seqid = !(bits & 2);
  options.max_frame_bytes = 1 << 16;
  const auto protocol = bits & 1 ? thrift::Protocol::kCompact : thrift::Protocol::kBinary;
  Owner owner;
  auto [near, far] = tests::MemoryTransport::Pair(&loop);
  backend::ThriftSession session(&loop, options, &owner, std::move(near));
  session.Start();
  for (int sent = 0; sent < 20 && !owner.dead; sent++) {
    call::Call call;
    Fill(&call, protocol, (bits >> (2 + sent % 6)) & 1, &owner);
    session.Send(&call);
    tests::Settle(&loop);
    while (!call.ended() && size > 0) {
      const uint8_t what = *data++;
      size--;
      Step(what, &data, &size, far.get(), &call);
      tests::Settle(&loop);
    }
    if (!call.ended()) far->Close(false);
    tests::Settle(&loop);
    Require(call.ended() && owner.ended == sent + 1);
    CheckReply(call);
  }
}

}  // namespace
}  // namespace trestle

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trestle;
  const size_t before = base::Block::BytesOnThread();
  Play(data, size);
  Require(base::Block::BytesOnThread() == before);
  return 0;
}
