#include "backend/make_session.h"

#include <utility>

#include "backend/mux_session.h"
#include "backend/thrift_session.h"

namespace trestle::backend {

std::unique_ptr<Session> MakeSession(net::EventLoop* loop, const Options& options,
                                     SessionOwner* owner, Opened opened, const Spoken& spoken,
                                     MuxMetrics* metrics) {
  if (spoken.wire == Wire::kMux) {
    return std::make_unique<MuxSession>(loop, options, owner, std::move(opened), spoken, *metrics);
  }
  return std::make_unique<ThriftSession>(loop, options, owner, std::move(opened.transport), spoken);
}

}  // namespace trestle::backend
