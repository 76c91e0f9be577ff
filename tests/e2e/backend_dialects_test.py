"""Backends that take TTwitter headers or refuse them, and those with many calls on a connection."""

import struct
import unittest

import wire
from client import Client
from fake_dialects import GatheringBackend, TTwitterBackend
from router_process import Router, RouterTest, until

TRACE_CONTEXT = "com.twitter.finagle.tracing.TraceContext"
CLIENT_ID_CONTEXT = "com.twitter.finagle.thrift.ClientIdContext"
IDS = {"trace_id": 0x0102030405060708, "span_id": 0x1112131415161718,
       "parent_id": 0x2122232425262728, "sampled": True, "flags": 1}


class Headers:
    protocol = None

    @classmethod
    def configure(cls):
        cls.users = cls.backend(TTwitterBackend("users", cls.protocol))
        cls.other = cls.backend(TTwitterBackend("other", cls.protocol))
        router = Router([{"protocol": "thrift", "label": "rt", "servers": [{}],
                          "thriftProtocol": cls.protocol.name,
                          "dtab": "/svc => /#/io.l5d.fs/users",
                          "client": {"attemptTTwitterUpgrade": True}}], workers=1)
        router.write("users", cls.users.port)
        router.write("other", cls.other.port)
        return router

    def client(self, upgrade=True):
        client = Client(self.router.port, self.protocol)
        self.addCleanup(client.close)
        if upgrade:
            client.upgrade()
        return client

    def contexts(self, header):
        return {pair[1]: pair[2] for pair in header.get(8, [])}

    def test_what_the_caller_sent_is_carried_on(self):
        client = self.client()
        contexts = [("com.twitter.finagle.Retries", b"\0\0\0\2"), ("com.example.custom", b"\0\xff"),
                    ("com.twitter.finagle.Deadline", struct.pack(">qq", 1, 1 << 62))]
        client.call("carried", client_id="the caller", contexts=contexts, ids=IDS,
                    dtab=[("/none", "/of/us"), ("/neither", "/this | /that")])
        header = self.users.header_of("carried")
        self.assertEqual((header[1], header[2], header[3]), (
            IDS["trace_id"], IDS["span_id"], IDS["parent_id"]))
        self.assertEqual((header[5], header[7]), (True, 1))
        self.assertEqual(header[6], {1: b"the caller"})
        seen = self.contexts(header)
        for key, value in contexts:
            self.assertEqual(seen[key.encode()], value, key)
        self.assertEqual(header[10][-2:], [{1: b"/none", 2: b"/of/us"},
                                           {1: b"/neither", 2: b"/this | /that"}])

    def test_what_stands_in_two_places_arrives_in_both(self):
        # On a Finagle server the contexts are laid over the fields, so neither may get lost.
        client = self.client()
        trace = struct.pack(">QQQQQ", 5, 6, 7, 2, 8)  # 128 bits, not sampled
        client.call("places", client_id="the caller", ids=IDS,
                    contexts=[(TRACE_CONTEXT, trace), (CLIENT_ID_CONTEXT, "me")])
        header = self.users.header_of("places")
        self.assertEqual((header[1], header[2], header[3], header[6]), (
            IDS["trace_id"], IDS["span_id"], IDS["parent_id"], {1: b"the caller"}))
        seen = self.contexts(header)
        self.assertEqual(seen[TRACE_CONTEXT.encode()], trace)
        self.assertEqual(seen[CLIENT_ID_CONTEXT.encode()], b"me")

    def test_dest_is_what_is_left_of_the_name(self):
        client = self.client()
        for dest, left in (("/more/of/it", b"/more/of/it"), (None, b"/"), ("/", b"/")):
            client.call("left", dest=dest)
            self.assertEqual(self.users.header_of("left")[9], left)

    def test_fields_that_nobody_knows_are_carried_on(self):
        client = self.client()
        unknown = [(12, "string", b"\1\2\3"), (40, "list", ("i32", [1, 2, 3])),
                   (2000, "struct", [(1, "i64", -5)])]
        client.call("unknown", unknown=unknown)
        header = self.users.header_of("unknown")
        self.assertEqual(header[12], b"\1\2\3")
        self.assertEqual(header[40], [1, 2, 3])
        self.assertEqual(header[2000], {1: -5})

    def test_a_caller_without_a_header(self):
        client = self.client(upgrade=False)
        self.assertEqual(client.text("without"), "users without")
        header = self.users.header_of("without")
        self.assertEqual(self.contexts(header).get(CLIENT_ID_CONTEXT.encode(), b""), b"")
        self.assertNotIn(10, {number for number in header if header[number]} - {1, 2, 3, 7, 8, 9})

    def test_replies_of_every_kind(self):
        for upgrade in (False, True):
            client = self.client(upgrade)
            self.assertEqual(client.text("get"), "users get")
            self.assertEqual(client.call("void").fields, {})
            self.assertEqual(client.call("declared").fields, {1: {1: b"no such user"}})
            self.assertEqual(client.call("application").kind, wire.EXCEPTION)
            client.oneway("note")
            payload = bytes(i & 0xFF for i in range(1_000_000))
            self.assertTrue(client.call("echo", [(1, "string", payload)]).fields[0] == payload)

    def test_each_connection_is_asked_once(self):
        client = self.client()
        for _ in range(50):
            client.text("get")
        self.assertLessEqual(self.users.probes, self.users.accepted)

    def test_a_pipeline_with_different_headers(self):
        client = self.client()
        for i in range(60):
            backend = "other" if i % 3 == 0 else "users"
            client.send(wire.CALL, f"piped{i}", i, dtab=[("/svc", f"/#/io.l5d.fs/{backend}")],
                        contexts=[("com.example.number", str(i))])
        for i in range(60):
            reply = client.receive()
            backend = self.other if i % 3 == 0 else self.users
            self.assertEqual((reply.seqid, reply.fields[0]),
                             (i, f"{backend.name} piped{i}".encode()))
            seen = self.contexts(backend.header_of(f"piped{i}"))
            self.assertEqual(seen[b"com.example.number"], str(i).encode())


class BinaryHeaders(Headers, RouterTest):
    protocol = wire.Binary


class CompactHeaders(Headers, RouterTest):
    protocol = wire.Compact


class Probes(RouterTest):
    """What an endpoint did when it was asked for the upgrade is remembered."""

    kinds = ("refuse", "hangUp", "reset", "silent", "garbage", 0, 6, 7, 10)

    @classmethod
    def configure(cls):
        cls.some = {kind: cls.backend(TTwitterBackend(f"b{kind}", probe=kind))
                    for kind in cls.kinds}
        router = Router([{"protocol": "thrift", "label": "rt", "servers": [{}],
                          "dtab": "/svc => /#/io.l5d.fs",
                          "client": {"attemptTTwitterUpgrade": True, "connectTimeoutMs": 200}}],
                        workers=1)
        for kind, backend in cls.some.items():
            router.write(backend.name, backend.port)
        return router

    def test_a_backend_that_does_not_take_the_upgrade_is_spoken_to_plainly(self):
        for kind, backend in self.some.items():
            with self.subTest(kind), Client(self.router.port) as client:
                for i in range(20):
                    self.assertEqual(client.text(f"{backend.name}:echo", str(i)), str(i))
                self.assertEqual(backend.headers, [])

    def test_it_is_not_asked_again(self):
        for kind, backend in self.some.items():
            with self.subTest(kind), Client(self.router.port) as client:
                self.assertEqual(client.text(f"{backend.name}:echo", "x"), "x")
                asked = backend.probes
                # Fresh connections: many calls at once, and none of those that there were.
                for _ in range(3):
                    backend.stop()
                    backend.start()
                    for i in range(20):
                        client.send(wire.CALL, f"{backend.name}:echo", i, [(1, "string", str(i))])
                    for i in range(20):
                        self.assertEqual(client.receive().fields, {0: str(i).encode()})
                self.assertEqual(backend.probes, asked)

    def test_callers_with_headers_too(self):
        for kind, backend in self.some.items():
            with self.subTest(kind), Client(self.router.port) as client:
                client.upgrade()
                for i in range(5):
                    self.assertEqual(client.text(f"{backend.name}:echo", str(i), client_id="me"),
                                     str(i))

    def test_one_that_hangs_up_beside_one_that_accepts(self):
        good, bad = TTwitterBackend("good"), TTwitterBackend("bad", probe="hangUp")
        for backend in (good, bad):
            self.addCleanup(backend.stop)
        self.router.write("both", good.port, bad.port)
        with Client(self.router.port) as client:
            for i in range(50):
                self.assertEqual(client.text("both:echo", str(i)), str(i))
        self.assertTrue(good.headers)
        self.assertTrue(bad.calls("echo"))
        self.assertFalse(bad.headers)


class InFlight:
    """maxInFlight: many calls on one connection, answered in order or not."""

    protocol, order, buffered, group = wire.Binary, 1, False, 8

    @classmethod
    def configure(cls):
        cls.users = cls.backend(GatheringBackend("users", cls.protocol, cls.group, cls.order,
                                                 buffered=cls.buffered))
        router = Router([{"protocol": "thrift", "label": "rt", "servers": [{}],
                          "thriftProtocol": cls.protocol.name,
                          "dtab": "/svc => /#/io.l5d.fs/users",
                          "client": {"thriftFramed": not cls.buffered, "hostConnectionPool": {
                              "maxInFlight": cls.group, "maxSize": 1}}}], workers=1)
        router.write("users", cls.users.port)
        return router

    def test_calls_of_one_client(self):
        accepted = max(self.users.accepted, 1)
        with Client(self.router.port, self.protocol) as client:
            count = 20 * self.group
            for i in range(count):
                client.send(wire.CALL, "gather", 7, [(1, "string", f"call {i}")])
            for i in range(count):
                self.assertEqual(client.receive().fields, {0: f"call {i}".encode()})
        self.assertLessEqual(self.users.accepted, accepted + 1)

    def test_calls_of_many_clients(self):
        clients = [Client(self.router.port, self.protocol) for _ in range(self.group)]
        for round_ in range(20):
            for i, client in enumerate(clients):
                client.send(wire.CALL, "gather", i, [(1, "string", f"{i}/{round_}")])
            for i, client in enumerate(clients):
                reply = client.receive()
                self.assertEqual((reply.seqid, reply.fields), (i, {0: f"{i}/{round_}".encode()}))
        for client in clients:
            client.close()

    def test_a_connection_that_breaks_with_many_calls(self):
        self.addCleanup(lambda: self.users.listener or self.users.start())
        with Client(self.router.port, self.protocol) as client:
            for _ in range(3):
                before = len(self.users.calls("gather"))
                for i in range(self.group - 1):
                    client.send(wire.CALL, "gather", i, [(1, "string", str(i))])
                self.assertTrue(self.users.wait_calls("gather", before + self.group - 1))
                self.users.stop()
                for i in range(self.group - 1):
                    reply = client.receive()
                    self.assertEqual(reply.seqid, i)
                    text = self.assert_router_error(reply, "gather", "/#/io.l5d.fs/users")
                    self.assertTrue(text.startswith("trestle: reply: "), text)
                self.users.start()
                until(lambda: client.text("get") == "users get", "it serves again")

    def test_a_client_that_vanishes_among_others(self):
        gone = Client(self.router.port, self.protocol)
        before = len(self.users.calls("gather"))
        gone.send(wire.CALL, "gather", 1, [(1, "string", "nobody's")])
        self.assertTrue(self.users.wait_calls("gather", before + 1))
        gone.reset()
        pending = f"rt/rt/server/127.0.0.1/{self.router.port}/pending"
        until(lambda: self.router.metric(pending) == 0, "its call is left")
        with Client(self.router.port, self.protocol) as client:
            count = self.group - 1
            for i in range(count):
                client.send(wire.CALL, "gather", i, [(1, "string", str(i))])
            # These are answered together with the one of nobody if its connection goes on, or wait
            # for one more on a connection of their own.
            self.assertTrue(self.users.wait_calls("gather", before + 1 + count))
            until(lambda: not self.users.running["gather"], "all are counted")
            if self.users.held() == count:
                client.send(wire.CALL, "gather", count, [(1, "string", str(count))])
                count += 1
            for i in range(count):
                self.assertEqual(client.receive().fields, {0: str(i).encode()})


class InOrder(InFlight, RouterTest):
    pass


class OutOfOrder(InFlight, RouterTest):
    order = -1


class OutOfOrderCompact(InFlight, RouterTest):
    protocol, order = wire.Compact, -1


class OutOfOrderBuffered(InFlight, RouterTest):
    order, buffered = -1, True


if __name__ == "__main__":
    unittest.main(verbosity=2)
