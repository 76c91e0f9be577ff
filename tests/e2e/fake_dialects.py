"""Backends that speak more than plain Thrift, or fail in more ways than by the method's name.

Methods beside those of FakeBackend:
  cut         "N HOW": gives the first N bytes of its reply and ends the connection (HOW: FIN, RST)
  exception   "TYPE": answers with a TApplicationException of that type
  pattern     "N": gives N bytes, pattern(N)
"""

import socket
import struct
import threading

import wire
from fake_backend import FakeBackend


def pattern(count):
    """So many bytes of which no two parts are alike."""
    block = b"".join(struct.pack(">I", i * 2654435761 & 0xFFFFFFFF) for i in range(16384))
    return (block * (count // len(block) + 1))[:count]


def reset_at_close(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class OddBackend(FakeBackend):
    def end(self, connection):
        # shutdown() would send a FIN before the RST.
        try:
            if connection.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER) == 0:
                super().end(connection)
        except OSError:
            pass  # it ended by itself

    def reply_bytes(self, connection, message, fields):
        payload = self.protocol.message(wire.REPLY, message.name, message.seqid, fields)
        return self.wrap(connection, payload)

    def do_cut(self, connection, message):
        cut, how = message.fields[1].decode().split()
        if how == "RST":
            reset_at_close(connection)
        else:  # the end comes in one piece with the bytes
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        whole = self.reply_bytes(connection, message, [(0, "string", "the whole reply")])
        connection.sendall(whole[:int(cut)])
        return False

    def do_exception(self, connection, message):
        fields = [(1, "string", "as the backend wrote it"), (2, "i32", int(message.fields[1]))]
        return self.reply(connection, message, fields, kind=wire.EXCEPTION)

    def do_pattern(self, connection, message):
        return self.reply(connection, message, [(0, "string", pattern(int(message.fields[1])))])


class TTwitterBackend(OddBackend):
    """Knows the upgrade; `probe` is what it does when asked for it: accept, refuse, hangUp, reset,
    silent, garbage, or an exception's type as a number. Keeps the headers it got."""

    def __init__(self, name, protocol=wire.Binary, probe="accept", **more):
        self.probe = probe
        self.probes = 0
        self.headers = []  # (name of the message, RequestHeader as a dict)
        self.upgraded = set()
        super().__init__(name, protocol, **more)

    def read_from(self, connection, reader):
        header = None
        if connection in self.upgraded:
            header = self.protocol.read_struct(reader)
        # What stands before the message is none of its body.
        message = self.protocol.read_message(reader)
        if header is not None:
            with self.lock:
                self.headers.append((message.name, header))
        return message

    def wrap(self, connection, payload):
        return super().wrap(connection, b"\0" + payload if connection in self.upgraded else payload)

    def header_of(self, name):
        """Of the last message with this name."""
        return [header for of, header in list(self.headers) if of == name][-1]

    def answer(self, connection, message):
        if message.name != wire.UPGRADE:
            return super().answer(connection, message)
        with self.lock:
            self.probes += 1
            self.lock.notify_all()
        if isinstance(self.probe, int):
            fields = [(1, "string", "no such method"), (2, "i32", self.probe)]
            return self.reply(connection, message, fields, kind=wire.EXCEPTION)
        return getattr(self, "probe_" + self.probe)(connection, message)

    def probe_accept(self, connection, message):
        self.reply(connection, message, [])
        self.upgraded.add(connection)
        return True

    def probe_refuse(self, connection, message):
        return self.application(connection, message)

    def probe_hangUp(self, connection, message):
        return False

    def probe_reset(self, connection, message):
        reset_at_close(connection)
        return False

    def probe_silent(self, connection, message):
        return True

    def probe_garbage(self, connection, message):
        connection.sendall(wire.frame(b"\xde\xad\xbe\xef" * 8))
        return True


class GatheringBackend(FakeBackend):
    """Waits until `group` calls are on a connection, then answers them all, in order or not."""

    def __init__(self, name, protocol=wire.Binary, group=8, order=1, **more):
        self.group, self.order = group, order  # order -1: the last first
        self.waiting = {}
        super().__init__(name, protocol, **more)

    def held(self):
        """The most calls that wait on one of the connections that there are."""
        with self.lock:
            live = [self.waiting.get(connection, []) for connection in self.connections]
        return max(map(len, live), default=0)

    def do_gather(self, connection, message):
        waiting = self.waiting.setdefault(connection, [])
        waiting.append(message)
        if len(waiting) == self.group:
            replies = []
            for one in waiting[::self.order]:
                fields = [(0, "string", one.fields[1])]
                payload = self.protocol.message(wire.REPLY, one.name, one.seqid, fields)
                replies.append(self.wrap(connection, payload))
            waiting.clear()
            connection.sendall(b"".join(replies))
        return True


class ClosingBackend(FakeBackend):
    """Ends each connection with the first reply: the FIN comes in the same segment."""

    def reply(self, connection, message, fields, **changed):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        super().reply(connection, message, fields, **changed)
        return False


class HangingPort:
    """A port whose backlog is full: connecting to it hangs."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.port = self.listener.getsockname()[1]
        self.fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self.fillers.append(filler)

    def close(self):
        for one in [self.listener, *self.fillers]:
            one.close()


class Load:
    """Threads that call until stopped; each notes what was not answered as it should be."""

    def __init__(self, count, connect, call):
        self.stopped = threading.Event()
        self.calls, self.faults = 0, []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(connect, call, i))
                        for i in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def run(self, connect, call, number):
        with connect() as client:
            i = 0
            while not self.stopped.is_set():
                i += 1
                try:
                    fault = call(client, f"{number}/{i}")
                except Exception as failure:  # told by the test, not by a dying thread
                    fault = repr(failure)
                with self.lock:
                    self.calls += 1
                    if fault:
                        self.faults.append(fault)
                        if "Closed" in fault or len(self.faults) > 1000:
                            return

    def more(self, count):
        """Whether so many calls were made since it was last asked with True for an answer."""
        with self.lock:
            if self.calls < count:
                return False
            self.calls = 0
            return True
