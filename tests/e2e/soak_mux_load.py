"""The mux clients of the soak: those whose calls are checked, and those that are faults."""

import asyncio
import time

import mux_wire as mux
import wire
from soak_load import PATIENCE, Caller, Nuisance
from soak_mux_backend import KEY
from soak_wire import argument, receive_frame

HOUR = 3600 * 10**9


async def ask(reader, writer, kind, body, expected):
    """A question of the session's start, and its answer."""
    writer.write(mux.message(kind, 1, body))
    answer = await asyncio.wait_for(receive_frame(reader), PATIENCE)
    if (answer.type, answer.tag) != (expected, 1):
        raise wire.Malformed(f"the answer to {kind} is {answer}")
    return answer


class Session:
    """One connection with the answers that are awaited on it, by tag."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.joiner = mux.Joiner()
        self.awaited = {}
        self.piece = None  # the largest body that the router wants
        self.ended = None  # why

    async def start(self, handshake, fragment):
        if handshake == "probe":
            await ask(self.reader, self.writer, mux.OLD_RERR, mux.PROBE, mux.OLD_RERR)
        if handshake != "none":
            headers = mux.framer(fragment) if fragment else []
            answer = await ask(self.reader, self.writer, mux.TINIT, mux.init(headers), mux.RINIT)
            self.piece = mux.framer_of(mux.read_init(answer.body)[1])

    async def listen(self):
        try:
            while True:
                frame = self.joiner.take(await receive_frame(self.reader))
                if frame:
                    self.awaited.pop(frame.tag).set_result(frame)
        except KeyError:
            self.end(wire.Malformed(f"type {frame.type} for tag {frame.tag}, which has no call"))
        except (OSError, asyncio.IncompleteReadError, wire.Malformed) as failure:
            self.end(failure)

    def end(self, why):
        self.ended = self.ended or why
        for answer in self.awaited.values():
            answer.set_result(None)
        self.awaited.clear()

    def expect(self, tag):
        answer = asyncio.get_running_loop().create_future()
        self.awaited[tag] = answer
        return answer

    async def send(self, pieces):
        """Others may come between."""
        try:
            for piece in pieces:
                self.writer.write(piece)
                await self.writer.drain()
        except OSError as failure:
            self.end(failure)


class MuxCaller(Caller):
    """One session after the other, each with up to 32 calls at once."""

    async def run(self, stopped):
        while not stopped.is_set():
            connection = await self.connect(self.chance.choice(self.stage.mux_ports))
            if not connection:
                continue
            reader, writer = connection
            session = Session(reader, writer)
            await self.use(session, stopped, writer.get_extra_info("sockname")[1])
            writer.close()

    async def use(self, session, stopped, port):
        try:
            await session.start(self.chance.choice(["probe", "probe", "tinit", "none"]),
                                self.chance.choice([None, 16_384, 100_000]))
        except asyncio.TimeoutError:
            return self.tally.fault("stuck", "the handshake of a mux session")
        except (OSError, asyncio.IncompleteReadError, wire.Malformed) as failure:
            return self.broken(failure, port)
        listening = asyncio.create_task(session.listen())
        count = self.chance.randint(1, 500)
        lanes = self.chance.choice([1, 8, 32])
        await asyncio.gather(*[self.lane(session, stopped, count // lanes + 1)
                               for _ in range(lanes)])
        if session.ended:
            self.broken(session.ended, port)
        session.end("all is done")
        listening.cancel()
        return None

    def broken(self, why, port):
        """Nothing but want of memory lets the router end a session, or break its rules."""
        if isinstance(why, wire.Malformed):
            self.tally.fault("wrong", f"on the mux session from port {port}: {why}")
        elif self.tally.short:
            self.tally.counts["lost: no memory"] += 1
        else:
            self.tally.fault("lost", f"the mux session from port {port}: {why!r}")

    async def lane(self, session, stopped, count):
        """Calls one after the other."""
        for _ in range(count):
            if stopped.is_set() or session.ended:
                return
            await (self.ping if self.chance.random() < 0.02 else self.call)(session)

    def free_tag(self, session, most=mux.MAX_TAG):
        while True:
            tag = self.chance.randint(0, self.chance.choice([100, most]))
            if tag not in session.awaited:
                return tag

    async def answer(self, session, answer, what):
        """What comes in the end, None if the session does not live to see it."""
        await asyncio.wait([answer], timeout=PATIENCE)
        if not answer.done():
            self.tally.fault("stuck", what)
            session.end("stuck")
        return answer.result()

    async def ping(self, session):
        # With a higher tag it is not taken for mux where there was no handshake before it.
        tag = self.free_tag(session, 0xFFFF)
        answer = session.expect(tag)
        await session.send([mux.message(mux.TPING, tag)])
        frame = await self.answer(session, answer, "ping")
        if frame and frame.type != mux.RPING:
            self.tally.fault("wrong", f"{frame} for a ping")

    async def call(self, session):
        protocol = self.chance.choice([wire.Binary, wire.Compact])
        call, tag, seqid = self.pick(protocol), self.free_tag(session), self.chance.getrandbits(31)
        answer = session.expect(tag)
        pieces = mux.pieces(mux.TDISPATCH, tag, self.dispatch(protocol, call, seqid), session.piece)
        discards = self.chance.random() < (0.2 if len(pieces) > 1 else 0.04)
        if discards and len(pieces) > 1 and self.chance.random() < 0.5:
            await self.break_off(session, tag, pieces)
        else:
            await session.send(pieces)
            if discards:
                if self.chance.random() < 0.5:  # else at once
                    await asyncio.wait([answer], timeout=self.chance.random() * 0.005)
                if not answer.done():
                    await session.send([mux.message(mux.OLD_TDISCARDED, 0, mux.discarded(tag))])
            frame = await self.answer(session, answer, f"{call.service.name}:{call.method}")
            self.ended_with(session, frame, call, protocol, seqid, discards)
        call.end()

    def dispatch(self, protocol, call, seqid):
        service, key, dtab = call.service.name, call.text.split(b":")[0], []
        if not call.service.protocols and not call.service.timed and self.chance.random() < 0.2:
            service, dtab = "other", [("/svc/other", "/svc/" + service)]
        contexts = [(KEY, key), (mux.CLIENT_ID, "soak")]
        if self.chance.random() < 0.3:
            contexts.append((mux.TRACE, mux.Trace(seqid + 1, seqid + 2, seqid + 1, 6).encode()))
        if self.chance.random() < 0.3:
            now = time.time_ns()
            contexts.append((mux.DEADLINE, mux.deadline(now, now + HOUR)))
        payload = protocol.message(wire.ONEWAY if call.oneway else wire.CALL,
                                   f"{service}:{call.method}", seqid, [(1, "string", call.text)])
        return mux.dispatch(payload, contexts, dtab=dtab)

    async def break_off(self, session, tag, pieces):
        """Discards a call that is not whole: nothing is answered to that."""
        await session.send(pieces[:self.chance.randrange(1, len(pieces))])
        session.awaited.pop(tag, None)
        await session.send([mux.message(mux.OLD_TDISCARDED, 0, mux.discarded(tag))])
        self.tally.counts["discarded"] += 1

    def ended_with(self, session, frame, call, protocol, seqid, discards):
        call.end()
        if frame and discards and frame.type == mux.RDISCARDED:
            self.tally.counts["discarded"] += 1
            return None
        if call.oneway:
            self.tally.counts["oneways"] += 1
        if not frame:  # it is told once for the session
            self.tally.counts["calls"] += not call.oneway
            self.tally.counts["lost behind it"] += 1
            return None
        try:
            return self.check_frame(frame, call, protocol, seqid)
        except wire.Malformed as failure:
            return self.tally.fault("wrong", f"{call.method} {call.text[:50]}: {failure}")

    def check_frame(self, frame, call, protocol, seqid):
        if frame.type != mux.RDISPATCH:
            return self.tally.fault("wrong", f"{call.method}: {str(frame)[:300]}")
        reply = mux.read_reply(frame.body)
        key = dict(reply.contexts).get(KEY)
        if key not in (None, call.text.split(b":")[0]):
            return self.tally.fault("wrong", f"{call.method} {call.text[:50]}: context {key}")
        if reply.status == mux.OK and not call.oneway:
            return self.check(seqid, call, wire.parse(protocol, reply.payload))
        if reply.status == mux.OK and not reply.payload:
            return None
        self.tally.counts["calls"] += not call.oneway
        if reply.status == mux.NACK:
            return self.lost(call, "nack", f"nack {mux.failure_of(reply.contexts)}")
        text = reply.payload.decode("utf-8", "replace")
        if not text.startswith("trestle: "):
            return self.tally.fault("wrong", f"{call.method} {call.text[:50]}: {text[:300]}")
        return self.lost(call, text.split(": ")[1], text)


class MuxNuisance(Nuisance):
    """A mux client that is a fault: it starts a session well, and then does what it should not."""

    ways = ["half", "half", "rubbish", "never", "discards", "tags"]

    def ports(self):
        return self.stage.mux_ports

    def message(self, size=50, tag=2, method="echo"):
        kind = self.chance.choice([wire.Binary, wire.Compact])
        text = argument("no", size) if method == "echo" else f"no {size}"
        service = self.chance.choice(["plain", "mux", "auto"])
        return mux.message(mux.TDISPATCH, tag, mux.dispatch(kind.message(
            wire.CALL, f"{service}:{method}", 1, [(1, "string", text)]), [(KEY, "no")]))

    async def start(self, reader, writer):
        await ask(reader, writer, mux.OLD_RERR, mux.PROBE, mux.OLD_RERR)
        await ask(reader, writer, mux.TINIT, mux.init(mux.framer(16_384)), mux.RINIT)

    async def half(self, reader, writer):
        await self.start(reader, writer)
        await super().half(reader, writer)

    async def rubbish(self, reader, writer):
        await self.start(reader, writer)
        await super().rubbish(reader, writer)

    async def never(self, reader, writer):
        await self.start(reader, writer)
        writer.write(b"".join(self.message(50_000, tag, "big") for tag in range(2, 100)))
        await asyncio.sleep(self.chance.random() * 3)

    async def discards(self, reader, writer):
        """Everything, at once."""
        await self.start(reader, writer)
        for tag in range(2, self.chance.randint(3, 200)):
            writer.write(self.message(20, tag) +
                         mux.message(mux.OLD_TDISCARDED, 0, mux.discarded(tag)))
            await asyncio.wait_for(writer.drain(), 5)
        await asyncio.sleep(self.chance.random() * 0.1)

    async def tags(self, reader, writer):
        """Many calls, and it is gone."""
        await self.start(reader, writer)
        writer.write(b"".join(self.message(20, tag) for tag in range(2, 200)))
        await asyncio.wait_for(writer.drain(), 5)
        await asyncio.sleep(self.chance.random() * 0.01)
