"""The clients of the soak: those whose calls are checked, and those that are faults themselves."""

import asyncio
import collections
import random
import struct
import time

import wire
from soak_stage import AGAIN
from soak_wire import BLOCK, PROTOCOLS, Stream, argument, reset_at_close

# A call that takes longer has got stuck somewhere.
PATIENCE = 60
METHODS = ["echo"] * 12 + ["big"] * 4 + ["declared", "application", "note", "note"]
BAD_METHODS = ["drop", "half", "twice"]


class Tally:
    """What became of the calls. `short`: of memory, so that some may be refused for that."""

    def __init__(self, short=False):
        self.short = short
        self.counts = collections.Counter()
        self.faults = []  # texts: what must not happen

    def fault(self, kind, text):
        self.counts[kind] += 1
        if len(self.faults) < 50:
            self.faults.append(f"{kind}: {text}")


class Call:
    def __init__(self, service, method, key, size):
        self.service, self.method, self.start = service, method, time.monotonic()
        self.text = argument(key, 0 if method == "big" else size)
        if method == "big":
            self.text = f"{key} {size}".encode()
            self.expected = (wire.REPLY, {0: argument(key, size)})
        elif method == "declared":
            self.expected = (wire.REPLY, {1: {1: self.text}})
        elif method == "application":
            self.expected = (wire.EXCEPTION, {1: self.text, 2: 7})
        else:
            self.expected = (wire.REPLY, {0: self.text})
        self.oneway = method == "note"
        # What is held whole, there and back, may be sent again.
        self.again = service.again and method in AGAIN and size < 60_000
        self.breaks = None
        if method in BAD_METHODS and service.shared:
            # It breaks a connection that has other calls.
            self.breaks = [self.start, float("inf")]
            service.deaths.append(self.breaks)

    def reply_size(self):
        return len(self.expected[1].get(0, b""))

    def end(self):
        if self.breaks:
            self.breaks[1] = time.monotonic()


class WarmUp:
    """Calls everything once by every way, so that the router has what it keeps of each name."""

    def __init__(self, stage):
        self.stage = stage

    async def run(self):
        count = 2 * self.stage.router.config["workers"]
        await asyncio.gather(*[self.call_all(port) for port in self.stage.router.ports
                               for _ in range(count)])

    async def call_all(self, port):
        stream = Stream(*await asyncio.open_connection("127.0.0.1", port), False)
        for seqid, name in enumerate(self.stage.services):
            stream.send(wire.Binary.message(wire.CALL, f"{name}:echo", seqid,
                                            [(1, "string", "warm")]))
            reply, _ = await asyncio.wait_for(stream.receive(wire.Binary), PATIENCE)
            if (reply.seqid, reply.kind, reply.fields) != (seqid, wire.REPLY, {0: b"warm"}):
                raise wire.Malformed(f"{name}, before any fault: {reply}")
        await stream.close()


class Caller:
    """One client at a time, in one dialect, for some batches of calls; then another."""

    def __init__(self, stage, tally, seed, rare):
        self.stage, self.tally, self.rare = stage, tally, rare
        self.chance = random.Random(seed)
        self.seed, self.calls = seed, 0

    async def connect(self, port):
        """A reader and a writer; nothing, after a while, if the router refuses."""
        try:
            return await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        except OSError as failure:
            self.tally.fault("refused", repr(failure))
            await asyncio.sleep(0.1)
            return None

    async def run(self, stopped):
        while not stopped.is_set():
            protocol = PROTOCOLS[self.chance.choice(list(PROTOCOLS))]
            buffered, upgrade = self.chance.random() < 0.3, self.chance.random() < 0.4
            connection = await self.connect(self.chance.choice(self.stage.thrift_ports))
            if not connection:
                continue
            stream = Stream(*connection, buffered)
            try:
                if upgrade:
                    stream.send(protocol.message(wire.CALL, wire.UPGRADE, 0))
                    await stream.receive(protocol)
                    stream.upgraded = True
                for _ in range(self.chance.randint(1, 200)):
                    if stopped.is_set() or not await self.batch(stream, protocol):
                        break
            except (OSError, asyncio.IncompleteReadError, wire.Malformed) as failure:
                if self.tally.short:
                    self.tally.counts["lost: no memory"] += 1
                else:
                    self.tally.fault("lost", f"between calls: {failure!r}")
            await stream.close()

    def pick(self, protocol):
        names = [name for name, service in self.stage.services.items()
                 if not service.protocols or protocol in map(PROTOCOLS.get, service.protocols)]
        service = self.stage.services[self.chance.choice(names)]
        method = "echo" if service.protocols else self.chance.choice(METHODS)
        # Where a bad one explains the loss of others they are few, or it would explain all.
        if service.bad and self.chance.random() < (0.002 if service.shared else 0.01):
            method = self.chance.choice(BAD_METHODS)
        size = int(self.chance.paretovariate(0.7) * 20)
        if self.chance.random() < self.rare:
            size = self.chance.randint(60_000, 3_000_000)
        if method == "twice":
            size = min(size, 1000)
        self.calls += 1
        return Call(service, method, f"{self.seed}/{self.calls}",
                    min(size, service.largest, len(BLOCK)))

    def header(self, stream, protocol, call):
        if not stream.upgraded:
            return b""
        # The service by its own name, or by one that the request's dtab makes.
        dtab = [("/svc/other", "/svc/" + call.service.name)]
        return wire.request_header(protocol, dtab=dtab if self.chance.random() < 0.2 else (),
                                   client_id="soak")

    async def batch(self, stream, protocol):
        """Some calls without waiting, then their replies. False: the connection is no more."""
        calls = [self.pick(protocol) for _ in range(self.chance.choice([1, 1, 1, 2, 8]))]
        for seqid, call in enumerate(calls):
            kind = wire.ONEWAY if call.oneway else wire.CALL
            stream.send(protocol.message(kind, f"{call.service.name}:{call.method}", seqid,
                                         [(1, "string", call.text)]),
                        self.header(stream, protocol, call))
        waiting = [(seqid, call) for seqid, call in enumerate(calls) if not call.oneway]
        self.tally.counts["oneways"] += len(calls) - len(waiting)
        while waiting:
            seqid, call = waiting[0]
            try:
                reply, _ = await asyncio.wait_for(stream.receive(protocol), PATIENCE)
            except asyncio.TimeoutError:
                self.tally.fault("stuck", f"{call.service.name}:{call.method}")
                for _, call in waiting:
                    call.end()
                return False
            except (OSError, asyncio.IncompleteReadError) as failure:
                self.ended(waiting, failure)
                return False
            waiting.pop(0)
            self.check(seqid, call, reply)
        return True

    def check(self, seqid, call, reply):
        self.tally.counts["calls"] += 1
        call.end()
        if reply.seqid != seqid:
            return self.tally.fault("wrong", f"seqid {reply.seqid} for {seqid}")
        if (reply.kind, reply.fields) == call.expected:
            self.tally.counts["answered"] += 1
            return None
        text = reply.fields.get(1, b"")
        if reply.kind != wire.EXCEPTION or not text.startswith(b"trestle: "):
            return self.tally.fault("wrong", f"{call.method} {call.text[:50]}: {str(reply)[:300]}")
        return self.lost(call, text.decode().split(": ")[1], text.decode())

    def ended(self, waiting, failure):
        """The router closed the connection: right if the reply in turn had begun and broke off."""
        self.tally.counts["calls"] += len(waiting)
        for _, call in waiting:
            call.end()
        first = waiting[0][1]
        if isinstance(failure, OSError):
            # A write failed, and replies that were there went with it: which of them had broken off
            # is not known. The largest is the likeliest.
            first = max((call for _, call in waiting), key=Call.reply_size)
        large = first.reply_size() > 30_000
        if first.method == "half" and large:
            self.tally.counts["refused by a bad backend"] += 1
        else:
            behind = [f"{call.service.name}:{call.method}" for _, call in waiting if call != first]
            self.lost(first, "closed", f"{failure!r}, with {behind}")
        # Those behind it were lost with it.
        self.tally.counts["lost behind it"] += len(waiting) - 1

    def lost(self, call, step, text):
        if call.method in BAD_METHODS:
            self.tally.counts["refused by a bad backend"] += 1
            return
        why = call.service.explains(step, text, call.start, time.monotonic(), call.again)
        refused = step in ("closed", "nack") or "maxBufferedBytes" in text
        if why is None and self.tally.short and refused:
            why = "no memory"
        if why is None:
            self.tally.fault("unexplained", f"{call.service.name}:{call.method}: {text}")
        else:
            self.tally.counts["lost: " + why] += 1


class Nuisance:
    """A client that is a fault: it vanishes, sends rubbish or halves, reads slowly or never."""

    ways = ["half", "half", "silent", "rubbish", "slow", "never"]

    def __init__(self, stage, chance):
        self.stage, self.chance = stage, chance

    def message(self, size=50):
        kind = self.chance.choice([wire.Binary, wire.Compact, wire.OldBinary])
        payload = kind.message(wire.CALL, "plain:echo", 1, [(1, "string", argument("no", size))])
        return payload if self.chance.random() < 0.3 else wire.frame(payload)

    def ports(self):
        return self.stage.thrift_ports

    async def run(self):
        reader, writer = await asyncio.open_connection("127.0.0.1",
                                                       self.chance.choice(self.ports()))
        try:
            await getattr(self, self.chance.choice(self.ways))(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            if self.chance.random() < 0.5:
                reset_at_close(writer)
            writer.transport.abort()

    async def half(self, _, writer):
        message = self.message(self.chance.choice([0, 50, 200_000]))
        writer.write(message[:self.chance.randrange(len(message) + 1)])
        await asyncio.wait_for(writer.drain(), 5)

    async def silent(self, reader, writer):
        await self.half(reader, writer)
        await asyncio.sleep(self.chance.random() * 8)

    async def rubbish(self, reader, writer):
        message = bytearray(self.message())
        for _ in range(self.chance.randint(1, 5)):
            message[self.chance.randrange(len(message))] = self.chance.randrange(256)
        writer.write(bytes(message))
        await asyncio.sleep(0.1)

    async def slow(self, reader, writer):
        size = 2_000_000
        writer.write(wire.frame(wire.Binary.message(wire.CALL, "plain:big", 1,
                                                    [(1, "string", f"slow {size}")])))
        rest = struct.unpack(">I", await reader.readexactly(4))[0]  # an exception is a short one
        for _ in range(self.chance.randint(1, 40)):
            more = await reader.read(min(16_384, rest))
            rest -= len(more)
            if not more or not rest:
                return
            await asyncio.sleep(0.05)

    async def never(self, _, writer):
        for i in range(100):
            writer.write(wire.frame(wire.Binary.message(wire.CALL, "plain:big", i,
                                                        [(1, "string", "never 50000")])))
        await asyncio.sleep(self.chance.random() * 3)
