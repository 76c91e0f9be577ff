// A directory of its own for each test, an FsNamer on it, and bindings as a router holds them.
//
// Time stands still but for Pass(); what the kernel says of the directory is there at once, so
// Drain() needs no waiting.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "namers/fs_namer.h"
#include "naming/inet.h"
#include "naming/namer.h"
#include "net/event_loop.h"
#include "net/file_watch.h"

namespace trestle::tests {

// Answers hosts as the test says.
class FakeInet final : public naming::InetResolver {
 public:
  std::shared_ptr<naming::Var<naming::Addr>> Resolve(const std::string& host,
                                                     uint16_t port) override {
    auto& weak = vars_[{host, port}];
    auto var = weak.lock();
    if (!var) weak = var = std::make_shared<naming::Var<naming::Addr>>();
    return var;
  }
  bool Asked(const std::string& host, uint16_t port) const {
    auto at = vars_.find({host, port});
    return at != vars_.end() && !at->second.expired();
  }
  void Say(const std::string& host, uint16_t port, naming::Addr addr) {
    if (auto var = vars_[{host, port}].lock()) var->Set(std::move(addr));
  }
  void SayIps(const std::string& host, uint16_t port, const std::vector<std::string>& ips) {
    std::vector<naming::Endpoint> endpoints;
    for (auto& ip : ips) endpoints.push_back({ip, port, 1.0, false});
    Say(host, port, naming::Addr::Bound(std::move(endpoints)));
  }

 private:
  std::map<std::pair<std::string, uint16_t>, std::weak_ptr<naming::Var<naming::Addr>>> vars_;
};

// "10.0.0.1:80*0.5, …", "bound({})", "neg", "pending", "failed: CAUSE"; " (CAUSE)" when stale.
inline std::string ShowAddr(const naming::Addr& addr) {
  using Kind = naming::Addr::Kind;
  if (addr.kind == Kind::kNeg) return "neg";
  if (addr.kind == Kind::kPending) return "pending";
  if (addr.kind == Kind::kFailed) return "failed: " + addr.cause;
  std::string text;
  for (auto& e : addr.endpoints) {
    text += (text.empty() ? "" : ", ") + e.Show();
    if (e.has_weight) text += "*" + std::to_string(e.weight).substr(0, 3);
  }
  if (text.empty()) text = "bound({})";
  return addr.cause.empty() ? text : text + " (" + addr.cause + ")";
}

// A name bound by one namer, bound again whenever what it hangs on changes.
class Binding {
 public:
  Binding(naming::Namer* namer, naming::Path path) : namer_(namer), path_(std::move(path)) {
    Find();
  }
  Binding(const Binding&) = delete;
  Binding& operator=(const Binding&) = delete;

  // "neg", "failed: …", or "ID RESIDUAL = ADDR".
  std::string Show() const {
    if (lookup_.state == naming::Lookup::State::kFailed) return "failed: " + lookup_.error;
    if (lookup_.state == naming::Lookup::State::kPending) return "pending";
    if (!lookup_.tree.is(naming::NameTree<naming::Name>::Kind::kLeaf)) return "neg";
    auto& bound = *lookup_.tree.leaf.bound;
    return bound.id.Show() + " " + bound.residual.Show() + " = " + ShowAddr(bound.addr->Get());
  }
  // The address alone.
  std::string Addr() const {
    std::string text = Show();
    size_t at = text.find(" = ");
    return at == std::string::npos ? text : text.substr(at + 3);
  }
  std::shared_ptr<naming::Var<naming::Addr>> var() const {
    return lookup_.tree.leaf.bound ? lookup_.tree.leaf.bound->addr : nullptr;
  }
  int finds() const { return finds_; }

 private:
  void Find() {
    finds_++;
    naming::Dependencies deps;
    lookup_ = namer_->Find(naming::Path({"#", "io.l5d.fs"}), path_, &deps);
    auto sources = deps.Take();
    std::vector<naming::Subscription> subscriptions;
    for (auto& source : sources) subscriptions.push_back(source->Subscribe([this] { Find(); }));
    // The old ones may go right here, in the middle of their telling.
    sources_.swap(sources);
    subscriptions_.swap(subscriptions);
  }

  naming::Namer* namer_;
  naming::Path path_;
  naming::Lookup lookup_;
  std::vector<std::shared_ptr<naming::Source>> sources_;
  std::vector<naming::Subscription> subscriptions_;
  int finds_ = 0;
};

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
