// rootDir that comes and goes, and symbolic links on the way to a file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fs_fixture.h"

namespace trestle::namers {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using tests::Binding;
using FsRootTest = tests::FsTest;

constexpr char kGood[] = "10.0.0.1 80\n";

std::string MakeError(net::EventLoop* loop, net::FileWatch* watch, tests::FakeInet* inet,
                      const std::string& root) {
  auto made = FsNamer::Make(loop, watch, inet, root);
  if (made.ok()) return "fine";
  EXPECT_EQ(made.status().code(), base::Code::kInvalid);
  return made.status().message();
}

TEST_F(FsRootTest, UnreadableRootIsAnError) {
  Write("file", "");
  Link("loop", "loop");
  auto error = [&](const std::string& root) {
    return MakeError(&loop_, watch_.get(), &inet_, root);
  };
  EXPECT_EQ(error(root_), "fine");
  EXPECT_EQ(error(""), "rootDir is empty");
  EXPECT_EQ(error(In("none")), "rootDir " + In("none") + ": No such file or directory");
  EXPECT_EQ(error(In("file")), "rootDir " + In("file") + ": Not a directory");
  EXPECT_EQ(error(In("loop")), "rootDir " + In("loop") + ": Too many levels of symbolic links");
}

TEST_F(FsRootTest, RelativeAndUntidyRoots) {
  Write("users", kGood);
  auto before = fs::current_path();
  fs::current_path(top_);
  Start("disco");
  EXPECT_EQ(Bind({"users"})->Addr(), "10.0.0.1:80");
  Start("./disco/../disco//");
  fs::current_path(before);
  auto b = Bind({"users"});
  EXPECT_EQ(b->Addr(), "10.0.0.1:80");
  Write("users", "10.0.0.2 80\n");
  EXPECT_EQ(b->Addr(), "10.0.0.2:80");
}

TEST_F(FsRootTest, RootMovedAwayKeepsTheLastGood) {
  MakeDir("a");
  Write("users", kGood);
  Write("a/users", kGood);
  auto b = Bind({"users", "x"});
  auto nested = Bind({"a", "users"});
  auto none = Bind({"none"});
  fs::rename(root_, top_ + "/aside");
  Drain();
  const std::string why = " (" + root_ + ": No such file or directory)";
  EXPECT_EQ(b->Addr(), "10.0.0.1:80" + why);
  EXPECT_EQ(nested->Addr(), "10.0.0.1:80" + why);
  EXPECT_EQ(b->finds(), 1);
  // Bound names can be bound once more, of others nothing is known.
  EXPECT_EQ(Bind({"users"})->Addr(), "10.0.0.1:80" + why);
  EXPECT_EQ(Bind({"other"})->Show(), "failed: " + root_ + ": No such file or directory");
  EXPECT_EQ(none->Show(), "failed: " + root_ + ": No such file or directory");

  fs::rename(top_ + "/aside", root_);
  Drain();
  EXPECT_EQ(b->Addr(), "10.0.0.1:80");
  EXPECT_EQ(nested->Addr(), "10.0.0.1:80");
  EXPECT_EQ(none->Show(), "neg");
  Write("none", kGood);
  EXPECT_EQ(none->Addr(), "10.0.0.1:80");
}

TEST_F(FsRootTest, RootReplacedByAnother) {
  Write("users", kGood);
  auto b = Bind({"users"});
  auto later = Bind({"later"});
  fs::create_directory(top_ + "/next");
  std::ofstream(top_ + "/next/users") << "10.0.0.2 80\n";
  std::ofstream(top_ + "/next/later") << "10.0.0.3 80\n";
  fs::rename(root_, top_ + "/aside");
  fs::rename(top_ + "/next", root_);
  Drain();
  EXPECT_EQ(b->Addr(), "10.0.0.2:80");
  EXPECT_EQ(later->Addr(), "10.0.0.3:80");
  Write("users", "10.0.0.4 80\n");
  EXPECT_EQ(b->Addr(), "10.0.0.4:80");
}

TEST_F(FsRootTest, RootDeletedAndMadeAgain) {
  Write("users", kGood);
  auto b = Bind({"users"});
  fs::remove_all(root_);
  Drain();
  fs::create_directory(root_);
  Drain();
  Write("users", "10.0.0.2 80\n");
  Pass(kQuiet);
  EXPECT_EQ(b->Addr(), "10.0.0.2:80");
  Write("users", "10.0.0.3 80\n");
  EXPECT_EQ(b->Addr(), "10.0.0.3:80");
}

TEST_F(FsRootTest, ADirectoryAboveRootIsReplaced) {
  fs::create_directories(top_ + "/v1/disco");
  fs::create_directories(top_ + "/v2/disco");
  std::ofstream(top_ + "/v1/disco/users") << kGood;
  std::ofstream(top_ + "/v2/disco/users") << "10.0.0.2 80\n";
  fs::create_directory_symlink("v1", top_ + "/current");
  Start(top_ + "/current/disco");
  auto b = Bind({"users"});
  auto none = Bind({"none"});
  EXPECT_EQ(b->Addr(), "10.0.0.1:80");
  fs::create_directory_symlink("v2", top_ + "/next");
  fs::rename(top_ + "/next", top_ + "/current");
  Drain();
  EXPECT_EQ(b->Addr(), "10.0.0.2:80");
  std::ofstream(top_ + "/v2/disco/none") << kGood;
  Drain();
  EXPECT_EQ(none->Addr(), "10.0.0.1:80");
  // v1 concerns nobody any more.
  std::ofstream(top_ + "/v1/disco/users") << "10.0.0.9 80\n";
  Pass(kQuiet);
  EXPECT_EQ(b->Addr(), "10.0.0.2:80");
}

TEST_F(FsRootTest, RootIsALink) {
  fs::create_directory(top_ + "/other");
  std::ofstream(top_ + "/other/users") << "10.0.0.2 80\n";
  Write("users", kGood);
  fs::create_directory_symlink(root_, top_ + "/link");
  Start(top_ + "/link");
  auto b = Bind({"users"});
  EXPECT_EQ(b->Addr(), "10.0.0.1:80");
  // Removed and made again, as "ln -sfn" of some systems does.
  fs::remove(top_ + "/link");
  Drain();
  EXPECT_THAT(b->Addr(), HasSubstr("10.0.0.1:80 ("));
  fs::create_directory_symlink(top_ + "/other", top_ + "/link");
  Pass(kQuiet);
  EXPECT_EQ(b->Addr(), "10.0.0.2:80");
}

// A mounted ConfigMap: users -> ..data/users, ..data -> ..one; then ..data is renamed over.
TEST_F(FsRootTest, DirectoryOfLinksIsSwappedAtOnce) {
  MakeDir("..one");
  MakeDir("..two");
  Write("..one/users", kGood);
  Write("..two/users", "10.0.0.2 80\n");
  Write("..two/added", "10.0.0.3 80\n");
  Link("..one", "..data");
  Link("..data/users", "users");
  Link("..data/added", "added");
  auto b = Bind({"users", "x"});
  auto added = Bind({"added"});
  EXPECT_EQ(b->Show(), "/#/io.l5d.fs/users /x = 10.0.0.1:80");
  EXPECT_EQ(added->Show(), "neg");  // a link to nothing
  Link("..two", "..next");
  Rename("..next", "..data");
  EXPECT_EQ(b->Addr(), "10.0.0.2:80");
  EXPECT_EQ(b->finds(), 1);
  EXPECT_EQ(added->Addr(), "10.0.0.3:80");
  Remove("..one");
  EXPECT_EQ(b->Addr(), "10.0.0.2:80");
  Write("..two/users", "10.0.0.4 80\n");
  EXPECT_EQ(b->Addr(), "10.0.0.4:80");
}

TEST_F(FsRootTest, LinksLeadOutOfRootIfSomebodyMadeThemSo) {
  fs::create_directory(top_ + "/outside");
  std::ofstream(top_ + "/outside/users") << kGood;
  Link(top_ + "/outside/users", "users");
  Link("../outside", "dir");
  auto b = Bind({"users"});
  auto nested = Bind({"dir", "users"});
  EXPECT_EQ(b->Show(), "/#/io.l5d.fs/users / = 10.0.0.1:80");
  EXPECT_EQ(nested->Show(), "/#/io.l5d.fs/dir/users / = 10.0.0.1:80");
  std::ofstream(top_ + "/outside/users") << "10.0.0.2 80\n";
  Drain();
  EXPECT_EQ(b->Addr(), "10.0.0.2:80");
  EXPECT_EQ(nested->Addr(), "10.0.0.2:80");
  fs::remove(top_ + "/outside/users");
  Drain();
  EXPECT_EQ(b->Show(), "neg");
  EXPECT_EQ(nested->Show(), "neg");
  std::ofstream(top_ + "/outside/users") << "10.0.0.3 80\n";
  Drain();
  EXPECT_EQ(b->Addr(), "10.0.0.3:80");
  EXPECT_EQ(nested->Addr(), "10.0.0.3:80");
}

TEST_F(FsRootTest, LinkToADirectoryThatComesLater) {
  Link("../later", "dir");
  auto b = Bind({"dir", "users"});
  EXPECT_EQ(b->Show(), "neg");
  fs::create_directory(top_ + "/later");
  Drain();
  std::ofstream(top_ + "/later/users") << kGood;
  Drain();
  EXPECT_EQ(b->Show(), "/#/io.l5d.fs/dir/users / = 10.0.0.1:80");
}

TEST_F(FsRootTest, LinksInACircleAreFailed) {
  Link("b", "a");
  Link("a", "b");
  auto b = Bind({"a", "users"});
  EXPECT_THAT(b->Show(), HasSubstr("Too many levels of symbolic links"));
  Remove("a");
  Write("a", kGood);
  EXPECT_EQ(b->Show(), "/#/io.l5d.fs/a /users = 10.0.0.1:80");
}

}  // namespace
}  // namespace trestle::namers
