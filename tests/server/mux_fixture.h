// MuxServerTest: a server of a mux port, and clients that speak mux.
#pragma once

#include <string>
#include <vector>

#include "tests/server/server_fixture.h"
#include "tests/support/mux_wire.h"

namespace trestle::server {

using tests::Big;
using tests::InitBody;
using tests::MuxMessage;
using tests::MuxReceived;
using tests::Pairs;
using tests::Rdispatch;
using tests::Tdiscarded;
using tests::Tdispatch;

class MuxServerTest : public ServerTest {
 protected:
  MuxServerTest() {
    options_.port = Options::Port::kThriftMux;
    options_.dialect = {};
  }

  static std::string Get(int32_t seqid = 7, std::string_view body = tests::kVoidBody,
                         Protocol protocol = Protocol::kBinary) {
    return Message(MessageType::kCall, "users:get", seqid, body, protocol);
  }
  static std::string Got(int32_t seqid = 7, std::string_view body = tests::kVoidBody) {
    return Message(MessageType::kReply, "users:get", seqid, body);
  }
  std::vector<MuxReceived> Frames(Client& client) {
    client.in += Take(client);
    return tests::TakeMux(&client.in);
  }
  uint64_t MuxCount(std::string_view name) {
    return table_.root()->Child("mux")->counter(name)->value();
  }
  int64_t MuxGauge(std::string_view name) {
    return table_.root()->Child("mux")->gauge(name)->value();
  }
  // The one message that came.
  MuxReceived One(Client& client) {
    auto all = Frames(client);
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? MuxReceived{} : all[0];
  }
  // "type/tag type/tag": what came.
  static std::string Types(const std::vector<MuxReceived>& all) {
    std::string out;
    for (const MuxReceived& r : all) {
      out += (out.empty() ? "" : " ") + std::to_string(r.type) + "/" + std::to_string(r.tag);
    }
    return out;
  }
  // The session start of a Finagle client.
  Client& Init(const Pairs& headers = {{"mux-framer", Big(INT32_MAX, 4)}, {"tls", "off"}},
               size_t capacity = 1 << 20) {
    Client& client = Connect(capacity);
    Send(client, tests::kProbeMessage);
    EXPECT_EQ(Types(Frames(client)), "127/1");
    Send(client, MuxMessage(68, 1, InitBody(headers)));
    EXPECT_EQ(Types(Frames(client)), "-68/1");
    return client;
  }
};

}  // namespace trestle::server
