// A directory of its own for each test, an FsNamer on it, and bindings as a router holds them.
//
// Time stands still but for Pass(); what the kernel says of the directory is there at once, so
// Drain() needs no waiting.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "namers/fs_namer.h"
#include "net/event_loop.h"
#include "net/file_watch.h"
#include "tests/support/binding.h"

namespace trestle::tests {

class FsTest : public testing::Test {
 protected:
  FsTest() : loop_(&clock_) {
    std::string name = testing::TempDir() + "fs_namer_XXXXXX";
    top_ = std::filesystem::canonical(mkdtemp(name.data())).string();
    root_ = top_ + "/disco";
    std::filesystem::create_directory(root_);
    watch_ = net::FileWatch::Make(&loop_, 64).value();
    Start(root_);
  }
  ~FsTest() override {
    namer_.reset();
    std::filesystem::remove_all(top_);
  }

  void Start(const std::string& root_dir) {
    namer_.reset();
    auto made = namers::FsNamer::Make(&loop_, watch_.get(), &inet_, root_dir);
    ASSERT_TRUE(made.ok()) << made.status().ToString();
    namer_ = std::move(made).value();
  }
  std::string In(const std::string& name) const { return root_ + "/" + name; }
  void Drain() {
    for (int i = 0; i < 10000 && loop_.Poll(); i++) {
    }
  }
  // Lets time pass, after what happened before was heard.
  void Pass(base::Duration time) {
    Drain();
    clock_.Advance(time);
    Drain();
  }
  // In place: made, written and closed.
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(In(name)) << text;
    Drain();
  }
  void Rename(const std::string& from, const std::string& to) {
    std::filesystem::rename(In(from), In(to));
    Drain();
  }
  // As careful writers do it.
  void WriteAtomically(const std::string& name, const std::string& text) {
    std::ofstream(In(name + ".tmp")) << text;
    Rename(name + ".tmp", name);
  }
  void Remove(const std::string& name) {
    std::filesystem::remove_all(In(name));
    Drain();
  }
  void MakeDir(const std::string& name) {
    std::filesystem::create_directories(In(name));
    Drain();
  }
  void Link(const std::string& target, const std::string& name) {
    std::filesystem::create_symlink(target, In(name));
    Drain();
  }
  std::unique_ptr<Binding> Bind(std::vector<std::string> labels) {
    return std::make_unique<Binding>(namer_.get(), naming::Path(std::move(labels)));
  }

  static constexpr auto kQuiet = std::chrono::milliseconds(50);
  base::FakeClock clock_;
  net::EventLoop loop_;
  FakeInet inet_;
  std::string top_;
  std::string root_;
  std::unique_ptr<net::FileWatch> watch_;
  std::unique_ptr<namers::FsNamer> namer_;
};

}  // namespace trestle::tests
