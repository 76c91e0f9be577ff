"""Bytes that are no Thrift: they close the connection they came on, and nothing else notices."""

import random
import struct
import unittest

import wire
from client import Client, Closed
from fake_backend import FakeBackend
from router_process import Router, RouterTest, until

MAX_FRAME = 16_384_000
THEADER = bytes.fromhex("0000002e0fff00000000000100080002000000")

# What comes on the connection, and whether the router can tell at once that it is wrong.
CLOSES = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "TLS hello": bytes.fromhex("16030100c8010000c40303") + bytes(40),
    "a negative length": b"\xff\xff\xff\xff",
    "a length over the bound": struct.pack(">i", MAX_FRAME + 1),
    "2 GiB": b"\x7f\xff\xff\xff",
    "an empty frame": wire.frame(b""),
    "garbage in a frame": wire.frame(b"\xde\xad\xbe\xef" * 10),
    "a bad version": wire.frame(b"\x80\x02\x00\x01\x00\x00\x00\x03get\x00\x00\x00\x01\x00"),
    "a name that ends the frame early": wire.frame(b"\x80\x01\x00\x01\x00\x00\x00\x63get"),
    "a name of negative length": wire.frame(b"\x80\x01\x00\x01\xff\xff\xff\xffget"),
    "a message type that is none": wire.frame(wire.Binary.message(9, "get", 1)),
    "compact where binary is spoken": wire.frame(wire.Compact.message(wire.CALL, "get", 1)),
    "THeader": THEADER + bytes(46 - len(THEADER) + 4),
}


class BadBytes:
    told = {}  # what the server knows of its clients
    closes = CLOSES

    @classmethod
    def configure(cls):
        cls.users = cls.backend(FakeBackend("users"))
        router = Router([{"protocol": "thrift", "dtab": "/svc => /#/io.l5d.fs/users",
                          "servers": [{**cls.told}], "thriftProtocol": "binary"}])
        router.write("users", cls.users.port)
        return router

    def client(self):
        client = Client(self.router.port)
        self.addCleanup(client.close)
        return client

    def setUp(self):
        self.neighbour = self.client()
        self.assertEqual(self.neighbour.text("before"), "users before")

    def tearDown(self):
        super().tearDown()
        self.assertEqual(self.neighbour.text("after"), "users after")

    def test_each_closes_its_connection(self):
        for what, data in self.closes.items():
            with self.subTest(what):
                client = self.client()
                client.send_bytes(data)
                self.assertTrue(client.is_closed())
                self.assertEqual(self.neighbour.text("get"), "users get")

    def test_calls_before_them_are_answered(self):
        for what, data in self.closes.items():
            with self.subTest(what):
                client = self.client()
                good = client.framed(wire.CALL, "get", 1) + client.framed(wire.CALL, "get", 2)
                client.send_bytes(good + data)
                self.assertEqual(client.receive().seqid, 1)
                self.assertEqual(client.receive().seqid, 2)
                self.assertTrue(client.is_closed())

    def test_half_a_frame_and_the_end(self):
        whole = self.client().framed(wire.CALL, "get", 1, [(1, "string", "x" * 100)])
        for cut in (1, 3, 4, 5, 20, len(whole) - 1):
            client = self.client()
            client.send_bytes(whole[:cut])
            client.finish_sending()
            self.assertTrue(client.is_closed(), cut)
        self.assertEqual(self.users.calls("x"), [])

    def test_half_a_frame_and_silence_hurts_nobody(self):
        clients = [self.client() for _ in range(20)]
        for client in clients:
            client.send_bytes(b"\x00\x00\x10\x00\x80\x01")
        self.assertEqual(self.neighbour.text("get"), "users get")

    def test_bad_bytes_are_logged_with_a_reason(self):
        client = self.client()
        client.send_bytes(CLOSES["HTTP"])
        self.assertTrue(client.is_closed())
        until(lambda: "HTTP" in self.router.log(), "the log tells of HTTP")

    def test_a_frame_of_the_largest_size(self):
        client = self.client()
        room = MAX_FRAME - len(client.protocol.message(wire.CALL, "echo", 1, [(1, "string", "")]))
        payload = random.Random(1).randbytes(room)
        self.assertEqual(client.call("echo", [(1, "string", payload)]).fields[0], payload)

    def test_random_changes_of_a_good_frame(self):
        chance = random.Random(2)
        good = bytearray(self.client().framed(wire.CALL, "get", 1, [(1, "string", "argument")]))
        for _ in range(300):
            changed = bytearray(good)
            for _ in range(chance.randint(1, 4)):
                changed[chance.randrange(4, len(good))] = chance.randrange(256)
            with Client(self.router.port) as client:
                client.send_bytes(changed)
                client.finish_sending()
                # Whatever comes back is a whole message, or the end.
                try:
                    while True:
                        client.receive()
                except Closed:
                    pass


class FramedIsTold(BadBytes, RouterTest):
    told = {"thriftFramed": True}


class FramedIsGuessed(BadBytes, RouterTest):
    pass


class BufferedIsTold(BadBytes, RouterTest):
    """What is wrong where nothing is framed."""

    told = {"thriftFramed": False}
    closes = {
        **{what: data for what, data in CLOSES.items() if "length" in what or "GiB" in what},
        "framed": wire.frame(wire.Binary.message(wire.CALL, "get", 1)),
        "compact where binary is spoken": wire.Compact.message(wire.CALL, "get", 1),
        "a type that is none": wire.Binary.message(wire.CALL, "get", 1)[:-1] + b"\x63\0\1",
        "a string of negative length": wire.Binary.message(wire.CALL, "get", 1)[:-1] +
                                       b"\x0b\0\1\xff\xff\xff\xff",
        "a list of 2^31 structs": wire.Binary.message(wire.CALL, "get", 1)[:-1] +
                                  b"\x0f\0\1\x0c\x7f\xff\xff\xff",
        "a string over the bound": wire.Binary.message(wire.CALL, "get", 1)[:-1] +
                                   b"\x0b\0\1" + struct.pack(">i", MAX_FRAME + 1),
        "structs without end": wire.Binary.message(wire.CALL, "get", 1)[:-1] + b"\x0c\0\1" * 100,
    }

    def client(self):
        client = Client(self.router.port, buffered=True)
        self.addCleanup(client.close)
        return client

    test_a_frame_of_the_largest_size = None
    test_bad_bytes_are_logged_with_a_reason = None
    test_half_a_frame_and_silence_hurts_nobody = None

    def test_random_changes_of_a_good_frame(self):
        chance = random.Random(3)
        good = bytearray(self.client().framed(wire.CALL, "get", 1, [(1, "string", "argument")]))
        for _ in range(300):
            changed = bytearray(good)
            for _ in range(chance.randint(1, 4)):
                changed[chance.randrange(len(good))] = chance.randrange(256)
            with Client(self.router.port, buffered=True) as client:
                client.send_bytes(changed)
                client.finish_sending()
                try:
                    while True:
                        client.receive()
                except Closed:
                    pass


if __name__ == "__main__":
    unittest.main(verbosity=2)
