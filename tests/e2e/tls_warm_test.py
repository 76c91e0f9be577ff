"""Connections to backends over TLS: kept warm, resumed, verified by whom the system trusts."""

import os
import ssl
import unittest

from client import Client
from router_process import Router, RouterTest, until
from tls import TlsBackend, pem, server_context

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
LEAST = 4


def one_router(label, tls, **client):
    return {"protocol": "thrift", "label": label, "dtab": "/svc => /#/io.l5d.fs", "servers": [{}],
            "client": {"tls": {"commonName": "a.example", **tls}, "connectTimeoutMs": 20000, **client},
            "service": {"totalTimeoutMs": 20000}}


class Warm(RouterTest):
    @classmethod
    def configure(cls):
        cls.one, cls.two = (cls.backend(TlsBackend(name, server_context("a")))
                            for name in ("one", "two"))
        router = Router([one_router("rt", {"trustCertsBundle": pem("ca.pem")},
                                    hostConnectionPool={"minSize": LEAST})])
        router.write("users", cls.one.port)
        return router

    def test_connections_have_shaken_hands_before_the_first_call(self):
        with Client(self.router.port) as client:
            self.assertTrue(client.text("users:get").startswith("one"))
        self.assertTrue(self.one.wait(lambda: self.one.shaken >= LEAST // 2), self.one.shaken)
        # Nobody called this one yet.
        self.router.write("users", self.one.port, self.two.port)
        self.assertTrue(self.two.wait(lambda: self.two.shaken >= LEAST // 2), self.two.shaken)
        self.assertEqual(self.two.seen, [])
        self.assertEqual(self.two.failures, [])
        # A call finds one that is there.
        shaken = self.two.shaken
        self.router.write("users", self.two.port)

        def served_by_two():
            with Client(self.router.port) as client:
                return client.text("users:get").startswith("two")

        until(served_by_two, "the second serves")
        self.assertLessEqual(self.two.shaken, max(shaken, LEAST))


class Resumed(RouterTest):
    """Backends of both versions."""

    @classmethod
    def configure(cls):
        cls.backends_ = {name: cls.backend(TlsBackend(name, server_context("a", protocol=version)))
                         for name, version in (("old", TLS12), ("new", TLS13))}
        router = Router([one_router("rt", {"trustCertsBundle": pem("ca.pem")})])
        for name, backend in cls.backends_.items():
            router.write(name, backend.port)
        return router

    def on_many(self, name, count=8):
        clients = [Client(self.router.port) for _ in range(count)]  # on all workers
        try:
            for client in clients:
                self.assertTrue(client.text(f"{name}:get").startswith(name))
        finally:
            for client in clients:
                client.close()

    def test_what_one_worker_has_agreed_on_all_resume(self):
        for name, backend in self.backends_.items():
            self.on_many(name)
            # Both workers have some; the first of all had nothing to resume.
            self.assertGreater(backend.resumed, 0, name)
            self.assertEqual(backend.shaken, backend.resumed + 1, name)

    def test_after_a_restart_of_the_connections_too(self):
        for name, backend in self.backends_.items():
            self.on_many(name)
            backend.stop()
            backend.start()
            before = backend.shaken, backend.resumed
            self.on_many(name)
            fresh, resumed = backend.shaken - before[0], backend.resumed - before[1]
            self.assertGreater(fresh, 0, name)
            self.assertEqual(resumed, fresh, name)


class TheSystemsTrust(RouterTest):
    """The variable of the environment stands for the system's store."""

    @classmethod
    def setUpClass(cls):
        before = os.environ.get("SSL_CERT_FILE")
        os.environ["SSL_CERT_FILE"] = pem("ca.pem")
        try:
            super().setUpClass()
        finally:
            del os.environ["SSL_CERT_FILE"]
            if before is not None:
                os.environ["SSL_CERT_FILE"] = before

    @classmethod
    def configure(cls):
        cls.good = cls.backend(TlsBackend("good", server_context("a")))
        cls.stranger = cls.backend(TlsBackend("stranger", server_context("stranger", chain=False)))
        router = Router([one_router("system", {}),
                         one_router("own", {"trustCertsBundle": pem("stranger_ca.pem")})])
        for backend in (cls.good, cls.stranger):
            router.write(backend.name, backend.port)
        return router

    def ask(self, server, name):
        with Client(self.router.ports[server]) as client:
            return client.text(f"{name}:get")

    def test_it_is_taken_where_no_bundle_is_given(self):
        self.assertTrue(self.ask(0, "good").startswith("good"))
        self.assertIn("unknown authority", self.ask(0, "stranger"))

    def test_a_bundle_takes_its_place(self):
        self.assertTrue(self.ask(1, "stranger").startswith("stranger"))
        self.assertIn("unknown authority", self.ask(1, "good"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
