"""Messages over asyncio's streams, in every dialect."""

import asyncio
import io
import socket
import struct

import mux_wire as mux
import wire
from fake_dialects import pattern

PROTOCOLS = {"binary": wire.Binary, "old-binary": wire.OldBinary, "compact": wire.Compact}
BLOCK = pattern(4 << 20)


def spoken(first):
    """The protocol of a message that begins with this byte."""
    return wire.Compact if first == 0x82 else wire.OldBinary  # which reads both binary forms


def of_header(first):
    """The protocol of a TTwitter header: binary begins with a type, compact with an id too."""
    return wire.Compact if first >= 0x10 else wire.OldBinary


class Stream:
    """One connection; `upgraded`: a header (of a request or of a reply) is before each message."""

    def __init__(self, reader, writer, buffered):
        self.reader, self.writer, self.buffered = reader, writer, buffered
        self.upgraded = False
        self.rest = b""

    async def receive(self, protocol=None):
        """The next message and its protocol; asyncio.IncompleteReadError or OSError at the end."""
        if not self.buffered:
            length = struct.unpack(">i", await self.reader.readexactly(4))[0]
            return self.parse(await self.reader.readexactly(length), protocol)[:2]
        while True:
            try:
                if not self.rest:
                    raise wire.Malformed("nothing yet")
                message, protocol, used = self.parse(self.rest, protocol)
                self.rest = self.rest[used:]
                return message, protocol
            except wire.Malformed:
                more = await self.reader.read(1 << 18)
                if not more:
                    raise asyncio.IncompleteReadError(self.rest, None) from None
                self.rest += more

    def parse(self, data, protocol):
        reader = wire.Reader(data)
        if self.upgraded:
            (protocol or of_header(data[0])).read_struct(reader)
            if reader.at >= len(data):
                raise wire.Malformed("no message")
        protocol = protocol or spoken(data[reader.at])
        message = protocol.read_message(reader)
        if not self.buffered and reader.at != len(data):
            raise wire.Malformed("bytes after the message")
        return message, protocol, reader.at

    def send(self, payload, header=b"", times=1):
        payload = header + payload
        self.writer.write((payload if self.buffered else wire.frame(payload)) * times)

    async def close(self):
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            pass


def argument(key, size):
    return f"{key}:".encode() + BLOCK[:size]


def result(message, protocol):
    """The method of a call, and the reply that it is to have."""
    method, text = message.name.split(":")[-1], message.fields.get(1, b"")
    kind, fields = wire.REPLY, [(0, "string", text)]
    if method == "big":
        key, size = text.decode().split()
        fields = [(0, "string", argument(key, int(size)))]
    elif method == "declared":
        fields = [(1, "struct", [(1, "string", text)])]
    elif method == "application":
        kind, fields = wire.EXCEPTION, [(1, "string", text), (2, "i32", 7)]
    return method, protocol.message(kind, message.name, message.seqid, fields)


def reset_at_close(writer):
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                               struct.pack("ii", 1, 0))


async def receive_frame(reader):
    """The next frame of a mux session; asyncio.IncompleteReadError or OSError at the end."""
    head = await reader.readexactly(4)
    size = struct.unpack(">I", head)[0]
    if size > mux.MAX_FRAME:
        raise wire.Malformed(f"a mux message of {size} bytes")
    return mux.read_frame(io.BytesIO(head + await reader.readexactly(size)).read)
