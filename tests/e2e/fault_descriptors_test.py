"""The router is out of file descriptors: what it has goes on, the rest when there are some."""

import os
import resource
import unittest

import wire
from client import Client
from fake_backend import FakeBackend
from router_process import Router, RouterTest, free_port, until


class Descriptors(RouterTest):
    @classmethod
    def configure(cls):
        cls.users = cls.backend(FakeBackend("users"))
        cls.other = cls.backend(FakeBackend("other"))
        router = Router([{"protocol": "thrift", "label": "rt", "dtab": "/svc => /#/io.l5d.fs",
                          "servers": [{}]}], workers=1)
        router.write("users", cls.users.port)
        router.write("moving", cls.users.port)
        router.write("other", cls.other.port)
        router.write("unread", cls.other.port)
        router.write("down", free_port())
        return router

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Ubsan looks at the first virtual call of each kind through a pipe, and if there is none
        # takes the object for a wrong one: so what comes has been done once before.
        with Client(cls.router.port) as client:
            client.upgrade()
            for dtab in ([], [("/svc/users", "/svc/down")], [("/svc/users", "/svc/nowhere")]):
                client.text("users:get", dtab=dtab)
        cls.router.write("moving", cls.other.port)
        cls.router.write("moving", cls.users.port)

    def setUp(self):
        self.neighbour = Client(self.router.port)
        self.addCleanup(self.neighbour.close)
        self.addCleanup(self.limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        # The connections that calls need are there.
        for name in ("users", "moving"):
            self.assertEqual(self.neighbour.text(name + ":get"), f"users {name}:get")

    def limit(self, count):
        hard = resource.prlimit(self.router.process.pid, resource.RLIMIT_NOFILE)[1]
        hard = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], hard)
        resource.prlimit(self.router.process.pid, resource.RLIMIT_NOFILE, (min(count, hard), hard))

    def open_now(self):
        return len(os.listdir(f"/proc/{self.router.process.pid}/fd"))

    def highest(self):
        return max(int(name) for name in os.listdir(f"/proc/{self.router.process.pid}/fd"))

    def exhaust(self, spare=0):
        """No descriptors but `spare` more; those below the limit are filled up with connections."""
        self.limit(self.highest() + 1 + spare)
        fillers = []
        for _ in range(self.highest() + 1 + spare - self.open_now() + 3):
            filler = Client(self.router.port)
            self.addCleanup(filler.close)
            fillers.append(filler)
        until(lambda: "cannot accept" in self.router.log(), "the log tells of it")
        return fillers

    def check_neighbour(self):
        for _ in range(20):
            self.assertEqual(self.neighbour.text("users:get"), "users users:get")

    def test_accepts_resume_when_there_are_some_again(self):
        waiting = [*self.exhaust(spare=4), *[Client(self.router.port) for _ in range(20)]]
        self.check_neighbour()
        # In the order in which they came: each that ends makes room for one more.
        for client in waiting:
            self.assertEqual(client.text("users:get"), "users users:get")
            client.close()
        self.check_neighbour()

    def test_accepts_resume_when_the_limit_is_raised(self):
        waiting = [*self.exhaust(spare=4), *[Client(self.router.port) for _ in range(20)]]
        self.check_neighbour()
        self.limit(4096)
        for client in waiting:
            self.assertEqual(client.text("users:get"), "users users:get")
        for client in waiting:
            client.close()

    def test_clients_that_give_up_while_they_wait(self):
        fillers = self.exhaust(spare=2)
        for i in range(50):
            client = Client(self.router.port)
            client.send(wire.CALL, "users:get", 1)
            client.reset() if i % 2 else client.close()
        self.check_neighbour()
        for filler in fillers:
            filler.close()
        connections = f"rt/rt/server/127.0.0.1/{self.router.port}/connections"
        self.limit(4096)
        until(lambda: self.router.metric(connections) == 1, "one is left")
        with Client(self.router.port) as late:
            self.assertEqual(late.text("users:get"), "users users:get")

    def test_a_call_that_needs_a_connection_when_there_is_no_descriptor(self):
        self.assertEqual(self.neighbour.text("other:get"), "other other:get")
        self.other.stop()
        self.other.start()
        self.exhaust()
        for _ in range(3):
            text = self.assert_router_error(self.neighbour.call("other:get"), "get",
                                            "/#/io.l5d.fs/other", "open files")
            self.assertTrue(text.startswith("trestle: connect: "), text)
        self.check_neighbour()
        # It is none of the endpoint's fault.
        accrual = "rt/rt/client/#/io.l5d.fs/other/failure_accrual/removals"
        self.limit(4096)
        self.assertEqual(self.router.metric(accrual), 0)
        self.assertEqual(self.neighbour.text("other:get"), "other other:get")

    def test_a_name_that_is_first_asked_for_when_there_is_no_descriptor(self):
        self.exhaust()
        self.assert_router_error(self.neighbour.call("unread:get"), "get", "open files")
        self.limit(4096)
        until(lambda: self.neighbour.text("unread:get") == "other unread:get", "the file is read")

    def test_more_calls_at_once_than_there_are_connections_for(self):
        self.exhaust()
        frames = [self.neighbour.framed(wire.CALL, "users:echo", i, [(1, "string", str(i))])
                  for i in range(30)]
        self.neighbour.send_bytes(b"".join(frames))
        for i in range(30):
            reply = self.neighbour.receive()
            self.assertEqual(reply.seqid, i)
            if reply.kind == wire.REPLY:
                self.assertEqual(reply.fields, {0: str(i).encode()})
            else:
                self.assert_router_error(reply, "echo", "open files")
        self.check_neighbour()

    def test_names_keep_their_last_good_value_and_are_read_once_it_goes(self):
        self.exhaust()
        self.router.write("moving", self.other.port)
        for _ in range(20):
            # The file cannot be read: no call may fail for that.
            self.assertIn(self.neighbour.text("moving:get"),
                          ("users moving:get", "other moving:get"))
        self.limit(4096)
        until(lambda: self.neighbour.text("moving:get") == "other moving:get", "the file is read")
        self.router.write("moving", self.users.port)
        until(lambda: self.neighbour.text("moving:get") == "users moving:get", "it is read again")


if __name__ == "__main__":
    unittest.main(verbosity=2)
