// A client of a ThriftMux or mux port that speaks mux, or nothing like it; see the script.
#include "tests/fuzz/server_session_script.h"

namespace trestle {
namespace {

server::Options OptionsFrom(uint8_t bits, uint8_t more) {
  server::Options options;
  options.dialect = {};
  options.port = bits & 1 ? server::Options::Port::kMux : server::Options::Port::kThriftMux;
  if (bits & 2) options.dialect.protocol = thrift::Protocol::kBinary;
  options.clear_context = bits & 4;
  if (bits & 8) options.mux_fragment = 100;
  if (bits & 16) options.max_concurrent = 2;
  if (bits & 32) options.idle_time = std::chrono::seconds(3);
  if (bits & 64) options.life_time = std::chrono::seconds(5);
  options.max_connection_bytes = bits & 128 ? 64 : 1 << 20;
  options.max_frame_bytes = 1 << 16;
  options.max_dispatches = more & 1 ? 1 : 4;
  if (more & 8) options.stream_threshold = 16;
  if (more & 32) options.max_buffered_bytes = 170'000;  // little more than what is read into
  if (more & 64) options.body_idle_timeout = std::chrono::seconds(1);
  return options;
}

}  // namespace
}  // namespace trestle

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return trestle::RunServerScript(data, size, trestle::OptionsFrom);
}
