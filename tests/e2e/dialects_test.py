"""Clients and servers of Apache Thrift that speak different dialects, framed and buffered, binary
with and without a version, and compact; and ports that tell them by their first bytes."""

import itertools
import unittest

import wire
from apache import Server, call
from client import Client
from fake_backend import FakeBackend
from router_process import Router, RouterTest

TRANSPORTS = ("framed", "buffered")
PROTOCOLS = ("binary", "old-binary", "compact")
ALL = (0, "17 calls as expected, 0 not")


def family(protocol):
    return "compact" if protocol == "compact" else "binary"


class Apache(RouterTest):
    """Each kind of client with each kind of server whose protocol it speaks."""

    @classmethod
    def configure(cls):
        kinds = itertools.product(TRANSPORTS, PROTOCOLS, TRANSPORTS, PROTOCOLS)
        cls.cases = [case for case in kinds if family(case[1]) == family(case[3])]
        routers = []
        for i, (transport, protocol, server_transport, _) in enumerate(cls.cases):
            told = {"thriftFramed": transport == "framed"}
            routers.append({
                "protocol": "thrift", "label": f"case{i}", "dtab": f"/svc => /#/io.l5d.fs/case{i}",
                "servers": [{}, told], "thriftProtocol": family(protocol),
                "bodyIdleTimeoutMs": 3000,  # what is read as half a message is not waited for long
                "client": {"thriftFramed": server_transport == "framed"}})
        router = Router(routers, workers=1)
        for i, (_, _, transport, protocol) in enumerate(cls.cases):
            server = Server("--transport", transport, "--protocol", protocol, "--version", "v")
            cls.addClassCleanup(server.stop)
            router.write(f"case{i}", server.port)
        return router

    def test_all_kinds_of_calls_between_all_kinds_of_peers(self):
        for i, (transport, protocol, server_transport, server_protocol) in enumerate(self.cases):
            told = bool(i % 2)  # whether the port is told or tells by itself
            with self.subTest(client=(transport, protocol), told=told,
                              server=(server_transport, server_protocol)):
                flags = ["--transport", transport, "--protocol", protocol]
                self.assertEqual(call(self.router.ports[2 * i + told], *flags, "all"), ALL)

    def test_many_calls_on_one_connection(self):
        for i, (transport, protocol, *_) in enumerate(self.cases):
            flags = ["--transport", transport, "--protocol", protocol]
            for port in self.router.ports[2 * i:2 * i + 2]:
                with self.subTest(transport=transport, protocol=protocol):
                    self.assertEqual(call(port, *flags, "--count", "50", "--tally", "version"),
                                     (0, "50 ok v"))

    def test_a_port_that_is_told_refuses_others(self):
        for i, (transport, protocol, *_) in enumerate(self.cases):
            other = TRANSPORTS[transport == "framed"]
            flags = ["--transport", other, "--protocol", protocol]
            with self.subTest(transport=transport, protocol=protocol):
                code, line = call(self.router.ports[2 * i + 1], *flags, "version")
                self.assertEqual((code, line[:10]), (1, "transport:"))
        # And goes on serving those that it is for.
        self.test_many_calls_on_one_connection()


class OnePort(RouterTest):
    """One port for everybody; neither framing nor protocol is told."""

    @classmethod
    def configure(cls):
        routers = []
        for framed in (True, False):
            name = "framed" if framed else "buffered"
            routers.append({"protocol": "thrift", "label": name,
                            "dtab": f"/svc => /#/io.l5d.fs/{name} ; /svc/compact => "
                                    f"/#/io.l5d.fs/{name}-compact",
                            "servers": [{}, {"dest": "/compact"}],
                            "client": {"thriftFramed": framed}})
        router = Router(routers)
        for transport in TRANSPORTS:
            for protocol, name in (("binary", ""), ("compact", "-compact")):
                server = Server("--transport", transport, "--protocol", protocol, "--version",
                                transport)
                cls.addClassCleanup(server.stop)
                router.write(transport + name, server.port)
        return router

    def test_each_dialect_in_turn(self):
        for _ in range(2):
            for router in range(2):
                for transport, protocol in itertools.product(TRANSPORTS, PROTOCOLS):
                    with self.subTest(router=router, transport=transport, protocol=protocol):
                        port = self.router.ports[2 * router + (protocol == "compact")]
                        flags = ["--transport", transport, "--protocol", protocol]
                        self.assertEqual(call(port, *flags, "version"),
                                         (0, "ok " + TRANSPORTS[router]))
                        self.assertEqual(call(port, *flags, "getUser", "99"),
                                         (0, "declared NotFound: 99"))

    def test_upgraded_clients_of_each_dialect(self):
        for router in range(2):
            for transport, protocol in itertools.product(TRANSPORTS, PROTOCOLS):
                with self.subTest(router=router, transport=transport, protocol=protocol):
                    port = self.router.ports[2 * router + (protocol == "compact")]
                    flags = ["--transport", transport, "--protocol", protocol, "--upgrade"]
                    self.assertEqual(call(port, *flags, "--count", "5", "--tally", "version"),
                                     (0, "5 ok " + TRANSPORTS[router]))

    def test_an_error_of_the_router_in_each_dialect(self):
        for transport, protocol in itertools.product(TRANSPORTS, PROTOCOLS):
            with self.subTest(transport=transport, protocol=protocol):
                flags = ["--transport", transport, "--protocol", protocol, "--dtab", "/svc => !"]
                code, line = call(self.router.ports[0], *flags, "version")
                self.assertEqual((code, line[:27]), (0, "application 6: trestle: bin"))


class ByteByByte(RouterTest):
    """Messages that come in pieces, many at once, and their replies byte for byte."""

    dialects = [(protocol, buffered) for protocol in (wire.Binary, wire.OldBinary, wire.Compact)
                for buffered in (False, True)]

    @classmethod
    def configure(cls):
        cls.binary = cls.backend(FakeBackend("users", wire.OldBinary))
        cls.compact = cls.backend(FakeBackend("users", wire.Compact))
        router = Router([{"protocol": "thrift", "servers": [{}, {"dest": "/compact"}],
                          "dtab": "/svc => /#/io.l5d.fs/binary ; /svc/compact => "
                                  "/#/io.l5d.fs/compact"}])
        router.write("binary", cls.binary.port)
        router.write("compact", cls.compact.port)
        return router

    def each(self):
        for protocol, buffered in self.dialects:
            with self.subTest(protocol=protocol.__name__, buffered=buffered):
                port = self.router.ports[protocol is wire.Compact]
                with Client(port, protocol, buffered=buffered) as client:
                    yield client

    def test_one_byte_at_a_time(self):
        fields = [(1, "string", "x" * 30), (2, "struct", [(1, "list", ("i64", [1, -1]))])]
        for client in self.each():
            for _ in range(2):
                for byte in client.framed(wire.CALL, "echo", 5, fields):
                    client.send_bytes(bytes([byte]))
                self.assertEqual(client.receive().fields, {0: b"x" * 30})

    def test_many_at_once(self):
        for client in self.each():
            client.send_bytes(b"".join(client.framed(wire.CALL, "echo", i, [(1, "string", str(i))])
                                       for i in range(100)))
            for i in range(100):
                reply = client.receive()
                self.assertEqual((reply.seqid, reply.fields), (i, {0: str(i).encode()}))

    def test_a_body_of_every_type_arrives_byte_for_byte(self):
        fields = [(1, "bool", True), (2, "byte", -1), (3, "i16", -300), (4, "i32", 1 << 30),
                  (5, "i64", -(1 << 62)), (6, "double", 2.5), (7, "string", bytes(range(256))),
                  (9, "struct", [(1, "string", "in it"), (400, "i32", 5)]),
                  (10, "list", ("i32", list(range(40)))), (30, "list", ("struct", [[], []]))]
        for client in self.each():
            client.call("every", fields)
            backend = self.compact if client.protocol is wire.Compact else self.binary
            self.assertEqual(backend.calls("every")[-1].body, client.protocol.struct(fields))

    def test_oneways_between_calls(self):
        for client in self.each():
            backend = self.compact if client.protocol is wire.Compact else self.binary
            before = len(backend.calls("note"))
            for i in range(5):
                client.oneway("note", str(i))
                self.assertEqual(client.text("echo", str(i)), str(i))
            self.assertTrue(backend.wait_calls("note", before + 5))

    def test_large_messages(self):
        payload = bytes(i * 7 & 0xFF for i in range(1_000_003))
        for client in self.each():
            self.assertEqual(client.call("echo", [(1, "string", payload)]).fields, {0: payload})
            self.assertEqual(client.text("get"), "users get")

    def test_exceptions_of_the_backend_and_seqids(self):
        for client in self.each():
            for seqid in (0, 1, -1, 128, 2**31 - 1, -2**31):
                self.assertEqual(client.call("application", seqid=seqid).kind, wire.EXCEPTION)
                self.assertEqual(client.call("declared", seqid=seqid).fields,
                                 {1: {1: b"no such user"}})

    def test_the_router_answers_in_the_dialect_of_the_client(self):
        # A client that reads the old form only would not know what to do with a version.
        with Client(self.router.port, wire.OldBinary) as client:
            client.upgrade()
            client.send(wire.CALL, "get", 5, dtab=[("/svc", "!")])
            payload = client.receive_bytes(int.from_bytes(client.receive_bytes(4), "big"))
            self.assertEqual(payload[:8], b"\0" + b"\0\0\0\x03get")
            reader = wire.Reader(payload[1:])
            self.assert_router_error(wire.OldBinary.read_message(reader), "get")

    def test_a_client_that_says_nothing_and_one_that_says_half(self):
        for first in (b"", b"\0", b"\0\0\0", b"\0\0\0\x19", b"\0\0\0\x19\x80", b"\x80", b"\x82"):
            silent = Client(self.router.port)
            self.addCleanup(silent.close)
            silent.send_bytes(first)
        with Client(self.router.port) as client:
            self.assertEqual(client.text("get"), "users get")


class StripServiceName(RouterTest):
    """Clients that multiplex, servers that do not."""

    @classmethod
    def configure(cls):
        routers = []
        for protocol, transport in itertools.product(("binary", "compact"), TRANSPORTS):
            name = f"{protocol}-{transport}"
            routers.append({"protocol": "thrift", "label": name, "dstPrefix": "/thrift",
                            "thriftMethodInDst": True, "servers": [{}],
                            "dtab": f"/thrift/userService => /#/io.l5d.fs/{name}",
                            "client": {"thriftFramed": transport == "framed",
                                       "stripServiceName": True}})
        cls.kinds = [router["label"].split("-") for router in routers]
        routers.append({**routers[0], "label": "fake", "servers": [{}],
                        "dtab": "/thrift/userService => /#/io.l5d.fs/fake"})
        cls.users = cls.backend(FakeBackend("users"))
        router = Router(routers)
        router.write("fake", cls.users.port)
        for protocol, transport in cls.kinds:
            server = Server("--protocol", protocol, "--transport", transport, "--version", "one")
            cls.addClassCleanup(server.stop)
            router.write(f"{protocol}-{transport}", server.port)
        return router

    def test_all_kinds_of_calls(self):
        for (protocol, transport), port in zip(self.kinds, self.router.ports):
            with self.subTest(protocol=protocol, transport=transport):
                flags = ["--protocol", protocol, "--multiplexed"]
                self.assertEqual(call(port, *flags, "all"), ALL)

    def test_a_fake_backend_sees_the_bare_name_and_the_client_its_own_seqid(self):
        with Client(self.router.ports[-1]) as client:
            self.assertEqual(client.text("userService:get"), "users get")
            self.assertEqual(client.call("userService:echo", [(1, "string", "x")], -7).name, "echo")
            client.oneway("userService:note")
            self.assertTrue(self.users.wait_calls("note", 1))
        self.assertEqual({message.name for message in self.users.seen}, {"get", "echo", "note"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
