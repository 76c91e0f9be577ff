"""member.py HOSTS SET PORT: registers 127.0.0.1:PORT in a serverset as servers do, with kazoo, and
says so; the member goes when this ends."""

import json
import logging
import signal
import sys

from kazoo.client import KazooClient


def main():
    hosts, path, port = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    client = KazooClient(hosts, timeout=10)
    client.start(timeout=30)
    member = {"serviceEndpoint": {"host": "127.0.0.1", "port": int(port)},
              "additionalEndpoints": {}, "status": "ALIVE"}
    made = client.create(path + "/member_", json.dumps(member).encode(), ephemeral=True,
                         sequence=True, makepath=True)
    print("registered", made, flush=True)
    signal.sigwait([signal.SIGTERM, signal.SIGINT])
    client.stop()


signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
main()
