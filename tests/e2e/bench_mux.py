"""Mux as bytes, written from the wire format and nothing of ours, for the tests of script/bench."""

import struct

from bench_programs import call_frame, read, reply_frame

# What Finagle sends and answers at the start of a session.
PROBE = bytes.fromhex("0000000f7f00000174696e697420636865636b")
TINIT = bytes.fromhex("0000002a4400000100010000000a6d75782d6672616d6572000000047fffffff"
                      "00000003746c73000000036f6666")
RINIT = TINIT[:4] + b"\xbc" + TINIT[5:]
TRACE = b"com.twitter.finagle.tracing.TraceContext"
RETRIES = b"com.twitter.finagle.Retries"
TREQ, TDISPATCH, RDISPATCH, TPING, RPING, TDISCARDED, RERR = 1, 2, -2, 65, -65, 66, 127
TINIT_TYPE, RINIT_TYPE = 68, -68


def message(kind, tag, body=b""):
    return struct.pack(">Ib", 4 + len(body), kind) + struct.pack(">I", tag)[1:] + body


def text(data):
    return struct.pack(">H", len(data)) + data


def init(*headers, version=1):
    parts = (struct.pack(">I", len(part)) + part for pair in headers for part in pair)
    return struct.pack(">H", version) + b"".join(parts)


def pairs(items):
    return struct.pack(">H", len(items)) + b"".join(text(part) for pair in items for part in pair)


def dispatch(tag, payload, seqid=7, contexts=(), dst=b"", dtab=()):
    head = pairs(contexts) + text(dst) + pairs(dtab)
    return message(TDISPATCH, tag, head + call_frame(payload, seqid)[4:])


def answer(tag, payload, seqid=7):
    return message(RDISPATCH, tag, b"\0\0\0" + reply_frame(payload, seqid)[4:])


def read_message(connection, first=b""):
    """Type, tag and body."""
    data = first + read(connection, 4 - len(first))
    data += read(connection, *struct.unpack(">I", data))
    return struct.unpack(">b", data[4:5])[0], int.from_bytes(data[5:8], "big"), data[8:]


def start(connection, first):
    """The backend's part of a session start, with a client that does what Finagle does."""
    for asked, answered in ((PROBE, PROBE), (TINIT, RINIT)):
        if first + read(connection, len(asked) - len(first)) != asked:
            raise ConnectionError("no session start")
        connection.sendall(answered)
        first = b""


class Call:
    """A Tdispatch, taken apart."""

    def __init__(self, connection):
        kind, self.tag, body = read_message(connection)
        assert kind == TDISPATCH, kind
        self.contexts, at = {}, 2
        for _ in range(struct.unpack(">H", body[:2])[0]):
            key, at = self.take(body, at)
            self.contexts[key], at = self.take(body, at)
        self.dst, at = self.take(body, at)
        self.dentries, = struct.unpack(">H", body[at:at + 2])
        self.payload = body[at + 2:]
        self.seqid, = struct.unpack(">I", self.payload[18:22])
        self.text = self.payload[29:-1]

    @staticmethod
    def take(body, at):
        size, = struct.unpack(">H", body[at:at + 2])
        return body[at + 2:at + 2 + size], at + 2 + size

    def answer(self):
        return answer(self.tag, self.text, self.seqid)
