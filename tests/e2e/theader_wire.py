"""Apache Thrift's header transport as bytes, and a client and a backend that speak it.

A frame is `length:4 0fff flags:2 seqid:4 words:2 header(words * 4) payload`; the header says the
payload's protocol, its transforms, and keys with values.
"""

import struct
import zlib
from typing import NamedTuple

import wire
from client import Client
from fake_backend import exactly
from fake_dialects import OddBackend
from wire import Compact, Malformed, Reader, as_bytes

MAGIC = 0x0FFF
ZLIB = 1
KEYS = 1  # the info block with keys and values
PROTOCOLS = {"binary": 0, "compact": 2}
DTAB, DST = b"l5d-dtab", b"l5d-dst"


class Header(NamedTuple):
    seqid: int
    protocol: int
    transforms: list
    keys: list
    flags: int = 0

    def value(self, key):
        """The last one of this key, None without one."""
        return dict(self.keys).get(as_bytes(key))


def varint(value):
    return Compact.varint(value)


def text(value):
    return varint(len(as_bytes(value))) + as_bytes(value)


def info(keys):
    """An info block with the pairs."""
    return varint(KEYS) + varint(len(keys)) + b"".join(text(k) + text(v) for k, v in keys)


def encode(payload, protocol, seqid, keys=(), times=0, flags=0, more=b"", padding=0):
    """The frame's content, from the magic on. `times`: how often the payload is deflated; `more`:
    bytes behind the keys; `padding`: words of zeros."""
    protocol = PROTOCOLS.get(protocol, protocol)
    for _ in range(times):
        payload = zlib.compress(payload)
    header = varint(protocol) + varint(times) + varint(ZLIB) * times
    header += (info(keys) if keys else b"") + more
    header += b"\0" * (-len(header) % 4 + 4 * padding)
    return struct.pack(">HHiH", MAGIC, flags, seqid, len(header) // 4) + header + payload


def decode(content):
    """The Header, and the payload with its transforms undone."""
    reader = Reader(content)
    magic, flags, seqid = reader.unpack("H"), reader.unpack("H"), reader.unpack("i")
    if magic != MAGIC:
        raise Malformed(f"no THeader: it begins with {magic:04x}")
    header = Reader(reader.take(reader.unpack("H") * 4))
    protocol = Compact.read_varint(header)
    transforms = [Compact.read_varint(header) for _ in range(Compact.read_varint(header))]
    keys = []
    while header.at < len(header.data) and Compact.read_varint(header) == KEYS:
        for _ in range(Compact.read_varint(header)):
            key = header.take(Compact.read_varint(header))
            keys.append((key, header.take(Compact.read_varint(header))))
    payload = reader.take(len(content) - reader.at)
    for transform in reversed(transforms):
        if transform != ZLIB:
            raise Malformed(f"transform {transform}")
        payload = zlib.decompress(payload)
    return Header(seqid, protocol, transforms, keys, flags), payload


class THeaderClient(Client):
    """A Client whose messages have `keys` with them. `times` as in encode()."""

    def __init__(self, port, protocol=wire.Binary, times=0):
        super().__init__(port, protocol)
        self.times = times
        self.header = None  # that of the last reply

    def framed(self, kind, name, seqid, fields=(), header_seqid=None, **header):
        payload = self.protocol.message(kind, name, seqid, fields)
        header_seqid = seqid if header_seqid is None else header_seqid
        header.setdefault("times", self.times)
        return wire.frame(encode(payload, self.protocol.name, header_seqid, **header))

    def receive(self):
        length = struct.unpack(">i", self.receive_bytes(4))[0]
        self.header, payload = decode(self.receive_bytes(length))
        if self.header.protocol != PROTOCOLS[self.protocol.name]:
            raise Malformed(f"protocol {self.header.protocol}")
        message = wire.parse(self.protocol, payload)
        if message.seqid != self.header.seqid:
            raise Malformed(f"seqid {message.seqid} under {self.header.seqid}")
        return message


class THeaderBackend(OddBackend):
    """Takes headers and nothing else, and answers with `reply_keys`. `times`: of its replies."""

    def __init__(self, name, protocol=wire.Binary, port=0, times=0, **more):
        self.times = times
        self.reply_keys = []
        self.headers = []  # (name of the message, Header)
        super().__init__(name, protocol, port, **more)

    def read(self, connection, stream):
        head = stream.read(4)
        if len(head) < 4:
            return None
        header, payload = decode(exactly(stream, struct.unpack(">i", head)[0]))
        if header.protocol != PROTOCOLS[self.protocol.name]:
            raise Malformed(f"protocol {header.protocol}")
        message = wire.parse(self.protocol, payload)
        with self.lock:
            self.headers.append((message.name, header))
        return message

    def wrap(self, connection, payload):
        seqid = self.protocol.read_message(Reader(payload)).seqid
        return wire.frame(encode(payload, self.protocol.name, seqid, self.reply_keys, self.times))

    def header_of(self, name):
        """Of the last message with this name."""
        return [header for of, header in list(self.headers) if of == name][-1]
