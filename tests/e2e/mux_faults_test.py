"""Mux backends that die, hang or break the rules; and the probe of `client.protocol: auto`."""

import threading
import unittest

import wire
from client import Client
from fake_backend import FakeBackend
from fake_mux import FakeMux
from mux_client_test import Towards
from router_process import Router, RouterTest, until


class Dying(Towards, RouterTest):
    def test_it_dies_with_calls_in_flight(self):
        one, name = self.fresh("b")
        clients = [self.hold(one, name, "never") for _ in range(10)]
        one.stop()
        for client in clients:
            text = self.assert_router_error(client.receive(), "hold", f"/#/io.l5d.fs/{name}")
            self.assertTrue(text.startswith("trestle: reply: "), text)
        one.start()
        until(lambda: self.client().text(f"{name}:echo", "x") == "x", "it serves again")

    def test_it_dies_beside_another(self):
        one, two, name = self.fresh("one", "two")
        until(lambda: self.client().text(f"{name}:echo", "x") == "x" and one.live() and two.live(),
              "both have sessions")
        one.stop()
        self.check_serves(name, 50)

    def test_it_ends_in_the_middle_of_a_reply(self):
        client = self.client()
        for count in (0, 1, 7, 8, 9, 12, 20):
            reply = client.call("users:cutOff", [(1, "string", str(count))])
            self.assert_router_error(reply, "cutOff", "/#/io.l5d.fs/users")
        self.check_serves("users")


class Wrong(Towards, RouterTest):
    """What comes from a backend that breaks the rules never reaches a client."""

    client_keys = {"requestAttemptTimeoutMs": 5000}
    # Those after which the bytes of the session cannot be trusted any more.
    breaking = ("garbageBytes", "unknownType", "emptyFrame", "hugeFrame")
    # Those that are the fault of one reply.
    wrong = ("garbage", "truncated", "wrongSeqid", "wrongName", "wrongType", "wrongTag")

    def test_a_clear_error_and_a_new_session(self):
        client = self.client()
        for method in self.breaking:
            with self.subTest(method):
                accepted = self.users.accepted
                self.assert_router_error(client.call(f"users:{method}"), method)
                self.check_serves("users")
                self.assertGreater(self.users.accepted, accepted)

    def test_a_clear_error_for_one_call(self):
        client = self.client()
        for method in self.wrong:
            with self.subTest(method):
                self.assert_router_error(client.call(f"users:{method}"), method)
                self.check_serves("users")

    def test_two_answers(self):
        client = self.client()
        for i in range(20):
            # The second one must not be taken for the answer to what has the tag next.
            text = client.text("users:echoTwice", str(i))
            if text != str(i):
                self.assertTrue(text.startswith("trestle: reply: "), text)
        until(lambda: client.text("users:echo", "x") == "x", "it serves again")

    def test_others_on_the_session_get_no_answer_of_another(self):
        one, name = self.fresh("b")
        held = [self.hold(one, name, f"{i}") for i in range(5)]
        self.assert_router_error(self.client().call(f"{name}:wrongTag"), "wrongTag")
        for i, client in enumerate(held):
            one.release(f"{i}")
            reply = client.receive()
            if reply.kind == wire.EXCEPTION:  # its session was given up
                self.assert_router_error(reply, "hold")
            else:
                self.assertEqual(reply.fields, {0: str(i).encode()})


class Handshakes(Towards, RouterTest):
    client_keys = {"connectTimeoutMs": 2000}
    services = {"silent": {"handshake": "silent"}, "hangUp": {"handshake": "hangUp"},
                "rerr": {"handshake": "rerr"}, "newer": {}}

    def test_errors(self):
        self.newer.version = 2
        for name in self.services:
            with self.subTest(name):
                client = self.client()
                for _ in range(3):
                    self.assert_router_error(client.call(f"{name}:get"), "get",
                                             f"/#/io.l5d.fs/{name}")
                self.assertEqual(getattr(self, name).calls("get"), [])

    def test_a_plain_backend(self):
        plain = FakeBackend("plain")
        self.addCleanup(plain.stop)
        self.router.write("plain", plain.port)
        self.assert_router_error(self.client().call("plain:get"), "get", "/#/io.l5d.fs/plain")
        self.assertEqual(plain.calls("get"), [])

    def test_one_that_hangs_beside_one_that_serves(self):
        one, name = self.fresh("b")
        self.router.write(name, one.port, self.silent.port)
        client = self.client()
        for i in range(20):
            self.assertEqual(client.text(f"{name}:echo", str(i)), str(i))


class Pings(Towards, RouterTest):
    """A busy machine may keep a good backend from answering in time too: that costs a session, and
    calls that may be sent again are."""

    client_keys = {"mux": {"pingIntervalMs": 50, "pingTimeoutMs": 300}}
    router_keys = {"service": {"idempotentMethods": ["*"]}}

    def test_a_session_that_does_not_answer_is_closed(self):
        one, name = self.fresh("b")
        self.check_serves(name)
        self.assertTrue(one.wait(lambda: any(session.pings > 3 for session in one.sessions)))
        held = self.hold(one, name, "never")
        one.answers_pings = False
        self.assert_router_error(held.receive(), "hold", f"/#/io.l5d.fs/{name}")
        self.assertTrue(one.wait(lambda: one.sessions[0].ended))
        one.answers_pings = True
        self.check_serves(name)

    def test_what_may_be_asked_again_is(self):
        one, two, name = self.fresh("one", "two")
        until(lambda: self.client().text(f"{name}:echo", "x") == "x" and one.live() and two.live(),
              "both have sessions")
        one.answers_pings = False
        self.assertTrue(one.wait(lambda: one.sessions[0].ended))
        self.check_serves(name, 20)


class PingsAnswered(Towards, RouterTest):
    client_keys = {"mux": {"pingIntervalMs": 20, "pingTimeoutMs": 60000}}

    def test_a_busy_session_stays(self):
        one, name = self.fresh("b")
        held = self.hold(one, name, "long")
        self.assertTrue(one.wait(lambda: one.live()[0].pings > 10))
        one.release("long")
        self.assertEqual(held.receive().fields, {0: b"long"})
        self.assertEqual(one.accepted, 1)


class HangsAtTheProbe(FakeBackend):
    """An old server that waits for more when it is asked what it does not know."""

    def read_from(self, connection, reader):
        try:
            return super().read_from(connection, reader)
        except wire.Malformed:
            with self.lock:
                self.hung = getattr(self, "hung", 0) + 1
                self.lock.notify_all()
            threading.Event().wait()  # as long as the process lives


class Auto(RouterTest):
    """`protocol: auto` finds out what a backend speaks, outside of any call, and remembers it."""

    @classmethod
    def configure(cls):
        cls.plain = cls.backend(FakeBackend("plain"))
        cls.hangs = cls.backend(HangsAtTheProbe("hangs"))
        router = Router([{"protocol": "thriftmux", "label": "rt", "dtab": "/svc => /#/io.l5d.fs",
                          "servers": [{}], "client": {"protocol": "auto"}}], workers=1)
        for backend in (cls.plain, cls.hangs):
            router.write(backend.name, backend.port)
        return router

    def client(self):
        client = Client(self.router.port)
        self.addCleanup(client.close)
        return client

    def test_a_mux_backend(self):
        client, tried = self.client(), []

        def found():
            """Asks one more: it may be kept from its answer for too long."""
            tried.append(FakeMux(f"muxed{len(tried)}"))
            self.addCleanup(tried[-1].stop)
            self.router.write(tried[-1].name, tried[-1].port)
            return client.text(f"{tried[-1].name}:echo", "x") == "x"

        until(found, "mux is spoken")
        for i in range(50):
            self.assertEqual(client.text(f"{tried[-1].name}:echo", str(i)), str(i))
        self.assertLessEqual(tried[-1].probes, 2)  # the question, and the session's own

    def test_plain_backends(self):
        for backend in (self.plain, self.hangs):
            with self.subTest(backend.name):
                client = self.client()
                for i in range(50):
                    self.assertEqual(client.text(f"{backend.name}:echo", str(i)), str(i))

    def test_it_is_not_asked_again(self):
        client = self.client()
        self.assertEqual(client.text("hangs:echo", "x"), "x")
        self.assertEqual(self.hangs.hung, 1)
        for _ in range(3):
            self.hangs.stop()
            self.hangs.start()
            until(lambda: client.text("hangs:echo", "x") == "x", "it serves again")
        self.assertEqual(self.hangs.hung, 1)

    def test_a_probe_costs_no_call(self):
        # Many calls at the very first moment, to one that is not known yet.
        fresh = HangsAtTheProbe("fresh")
        self.addCleanup(fresh.stop)
        self.router.write("fresh", fresh.port)
        client = self.client()
        for i in range(20):
            client.send(wire.CALL, "fresh:echo", i, [(1, "string", str(i))])
        for i in range(20):
            self.assertEqual(client.receive().fields, {0: str(i).encode()})
        self.assertEqual(fresh.hung, 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
