"""The router towards mux backends: sessions, tags, nacks, drains and leases."""

import threading
import unittest

import mux_wire as mux
import wire
from bridges import PATIENT_MUX
from client import Client
from fake_mux import FakeMux
from router_process import Router, RouterTest, until


class Towards:
    """A thrift router whose backends speak mux; `client_keys` are those of the test."""

    client_keys = {}
    router_keys = {}
    workers = 1
    services = {"users": {}}

    @classmethod
    def configure(cls):
        router = Router([{"protocol": "thrift", "label": "rt", "dtab": "/svc => /#/io.l5d.fs",
                          "servers": [{}], **cls.router_keys,
                          "client": {**PATIENT_MUX, **cls.client_keys}}],
                        workers=cls.workers)
        for name, keys in cls.services.items():
            backend = cls.backend(FakeMux(name, **keys))
            setattr(cls, name, backend)
            router.write(name, backend.port)
        return router

    def client(self):
        client = Client(self.router.port)
        self.addCleanup(client.close)
        return client

    def fresh(self, *names, **keys):
        """Backends of this test alone, together one service; gives them, and the service's name."""
        some = [FakeMux(name, **keys) for name in names]
        service = f"{self.id().rsplit('.', 1)[1]}-{some[0].port}"
        for backend in some:
            self.addCleanup(backend.stop)
        self.router.write(service, *[backend.port for backend in some])
        return *some, service

    def hold(self, backend, name, key, client=None):
        client = client or self.client()
        before = len(backend.calls("hold"))
        client.send(wire.CALL, f"{name}:hold", 1, [(1, "string", key)])
        self.assertTrue(backend.wait_calls("hold", before + 1))
        return client

    def check_serves(self, name, count=5):
        client = self.client()
        for i in range(count):
            self.assertEqual(client.text(f"{name}:echo", str(i)), str(i))


class Sessions(Towards, RouterTest):
    router_keys = {"servers": [{"maxPipelined": 1000}]}

    def test_the_handshake(self):
        self.check_serves("users")
        session = self.users.live()[0]
        self.assertEqual((self.users.probes, self.users.inits), (1, 1))
        self.assertEqual(session.client_headers.get(b"tls", b"off"), b"off")

    def test_servers_without_a_handshake(self):
        refusing, name = self.fresh("b", handshake="refuse")
        self.check_serves(name)
        self.assertEqual((refusing.probes, refusing.inits), (1, 0))

    def test_one_connection_and_tags_from_the_lowest(self):
        one, name = self.fresh("b")
        client = self.client()
        for i in range(200):
            client.send(wire.CALL, f"{name}:hold", i, [(1, "string", "all")])
        self.assertTrue(one.wait_calls("hold", 200))
        self.assertEqual(sorted(call.tag for call in one.calls("hold")), list(range(2, 202)))
        one.release("all")
        for i in range(200):
            self.assertEqual(client.receive().seqid, i)
        # Freed tags are taken again, the lowest first.
        for _ in range(5):
            client.text(f"{name}:get")
            self.assertEqual(one.calls("get")[-1].tag, 2)
        self.assertEqual(one.accepted, 1)

    def test_answers_out_of_order(self):
        one, name = self.fresh("b")
        clients = [self.hold(one, name, str(i)) for i in range(20)]
        for i in reversed(range(20)):
            one.release(str(i))
            self.assertEqual(clients[i].receive().fields, {0: str(i).encode()})
        self.assertEqual(one.accepted, 1)

    def test_fragments_both_ways(self):
        for size in (100, 65536):
            one, name = self.fresh("b", fragment=size)
            payload = "y" * 300_000
            client = self.client()
            self.assertTrue(client.text(f"{name}:echo", payload) == payload)
            self.assertGreaterEqual(one.live()[0].joiner.fragments, 300_000 // size)
            one.cut = size  # and so are its replies
            self.assertTrue(client.text(f"{name}:echo", payload) == payload)

    def test_a_small_call_overtakes_a_large_one(self):
        one, name = self.fresh("b", fragment=1000)
        large = self.client()
        large.send(wire.CALL, f"{name}:echo", 1, [(1, "string", "z" * (4 << 20))])
        self.check_serves(name)
        self.assertEqual(len(large.receive().fields[0]), 4 << 20)
        self.assertEqual(one.accepted, 1)

    def test_oneways(self):
        client = self.client()
        for i in range(20):
            client.oneway("users:note", str(i))
            self.assertEqual(client.text("users:echo", str(i)), str(i))
        self.assertTrue(self.users.wait_calls("note", 20))
        until(lambda: not self.users.live()[0].calls, "all tags are free")

    def test_pings_of_the_backend(self):
        one, name = self.fresh("b")
        self.check_serves(name)
        session = one.live()[0]
        for tag in (0, 1, 5, mux.MAX_TAG):
            before = session.pongs
            session.ping(tag)
            self.assertTrue(one.wait(lambda: session.pongs == before + 1))
        self.check_serves(name)


class OnePerWorker(Towards, RouterTest):
    workers = 3

    def test_sessions(self):
        clients = [self.client() for _ in range(12)]
        for client in clients:
            self.assertEqual(client.text("users:echo", "x"), "x")
        threads = [threading.Thread(target=lambda c=c: [c.text("users:echo", "x")
                                                        for _ in range(50)]) for c in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.users.accepted, 3)


class Nacks(Towards, RouterTest):
    def test_another_endpoint_is_asked(self):
        good, name = self.fresh("good")
        bad = Nacking("bad")
        self.addCleanup(bad.stop)
        self.router.write(name, good.port, bad.port)
        client = self.client()
        for i in range(50):
            self.assertEqual(client.text(f"{name}:echo", str(i)), str(i))
        self.assertTrue(bad.calls("echo"))

    def test_nobody_else_to_ask(self):
        client = self.client()
        for flags in ("", "1", "3"):
            reply = client.call("users:nack", [(1, "string", flags)])
            text = self.assert_router_error(reply, "nack", "/#/io.l5d.fs/users")
            self.assertIn("nack", text.lower())
            # It was tried again within the budget, and not without end.
            self.assertLess(len(self.users.calls("nack")), 100)
        self.check_serves("users")

    def test_one_that_must_not_be_asked_again(self):
        one, two, name = self.fresh("one", "two")
        self.assert_router_error(self.client().call(f"{name}:nack", [(1, "string", "6")]), "nack")
        self.assertEqual(len(one.calls("nack") + two.calls("nack")), 1)

    def test_errors(self):
        for flags in ("", "6"):
            one, two, name = self.fresh("one", "two")
            reply = self.client().call(f"{name}:error", [(1, "string", flags)])
            self.assert_router_error(reply, "error", "as the backend says it")
            self.assertEqual(len(one.calls("error") + two.calls("error")), 1)

    def test_an_rerr_for_a_call(self):
        reply = self.client().call("users:rerr")
        self.assert_router_error(reply, "rerr", "no such message")
        self.check_serves("users")


class Nacking(FakeMux):
    """Nacks every call."""

    def answer(self, session, call):
        with self.lock:
            self.seen.append(call)
        return self.do_nack(session, call)

    def failure(self, call):
        return mux.failure(mux.RETRYABLE | mux.REJECTED)


class Drains(Towards, RouterTest):
    def test_the_session_is_replaced_and_no_call_lost(self):
        one, name = self.fresh("b")
        held = self.hold(one, name, "last")
        session = one.live()[0]
        session.drain()
        self.assertTrue(one.wait(lambda: session.drained))
        self.check_serves(name)
        one.release("last")
        self.assertEqual(held.receive().fields, {0: b"last"})
        self.assertTrue(one.wait(lambda: session.ended))
        self.assertEqual((one.accepted, one.after_drain), (2, []))
        self.check_serves(name)

    def test_under_load(self):
        one, two, name = self.fresh("one", "two")
        stopped, faults = threading.Event(), []

        def load():
            with Client(self.router.port) as client:
                while not stopped.is_set():
                    text = client.text(f"{name}:echo", "x")
                    if text != "x":
                        faults.append(text)

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        def usable(backend):
            return [one for one in backend.live() if one.started and not one.draining]

        for backend in (one, two) * 10:
            self.assertTrue(backend.wait(lambda b=backend: usable(b)))
            session = usable(backend)[-1]
            session.drain()
            self.assertTrue(backend.wait(lambda s=session: s.drained))
        stopped.set()
        for thread in threads:
            thread.join()
        self.assertEqual(faults, [])
        self.assertEqual(one.after_drain + two.after_drain, [])

    def test_one_that_drains_beside_another(self):
        one, two, name = self.fresh("one", "two")
        until(lambda: self.client().text(f"{name}:echo", "x") == "x" and one.live() and two.live(),
              "both have sessions")
        one.live()[0].drain()
        self.assertTrue(one.wait(lambda: one.sessions[0].drained))
        self.check_serves(name, 20)
        self.assertEqual(one.after_drain, [])


class Leases(Towards, RouterTest):
    def test_a_backend_whose_lease_is_over_is_spared(self):
        one, two, name = self.fresh("one", "two")
        until(lambda: self.client().text(f"{name}:echo", "x") == "x" and one.live() and two.live(),
              "both have sessions")
        session = one.live()[0]
        session.lease(0)
        session.ping()  # its answer says that the lease was read
        self.assertTrue(one.wait(lambda: session.pongs))
        before = len(one.calls("echo"))
        self.check_serves(name, 40)
        self.assertEqual(len(one.calls("echo")), before)
        session.lease(3600_000)
        until(lambda: self.client().text(f"{name}:echo", "x") == "x" and
              len(one.calls("echo")) > before, "it is used again")

    def test_with_nowhere_else_to_go_it_is_used_all_the_same(self):
        one, name = self.fresh("b")
        self.check_serves(name)
        session = one.live()[0]
        session.lease(0)
        session.ping()
        self.assertTrue(one.wait(lambda: session.pongs))
        self.check_serves(name)


if __name__ == "__main__":
    unittest.main(verbosity=2)
