"""The mux server among the soak's backends. It answers in any order, in pieces where asked for.

Words beside mux: drains (says Tdrain after some calls, and ends the session after the last answer),
nacks (now and then a call is not done, but nacked), old (knows Treq, and neither Tinit nor
Tdispatch). Methods as in soak_backend; twice answers once more under a tag that is nobody's. A
context KEY of a call comes back with its reply.
"""

import asyncio
import random
import sys

import mux_wire as mux
import wire
from soak_wire import receive_frame, reset_at_close, result, spoken

KEY = b"io.trestle.soak"
# What it wants to get in one piece.
FRAGMENT = 32_768
NACKS = 0.03


class MuxBackend:
    def __init__(self, words):
        self.words, self.chance = words, random.Random(1)

    async def serve(self, reader, writer):
        session = Session(self.words, self.chance, reader, writer)
        try:
            while True:
                session.take(await receive_frame(reader))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the router closed it, or it was ended here
        except wire.Malformed as failure:
            print(f"the router sent {failure}", file=sys.stderr)  # and its calls are lost
        session.end()


class Session:
    def __init__(self, words, chance, reader, writer):
        self.words, self.chance = words, chance
        self.reader, self.writer = reader, writer
        self.joiner = mux.Joiner()
        self.piece = None  # the largest body that the router wants
        self.calls = {}  # the task of each tag
        self.until_drain = chance.randint(2, 20) if "drains" in words else None
        self.drained = self.ended = False

    def send(self, kind, tag, body=b""):
        if not self.ended:
            self.writer.write(mux.message(kind, tag, body))

    def take(self, frame):
        frame = self.joiner.take(frame)
        if not frame:
            return
        old = "old" in self.words
        if frame.type == mux.OLD_RERR:
            self.send(mux.OLD_RERR, frame.tag, b"what?" if old else frame.body)
        elif frame.type == mux.TINIT:
            self.piece = mux.framer_of(mux.read_init(frame.body)[1])
            self.send(mux.RINIT, frame.tag, mux.init(mux.framer(FRAGMENT)))
        elif frame.type == mux.TPING:
            self.send(mux.RPING, frame.tag)
        elif frame.type == mux.TREQ:
            self.begin(frame.tag, mux.RREQ, [], mux.read_treq(frame.body)[1])
        elif frame.type == mux.TDISPATCH and not old:
            dispatch = mux.read_dispatch(frame.body)
            contexts = [(key, value) for key, value in dispatch.contexts if key == KEY]
            self.begin(frame.tag, mux.RDISPATCH, contexts, dispatch.payload)
        elif frame.type in (mux.TDISCARDED, mux.OLD_TDISCARDED):
            self.discard(mux.read_discarded(frame.body)[0])
        elif frame.type == mux.RDRAIN:
            self.drained = True
            self.end_if_drained()
        else:
            self.send(mux.OLD_RERR, frame.tag, b"no such message")

    def begin(self, tag, kind, contexts, payload):
        """What the router must not do (a call after Rdrain, a tag that is taken) is answered so
        that its client sees it."""
        if self.drained or tag in self.calls:
            self.send(mux.OLD_RERR, tag, b"after Rdrain" if self.drained else b"duplicate tag")
            return
        if self.until_drain is not None:
            self.until_drain -= 1
            if self.until_drain == 0:
                self.send(mux.TDRAIN, 1)
        task = asyncio.create_task(self.answer(tag, kind, contexts, payload))
        self.calls[tag] = task

    def discard(self, tag):
        self.joiner.parts.pop(tag, None)
        task = self.calls.pop(tag, None)
        if task:
            task.cancel()
            self.send(mux.RDISCARDED, tag)
        self.end_if_drained()

    async def answer(self, tag, kind, contexts, payload):
        await asyncio.sleep(self.chance.random() * 0.005)
        status, method, reply = self.status(), "", b""
        if status == mux.OK:
            try:
                message = wire.parse(spoken(payload[0]), payload)
                if message.kind != wire.ONEWAY:
                    method, reply = result(message, spoken(payload[0]))
            except (wire.Malformed, LookupError, TypeError, ValueError) as failure:
                status, reply = mux.ERROR, repr(failure).encode()  # rubbish from a nuisance
        contexts = mux.failure(mux.RETRYABLE | mux.REJECTED) if status == mux.NACK else contexts
        body = mux.reply(status, reply, contexts)
        if kind == mux.RREQ:
            body = bytes([status]) + reply
        if method in ("drop", "half"):
            self.break_off(method, mux.message(kind, tag, body))
            return
        try:
            await self.send_reply(kind, tag, body)
        except OSError:
            return  # the session is no more
        if method == "twice":
            self.send(kind, mux.MAX_TAG - tag, body)
        self.end_if_drained()

    def status(self):
        nacks = "nacks" in self.words and self.chance.random() < NACKS
        return mux.NACK if nacks else mux.OK

    async def send_reply(self, kind, tag, body):
        *pieces, last = mux.pieces(kind, tag, body, self.piece if kind == mux.RDISPATCH else None)
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)  # others may come between
        del self.calls[tag]  # it can be discarded until here
        self.writer.write(last)
        await self.writer.drain()

    def break_off(self, method, message):
        if method == "drop":
            reset_at_close(self.writer)
        else:
            self.writer.write(message[:len(message) // 2])
        self.end()

    def end_if_drained(self):
        """What the router still says is read: a connection closed before that would be reset."""
        if self.drained and not self.calls and not self.ended:
            self.ended = True
            self.writer.write_eof()

    def end(self):
        self.ended = True
        for task in self.calls.values():
            if task is not asyncio.current_task():
                task.cancel()
        self.writer.close()
