"""A Thrift server that does what the method's name says, well or badly.

A method is known by the part of the message name after the colon:
  void declared application bare otherName     the kinds of replies, and names of replies
  echo                                         gives argument 1 back
  hold                                         answers once release(argument 1) was said
  wrongSeqid wrongName wrongType garbage garbageBytes truncated halfFrame hugeFrame emptyFrame
  twice closeBefore resetBefore                what a backend must not do
anything else is answered with the text "NAME MESSAGE-NAME", NAME being the backend's own.
"""

import collections
import json
import socket
import struct
import threading
import time

import wire
from client import PATIENCE


def exactly(stream, count):
    data = stream.read(count)
    if len(data) < count:
        raise wire.Malformed("the end in the middle of a message")
    return data


class FakeBackend:
    def __init__(self, name, protocol=wire.Binary, port=0, buffered=False, places=None):
        """`places`: so many connections are served at one time, the others wait for their turn."""
        self.name, self.protocol, self.buffered = name, protocol, buffered
        self.places = threading.Semaphore(places) if places else None
        self.lock = threading.Condition()
        self.seen = []  # the messages, in order of arrival
        self.released = set()
        self.connections = set()
        self.accepted = 0
        self.running = collections.Counter()  # how many messages of a method wait for their reply
        self.most_running = 0
        self.port = port
        self.listener = None
        self.start()

    def start(self):
        """Listens, at the same port as before if there was one."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(256)
        self.port = listener.getsockname()[1]
        self.listener = listener
        threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def stop(self):
        """Refuses connections and ends those there are."""
        if self.listener:
            # A thread in accept() keeps the socket open; shutdown wakes it.
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None
        with self.lock:
            connections = list(self.connections)
            self.lock.notify_all()
        for connection in connections:
            self.end(connection)

    @staticmethod
    def end(connection):
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it ended by itself

    def accept(self, listener):
        while True:
            if self.places:
                self.places.acquire()
            try:
                connection, _ = listener.accept()
            except OSError:
                if self.places:
                    self.places.release()
                return
            with self.lock:
                self.accepted += 1
                self.connections.add(connection)
                self.lock.notify_all()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        stream = connection.makefile("rb")
        try:
            while message := self.read(connection, stream):
                if not self.answer(connection, message):
                    break
        except (OSError, wire.Malformed):
            pass  # the router ended it, or stop() did; or a test sent arguments that are none
        finally:
            self.end(connection)
            stream.close()
            connection.close()
            if self.places:
                self.places.release()
            with self.lock:
                self.connections.discard(connection)
                self.lock.notify_all()

    def read(self, connection, stream):
        """The next message, None at the end."""
        if self.buffered:
            return self.read_from(connection, wire.StreamReader(lambda n: exactly(stream, n)))
        head = stream.read(4)
        if len(head) < 4:
            return None
        reader = wire.Reader(exactly(stream, struct.unpack(">i", head)[0]))
        message = self.read_from(connection, reader)
        if reader.at != len(reader.data):
            raise wire.Malformed("bytes after the message")
        return message

    def read_from(self, connection, reader):
        return self.protocol.read_message(reader)

    def wrap(self, connection, payload):
        """A message as it goes over this connection."""
        return payload if self.buffered else wire.frame(payload)

    def answer(self, connection, message):
        """False ends the connection."""
        with self.lock:
            self.seen.append(message)
            self.running[message.name] += 1
            self.most_running = max(self.most_running, sum(self.running.values()))
            self.lock.notify_all()
        try:
            method = message.name.split(":")[-1]
            return getattr(self, "do_" + method, self.do_other)(connection, message)
        finally:
            with self.lock:
                self.running[message.name] -= 1

    def reply(self, connection, message, fields, **changed):
        parts = {"kind": wire.REPLY, "name": message.name, "seqid": message.seqid, **changed}
        if message.kind == wire.CALL:
            payload = self.protocol.message(fields=fields, **parts)
            connection.sendall(self.wrap(connection, payload))
        return True

    def text(self, message):
        return [(0, "string", f"{self.name} {message.name}")]

    # What a test waits for.

    def wait(self, condition):
        with self.lock:
            return self.lock.wait_for(condition, PATIENCE)

    def calls(self, method):
        return [message for message in list(self.seen) if message.name.split(":")[-1] == method]

    def wait_calls(self, method, count):
        return self.wait(lambda: len(self.calls(method)) >= count)

    def release(self, argument):
        with self.lock:
            self.released.add(argument.encode())
            self.lock.notify_all()

    # Good answers.

    def do_other(self, connection, message):
        return self.reply(connection, message, self.text(message))

    def do_void(self, connection, message):
        return self.reply(connection, message, [])

    def do_declared(self, connection, message):
        return self.reply(connection, message, [(1, "struct", [(1, "string", "no such user")])])

    def application(self, connection, message, **changed):
        fields = [(1, "string", "Invalid method name"), (2, "i32", wire.UNKNOWN_METHOD)]
        return self.reply(connection, message, fields, kind=wire.EXCEPTION, **changed)

    def do_application(self, connection, message):
        return self.application(connection, message)

    def do_otherName(self, connection, message):
        return self.application(connection, message, name="a name of its own")

    def do_bare(self, connection, message):
        return self.reply(connection, message, self.text(message), name="bare")

    def do_echo(self, connection, message):
        return self.reply(connection, message, [(0, "string", message.fields.get(1, b""))])

    def do_hold(self, connection, message):
        key = message.fields[1]
        deadline = time.monotonic() + PATIENCE
        while key not in self.released:
            if not self.listener or self.peer_left(connection) or time.monotonic() > deadline:
                return False
            with self.lock:
                self.lock.wait(0.01)
        return self.reply(connection, message, [(0, "string", key)])

    @staticmethod
    def peer_left(connection):
        try:
            return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False

    def do_seen(self, connection, message):
        kinds = [[one.kind, one.name] for one in self.seen]
        return self.reply(connection, message, [(0, "string", json.dumps(kinds))])

    # Bad ones.

    def do_wrongSeqid(self, connection, message):
        return self.reply(connection, message, self.text(message), seqid=message.seqid ^ 0x55)

    def do_wrongName(self, connection, message):
        return self.reply(connection, message, self.text(message), name="another")

    def do_wrongType(self, connection, message):
        return self.reply(connection, message, self.text(message), kind=wire.CALL)

    def do_garbage(self, connection, message):
        connection.sendall(wire.frame(b"\xde\xad\xbe\xef" * 8))
        return True

    def do_garbageBytes(self, connection, message):
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        return True

    def do_truncated(self, connection, message):
        payload = self.protocol.message(wire.REPLY, message.name, message.seqid, self.text(message))
        connection.sendall(wire.frame(payload[:8]))
        return True

    def do_halfFrame(self, connection, message):
        payload = self.protocol.message(wire.REPLY, message.name, message.seqid, self.text(message))
        connection.sendall(wire.frame(payload)[:-5])
        return False

    def do_hugeFrame(self, connection, message):
        connection.sendall(b"\x7f\xff\xff\xff")
        return True

    def do_emptyFrame(self, connection, message):
        connection.sendall(wire.frame(b""))
        return True

    def do_twice(self, connection, message):
        self.reply(connection, message, self.text(message))
        return self.reply(connection, message, self.text(message))

    def do_closeBefore(self, connection, message):
        return False

    def do_resetBefore(self, connection, message):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False
