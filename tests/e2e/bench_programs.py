"""The programs of script/bench under test, and a backend for them that may do wrong."""

import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading

from router_process import SOURCE, program

RUN = [sys.executable, "-B", os.path.join(SOURCE, "bench", "run.py")]
PATIENCE = 120


def run_with(folder, *args):
    """script/bench with the programs of a folder."""
    return subprocess.run([*RUN, "--bin", folder, "--no-envoy", *args], capture_output=True,
                          text=True, timeout=PATIENCE, check=False)


def run(*args):
    return run_with(os.path.dirname(program("trestle")), *args)


def load(port, *args, warmup=0, seconds=0.6):
    """Exit code and answer of a short run of the load driver."""
    done = subprocess.run([program("bench_load"), "--port", str(port), "--warmup", str(warmup),
                           "--seconds", str(seconds), *args],
                          capture_output=True, text=True, timeout=PATIENCE, check=False)
    return done.returncode, json.loads(done.stdout)


def call_frame(payload, seqid=7, name=b"bench:echo", head=b"\x80\x01\x00\x01", field=b"\x00\x01"):
    message = (head + struct.pack(">i", len(name)) + name + struct.pack(">i", seqid) + b"\x0b" +
               field + struct.pack(">i", len(payload)) + payload + b"\x00")
    return struct.pack(">i", len(message)) + message


def reply_frame(payload, seqid=7, name=b"bench:echo"):
    return call_frame(payload, seqid, name, b"\x80\x01\x00\x02", b"\x00\x00")


class Backend:
    """Accepts one connection after the other and does to it what `serve` says."""

    def __init__(self, serve):
        self.serve, self.listener = serve, socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept)
        self.thread.start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            with connection:
                connection.settimeout(PATIENCE)
                first = connection.recv(1)
                if not first:
                    return
                try:
                    self.serve(connection, first)
                except ConnectionError:
                    pass

    def stop(self):
        socket.create_connection(("127.0.0.1", self.port)).close()
        self.thread.join()
        self.listener.close()


def read_call(connection, first):
    data = first
    while len(data) < 4 or len(data) < 4 + struct.unpack(">i", data[:4])[0]:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError
        data += more
    return data


class Program:
    """A program of bench that says where it listens; gone at the end of the test."""

    def __init__(self, test, name, *args):
        self.process = subprocess.Popen([program(name), *args], stdout=subprocess.PIPE, text=True)
        test.addCleanup(self.stop)
        line = self.process.stdout.readline()
        self.port = int(re.fullmatch(r"listening (\d+)\n", line).group(1))
        self.test = test

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.test.addCleanup(connection.close)
        return connection


def read(connection, count):
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise ConnectionError(f"ended after {data!r}")
        data += more
    return data


def ends(connection):
    """Whether the other side ends it without another word."""
    try:
        return connection.recv(10) == b""
    except ConnectionResetError:
        return True
