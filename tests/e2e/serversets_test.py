"""The namer io.l5d.serversets with a real ZooKeeper, whose members kazoo writes."""

import threading
import time
import unittest

import wire
from client import Client
from fake_backend import FakeBackend
from router_process import Router, RouterTest, until
from zookeeper import ZooKeeper

DTAB = "/srv => /#/io.l5d.fs ; /srv => /#/io.l5d.serversets/discovery/prod ; /svc => /srv"


class Serversets(RouterTest):
    @classmethod
    def configure(cls):
        cls.zookeeper = ZooKeeper().start()
        cls.addClassCleanup(cls.zookeeper.stop)
        cls.servers = {name: cls.backend(FakeBackend(name)) for name in ("one", "two", "file")}
        router = Router([{"protocol": "thrift", "dtab": DTAB, "servers": [{}],
                          "bindingTimeoutMs": 20000}])
        router.config["namers"].append({
            "kind": "io.l5d.serversets", "sessionTimeoutMs": 2000,
            "zkAddrs": [{"host": "127.0.0.1", "port": cls.zookeeper.port}]})
        router.write("old", cls.servers["file"].port)
        return router

    def setUp(self):
        self.client = Client(self.router.port)
        self.addCleanup(self.client.close)
        self.set = f"/discovery/prod/{self.id().rpartition('.')[2]}"
        self.name = self.set.rpartition("/")[2]

    def add(self, backend):
        return self.zookeeper.add(self.set, self.servers[backend].port)

    def ask(self, client=None, name=None):
        """Who answers, or the router's error."""
        return (client or self.client).text(f"{name or self.name}:get").split(" ")[0]

    def settles(self, who):
        until(lambda: {self.ask() for _ in range(8)} == set(who), f"{who} answer")

    def test_members_that_join_get_calls_and_those_that_leave_none(self):
        first = self.add("one")
        self.settles(["one"])
        self.add("two")
        self.settles(["one", "two"])
        self.zookeeper.remove(first)
        self.settles(["two"])

    def test_a_name_that_is_not_there_falls_back_and_comes_back(self):
        self.assertEqual(self.ask(name="old"), "file")
        self.zookeeper.add("/discovery/prod/old", self.servers["one"].port)
        until(lambda: self.ask(name="old") == "one", "the set is there")
        self.assertEqual(self.ask(name="never"), "trestle:")

    def test_junk_is_left_out_alone(self):
        self.add("one")
        self.zookeeper.put(self.set + "/member_junk", "{not json")
        self.zookeeper.put(self.set + "/lock")
        self.settles(["one"])

    def calls_that_must_not_fail(self, stopped):
        """Calls all the time; gives the answers that were not as they should be."""
        bad = []

        def call():
            with Client(self.router.port) as client:
                while not stopped.is_set():
                    answer = self.ask(client)
                    if answer not in ("one", "two"):
                        bad.append(answer)

        thread = threading.Thread(target=call)
        thread.start()
        return thread, bad

    def no_call_fails(self, fault):
        self.add("one")
        self.add("two")
        self.settles(["one", "two"])
        stopped = threading.Event()
        thread, bad = self.calls_that_must_not_fail(stopped)
        try:
            fault()
        finally:
            stopped.set()
            thread.join()
        self.assertEqual(bad, [])

    def test_zookeeper_killed_and_restarted(self):
        def fault():
            self.zookeeper.kill()
            until(lambda: "the connection was lost" in self.router.log(), "it is seen")
            self.zookeeper.start()
            member = self.add("two")
            self.zookeeper.remove(member)
        self.no_call_fails(fault)
        third = self.add("file")
        until(lambda: self.ask() == "file", "changes are heard again")
        self.zookeeper.remove(third)

    def test_zookeeper_hangs_until_the_session_is_over(self):
        def fault():
            before = self.router.log().count("the connection was lost")
            self.zookeeper.pause(True)
            until(lambda: self.router.log().count("the connection was lost") > before,
                  "it is seen")
            time.sleep(1)
            self.zookeeper.pause(False)
        self.no_call_fails(fault)
        third = self.add("file")
        until(lambda: self.ask() == "file", "changes are heard again")
        self.zookeeper.remove(third)

    def test_a_set_that_is_deleted_and_made_again(self):
        def fault():
            self.zookeeper.remove(self.set)
            self.add("one")
            self.add("two")
        self.no_call_fails(fault)
        self.settles(["one", "two"])

    def test_wrong_names_leave_no_watches(self):
        self.add("one")
        self.settles(["one"])
        before = self.zookeeper.watches()
        for i in range(300):
            self.assertEqual(self.ask(name=f"wrong{i}"), "trestle:")
        self.assertLess(self.zookeeper.watches() - before, 5)


class WithoutZooKeeper(RouterTest):
    """ZooKeeper is not there when the router starts."""

    @classmethod
    def configure(cls):
        cls.zookeeper = ZooKeeper()
        cls.addClassCleanup(cls.zookeeper.stop)
        cls.one = cls.backend(FakeBackend("one"))
        router = Router([{"protocol": "thrift", "dtab": DTAB, "servers": [{}],
                          "bindingTimeoutMs": 300}])
        router.config["namers"].append({
            "kind": "io.l5d.serversets", "sessionTimeoutMs": 1000,
            "zkAddrs": [{"host": "127.0.0.1", "port": cls.zookeeper.port}]})
        router.write("old", cls.one.port)
        return router

    def test_names_are_unknown_until_it_is_there(self):
        with Client(self.router.port) as client:
            message = client.call("old:get")
            self.assertEqual(message.kind, wire.EXCEPTION)
            self.assertIn(b"bindingTimeoutMs", message.fields[1])
            self.zookeeper.start()
            self.zookeeper.put("/discovery/prod")
            until(lambda: client.text("old:get").startswith("one"), "the fallback answers")


if __name__ == "__main__":
    unittest.main(verbosity=2)
