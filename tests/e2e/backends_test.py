"""Backends that misbehave, vanish and come back: a client gets an error reply, never garbage."""

import unittest

import wire
from client import Client
from fake_backend import FakeBackend
from router_process import Router, RouterTest, until

BAD = ("wrongSeqid", "wrongName", "wrongType", "garbage", "garbageBytes", "truncated", "halfFrame",
       "hugeFrame", "emptyFrame", "closeBefore", "resetBefore")


class BadBackends:
    protocol = None

    @classmethod
    def configure(cls):
        cls.users = cls.backend(FakeBackend("users", cls.protocol))
        base = {"protocol": "thrift", "thriftProtocol": cls.protocol.name,
                "dtab": "/svc => /#/io.l5d.fs"}
        router = Router([
            {**base, "label": "plain", "servers": [{}]},
            {**base, "label": "trusting", "servers": [{}], "client": {"verifySeqid": False}},
        ])
        router.write("users", cls.users.port)
        return router

    def setUp(self):
        self.client = Client(self.router.port, self.protocol)
        self.addCleanup(self.client.close)

    def test_each_is_an_error_of_its_call_only(self):
        for method in BAD:
            with self.subTest(method):
                for _ in range(3):
                    reply = self.client.call("users:" + method)
                    self.assert_router_error(reply, method, "/svc/users", "/#/io.l5d.fs/users")
                    self.assertEqual(self.client.text("users:get"), "users users:get")

    def test_among_good_calls_of_a_pipeline(self):
        names = []
        for method in BAD:
            names += ["users:get", "users:" + method]
        for seqid, name in enumerate(names):
            self.client.send(wire.CALL, name, seqid)
        for seqid, name in enumerate(names):
            reply = self.client.receive()
            self.assertEqual(reply.seqid, seqid)
            if name == "users:get":
                self.assertEqual(reply.fields, {0: b"users users:get"})
            else:
                self.assert_router_error(reply, name.split(":")[1])

    def test_a_reply_too_many_never_reaches_a_client(self):
        # If it comes while the next call is with that backend, it is the error of that call.
        for i in range(50):
            for method, good in (("twice", "users users:twice"), ("echo", str(i))):
                text = self.client.text("users:" + method, str(i))
                self.assertTrue(text == good or text.startswith("trestle: reply: "), text)

    def test_the_connection_of_a_bad_reply_is_not_used_again(self):
        for method in ("wrongSeqid", "garbage", "hugeFrame"):
            self.client.text("users:get")
            with self.users.lock:
                before = set(self.users.connections)
            self.client.call("users:" + method)
            self.assertTrue(self.users.wait(lambda: before - self.users.connections), method)

    def test_verify_seqid_false_trusts_the_order(self):
        with Client(self.router.ports[1], self.protocol) as client:
            self.assertEqual(client.text("users:wrongSeqid"), "users users:wrongSeqid")
            reply = client.call("users:garbage")
            self.assert_router_error(reply, "garbage")

    def test_an_answer_to_a_oneway_is_dropped(self):
        # Apache's servers answer a oneway of an unknown name with an exception.
        answering = FakeBackend("answering", self.protocol)
        self.addCleanup(answering.stop)

        def answer(connection, message):
            fields = [(1, "string", "Invalid method name"), (2, "i32", 1)]
            connection.sendall(wire.frame(self.protocol.message(
                wire.EXCEPTION, message.name, message.seqid, fields)))
            return True

        answering.do_unknown = answer
        self.router.write("answering", answering.port)
        until(lambda: self.client.text("answering:get") == "answering answering:get", "it serves")
        for i in range(20):
            self.client.oneway("answering:unknown")
            self.assertEqual(self.client.text("answering:echo", str(i)), str(i))

    def test_a_hanging_backend_holds_up_nobody_else(self):
        gate = "hanging" + self.id()
        with Client(self.router.port, self.protocol) as other:
            before = len(self.users.calls("hold"))
            other.send(wire.CALL, "users:hold", 1, [(1, "string", gate)])
            self.assertTrue(self.users.wait_calls("hold", before + 1))
            for _ in range(50):
                self.assertEqual(self.client.text("users:get"), "users users:get")
            self.users.release(gate)
            self.assertEqual(other.receive().fields[0], gate.encode())


class BinaryBadBackends(BadBackends, RouterTest):
    protocol = wire.Binary


class CompactBadBackends(BadBackends, RouterTest):
    protocol = wire.Compact


class Restarts(RouterTest):
    @classmethod
    def configure(cls):
        router = Router([
            {"protocol": "thrift", "dtab": "/svc => /#/io.l5d.fs", "servers": [{}]},
            {"protocol": "thrift", "label": "small", "dtab": "/svc => /#/io.l5d.fs",
             "servers": [{}], "client": {"hostConnectionPool": {"maxSize": 2}}},
        ])
        cls.one = cls.backend(FakeBackend("one"))
        cls.two = cls.backend(FakeBackend("two"))
        router.write("one", cls.one.port)
        router.write("both", cls.one.port, cls.two.port)
        return router

    def setUp(self):
        self.client = Client(self.router.port)
        self.addCleanup(self.client.close)

    def test_the_call_after_a_restart_works(self):
        for _ in range(5):
            # Some idle connections, on both workers.
            clients = [Client(self.router.port) for _ in range(6)]
            for client in clients:
                self.assertEqual(client.text("one:get"), "one one:get")
            self.one.stop()
            self.one.start()
            for client in clients:
                self.assertEqual(client.text("one:get"), "one one:get")
                client.close()

    def test_one_of_two_backends_dies_between_two_calls(self):
        for _ in range(40):
            self.client.text("both:get")
        self.assertTrue(self.two.calls("get"))
        self.two.stop()
        for _ in range(40):
            self.assertEqual(self.client.text("both:get"), "one both:get")
        self.two.start()
        until(lambda: self.client.text("both:get") == "two both:get", "the second serves again")

    def test_a_backend_that_dies_in_mid_call_costs_that_call_only(self):
        self.client.send(wire.CALL, "one:hold", 1, [(1, "string", "never")])
        self.assertTrue(self.one.wait_calls("hold", 1))
        self.one.stop()
        self.assert_router_error(self.client.receive(), "hold", "/#/io.l5d.fs/one")
        self.one.start()
        until(lambda: self.client.text("one:get") == "one one:get", "it serves again")

    def test_connections_are_kept_and_shared(self):
        for _ in range(10):
            self.client.text("one:get")
        before = self.one.accepted
        for _ in range(50):
            self.client.text("one:get")
        self.assertEqual(self.one.accepted, before)

    def test_the_pool_has_its_bound(self):
        # 2 in all is one for each of the two workers: the others wait for their turn.
        clients = [Client(self.router.ports[1]) for _ in range(12)]
        before = self.one.accepted
        for client in clients:
            for i in range(5):
                client.send(wire.CALL, "one:echo", i, [(1, "string", str(i))])
        for client in clients:
            for i in range(5):
                self.assertEqual(client.receive().fields[0], str(i).encode())
            client.close()
        self.assertLessEqual(self.one.accepted - before, 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
