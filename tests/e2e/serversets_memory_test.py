"""A great many names that nobody has heard of: they leave no watches, and no memory."""

import random
import unittest

import wire
from client import Client
from zookeeper import ServersetsTest

MIB = 1 << 20
AT_ONCE = 500  # calls of one connection


class Names(ServersetsTest):
    BACKENDS = ("one",)
    ROUTER = {"servers": [{"maxPendingBindings": AT_ONCE}]}

    def look_up(self, client, count):
        """Calls of random names, many at a time."""
        for _ in range(count // AT_ONCE):
            names = [f"wrong{random.getrandbits(64):x}" for _ in range(AT_ONCE)]
            client.send_bytes(b"".join(
                client.framed(wire.CALL, f"{name}:get", i) for i, name in enumerate(names)))
            for i, name in enumerate(names):
                reply = client.receive()
                self.assertEqual((reply.kind, reply.seqid), (wire.EXCEPTION, i), reply)
                self.assertIn(f"/svc/{name}".encode(), reply.fields[1])
                self.assertIn(b"no entry of the dtab leads anywhere", reply.fields[1])

    def test_lookups_of_random_names_leave_nothing_behind(self):
        self.add("one")
        self.settles(["one"])
        asked = sum(self.zookeeper.sessions().values())
        with Client(self.router.port) as client:
            self.look_up(client, 10_000)  # what is remembered of names that lead nowhere is full
            watches, memory = self.zookeeper.watches(), self.router.memory()
            if not self.router.is_sanitized():
                self.look_up(client, 90_000)
        # The list of the parent tells that they are not there.
        self.assertLess(sum(self.zookeeper.sessions().values()) - asked, 1000)
        self.assertLess(watches, 10)
        self.assertLessEqual(self.zookeeper.watches(), watches)
        if not self.router.is_sanitized():  # its own memory hides the router's
            self.assertLess(self.router.memory() - memory, 8 * MIB)
        self.settles(["one"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
