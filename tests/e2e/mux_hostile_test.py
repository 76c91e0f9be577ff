"""Mux clients that break the rules, by ignorance or on purpose: what closes, what is answered, and
that memory is bounded and others are served."""

import threading
import unittest

import mux_wire as mux
import wire
from bridges import PATIENT_MUX
from client import Closed
from fake_mux import FakeMux
from mux_client import MuxClient
from mux_server_test import MuxServer
from router_process import Router, RouterTest, until

MIB = 1 << 20


class BadMessages(MuxServer, RouterTest):
    def closes(self, data, handshake="probe"):
        """The session ends without an answer to any call; gives what came before that."""
        client = self.client(handshake=handshake)
        client.send_bytes(data)
        frames = client.until_closed()
        self.assertNotIn(mux.RDISPATCH, [frame.type for frame in frames])
        with self.client() as other:
            self.check_serves(other)
        return frames

    def refused(self, kind, body=b""):
        """The message is answered by Rerr with its tag, and the session goes on."""
        client = self.client()
        client.send_message(kind, 77, body)
        answer = client.answer(77)
        self.assertEqual(answer.type, mux.OLD_RERR)
        self.assertTrue(answer.body)
        self.check_serves(client)

    def test_messages_that_make_no_sense_there(self):
        for kind, body in ((mux.RPING, b""), (mux.RDISPATCH, mux.reply(mux.OK)),
                           (mux.TDRAIN, b""), (mux.TINIT, mux.init())):
            with self.subTest(kind):
                self.refused(kind, body)

    def test_types_that_nobody_defined(self):
        for kind in (33, 3, 0, 63, 69, 126, -3, -63, -100, -127):
            with self.subTest(kind):
                self.closes(mux.message(kind, 8, b"abc"))

    def test_frames_without_a_head(self):
        for data in (b"\0\0\0\0", b"\0\0\0\3\1\0\0", b"\0\0\0\1A"):
            with self.subTest(data.hex()):
                self.closes(data)

    def test_frames_over_the_bound(self):
        for size in (b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x80\0\0\0"):
            with self.subTest(size.hex()):
                self.closes(size + b"\2\0\0\2" + b"x" * 100)

    def test_dispatches_that_do_not_parse(self):
        payload = wire.Binary.message(wire.CALL, "plain:get", 1)
        good = mux.dispatch(payload, [("k", "v")], "/a", [("/a", "/b")])
        head = good[:len(good) - len(payload)]
        bodies = [head[:cut] for cut in range(len(head))]
        # Numbers and lengths that are larger than what follows, or negative as Finagle reads them.
        bodies += [b"\xff\xff" + good[2:], b"\x7f\xff" + good[2:], b"\0\1\xff\xff" + good[4:],
                   b"\0\0\x80\0" + good[4:], b"\0\0\0\0\xff\xff"]
        for body in bodies:
            with self.subTest(body.hex()):
                client = self.client()
                client.send_message(mux.TDISPATCH, 5, body)
                # Without a session, or with an Rerr for the call: never with a reply of a backend.
                try:
                    self.assertEqual(client.answer(5).type, mux.OLD_RERR)
                except Closed:
                    pass
        with self.client() as other:
            self.check_serves(other)

    def test_names_that_do_not_parse(self):
        for parts in ({"dtab": [("/a", "no path")]}, {"dtab": [("no path", "/a")]},
                      {"dtab": [("/svc/plain", "=>")]}, {"dtab": [("", "")]}):
            with self.subTest(parts):
                client = self.client()
                tag = client.send("plain:get", **parts)
                try:
                    answer = client.answer(tag)
                except Closed:
                    continue  # as Finagle's servers do
                if answer.type == mux.RDISPATCH:
                    self.assert_router_error(answer.message, "get")
                else:
                    self.assertEqual(answer.type, mux.OLD_RERR)

    def test_payloads_that_are_no_thrift(self):
        for payload in (b"", b"\0", b"\xde\xad\xbe\xef" * 8, b"GET / HTTP/1.1\r\n\r\n",
                        wire.Binary.message(wire.CALL, "plain:get", 1)[:9]):
            with self.subTest(payload):
                client = self.client()
                other = self.hold(client, self.muxed, f"beside {payload.hex()}")
                tag = client.dispatch(payload)
                answer = client.answer(tag)
                self.assertNotEqual((answer.type, answer.status), (mux.RDISPATCH, mux.OK))
                # The other calls of the session are not touched.
                self.muxed.release(f"beside {payload.hex()}")
                self.assertEqual(client.answer(other).status, mux.OK)
                self.check_serves(client)

    def test_a_duplicate_tag(self):
        client = self.client()
        tags = [self.hold(client, backend, "twice") for backend in (self.plain, self.muxed)]
        client.send("plain:get", tag=tags[0])
        frames = client.until_closed()
        self.assertEqual(sorted((frame.type, frame.tag) for frame in frames),
                         [(mux.OLD_RERR, tag) for tag in tags])
        self.assertIn(b"uplicate", frames[0].body)
        for backend in (self.plain, self.muxed):
            self.until_cancelled(backend)
        with self.client() as other:
            self.check_serves(other)

    def test_fragments_of_what_is_never_split(self):
        for kind in (mux.TPING, mux.TINIT, mux.TREQ, mux.TDISCARDED):
            with self.subTest(kind):
                self.closes(mux.message(kind, 5, b"\0" * 8, more=True))

    def test_bad_sessions_from_the_first_byte(self):
        for data in (b"\0\0\0\4\x21\0\0\2", b"\0\0\0\x0f\x7f\xff\xff\xfftinit check",
                     b"\0\0\0\4\xfe\0\0\2", b"\xff" * 100):
            with self.subTest(data.hex()):
                client = self.client(handshake="none")
                client.send_bytes(data)
                client.connection.finish_sending()
                client.until_closed()
        with self.client() as other:
            self.check_serves(other)


class Flood:
    """A router with small bounds, whose memory is looked at."""

    @classmethod
    def configure(cls):
        cls.muxed = cls.backend(FakeMux("muxed"))
        router = Router([{"protocol": "thriftmux", "label": "rt", "dtab": "/svc => /#/io.l5d.fs",
                          "maxFrameBytes": 2 * MIB, "client": PATIENT_MUX,
                          "servers": [{"mux": {"maxDispatches": 1000}}]}],
                        workers=1, maxBufferedBytes=8 * MIB)
        router.write("muxed", cls.muxed.port)
        return router

    def setUp(self):
        self.other = self.client()
        self.check_serves()
        self.before = self.router.memory()
        self.router.forget_peak()

    def client(self, **more):
        client = MuxClient(self.router.port, **more)
        self.addCleanup(client.close)
        return client

    def check_serves(self):
        """Another client is served, at once or as soon as there is room again."""
        def serves():
            answer = self.other.call("muxed:echo", [(1, "string", "on")])
            if answer.status == mux.NACK:  # as long as there is no room
                return False
            return answer.message.fields == {0: b"on"}

        until(serves, "another client is served")

    def check_memory(self, bound=32 * MIB):
        if not self.router.is_sanitized():
            self.assertLess(self.router.memory("VmHWM") - self.before, bound)

    def in_background(self, run):
        """Runs until it ends or its connection does."""
        def safely():
            try:
                run()
            except OSError:
                pass
        thread = threading.Thread(target=safely, daemon=True)
        thread.start()
        return thread


class Floods(Flood, RouterTest):
    def test_a_hundred_thousand_tags(self):
        client, count = self.client(), 100_000
        before = len(self.muxed.calls("never"))
        payload = mux.dispatch(client.payload("muxed:never"))
        thread = self.in_background(lambda: client.send_bytes(b"".join(
            mux.message(mux.TDISPATCH, tag, payload) for tag in range(2, count + 2))))
        nacks = set()
        while len(nacks) < count - 1000:
            frame = client.receive()
            answer = mux.read_reply(frame.body)
            self.assertEqual((frame.type, answer.status), (mux.RDISPATCH, mux.NACK))
            nacks.add(frame.tag)
        thread.join()
        self.assertLessEqual(len(self.muxed.calls("never")), before + 1000)
        self.check_serves()
        self.check_memory()
        client.reset()
        # What was taken is given back.
        self.assertTrue(self.muxed.wait(lambda: not any(s.calls for s in self.muxed.live())))
        self.check_serves()

    def test_a_client_that_never_reads(self):
        client = self.client()
        body = mux.dispatch(client.payload("muxed:pattern", [(1, "string", "500000")]))
        self.in_background(lambda: client.send_bytes(b"".join(
            mux.message(mux.TDISPATCH, tag, body) for tag in range(2, 5000))))
        for _ in range(20):
            self.check_serves()
        self.check_memory()
        client.reset()
        self.check_serves()

    def test_a_client_that_discards_everything(self):
        client, count = self.client(), 10_000
        payload = mux.dispatch(client.payload("muxed:never"))
        def run():
            for tag in range(2, count + 2):
                client.send_bytes(mux.message(mux.TDISPATCH, tag, payload) +
                                  mux.message(mux.OLD_TDISCARDED, 0, mux.discarded(tag)))
        self.in_background(run)
        answered = set()
        while len(answered) < count:
            frame = client.receive()
            self.assertIn(frame.type, (mux.RDISCARDED, mux.RDISPATCH))
            self.assertNotIn(frame.tag, answered)
            answered.add(frame.tag)
        self.check_serves()
        self.check_memory()
        self.assertTrue(self.muxed.wait(lambda: not any(s.calls for s in self.muxed.live())))

    def test_one_message_whose_fragments_never_end(self):
        client = self.client()
        piece = mux.message(mux.TDISPATCH, 2, b"\0" * 65536, more=True)
        def run():
            for _ in range(1000):
                client.send_bytes(piece)
        self.in_background(run)
        self.assertNotIn(mux.RDISPATCH, [frame.type for frame in client.until_closed()])
        self.check_serves()
        self.check_memory()

    def test_many_messages_whose_fragments_never_end(self):
        client = self.client()
        def run():
            for tag in range(2, 100_000):
                client.send_message(mux.TDISPATCH, tag, b"\0" * 1000, more=True)
        self.in_background(run)
        self.assertNotIn(mux.RDISPATCH, [frame.type for frame in client.until_closed()])
        self.check_serves()
        self.check_memory()

    def test_pings_without_end_whose_answers_are_not_read(self):
        client = self.client()
        ping = b"".join(mux.message(mux.TPING, tag) for tag in range(1, 1001))
        def run():
            for _ in range(5000):
                client.send_bytes(ping)
        self.in_background(run)
        for _ in range(20):
            self.check_serves()
        self.check_memory()
        client.reset()

    def test_empty_fragments_without_end(self):
        client = self.client()
        piece = mux.message(mux.TDISPATCH, 2, b"", more=True) * 1000
        def run():
            for _ in range(1000):
                client.send_bytes(piece)
        self.in_background(run)
        for _ in range(20):
            self.check_serves()
        self.check_memory()
        client.reset()


class Limits(RouterTest):
    """What is over a bound of the router's own is nacked: a Finagle client goes elsewhere then."""

    servers = [{"mux": {"maxDispatches": 2}}, {"maxConcurrentRequests": 2}]

    @classmethod
    def configure(cls):
        cls.muxed = cls.backend(FakeMux("muxed"))
        router = Router([{"protocol": "thriftmux", "label": "rt", "dtab": "/svc => /#/io.l5d.fs",
                          "client": PATIENT_MUX, "servers": cls.servers}], workers=1)
        router.write("muxed", cls.muxed.port)
        return router

    def test_nacks(self):
        for port, about in zip(self.router.ports, self.servers):
            with self.subTest(about), MuxClient(port) as client:
                key = f"held {port}"
                tags = [client.send("muxed:hold", [(1, "string", key)]) for _ in range(2)]
                self.assertTrue(self.muxed.wait(
                    lambda: sum(call.fields[1] == key.encode() for call in self.muxed.seen) == 2))
                for _ in range(5):
                    answer = client.call("muxed:get")
                    self.assertEqual((answer.status, answer.payload), (mux.NACK, b""))
                    self.assertEqual(answer.flags & mux.RETRYABLE, mux.RETRYABLE)
                self.muxed.release(key)
                for tag in tags:
                    self.assertEqual(client.answer(tag).status, mux.OK)
                self.assertEqual(client.text("muxed:get"), "muxed muxed:get")


if __name__ == "__main__":
    unittest.main(verbosity=2)
