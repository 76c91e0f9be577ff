#include "tls/sessions.h"

#include "tls/context.h"
#include "tls/openssl.h"
#include "tls/pem.h"

namespace trestle::tls {
namespace {

// Where an SSL object keeps its Place.
int PlaceIndex() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

// It has the keys of a session.
void Wipe(std::vector<unsigned char>* bytes) {
  if (!bytes->empty()) OPENSSL_cleanse(bytes->data(), bytes->size());
}

}  // namespace

ClientSessions::~ClientSessions() {
  for (Entry& entry : used_) Wipe(&entry.second);
}

std::string ClientSessions::Key(const net::Address& endpoint, const ClientContext& context) {
  return endpoint.Show() + " " + std::to_string(context.id()) + " " + context.name();
}

size_t ClientSessions::size() {
  std::lock_guard lock(mutex_);
  return used_.size();
}

void ClientSessions::Put(const std::string& key, Bytes session) {
  std::lock_guard lock(mutex_);
  if (auto it = at_.find(key); it != at_.end()) {
    Wipe(&it->second->second);
    it->second->second = std::move(session);
    used_.splice(used_.begin(), used_, it->second);
    return;
  }
  used_.emplace_front(key, std::move(session));
  at_[key] = used_.begin();
  if (used_.size() <= most_) return;
  Wipe(&used_.back().second);
  at_.erase(used_.back().first);
  used_.pop_back();
}

ClientSessions::Bytes ClientSessions::Get(const std::string& key) {
  std::lock_guard lock(mutex_);
  auto it = at_.find(key);
  if (it == at_.end()) return {};
  used_.splice(used_.begin(), used_, it->second);
  return it->second->second;
}

void ClientSessions::Drop(const std::string& key) {
  std::lock_guard lock(mutex_);
  auto it = at_.find(key);
  if (it == at_.end()) return;
  Wipe(&it->second->second);
  used_.erase(it->second);
  at_.erase(it);
}

void ClientSessions::Begin(ssl_st* ssl, const Place* place) {
  SSL_set_ex_data(ssl, PlaceIndex(), const_cast<Place*>(place));
  Bytes bytes = place->sessions->Get(place->key);
  if (bytes.empty()) return;
  const unsigned char* at = bytes.data();
  Session session(d2i_SSL_SESSION(nullptr, &at, static_cast<long>(bytes.size())));
  Wipe(&bytes);
  if (!session) return;
  const X509* certificate = SSL_SESSION_get0_peer(session.get());
  // Its server may have another one by now, but would not show it.
  if (certificate && HasExpired(certificate)) return place->sessions->Drop(place->key);
  SSL_set_session(ssl, session.get());
}

int ClientSessions::OnNew(ssl_st* ssl, ssl_session_st* session) {
  auto* place = static_cast<const Place*>(SSL_get_ex_data(ssl, PlaceIndex()));
  if (!place || SSL_SESSION_is_resumable(session) != 1) return 0;
  const int size = i2d_SSL_SESSION(session, nullptr);
  if (size <= 0) return 0;
  Bytes bytes(static_cast<size_t>(size));
  unsigned char* to = bytes.data();
  i2d_SSL_SESSION(session, &to);
  place->sessions->Put(place->key, std::move(bytes));
  return 0;  // no reference is kept
}

}  // namespace trestle::tls
