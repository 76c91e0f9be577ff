// Sets in files: what is written is read again, whoever else writes there.
#include "serversets/set_cache.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace trestle::serversets {
namespace {

using Nodes = std::vector<naming::ServersetNode>;

class SetCacheTest : public testing::Test {
 protected:
  ~SetCacheTest() override { std::filesystem::remove_all(folder_); }
  std::unique_ptr<SetCache> Open() {
    auto cache = SetCache::Open(folder_);
    EXPECT_TRUE(cache.ok());
    return std::move(*cache);
  }
  // Until it is written.
  void Save(const std::string& data) {
    Open()->Save("zk:2181", "/s", Nodes{{"member_1", data}}, std::chrono::system_clock::now());
  }
  // What the member has; "" if there is none.
  std::string Load() {
    const auto saved = Open()->Load("zk:2181", "/s");
    return saved && saved->nodes.size() == 1 ? saved->nodes[0].data : "";
  }
  std::vector<std::string> Files() const {
    std::vector<std::string> all;
    for (const auto& file : std::filesystem::directory_iterator(folder_))
      all.push_back(file.path());
    return all;
  }

  const std::string folder_ = "/tmp/trestle-set-cache-test-" + std::to_string(getpid());
};

TEST_F(SetCacheTest, WhatIsSavedLastIsLoaded) {
  EXPECT_EQ(Load(), "");
  Save("a");
  Save("b");
  EXPECT_EQ(Load(), "b");
  EXPECT_EQ(Files().size(), 1u) << "nothing else stays";
}

TEST_F(SetCacheTest, TheFolderIsMadeWithTheFirstFile) {
  EXPECT_EQ(Load(), "");
  EXPECT_FALSE(std::filesystem::exists(folder_));
  Save("a");
  EXPECT_EQ(Load(), "a");
}

TEST_F(SetCacheTest, TheFolderMayBeWrittenInAnyWay) {
  for (const std::string& folder : {folder_, folder_ + "//", std::string("not-there/")}) {
    EXPECT_TRUE(SetCache::Open(folder).ok()) << folder;
  }
  EXPECT_FALSE(SetCache::Open("not-there/cache").ok());
}

TEST_F(SetCacheTest, ASetThatIsTooLargeIsNotKept) {
  Save(std::string(SetCache::kMostBytes - 1000, 'x'));
  EXPECT_EQ(Load().size(), SetCache::kMostBytes - 1000);
  Save(std::string(SetCache::kMostBytes, 'x'));
  EXPECT_EQ(Load(), "");
  EXPECT_TRUE(Files().empty()) << "nor what it was before";
}

TEST_F(SetCacheTest, AFileThatIsTooLargeIsNone) {
  Save("a");
  ASSERT_EQ(Files().size(), 1u);
  std::ofstream(Files()[0], std::ios::app) << std::string(SetCache::kMostBytes, ' ');
  EXPECT_EQ(Load(), "");
}

// Who has the same process id, as in a container, does not write into the same file.
TEST_F(SetCacheTest, AWriterHasAFileOfItsOwn) {
  Save("a");
  ASSERT_EQ(Files().size(), 1u);
  std::filesystem::create_directory(Files()[0] + "." + std::to_string(getpid()) + ".new");
  Save("b");
  EXPECT_EQ(Load(), "b");
}

}  // namespace
}  // namespace trestle::serversets
