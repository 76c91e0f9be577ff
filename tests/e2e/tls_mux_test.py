"""TLS that begins in the handshake of mux, on either side of the router."""

import ssl
import unittest

import mux_wire as mux
import wire
from client import Client, Closed
from fake_backend import FakeBackend
from fake_mux import FakeMux
from mux_client import MuxClient
from router_process import Router, RouterTest, until
from tls import TlsClient, client_context, pair, pem, server_context

LEVELS = ("off", "desired", "required")
NO_CHOICE = b"Could not negotiate whether to use TLS or not."


def outcome(one, other):
    """What becomes of a session whose sides say this."""
    if one != "off" and other != "off":
        return "tls"
    return "refuse" if "required" in (one, other) else "clear"


class MuxTlsClient(MuxClient):
    """Says its level, and goes over to TLS where the server's fits."""

    def __init__(self, port, level, context=None, behind=b"", **more):
        super().__init__(port, headers=[(b"tls", level.encode())], **more)
        self.server_level = dict(self.server_headers)[b"tls"].decode()
        if outcome(level, self.server_level) == "tls":
            if behind:
                self.send_bytes(behind)
            self.connection.socket = (context or client_context()).wrap_socket(
                self.connection.socket, server_hostname="a.example")

    @property
    def secure(self):
        return isinstance(self.connection.socket, ssl.SSLSocket)


class FakeTlsMux(FakeMux):
    """A backend that says `level`, and goes over to TLS where the client's fits."""

    def __init__(self, name, level, cert="a", **more):
        self.level, self.context, self.secured, self.asked = level, server_context(cert), 0, []
        super().__init__(name, **more)

    def on_init(self, session, frame):
        _, session.client_headers = mux.read_init(frame.body)
        theirs = dict(session.client_headers).get(b"tls", b"off").decode()
        self.asked.append(theirs)
        session.send(mux.RINIT, frame.tag, mux.init([(b"tls", self.level.encode())]))
        chosen = outcome(theirs, self.level)
        if chosen == "refuse":
            session.send(mux.OLD_RERR, frame.tag, NO_CHOICE)
            return False
        if chosen == "tls":
            secure = self.context.wrap_socket(session.connection, server_side=True)
            with self.lock:
                self.connections.discard(session.connection)
                self.connections.add(secure)
                self.secured += 1
            session.connection, session.stream = secure, secure.makefile("rb")
        session.started = True
        return True


def mux_router(label, protocol="thriftmux", tls=None, client=None, dtab=None, **server):
    return {"protocol": protocol, "label": label, "dtab": dtab or "/svc => /#/io.l5d.fs",
            "servers": [{**({"tls": tls} if tls else {}), **server}],
            **({"client": client} if client else {}), "service": {"totalTimeoutMs": 20000}}


class TowardsClients(RouterTest):
    @classmethod
    def configure(cls):
        cls.one = cls.backend(FakeMux("one"))
        known = {"requireClientAuth": True, "caCertPath": pem("ca.pem")}
        routers = [mux_router(level, tls={**pair("a"), "opportunistic": level})
                   for level in LEVELS if level != "off"]
        routers += [
            mux_router("off"),
            mux_router("snoops", tls={**pair("a"), "opportunistic": "required", "optional": True}),
            mux_router("known", tls={**pair("a"), **known, "opportunistic": "required"},
                       allow=["spiffe://*"]),
            mux_router("at-once", tls=pair("a")),
            mux_router("hurried", tls={**pair("a"), "opportunistic": "desired",
                                       "handshakeTimeoutMs": 500})]
        cls.labels = [router["label"] for router in routers]
        for router in routers:
            router["client"] = {"protocol": "thriftmux"}
        router = Router(routers)
        router.write("users", cls.one.port)
        return router

    def port(self, label):
        return self.router.ports[self.labels.index(label)]

    def test_all_that_two_can_say(self):
        for ours in LEVELS:
            for theirs in LEVELS:
                with self.subTest(client=theirs, server=ours):
                    if outcome(ours, theirs) == "refuse":
                        with MuxTlsClient(self.port(ours), theirs) as client:
                            self.assertEqual(client.server_level, ours)
                            frames = client.until_closed()
                            self.assertEqual([(f.type, f.tag, f.body) for f in frames],
                                             [(mux.OLD_RERR, 1, NO_CHOICE)])
                        continue
                    with MuxTlsClient(self.port(ours), theirs) as client:
                        self.assertEqual(client.server_level, ours)
                        self.assertEqual(client.secure, outcome(ours, theirs) == "tls")
                        self.assertTrue(client.text("users:get").startswith("one"))
                        text = "x" * 300_000
                        self.assertEqual(client.text("users:echo", text), text)
                        self.assertTrue(client.ping())

    def test_many_calls_of_one_secured_session(self):
        with MuxTlsClient(self.port("required"), "desired") as client:
            tags = [client.send("users:get", [(1, "string", "")]) for _ in range(50)]
            for tag in reversed(tags):
                self.assertIn(b"one", client.answer(tag).message.fields[0])

    def test_pieces_have_the_size_that_was_said_in_clear_text(self):
        client = MuxClient(self.port("desired"),
                           headers=[*mux.framer(1000), (b"tls", b"desired")])
        with client:
            client.connection.socket = client_context().wrap_socket(
                client.connection.socket, server_hostname="a.example")
            client.largest = 0
            text = "y" * 20_000
            self.assertEqual(client.text("users:echo", text), text)
            self.assertEqual(client.largest, 1000)

    def test_what_is_smuggled_in_before_tls_is_never_read_as_a_call(self):
        seen = len(self.one.seen)
        payload = wire.Binary.message(wire.CALL, "users:smuggled", 1, [])
        call = mux.message(mux.TDISPATCH, 2, mux.dispatch(payload))
        with self.assertRaises(OSError):
            MuxTlsClient(self.port("desired"), "desired", behind=call)
        with MuxTlsClient(self.port("desired"), "desired") as client:
            client.text("users:get")
        self.assertNotIn("users:smuggled", [m.name for m in self.one.seen[seen:]])

    def test_required_takes_nothing_else_in_clear_text(self):
        port = self.port("required")
        bad = f"rt/required/server/127.0.0.1/{port}/malformed"
        before = self.router.metric(bad)
        with MuxClient(port, handshake="none") as client:
            tag = client.send("users:get", [(1, "string", "")])
            frame = client.receive()
            self.assertEqual((frame.type, frame.tag, frame.body), (mux.OLD_RERR, tag, NO_CHOICE))
            self.assertTrue(client.is_closed())
        with Client(port) as plain:
            with self.assertRaises(Closed):
                plain.text("users:get")
        until(lambda: self.router.metric(bad) == before + 2, "both are counted")

    def test_tls_from_the_first_byte_is_told_by_its_bytes_where_that_is_allowed(self):
        port = self.port("snoops")
        with TlsClient(port) as client:
            self.assertTrue(client.text("users:get").startswith("one"))
        with MuxTlsClient(port, "desired") as client:
            self.assertTrue(client.secure)
            self.assertTrue(client.text("users:get").startswith("one"))
        with Client(port) as plain, self.assertRaises(Closed):
            plain.text("users:get")

    def test_a_session_in_tls_from_the_start_says_off_and_is_not_refused(self):
        for theirs in LEVELS:
            client = SecureMuxClient(self.port("at-once"), headers=[(b"tls", theirs.encode())])
            with client:
                self.assertEqual(dict(client.server_headers)[b"tls"], b"off")
                self.assertTrue(client.text("users:get").startswith("one"))

    def test_identities_and_who_is_allowed(self):
        port = self.port("known")
        with MuxTlsClient(port, "required", client_context(cert="client_uri")) as client:
            self.assertIn("(call of spiffe://", client.text("nobody:get"))

        def refused(cert, reason):
            try:
                with MuxTlsClient(port, "required", client_context(cert=cert)) as client:
                    client.ping()
                    return False
            except (OSError, Closed):
                return reason in self.router.log()

        until(lambda: refused("client_dns", "is not allowed"), "the log names who was refused")
        until(lambda: refused(None, "certificate"), "the log tells")

    def test_a_client_that_agrees_and_does_nothing_is_cut_off(self):
        with MuxClient(self.port("hurried"), headers=[(b"tls", b"desired")]) as client:
            self.assertTrue(client.is_closed())
        until(lambda: "did not begin within 500 ms" in self.router.log(),
              "the log tells")


class SecureMuxClient(MuxClient):
    """In TLS from its first byte."""

    def __init__(self, port, headers):
        super().__init__(port, handshake="none")
        self.connection.socket = client_context().wrap_socket(
            self.connection.socket, server_hostname="a.example")
        self.probe()
        self.start(headers)


class TowardsBackends(RouterTest):
    @classmethod
    def configure(cls):
        cls.by_level = {level: cls.backend(FakeTlsMux(level, level)) for level in LEVELS}
        cls.by_level["b"] = cls.backend(FakeTlsMux("b", "required", cert="b"))
        cls.old = cls.backend(FakeMux("old", handshake="refuse"))
        tls = {"commonName": "a.example", "trustCertsBundle": pem("ca.pem")}
        levels = [*LEVELS, "auto"]
        routers = []
        for level in levels:
            says = {**tls, "opportunistic": "required" if level == "auto" else level}
            if level == "off":
                says = {"enabled": False}
            routers.append(mux_router(
                level, protocol="thrift",
                client={"protocol": "auto" if level == "auto" else "thriftmux", "tls": says,
                        "connectTimeoutMs": 20000}))
        cls.levels = levels
        cls.plain = cls.backend(FakeBackend("plain"))
        router = Router(routers)
        for name, backend in cls.by_level.items():
            router.write(name, backend.port)
        router.write("old", cls.old.port)
        router.write("plain", cls.plain.port)
        return router

    def ask(self, level, name, method="get", argument=""):
        with Client(self.router.ports[self.levels.index(level)]) as client:
            return client.text(f"{name}:{method}", argument)

    def test_all_that_two_can_say(self):
        for ours in LEVELS:
            for theirs in LEVELS:
                with self.subTest(client=ours, server=theirs):
                    backend = self.by_level[theirs]
                    before = backend.secured
                    text = self.ask(ours, theirs)
                    self.assertEqual(backend.asked[-1], ours)
                    chosen = outcome(ours, theirs)
                    if chosen == "refuse":
                        self.assertIn("TLS", text)
                        self.assertIn("no mux session with 127.0.0.1:", text)
                        continue
                    self.assertTrue(text.startswith(theirs), text)
                    self.assertEqual(backend.secured > before, chosen == "tls")
                    text = "z" * 300_000
                    self.assertEqual(self.ask(ours, theirs, "echo", text), text)

    def test_whom_it_cannot_verify_gets_no_call(self):
        self.assertIn("b.example", self.ask("desired", "b"))
        self.assertEqual(self.by_level["b"].seen, [])

    def test_who_knows_no_handshake_is_clear_or_refused(self):
        self.assertTrue(self.ask("desired", "old").startswith("old"))
        self.assertIn("knows no handshake", self.ask("required", "old"))

    def test_required_speaks_no_plain_thrift(self):
        self.assertIn("speaks no mux", self.ask("auto", "plain"))
        self.assertEqual(self.plain.seen, [])
        self.assertTrue(self.ask("auto", "desired").startswith("desired"))


class OneToAnother(RouterTest):
    """Two routers: what one says as a client the other understands as a server."""

    @classmethod
    def configure(cls):
        cls.one = cls.backend(FakeMux("one"))
        router = Router([
            mux_router("out", client={"protocol": "thriftmux", "connectTimeoutMs": 20000, "tls": {
                "commonName": "a.example", "trustCertsBundle": pem("ca.pem"),
                "clientAuth": {"certPath": pem("client_uri.pem"),
                               "keyPath": pem("client_uri.key")},
                "opportunistic": "required"}}, dtab="/svc => /#/io.l5d.fs/next"),
            mux_router("in", client={"protocol": "thriftmux"}, tls={
                **pair("a"), "requireClientAuth": True, "caCertPath": pem("ca.pem"),
                "opportunistic": "required"}, allow=["spiffe://*"])])
        router.write("users", cls.one.port)
        return router

    def test_a_call_through_both(self):
        self.router.write("next", self.router.ports[1])
        with MuxClient(self.router.ports[0]) as client:
            until(lambda: client.text("users:get").startswith("one"), "the call goes through")
            text = "w" * 1_000_000
            self.assertEqual(client.text("users:echo", text), text)
        self.assertGreater(self.router.metric(
            f"rt/in/server/127.0.0.1/{self.router.ports[1]}/tls/handshakes"), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
