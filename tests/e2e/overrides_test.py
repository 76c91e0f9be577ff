"""Who may send a dtab with a call, and what of it goes on, in every dialect."""

import unittest

from client import Client
from fake_mux import FakeMux
from mux_client import MuxClient
from router_process import Router, RouterTest, until
from theader_wire import THeaderClient
from tls import TlsClient, client_context, pair, pem


class Overrides(RouterTest):
    @classmethod
    def configure(cls):
        cls.one, cls.two = (cls.backend(FakeMux(name)) for name in ("one", "two"))
        base = {"dtab": "/svc => /#/io.l5d.fs", "client": {"protocol": "thriftmux"},
                "service": {"totalTimeoutMs": 20000}}
        tls = {**pair("a"), "requireClientAuth": True, "caCertPath": pem("ca.pem")}
        router = Router([
            {**base, "protocol": "thrift", "label": "prefixes",
             "overrides": {"prefixes": ["/svc/users"]}, "servers": [{}]},
            {**base, "protocol": "thriftmux", "label": "muxed",
             "overrides": {"prefixes": ["/svc/users"]}, "servers": [{}]},
            {**base, "protocol": "thrift", "label": "known",
             "overrides": {"allow": ["spiffe://*"]}, "servers": [{"tls": tls}]}])
        router.write("users", cls.one.port)
        router.write("other", cls.one.port)
        router.write("next", cls.two.port)
        return router

    def last(self, backend):
        call = backend.seen[-1]
        return [(prefix.decode(), tree.decode()) for prefix, tree in call.dtab]

    def dropped(self, label):
        return self.router.metric(f"rt/{label}/overrides/dropped_dtabs")

    DTAB = [("/svc/users", "/#/io.l5d.fs/next"), ("/svc/other", "/#/io.l5d.fs/next")]

    def test_ttwitter(self):
        before = self.dropped("prefixes")
        with Client(self.router.ports[0]) as client:
            client.upgrade()
            self.assertTrue(client.text("users:get", dtab=self.DTAB).startswith("two"))
            self.assertEqual(self.last(self.two), self.DTAB[:1])
            self.assertTrue(client.text("other:get", dtab=self.DTAB).startswith("one"))
            self.assertEqual(self.last(self.one), self.DTAB[:1])
            self.assertTrue(client.text("other:get", dtab=self.DTAB[1:]).startswith("one"))
            self.assertEqual(self.last(self.one), [])
        self.assertEqual(self.dropped("prefixes"), before + 3)
        until(lambda: "lost /svc/other=>/#/io.l5d.fs/next;" in self.router.log(), "the log tells")

    def test_theader(self):
        text = ";".join(f"{prefix}=>{tree}" for prefix, tree in self.DTAB)
        with THeaderClient(self.router.ports[0]) as client:
            keys = [(b"l5d-dtab", text.encode())]
            self.assertTrue(client.text("users:get", keys=keys).startswith("two"))
            self.assertEqual(self.last(self.two), self.DTAB[:1])
            self.assertTrue(client.text("other:get", keys=keys).startswith("one"))
            self.assertEqual(self.last(self.one), self.DTAB[:1])

    def test_mux(self):
        dtab = [(a.encode(), b.encode()) for a, b in self.DTAB]
        with MuxClient(self.router.ports[1]) as client:
            self.assertTrue(client.text("users:get", dtab=dtab).startswith("two"))
            self.assertEqual(self.last(self.two), self.DTAB[:1])
            self.assertTrue(client.text("other:get", dtab=dtab).startswith("one"))
            self.assertEqual(self.last(self.one), self.DTAB[:1])

    def test_only_known_clients_may(self):
        for cert, name in (("client_uri", "two"), ("client_dns", "one")):
            context = client_context(cert=cert)
            with TlsClient(self.router.ports[2], context) as client:
                client.upgrade()
                text = client.text("users:get", dtab=self.DTAB)
                self.assertTrue(text.startswith(name), text)
        self.assertEqual(self.last(self.one), [])
        self.assertEqual(self.dropped("known"), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
