// Every mux message that Finagle peers were seen to send reads as it was written down beside it,
// and is written again byte for byte.
#include <gtest/gtest.h>

#include <map>

#include "mux/joiner.h"
#include "mux/splitter.h"
#include "tests/mux/capture.h"

namespace trestle::mux {
namespace {

std::string Head(const Frame& frame, Type type) {
  std::string head(kHeadBytes, '\0');
  WriteHead(type, frame.tag, frame.more, frame.body.size(), head.data());
  return head;
}

// Both numbers of Rerr and Tdiscarded are read; the old one of each is written.
void CheckHead(const CapturedFrame& captured, const Frame& frame) {
  const json& want = captured.decoded;
  EXPECT_EQ(frame.wire, want.at("type").get<int>());
  EXPECT_EQ(frame.tag, want.at("tag").get<uint32_t>());
  EXPECT_EQ(frame.more, want.contains("tagMsb"));
  EXPECT_EQ(frame.body.size() + 4, want.at("frameBytes").get<size_t>());
  const std::string name = want.at("typeName");
  EXPECT_EQ(TypeName(frame.type), name.substr(0, name.find(' ')));
  EXPECT_EQ(KnownType(frame.wire), frame.type);
  std::string bytes = captured.bytes.substr(0, kHeadBytes);
  if (frame.type == Type::kRerr) bytes[4] = 127;
  if (frame.type == Type::kTdiscarded) bytes[4] = -62;
  EXPECT_EQ(Head(frame, frame.type), bytes);
  EXPECT_EQ(Head(frame, Type{frame.wire}), bytes);
}

void CheckPairs(const base::Contexts& pairs, const json& want) {
  ASSERT_EQ(pairs.size(), want.size());
  for (size_t i = 0; i < pairs.size(); i++) {
    const std::string key = want[i].contains("keyHex")
                                ? Hex(want[i].at("keyHex").get<std::string>())
                                : want[i].at("key").get<std::string>();
    EXPECT_EQ(pairs[i].key, key);
    EXPECT_EQ(pairs[i].value, Hex(want[i].at("valueHex").get<std::string>()));
  }
}

int64_t Id(const json& value) {
  return static_cast<int64_t>(std::stoull(value.get<std::string>(), nullptr, 16));
}

// The contexts whose values a router understands.
void CheckMeanings(const base::Contexts& contexts, const json& want) {
  for (size_t i = 0; i < contexts.size(); i++) {
    const json means = want[i].value("means", json::object());
    const base::KeyValue& pair = contexts[i];
    if (means.contains("spanId")) {
      const auto trace = base::ParseTrace(pair.value);
      ASSERT_TRUE(trace);
      EXPECT_EQ(trace->span, Id(means["spanId"]));
      EXPECT_EQ(trace->parent, Id(means["parentId"]));
      EXPECT_EQ(trace->trace, Id(means["traceId"]));
      EXPECT_EQ(trace->flags, means["flags"].get<int64_t>());
      EXPECT_EQ(trace->trace_high.has_value(), means.contains("traceIdHigh"));
      EXPECT_EQ(base::ShowTrace(*trace), pair.value);
      EXPECT_TRUE(base::IsKey(pair.key, base::kTraceKey));
    }
    if (means.contains("deadlineNs")) {
      const auto deadline = base::ParseDeadline(pair.value);
      ASSERT_TRUE(deadline);
      EXPECT_EQ(deadline->timestamp.time_since_epoch().count(), means["timestampNs"]);
      EXPECT_EQ(deadline->deadline.time_since_epoch().count(), means["deadlineNs"]);
      EXPECT_EQ(base::ShowDeadline(*deadline), pair.value);
      EXPECT_TRUE(base::IsKey(pair.key, base::kDeadlineKey));
    }
    if (means.contains("applicationHeaders")) {
      base::Contexts headers;
      ASSERT_TRUE(base::ParseApplicationHeaders(pair.value, &headers));
      ASSERT_EQ(headers.size(), means["applicationHeaders"].size());
      for (size_t k = 0; k < headers.size(); k++) {
        EXPECT_EQ(headers[k].key, means["applicationHeaders"][k]["key"].get<std::string>());
        EXPECT_EQ(headers[k].value, means["applicationHeaders"][k]["value"].get<std::string>());
      }
      EXPECT_EQ(base::ShowApplicationHeaders(headers), pair.value);
    }
    if (means.contains("clientId")) {
      EXPECT_TRUE(base::IsKey(pair.key, base::kClientIdKey));
    }
  }
}

void CheckDispatch(std::string_view body, const json& want) {
  Dispatch dispatch;
  uint32_t size = 0;
  const DecodeResult result = DecodeDispatch(body, &dispatch, &size);
  ASSERT_EQ(result.outcome, Outcome::kOk) << result.why;
  EXPECT_EQ(size, want.at("payloadAt").get<uint32_t>());
  EXPECT_EQ(body.size() - size, want.at("payload").at("bytes").get<size_t>());
  CheckPairs(dispatch.contexts, want.at("contexts"));
  CheckMeanings(dispatch.contexts, want.at("contexts"));
  EXPECT_EQ(dispatch.dst, want.at("dst").get<std::string>());
  ASSERT_EQ(dispatch.dtab.size(), want.at("dtab").size());
  for (size_t i = 0; i < dispatch.dtab.size(); i++) {
    EXPECT_EQ(dispatch.dtab[i].prefix, want["dtab"][i]["prefix"].get<std::string>());
    EXPECT_EQ(dispatch.dtab[i].tree, want["dtab"][i]["dst"].get<std::string>());
  }
  EXPECT_EQ(Misfit(dispatch), nullptr);
  std::string again;
  EncodeDispatch(dispatch, &again);
  EXPECT_EQ(again, body.substr(0, size));
}

void CheckReply(std::string_view body, const json& want) {
  DispatchReply reply;
  uint32_t size = 0;
  const DecodeResult result = DecodeDispatchReply(body, &reply, &size);
  ASSERT_EQ(result.outcome, Outcome::kOk) << result.why;
  EXPECT_EQ(static_cast<int>(reply.status), want.at("status").get<int>());
  EXPECT_EQ(size, want.at("payloadAt").get<uint32_t>());
  EXPECT_EQ(body.size() - size, want.at("payload").at("bytes").get<size_t>());
  CheckPairs(reply.contexts, want.at("contexts"));
  CheckMeanings(reply.contexts, want.at("contexts"));
  std::optional<uint64_t> flags;
  for (const json& context : want.at("contexts")) {
    if (context.at("key") == "MuxFailure") {
      flags = std::stoull(context.at("valueHex").get<std::string>(), nullptr, 16);
    }
  }
  EXPECT_EQ(FailureFlags(reply.contexts), flags);
  if (flags) {
    EXPECT_EQ(ShowFailureFlags(*flags), base::Find(reply.contexts, base::kMuxFailureKey));
  }
  EXPECT_EQ(Misfit(reply), nullptr);
  std::string again;
  EncodeDispatchReply(reply, &again);
  EXPECT_EQ(again, body.substr(0, size));
}

void CheckOldRequest(std::string_view body, const json& want) {
  Dispatch dispatch;
  std::string trace;
  uint32_t size = 0;
  ASSERT_EQ(DecodeOldRequest(body, &trace, &dispatch, &size).outcome, Outcome::kOk);
  EXPECT_EQ(body.size() - size, want.at("payload").at("bytes").get<size_t>());
  EXPECT_TRUE(dispatch.dst.empty() && dispatch.dtab.empty());
  std::string keys(1, static_cast<char>(want.at("keys").size()));
  std::string context;
  for (const json& key : want.at("keys")) {
    const std::string value = Hex(key.at("valueHex").get<std::string>());
    keys.push_back(static_cast<char>(key.at("key").get<int>()));
    keys.append(1, static_cast<char>(value.size())).append(value);
    context += key.at("key") == 2 ? std::string(7, '\0') + value : value;
  }
  EXPECT_EQ(keys, body.substr(0, size));
  EXPECT_EQ(trace, context);
  ASSERT_EQ(dispatch.contexts.size(), context.empty() ? 0 : 1);
  if (!context.empty()) {
    EXPECT_EQ(dispatch.contexts[0], (base::KeyValue{base::kTraceKey, trace}));
  }
}

void CheckOldReply(std::string_view body, const json& want) {
  DispatchReply reply;
  uint32_t size = 0;
  ASSERT_EQ(DecodeOldReply(body, &reply, &size).outcome, Outcome::kOk);
  EXPECT_EQ(static_cast<int>(reply.status), want.at("status").get<int>());
  EXPECT_EQ(body.size() - size, want.at("payload").at("bytes").get<size_t>());
  EXPECT_EQ(size, 1u);
  EXPECT_EQ(body[0], static_cast<char>(reply.status));
}

void CheckInit(std::string_view body, const json& want) {
  Init init;
  const DecodeResult result = DecodeInit(body, &init);
  ASSERT_EQ(result.outcome, Outcome::kOk) << result.why;
  EXPECT_EQ(init.version, want.at("version").get<int>());
  CheckPairs(init.headers, want.at("headers"));
  std::optional<uint32_t> framer;
  for (const json& header : want.at("headers")) {
    if (header.at("key") == "mux-framer") framer = header["means"]["maxFragmentBytes"];
    if (header.at("key") == "tls") {
      EXPECT_EQ(base::Find(init.headers, kTlsKey), header.at("valueText").get<std::string>());
    }
  }
  EXPECT_EQ(FramerOf(init), framer);
  if (framer) {
    EXPECT_EQ(ShowFramer(*framer), base::Find(init.headers, kFramerKey));
  }
  std::string again;
  EncodeInit(init, &again);
  EXPECT_EQ(again, body);
}

void CheckDiscarded(std::string_view body, const json& want) {
  Discarded discarded;
  ASSERT_EQ(DecodeDiscarded(body, &discarded).outcome, Outcome::kOk);
  EXPECT_EQ(discarded.tag, want.at("discardTag").get<uint32_t>());
  EXPECT_EQ(discarded.why, want.at("why").get<std::string>());
  std::string again;
  EncodeDiscarded(discarded, &again);
  EXPECT_EQ(again, body);
}

void CheckLease(std::string_view body, const json& want) {
  std::optional<base::Duration> lease;
  ASSERT_EQ(DecodeLease(body, &lease).outcome, Outcome::kOk);
  ASSERT_EQ(want.at("unit").get<int>(), 0);
  EXPECT_EQ(lease, std::chrono::milliseconds(want.at("howMuch").get<int64_t>()));
}

void CheckBody(Type type, std::string_view body, const json& want) {
  const Exact exact(body);
  switch (type) {
    case Type::kTdispatch:
      return CheckDispatch(exact.view(), want);
    case Type::kRdispatch:
      return CheckReply(exact.view(), want);
    case Type::kTreq:
      return CheckOldRequest(exact.view(), want);
    case Type::kRreq:
      return CheckOldReply(exact.view(), want);
    case Type::kTinit:
    case Type::kRinit:
      return CheckInit(exact.view(), want);
    case Type::kTdiscarded:
      return CheckDiscarded(exact.view(), want);
    case Type::kTlease:
      return CheckLease(exact.view(), want);
    case Type::kRerr:
      EXPECT_EQ(body, want.at("why").get<std::string>());
      return;
    default:
      EXPECT_EQ(body, "");
  }
}

// The one message that ends the pieces of another tag than its own.
uint32_t DiscardedTag(const Frame& frame) {
  Discarded discarded;
  const std::string body = frame.body.ToString();
  EXPECT_EQ(DecodeDiscarded(body, &discarded).outcome, Outcome::kOk);
  return discarded.tag;
}

using Counts = std::map<std::string, int>;

void CheckCapture(const std::filesystem::path& path, Counts* counts) {
  std::map<std::pair<int, std::string>, Joiner> joiners;
  for (const CapturedFrame& captured : FramesOf(path)) {
    const json& want = captured.decoded;
    SCOPED_TRACE(path.filename().string() + " " + want.dump().substr(0, 200));
    Frame frame = Cut(captured.bytes);
    if (want.contains("undecoded") || want.value("typeName", "") == "?") {
      EXPECT_EQ(frame.type, Type{});
      ++(*counts)["malformed"];
      continue;
    }
    CheckHead(captured, frame);
    Joiner& joiner =
        joiners.try_emplace({captured.conn, captured.from}, Joiner::Bounds{}).first->second;
    if (frame.type == Type::kTdiscarded) {
      EXPECT_EQ(joiner.Drop(DiscardedTag(frame)), want.contains("dropsFragments"));
    }
    const Outcome outcome = joiner.Take(&frame);
    EXPECT_EQ(outcome, want.contains("fragment") ? Outcome::kNeedMore : Outcome::kOk);
    ++(*counts)[want.contains("fragment") ? "fragment" : TypeName(frame.type)];
    if (outcome != Outcome::kOk) continue;
    if (want.contains("reassembledBytes")) {
      EXPECT_EQ(frame.body.size(), want["reassembledBytes"].get<size_t>());
      ++(*counts)["joined"];
    }
    CheckBody(frame.type, frame.body.ToString(), want);
    EXPECT_EQ(ShowMessage(frame.type, frame.tag, frame.body.ToString()),
              Head(frame, frame.type) + frame.body.ToString());
  }
  for (const auto& [side, joiner] : joiners) EXPECT_TRUE(joiner.empty());
}

TEST(Captures, EveryMessageReadsAsItIsWrittenDown) {
  Counts counts;
  int captures = 0;
  for (const auto& path : Captures()) {
    CheckCapture(path, &counts);
    captures++;
  }
  EXPECT_EQ(captures, 65);
  // Malformed are an unknown type and a frame of three bytes.
  const Counts expected = {
      {"Rdiscarded", 4}, {"Rdispatch", 58}, {"Rdrain", 2},     {"Rerr", 95},      {"Rinit", 40},
      {"Rping", 7},      {"Rreq", 4},       {"Tdiscarded", 6}, {"Tdispatch", 68}, {"Tdrain", 4},
      {"Tinit", 42},     {"Tlease", 2},     {"Tping", 6},      {"Treq", 4},       {"fragment", 100},
      {"joined", 9},     {"malformed", 2},
  };
  EXPECT_EQ(counts, expected);
}

// Each direction of each connection as one stream of bytes that arrives in pieces of `piece`. What
// is unknown or too short ends a stream.
void CheckStreams(const std::filesystem::path& path, size_t piece) {
  std::map<std::pair<int, std::string>, std::vector<std::string>> streams;
  for (const CapturedFrame& captured : FramesOf(path)) {
    streams[{captured.conn, captured.from}].push_back(captured.bytes);
  }
  for (const auto& [side, frames] : streams) {
    std::string all;
    for (const std::string& frame : frames) all += frame;
    FrameDecoder decoder(16'384'000);
    base::Buffer in;
    std::vector<std::string> got;
    Outcome outcome = Outcome::kNeedMore;
    for (size_t at = 0; at < all.size() && outcome != Outcome::kMalformed; at += piece) {
      in.Append(base::Slice::Copy(std::string_view(all).substr(at, piece)));
      Frame frame;
      while ((outcome = decoder.Next(&in, &frame)) == Outcome::kOk) {
        std::string bytes = Head(frame, frame.type) + frame.body.ToString();
        bytes[4] = static_cast<char>(frame.wire);
        got.push_back(std::move(bytes));
      }
    }
    if (outcome == Outcome::kMalformed) {
      ASSERT_LT(got.size(), frames.size());
      EXPECT_EQ(Cut(frames[got.size()]).type, Type{});
    } else {
      EXPECT_EQ(got.size(), frames.size());
      EXPECT_TRUE(in.empty());
    }
    for (size_t i = 0; i < got.size(); i++) EXPECT_EQ(got[i] == frames[i], true) << i;
  }
}

TEST(Captures, StreamsAreCutIntoTheSameMessagesHoweverTheyArrive) {
  for (const auto& path : Captures()) {
    SCOPED_TRACE(path.filename().string());
    const bool large = path.filename().string().find("large") != std::string::npos;
    for (const size_t piece : {1, 3, 4, 5, 8, 64}) {
      if (!large) CheckStreams(path, piece);
    }
    for (const size_t piece : {1000, 100'000}) CheckStreams(path, piece);
  }
}

// Finagle cuts a message into the same pieces. In what order those of several go out hangs on when
// each came, so the pieces of one message are looked at.
void CheckPieces(const std::vector<CapturedFrame>& pieces) {
  Joiner joiner{Joiner::Bounds{}};
  Frame frame;
  for (const CapturedFrame& piece : pieces) {
    frame = Cut(piece.bytes);
    EXPECT_EQ(joiner.Take(&frame), frame.more ? Outcome::kNeedMore : Outcome::kOk);
  }
  Splitter splitter;
  splitter.set_piece(pieces[0].decoded.at("fragmentBytes").get<uint32_t>());
  splitter.Add(frame.type, frame.tag, std::move(frame.body));
  base::Arena arena;
  for (const CapturedFrame& piece : pieces) {
    ASSERT_FALSE(splitter.empty());
    EXPECT_TRUE(splitter.Next(&arena).ToString() == piece.bytes);
  }
  EXPECT_TRUE(splitter.empty());
  EXPECT_EQ(splitter.fragments(), pieces.size());
}

TEST(Captures, MessagesAreCutIntoTheSamePieces) {
  int messages = 0;
  for (const char* name : {"thriftmux_large_payload", "thriftmux_large_payload_interleaved"}) {
    std::map<std::pair<std::string, int>, std::vector<CapturedFrame>> pieces;
    for (CapturedFrame& frame : FramesOf(name)) {
      const json& want = frame.decoded;
      if (!want.contains("fragment") && !want.contains("reassembledFrom")) continue;
      pieces[{frame.from, want.at("tag")}].push_back(std::move(frame));
    }
    for (const auto& [message, frames] : pieces) {
      SCOPED_TRACE(std::string(name) + " " + message.first + " " + std::to_string(message.second));
      CheckPieces(frames);
      messages++;
    }
  }
  EXPECT_EQ(messages, 8);
}

TEST(Captures, TheFirstBytesTellMuxFromThriftAndTls) {
  std::map<std::string, int> seen;
  for (const auto& path : Captures()) {
    for (const char* protocol : {"mux", "thrift", "tls"}) {
      const std::vector<CapturedFrame> frames = FramesOf(path, protocol);
      const bool mux = std::string(protocol) == "mux";
      const bool opens = protocol != std::string("tls") || FramesOf(path).empty();
      if (frames.empty() || !opens) continue;
      SCOPED_TRACE(path.filename().string());
      const std::string_view first = std::string_view(frames[0].bytes).substr(0, 8);
      EXPECT_EQ(LooksLikeMux(first).outcome, mux ? Outcome::kOk : Outcome::kMalformed);
      for (size_t n = 0; mux && n < 6; n++) {
        EXPECT_EQ(LooksLikeMux(first.substr(0, n)).outcome, Outcome::kNeedMore);
      }
      seen[protocol]++;
    }
  }
  EXPECT_EQ(seen["mux"], 45);
  EXPECT_EQ(seen["thrift"], 18);
  EXPECT_EQ(seen["tls"], 1);
}

}  // namespace
}  // namespace trestle::mux
