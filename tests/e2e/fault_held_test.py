"""Many small calls that take long, among large ones that are quick: what waits must not hold the
memory that others were read into, or the router is full of it."""

import threading
import unittest

import wire
from client import PATIENCE, Client
from fake_dialects import HangingPort, TTwitterBackend, pattern
from router_process import Router, RouterTest, until

MIB = 1 << 20
BOUND = 8 * MIB
SLOW = 120  # each in a block of 128 KiB that the large ones fill: twice the bound
LARGE = 50_000
GROWTH = 3 * MIB  # for the slow calls with all that belongs to them


class HeldBackend(TTwitterBackend):
    """Answers slow() when the test says so."""

    def __init__(self, name, **more):
        self.gate = threading.Event()
        super().__init__(name, **more)

    def do_slow(self, connection, message):
        self.gate.wait(PATIENCE)
        return self.reply(connection, message, self.text(message))


class Held(RouterTest):
    @classmethod
    def configure(cls):
        cls.users = cls.backend(HeldBackend("users"))
        cls.refusing = cls.backend(HeldBackend("refusing", probe="refuse"))
        cls.hanging = HangingPort()
        cls.addClassCleanup(cls.hanging.close)

        def one(label, **more):
            return {"protocol": "thrift", "label": label, "dtab": "/svc => /#/io.l5d.fs",
                    "servers": [{"maxPipelined": 2 * SLOW}], **more}

        router = Router([
            one("upgraded", client={"attemptTTwitterUpgrade": True}),
            one("again", client={"attemptTTwitterUpgrade": True},
                service={"idempotentMethods": ["slow"]}),
            one("plain", client={"connectTimeoutMs": 60000}),
        ], workers=1, maxBufferedBytes=BOUND)
        router.write("users", cls.users.port)
        router.write("refusing", cls.refusing.port)
        router.write("hanging", cls.hanging.port)
        return router

    def setUp(self):
        for backend in (self.users, self.refusing):
            backend.gate.clear()
            self.addCleanup(backend.gate.set)

    def client(self, server):
        client = Client(self.router.ports[server])
        self.addCleanup(client.close)
        if server < 2:
            client.upgrade()
        return client

    def large(self, client, payload):
        reply = client.call("users:echo", [(1, "string", payload)])
        self.assertEqual(reply.kind, wire.REPLY, reply.fields)
        self.assertTrue(reply.fields[0] == payload)

    def among_large_ones(self, server, name, arrived=None):
        """Slow calls, and after each some large ones that must be served; gives the slow client."""
        slow, fast = self.client(server), self.client(server)
        payload = pattern(LARGE)
        for _ in range(10):
            self.large(fast, payload)
        before = self.router.memory()
        for i in range(SLOW):
            slow.send(wire.CALL, name, i)
            if arrived:
                self.assertTrue(arrived(i + 1))
            for _ in range(3):
                self.large(fast, payload)
        if not self.router.is_sanitized():  # a sanitizer's own memory hides the router's
            self.assertLess(self.router.memory() - before, GROWTH)
        return slow

    def check_in_flight(self, server, backend):
        before = len(backend.calls("slow"))
        slow = self.among_large_ones(server, f"{backend.name}:slow",
                                     lambda i: backend.wait_calls("slow", before + i))
        backend.gate.set()
        for i in range(SLOW):
            reply = slow.receive()
            self.assertEqual((reply.kind, reply.seqid), (wire.REPLY, i), reply.fields)

    def test_in_flight_with_headers(self):
        self.check_in_flight(0, self.users)

    def test_in_flight_with_headers_that_a_backend_refused(self):
        self.check_in_flight(0, self.refusing)

    def test_in_flight_with_headers_that_may_be_sent_again(self):
        self.check_in_flight(1, self.users)

    def test_in_flight_without_headers(self):
        self.check_in_flight(2, self.users)

    def test_waiting_for_connections_that_are_being_opened(self):
        waiting = "rt/plain/client/#/io.l5d.fs/hanging/pool_waiters"
        slow = self.among_large_ones(2, "hanging:slow")
        until(lambda: self.router.metric(waiting) == SLOW, "all of them wait")
        slow.reset()
        until(lambda: self.router.metric(waiting) == 0, "none of them waits")


if __name__ == "__main__":
    unittest.main(verbosity=2)
