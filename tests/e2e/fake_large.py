"""A backend and a client for messages of which neither holds the whole."""

import struct
import threading
import zlib

import wire
from fake_dialects import TTwitterBackend, pattern

BLOCK = pattern(1 << 16)
NAME = "large"


def head(kind, name, seqid, field, size, header=b""):
    """The frame of a message whose one string has `size` bytes, up to that string."""
    envelope = wire.Binary.message(kind, name, seqid)[:-1]
    start = header + envelope + struct.pack(">Bhi", 11, field, size)
    return struct.pack(">i", len(start) + size + 1) + start


def blocks(size):
    """The string."""
    for at in range(0, size, len(BLOCK)):
        yield BLOCK[:min(len(BLOCK), size - at)]


def check(size):
    sum_ = 0
    for block in blocks(size):
        sum_ = zlib.crc32(block, sum_)
    return f"{size} {sum_}".encode()


def send_large(socket, kind, seqid, size, field=1, header=b"", name=NAME, upto=None):
    """Sends a large message, or the first `upto` bytes of its string."""
    socket.sendall(head(kind, name, seqid, field, size, header))
    left = size if upto is None else upto
    for block in blocks(size):
        if left < len(block):
            socket.sendall(block[:left])
            return
        socket.sendall(block)
        left -= len(block)
    socket.sendall(b"\0")


def read_large(read, length):
    """Reads the rest of a frame: the message's envelope and "SIZE CRC" of its string."""
    reader = wire.StreamReader(read)
    word = reader.unpack("I")
    name = reader.take(reader.unpack("i")).decode()
    seqid = reader.unpack("i")
    kind, field, size = reader.unpack("B"), reader.unpack("h"), reader.unpack("i")
    if kind != 11 or reader.at + size + 1 != length:
        raise wire.Malformed(f"{length} bytes with a string of {size} at {reader.at}")
    sum_, left = 0, size
    while left:
        block = read(min(left, 1 << 20))
        sum_, left = zlib.crc32(block, sum_), left - len(block)
    if read(1) != b"\0":
        raise wire.Malformed("no end of the struct")
    return wire.Message(word & 0xFF, name, seqid, {field: f"{size} {sum_}".encode()}, b"")


class LargeBackend(TTwitterBackend):
    """Answers a call of NAME with size and checksum of its string, and reply("SIZE [UPTO]") with a
    string of so many bytes, of which it sends UPTO."""

    def __init__(self, name, **more):
        self.broken = 0  # frames that broke off
        self.begun = 0  # large frames that began to come
        super().__init__(name, **more)

    def read(self, connection, stream):
        first = stream.read(4)
        if len(first) < 4:
            return None
        length = struct.unpack(">i", first)[0]
        if length > 1 << 20:
            with self.lock:
                self.begun += 1
                self.lock.notify_all()

        def exactly(count):
            data = stream.read(count)
            if len(data) < count:
                with self.lock:
                    self.broken += 1
                    self.lock.notify_all()
                raise wire.Malformed("it broke off")
            return data

        if length < 1 << 20:
            return self.read_from(connection, wire.Reader(exactly(length)))
        if connection in self.upgraded:
            reader = wire.StreamReader(exactly)
            self.headers.append((NAME, self.protocol.read_struct(reader)))
            length -= reader.at
        return read_large(exactly, length)

    def do_large(self, connection, message):
        return self.reply(connection, message, [(0, "string", message.fields[1])])

    def do_reply(self, connection, message):
        size, *upto = (int(number) for number in message.fields[1].split())
        header = b"\0" if connection in self.upgraded else b""
        send_large(connection, wire.REPLY, message.seqid, size, 0, header, message.name,
                   upto[0] if upto else None)
        return not upto or self.stays(connection)

    def stays(self, connection):
        return False


class SilentBackend(LargeBackend):
    """Its replies that break off are followed by silence, not by an end."""

    def stays(self, connection):
        return True


class Sending(threading.Thread):
    """Sends a large message while others work; keeps what went wrong."""

    def __init__(self, *arguments, **more):
        super().__init__(daemon=True)
        self.arguments, self.more, self.failure = arguments, more, None
        self.start()

    def run(self):
        try:
            send_large(*self.arguments, **self.more)
        except OSError as failure:
            self.failure = failure
