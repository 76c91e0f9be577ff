// FsDir: a directory under rootDir on which names hang that lead nowhere: it changes when an entry
// comes that could make one of them lead somewhere. All such names share it, however many they are.
//
// Lifetime: held by shared_ptr; the last pointer takes its watches along. Threading: the control
// loop. Errors: see end().
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "namers/trail.h"
#include "naming/var.h"
#include "net/event_loop.h"

namespace trestle::namers {

class FsDir final : public naming::Source,
                    public std::enable_shared_from_this<FsDir>,
                    private net::TurnEnd {
 public:
  FsDir(net::EventLoop* loop, net::FileWatch* watch, const std::string& root,
        const std::vector<std::string>& labels);

  // To be called once. What is looked at on the disk afterwards cannot be missed.
  void Open();
  const Trail::End& end() const { return trail_.end(); }

 private:
  void Listen();
  void OnEntry(const net::FileWatch::Event& event);
  void OnTurnEnd() override;

  net::EventLoop* loop_;
  net::FileWatch* watch_;
  Trail trail_;
  std::unique_ptr<net::FileWatch::Handle> entries_;
  net::Timer created_;
};

}  // namespace trestle::namers
