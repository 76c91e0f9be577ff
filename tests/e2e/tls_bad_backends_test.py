"""Backends that speak TLS badly, or are not who they should be: the call's error says why, and no
other call waits."""

import ssl
import unittest

import wire
from client import Client
from fake_backend import FakeBackend
from router_process import Router, RouterTest, free_port, until
from tls import ClearBackend, OpenSsl, TlsBackend, pem, server_context

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
FS = "/#/io.l5d.fs/"


def hang(connection):
    while connection.recv(4096):
        pass


def close_after_hello(connection):
    connection.recv(4096)


def close_at_once(_):
    pass


def reset_after_hello(connection):
    connection.recv(4096)
    FakeBackend.do_resetBefore(None, connection, None)
    connection.close()


def half_a_flight(connection):
    connection.recv(4096)
    connection.sendall(b"\x16\x03\x03\x10\x00\x02")


def garbage(connection):
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    connection.recv(4096)


def alerts(connection):
    connection.recv(4096)
    while True:
        connection.sendall(b"\x15\x03\x03\x00\x02\x01\x5a" * 100)


def large_record(connection):
    connection.recv(4096)
    connection.sendall(b"\x16\x03\x03\x48\x01" + b"x" * 0x4801)
    connection.recv(4096)


CLEAR = {"hangs": hang, "closes": close_after_hello, "closesAtOnce": close_at_once,
         "resets": reset_after_hello, "halfAFlight": half_a_flight, "garbage": garbage,
         "alerts": alerts, "largeRecord": large_record}


class BadBackends(RouterTest):
    @classmethod
    def configure(cls):
        cls.tls = {
            "good": server_context("a", client_ca="ca.pem"),
            "refuses12": server_context("a", client_ca="stranger_ca.pem", protocol=TLS12),
            "refuses13": server_context("a", client_ca="stranger_ca.pem", protocol=TLS13),
            "wants12": server_context("a", client_ca="ca.pem", protocol=TLS12),
            "wants13": server_context("a", client_ca="ca.pem", protocol=TLS13),
            "old": server_context("a", protocol=TLS12),
            "new": server_context("a", protocol=TLS13),
            "early": server_context("early"),
            "unknown": server_context("a"),
            "noChain": server_context("a", chain=False)}
        cls.peers = {name: cls.backend(TlsBackend(name, context))
                     for name, context in cls.tls.items()}
        cls.peers |= {name: cls.backend(ClearBackend(name, act)) for name, act in CLEAR.items()}
        cls.peers["inClear"] = cls.peers["unknown"]
        cls.peers["only13"] = cls.peers["old"]
        trust = {"commonName": "a.example", "trustCertsBundle": pem("ca.pem")}
        auth = {"clientAuth": {"certPath": pem("client_uri.pem"), "keyPath": pem("client_uri.key")}}
        tls = {"/": {**trust, **auth}, FS + "wants12": trust, FS + "wants13": trust,
               FS + "unknown": {**trust, "trustCertsBundle": pem("stranger_ca.pem")},
               FS + "inClear": {"enabled": False},
               FS + "only13": {**trust, "protocols": ["TLSv1.3"]}}
        router = Router([{
            "protocol": protocol, "label": protocol, "dtab": "/svc => /#/io.l5d.fs",
            "servers": [{}],
            "client": {"kind": "io.l5d.static", "configs": [
                {"prefix": "/", "connectTimeoutMs": 20000},  # a busy machine is no failure
                *({"prefix": prefix, "tls": one} for prefix, one in tls.items()),
                {"prefix": FS + "hangs", "connectTimeoutMs": 300}]},
            "service": {"totalTimeoutMs": 20000}} for protocol in ("thrift", "thriftmux")])
        for name, peer in cls.peers.items():
            router.write(name, peer.port)
        return router

    def setUp(self):
        self.client = Client(self.router.port)
        self.addCleanup(self.client.close)

    def ask(self, name, method="get", server=0):
        with Client(self.router.ports[server]) as client:
            return client.text(f"{name}:{method}")

    def assert_refused(self, name, *reasons, method="get"):
        text = self.ask(name, method)
        for part in (f"127.0.0.1:{self.peers[name].port}", *reasons):
            self.assertIn(part, text, name)
        self.assertTrue(self.ask("good").startswith("good"))

    def test_our_certificate_is_refused(self):
        for name in ("refuses12", "refuses13"):
            self.assert_refused(name, "does not know who signed our certificate")
            self.assertEqual(self.peers[name].seen, [])

    def test_who_would_speak_mux_says_why_too(self):
        for name, reason in (("refuses12", "does not know who signed our certificate"),
                             ("refuses13", "does not know who signed our certificate"),
                             ("wants13", "wants a certificate of ours"),
                             ("early", "is not valid before 2049")):
            text = self.ask(name, server=1)
            self.assertIn(f"127.0.0.1:{self.peers[name].port}", text)
            self.assertIn(reason, text)

    def test_no_certificate_is_shown_where_one_is_wanted(self):
        for name in ("wants12", "wants13"):
            self.assert_refused(name, "wants a certificate of ours")
            self.assertEqual(self.peers[name].seen, [])

    def test_a_hang_in_mid_handshake_ends_in_time_and_holds_nobody_up(self):
        self.client.send(wire.CALL, "hangs:get", 1)
        self.assertTrue(self.peers["hangs"].wait(lambda: self.peers["hangs"].accepted > 0))
        self.assertTrue(self.ask("good").startswith("good"))
        self.assertIn("no TLS handshake with", self.client.receive().fields[1].decode())
        self.assert_refused("hangs", "within 300 ms")

    def test_ends_in_mid_handshake(self):
        self.assert_refused("closes", "closed the connection")
        self.assert_refused("closesAtOnce", "closed the connection before the handshake")
        self.assert_refused("resets", "in the middle of the handshake")
        self.assert_refused("halfAFlight", "closed the connection in the middle of the handshake")

    def test_what_is_no_tls(self):
        self.assert_refused("garbage", 'does not speak TLS (it sent "HTTP/")')
        self.assert_refused("largeRecord", "no TLS connection to")
        self.assert_refused("alerts", "no TLS connection to", "too many")

    def test_who_is_not_who_it_should_be(self):
        self.assert_refused("early", "is not valid before 2049")
        self.assert_refused("unknown", "signed by an unknown authority: ", "CN=Test Root")
        self.assert_refused("noChain", "signed by an unknown authority: CN=Test Intermediate")
        self.assert_refused("only13", "no common protocol version")

    def test_a_backend_of_tls_spoken_to_in_clear(self):
        self.assert_refused("inClear", "127.0.0.1")

    def test_a_reply_is_cut_off(self):
        for name in ("old", "new"):
            self.assert_refused(name, "without close_notify: it was cut off", method="halfFrame")
            self.assert_refused(name, "closed the connection in mid-reply", method="endInReply")
            self.assert_refused(name, "connection to", "broke", method="damaged")
            self.assertTrue(self.ask(name).startswith(name))

    def test_connections_that_are_cut_off_between_calls_cost_no_call(self):
        for name in ("old", "new"):
            for _ in range(10):
                self.assertTrue(self.ask(name).startswith(name))
                with self.peers[name].lock:
                    idle = list(self.peers[name].connections)
                for connection in idle:
                    self.peers[name].end(connection)

    def test_nothing_is_left_of_all_that_was_refused(self):
        bad = [name for name in self.peers
               if name not in ("good", "old", "new", "hangs", "alerts")]

        def round_of_bad_ones():
            for name in bad:
                self.assertIn("trestle: ", self.ask(name), name)

        for _ in range(3):
            round_of_bad_ones()
        until(lambda: self.router.metric("rt/thrift/server/127.0.0.1/%d/connections"
                                         % self.router.port) == 1, "only ours is open")
        before = self.router.descriptors()
        for _ in range(20):
            round_of_bad_ones()
        until(lambda: self.router.descriptors() <= before, "all are closed")


class Renegotiation(RouterTest):
    """OpenSSL's server as the backend: of TLS 1.2 it asks for a new handshake."""

    @classmethod
    def configure(cls):
        cls.good = cls.backend(TlsBackend("good", server_context("a")))
        cls.asking = free_port()
        router = Router([{
            "protocol": "thrift", "dtab": "/svc => /#/io.l5d.fs", "servers": [{}],
            "client": {"tls": {"commonName": "a.example", "trustCertsBundle": pem("ca.pem")}},
            "service": {"totalTimeoutMs": 20000}}])
        router.write("good", cls.good.port)
        router.write("asks", cls.asking)
        return router

    def test_a_backend_that_asks_for_it_loses_its_call_with_a_reason(self):
        server = OpenSsl("s_server", "-accept", f"127.0.0.1:{self.asking}", "-tls1_2",
                         "-cert", pem("a_chain.pem"), "-cert_chain", pem("intermediate.pem"),
                         "-key", pem("a.key"))
        self.addCleanup(server.stop)
        until(lambda: b"ACCEPT" in server.said, "it listens")
        with Client(self.router.port) as client:
            client.send(wire.CALL, "asks:get", 1)
            until(lambda: b"asks:get" in server.said, "the call is there")
            server.type("r\n")
            text = client.receive().fields[1].decode()
            self.assertIn(f"127.0.0.1:{self.asking}", text)
            self.assertIn("renegotiation", text)
            self.assertTrue(client.text("good:get").startswith("good"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
