"""ZooKeeper is killed, hangs, or loses what it held, and sessions end: no call fails, and what
changes afterwards is heard."""

import signal
import time
import unittest

from client import PATIENCE
from router_process import until
from zookeeper import PARENT, ServersetsTest

SIX = ("one", "two", "three", "four", "five", "six")


class Faults(ServersetsTest):
    BACKENDS = (*SIX, "seven")
    # Long enough that no slow machine lives through it.
    NAMER = {"minRetainedHoldMs": 120_000}

    def heard_again(self):
        """A member that is added now gets calls, and none once it left."""
        member = self.add("seven")
        until(lambda: self.ask() == "seven", "a new member gets calls")
        self.zookeeper.remove(member)
        until(lambda: "seven" not in {self.ask() for _ in range(20)}, "it left")

    # The connection.

    def lost_connections(self):
        return self.router.log().count("the connection was lost")

    def test_zookeeper_killed_and_restarted(self):
        self.add("one")
        self.add("two")
        self.settles(["one", "two"])
        with self.no_call_fails("one", "two"):
            before = self.lost_connections()
            self.zookeeper.kill()
            until(lambda: self.lost_connections() > before, "it is seen")
            self.zookeeper.start()
            member = self.add("two")
            self.zookeeper.remove(member)
        self.heard_again()

    def router_session(self):
        """The id of its session: there is one."""
        return until(lambda: [*self.zookeeper.sessions()] if
                     len(self.zookeeper.sessions()) == 1 else None, "it has a session")[0]

    def test_zookeeper_hangs_until_the_session_is_over(self):
        self.add("one")
        self.add("two")
        self.settles(["one", "two"])
        with self.no_call_fails("one", "two"):
            before = self.lost_connections()
            self.zookeeper.pause(True)
            until(lambda: self.lost_connections() > before, "it is seen")
            time.sleep(1)
            self.zookeeper.pause(False)
            self.router_session()
        self.heard_again()

    def test_a_session_that_expires(self):
        """The router stands still for so long that ZooKeeper ends its session."""
        self.add("one")
        self.add("two")
        self.settles(["one", "two"])
        old = self.router_session()
        data, watches = self.zookeeper.watched_data(), self.zookeeper.watches()
        with self.no_call_fails("one", "two", "three"):
            self.router.signal(signal.SIGSTOP)
            try:
                until(lambda: old not in self.zookeeper.say("dump"), "the session is over")
                self.assertEqual(self.zookeeper.watches(), 0)
                third = self.add("three")
            finally:
                self.router.signal(signal.SIGCONT)
            data[third] = 1
            until(lambda: (self.zookeeper.watched_data(), self.zookeeper.watches()) ==
                  (data, watches + 1), "each znode has one watch again")
            self.assertNotEqual(self.router_session(), old)
            self.settles(["one", "two", "three"])
        self.heard_again()

    # What it holds.

    def test_a_set_that_is_deleted_and_made_again(self):
        for name in SIX:
            self.add(name)
        self.settles(SIX)
        with self.no_call_fails(*SIX):
            self.zookeeper.remove(self.set)
            for name in SIX:
                self.add(name)
            self.settles(SIX)
        self.heard_of_the_seventh()

    def test_half_of_a_large_set_that_goes_is_held(self):
        members = [self.add(name) for name in SIX]
        self.settles(SIX)
        before = self.zookeeper.watches()
        with self.no_call_fails(*SIX):
            for member in members[:-1]:
                self.zookeeper.remove(member)
            until(lambda: self.zookeeper.watches() == before - 5, "the list is read again")
            answers = until(lambda: self.few({self.ask() for _ in range(60)}), "they left")
            self.assertEqual((len(answers), "six" in answers), (3, True), answers)

    @staticmethod
    def few(answers):
        return answers if len(answers) <= 3 else None

    def test_the_parent_is_deleted_with_all_sets_and_made_again(self):
        for name in SIX:
            self.add(name)
        self.settles(SIX)
        self.zookeeper.add(f"{PARENT}/other", self.servers["seven"].port)
        self.settles(["seven"], "other")
        with self.no_call_fails(*SIX):
            self.zookeeper.remove(PARENT)
            session = self.router_session()
            asked = self.zookeeper.sessions()[session]
            until(lambda: self.zookeeper.sessions()[session] > asked + 10,
                  "it has looked for them in vain")
            for name in SIX:
                self.add(name)
            self.settles(SIX)
        self.zookeeper.add(f"{PARENT}/other", self.servers["one"].port)
        until(lambda: self.ask("other") == "one", "another set of it is heard of again")
        self.zookeeper.add(f"{PARENT}/new", self.servers["one"].port)
        until(lambda: self.ask("new") == "one", "a new set is found")
        self.heard_of_the_seventh()

    def heard_of_the_seventh(self):
        """One that joins a large set; those who leave it are held."""
        self.add("seven")
        until(lambda: self.ask() == "seven", "a new member gets calls")

    def test_zookeeper_comes_back_with_nothing(self):
        for name in SIX:
            self.add(name)
        self.settles(SIX)
        with self.no_call_fails(*SIX):
            self.zookeeper.kill()
            self.zookeeper.wipe()
            self.zookeeper.start()
            self.router_session()
            for name in SIX:
                self.add(name)
            self.settles(SIX)
        self.heard_of_the_seventh()

    def test_changes_that_come_fast(self):
        """2,000 of them, of which the router reads what there is at times."""
        names = ("one", "two", "three")
        ports = [self.servers[name].port for name in names]
        self.add("one")
        self.settles(["one"])
        kazoo = self.zookeeper.client()
        session = self.router_session()
        asked, changes = self.zookeeper.sessions()[session], 0
        with self.no_call_fails(*names):
            for i in range(500):
                path = f"{self.set}/member_fast{i}"
                data = [self.zookeeper.member(port).encode() for port in ports]
                for changed in ([(kazoo.create_async, data[0]), (kazoo.set_async, data[1])],
                                [(kazoo.set_async, data[2]), (kazoo.delete_async,)]):
                    answers = [change(path, *value) for change, *value in changed]
                    for answer in answers:
                        answer.get(PATIENCE)
                    changes += len(answers)
        last = self.add("four")
        self.settles(["one", "four"])
        self.assertEqual(changes, 2000)
        asked = self.zookeeper.sessions()[session] - asked
        self.assertLess(asked, changes / 4)
        self.zookeeper.remove(last)
        self.settles(["one"])
        until(lambda: sum(path.startswith(self.set) for path in self.zookeeper.watched_data()) == 1,
              "members that went have no watch")


if __name__ == "__main__":
    unittest.main(verbosity=2)
