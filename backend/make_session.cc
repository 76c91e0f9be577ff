#include "backend/make_session.h"

#include <utility>

#include "backend/thrift_session.h"

namespace trestle::backend {

std::unique_ptr<Session> MakeSession(net::EventLoop* loop, const Options& options,
                                     SessionOwner* owner, std::unique_ptr<net::Transport> transport,
                                     const Spoken& spoken) {
  return std::make_unique<ThriftSession>(loop, options, owner, std::move(transport), spoken);
}

}  // namespace trestle::backend
