"""Backends whose answers are late, twice, of another call, or exceptions of every type;
and backends that never answer."""

import unittest

import wire
from client import Client
from fake_backend import FakeBackend
from fake_dialects import OddBackend
from router_process import Router, RouterTest, until

# Those that Apache Thrift defines are 0 (unknown) to 10 (unsupported client type).
EXCEPTION_TYPES = [*range(11), 11, -1, 2**31 - 1, -2**31]


class Replies:
    protocol = None

    @classmethod
    def configure(cls):
        cls.users = cls.backend(OddBackend("users", cls.protocol))
        base = {"protocol": "thrift", "thriftProtocol": cls.protocol.name,
                "dtab": "/svc => /#/io.l5d.fs/users"}
        router = Router([
            {**base, "label": "plain", "servers": [{"halfCloseTimeoutMs": 100}]},
            {**base, "label": "timed", "servers": [{}], "client": {"requestAttemptTimeoutMs": 100}},
        ], workers=1)
        router.write("users", cls.users.port)
        return router

    def client(self, server=0):
        client = Client(self.router.ports[server], self.protocol)
        self.addCleanup(client.close)
        return client

    def instead(self, method, answer):
        """answer(connection, message, reply): reply(**changed) gives the bytes of a good answer."""

        def do(connection, message):
            def reply(text="of " + method, **changed):
                parts = {"kind": wire.REPLY, "name": message.name, "seqid": message.seqid,
                         "fields": [(0, "string", text)]}
                payload = self.protocol.message(**{**parts, **changed})
                return wire.frame(payload)

            return answer(connection, message, reply)

        setattr(self.users, "do_" + method, do)

    def test_an_exception_of_each_type_is_passed_on_as_it_is(self):
        client = self.client()
        for number in EXCEPTION_TYPES:
            with self.subTest(number):
                reply = client.call("exception", [(1, "string", str(number))])
                fields = [(1, "string", "as the backend wrote it"), (2, "i32", number)]
                self.assertEqual((reply.kind, reply.name), (wire.EXCEPTION, "exception"))
                self.assertEqual(reply.body, self.protocol.struct(fields))

    def test_an_exception_is_an_answer_and_no_failure_of_the_backend(self):
        client = self.client()
        before = self.users.accepted
        for _ in range(20):
            for number in EXCEPTION_TYPES:
                client.call("exception", [(1, "string", str(number))])
        self.assertLessEqual(self.users.accepted, before + 1, "the connection is used on")
        metrics = self.router.metrics()
        removals = [value for name, value in metrics.items() if "plain" in name and
                    name.endswith("failure_accrual/removals")]
        self.assertEqual(sum(removals), 0)
        self.assertEqual(client.text("get"), "users get")

    def test_an_exception_with_other_fields_than_it_should_have(self):
        client = self.client()
        bodies = {"none": [], "typeOnly": [(2, "i32", 6)], "textOnly": [(1, "string", "text")],
                  "more": [(1, "string", "text"), (2, "i32", 7), (3, "list", ("i64", [1, 2]))],
                  "otherTypes": [(1, "i32", 5), (2, "string", "six")]}
        for what, fields in bodies.items():
            with self.subTest(what):
                self.users.do_oddException = lambda connection, message, fields=fields: (
                    self.users.reply(connection, message, fields, kind=wire.EXCEPTION))
                reply = client.call("oddException")
                self.assertEqual((reply.kind, reply.body),
                                 (wire.EXCEPTION, self.protocol.struct(fields)))

    def test_an_answer_that_comes_twice(self):
        # Both in one piece: the second is there before anybody could use the connection again.
        self.instead("twiceAtOnce", lambda connection, message, reply: (
            connection.sendall(reply("first") + reply("second")) is None))
        client = self.client()
        for i in range(100):
            text = client.text("twiceAtOnce")
            self.assertTrue(text == "first" or text.startswith("trestle: reply: "), text)
            self.assertEqual(client.text("echo", str(i)), str(i))

    def test_an_answer_that_comes_twice_to_each_call_of_a_pipeline(self):
        self.instead("twiceAtOnce", lambda connection, message, reply: (
            connection.sendall(reply(message.fields[1]) * 2) is None))
        client = self.client()
        for i in range(100):
            client.send(wire.CALL, "twiceAtOnce", i, [(1, "string", str(i))])
        for i in range(100):
            reply = client.receive()
            self.assertEqual(reply.seqid, i)
            if reply.kind == wire.REPLY:
                self.assertEqual(reply.fields, {0: str(i).encode()})
            else:
                self.assert_router_error(reply, "twiceAtOnce")

    def test_an_answer_that_comes_late(self):
        client = self.client(server=1)
        for i in range(5):
            gate = f"late {i} {self.id()}"
            reply = client.call("hold", [(1, "string", gate)])
            self.assert_router_error(reply, "hold", "100")
            self.users.release(gate)  # now it answers
            for k in range(10):
                self.assertEqual(client.text("echo", f"{i}/{k}"), f"{i}/{k}")

    def test_an_answer_that_comes_late_and_at_the_same_time_as_the_timeout(self):
        client = self.client(server=1)
        self.instead("slow", self.later)
        for i in range(20):
            sent = f"{i}"
            text = client.text("slow", sent)
            self.assertTrue(text == sent or text.startswith("trestle: reply: "), text)
            self.assertEqual(client.text("echo", sent), sent)

    def later(self, connection, message, reply):
        with self.users.lock:
            self.users.lock.wait(0.1)  # what it answers is right at any time
        connection.sendall(reply(message.fields[1]))
        return True

    def test_an_answer_with_the_seqid_of_another_call(self):
        client = self.client()
        client.text("get")
        others = {"before": -1, "next": 1, "farBefore": -2, "mirrored": None, "zero": 0}
        for what, step in others.items():
            def answer(connection, message, reply, step=step):
                seqid = -message.seqid - 1 if step is None else message.seqid + step
                seqid = 0 if step == 0 else seqid
                connection.sendall(reply(seqid=seqid))
                return True

            self.instead("ofAnother", answer)
            for i in range(3):
                with self.subTest(what, i=i):
                    reply = client.call("ofAnother")
                    self.assert_router_error(reply, "ofAnother", "/#/io.l5d.fs/users")
                    self.assertEqual(client.text("echo", what), what)

    def test_two_calls_that_get_each_others_answers(self):
        # Two connections; each gets what was meant for the other one.
        waiting, crossed = [], []

        def answer(connection, message, reply):
            with self.users.lock:
                waiting.append((message.seqid, connection, reply(message.fields[1])))
                if len(waiting) < 2:
                    return True
                (seqid, one, first), (other, two, second) = waiting
                waiting.clear()
            if seqid != other:  # equal ones nobody could tell from right ones
                crossed.append(seqid)
                first, second = second, first
            one.sendall(first)
            two.sendall(second)
            return True

        self.instead("crossed", answer)
        client = self.client()
        # One connection has had more calls than the other: their seqids differ.
        for i in range(7):
            self.assertEqual(client.text("echo", str(i)), str(i))
        for round_ in range(5):
            for i in range(2):
                client.send(wire.CALL, "crossed", i, [(1, "string", f"{round_}/{i}")])
            for i in range(2):
                reply = client.receive()
                self.assertEqual(reply.seqid, i)
                if reply.kind == wire.EXCEPTION:
                    self.assert_router_error(reply, "crossed")
                else:
                    self.assertEqual(reply.fields, {0: f"{round_}/{i}".encode()})
            self.assertEqual(client.text("get"), "users get")
        self.assertTrue(crossed)

    def test_a_backend_that_accepts_and_never_answers(self):
        client = self.client(server=1)
        for i in range(4):
            client.send(wire.CALL, "hold", i, [(1, "string", "never")])
        for i in range(4):
            reply = client.receive()
            self.assertEqual(reply.seqid, i)
            self.assert_router_error(reply, "hold", "100", "/#/io.l5d.fs/users")
        self.assertEqual(client.text("get"), "users get")

    def test_a_backend_that_never_answers_and_a_client_that_gives_up(self):
        pending = f"rt/plain/server/127.0.0.1/{self.router.port}/pending"
        for how in ("close", "reset"):
            before = len(self.users.calls("hold"))
            client = self.client()
            client.send(wire.CALL, "hold", 1, [(1, "string", "never")])
            self.assertTrue(self.users.wait_calls("hold", before + 1))
            getattr(client, how)() if how == "reset" else client.close()
        self.assertEqual(self.client().text("get"), "users get")
        # A reset is told at once; after an end of stream the reply is waited for, for a while.
        until(lambda: self.router.metric(pending) == 0, "no call is left")


class BinaryReplies(Replies, RouterTest):
    protocol = wire.Binary


class CompactReplies(Replies, RouterTest):
    protocol = wire.Compact


class NeverAnswers(RouterTest):
    """One of two endpoints takes calls and says nothing."""

    @classmethod
    def configure(cls):
        cls.good = cls.backend(FakeBackend("good"))
        cls.silent = cls.backend(FakeBackend("silent"))
        cls.silent.do_other = lambda connection, message: True
        router = Router([{
            "protocol": "thrift", "dtab": "/svc => /#/io.l5d.fs/both", "servers": [{}],
            "client": {"requestAttemptTimeoutMs": 100, "failureAccrual": {
                "kind": "io.l5d.consecutiveFailures", "failures": 3,
                "backoff": {"kind": "constant", "ms": 3600000}}}}], workers=1)
        router.write("both", cls.good.port, cls.silent.port)
        return router

    def test_it_is_taken_out_after_its_failures(self):
        with Client(self.router.port) as client:
            failed = 0
            for _ in range(100):
                reply = client.call("get")
                if reply.kind == wire.EXCEPTION:
                    self.assert_router_error(reply, "get", "100")
                    failed += 1
            self.assertEqual(failed, 3)
            self.assertEqual(len(self.silent.calls("get")), 3)


if __name__ == "__main__":
    unittest.main(verbosity=2)
