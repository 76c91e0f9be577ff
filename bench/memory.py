"""Resident memory of routers: at the start, with idle connections, and after a burst."""

import contextlib
import resource
import socket
import struct
import time

from peers import Echo, Load, all_peers
from processes import Failed

CALL = b"\x80\x01\x00\x01" + struct.pack(">i", 10) + b"bench:echo" + struct.pack(">i", 7)
CALL += b"\x0b\x00\x01" + struct.pack(">i", 64) + 64 * b"x" + b"\x00"
CALL = struct.pack(">i", len(CALL)) + CALL
BURST = ["--payload", 65536, "--connections", 200, "--in-flight", 8]
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


def of(options, peer, driver):
    start = settled(peer)
    with contextlib.ExitStack() as closing:
        idle = [closing.enter_context(socket.create_connection(("127.0.0.1", peer.port)))
                for _ in range(options.idle)]
        silent = settled(peer)
        for connection in idle:
            call(connection)
        called = settled(peer)
    closed = settled(peer)
    driver.run(peer, "--warmup", 0, "--seconds", options.seconds, *BURST)
    burst = settled(peer)
    driver.run(peer, "--warmup", 0, "--seconds", options.seconds, *BURST)
    again = settled(peer)
    each = [f"{(kib - start) / options.idle:.2f}" for kib in (silent, called)]
    mib = [f"{kib / 1024:.1f}" for kib in (start, silent, called, closed, burst, again)]
    return FORM.format(peer.name, *mib, " / ".join(each))


def raise_bound_of_descriptors(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        if hard not in (resource.RLIM_INFINITY,) and hard < count:
            raise Failed(f"{count} descriptors are needed, ulimit -Hn is {hard}: a smaller --idle")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def measure(options, folder, closing):
    raise_bound_of_descriptors(2 * options.idle if options.idle < 500 else options.idle + 2000)
    driver = Load(options)
    closing.callback(driver.stop)
    backend = Echo(folder, options.backends)
    closing.callback(backend.stop)
    backend.start(options)
    print(f"# resident memory in MiB; idle: {options.idle} connections")
    print(FORM.format("peer", "start", "idle, silent", "after a call", "idle closed", "after burst",
                      "after second", "KiB/idle connection"))
    for peer in (peer for peer in all_peers(options, folder) if peer.cpu):
        closing.callback(peer.stop)
        peer.start(options, backend)
        print(of(options, peer, driver), flush=True)
        peer.stop()
