// A client that speaks Thrift in any dialect, or nothing like it; see the script.
#include "tests/fuzz/server_session_script.h"

namespace trestle {
namespace {

server::Options OptionsFrom(uint8_t bits, uint8_t more) {
  server::Options options;
  options.dialect.protocol = bits & 1 ? thrift::Protocol::kCompact : thrift::Protocol::kBinary;
  options.max_pipelined = bits & 2 ? 1 : 3;
  options.clear_context = bits & 4;
  if (bits & 8) options.on_half_close = server::Options::OnHalfClose::kCancel;
  if (bits & 16) options.max_concurrent = 2;
  if (bits & 32) options.idle_time = std::chrono::seconds(3);
  if (bits & 64) options.life_time = std::chrono::seconds(5);
  options.max_connection_bytes = bits & 128 ? 64 : 1 << 20;
  options.max_frame_bytes = 1 << 16;
  if (more & 1) options.dialect.framing = thrift::Framing::kBuffered;
  if (more & 2) options.dialect.framing.reset();
  if (more & 4) options.dialect.protocol.reset();
  if (more & 8) options.stream_threshold = 16;
  if (more & 16) options.max_pending_bindings = 1;
  if (more & 32) options.max_buffered_bytes = 170'000;  // little more than what is read into
  if (more & 64) options.body_idle_timeout = std::chrono::seconds(1);
  return options;
}

}  // namespace
}  // namespace trestle

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return trestle::RunServerScript(data, size, trestle::OptionsFrom);
}
