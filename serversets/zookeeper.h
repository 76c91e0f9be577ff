// The ZkClient over ZooKeeper's C library, which has threads of its own: what they say is posted to
// the control loop. Starting a session looks hosts up, and ending one may wait for the server; both
// are done on threads that nobody waits for. While a connection is lost, the hosts are looked up
// once a second; the client is over if one has an address that it does not know.
//
// Lifetime: the loop must outlive the client; threads of a client that is gone may go on until DNS
// and ZooKeeper have answered, and touch nothing of ours but what they hold themselves. Threading:
// the control loop.
// Errors: see ZkClient.
#pragma once

#include <memory>

#include "base/clock.h"
#include "net/event_loop.h"
#include "serversets/zk_client.h"

namespace trestle::serversets {

std::unique_ptr<ZkClient> ConnectZooKeeper(net::EventLoop* loop, const ZkCluster& cluster,
                                           ZkClient::Owner* owner);

// At the end of the process, when all clients are gone: waits until their threads are, too. False
// if some are not after `patience`; then nothing that they may use is to be destroyed.
bool AwaitZooKeeper(base::Duration patience);

}  // namespace trestle::serversets
