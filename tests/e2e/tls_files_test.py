"""Files of certificates and keys that cannot be used: the configuration's key is named, at the start
and when they change; and certificates whose end is near."""

import os
import shutil
import signal
import unittest

from fake_backend import FakeBackend
from router_process import Router, RouterTest, until
from tls import TlsClient, certs, client_context, pair, pem

SERVER = "routers[0].servers[0].tls."
CLIENT = "routers[0].client.tls."


def one_router(tls=None, client=None):
    return {"protocol": "thrift", "dtab": "/svc => /#/io.l5d.fs",
            "servers": [{"tls": tls} if tls else {}],
            **({"client": {"tls": {"commonName": "a.example", **client}}} if client else {})}


def fifo():
    path = pem("fifo")
    if not os.path.exists(path):
        os.mkfifo(path)
    return path


def secret():
    """A file that cannot be read: root may read all, so it is one by the link."""
    path = pem("loop.pem")
    if not os.path.islink(path):
        os.symlink("loop.pem", path)
    return path


class AtTheStart(unittest.TestCase):
    def assert_errors(self, router, *errors):
        """Exit code 2, and nothing else than these: (key, words)."""
        router = Router([router])
        self.addCleanup(router.stop)
        router.launch()
        self.assertEqual(router.wait(), 2, router.log())
        told = [line for line in router.log().splitlines() if "config.yaml:" in line]
        self.assertEqual(len(told), len(errors), router.log())
        for line, (key, words) in zip(told, errors):
            self.assertIn(f": {key}: ", line)
            self.assertIn(words, line)

    def test_servers(self):
        a = pair("a")
        for changed, key, words in (
                ({"certPath": "/nowhere.pem"}, "certPath", "/nowhere.pem: cannot be read: No such"),
                ({"certPath": certs()}, "certPath", "no regular file"),
                ({"certPath": fifo()}, "certPath", "no regular file"),
                ({"certPath": secret()}, "certPath", "cannot be read: "),
                ({"certPath": pem("a.key")}, "certPath", "no PEM certificate"),
                ({"certPath": pem("empty.pem")}, "certPath", "no PEM certificate"),
                ({"certPath": pem("broken.pem")}, "certPath", "cannot be parsed"),
                (pair("expired"), "certPath", "expired on 2020"),
                (pair("early"), "certPath", "not valid before 2049"),
                ({"keyPath": "/nowhere.key"}, "keyPath", "/nowhere.key: cannot be read: No such"),
                ({"keyPath": fifo()}, "keyPath", "no regular file"),
                ({"keyPath": pem("b.pem")}, "keyPath", "no PEM private key"),
                ({"keyPath": pem("other.key")}, "keyPath", "does not fit"),
                ({**pair("rsa"), "keyPath": pem("rsa_encrypted.key")}, "keyPath", "encrypted"),
                ({"intermediateCertsPath": "/no.pem"}, "intermediateCertsPath", "/no.pem: cannot"),
                ({"intermediateCertsPath": pem("empty.pem")}, "intermediateCertsPath", "no PEM"),
                ({"intermediateCertsPath": pem("stranger_ca.pem")}, "intermediateCertsPath",
                 "is the issuer of"),
                ({"requireClientAuth": True, "caCertPath": pem("empty.pem")}, "caCertPath",
                 "empty.pem: there is no PEM certificate"),
                ({"requireClientAuth": True, "caCertPath": "/no/ca.pem"}, "caCertPath",
                 "/no/ca.pem: cannot be read"),
                ({"requireClientAuth": True}, "requireClientAuth", "caCertPath")):
            with self.subTest(changed=changed):
                self.assert_errors(one_router({**a, **changed}), (SERVER + key, words))

    def test_each_certificate_of_a_server_has_its_own_key(self):
        wrong = {**pair("b"), "keyPath": pem("other.key")}
        self.assert_errors(one_router({"certificates": [pair("a"), wrong]}),
                           (SERVER + "certificates[1].keyPath", "does not fit"))

    def test_all_that_is_wrong_is_told_at_once(self):
        wrong = {"certificates": [pair("expired"), pair("a"),
                                  {"certPath": pem("b.pem"), "keyPath": "/nowhere.key"}]}
        self.assert_errors(
            one_router(wrong, {"trustCertsBundle": pem("empty.pem"),
                               "clientAuth": pair("client_expired", chain=False)}),
            (SERVER + "certificates[0].certPath", "expired on 2020"),
            (SERVER + "certificates[2].keyPath", "/nowhere.key: cannot be read"),
            (CLIENT + "trustCertsBundle", "no PEM certificate"),
            (CLIENT + "clientAuth.certPath", "expired on 2020"))

    def test_clients(self):
        auth = pair("client_uri", chain=False)
        for tls, key, words in (
                ({"trustCertsBundle": "/no/ca.pem"}, "trustCertsBundle", "/no/ca.pem: cannot be"),
                ({"trustCertsBundle": pem("empty.pem")}, "trustCertsBundle", "no PEM certificate"),
                ({"trustCerts": [pem("ca.pem"), pem("broken.pem")]}, "trustCerts[1]", "parsed"),
                ({"clientAuth": {**auth, "certPath": "/no.pem"}}, "clientAuth.certPath", "/no.pem"),
                ({"clientAuth": {**auth, "keyPath": pem("other.key")}}, "clientAuth.keyPath",
                 "does not fit"),
                ({"clientAuth": {**auth, "intermediateCertsPath": pem("stranger_ca.pem")}},
                 "clientAuth.intermediateCertsPath", "is the issuer of")):
            with self.subTest(tls=tls):
                self.assert_errors(one_router(client=tls), (CLIENT + key, words))


class WhileItRuns(RouterTest):
    @classmethod
    def configure(cls):
        cls.one = cls.backend(FakeBackend("one"))
        cls.folder = os.path.join(certs(), "files")
        os.makedirs(cls.folder, exist_ok=True)
        for kind in ("cert", "key", "ca"):
            cls.install(kind, cls.GOOD[kind])
        router = Router([{**one_router({
            "certPath": cls.file("cert"), "keyPath": cls.file("key"),
            "intermediateCertsPath": pem("intermediate.pem"), "requireClientAuth": True,
            "caCertPath": cls.file("ca")}), "label": "rt"}])
        router.write("users", cls.one.port)
        return router

    GOOD = {"cert": "a.pem", "key": "a.key", "ca": "ca.pem"}

    @classmethod
    def file(cls, kind):
        return os.path.join(cls.folder, kind + ".pem")

    @classmethod
    def install(cls, kind, source):
        fresh = cls.file(kind) + ".fresh"
        shutil.copy(pem(source), fresh)
        os.rename(fresh, cls.file(kind))

    def assert_serves(self):
        with TlsClient(self.router.port, client_context(cert="client_uri")) as client:
            self.assertTrue(client.text("users:get").startswith("one"))

    def errors(self):
        return [line for line in self.router.log().splitlines() if "config.yaml:" in line]

    def test_a_bad_set_keeps_the_old_one_and_is_told_with_its_key(self):
        for kind, source, key in (("cert", "expired.pem", "certPath"), ("key", "other.key", "keyPath"),
                                  ("ca", "empty.pem", "caCertPath"),
                                  ("cert", "broken.pem", "certPath"), ("key", "empty.pem", "keyPath")):
            with self.subTest(kind=kind, source=source):
                failed = self.router.metric("tls/failed_reloads")
                told = len(self.errors())
                self.install(kind, source)
                until(lambda: self.router.metric("tls/failed_reloads") > failed, "it is refused")
                self.assertIn(f": {SERVER}{key}: {self.file(kind)}: ", self.errors()[told])
                self.assert_serves()
                # The same by SIGHUP.
                told = len(self.errors())
                self.router.signal(signal.SIGHUP)
                until(lambda: len(self.errors()) > told, "SIGHUP tells of it too")
                self.assertIn(f": {SERVER}{key}: {self.file(kind)}: ", self.errors()[told])
                self.assert_serves()
                self.install(kind, self.GOOD[kind])
        failed = self.router.metric("tls/failed_reloads")
        os.remove(self.file("key"))
        until(lambda: self.router.metric("tls/failed_reloads") > failed, "it is missed")
        self.assert_serves()
        self.install("key", "b.key")
        self.install("cert", "b.pem")
        until(lambda: self.router.metric("tls/reloads") > 0, "a good set serves")

    def test_a_pipe_in_place_of_a_file_holds_nobody_up(self):
        failed = self.router.metric("tls/failed_reloads")
        os.rename(self.file("ca"), self.file("ca") + ".away")
        os.mkfifo(self.file("ca"))
        try:
            until(lambda: self.router.metric("tls/failed_reloads") > failed, "it is refused")
            self.router.signal(signal.SIGHUP)
            self.assertTrue(self.router.is_ready())
        finally:
            os.rename(self.file("ca") + ".away", self.file("ca"))


class TheEndIsNear(RouterTest):
    @classmethod
    def configure(cls):
        return Router([one_router(pair("soon")), {**one_router(pair("a")), "label": "long"}])

    def test_less_than_14_days_are_told(self):
        days = {name.split("/certificate/")[1].removesuffix("/days_left"): value
                for name, value in self.router.metrics().items() if name.endswith("/days_left")}
        near = [value for name, value in days.items() if "soon.pem" in name]
        self.assertIn(near, ([9], [10]), days)
        self.assertRegex(self.router.log(), r"soon\.pem .*expires in (9|10) days")
        self.assertNotRegex(self.router.log(), r"/a\.pem .*expires in")


if __name__ == "__main__":
    unittest.main(verbosity=2)
