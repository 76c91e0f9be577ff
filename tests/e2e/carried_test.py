"""What a call carries beside its message crosses every bridge that has a place for it: contexts,
client id, trace ids, deadline, local dtab, destination and the application's headers."""

import itertools
import time
import unittest

import bridges
import mux_wire as mux
import wire
from bridges import Carried, for_each
from client import Client
from router_process import Router, RouterTest

NS = 10**9
EVERY_BYTE = bytes(range(256))
# Nobody knows it, but it is named so that a THeader says that it is a context.
UNKNOWN = b"com.twitter.finagle.unknown.Thing"
CUSTOM = b"com.example.custom"
TRACES = {
    "sampled": mux.Trace(0xA1, 0xB2, 0xC3, 6),
    "not sampled": mux.Trace(0xA1, 0xB2, 0xC3, 2),
    "undecided, a root": mux.Trace(0x0102030405060708, 0x0102030405060708, 0x0102030405060708, 0),
    "debug, 128 bits": mux.Trace(2**63 + 5, 2**64 - 1, 1, 7, 0xFEDCBA9876543210),
}


def label(dialect, protocol):
    return f"{dialect}-{protocol.name}"


class Carrying:
    """A router whose calls are named by the destination, which every dialect here has; what is left
    of the name goes on."""

    @classmethod
    def configure(cls):
        cls.users = {}
        configs = []
        for dialect, protocol in itertools.product(bridges.WITH_PLACES, bridges.PROTOCOLS):
            name = label(dialect, protocol)
            cls.users[name] = cls.backend(bridges.start(dialect, name, protocol))
            configs.append({"prefix": f"/#/io.l5d.fs/{name}", **bridges.CLIENT_KEYS[dialect]})
        router = Router([{"protocol": "thriftmux", "label": "rt", "thriftMuxDstInName": True,
                          "dtab": "/svc => /#/io.l5d.fs", "servers": [{}],
                          "client": {"kind": "io.l5d.static", "configs": configs}}])
        for name, backend in cls.users.items():
            router.write(name, backend.port)
        return router

    def pairs(self):
        """Cases of a client, its dialect, the backend's, and the backend."""
        for protocol, dialect, to in itertools.product(
                bridges.PROTOCOLS, bridges.WITH_PLACES, bridges.WITH_PLACES):
            yield ({"client": dialect, "backend": label(to, protocol)},
                   lambda protocol=protocol, dialect=dialect, to=to:
                       (bridges.connect(dialect, self.router.port, protocol), dialect, to,
                        self.users[label(to, protocol)]))

    def carry(self, client, backend, **parts):
        """What arrives of these parts. Without a destination the backend's name is all there is."""
        parts["dest"] = f"/{backend.name}{parts.get('dest', '')}"
        reply = client.call("carry", [(1, "string", "x")], Carried(**parts))
        self.assertEqual(reply.fields, {0: f"{backend.name} carry".encode()})
        return bridges.arrived(backend, "carry")


class There(Carrying, RouterTest):
    @for_each("pairs")
    def test_contexts_that_nobody_knows(self, client, dialect, to, backend):
        values = {UNKNOWN: EVERY_BYTE, b"com.twitter.finagle.empty": b"", mux.RETRIES: b"\0\0\0\2"}
        seen = self.carry(client, backend, contexts=values).contexts
        self.assertEqual({key: seen.get(key) for key in values}, values)

    @for_each("pairs")
    def test_contexts_of_any_name(self, client, dialect, to, backend):
        if dialect == "theader":
            return  # there it is a header of the application
        seen = self.carry(client, backend, contexts={CUSTOM: EVERY_BYTE})
        place = seen.headers if to == "theader" else seen.contexts
        self.assertEqual(place.get(CUSTOM), EVERY_BYTE)

    @for_each("pairs")
    def test_client_ids(self, client, dialect, to, backend):
        seen = self.carry(client, backend, client_id="grüner client".encode())
        self.assertEqual(seen.client_id, "grüner client".encode())
        if to == "ttwitter":
            field = backend.header_of("carry")[6]
            self.assertEqual(field, {1: "grüner client".encode()})

    @for_each("pairs")
    def test_trace_ids(self, client, dialect, to, backend):
        for about, trace in TRACES.items():
            self.assertEqual(self.carry(client, backend, trace=trace).trace, trace, about)
            if to == "ttwitter":
                self.check_fields(backend.header_of("carry"), trace, about)

    def check_fields(self, header, trace, about):
        """Of TTwitter's header, where the ids stand a second time."""
        unsigned = {number: header[number] % 2**64 for number in (1, 2, 3) if number in header}
        expected = {1: trace.trace, 2: trace.span}
        if trace.parent != trace.span:
            expected[3] = trace.parent
        self.assertEqual({**unsigned, 3: unsigned.get(3, trace.span)},
                         {3: trace.span, **expected}, about)
        self.assertEqual(header.get(7, 0) & 1, trace.flags & 1, about)
        if trace.flags & 2:
            self.assertEqual(header[5], bool(trace.flags & 4), about)
        else:
            self.assertNotIn(5, header, about)

    @for_each("pairs")
    def test_deadlines(self, client, dialect, to, backend):
        now = time.time_ns()
        sent = (now - NS, now + 3600 * NS)
        timestamp, end = self.carry(client, backend, deadline=sent).deadline
        self.assertLessEqual(end, sent[1])
        self.assertGreater(end, now)
        self.assertGreaterEqual(timestamp, sent[0])

    @for_each("pairs")
    def test_local_dtabs(self, client, dialect, to, backend):
        dtab = [("/none", "/of/us"), ("/neither", "/this|/that"), ("/neither", "~")]
        self.assertEqual(self.carry(client, backend, dtab=dtab).dtab, dtab)
        self.assertEqual(self.carry(client, backend).dtab, [])

    @for_each("pairs")
    def test_what_is_left_of_the_destination(self, client, dialect, to, backend):
        for rest in ("", "/more", "/more/of/it"):
            self.assertEqual(self.carry(client, backend, dest=rest).dest, rest)

    @for_each("pairs")
    def test_headers_of_the_application(self, client, dialect, to, backend):
        headers = {b"tenant": b"blue", b"Empty": b"", b"bytes": EVERY_BYTE}
        self.assertEqual(self.carry(client, backend, headers=headers).headers, headers)

    @for_each("pairs")
    def test_all_of_it_together(self, client, dialect, to, backend):
        now = time.time_ns()
        sent = Carried(contexts={UNKNOWN: b"\0"}, headers={b"k": b"v"}, client_id=b"me",
                       trace=TRACES["debug, 128 bits"], deadline=(now, now + 3600 * NS),
                       dtab=[("/none", "/of/us")], dest="/left")
        seen = self.carry(client, backend, **vars(sent))
        self.assertEqual(seen.contexts.pop(UNKNOWN), b"\0")
        self.assertEqual((seen.headers, seen.client_id, seen.trace, seen.dtab, seen.dest),
                         (sent.headers, sent.client_id, sent.trace, sent.dtab, sent.dest))

    @for_each("pairs")
    def test_calls_on_one_connection_do_not_mix(self, client, dialect, to, backend):
        self.carry(client, backend, contexts={UNKNOWN: b"1"}, headers={b"a": b"1"},
                   client_id=b"one", trace=TRACES["sampled"], dest="/left")
        seen = self.carry(client, backend, headers={b"b": b"2"})
        self.assertNotIn(UNKNOWN, seen.contexts)
        self.assertEqual((seen.headers, seen.client_id or None, seen.dest),
                         ({b"b": b"2"}, None, ""))


class Back(Carrying, RouterTest):
    def back(self, client, backend, **parts):
        bridges.answer_with(backend, Carried(**parts))
        self.addCleanup(bridges.answer_with, backend, Carried())
        self.carry(client, backend)
        return client.came_back()

    @for_each("pairs")
    def test_contexts_of_replies(self, client, dialect, to, backend):
        seen = self.back(client, backend, contexts={UNKNOWN: EVERY_BYTE}).contexts
        self.assertEqual(seen.get(UNKNOWN), EVERY_BYTE)

    @for_each("pairs")
    def test_headers_of_replies(self, client, dialect, to, backend):
        headers = {b"resp-key": b"resp value", b"bytes": EVERY_BYTE, b"empty": b""}
        self.assertEqual(self.back(client, backend, headers=headers).headers, headers)

    @for_each("pairs")
    def test_nothing_comes_back_of_what_was_sent(self, client, dialect, to, backend):
        self.carry(client, backend, contexts={UNKNOWN: b"1"}, headers={b"a": b"1"})
        self.assertEqual(client.came_back(), Carried())


class Cleared(RouterTest):
    """clearContext: what a client says beside its message is dropped, whatever it speaks."""

    @classmethod
    def configure(cls):
        cls.users = {to: cls.backend(bridges.start(to, to, wire.Binary))
                     for to in bridges.WITH_PLACES}
        configs = [{"prefix": f"/#/io.l5d.fs/{to}", **bridges.CLIENT_KEYS[to]} for to in cls.users]
        router = Router([{"protocol": "thriftmux", "label": "rt", "dtab": "/svc => /#/io.l5d.fs",
                          "servers": [{"clearContext": True}],
                          "client": {"kind": "io.l5d.static", "configs": configs}}])
        for to, backend in cls.users.items():
            router.write(to, backend.port)
        return router

    def pairs(self):
        for dialect, to in itertools.product(bridges.WITH_PLACES, bridges.WITH_PLACES):
            yield ({"client": dialect, "backend": to},
                   lambda dialect=dialect, to=to: (
                       bridges.connect(dialect, self.router.port, wire.Binary), self.users[to]))

    @for_each("pairs")
    def test_nothing_goes_on(self, client, backend):
        now = time.time_ns()
        sent = Carried(contexts={UNKNOWN: b"x"}, client_id=b"me", trace=TRACES["sampled"],
                       deadline=(now - 3600 * NS, now - 60 * NS),
                       dtab=[(f"/svc/{backend.name}", "!")])
        reply = client.call(f"{backend.name}:get", [], sent)
        self.assertEqual(reply.kind, wire.REPLY, reply)
        seen = bridges.arrived(backend, f"{backend.name}:get")
        self.assertNotIn(UNKNOWN, seen.contexts)
        self.assertNotEqual(seen.trace, sent.trace)
        self.assertEqual((seen.client_id or None, seen.deadline, seen.dtab), (None, None, []))


class TwoPlaces(Carrying, RouterTest):
    """TTwitter's header has ids in fields and in contexts; contexts win where both are there."""

    def header(self, backend, protocol=wire.Binary, **header):
        with Client(self.router.port, protocol) as client:
            client.upgrade()
            client.call("places", dest="/" + backend.name, **header)
        return bridges.arrived(backend, "places")

    def test_fields_alone(self):
        ids = {"trace_id": 0xA1, "span_id": 0xB2, "parent_id": 0xC3, "sampled": True, "flags": 1}
        for dialect, protocol in itertools.product(("theader", "mux"), bridges.PROTOCOLS):
            with self.subTest(backend=dialect, protocol=protocol.name):
                seen = self.header(self.users[label(dialect, protocol)], protocol, ids=ids,
                                   client_id="me")
                self.assertEqual(seen.trace, mux.Trace(0xA1, 0xB2, 0xC3, 7))
                self.assertEqual(seen.client_id, b"me")

    def test_fields_of_a_root_that_is_not_decided(self):
        ids = {"trace_id": 0xA1, "span_id": 0xA1, "flags": 0}
        seen = self.header(self.users["mux-binary"], ids=ids)
        self.assertEqual(seen.trace, mux.Trace(0xA1, 0xA1, 0xA1, 0))

    def test_the_high_half_in_a_field(self):
        ids = {"trace_id": 0xA1, "span_id": 0xB2, "sampled": False, "flags": 0}
        seen = self.header(self.users["mux-binary"], ids=ids, unknown=[(11, "i64", 0x77)])
        self.assertEqual(seen.trace, mux.Trace(0xA1, 0xB2, 0xB2, 2, 0x77))

    def test_contexts_win(self):
        ids = {"trace_id": 1, "span_id": 2, "parent_id": 3, "sampled": False, "flags": 0}
        trace = TRACES["debug, 128 bits"]
        contexts = [(mux.TRACE, trace.encode()), (mux.CLIENT_ID, b"of the contexts")]
        for dialect in ("theader", "mux"):
            with self.subTest(backend=dialect):
                seen = self.header(self.users[label(dialect, wire.Binary)], ids=ids,
                                   client_id="of the fields", contexts=contexts)
                self.assertEqual((seen.trace, seen.client_id), (trace, b"of the contexts"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
