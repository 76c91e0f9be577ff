"""The namer io.l5d.serversets with three ZooKeepers that lose their leader, or all but one."""

import unittest

from router_process import until
from zookeeper import PARENT, Ensemble, ServersetsTest


class Three(ServersetsTest):
    BACKENDS = ("one", "two", "three", "four")
    NAMER = {"sessionTimeoutMs": 4000}

    @classmethod
    def make_zookeeper(cls):
        return Ensemble()

    def test_the_leader_is_killed_and_comes_back(self):
        self.add("one")
        self.settles(["one"])
        with self.no_call_fails("one", "two", "three", "four"):
            first = until(self.zookeeper.leader, "there is a leader")
            first.kill()
            second = until(self.zookeeper.leader, "there is another leader")
            self.add("two")
            self.settles(["one", "two"])
            first.start()
            until(lambda: first.mode() == "follower", "it is back")
            self.add("three")
            self.settles(["one", "two", "three"])
            # Now nothing goes without the one that came back.
            second.kill()
            until(self.zookeeper.leader, "there is a third leader")
            self.add("four")
            self.settles(["one", "two", "three", "four"])


class OneOfThree(ServersetsTest):
    """`readOnly` asks a server that has lost the others. It takes sessions of its own only."""

    BACKENDS = ("one", "two", "three")
    NAMER = {"sessionTimeoutMs": 4000, "readOnly": True}

    @classmethod
    def make_zookeeper(cls):
        return Ensemble(["localSessionsEnabled=true", "localSessionsUpgradingEnabled=true"],
                        ["-Dreadonlymode.enabled=true"])

    def test_it_tells_of_names_new_and_old(self):
        self.add("one")
        self.settles(["one"])
        self.zookeeper.add(f"{PARENT}/later", self.servers["two"].port)
        last = until(self.zookeeper.leader, "there is a leader")
        others = [server for server in self.zookeeper.servers if server is not last]
        with self.no_call_fails("one", "three"):
            for server in others:
                server.kill()
            until(lambda: last.mode() == "read-only", "it serves those who only read")
            until(lambda: self.ask("later") == "two", "it tells what a new name is")
            self.assertIn("connected, read-only", self.router.log())
            for server in others:
                server.launch()
            until(self.zookeeper.leader, "they are enough again")
            self.add("three")
            self.settles(["one", "three"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
