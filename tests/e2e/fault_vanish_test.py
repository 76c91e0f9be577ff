"""Clients and backends that vanish at each byte of a message, by an end of stream or a reset."""

import unittest

import wire
from client import Client
from fake_dialects import OddBackend, TTwitterBackend, reset_at_close
from router_process import Router, RouterTest, until

HOW = ("FIN", "RST")


class Vanish:
    protocol, buffered, upgraded = wire.Binary, False, False

    @classmethod
    def configure(cls):
        make = TTwitterBackend if cls.upgraded else OddBackend
        cls.users = cls.backend(make("users", cls.protocol, buffered=cls.buffered))
        server, client = {"halfCloseTimeoutMs": 60000}, {}
        if cls.buffered:
            server["thriftFramed"] = client["thriftFramed"] = False
        if cls.upgraded:
            client["attemptTTwitterUpgrade"] = True
        router = Router([{"protocol": "thrift", "label": "rt", "thriftProtocol": cls.protocol.name,
                          "dtab": "/svc => /#/io.l5d.fs/users", "servers": [server],
                          "client": client}], workers=1)
        router.write("users", cls.users.port)
        return router

    def plain(self):
        client = Client(self.router.port, self.protocol, buffered=self.buffered)
        self.addCleanup(client.close)
        self.clients.add(client)
        return client

    def client(self):
        client = self.plain()
        if self.upgraded:
            client.upgrade()
            self.assertTrue(client.upgraded)
        return client

    def setUp(self):
        self.clients = set()  # that did not vanish
        self.neighbour = self.client()
        self.check_neighbour()

    def check_neighbour(self):
        self.assertEqual(self.neighbour.text("get"), "users get")

    def vanish(self, client, how):
        client.reset() if how == "RST" else client.close()
        self.clients.remove(client)

    def check_nothing_is_left(self):
        self.check_neighbour()
        server = f"rt/rt/server/127.0.0.1/{self.router.port}/"
        left = len(self.clients)
        until(lambda: self.router.metric(server + "connections") == left, f"{left} are connected")
        until(lambda: self.router.metric(server + "pending") == 0, "no call is left")
        self.check_neighbour()

    def test_a_client_that_vanishes_at_any_byte_of_its_call(self):
        arguments = [(1, "string", "argument"), (2, "list", ("i32", [1, 2, 3]))]
        whole = self.client().framed(wire.CALL, "vanish", 1, arguments)
        body = self.protocol.struct(arguments)
        before = len(self.users.calls("vanish"))
        for how in HOW:
            for cut in range(len(whole) + 1):
                client = self.client()
                client.send_bytes(whole[:cut])
                self.vanish(client, how)
            self.check_neighbour()
        self.check_nothing_is_left()
        self.assertTrue(self.users.wait_calls("vanish", before + 1))
        seen = self.users.calls("vanish")[before:]
        self.assertLessEqual(len(seen), len(HOW), "only a whole call reaches a backend")
        self.assertEqual({message.body for message in seen}, {body})

    def test_a_client_that_vanishes_at_any_byte_of_a_call_behind_another(self):
        first = self.client().framed(wire.CALL, "get", 1)
        second = self.client().framed(wire.ONEWAY, "behind", 2, [(1, "string", "x" * 20)])
        before = len(self.users.calls("behind"))
        for how in HOW:
            for cut in range(1, len(second)):
                client = self.client()
                client.send_bytes(first + second[:cut])
                self.vanish(client, how)
        self.check_nothing_is_left()
        self.assertEqual(len(self.users.calls("behind")), before)

    def test_a_client_that_vanishes_at_any_byte_of_the_upgrade(self):
        whole = self.plain().framed(wire.CALL, wire.UPGRADE, 0)
        for how in HOW:
            for cut in range(len(whole) + 1):
                client = self.plain()
                client.send_bytes(whole[:cut])
                self.vanish(client, how)
        self.check_nothing_is_left()

    def test_a_client_that_vanishes_at_any_byte_of_its_reply(self):
        client = self.client()
        client.send(wire.CALL, "get", 1)
        size = len(self.whole_reply(client, "users get"))
        for how in HOW:
            for cut in range(size + 1):
                client = self.client()
                client.send(wire.CALL, "get", 1)
                client.receive_bytes(cut)
                self.vanish(client, how)
        self.check_nothing_is_left()

    def whole_reply(self, client, text):
        message = client.receive()
        self.assertEqual(message.fields[0], text.encode())
        payload = self.protocol.message(wire.REPLY, message.name, message.seqid,
                                        [(0, "string", text)])
        payload = b"\0" + payload if client.upgraded else payload
        return payload if self.buffered else wire.frame(payload)

    def test_a_backend_that_vanishes_at_any_byte_of_its_reply(self):
        client = self.client()
        size = len(self.users_reply("cut"))
        for how in HOW:
            for cut in range(size + 1):
                with self.subTest(how=how, cut=cut, size=size):
                    reply = client.call("cut", [(1, "string", f"{cut} {how}")])
                    if cut < size:
                        text = self.assert_router_error(reply, "cut", "/svc", "/#/io.l5d.fs/users")
                        self.assertTrue(text.startswith("trestle: reply: "), text)
                    elif how == "FIN" or reply.kind == wire.REPLY:
                        self.assertEqual(reply.fields, {0: b"the whole reply"})
                    else:  # a reset may overtake the reply
                        self.assert_router_error(reply, "cut")
            # A reset behind a whole reply may meet the next call, which was written then.
            until(lambda: client.text("get") == "users get", "it serves")
        self.check_nothing_is_left()

    def users_reply(self, method):
        payload = self.protocol.message(wire.REPLY, method, 1, [(0, "string", "the whole reply")])
        payload = b"\0" + payload if self.upgraded else payload
        return payload if self.buffered else wire.frame(payload)

    def test_a_backend_that_vanishes_at_any_byte_costs_that_call_of_a_pipeline_only(self):
        client = self.client()
        cuts = range(len(self.users_reply("cut")))
        for cut in cuts:
            for i, (method, argument) in enumerate([("echo", "a"), ("cut", f"{cut} FIN"),
                                                    ("echo", "b"), ("cut", f"{cut} RST")]):
                client.send(wire.CALL, method, i, [(1, "string", argument)])
            replies = [client.receive() for _ in range(4)]
            self.assertEqual([reply.seqid for reply in replies], [0, 1, 2, 3])
            self.assertEqual([replies[0].fields, replies[2].fields], [{0: b"a"}, {0: b"b"}])
            self.assert_router_error(replies[1], "cut")
            self.assert_router_error(replies[3], "cut")

    def test_both_vanish(self):
        for how in HOW:
            for cut in range(len(self.users_reply("cut"))):
                client = self.client()
                client.send(wire.CALL, "cut", 1, [(1, "string", f"{cut} {how}")])
                self.vanish(client, how)
        self.check_nothing_is_left()


class FramedBinary(Vanish, RouterTest):
    pass


class FramedCompact(Vanish, RouterTest):
    protocol = wire.Compact


class BufferedBinary(Vanish, RouterTest):
    buffered = True


class BufferedCompact(Vanish, RouterTest):
    protocol, buffered = wire.Compact, True


class TTwitterBinary(Vanish, RouterTest):
    upgraded = True

    def test_a_backend_that_vanishes_at_any_byte_of_its_answer_to_the_upgrade(self):
        size = len(wire.frame(self.protocol.message(wire.REPLY, wire.UPGRADE, 0)))
        for how in HOW:
            for cut in range(size):
                with self.subTest(how=how, cut=cut):
                    self.answer_of_the_probe(cut, how)

    def answer_of_the_probe(self, cut, how):
        """An endpoint of its own: what it did at the probe is remembered."""
        backend = TTwitterBackend("cut", self.protocol)
        self.addCleanup(backend.stop)

        def answer(connection, message):
            if how == "RST":
                reset_at_close(connection)
            connection.sendall(backend.reply_bytes(connection, message, [])[:cut])
            return False

        backend.probe_cut, backend.probe = answer, "cut"
        self.router.write("cut", backend.port)
        client = self.client()
        dtab = [("/svc", "/#/io.l5d.fs/cut")]

        def served():
            return client.text("get", dtab=dtab) == "cut get"

        until(served, "it is spoken to plainly")
        self.assertTrue(served())
        backend.stop()


class TTwitterCompact(Vanish, RouterTest):
    protocol, upgraded = wire.Compact, True


if __name__ == "__main__":
    unittest.main(verbosity=2)
