"""Clients that speak TLS badly, slowly or not at all: they are refused with a reason, and nobody else
waits."""

import os
import resource
import select
import socket
import ssl
import unittest

import wire
from client import PATIENCE, Client
from fake_backend import FakeBackend
from router_process import Router, RouterTest, until
from tls import OpenSsl, TlsClient, client_context, client_hello, pair, pem

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
MANY = 1000


def one_router(tls, **server):
    return {"protocol": "thrift", "dtab": "/svc => /#/io.l5d.fs",
            "servers": [{**({"tls": {**pair("a"), **tls}} if tls is not None else {}), **server}],
            "service": {"totalTimeoutMs": 20000}}


class Bytewise:
    """A socket that sends each byte by itself."""

    def __init__(self, port, context):
        self.plain = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.came, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.came, self.out, server_hostname="a.example")

    def do(self, step, *arguments):
        while True:
            try:
                return step(*arguments)
            except ssl.SSLWantReadError:
                self.flush()
                more = self.plain.recv(65536)
                if not more:
                    raise ConnectionError("closed")
                self.came.write(more)

    def flush(self):
        for byte in self.out.read():
            self.plain.sendall(bytes([byte]))

    def close(self):
        self.plain.close()


class BadClients(RouterTest):
    @classmethod
    def configure(cls):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 16384), most))
        cls.one = cls.backend(FakeBackend("one"))
        router = Router([
            {**one_router({}), "label": "tls"},
            {**one_router({"maxHandshakes": 4, "handshakeTimeoutMs": 10000}), "label": "few"},
            {**one_router({"maxHandshakes": 4, "handshakeTimeoutMs": 300}), "label": "short"},
            {**one_router({"maxHandshakes": 4, "handshakeTimeoutMs": 600000}), "label": "herd"},
            {**one_router({"optional": True, "maxHandshakes": 4}), "label": "both"},
            {**one_router(None), "label": "clear"}])
        router.write("users", cls.one.port)
        return router

    @classmethod
    def port(cls, label="tls"):
        return cls.router.ports[("tls", "few", "short", "herd", "both", "clear").index(label)]

    def metric(self, name, label="tls"):
        return self.router.metric(f"rt/{label}/server/127.0.0.1/{self.port(label)}/{name}")

    def assert_serves(self, label="tls"):
        with TlsClient(self.port(label)) as client:
            self.assertTrue(client.text("users:get").startswith("one"))

    def connect(self, label="tls"):
        plain = socket.create_connection(("127.0.0.1", self.port(label)), PATIENCE)
        self.addCleanup(plain.close)
        return plain

    def assert_refused(self, bytes_, reason):
        """Somebody who sends these is cut off, and the log tells of it (of some each second)."""
        def refused():
            plain = self.connect()
            try:
                plain.sendall(bytes_)
                while plain.recv(4096):
                    pass
            except ConnectionError:
                pass
            return any(reason in line and "127.0.0.1:" in line
                       for line in self.router.log().splitlines())

        until(refused, f"the log tells: {reason}")
        self.assert_serves()

    # Many who do not go on.

    def half_open(self, label, bytes_):
        connections = []
        for _ in range(MANY):
            connections.append(self.connect(label))
            if bytes_:
                connections[-1].sendall(bytes_)
        return connections

    def test_many_who_say_nothing_hold_nobody_up(self):
        for label in ("tls", "few"):
            silent = self.half_open(label, b"")
            until(lambda label=label: self.metric("tls/pending", label) >= MANY, "they are there")
            for _ in range(5):
                self.assert_serves(label)
            for connection in silent:
                connection.close()
            until(lambda label=label: self.metric("tls/pending", label) == 0, "none is left")

    def test_many_who_begin_and_say_no_more_make_room(self):
        for label, bytes_ in (("tls", client_hello()[:100]), ("few", client_hello()[:100]),
                              ("few", client_hello())):
            begun = self.half_open(label, bytes_)
            for _ in range(5):
                self.assert_serves(label)
            for connection in begun:
                connection.close()
            until(lambda label=label: self.metric("tls/pending", label) == 0, "none is left")

    def test_a_herd_of_good_clients_is_served(self):
        clients, context = {}, client_context()
        for _ in range(200):  # all hellos are there before the first of them goes on
            came, out = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = context.wrap_bio(came, out, server_hostname="a.example")
            plain = self.connect("herd")
            clients[plain] = came, out, tls
            self.step(plain, out, tls)
        while clients:
            ready, _, _ = select.select(list(clients), [], [], PATIENCE)
            self.assertNotEqual(ready, [])
            for plain in ready:
                came, out, tls = clients[plain]
                more = plain.recv(65536)
                self.assertNotEqual(more, b"")
                came.write(more)
                if self.step(plain, out, tls):
                    del clients[plain]
        self.assertEqual(self.metric("tls/failures", "herd"), 0)

    @staticmethod
    def step(plain, out, tls):
        """Whether its part of the handshake is done."""
        try:
            tls.do_handshake()
            return True
        except ssl.SSLWantReadError:
            return False
        finally:
            plain.sendall(out.read())

    def test_all_of_them_end_in_time(self):
        before = self.router.descriptors()
        for bytes_ in (b"", b"\x16", client_hello()):
            for connection in self.half_open("short", bytes_):
                try:
                    while connection.recv(65536):
                        pass
                except ConnectionError:
                    pass
                connection.close()
        until(lambda: self.metric("tls/pending", "short") == 0, "none is left")
        until(lambda: self.router.descriptors() <= before, "nor a descriptor")
        until(lambda: self.metric("connections", "short") == 0, "nor a connection")

    def test_silent_clients_of_clear_text_hold_nobody_up(self):
        silent = self.half_open("both", b"")
        self.assert_serves("both")
        with Client(self.port("both")) as client:
            self.assertTrue(client.text("users:get").startswith("one"))
        self.assertEqual([c for c in silent if self.closed(c)], [])

    @staticmethod
    def closed(connection):
        connection.setblocking(False)
        try:
            return connection.recv(1) == b""
        except BlockingIOError:
            return False

    # Bytes that are no handshake.

    def test_bytes_that_are_no_handshake(self):
        hello = client_hello()
        self.assert_refused(b"\x16\x03\x01\x48\x01" + b"x" * 0x4801, "failed: TLS failed: ")
        self.assert_refused(b"\x16\x03\x01\x00\x04\x01\xff\xff\xff", "failed: TLS failed: ")
        self.assert_refused(b"\x15\x03\x01\x00\x02\x01\x5a" * 5000, "failed: TLS failed: ")
        self.assert_refused(b"\x16\x03\x01\x00\x00" * 5000, "failed: TLS failed: ")
        self.assert_refused(b"GET / HTTP/1.1\r\n\r\n", 'does not speak TLS (it sent "GET /")')
        self.assert_refused(hello + b"\x16\x03\x03\x00\x40" + b"x" * 64, "failed: ")
        self.assert_refused(hello[:9] + bytes(len(hello) - 9), "failed: TLS failed: ")

    def test_ends_in_mid_handshake(self):
        def left(bytes_, reset=False):
            def leave():
                client = Client(self.port())
                client.send_bytes(bytes_)
                if reset:
                    client.reset()
                client.close()
                return True

            return leave

        leave = left(client_hello()[:50])
        until(lambda: leave() and "closed the connection in the middle" in self.router.log(),
              "the log tells")
        gone = self.metric("tls/gone")
        left(b"")()
        until(lambda: self.metric("tls/gone") == gone + 1, "who said nothing is counted alone")
        failures = self.metric("tls/failures")
        left(client_hello(), reset=True)()
        until(lambda: self.metric("tls/failures") > failures, "a reset is counted too")
        self.assert_serves()

    # Odd, and good all the same.

    def test_a_client_that_sends_one_byte_at_a_time(self):
        for version in (TLS12, TLS13):
            client = Bytewise(self.port(), client_context(protocol=version))
            self.addCleanup(client.close)
            client.do(client.tls.do_handshake)
            message = wire.Binary.message(wire.CALL, "users:get", 1, [])
            client.do(client.tls.write, wire.frame(message))
            client.flush()
            self.assertIn(b"one", client.do(client.tls.read, 4096))

    def test_a_hello_of_many_bytes(self):
        context = client_context()
        context.set_alpn_protocols([f"protocol-{i:0200}" for i in range(60)])
        self.assertGreater(len(client_hello(context)), 12_000)
        with TlsClient(self.port(), context) as client:
            self.assertTrue(client.text("users:get").startswith("one"))

    def test_fresh_keys_are_taken(self):
        client = OpenSsl("s_client", "-connect", f"127.0.0.1:{self.port()}", "-CAfile",
                         pem("ca.pem"), "-tls1_3")
        self.addCleanup(client.stop)
        until(lambda: b"Verify return code: 0" in client.said, "it is connected")
        for i in range(10):
            client.type("K\n")
            until(lambda i=i: client.said.count(b"KEYUPDATE") > i, "it was sent")
        self.assert_serves()
        self.assertIsNone(client.process.poll())

    # After the handshake.

    def test_a_client_that_asks_for_a_second_handshake_does_not_get_it(self):
        client = OpenSsl("s_client", "-connect", f"127.0.0.1:{self.port()}", "-CAfile",
                         pem("ca.pem"), "-tls1_2")
        self.addCleanup(client.stop)
        until(lambda: b"Verify return code: 0" in client.said, "it is connected")
        client.type("R\n")
        self.assertIn("no renegotiation", client.wait())
        self.assert_serves()

    def test_what_breaks_later_costs_its_own_calls_only(self):
        for version in (TLS12, TLS13):
            for harm in (b"\x17\x03\x03\x48\x01" + b"x" * 0x4801,
                         b"\x17\x03\x03\x00\x40" + b"damaged!" * 8,
                         b"\x17\x03\x03\x00\x00" * 1000,
                         b"\x15\x03\x03\x00\x02\x01\x5a" * 1000,
                         b"GET / HTTP/1.1\r\n\r\n", None):
                with TlsClient(self.port()) as other, \
                        TlsClient(self.port(), client_context(protocol=version)) as client:
                    self.assertTrue(client.text("users:get").startswith("one"))
                    before = len(self.one.calls("hold"))
                    client.send(wire.CALL, "users:hold", 1, [(1, "string", "never")])
                    self.assertTrue(self.one.wait_calls("hold", before + 1))
                    if harm:
                        os.write(client.socket.fileno(), harm)
                        with self.assertRaises((OSError, ssl.SSLError)):
                            while client.socket.recv(4096):
                                pass
                            raise ConnectionError("closed in good order")
                    else:  # without close_notify
                        socket.socket.shutdown(client.socket, socket.SHUT_RDWR)
                    self.assertTrue(other.text("users:get").startswith("one"))
        until(lambda: self.metric("connections") == 0, "all are gone")
        until(lambda: sum(self.one.running.values()) == 0, "their calls too")

    def test_a_client_of_tls_on_a_clear_port(self):
        with self.assertRaises((OSError, ssl.SSLError)):
            TlsClient(self.port("clear"))
        until(lambda: self.metric("malformed", "clear") > 0, "it is counted")
        with Client(self.port("clear")) as client:
            self.assertTrue(client.text("users:get").startswith("one"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
