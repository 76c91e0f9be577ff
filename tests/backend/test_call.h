// TestCall: a call as a server session would hand it to a client, that remembers how it ended.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "call/call.h"
#include "tests/support/thrift_wire.h"

namespace trestle::backend {

class TestCall final : private call::Observer {
 public:
  explicit TestCall(std::string name = "userService:addUser", int32_t seqid = 1000,
                    thrift::MessageType type = thrift::MessageType::kCall,
                    thrift::Protocol protocol = thrift::Protocol::kBinary,
                    std::string body = tests::kVoidBody) {
    const std::string frame = tests::Frame(tests::Message(type, name, seqid, body, protocol));
    call.protocol = protocol;
    call.method = name;
    thrift::DecodeEnvelope(protocol, std::string_view(frame).substr(4), &call.envelope);
    call.envelope.name = call.method;
    call.request = base::Buffer::Copy(frame);
    call.sink = this;
  }
  ~TestCall() override {
    if (!call.ended()) call.Cancel();
  }
  static std::unique_ptr<TestCall> Oneway(std::string name = "log") {
    return std::make_unique<TestCall>(std::move(name), 5, thrift::MessageType::kOneway);
  }

  call::End end() const { return call.end(); }
  std::string reply() const { return call.reply.ToString(); }
  const std::string& failure() const { return call.failure; }

  call::Call call;
  int ends = 0;
  std::function<void()> on_end;

 private:
  void OnEnded(call::Call*) override {
    ends++;
    EXPECT_EQ(ends, 1) << "ended twice";
    if (on_end) on_end();
  }
};

}  // namespace trestle::backend
