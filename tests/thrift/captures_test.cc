// Every Thrift frame that Finagle peers were seen to send reads as it was written down beside it.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "tests/thrift/bytes.h"
#include "thrift/buffered.h"
#include "thrift/frame.h"
#include "thrift/ttwitter.h"
#include "thrift/walk.h"

namespace trestle::thrift {
namespace {

using nlohmann::json;

json Frames(const std::filesystem::path& path) {
  std::ifstream in(path);
  return json::parse(in)["frames"];
}

std::vector<std::filesystem::path> Captures(const char* prefix = "thrift_") {
  std::vector<std::filesystem::path> out;
  const auto folder = std::filesystem::path(TRESTLE_VECTORS) / "wire";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".json") continue;
    if (entry.path().filename().string().rfind(prefix, 0) == 0) out.push_back(entry.path());
  }
  return out;
}

// What is written down of a frame's message: beside its TTwitter header, or at the top.
const json& MessageOf(const json& decoded) {
  return decoded.contains("ttwitter") ? decoded.at("message") : decoded;
}

Protocol ProtocolOf(const json& decoded) {
  return MessageOf(decoded).at("thrift") == "binary" ? Protocol::kBinary : Protocol::kCompact;
}

const char* TypeWord(MessageType type) {
  static constexpr const char* kWords[] = {"", "call", "reply", "exception", "oneway"};
  return kWords[static_cast<int>(type)];
}

std::optional<int64_t> Id(const json& header, const char* key) {
  if (!header.contains(key)) return std::nullopt;
  return static_cast<int64_t>(std::stoull(header.at(key).get<std::string>(), nullptr, 16));
}

void CheckRequestHeader(Protocol protocol, std::string_view bytes, const json& decoded) {
  RequestHeader header;
  uint32_t size = 0;
  ASSERT_EQ(DecodeRequestHeader(protocol, bytes, &header, &size).outcome, Outcome::kOk);
  EXPECT_EQ(size, decoded.at("headerBytes"));
  const json& want = decoded.at("header");
  EXPECT_EQ(header.trace_id, Id(want, "1:trace_id"));
  EXPECT_EQ(header.span_id, Id(want, "2:span_id"));
  EXPECT_EQ(header.parent_span_id, Id(want, "3:parent_span_id"));
  EXPECT_EQ(header.sampled.has_value(), want.contains("5:sampled"));
  if (header.sampled) {
    EXPECT_EQ(*header.sampled, want.at("5:sampled").get<bool>());
  }
  EXPECT_EQ(header.client_id.has_value(), want.contains("6:client_id"));
  if (header.client_id) {
    EXPECT_EQ(*header.client_id, want.at("6:client_id").at("1:name").get<std::string>());
  }
  EXPECT_EQ(header.flags.value_or(-1), want.at("7:flags").get<int64_t>());
  const json& contexts = want.at("8:contexts");
  ASSERT_EQ(header.contexts.size(), contexts.size());
  for (size_t i = 0; i < contexts.size(); i++) {
    EXPECT_EQ(header.contexts[i].key, Hex(contexts[i].at("keyHex").get<std::string>()));
    EXPECT_EQ(header.contexts[i].value, Hex(contexts[i].at("valueHex").get<std::string>()));
  }
  EXPECT_FALSE(header.dest.has_value());
  EXPECT_FALSE(header.trace_id_high.has_value());
  const json delegations = want.value("10:delegations", json::array());
  ASSERT_EQ(header.delegations.size(), delegations.size());
  for (size_t i = 0; i < delegations.size(); i++) {
    EXPECT_EQ(header.delegations[i].src, delegations[i].at("1:src").get<std::string>());
    EXPECT_EQ(header.delegations[i].dst, delegations[i].at("2:dst").get<std::string>());
  }
  std::string again;
  EncodeRequestHeader(protocol, header, &again);
  EXPECT_EQ(again, bytes.substr(0, size)) << "written as Finagle writes it";
}

void CheckException(Protocol protocol, const Envelope& envelope, std::string_view message,
                    const json& want) {
  std::string text;
  int32_t type = 0;
  ASSERT_TRUE(DecodeApplicationException(protocol, message.substr(envelope.size), &text, &type));
  EXPECT_EQ(text, want.at("message").get<std::string>());
  EXPECT_EQ(type, want.at("type").get<int32_t>());
  EXPECT_EQ(EncodeApplicationException(protocol, envelope.name, envelope.seqid, type, text),
            message);
}

void CheckMessage(Protocol protocol, std::string_view message, const json& want) {
  Envelope envelope;
  const DecodeResult result = DecodeEnvelope(protocol, message, &envelope);
  ASSERT_EQ(result.outcome, Outcome::kOk) << result.why;
  EXPECT_EQ(TypeWord(envelope.type), want.at("messageType").get<std::string>());
  EXPECT_EQ(envelope.name, want.at("name").get<std::string>());
  EXPECT_EQ(envelope.seqid, want.at("seqid").get<int32_t>());
  std::string head(EnvelopeSize(protocol, envelope.name, envelope.seqid), '\0');
  EncodeEnvelope(protocol, envelope.type, envelope.name, envelope.seqid, head.data());
  EXPECT_EQ(head, message.substr(0, envelope.size));

  const std::string_view body = message.substr(envelope.size);
  uint32_t size = 0;
  EXPECT_EQ(SkipStruct(protocol, body, &size).outcome, Outcome::kOk);
  EXPECT_EQ(size, body.size());
  const json& fields = want.at("fields");
  if (envelope.type == MessageType::kReply) {
    const bool declared = !fields.empty() && fields[0].at("id") != 0;
    EXPECT_EQ(ClassifyReply(protocol, envelope.type, body.substr(0, 8)),
              declared ? ReplyKind::kDeclaredException : ReplyKind::kResult);
  }
  EXPECT_EQ(envelope.type == MessageType::kException, want.contains("applicationException"));
  if (want.contains("applicationException")) {
    CheckException(protocol, envelope, message, want.at("applicationException"));
  }
}

void CheckFrame(const std::string& frame, const json& decoded, bool from_client) {
  const Exact bytes(frame.substr(4));
  std::string_view message = bytes.view();
  const Protocol protocol = ProtocolOf(decoded);
  if (decoded.contains("ttwitter")) {
    uint32_t size = 0;
    if (from_client) {
      CheckRequestHeader(protocol, message, decoded);
      size = decoded.at("headerBytes").get<uint32_t>();
    } else {
      ASSERT_EQ(SkipResponseHeader(protocol, message, &size).outcome, Outcome::kOk);
      EXPECT_EQ(size, decoded.at("headerBytes").get<uint32_t>());
      EXPECT_EQ(message.substr(0, size), kEmptyResponseHeader);
    }
    message.remove_prefix(size);
  }
  CheckMessage(protocol, message, MessageOf(decoded));
  const std::string word = decoded.value("struct", "");
  if (word == "ConnectionOptions") {
    EXPECT_EQ(message, EncodeUpgradeCall(protocol));
  }
  if (word == "UpgradeReply") {
    EXPECT_EQ(message, EncodeUpgradeReply(protocol, 0));
  }
}

TEST(Captures, EveryFrameReadsAsItIsWrittenDown) {
  int frames = 0;
  int headers = 0;
  int upgrades = 0;
  for (const auto& path : Captures()) {
    SCOPED_TRACE(path.filename().string());
    for (const json& frame : Frames(path)) {
      const json& decoded = frame.at("decoded");
      if (decoded.contains("endOfStream")) continue;
      const std::string bytes = Hex(frame.at("hex").get<std::string>());
      SCOPED_TRACE(decoded.dump());
      CheckFrame(bytes, decoded, frame.at("from") == "client");
      frames++;
      headers += decoded.contains("ttwitter");
      upgrades += decoded.contains("struct");
    }
  }
  EXPECT_GE(frames, 60);
  EXPECT_GE(headers, 20);
  EXPECT_GE(upgrades, 10);
}

// Each direction of each connection, as one stream of bytes that arrives in pieces of `piece`.
void CheckStreams(const std::filesystem::path& path, size_t piece) {
  std::map<std::pair<int, std::string>, std::vector<std::string>> streams;
  for (const json& frame : Frames(path)) {
    const auto key = std::pair(frame.at("conn").get<int>(), frame.at("from").get<std::string>());
    const std::string bytes = Hex(frame.at("hex").get<std::string>());
    if (!bytes.empty()) streams[key].push_back(bytes);
  }
  for (const auto& [key, frames] : streams) {
    std::string all;
    for (const std::string& frame : frames) all += frame;
    FrameDecoder decoder(16'384'000);
    base::Buffer in;
    std::vector<std::string> got;
    for (size_t at = 0; at < all.size(); at += piece) {
      in.Append(base::Slice::Copy(std::string_view(all).substr(at, piece)));
      base::Buffer frame;
      while (decoder.Next(&in, &frame) == Outcome::kOk) got.push_back(frame.ToString());
    }
    EXPECT_EQ(got, frames) << path.filename() << " " << key.first << " " << key.second;
    EXPECT_TRUE(in.empty());
  }
}

TEST(Captures, StreamsAreCutIntoTheSameFramesHoweverTheyArrive) {
  for (const auto& path : Captures()) {
    for (const size_t piece : {1, 3, 4, 5, 64, 100'000}) CheckStreams(path, piece);
  }
}

// The same connections as they would be without lengths: headers and messages one after the other.
void CheckBuffered(const std::filesystem::path& path, size_t piece, int* messages) {
  struct Side {
    std::unique_ptr<BufferedDecoder> decoder;
    base::Buffer in;
  };
  std::map<std::pair<int, std::string>, Side> sides;
  for (const json& frame : Frames(path)) {
    const json& decoded = frame.at("decoded");
    if (decoded.contains("endOfStream")) continue;
    Side& side = sides[{frame.at("conn").get<int>(), frame.at("from").get<std::string>()}];
    if (!side.decoder) {
      side.decoder = std::make_unique<BufferedDecoder>(ProtocolOf(decoded), 16'384'000);
    }
    const std::string bytes = Hex(frame.at("hex").get<std::string>()).substr(4);
    const bool with_header = decoded.contains("ttwitter");
    base::Buffer message;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      side.in.Append(base::Slice::Copy(std::string_view(bytes).substr(at, piece)));
      const Outcome outcome = side.decoder->Next(&side.in, with_header, &message);
      ASSERT_EQ(outcome, at + piece < bytes.size() ? Outcome::kNeedMore : Outcome::kOk)
          << side.decoder->why();
    }
    EXPECT_EQ(message.ToString(), bytes);
    EXPECT_TRUE(side.in.empty());
    ++*messages;
  }
}

TEST(Captures, MessagesAreFoundWithoutTheirLengths) {
  for (const size_t piece : {1, 2, 3, 5, 7, 64, 100'000}) {
    int messages = 0;
    for (const auto& path : Captures()) {
      SCOPED_TRACE(path.filename().string());
      CheckBuffered(path, piece, &messages);
    }
    EXPECT_GE(messages, 60);
  }
}

// The body of each message in two pieces, cut everywhere.
TEST(Captures, BodiesAreWalkedInAllCuts) {
  for (const auto& path : Captures()) {
    for (const json& frame : Frames(path)) {
      const json& decoded = frame.at("decoded");
      if (decoded.contains("endOfStream")) continue;
      const std::string bytes = Hex(frame.at("hex").get<std::string>()).substr(4);
      const Protocol protocol = ProtocolOf(decoded);
      const size_t header = decoded.value("headerBytes", 0);
      Envelope envelope;
      ASSERT_EQ(DecodeEnvelope(protocol, bytes.substr(header), &envelope).outcome, Outcome::kOk);
      const std::string body = bytes.substr(header + envelope.size);
      Walker walker(protocol);
      for (size_t cut = 0; cut < body.size(); cut++) {
        walker.Reset();
        size_t used = 0;
        ASSERT_EQ(walker.Feed(body.substr(0, cut), &used).outcome, Outcome::kNeedMore);
        ASSERT_EQ(walker.Feed(body.substr(cut), &used).outcome, Outcome::kOk);
        ASSERT_EQ(cut + used, body.size());
      }
    }
  }
}

// Thrift messages inside mux frames that are there as a whole.
TEST(Captures, MessagesInMuxFrames) {
  std::map<std::string, int> messages;
  for (const auto& path : Captures("")) {
    SCOPED_TRACE(path.filename().string());
    for (const json& frame : Frames(path)) {
      const json& decoded = frame.at("decoded");
      if (!decoded.contains("payloadAt") || decoded.contains("reassembledFrom")) continue;
      const json& payload = decoded.at("payload");
      if (!payload.contains("thrift") || frame.contains("truncated")) continue;
      const std::string bytes = Hex(frame.at("hex").get<std::string>());
      const Exact message(
          std::string_view(bytes).substr(8 + decoded.at("payloadAt").get<size_t>()));
      CheckMessage(payload.at("thrift") == "binary" ? Protocol::kBinary : Protocol::kCompact,
                   message.view(), payload);
      messages[payload.at("messageType")]++;
    }
  }
  EXPECT_GE(messages["call"], 50);
  EXPECT_GE(messages["reply"], 40);
  EXPECT_GE(messages["exception"], 1);
  EXPECT_GE(messages["oneway"], 1);
}

TEST(Captures, AMuxClientIsToldFromThrift) {
  const auto folder = std::filesystem::path(TRESTLE_VECTORS) / "wire";
  const json frames = Frames(folder / "thriftmux_client_to_plain_thrift_server.json");
  const std::string frame = Hex(frames[0].at("hex").get<std::string>());
  Envelope envelope;
  for (const Protocol protocol : {Protocol::kBinary, Protocol::kCompact}) {
    const DecodeResult result =
        DecodeEnvelope(protocol, std::string_view(frame).substr(4), &envelope);
    EXPECT_EQ(result.outcome, Outcome::kMalformed);
    EXPECT_STREQ(result.why, "bad version (looks like ThriftMux)");
  }
}

}  // namespace
}  // namespace trestle::thrift
