"""Clients that vanish and clients that half-close."""

import threading
import unittest

import wire
from client import Client
from fake_backend import FakeBackend
from router_process import Router, RouterTest, until


class Clients(RouterTest):
    @classmethod
    def configure(cls):
        cls.users = cls.backend(FakeBackend("users"))
        router = Router([
            {"protocol": "thrift", "label": "users", "dtab": "/svc => /#/io.l5d.fs",
             "servers": [{}, {"onHalfClose": "cancel"}]},
        ])
        router.write("users", cls.users.port)
        return router

    def client(self, server=0):
        client = Client(self.router.ports[server])
        self.addCleanup(client.close)
        return client

    def hold(self, client, gate):
        """Sends a call that stays with the backend, and waits until it is there."""
        before = len(self.users.calls("hold"))
        client.send(wire.CALL, "users:hold", 1, [(1, "string", gate)])
        self.assertTrue(self.users.wait_calls("hold", before + 1))

    def test_a_half_closed_client_gets_its_replies(self):
        client, gate = self.client(), "half" + self.id()
        self.hold(client, gate)
        client.send(wire.CALL, "users:get", 2)
        client.finish_sending()
        # A call of another client comes through in between.
        self.assertEqual(self.client().text("users:get"), "users users:get")
        self.users.release(gate)
        self.assertEqual(client.receive().fields[0], gate.encode())
        self.assertEqual(client.receive().seqid, 2)
        self.assertTrue(client.is_closed())

    def test_everything_sent_at_once_and_half_closed(self):
        client = self.client()
        data = b"".join(client.framed(wire.CALL, "users:echo", i, [(1, "string", str(i))])
                        for i in range(50))
        client.send_bytes(data)
        client.finish_sending()
        for i in range(50):
            self.assertEqual(client.receive().fields[0], str(i).encode())
        self.assertTrue(client.is_closed())

    def test_on_half_close_cancel(self):
        client = self.client(server=1)
        self.hold(client, "never" + self.id())
        client.finish_sending()
        self.assertTrue(client.is_closed())

    def test_clients_that_vanish_in_mid_call_disturb_nobody(self):
        stop, faults = threading.Event(), []

        def talk():
            with Client(self.router.port) as client:
                count = 0
                while not stop.is_set():
                    count += 1
                    got = client.text("users:echo", str(count))
                    if got != str(count):
                        faults.append((count, got))

        talkers = [threading.Thread(target=talk) for _ in range(3)]
        for talker in talkers:
            talker.start()
        for i in range(40):
            client = Client(self.router.port)
            self.hold(client, "vanished" + self.id())
            client.reset() if i % 2 else client.close()
        stop.set()
        for talker in talkers:
            talker.join()
        self.assertEqual(faults, [])
        # And the backend is not held for dead.
        self.assertEqual(self.client().text("users:get"), "users users:get")
        removals = [value for name, value in self.router.metrics().items()
                    if name.endswith("failure_accrual/removals")]
        self.assertEqual(sum(removals), 0)

    def test_a_vanished_client_ends_its_backend_connection(self):
        client = self.client()
        self.hold(client, "ended" + self.id())
        with self.users.lock:
            connections = set(self.users.connections)
        client.reset()
        # The connection of a call that nobody waits for is closed, never used again.
        self.assertTrue(self.users.wait(lambda: not connections <= self.users.connections))

    def test_connections_of_clients_are_counted_up_and_down(self):
        name = f"rt/users/server/127.0.0.1/{self.router.port}/connections"
        until(lambda: self.router.metric(name) == 0, "no connection")
        clients = [self.client() for _ in range(7)]
        until(lambda: self.router.metric(name) == 7, "7 connections")
        for client in clients:
            client.close()
        until(lambda: self.router.metric(name) == 0, "no connection again")

    def test_a_client_that_does_not_read_holds_up_nobody(self):
        lazy = self.client()
        payload = b"x" * 1_000_000
        frame = lazy.framed(wire.CALL, "users:echo", 1, [(1, "string", payload)])
        lazy.socket.settimeout(2)
        sent = 0
        try:
            for _ in range(64):
                lazy.send_bytes(frame)
                sent += 1
        except TimeoutError:
            pass  # the router stopped reading: that is its bound
        self.assertEqual(self.client().text("users:get"), "users users:get")
        lazy.socket.settimeout(30)
        for _ in range(sent):
            self.assertEqual(len(lazy.receive().fields[0]), len(payload))


if __name__ == "__main__":
    unittest.main(verbosity=2)
