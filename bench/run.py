"""Measures calls without a router, through Trestle and through Envoy, by turns; see --help."""

import argparse
import json
import os
import resource
import sys

import memory
import table
from peers import DIALECTS, Echo, Load, all_peers
from processes import Failed, run

WORKLOADS = "64/1/1,64/16/1,64/128/1,64/16/16,4096/16/1,65536/16/1,64/16/1@5000"
ABOUT = """\
Measures echo calls over framed binary Thrift: `direct` from the load driver to the backend, through
`trestle`, and through `envoy` where that is on the PATH. All of them run at the same time; rounds
take turns in changing order, and each figure is the median of the rounds. Every reply is checked.

With --clients mux or --backends mux, that side speaks ThriftMux as Finagle does. --bridges measures
all four pairs in one run: trestle/mux-framed has mux clients and framed backends, floor-mux/mux is
the least that a relay of mux can do; cpu/framed and cpu/floor are ratios to trestle/framed-framed
and to that.

A workload is BYTES/CONNECTIONS/IN FLIGHT: the size of the payload, connections of the client, calls
on each at the same time. With @RATE, calls are made at that many a second, whatever becomes of
those before, and a latency counts from the time at which its call was due.

cpu us is the CPU time of the router, user and system, for each call: the figure that holds on a
machine where something else runs. Calls a second and latencies do not."""


def workload(text):
    try:
        shape, _, rate = text.partition("@")
        payload, connections, in_flight = map(int, shape.split("/"))
        rate = float(rate or 0)
    except ValueError:
        told = f"'{text}' is not BYTES/CONNECTIONS/IN_FLIGHT[@RATE]"
        raise argparse.ArgumentTypeError(told) from None
    if payload < 0 or connections < 1 or in_flight < 1 or rate < 0:
        raise argparse.ArgumentTypeError(f"'{text}' has a number that is too small")
    return {"text": text, "args": ["--payload", payload, "--connections", connections,
                                   "--in-flight", in_flight, "--rate", rate]}


def list_of(kind):
    return lambda text: [kind(part) for part in text.split(",")]


def named_command(text):
    name, equals, command = text.partition("=")
    if not equals or "{listen}" not in command or "{backend}" not in command:
        told = f"'{text}' is not NAME=COMMAND with {{listen}} and {{backend}}"
        raise argparse.ArgumentTypeError(told)
    return name, command


def parse():
    p = argparse.ArgumentParser(prog="script/bench", description=ABOUT,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=2, help="the counted window of a run (2)")
    p.add_argument("--warmup", type=float, default=0.5, help="seconds before it (0.5)")
    p.add_argument("--workloads", type=list_of(workload), default=WORKLOADS, metavar="LIST",
                   help=WORKLOADS)
    p.add_argument("--workers", type=list_of(int), default=[1], metavar="N[,N]",
                   help="worker threads of trestle; for each number a router of its own (1)")
    p.add_argument("--max-in-flight", type=int, default=1, metavar="N",
                   help="trestle's hostConnectionPool.maxInFlight, with framed backends (1)")
    p.add_argument("--clients", choices=DIALECTS, default="framed", help="what they speak (framed)")
    p.add_argument("--backends", choices=DIALECTS, default="framed", help="the same of backends")
    p.add_argument("--bridges", action="store_true",
                   help="all pairs of the two in one run; --also is between framed ones")
    p.add_argument("--peers", type=list_of(str), metavar="LIST", help="only these, by their names")
    p.add_argument("--pin", type=int, metavar="CORE",
                   help="run everything on this core: the steadiest CPU figures")
    p.add_argument("--threads", type=int, default=1, help="of the load driver (1)")
    p.add_argument("--also", type=named_command, action="append", default=[],
                   metavar="NAME=COMMAND",
                   help="one more relay: its command, with {listen} and {backend} for the ports")
    p.add_argument("--no-envoy", action="store_true")
    p.add_argument("--json", metavar="FILE", help="every run as a line of JSON")
    p.add_argument("--memory", action="store_true",
                   help="resident memory at the start, with idle connections, and after a burst")
    p.add_argument("--idle", type=int, default=10000, metavar="N",
                   help="idle connections for --memory (10000)")
    p.add_argument("--bin", default="build/bin", help=argparse.SUPPRESS)
    options = p.parse_args()
    if options.bridges and "mux" in (options.clients, options.backends):
        p.error("--bridges has all clients and backends; leave out --clients and --backends")
    if options.memory and (options.bridges or options.clients == "mux"):
        p.error("--memory is measured with framed clients only")
    options.bin = os.path.abspath(options.bin)
    return options


class Bench:
    def __init__(self, options, folder, closing):
        self.options = options
        self.driver = Load(options)
        closing.callback(self.driver.stop)
        self.peers = all_peers(options, folder)
        self.backends = {}
        for peer in self.peers:
            if peer.backends not in self.backends:
                backend = self.backends[peer.backends] = Echo(folder, peer.backends)
                closing.callback(backend.stop)
                backend.start(options)
            closing.callback(peer.stop)
            peer.start(options, self.backends[peer.backends])

    def load(self, peer, args, seconds, warmup):
        watch = ["--watch", ",".join(map(str, peer.pids()))] if peer.cpu else []
        ours = [*self.backends.values(), *(p for p in self.peers if hasattr(p, "process"))]
        with OtherWork(ours) as other:
            answer = self.driver.run(peer, "--seconds", seconds, "--warmup", warmup,
                                     "--threads", self.options.threads, *watch, *args)
        self.backends[peer.backends].check()
        peer.check()
        return {**answer, "peer": peer.name, "clients": peer.clients, "backends": peer.backends,
                "other_cores": other.cores}

    def rounds(self):
        """Every run, workload by workload."""
        for shape in self.options.workloads:
            for number in range(self.options.rounds):
                turn = number % len(self.peers)
                for peer in self.peers[turn:] + self.peers[:turn]:
                    yield {"workload": shape["text"], "round": number,
                           **self.load(peer, shape["args"], self.options.seconds,
                                       self.options.warmup)}


class OtherWork:
    """How many cores something else kept busy meanwhile."""

    def __init__(self, ours):
        self.ours, self.cores = ours, 0

    def now(self):
        with open("/proc/stat", encoding="ascii") as stat:
            ticks = [int(part) for part in stat.readline().split()[1:9]]
        busy = (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        ours = children.ru_utime + children.ru_stime + sum(p.cpu_seconds() for p in self.ours)
        return busy - ours, sum(ticks) / os.sysconf("SC_CLK_TCK") / os.cpu_count()

    def __enter__(self):
        self.before = self.now()
        return self

    def __exit__(self, *_):
        now = self.now()
        self.cores = max(0, (now[0] - self.before[0]) / max(0.01, now[1] - self.before[1]))


def measure(options, folder, closing):
    bench = Bench(options, folder, closing)
    out = closing.enter_context(open(options.json, "w", encoding="utf-8")) if options.json else None
    count = len(options.workloads) * len(bench.peers) * options.rounds
    print(f"{count} runs, about {count * (options.seconds + options.warmup + 0.1):.0f} s",
          file=sys.stderr)
    runs = []
    for run in bench.rounds():
        runs.append(run)
        if out:
            print(json.dumps(run), file=out, flush=True)
    table.show(runs, bench.peers, table.ratios(options))


def main():
    options = parse()
    run(options, memory.measure if options.memory else measure)


if __name__ == "__main__":
    main()
