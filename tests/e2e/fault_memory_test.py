"""More is sent than the router may hold (maxBufferedBytes): writers wait, errors are clear, and
memory stays in its bounds."""

import threading
import unittest

import wire
from client import Client, Closed
from fake_dialects import OddBackend, pattern
from router_process import Router, RouterTest, until

MIB = 1 << 20
BOUND = 8 * MIB
# What one turn of the loop brings past it, connections themselves, and blocks that are kept to be
# used again; far less than what the tests send.
BESIDE = 8 * MIB


class SlowToRead(OddBackend):
    """Reads nothing until it is told to."""

    def __init__(self, name):
        self.open = threading.Event()
        super().__init__(name)

    def read(self, connection, stream):
        self.open.wait()
        return super().read(connection, stream)

    def stop(self):
        self.open.set()
        super().stop()


class Memory(RouterTest):
    @classmethod
    def configure(cls):
        cls.users = cls.backend(OddBackend("users"))
        cls.slow = cls.backend(SlowToRead("slow"))
        one = {"hostConnectionPool": {"maxSize": 1}}
        base = {"protocol": "thrift", "dtab": "/svc => /#/io.l5d.fs", "bodyIdleTimeoutMs": 1000}
        router = Router([
            {**base, "label": "buffered", "servers": [{"thriftFramed": False}], "client": one},
            {**base, "label": "framed", "servers": [{}], "client": one,
             "streamThresholdBytes": 4 * MIB},
            {**base, "label": "replies", "servers": [{}], "client": {"connectTimeoutMs": 60000}},
        ], workers=1, maxBufferedBytes=BOUND)
        router.write("users", cls.users.port)
        router.write("slow", cls.slow.port)
        return router

    def setUp(self):
        self.slow.open.clear()
        for server, buffered in ((0, True), (1, False), (2, False)):
            with Client(self.router.ports[server], buffered=buffered) as client:
                reply = client.call("users:pattern", [(1, "string", "100000")])
                self.assertEqual(len(reply.fields[0]), 100000)
        self.before = self.router.memory()
        self.router.forget_peak()

    def check_memory(self):
        growth = self.router.memory("VmHWM") - self.before
        if not self.router.is_sanitized():  # a sanitizer's own memory hides the router's
            self.assertLess(growth, BOUND + BESIDE)

    def check_works(self):
        payload = pattern(MIB)
        for server, buffered in ((0, True), (1, False), (2, False)):
            def works():
                with Client(self.router.ports[server], buffered=buffered) as client:
                    try:
                        reply = client.call("users:echo", [(1, "string", payload)])
                    except (Closed, ConnectionError):
                        return False  # in the middle of the call there was no room for the rest
                    if reply.kind == wire.EXCEPTION:  # as long as not all is given back
                        self.assert_router_error(reply, "echo", "maxBufferedBytes")
                        return False
                    self.assertTrue(reply.fields[0] == payload)
                    return True

            until(works, "it serves again")

    def large_calls(self, server, buffered):
        """Forty calls of 1 MiB to a backend that does not read."""
        outcomes = []
        payload = pattern(MIB)

        def run():
            client = Client(self.router.ports[server], buffered=buffered)
            try:
                client.send(wire.CALL, "slow:echo", 1, [(1, "string", payload)])
            except OSError:
                pass  # closed; it may have been told why
            try:
                outcomes.append(client.receive())
            except Closed as end:
                outcomes.append(end)
            client.close()

        threads = [threading.Thread(target=run, daemon=True) for _ in range(40)]
        for thread in threads:
            thread.start()
        # Some are served in the end, or all but those that the router can hold were refused.
        with Client(self.router.ports[2]) as other:
            for _ in range(50):
                other.text("users:get")
        self.slow.open.set()
        for thread in threads:
            thread.join()
        self.check_memory()
        served = [one for one in outcomes if not isinstance(one, Closed) and
                  one.kind == wire.REPLY]
        self.assertTrue(served)
        self.assertTrue(all(one.fields[0] == payload for one in served))
        for one in outcomes:
            if not isinstance(one, Closed) and one.kind == wire.EXCEPTION:
                self.assert_router_error(one, "echo", "maxBufferedBytes")
        self.check_works()

    def test_large_buffered_calls_to_a_backend_that_does_not_read(self):
        self.large_calls(0, True)

    def test_large_framed_calls_that_are_held(self):
        self.large_calls(1, False)

    def test_clients_that_do_not_read_their_large_replies(self):
        lazy = []
        for _ in range(40):
            client = Client(self.router.ports[2])
            self.addCleanup(client.close)
            client.send_bytes(b"".join(
                client.framed(wire.CALL, "users:pattern", i, [(1, "string", "60000")])
                for i in range(100)))
            lazy.append(client)
        with Client(self.router.ports[2]) as other:
            until(lambda: other.call("users:get").kind == wire.REPLY, "others are served")
        self.check_memory()
        # Those who read now get everything, or a clear refusal.
        for client in lazy[:10]:
            try:
                for i in range(100):
                    reply = client.receive()
                    self.assertEqual(reply.seqid, i)
                    if reply.kind == wire.EXCEPTION:
                        self.assert_router_error(reply, "pattern", "maxBufferedBytes")
                    else:
                        self.assertTrue(reply.fields[0] == pattern(60000))
            except Closed:
                pass
        for client in lazy:
            client.reset()
        self.check_works()
        self.check_memory()

    def test_many_connections_with_half_messages(self):
        # 200 times 500 kB and no end: most of it stays in the sockets, others are refused as long
        # as it fills the bound, and those who are silent are closed.
        some = []
        whole = wire.Binary.message(wire.CALL, "slow:echo", 1, [(1, "string", pattern(MIB))])
        for _ in range(200):
            client = Client(self.router.ports[0], buffered=True)
            self.addCleanup(client.close)
            client.socket.setblocking(False)
            try:
                client.socket.send(whole[:500_000])
            except OSError:
                pass
            some.append(client)
        with Client(self.router.ports[2]) as other:
            until(lambda: other.call("users:get").kind == wire.REPLY, "others are served")
        self.check_memory()
        self.check_works()
        for client in some:
            client.reset()


if __name__ == "__main__":
    unittest.main(verbosity=2)
