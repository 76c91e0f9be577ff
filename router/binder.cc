#include "router/binder.h"

#include <algorithm>
#include <utility>

#include "conf/options.h"

namespace trestle::router {
namespace {

// Keys remembered for one name: names of methods, when only the service counts.
constexpr size_t kMaxKeysPerName = 1000;
constexpr size_t kMaxKeyBytesPerName = 64 * 1024;

Identifier IdentifierOf(const conf::RouterConfig& config) {
  using Mux = Identifier::Mux;
  const Mux mux = config.protocol == conf::RouterProtocol::kMux ? Mux::kDst
                  : config.thrift_mux_dst_in_name               ? Mux::kMessageAndDst
                                                                : Mux::kMessage;
  return Identifier(config.dst_prefix, config.thrift_method_in_dst, mux);
}

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
  void OnAddr(const std::string& id, std::shared_ptr<const naming::Addr> addr) override {
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

Binder::Binder(net::EventLoop* loop, Names* names, uint32_t router, RouterPart config,
               Clients* clients, base::Scope* router_scope, Route route)
    : loop_(loop),
      source_(names),
      router_(router),
      config_(std::move(config)),
      clients_(clients),
      scope_(router_scope),
      route_(std::move(route)),
      identifier_(IdentifierOf(*config_.router)),
      ear_(std::make_shared<Ear>(loop, this, clients)) {
  base::Scope* path = scope_->Child("bindcache")->Child("path");
  misses_ = path->counter("misses");
  evicts_ = path->counter("evicts");
  expires_ = path->counter("expires");
  local_misses_ = path->counter("oneshots");
}

Binder::~Binder() {
  // What is still posted here finds nobody.
  ear_->Close();
  for (auto& [key, name] : names_) {
    source_->Release(key, ear_, name->token);
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
  if (name->in_use++ == 0) Unused(name->kind).Remove(name);
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
    if (base::Status may = MayAdd(kind); !may.ok()) {
      return base::Status(may.code(), name_key.path + ": " + may.message());
    }
    auto name = std::make_unique<BoundNameEntry>();
    name->key = name_key;
    name->token = next_token_++;
    name->shown = name_key.path;
    name->kind = kind;
    name->service = conf::ResolveService(config().service, *path);
    BoundNameEntry* raw = name.get();
    name->timer = std::make_unique<net::Timer>(loop_, [this, raw] { OnWaitOver(raw); });
    ++Count(kind);
    ++unbound_;
    local_bytes_ += name_key.local_dtab.size();
    by_token_[name->token] = raw;
    source_->Acquire(name_key, *path, *local, ear_, name->token);
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
  const conf::BindingCacheConfig& c = config().binding_cache;
  if (kind == BoundNameEntry::Class::kLocal) return c.local_dtabs;
  if (kind == BoundNameEntry::Class::kNegative) return c.negatives;
  // Path, tree and what they are bound to are one entry here: the least of the three bounds holds.
  return std::min({c.paths, c.trees, c.bounds});
}

// A name not yet known takes no place of those that lead somewhere, but there must be one for it.
base::Status Binder::MayAdd(BoundNameEntry::Class kind) {
  using Class = BoundNameEntry::Class;
  base::Status full(base::Code::kRefused, "too many names in use (bindingCache)");
  // A name of a request that is not bound is always in use.
  while (unbound_ >= config().binding_cache.pending) {
    if (DropOldest(Class::kPending)) continue;
    return {base::Code::kRefused, "too many names not bound yet (bindingCache.pending)"};
  }
  while (kind == Class::kLocal && local_bytes_ >= kMaxLocalBytes) {
    if (!DropOldest(kind)) return full;
  }
  bool place = kind != Class::kPending || Count(Class::kPositive) < Max(Class::kPositive) ||
               Unused(Class::kPositive).oldest();
  return place && MakeRoom(kind) ? base::Status::Ok() : full;
}

// Evicts the one of its kind that was not used for longest, when there are too many.
bool Binder::MakeRoom(BoundNameEntry::Class kind) {
  if (Count(kind) < Max(kind)) return true;
  return DropOldest(kind);
}

bool Binder::DropOldest(BoundNameEntry::Class kind) {
  BoundNameEntry* oldest = Unused(kind).oldest();
  // A name does not give way for its own client.
  if (oldest && oldest == settling_) oldest = oldest->newer;
  if (!oldest) return false;
  evicts_->Add();
  Drop(oldest);
  return true;
}

void Binder::Drop(BoundNameEntry* name) {
  Unused(name->kind).Remove(name);
  source_->Release(name->key, ear_, name->token);
  for (const std::string& key : name->keys) by_key_.erase(key);
  by_token_.erase(name->token);
  for (auto& leaf : name->leaves) {
    if (leaf.client) clients_->Unuse(leaf.client);
  }
  --Count(name->kind);
  if (!name->bound) --unbound_;
  local_bytes_ -= name->key.local_dtab.size();
  auto it = names_.find(name->key);
  loop_->DeleteLater(std::move(it->second));
  names_.erase(it);
}

void Binder::Unuse(BoundNameEntry* name) {
  using Class = BoundNameEntry::Class;
  if (--name->in_use > 0) return;
  // The name of a request that nobody waits for is not waited for; see MayAdd.
  if (!name->bound && name->kind == Class::kLocal) return Drop(name);
  name->last_used = loop_->Now();
  Unused(name->kind).Add(name);
  // It may have come to the others of its kind when all of them were in use.
  if (Count(name->kind) > Max(name->kind)) MakeRoom(name->kind);
}

void Binder::Await(call::Call* call, BoundNameEntry* name) {
  loop_->AssertInLoop();
  call->holder = this;
  call->step = call::Step::kBind;
  call->request.Compact();
  call->header_bytes.Compact();
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
    call->Fail(
        call::Step::kBind,
        base::Status(base::Code::kTimeout, "not resolved within " +
                                               std::to_string(config().binding_timeout.count()) +
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
    if (call->sink) call->sink->OnBound(call);
    if (!call->ended()) route_(call, name);
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

ClientEntry* Binder::ClientOf(BoundNameEntry* name, size_t leaf) {
  BoundNameEntry::Leaf& wanted = name->leaves[leaf];
  if (wanted.client) return wanted.client;
  BoundNameEntry* outer = std::exchange(settling_, name);
  wanted.client = UseClient(name->bound->leaves[leaf], name->kind);
  settling_ = outer;
  if (wanted.client) wanted.metrics = wanted.client->ForService(name->shown);
  return wanted.client;
}

void Binder::SetBound(BoundNameEntry* name, std::shared_ptr<const Bound> bound) {
  if (!bound->negative() && !name->metrics) {
    name->metrics = std::make_unique<call::CallMetrics>(
        scope_->Labelled("service", std::string_view(name->shown).substr(1)));
  }
  std::vector<BoundNameEntry::Leaf> leaves;
  settling_ = name;
  for (const Bound::Leaf& leaf : bound->leaves) {
    ClientEntry* client = UseClient(leaf, name->kind);
    leaves.push_back({client, client ? client->ForService(name->shown) : nullptr});
  }
  settling_ = nullptr;
  // Calls in flight know their client, not their leaf, so the old leaves may go.
  for (auto& old : name->leaves) {
    if (old.client) clients_->Unuse(old.client);
  }
  name->leaves = std::move(leaves);
  if (!name->bound) --unbound_;
  name->bound = std::move(bound);
  // What the old leaves held may have been all that was missing.
  for (size_t i = 0; i < name->leaves.size(); i++) ClientOf(name, i);
  if (name->kind == BoundNameEntry::Class::kLocal) return;
  SetClass(name, name->bound->negative() ? BoundNameEntry::Class::kNegative
                                         : BoundNameEntry::Class::kPositive);
}

void Binder::SetClass(BoundNameEntry* name, BoundNameEntry::Class kind) {
  if (name->kind == kind) return;
  const bool idle = name->idle;
  Unused(name->kind).Remove(name);
  --Count(name->kind);
  name->kind = kind;
  ++Count(kind);
  if (idle) Unused(kind).Add(name);
  if (Count(kind) > Max(kind)) MakeRoom(kind);
}

void Binder::Reconfigure(RouterPart config) {
  loop_->AssertInLoop();
  const conf::RouterConfig& was = *config_.router;
  const conf::RouterConfig& is = *config.router;
  const bool named_alike =
      was.dst_prefix == is.dst_prefix && was.thrift_method_in_dst == is.thrift_method_in_dst &&
      was.protocol == is.protocol && was.thrift_mux_dst_in_name == is.thrift_mux_dst_in_name;
  config_ = std::move(config);
  if (!named_alike) {
    identifier_ = IdentifierOf(is);
    ForgetKeys();
  }
  for (auto& [key, name] : names_) {
    auto path = naming::Path::Parse(key.path);
    if (path.ok()) name->service = conf::ResolveService(is.service, *path);
  }
  for (auto kind : {BoundNameEntry::Class::kPending, BoundNameEntry::Class::kPositive,
                    BoundNameEntry::Class::kNegative, BoundNameEntry::Class::kLocal}) {
    while (Count(kind) > Max(kind) && DropOldest(kind)) {
    }
  }
}

void Binder::ForgetKeys() {
  by_key_.clear();
  for (auto& [key, name] : names_) {
    name->keys.clear();
    name->key_bytes = 0;
  }
}

void Binder::Sweep() {
  loop_->AssertInLoop();
  for (auto& unused : unused_) {
    for (BoundNameEntry* oldest = unused.oldest(); oldest; oldest = unused.oldest()) {
      if (loop_->Now() - oldest->last_used < config().binding_cache.idle_ttl) break;
      expires_->Add();
      Drop(oldest);
    }
  }
}

}  // namespace trestle::router
