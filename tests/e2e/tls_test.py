"""TLS towards clients and backends, with Python's ssl as the other side."""

import os
import shutil
import socket
import ssl
import unittest

from client import PATIENCE, Client
from fake_backend import FakeBackend
from router_process import Router, RouterTest, until
from tls import (TlsBackend, TlsClient, certs, client_context, handshake, pair, pem,
                 server_context)


def one_router(tls=None, client=None, **server):
    return {"protocol": "thrift", "dtab": "/svc => /#/io.l5d.fs",
            "servers": [{**({"tls": tls} if tls else {}), **server}],
            **({"client": client} if client else {}), "service": {"totalTimeoutMs": 20000}}


class TowardsClients(RouterTest):
    @classmethod
    def configure(cls):
        cls.one = cls.backend(FakeBackend("one"))
        router = Router([
            {**one_router({"certificates": [pair("a"), pair("b")]}), "label": "plain"},
            {**one_router({**pair("a"), "requireClientAuth": True, "caCertPath": pem("ca.pem")}),
             "label": "known"},
            {**one_router({**pair("a"), "optional": True}), "label": "both"},
            {**one_router({**pair("a"), "requireClientAuth": True, "caCertPath": pem("ca.pem")},
                          allow=["spiffe://*", "*.nobody.example"]), "label": "allowed"},
            {**one_router({**pair("a"), "protocols": ["TLSv1.2"]}), "label": "old"}])
        router.write("users", cls.one.port)
        return router

    def ports(self):
        return dict(zip(("plain", "known", "both", "allowed", "old"), self.router.ports))

    def asks(self, client):
        with client:
            return client.text("users:get").split(" ")[0]

    def test_calls_by_either_version(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = client_context(protocol=version)
            self.assertEqual(self.asks(TlsClient(self.ports()["plain"], context)), "one")
        self.assertIn("rt/plain/server/127.0.0.1/", " ".join(self.router.metrics()))

    def test_large_messages_both_ways(self):
        with TlsClient(self.ports()["plain"]) as client:
            text = "x" * 3_000_000
            self.assertEqual(client.text("users:echo", text), text)

    def test_the_certificate_is_chosen_by_the_name_that_is_asked_for(self):
        for name in ("a.example", "b.example"):
            self.assertEqual(self.asks(TlsClient(self.ports()["plain"], name=name)), "one")

    def test_sessions_are_resumed_at_any_worker(self):
        context = client_context(protocol=ssl.TLSVersion.TLSv1_2)
        with TlsClient(self.ports()["plain"], context) as client:
            client.text("users:get")
            session = client.socket.session
        for _ in range(6):
            with TlsClient(self.ports()["plain"], context, session=session) as client:
                self.assertTrue(client.socket.session_reused)
                self.assertTrue(client.text("users:get").startswith("one"))

    def test_one_port_for_tls_and_clear_text(self):
        self.assertEqual(self.asks(TlsClient(self.ports()["both"])), "one")
        self.assertEqual(self.asks(Client(self.ports()["both"])), "one")

    def test_who_has_no_good_certificate_is_refused_with_a_reason(self):
        port = self.ports()["known"]
        good = client_context(cert="client_uri")
        self.assertEqual(self.asks(TlsClient(port, good)), "one")
        for cert, reason in ((None, "certificate"), ("client_stranger", "unknown"),
                             ("client_expired", "expired")):
            def refused(cert=cert, reason=reason):  # the log tells of some each second
                self.assertNotEqual(handshake(port, client_context(cert=cert)), "")
                return reason in self.router.log()

            until(refused, f"the log tells: {reason}")
        self.assertEqual(self.asks(TlsClient(port, good)), "one")

    def test_only_those_who_are_allowed_may_call(self):
        port = self.ports()["allowed"]
        self.assertEqual(self.asks(TlsClient(port, client_context(cert="client_uri"))), "one")

        def refused():
            self.assertNotEqual(handshake(port, client_context(cert="client_dns")), "")
            return "is not allowed" in self.router.log()

        until(refused, "the log names who was refused")

    def test_who_called_stands_in_the_error(self):
        with TlsClient(self.ports()["known"], client_context(cert="client_uri")) as client:
            self.assertIn("(call of spiffe://", client.text("nobody:get"))
        with TlsClient(self.ports()["known"], client_context(cert="client_dns")) as client:
            self.assertNotIn("spiffe://", client.text("nobody:get"))

    def test_a_plain_client_on_a_tls_port_is_refused_with_a_reason(self):
        with Client(self.ports()["plain"]) as client:
            client.send_bytes(b"\x00\x00\x00\x10" + b"x" * 16)
            self.assertTrue(client.is_closed())
        until(lambda: "does not speak TLS (it sent 0x0000001078)" in self.router.log(),
              "the log tells")

    def test_versions_that_do_not_fit(self):
        context = client_context(protocol=ssl.TLSVersion.TLSv1_3)
        self.assertNotEqual(handshake(self.ports()["old"], context), "")

    def test_half_open_handshakes_hold_nobody_up(self):
        half_open = [socket.create_connection(("127.0.0.1", self.ports()["plain"]), PATIENCE)
                     for _ in range(300)]
        try:
            for connection in half_open:
                connection.sendall(b"\x16\x03\x01\x00")
            self.assertEqual(self.asks(TlsClient(self.ports()["plain"])), "one")
            self.assertEqual(self.asks(TlsClient(self.ports()["known"],
                                                 client_context(cert="client_dns"))), "one")
        finally:
            for connection in half_open:
                connection.close()


class TowardsBackends(RouterTest):
    @classmethod
    def configure(cls):
        cls.good = cls.backend(TlsBackend("good", server_context("a", client_ca="ca.pem")))
        cls.other = cls.backend(TlsBackend("other", server_context("b")))
        cls.wild = cls.backend(TlsBackend("wild", server_context("wild")))
        cls.stranger = cls.backend(TlsBackend("stranger", server_context("stranger", chain=False)))
        cls.expired = cls.backend(TlsBackend("expired", server_context("expired")))
        cls.plain = cls.backend(FakeBackend("plain"))
        prefix = "/#/io.l5d.fs/"
        tls = {"commonName": "a.example", "trustCertsBundle": pem("ca.pem"),
               "clientAuth": {"certPath": pem("client_uri.pem"), "keyPath": pem("client_uri.key")}}
        router = Router([one_router(client={"kind": "io.l5d.static", "configs": [
            {"prefix": "/", "tls": tls, "connectTimeoutMs": 20000},
            {"prefix": prefix + "{name}-wild",
             "tls": {**tls, "commonName": "{name}.wild.example"}},
            {"prefix": prefix + "unchecked", "tls": {"disableValidation": True}},
            {"prefix": prefix + "notls", "connectTimeoutMs": 500},  # it waits for more
            {"prefix": prefix + "clear", "tls": {"enabled": False}}]})])
        for name, backend in (("good", cls.good), ("other", cls.other), ("x-wild", cls.wild),
                              ("stranger", cls.stranger), ("expired", cls.expired),
                              ("unchecked", cls.stranger), ("clear", cls.plain),
                              ("notls", cls.plain)):
            router.write(name, backend.port)
        return router

    def setUp(self):
        self.client = Client(self.router.port)
        self.addCleanup(self.client.close)

    def ask(self, name):
        return self.client.text(f"{name}:get")

    def test_calls_go_through_with_our_certificate_shown(self):
        self.assertTrue(self.ask("good").startswith("good"))
        self.assertIn("a.example", self.good.names)

    def test_the_name_is_made_of_what_the_prefix_captures(self):
        self.assertTrue(self.ask("x-wild").startswith("wild"))
        self.assertIn("x.wild.example", self.wild.names)

    def test_validation_and_tls_can_be_off(self):
        self.assertTrue(self.ask("unchecked").startswith("stranger"))
        self.assertTrue(self.ask("clear").startswith("plain"))

    def test_who_cannot_be_verified_gets_no_call_and_the_error_says_why(self):
        for name, reason in (("other", "b.example"), ("stranger", "unknown authority"),
                             ("expired", "expired"), ("notls", "TLS")):
            self.assertIn(reason, self.ask(name), name)
        for backend in (self.other, self.expired, self.plain):
            self.assertEqual([m for m in backend.seen if m.name.endswith("other:get")], [])

    def test_large_messages_both_ways(self):
        text = "x" * 3_000_000
        self.assertEqual(self.client.text("good:echo", text), text)


class Reloaded(RouterTest):
    """Files of certificates are replaced while the router runs."""

    @classmethod
    def configure(cls):
        cls.one = cls.backend(FakeBackend("one"))
        cls.folder = os.path.join(certs(), "live")
        os.makedirs(cls.folder, exist_ok=True)
        cls.install("a")
        router = Router([one_router({"certPath": os.path.join(cls.folder, "cert.pem"),
                                     "keyPath": os.path.join(cls.folder, "key.pem"),
                                     "intermediateCertsPath": pem("intermediate.pem")})])
        router.write("users", cls.one.port)
        return router

    @classmethod
    def install(cls, cert, key=None):
        for source, name in ((cert + ".pem", "cert.pem"), ((key or cert) + ".key", "key.pem")):
            fresh = os.path.join(cls.folder, name + ".fresh")
            shutil.copy(pem(source), fresh)
            os.rename(fresh, os.path.join(cls.folder, name))

    def served(self):
        context = client_context()
        context.check_hostname = False
        with TlsClient(self.router.port, context) as client:
            assert client.text("users:get").startswith("one")
            return client.socket.getpeercert()["subject"][0][0][1]

    def test_new_certificates_serve_new_connections_and_bad_ones_nobody(self):
        self.install("a")
        until(lambda: self.served() == "a.example", "the first one")
        with TlsClient(self.router.port) as old:
            self.install("b")
            until(lambda: "were read again" in self.router.log(), "they are read")
            until(lambda: self.served() == "b.example", "the new one")
            self.assertTrue(old.text("users:get").startswith("one"), "what is open goes on")
        self.install("a", key="other")
        until(lambda: self.router.metric("tls/failed_reloads") > 0, "it is refused")
        self.assertEqual(self.served(), "b.example")
        self.assertIn("cert.pem", self.router.log())
        days = {name: value for name, value in self.router.metrics().items()
                if name.startswith("tls/certificate/") and name.endswith("days_left")}
        self.assertEqual(len(days), 1)
        self.assertGreater(list(days.values())[0], 365)


if __name__ == "__main__":
    unittest.main(verbosity=2)
