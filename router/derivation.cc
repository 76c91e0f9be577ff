#include "router/derivation.h"

#include <memory>
#include <utility>
#include <vector>

#include "naming/delegate_json.h"

namespace trestle::router {
namespace {

constexpr auto kPatience = std::chrono::seconds(2);

// Derives again after each change, until nothing is pending. It keeps itself alive through the
// timer's callback, which Finish clears.
class Waiting : public std::enable_shared_from_this<Waiting> {
 public:
  using Done = std::function<void(base::Result<naming::DelegateTree>)>;
  Waiting(net::EventLoop* loop, const naming::NamerSet* namers, naming::Dtab dtab,
          naming::Path path, Done done)
      : loop_(loop),
        namers_(namers),
        dtab_(std::move(dtab)),
        path_(std::move(path)),
        done_(std::move(done)) {}

  void Start(base::Duration patience) {
    self_ = shared_from_this();
    timer_ = std::make_unique<net::Timer>(loop_, [this] { Look(true); });
    timer_->Arm(patience);
    Look(false);
  }

 private:
  void Look(bool last) {
    if (!done_) return;
    looking_ = false;
    naming::Dependencies deps;
    auto tree = naming::Delegate(dtab_, path_, *namers_, &deps);
    auto sources = deps.Take();
    bool pending = !tree.ok() && tree.status().code() == base::Code::kTimeout;
    if (tree.ok()) {
      for (auto& addr : naming::PendingAddrs(*tree)) {
        pending = true;
        sources.push_back(addr);
      }
    }
    if (!pending || last) return Finish(std::move(tree));
    std::vector<naming::Subscription> subscriptions;
    for (auto& source : sources) {
      subscriptions.push_back(source->Subscribe([this] { LookSoon(); }));
    }
    subscriptions_.swap(subscriptions);
    sources_.swap(sources);
  }

  void LookSoon() {
    if (looking_) return;
    looking_ = true;
    loop_->Post([self = shared_from_this()] { self->Look(false); });
  }

  void Finish(base::Result<naming::DelegateTree> tree) {
    auto done = std::exchange(done_, nullptr);
    timer_->Cancel();
    done(std::move(tree));
    subscriptions_.clear();
    loop_->Post([self = std::move(self_)] {});  // not inside its own callback
  }

  net::EventLoop* loop_;
  const naming::NamerSet* namers_;
  naming::Dtab dtab_;
  naming::Path path_;
  Done done_;
  bool looking_ = false;
  std::unique_ptr<net::Timer> timer_;
  std::vector<std::shared_ptr<naming::Source>> sources_;
  std::vector<naming::Subscription> subscriptions_;
  std::shared_ptr<Waiting> self_;
};

}  // namespace

void Derive(net::EventLoop* loop, const naming::NamerSet* namers, naming::Dtab dtab,
            naming::Path path, base::Duration patience,
            std::function<void(base::Result<naming::DelegateTree>)> done) {
  std::make_shared<Waiting>(loop, namers, std::move(dtab), std::move(path), std::move(done))
      ->Start(patience);
}

void AnswerDelegate(net::EventLoop* loop, const naming::NamerSet* namers, naming::Dtab dtab,
                    naming::Path path, std::function<void(net::HttpReply)> answer) {
  Derive(loop, namers, std::move(dtab), std::move(path), kPatience,
         [answer = std::move(answer)](base::Result<naming::DelegateTree> tree) {
           if (!tree.ok()) {
             int status = tree.status().code() == base::Code::kTimeout ? 503 : 500;
             return answer(net::HttpReply::Text(status, tree.status().message()));
           }
           answer(net::HttpReply::Json(200, naming::DelegateJson(*tree)));
         });
}

}  // namespace trestle::router
