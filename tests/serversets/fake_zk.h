// FakeZk: a ZooKeeper in memory, with as many clients as are made, for tests that decide when a
// connection is lost, a session expires, and answers come.
//
// Lifetime: outlives its clients. Threading: one loop. Errors: those of ZkAnswer.
#pragma once

#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "net/event_loop.h"
#include "serversets/zk_client.h"

namespace trestle::serversets {

class FakeZk {
 public:
  explicit FakeZk(net::EventLoop* loop) : loop_(loop) {}

  ZkConnect connect();

  // --- what somebody writes ---
  void Put(const std::string& path, const std::string& data = "") {
    for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
      Make(path.substr(0, at), "");
    }
    if (Make(path, data)) return;
    nodes_[path] = data;
    FireData(path, ZkClient::Event::kData);
  }
  void Remove(const std::string& path) {
    nodes_.erase(path);
    owners_.erase(path);
    FireData(path, ZkClient::Event::kDeleted);
    FireChildren(path, ZkClient::Event::kDeleted);
    Changed(Parent(path));
  }
  // The children of a path, then itself.
  void RemoveAll(const std::string& path) {
    for (const std::string& child : Children(path)) Remove(path + "/" + child);
    Remove(path);
  }

  // --- what happens ---
  void Lose();
  void Return();
  void Opened();  // after `opening`
  // The session is over, and with it its watches and what it made for its time.
  void Expire();
  // The members of a set with their data: "member_0000000000 {…}"; " BY SESSION" behind it.
  std::vector<std::string> Members(const std::string& set) const {
    std::vector<std::string> all;
    for (const std::string& name : Children(set)) {
      const std::string path = set + "/" + name;
      const auto owner = owners_.find(path);
      const std::string by = owner == owners_.end() ? "" : " by " + std::to_string(owner->second);
      all.push_back(name + " " + nodes_.at(path) + by);
    }
    return all;
  }
  bool Has(const std::string& path) const { return Exists(path); }
  // That the server has: none while it is away. The clients set theirs again when it is back.
  size_t watches() const;

  bool up = true;
  bool opening = false;  // the clients look their hosts up
  bool silent = false;   // questions are kept, and answered by Answer()
  void Answer() {
    silent = false;
    for (auto& answer : std::exchange(kept_, {})) answer();
  }
  std::set<std::string> denied;
  int lose = 0;          // so many answers are lost, though what was asked is done
  int lose_unwatch = 0;  // so many of those to an Unwatch are: the watch stays
  int unwatches = 0;     // that were asked for while it was up
  int made = 0;
  int reads = 0;
  int creates = 0;  // that were done
  size_t most_asked = 0;

 private:
  class Client;
  using Watches = std::set<std::string>;

  static std::string Parent(const std::string& path) {
    const size_t at = path.rfind('/');
    return at == 0 ? "/" : path.substr(0, at);
  }
  std::vector<std::string> Children(const std::string& path) const {
    const std::string prefix = path == "/" ? "/" : path + "/";
    std::vector<std::string> names;
    for (const auto& [node, data] : nodes_) {
      if (node.size() > prefix.size() && node.starts_with(prefix) &&
          node.find('/', prefix.size()) == std::string::npos) {
        names.push_back(node.substr(prefix.size()));
      }
    }
    return names;
  }
  bool Make(const std::string& path, const std::string& data) {
    if (!nodes_.insert({path, data}).second) return false;
    Changed(Parent(path));
    return true;
  }
  void Changed(const std::string& parent) {
    changes_[parent]++;
    FireChildren(parent, ZkClient::Event::kChildren);
  }
  void FireChildren(const std::string& path, ZkClient::Event event);
  void FireData(const std::string& path, ZkClient::Event event);
  bool Exists(const std::string& path) const { return path == "/" || nodes_.contains(path); }

  net::EventLoop* loop_;
  std::map<std::string, std::string> nodes_;
  std::map<std::string, int64_t> changes_;
  std::map<std::string, int64_t> owners_;  // sessions of those that go with them
  std::vector<std::function<void()>> kept_;

 public:
  std::vector<Client*> clients;
};

class FakeZk::Client final : public ZkClient {
 public:
  Client(FakeZk* zk, Owner* owner) : zk_(zk), owner_(owner), session_(zk->made + 1) {}
  ~Client() override { std::erase(zk_->clients, this); }

  void Say(State state, const std::string& why = "") {
    Post([this, state, why] { owner_->OnState(state, why); });
  }
  void Tell(Event event, const std::string& path) {
    Post([this, event, path] { owner_->OnEvent(event, path); });
  }
  void Children(const std::string& path, Call call) override {
    AskChildren(path, true, std::move(call));
  }
  void ChildrenOnce(const std::string& path, Call call) override {
    AskChildren(path, false, std::move(call));
  }
  void Data(const std::string& path, Call call) override { AskData(path, true, std::move(call)); }
  void DataOnce(const std::string& path, Call call) override {
    AskData(path, false, std::move(call));
  }
  void UnwatchChildren(const std::string& path, Call call) override {
    Unwatch(&child_watches, path, std::move(call));
  }
  void UnwatchData(const std::string& path, Call call) override {
    Unwatch(&data_watches, path, std::move(call));
  }
  void Create(const std::string& path, const std::string& data, bool numbered, Call call) override {
    Ask(std::move(call), path, Parent(path), [this, path, data, numbered] {
      ZkAnswer answer;
      answer.data = path;
      if (numbered) {
        char number[16];
        std::snprintf(number, sizeof number, "%010d",
                      static_cast<int>(zk_->changes_[Parent(path)]));
        answer.data += number;
      }
      if (!zk_->Make(answer.data, data)) {
        return ZkAnswer{ZkAnswer::Code::kNodeExists, "node exists", {}, {}, 0, 0};
      }
      zk_->creates++;
      if (numbered) zk_->owners_[answer.data] = session_;
      return answer;
    });
  }
  void Delete(const std::string& path, Call call) override {
    Ask(std::move(call), path, path, [this, path] {
      zk_->Remove(path);
      return ZkAnswer{};
    });
  }
  int64_t session() const override { return session_; }

  Watches child_watches, data_watches;

 private:
  void Unwatch(Watches* watches, const std::string& path, Call call) {
    ZkAnswer given;
    zk_->unwatches += zk_->up;
    if (!zk_->up || zk_->lose_unwatch > 0) {
      zk_->lose_unwatch -= zk_->up;
      given = {ZkAnswer::Code::kLost, "connection loss", {}, {}, 0, 0};
    } else {
      watches->erase(path);
    }
    Post([call = std::move(call), given] { call(given); });
  }
  void AskChildren(const std::string& path, bool watch, Call call) {
    Ask(std::move(call), path, path, [this, path, watch] {
      ZkAnswer answer;
      answer.children = zk_->Children(path);
      answer.changes = zk_->changes_[path];
      if (watch) child_watches.insert(path);
      return answer;
    });
  }
  void AskData(const std::string& path, bool watch, Call call) {
    Ask(std::move(call), path, path, [this, path, watch] {
      ZkAnswer answer;
      answer.data = zk_->nodes_[path];
      if (const auto owner = zk_->owners_.find(path); owner != zk_->owners_.end()) {
        answer.owner = owner->second;
      }
      if (watch) data_watches.insert(path);
      return answer;
    });
  }
  void Post(std::function<void()> work) {
    zk_->loop_->Post([alive = std::weak_ptr<bool>(alive_), work = std::move(work)] {
      if (alive.lock()) work();
    });
  }
  // `needed`: the znode that must be there.
  void Ask(Call call, const std::string& path, const std::string& needed,
           std::function<ZkAnswer()> read) {
    zk_->reads++;
    zk_->most_asked = std::max(zk_->most_asked, ++asked_);
    auto answer = [this, alive = std::weak_ptr<bool>(alive_), call = std::move(call), path, needed,
                   read = std::move(read)] {
      if (!alive.lock()) return;
      ZkAnswer given;
      if (!zk_->up) {
        given = {ZkAnswer::Code::kLost, "connection loss", {}, {}, 0, 0};
      } else if (zk_->denied.contains(path)) {
        given = {ZkAnswer::Code::kDenied, "not authenticated", {}, {}, 0, 0};
      } else if (!zk_->Exists(needed)) {
        given = {ZkAnswer::Code::kNoNode, "no node", {}, {}, 0, 0};
      } else {
        given = read();
        if (zk_->lose > 0) {
          zk_->lose--;
          given = {ZkAnswer::Code::kLost, "connection loss", {}, {}, 0, 0};
        }
      }
      Post([this, call, given] {
        --asked_;
        call(given);
      });
    };
    if (zk_->silent) {
      zk_->kept_.push_back(std::move(answer));
    } else {
      answer();
    }
  }

  FakeZk* zk_;
  Owner* owner_;
  const int64_t session_;
  size_t asked_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

inline ZkConnect FakeZk::connect() {
  return [this](ZkClient::Owner* owner) {
    auto client = std::make_unique<Client>(this, owner);
    clients.push_back(client.get());
    made++;
    if (opening) return client;
    client->Say(ZkClient::State::kOpened);
    if (up) client->Say(ZkClient::State::kConnected);
    return client;
  };
}

inline void FakeZk::Opened() {
  opening = false;
  for (Client* client : clients) {
    client->Say(ZkClient::State::kOpened);
    if (up) client->Say(ZkClient::State::kConnected);
  }
}

inline void FakeZk::Lose() {
  up = false;
  for (Client* client : clients)
    client->Say(ZkClient::State::kConnecting, "the connection was lost");
}

inline void FakeZk::Return() {
  up = true;
  for (Client* client : clients) client->Say(ZkClient::State::kConnected);
}

inline void FakeZk::Expire() {
  for (Client* client : clients) {
    client->child_watches.clear();
    client->data_watches.clear();
  }
  for (const auto& [path, session] : std::map(owners_)) {
    for (const Client* client : clients) {
      if (client->session() == session) Remove(path);
    }
  }
  for (Client* client : clients) client->Say(ZkClient::State::kOver, "the session expired");
}

inline size_t FakeZk::watches() const {
  size_t sum = 0;
  for (const Client* client : clients) {
    sum += client->child_watches.size() + client->data_watches.size();
  }
  return up ? sum : 0;
}

inline void FakeZk::FireChildren(const std::string& path, ZkClient::Event event) {
  for (Client* client : clients) {
    if (client->child_watches.erase(path) > 0) client->Tell(event, path);
  }
}

inline void FakeZk::FireData(const std::string& path, ZkClient::Event event) {
  for (Client* client : clients) {
    if (client->data_watches.erase(path) > 0) client->Tell(event, path);
  }
}

}  // namespace trestle::serversets
