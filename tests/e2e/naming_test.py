"""Names: the fs namer and its files, weights, fallbacks, and what else a dtab can lead to."""

import collections
import os
import shutil
import unittest

import wire
from client import Client
from fake_backend import FakeBackend
from router_process import Router, RouterTest, until

DTAB = """
/srv => /#/io.l5d.fs ;
/thrift => /srv ;
/thrift/canary => 3 * /srv/one & 1 * /srv/two ;
/thrift/fallback => /srv/first | /srv/second ;
/thrift/alias => /io.l5d.fs/one ;
/io.l5d.fs/overridden => /srv/two ;
/thrift/overridden => /io.l5d.fs/overridden ;
/thrift/inet => /$/inet/127.0.0.1/PORT ;
/thrift/localhost => /$/inet/localhost/PORT ;
/thrift/rinet => /$/io.buoyant.rinet/PORT/127.0.0.1 ;
/thrift/hostport => /$/io.buoyant.hostportPfx/pfx/127.0.0.1:PORT ;
/pfx => /$/inet ;
/thrift/nil => /$/nil ;
/thrift/fail => /$/fail | /srv/one ;
/thrift/rewritten => /#/renamed/two-of-them ;
/thrift/last => /#/twice/x ;
/thrift/loop => /thrift/loop ;
/thrift/wide => /wide ;
/wide => /wide & /wide ;
"""


class Naming(RouterTest):
    @classmethod
    def configure(cls):
        cls.one = cls.backend(FakeBackend("one"))
        cls.two = cls.backend(FakeBackend("two"))
        dtab = DTAB.replace("PORT", str(cls.two.port))
        router = Router([{"protocol": "thrift", "dstPrefix": "/thrift", "dtab": dtab,
                          "servers": [{}]}])
        router.config["namers"] += [
            {"kind": "io.l5d.rewrite", "prefix": "/renamed", "pattern": "/{name}-of-them",
             "name": "/srv/{name}"},
            {"kind": "io.l5d.rewrite", "prefix": "/twice", "pattern": "/x", "name": "/srv/one"},
            {"kind": "io.l5d.rewrite", "prefix": "/twice", "pattern": "/x", "name": "/srv/two"},
        ]
        router.write("one", cls.one.port)
        router.write("two", cls.two.port)
        return router

    def setUp(self):
        self.client = Client(self.router.port)
        self.addCleanup(self.client.close)

    def ask(self, service):
        """Who answers, or the router's error."""
        return self.client.text(service + ":get").split(" ")[0]

    def tally(self, service, count):
        return collections.Counter(self.ask(service) for _ in range(count))

    def becomes(self, service, name):
        until(lambda: self.ask(service) == name, f"{service} leads to {name}")

    # Files.

    def test_a_file_is_replaced_by_a_rename(self):
        self.router.write("replaced", self.one.port)
        self.becomes("replaced", "one")
        self.router.write("replaced", self.two.port)
        self.becomes("replaced", "two")

    def test_a_file_is_written_in_place(self):
        for backend in (self.one, self.two, self.one):
            with open(self.router.path("inPlace"), "w", encoding="utf-8") as out:
                out.write(f"127.0.0.1 {backend.port}\n")
            self.becomes("inPlace", backend.name)

    def test_a_file_that_stays_open_for_writing(self):
        with open(self.router.path("open"), "w", encoding="utf-8") as out:
            out.write(f"127.0.0.1 {self.two.port}\n")
            out.flush()
            self.becomes("open", "two")

    def test_comments_blank_lines_and_weights_in_a_file(self):
        self.router.write("comments", "# who serves", "", f"  127.0.0.1\t{self.one.port}  # first",
                          f"127.0.0.1 {self.two.port} * 0.5")
        self.becomes("comments", "two")
        self.assertEqual(set(self.tally("comments", 100)), {"one", "two"})

    def test_a_bad_file_keeps_the_last_good_set(self):
        self.router.write("spoiled", self.one.port)
        self.becomes("spoiled", "one")
        self.router.write("spoiled", self.two.port, "this is no address")
        # A change of another file shows that the router came past this one.
        self.router.write("marker", self.two.port)
        self.becomes("marker", "two")
        self.assertEqual(set(self.tally("spoiled", 50)), {"one"})
        self.router.write("spoiled", self.two.port)
        self.becomes("spoiled", "two")

    def test_a_file_that_was_never_good(self):
        self.router.write("neverGood", "this is no address")
        self.assert_router_error(self.client.call("neverGood:get"), "get", "this is no address")
        self.router.write("neverGood", self.one.port)
        self.becomes("neverGood", "one")

    def test_emptied_deleted_made_again_routes_again(self):
        for _ in range(3):
            self.router.write("lazarus", self.one.port)
            self.becomes("lazarus", "one")
            self.router.write("lazarus")
            self.becomes("lazarus", "trestle:")
            os.remove(self.router.path("lazarus"))
            self.becomes("lazarus", "trestle:")

    def test_nested_folders_that_come_and_go(self):
        self.assertEqual(self.client.text("deep/er/still:get").split()[0], "trestle:")
        for _ in range(2):
            self.router.write("deep/er/still", self.two.port)
            self.becomes("deep/er/still", "two")
            shutil.rmtree(self.router.path("deep"))
            self.becomes("deep/er/still", "trestle:")

    def test_a_folder_is_renamed_into_place(self):
        self.router.write("staging/svc", self.one.port)
        self.becomes("staging/svc", "one")
        os.rename(self.router.path("staging"), self.router.path("live"))
        self.becomes("live/svc", "one")
        self.becomes("staging/svc", "trestle:")

    def test_what_stands_after_the_file_is_left_over(self):
        self.assertEqual(self.ask("one/and/more"), "one")

    # Trees.

    def test_weights_of_a_union(self):
        counts = self.tally("canary", 800)
        self.assertEqual(set(counts), {"one", "two"})
        # 200 expected of 800; 130 to 270 is nearly six standard deviations to each side.
        self.assertTrue(130 <= counts["two"] <= 270, counts)

    def test_fallback_while_a_file_is_gone(self):
        self.router.write("second", self.two.port)
        self.becomes("fallback", "two")
        self.router.write("first", self.one.port)
        self.becomes("fallback", "one")
        os.remove(self.router.path("first"))
        self.becomes("fallback", "two")
        # An empty file says that the name is there: no fallback.
        self.router.write("first")
        self.becomes("fallback", "trestle:")
        self.router.write("first", self.one.port)
        self.becomes("fallback", "one")

    def test_weights_of_endpoints(self):
        self.router.write("weighted", f"127.0.0.1 {self.one.port} * 3",
                          f"127.0.0.1 {self.two.port} * 1")
        self.becomes("weighted", "two")
        counts = self.tally("weighted", 400)
        self.assertEqual(set(counts), {"one", "two"})
        self.assertGreater(counts["one"], counts["two"])

    # Other namers.

    def test_names_as_dtabs_of_2016_wrote_them(self):
        self.assertEqual(self.ask("alias"), "one")
        self.assertEqual(self.ask("overridden"), "two")

    def test_system_names(self):
        for service in ("inet", "localhost", "rinet", "hostport"):
            self.assertEqual(self.ask(service), "two", service)

    def test_nil_and_fail_lead_nowhere(self):
        for service in ("nil", "fail"):
            reply = self.client.call(service + ":get")
            self.assert_router_error(reply, "get", "/thrift/" + service)

    def test_rewrite(self):
        self.assertEqual(self.ask("rewritten"), "two")

    def test_the_last_namer_in_the_file_is_asked_first(self):
        self.assertEqual(self.ask("last"), "two")

    def test_loops_end(self):
        self.assert_router_error(self.client.call("loop:get"), "get", "100")
        self.assert_router_error(self.client.call("wide:get"), "get", "/thrift/wide")
        self.assertEqual(self.ask("one"), "one")


class Methods(RouterTest):
    """A router that has the method in the name, and one with a prefix of its own."""

    @classmethod
    def configure(cls):
        cls.users = cls.backend(FakeBackend("users"))
        dtab = "/thrift/userService/addUser => /users ; /thrift/ping => /users ; " \
               "/users => /#/io.l5d.fs/users"
        router = Router([{"protocol": "thrift", "dstPrefix": "/thrift", "thriftMethodInDst": True,
                          "dtab": dtab, "servers": [{}]}])
        router.write("users", cls.users.port)
        return router

    def setUp(self):
        self.client = Client(self.router.port)
        self.addCleanup(self.client.close)

    def test_the_method_is_in_the_name(self):
        self.assertEqual(self.client.text("userService:addUser"), "users userService:addUser")
        reply = self.client.call("userService:getUser")
        self.assert_router_error(reply, "getUser", "/thrift/userService/getUser")

    def test_a_plain_method_name_is_the_name(self):
        self.assertEqual(self.client.text("ping"), "users ping")
        self.assert_router_error(self.client.call("pong"), "pong", "/thrift/pong")

    def test_odd_names(self):
        for name in ("a:b:c", ":m", "with space", "a//b:c", "\\xzz"):
            reply = self.client.call(name)
            self.assertEqual(reply.kind, wire.EXCEPTION, name)
            self.assertTrue(reply.fields[1].startswith(b"trestle: "), reply)
        self.assertEqual(self.client.text("ping"), "users ping")


if __name__ == "__main__":
    unittest.main(verbosity=2)
