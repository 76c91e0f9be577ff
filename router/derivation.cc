#include "router/derivation.h"

#include <utility>
#include <vector>

#include "naming/delegate_json.h"

namespace trestle::router {
namespace {

constexpr auto kPatience = std::chrono::seconds(2);

}  // namespace

// Derives again after each change, until nothing is pending.
class Derivations::Waiting : public std::enable_shared_from_this<Waiting> {
 public:
  Waiting(Derivations* all, Namers namers, naming::Dtab dtab, naming::Path path, Done done)
      : all_(all),
        namers_(std::move(namers)),
        dtab_(std::move(dtab)),
        path_(std::move(path)),
        done_(std::move(done)),
        timer_(all->loop_, [this] { Look(true); }) {}

  void Start(base::Duration patience) {
    timer_.Arm(patience);
    Look(false);
  }

 private:
  void Look(bool last) {
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
    subscriptions.reserve(sources.size());
    for (auto& source : sources) {
      subscriptions.push_back(source->Subscribe([this] { LookSoon(); }));
    }
    subscriptions_.swap(subscriptions);
    sources_.swap(sources);
  }

  void LookSoon() {
    if (looking_) return;
    looking_ = true;
    all_->loop_->Post([weak = weak_from_this()] {
      if (auto self = weak.lock(); self && self->done_) self->Look(false);
    });
  }

  void Finish(base::Result<naming::DelegateTree> tree) {
    auto self = shared_from_this();
    auto done = std::exchange(done_, nullptr);
    timer_.Cancel();
    subscriptions_.clear();
    // Not inside its own callback.
    all_->loop_->DeleteLater(std::make_unique<std::shared_ptr<Waiting>>(self));
    all_->waiting_.erase(self);
    done(std::move(tree));
  }

  Derivations* all_;
  Namers namers_;
  naming::Dtab dtab_;
  naming::Path path_;
  Done done_;
  bool looking_ = false;
  net::Timer timer_;
  std::vector<std::shared_ptr<naming::Source>> sources_;
  std::vector<naming::Subscription> subscriptions_;
};

Derivations::Derivations(net::EventLoop* loop) : loop_(loop) {}

Derivations::~Derivations() = default;

void Derivations::Derive(Namers namers, naming::Dtab dtab, naming::Path path,
                         base::Duration patience, Done done) {
  loop_->AssertInLoop();
  auto waiting = std::make_shared<Waiting>(this, std::move(namers), std::move(dtab),
                                           std::move(path), std::move(done));
  waiting_.insert(waiting);
  waiting->Start(patience);
}

void Derivations::Answer(Namers namers, naming::Dtab dtab, naming::Path path,
                         std::function<void(net::HttpReply)> answer) {
  Derive(std::move(namers), std::move(dtab), std::move(path), kPatience,
         [answer = std::move(answer)](base::Result<naming::DelegateTree> tree) {
           if (!tree.ok()) {
             int status = tree.status().code() == base::Code::kTimeout ? 503 : 500;
             return answer(net::HttpReply::Text(status, tree.status().message()));
           }
           answer(net::HttpReply::Json(200, naming::DelegateJson(*tree)));
         });
}

}  // namespace trestle::router
