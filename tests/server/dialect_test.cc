// Clients of every dialect: told from the first bytes or given, each call and reply in its form.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/server/server_fixture.h"
#include "thrift/ttwitter.h"

namespace trestle::server {
namespace {

using thrift::Framing;

// How a client speaks.
struct Form {
  const char* name;  // of its counter
  Framing framing;
  Protocol protocol;
  bool old_form;
};
const Form kForms[] = {
    {"dialects/framed_binary", Framing::kFramed, Protocol::kBinary, false},
    {"dialects/framed_binary", Framing::kFramed, Protocol::kBinary, true},
    {"dialects/framed_compact", Framing::kFramed, Protocol::kCompact, false},
    {"dialects/buffered_binary", Framing::kBuffered, Protocol::kBinary, false},
    {"dialects/buffered_binary", Framing::kBuffered, Protocol::kBinary, true},
    {"dialects/buffered_compact", Framing::kBuffered, Protocol::kCompact, false},
};

std::string Bare(const Form& form, MessageType type, std::string_view name, int32_t seqid,
                 std::string_view body = kVoidBody) {
  std::string out(thrift::EnvelopeSize(form.protocol, name, seqid, form.old_form), '\0');
  thrift::EncodeEnvelope(form.protocol, type, name, seqid, out.data(), form.old_form);
  return out.append(body);
}
std::string Wrapped(const Form& form, const std::string& message) {
  return form.framing == Framing::kFramed ? Frame(message) : message;
}
// Field 1 of type string, and the stop byte.
std::string Body(Protocol protocol, std::string_view text) {
  std::string out = protocol == Protocol::kBinary ? std::string("\x0b\0\1\0\0\0", 6) : "\x18";
  out += static_cast<char>(text.size());
  return out.append(text).append(1, '\0');
}

class DialectTest : public ServerTest {
 protected:
  // Every hint under which a client of this form is understood.
  std::vector<thrift::DialectHint> Hints(const Form& form) {
    return {{}, {form.framing, {}}, {{}, form.protocol}, {form.framing, form.protocol}};
  }
  void Use(const thrift::DialectHint& hint) {
    options_.dialect = hint;
    clients_.clear();
    Settle(&loop_);
    server_.reset();
    handler_.open.clear();
    handler_.at_once = nullptr;
  }
  // A reply as a backend's session hands it on: framed, in the form of the caller.
  void Answer(call::Call* call, const Form& form) {
    call->Reply(
        base::Buffer::Copy(Frame(Bare(form, MessageType::kReply, call->method, call->envelope.seqid,
                                      Body(form.protocol, "answer")))),
        thrift::ReplyKind::kResult);
  }
  void AnswerAtOnce(const Form& form) {
    handler_.at_once = [this, form](call::Call* call) { Answer(call, form); };
  }
  std::string Exception(const Form& form, std::string_view name, int32_t seqid,
                        std::string_view text) {
    return Wrapped(form, thrift::EncodeApplicationException(form.protocol, name, seqid, 6, text,
                                                            form.old_form));
  }
};

TEST_F(DialectTest, EachIsToldFromItsBytesUnderEveryHintThatLeavesItOpen) {
  for (const Form& form : kForms) {
    for (const thrift::DialectHint& hint : Hints(form)) {
      SCOPED_TRACE(form.name);
      Use(hint);
      const uint64_t told = Count(form.name);
      Client& client = Connect();
      EXPECT_EQ(Count(form.name), told) << "nothing is known before the first byte";
      const std::string body = Body(form.protocol, "hello");
      Send(client, Wrapped(form, Bare(form, MessageType::kCall, "svc:add", 300, body)));
      ASSERT_EQ(handler_.open.size(), 1u);
      call::Call* call = handler_.Take();
      EXPECT_EQ(call->protocol, form.protocol);
      EXPECT_EQ(call->method, "svc:add");
      EXPECT_EQ(call->envelope.seqid, 300);
      EXPECT_EQ(call->envelope.old_form, form.old_form);
      EXPECT_EQ(call->request.ToString(),
                Frame(Bare(form, MessageType::kCall, "svc:add", 300, body)))
          << "a request has a length in front, whatever the client's framing";
      Answer(call, form);
      EXPECT_EQ(Take(client), Wrapped(form, Bare(form, MessageType::kReply, "svc:add", 300,
                                                 Body(form.protocol, "answer"))));
      EXPECT_EQ(Count(form.name), told + 1);
      EXPECT_FALSE(Ended(client));
    }
  }
}

TEST_F(DialectTest, ByteByByteAndAtEveryCutItIsTheSame) {
  for (const Form& form : kForms) {
    SCOPED_TRACE(form.name);
    Use({});
    AnswerAtOnce(form);
    const std::string body = Body(form.protocol, "hello");
    const std::string reply_body = Body(form.protocol, "answer");
    std::string sent, due;
    for (int i = 1; i <= 3; i++) {
      const std::string name = "m" + std::to_string(i);
      sent += Wrapped(form, Bare(form, MessageType::kCall, name, i, body));
      due += Wrapped(form, Bare(form, MessageType::kReply, name, i, reply_body));
    }
    Client& crumbs = Connect();
    crumbs.near->set_max_read(1);
    Send(crumbs, sent);
    EXPECT_EQ(Take(crumbs), due);
    for (size_t cut = 1; cut < sent.size(); cut++) {
      Client& client = Connect();
      Send(client, sent.substr(0, cut));
      Send(client, sent.substr(cut));
      ASSERT_EQ(Take(client), due) << "cut at " << cut;
    }
  }
}

TEST_F(DialectTest, RepliesOfUnframedClientsKeepTheirOrder) {
  for (const Form& form : kForms) {
    Use({});
    Client& client = Connect();
    std::string sent, due;
    for (int i = 0; i < 5; i++) {
      const std::string name = "m" + std::to_string(i);
      sent += Wrapped(form, Bare(form, MessageType::kCall, name, i));
      due += i == 2 ? Exception(form, name, i, "trestle: connect: no way")
                    : Wrapped(form, Bare(form, MessageType::kReply, name, i,
                                         Body(form.protocol, "answer")));
    }
    Send(client, sent);
    ASSERT_EQ(handler_.open.size(), 5u);
    for (size_t i = 5; i-- > 0;) {
      EXPECT_EQ(Take(client), "");
      i == 2 ? handler_.Fail(handler_.Take(i)) : Answer(handler_.Take(i), form);
    }
    EXPECT_EQ(Take(client), due);
  }
}

TEST_F(DialectTest, ErrorsAreInTheCallersForm) {
  options_.max_concurrent = 0;
  for (const Form& form : kForms) {
    SCOPED_TRACE(form.name);
    Use({});
    Client& client = Connect();
    Send(client, Wrapped(form, Bare(form, MessageType::kCall, "svc:m", -9)) +
                     Wrapped(form, Bare(form, MessageType::kOneway, "log", 1)));
    EXPECT_EQ(
        Take(client),
        Exception(form, "m", -9, "trestle: identify: over maxConcurrentRequests of this server"));
  }
}

TEST_F(DialectTest, AConnectionKeepsItsDialect) {
  for (const Form& first : kForms) {
    for (const Form& other : kForms) {
      if (first.framing == other.framing && first.protocol == other.protocol) continue;
      SCOPED_TRACE(std::string(first.name) + " then " + other.name);
      Use({});
      AnswerAtOnce(first);
      Client& client = Connect();
      Send(client, Wrapped(first, Bare(first, MessageType::kCall, "m", 1)));
      EXPECT_NE(Take(client), "");
      const int handled = handler_.handled;
      Send(client, Wrapped(other, Bare(other, MessageType::kCall, "method", 2)));
      End(client);
      EXPECT_EQ(handler_.handled, handled);
      EXPECT_TRUE(Ended(client));
    }
  }
}

TEST_F(DialectTest, OldAndNewEnvelopesMayMixOnOneConnection) {
  for (Framing framing : {Framing::kFramed, Framing::kBuffered}) {
    Use({});
    Client& client = Connect();
    std::string sent;
    for (bool old : {true, false, true}) {
      Form form{"", framing, Protocol::kBinary, old};
      sent += Wrapped(form, Bare(form, MessageType::kCall, "method", 5));
    }
    Send(client, sent);
    ASSERT_EQ(handler_.open.size(), 3u);
    for (int i = 0; i < 3; i++) handler_.Fail(handler_.Take());
    std::string due;
    for (bool old : {true, false, true}) {
      due +=
          Exception({"", framing, Protocol::kBinary, old}, "method", 5, "trestle: connect: no way");
    }
    EXPECT_EQ(Take(client), due);
  }
}

TEST_F(DialectTest, WhatIsNoneOfThemOrNotTheGivenOneIsBadBytes) {
  const Form& framed = kForms[0];
  const Form& compact = kForms[2];
  const Form& buffered = kForms[3];
  struct Case {
    thrift::DialectHint hint;
    std::string bytes;
  } cases[] = {
      {{}, "GET / HTTP/1.1\r\n\r\n"},
      {{}, std::string("\x16\x03\x01\x02\x00\x01\x00\x01", 8)},
      {{}, std::string("\0\0\0\x0a\x0f\xff\0\0\0\0\0\x01\0\x02", 14)},
      {{Framing::kFramed, {}}, std::string("\x00\x00\x00\x10\x0f\xff\x00\x00\x00\x00", 10)},
      {{}, std::string("\xff\xff\xff\xff\x00\x00\x00\x00", 8)},
      {{Framing::kFramed, {}}, Wrapped(buffered, Bare(buffered, MessageType::kCall, "m", 1))},
      {{Framing::kBuffered, {}}, Wrapped(framed, Bare(framed, MessageType::kCall, "m", 1))},
      {{{}, Protocol::kCompact}, Wrapped(framed, Bare(framed, MessageType::kCall, "m", 1))},
      {{{}, Protocol::kBinary}, Wrapped(compact, Bare(compact, MessageType::kCall, "m", 1))},
      {{}, Bare(buffered, MessageType::kReply, "m", 1)},
      {{}, Bare(buffered, MessageType::kCall, "m", 1, "\x7f garbage")},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(testing::PrintToString(c.bytes.substr(0, 12)));
    for (size_t most : {size_t{1}, ~size_t{0}}) {
      Use(c.hint);
      Client& client = Connect();
      client.near->set_max_read(most);
      const uint64_t malformed = Count("malformed");
      Send(client, c.bytes);
      EXPECT_TRUE(Ended(client));
      EXPECT_EQ(Take(client), "");
      EXPECT_EQ(Count("malformed"), malformed + 1);
    }
  }
  EXPECT_EQ(handler_.handled, 0);
}

TEST_F(DialectTest, HalfAMessageAtTheEndIsBadBytesInEveryDialect) {
  for (const Form& form : kForms) {
    Use({});
    const std::string call =
        Wrapped(form, Bare(form, MessageType::kCall, "method", 1, Body(form.protocol, "x")));
    for (size_t size = 1; size < call.size(); size++) {
      SCOPED_TRACE(std::string(form.name) + " " + std::to_string(size));
      Client& client = Connect();
      const uint64_t malformed = Count("malformed");
      Send(client, call.substr(0, size));
      EXPECT_EQ(Count("malformed"), malformed);
      End(client);
      EXPECT_EQ(Count("malformed"), malformed + 1);
      EXPECT_EQ(server().connections(), 0u);
    }
  }
  EXPECT_EQ(handler_.handled, 0);
}

TEST_F(DialectTest, AnUnframedMessageOverTheBoundIsBadBytes) {
  options_.max_frame_bytes = 1000;
  const Form& form = kForms[3];
  for (size_t size : {size_t{1000}, size_t{1001}}) {
    Use({});
    Client& client = Connect();
    const std::string empty = Bare(form, MessageType::kCall, "m", 1, "");
    std::string body("\x0b\0\1\0\0", 5);
    const size_t text = size - empty.size() - 8;
    body += static_cast<char>(text >> 8);
    body += static_cast<char>(text & 0xff);
    Send(client, empty + body + std::string(text, 't') + std::string(1, '\0'));
    EXPECT_EQ(handler_.open.size(), size == 1000 ? 1u : 0u);
    EXPECT_EQ(Ended(client), size != 1000);
    Reset(client);
  }
}

TEST_F(DialectTest, TTwitterIsSpokenInEveryDialect) {
  thrift::RequestHeader header;
  const std::string dest = "/svc/" + std::string(700, 'd');
  header.dest = dest;
  header.delegations = {{"/a", "/b"}};
  for (const Form& form : kForms) {
    for (size_t most : {size_t{1}, ~size_t{0}}) {
      SCOPED_TRACE(form.name);
      Use({});
      Client& client = Connect();
      client.near->set_max_read(most);
      std::string head;
      thrift::EncodeRequestHeader(form.protocol, header, &head);
      const std::string call = Bare(form, MessageType::kCall, "svc:m", 4);
      Send(client, Wrapped(form, Bare(form, MessageType::kCall, thrift::kUpgradeMethod, 3)) +
                       Wrapped(form, head + call) + Wrapped(form, head + call));
      ASSERT_EQ(handler_.open.size(), 2u);
      for (call::Call* c : handler_.open) {
        EXPECT_EQ(c->request.ToString(), Frame(call));
        EXPECT_EQ(c->header_bytes.ToString(), Frame(head)) << "a backend may want it";
        ASSERT_TRUE(c->header.has_value());
        EXPECT_EQ(c->header->dest, dest);
        EXPECT_EQ(c->header->delegations[0].dst, "/b");
      }
      Answer(handler_.Take(), form);
      handler_.Fail(handler_.Take());
      std::string accepted = thrift::EncodeUpgradeReply(form.protocol, 3);
      thrift::Envelope envelope;
      thrift::DecodeEnvelope(form.protocol, accepted, &envelope);
      accepted = Bare(form, MessageType::kReply, envelope.name, 3,
                      std::string_view(accepted).substr(envelope.size));
      const std::string stop(1, '\0');
      EXPECT_EQ(Take(client),
                Wrapped(form, accepted) +
                    Wrapped(form, stop + Bare(form, MessageType::kReply, "svc:m", 4,
                                              Body(form.protocol, "answer"))) +
                    Wrapped(form, stop + thrift::EncodeApplicationException(
                                             form.protocol, "m", 4, 6, "trestle: connect: no way",
                                             form.old_form)));
    }
  }
}

TEST_F(DialectTest, ClearContextLeavesNothingOfTheHeader) {
  options_.clear_context = true;
  for (const Form& form : kForms) {
    Use({});
    Client& client = Connect();
    std::string head;
    thrift::EncodeRequestHeader(form.protocol, {}, &head);
    Send(client, Wrapped(form, Bare(form, MessageType::kCall, thrift::kUpgradeMethod, 3)) +
                     Wrapped(form, head + Bare(form, MessageType::kCall, "m", 4)));
    ASSERT_EQ(handler_.open.size(), 1u);
    EXPECT_FALSE(handler_.open[0]->header.has_value());
    EXPECT_TRUE(handler_.open[0]->header_bytes.empty());
    EXPECT_TRUE(handler_.open[0]->with_header) << "its reply has one all the same";
    handler_.Fail(handler_.Take());
  }
}

}  // namespace
}  // namespace trestle::server
