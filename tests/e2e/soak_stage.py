"""The stage of the soak: the router, its services and backends, and when each of them was away."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time

from router_process import Router, free_port, program

HERE = os.path.dirname(os.path.abspath(__file__))
# What happened a moment ago counts as the cause of a failure: a file that was put in place is not
# read at once, a server that was started is not connected to at once, and the router may write to a
# connection whose end is on its way. Under a sanitizer, with more threads than cores, all of that
# takes longer.
SETTLES = 4.0 if re.search(r"build-(asan|tsan)", os.environ.get("TRESTLE_BIN", "")) else 1.0
# Of the services that have a bound on the time of a call; who freezes does so for longer.
TIME = 2.0
# The router counts from the begin of the turn in which it read the call, and a busy machine may
# have held that up.
EARLY = SETTLES / 4
AGAIN = ["echo", "big", "declared", "application"]


class Backend:
    def __init__(self, words):
        self.words, self.port, self.process = words, free_port(), None

    def start(self):
        if "apache" in self.words:
            command = [program("user_server"), "--multiplexed", "--port", str(self.port)]
        else:
            command = [sys.executable, "-B", os.path.join(HERE, "soak_backend.py"), str(self.port),
                       *self.words]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self.process.stdout.readline()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def pause(self, paused):
        self.process.send_signal(signal.SIGSTOP if paused else signal.SIGCONT)


class Service:
    """Some backends behind one name, and the times at which one died or none could serve."""

    def __init__(self, name, words=(), count=3, faults=(), protocols=None, largest=3_000_000,
                 timed=False, again=False, bad=True, others=()):
        """`timed`: its calls may take TIME; `again`: a call that was written is sent again; `bad`:
        bad methods may be called; `others`: the words of each further backend."""
        self.name, self.faults, self.protocols, self.largest = name, faults, protocols, largest
        self.timed, self.again, self.bad = timed, again, bad
        self.backends = [Backend(words) for _ in range(count)] + [Backend(more) for more in others]
        # Calls of many clients are on one connection; who breaks it breaks them all.
        self.shared = any({"mux", "shuffled"} & set(backend.words) for backend in self.backends)
        self.deaths, self.away = [], []  # [begin, end] each

    def explains(self, step, text, start, end, again):
        """Why a call failed at that step between these times, if there is a reason: `died`,
        `nobody` or `late`. `again`: it could have been sent once more."""
        def met(times):
            return any(begin <= end and start <= until + SETTLES for begin, until in times)

        if step in ("reply", "closed") and met(self.deaths) and not again:
            return "died"
        if met(self.away):
            return "nobody"
        # However slow the machine is, not before its time.
        late = end - start >= TIME - EARLY
        if self.timed and (step == "closed" or "TimeoutMs" in text) and late:
            return "late"
        return None


def services():
    return [
        Service("plain", faults=("kill", "pause")),
        Service("buffered", ["buffered"], faults=("kill", "pause"), largest=200_000),
        Service("upgraded", ["ttwitter"], faults=("kill", "pause")),
        Service("refusing", faults=("kill",)),
        Service("muxed", ["shuffled"], faults=("kill", "pause")),
        Service("polite", ["places"], faults=("kill",), largest=100_000),
        Service("flapping", count=4, faults=("flap",)),
        Service("alone", count=1, faults=("outage", "gone")),
        Service("timed", count=2, timed=True),
        Service("total", ["ttwitter"], count=2, timed=True),
        Service("again", faults=("kill",), timed=True, again=True),
        Service("userService", ["apache"], faults=("kill",), protocols=("binary", "old-binary"),
                bad=False),
        Service("mux", ["mux"], 2, faults=("kill", "pause"), others=[["mux", "old"]]),
        # What these two do costs nobody a call, so nothing else is done to them.
        Service("drains", ["mux", "drains"], bad=False),
        Service("nacks", ["mux", "nacks"], 2, bad=False, others=[["mux"]]),
        Service("auto", ["mux"], 2, faults=("kill",), others=[[]]),
    ]


class Stage:
    def __init__(self, chance, workers, memory=None):
        self.chance = chance
        self.services = {service.name: service for service in services()}
        pool = {"idleTimeMs": 1000}
        # A machine that is busy may keep a backend from answering for long.
        mux = {"protocol": "thriftmux", "mux": {"maxFragmentBytes": 65_536, "pingIntervalMs": 500,
                                                "pingTimeoutMs": 20_000}}
        both = {
            "dtab": "/svc => /#/io.l5d.fs", "bodyIdleTimeoutMs": 5000,
            "client": {"kind": "io.l5d.static", "configs": [
                # Faults come by the second, so what is lost for want of retries would say little.
                {"prefix": "/", "hostConnectionPool": pool, "requeueBudget": {
                    "minRetriesPerSec": 10000, "percentCanRetry": 1.0, "ttlSecs": 10}},
                {"prefix": "/#/io.l5d.fs/buffered", "thriftFramed": False},
                {"prefix": "/#/io.l5d.fs/upgraded", "attemptTTwitterUpgrade": True},
                {"prefix": "/#/io.l5d.fs/refusing", "attemptTTwitterUpgrade": True},
                {"prefix": "/#/io.l5d.fs/muxed", "hostConnectionPool": {**pool, "maxInFlight": 8}},
                # Two places in each of three servers, and a share of at least one for each worker.
                {"prefix": "/#/io.l5d.fs/polite",
                 "hostConnectionPool": {"idleTimeMs": 0, "maxSize": 2 * workers}},
                {"prefix": "/#/io.l5d.fs/timed", "requestAttemptTimeoutMs": int(TIME * 1000)},
                {"prefix": "/#/io.l5d.fs/total", "attemptTTwitterUpgrade": True},
                {"prefix": "/#/io.l5d.fs/again", "requestAttemptTimeoutMs": int(TIME * 1000)},
                {"prefix": "/#/io.l5d.fs/mux", **mux},
                {"prefix": "/#/io.l5d.fs/drains", **mux},
                {"prefix": "/#/io.l5d.fs/nacks", **mux},
                {"prefix": "/#/io.l5d.fs/auto", **mux, "protocol": "auto"},
            ]},
            # All of them less than bodyIdleTimeoutMs, as large replies wait behind such calls.
            "service": {"kind": "io.l5d.static", "configs": [
                {"prefix": "/svc/total", "totalTimeoutMs": int(TIME * 1000)},
                {"prefix": "/svc/again", "totalTimeoutMs": int(TIME * 2000),
                 "idempotentMethods": AGAIN},
            ]}}
        self.router = Router([
            {"protocol": "thrift", "label": "soak", "servers": [{}, {}], **both},
            {"protocol": "thriftmux", "label": "soak-mux",
             "servers": [{}, {"mux": {"maxFragmentBytes": 16_384}}], **both},
        ], workers=workers, **({"maxBufferedBytes": memory} if memory else {}))
        self.reloads = 0

    @property
    def thrift_ports(self):
        return self.router.ports[:2]

    @property
    def mux_ports(self):
        return self.router.ports[2:]

    def start(self):
        for service in self.services.values():
            for backend in service.backends:
                backend.start()
            self.list(service, service.backends)
        self.router.start()
        with open(self.router.config_file, encoding="utf-8") as file:
            self.config = json.load(file)

    def stop(self):
        """The router must end well; gives what was wrong."""
        try:
            self.router.stop()
            return []
        except AssertionError as failure:
            return [str(failure)]
        finally:
            for service in self.services.values():
                for backend in service.backends:
                    backend.pause(False)
                    backend.kill()

    def list(self, service, backends):
        self.router.write(service.name, *[backend.port for backend in backends])

    # Faults. Each comes to its end by itself.

    async def kill(self, service):
        """One of several dies and comes back."""
        backend = self.chance.choice(service.backends)
        await self.die(service, backend)
        await asyncio.sleep(self.chance.random())
        await asyncio.to_thread(backend.start)

    async def die(self, service, backend):
        death = [time.monotonic(), float("inf")]
        service.deaths.append(death)
        await asyncio.to_thread(backend.kill)
        death[1] = time.monotonic()

    async def outage(self, service):
        """The only one dies and comes back."""
        away = [time.monotonic(), float("inf")]
        service.away.append(away)
        await self.kill(service)
        away[1] = time.monotonic()

    async def gone(self, service):
        """The file of the name goes and comes back."""
        away = [time.monotonic(), float("inf")]
        service.away.append(away)
        os.unlink(self.router.path(service.name))
        await asyncio.sleep(self.chance.random())
        self.list(service, service.backends)
        away[1] = time.monotonic()

    async def flap(self, service):
        """The file is written again and again; somebody who serves is always in it."""
        for _ in range(self.chance.randint(1, 20)):
            some = self.chance.sample(service.backends,
                                      self.chance.randint(1, len(service.backends)))
            self.list(service, some)
            await asyncio.sleep(self.chance.random() * 0.05)
        self.list(service, service.backends)

    async def pause(self, service):
        """One hangs for a while."""
        backend = self.chance.choice(service.backends)
        backend.pause(True)
        await asyncio.sleep(self.chance.random())
        backend.pause(False)

    async def freeze(self):
        """One whose calls have their time hangs for longer."""
        backend = self.chance.choice(
            [backend for service in self.services.values() if service.timed
             for backend in service.backends])
        backend.pause(True)
        await asyncio.sleep(TIME * (1.2 + self.chance.random()))
        backend.pause(False)

    async def reload(self, good):
        """SIGHUP with a file that changes something, or that is wrong."""
        if good:
            for router in self.config["routers"]:
                router["bindingTimeoutMs"] = self.chance.randint(5000, 10000)
                router["client"]["configs"][0]["connectTimeoutMs"] = self.chance.randint(500, 2000)
                router["dtab"] = f"/unused => /x{self.reloads} ; /svc => /#/io.l5d.fs"
            text = json.dumps(self.config)
        else:
            text = json.dumps({**self.config, "routres": []})
        name = "config/reloads" if good else "config/failed_reloads"
        before = (await asyncio.to_thread(self.router.metrics)).get(name, 0)
        fresh = self.router.config_file + ".fresh"
        with open(fresh, "w", encoding="utf-8") as out:
            out.write(text)
        os.rename(fresh, self.router.config_file)
        self.router.signal(signal.SIGHUP)
        while (await asyncio.to_thread(self.router.metrics)).get(name, 0) == before:
            await asyncio.sleep(0.05)
        self.reloads += 1
