"""Real peers: clients and servers that Apache Thrift made, on both sides of the router."""

import itertools
import unittest

from apache import Server, call
from router_process import Router, RouterTest, until

PROTOCOLS = ("binary", "compact")
SERVERS = ("threaded", "nonblocking", "simple")


class Apache(RouterTest):
    """Each kind of server, binary and compact, with names of services and without."""

    @classmethod
    def configure(cls):
        cls.servers = {}
        cls.kinds = list(itertools.product(SERVERS, PROTOCOLS, (False, True)))
        routers = []
        for kind in cls.kinds:
            server, protocol, multiplexed = kind
            name = f"{server}-{protocol}-{'multiplexed' if multiplexed else 'plain'}"
            routers.append({
                "protocol": "thrift", "label": name, "dstPrefix": "/thrift",
                "thriftMethodInDst": True, "thriftProtocol": protocol,
                "dtab": f"/srv => /#/io.l5d.fs ; /thrift/userService => /srv/{name}",
                "servers": [{} if multiplexed else {"dest": "/userService"}],
                # A simple server takes one connection at a time: others wait until it is closed.
                "client": {"hostConnectionPool": {"maxSize": 1}} if server == "simple" else {}})
        # Each worker has connections of its own.
        router = Router(routers, workers=1)
        for kind, config in zip(cls.kinds, routers):
            server, protocol, multiplexed = kind
            arguments = ["--server", server, "--protocol", protocol, "--version", config["label"]]
            cls.servers[kind] = Server(*arguments, *(["--multiplexed"] if multiplexed else []))
            cls.addClassCleanup(cls.servers[kind].stop)
            router.write(config["label"], cls.servers[kind].port)
        return router

    def test_calls_of_every_kind(self):
        for kind, port in zip(self.kinds, self.router.ports):
            server, protocol, multiplexed = kind
            flags = ["--protocol", protocol] + (["--multiplexed"] if multiplexed else [])
            with self.subTest(kind):
                self.assertEqual(call(port, *flags, "all"), (0, "17 calls as expected, 0 not"))

    def test_upgraded_clients(self):
        for kind, port in zip(self.kinds, self.router.ports):
            server, protocol, multiplexed = kind
            flags = ["--upgrade", "--client-id", "tester", "--protocol", protocol]
            flags += ["--multiplexed"] if multiplexed else []
            with self.subTest(kind):
                label = f"{server}-{protocol}-{'multiplexed' if multiplexed else 'plain'}"
                self.assertEqual(call(port, *flags, "version"), (0, "ok " + label))
                self.assertEqual(call(port, *flags, "getUser", "99"), (0, "declared NotFound: 99"))
                code, line = call(port, *flags, "notThereYet")
                self.assertEqual((code, line[:15]), (0, "application 1: "))


class Versions(RouterTest):
    """Two versions of one service."""

    @classmethod
    def configure(cls):
        router = Router([{
            "protocol": "thrift", "dstPrefix": "/thrift", "thriftMethodInDst": True,
            "dtab": "/srv => /#/io.l5d.fs ; /thrift/userService => /srv/v1 ; "
                    "/thrift/userService/getUser => /srv/v2 | /srv/v1",
            "servers": [{}]}])
        for version in ("v1", "v2"):
            server = Server("--multiplexed", "--version", version)
            cls.addClassCleanup(server.stop)
            router.write(version, server.port)
        return router

    def call(self, *arguments):
        return call(self.router.port, "--multiplexed", *arguments)

    def test_by_method(self):
        self.assertEqual(self.call("version"), (0, "ok v1"))
        self.assertEqual(self.call("getUser", "1"), (0, "ok 1 ada from v2"))

    def test_one_request_by_a_dtab_in_its_header(self):
        self.assertEqual(self.call("--dtab", "/srv/v1 => /srv/v2", "version"), (0, "ok v2"))
        self.assertEqual(self.call("--count", "50", "--tally", "version"), (0, "50 ok v1"))

    def test_an_error_of_the_router_is_an_exception_of_apache(self):
        code, line = self.call("--dtab", "/srv/v1 => !", "version")
        self.assertEqual(code, 0)
        begin = "application 6: trestle: bind: /thrift/userService/version"
        self.assertEqual(line[:len(begin)], begin)

    def test_a_server_that_is_killed_between_two_calls(self):
        one, two = (Server("--multiplexed", "--version", name) for name in ("one", "two"))
        self.addCleanup(one.stop)
        self.addCleanup(two.stop)
        self.router.write("pair", one.port, two.port)
        flags = ["--dtab", "/srv/v1 => /srv/pair", "--count", "60", "--tally", "version"]
        until(lambda: len(self.call(*flags)[1].splitlines()) == 2, "both serve")
        two.stop()
        self.assertEqual(self.call(*flags), (0, "60 ok one"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
