"""The peers of the tests of bridges, against each other: what one writes, the other reads. No
router is between them, so a fault here is a fault of the tests."""

import json
import time
import unittest

import bridges
import mux_wire as mux
import theader_wire as theader
import wire
from bridges import Carried
from fake_mux import FakeMux
from mux_client import MuxClient

# A call and its reply as Apache Thrift's Python library writes them, and one with zlib.
THEADER_CALL = bytes.fromhex(
    "0fff000000000007000500000101086c35642d64746162062f733d3e2f62"
    "80010001000000046563686f000000070b000100000002686900")
THEADER_ZLIB = bytes.fromhex(
    "0fff0000000000080003000101010101 6b0176000000"
    "789c6b60646064606060494dcec807d21cdc60ae462291800100ca29118a")
# As Finagle 22.7 writes them: the start of a session, and a nack.
TINIT = bytes.fromhex("0000002a4400000100010000000a6d75782d6672616d6572000000047fffffff"
                      "00000003746c73000000036f6666")
NACK = bytes.fromhex("0000001dfe000002020001000a4d75784661696c75726500080000000000000003")


class Bytes(unittest.TestCase):
    def test_theader(self):
        payload = wire.Binary.message(wire.CALL, "echo", 7, [(1, "string", "hi")])
        keys = [("l5d-dtab", "/s=>/b")]
        self.assertEqual(theader.encode(payload, "binary", 7, keys), THEADER_CALL)
        header, inside = theader.decode(THEADER_CALL)
        self.assertEqual((inside, header.value("l5d-dtab")), (payload, b"/s=>/b"))
        header, inside = theader.decode(THEADER_ZLIB)
        self.assertEqual(wire.parse(wire.Binary, inside).fields, {1: b"a" * 40})
        self.assertEqual(theader.encode(inside, "binary", 8, [("k", "v")], 1), THEADER_ZLIB)

    def test_mux(self):
        headers = mux.framer(0x7FFFFFFF) + [(b"tls", b"off")]
        self.assertEqual(mux.message(mux.TINIT, 1, mux.init(headers)), TINIT)
        nack = mux.reply(mux.NACK, b"", mux.failure(mux.RETRYABLE | mux.REJECTED))
        self.assertEqual(mux.message(mux.RDISPATCH, 2, nack), NACK)
        whole = b"x" * 1000
        for size in (1, 7, 999, 1000, 1001):
            joiner, pieces = mux.Joiner(), mux.pieces(mux.TDISPATCH, 5, whole, size)
            frames = [mux.read_frame(wire.Reader(piece).take) for piece in pieces]
            self.assertEqual([joiner.take(frame) for frame in frames[:-1]],
                             [None] * (len(pieces) - 1))
            self.assertEqual(joiner.take(frames[-1]), mux.Frame(mux.TDISPATCH, 5, False, whole))


class Direct(unittest.TestCase):
    """Client to backend of the same dialect."""

    def each(self, dialects=bridges.DIALECTS):
        for dialect in dialects:
            for protocol in bridges.PROTOCOLS:
                with self.subTest(dialect=dialect, protocol=protocol.name):
                    backend = bridges.start(dialect, "users", protocol)
                    self.addCleanup(backend.stop)
                    client = bridges.connect(dialect, backend.port, protocol)
                    self.addCleanup(client.close)
                    yield client, backend

    def test_calls(self):
        for client, backend in self.each():
            self.assertEqual(client.text("users:get"), "users users:get")
            self.assertEqual(client.call("void", seqid=-1).body, b"\0")
            self.assertEqual(client.call("declared").fields, {1: {1: b"no such user"}})
            self.assertEqual(client.call("application").kind, wire.EXCEPTION)
            client.oneway("note")
            self.assertTrue(client.text("echo", "x" * (1 << 20)) == "x" * (1 << 20))
            self.assertEqual(len(backend.calls("note")), 1)

    def test_what_a_call_carries(self):
        sent = Carried(contexts={b"com.twitter.finagle.Thing": bytes(range(256))},
                       headers={b"k": b"v", b"empty": b""}, client_id=b"me",
                       trace=mux.Trace(1, 2, 3, 7, 4), deadline=(5, time.time_ns()),
                       dtab=[("/a", "/b|/c"), ("/d", "~")], dest="/some/where")
        for client, backend in self.each(bridges.WITH_PLACES):
            came = Carried(contexts={b"com.twitter.finagle.Thing": b"\0"}, headers={b"a": b"b"})
            bridges.answer_with(backend, came)
            client.call("carry", [], sent)
            self.assertEqual(bridges.arrived(backend, "carry"), sent)
            self.assertEqual(client.came_back(), came)


class Mux(unittest.TestCase):
    def setUp(self):
        self.backend = FakeMux("users", fragment=1000)
        self.addCleanup(self.backend.stop)

    def client(self, **more):
        client = MuxClient(self.backend.port, **more)
        self.addCleanup(client.close)
        return client

    def hold(self, client, key):
        before = len(self.backend.calls("hold"))
        tag = client.send("hold", [(1, "string", key)])
        self.assertTrue(self.backend.wait_calls("hold", before + 1))
        return tag

    def test_session_starts(self):
        for handshake in ("probe", "tinit", "none"):
            self.assertEqual(self.client(handshake=handshake).text("get"), "users get")
        self.assertEqual((self.backend.probes, self.backend.inits), (1, 2))

    def test_fragments_both_ways(self):
        client = self.client(fragment=700)
        self.assertTrue(client.text("echo", "x" * 100_000) == "x" * 100_000)
        self.assertEqual(client.joiner.fragments, 100_000 // 700)
        self.assertEqual(self.backend.sessions[0].joiner.fragments, 100_000 // 1000)

    def test_answers_out_of_order(self):
        client = self.client()
        one, two = self.hold(client, "one"), self.hold(client, "two")
        self.backend.release("two")
        self.assertEqual(client.receive().tag, two)
        self.backend.release("one")
        self.assertEqual(client.receive().tag, one)

    def test_ways_to_answer(self):
        client = self.client()
        nack = client.call("nack", [(1, "string", "3")])
        self.assertEqual((nack.status, nack.flags), (mux.NACK, 3))
        error = client.call("error")
        self.assertEqual((error.status, error.flags), (mux.ERROR, None))
        self.assertEqual(client.call("rerr").type, mux.OLD_RERR)
        report = json.loads(client.text("report", contexts=[("a", "b")], dst="/x"))
        self.assertEqual((report["contexts"], report["dst"]), ([["a", "62"]], "/x"))

    def test_discard_ping_and_lease(self):
        client = self.client()
        tag = self.hold(client, "never")
        client.discard(tag)
        self.assertEqual(client.answer(tag).type, mux.RDISCARDED)
        self.assertEqual(self.backend.discarded[0][1:], (tag, "the caller is gone"))
        self.backend.sessions[0].lease(7)
        self.assertTrue(client.ping())
        self.assertEqual(client.lease, 7)

    def test_drain(self):
        client = self.client()
        tag = self.hold(client, "last")
        self.backend.sessions[0].drain()
        client.until_drained()
        self.assertEqual(client.call("late").status, mux.NACK)
        self.assertEqual([call.name for call in self.backend.after_drain], ["late"])
        self.backend.release("last")
        self.assertEqual(client.answer(tag).message.fields, {0: b"last"})
        self.assertTrue(client.is_closed())


if __name__ == "__main__":
    unittest.main(verbosity=2)
