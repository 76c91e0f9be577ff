"""Endpoints that hang at the connect, flap, go all at once and come back."""

import os
import random
import unittest

import wire
from client import Client
from fake_backend import FakeBackend
from fake_dialects import HangingPort, Load
from router_process import Router, RouterTest, free_port, until


def router_of(*names, **client):
    return [{"protocol": "thrift", "label": name, "dtab": f"/svc => /#/io.l5d.fs/{name}",
             "servers": [{}], "client": client.get(name, {})} for name in names]


class HangingConnect(RouterTest):
    """A listening socket whose backlog is full."""

    @classmethod
    def configure(cls):
        cls.good = cls.backend(FakeBackend("good"))
        cls.hanging = HangingPort()
        cls.addClassCleanup(cls.hanging.close)
        timeout = {"connectTimeoutMs": 200}
        router = Router(router_of("beside", "alone", beside=timeout, alone=timeout))
        router.write("beside", cls.good.port, cls.hanging.port)
        router.write("alone", cls.hanging.port)
        return router

    def test_a_connect_that_hangs_beside_an_endpoint_that_serves_fails_no_call(self):
        clients = [Client(self.router.ports[0]) for _ in range(8)]
        for client in clients:
            self.addCleanup(client.close)
            for i in range(10):
                client.send(wire.CALL, "echo", i, [(1, "string", str(i))])
        for client in clients:
            for i in range(10):
                self.assertEqual(client.receive().fields, {0: str(i).encode()})
        failures = [name for name, value in self.router.metrics().items()
                    if name.startswith("rt/beside/service/svc/failures") and value]
        self.assertEqual(failures, [])

    def test_a_connect_that_hangs_fails_the_call_in_time(self):
        with Client(self.router.ports[1]) as client:
            for _ in range(3):
                reply = client.call("get")
                text = self.assert_router_error(reply, "get", "/#/io.l5d.fs/alone",
                                                str(self.hanging.port))
                self.assertTrue(text.startswith("trestle: connect: "), text)

    def test_a_client_that_vanishes_while_a_connect_hangs(self):
        for i in range(20):
            client = Client(self.router.ports[1])
            client.send(wire.CALL, "get", 1)
            client.reset() if i % 2 else client.close()
        pending = f"rt/alone/server/127.0.0.1/{self.router.ports[1]}/pending"
        until(lambda: self.router.metric(pending) == 0, "no call is left")


class Flapping(RouterTest):
    @classmethod
    def configure(cls):
        cls.some = [cls.backend(FakeBackend(f"b{i}")) for i in range(4)]
        again = [{"prefix": "/", "idempotentMethods": ["*"]}]
        routers = router_of("listed", "restarted", "cycled")
        routers[1]["service"] = {"kind": "io.l5d.static", "configs": again}
        router = Router(routers)
        for name in ("listed", "restarted", "cycled"):
            router.write(name, *[backend.port for backend in cls.some])
        return router

    def load(self, number, count=4):
        def call(client, text):
            got = client.text("echo", text)
            return None if got == text else f"{text} was answered {got}"

        return Load(count, lambda: Client(self.router.ports[number]), call)

    def test_a_file_written_again_and_again_under_load_fails_no_call(self):
        chance = random.Random(4)
        ports = [backend.port for backend in self.some]
        with self.load(0) as load:
            for _ in range(300):
                some = chance.sample(ports, chance.randint(1, len(ports)))
                self.router.write("listed", *some, "# again")
                until(lambda: load.more(3) or load.faults, "calls")
        self.assertEqual(load.faults, [])

    def test_files_of_rubbish_in_between_fail_no_call(self):
        # What cannot be read as addresses, or is half written, changes nothing.
        good = [backend.port for backend in self.some]
        rubbish = ["127.0.0.1", "127.0.0.1 notaport", "127.0.0.1 70000", "\0\1\2"]
        with self.load(0) as load:
            for i in range(60):
                self.router.write("listed", *good, rubbish[i % len(rubbish)])
                until(lambda: load.more(3) or load.faults, "calls")
                self.router.write("listed", *good)
        self.assertEqual(load.faults, [])

    def test_a_file_that_is_written_in_place_fails_no_call(self):
        # Truncated and written again, as an editor or cp does: readers may see any part of it.
        lines = "".join(f"127.0.0.1 {backend.port}\n" for backend in self.some)
        with self.load(0) as load:
            for _ in range(100):
                with open(self.router.path("listed"), "r+", encoding="ascii") as out:
                    out.write(lines)
                until(lambda: load.more(3) or load.faults, "calls")
        self.assertEqual(load.faults, [])

    def test_a_server_that_restarts_again_and_again_fails_no_idempotent_call(self):
        with self.load(1) as load:
            for _ in range(20):
                self.some[0].stop()
                until(lambda: load.more(20) or load.faults, "calls")
                self.some[0].start()
                until(lambda: load.more(20) or load.faults, "calls")
        self.assertEqual(load.faults, [])

    def test_a_server_that_restarts_again_and_again_costs_at_most_the_calls_it_had(self):
        def call(client, text):
            reply = client.call("echo", [(1, "string", text)])
            if reply.kind == wire.REPLY:
                return None if reply.fields == {0: text.encode()} else f"{text}: {reply}"
            # It may have been written before the server went; nothing else may fail.
            return None if reply.fields[1].startswith(b"trestle: reply: ") else str(reply)

        failed = "rt/cycled/service/svc/failures"
        before = self.router.metric(failed)
        with Load(4, lambda: Client(self.router.ports[2]), call) as load:
            for _ in range(20):
                self.some[1].stop()
                until(lambda: load.more(20) or load.faults, "calls")
                self.some[1].start()
                until(lambda: load.more(20) or load.faults, "calls")
        self.assertEqual(load.faults, [])
        self.assertLessEqual(self.router.metric(failed) - before, 20 * 4)


class AllGone(RouterTest):
    @classmethod
    def configure(cls):
        cls.some = [cls.backend(FakeBackend(f"b{i}")) for i in range(2)]
        router = Router(router_of("all"))
        router.write("all", *[backend.port for backend in cls.some])
        return router

    def setUp(self):
        self.client = Client(self.router.port)
        self.addCleanup(self.client.close)
        until(self.serves, "it serves")

    def serves(self):
        return self.client.text("echo", "x") == "x"

    def put(self, *lines):
        self.router.write("all", *lines)

    def put_all(self):
        self.put(*[backend.port for backend in self.some])

    def fails_at(self, step):
        text = self.client.text("echo", "x")
        self.assertTrue(text == "x" or text.startswith("trestle: "), text)
        return text.startswith(f"trestle: {step}: ")

    def test_all_stop_and_start_again(self):
        for _ in range(5):
            for backend in self.some:
                backend.stop()
            for _ in range(20):
                text = self.assert_router_error(self.client.call("echo", [(1, "string", "x")]),
                                                "echo", "/#/io.l5d.fs/all")
                self.assertTrue(text.startswith("trestle: connect: "), text)
            for backend in self.some:
                backend.start()
            # Though both are out by now: a call is tried before it is failed.
            self.assertTrue(self.serves())

    def test_only_one_of_them_comes_back(self):
        for backend in self.some:
            backend.stop()
        for _ in range(20):
            self.assert_router_error(self.client.call("echo", [(1, "string", "x")]), "echo")
        self.some[1].start()
        until(self.serves, "it serves")
        for _ in range(20):
            self.assertTrue(self.serves())
        self.some[0].start()

    def test_they_come_back_at_other_addresses(self):
        for backend in self.some:
            backend.stop()
        other = FakeBackend("other")
        self.addCleanup(other.stop)
        self.put(other.port)
        until(lambda: self.client.text("get") == "other get", "the other serves")
        for backend in self.some:
            backend.start()
        self.put_all()
        until(lambda: self.client.text("get") in ("b0 get", "b1 get"), "they serve again")

    def test_the_list_becomes_empty_and_fills_again(self):
        for _ in range(5):
            self.put()
            until(lambda: self.fails_at("balance"), "nobody is in the set")
            self.put_all()
            until(self.serves, "it serves")

    def test_the_file_goes_and_comes_back(self):
        for _ in range(5):
            os.unlink(self.router.path("all"))
            until(lambda: self.fails_at("bind"), "the name is gone")
            self.put_all()
            until(self.serves, "it serves")

    def test_they_leave_while_they_have_calls(self):
        # An endpoint that leaves the set finishes what it has.
        self.put(self.some[0].port)
        until(lambda: self.client.text("get") == "b0 get", "the first alone serves")
        other, gate = Client(self.router.port), "leaves " + self.id()
        self.addCleanup(other.close)
        other.send(wire.CALL, "hold", 1, [(1, "string", gate)])
        self.assertTrue(self.some[0].wait_calls("hold", 1))
        self.put(self.some[1].port)
        until(lambda: self.client.text("get") == "b1 get", "the second alone serves")
        self.some[0].release(gate)
        self.assertEqual(other.receive().fields, {0: gate.encode()})
        self.put_all()

    def test_names_whose_endpoints_never_were(self):
        self.router.write("all", free_port(), free_port())
        until(lambda: self.fails_at("connect"), "nobody listens there")
        self.put_all()
        until(self.serves, "it serves")


if __name__ == "__main__":
    unittest.main(verbosity=2)
