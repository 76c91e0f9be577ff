"""Every kind of client with every kind of backend: all kinds of calls, in binary and in compact."""

import itertools
import unittest

import bridges
import mux_wire
import wire
from bridges import Carried, for_each
from fake_dialects import pattern
from router_process import Router, RouterTest

# On which router clients of a dialect are served: a thriftmux port does not tell buffered ones.
ROUTERS = {"thrift": ("framed", "buffered", "ttwitter", "theader"),
           "thriftmux": ("framed", "ttwitter", "theader", "mux")}
CLIENTS = [(protocol, dialect) for protocol, dialects in ROUTERS.items() for dialect in dialects]
MIB = pattern(1 << 20)


def label(dialect, protocol):
    return f"{dialect}-{protocol.name}"


class Bridges:
    """A backend of each dialect and protocol behind a thrift and a thriftmux router, one process;
    the service in a message's name is the backend's label."""

    @classmethod
    def configure(cls):
        cls.users = {}
        for dialect, protocol in itertools.product(bridges.DIALECTS, bridges.PROTOCOLS):
            name = label(dialect, protocol)
            cls.users[name] = cls.backend(bridges.start(dialect, name, protocol))
        # A server of the other protocol may wait for more of what it takes for a long message.
        configs = [{"prefix": "/", "requestAttemptTimeoutMs": 3000}]
        configs += [{"prefix": f"/#/io.l5d.fs/{label(dialect, protocol)}",
                     **bridges.CLIENT_KEYS[dialect]}
                    for dialect, protocol in itertools.product(bridges.DIALECTS, bridges.PROTOCOLS)]
        router = Router([{"protocol": kind, "label": kind, "dtab": "/svc => /#/io.l5d.fs",
                          "servers": [{}],
                          "client": {"kind": "io.l5d.static", "configs": configs}}
                         for kind in ROUTERS])
        for name, backend in cls.users.items():
            router.write(name, backend.port)
        return router

    def connect(self, kind, protocol):
        router, dialect = kind
        return bridges.connect(dialect, self.router.ports[list(ROUTERS).index(router)], protocol)

    def pairs(self, protocols=bridges.PROTOCOLS):
        """Cases of a client, the name of its backend, and that."""
        for protocol, kind, dialect in itertools.product(protocols, CLIENTS, bridges.DIALECTS):
            name = label(dialect, protocol)
            yield ({"client": kind, "backend": name},
                   lambda kind=kind, protocol=protocol, name=name:
                       (self.connect(kind, protocol), name, self.users[name]))

    def clients(self):
        """Cases of a client, and the name of a backend of its protocol."""
        for protocol, kind in itertools.product(bridges.PROTOCOLS, CLIENTS):
            yield ({"client": kind, "protocol": protocol.name},
                   lambda kind=kind, protocol=protocol:
                       (self.connect(kind, protocol), label("framed", protocol)))


class Calls(Bridges, RouterTest):
    @for_each("pairs")
    def test_calls(self, client, name, backend):
        for seqid in (1, 0, -1, 2**31 - 1, -2**31):
            reply = client.call(f"{name}:get", [(1, "i64", 5)], seqid=seqid)
            self.assertEqual((reply.kind, reply.name, reply.fields),
                             (wire.REPLY, f"{name}:get", {0: f"{name} {name}:get".encode()}))

    @for_each("pairs")
    def test_bodies_arrive_byte_for_byte(self, client, name, backend):
        fields = [(1, "bool", True), (2, "byte", -1), (3, "i16", -300), (4, "i32", 1 << 30),
                  (5, "i64", -(1 << 62)), (6, "double", 2.5), (7, "string", bytes(range(256))),
                  (9, "struct", [(1, "string", "in it"), (400, "i32", 5)]),
                  (10, "list", ("i32", list(range(40)))), (30, "list", ("struct", [[], []]))]
        client.call(f"{name}:every", fields)
        seen = backend.calls("every")[-1]
        self.assertEqual((seen.kind, seen.name), (wire.CALL, f"{name}:every"))
        self.assertEqual(seen.body, client.protocol.struct(fields))

    @for_each("pairs")
    def test_void(self, client, name, backend):
        reply = client.call(f"{name}:void", [(1, "string", "text")])
        self.assertEqual((reply.kind, reply.body), (wire.REPLY, b"\0"))

    @for_each("pairs")
    def test_declared_exceptions(self, client, name, backend):
        reply = client.call(f"{name}:declared")
        self.assertEqual((reply.kind, reply.fields), (wire.REPLY, {1: {1: b"no such user"}}))

    @for_each("pairs")
    def test_application_exceptions(self, client, name, backend):
        expected = {1: b"Invalid method name", 2: wire.UNKNOWN_METHOD}
        reply = client.call(f"{name}:application")
        self.assertEqual((reply.kind, reply.fields), (wire.EXCEPTION, expected))

    @for_each("pairs")
    def test_oneways(self, client, name, backend):
        before = len(backend.calls("note"))
        for i in range(3):
            client.oneway(f"{name}:note", f"note {i}")
            # Were the oneway answered, this would be the wrong reply.
            self.assertEqual(client.text(f"{name}:echo", str(i)), str(i))
        self.assertTrue(backend.wait_calls("note", before + 3))
        notes = backend.calls("note")[before:]
        self.assertEqual({note.kind for note in notes}, {wire.ONEWAY})
        self.assertEqual(sorted(note.fields[1] for note in notes),
                         [b"note 0", b"note 1", b"note 2"])

    @for_each("pairs")
    def test_empty_bodies(self, client, name, backend):
        self.assertEqual(client.call(f"{name}:void").body, b"\0")
        self.assertEqual(backend.calls("void")[-1].body, b"\0")
        self.assertEqual(client.text(f"{name}:echo", ""), "")

    @for_each("pairs")
    def test_bodies_of_a_mebibyte(self, client, name, backend):
        reply = client.call(f"{name}:echo", [(1, "string", MIB)])
        self.assertTrue(reply.fields == {0: MIB}, "it came back changed")
        self.assertEqual(client.text(f"{name}:echo", "and on"), "and on")


class Names(Bridges, RouterTest):
    """What a client says decides where its call goes, wherever the dialect has it."""

    @for_each("pairs")
    def test_a_local_dtab_moves_a_call(self, client, name, backend):
        carried = Carried(dtab=[("/svc/moved", f"/#/io.l5d.fs/{name}")])
        reply = client.call("moved:get", [], carried)
        if client.has_places:
            self.assertEqual(reply.fields, {0: f"{name} moved:get".encode()})
        else:
            self.assert_router_error(reply, "get", "/svc/moved")

    @for_each("pairs", [wire.Binary])
    def test_it_counts_for_its_call_only(self, client, name, backend):
        carried = Carried(dtab=[(f"/svc/{name}", "!")])
        self.assertEqual(client.call(f"{name}:get").kind, wire.REPLY)
        reply = client.call(f"{name}:get", [], carried)
        self.assertEqual(reply.kind == wire.EXCEPTION, client.has_places)
        self.assertEqual(client.call(f"{name}:get").kind, wire.REPLY)

    @for_each("clients")
    def test_a_name_that_leads_nowhere(self, client, name):
        self.assert_router_error(client.call("nowhere:get"), "get", "/svc/nowhere")
        if not isinstance(client, bridges.MuxSide):  # there everything has an answer
            client.oneway("nowhere:note")
        self.assertEqual(client.text(f"{name}:echo", "on"), "on")


class OtherProtocol(Bridges, RouterTest):
    """A backend of the other protocol: nobody translates, and the error says so."""

    @for_each("clients")
    def test_a_clear_error(self, client, good):
        other = wire.Compact if client.protocol is wire.Binary else wire.Binary
        for dialect in bridges.DIALECTS:
            name = label(dialect, other)
            if dialect == "mux" and isinstance(client, bridges.MuxSide):
                # The backend's own error of mux, as it came.
                with self.assertRaisesRegex(AssertionError, f"no {other.name}"):
                    client.call(f"{name}:get")
                self.assertEqual(client.last.status, mux_wire.ERROR)
            else:
                self.assert_router_error(client.call(f"{name}:get"), "get", name)
            # The client's connection is as good as before.
            self.assertEqual(client.text(f"{good}:echo", "on"), "on")


if __name__ == "__main__":
    unittest.main(verbosity=2)
