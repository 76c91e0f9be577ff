"""What script/bench runs: that it measures, checks every reply, and leaves nothing behind."""

import glob
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from bench_programs import (PATIENCE, RUN, Backend, Program, call_frame, ends, load, read,
                            read_call, reply_frame, run)
from router_process import program, until


class TheDriver(unittest.TestCase):
    def test_measures_every_peer_in_every_round(self):
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "runs")
            done = run("--rounds", "2", "--seconds", "0.2", "--warmup", "0.1", "--workers", "1,2",
                       "--workloads", "64/2/2,70000/2/1@100", "--json", file)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(file, encoding="utf-8") as lines:
                runs = [json.loads(line) for line in lines]
        expected = {(workload, peer, number) for workload in ("64/2/2", "70000/2/1@100")
                    for peer in ("direct", "trestle", "trestle/2") for number in (0, 1)}
        self.assertEqual({(r["workload"], r["peer"], r["round"]) for r in runs}, expected)
        self.assertEqual(len(runs), len(expected))
        for one in runs:
            self.assertEqual(one["errors"], 0)
            self.assertGreater(one["calls"], 0)
            self.assertLessEqual(one["p50_us"], one["p99_us"])
            self.assertEqual("cpu_us_per_call" in one, one["peer"] != "direct")
            if one["peer"] != "direct":
                self.assertGreater(one["cpu_us_per_call"], 0)
                spent = sum(one["cpu_ns_of_threads"]) / 1000 / one["calls"]
                self.assertAlmostEqual(one["cpu_us_per_call"], spent, places=2)
        self.check_table(done.stdout, runs)

    def check_table(self, text, runs):
        rows = [line.split() for line in text.splitlines() if line[0].isdigit()]
        self.assertEqual([row[:2] for row in rows],
                         [[workload, peer] for workload in ("64/2/2", "70000/2/1@100")
                          for peer in ("direct", "trestle", "trestle/2")])
        for workload, peer, cpu, *rest in rows:
            of = [r for r in runs if (r["workload"], r["peer"]) == (workload, peer)]
            self.assertEqual(len(rest), 8)
            if peer == "direct":
                self.assertEqual((cpu, rest[-2]), ("-", "1.00"))
            else:
                median = sum(r["cpu_us_per_call"] for r in of) / 2
                self.assertAlmostEqual(float(cpu), median, delta=0.011)
        self.assertRegex(text, r"# trestle/2 64/2/2: CPU time by thread \d+%")

    def test_tells_memory(self):
        done = run("--memory", "--idle", "20", "--seconds", "0.2")
        self.assertEqual(done.returncode, 0, done.stderr)
        row = done.stdout.splitlines()[-1]
        self.assertRegex(row, r"^trestle( +\d+\.\d){6} +-?\d+\.\d\d / -?\d+\.\d\d$")

    def test_a_relay_that_does_not_relay_has_no_figures(self):
        # It echoes whatever it is sent: calls come back as calls.
        relay = ("import socketserver\n"
                 "class Back(socketserver.BaseRequestHandler):\n"
                 "  def handle(self):\n"
                 "    while data := self.request.recv(65536): self.request.sendall(data)\n"
                 "socketserver.ThreadingTCPServer(('127.0.0.1', {listen}), Back).serve_forever()\n")
        done = run("--rounds", "1", "--seconds", "0.2", "--workloads", "64/1/1",
                   "--also", f'mirror={sys.executable} -c "{relay}" {{backend}}')
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"script/bench: mirror: \d+ errors")
        self.assertIn("wrong reply at its byte 7 ", done.stderr)
        self.assertEqual(done.stdout, "")

    def test_says_what_is_wrong_with_its_options(self):
        for args, told in ((["--workloads", "64/1"], "BYTES/CONNECTIONS/IN_FLIGHT"),
                           (["--also", "x=relay {listen}"], "NAME=COMMAND")):
            done = run(*args)
            self.assertEqual(done.returncode, 2)
            self.assertIn(told, done.stderr)

    def test_leaves_no_process_behind_when_it_is_stopped(self):
        for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
            process = subprocess.Popen(
                [*RUN, "--bin", os.path.dirname(program("trestle")), "--no-envoy",
                 "--seconds", "60"],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            with process:
                self.assertRegex(process.stderr.readline(), r"^\d+ runs, about \d+ s")
                children = until(lambda: self.children(process.pid), "it has echo, router and load")
                process.send_signal(number)
                self.assertEqual(process.wait(PATIENCE), code)
            for child in children:
                until(lambda child=child: not os.path.exists(f"/proc/{child}"), f"{child} is gone")

    @staticmethod
    def children(pid):
        found = []
        for path in glob.glob(f"/proc/{pid}/task/*/children"):
            with open(path, encoding="ascii") as file:
                found += file.read().split()
        return found if len(found) == 3 else None


class TheLoad(unittest.TestCase):
    """What bench_load says of backends that do not do as they should."""

    def against(self, serve, *args, **more):
        backend = Backend(serve)
        try:
            return load(backend.port, *args, **more)
        finally:
            backend.stop()

    def right_reply(self, data):
        reply = bytearray(data)
        reply[7] = 2
        reply[28] = 0
        return reply

    def test_takes_a_reply_in_pieces(self):
        def serve(connection, first):
            reply = self.right_reply(read_call(connection, first))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in reply:
                connection.sendall(bytes([byte]))

        _, answer = self.against(serve)
        self.assertEqual(answer["all_calls"], 1, answer)
        self.assertRegex(answer["first_error"], "closed|reset")  # by the next call, if it was there

    def test_a_wrong_byte_anywhere_is_an_error(self):
        size = len(reply_frame(b"x" * 5))
        seqid = range(22, 26)
        for at in range(size):
            def serve(connection, first, at=at):
                reply = self.right_reply(read_call(connection, first))
                self.assertEqual(len(reply), size)
                reply[at] ^= 0x40
                connection.sendall(reply)
                connection.recv(65536)

            with self.subTest(at=at):
                code, answer = self.against(serve, "--payload", "5")
                self.assertEqual((code, answer["errors"], answer["all_calls"]), (1, 1, 0))
                self.assertRegex(answer["first_error"], r"seqid \d+, which no call has"
                                 if at in seqid else f"wrong reply at its byte {at} of {size}")

    def test_a_reply_that_comes_twice_is_an_error(self):
        def serve(connection, first):
            reply = self.right_reply(read_call(connection, first))
            connection.sendall(reply + reply)
            connection.recv(65536)

        code, answer = self.against(serve)
        self.assertEqual((code, answer["all_calls"]), (1, 1))
        self.assertIn("which no call has", answer["first_error"])

    def test_an_end_and_nobody_there_are_errors(self):
        def serve(connection, first):
            connection.sendall(self.right_reply(read_call(connection, first))[:-1])

        code, answer = self.against(serve)
        self.assertEqual((code, answer["errors"]), (1, 1))
        self.assertIn("closed", answer["first_error"])
        backend = Backend(serve)
        backend.stop()
        code, answer = load(backend.port)
        self.assertEqual((code, answer["errors"]), (1, 1))
        self.assertIn("connect", answer["first_error"])

    def test_the_text_of_an_exception_is_shown(self):
        def serve(connection, first):
            text = b"trestle: bind: /thrift/x: nobody"
            read_call(connection, first)
            connection.sendall(call_frame(text, head=b"\x80\x01\x00\x03"))
            connection.recv(65536)

        _, answer = self.against(serve)
        self.assertIn("trestle: bind: /thrift/x: nobody", answer["first_error"])

    def test_at_a_rate_latency_counts_from_the_time_a_call_was_due(self):
        # A backend that serves half of what is due: one call at a time is out, so each takes no
        # longer than the backend does, but those that wait for their turn get later and later.
        def serve(connection, first):
            while True:
                connection.sendall(self.right_reply(read_call(connection, first)))
                first = b""
                time.sleep(0.02)

        code, answer = self.against(serve, "--rate", "100", warmup=0.6)
        self.assertEqual(code, 0, answer)
        self.assertGreaterEqual(answer["p50_us"], 100_000)


class TheEcho(unittest.TestCase):
    def setUp(self):
        self.echo = Program(self, "bench_echo")

    def test_answers_whatever_cuts_the_calls(self):
        calls = b"".join(call_frame(b"p" * size, size) for size in (0, 1, 300))
        replies = b"".join(reply_frame(b"p" * size, size) for size in (0, 1, 300))
        for step in (1, 7, len(calls)):
            with self.subTest(step=step):
                connection = self.echo.connect()
                for at in range(0, len(calls), step):
                    connection.sendall(calls[at:at + step])
                self.assertEqual(read(connection, len(replies)), replies)

    def test_answers_a_client_that_reads_late(self):
        connection = self.echo.connect()
        payload = os.urandom(1_000_000)
        sender = threading.Thread(target=lambda: [connection.sendall(call_frame(payload, i))
                                                  for i in range(20)])
        sender.start()
        for i in range(20):
            right = reply_frame(payload, i)
            self.assertEqual(read(connection, len(right)), right)
        sender.join()

    def test_ends_a_connection_without_calls(self):
        for bad in (b"GET / HTTP/1.1\r\n\r\n", reply_frame(b"x"), b"\0\0\0\1x",
                    call_frame(b"x", name=b"")[:8] + b"\x7f\xff\xff\xff" + b"\0" * 40):
            with self.subTest(bad=bad):
                connection = self.echo.connect()
                connection.sendall(bad)
                self.assertTrue(ends(connection))


if __name__ == "__main__":
    unittest.main()
