#include "router/binding.h"

#include <algorithm>

#include "naming/shares.h"
#include "router/names.h"

namespace trestle::router {
namespace {

bool Good(const naming::Addr& addr) {
  return addr.kind == naming::Addr::Kind::kBound || addr.kind == naming::Addr::Kind::kNeg;
}

std::string Why(const naming::BoundTree& tree, const naming::BindTrace& trace) {
  using Kind = naming::BoundTree::Kind;
  std::string tried = trace.Text();
  if (!tried.empty()) tried = " (tried " + tried + ")";
  if (tree.is(Kind::kFail)) return "the dtab says ! (fail)" + tried;
  if (tree.is(Kind::kEmpty)) return "the dtab says $ (empty)" + tried;
  return "no entry of the dtab leads anywhere" + tried;
}

}  // namespace

Destination::Destination(std::string shown, std::shared_ptr<naming::Var<naming::Addr>> addr)
    : shown_(std::move(shown)),
      addr_(std::move(addr)),
      now_(std::make_shared<naming::Addr>(addr_->Get())),
      changed_(addr_->Subscribe([this] { OnChange(); })) {}

void Destination::OnChange() {
  now_ = std::make_shared<naming::Addr>(addr_->Get());
  std::set<NameListener*> told;
  for (Binding* user : users_) user->OnAddr(*this, &told);
  for (NameListener* listener : told) listener->OnAddr(shown_, now_);
}

class Binding::Leaf {
 public:
  Leaf(Binding* binding, std::shared_ptr<Destination> to, std::shared_ptr<const naming::Addr> addr)
      : last(std::move(addr)), to_(std::move(to)), binding_(binding) {
    to_->Add(binding_);
  }
  ~Leaf() { to_->Remove(binding_); }
  Leaf(const Leaf&) = delete;
  Leaf& operator=(const Leaf&) = delete;

  const Destination& to() const { return *to_; }
  std::shared_ptr<const naming::Addr> last;  // the last good one, once there was one

 private:
  std::shared_ptr<Destination> to_;
  Binding* binding_;
};

Binding::Binding(Names* names, naming::Path path, naming::Dtab local)
    : names_(names), path_(std::move(path)), local_(std::move(local)) {}

Binding::~Binding() = default;

void Binding::Add(std::shared_ptr<NameListener> listener, uint64_t token) {
  NameListener* fresh = listener.get();
  listeners_.emplace_back(std::move(listener), token);
  if (stale_) Refresh();
  if (bound_) fresh->OnBound(token, bound_);
}

void Binding::Remove(NameListener* listener, uint64_t token) {
  std::erase_if(listeners_,
                [=](const auto& l) { return l.first.get() == listener && l.second == token; });
}

void Binding::Bind() {
  dirty_ = false;
  const Namers namers = names_->namers();
  naming::Dependencies deps;
  naming::BindTrace trace;
  naming::BindResult result = naming::Bind(dtab_, path_, *namers, &deps, &trace);
  Follow(deps.Take(), namers);
  if (result.state == naming::BindResult::State::kPending) return;
  if (result.state == naming::BindResult::State::kFailed) {
    if (bound_ && !bound_->negative()) return;  // the last good value stays
    return Refuse(base::Code::kUnavailable, result.error);
  }
  SetTree(result.tree, trace);
  leaves_of_ = namers;
}

void Binding::Follow(std::vector<std::shared_ptr<naming::Source>> sources, const Namers& namers) {
  std::sort(sources.begin(), sources.end());
  sources.erase(std::unique(sources.begin(), sources.end()), sources.end());
  std::vector<naming::Subscription> subscriptions;
  subscriptions.reserve(sources.size());
  for (const auto& source : sources) {
    subscriptions.push_back(source->Subscribe([this] { BindSoon(); }));
  }
  // The new ones first, so that what both hang on is never let go of.
  subscriptions_ = std::move(subscriptions);
  sources_ = std::move(sources);
  sources_of_ = namers;
}

void Binding::BindSoon() {
  if (dirty_) return;
  dirty_ = true;
  names_->loop()->Post([weak = weak_from_this()] {
    auto self = weak.lock();
    if (!self || !self->dirty_) return;
    self->names_->rebinds()->Add();
    self->Bind();
  });
}

void Binding::SetTree(const naming::BoundTree& tree, const naming::BindTrace& trace) {
  auto bound = std::make_shared<Bound>();
  std::vector<std::unique_ptr<Leaf>> leaves;
  double upto = 0;
  std::vector<naming::Share> shares = naming::Shares(tree);
  if (!local_.empty() && shares.size() > kMaxLocalLeaves) {
    return Refuse(base::Code::kInvalid, "a dtab of one request may lead to at most " +
                                            std::to_string(kMaxLocalLeaves) + " destinations");
  }
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

void Binding::Refuse(base::Code code, std::string why) {
  auto refused = std::make_shared<Bound>();
  refused->code = code;
  refused->why = std::move(why);
  leaves_.clear();
  leaves_of_.reset();
  Tell(std::move(refused));
}

int Binding::AddLeaf(const naming::BoundName& name, Bound* bound,
                     std::vector<std::unique_ptr<Leaf>>* leaves) {
  const std::string residual = name.residual.empty() ? "" : name.residual.Show();
  for (size_t i = 0; i < leaves->size(); i++) {
    const Bound::Leaf& known = bound->leaves[i];
    if (known.id == name.id && known.residual == residual) return static_cast<int>(i);
  }
  std::shared_ptr<Destination> to = names_->Find(name);
  auto last = LastGood(*to);
  bound->leaves.push_back({name.id, to->shown(), residual, last});
  leaves->push_back(std::make_unique<Leaf>(this, std::move(to), std::move(last)));
  return static_cast<int>(leaves->size()) - 1;
}

// What is known now, unless it says nothing and what was known before this binding does.
std::shared_ptr<const naming::Addr> Binding::LastGood(const Destination& of) const {
  if (!Good(*of.now())) {
    for (const auto& old : leaves_) {
      if (old->to().shown() == of.shown() && Good(*old->last)) return old->last;
    }
  }
  return of.now();
}

void Binding::OnAddr(const Destination& of, std::set<NameListener*>* told) {
  for (auto& leaf : leaves_) {
    if (&leaf->to() != &of || (!Good(*of.now()) && Good(*leaf->last))) continue;
    leaf->last = of.now();
    stale_ = true;
    for (auto& [listener, token] : listeners_) told->insert(listener.get());
  }
}

// Brings the addresses in bound_ up to date, for a listener that comes late.
void Binding::Refresh() {
  auto fresh = std::make_shared<Bound>(*bound_);
  for (size_t i = 0; i < leaves_.size(); i++) fresh->leaves[i].addr = leaves_[i]->last;
  bound_ = std::move(fresh);
  stale_ = false;
}

void Binding::Tell(std::shared_ptr<const Bound> bound) {
  bound_ = std::move(bound);
  stale_ = false;
  for (auto& [listener, token] : listeners_) listener->OnBound(token, bound_);
}

}  // namespace trestle::router
