// Derivations: where names lead, step by step, for /delegator.json and `trestle explain`: the same
// lookup and the same namers as the calls'.
//
// Lifetime: destroying it forgets what was not answered yet. Threading: the control loop. Errors:
// in the answer.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "base/status.h"
#include "naming/delegate.h"
#include "naming/dtab.h"
#include "naming/namer.h"
#include "naming/path.h"
#include "net/event_loop.h"
#include "net/http_server.h"

namespace trestle::router {

class Derivations {
 public:
  using Namers = std::shared_ptr<const naming::NamerSet>;
  using Done = std::function<void(base::Result<naming::DelegateTree>)>;
  explicit Derivations(net::EventLoop* loop);
  ~Derivations();

  // Answers once every namer and address on the way has, or `patience` is over (then with what is
  // known; kTimeout if a namer is silent). Perhaps at once.
  void Derive(Namers namers, naming::Dtab dtab, naming::Path path, base::Duration patience,
              Done done);
  // The same as the answer of /delegator.json.
  void Answer(Namers namers, naming::Dtab dtab, naming::Path path,
              std::function<void(net::HttpReply)> answer);
  size_t waiting() const { return waiting_.size(); }

 private:
  class Waiting;
  net::EventLoop* loop_;
  std::set<std::shared_ptr<Waiting>> waiting_;
};

}  // namespace trestle::router
