#include "router/names.h"

#include <algorithm>
#include <set>
#include <utility>

#include "naming/shares.h"

namespace trestle::router {

// One name, bound; what its answer hangs on is held and listened to.
class Names::Binding : public std::enable_shared_from_this<Names::Binding> {
 public:
  Binding(Names* names, naming::Path path, naming::Dtab dtab, size_t max_leaves)
      : names_(names), path_(std::move(path)), dtab_(std::move(dtab)), max_leaves_(max_leaves) {}

  void Add(NameListener* listener, uint64_t token) {
    listeners_.emplace_back(listener, token);
    if (stale_) Refresh();
    if (bound_) listener->OnBound(token, bound_);
  }
  void Remove(NameListener* listener, uint64_t token) {
    std::erase(listeners_, std::make_pair(listener, token));
  }
  bool unused() const { return listeners_.empty(); }

  void Bind() {
    dirty_ = false;
    naming::Dependencies deps;
    naming::BindTrace trace;
    naming::BindResult result = naming::Bind(dtab_, path_, names_->namers(), &deps, &trace);
    Follow(deps.Take());
    if (result.state == naming::BindResult::State::kPending) return;
    if (result.state == naming::BindResult::State::kFailed) {
      if (bound_ && !bound_->negative()) return;  // the last good value stays
      auto failed = std::make_shared<Bound>();
      failed->code = base::Code::kUnavailable;
      failed->why = result.error;
      leaves_.clear();
      return Tell(std::move(failed));
    }
    SetTree(result.tree, trace);
  }

 private:
  struct Leaf {
    std::string shown;
    std::shared_ptr<naming::Var<naming::Addr>> addr;
    naming::Subscription changed;
    std::shared_ptr<const naming::Addr> last;
  };

  void Follow(std::vector<std::shared_ptr<naming::Source>> sources) {
    std::sort(sources.begin(), sources.end());
    sources.erase(std::unique(sources.begin(), sources.end()), sources.end());
    std::vector<naming::Subscription> subscriptions;
    subscriptions.reserve(sources.size());
    for (const auto& source : sources) {
      subscriptions.push_back(source->Subscribe([this] { Dirty(); }));
    }
    // The new ones first, so that what both hang on is never let go of.
    subscriptions_.swap(subscriptions);
    sources_.swap(sources);
  }

  // Many changes of one turn are one new binding.
  void Dirty() {
    if (dirty_) return;
    dirty_ = true;
    names_->loop_->Post([weak = weak_from_this()] {
      auto self = weak.lock();
      if (!self || !self->dirty_) return;
      self->names_->rebinds_->Add();
      self->Bind();
    });
  }

  void SetTree(const naming::BoundTree& tree, const naming::BindTrace& trace) {
    auto bound = std::make_shared<Bound>();
    std::vector<std::unique_ptr<Leaf>> leaves;
    double upto = 0;
    std::vector<naming::Share> shares = naming::Shares(tree);
    if (shares.size() > max_leaves_) return TooMany();
    for (const naming::Share& share : shares) {
      upto += share.p;
      int at = -1;
      if (share.leaf) at = AddLeaf(*share.leaf, bound.get(), &leaves);
      bound->shares.push_back({upto, at});
    }
    if (!bound->shares.empty()) bound->shares.back().upto = 1;
    bound->why = Why(tree, trace);
    leaves_ = std::move(leaves);
    Tell(std::move(bound));
  }

  void TooMany() {
    auto refused = std::make_shared<Bound>();
    refused->code = base::Code::kRefused;
    refused->why = "a dtab of one request may lead to at most " + std::to_string(max_leaves_) +
                   " destinations";
    leaves_.clear();
    Tell(std::move(refused));
  }

  int AddLeaf(const naming::BoundName& name, Bound* bound,
              std::vector<std::unique_ptr<Leaf>>* leaves) {
    for (size_t i = 0; i < leaves->size(); i++) {
      if (bound->leaves[i].id == name.id) return static_cast<int>(i);
    }
    auto leaf = std::make_unique<Leaf>();
    leaf->shown = name.id.Show();
    leaf->addr = name.addr;
    leaf->last = LastGood(leaf->shown, name.addr->Get());
    Leaf* raw = leaf.get();
    leaf->changed = leaf->addr->Subscribe([this, raw] { OnAddr(raw); });
    bound->leaves.push_back({name.id, leaf->shown, leaf->last});
    leaves->push_back(std::move(leaf));
    return static_cast<int>(leaves->size()) - 1;
  }

  static bool Good(const naming::Addr& addr) {
    return addr.kind == naming::Addr::Kind::kBound || addr.kind == naming::Addr::Kind::kNeg;
  }

  // `now`, unless it says nothing and what the leaf had before this binding does.
  std::shared_ptr<const naming::Addr> LastGood(const std::string& shown, const naming::Addr& now) {
    if (!Good(now)) {
      for (const auto& old : leaves_) {
        if (old->shown == shown && Good(*old->last)) return old->last;
      }
    }
    return std::make_shared<naming::Addr>(now);
  }

  // Brings the addresses in bound_ up to date, for a listener that comes late.
  void Refresh() {
    auto fresh = std::make_shared<Bound>(*bound_);
    for (size_t i = 0; i < leaves_.size(); i++) fresh->leaves[i].addr = leaves_[i]->last;
    bound_ = std::move(fresh);
    stale_ = false;
  }

  void OnAddr(Leaf* leaf) {
    const naming::Addr& now = leaf->addr->Get();
    if (!Good(now) && Good(*leaf->last)) return;
    leaf->last = std::make_shared<naming::Addr>(now);
    stale_ = true;
    auto addr = leaf->last;
    std::string id = leaf->shown;
    auto listeners = listeners_;
    for (auto& [listener, token] : listeners) listener->OnAddr(token, id, addr);
  }

  std::string Why(const naming::BoundTree& tree, const naming::BindTrace& trace) const {
    using Kind = naming::BoundTree::Kind;
    std::string tried = trace.Text();
    if (!tried.empty()) tried = " (tried " + tried + ")";
    if (tree.is(Kind::kFail)) return "the dtab says ! (fail)" + tried;
    if (tree.is(Kind::kEmpty)) return "the dtab says $ (empty)" + tried;
    return "no entry of the dtab leads anywhere" + tried;
  }

  void Tell(std::shared_ptr<const Bound> bound) {
    bound_ = std::move(bound);
    stale_ = false;
    auto listeners = listeners_;
    for (auto& [listener, token] : listeners) listener->OnBound(token, bound_);
  }

  Names* names_;
  naming::Path path_;
  naming::Dtab dtab_;
  size_t max_leaves_;
  bool dirty_ = false;
  std::vector<std::shared_ptr<naming::Source>> sources_;
  std::vector<naming::Subscription> subscriptions_;
  std::vector<std::unique_ptr<Leaf>> leaves_;
  std::shared_ptr<const Bound> bound_;  // its leaves are as leaves_
  bool stale_ = false;                  // an address changed since bound_ was made
  std::vector<std::pair<NameListener*, uint64_t>> listeners_;
};

Names::Names(net::EventLoop* loop, const naming::NamerSet* namers,
             std::vector<naming::Dtab> base_dtabs, base::Scope* scope)
    : loop_(loop),
      namers_(namers),
      base_dtabs_(std::move(base_dtabs)),
      count_(scope->gauge("bindings")),
      rebinds_(scope->counter("rebinds")) {}

Names::~Names() = default;

void Names::Acquire(NameKey key, naming::Path path, naming::Dtab local, NameListener* listener,
                    uint64_t token) {
  loop_->Post([this, key = std::move(key), path = std::move(path), local = std::move(local),
               listener, token] {
    std::shared_ptr<Binding>& binding = bindings_[key];
    if (!binding) {
      binding = std::make_shared<Binding>(this, path, base_dtabs_[key.router] + local,
                                          local.empty() ? SIZE_MAX : kMaxLocalLeaves);
      binding->Bind();
      count_->Set(static_cast<int64_t>(bindings_.size()));
    }
    binding->Add(listener, token);
  });
}

void Names::Release(NameKey key, NameListener* listener, uint64_t token) {
  loop_->Post([this, key = std::move(key), listener, token] {
    auto it = bindings_.find(key);
    if (it == bindings_.end()) return;
    it->second->Remove(listener, token);
    if (!it->second->unused()) return;
    bindings_.erase(it);
    count_->Set(static_cast<int64_t>(bindings_.size()));
  });
}

}  // namespace trestle::router
