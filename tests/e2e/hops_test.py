"""The hop count: each router adds one, and one that gets too many refuses the call, so that two
routers that send to each other end."""

import itertools
import unittest

import bridges
import mux_wire as mux
import wire
from bridges import Carried, for_each
from mux_client import MuxClient
from router_process import Router, RouterTest, free_port


class Counted(RouterTest):
    @classmethod
    def configure(cls):
        cls.users = {dialect: cls.backend(bridges.start(dialect, dialect, wire.Binary))
                     for dialect in bridges.WITH_PLACES}
        configs = [{"prefix": f"/#/io.l5d.fs/{dialect}", **bridges.CLIENT_KEYS[dialect]}
                   for dialect in cls.users]
        base = {"protocol": "thriftmux", "dtab": "/svc => /#/io.l5d.fs",
                "client": {"kind": "io.l5d.static", "configs": configs}}
        router = Router([{**base, "label": "default", "servers": [{}]},
                         {**base, "label": "three", "servers": [{}], "maxHops": 3}], workers=1)
        for dialect, backend in cls.users.items():
            router.write(dialect, backend.port)
        return router

    def each(self, dialects=("framed", *bridges.WITH_PLACES)):
        """Cases of a client and a backend."""
        for dialect, to in itertools.product(dialects, self.users):
            yield ({"client": dialect, "backend": to},
                   lambda dialect=dialect, to=to: (
                       bridges.connect(dialect, self.router.port, wire.Binary), self.users[to]))

    def call(self, client, backend, hops=None):
        contexts = {} if hops is None else {mux.HOPS: mux.hops(hops)}
        return client.call(f"{backend.name}:get", [], Carried(contexts=contexts))

    @for_each("each")
    def test_it_begins_with_one(self, client, backend):
        self.assertEqual(self.call(client, backend).kind, wire.REPLY)
        self.assertEqual(bridges.hops(bridges.arrived(backend, f"{backend.name}:get")), 1)

    @for_each("each", bridges.WITH_PLACES)
    def test_each_router_adds_one(self, client, backend):
        for hops in (0, 1, 5, 14):
            self.assertEqual(self.call(client, backend, hops).kind, wire.REPLY)
            seen = bridges.arrived(backend, f"{backend.name}:get")
            self.assertEqual(bridges.hops(seen), hops + 1)

    @for_each("each", bridges.WITH_PLACES)
    def test_too_many(self, client, backend):
        self.refuses(client, backend, 16)
        with bridges.connect("mux", self.router.ports[1], wire.Binary) as other:
            self.refuses(other, backend, 3)

    def refuses(self, client, backend, most):
        before = len(backend.seen)
        for hops in (most, most + 1, 1000, 2**31, 2**32 - 1):
            reply = self.call(client, backend, hops)
            self.assert_router_error(reply, "get", "maxHops", f"{hops} routers")
        self.assertEqual(len(backend.seen), before, "a backend saw it")
        self.assertEqual(self.call(client, backend, most - 1).kind, wire.REPLY)

    def test_values_that_are_none(self):
        with MuxClient(self.router.port) as client:
            for value in (b"", b"\0", b"\0\0\0\0\5"):
                text = client.text("mux:get", contexts=[(mux.HOPS, value)])
                self.assertEqual(text, "mux mux:get")

    @for_each("each")
    def test_it_does_not_come_back(self, client, backend):
        self.call(client, backend)
        self.assertEqual(client.came_back(), Carried())


class Loop(RouterTest):
    """Two routers, each of which has the other for its backend, by each dialect."""

    server = {}

    @classmethod
    def configure(cls):
        routers = []
        for dialect in bridges.WITH_PLACES:
            ports = [free_port(), free_port()]
            for port, other in (ports, ports[::-1]):
                routers.append({"protocol": "thriftmux", "label": f"{dialect} {port}",
                                "dtab": f"/svc => /$/inet/127.0.0.1/{other}",
                                "servers": [{"port": port, **cls.server}],
                                "client": bridges.CLIENT_KEYS[dialect]})
        return Router(routers)

    def test_it_ends_with_an_error_that_says_so(self):
        for i, dialect in enumerate(bridges.WITH_PLACES):
            for port in self.router.ports[2 * i:2 * i + 2]:
                for protocol in bridges.PROTOCOLS:
                    with self.subTest(dialect, protocol=protocol.name):
                        client = bridges.connect("framed", port, protocol)
                        self.addCleanup(client.close)
                        for _ in range(5):
                            self.assert_router_error(client.call("users:get"), "get", "maxHops")
                        client.close()

    def test_oneways_end_too(self):
        client = bridges.connect("framed", self.router.port, wire.Binary)
        self.addCleanup(client.close)
        for _ in range(5):
            client.oneway("users:note")
        self.assert_router_error(client.call("users:get"), "get", "maxHops")


class LoopThatClears(Loop):
    """A port that drops what its clients say still counts."""

    server = {"clearContext": True}


if __name__ == "__main__":
    unittest.main(verbosity=2)
