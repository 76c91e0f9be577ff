"""A backend of the soak as a process of its own, which can be killed: soak_backend.py PORT WORDS.

WORDS are of: buffered, ttwitter, shuffled (answers the calls of a connection in any order), places
(serves two connections at a time), mux and what goes with it (see soak_mux_backend). Methods: echo,
big ("KEY SIZE": argument(KEY, SIZE)), declared, application, drop, half, twice; note is a oneway.
"""

import asyncio
import random
import sys

import wire
from soak_mux_backend import MuxBackend
from soak_wire import Stream, reset_at_close, result


class Backend:
    def __init__(self, words):
        self.words = words
        self.places = asyncio.Semaphore(2 if "places" in words else 100_000)
        self.chance = random.Random(1)

    async def serve(self, reader, writer):
        stream = Stream(reader, writer, "buffered" in self.words)
        async with self.places:
            try:
                while await self.answer(stream, *await stream.receive()):
                    await writer.drain()
            except (OSError, asyncio.IncompleteReadError, wire.Malformed):
                pass
            await stream.close()

    async def answer(self, stream, message, protocol):
        if message.name == wire.UPGRADE:
            known = "ttwitter" in self.words
            stream.send(protocol.message(wire.REPLY if known else wire.EXCEPTION, message.name,
                                         message.seqid, [] if known else [(2, "i32", 1)]))
            stream.upgraded = known
            return True
        if message.kind == wire.ONEWAY:
            return True
        if "shuffled" in self.words:
            delay = self.chance.random() * 0.005
            asyncio.get_running_loop().call_later(delay, self.reply, stream, message, protocol)
            return True
        return self.reply(stream, message, protocol)

    def reply(self, stream, message, protocol):
        """False ends the connection."""
        if stream.writer.is_closing():
            return False
        method, payload = result(message, protocol)
        header = b"\0" if stream.upgraded else b""
        if method == "drop":
            reset_at_close(stream.writer)
            stream.writer.close()
            return False
        if method == "half":
            whole = header + payload
            whole = whole if stream.buffered else wire.frame(whole)
            stream.writer.write(whole[:len(whole) // 2])
            stream.writer.close()
            return False
        # Both in one piece: the second is there before the connection can be used for another call.
        stream.send(payload, header, 2 if method == "twice" else 1)
        return True


async def main(port, words):
    backend = (MuxBackend if "mux" in words else Backend)(words)
    server = await asyncio.start_server(backend.serve, "127.0.0.1", port, limit=1 << 20,
                                        backlog=1024, reuse_address=True)
    print("listening", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2:]))
