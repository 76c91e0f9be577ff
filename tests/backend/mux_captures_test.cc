// What real Finagle servers sent, played to a client of ours that makes the calls of the real one:
// it sends the same bytes, and its calls end as they did.
#include <map>

#include "backend/mux_reply.h"
#include "tests/backend/captures.h"
#include "tests/backend/mux_pool_fixture.h"

namespace trestle::backend {
namespace {

struct CapturedFrame {
  bool from_client = false;
  MuxMessage message;
};

std::vector<CapturedFrame> AllFrames(const std::string& name) {
  std::ifstream file(std::string(TRESTLE_VECTORS) + "/wire/" + name + ".json");
  nlohmann::json capture = nlohmann::json::parse(file);
  std::vector<CapturedFrame> out;
  for (const auto& frame : capture["frames"]) {
    const std::string hex = frame.value("hex", "");
    if (frame["conn"] != 0 || hex.empty()) continue;
    EXPECT_FALSE(frame.contains("truncated")) << name;
    std::string bytes;
    for (size_t i = 0; i + 1 < hex.size(); i += 2) {
      bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    }
    auto messages = TakeMux(&bytes);
    for (MuxMessage& m : messages) out.push_back({frame["from"] == "client", std::move(m)});
  }
  EXPECT_FALSE(out.empty()) << name;
  return out;
}

class MuxCapturesTest : public MuxPoolTest, public testing::WithParamInterface<const char*> {
 protected:
  // What we have sent and was not compared yet.
  MuxMessage Next() {
    for (MuxMessage& m : Read(0)) sent_.push_back(std::move(m));
    if (sent_.empty()) {
      ADD_FAILURE() << "nothing was sent";
      return {};
    }
    MuxMessage m = sent_.front();
    sent_.erase(sent_.begin());
    return m;
  }
  bool HasSent() {
    for (MuxMessage& m : Read(0)) sent_.push_back(std::move(m));
    return !sent_.empty();
  }
  // A call like that of a captured Tdispatch.
  std::unique_ptr<TestCall> CallOf(const MuxMessage& m, bool mux) {
    auto call = std::make_unique<TestCall>();
    mux::Dispatch dispatch;
    uint32_t size = 0;
    EXPECT_EQ(mux::DecodeDispatch(m.body, &dispatch, &size).outcome, mux::Outcome::kOk);
    Carry(call.get(), m.body.substr(0, size), dispatch.dst, m.body.substr(size), mux);
    return call;
  }
  static void Carry(TestCall* call, std::string_view head, std::string_view dst,
                    const std::string& payload, bool mux) {
    call->call.header_form = call::HeaderForm::kMux;
    call->call.header_bytes = base::Buffer::Copy(head);
    call->call.dest = dst;
    call->call.request = base::Buffer::Copy(tests::Frame(payload));
    call->call.opaque = mux;
    if (mux) return;
    call->call.protocol =
        payload[0] == '\x82' ? thrift::Protocol::kCompact : thrift::Protocol::kBinary;
    ASSERT_EQ(thrift::DecodeEnvelope(call->call.protocol, payload, &call->call.envelope).outcome,
              thrift::Outcome::kOk);
    call->call.method = call->call.envelope.name;
    call->call.envelope.name = call->call.method;
  }
  // `crumbs`: what the server says is read byte by byte.
  void Play(bool crumbs);
  void OnClient(const MuxMessage& m, bool mux);
  void OnServer(const MuxMessage& m);

  std::vector<MuxMessage> sent_;
  std::map<uint32_t, std::unique_ptr<TestCall>> calls_;
  std::vector<std::unique_ptr<TestCall>> over_;
  size_t dispatches_ = 0, answers_ = 0;
};

void MuxCapturesTest::OnClient(const MuxMessage& m, bool mux) {
  switch (m.type) {
    case Type::kTdispatch: {
      dispatches_++;
      auto& call = calls_[m.tag];
      if (call) over_.push_back(std::move(call));
      call = CallOf(m, mux);
      Dispatch(*call);
      EXPECT_EQ(Next().bytes, m.bytes);
      return;
    }
    case Type::kTreq: {
      if (!HasSent()) {  // not the first one, which was sent again by itself
        const std::string ids = m.body.substr(3, 24);
        const std::string trace = ids + std::string(7, '\0') + m.body[29];
        auto& call = calls_[m.tag];
        if (call) over_.push_back(std::move(call));
        call = std::make_unique<TestCall>();
        Carry(call.get(), DispatchHead({{std::string(base::kTraceKey), trace}}), "",
              m.body.substr(30), false);
        Dispatch(*call);
      }
      EXPECT_EQ(Next().bytes, m.bytes);
      return;
    }
    case Type::kTdiscarded: {
      mux::Discarded theirs, ours;
      ASSERT_EQ(mux::DecodeDiscarded(m.body, &theirs).outcome, mux::Outcome::kOk);
      calls_.at(theirs.tag)->call.Cancel();
      Settle(&loop_);
      const MuxMessage sent = Next();
      EXPECT_EQ(sent.wire, m.wire);
      EXPECT_EQ(sent.tag, m.tag);
      ASSERT_EQ(mux::DecodeDiscarded(sent.body, &ours).outcome, mux::Outcome::kOk);
      EXPECT_EQ(ours.tag, theirs.tag);
      return;
    }
    case Type::kTping:
      return;  // by the clock
    case Type::kTinit:
      // We never want TLS in mid-connection.
      if (m.body.find("desired") == std::string::npos) {
        EXPECT_EQ(Next().bytes, m.bytes);
      } else {
        EXPECT_EQ(Next().type, Type::kTinit);
      }
      return;
    default:  // probe, Rdrain, Rping
      EXPECT_EQ(Next().bytes, m.bytes) << mux::TypeName(m.type);
  }
}

void MuxCapturesTest::OnServer(const MuxMessage& m) {
  Say(0, m.bytes);
  if (m.type != Type::kRdispatch && m.type != Type::kRreq) return;
  answers_++;
  TestCall& call = *calls_.at(m.tag);
  MuxReply reply;
  ASSERT_EQ(ReadMuxReply(m.type, base::Buffer::Copy(m.body), &reply), nullptr);
  std::string payload = reply.payload.ToString();
  thrift::Envelope envelope;  // a scripted server answers with a seqid of its own
  if (call.call.protocol == thrift::Protocol::kBinary &&
      thrift::DecodeEnvelope(call.call.protocol, payload, &envelope).outcome ==
          thrift::Outcome::kOk) {
    thrift::PatchBinarySeqid(payload.data(), envelope, call.call.envelope.seqid);
  }
  if (envelope.type == thrift::MessageType::kReply && envelope.size > 0 &&
      envelope.seqid != call.call.envelope.seqid) {
    EXPECT_EQ(call.end(), End::kFailed);
    EXPECT_NE(call.failure().find("another seqid"), std::string::npos) << call.failure();
    return;
  }
  if (reply.nacked()) {
    EXPECT_EQ(call.end(), End::kFailed);
    EXPECT_NE(call.failure().find("nacked the call"), std::string::npos);
    return;
  }
  ASSERT_EQ(call.end(), End::kReplied) << call.failure();
  const bool ok = reply.status == ReplyStatus::kOk;
  EXPECT_EQ(call.call.reply_is_error, !ok);
  EXPECT_EQ(call.reply(), ok ? tests::Frame(payload) : payload);
  EXPECT_EQ(call.call.reply_header_bytes.ToString(), reply.headers.ToString());
}

void MuxCapturesTest::Play(bool crumbs) {
  const std::string name = GetParam();
  Open();
  client();
  // A connection, so that there is a handshake.
  TestCall first;
  bool begun = false;
  for (const CapturedFrame& f : AllFrames(name)) {
    if (!begun) {
      Dispatch(first);
      first.call.Cancel();
      begun = true;
      ASSERT_EQ(Opened(), 1u);
      if (crumbs) net_->backends[0]->near->set_max_read(1);
    }
    SCOPED_TRACE(name + ": " + mux::TypeName(f.message.type));
    f.from_client ? OnClient(f.message, name.starts_with("mux_")) : OnServer(f.message);
  }
  EXPECT_GT(dispatches_, 0u);
  EXPECT_EQ(MuxGauge("tags_in_use"), 0);
  EXPECT_EQ(Gauge("connections"), name == "thriftmux_server_drain" ? 0 : 1);
}

TEST_P(MuxCapturesTest, OurClientSaysWhatFinaglesSaidAndItsCallsEndAsTheyDid) { Play(false); }

TEST_P(MuxCapturesTest, AlsoWhenItReadsByteByByte) { Play(true); }

INSTANTIATE_TEST_SUITE_P(
    Wire, MuxCapturesTest,
    testing::Values("thriftmux_session_start", "thriftmux_call_with_dtab_and_contexts",
                    "thriftmux_128bit_trace", "thriftmux_unsampled_undecided_trace",
                    "thriftmux_compact", "thriftmux_declared_exception",
                    "thriftmux_application_exception", "thriftmux_server_error", "thriftmux_nack",
                    "thriftmux_nack_nonretryable", "thriftmux_nack_then_requeue",
                    "thriftmux_discarded", "thriftmux_client_timeout", "thriftmux_lease",
                    "thriftmux_server_drain", "thriftmux_many_outstanding",
                    "thriftmux_tls_opportunistic_cleartext", "mux_server_error",
                    "scripted_server_rerr_128", "scripted_server_treq_only"),
    [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace trestle::backend
