// What a file's lines mean while they change.
#include "namers/fs_leaf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs_fixture.h"
#include "naming/fs_file.h"

namespace trestle::namers {
namespace {

using naming::Addr;
using testing::EndsWith;
using FsLeafTest = tests::FsTest;

constexpr char kGood[] = "10.0.0.1 80\n";
constexpr char kBad[] = "10.0.0.2 80\n10.0.0.3 eighty\n";

TEST_F(FsLeafTest, Contents) {
  struct Row {
    const char* text;
    const char* addr;
  } const rows[] = {
      {"10.0.0.1 80\n10.0.0.2 81 * 0.5\n", "10.0.0.1:80, 10.0.0.2:81*0.5"},
      {"# nobody\n", "bound({})"},
      {"", "bound({})"},
      {"::1 80", "[::1]:80"},
      {"127.1 80\n127.0.0.1 80", "127.0.0.1:80"},
      {kBad, "failed: malformed address: 10.0.0.3 eighty"},
      {"half a li", "failed: malformed address: half a li"},
  };
  int i = 0;
  for (auto& row : rows) {
    std::string name = "f" + std::to_string(i++);
    Write(name, row.text);
    EXPECT_EQ(Bind({name})->Addr(), row.addr) << row.text;
  }
}

TEST_F(FsLeafTest, WriteInPlaceAndAtomicRename) {
  Write("users", kGood);
  auto b = Bind({"users"});
  Write("users", "10.0.0.2 80\n");
  EXPECT_EQ(b->Addr(), "10.0.0.2:80");
  WriteAtomically("users", "10.0.0.3 80\n");
  EXPECT_EQ(b->Addr(), "10.0.0.3:80");
  EXPECT_EQ(b->finds(), 1);  // never unbound
  // The file that was renamed over is nobody's any more, the new one is.
  Write("users", "10.0.0.4 80\n");
  EXPECT_EQ(b->Addr(), "10.0.0.4:80");
}

TEST_F(FsLeafTest, HalfWrittenKeepsTheLastGood) {
  Write("users", kGood);
  auto b = Bind({"users"});
  std::ofstream out(In("users"));  // cut to nothing
  Pass(kQuiet);
  EXPECT_EQ(b->Addr(), "10.0.0.1:80");
  out << "10.0.0.2 80\n10.0.0.3 8" << std::flush;  // which would even parse
  Pass(kQuiet);
  EXPECT_EQ(b->Addr(), "10.0.0.1:80");
  out << "0\n";
  out.close();
  Drain();
  EXPECT_EQ(b->Addr(), "10.0.0.2:80, 10.0.0.3:80");
}

TEST_F(FsLeafTest, NotClosedIsReadOnceQuiet) {
  Write("users", kGood);
  auto b = Bind({"users"});
  std::ofstream out(In("users"), std::ios::app);
  out << "10.0.0.2 80\n" << std::flush;
  Pass(std::chrono::milliseconds(49));
  EXPECT_EQ(b->Addr(), "10.0.0.1:80");
  out << "10.0.0.3 80\n" << std::flush;  // the quiet begins anew
  Pass(std::chrono::milliseconds(49));
  EXPECT_EQ(b->Addr(), "10.0.0.1:80");
  Pass(std::chrono::milliseconds(1));
  EXPECT_EQ(b->Addr(), "10.0.0.1:80, 10.0.0.2:80, 10.0.0.3:80");
}

TEST_F(FsLeafTest, UnfinishedForLongIsBelieved) {
  Write("users", kGood);
  auto b = Bind({"users"});
  ASSERT_EQ(truncate(In("users").c_str(), 0), 0);  // opens nothing, so closes nothing
  Pass(kFsQuiet);
  EXPECT_EQ(b->Addr(), "10.0.0.1:80");
  Pass(kFsUnfinished);
  EXPECT_EQ(b->Addr(), "bound({})");
}

TEST_F(FsLeafTest, BadAfterGoodIsStale) {
  Write("users", kGood);
  auto b = Bind({"users"});
  Write("users", kBad);
  EXPECT_EQ(b->Addr(), "10.0.0.1:80 (malformed address: 10.0.0.3 eighty)");
  WriteAtomically("users", "worse\n");
  EXPECT_EQ(b->Addr(), "10.0.0.1:80 (malformed address: worse)");
  Write("users", kGood);
  EXPECT_EQ(b->Addr(), "10.0.0.1:80");
  EXPECT_EQ(b->finds(), 1);
}

TEST_F(FsLeafTest, NeverGoodIsFailedUntilGood) {
  Write("users", kBad);
  auto b = Bind({"users"});
  EXPECT_EQ(b->Addr(), "failed: malformed address: 10.0.0.3 eighty");
  Write("users", "worse\n");
  EXPECT_EQ(b->Addr(), "failed: malformed address: worse");
  Write("users", kGood);
  EXPECT_EQ(b->Addr(), "10.0.0.1:80");
}

TEST_F(FsLeafTest, WhatWasGoodBeforeItWasDeletedIsForgotten) {
  Write("users", kGood);
  auto b = Bind({"users"});
  auto held = b->var();
  Remove("users");
  Write("users", kBad);
  EXPECT_EQ(b->Addr(), "failed: malformed address: 10.0.0.3 eighty");
}

// Linkerd leaves such a name without addresses for ever.
TEST_F(FsLeafTest, EmptiedThenDeletedThenMadeAgainRoutesAgain) {
  Write("users", kGood);
  auto b = Bind({"users"});
  auto held = b->var();  // as a balancer would
  Write("users", "");
  EXPECT_NE(b->Show(), "/#/io.l5d.fs/users / = bound({})") << "the next writer may have begun";
  Pass(kQuiet);
  EXPECT_EQ(b->Show(), "/#/io.l5d.fs/users / = bound({})");  // still bound: no fallback
  Remove("users");
  EXPECT_EQ(b->Show(), "neg");
  Write("users", "10.0.0.2 80\n");
  EXPECT_EQ(b->Show(), "/#/io.l5d.fs/users / = 10.0.0.2:80");
  EXPECT_EQ(tests::ShowAddr(held->Get()), "10.0.0.2:80");
}

TEST_F(FsLeafTest, MadeAgainIsNotThereBeforeItIsWritten) {
  Write("users", kGood);
  auto b = Bind({"users"});
  auto held = b->var();
  Remove("users");
  std::ofstream out(In("users"));
  Drain();
  EXPECT_EQ(b->Show(), "neg");
  EXPECT_EQ(tests::ShowAddr(held->Get()), "neg");
  out << kGood;
  out.close();
  Drain();
  EXPECT_EQ(b->Addr(), "10.0.0.1:80");
}

TEST_F(FsLeafTest, DeletedAndMadeAgainBeforeAnybodyLooked) {
  Write("users", kGood);
  auto b = Bind({"users"});
  std::filesystem::remove(In("users"));
  std::ofstream(In("users")) << "10.0.0.2 80\n";
  Drain();
  EXPECT_EQ(b->Addr(), "10.0.0.2:80");
}

TEST_F(FsLeafTest, TooLargeKeepsTheLastGood) {
  std::string line = "10.0.0.2 80\n";
  std::string text;
  while (text.size() + line.size() <= naming::kMaxFsFileBytes) text += line;
  Write("users", text);
  auto b = Bind({"users"});
  EXPECT_EQ(b->Addr(), "10.0.0.2:80");
  Write("users", text + line);
  EXPECT_EQ(b->Addr(), "10.0.0.2:80 (over 500000 bytes)");
  b.reset();
  EXPECT_EQ(Bind({"users"})->Addr(), "failed: over 500000 bytes");
}

// Root may read everything, unless it looks at files as somebody else.
void LookAsNobody() { setfsuid(geteuid() == 0 ? 65534 : geteuid()); }
void LookAsOneself() { setfsuid(geteuid()); }

TEST_F(FsLeafTest, UnreadableKeepsTheLastGood) {
  ASSERT_EQ(chmod(top_.c_str(), 0755), 0);
  Write("users", kGood);
  auto b = Bind({"users"});
  ASSERT_EQ(chmod(In("users").c_str(), 0), 0);
  LookAsNobody();
  Pass(kQuiet);
  EXPECT_EQ(b->Addr(), "10.0.0.1:80 (" + In("users") + ": Permission denied)");
  b.reset();
  b = Bind({"users"});
  EXPECT_EQ(b->Addr(), "failed: " + In("users") + ": Permission denied");
  LookAsOneself();
  ASSERT_EQ(chmod(In("users").c_str(), 0644), 0);
  Pass(kQuiet);
  EXPECT_EQ(b->Addr(), "10.0.0.1:80");
}

TEST_F(FsLeafTest, UnreadableDirectoryKeepsTheLastGood) {
  ASSERT_EQ(chmod(top_.c_str(), 0755), 0);
  MakeDir("a");
  Write("a/users", kGood);
  auto b = Bind({"a", "users"});
  ASSERT_EQ(chmod(In("a").c_str(), 0), 0);
  LookAsNobody();
  Pass(kQuiet);
  EXPECT_EQ(b->Addr(), "10.0.0.1:80 (" + In("a") + ": Permission denied)");
  EXPECT_EQ(b->finds(), 1);
  auto other = Bind({"a", "other"});
  EXPECT_EQ(other->Show(), "failed: " + In("a/other") + ": Permission denied");
  LookAsOneself();
  ASSERT_EQ(chmod(In("a").c_str(), 0755), 0);
  Pass(kQuiet);
  EXPECT_EQ(b->Addr(), "10.0.0.1:80");
  EXPECT_EQ(other->Show(), "neg");
}

// --- hosts by name ---

TEST_F(FsLeafTest, HostNamesAreResolvedWithTheLinesWeights) {
  Write("users", "a.example 80 * 0.5\n10.0.0.9 80\nb.example 81\n");
  auto b = Bind({"users"});
  EXPECT_EQ(b->Addr(), "10.0.0.9:80");
  inet_.SayIps("a.example", 80, {"10.0.0.1", "10.0.0.2"});
  inet_.Say("b.example", 81, Addr::Neg());
  EXPECT_EQ(b->Addr(), "10.0.0.1:80*0.5, 10.0.0.2:80*0.5, 10.0.0.9:80");
  inet_.SayIps("a.example", 80, {"10.0.0.3"});
  inet_.SayIps("b.example", 81, {"::1"});
  EXPECT_EQ(b->Addr(), "10.0.0.3:80*0.5, 10.0.0.9:80, [::1]:81");
  EXPECT_EQ(b->finds(), 1);
  b.reset();
  EXPECT_FALSE(inet_.Asked("a.example", 80));
}

TEST_F(FsLeafTest, PendingUntilOneHostAnswers) {
  Write("users", "a.example 80\nb.example 80\nc.example 80\n");
  auto b = Bind({"users"});
  EXPECT_EQ(b->Addr(), "pending");
  inet_.Say("a.example", 80, Addr::Failed("a.example: no answer within 5000 ms"));
  EXPECT_EQ(b->Addr(), "pending");
  inet_.SayIps("b.example", 80, {"10.0.0.2"});
  EXPECT_EQ(b->Addr(), "10.0.0.2:80");
}

TEST_F(FsLeafTest, AllHostsWithoutAnswerFail) {
  Write("users", "a.example 80\nb.example 80\n");
  auto b = Bind({"users"});
  inet_.Say("a.example", 80, Addr::Neg());
  inet_.Say("b.example", 80, Addr::Failed("b.example: no answer within 5000 ms"));
  EXPECT_EQ(b->Addr(), "failed: b.example: no answer within 5000 ms");
  inet_.Say("b.example", 80, Addr::Neg());
  EXPECT_EQ(b->Addr(), "neg");
  EXPECT_THAT(b->Show(), EndsWith("users / = neg"));  // the name itself stays bound
}

TEST_F(FsLeafTest, NewHostsDoNotTakeTheOldAwayBeforeTheyAnswer) {
  Write("users", kGood);
  auto b = Bind({"users"});
  Write("users", "a.example 80\n");
  EXPECT_EQ(b->Addr(), "10.0.0.1:80 (its hosts are not resolved yet)");
  inet_.SayIps("a.example", 80, {"10.0.0.2"});
  EXPECT_EQ(b->Addr(), "10.0.0.2:80");
  // A host that stays is not asked about anew.
  Write("users", "a.example 80 * 2\nb.example 80\n");
  EXPECT_EQ(b->Addr(), "10.0.0.2:80*2.0");
}

TEST_F(FsLeafTest, HostsChangeWhileTheFileIsStale) {
  Write("users", "a.example 80\n");
  auto b = Bind({"users"});
  inet_.SayIps("a.example", 80, {"10.0.0.1"});
  Write("users", "bad\n");
  inet_.SayIps("a.example", 80, {"10.0.0.2"});
  EXPECT_EQ(b->Addr(), "10.0.0.2:80 (malformed address: bad)");
}

TEST_F(FsLeafTest, LetGoInTheMiddleOfAChange) {
  Write("users", "a.example 80\n");
  auto b = Bind({"users"});
  auto var = b->var();
  int calls = 0;
  auto subscription = var->Subscribe([&] {
    calls++;
    b.reset();
    var.reset();
  });
  inet_.SayIps("a.example", 80, {"10.0.0.1"});
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(namer_->leaves(), 0u);

  b = Bind({"users"});
  var = b->var();
  auto again = var->Subscribe([&] {
    calls++;
    b.reset();
    var.reset();
  });
  Write("users", kGood);
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(namer_->leaves(), 0u);
}

}  // namespace
}  // namespace trestle::namers
