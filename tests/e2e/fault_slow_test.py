"""Clients and backends that are slow, silent or never read; and thousands that do nothing."""

import os
import resource
import socket
import struct
import sys
import threading
import time
import unittest

import wire
from client import Client, Closed
from fake_backend import FakeBackend
from fake_dialects import Load, OddBackend, pattern
from router_process import Router, RouterTest, until

LARGE = 4 << 20
HUGE = 48 << 20  # more than the buffers of four sockets take


class Slow(RouterTest):
    @classmethod
    def configure(cls):
        cls.users = cls.backend(OddBackend("users"))
        base = {"protocol": "thrift", "dtab": "/svc => /#/io.l5d.fs/users"}
        router = Router([
            {**base, "label": "patient", "servers": [{}], "bodyIdleTimeoutMs": 600000,
             "maxFrameBytes": 1 << 27},
            {**base, "label": "strict", "servers": [{}, {"thriftFramed": False}],
             "bodyIdleTimeoutMs": 300, "client": {"thriftFramed": True}},
        ], workers=1)  # everybody shares one loop
        router.write("users", cls.users.port)
        return router

    def client(self, server=0, **more):
        client = Client(self.router.ports[server], **more)
        self.addCleanup(client.close)
        return client

    def load(self):
        def talk(client, text):
            got = client.text("echo", text)
            return None if got == text else got

        return Load(2, lambda: Client(self.router.port), talk)

    def test_slowloris_in_their_messages_disturb_nobody(self):
        """Many connections that send a byte now and then."""
        slow = [self.client() for _ in range(200)]
        whole = slow[0].framed(wire.CALL, "echo", 1, [(1, "string", "slow")])
        with self.load() as load:
            for i, byte in enumerate(whole):
                for client in slow:
                    client.send_bytes(bytes([byte]))
                if i % 10 == 0:
                    until(lambda: load.more(10) or load.faults, "calls of others")
        self.assertEqual(load.faults, [])
        # And though they were slow they are served.
        for client in slow:
            self.assertEqual(client.receive().fields, {0: b"slow"})

    def test_silence_in_the_middle_of_a_message_closes(self):
        framed = Client.framed
        for server, buffered in ((1, False), (2, True)):
            whole = framed(self.client(server, buffered=buffered), wire.CALL, "get", 1,
                           [(1, "string", "x" * 50)])
            for cut in (1, 3, 4, 6, 9, 20, len(whole) - 1):
                with self.subTest(buffered=buffered, cut=cut):
                    client = self.client(server, buffered=buffered)
                    client.send_bytes(whole[:cut])
                    self.assertTrue(client.is_closed())

    def test_silence_behind_good_calls_closes_after_their_replies(self):
        client = self.client(1)
        gate = "silence " + self.id()
        client.send(wire.CALL, "hold", 1, [(1, "string", gate)])
        client.send_bytes(client.framed(wire.CALL, "get", 2)[:9])
        self.assertTrue(self.users.wait_calls("hold", 1))
        self.users.release(gate)
        self.assertEqual(client.receive().fields, {0: gate.encode()})
        self.assertTrue(client.is_closed())

    def test_silence_between_messages_closes_nothing(self):
        client = self.client(1)
        self.assertEqual(client.text("get"), "users get")
        other = self.client(1)
        other.send_bytes(b"\0")  # it is closed for its silence; the client is as silent as that
        self.assertTrue(other.is_closed())
        self.assertEqual(client.text("get"), "users get")

    def test_a_byte_at_a_time_over_the_whole_timeout_closes_nothing(self):
        # Each gap is less than the timeout; all of them together are more.
        client = self.client(1)
        whole = client.framed(wire.CALL, "get", 1)
        started = time.monotonic()
        for i, byte in enumerate(whole):
            client.send_bytes(bytes([byte]))
            if i < len(whole) - 1 and time.monotonic() - started < 0.6:
                time.sleep(0.05)
        try:
            self.assertEqual(client.receive().fields, {0: b"users get"})
        except Closed:
            if time.monotonic() - started < 3:  # else this machine was too slow to say anything
                raise

    def test_a_client_that_never_reads_its_replies_is_read_no_more(self):
        lazy = self.client()
        frame = lazy.framed(wire.CALL, "pattern", 1, [(1, "string", str(60_000))])
        lazy.socket.setblocking(False)
        sent = b""
        calls = 0
        # Small calls with large replies: it stops when what is held for it is over its bound.
        before = len(self.users.calls("pattern"))
        deadline = time.monotonic() + 60
        last = (0, time.monotonic())
        while calls < 3000 and time.monotonic() < deadline:
            try:
                if not sent:
                    sent, calls = frame, calls + 1
                sent = sent[lazy.socket.send(sent):]
            except BlockingIOError:
                time.sleep(0.01)
            served = len(self.users.calls("pattern")) - before
            if served != last[0]:
                last = (served, time.monotonic())
            elif calls == 3000 or time.monotonic() - last[1] > 1:
                break
        until(lambda: self.client().text("get") == "users get", "others are served")
        served = len(self.users.calls("pattern")) - before
        # 1 MiB for it, its 32 calls in flight, and what the sockets hold: not 3000 * 60 kB.
        self.assertLess(served, 300)
        lazy.reset()
        pending = f"rt/patient/server/127.0.0.1/{self.router.port}/pending"
        until(lambda: self.router.metric(pending) == 0, "no call is left")

    def test_a_slow_reader_slows_its_own_writer_and_nobody_else(self):
        slow = self.client()
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        slow.send(wire.CALL, "pattern", 1, [(1, "string", str(LARGE))])
        with self.load() as load:
            length = struct.unpack(">i", slow.receive_bytes(4))[0]
            data = b""
            while len(data) < length:
                data += slow.receive_bytes(min(1 << 16, length - len(data)))
                until(lambda: load.more(2) or load.faults, "calls of others")
        self.assertEqual(load.faults, [])
        self.assertTrue(wire.parse(wire.Binary, data).fields[0] == pattern(LARGE))

    def test_a_backend_that_reads_slowly_slows_its_writer_and_nobody_else(self):
        gate = "reader " + self.id()
        slow = FakeBackend("slow")
        self.addCleanup(slow.stop)
        read = slow.read

        def read_late(connection, stream):
            deadline = time.monotonic() + 60
            while gate.encode() not in slow.released and time.monotonic() < deadline:
                with slow.lock:
                    slow.lock.wait(0.01)
            return read(connection, stream)

        slow.read = read_late
        self.router.write("slow", slow.port)
        client = self.client()
        client.upgrade()
        payload = pattern(HUGE)
        frame = client.framed(wire.CALL, "echo", 1, [(1, "string", payload)],
                              dtab=[("/svc", "/#/io.l5d.fs/slow")])
        writer = threading.Thread(target=client.send_bytes, args=(frame,))
        writer.start()
        with self.load() as load:
            until(lambda: load.more(200) or load.faults, "calls of others")
            # The writer waits: what sockets and the router take is less than its message.
            self.assertTrue(writer.is_alive())
        self.assertEqual(load.faults, [])
        slow.release(gate)
        writer.join()
        self.assertTrue(client.receive().fields[0] == payload)


class Idle(RouterTest):
    """10,000 connections that do nothing, or as many as the limit of descriptors allows."""

    wanted = 10_000

    @classmethod
    def configure(cls):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        cls.count = min(cls.wanted, hard - 200)
        if cls.count < cls.wanted:
            print(f"\nonly {cls.count} connections: the limit of descriptors is {hard}",
                  file=sys.stderr)
        cls.users = cls.backend(FakeBackend("users"))
        router = Router([{"protocol": "thrift", "label": "rt", "servers": [
            {"maxConnections": cls.count + 100}], "dtab": "/svc => /#/io.l5d.fs/users"}])
        router.write("users", cls.users.port)
        return router

    def test_ten_thousand_idle_connections(self):
        with Client(self.router.port) as client:
            for _ in range(100):
                client.text("get")
            before = self.router.memory()
            idle = []
            try:
                for i in range(self.count):
                    idle.append(Client(self.router.port))
                    if i % 1000 == 999:
                        self.assertEqual(client.text("get"), "users get")
                name = f"rt/rt/server/127.0.0.1/{self.router.port}/connections"
                until(lambda: self.router.metric(name) == self.count + 1, "all are there")
                self.check_memory(before)
                # Every hundredth is as good as fresh, and the others' silence costs nothing.
                for one in idle[::100]:
                    self.assertEqual(one.text("get"), "users get")
                self.assert_rests()
            finally:
                for one in idle:
                    one.reset()
            until(lambda: self.router.metric(name) == 1, "all are gone")
            self.assertEqual(client.text("get"), "users get")

    def check_memory(self, before):
        if self.router.is_sanitized():
            return  # its memory is another, and says nothing of the router's
        each = (self.router.memory() - before) / self.count
        self.assertLessEqual(each, 4096, "bytes for an idle connection")

    def assert_rests(self):
        """Idle connections take no processor time: a second of them less than a tenth of one."""
        def used():
            with open(f"/proc/{self.router.process.pid}/stat", encoding="ascii") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

        def rests():
            before = used()
            time.sleep(1)
            return used() - before < 0.1

        until(rests, "the router rests")


if __name__ == "__main__":
    unittest.main(verbosity=2)
