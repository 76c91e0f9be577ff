"""The life of the process: ready, drained, stopped; and ports that are taken."""

import signal
import socket
import subprocess
import unittest

import wire
from client import Client, Closed
from fake_backend import FakeBackend
from router_process import PATIENCE, Router, program, refuses, until


class Life(unittest.TestCase):
    def setUp(self):
        self.users = FakeBackend("users")
        self.addCleanup(self.users.stop)

    def start(self, **top):
        router = Router([{"protocol": "thrift", "dtab": "/svc => /#/io.l5d.fs",
                          "servers": [{}, {}]}], **top)
        self.addCleanup(router.stop)
        router.write("users", self.users.port)
        return router.start()

    def hold(self, client, gate):
        before = len(self.users.calls("hold"))
        client.send(wire.CALL, "users:hold", 1, [(1, "string", gate)])
        self.assertTrue(self.users.wait_calls("hold", before + 1))

    def test_a_line_says_that_it_is_ready(self):
        router = self.start()
        until(lambda: "ready" in router.log(), "the ready line")
        for port in router.ports:
            self.assertIn(str(port), router.log())

    def test_a_warning_that_no_timeout_is_set(self):
        router = self.start()
        self.assertIn("totalTimeoutMs", router.log())

    def test_stop_without_traffic(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            router = self.start()
            router.signal(number)
            self.assertEqual(router.wait(), 0)

    def test_sighup_during_the_stop_is_no_end(self):
        """A signal that comes when nobody listens for it any more must not kill the process."""
        for _ in range(5):
            router = self.start()
            router.signal()
            while router.process.poll() is None:
                router.signal(signal.SIGHUP)
            self.assertEqual(router.wait(), 0)

    def test_a_call_in_flight_finishes(self):
        router = self.start()
        busy, idle = Client(router.port), Client(router.ports[1])
        self.assertEqual(idle.text("users:get"), "users users:get")
        self.hold(busy, "drain")
        router.signal()
        until(lambda: refuses(router.port), "no new connections")
        self.assertTrue(idle.is_closed())
        self.assertIsNone(router.process.poll())
        self.users.release("drain")
        self.assertEqual(busy.receive().fields[0], b"drain")
        self.assertTrue(busy.is_closed())
        self.assertEqual(router.wait(), 0)

    def test_not_ready_while_draining(self):
        router = self.start()
        client = Client(router.port)
        self.hold(client, "notReady")
        router.signal()

        def not_ready():
            status, body = router.admin("/admin/ready")
            return status != 200 or "false" in body

        until(not_ready, "/admin/ready says no")
        self.users.release("notReady")
        self.assertEqual(client.receive().kind, wire.REPLY)
        self.assertEqual(router.wait(), 0)

    def test_what_does_not_finish_is_cut_after_the_grace(self):
        router = self.start(admin={"shutdownGraceMs": 200})
        client = Client(router.port)
        self.hold(client, "never")
        router.signal()
        self.assertEqual(router.wait(), 0)
        with self.assertRaises(Closed):
            while client.receive().kind == wire.EXCEPTION:
                pass  # an error reply before the end is fine, a result is not

    def test_a_taken_port(self):
        router = self.start()
        again = subprocess.run([program("trestle"), router.config_file], capture_output=True,
                               text=True, timeout=PATIENCE, check=False)
        self.assertEqual(again.returncode, 1, again.stderr)
        self.assertRegex(again.stderr, "|".join(map(str, [*router.ports, router.admin_port])))

    def test_a_taken_port_of_a_server(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            router = Router([{"protocol": "thrift", "servers": [{"port": port}]}])
            self.addCleanup(router.stop)
            router.launch()
            self.assertEqual(router.wait(), 1)
            self.assertIn(str(port), router.log())

    def test_one_start_after_another(self):
        router = self.start()
        for _ in range(3):
            with Client(router.port) as client:
                self.assertEqual(client.text("users:get"), "users users:get")
            router.signal()
            self.assertEqual(router.wait(), 0)
            # The same ports, at once.
            with open(router.folder + "/log", "w", encoding="utf-8") as log:
                router.process = subprocess.Popen([program("trestle"), router.config_file],
                                                  stderr=log, cwd=router.folder)
            self.assertTrue(router.wait_ready())

    def test_the_configuration_from_standard_input(self):
        router = self.start()
        router.signal()
        self.assertEqual(router.wait(), 0)
        with open(router.config_file, encoding="utf-8") as config, \
                open(router.folder + "/log", "w", encoding="utf-8") as log:
            router.process = subprocess.Popen([program("trestle"), "-"], stdin=config, stderr=log)
        self.assertTrue(router.wait_ready())
        with Client(router.port) as client:
            self.assertEqual(client.text("users:get"), "users users:get")


if __name__ == "__main__":
    unittest.main(verbosity=2)
