"""Calls of every kind through the router, binary and compact."""

import threading
import unittest

import wire
from client import Client
from fake_backend import FakeBackend
from router_process import Router, RouterTest, until

DTAB = """
/srv => /#/io.l5d.fs ;
/thrift/users => /srv/users ;
/thrift/orders => /srv/orders ;
/thrift/users/special => /srv/orders ;
"""


def thrift_router(protocol, **more):
    return {"protocol": "thrift", "dstPrefix": "/thrift", "thriftMethodInDst": True, "dtab": DTAB,
            "thriftProtocol": protocol.name, **more, "servers": more.get("servers", [{}])}


class Calls:
    protocol = None

    @classmethod
    def configure(cls):
        router = Router([thrift_router(cls.protocol)])
        cls.users = cls.backend(FakeBackend("users", cls.protocol))
        cls.orders = cls.backend(FakeBackend("orders", cls.protocol))
        router.write("users", cls.users.port)
        router.write("orders", cls.orders.port)
        return router

    def setUp(self):
        self.client = Client(self.router.port, self.protocol)
        self.addCleanup(self.client.close)

    def test_result(self):
        reply = self.client.call("users:get")
        self.assertEqual((reply.kind, reply.name), (wire.REPLY, "users:get"))
        self.assertEqual(reply.fields, {0: b"users users:get"})

    def test_void(self):
        reply = self.client.call("users:void")
        self.assertEqual((reply.kind, reply.fields), (wire.REPLY, {}))

    def test_declared_exception(self):
        reply = self.client.call("users:declared")
        self.assertEqual((reply.kind, reply.fields), (wire.REPLY, {1: {1: b"no such user"}}))

    def test_application_exception_of_the_backend(self):
        reply = self.client.call("users:application")
        self.assertEqual((reply.kind, reply.name), (wire.EXCEPTION, "users:application"))
        self.assertEqual(reply.fields, {1: b"Invalid method name", 2: wire.UNKNOWN_METHOD})

    def test_names_of_replies_stay_as_the_backend_wrote_them(self):
        self.assertEqual(self.client.call("users:bare").name, "bare")
        self.assertEqual(self.client.call("users:otherName").name, "a name of its own")

    def test_service_and_method_name_say_where_to(self):
        self.assertEqual(self.client.text("users:get"), "users users:get")
        self.assertEqual(self.client.text("orders:get"), "orders orders:get")
        self.assertEqual(self.client.text("users:special"), "orders users:special")

    def test_the_body_arrives_byte_for_byte(self):
        fields = [(1, "bool", True), (2, "byte", -1), (3, "i16", -300), (4, "i32", 1 << 30),
                  (5, "i64", -(1 << 62)), (6, "double", 2.5), (7, "string", bytes(range(256))),
                  (9, "struct", [(1, "string", "in it"), (400, "i32", 5)]),
                  (10, "list", ("i32", list(range(40)))), (30, "list", ("struct", [[], []]))]
        self.client.call("users:every", fields)
        arrived = self.users.calls("every")[-1]
        self.assertEqual((arrived.kind, arrived.name), (wire.CALL, "users:every"))
        self.assertEqual(arrived.body, self.protocol.struct(fields))

    def test_payloads_of_all_sizes(self):
        for size in (0, 1, 127, 128, 4095, 4096, 4097, 65535, 65536, 1_000_003):
            payload = bytes(i * 7 & 0xFF for i in range(size))
            reply = self.client.call("users:echo", [(1, "string", payload)])
            self.assertEqual(reply.fields[0], payload, size)

    def test_seqids_come_back_as_sent(self):
        for seqid in (0, 1, -1, 127, 128, 65536, 2**31 - 1, -2**31, 0x5A5A5A5A):
            for method in ("users:get", "users:declared", "users:application", "nowhere:get"):
                # Client.call compares them.
                self.client.call(method, seqid=seqid)

    def test_one_byte_at_a_time(self):
        for byte in self.client.framed(wire.CALL, "users:get", 5):
            self.client.send_bytes(bytes([byte]))
        self.assertEqual(self.client.receive().fields[0], b"users users:get")

    def test_oneway_then_call(self):
        before = len(self.users.calls("note"))
        for i in range(3):
            self.client.oneway("users:note", str(i), seqid=11)
        # The oneways have no replies: the next frame is that of the call.
        self.assertEqual(self.client.text("users:get"), "users users:get")
        self.assertTrue(self.users.wait_calls("note", before + 3))
        kinds = {message.kind for message in self.users.calls("note")}
        self.assertEqual(kinds, {wire.ONEWAY})

    def test_a_oneway_that_leads_nowhere_has_no_answer(self):
        self.client.oneway("nowhere:note", seqid=1)
        self.client.oneway("users:note", seqid=1)
        self.assertEqual(self.client.text("users:get"), "users users:get")

    def test_pipelined_calls_run_together_and_are_answered_in_order(self):
        gate = "pipeline of " + self.protocol.name
        frames = [self.client.framed(wire.CALL, "users:hold", 1, [(1, "string", gate)])]
        before = len(self.users.calls("echo"))
        for seqid in range(2, 101):
            frames.append(self.client.framed(wire.CALL, "users:echo", seqid,
                                             [(1, "string", str(seqid))]))
        self.client.send_bytes(b"".join(frames))
        # maxPipelined is 32: 31 more are with the backend while the first one waits.
        self.assertTrue(self.users.wait_calls("echo", before + 31))
        self.assertTrue(self.users.wait_calls("hold", 1))
        self.users.release(gate)
        self.assertEqual(self.client.receive().seqid, 1)
        for seqid in range(2, 101):
            reply = self.client.receive()
            self.assertEqual((reply.seqid, reply.fields[0]), (seqid, str(seqid).encode()))

    def test_equal_seqids_in_a_pipeline(self):
        for i in range(20):
            self.client.send(wire.CALL, "users:echo", 4, [(1, "string", str(i))])
        for i in range(20):
            self.assertEqual(self.client.receive().fields[0], str(i).encode())

    def test_many_clients_at_once_get_their_own_answers(self):
        faults = []

        def talk(number):
            with Client(self.router.port, self.protocol) as client:
                for i in range(50):
                    sent = f"{number}/{i}"
                    got = client.text("users:echo", sent)
                    if got != sent:
                        faults.append((sent, got))

        threads = [threading.Thread(target=talk, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(faults, [])


class BinaryCalls(Calls, RouterTest):
    protocol = wire.Binary


class CompactCalls(Calls, RouterTest):
    protocol = wire.Compact


class OtherServers(RouterTest):
    """Servers with keys of their own."""

    @classmethod
    def configure(cls):
        plain = {"protocol": "thrift", "label": "plain", "dtab": "/svc => /#/io.l5d.fs/users"}
        router = Router([
            thrift_router(wire.Binary, label="keys",
                          servers=[{"maxPipelined": 1}, {"dest": "/orders"}]),
            {**plain, "servers": [{}]},
            {**plain, "label": "dest", "dtab": "/svc/people => /#/io.l5d.fs/users",
             "servers": [{"dest": "/people"}]},
        ])
        cls.users = cls.backend(FakeBackend("users"))
        cls.orders = cls.backend(FakeBackend("orders"))
        router.write("users", cls.users.port)
        router.write("orders", cls.orders.port)
        return router

    def test_max_pipelined_1_is_one_at_a_time(self):
        # A call counts for a moment longer than until its reply came.
        until(lambda: sum(self.users.running.values()) == 0, "the calls before are over")
        self.users.most_running = 0
        with Client(self.router.ports[0]) as client:
            for i in range(30):
                client.send(wire.CALL, "users:echo", i, [(1, "string", str(i))])
            for i in range(30):
                self.assertEqual(client.receive().seqid, i)
        self.assertEqual(self.users.most_running, 1)
        self.assertEqual([message.fields[1] for message in self.users.calls("echo")],
                         [str(i).encode() for i in range(30)])

    def test_dest_stands_for_the_service_of_a_port(self):
        with Client(self.router.ports[1]) as client:
            self.assertEqual(client.text("get"), "orders get")
        with Client(self.router.ports[3]) as client:
            self.assertEqual(client.text("get"), "users get")

    def test_without_a_service_name_the_prefix_alone_is_the_name(self):
        with Client(self.router.ports[2]) as client:
            self.assertEqual(client.text("get"), "users get")
            self.assertEqual(client.text("any:thing"), "users any:thing")


if __name__ == "__main__":
    unittest.main(verbosity=2)
