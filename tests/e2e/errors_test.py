"""Errors that the router makes: their form, what they say, and that the connection goes on."""

import socket
import unittest

import wire
from client import Client
from fake_backend import FakeBackend
from router_process import Router, RouterTest, free_port

DTAB = """
/srv => /#/io.l5d.fs ;
/thrift/users => /srv/users ;
/thrift/down => /srv/down ;
/thrift/gone => /srv/not-there ;
/thrift/empty => /srv/empty ;
/thrift/unknown => /$/no.such.namer/x ;
/thrift/half => /srv/half ;
"""


class Errors:
    protocol = None

    @classmethod
    def configure(cls):
        cls.users = cls.backend(FakeBackend("users", cls.protocol))
        base = {"protocol": "thrift", "dstPrefix": "/thrift", "thriftMethodInDst": True,
                "thriftProtocol": cls.protocol.name, "dtab": DTAB}
        router = Router([
            {**base, "label": "plain", "servers": [{}]},
            {**base, "label": "attempt", "servers": [{}],
             "client": {"requestAttemptTimeoutMs": 300}},
            {**base, "label": "total", "servers": [{}], "service": {"totalTimeoutMs": 300}},
            {**base, "label": "few", "servers": [{"maxConcurrentRequests": 2}]},
        ], workers=1)  # bounds are divided among the workers
        router.write("users", cls.users.port)
        cls.down = free_port()
        router.write("down", cls.down)
        router.write("half", cls.down, cls.users.port)
        router.write("empty")
        return router

    def client(self, server=0):
        client = Client(self.router.ports[server], self.protocol)
        self.addCleanup(client.close)
        return client

    def test_a_name_that_leads_nowhere(self):
        client = self.client()
        text = self.assert_router_error(client.call("gone:get"), "get", "/thrift/gone/get",
                                        "/srv/not-there")
        self.assertTrue(text.startswith("trestle: bind: "), text)
        text = self.assert_router_error(client.call("nobody:get"), "get", "/thrift/nobody/get")
        self.assertTrue(text.startswith("trestle: bind: "), text)
        self.assertEqual(client.text("users:get"), "users users:get")

    def test_a_name_without_addresses(self):
        self.assert_router_error(self.client().call("empty:get"), "get", "/thrift/empty/get",
                                 "/#/io.l5d.fs/empty")

    def test_an_unknown_namer(self):
        self.assert_router_error(self.client().call("unknown:get"), "get", "no.such.namer")

    def test_a_backend_that_refuses(self):
        client = self.client()
        for _ in range(5):
            text = self.assert_router_error(client.call("down:get"), "get", "/thrift/down/get",
                                            "/#/io.l5d.fs/down", str(self.down))
            self.assertTrue(text.startswith("trestle: connect: "), text)

    def test_a_backend_that_refuses_beside_one_that_serves_fails_no_call(self):
        client = self.client()
        for _ in range(100):
            self.assertEqual(client.text("half:get"), "users half:get")

    def test_it_serves_again_once_the_backend_does(self):
        client = self.client()
        port = free_port()
        self.router.write("late", port)
        client.upgrade()
        dtab = [("/thrift/late", "/srv/late")]
        self.assert_router_error(client.call("late:get", dtab=dtab), "get", str(port))
        late = FakeBackend("late", self.protocol, port)
        self.addCleanup(late.stop)
        self.assertEqual(client.text("late:get", dtab=dtab), "late late:get")

    def test_attempt_timeout(self):
        client = self.client(1)
        reply = client.call("users:hold", [(1, "string", "never")])
        self.assert_router_error(reply, "hold", "300")
        self.assertEqual(client.text("users:get"), "users users:get")

    def test_total_timeout(self):
        client = self.client(2)
        reply = client.call("users:hold", [(1, "string", "never")])
        self.assert_router_error(reply, "hold", "300")
        self.assertEqual(client.text("users:get"), "users users:get")

    def test_one_slow_call_does_not_hold_up_the_timeout_of_others(self):
        client = self.client(1)
        client.send(wire.CALL, "users:hold", 1, [(1, "string", "never")])
        client.send(wire.CALL, "users:get", 2)
        self.assert_router_error(client.receive(), "hold")
        self.assertEqual(client.receive().seqid, 2)

    def test_max_concurrent_requests(self):
        first, second, third = self.client(3), self.client(3), self.client(3)
        gate = "few" + self.id()
        before = len(self.users.calls("hold"))
        for client in (first, second):
            client.send(wire.CALL, "users:hold", 1, [(1, "string", gate)])
        self.assertTrue(self.users.wait_calls("hold", before + 2))
        self.assert_router_error(third.call("users:get"), "get")
        self.users.release(gate)
        self.assertEqual(first.receive().kind, wire.REPLY)
        self.assertEqual(second.receive().kind, wire.REPLY)
        self.assertEqual(third.text("users:get"), "users users:get")

    def test_a_name_over_the_bound(self):
        client = self.client()
        client.send(wire.CALL, "users:" + "x" * 1_000_000, 1)
        self.assertTrue(client.is_closed())
        self.assertEqual(self.client().text("users:get"), "users users:get")

    def test_every_error_in_a_pipeline_has_its_own_seqid(self):
        client = self.client()
        names = ["gone:a", "users:get", "down:b", "empty:c", "users:void", "nobody:d"] * 5
        for seqid, name in enumerate(names):
            client.send(wire.CALL, name, seqid)
        for seqid, name in enumerate(names):
            reply = client.receive()
            self.assertEqual(reply.seqid, seqid)
            if name.startswith("users"):
                self.assertEqual(reply.kind, wire.REPLY)
            else:
                self.assert_router_error(reply, name[-1])


class BinaryErrors(Errors, RouterTest):
    protocol = wire.Binary


class CompactErrors(Errors, RouterTest):
    protocol = wire.Compact


class NoConnection(RouterTest):
    """A backend whose backlog is full: a connection comes to nothing in time."""

    @classmethod
    def configure(cls):
        # A listener that nobody accepts from and whose one place is taken drops what comes after.
        cls.full = socket.socket()
        cls.full.bind(("127.0.0.1", 0))
        cls.full.listen(0)
        cls.addClassCleanup(cls.full.close)
        address = cls.full.getsockname()
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(address)
            cls.addClassCleanup(filler.close)
        router = Router([{"protocol": "thrift", "dtab": "/svc => /#/io.l5d.fs/full",
                          "client": {"connectTimeoutMs": 200}, "servers": [{}]}])
        router.write("full", address[1])
        return router

    def test_connect_timeout(self):
        with Client(self.router.port) as client:
            text = self.assert_router_error(client.call("get"), "get", "/#/io.l5d.fs/full")
            self.assertTrue(text.startswith("trestle: connect: "), text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
