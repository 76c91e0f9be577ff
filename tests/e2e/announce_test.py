"""What servers are announced as in a real ZooKeeper, read back by kazoo and by another router."""

import json
import os
import signal
import subprocess
import unittest

from kazoo.exceptions import NoNodeError

import wire
from client import Client
from fake_backend import FakeBackend
from router_process import Router, free_port, program, refuses, until
from zookeeper import ZooKeeper

NAME = "/#/io.l5d.serversets/prod/users"
SET = "/discovery/prod/users"


class Announce(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.zookeeper = ZooKeeper().start()
        cls.addClassCleanup(cls.zookeeper.stop)

    def setUp(self):
        self.users = FakeBackend("users")
        self.addCleanup(self.users.stop)
        self.addCleanup(self.forget)

    def forget(self):
        self.zookeeper.pause(False)
        kazoo = self.zookeeper.client()
        for top in kazoo.retry(kazoo.get_children, "/"):
            if top != "zookeeper":
                kazoo.retry(kazoo.delete, "/" + top, recursive=True)

    def cluster(self, **more):
        return {"zkAddrs": [{"host": "127.0.0.1", "port": self.zookeeper.port}],
                "sessionTimeoutMs": 1000, **more}

    def make(self, servers=None, admin=None, **announcer):
        """A router that announces its servers. It is written down so that it can be reloaded."""
        router = Router([{
            "protocol": "thrift", "label": "main", "dtab": "/svc => /#/io.l5d.fs",
            "announcers": [{"kind": "io.l5d.serversets", **self.cluster(**announcer)}],
            "servers": servers or [{"announce": [NAME]}]}], **({"admin": admin} if admin else {}))
        self.addCleanup(router.stop)
        router.write("users", self.users.port)
        return router

    def start(self, *args, **more):
        router = self.make(*args, **more).start()
        with open(router.config_file, encoding="utf-8") as file:
            self.config = json.load(file)
        self.main = self.config["routers"][0]
        return router

    def reload(self, router):
        fresh = router.config_file + ".fresh"
        with open(fresh, "w", encoding="utf-8") as out:
            json.dump(self.config, out)
        os.rename(fresh, router.config_file)
        before = router.metric("config/reloads")
        router.signal(signal.SIGHUP)
        until(lambda: router.metric("config/reloads") > before, "reloads")

    # What is in ZooKeeper.

    def members(self, path=SET):
        """The znodes of a set, each with its text and the session that it goes with."""
        kazoo = self.zookeeper.client()
        found = {}
        try:
            for name in kazoo.retry(kazoo.get_children, path):
                try:
                    data, stat = kazoo.retry(kazoo.get, f"{path}/{name}")
                    found[name] = (data.decode(), stat.ephemeralOwner)
                except NoNodeError:
                    pass
        except NoNodeError:
            pass
        return found

    def texts(self, path=SET):
        return sorted(text for text, _ in self.members(path).values())

    def come_to(self, texts, path=SET):
        until(lambda: self.texts(path) == sorted(texts), f"{texts} at {path}, not "
              f"{self.texts(path)}")

    @staticmethod
    def text(router, port=None, host="127.0.0.1", admin=True):
        more = (f'{{"admin":{{"host":"127.0.0.1","port":{router.admin_port}}}}}' if admin else "{}")
        return (f'{{"serviceEndpoint":{{"host":"{host}","port":{port or router.port}}},'
                f'"additionalEndpoints":{more},"status":"ALIVE","shard":0}}')

    # The tests.

    def test_a_member_as_linkerd_writes_it_and_where_the_admin_server_is(self):
        plain = self.start(announceAdmin=False)
        self.come_to([self.text(plain, admin=False)])
        name, (_, owner) = next(iter(self.members().items()))
        self.assertRegex(name, r"^member_\d{10}$")
        self.assertNotEqual(owner, 0)
        self.assertEqual(plain.metric("announcer/#/io.l5d.serversets/rt/main/announced"), 1)
        self.assertEqual(plain.metric("announcer/#/io.l5d.serversets/rt/main/cluster/127.0.0.1:"
                                      f"{self.zookeeper.port}/sessions"), 1)
        full = self.start()
        self.come_to([self.text(plain, admin=False), self.text(full)])

    def test_ports_that_the_system_gives_and_a_name_for_the_machine(self):
        router = self.start([{"port": 0, "ip": "0.0.0.0", "announce": [NAME]}],
                            advertisedHost="router.example", shard=0)
        port = until(lambda: self.texts(), "it is announced")[0].partition('"port":')[2]
        port = int(port.partition("}")[0])
        self.assertEqual(self.texts(),
                         [self.text(router, port, host="router.example", admin=False)])
        with Client(port) as client:
            self.assertEqual(client.text("users:get"), "users users:get")

    def test_a_chroot_and_znodes_that_only_we_may_change(self):
        self.zookeeper.put("/trestle")
        router = self.start(chroot="/trestle", pathPrefix="/own",
                            authInfo={"scheme": "digest", "auth": "a:b"})
        path = "/trestle/own/prod/users"
        self.come_to([self.text(router)], path)
        ours = [("digest", 31), ("world", 1)]
        for znode, wanted in ((f"{path}/{next(iter(self.members(path)))}", ours),
                              (path, [("world", 31)]), ("/trestle/own", [("world", 31)])):
            acls, _ = self.zookeeper.client().get_acls(znode)
            self.assertEqual(sorted((acl.id.scheme, acl.perms) for acl in acls), wanted, znode)
        router.signal()
        self.assertEqual(router.wait(), 0)
        self.assertEqual(self.texts(path), [])
        self.zookeeper.client().add_auth("digest", "a:b")

    def test_after_an_expired_session_it_is_there_once(self):
        router = self.start()
        self.come_to([self.text(router)])
        before = self.members()
        router.signal(signal.SIGSTOP)
        try:
            self.come_to([])
        finally:
            router.signal(signal.SIGCONT)
        self.come_to([self.text(router)])
        self.assertNotEqual(self.members(), before)
        until(lambda: router.metric("announcer/#/io.l5d.serversets/rt/main/announced") == 1,
              "it is counted")
        self.assertEqual(self.texts(), [self.text(router)])

    def test_one_that_is_deleted_is_there_again_and_so_is_its_set(self):
        router = self.start()
        self.come_to([self.text(router)])
        for path in (f"{SET}/{next(iter(self.members()))}", "/discovery"):
            before = self.members()
            self.zookeeper.remove(path)
            until(lambda: self.members() not in ({}, before), "it is there again")
            self.assertEqual(self.texts(), [self.text(router)])

    def test_zookeeper_killed_and_restarted(self):
        router = self.start()
        self.come_to([self.text(router)])
        self.zookeeper.kill()
        until(lambda: "the connection was lost" in router.log(), "it is seen")
        self.zookeeper.start()
        announced = "announcer/#/io.l5d.serversets/rt/main/announced"
        until(lambda: router.metric(announced) == 1, "it is known to be there")
        self.come_to([self.text(router)])

    def test_without_zookeeper_a_router_serves_and_stops(self):
        router = self.make()
        router.config["routers"][0]["announcers"][0]["zkAddrs"][0]["port"] = free_port()
        router.start()
        with Client(router.port) as client:
            self.assertEqual(client.text("users:get"), "users users:get")
        router.signal()
        self.assertEqual(router.wait(), 0)
        self.assertNotIn("does not answer", router.log())

    # The end.

    def stop_with_a_call_in_flight(self, router, while_stopping):
        with Client(router.port) as client:
            before = len(self.users.calls("hold"))
            client.send(wire.CALL, "users:hold", 1, [(1, "string", "gate")])
            self.assertTrue(self.users.wait_calls("hold", before + 1))
            while_stopping()
            self.users.release("gate")
            self.assertEqual(client.receive().kind, wire.REPLY)
        self.assertEqual(router.wait(), 0, router.log())

    def test_the_member_goes_before_the_port(self):
        router = self.start()
        self.come_to([self.text(router)])

        def stop():
            router.signal()
            while True:
                refused = refuses(router.port)
                there = self.members()
                self.assertFalse(refused and there, "nobody listens, and it is still announced")
                if refused:
                    break
            self.assertFalse(router.is_ready())
        self.stop_with_a_call_in_flight(router, stop)

    def test_a_zookeeper_that_hangs_does_not_hold_the_stop_up(self):
        router = self.start(sessionTimeoutMs=4000)  # so that the connection seems good meanwhile
        self.come_to([self.text(router)])
        self.zookeeper.pause(True)

        def stop():
            router.signal()
            until(lambda: not router.is_ready(), "it says so at once")
            until(lambda: refuses(router.port), "it listens no more")
        self.stop_with_a_call_in_flight(router, stop)
        self.assertIn("members go with their sessions", router.log())
        self.zookeeper.pause(False)
        self.come_to([])

    def test_a_second_sigterm_waits_for_nothing(self):
        router = self.start(sessionTimeoutMs=4000, admin={"shutdownGraceMs": 3_600_000})
        self.come_to([self.text(router)])
        with Client(router.port) as client:
            client.send(wire.CALL, "users:hold", 1, [(1, "string", "never")])
            self.assertTrue(self.users.wait_calls("hold", 1))
            self.zookeeper.pause(True)
            router.signal()
            until(lambda: "draining" in router.log(), "it stops")
            router.signal()
            self.assertEqual(router.wait(), 0, router.log())

    # Reload.

    def test_a_reload_adds_and_removes_and_leaves_the_rest_alone(self):
        router = self.start([{"announce": [NAME]}, {}])
        first, second = router.ports
        self.come_to([self.text(router, first)])
        before = self.members()
        self.main["servers"][1]["announce"] = [NAME, "/#/io.l5d.serversets/other"]
        self.reload(router)
        self.come_to([self.text(router, first), self.text(router, second)])
        self.come_to([self.text(router, second)], "/discovery/other")
        self.assertLessEqual(before.items(), self.members().items())
        third = free_port()
        self.main["servers"] = [self.main["servers"][0], {"port": third, "announce": [NAME]}]
        self.reload(router)
        self.come_to([self.text(router, first), self.text(router, third)])
        self.come_to([], "/discovery/other")
        self.assertLessEqual(before.items(), self.members().items())
        self.main["announcers"][0]["pathPrefix"] = "/moved"
        self.reload(router)
        self.come_to([self.text(router, first), self.text(router, third)], "/moved/prod/users")
        self.come_to([])
        del self.main["announcers"]
        for server in self.main["servers"]:
            server.pop("announce")
        self.reload(router)
        self.come_to([], "/moved/prod/users")

    # A configuration that cannot be.

    def test_an_address_that_nobody_can_reach_is_refused(self):
        router = self.make([{"ip": "0.0.0.0", "announce": [NAME]}])
        router.launch()
        self.assertEqual(router.wait(), 2)
        self.assertIn("routers[0].servers[0].ip: 0.0.0.0 is no address to announce; set "
                      "routers[0].announcers[0].advertisedHost", router.log())
        check = subprocess.run([program("trestle"), "--validate", router.config_file],
                               capture_output=True, check=False)
        self.assertEqual(check.returncode, 2)

    # Who it is for.

    def test_another_router_finds_the_first_one(self):
        first = self.start()
        second = Router([{"protocol": "thrift", "servers": [{}], "bindingTimeoutMs": 20000,
                          "dtab": f"/svc => /#/io.l5d.serversets{SET.rpartition('/')[0]}"}])
        second.config["namers"].append({"kind": "io.l5d.serversets", **self.cluster()})
        self.addCleanup(second.stop)
        second.start()
        with Client(second.port) as client:
            until(lambda: client.text("users:get") == "users users:get", "it is found")
        self.assertGreater(first.metric(f"rt/main/server/127.0.0.1/{first.port}/requests"), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
