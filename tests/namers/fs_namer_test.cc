// Which file a name leads to, and that this follows what happens to the directories.
#include "namers/fs_namer.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs_fixture.h"

namespace trestle::namers {
namespace {

using testing::HasSubstr;
using tests::Binding;

class FsNamerTest : public tests::FsTest {
 protected:
  // Takes what the kernel has to say away, as a full queue would.
  void DropEvents() {
    for (auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code error;
      auto target = std::filesystem::read_symlink(entry.path(), error);
      if (target != "anon_inode:inotify") continue;
      char bytes[4096];
      while (read(std::stoi(entry.path().filename()), bytes, sizeof bytes) > 0) {
      }
    }
  }
};

TEST_F(FsNamerTest, WalksToTheFirstFile) {
  Write("users", "10.0.0.1 80\n");
  MakeDir("a/b");
  Write("a/b/c", "10.0.0.2 81\n");
  struct Row {
    std::vector<std::string> labels;
    const char* expect;
  } const rows[] = {
      {{"users"}, "/#/io.l5d.fs/users / = 10.0.0.1:80"},
      {{"users", "add", "x"}, "/#/io.l5d.fs/users /add/x = 10.0.0.1:80"},
      {{"users", "..", "a"}, "/#/io.l5d.fs/users /../a = 10.0.0.1:80"},  // only left over
      {{"a", "b", "c"}, "/#/io.l5d.fs/a/b/c / = 10.0.0.2:81"},
      {{"a", "b", "c", "d"}, "/#/io.l5d.fs/a/b/c /d = 10.0.0.2:81"},
      {{"a", "b"}, "neg"},
      {{"a"}, "neg"},
      {{}, "neg"},
      {{"none"}, "neg"},
      {{"a", "none", "c"}, "neg"},
      {{"Users"}, "neg"},
  };
  for (auto& row : rows) EXPECT_EQ(Bind(row.labels)->Show(), row.expect);
}

TEST_F(FsNamerTest, LabelsAreBytes) {
  Write(
      "b\xc3\xbc"
      "cher",
      "10.0.0.1 80\n");
  Write("\xff\x01 *", "10.0.0.2 80\n");
  EXPECT_EQ(Bind({"b\xc3\xbc"
                  "cher"})
                ->Addr(),
            "10.0.0.1:80");
  EXPECT_EQ(Bind({"\xff\x01 *"})->Addr(), "10.0.0.2:80");
}

TEST_F(FsNamerTest, HostileLabelsNeverLeaveRoot) {
  std::ofstream(top_ + "/secret") << "10.9.9.9 80\n";
  MakeDir("sub");
  Write("sub/file", "10.0.0.1 80\n");
  Write("file", "10.0.0.1 80\n");
  using namespace std::string_literals;
  const std::vector<std::string> rows[] = {
      {"..", "secret"},
      {".", "..", "secret"},
      {"sub", "..", "..", "secret"},
      {"sub", "..", "file"},
      {"../secret"},
      {"sub/../../secret"},
      {"sub/file"},
      {"/file"},
      {"file\0x"s},
      {"\0"s},
      {top_ + "/secret"},
      {"."},
      {".."},
      {std::string(256, 'a')},
      {std::string(100000, 'a')},
  };
  size_t before = watch_->directories();
  for (auto& labels : rows) EXPECT_EQ(Bind(labels)->Show(), "neg") << naming::Path(labels).Show();
  EXPECT_EQ(watch_->directories(), before);
}

TEST_F(FsNamerTest, VeryLongPathsAreNeg) {
  std::vector<std::string> labels(100, std::string(255, 'a'));
  EXPECT_EQ(Bind(labels)->Show(), "neg");
  MakeDir("d");
  std::vector<std::string> deep(20000, "d");
  EXPECT_EQ(Bind(deep)->Show(), "neg");
}

TEST_F(FsNamerTest, FileThatComesLaterBinds) {
  auto b = Bind({"users", "add"});
  EXPECT_EQ(b->Show(), "neg");
  Write("users", "10.0.0.1 80\n");
  EXPECT_EQ(b->Show(), "/#/io.l5d.fs/users /add = 10.0.0.1:80");
  auto other = Bind({"orders"});
  WriteAtomically("orders", "10.0.0.2 80\n");
  EXPECT_EQ(other->Addr(), "10.0.0.2:80");
}

TEST_F(FsNamerTest, FileInTheMakingIsNotThereYet) {
  auto b = Bind({"users"});
  std::ofstream out(In("users"));
  Drain();
  EXPECT_EQ(b->Show(), "neg");
  out << "10.0.0.1 80\n" << std::flush;
  Drain();
  EXPECT_EQ(b->Show(), "neg");
  out.close();
  Drain();
  EXPECT_EQ(b->Addr(), "10.0.0.1:80");
}

TEST_F(FsNamerTest, FirstLookedAtWhileInTheMaking) {
  std::ofstream out(In("users"));
  // The file's time is that of the machine; the fake clock is made to show it.
  struct timespec now[2] = {};
  auto wall = clock_.Wall().time_since_epoch();
  now[1].tv_sec = std::chrono::duration_cast<std::chrono::seconds>(wall).count();
  now[1].tv_nsec = (wall % std::chrono::seconds(1)).count();
  ASSERT_EQ(utimensat(AT_FDCWD, In("users").c_str(), now, 0), 0);
  auto b = Bind({"users"});
  EXPECT_EQ(b->Show(), "neg");
  out << "10.0.0.1 80\n";
  out.close();
  Drain();
  EXPECT_EQ(b->Addr(), "10.0.0.1:80");
}

TEST_F(FsNamerTest, HardAndSymbolicLinksCountOnceQuiet) {
  Write("real", "10.0.0.1 80\n");
  auto hard = Bind({"hard"});
  auto soft = Bind({"soft"});
  ASSERT_EQ(link(In("real").c_str(), In("hard").c_str()), 0);
  Link("real", "soft");
  Pass(kQuiet);
  EXPECT_EQ(hard->Addr(), "10.0.0.1:80");
  EXPECT_EQ(soft->Addr(), "10.0.0.1:80");
}

TEST_F(FsNamerTest, FoldersComeLater) {
  auto b = Bind({"a", "b", "c"});
  MakeDir("a");
  EXPECT_EQ(b->Show(), "neg");
  MakeDir("a/b");
  EXPECT_EQ(b->Show(), "neg");
  Write("a/b/c", "10.0.0.1 80\n");
  EXPECT_EQ(b->Show(), "/#/io.l5d.fs/a/b/c / = 10.0.0.1:80");
  // All at once, by a rename.
  auto other = Bind({"x", "b", "c"});
  Rename("a", "x");
  EXPECT_EQ(other->Show(), "/#/io.l5d.fs/x/b/c / = 10.0.0.1:80");
  EXPECT_EQ(b->Show(), "neg");
}

TEST_F(FsNamerTest, FileBecomesFolderAndBack) {
  Write("a", "10.0.0.1 80\n");
  auto b = Bind({"a", "b"});
  EXPECT_EQ(b->Show(), "/#/io.l5d.fs/a /b = 10.0.0.1:80");
  Remove("a");
  EXPECT_EQ(b->Show(), "neg");
  MakeDir("a");
  Write("a/b", "10.0.0.2 80\n");
  EXPECT_EQ(b->Show(), "/#/io.l5d.fs/a/b / = 10.0.0.2:80");
  Remove("a");
  EXPECT_EQ(b->Show(), "neg");
  Write("a", "10.0.0.3 80\n");
  EXPECT_EQ(b->Show(), "/#/io.l5d.fs/a /b = 10.0.0.3:80");
}

TEST_F(FsNamerTest, DeletedAndMadeAgainIsTheSameVar) {
  Write("users", "10.0.0.1 80\n");
  auto b = Bind({"users"});
  auto held = b->var();
  for (int round = 0; round < 3; round++) {
    Remove("users");
    EXPECT_EQ(b->Show(), "neg");
    EXPECT_EQ(tests::ShowAddr(held->Get()), "neg");
    Write("users", "10.0.0.2 80\n");
    EXPECT_EQ(b->Addr(), "10.0.0.2:80");
    EXPECT_EQ(b->var(), held);
  }
}

TEST_F(FsNamerTest, MovedOutAndBack) {
  Write("users", "10.0.0.1 80\n");
  auto b = Bind({"users"});
  Rename("users", "users~");
  EXPECT_EQ(b->Show(), "neg");
  Rename("users~", "users");
  EXPECT_EQ(b->Addr(), "10.0.0.1:80");
}

TEST_F(FsNamerTest, DirectoryMovedAwayUnbindsWhatIsInIt) {
  MakeDir("a/b");
  Write("a/b/users", "10.0.0.1 80\n");
  auto b = Bind({"a", "b", "users"});
  std::filesystem::rename(In("a"), top_ + "/elsewhere");
  Drain();
  EXPECT_EQ(b->Show(), "neg");
  // What happens there concerns nobody.
  std::ofstream(top_ + "/elsewhere/b/users") << "10.0.0.2 80\n";
  Drain();
  EXPECT_EQ(b->Show(), "neg");
  std::filesystem::rename(top_ + "/elsewhere", In("a"));
  Drain();
  EXPECT_EQ(b->Addr(), "10.0.0.2:80");
}

TEST_F(FsNamerTest, OtherThingsThanFilesAreNeg) {
  ASSERT_EQ(mkfifo(In("pipe").c_str(), 0600), 0);
  EXPECT_EQ(Bind({"pipe"})->Show(), "neg");
  Write("users", "10.0.0.1 80\n");
  auto b = Bind({"users"});
  Rename("pipe", "users");
  EXPECT_EQ(b->Show(), "neg");
}

TEST_F(FsNamerTest, AThousandFiles) {
  std::vector<std::unique_ptr<Binding>> all;
  for (int i = 0; i < 1000; i++) {
    std::ofstream(In("s" + std::to_string(i))) << "10.0.0.1 " << i + 1 << "\n";
    all.push_back(Bind({"s" + std::to_string(i), "m"}));
  }
  for (int i = 0; i < 1000; i++) {
    ASSERT_EQ(all[i]->Addr(), "10.0.0.1:" + std::to_string(i + 1));
  }
  size_t watches = watch_->directories();
  EXPECT_LE(watches, 8u);  // root, and the directories above it
  Write("s7", "10.0.0.2 80\n");
  for (int i = 0; i < 1000; i++) {
    ASSERT_EQ(all[i]->Addr(), i == 7 ? "10.0.0.2:80" : "10.0.0.1:" + std::to_string(i + 1));
    EXPECT_EQ(all[i]->finds(), 1);  // contents bind nothing again
  }
  EXPECT_EQ(namer_->leaves(), 1000u);
  all.clear();
  EXPECT_EQ(namer_->leaves(), 0u);
}

TEST_F(FsNamerTest, RandomNamesLeaveNoWatches) {
  size_t before = watch_->directories();
  std::vector<std::unique_ptr<Binding>> all;
  for (int i = 0; i < 500; i++) {
    std::string name = "no" + std::to_string(i);
    all.push_back(Bind({name}));
    all.push_back(Bind({name, "deep", "er"}));
  }
  EXPECT_EQ(watch_->directories(), before);
  EXPECT_EQ(namer_->dirs(), 1u);
  EXPECT_EQ(namer_->leaves(), 0u);
}

TEST_F(FsNamerTest, WatchesGoWithTheLastUser) {
  MakeDir("a/b");
  Write("a/b/users", "10.0.0.1 80\n");
  size_t before = watch_->directories();
  auto b = Bind({"a", "b", "users"});
  auto neg = Bind({"a", "b", "none"});
  EXPECT_EQ(watch_->directories(), before + 2);
  auto held = b->var();
  b.reset();
  neg.reset();
  EXPECT_EQ(watch_->directories(), before + 2);  // the address is in use
  Write("a/b/users", "10.0.0.2 80\n");
  EXPECT_EQ(tests::ShowAddr(held->Get()), "10.0.0.2:80");
  held.reset();
  EXPECT_EQ(watch_->directories(), before);
  EXPECT_EQ(namer_->leaves(), 0u);
  EXPECT_EQ(namer_->dirs(), 1u);
}

TEST_F(FsNamerTest, OverTheBoundOfDirectoriesIsFailed) {
  std::vector<std::unique_ptr<Binding>> all;
  std::string last;
  for (int i = 0; i < 100; i++) {
    std::string dir = "d" + std::to_string(i);
    MakeDir(dir);
    Write(dir + "/users", "10.0.0.1 80\n");
    all.push_back(Bind({dir, "users"}));
    last = all.back()->Show();
  }
  EXPECT_EQ(all[0]->Addr(), "10.0.0.1:80");
  EXPECT_EQ(last, "failed: " + In("d99") + ": over 64 watched directories");
  EXPECT_THAT(Bind({"d99", "none"})->Show(), HasSubstr("over 64 watched directories"));
  EXPECT_EQ(watch_->directories(), 64u);
  // Room again: the next one to ask gets it.
  all.resize(10);
  EXPECT_EQ(Bind({"d99", "users"})->Addr(), "10.0.0.1:80");
}

TEST_F(FsNamerTest, LostEventsMakeItReadAgain) {
  Write("users", "10.0.0.1 80\n");
  auto there = Bind({"users"});
  auto none = Bind({"none"});
  // Nothing of this is heard.
  std::filesystem::rename(root_, top_ + "/aside");
  std::filesystem::create_directory(root_);
  std::ofstream(In("users")) << "10.0.0.2 80\n";
  std::ofstream(In("none")) << "10.0.0.3 80\n";
  DropEvents();
  EXPECT_EQ(there->Addr(), "10.0.0.1:80");
  EXPECT_EQ(none->Show(), "neg");
  inotify_event lost{};
  lost.wd = -1;
  lost.mask = IN_Q_OVERFLOW;
  watch_->Take({reinterpret_cast<const char*>(&lost), sizeof lost});
  Pass(kQuiet);
  EXPECT_EQ(there->Addr(), "10.0.0.2:80");
  EXPECT_EQ(none->Addr(), "10.0.0.3:80");
}

}  // namespace
}  // namespace trestle::namers
