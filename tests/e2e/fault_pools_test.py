"""Servers with a thread for each connection, which starve when somebody holds connections; and idle
connections that servers close at the moment of use."""

import random
import socket
import threading
import unittest

import wire
from apache import Server, call
from client import Client
from fake_backend import FakeBackend
from fake_dialects import ClosingBackend, Load
from router_process import Router, RouterTest, until

PLACES = 2
FIN_WAIT_1 = 4  # a state of TCP_INFO: the end was sent, and is not acknowledged yet


def router_of(label, dtab="/svc => /#/io.l5d.fs", **client):
    return {"protocol": "thrift", "label": label, "dtab": dtab, "servers": [{}], "client": client}


class ThreadPerConnection(RouterTest):
    """A server serves so many connections at a time as it has threads; others wait for their turn,
    which comes when a connection ends."""

    @classmethod
    def configure(cls):
        cls.fake = cls.backend(FakeBackend("fake", places=PLACES))
        apache = Server("--server", "pool", "--threads", str(PLACES), "--version", "pool")
        cls.addClassCleanup(apache.stop)
        polite = {"hostConnectionPool": {"maxSize": PLACES, "idleTimeMs": 0}}
        router = Router([router_of("one", **polite), router_of("two", **polite)], workers=2)
        router.write("fake", cls.fake.port)
        router.write("apache", apache.port)
        cls.apache_port = apache.port
        return router

    def test_everybody_is_served_though_all_keep_their_connections_to_the_router(self):
        clients = [Client(port) for port in self.router.ports for _ in range(10)]
        for _ in range(5):
            for i, client in enumerate(clients):
                self.assertEqual(client.text("fake:echo", str(i)), str(i))
        for client in clients:
            client.close()

    def test_everybody_is_served_at_the_same_time(self):
        def talk(client, text):
            got = client.text("fake:echo", text)
            return None if got == text else got

        # Two routers with two places each want more than the server has; none may keep one.
        ports = self.router.ports * 4
        lock = threading.Lock()

        def connect():
            with lock:
                return Client(ports.pop())

        with Load(len(ports), connect, talk) as load:
            until(lambda: load.more(2000) or load.faults, "calls")
        self.assertEqual(load.faults, [])

    def test_no_connection_is_kept_after_the_calls(self):
        with Client(self.router.port) as client:
            for i in range(10):
                client.send(wire.CALL, "fake:echo", i, [(1, "string", str(i))])
            for i in range(10):
                self.assertEqual(client.receive().fields, {0: str(i).encode()})
            # Somebody else finds all the places free.
            direct = [Client(self.fake.port) for _ in range(PLACES)]
            for one in direct:
                self.assertEqual(one.text("get"), "fake get")
            for one in direct:
                one.close()

    def test_with_a_server_of_apache(self):
        for port in self.router.ports * 3:
            self.assertEqual(call(port, "--dtab", "/svc => /#/io.l5d.fs/apache", "--count", "20",
                                  "--tally", "version"), (0, "20 ok pool"))
        # And directly beside the router: it has its threads back.
        self.assertEqual(call(self.apache_port, "version"), (0, "ok pool"))

    def test_clients_of_apache_at_the_same_time(self):
        outcomes = []

        def run(port):
            outcomes.append(call(port, "--dtab", "/svc => /#/io.l5d.fs/apache", "--count", "100",
                                 "--tally", "version"))

        threads = [threading.Thread(target=run, args=(port,)) for port in self.router.ports * 4]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(outcomes, [(0, "100 ok pool")] * len(threads))


class ClosedWhenUsed(RouterTest):
    @classmethod
    def configure(cls):
        cls.closing = cls.backend(ClosingBackend("closing"))
        cls.users = cls.backend(FakeBackend("users"))
        idempotent = {"kind": "io.l5d.static",
                      "configs": [{"prefix": "/", "idempotentMethods": ["*"]}]}
        router = Router([router_of("plain"), {**router_of("again"), "service": idempotent}])
        router.write("closing", cls.closing.port)
        router.write("users", cls.users.port)
        return router

    def test_a_server_that_closes_each_connection_with_its_reply(self):
        clients = [Client(self.router.port) for _ in range(4)]
        for i in range(200):
            for client in clients:
                self.assertEqual(client.text("closing:echo", str(i)), str(i))
        for client in clients:
            client.close()

    def test_a_server_that_closes_each_connection_with_its_reply_and_a_pipeline(self):
        with Client(self.router.port) as client:
            for i in range(200):
                client.send(wire.CALL, "closing:echo", i, [(1, "string", str(i))])
            for i in range(200):
                reply = client.receive()
                self.assertEqual((reply.seqid, reply.fields), (i, {0: str(i).encode()}))

    def close_idle(self):
        """All connections of the server end; none has a call."""
        with self.users.lock:
            connections = list(self.users.connections)
        ended = []
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_WR)
                ended.append(connection)
            except OSError:  # the router has ended it already
                pass
        for connection in ended:
            until(lambda: self.fin_arrived(connection), "the end of stream is with the router")

    @staticmethod
    def fin_arrived(connection):
        try:
            return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != FIN_WAIT_1
        except OSError:
            return True  # the router has closed it already

    def test_idle_connections_closed_just_before_a_call(self):
        clients = [Client(self.router.port) for _ in range(6)]
        for i in range(100):
            for client in clients:
                client.send(wire.CALL, "users:echo", i, [(1, "string", str(i))])
            for client in clients:
                self.assertEqual(client.receive().fields, {0: str(i).encode()})
            self.close_idle()  # for the router it comes in the same moment as the calls
        for client in clients:
            client.close()

    def test_idle_connections_closed_at_the_same_time_as_a_call(self):
        # The call may be on its way already: then it must be one that may be sent again.
        def talk(client, text):
            got = client.text("users:echo", text)
            return None if got == text else got

        chance = random.Random(5)
        with Load(4, lambda: Client(self.router.ports[1]), talk) as load:
            for _ in range(200):
                with self.users.lock:
                    connections = list(self.users.connections)
                for connection in connections:
                    if chance.random() < 0.5:
                        self.users.end(connection)
                until(lambda: load.more(5) or load.faults, "calls")
        self.assertEqual(load.faults, [])

    def test_a_connection_the_server_closes_is_not_kept(self):
        with Client(self.router.port) as client:
            for _ in range(5):
                self.assertEqual(client.text("users:get"), "users users:get")
                self.close_idle()
                until(lambda: not self.users.connections, "the router let go of them")


if __name__ == "__main__":
    unittest.main(verbosity=2)
