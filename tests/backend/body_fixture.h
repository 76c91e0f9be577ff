// BodyTest: a session with messages that are not held whole, and the client of such a call.
#pragma once

#include <algorithm>
#include <string>

#include "tests/backend/session_fixture.h"

namespace trestle::backend {

// A call with its client, who gives a large request and takes a large reply.
struct LargeCall final : call::BodySource, call::BodySink, call::Observer {
  // A request of `size` bytes of body, of which `here` are there.
  LargeCall(size_t size, size_t here) {
    body = std::string(size, 'q');
    for (size_t i = 0; i < size; i++) body[i] = static_cast<char>('a' + i % 26);
    if (size >= 8) {  // a struct of one string
      body.replace(0, 3, std::string("\x0b\0\x01", 3));
      thrift::WriteU32(body.data() + 3, static_cast<uint32_t>(size - 8));
    }
    body.back() = '\0';
    const std::string frame = CallFrame("m", 9, body);
    call.method = "m";
    thrift::DecodeEnvelope(Protocol::kBinary, std::string_view(frame).substr(4), &call.envelope);
    call.envelope.name = call.method;
    at = frame.size() - (size - here);
    call.request = base::Buffer::Copy(frame.substr(0, at));
    call.streamed = here < size;
    call.request_body = {frame.size() - at, this, nullptr};
    call.sink = this;
    all = frame;
  }
  ~LargeCall() override {
    if (!call.ended()) call.Cancel();
  }
  // Hands on `n` bytes; gives what the session said.
  bool Give(size_t n) {
    n = std::min<size_t>(n, call.request_body.rest);
    call.request_body.rest -= n;
    at += n;
    return call.request_body.sink->OnBody(&call, base::Buffer::Copy(all.substr(at - n, n)));
  }
  void OnBodyRoom(call::Call*) override {
    asked++;
    if (give_all) {
      while (call.request_body.rest > 0 && call.request_body.sink && Give(10'000)) {
      }
    }
  }
  bool OnBody(call::Call*, base::Buffer bytes) override {
    pieces++;
    reply += bytes.ToString();
    return room;
  }
  void Take() {
    call.reply_body.sink = this;
    call.reply_body.source->OnBodyRoom(&call);
  }
  void OnReplyBegun(call::Call*) override {
    begun++;
    reply = call.reply.ToString();
    call.reply.Clear();
    if (take) Take();
  }
  void OnEnded(call::Call*) override {
    ends++;
    EXPECT_EQ(ends, 1);
    if (!begun) reply = call.reply.ToString();
  }

  call::Call call;
  std::string body, all, reply;
  size_t at = 0;
  int asked = 0, begun = 0, pieces = 0, ends = 0;
  bool give_all = false, take = true, room = true;
};

class BodyTest : public BackendSessionTest {
 protected:
  // A large reply to seqid `seqid`, as a backend writes it and as the caller is to get it.
  static std::string Reply(size_t size, int32_t seqid) {
    std::string body("\x0b\0\0", 3);
    body.resize(7);
    thrift::WriteU32(body.data() + 3, static_cast<uint32_t>(size));
    body += std::string(size, 'r') + '\0';
    return ReplyFrame("m", seqid, body);
  }
  void Advance(milliseconds by) {
    clock_.Advance(by);
    Settle(&loop_);
  }
};

}  // namespace trestle::backend
