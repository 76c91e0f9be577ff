"""The admin server: pages, metrics and the delegator, after real calls."""

import json
import unittest
import urllib.parse

import wire
from client import Client
from fake_backend import FakeBackend
from router_process import Router, RouterTest, until

DTAB = """
/srv => /#/io.l5d.fs ;
/thrift => /srv ;
/thrift/canary => 3 * /srv/users & 1 * /srv/next ;
/thrift/fallback => /srv/gone | /srv/users ;
"""


class Admin(RouterTest):
    @classmethod
    def configure(cls):
        cls.users = cls.backend(FakeBackend("users"))
        router = Router([{"protocol": "thrift", "label": "users", "dstPrefix": "/thrift",
                          "dtab": DTAB, "servers": [{}]}],
                        telemetry=[{"kind": "io.l5d.prometheus"}])
        router.write("users", cls.users.port)
        router.write("next", cls.users.port)
        return router

    def setUp(self):
        self.client = Client(self.router.port)
        self.addCleanup(self.client.close)

    def counted(self, before, name, count):
        """The metric became so much larger."""
        until(lambda: self.router.metric(name) - before.get(name, 0) == count,
              f"{name} is {count} more")

    def test_ping_and_ready(self):
        status, body = self.router.admin("/admin/ping")
        self.assertEqual((status, body.strip()), (200, "pong"))
        self.assertEqual(self.router.admin("/admin/ready")[0], 200)
        self.assertEqual(self.router.admin("/admin/no-such-page")[0], 404)

    def test_calls_are_counted_by_server_logical_and_concrete_name(self):
        before = self.router.metrics()
        for _ in range(5):
            self.client.call("users:get")
        server = f"rt/users/server/127.0.0.1/{self.router.port}"
        for scope in (server, "rt/users/service/thrift/users", "rt/users/client/#/io.l5d.fs/users",
                      "rt/users/client/#/io.l5d.fs/users/service/thrift/users"):
            self.counted(before, scope + "/requests", 5)
            self.counted(before, scope + "/success", 5)
            self.counted(before, scope + "/failures", 0)

    def test_failures_are_followed_by_step_and_cause(self):
        before = self.router.metrics()
        for _ in range(3):
            self.client.call("nobody:get")
        # Names that lead nowhere share one scope, so that they cannot make more and more of them.
        scope = "rt/users/service/other"
        self.counted(before, scope + "/failures", 3)
        self.assertTrue([name for name in self.router.metrics()
                         if name.startswith(scope + "/failures/bind/")])
        self.client.call("users:closeBefore")
        scope = "rt/users/client/#/io.l5d.fs/users"
        self.counted(before, scope + "/failures", 1)

    def test_kinds_of_replies_are_counted_apart(self):
        scope = "rt/users/service/thrift/users"
        before = self.router.metrics()
        calls = {"get": 4, "declared": 3, "application": 2}
        for method, count in calls.items():
            for _ in range(count):
                self.client.call("users:" + method)
        self.counted(before, scope + "/requests", 9)
        grown = sorted(value - before.get(name, 0) for name, value in self.router.metrics().items()
                       if name.startswith(scope + "/") and name.count("/") > scope.count("/") + 1
                       and isinstance(value, int) and value > before.get(name, 0))
        self.assertEqual(grown, sorted(calls.values()), self.router.metrics())

    def test_latency_has_percentiles(self):
        self.client.call("users:get")
        metrics = self.router.metrics()
        scope = "rt/users/service/thrift/users/request_latency_ms"
        self.assertIn(scope + ".count", metrics)
        for part in ("p50", "p95", "p99", "max"):
            self.assertTrue([name for name in metrics if name.startswith(scope + "." + part)]
                            or metrics[scope + ".count"] == 0)

    def test_prometheus(self):
        self.client.call("users:get")

        def shown():
            status, body = self.router.admin("/admin/metrics/prometheus")
            self.assertEqual(status, 200)
            return body

        series = 'rt:service:requests{rt="users", service="thrift/users"}'
        until(lambda: series in shown(), series)
        body = shown()
        self.assertIn('rt:client:requests{rt="users", client="#/io.l5d.fs/users"}', body)
        for line in body.splitlines():
            if line and not line.startswith("#"):
                self.assertRegex(line, r'^[a-zA-Z_:][a-zA-Z0-9_:]*(\{[^}]*\})? -?[0-9.e+-]+(NaN)?$')

    # The delegator.

    def delegation(self, path, dtab=None):
        status, body = self.router.delegate(path, dtab, "users")
        self.assertEqual(status, 200, body)
        return json.loads(body)

    def leaves(self, node):
        if node["type"] == "leaf":
            return [node["bound"]]
        below = node.get("alt") or [part["tree"] for part in node.get("union", [])]
        below += [node["delegate"]] if "delegate" in node else []
        return [leaf for part in below for leaf in self.leaves(part)]

    def test_a_name(self):
        tree = self.delegation("/thrift/users/get")
        self.assertEqual((tree["type"], tree["path"]), ("delegate", "/thrift/users/get"))
        self.assertNotIn("dentry", tree)
        [leaf] = self.leaves(tree)
        self.assertEqual((leaf["id"], leaf["path"]), ("/#/io.l5d.fs/users", "/get"))
        self.assertEqual(leaf["addr"]["type"], "bound")
        self.assertEqual(leaf["addr"]["addrs"],
                         [{"ip": "127.0.0.1", "port": self.users.port, "meta": {}}])

    def test_alternatives_and_unions_are_all_shown(self):
        tree = self.delegation("/thrift/fallback")
        self.assertIn('"neg"', json.dumps(tree))
        self.assertEqual([leaf["id"] for leaf in self.leaves(tree)], ["/#/io.l5d.fs/users"])
        tree = self.delegation("/thrift/canary")
        self.assertIn('"weight"', json.dumps(tree))
        self.assertEqual([leaf["id"] for leaf in self.leaves(tree)],
                         ["/#/io.l5d.fs/users", "/#/io.l5d.fs/next"])

    def test_with_a_dtab(self):
        tree = self.delegation("/thrift/users", "/srv/users=>/srv/next")
        self.assertEqual([leaf["id"] for leaf in self.leaves(tree)][:1], ["/#/io.l5d.fs/next"])

    def test_post(self):
        given = {"namespace": "users", "path": "/thrift/users", "dtab": ""}
        status, answer = self.router.admin("/delegator.json", "POST", json.dumps(given),
                                           {"Content-Type": "application/json"})
        self.assertEqual(status, 200, answer)
        self.assertEqual(json.loads(answer), self.delegation("/thrift/users"))

    def test_what_is_wrong_is_status_400(self):
        self.assertEqual(self.router.delegate("no-path", None, "users")[0], 400)
        status, body = self.router.delegate("/thrift/users", "/a => b", "users")
        self.assertEqual(status, 400)
        self.assertIn("Invalid dtab: ", body)
        query = urllib.parse.urlencode({"namespace": "users"})
        self.assertEqual(self.router.admin("/delegator.json?" + query)[0], 400)
        self.assertEqual(self.client.call("users:get").kind, wire.REPLY)


if __name__ == "__main__":
    unittest.main(verbosity=2)
