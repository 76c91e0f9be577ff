"""Messages larger than anybody wants to hold: they stream through, break off on both sides at once,
and may not stand still."""

import struct
import unittest

import wire
from client import Client, Closed
from fake_dialects import Load
from fake_large import (NAME, LargeBackend, Sending, SilentBackend, check, read_large, send_large)
from router_process import Router, RouterTest, until

MIB = 1 << 20
LARGE = 64 * MIB
BOUND = 768 << 10  # of the router's memory while one goes through


class Large:
    upgraded = False

    @classmethod
    def configure(cls):
        cls.users = cls.backend(LargeBackend("users"))
        cls.silent = cls.backend(SilentBackend("silent"))
        base = {"protocol": "thrift", "maxFrameBytes": 80 * MIB, "dtab": "/svc => /#/io.l5d.fs",
                "client": {"attemptTTwitterUpgrade": cls.upgraded}}
        router = Router([{**base, "label": "rt", "servers": [{}], "bodyIdleTimeoutMs": 60000},
                         {**base, "label": "strict", "servers": [{}], "bodyIdleTimeoutMs": 300}],
                        workers=1)
        router.write("users", cls.users.port)
        router.write("silent", cls.silent.port)
        return router

    def client(self, server=0):
        client = Client(self.router.ports[server])
        self.addCleanup(client.close)
        if self.upgraded:
            client.upgrade()
        return client

    def header(self):
        return wire.request_header(wire.Binary) if self.upgraded else b""

    def send(self, client, size, upto=None, seqid=1, name="users:" + NAME):
        send_large(client.socket, wire.CALL, seqid, size, header=self.header(), name=name,
                   upto=upto)

    def call(self, client, size, seqid=1):
        self.send(client, size, seqid=seqid)
        reply = client.receive()
        self.assertEqual((reply.seqid, reply.fields), (seqid, {0: check(size)}))

    def ask(self, client, text, name="users:reply"):
        client.send(wire.CALL, name, 1, [(1, "string", text)])

    def receive(self, client):
        length = struct.unpack(">i", client.receive_bytes(4))[0]
        if self.upgraded:
            self.assertEqual(client.receive_bytes(1), b"\0")
            length -= 1
        return read_large(client.receive_bytes, length)

    def memory_of(self, work):
        """How much more the router had at any time than before."""
        client = self.client()
        self.call(client, 2 * MIB)  # what it keeps for ever, it has from now on
        self.ask(client, str(2 * MIB))
        self.receive(client)
        before = self.router.memory()
        self.router.forget_peak()
        work(client)
        return self.router.memory("VmHWM") - before

    def check_memory(self, work):
        growth = self.memory_of(work)
        if not self.router.is_sanitized():  # a sanitizer's own memory hides the router's
            self.assertLess(growth, BOUND)

    def test_a_call_of_64_mib(self):
        self.check_memory(lambda client: self.call(client, LARGE))

    def test_a_reply_of_64_mib(self):
        def work(client):
            self.ask(client, str(LARGE))
            self.assertEqual(self.receive(client).fields, {0: check(LARGE)})

        self.check_memory(work)

    def test_a_reply_of_64_mib_to_a_reader_that_waits(self):
        def work(client):
            self.ask(client, str(LARGE))
            # The backend has sent what the sockets take; then the router must read no more.
            with Load(1, lambda: Client(self.router.port), self.talk) as load:
                until(lambda: load.more(300) or load.faults, "calls of others")
            self.assertEqual(load.faults, [])
            self.assertEqual(self.receive(client).fields, {0: check(LARGE)})

        self.check_memory(work)

    @staticmethod
    def talk(client, text):
        got = client.text("users:echo", text)
        return None if got == text else got

    def test_sizes_about_the_threshold(self):
        client = self.client()
        for size in (65536 - 60, *range(65536 - 45, 65536 + 10, 3), 70000, 131072, 1_000_000):
            self.assertEqual(
                client.call("users:echo", [(1, "string", b"x" * size)]).fields, {0: b"x" * size})
            self.ask(client, str(size))
            self.assertEqual(len(client.receive().fields[0]), size)

    def test_large_and_small_in_a_pipeline_keep_their_order(self):
        client = self.client()
        for i in range(4):
            self.send(client, 3 * MIB, seqid=3 * i)
            client.send(wire.CALL, "users:get", 3 * i + 1)
            client.send(wire.CALL, "users:reply", 3 * i + 2, [(1, "string", str(2 * MIB))])
        for i in range(4):
            reply = client.receive()
            self.assertEqual((reply.seqid, reply.fields), (3 * i, {0: check(3 * MIB)}))
            self.assertEqual(client.receive().seqid, 3 * i + 1)
            reply = self.receive(client)
            self.assertEqual((reply.seqid, reply.fields), (3 * i + 2, {0: check(2 * MIB)}))

    def test_a_large_oneway(self):
        client = self.client()
        send_large(client.socket, wire.ONEWAY, 1, 3 * MIB, header=self.header(),
                   name="users:largeNote")
        self.assertEqual(client.text("users:get"), "users users:get")
        self.assertTrue(self.users.wait_calls("largeNote", 1))
        self.assertEqual(self.users.calls("largeNote")[0].fields, {1: check(3 * MIB)})

    def test_a_large_call_that_leads_nowhere(self):
        # Its body is read to its end and forgotten, or the connection is closed behind the error.
        client = self.client()
        sending = Sending(client.socket, wire.CALL, 5, 3 * MIB, header=self.header(),
                          name="nowhere:" + NAME)
        reply = client.receive()
        self.assertEqual(reply.seqid, 5)
        self.assert_router_error(reply, NAME, "/svc/nowhere")
        sending.join()
        if sending.failure is None:
            try:
                self.assertEqual(client.text("users:get"), "users users:get")
            except Closed:
                pass
        self.assertEqual(self.client().text("users:get"), "users users:get")

    def test_a_reply_that_breaks_off_closes_the_connection_of_the_client(self):
        for upto in (1, 70000, 1 * MIB, 3 * MIB - 1):
            with self.subTest(upto):
                client = self.client()
                self.ask(client, f"{3 * MIB} {upto}")
                with self.assertRaises(Closed):
                    # An error instead of it is fine as long as nothing of it was sent.
                    reply = self.receive_either(client)
                    self.assertEqual(reply.kind, wire.EXCEPTION)
                    raise Closed("it was told")
                self.assertEqual(self.client().text("users:get"), "users users:get")

    def receive_either(self, client):
        length = struct.unpack(">i", client.receive_bytes(4))[0]
        if length > MIB:
            client.receive_bytes(length)
            raise AssertionError("it did not break off")
        reader = wire.Reader(client.receive_bytes(length))
        if self.upgraded:
            reader.take(1)
        return wire.Binary.read_message(reader)

    def test_a_client_that_breaks_off_closes_the_connection_of_the_backend(self):
        for how in ("close", "reset"):
            for upto in (1, 70000, 1 * MIB, 3 * MIB - 1):
                with self.subTest(how=how, upto=upto):
                    before, calls = self.users.broken, len(self.users.calls(NAME))
                    begun = self.users.begun
                    client = self.client()
                    self.send(client, 3 * MIB, upto)
                    if upto > MIB // 2:
                        self.assertTrue(self.users.wait(lambda: self.users.begun > begun),
                                        "it is with the backend already")
                    client.reset() if how == "reset" else client.close()
                    until(lambda: self.pending() == 0, "the call is gone")
                    if upto > MIB // 2:
                        self.assertTrue(self.users.wait(lambda: self.users.broken > before))
                    self.assertEqual(len(self.users.calls(NAME)), calls, "no half call is served")
        self.assertEqual(self.client().text("users:get"), "users users:get")

    def pending(self):
        return self.router.metric(f"rt/rt/server/127.0.0.1/{self.router.port}/pending")

    def test_a_client_that_vanishes_while_it_gets_a_large_reply(self):
        for how in ("close", "reset"):
            client = self.client()
            self.ask(client, str(LARGE))
            client.receive_bytes(100_000)
            client.reset() if how == "reset" else client.close()
            until(lambda: self.pending() == 0, "the call is gone")
        self.assertEqual(self.client().text("users:get"), "users users:get")

    def test_a_client_that_stops_in_the_middle_of_a_large_call_is_closed(self):
        before = self.users.broken
        client = self.client(server=1)
        self.send(client, 3 * MIB, 2 * MIB)
        try:
            while True:  # an error may come first
                self.assertEqual(client.receive().kind, wire.EXCEPTION)
        except Closed:
            pass
        self.assertTrue(self.users.wait(lambda: self.users.broken > before))

    def test_a_backend_that_stops_in_the_middle_of_a_large_reply(self):
        client = self.client(server=1)
        self.ask(client, f"{3 * MIB} {2 * MIB}", "silent:reply")
        with self.assertRaises(Closed):
            self.receive_either(client)
        self.assertTrue(self.silent.wait(lambda: not self.silent.connections), "it is closed too")

    def test_a_message_over_the_bound(self):
        client = self.client()
        sending = Sending(client.socket, wire.CALL, 5, 80 * MIB, header=self.header(),
                          name="users:" + NAME)
        with self.assertRaises(Closed):
            client.receive()
        sending.join()
        client = self.client()
        self.ask(client, f"{80 * MIB} 1000")
        self.assert_router_error(client.receive(), "reply", "/#/io.l5d.fs/users")


class Plain(Large, RouterTest):
    pass


class TTwitter(Large, RouterTest):
    upgraded = True


if __name__ == "__main__":
    unittest.main(verbosity=2)
