"""SIGHUP: the file is read again; what it changes changes, and nobody loses a call."""

import json
import os
import signal
import socket
import subprocess
import threading
import unittest

import wire
from client import PATIENCE, Client, Closed
from fake_backend import FakeBackend
from router_process import Router, free_port, program, refuses, until

FS = "/#/io.l5d.fs"


class Reload(unittest.TestCase):
    def setUp(self):
        self.users, self.other = FakeBackend("users"), FakeBackend("other")
        self.addCleanup(self.users.stop)
        self.addCleanup(self.other.stop)
        self.router = Router([{"protocol": "thrift", "label": "main",
                               "dtab": f"/svc => {FS}/users", "servers": [{}]}])
        self.addCleanup(self.router.stop)
        self.router.write("users", self.users.port)
        self.router.write("other", self.other.port)

    def start(self):
        """The configuration as it was written, with its ports."""
        self.router.start()
        with open(self.router.config_file, encoding="utf-8") as file:
            self.config = json.load(file)
        self.main = self.config["routers"][0]

    def put(self, text):
        fresh = self.router.config_file + ".fresh"
        with open(fresh, "w", encoding="utf-8") as out:
            out.write(text)
        os.rename(fresh, self.router.config_file)

    def hup(self, outcome):
        """Sends the signal and waits until the counter says that it was done."""
        before = self.router.metric("config/" + outcome)
        self.router.signal(signal.SIGHUP)
        until(lambda: self.router.metric("config/" + outcome) > before, outcome)

    def reload(self):
        self.put(json.dumps(self.config, indent=2))
        self.hup("reloads")
        self.assertEqual(self.router.metric("config/last_reload_ok"), 1)

    def refused(self, *texts):
        """A reload that must fail; the log has all of the texts."""
        seen = len(self.router.log())
        self.hup("failed_reloads")
        self.assertEqual(self.router.metric("config/last_reload_ok"), 0)
        log = self.router.log()[seen:]
        for text in (*texts, "everything stays as it was"):
            self.assertIn(text, log)
        return log

    def becomes(self, client, text, name="svc:get"):
        """Every worker hears of it by itself, so one asks until it is so."""
        until(lambda: client.text(name) == text, text)

    def hold(self, client, gate):
        before = len(self.users.calls("hold"))
        client.send(wire.CALL, "svc:hold", 1, [(1, "string", gate)])
        self.assertTrue(self.users.wait_calls("hold", before + 1))

    def test_a_connection_lives_through_other_dtabs(self):
        self.start()
        client = Client(self.router.port)
        self.assertEqual(client.text("svc:get"), "users svc:get")
        for backend in ("other", "users", "other"):
            self.main["dtab"] = f"/svc => {FS}/{backend}"
            self.reload()
            self.becomes(client, f"{backend} svc:get")
        self.assertEqual(self.router.metric("config/reloads"), 3)
        connects = self.router.metric(
            f"rt/main/server/127.0.0.1/{self.router.port}/connects")
        self.assertEqual(connects, 1)

    def test_fifty_reloads_without_a_failed_call(self):
        self.start()
        over, wrong, asked = threading.Event(), [], [0] * 4

        def ask(at):
            try:
                with Client(self.router.port) as client:
                    while not over.is_set():
                        text = client.text("svc:get")
                        if text not in ("users svc:get", "other svc:get"):
                            wrong.append(text)
                        asked[at] += 1
            except (Closed, OSError, AssertionError) as failure:
                wrong.append(repr(failure))

        crowd = [threading.Thread(target=ask, args=(at,)) for at in range(len(asked))]
        for thread in crowd:
            thread.start()
        extra = free_port()
        try:
            for i in range(50):
                odd = i % 2 == 1
                self.main["dtab"] = f"/svc => {FS}/{'users' if odd else 'other'}"
                self.main["servers"] = self.main["servers"][:1] + [{"port": extra}] * (not odd)
                self.main["client"] = {"connectTimeoutMs": 800 + i}
                self.main["service"] = {"totalTimeoutMs": 60000 + i}
                self.config["namers"][0]["prefix"] = "/io.l5d.fs"
                before = sum(asked)
                self.reload()
                until(lambda before=before: wrong or sum(asked) >= before + 8, "calls go on")
        finally:
            over.set()
            for thread in crowd:
                thread.join()
        self.assertEqual(wrong, [])
        self.assertEqual(self.router.metric("config/reloads"), 50)
        self.assertEqual(self.router.metric("rt/main/service/other/failures"), 0)

    def test_a_bad_file_changes_nothing_and_tells_all_that_is_wrong(self):
        self.start()
        client = Client(self.router.port)
        self.assertEqual(client.text("svc:get"), "users svc:get")
        self.main["dtab"] = f"/svc => {FS}/other"
        self.main["bindingTimeoutMs"] = 0
        self.main["servres"] = []
        self.config["namers"][0]["rootDir"] = "/nowhere/at/all"
        self.put(json.dumps(self.config, indent=2))
        # As a start with it says.
        start = subprocess.run([program("trestle"), "--validate", self.router.config_file],
                               capture_output=True, text=True, timeout=PATIENCE, check=False)
        self.assertEqual(start.returncode, 2)
        lines = start.stderr.splitlines()
        self.assertGreaterEqual(len(lines), 3, start.stderr)
        self.refused(*lines)
        self.assertEqual(client.text("svc:get"), "users svc:get")
        self.assertEqual(client.text("svc:fresh"), "users svc:fresh")
        with Client(self.router.port) as fresh:
            self.assertEqual(fresh.text("svc:get"), "users svc:get")
        self.put("routers: [")
        self.refused(self.router.config_file + ":")
        os.remove(self.router.config_file)
        self.refused("cannot read it: No such file or directory")
        self.assertEqual(client.text("svc:get"), "users svc:get")
        # And back.
        del self.main["servres"], self.main["bindingTimeoutMs"]
        self.config["namers"][0]["rootDir"] = self.router.names
        self.reload()
        self.becomes(client, "other svc:get")
        self.assertEqual(self.router.metric("config/failed_reloads"), 3)

    def test_a_taken_port_changes_nothing(self):
        self.start()
        client = Client(self.router.port)
        self.assertEqual(client.text("svc:get"), "users svc:get")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port, free = taken.getsockname()[1], free_port()
            self.main["dtab"] = f"/svc => {FS}/other"
            self.main["servers"] = [{"port": free}, {"port": port}]
            self.put(json.dumps(self.config))
            self.refused(f"router main: cannot listen on 127.0.0.1:{port}: Address already in use")
        self.assertTrue(refuses(free), "nothing of it was opened")
        self.assertEqual(client.text("svc:get"), "users svc:get")
        with Client(self.router.port) as fresh:
            self.assertEqual(fresh.text("svc:get"), "users svc:get")

    def test_servers_come_and_go(self):
        self.start()
        stays = Client(self.router.port)
        extra = free_port()
        self.main["servers"].append({"port": extra})
        self.reload()
        self.assertIn(f"opened 127.0.0.1:{extra}", self.router.log())
        idle, busy = Client(extra), Client(extra)
        self.assertEqual(idle.text("svc:get"), "users svc:get")
        self.hold(busy, "gone")
        self.main["servers"].pop()
        self.reload()
        self.assertIn(f"closed 127.0.0.1:{extra}", self.router.log())
        self.assertTrue(refuses(extra))
        self.assertTrue(idle.is_closed())
        self.assertEqual(stays.text("svc:get"), "users svc:get")
        self.users.release("gone")
        self.assertEqual(busy.receive().fields[0], b"gone")
        self.assertTrue(busy.is_closed())
        self.main["servers"].append({"port": extra})
        self.reload()
        with Client(extra) as again:
            self.assertEqual(again.text("svc:get"), "users svc:get")

    def test_a_router_comes_and_goes(self):
        self.start()
        stays = Client(self.router.port)
        port = free_port()
        self.config["routers"].insert(0, {"protocol": "thrift", "label": "second",
                                          "dtab": f"/svc => {FS}/other",
                                          "servers": [{"port": port}]})
        self.reload()
        with Client(port) as second:
            self.assertEqual(second.text("svc:get"), "other svc:get")
            self.assertEqual(self.router.metric("rt/second/service/svc/svc/requests"), 1)
            self.config["routers"].pop(0)
            self.reload()
            self.assertTrue(second.is_closed())
        self.assertEqual(stays.text("svc:get"), "users svc:get")

    def test_other_namers(self):
        self.start()
        client = Client(self.router.port)
        self.assertEqual(client.text("svc:get"), "users svc:get")
        # The same prefix in another directory.
        more = os.path.join(self.router.folder, "more")
        os.mkdir(more)
        with open(os.path.join(more, "users"), "w", encoding="utf-8") as out:
            out.write(f"127.0.0.1 {self.other.port}\n")
        self.config["namers"][0]["rootDir"] = more
        self.reload()
        self.becomes(client, "other svc:get")
        # One more, in front of it.
        self.config["namers"].append({"kind": "io.l5d.rewrite", "prefix": "/rw",
                                      "pattern": "/{x}", "name": f"{FS}/{{x}}"})
        self.main["dtab"] = "/svc => /#/rw/users"
        self.reload()
        self.assertEqual(client.text("svc:get"), "other svc:get")
        # The new one is watched.
        with open(os.path.join(more, "fresh"), "w", encoding="utf-8") as out:
            out.write(f"127.0.0.1 {self.users.port}\n")
        os.rename(os.path.join(more, "fresh"), os.path.join(more, "users"))
        self.becomes(client, "users svc:get")

    def test_a_namer_that_stays_has_its_watches(self):
        self.start()
        client = Client(self.router.port)
        self.assertEqual(client.text("svc:get"), "users svc:get")
        self.config["dnsRefreshMs"] = 4000
        self.reload()
        self.assertEqual(client.text("svc:get"), "users svc:get")
        self.reload()
        self.router.write("users", self.other.port)
        self.becomes(client, "other svc:get")

    def test_other_timeouts(self):
        self.start()
        client = Client(self.router.port)
        self.assertEqual(client.text("svc:get"), "users svc:get")
        self.main["service"] = {"totalTimeoutMs": 150}
        self.reload()

        def times_out():
            with Client(self.router.port) as probe:
                probe.send(wire.CALL, "svc:hold", 1, [(1, "string", "probe")])
                return b"no reply within 150 ms" in probe.receive().fields[1]

        for _ in range(2):  # each worker
            self.assertTrue(times_out())
        del self.main["service"]
        self.reload()
        self.hold(client, "long")
        self.users.release("long")
        self.assertEqual(client.receive().fields[0], b"long")

    def test_what_needs_a_new_process_is_named_and_the_rest_applied(self):
        self.start()
        client = Client(self.router.port)
        self.config["workers"] = 1
        self.config["admin"] = {"port": self.router.admin_port, "ip": "0.0.0.0"}
        self.config["telemetry"] = [{"kind": "io.l5d.prometheus", "path": "/metrics"}]
        self.main["dtab"] = f"/svc => {FS}/other"
        self.reload()
        self.becomes(client, "other svc:get")
        for key in ("workers", "admin.ip", "telemetry"):
            self.assertIn(f"{key}: a new value takes a new process", self.router.log())
        self.assertNotIn("admin.port: a new", self.router.log())

    def test_while_draining_it_is_not_read_again(self):
        self.start()
        client = Client(self.router.port)
        self.hold(client, "drain")
        self.router.signal()
        until(lambda: refuses(self.router.port), "no new connections")
        self.router.signal(signal.SIGHUP)
        until(lambda: "SIGHUP while draining" in self.router.log(), "the log line")
        self.users.release("drain")
        self.assertEqual(client.receive().fields[0], b"drain")
        self.assertEqual(self.router.wait(), 0)

    def test_a_pipe_is_not_waited_for(self):
        """Whoever opens a pipe waits until somebody writes to it."""
        self.start()
        client = Client(self.router.port)
        self.assertEqual(client.text("svc:get"), "users svc:get")
        config_file = self.router.config_file
        os.remove(config_file)
        os.mkfifo(config_file)
        self.refused(f"{config_file}: cannot be read again: it is no regular file")
        os.remove(config_file)
        os.mkdir(config_file)
        self.refused(f"{config_file}: cannot be read again: it is no regular file")
        os.rmdir(config_file)
        self.main["dtab"] = f"/svc => {FS}/other"
        self.reload()
        self.becomes(client, "other svc:get")

    def test_a_start_reads_from_a_pipe(self):
        """What a shell makes of <(...)."""
        self.start()
        self.router.signal()
        self.assertEqual(self.router.wait(), 0)
        reads, writes = os.pipe()
        os.write(writes, json.dumps(self.config).encode())
        os.close(writes)
        with open(reads, "rb"), \
                open(self.router.folder + "/log", "w", encoding="utf-8") as log:
            self.router.process = subprocess.Popen([program("trestle"), f"/dev/fd/{reads}"],
                                                   pass_fds=[reads], stderr=log)
        self.assertTrue(self.router.wait_ready())
        self.refused("cannot be read again")
        with Client(self.router.port) as client:
            self.assertEqual(client.text("svc:get"), "users svc:get")

    def test_standard_input_cannot_be_read_again(self):
        self.start()
        self.router.signal()
        self.assertEqual(self.router.wait(), 0)
        with open(self.router.config_file, encoding="utf-8") as config, \
                open(self.router.folder + "/log", "w", encoding="utf-8") as log:
            self.router.process = subprocess.Popen([program("trestle"), "-"], stdin=config,
                                                   stderr=log)
        self.assertTrue(self.router.wait_ready())
        self.refused("standard input cannot be read again")
        with Client(self.router.port) as client:
            self.assertEqual(client.text("svc:get"), "users svc:get")


if __name__ == "__main__":
    unittest.main(verbosity=2)
