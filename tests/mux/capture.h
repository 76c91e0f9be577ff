// What real peers sent each other (tests/vectors/wire): the mux frames of a recording.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "mux/frame.h"
#include "tests/thrift/bytes.h"

namespace trestle::mux {

using nlohmann::json;
using thrift::Exact;
using thrift::Hex;

struct CapturedFrame {
  std::string from;  // "client" or "server"
  int conn = 0;
  std::string bytes;  // size, type and tag in front; where the recording has a gap, '?'
  size_t front = 0;   // so many bytes at the front were recorded
  json decoded;
};

// All recordings, by name.
inline std::vector<std::filesystem::path> Captures() {
  std::vector<std::filesystem::path> out;
  const auto folder = std::filesystem::path(TRESTLE_VECTORS) / "wire";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".json") out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

inline CapturedFrame ReadFrame(const json& frame) {
  CapturedFrame out{frame.at("from"), frame.at("conn"), Hex(frame.at("hex").get<std::string>()), 0,
                    frame.at("decoded")};
  out.front = out.bytes.size();
  if (frame.contains("truncated")) {
    const json& cut = frame.at("truncated");
    const std::string last = Hex(cut.at("lastBytesHex").get<std::string>());
    out.bytes.resize(cut.at("frameTotalBytes").get<size_t>() - last.size(), '?');
    out.bytes += last;
  }
  return out;
}

// The frames of one recording whose protocol is `protocol` ("mux", "thrift", "tls").
inline std::vector<CapturedFrame> FramesOf(const std::filesystem::path& path,
                                           std::string_view protocol = "mux") {
  std::ifstream in(path);
  const json capture = json::parse(in);
  std::vector<CapturedFrame> out;
  for (const json& frame : capture.at("frames")) {
    if (frame.at("decoded").value("protocol", "") == protocol) out.push_back(ReadFrame(frame));
  }
  return out;
}
inline std::vector<CapturedFrame> FramesOf(const char* name) {
  return FramesOf(std::filesystem::path(TRESTLE_VECTORS) / "wire" / (std::string(name) + ".json"));
}

// Cuts a frame that is there as a whole; a frame without a type when it is none.
inline Frame Cut(std::string_view bytes) {
  base::Buffer in = base::Buffer::Copy(bytes);
  FrameDecoder decoder(16'384'000);
  Frame frame;
  if (decoder.Next(&in, &frame) != Outcome::kOk || !in.empty()) frame.type = Type{};
  return frame;
}

}  // namespace trestle::mux
