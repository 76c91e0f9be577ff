"""THeader with the header transport of Apache Thrift's Go library, where there is a Go of 1.21 or
later and its modules can be had: elsewhere the test is skipped and says so."""

import os
import re
import shutil
import subprocess
import unittest

import bridges
import wire
from apache import Server, run
from router_process import BIN, SOURCE, Router, RouterTest
from theader_wire import THeaderBackend

DIALECTS = ("binary", "compact", "binary-zlib", "compact-zlib")
PEER = os.path.abspath(os.path.join(BIN, "../thrift_peers/go_peer"))


def go(*arguments):
    return subprocess.run(["go", *arguments], cwd=f"{SOURCE}/tests/support/thrift_peers/go_peer",
                          env={**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"},
                          capture_output=True, text=True, check=False)


def build():
    """Makes the peer; says what is missing for it, or nothing."""
    if not shutil.which("go"):
        return "no Go here"
    version = re.search(r"go1\.(\d+)", go("version").stdout)
    if not version or int(version.group(1)) < 21:
        return f"its Go is {version.group(0) if version else 'unknown'}, not 1.21 or later"
    if go("mod", "download").returncode:
        return "the Go modules cannot be had"
    made = go("build", "-o", PEER, ".")
    if made.returncode:
        raise AssertionError(made.stderr)
    return None


class GoServer(Server):
    command = [PEER, "server"]


def ask(port, dialect, method, argument, *keys):
    return run(PEER, "client", str(port), dialect, method, argument, *keys)


class Go(RouterTest):
    @classmethod
    def setUpClass(cls):
        if missing := build():
            raise unittest.SkipTest(missing)
        super().setUpClass()

    @classmethod
    def configure(cls):
        kinds = (("go", {"protocol": "theader"}),
                 ("go-zlib", {"protocol": "theader", "theaderZlib": True}),
                 ("header", {"protocol": "theader"}), ("muxed", bridges.PATIENT_MUX))
        configs = [{"prefix": f"/#/io.l5d.fs/{name}", **keys} for name, keys in kinds]
        router = Router([{"protocol": "thrift", "label": "rt", "dtab": "/svc => /#/io.l5d.fs",
                          "servers": [{}], "client": {"kind": "io.l5d.static",
                                                      "configs": configs}}], workers=1)
        server = GoServer()
        cls.addClassCleanup(server.stop)
        router.write("go", server.port)
        router.write("go-zlib", server.port)
        cls.header = cls.backend(THeaderBackend("header"))
        router.write("header", cls.header.port)
        cls.muxed = cls.backend(bridges.start("mux", "muxed", wire.Binary))
        router.write("muxed", cls.muxed.port)
        return router

    def test_go_on_both_sides(self):
        for dialect in DIALECTS:
            for name in ("go", "go-zlib"):
                with self.subTest(client=dialect, backend=name):
                    code, line = ask(self.router.port, dialect, f"{name}:echo", "hi" * 1000, "k=v",
                                     "empty=")
                    self.assertEqual((code, line.partition(" {")[0]),
                                     (0, f"ok {name}:echo {'hi' * 1000}"))
                    came = line.partition(" {")[2].rstrip("}").split(" ")
                    self.assertLessEqual({"seen-k=v", "seen-empty="}, set(came))

    def test_go_clients_of_others(self):
        for dialect in ("binary", "binary-zlib"):
            for backend in (self.header, self.muxed):
                code, line = ask(self.router.port, dialect, f"{backend.name}:echo", "hi", "k=v")
                self.assertEqual((code, line.partition(" {")[0]), (0, "ok hi"))
                seen = bridges.arrived(backend, f"{backend.name}:echo")
                self.assertEqual(seen.headers.get(b"k"), b"v")
            header = self.header.header_of("header:echo")
            self.assertEqual(header.transforms, [], "only a configured backend is sent zlib")

    def test_other_clients_of_go(self):
        for dialect in ("framed", "ttwitter", "theader"):
            for protocol in bridges.PROTOCOLS:
                for name in ("go", "go-zlib"):
                    client = bridges.connect(dialect, self.router.port, protocol)
                    self.addCleanup(client.close)
                    self.assertEqual(client.text(f"{name}:echo", "hi"), f"{name}:echo hi")
                    client.close()

    def test_a_dtab_and_a_destination(self):
        for dialect in DIALECTS:
            keys = ["l5d-dtab=/svc/users=>/#/io.l5d.fs/go", "l5d-dst=/users"]
            code, line = ask(self.router.port, dialect, "echo", "hi", *keys)
            self.assertEqual((code, line.partition(" {")[0]), (0, "ok echo hi"))
            code, line = ask(self.router.port, dialect, "echo", "hi", keys[1])
            self.assertRegex(line, "^application trestle: bind: /svc/users")


if __name__ == "__main__":
    unittest.main(verbosity=2)
