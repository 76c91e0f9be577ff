"""A mixed load with random faults for a given time; see script/soak."""

import argparse
import asyncio
import io
import random
import re
import sys
import time

from soak_load import Caller, Nuisance, Tally, WarmUp
from soak_mux_load import MuxCaller, MuxNuisance
from soak_stage import Stage

# What is under way at the end of the load may take so many seconds to end.
ENDS = 120
# When nobody calls any more, the router may hold so much more than at its start (release mode);
# what a burst took is given back within some seconds. During the load, so much beside --memory.
GROWTH = 12_000_000
# What the sessions towards mux backends have seen.
MUX = ("drains", "nacks", "discards", "old_servers", "fragments_received", "fragments_sent")
BAD = ("wrong", "unexplained", "stuck", "lost", "refused")


class Soak:
    def __init__(self, options):
        self.options = options
        self.chance = random.Random(options.seed)
        self.stage = Stage(random.Random(options.seed + 1), options.workers, options.memory)
        self.tally = Tally(short=options.memory is not None)
        self.faults = {}  # how often each kind was made
        self.memory, self.mux = [], dict.fromkeys(MUX, 0)
        self.problems = []

    async def run(self):
        stage, stopped = self.stage, asyncio.Event()
        before = stage.router.descriptors()
        await WarmUp(stage).run()
        watching = asyncio.create_task(self.watch(stopped))
        # A mux client has as many calls as many others.
        callers = [asyncio.create_task(
            (Caller if i % 8 else MuxCaller)(
                stage, self.tally, self.options.seed * 10_000 + i, self.options.large)
            .run(stopped)) for i in range(self.options.connections)]
        nuisances = [asyncio.create_task(self.annoy(stopped, i)) for i in range(4)]
        makers = [asyncio.create_task(self.make_faults(stopped, i)) for i in range(2)]
        makers.append(asyncio.create_task(self.make_freezes(stopped)))
        end = time.monotonic() + self.options.seconds
        while time.monotonic() < end and stage.router.process.poll() is None:
            await asyncio.sleep(0.2)
        stopped.set()
        await self.end_all([*makers, *nuisances, *callers, watching])
        if stage.router.process.poll() is not None:
            self.problems.append(f"the router ended: {stage.router.log()[-4000:]}")
            return
        await self.read_mux()
        await self.check_descriptors(before)
        await self.check_memory()

    async def end_all(self, tasks):
        """Waits for them; one that does not end is a fault, and where it stands is told."""
        done, stuck = await asyncio.wait(tasks, timeout=ENDS)
        for task in done:
            if task.exception():
                self.problems.append(f"the soak itself: {task.exception()!r}")
        for task in stuck:
            place = io.StringIO()
            task.print_stack(file=place)
            self.problems.append("did not end: " + place.getvalue())
        if stuck:
            self.problems.append(f"the router then: {self.stage.router.threads()}")

    async def read_mux(self):
        for name, value in (await asyncio.to_thread(self.stage.router.metrics)).items():
            found = re.fullmatch(r"rt/[\w-]+/client/#/io\.l5d\.fs/\w+/mux/(\w+)", name)
            if found and found[1] in self.mux:
                self.mux[found[1]] += value

    async def check_descriptors(self, before):
        deadline = time.monotonic() + 60
        while (now := self.stage.router.descriptors()) > before and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        self.descriptors = (before, now)
        if now > before:
            self.problems.append(f"descriptors: {before} at the start, {now} at the end")

    async def check_memory(self):
        router = self.stage.router
        if router.is_sanitized():  # its own memory hides the router's
            self.memory.append(router.memory())
            return
        most = max(self.memory)
        if self.options.memory and most > self.memory[0] + self.options.memory + GROWTH:
            self.problems.append(f"memory: {most} bytes with a bound of {self.options.memory}, "
                                 f"and {self.memory[0]} before the load")
        deadline = time.monotonic() + 60
        while router.memory() > self.memory[0] + GROWTH and time.monotonic() < deadline:
            await asyncio.sleep(0.5)
        self.memory.append(router.memory())
        if self.memory[-1] > self.memory[0] + GROWTH:
            self.problems.append(f"memory: {self.memory[-1]} bytes after the load, and "
                                 f"{self.memory[0]} before it")

    async def watch(self, stopped):
        while not stopped.is_set() and self.stage.router.process.poll() is None:
            self.memory.append(self.stage.router.memory())
            await asyncio.sleep(0.5)

    async def annoy(self, stopped, number):
        chance = random.Random(self.options.seed * 100 + number)
        while not stopped.is_set():
            self.count("nuisance")
            try:
                await chance.choice([Nuisance, MuxNuisance])(self.stage, chance).run()
            except (OSError, asyncio.TimeoutError):
                pass
            await asyncio.sleep(chance.random() * 0.2)

    def count(self, kind):
        self.faults[kind] = self.faults.get(kind, 0) + 1

    async def make_faults(self, stopped, number):
        """One of them makes faults of services, the other ones of the router's configuration."""
        stage = self.stage
        while not stopped.is_set():
            await asyncio.sleep(self.chance.random() * (2 if number else 0.5))
            if number:
                good = self.chance.random() < 0.6
                self.count("reload" if good else "bad reload")
                await stage.reload(good)
                continue
            service = self.chance.choice([s for s in stage.services.values() if s.faults])
            kind = self.chance.choice(service.faults)
            self.count(kind)
            await getattr(stage, kind)(service)

    async def make_freezes(self, stopped):
        while not stopped.is_set():
            await asyncio.sleep(self.chance.random() * 4)
            self.count("freeze")
            await self.stage.freeze()

    def report(self):
        counts = self.tally.counts
        self.problems += [f"{counts[kind]} {kind}" for kind in BAD if counts[kind]]
        print(f"seed {self.options.seed}, {self.options.seconds} s, "
              f"{self.options.connections} connections, {self.options.workers} workers")
        print("faults:  " + ", ".join(f"{n} {kind}" for kind, n in sorted(self.faults.items())))
        print("mux:     " + ", ".join(f"{n} {kind}" for kind, n in self.mux.items()))
        order = ["calls", "answered", "oneways", "discarded", "lost: died", "lost: nobody",
                 "lost: late", "lost: no memory", "lost behind it", "refused by a bad backend",
                 *BAD]
        for kind in order:
            print(f"{counts[kind]:9} {kind}")
        if self.memory:
            first, most, last = (f"{value / 1e6:.1f} MB" for value in
                                 (self.memory[0], max(self.memory), self.memory[-1]))
            print(f"memory:  {first} at the start, {most} at most, {last} after the load")
        print(f"descriptors: {self.descriptors[0]} at the start, {self.descriptors[1]} at the end")
        for text in self.tally.faults:
            print("  " + text)
        for text in self.problems:
            print("FAULT: " + text)
        return not self.problems


def main():
    parser = argparse.ArgumentParser(prog="script/soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--connections", type=int, default=40)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--large", type=float, default=0.005,
                        help="the share of calls of up to 3 MB")
    parser.add_argument("--memory", type=int,
                        help="maxBufferedBytes of the router; calls may be refused for it")
    soak = Soak(parser.parse_args())
    soak.descriptors = ("?", "?")
    soak.stage.start()
    try:
        asyncio.run(soak.run())
    finally:
        soak.problems += soak.stage.stop()
    sys.exit(0 if soak.report() else 1)


if __name__ == "__main__":
    main()
