"""Mux clients of a thriftmux router: how sessions start, calls, tags, pings, fragments and
discards."""

import unittest

import bridges
import mux_wire as mux
import wire
from fake_backend import FakeBackend
from fake_mux import FakeMux
from mux_client import MuxClient
from router_process import Router, RouterTest, until

FRAGMENT = 4096
BACKENDS = ("plain", "muxed")


class MuxServer:
    """A thriftmux router with a backend that speaks plain Thrift and one that speaks mux."""

    server = {"mux": {"maxFragmentBytes": FRAGMENT}}
    router_keys = {}

    @classmethod
    def configure(cls):
        cls.plain = cls.backend(FakeBackend("plain"))
        cls.muxed = cls.backend(FakeMux("muxed"))
        configs = [{"prefix": "/#/io.l5d.fs/muxed", **bridges.PATIENT_MUX}]
        router = Router([{"protocol": "thriftmux", "label": "rt", "dtab": "/svc => /#/io.l5d.fs",
                          "servers": [cls.server], **cls.router_keys,
                          "client": {"kind": "io.l5d.static", "configs": configs}}], workers=1)
        router.write("plain", cls.plain.port)
        router.write("muxed", cls.muxed.port)
        return router

    def client(self, **more):
        client = MuxClient(self.router.port, **more)
        self.addCleanup(client.close)
        return client

    def check_serves(self, client):
        for name in BACKENDS:
            self.assertEqual(client.text(f"{name}:get"), f"{name} {name}:get")

    def hold(self, client, backend, key, **more):
        """Sends a call that is not answered before it is released. Gives its tag."""
        before = len(backend.calls("hold"))
        tag = client.send(f"{backend.name}:hold", [(1, "string", key)], **more)
        self.assertTrue(backend.wait_calls("hold", before + 1))
        return tag

    def until_cancelled(self, backend, before=0):
        """Waits until the backend was told that nobody waits for its held call any more."""
        if backend is self.muxed:
            self.assertTrue(backend.wait(lambda: len(backend.discarded) > before))
        else:
            until(lambda: not backend.running[f"{backend.name}:hold"], "its connection is closed")


class Start(MuxServer, RouterTest):
    def test_every_way_to_start(self):
        for handshake in ("probe", "tinit", "none"):
            with self.subTest(handshake):
                self.check_serves(self.client(handshake=handshake))

    def test_the_probe_with_its_proper_number(self):
        client = self.client(handshake="none")
        client.send_message(mux.RERR, 1, mux.PROBE)
        self.assertEqual(client.receive_frame(), mux.Frame(mux.OLD_RERR, 1, False, mux.PROBE))
        client.start()
        self.check_serves(client)

    def test_the_probe_without_a_tinit(self):
        client = self.client(handshake="none")
        client.probe()
        self.check_serves(client)

    def test_the_first_message_is_another_one(self):
        client = self.client(handshake="none")
        self.assertTrue(client.ping(7))
        self.check_serves(client)

    def test_what_the_server_says_of_itself(self):
        client = self.client()
        self.assertEqual(client.peer_fragment, FRAGMENT)
        self.assertNotIn(b"compress", client.server_headers)
        self.assertEqual(client.server_headers.get(b"tls", b"off"), b"off")

    def test_headers_that_nobody_knows(self):
        headers = mux.framer(2**31 - 1) + [(b"tls", b"desired"), (b"x", b"\0\xff"), (b"", b""),
                                           (b"accept-compress", b"desired:lz4;desired:lz4")]
        client = self.client(headers=headers)
        self.assertNotIn(b"compress", client.server_headers)
        self.check_serves(client)

    def test_a_client_that_insists_on_tls(self):
        client = self.client(handshake="none")
        client.send_message(mux.TINIT, 1, mux.init([(b"tls", b"required")]))
        client.send("plain:get")
        self.assertNotIn(mux.RDISPATCH, [frame.type for frame in client.until_closed()])

    def test_another_version(self):
        client = self.client(handshake="none")
        client.probe()
        client.send_message(mux.TINIT, 1, mux.init(version=2))
        frames = client.until_closed()
        self.assertEqual([(frame.type, frame.tag) for frame in frames], [(mux.OLD_RERR, 1)])
        self.assertIn(b"ersion", frames[0].body)

    def test_a_second_tinit(self):
        client = self.client()
        client.send_message(mux.TINIT, 1, mux.init())
        self.assertEqual(client.answer(1).type, mux.OLD_RERR)
        self.check_serves(client)

    def test_many_sessions(self):
        clients = [self.client() for _ in range(50)]
        for client in clients:
            client.send("muxed:get")
        for client in clients:
            self.assertEqual(client.answer(2).message.fields, {0: b"muxed muxed:get"})


class Calls(MuxServer, RouterTest):
    def test_tags_of_every_size(self):
        client = self.client()
        for tag in (0, 1, 2, 3, 4095, 4096, 100_000, mux.MAX_TAG):
            for backend in (self.plain, self.muxed):
                answer = client.call(f"{backend.name}:get", tag=tag)
                self.assertEqual((answer.tag, answer.status, answer.message.fields),
                                 (tag, mux.OK, {0: f"{backend.name} {backend.name}:get".encode()}))

    def test_answers_come_as_they_are_there(self):
        client = self.client()
        for backend in (self.plain, self.muxed):
            first, second = (self.hold(client, backend, f"{backend.name}{i}") for i in (1, 2))
            self.check_serves(client)
            backend.release(f"{backend.name}2")
            self.assertEqual(client.receive().tag, second)
            backend.release(f"{backend.name}1")
            self.assertEqual(client.receive().tag, first)

    def test_many_calls_at_once(self):
        client = self.client()
        tags = {client.send(f"{BACKENDS[i % 2]}:echo", [(1, "string", str(i))]): i
                for i in range(1000)}
        for tag, i in tags.items():
            self.assertEqual(client.answer(tag).message.fields, {0: str(i).encode()})

    def test_seqids_come_back(self):
        client = self.client()
        for backend in (self.plain, self.muxed):
            for seqid in (0, 1, -1, 2**31 - 1, -2**31):
                answer = client.call(f"{backend.name}:get", seqid=seqid)
                self.assertEqual(answer.message.seqid, seqid)

    def test_a_oneway_is_answered_with_nothing(self):
        client = self.client()
        for backend in (self.plain, self.muxed):
            before = len(backend.calls("note"))
            answer = client.call(f"{backend.name}:note", kind=wire.ONEWAY)
            self.assertEqual((answer.type, answer.status, answer.payload),
                             (mux.RDISPATCH, mux.OK, b""))
            self.assertTrue(backend.wait_calls("note", before + 1))

    def test_a_oneway_that_fails_is_told(self):
        client = self.client()
        answer = client.call("nowhere:note", kind=wire.ONEWAY)
        self.assertEqual((answer.type, answer.status), (mux.RDISPATCH, mux.ERROR))
        self.assertTrue(answer.payload.startswith(b"trestle: "), answer)
        self.check_serves(client)

    def test_the_predecessor_of_tdispatch(self):
        client = self.client()
        payload = client.payload("muxed:get", seqid=5)
        client.send_message(mux.TREQ, 9, mux.treq(payload))
        answer = client.answer(9)
        self.assertEqual((answer.type, answer.status, answer.message.seqid), (mux.RREQ, mux.OK, 5))
        client.send_message(mux.TREQ, 9, mux.treq(payload, (0xB2, 0xC3, 0xA1), 1))
        self.assertEqual(client.answer(9).message.fields, {0: b"muxed muxed:get"})
        seen = bridges.arrived(self.muxed, "muxed:get").trace
        self.assertEqual((seen.span, seen.parent, seen.trace, seen.flags & 1),
                         (0xB2, 0xC3, 0xA1, 1))

    def test_an_error_of_the_router(self):
        client = self.client()
        answer = client.call("nowhere:get", seqid=77)
        self.assertEqual(answer.status, mux.OK)
        self.assert_router_error(answer.message, "get", "/svc/nowhere")
        self.assertEqual(answer.message.seqid, 77)
        self.check_serves(client)

    def test_a_local_dtab_is_of_its_call(self):
        client = self.client()
        dtab = [("/svc/plain", "/nowhere"), ("/svc/plain", "~ | /#/io.l5d.fs/muxed")]
        for _ in range(3):
            self.assertEqual(client.text("plain:get", dtab=dtab), "muxed plain:get")
            self.assertEqual(client.text("plain:get"), "plain plain:get")

    def test_the_destination_is_no_part_of_the_name(self):
        client = self.client()
        self.assertEqual(client.text("plain:get", dst="/some/where"), "plain plain:get")

    def test_pings_at_any_time(self):
        client = self.client()
        tag = self.hold(client, self.plain, "pings")
        for ping in (0, 1, 9, mux.MAX_TAG):
            self.assertTrue(client.ping(ping))
        self.plain.release("pings")
        self.assertEqual(client.answer(tag).status, mux.OK)

    def test_a_lease_from_a_client_changes_nothing(self):
        client = self.client()
        client.send_message(mux.TLEASE, 0, mux.lease(0))
        self.check_serves(client)

    def test_other_dialects_on_this_port(self):
        clients = [bridges.connect(dialect, self.router.port, wire.Binary)
                   for dialect in ("framed", "ttwitter", "theader", "mux")]
        for _ in range(3):
            for client in clients:
                self.assertEqual(client.text("muxed:get"), "muxed muxed:get")
                self.assertEqual(client.text("plain:get"), "plain plain:get")
        for client in clients:
            client.close()


class Fragments(MuxServer, RouterTest):
    payload = "x" * 100_000

    def test_both_ways(self):
        for size in (64, 700, FRAGMENT, 99_999, 2**31 - 1):
            for backend in (self.plain, self.muxed):
                client = self.client(fragment=size)
                self.assertTrue(client.text(f"{backend.name}:echo", self.payload) == self.payload)
                self.assertLessEqual(client.largest, size)
                self.assertEqual(client.joiner.fragments > 0, size < 100_000)

    def test_pieces_that_are_too_small(self):
        for size in (63, 1):
            client = self.client(handshake="none")
            client.send_message(mux.TINIT, 1, mux.init(mux.framer(size)))
            self.assertEqual(client.receive_frame().type, mux.OLD_RERR)
            self.assertTrue(client.is_closed())
        for size in (0, -1, -2**31):  # no size at all
            self.check_serves(self.client(headers=mux.framer(size)))

    def test_a_cut_anywhere(self):
        client = self.client()
        parts = {"contexts": [("com.twitter.finagle.Thing", "value")], "dst": "/a",
                 "dtab": [("/a", "/b"), ("/c", "/d")]}
        for size in range(1, 120):
            self.assertEqual(client.text("muxed:get", fragment=size, **parts), "muxed muxed:get")
            seen = self.muxed.seen[-1]
            self.assertEqual(seen.context(b"com.twitter.finagle.Thing"), b"value")
            self.assertEqual(seen.dtab[-2:], [(b"/a", b"/b"), (b"/c", b"/d")])

    def test_others_come_between(self):
        client = self.client()
        payload = client.payload("muxed:echo", [(1, "string", self.payload)])
        pieces = {tag: mux.pieces(mux.TDISPATCH, tag, mux.dispatch(payload), FRAGMENT)
                  for tag in (20, 21, 22)}
        for i, round_ in enumerate(zip(*pieces.values())):
            client.send_bytes(b"".join(round_))
            if i % 5 == 0:
                self.assertTrue(client.ping())
                self.assertEqual(client.text("plain:get"), "plain plain:get")
        for tag in pieces:
            self.assertTrue(client.answer(tag).message.fields == {0: self.payload.encode()})

    def test_a_small_answer_overtakes_a_large_one(self):
        client = self.client(fragment=FRAGMENT)
        large = client.send("muxed:pattern", [(1, "string", str(4 << 20))])
        self.check_serves(client)
        self.assertEqual(len(client.answer(large).message.fields[0]), 4 << 20)

    def test_a_discard_drops_the_pieces(self):
        client = self.client()
        before = len(self.muxed.seen)
        body = mux.dispatch(client.payload("muxed:echo", [(1, "string", "x" * 100)]))
        for piece in mux.pieces(mux.TDISPATCH, 5, body, 10)[:-1]:
            client.send_bytes(piece)
        client.discard(5)
        self.assertTrue(client.ping())
        self.assertFalse(client.answers, "a call that never was one is answered")
        self.assertEqual(client.text("muxed:get", tag=5), "muxed muxed:get")
        self.assertEqual(len(self.muxed.seen), before + 1)


class Discards(MuxServer, RouterTest):
    def test_the_call_is_cancelled_through_to_the_backend(self):
        client = self.client()
        for kind in (mux.OLD_TDISCARDED, mux.TDISCARDED):
            for backend in (self.plain, self.muxed):
                before = len(self.muxed.discarded)
                tag = self.hold(client, backend, "nobody's")
                client.discard(tag, kind=kind)
                self.assertEqual(client.answer(tag).type, mux.RDISCARDED)
                self.until_cancelled(backend, before)
                # The tag is free.
                self.assertEqual(client.text(f"{backend.name}:echo", "x", tag=tag), "x")

    def test_only_that_call(self):
        client = self.client()
        for backend in (self.plain, self.muxed):
            other = self.hold(client, backend, f"kept by {backend.name}")
            tag = self.hold(client, backend, "nobody's")
            client.discard(tag)
            self.assertEqual(client.answer(tag).type, mux.RDISCARDED)
            backend.release(f"kept by {backend.name}")
            self.assertEqual(client.answer(other).status, mux.OK)

    def test_tags_without_a_call(self):
        client = self.client()
        used = client.send("plain:get")
        client.answer(used)
        for tag in (used, 0, 1, 77, mux.MAX_TAG):
            client.discard(tag)
        self.assertTrue(client.ping())
        self.assertFalse(client.answers)
        self.check_serves(client)

    def test_a_reply_or_a_discard_and_never_both(self):
        client = self.client()
        for i in range(500):
            name = BACKENDS[i % 2]
            tag = client.send(f"{name}:echo", [(1, "string", "x")])
            client.discard(tag)
            self.assertIn(client.answer(tag).type, (mux.RDISPATCH, mux.RDISCARDED))
        self.assertTrue(client.ping())
        self.assertFalse(client.answers)
        self.check_serves(client)

    def test_a_client_that_goes(self):
        for leave in (MuxClient.close, MuxClient.reset):
            for backend in (self.plain, self.muxed):
                before = len(self.muxed.discarded)
                client = self.client()
                self.hold(client, backend, "nobody's")
                leave(client)
                self.until_cancelled(backend, before)
        self.check_serves(self.client())


if __name__ == "__main__":
    unittest.main(verbosity=2)
