"""Finagle's Deadline: read, lowered by the router's own timeouts, passed on and enforced; and
clocks that differ. Tests do not depend on how fast they run: a deadline whose own timestamp lies in
the future leaves the time between the two, from whenever it comes."""

import itertools
import time
import unittest

import bridges
import mux_wire as mux
import wire
from bridges import Carried, for_each
from mux_client import MuxClient
from router_process import Router, RouterTest, until

MS = 10**6
SECOND = 10**9
HOUR = 3600 * SECOND
TIMEOUT = 5000  # ms, of the router's own


class Deadlines:
    """Routers of one kind that differ in their timeouts, each with a backend of every dialect that
    has a place for a deadline."""

    @classmethod
    def configure(cls):
        cls.users = {dialect: cls.backend(bridges.start(dialect, dialect, wire.Binary))
                     for dialect in (*bridges.WITH_PLACES, "framed")}
        configs = [{"prefix": f"/#/io.l5d.fs/{dialect}", **bridges.CLIENT_KEYS[dialect]}
                   for dialect in cls.users]
        timed = [{**config, "requestAttemptTimeoutMs": TIMEOUT} for config in configs]
        base = {"protocol": "thriftmux", "dtab": "/svc => /#/io.l5d.fs",
                "client": {"kind": "io.l5d.static", "configs": configs}}
        routers = [
            {**base, "label": "none"},
            {**base, "label": "attempt", "client": {"kind": "io.l5d.static", "configs": timed}},
            {**base, "label": "total", "service": {"totalTimeoutMs": TIMEOUT}},
            {**base, "label": "tolerant", "deadlineToleranceMs": 3_600_000},
            {**base, "label": "strict", "deadlineToleranceMs": 0}]
        cls.labels = [config["label"] for config in routers]
        router = Router([{**config, "servers": [{}]} for config in routers], workers=1)
        for dialect, backend in cls.users.items():
            router.write(dialect, backend.port)
        return router

    def port(self, label):
        return self.router.ports[self.labels.index(label)]

    def connect(self, dialect, label):
        client = bridges.connect(dialect, self.port(label), wire.Binary)
        self.addCleanup(client.close)
        return client

    def each(self, *labels):
        """Cases of a client of the router with one of these labels, and a backend."""
        for label, dialect, to in itertools.product(labels, bridges.WITH_PLACES,
                                                    bridges.WITH_PLACES):
            yield ({"client": dialect, "backend": to, "router": label},
                   lambda label=label, dialect=dialect, to=to:
                       (bridges.connect(dialect, self.port(label), wire.Binary), self.users[to]))

    def seen(self, client, backend, deadline):
        """What the backend gets of this deadline."""
        reply = client.call(f"{backend.name}:get", [], Carried(deadline=deadline))
        self.assertEqual(reply.kind, wire.REPLY, reply)
        return bridges.arrived(backend, f"{backend.name}:get").deadline


class PassedOn(Deadlines, RouterTest):
    @for_each("each", "none")
    def test_as_it_came_or_earlier(self, client, backend):
        now = time.time_ns()
        for sent in ((now, now + HOUR), (now - HOUR, now + 60 * SECOND)):
            timestamp, end = self.seen(client, backend, sent)
            self.assertLessEqual(end, sent[1])
            self.assertGreaterEqual(timestamp, sent[0])

    @for_each("each", "attempt", "total")
    def test_lowered_by_the_timeouts_of_the_router(self, client, backend):
        sent = (time.time_ns(), time.time_ns() + HOUR)
        timestamp, end = self.seen(client, backend, sent)
        self.assertLessEqual(end, time.time_ns() + TIMEOUT * MS)
        self.assertGreater(end, sent[0])
        self.assertGreaterEqual(timestamp, sent[0])

    @for_each("each", "none", "attempt", "total")
    def test_never_made_later(self, client, backend):
        now = time.time_ns()
        # By a clock that is an hour ahead.
        sent = (now + HOUR, now + HOUR + 20 * SECOND)
        timestamp, end = self.seen(client, backend, sent)
        self.assertLessEqual(end, sent[1])
        # Whoever goes by the difference of the two is left what the router gives, too.
        self.assertGreaterEqual(end - timestamp, TIMEOUT * 1_000_000)

    def test_values_that_are_none(self):
        # As Finagle has it, what does not parse is ignored; the call is served.
        with MuxClient(self.port("none")) as client:
            for value in (b"", b"\0", b"\0" * 15, b"\0" * 24):
                text = client.text("mux:get", contexts=[(mux.DEADLINE, value)])
                self.assertEqual(text, "mux mux:get")

    def test_ends_of_time(self):
        least, most = -2**63, 2**63 - 1
        with MuxClient(self.port("none")) as client:
            for deadline in ((0, most), (least, most), (most, most), (most, least), (0, 0),
                             (least, least)):
                contexts = [(mux.DEADLINE, mux.deadline(*deadline))]
                message = client.call("mux:get", contexts=contexts).message
                if message.kind == wire.EXCEPTION:
                    self.assert_router_error(message, "get", "eadline")
            self.assertEqual(client.text("mux:get"), "mux mux:get")


class Enforced(Deadlines, RouterTest):
    def ends_early(self, client, backend, deadline):
        """A call that its backend does not answer; gives the error."""
        before = len(backend.calls("hold"))
        reply = client.call(f"{backend.name}:hold", [(1, "string", "never")],
                            Carried(deadline=deadline))
        self.assertEqual(len(backend.calls("hold")), before + 1)
        return self.assert_router_error(reply, "hold", "eadline")

    @for_each("each", "none")
    def test_what_is_left_by_its_own_timestamp(self, client, backend):
        now = time.time_ns()
        self.ends_early(client, backend, (now + HOUR, now + HOUR + SECOND))

    def test_a_mux_backend_is_told(self):
        muxed = self.users["mux"]
        client = self.connect("mux", "none")
        before = len(muxed.discarded)
        now = time.time_ns()
        self.ends_early(client, muxed, (now + HOUR, now + HOUR + SECOND))
        self.assertTrue(muxed.wait(lambda: len(muxed.discarded) > before))
        self.assertEqual(muxed.discarded[-1][0].name, "mux:hold")

    def test_a_plain_backend_too(self):
        framed = self.users["framed"]
        for dialect in bridges.WITH_PLACES:
            client = self.connect(dialect, "none")
            now = time.time_ns()
            self.ends_early(client, framed, (now + HOUR, now + HOUR + SECOND))
            until(lambda: not framed.running["framed:hold"], "its connection is closed")


class Refused(Deadlines, RouterTest):
    @for_each("each", "none")
    def test_long_past(self, client, backend):
        now = time.time_ns()
        for sent in ((now - HOUR, now - 60 * SECOND), (now, now - 60 * SECOND),
                     (now + HOUR, now + HOUR - 60 * SECOND)):
            before = len(backend.seen)
            reply = client.call(f"{backend.name}:late", [], Carried(deadline=sent))
            self.assert_router_error(reply, "late", "eadline")
            self.assertEqual(len(backend.seen), before, "a backend saw it")
        self.assertEqual(client.text(f"{backend.name}:echo", "on"), "on")

    @for_each("each", "tolerant")
    def test_within_the_tolerance(self, client, backend):
        now = time.time_ns()
        _, end = self.seen(client, backend, (now - 60 * SECOND, now - SECOND))
        self.assertLessEqual(end, now - SECOND)

    @for_each("each", "strict")
    def test_without_a_tolerance(self, client, backend):
        now = time.time_ns()
        reply = client.call("framed:late", [], Carried(deadline=(now - SECOND, now - MS)))
        self.assert_router_error(reply, "late", "eadline")
        self.assertEqual(self.users["framed"].calls("late"), [])

    def test_a_oneway_that_is_late(self):
        client = self.connect("mux", "none")
        now = time.time_ns()
        pairs = Carried(deadline=(now - HOUR, now - 60 * SECOND)).pairs()
        tag = client.send("framed:note", kind=wire.ONEWAY, contexts=pairs)
        self.assertEqual(client.answer(tag).type, mux.RDISPATCH)
        self.assertEqual(client.text("framed:echo", "on"), "on")
        self.assertEqual(self.users["framed"].calls("note"), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
