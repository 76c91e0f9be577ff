// Crossing: what stands beside a message, from every form to every form.
#include "call/crossing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "mux/message.h"
#include "thrift/frame.h"
#include "thrift/theader.h"
#include "thrift/ttwitter.h"

namespace trestle::call {
namespace {

using base::Contexts;
using thrift::Protocol;
using Map = std::map<std::string, std::string>;
using Dtab = std::vector<std::pair<std::string, std::string>>;

Map Shown(const Contexts& contexts) {
  Map out;
  for (const auto& c : contexts) out[std::string(c.key)] = std::string(c.value);
  return out;
}

// What a client sent, and what a backend is sent, whatever the form.
struct Beside {
  Map contexts;
  Map keys;  // THeader: all others
  Dtab dtab;
  std::string dtab_text;
  std::string dest;
  thrift::RequestHeader fields;  // TTwitter: without views
};

const std::string kTrace = base::ShowTrace({11, 22, 33, 6, std::nullopt});
const std::string kWideTrace = base::ShowTrace({11, 11, 33, 3, 44});

class CrossingTest : public testing::Test {
 protected:
  CrossingTest() {
    call_.protocol = Protocol::kBinary;
    call_.envelope.seqid = 5;
  }
  void FromTTwitter(const thrift::RequestHeader& header) {
    std::string bytes(4, '\0');
    thrift::EncodeRequestHeader(call_.protocol, header, &bytes);
    thrift::WriteU32(bytes.data(), static_cast<uint32_t>(bytes.size() - 4));
    call_.header_bytes = base::Buffer::Copy(bytes);
    call_.header_form = HeaderForm::kTTwitter;
  }
  void FromMux(const mux::Dispatch& dispatch) {
    std::string bytes;
    mux::EncodeDispatch(dispatch, &bytes);
    call_.header_bytes = base::Buffer::Copy(bytes);
    call_.header_form = HeaderForm::kMux;
  }
  void FromTHeader(const Contexts& keys) {
    thrift::THeader header;
    header.keys = keys;
    std::string bytes;
    thrift::EncodeTHeader(header, &bytes);
    call_.header_bytes = base::Buffer::Copy(bytes);
    call_.header_form = HeaderForm::kTHeader;
  }
  std::string Write(HeaderForm form) {
    onward_.form = form;
    std::string out;
    WriteRequestHeaders(&call_, onward_, &out);
    return out;
  }
  Beside ToTTwitter() {
    bytes_ = Write(HeaderForm::kTTwitter);
    thrift::RequestHeader header;
    uint32_t size = 0;
    EXPECT_EQ(thrift::DecodeRequestHeader(call_.protocol, bytes_, &header, &size).outcome,
              thrift::Outcome::kOk);
    EXPECT_EQ(size, bytes_.size());
    Beside out;
    out.contexts = Shown(header.contexts);
    for (const auto& d : header.delegations) out.dtab.emplace_back(d.src, d.dst);
    out.dest = header.dest.value_or("none");
    out.fields = header;
    return out;
  }
  Beside ToMux() {
    bytes_ = Write(HeaderForm::kMux);
    mux::Dispatch dispatch;
    uint32_t size = 0;
    EXPECT_EQ(mux::DecodeDispatch(bytes_, &dispatch, &size).outcome, mux::Outcome::kOk);
    EXPECT_EQ(size, bytes_.size());
    Beside out;
    out.contexts = Shown(dispatch.contexts);
    for (const auto& d : dispatch.dtab) out.dtab.emplace_back(d.prefix, d.tree);
    out.dest = dispatch.dst;
    return out;
  }
  Beside ToTHeader() {
    bytes_ = Write(HeaderForm::kTHeader);
    thrift::THeader header;
    uint32_t size = 0;
    EXPECT_EQ(
        thrift::DecodeTHeader(bytes_, static_cast<uint32_t>(bytes_.size()), &header, &size).outcome,
        thrift::Outcome::kOk);
    EXPECT_EQ(size, bytes_.size());
    EXPECT_EQ(header.protocol, call_.protocol);
    Headers sorted;
    ReadKeys(header.keys, &sorted);
    Beside out;
    out.contexts = Shown(sorted.contexts);
    out.keys = Shown(sorted.keys);
    out.dtab_text = sorted.dtab;
    out.dest = sorted.dest.value_or("");
    return out;
  }

  Call call_;
  Onward onward_;
  std::string bytes_;
};

TEST_F(CrossingTest, APlainClientBringsNothingAndADestIsWrittenAsEachFormHasIt) {
  EXPECT_EQ(ToTTwitter().dest, "/");
  EXPECT_EQ(ToMux().dest, "");
  EXPECT_EQ(ToTHeader().dest, "");
  call_.dest = "/rest";
  EXPECT_EQ(ToTTwitter().dest, "/rest");
  EXPECT_EQ(ToMux().dest, "/rest");
  EXPECT_EQ(ToTHeader().dest, "/rest");
  EXPECT_TRUE(ToMux().contexts.empty());
  EXPECT_EQ(Write(HeaderForm::kNone), "");
}

TEST_F(CrossingTest, UnknownContextsGoEverywhereAsTheyCame) {
  const std::string odd("\0\xff", 2);
  const Map kSame = {{"com.example.custom", odd}, {"com.twitter.finagle.Unheard", ""}};
  mux::Dispatch dispatch;
  dispatch.contexts = {{"com.example.custom", odd}, {"com.twitter.finagle.Unheard", ""}};
  FromMux(dispatch);
  EXPECT_EQ(ToMux().contexts, kSame);
  EXPECT_EQ(ToTTwitter().contexts, kSame);
  Beside theader = ToTHeader();
  EXPECT_EQ(theader.contexts, (Map{{"com.twitter.finagle.Unheard", ""}}));
  EXPECT_EQ(theader.keys, (Map{{"com.example.custom", odd}})) << "a key of its own name";

  thrift::RequestHeader header;
  header.contexts = dispatch.contexts;
  FromTTwitter(header);
  EXPECT_EQ(ToMux().contexts, kSame);
  EXPECT_EQ(ToTTwitter().contexts, kSame);
}

TEST_F(CrossingTest, TheFieldsOfTTwitterBecomeContextsWhereThereAreNone) {
  thrift::RequestHeader header;
  header.trace_id = 33;
  header.span_id = 11;
  header.parent_span_id = 22;
  header.sampled = true;
  header.flags = 0;
  header.client_id = "web";
  FromTTwitter(header);
  const Map kMade = {{std::string(base::kTraceKey), kTrace},
                     {std::string(base::kClientIdKey), "web"}};
  EXPECT_EQ(ToMux().contexts, kMade);
  EXPECT_EQ(ToTHeader().contexts, kMade);
  EXPECT_TRUE(ToTTwitter().contexts.empty()) << "as it came";
  EXPECT_EQ(ToTTwitter().fields.client_id, "web");
}

TEST_F(CrossingTest, WhereBothAreThereTheContextsWin) {
  thrift::RequestHeader header;
  header.trace_id = 1;
  header.span_id = 2;
  header.client_id = "field";
  header.contexts = {{base::kTraceKey, kTrace}, {base::kClientIdKey, "context"}};
  FromTTwitter(header);
  EXPECT_EQ(ToMux().contexts, (Map{{std::string(base::kTraceKey), kTrace},
                                   {std::string(base::kClientIdKey), "context"}}));
}

TEST_F(CrossingTest, ContextsBecomeFieldsToo) {
  mux::Dispatch dispatch;
  dispatch.contexts = {{base::kTraceKey, kTrace}, {base::kClientIdKey, "web"}};
  FromMux(dispatch);
  Beside out = ToTTwitter();
  EXPECT_EQ(out.fields.trace_id, 33);
  EXPECT_EQ(out.fields.span_id, 11);
  EXPECT_EQ(out.fields.parent_span_id, 22);
  EXPECT_EQ(out.fields.sampled, true);
  EXPECT_EQ(out.fields.flags, 0);
  EXPECT_EQ(out.fields.client_id, "web");
  EXPECT_EQ(out.contexts.size(), 2u);

  dispatch.contexts = {{base::kTraceKey, kWideTrace}};
  FromMux(dispatch);
  out = ToTTwitter();
  EXPECT_EQ(out.fields.parent_span_id, std::nullopt) << "a root span has none";
  EXPECT_EQ(out.fields.flags, 1);
  EXPECT_EQ(out.fields.sampled, true) << "debug is sampled";
  EXPECT_EQ(out.contexts.at(std::string(base::kTraceKey)), kWideTrace);
}

TEST_F(CrossingTest, TheLocalDtabGoesEverywhere) {
  const Dtab kEntries = {{"/srv/a", "/srv/b | ~"}, {"/x", "0.25*/y & 0.755*/z"}};
  mux::Dispatch dispatch;
  dispatch.dtab = {{"/srv/a", "/srv/b | ~"}, {"/x", "0.25*/y & 0.755*/z"}};
  FromMux(dispatch);
  EXPECT_EQ(ToMux().dtab, kEntries);
  EXPECT_EQ(ToTTwitter().dtab, kEntries);
  EXPECT_EQ(ToTHeader().dtab_text, "/srv/a=>/srv/b | ~;/x=>0.25*/y & 0.755*/z;");
  FromTHeader({{"l5d-dtab", "/srv/a=>/srv/b | ~;/x=>0.25*/y & 0.755*/z;"}});
  EXPECT_EQ(ToMux().dtab, kEntries);
  EXPECT_EQ(ToTTwitter().dtab, kEntries);
  EXPECT_EQ(ToTHeader().dtab_text, "/srv/a=>/srv/b | ~;/x=>0.25*/y & 0.755*/z;");
}

TEST_F(CrossingTest, ADtabWithCommentsIsTakenByWhatItMeans) {
  FromTHeader({{"l5d-dtab", "/a => /#/b ; # no ; => entry\n/c => /d"}});
  EXPECT_EQ(ToMux().dtab, (Dtab{{"/a", "/#/b"}, {"/c", "/d"}}));
  FromTHeader({{"L5D-Dtab", "no dtab"}});
  EXPECT_TRUE(ToMux().dtab.empty());
}

// Whoever reads them would take them for what the router says itself.
TEST_F(CrossingTest, NoContextOrHeaderBecomesADtabOrADestination) {
  const base::Contexts named = {{"l5d-dtab", "/a=>/b"}, {"L5D-Dst", "/x"}, {"mine", "1"}};
  const std::string packed = base::ShowApplicationHeaders(named);
  mux::Dispatch dispatch;
  for (const base::Contexts& contexts : {named, {{base::kRequestHeadersKey, packed}}}) {
    dispatch.contexts = contexts;
    FromMux(dispatch);
    EXPECT_EQ(ToTHeader().keys, (Map{{"mine", "1"}}));
    EXPECT_EQ(ToTHeader().dtab_text, "");
    EXPECT_EQ(ToTHeader().dest, "");
  }
}

TEST_F(CrossingTest, HeadersOfTheApplicationAreKeysOrOneContext) {
  FromTHeader({{"user", "ada"}, {"empty", ""}});
  const std::string packed = base::ShowApplicationHeaders({{"user", "ada"}, {"empty", ""}});
  const Map kPacked = {{std::string(base::kRequestHeadersKey), packed}};
  EXPECT_EQ(ToMux().contexts, kPacked);
  EXPECT_EQ(ToTTwitter().contexts, kPacked);
  EXPECT_EQ(ToTHeader().keys, (Map{{"user", "ada"}, {"empty", ""}}));
  mux::Dispatch dispatch;
  dispatch.contexts = {{base::kRequestHeadersKey, packed}};
  FromMux(dispatch);
  EXPECT_EQ(ToTHeader().keys, (Map{{"user", "ada"}, {"empty", ""}}));
  EXPECT_EQ(ToMux().contexts, kPacked);
}

TEST_F(CrossingTest, DeadlineAndHopsAreTheRoutersToWrite) {
  const base::WallTime now{std::chrono::seconds(100)};
  mux::Dispatch dispatch;
  const std::string three = base::ShowHops(3);
  const std::string old = base::ShowDeadline({now, now + std::chrono::seconds(9)});
  dispatch.contexts = {{"COM.twitter.finagle.deadline", old}, {base::kHopsKey, three}};
  FromMux(dispatch);
  call_.deadline = base::Deadline{now, now + std::chrono::seconds(2)};
  call_.hops = 4;
  onward_.now = now;
  onward_.attempt_time = std::chrono::seconds(1);
  const Map kWritten = {
      {std::string(base::kDeadlineKey), base::ShowDeadline({now, now + std::chrono::seconds(1)})},
      {std::string(base::kHopsKey), base::ShowHops(4)}};
  EXPECT_EQ(ToMux().contexts, kWritten);
  EXPECT_EQ(ToTTwitter().contexts, kWritten);
  EXPECT_EQ(ToTHeader().contexts, kWritten);
  call_.header_form = HeaderForm::kNone;
  call_.header_bytes.Clear();
  EXPECT_EQ(ToMux().contexts, kWritten) << "for a plain client too";
}

TEST_F(CrossingTest, CompactHeadersAreReadAndWrittenInCompact) {
  call_.protocol = Protocol::kCompact;
  thrift::RequestHeader header;
  header.client_id = "web";
  header.contexts = {{"k", "v"}};
  FromTTwitter(header);
  EXPECT_EQ(ToMux().contexts, (Map{{"k", "v"}, {std::string(base::kClientIdKey), "web"}}));
  EXPECT_EQ(ToTTwitter().contexts, (Map{{"k", "v"}}));
}

TEST_F(CrossingTest, ReplyHeadersGoFromEveryFormToEveryForm) {
  const std::string packed = base::ShowApplicationHeaders({{"seen", "yes"}});
  const Contexts contexts = {{base::kResponseHeadersKey, packed}};
  mux::DispatchReply dispatch;
  dispatch.contexts = contexts;
  std::string as_mux;
  mux::EncodeDispatchReply(dispatch, &as_mux);
  std::string as_ttwitter;
  thrift::EncodeResponseHeader(call_.protocol, contexts, &as_ttwitter);
  thrift::THeader theader;
  theader.seqid = 5;
  theader.keys = {{"seen", "yes"}};
  std::string as_theader;
  thrift::EncodeTHeader(theader, &as_theader);
  const std::pair<HeaderForm, std::string> kForms[] = {{HeaderForm::kMux, as_mux},
                                                       {HeaderForm::kTTwitter, as_ttwitter},
                                                       {HeaderForm::kTHeader, as_theader}};
  for (const auto& [from, bytes] : kForms) {
    for (const auto& [to, expected] : kForms) {
      call_.reply_form = from;
      call_.reply_header_bytes = base::Buffer::Copy(bytes);
      EXPECT_TRUE(HasReplyHeaders(call_));
      std::string out;
      WriteReplyHeaders(&call_, to, 0, &out);
      EXPECT_EQ(out, expected) << static_cast<int>(from) << " " << static_cast<int>(to);
    }
  }
  call_.reply_form = HeaderForm::kNone;
  call_.reply_header_bytes.Clear();
  std::string out;
  WriteReplyHeaders(&call_, HeaderForm::kTTwitter, 0, &out);
  EXPECT_EQ(out, std::string(1, '\0'));
}

// Else a loop would go unnoticed once its calls have many contexts.
TEST_F(CrossingTest, WhatTheRouterAddsIsThereHoweverManyContextsThereAre) {
  std::vector<std::string> names;
  for (int i = 0; i < 1000; i++) names.push_back("k" + std::to_string(i));
  mux::Dispatch dispatch;
  for (const std::string& name : names) dispatch.contexts.push_back({name, "v"});
  FromMux(dispatch);
  call_.hops = 3;
  call_.deadline = base::Deadline{base::WallTime(std::chrono::seconds(1)),
                                  base::WallTime(std::chrono::seconds(5))};
  call_.dest = "/d";
  for (const Beside& beside : {ToMux(), ToTTwitter(), ToTHeader()}) {
    EXPECT_GE(beside.contexts.size() + beside.keys.size(), 998u);
    EXPECT_TRUE(beside.contexts.contains(std::string(base::kHopsKey)));
    EXPECT_TRUE(beside.contexts.contains(std::string(base::kDeadlineKey)));
    EXPECT_EQ(beside.dest, "/d");
  }
}

}  // namespace
}  // namespace trestle::call
