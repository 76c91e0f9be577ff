#include "router/binder.h"

#include <algorithm>
#include <utility>

#include "conf/options.h"

namespace trestle::router {
namespace {

// Keys remembered for one name: names of methods, when only the service counts.
constexpr size_t kMaxKeysPerName = 1000;
constexpr size_t kMaxKeyBytesPerName = 64 * 1024;

}  // namespace

// Posts what the control loop says to the worker's loop. It outlives the Binder in what is posted.
class Binder::Ear final : public NameListener, public std::enable_shared_from_this<Ear> {
 public:
  Ear(net::EventLoop* loop, Binder* binder, Clients* clients)
      : loop_(loop), binder_(binder), clients_(clients) {}

  void OnBound(uint64_t token, std::shared_ptr<const Bound> bound) override {
    loop_->Post([self = shared_from_this(), token, bound = std::move(bound)]() mutable {
      if (self->binder_) self->binder_->OnBound(token, std::move(bound));
    });
  }
  void OnAddr(uint64_t, const std::string& id, std::shared_ptr<const naming::Addr> addr) override {
    loop_->Post([self = shared_from_this(), id, addr = std::move(addr)]() mutable {
      if (self->binder_) self->clients_->OnAddr(id, std::move(addr));
    });
  }
  void Close() { binder_ = nullptr; }

 private:
  net::EventLoop* loop_;
  Binder* binder_;
  Clients* clients_;
};

Binder::Binder(net::EventLoop* loop, Names* names, uint32_t router,
               const conf::RouterConfig& config, Clients* clients, base::Scope* router_scope,
               Route route)
    : loop_(loop),
      source_(names),
      router_(router),
      config_(config),
      clients_(clients),
      scope_(router_scope),
      route_(std::move(route)),
      identifier_(config.dst_prefix, config.thrift_method_in_dst),
      ear_(std::make_shared<Ear>(loop, this, clients)) {
  base::Scope* path = scope_->Child("bindcache")->Child("path");
  misses_ = path->counter("misses");
  evicts_ = path->counter("evicts");
  expires_ = path->counter("expires");
  local_misses_ = path->counter("oneshots");
}

Binder::~Binder() {
  // The control loop has ended, or will never see this listener again: what it posts finds it
  // closed.
  ear_->Close();
  for (auto& [key, name] : names_) {
    while (call::Call* call = name->waiting.Pop()) {
      call->holder = nullptr;
      call->Fail(call::Step::kBind, base::Status(base::Code::kInternal, "shutting down"));
    }
  }
}

base::Result<BoundNameEntry*> Binder::Find(const call::Call& call) {
  std::string_view key = identifier_.Key(call);
  auto it = by_key_.find(key);
  BoundNameEntry* name = nullptr;
  if (it != by_key_.end()) {
    name = it->second;
  } else {
    auto made = Make(call, key);
    if (!made.ok()) return made;
    name = *made;
  }
  ++name->in_use;
  name->last_used = loop_->Now();
  return name;
}

base::Result<BoundNameEntry*> Binder::Make(const call::Call& call, std::string_view key) {
  auto path = identifier_.Name(call);
  if (!path.ok()) return path.status();
  auto local = Identifier::LocalDtab(call);
  if (!local.ok()) return local.status();
  NameKey name_key{router_, path->Show(), Identifier::LocalText(call)};
  auto known = names_.find(name_key);
  if (known == names_.end()) {
    auto kind = local->empty() ? BoundNameEntry::Class::kPending : BoundNameEntry::Class::kLocal;
    (local->empty() ? misses_ : local_misses_)->Add();
    if (!MayAdd(kind)) {
      return base::Status(base::Code::kRefused,
                          name_key.path + ": too many names in use (bindingCache)");
    }
    auto name = std::make_unique<BoundNameEntry>();
    name->key = name_key;
    name->token = next_token_++;
    name->shown = name_key.path;
    name->kind = kind;
    name->service = conf::ResolveService(config_.service, *path);
    BoundNameEntry* raw = name.get();
    name->timer = std::make_unique<net::Timer>(loop_, [this, raw] { OnWaitOver(raw); });
    ++counts_[static_cast<size_t>(kind)];
    local_bytes_ += name_key.local_dtab.size();
    by_token_[name->token] = raw;
    source_->Acquire(name_key, *path, *local, ear_.get(), name->token);
    known = names_.emplace(name_key, std::move(name)).first;
  }
  Remember(known->second.get(), key);
  return known->second.get();
}

void Binder::Remember(BoundNameEntry* name, std::string_view key) {
  bool full =
      name->keys.size() >= kMaxKeysPerName || name->key_bytes + key.size() > kMaxKeyBytesPerName;
  if (full && !name->keys.empty()) return;
  name->keys.emplace_back(key);
  name->key_bytes += key.size();
  by_key_.emplace(key, name);
}

uint32_t Binder::Max(BoundNameEntry::Class kind) const {
  const conf::BindingCacheConfig& c = config_.binding_cache;
  if (kind == BoundNameEntry::Class::kLocal) return c.local_dtabs;
  if (kind == BoundNameEntry::Class::kNegative) return c.negatives;
  // Path, tree and what they are bound to are one entry here: the least of the three bounds holds.
  return std::min({c.paths, c.trees, c.bounds});
}

// A name not yet known takes no place of those that lead somewhere, but there must be one for it.
bool Binder::MayAdd(BoundNameEntry::Class kind) {
  using Class = BoundNameEntry::Class;
  bool place = kind != Class::kPending ||
               counts_[static_cast<size_t>(Class::kPositive)] < Max(Class::kPositive) ||
               Oldest(Class::kPositive) != nullptr;
  while (kind == Class::kLocal && local_bytes_ >= kMaxLocalBytes) {
    if (!DropOldest(kind)) return false;
  }
  return place && MakeRoom(kind);
}

// Evicts the one of its kind that was not used for longest, when there are too many.
bool Binder::MakeRoom(BoundNameEntry::Class kind) {
  if (counts_[static_cast<size_t>(kind)] < Max(kind)) return true;
  return DropOldest(kind);
}

bool Binder::DropOldest(BoundNameEntry::Class kind) {
  BoundNameEntry* oldest = Oldest(kind);
  if (!oldest) return false;
  evicts_->Add();
  Drop(oldest);
  return true;
}

// Of those that nobody uses.
BoundNameEntry* Binder::Oldest(BoundNameEntry::Class kind) const {
  BoundNameEntry* oldest = nullptr;
  for (auto& [key, name] : names_) {
    if (name->kind != kind || name->in_use > 0) continue;
    if (!oldest || name->last_used < oldest->last_used) oldest = name.get();
  }
  return oldest;
}

void Binder::Drop(BoundNameEntry* name) {
  source_->Release(name->key, ear_.get(), name->token);
  for (const std::string& key : name->keys) by_key_.erase(key);
  by_token_.erase(name->token);
  for (auto& leaf : name->leaves) {
    if (leaf.client) clients_->Unuse(leaf.client);
  }
  --counts_[static_cast<size_t>(name->kind)];
  local_bytes_ -= name->key.local_dtab.size();
  auto it = names_.find(name->key);
  loop_->DeleteLater(std::move(it->second));
  names_.erase(it);
}

void Binder::Unuse(BoundNameEntry* name) {
  --name->in_use;
  // It may have come to the others of its kind when all of them were in use.
  if (name->in_use == 0 && counts_[static_cast<size_t>(name->kind)] > Max(name->kind)) {
    MakeRoom(name->kind);
  }
}

void Binder::Await(call::Call* call, BoundNameEntry* name) {
  call->holder = this;
  call->step = call::Step::kBind;
  call->request.Compact();
  name->waiting.Push(call);
  if (!name->timer->armed()) name->timer->ArmAt(call->bind_deadline);
}

void Binder::OnCancel(call::Call* call) {
  static_cast<BoundNameEntry*>(call->name)->waiting.Remove(call);
}

void Binder::OnWaitOver(BoundNameEntry* name) {
  while (!name->waiting.empty() && name->waiting.front()->bind_deadline <= loop_->Now()) {
    call::Call* call = name->waiting.Pop();
    call->holder = nullptr;
    call->Fail(call::Step::kBind, base::Status(base::Code::kTimeout,
                                               "not resolved within " +
                                                   std::to_string(config_.binding_timeout.count()) +
                                                   " ms (bindingTimeoutMs)"));
  }
  if (!name->waiting.empty()) name->timer->ArmAt(name->waiting.front()->bind_deadline);
}

void Binder::OnBound(uint64_t token, std::shared_ptr<const Bound> bound) {
  auto it = by_token_.find(token);
  if (it == by_token_.end()) return;  // dropped meanwhile
  BoundNameEntry* name = it->second;
  SetBound(name, std::move(bound));
  name->timer->Cancel();
  // One by one out of the queue in which OnCancel looks; no new ones come now that it is bound.
  while (call::Call* call = name->waiting.Pop()) {
    call->holder = nullptr;
    route_(call, name);
  }
}

// Idle names give way for the client of one that is wanted, those of single requests first.
ClientEntry* Binder::UseClient(const Bound::Leaf& leaf, BoundNameEntry::Class kind) {
  for (;;) {
    if (ClientEntry* client = clients_->Use(leaf)) return client;
    if (DropOldest(BoundNameEntry::Class::kLocal)) continue;
    // The name of a request takes nothing from the rest.
    bool may = kind != BoundNameEntry::Class::kLocal;
    if (!may || !DropOldest(BoundNameEntry::Class::kPositive)) return nullptr;
  }
}

void Binder::SetBound(BoundNameEntry* name, std::shared_ptr<const Bound> bound) {
  if (!bound->negative() && !name->metrics) {
    name->metrics = std::make_unique<call::CallMetrics>(
        scope_->Labelled("service", std::string_view(name->shown).substr(1)));
  }
  std::vector<BoundNameEntry::Leaf> leaves;
  ++name->in_use;  // it must not give way for its own client
  for (const Bound::Leaf& leaf : bound->leaves) {
    ClientEntry* client = UseClient(leaf, name->kind);
    leaves.push_back({client, client ? client->ForService(name->shown) : nullptr});
  }
  --name->in_use;
  // Calls in flight know their client, not their leaf, so the old leaves may go.
  for (auto& old : name->leaves) {
    if (old.client) clients_->Unuse(old.client);
  }
  name->leaves = std::move(leaves);
  name->bound = std::move(bound);
  if (name->kind == BoundNameEntry::Class::kLocal) return;
  SetClass(name, name->bound->negative() ? BoundNameEntry::Class::kNegative
                                         : BoundNameEntry::Class::kPositive);
}

void Binder::SetClass(BoundNameEntry* name, BoundNameEntry::Class kind) {
  if (name->kind == kind) return;
  --counts_[static_cast<size_t>(name->kind)];
  name->kind = kind;
  ++counts_[static_cast<size_t>(kind)];
  if (counts_[static_cast<size_t>(kind)] > Max(kind)) MakeRoom(kind);
}

void Binder::Sweep() {
  std::vector<BoundNameEntry*> old;
  for (auto& [key, name] : names_) {
    bool idle =
        name->in_use == 0 && loop_->Now() - name->last_used >= config_.binding_cache.idle_ttl;
    if (idle) old.push_back(name.get());
  }
  for (BoundNameEntry* name : old) {
    expires_->Add();
    Drop(name);
  }
}

}  // namespace trestle::router
