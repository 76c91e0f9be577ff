"""THeader with the header transports of Apache Thrift's own libraries, C++ and Python, on both
sides. libthrift 0.17 writes past its buffer when it inflates, so C++ peers are never given zlib."""

import itertools
import unittest

import bridges
from apache import PythonServer, Server, call, python_call
from fake_mux import FakeMux
from router_process import Router, RouterTest

PROTOCOLS = ("binary", "compact")
ROUTERS = ("thrift", "thriftmux")
# Each kind of backend: how it is started, and what `client` says of it. Header servers speak both
# protocols.
BACKENDS = {
    "cpp": (lambda: Server("--transport", "header", "--version", "v"), {"protocol": "theader"}),
    "python": (lambda: PythonServer("server", "--version", "v"), {"protocol": "theader"}),
    "python-zlib": (lambda: PythonServer("--zlib", "server", "--version", "v"),
                    {"protocol": "theader", "theaderZlib": True}),
    "framed-binary": (lambda: Server("--version", "v"), {"protocol": "thrift"}),
    "framed-compact": (lambda: Server("--version", "v", "--protocol", "compact"),
                       {"protocol": "thrift"}),
    "buffered-binary": (lambda: Server("--version", "v", "--transport", "buffered"),
                        {"protocol": "thrift", "thriftFramed": False}),
}


def cpp_call(port, protocol, *arguments):
    return call(port, "--transport", "header", "--protocol", protocol, *arguments)


class Calls(RouterTest):
    """Each kind of client with each kind of server that speaks its protocol. The clients name no
    service, so each server has a port of the router's own."""

    @classmethod
    def configure(cls):
        kinds = itertools.product(PROTOCOLS, BACKENDS)
        cls.cases = [(protocol, backend) for protocol, backend in kinds
                     if not backend.endswith(PROTOCOLS) or backend.endswith(protocol)]
        routers = []
        for i, (protocol, backend) in enumerate(cls.cases):
            for kind in ROUTERS:
                routers.append({"protocol": kind, "label": f"{kind}-{i}", "servers": [{}],
                                "dtab": f"/svc => /#/io.l5d.fs/{protocol}-{backend}",
                                "client": BACKENDS[backend][1]})
        router = Router(routers, workers=1)
        for protocol, backend in cls.cases:
            server = BACKENDS[backend][0]()
            cls.addClassCleanup(server.stop)
            router.write(f"{protocol}-{backend}", server.port)
        return router

    def test_calls_of_every_kind(self):
        for i, (protocol, backend) in enumerate(self.cases):
            thrift, thriftmux = self.router.ports[2 * i:2 * i + 2]
            with self.subTest(protocol=protocol, backend=backend):
                # Its answers are those of a server that nobody has called yet.
                self.assertEqual(cpp_call(thrift, protocol, "all"),
                                 (0, "17 calls as expected, 0 not"))
                self.assertEqual(cpp_call(thriftmux, protocol, "--count", "50", "--tally",
                                          "version"), (0, "50 ok v"))
                for port, zlib in ((thrift, []), (thriftmux, ["--zlib"])):
                    self.assertEqual(python_call(port, ["--protocol", protocol, *zlib], "all"),
                                     (0, "13 calls as expected, 0 not"))


class Headers(RouterTest):
    """Keys go to the backend and come back; two of them are the router's."""

    services = ("cpp", "python", "python-zlib")

    @classmethod
    def configure(cls):
        configs = [{"prefix": f"/#/io.l5d.fs/{name}", **BACKENDS[name][1]} for name in cls.services]
        configs.append({"prefix": "/#/io.l5d.fs/muxed", **bridges.PATIENT_MUX})
        client = {"kind": "io.l5d.static", "configs": configs}
        router = Router([{"protocol": "thrift", "label": "rt", "dtab": "/svc => /#/io.l5d.fs",
                          "servers": [{}], "client": client}], workers=1)
        for name in cls.services:
            server = BACKENDS[name][0]()
            cls.addClassCleanup(server.stop)
            router.write(name, server.port)
        cls.muxed = cls.backend(FakeMux("muxed"))
        router.write("muxed", cls.muxed.port)
        return router

    def clients(self):
        """Calls with keys, by each library and protocol: gives the output's words."""
        port = self.router.port
        for protocol in PROTOCOLS:
            yield (lambda *a, p=protocol: cpp_call(port, p, *a)), protocol
            for zlib in ([], ["--zlib"]):
                yield (lambda *a, p=protocol, z=zlib: python_call(
                    port, ["--protocol", p, *z], *a)), protocol

    def ask(self, client, keys, method="version", *arguments):
        flags = [word for key in keys for word in ("--header", key)]
        code, line = client(*flags, "--show-headers", method, *arguments)
        self.assertEqual(code, 0, line)
        text, _, came = line.partition(" {")
        return text, came.rstrip("}").split(" ")

    def test_there_and_back(self):
        for client, _ in self.clients():
            for name in self.services:
                keys = [f"l5d-dst=/{name}", "tenant=blue", "empty="]
                text, came = self.ask(client, keys)
                self.assertEqual(text, "ok v")
                self.assertIn("seen-tenant=blue", came)
                self.assertIn("seen-empty=", came)
                self.assertNotIn("tenant=blue", came)

    def test_of_declared_and_application_exceptions(self):
        for client, _ in self.clients():
            for name in self.services:
                keys = [f"l5d-dst=/{name}", "k=v"]
                text, came = self.ask(client, keys, "getUser", "99")
                self.assertEqual((text, "seen-k=v" in came), ("declared NotFound: 99", True))
                text, came = self.ask(client, keys, "notThereYet")
                self.assertEqual((text[:14], "seen-k=v" in came), ("application 1:", True))

    def test_a_local_dtab_stages_a_version(self):
        for client, _ in self.clients():
            for name in self.services:
                keys = [f"l5d-dtab=/svc/users=>/#/io.l5d.fs/{name}", "l5d-dst=/users"]
                self.assertEqual(self.ask(client, keys)[0], "ok v")
            text = self.ask(client, ["l5d-dst=/users"])[0]
            self.assertRegex(text, "^application 6: trestle: bind: /svc/users")

    def test_a_dtab_that_is_none(self):
        for client, _ in self.clients():
            text = self.ask(client, ["l5d-dtab=no dtab", "l5d-dst=/cpp"])[0]
            self.assertRegex(text, "^application 6: trestle: ")

    def test_towards_mux_they_are_headers_of_the_application(self):
        for client, protocol in self.clients():
            if protocol == "compact":
                continue  # the backend speaks binary
            text, _ = self.ask(client, ["l5d-dst=/muxed", "tenant=blue",
                                        "com.twitter.finagle.Thing=x"], "echo", "hi")
            self.assertEqual(text, "ok hi")
            seen = bridges.arrived(self.muxed, "echo")
            self.assertEqual(seen.headers.get(b"tenant"), b"blue")
            self.assertEqual(seen.contexts.get(b"com.twitter.finagle.Thing"), b"x")


if __name__ == "__main__":
    unittest.main(verbosity=2)
