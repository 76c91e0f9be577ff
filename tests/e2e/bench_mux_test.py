"""What script/bench runs when clients or backends speak mux, and what its load driver checks."""

import json
import os
import socket
import struct
import sys
import tempfile
import unittest

from bench_mux import (PROBE, RDISPATCH, RERR, RETRIES, RINIT, RINIT_TYPE, RPING, TINIT, TPING,
                       TRACE, Call, answer, init, message, read_message, start)
from bench_programs import Backend, call_frame, load, read, run, run_with
from router_process import program


class TheDriver(unittest.TestCase):
    def runs(self, *args):
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "runs")
            done = run("--rounds", "2", "--seconds", "0.2", "--warmup", "0.1", "--json", file,
                       *args)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(file, encoding="utf-8") as lines:
                return [json.loads(line) for line in lines], done.stdout.splitlines()

    def test_measures_framed_and_mux_in_one_run(self):
        workloads = ["64/2/2", "70000/2/1@100"]
        peers = ["direct/framed", "direct/mux", "trestle/framed-framed", "trestle/mux-mux",
                 "trestle/framed-mux", "trestle/mux-framed", "floor-mux/mux"]
        runs, table = self.runs("--bridges", "--workloads", ",".join(workloads))
        self.assertEqual(sorted((r["workload"], r["peer"], r["round"]) for r in runs),
                         sorted((w, p, n) for w in workloads for p in peers for n in (0, 1)))
        for one in runs:
            self.assertEqual(one["errors"], 0)
            self.assertGreater(one["calls"], 0)
        self.assertEqual({r["peer"]: r["clients"] for r in runs if "direct" in r["peer"]},
                         {"direct/framed": "framed", "direct/mux": "mux"})
        rows = [line.split() for line in table if line[0].isdigit()]
        self.assertEqual([row[:2] for row in rows], [[w, p] for w in workloads for p in peers])
        self.assertRegex(table[1], "cpu/framed +cpu/floor +calls/direct +p50/direct$")
        for _, peer, cpu, *rest in rows:
            self.assertEqual(len(rest), 9, peer)
            of_framed, of_floor, *shares = rest[-4:]
            self.assertEqual(cpu == "-", "direct" in peer)
            for ratio, own in ((of_framed, "trestle/framed-framed"), (of_floor, "floor-mux/mux")):
                self.assertRegex(ratio, "^-$" if "direct" in peer else
                                 r"^1\.00$" if peer == own else r"^\d+\.\d\d$")
            for share in shares:
                self.assertRegex(share, r"^1\.00$" if "direct" in peer else r"^\d+\.\d\d$")

    def test_measures_mux_alone(self):
        runs, table = self.runs("--clients", "mux", "--backends", "mux", "--workloads", "64/3/5",
                                "--peers", "direct,floor-mux/mux")
        self.assertEqual({(r["peer"], r["clients"], r["backends"]) for r in runs},
                         {("direct", "mux", "mux"), ("floor-mux/mux", "mux", "mux")})
        self.assertRegex(table[1], "p999 us +cpu/floor +calls/direct")

    def test_writes_the_configuration_of_every_pair(self):
        client = {"kind": "io.l5d.global", "protocol": "thriftmux"}
        pool = {"hostConnectionPool": {"maxInFlight": 3}}
        for clients, backends, protocol, section in (("framed", "framed", "thrift", pool),
                                                     ("mux", "mux", "thriftmux", client),
                                                     ("framed", "mux", "thrift", client),
                                                     ("mux", "framed", "thriftmux", pool)):
            pair = ["--clients", clients, "--backends", backends, "--peers", "trestle"]
            bridge = ["--bridges", "--peers", f"trestle/{clients}-{backends}"]
            for args in (pair, bridge):
                with self.subTest(args=args):
                    config, told = self.refused_by_a_router(*args, "--max-in-flight", "3")
                    router, = config["routers"]
                    self.assertEqual((router["protocol"], router["client"]), (protocol, section))
                    self.assertIn(f"the router does not start for {clients} clients and "
                                  f"{backends} backends: trestle", told)

    def refused_by_a_router(self, *args):
        """What a router that ends at once was given, and what was told of it."""
        with tempfile.TemporaryDirectory() as folder:
            os.symlink(os.path.abspath(program("bench_echo")), os.path.join(folder, "bench_echo"))
            router = os.path.join(folder, "trestle")
            with open(router, "w", encoding="utf-8") as out:
                out.write(f"#!{sys.executable}\nimport json, sys\n"
                          "print('config:', json.dumps(json.load(open(sys.argv[1]))))\n"
                          "sys.exit(3)\n")
            os.chmod(router, 0o755)
            done = run_with(folder, *args)
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        told, _, config = done.stderr.partition("config: ")
        self.assertIn("ended with 3", told)
        return json.loads(config), told

    def test_says_which_peers_there_are(self):
        for args, told in ((["--clients", "mux"], "there are trestle$"),
                           (["--backends", "mux"], "there are trestle$"),
                           (["--clients", "mux", "--backends", "mux"],
                            "there are direct, trestle, floor-mux/mux$"),
                           (["--bridges", "--workers", "2", "--also", "x={listen} {backend}"],
                            "there are direct/framed, direct/mux, trestle/framed-framed/2, "
                            "trestle/mux-mux/2, trestle/framed-mux/2, trestle/mux-framed/2, "
                            "floor-mux/mux, x$")):
            done = run("--peers", "nobody", *args)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, "no peer nobody; " + told)

    def test_says_what_does_not_go_together(self):
        for args in (["--bridges", "--clients", "mux"], ["--memory", "--bridges"],
                     ["--memory", "--clients", "mux"], ["--clients", "http"]):
            self.assertEqual(run(*args).returncode, 2, args)

    def test_a_relay_that_changes_a_byte_has_no_figures(self):
        # The last byte of what comes back, but for the start of the session.
        relay = ("import socket,socketserver,threading\n"
                 "def move(a,b,change):\n"
                 "  while data := bytearray(a.recv(65536)):\n"
                 "    if change and len(data) > 60: data[-1] ^= 1\n"
                 "    b.sendall(data)\n"
                 "class Relay(socketserver.BaseRequestHandler):\n"
                 "  def handle(self):\n"
                 "    b = socket.create_connection(('127.0.0.1', {backend}))\n"
                 "    threading.Thread(target=move, args=(self.request,b,0), daemon=True).start()\n"
                 "    move(b, self.request, 1)\n"
                 "at = ('127.0.0.1', {listen})\n"
                 "socketserver.ThreadingTCPServer(at, Relay).serve_forever()\n")
        done = run("--rounds", "1", "--seconds", "0.2", "--workloads", "64/1/1", "--clients", "mux",
                   "--backends", "mux", "--peers", "direct,bad",
                   "--also", f'bad={sys.executable} -c "{relay}"')
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"script/bench: bad: \d+ errors")
        self.assertRegex(done.stderr, r"wrong reply at its byte (\d+) of \d+")
        self.assertEqual(done.stdout, "")


class TheLoad(unittest.TestCase):
    """What bench_load does to mux backends, and says of those that do not do as they should."""

    def against(self, serve, *args):
        """`serve` gets a connection whose session has begun, and ends it: so ends the load."""
        def begin(connection, first):
            start(connection, first)
            serve(connection)

        return self.against_all(begin, *args)

    def against_all(self, serve, *args):
        backend = Backend(serve)
        try:
            return load(backend.port, "--dialect", "mux", *args, seconds=20)
        finally:
            backend.stop()

    def test_calls_as_finagle_does(self):
        calls = []

        def serve(connection):
            for _ in range(3):
                calls.append(Call(connection))
                connection.sendall(calls[-1].answer())

        self.against(serve, "--payload", "9")
        traces = set()
        for call in calls:
            self.assertEqual((call.tag, call.dst, call.dentries), (2, b"", 0))
            self.assertEqual(list(call.contexts), [TRACE, RETRIES])
            self.assertEqual(call.contexts[RETRIES], bytes(4))
            trace = call.contexts[TRACE]
            self.assertEqual((len(trace), trace[24:]), (32, bytes(8)))
            self.assertTrue(trace[:8] == trace[8:16] == trace[16:24])
            traces.add(trace)
            self.assertEqual(call.payload, call_frame(call.text, call.seqid)[4:])
            self.assertEqual(len(call.text), 9)
        self.assertEqual(len(traces), 3)

    def test_has_calls_out_by_tags(self):
        tags = []

        def serve(connection):
            calls = {}
            for _ in range(200):
                call = Call(connection)
                calls[call.tag] = call
            tags.append(sorted(calls))
            connection.sendall(b"".join(calls[tag].answer() for tag in (150, 70, 3)))
            tags.append(sorted(Call(connection).tag for _ in range(3)))

        _, told = self.against(serve, "--in-flight", "200", "--payload", "0")
        self.assertEqual(tags, [list(range(2, 202)), [3, 70, 150]])
        self.assertEqual(told["all_calls"], 3)

    def test_at_a_rate_takes_the_lowest_free_tag(self):
        tags = []

        def serve(connection):
            calls = {}
            for _ in range(100):
                call = Call(connection)
                calls[call.tag] = call
            free = (17, 99, 64)
            connection.sendall(b"".join(calls[tag].answer() for tag in free))
            tags.extend(Call(connection).tag for _ in free)

        self.against(serve, "--in-flight", "100", "--payload", "0", "--rate", "2000")
        self.assertEqual(tags, [17, 64, 99])

    def test_takes_pieces_and_answers_pings_between_replies(self):
        order = []

        def serve(connection):
            for tag in (1, 5, 0x7fffff):
                call = Call(connection)
                for data in (message(TPING, tag), call.answer()):
                    for byte in data:
                        connection.sendall(bytes([byte]))
                order.append(read_message(connection))

        _, told = self.against(serve)
        self.assertEqual(order, [(RPING, tag, b"") for tag in (1, 5, 0x7fffff)])
        self.assertEqual(told["all_calls"], 3, told)

    def test_a_wrong_byte_anywhere_is_an_error(self):
        size = len(answer(2, b"x" * 5))
        numbers = {*range(5, 8), *range(size - 17, size - 13)}  # tag and seqid
        for at in range(size):
            def serve(connection, at=at):
                reply = bytearray(Call(connection).answer())
                self.assertEqual(len(reply), size)
                reply[at] ^= 0x40
                connection.sendall(reply)
                connection.recv(65536)

            with self.subTest(at=at):
                code, told = self.against(serve, "--payload", "5")
                self.assertEqual((code, told["errors"], told["all_calls"]), (1, 1, 0))
                self.assertRegex(told["first_error"], r"tag \d+ and seqid \d+, which no call has"
                                 if at in numbers else f"wrong reply at its byte {at} of {size}")

    def test_other_messages_are_errors(self):
        def fragment(call):
            return answer(call.tag | 0x800000, call.text, call.seqid)

        def shaped_as_ping(call):
            return struct.pack(">I", 4) + call.answer()[4:]

        for reply, told in (
                (lambda call: call.answer() * 2, "tag 2 and seqid [0-9]+, which no call has"),
                (fragment, "tag 8388610 "),
                (shaped_as_ping, "wrong reply at its byte 4"),
                (lambda call: message(RDISPATCH, call.tag, b"\2\0\0"), "wrong reply at its byte"),
                (lambda call: message(RDISPATCH, call.tag, b"\1\0\0bind: nobody"), "bind: nobody"),
                (lambda call: message(RERR, call.tag, b"not so"), "not so"),
                (lambda call: call.answer()[:-1], "closed")):
            def serve(connection, reply=reply):
                connection.sendall(reply(Call(connection)))
                connection.shutdown(socket.SHUT_WR)
                connection.recv(1 << 20)

            with self.subTest(told=told):
                code, answered = self.against(serve)
                self.assertEqual((code, answered["errors"]), (1, 1))
                self.assertRegex(answered["first_error"], told)

    def test_a_session_that_does_not_start_is_an_error(self):
        framer, tls = (b"mux-framer", b"\x7f\xff\xff\xff"), (b"tls", b"off")

        def rinit(*headers, **more):
            return message(RINIT_TYPE, 1, init(*headers, **more))

        for first, second, told in (
                (b"", b"", "mux probe: the other side closed"),
                (PROBE[:-1], b"", "mux probe: the other side closed"),
                (message(RERR, 1, b"tinit chess"), b"", "mux probe: answered with .*tinit chess"),
                (message(RERR, 2, b"tinit check"), b"", "mux probe: answered with"),
                (b"\0\0\0\3abc", b"", "mux probe: a message of 3 bytes"),
                (b"\x7f\0\0\0abc", b"", "mux probe: a message of 2130706432 bytes"),
                (PROBE, b"", "Tinit: the other side closed"),
                (PROBE, message(RERR, 1, b"no such version"), "Tinit: .*no such version"),
                (PROBE, RINIT[:7] + b"\2" + RINIT[8:], "Tinit: answered with"),
                (PROBE, rinit(framer, tls, version=2), "Rinit: another version"),
                (PROBE, message(RINIT_TYPE, 1, b"\0"), "Rinit: another version"),
                (PROBE, rinit((b"mux-framer", b"\0\0\0\x40")), "Rinit: fragments"),
                (PROBE, rinit((b"mux-framer", b"\x7f")), "Rinit: fragments"),
                (PROBE, rinit(framer, (b"tls", b"required")), "Rinit: TLS"),
                (PROBE, message(RINIT_TYPE, 1, init(framer)[:-1]), "Rinit: a bad header")):
            def serve(connection, one, first=first, second=second):
                read(connection, len(PROBE) - len(one))
                connection.sendall(first)
                if second:
                    read(connection, len(TINIT))
                    connection.sendall(second)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(100)

            with self.subTest(told=told):
                code, answered = self.against_all(serve)
                self.assertEqual((code, answered["errors"], answered["all_calls"]), (1, 1, 0))
                self.assertRegex(answered["first_error"], told)

    def test_a_session_starts_whatever_else_is_said(self):
        for headers in ((), ((b"compress", b";"), (b"tls", b"off"), (b"x", b"y" * 5000))):
            def serve(connection, first, headers=headers):
                read(connection, len(PROBE) - len(first))
                for byte in PROBE:
                    connection.sendall(bytes([byte]))
                read(connection, len(TINIT))
                connection.sendall(message(RINIT_TYPE, 1, init(*headers)))
                connection.sendall(Call(connection).answer())

            with self.subTest(headers=headers):
                _, told = self.against_all(serve)
                self.assertEqual(told["all_calls"], 1, told)


if __name__ == "__main__":
    unittest.main()
