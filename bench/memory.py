"""Resident memory of routers: at the start, with idle connections, and after a burst."""

import contextlib
import json
import os
import resource
import socket
import struct
import subprocess
import time

from peers import Echo, Failed, all_peers

CALL = b"\x80\x01\x00\x01" + struct.pack(">i", 10) + b"bench:echo" + struct.pack(">i", 7)
CALL += b"\x0b\x00\x01" + struct.pack(">i", 64) + 64 * b"x" + b"\x00"
CALL = struct.pack(">i", len(CALL)) + CALL
BURST = ["--payload", 65536, "--connections", 500, "--in-flight", 16]
FORM = "{:<12} {:>10} {:>12} {:>13} {:>12} {:>12} {:>12} {:>22}"


def read_exactly(connection, count):
    got = b""
    while len(got) < count:
        more = connection.recv(count - len(got))
        if not more:
            raise Failed("a connection was closed in the middle of a reply")
        got += more
    return got


def call(connection):
    connection.sendall(CALL)
    size, = struct.unpack(">i", read_exactly(connection, 4))
    reply = read_exactly(connection, size)
    if reply[3] != 2 or reply[-65:-1] != 64 * b"x":
        raise Failed(f"a wrong reply: {reply[:300]!r}")


def settled(peer):
    """Its memory once it does not change any more, in KiB; at most three seconds."""
    last = -1
    for _ in range(10):
        now = peer.resident_kib()
        if now == last:
            break
        last = now
        time.sleep(0.3)
    return now


def load(options, peer, args):
    command = [os.path.join(options.bin, "bench_load"), "--port", peer.port, "--warmup", 0,
               "--seconds", options.seconds, *args]
    run = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise Failed(f"{peer.name}: {run.stdout or run.stderr}")
    return json.loads(run.stdout)["calls"]


def of(options, peer):
    start = settled(peer)
    with contextlib.ExitStack() as closing:
        idle = [closing.enter_context(socket.create_connection(("127.0.0.1", peer.port)))
                for _ in range(options.idle)]
        silent = settled(peer)
        for connection in idle:
            call(connection)
        called = settled(peer)
    closed = settled(peer)
    load(options, peer, BURST)
    burst = settled(peer)
    load(options, peer, BURST)
    again = settled(peer)
    each = [f"{(kib - start) / options.idle:.2f}" for kib in (silent, called)]
    return FORM.format(peer.name, *(f"{kib / 1024:.1f}" for kib in
                                    (start, silent, called, closed, burst, again)), " / ".join(each))


def raise_bound_of_descriptors(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        if hard not in (resource.RLIM_INFINITY,) and hard < count:
            raise Failed(f"{count} descriptors are needed, ulimit -Hn is {hard}; use a smaller --idle")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def measure(options, folder, closing):
    raise_bound_of_descriptors(2 * options.idle if options.idle < 500 else options.idle + 2000)
    backend = Echo("echo", folder)
    closing.callback(backend.stop)
    backend.start(options)
    print(f"# resident memory in MiB; idle: {options.idle} connections")
    print(FORM.format("peer", "start", "idle, silent", "after a call", "idle closed", "after burst",
                      "after second", "KiB/idle connection"))
    for peer in all_peers(options, folder)[1:]:
        closing.callback(peer.stop)
        peer.start(options, backend)
        print(of(options, peer), flush=True)
        peer.stop()
