"""Serversets from the cache on disk, of several clusters, and as the admin server shows them, with
real ZooKeepers."""

import json
import os
import tempfile
import unittest

import wire
from client import Client
from fake_backend import FakeBackend
from router_process import RouterTest, until
from zookeeper import ZooKeeper, router_of

KNOWN_EXAMPLE = """/srv => /io.l5d.fs ; /srv => /io.l5d.serversets/prod ;
                   /host => /srv ; /svc => /host"""
SETS = "/svc => /#/io.l5d.serversets/prod"
PAGE = "/namer_state/io.l5d.serversets.json"


def state(router):
    status, body = router.admin(PAGE)
    assert status == 200, body
    return json.loads(body)["clusters"]


def shown(router, path, cluster=0):
    return state(router)[cluster]["sets"].get(path)


class FromTheCache(RouterTest):
    """The router starts while ZooKeeper is away, with what an earlier one knew."""

    @classmethod
    def configure(cls):
        cls.zookeeper = ZooKeeper().start()
        cls.addClassCleanup(cls.zookeeper.stop)
        cls.one, cls.two = cls.backend(FakeBackend("one")), cls.backend(FakeBackend("two"))
        cls.folder = tempfile.TemporaryDirectory(prefix="trestle-cache-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.cache = os.path.join(cls.folder.name, "sets")
        cls.learn()
        cls.zookeeper.kill()
        router = cls.router_with_cache(cls.cache)
        router.write("never", cls.two.port)
        return router

    @classmethod
    def learn(cls):
        """A router that calls users while ZooKeeper is there."""
        cls.zookeeper.add("/prod/users", cls.one.port)
        router = cls.router_with_cache(cls.cache).start()
        try:
            with Client(router.port) as client:
                until(lambda: client.text("users:get").startswith("one"), "users answers")
            assert shown(router, "/prod/users")["stale"] is None
        finally:
            router.stop()
        assert len(os.listdir(cls.cache)) == 1

    @classmethod
    def router_with_cache(cls, folder):
        return router_of({"sessionTimeoutMs": 1000, "cacheDir": folder,
                          "zkAddrs": cls.zookeeper.addresses()},
                         "/srv => /#/io.l5d.fs ; /srv => /#/io.l5d.serversets/prod ; /svc => /srv",
                         bindingTimeoutMs=300, thriftMethodInDst=True)

    def test_the_last_good_sets_serve_at_once_and_are_marked_stale(self):
        with Client(self.router.port) as client:
            self.assertTrue(client.text("users:get").startswith("one"), "at once")
            stale = shown(self.router, "/prod/users")["stale"]
            self.assertEqual(stale["why"], "read from the cache")
            self.assertRegex(stale["since"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
            message = client.call("never:get")
            self.assertEqual(message.kind, wire.EXCEPTION, "no fallback for what is unknown")
            self.assertIn(b"bindingTimeoutMs", message.fields[1])
            self.zookeeper.start()
            member = self.zookeeper.add("/prod/users", self.two.port)
            until(lambda: client.text("users:get").startswith("two"), "ZooKeeper is heard again")
            until(lambda: client.text("never:get").startswith("two"), "the fallback answers")
            self.assertIsNone(shown(self.router, "/prod/users")["stale"])
            self.zookeeper.remove(member)

    def test_a_folder_that_cannot_be_had_is_an_error_with_its_key(self):
        router = self.router_with_cache("/nowhere/at/all")
        self.addCleanup(router.stop)
        router.launch()
        self.assertEqual(router.wait(), 2)
        self.assertRegex(router.log(), r"namers\[1\]\.cacheDir: /nowhere/at/all: cannot make it")


class SeveralClusters(RouterTest):
    @classmethod
    def configure(cls):
        cls.east, cls.west = ZooKeeper().start(), ZooKeeper().start()
        for zookeeper in (cls.east, cls.west):
            cls.addClassCleanup(zookeeper.stop)
        cls.one, cls.two = cls.backend(FakeBackend("one")), cls.backend(FakeBackend("two"))
        return router_of({"clusters": [
            {"zkAddrs": cls.east.addresses(), "sessionTimeoutMs": 2000},
            {"zkAddrs": cls.west.addresses(), "chroot": "/fleet", "sessionTimeoutMs": 2000}]}, SETS)

    def test_their_members_are_put_together_and_one_may_be_away(self):
        self.east.add("/prod/both", self.one.port)
        self.west.add("/fleet/prod/both", self.two.port)
        self.west.add("/fleet/prod/west", self.two.port)
        with Client(self.router.port) as client:
            def answers(name):
                return {client.text(f"{name}:get").split(" ")[0] for _ in range(20)}

            until(lambda: answers("both") == {"one", "two"}, "members of both")
            until(lambda: answers("west") == {"two"}, "members of one")
            self.west.kill()
            until(lambda: not state(self.router)[1]["connected"], "it is seen")
            self.assertEqual(answers("both"), {"one", "two"})
            self.assertIsNone(shown(self.router, "/prod/both", 0)["stale"])
            self.assertIsNotNone(shown(self.router, "/prod/both", 1)["stale"])
            third = self.east.add("/prod/west", self.one.port)
            until(lambda: answers("west") == {"one", "two"}, "the other one is heard")
            self.east.remove(third)


class AtTheAdminServer(RouterTest):
    @classmethod
    def configure(cls):
        cls.zookeeper = ZooKeeper().start()
        cls.addClassCleanup(cls.zookeeper.stop)
        cls.one = cls.backend(FakeBackend("one"))
        router = router_of({"sessionTimeoutMs": 1000, "zkAddrs": cls.zookeeper.addresses()},
                           KNOWN_EXAMPLE)
        router.write("old", cls.one.port)
        return router

    def test_names_without_the_hash_work_and_so_does_their_fallback(self):
        with Client(self.router.port) as client:
            until(lambda: client.text("old:get").startswith("one"), "the file answers")
            tree = json.loads(self.router.delegate("/svc/old")[1])
            self.assertIn("/#/io.l5d.fs/old", json.dumps(tree))

    def test_sets_their_members_and_those_left_out(self):
        self.zookeeper.add("/prod/users", self.one.port, shard=3)
        self.zookeeper.put("/prod/users/member_junk", "{not json")
        with Client(self.router.port) as client:
            until(lambda: client.text("users:get").startswith("one"), "it is served")
        users = shown(self.router, "/prod/users")
        self.assertEqual(users["state"], "there")
        self.assertEqual(users["leftOut"], {"member_junk": "no JSON object"})
        self.assertEqual(users["watch"], {"list": True, "members": 2})
        member = users["members"][0]
        self.assertEqual((member["host"], member["port"], member["status"], member["shard"]),
                         ("127.0.0.1", self.one.port, "ALIVE", 3))
        self.assertEqual(users["served"]["/prod/users"]["addresses"],
                         [f"127.0.0.1:{self.one.port}"])
        scope = "namer/#/io.l5d.serversets"
        cluster = f"{scope}/cluster/127.0.0.1:{self.zookeeper.port}"
        metrics = self.router.metrics()
        for name, value in {"members": 2, "left_out": 1}.items():
            self.assertEqual(metrics[f"{scope}/{name}"], value, name)
        self.assertGreaterEqual(metrics[f"{scope}/sets"], 1)
        for name, value in {"connected": 1, "stale_s": 0, "sessions": 1}.items():
            self.assertEqual(metrics[f"{cluster}/{name}"], value, name)
        watches = [one["watch"] for one in state(self.router)[0]["sets"].values()]
        self.assertEqual(self.router.metric(f"{cluster}/watches"),
                         sum(watch["list"] + watch["members"] for watch in watches))
        self.zookeeper.pause(True)
        try:
            until(lambda: shown(self.router, "/prod/users")["stale"], "it is stale")
            until(lambda: self.router.metrics()[f"{cluster}/stale_s"] > 0, "and counts seconds")
        finally:
            self.zookeeper.pause(False)
        until(lambda: not shown(self.router, "/prod/users")["stale"], "it is back")

    def test_a_namer_that_is_not_there_has_no_page(self):
        self.assertEqual(self.router.admin("/namer_state/io.l5d.nope.json")[0], 404)
        self.assertEqual(self.router.admin("/namer_state/io.l5d.fs.json")[0], 404)
        self.assertEqual(self.router.admin("/namer_state/")[0], 404)
        self.assertEqual(self.router.admin(PAGE, method="POST")[0], 405)


class NotInUse(RouterTest):
    @classmethod
    def configure(cls):
        cls.zookeeper = ZooKeeper().start()
        cls.addClassCleanup(cls.zookeeper.stop)
        cls.one = cls.backend(FakeBackend("one"))
        return router_of({"sessionTimeoutMs": 1000, "zkAddrs": cls.zookeeper.addresses()}, SETS,
                         bindingCache={"idleTtlSecs": 1})

    def test_watches_go_with_the_last_name_in_use(self):
        for i in range(20):
            self.zookeeper.add("/prod/users", self.one.port, shard=i)
        with Client(self.router.port) as client:
            until(lambda: client.text("users:get").startswith("one"), "it is served")
            self.assertGreaterEqual(self.zookeeper.watches(), 21)
            until(lambda: self.zookeeper.watches() == 0, "its watches are gone")
            self.assertEqual(state(self.router)[0]["sets"], {})
            self.assertTrue(client.text("users:get").startswith("one"), "and it is found again")


class NotInUseWhileAway(RouterTest):
    """A session that goes on after an outage in which a name went out of use."""

    @classmethod
    def configure(cls):
        cls.zookeeper = ZooKeeper(tick=3000).start()
        cls.addClassCleanup(cls.zookeeper.stop)
        cls.one = cls.backend(FakeBackend("one"))
        return router_of({"sessionTimeoutMs": 60000, "zkAddrs": cls.zookeeper.addresses()}, SETS,
                         bindingCache={"idleTtlSecs": 1})

    def count(self, what):
        cluster = f"namer/#/io.l5d.serversets/cluster/127.0.0.1:{self.zookeeper.port}"
        return self.router.metric(f"{cluster}/{what}")

    def test_its_watches_go_when_zookeeper_is_back(self):
        for i in range(5):
            self.zookeeper.add("/prod/users", self.one.port, shard=i)
        with Client(self.router.port) as client:
            until(lambda: client.text("users:get").startswith("one"), "it is served")
        self.assertEqual(self.zookeeper.watches(), 6)
        self.zookeeper.kill()
        until(lambda: self.count("connected") == 0, "the connection is lost")
        until(lambda: state(self.router)[0]["sets"] == {}, "the name is not in use any more")
        self.assertEqual(self.count("watches"), 6, "they come back with the session")
        self.zookeeper.start()
        until(lambda: self.count("connected") == 1, "the connection is back")
        until(lambda: self.count("watches") == 0, "it says that they are gone")
        self.assertEqual(self.zookeeper.watches(), 0)
        self.assertEqual(self.count("sessions"), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
