"""Mux messages as bytes, and the contexts that travel in them, written from the wire format.

A message is `size:4 type:1 tag:3 body`. Types are given as they are on the wire, signed. Contexts,
headers and dtabs are lists of pairs; keys and values are bytes when they are read.
"""

import struct
from typing import NamedTuple

from wire import Malformed, Reader, as_bytes

TREQ, RREQ = 1, -1
TDISPATCH, RDISPATCH = 2, -2
TDRAIN, RDRAIN = 64, -64
TPING, RPING = 65, -65
TDISCARDED, RDISCARDED = 66, -66
TLEASE = 67
TINIT, RINIT = 68, -68
RERR = -128
# The numbers that Finagle writes for these two; both are read.
OLD_RERR, OLD_TDISCARDED = 127, -62

OK, ERROR, NACK = 0, 1, 2
RETRYABLE, REJECTED, NON_RETRYABLE = 1, 2, 4

MORE = 0x800000  # of a tag: a fragment, more follow
MAX_TAG = 0x7FFFFF
MAX_FRAME = 64 << 20
PROBE = b"tinit check"
FRAMER = b"mux-framer"

TRACE = b"com.twitter.finagle.tracing.TraceContext"
DEADLINE = b"com.twitter.finagle.Deadline"
CLIENT_ID = b"com.twitter.finagle.thrift.ClientIdContext"
RETRIES = b"com.twitter.finagle.Retries"
REQUEST_HEADERS = b"com.twitter.finagle.thrift.Request.headers"
RESPONSE_HEADERS = b"com.twitter.finagle.thrift.Response.headers"
MUX_FAILURE = b"MuxFailure"
HOPS = b"io.trestle.Hops"


class Frame(NamedTuple):
    type: int
    tag: int
    more: bool
    body: bytes


class Dispatch(NamedTuple):
    contexts: list
    dst: bytes
    dtab: list
    payload: bytes


class Reply(NamedTuple):
    status: int
    contexts: list
    payload: bytes


# Frames.


def message(kind, tag, body=b"", more=False):
    tag |= MORE if more else 0
    return struct.pack(">IbBH", len(body) + 4, kind, tag >> 16, tag & 0xFFFF) + body


def pieces(kind, tag, body, size=None):
    """The message in frames whose bodies have at most `size` bytes."""
    size = size or max(len(body), 1)
    cuts = range(0, max(len(body), 1), size)
    return [message(kind, tag, body[at:at + size], at + size < len(body)) for at in cuts]


def read_frame(read):
    """The next frame of a stream; `read(count)` gives just that many bytes."""
    size, kind, high, low = struct.unpack(">IbBH", read(8))
    if not 4 <= size <= MAX_FRAME:
        raise Malformed(f"a mux message of {size} bytes")
    tag = high << 16 | low
    return Frame(kind, tag & MAX_TAG, bool(tag & MORE), read(size - 4))


class Joiner:
    """Puts fragments together, tag by tag: one for each direction of a session."""

    def __init__(self):
        self.parts = {}
        self.fragments = 0

    def take(self, frame):
        """The whole message, None as long as pieces of it lack."""
        if frame.type in (RDISCARDED, RERR, OLD_RERR):
            self.parts.pop(frame.tag, None)  # the message ends before it is whole
        if frame.type not in (TDISPATCH, RDISPATCH):
            if frame.more:
                raise Malformed(f"a fragment of type {frame.type}")
            return frame
        self.fragments += frame.more
        body = self.parts.pop(frame.tag, b"") + frame.body
        if not frame.more:
            return Frame(frame.type, frame.tag, False, body)
        self.parts[frame.tag] = body
        return None


# Bodies.


def text(value, form="H"):
    value = as_bytes(value)
    return struct.pack(">" + form, len(value)) + value


def pairs(entries, form="H"):
    return b"".join(text(key, form) + text(value, form) for key, value in entries)


def read_pairs(reader, count, form="H"):
    return [(reader.take(reader.unpack(form)), reader.take(reader.unpack(form)))
            for _ in range(count)]


def rest(reader):
    return reader.take(len(reader.data) - reader.at)


def dispatch(payload, contexts=(), dst=b"", dtab=()):
    return (struct.pack(">H", len(contexts)) + pairs(contexts) + text(dst) +
            struct.pack(">H", len(dtab)) + pairs(dtab) + payload)


def read_dispatch(body):
    reader = Reader(body)
    contexts = read_pairs(reader, reader.unpack("H"))
    dst = reader.take(reader.unpack("H"))
    dtab = read_pairs(reader, reader.unpack("H"))
    return Dispatch(contexts, dst, dtab, rest(reader))


def reply(status, payload=b"", contexts=()):
    return struct.pack(">BH", status, len(contexts)) + pairs(contexts) + payload


def read_reply(body):
    reader = Reader(body)
    status = reader.unpack("B")
    contexts = read_pairs(reader, reader.unpack("H"))
    return Reply(status, contexts, rest(reader))


def treq(payload, trace=None, flags=None):
    """`trace` is (span, parent, trace)."""
    keys = ([(1, struct.pack(">QQQ", *trace))] if trace else [])
    keys += [] if flags is None else [(2, bytes([flags]))]
    return (bytes([len(keys)]) + b"".join(bytes([key]) + text(value, "B") for key, value in keys) +
            payload)


def read_treq(body):
    reader = Reader(body)
    keys = {reader.unpack("B"): reader.take(reader.unpack("B"))
            for _ in range(reader.unpack("B"))}
    return keys, rest(reader)


def init(headers=(), version=1):
    return struct.pack(">H", version) + pairs(headers, "I")


def read_init(body):
    reader = Reader(body)
    version, headers = reader.unpack("H"), {}
    while reader.at < len(body):
        headers.update(read_pairs(reader, 1, "I"))
    return version, headers


def framer(size):
    return [(FRAMER, struct.pack(">i", size))]


def framer_of(headers):
    """The largest body that the headers ask for, None for any."""
    return struct.unpack(">i", headers[FRAMER])[0] if FRAMER in headers else None


def discarded(tag, why="the caller is gone"):
    return struct.pack(">BH", tag >> 16, tag & 0xFFFF) + as_bytes(why)


def read_discarded(body):
    reader = Reader(body)
    tag = reader.unpack("B") << 16 | reader.unpack("H")
    return tag, rest(reader)


def lease(milliseconds, unit=0):
    return struct.pack(">BQ", unit, milliseconds)


# Values of contexts.


def failure(flags):
    return [(MUX_FAILURE, struct.pack(">Q", flags))]


def failure_of(contexts):
    """The flags of a MuxFailure, None without one."""
    value = dict(contexts).get(MUX_FAILURE)
    return None if value is None else struct.unpack(">Q", value[:8])[0]


class Trace(NamedTuple):
    """A TraceContext. Flags: 1 debug, 2 it is known whether it is sampled, 4 it is."""

    trace: int
    span: int
    parent: int
    flags: int = 0
    high: int | None = None

    def encode(self):
        value = struct.pack(">QQQQ", self.span, self.parent, self.trace, self.flags)
        return value if self.high is None else value + struct.pack(">Q", self.high)


def read_trace(value):
    span, parent, trace, flags, *high = struct.unpack(f">{len(value) // 8}Q", value)
    return Trace(trace, span, parent, flags, *high)


def deadline(timestamp, end):
    """Both in nanoseconds since 1970."""
    return struct.pack(">qq", timestamp, end)


def read_deadline(value):
    return struct.unpack(">qq", value)


def headers(entries):
    """The value of Request.headers and Response.headers."""
    return pairs(entries)


def read_headers(value):
    reader, entries = Reader(value), []
    while reader.at < len(value):
        entries += read_pairs(reader, 1)
    return entries


def hops(count):
    return struct.pack(">I", count)
