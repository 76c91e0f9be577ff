"""THeader byte by byte: both seqids, keys, paddings, zlib and its bombs, and what breaks a
connection."""

import itertools
import struct
import unittest
import zlib

import theader_wire as theader
import wire
from bridges import for_each
from client import Client
from fake_backend import FakeBackend
from router_process import Router, RouterTest
from theader_wire import THeaderBackend, THeaderClient

MIB = 1 << 20
MOST = 2 * MIB  # maxFrameBytes


class Wire:
    """A thrift router whose port takes every dialect; backends that speak THeader and plain
    Thrift."""

    @classmethod
    def configure(cls):
        cls.users = {}
        configs = []
        for protocol in (wire.Binary, wire.Compact):
            for name, backend, keys in (
                    ("header", THeaderBackend, {"protocol": "theader"}),
                    ("zlib", THeaderBackend, {"protocol": "theader", "theaderZlib": True}),
                    ("plain", FakeBackend, {"protocol": "thrift"})):
                name = f"{name}-{protocol.name}"
                cls.users[name] = cls.backend(backend(name, protocol))
                configs.append({"prefix": f"/#/io.l5d.fs/{name}", **keys})
        router = Router([{"protocol": "thrift", "label": "rt", "dtab": "/svc => /#/io.l5d.fs",
                          "servers": [{}], "maxFrameBytes": MOST, "bodyIdleTimeoutMs": 2000,
                          "client": {"kind": "io.l5d.static", "configs": configs}}],
                        workers=1, maxBufferedBytes=64 * MIB)
        for name, backend in cls.users.items():
            router.write(name, backend.port)
        return router

    def client(self, protocol=wire.Binary, times=0):
        client = THeaderClient(self.router.port, protocol, times)
        self.addCleanup(client.close)
        return client

    def each(self, *kinds):
        """Cases of a client, the name of its backend, and that."""
        for protocol, times, kind in itertools.product(
                (wire.Binary, wire.Compact), (0, 1, 2), kinds or ("header", "zlib", "plain")):
            name = f"{kind}-{protocol.name}"
            yield ({"backend": name, "times": times},
                   lambda protocol=protocol, times=times, name=name: (
                       self.client(protocol, times), name, self.users[name]))

    def send_frame(self, content):
        client = self.client()
        client.send_bytes(wire.frame(content))
        return client


class Good(Wire, RouterTest):
    @for_each("each")
    def test_seqids(self, client, name, backend):
        for seqid in (0, 1, -1, 2**31 - 1, -2**31):
            # The message's own counts; receive() looks that both are the same.
            reply = client.call(f"{name}:get", seqid=seqid, header_seqid=99)
            self.assertEqual((reply.seqid, client.header.seqid), (seqid, seqid))

    @for_each("each", "header", "zlib")
    def test_what_the_backend_gets(self, client, name, backend):
        client.call(f"{name}:get", [(1, "string", "a" * 1000)], keys=[("k", "v"), ("e", "")])
        header = backend.header_of(f"{name}:get")
        self.assertEqual(header.protocol, theader.PROTOCOLS[client.protocol.name])
        self.assertEqual(header.seqid, backend.calls("get")[-1].seqid)
        self.assertEqual((header.value("k"), header.value("e")), (b"v", b""))
        # It is deflated where the configuration says so, whatever the client did.
        self.assertEqual(header.transforms, [theader.ZLIB] if name.startswith("zlib") else [])
        self.assertEqual(backend.calls("get")[-1].fields, {1: b"a" * 1000})

    @for_each("each", "header", "zlib")
    def test_replies_with_zlib(self, client, name, backend):
        for times in (0, 1, 2):
            backend.times = times
            text = "x" * 100_000
            self.assertTrue(client.text(f"{name}:echo", text) == text)
            self.assertEqual(client.call(f"{name}:declared").fields, {1: {1: b"no such user"}})

    @for_each("each", "header", "plain")
    def test_forms_of_a_header(self, client, name, backend):
        self.assertEqual(client.text(f"{name}:get", padding=9), f"{name} {name}:get")
        # Another kind of info hides what stands behind it.
        client.call(f"{name}:get", keys=[("a", "1")], more=b"\2\1\1x\1y" + theader.info(
            [("b", "2")]))
        # Blocks add up, and of equal keys the last one wins.
        reply = client.call(f"{name}:add", keys=[("a", "1"), ("b", "1")],
                            more=theader.info([("b", "2"), ("c", "3")]))
        self.assertEqual(reply.kind, wire.REPLY)
        if name.startswith("header"):
            first, second = (backend.header_of(f"{name}:{m}") for m in ("get", "add"))
            self.assertEqual((first.value("a"), first.value("b")), (b"1", None))
            self.assertEqual([second.value(k) for k in "abc"], [b"1", b"2", b"3"])

    def test_many_and_large_keys(self):
        for keys in ([(f"k{i}", "v" * i) for i in range(300)], [("k" * 20_000, "v" * 40_000)],
                     [(bytes(range(256)), bytes(range(255, -1, -1)))]):
            self.client().call("header-binary:get", keys=keys)
            header = self.users["header-binary"].header_of("header-binary:get")
            for key, value in keys:
                self.assertEqual(header.value(key), wire.as_bytes(value))

    def test_flags_are_those_of_the_request(self):
        # As Apache's servers have it.
        client = self.client()
        for flags in (0, 0x8001, 1):
            client.call("header-binary:get", flags=flags)
            self.assertEqual(client.header.flags, flags)

    @for_each("each")
    def test_one_byte_at_a_time(self, client, name, backend):
        for byte in client.framed(wire.CALL, f"{name}:echo", 5, [(1, "string", "x" * 30)],
                                  keys=[("key", "value")]):
            client.send_bytes(bytes([byte]))
        self.assertEqual(client.receive().fields, {0: b"x" * 30})

    @for_each("each", "header")
    def test_a_pipeline_with_different_keys(self, client, name, backend):
        client.send_bytes(b"".join(
            client.framed(wire.CALL, f"{name}:piped{i}", i, keys=[("number", str(i))])
            for i in range(50)))
        for i in range(50):
            self.assertEqual(client.receive().seqid, i)
            header = backend.header_of(f"{name}:piped{i}")
            self.assertEqual(header.value("number"), str(i).encode())

    @for_each("each")
    def test_large_messages(self, client, name, backend):
        payload = bytes(i * 7 & 0xFF for i in range(MIB))
        reply = client.call(f"{name}:echo", [(1, "string", payload)], keys=[("k", "v")])
        self.assertTrue(reply.fields == {0: payload})

    @for_each("each", "plain")
    def test_errors_of_the_router(self, client, name, backend):
        self.assert_router_error(client.call("nowhere:get"), "get", "/svc/nowhere")
        self.assertEqual(client.text(f"{name}:get"), f"{name} {name}:get")

    @for_each("each")
    def test_exceptions_and_oneways(self, client, name, backend):
        before = len(backend.calls("note"))
        client.oneway(f"{name}:note")
        self.assertEqual(client.call(f"{name}:application").kind, wire.EXCEPTION)
        self.assertTrue(backend.wait_calls("note", before + 1))


class Bad(Wire, RouterTest):
    """The connection ends, and nobody else's does. An answer before the end is an error."""

    payload = wire.Binary.message(wire.CALL, "plain-binary:bad", 7)

    def refused(self, content):
        with self.subTest(content[:60].hex()), self.send_frame(content) as client:
            client.finish_sending()
            data = b""
            while more := client.socket.recv(65536):
                data += more
            if data:
                self.assertIn(b"trestle:", data)
        self.assertEqual(self.users["plain-binary"].calls("bad"), [])

    def tearDown(self):
        with Client(self.router.port) as client:
            self.assertEqual(client.text("plain-binary:get"), "plain-binary plain-binary:get")
        super().tearDown()

    def test_every_beginning(self):
        whole = theader.encode(self.payload, "binary", 7, [("k", "v")])
        for cut in range(2, len(whole)):
            self.refused(whole[:cut])

    def test_headers_that_lie(self):
        start = struct.pack(">HHi", theader.MAGIC, 0, 7)
        for words, header in ((100, b"\0\0\0\0"), (0xFFFF, b"\0\0\0\0"), (0, b""),
                              (1, b"\xff\xff\xff\xff"), (1, b"\0\x7f\0\0"), (1, b"\0\0\1\x7f"),
                              (2, b"\0\0\1\1\x7fk\1v"), (2, b"\0\0\1\1\1k\x7fv"),
                              (2, b"\0\0\1\xff\xff\xff\xff\x7f"), (1, b"\x80\x80\x80\x80")):
            self.refused(start + struct.pack(">H", words) + header + self.payload)

    def test_transforms_and_protocols_that_nobody_has(self):
        start = struct.pack(">HHiH", theader.MAGIC, 0, 7, 1)
        for header in (b"\0\1\2\0", b"\0\1\3\0", b"\0\1\7\0", b"\1\0\0\0", b"\3\0\0\0",
                       b"\x7f\0\0\0"):
            self.refused(start + header + self.payload)

    def test_a_payload_of_the_other_protocol(self):
        self.refused(theader.encode(self.payload, "compact", 7))
        compact = wire.Compact.message(wire.CALL, "plain-binary:bad", 7)
        self.refused(theader.encode(compact, "binary", 7))

    def test_zlib_that_is_none(self):
        deflated = zlib.compress(self.payload)
        start = struct.pack(">HHiH", theader.MAGIC, 0, 7, 1) + b"\0\1\1\0"
        for cut in range(len(deflated)):
            self.refused(start + deflated[:cut])
        self.refused(start + deflated + b"more")
        self.refused(start + deflated[:-1] + bytes([deflated[-1] ^ 1]))
        self.refused(start + self.payload)

    def test_bombs(self):
        before = self.router.memory()
        self.router.forget_peak()
        bomb = wire.Binary.message(wire.CALL, "plain-binary:bad", 7,
                                   [(1, "string", b"\0" * 300 * MIB)])
        for times in (1, 2, 3):
            self.refused(theader.encode(bomb, "binary", 7, times=times))
        if not self.router.is_sanitized():
            self.assertLess(self.router.memory("VmHWM") - before, 32 * MIB)

    def test_bombs_of_a_backend(self):
        backend = self.users["header-binary"]
        backend.times = 2
        self.addCleanup(setattr, backend, "times", 0)
        with Client(self.router.port) as client:
            reply = client.call("header-binary:pattern", [(1, "string", str(16 * MIB))])
            self.assert_router_error(reply, "pattern", "header-binary")
            self.assertEqual(client.text("header-binary:echo", "on"), "on")

    def test_replies_that_are_no_thrift_or_of_another_call(self):
        with Client(self.router.port) as client:
            for method in ("garbage", "garbageBytes", "wrongSeqid", "wrongName", "wrongType",
                           "closeBefore", "resetBefore"):
                with self.subTest(method):
                    reply = client.call(f"header-binary:{method}")
                    self.assert_router_error(reply, method, "header-binary")
            self.assertEqual(client.text("header-binary:echo", "on"), "on")


if __name__ == "__main__":
    unittest.main(verbosity=2)
