"""The mux backend of script/bench and the floor of mux: what they answer."""

import os
import subprocess
import threading
import unittest

from bench_mux import (PROBE, RDISPATCH, RERR, RETRIES, RINIT, RPING, TDISCARDED, TDISPATCH, TINIT,
                       TINIT_TYPE, TPING, TRACE, TREQ, answer, dispatch, message)
from bench_programs import PATIENCE, Program, call_frame, ends, read, reply_frame
from router_process import program


class TheEcho(unittest.TestCase):
    def start(self, dialect):
        return Program(self, "bench_echo", "--dialect", dialect)

    def test_answers_whatever_cuts_the_messages(self):
        short_init = message(TINIT_TYPE, 1, b"\0\1")
        contexts = ((TRACE, bytes(32)), (RETRIES, bytes(4)), (b"", b""))
        asked = (PROBE + short_init + message(TPING, 1) +
                 b"".join(dispatch(2 + size, b"p" * size, size, contexts, b"/svc/x",
                                   ((b"/a", b"/b | /c"), (b"/d", b"~")))
                          for size in (0, 1, 300)) +
                 message(TDISCARDED, 0, b"\0\0\2late") + dispatch(0x7fffff, b"z") +
                 message(TPING, 9))
        right = (PROBE + RINIT + message(RPING, 1) +
                 b"".join(answer(2 + size, b"p" * size, size) for size in (0, 1, 300)) +
                 answer(0x7fffff, b"z") + message(RPING, 9))
        for dialect in ("mux", "auto"):
            echo = self.start(dialect)
            for step in (1, 7, len(asked)):
                with self.subTest(dialect=dialect, step=step):
                    connection = echo.connect()
                    for at in range(0, len(asked), step):
                        connection.sendall(asked[at:at + step])
                    self.assertEqual(read(connection, len(right)), right)

    def test_answers_a_client_that_reads_late(self):
        connection = self.start("mux").connect()
        payload = os.urandom(1_000_000)
        sender = threading.Thread(target=lambda: [connection.sendall(
            dispatch(2 + i, payload, i, ((RETRIES, bytes(4)),))) for i in range(20)])
        sender.start()
        for i in range(20):
            right = answer(2 + i, payload, i)
            self.assertEqual(read(connection, len(right)), right)
        sender.join()

    def test_auto_tells_dialects_apart_by_connection(self):
        echo = self.start("auto")
        framed, mux, early = echo.connect(), echo.connect(), echo.connect()
        mux.sendall(PROBE)
        framed.sendall(call_frame(b"f"))
        early.sendall(dispatch(2, b"m"))  # a session without a start
        for connection, right in ((framed, reply_frame(b"f")), (mux, PROBE),
                                  (early, answer(2, b"m"))):
            self.assertEqual(read(connection, len(right)), right)

    def test_takes_nothing_but_its_dialect(self):
        for dialect, other in (("mux", call_frame(b"x")), ("framed", PROBE)):
            connection = self.start(dialect).connect()
            connection.sendall(other)
            self.assertTrue(ends(connection), dialect)

    def test_ends_a_session_with_what_is_no_call(self):
        echo = self.start("mux")
        call = dispatch(2, b"", contexts=((b"key", b"value"),), dst=b"/d", dtab=((b"/a", b"/b"),))
        body = call[8:]
        cut = [message(TDISPATCH, 2, body[:size]) for size in range(len(body) - 8)]
        oneway = call.replace(b"\x80\x01\x00\x01", b"\x80\x01\x00\x04")
        for bad in (*cut, oneway, b"\0\0\0\3\2\0\0", b"\x7f\0\0\0",
                    message(TDISPATCH, 0x800002, body), message(RDISPATCH, 2, body),
                    message(RERR, 1, b"tinit chess"), message(TINIT_TYPE, 1, b"\0\2"),
                    message(TINIT_TYPE, 1), message(TPING, 1, b"x"),
                    message(TREQ, 2, b"\0" + call_frame(b"x")[4:])):
            with self.subTest(bad=bad):
                connection = echo.connect()
                connection.sendall(bad)
                self.assertTrue(ends(connection))


class TheFloor(unittest.TestCase):
    def setUp(self):
        self.echo = Program(self, "bench_echo", "--dialect", "mux")
        self.floor = Program(self, "bench_mux_floor", "--backend", str(self.echo.port))

    def test_gives_each_client_its_own_replies(self):
        clients = [self.floor.connect() for _ in range(4)]
        for number, client in enumerate(clients):
            client.sendall(PROBE + TINIT + message(TPING, 1) +
                           b"".join(dispatch(tag, b"%d/%d" % (number, tag), tag)
                                    for tag in range(2, 40)))
        for number, client in enumerate(clients):
            right = (PROBE + RINIT + message(RPING, 1) +
                     b"".join(answer(tag, b"%d/%d" % (number, tag), tag) for tag in range(2, 40)))
            self.assertEqual(read(client, len(right)), right)

    def test_goes_on_when_a_client_goes(self):
        gone, stays = self.floor.connect(), self.floor.connect()
        for _ in range(50):
            gone.sendall(dispatch(2, b"g" * 100_000))
        gone.close()
        for tag in range(2, 30):
            stays.sendall(dispatch(tag, b"s" * tag))
            self.assertEqual(read(stays, len(answer(tag, b"s" * tag))), answer(tag, b"s" * tag))

    def test_answers_a_client_that_reads_late(self):
        connection = self.floor.connect()
        payload = os.urandom(1_000_000)
        sender = threading.Thread(target=lambda: [connection.sendall(dispatch(2 + i, payload, i))
                                                  for i in range(20)])
        sender.start()
        for i in range(20):
            right = answer(2 + i, payload, i)
            self.assertEqual(read(connection, len(right)), right)
        sender.join()

    def test_ends_a_client_that_makes_no_sense_and_no_other(self):
        stays = self.floor.connect()
        for bad in (call_frame(b"x"), b"\0\0\0\0", b"\xff\xff\xff\xff"):
            connection = self.floor.connect()
            connection.sendall(bad)
            self.assertTrue(ends(connection))
        stays.sendall(PROBE)
        self.assertEqual(read(stays, len(PROBE)), PROBE)

    def test_needs_a_mux_backend(self):
        framed = Program(self, "bench_echo", "--dialect", "framed")
        done = subprocess.run([program("bench_mux_floor"), "--backend", str(framed.port)],
                              capture_output=True, text=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("mux probe", done.stderr)


if __name__ == "__main__":
    unittest.main()
