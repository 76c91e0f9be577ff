"""The namer io.l5d.serversets with a real ZooKeeper, whose members kazoo writes."""

import json
import unittest

import wire
from client import Client
from fake_backend import FakeBackend
from router_process import Router, RouterTest, until
from zookeeper import PARENT, ServersetsTest, ZooKeeper


class Serversets(ServersetsTest):
    ENDPOINTS = f"/#/io.l5d.serversets{PARENT}/users"
    DTAB = (f"{ServersetsTest.DTAB} ; /svc/web => {ENDPOINTS}:http ; /svc/first => {ENDPOINTS}#1 ;"
            f"/svc/firstWeb => {ENDPOINTS}:http#1 ; /svc/ninth => {ENDPOINTS}#9")
    BACKENDS = ("one", "two", "web1", "web2")

    def test_members_that_join_get_calls_and_those_that_leave_none(self):
        first = self.add("one")
        self.settles(["one"])
        self.add("two")
        self.settles(["one", "two"])
        self.zookeeper.remove(first)
        self.settles(["two"])

    def test_a_name_that_is_not_there_falls_back_and_comes_back(self):
        self.router.write("old", self.servers["two"].port)
        until(lambda: self.ask("old") == "two", "the file is there")
        self.zookeeper.add(f"{PARENT}/old", self.servers["one"].port)
        until(lambda: self.ask("old") == "one", "the set is there")
        self.assertEqual(self.ask("never"), "trestle:")

    def test_wrong_names_leave_no_watches_and_ask_nothing(self):
        self.add("one")
        self.settles(["one"])
        before, asked = self.zookeeper.watches(), sum(self.zookeeper.sessions().values())
        for i in range(300):
            self.assertEqual(self.ask(f"wrong{i}"), "trestle:")
        self.assertLess(self.zookeeper.watches() - before, 5)
        self.assertLess(sum(self.zookeeper.sessions().values()) - asked, 150)

    def test_a_name_may_ask_for_an_endpoint_and_a_shard(self):
        for shard, backend, web in ((1, "one", "web1"), (2, "two", "web2")):
            more = {"http": {"host": "127.0.0.1", "port": self.servers[web].port}}
            self.zookeeper.add(f"{PARENT}/users", self.servers[backend].port, shard=shard,
                               additionalEndpoints=more)
        self.settles(["one", "two"], "users")
        self.settles(["web1", "web2"], "web")
        self.settles(["one"], "first")
        self.settles(["web1"], "firstWeb")
        self.assertEqual(self.ask("ninth"), "trestle:")

    def test_a_vector_takes_members_out(self):
        self.add("one", shard=1)
        self.add("two", shard=2)
        self.settles(["one", "two"])
        weights = {"vector": [{"select": "shard=1", "weight": -1, "priority": 1}]}
        vector = self.zookeeper.put(self.set + "/vector_", json.dumps(weights), sequence=True)
        self.settles(["two"])
        weights["vector"][0]["select"] = "shard=2"
        self.zookeeper.set(vector, json.dumps(weights))
        self.settles(["one"])
        self.zookeeper.remove(vector)
        self.settles(["one", "two"])

    def test_members_that_are_not_alive_get_no_calls(self):
        self.add("one")
        second = self.add("two", status="STARTING")
        self.settles(["one"])
        self.zookeeper.set(second, self.member("two"))
        self.settles(["one", "two"])
        self.zookeeper.set(second, self.member("two", status="DEAD"))
        self.settles(["one"])

    # What is no use.

    def test_junk_is_left_out_alone(self):
        self.add("one")
        self.zookeeper.put(self.set + "/member_junk", "{not json")
        self.zookeeper.put(self.set + "/lock")
        self.settles(["one"])

    def test_a_member_whose_data_becomes_junk_is_left_out(self):
        self.add("one")
        second = self.add("two")
        self.settles(["one", "two"])
        with self.no_call_fails("one", "two"):
            for junk in ("", "{not json", "[]", '{"serviceEndpoint": 7}', "\0" * 100_000):
                self.zookeeper.set(second, junk)
                self.settles(["one"])
                self.zookeeper.set(second, self.member("two"))
                self.settles(["one", "two"])

    def test_the_last_good_member_stays_when_one_after_the_other_becomes_junk(self):
        members = [self.add("one"), self.add("two")]
        self.settles(["one", "two"])
        with self.no_call_fails("one", "two", "web1"):
            for member in members:
                self.zookeeper.set(member, "{not json")
            self.are_read_again(members)
            self.zookeeper.set(members[1], self.member("web1"))
            self.settles(["web1"])
            self.zookeeper.set(members[0], self.member("one"))
            self.settles(["one", "web1"])

    def test_the_last_good_members_stay_when_all_become_junk_at_once(self):
        members = [self.add("one"), self.add("two")]
        self.settles(["one", "two"])
        with self.no_call_fails("one", "two"):
            change = self.zookeeper.client().transaction()
            for member in members:
                change.set_data(member, b"{not json")
            self.assertEqual(len(change.commit()), 2)
            self.are_read_again(members)
            for _ in range(20):
                self.assertEqual({self.ask() for _ in range(40)}, {"one", "two"})

    def are_read_again(self, members):
        """A change takes the watch away, and the router's next question brings it back."""
        until(lambda: set(members) <= set(self.zookeeper.watched_data()), "they are read again")

    def test_a_host_that_does_not_resolve_leaves_out_one_member(self):
        self.add("one")
        self.settles(["one"])
        with self.no_call_fails("one", "two"):
            nowhere = self.add("two", host="nowhere.invalid")
            self.add("two")
            self.settles(["one", "two"])
            self.zookeeper.set(nowhere, self.member("web1", host="localhost"))
        self.settles(["one", "two", "web1"])


class WithoutZooKeeper(RouterTest):
    """ZooKeeper is not there when the router starts."""

    @classmethod
    def configure(cls):
        cls.zookeeper = ZooKeeper()
        cls.addClassCleanup(cls.zookeeper.stop)
        cls.one = cls.backend(FakeBackend("one"))
        router = Router([{"protocol": "thrift", "dtab": ServersetsTest.DTAB, "servers": [{}],
                          "bindingTimeoutMs": 300}])
        router.config["namers"].append({
            "kind": "io.l5d.serversets", "sessionTimeoutMs": 1000,
            "zkAddrs": cls.zookeeper.addresses()})
        router.write("old", cls.one.port)
        return router

    def test_names_are_unknown_until_it_is_there(self):
        with Client(self.router.port) as client:
            message = client.call("old:get")
            self.assertEqual(message.kind, wire.EXCEPTION)
            self.assertIn(b"bindingTimeoutMs", message.fields[1])
            self.zookeeper.start()
            self.zookeeper.put(PARENT)
            until(lambda: client.text("old:get").startswith("one"), "the fallback answers")


if __name__ == "__main__":
    unittest.main(verbosity=2)
