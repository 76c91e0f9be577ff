#include "net/file_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace trestle::net {
namespace {

using Kind = FileWatch::Kind;
using testing::ElementsAre;
using testing::IsEmpty;
namespace fs = std::filesystem;

std::string Word(const FileWatch::Event& e) {
  static const std::pair<Kind, const char*> kWords[] = {
      {Kind::kCreated, "created"}, {Kind::kWritten, "written"},   {Kind::kModified, "modified"},
      {Kind::kMovedIn, "in"},      {Kind::kMovedOut, "out"},      {Kind::kDeleted, "deleted"},
      {Kind::kGone, "gone"},       {Kind::kOverflow, "overflow"}, {Kind::kAttributes, "attributes"},
  };
  for (auto& [kind, word] : kWords) {
    if (kind == e.kind) {
      return std::string(word) + (e.name.empty() ? "" : " ") + std::string(e.name) +
             (e.directory ? "/" : "");
    }
  }
  return "?";
}

class FileWatchTest : public testing::Test {
 protected:
  FileWatchTest() : loop_(&clock_) {
    std::string name = testing::TempDir() + "file_watch_XXXXXX";
    dir_ = mkdtemp(name.data());
    watch_ = FileWatch::Make(&loop_, 8).value();
  }
  ~FileWatchTest() override { fs::remove_all(dir_); }

  std::unique_ptr<FileWatch::Handle> Listen(
      const std::string& name, std::vector<std::string>* into,
      FileWatch::Interest interest = FileWatch::Interest::kContents, std::string dir = {}) {
    auto handle =
        watch_->Add(dir.empty() ? dir_ : dir, name, interest,
                    [into](const FileWatch::Event& event) { into->push_back(Word(event)); });
    EXPECT_TRUE(handle.ok()) << handle.status().ToString();
    return handle.ok() ? std::move(*handle) : nullptr;
  }
  void Drain() {
    for (int i = 0; i < 1000 && loop_.Poll(); i++) {
    }
  }
  std::vector<std::string> Heard() {
    Drain();
    return std::exchange(heard_, {});
  }
  std::string In(const std::string& name) const { return dir_ + "/" + name; }
  void Write(const std::string& name, const std::string& text) { std::ofstream(In(name)) << text; }

  base::FakeClock clock_;
  EventLoop loop_;
  std::string dir_;
  std::unique_ptr<FileWatch> watch_;
  std::vector<std::string> heard_;
};

TEST_F(FileWatchTest, TellsWhatHappensToEntries) {
  auto all = Listen("", &heard_);
  Write("a", "");
  EXPECT_THAT(Heard(), ElementsAre("created a", "written a"));
  {
    std::ofstream out(In("a"));
    out << "x" << std::flush;
    EXPECT_THAT(Heard(), ElementsAre("modified a"));
  }
  EXPECT_THAT(Heard(), ElementsAre("written a"));
  fs::rename(In("a"), In("b"));
  EXPECT_THAT(Heard(), ElementsAre("out a", "in b"));
  ASSERT_EQ(chmod(In("b").c_str(), 0600), 0);
  EXPECT_THAT(Heard(), ElementsAre("attributes b"));
  fs::remove(In("b"));
  EXPECT_THAT(Heard(), ElementsAre("deleted b"));
  fs::create_directory(In("d"));
  EXPECT_THAT(Heard(), ElementsAre("created d/"));
  fs::rename(In("d"), In("e"));
  EXPECT_THAT(Heard(), ElementsAre("out d/", "in e/"));
  fs::create_symlink("nowhere", In("l"));
  EXPECT_THAT(Heard(), ElementsAre("created l"));
}

TEST_F(FileWatchTest, TellsOfOneEntryOnly) {
  auto one = Listen("a", &heard_);
  Write("b", "1");
  Write("aa", "1");
  EXPECT_THAT(Heard(), IsEmpty());
  fs::rename(In("b"), In("a"));
  EXPECT_THAT(Heard(), ElementsAre("in a"));
}

TEST_F(FileWatchTest, EntriesInterestLeavesOutContents) {
  auto entries = Listen("a", &heard_, FileWatch::Interest::kEntries);
  Write("a", "1");
  EXPECT_THAT(Heard(), ElementsAre("created a"));
  // Another listener who wants more changes nothing for the first.
  std::vector<std::string> other;
  auto contents = Listen("a", &other);
  Write("a", "2");
  EXPECT_THAT(Heard(), IsEmpty());
  EXPECT_THAT(other, testing::Contains("written a"));
  contents.reset();
  auto fewer = Listen("a", &other, FileWatch::Interest::kEntries);
  other.clear();
  Write("a", "3");
  EXPECT_THAT(Heard(), IsEmpty());
  EXPECT_THAT(other, IsEmpty());
}

TEST_F(FileWatchTest, OneWatchForADirectoryByWhateverPath) {
  std::string link = In("link");
  fs::create_directory(In("d"));
  fs::create_directory_symlink("d", link);
  std::vector<std::string> other;
  auto first = Listen("x", &heard_, FileWatch::Interest::kContents, In("d"));
  auto second = Listen("x", &other, FileWatch::Interest::kContents, link);
  auto third = Listen("y", &other, FileWatch::Interest::kContents, In("d"));
  EXPECT_EQ(watch_->directories(), 1u);
  Write("d/x", "");
  EXPECT_THAT(Heard(), ElementsAre("created x", "written x"));
  EXPECT_THAT(other, ElementsAre("created x", "written x"));
  first.reset();
  second.reset();
  EXPECT_EQ(watch_->directories(), 1u);
  third.reset();
  EXPECT_EQ(watch_->directories(), 0u);
  Write("d/x", "");
  EXPECT_THAT(Heard(), IsEmpty());
}

TEST_F(FileWatchTest, WhatWasSaidBeforeLettingGoIsNotToldToWhoComesNext) {
  auto first = Listen("", &heard_);
  Write("a", "");
  first.reset();
  auto second = Listen("", &heard_);
  EXPECT_THAT(Heard(), IsEmpty());
  Write("b", "");
  EXPECT_THAT(Heard(), ElementsAre("created b", "written b"));
}

TEST_F(FileWatchTest, DeletedDirectoryIsGoneForAllItsListeners) {
  fs::create_directory(In("d"));
  std::vector<std::string> other;
  auto one = Listen("a", &heard_, FileWatch::Interest::kEntries, In("d"));
  auto all = Listen("", &other, FileWatch::Interest::kEntries, In("d"));
  fs::remove(In("d"));
  EXPECT_THAT(Heard(), ElementsAre("gone"));
  EXPECT_THAT(other, ElementsAre("gone"));
  EXPECT_EQ(watch_->directories(), 0u);
  // Made again it is another one, and the old handles do no harm.
  fs::create_directory(In("d"));
  auto again = Listen("a", &heard_, FileWatch::Interest::kEntries, In("d"));
  one.reset();
  all.reset();
  EXPECT_EQ(watch_->directories(), 1u);
  Write("d/a", "");
  EXPECT_THAT(Heard(), ElementsAre("created a"));
}

TEST_F(FileWatchTest, RenamedDirectoryIsGone) {
  fs::create_directory(In("d"));
  auto one = Listen("a", &heard_, FileWatch::Interest::kEntries, In("d"));
  fs::rename(In("d"), In("e"));
  EXPECT_THAT(Heard(), ElementsAre("gone"));
}

TEST_F(FileWatchTest, SaysWhyADirectoryCannotBeWatched) {
  Write("file", "");
  auto call = [](const FileWatch::Event&) {};
  auto missing = watch_->Add(In("no"), "a", FileWatch::Interest::kEntries, call);
  EXPECT_EQ(missing.status().code(), base::Code::kNoRoute);
  EXPECT_EQ(missing.status().message(), In("no") + ": No such file or directory");
  auto file = watch_->Add(In("file"), "a", FileWatch::Interest::kEntries, call);
  EXPECT_EQ(file.status().code(), base::Code::kNoRoute);
  EXPECT_EQ(watch_->directories(), 0u);
}

TEST_F(FileWatchTest, WatchesAtMostSoManyDirectories) {
  std::vector<std::unique_ptr<FileWatch::Handle>> handles;
  for (int i = 0; i < 8; i++) {
    fs::create_directory(In(std::to_string(i)));
    handles.push_back(Listen("a", &heard_, FileWatch::Interest::kEntries, In(std::to_string(i))));
  }
  auto call = [](const FileWatch::Event&) {};
  auto over = watch_->Add(dir_, "a", FileWatch::Interest::kEntries, call);
  EXPECT_EQ(over.status().code(), base::Code::kRefused);
  EXPECT_EQ(over.status().message(), dir_ + ": over 8 watched directories");
  EXPECT_EQ(watch_->directories(), 8u);
  // One that is watched already costs nothing.
  EXPECT_NE(Listen("b", &heard_, FileWatch::Interest::kEntries, In("0")), nullptr);
  handles.pop_back();
  EXPECT_NE(Listen("a", &heard_), nullptr);
}

TEST_F(FileWatchTest, LostEventsAreToldToEverybody) {
  fs::create_directory(In("d"));
  std::vector<std::string> other;
  auto one = Listen("a", &heard_);
  auto two = Listen("b", &other, FileWatch::Interest::kEntries, In("d"));
  inotify_event lost{};
  lost.wd = -1;
  lost.mask = IN_Q_OVERFLOW;
  watch_->Take({reinterpret_cast<const char*>(&lost), sizeof lost});
  EXPECT_THAT(heard_, ElementsAre("overflow"));
  EXPECT_THAT(other, ElementsAre("overflow"));
}

TEST_F(FileWatchTest, CutOrUnknownEventsAreSafe) {
  auto all = Listen("", &heard_);
  inotify_event event{};
  event.wd = 1;
  event.mask = IN_CREATE;
  event.len = 16;
  std::string bytes(reinterpret_cast<const char*>(&event), sizeof event);
  bytes += std::string("name\0\0\0\0\0\0\0\0\0\0\0\0", 16);
  for (size_t n = 0; n < bytes.size(); n++) watch_->Take(std::string_view(bytes).substr(0, n));
  EXPECT_THAT(heard_, IsEmpty());
  watch_->Take(bytes);
  EXPECT_THAT(heard_, ElementsAre("created name"));
  event.wd = 4711;
  bytes.replace(0, sizeof event, reinterpret_cast<const char*>(&event), sizeof event);
  watch_->Take(bytes);
  EXPECT_THAT(heard_, ElementsAre("created name"));
}

TEST_F(FileWatchTest, CallbackMayDropAnyHandleAndAddOthers) {
  std::unique_ptr<FileWatch::Handle> first;
  std::unique_ptr<FileWatch::Handle> second;
  std::unique_ptr<FileWatch::Handle> third;
  int calls = 0;
  auto drop = [&](const FileWatch::Event&) {
    calls++;
    first.reset();
    second.reset();
    third = Listen("a", &heard_);
  };
  first = watch_->Add(dir_, "a", FileWatch::Interest::kContents, drop).value();
  second = watch_->Add(dir_, "a", FileWatch::Interest::kContents, drop).value();
  Write("a", "");
  Drain();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(watch_->directories(), 1u);
  heard_.clear();
  fs::remove(In("a"));
  EXPECT_THAT(Heard(), ElementsAre("deleted a"));
}

TEST_F(FileWatchTest, HandleMayOutliveTheWatch) {
  auto one = Listen("a", &heard_);
  watch_.reset();
  one.reset();
  Write("a", "");
  EXPECT_THAT(Heard(), IsEmpty());
}

TEST_F(FileWatchTest, ManyEventsTakeSomeTurnsAndNoneIsLost) {
  auto all = Listen("", &heard_);
  std::string names[] = {In(std::string(240, 'a')), In(std::string(240, 'b'))};
  std::ofstream(names[0]) << "";
  for (int i = 0; i < 2000; i++)
    ASSERT_EQ(rename(names[i % 2].c_str(), names[1 - i % 2].c_str()), 0);
  EXPECT_EQ(Heard().size(), 2u + 2 * 2000u);
}

}  // namespace
}  // namespace trestle::net
