"""Messages over asyncio's streams, in every dialect."""

import asyncio
import struct

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
