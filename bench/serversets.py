"""What following many serversets costs: a real ZooKeeper with hundreds of sets that are all in use,
some hundred changes a second, and calls meanwhile. Shows the control loop's share of a core, the
memory, and the CPU time per call of the workers with and without the changes."""

import argparse
import contextlib
import glob
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from processes import Failed, Process

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(SOURCE, "tests", "e2e"))
# pylint: disable=wrong-import-position


def parse():
    p = argparse.ArgumentParser(prog="script/bench --serversets", description=__doc__)
    p.add_argument("--sets", type=int, default=500)
    p.add_argument("--members", type=int, default=10, help="of each set (10)")
    p.add_argument("--changes", type=int, default=100, help="a second, over all sets (100)")
    p.add_argument("--seconds", type=float, default=10, help="of a window (10)")
    p.add_argument("--rounds", type=int, default=3, help="windows with and without changes (3)")
    p.add_argument("--bin", default="build/bin", help=argparse.SUPPRESS)
    options = p.parse_args()
    options.bin = os.path.abspath(options.bin)
    os.environ["TRESTLE_BIN"] = options.bin
    return options


def thread_seconds(pid):
    """CPU seconds of each thread, the control loop's by the process's own id."""
    seconds = {}
    for stat in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with contextlib.suppress(OSError), open(stat, encoding="ascii") as file:
            seconds[int(stat.split("/")[4])] = int(file.read().split()[0]) / 1e9
    return seconds


def worker_threads(pid):
    names = {}
    for comm in glob.glob(f"/proc/{pid}/task/*/comm"):
        with contextlib.suppress(OSError), open(comm, encoding="ascii") as file:
            names[int(comm.split("/")[4])] = file.read().strip()
    return [thread for thread, name in names.items() if name.startswith("worker")]


class Changes:
    """Members come, change and go, evenly over the sets, from a thread of its own."""

    turn = 0  # goes on from window to window

    def __init__(self, zookeeper, options):
        self.zookeeper, self.options = zookeeper, options
        self.ending, self.done = threading.Event(), 0
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()

    def run(self):
        kazoo, due = self.zookeeper.client(), time.monotonic()
        while not self.ending.is_set():
            turn = Changes.turn
            path = f"/fleet/set{turn % self.options.sets}/member_extra"
            step = turn // self.options.sets % 3
            if step == 0:
                kazoo.create_async(path, member(turn % 999)).rawlink(self.count)
            elif step == 1:
                kazoo.set_async(path, member(turn % 999)).rawlink(self.count)
            else:
                kazoo.delete_async(path).rawlink(self.count)
            Changes.turn = turn + 1
            due += 1 / self.options.changes
            self.ending.wait(max(0, due - time.monotonic()))

    def count(self, result):
        self.done += result.successful()


def member(number):
    return json.dumps({"serviceEndpoint": {"host": f"127.1.{number // 250}.{number % 250 + 1}",
                                           "port": 9}, "additionalEndpoints": {},
                       "status": "ALIVE", "shard": number}).encode()


def fill(zookeeper, options, port):
    kazoo = zookeeper.client()
    kazoo.ensure_path("/fleet/bench")
    zookeeper.add("/fleet/bench", port)
    waiting = []
    for number in range(options.sets):
        kazoo.ensure_path(f"/fleet/set{number}")
        waiting += [kazoo.create_async(f"/fleet/set{number}/member_{i:010}", member(i))
                    for i in range(options.members)]
    for answer in waiting:
        answer.get()


def load(options, router, seconds):
    """Calls and CPU seconds of the workers, and the share of a core of the control loop."""
    workers = worker_threads(router.process.pid)
    before = thread_seconds(router.process.pid)
    started = time.monotonic()
    done = subprocess.run([os.path.join(options.bin, "bench_load"), "--port", str(router.port),
                           "--name", "bench:echo", "--connections", "4", "--in-flight", "4",
                           "--rate", "5000", "--warmup", "0", "--seconds", str(seconds)],
                          capture_output=True, text=True, check=False)
    took = time.monotonic() - started
    after = thread_seconds(router.process.pid)
    if done.returncode != 0:
        raise Failed(f"bench_load: {done.stdout} {done.stderr}")
    answer = json.loads(done.stdout)

    def spent(threads):
        return sum(after[t] - before.get(t, 0) for t in threads if t in after)
    others = [t for t in after if t not in workers and t != router.process.pid]
    return {"us_per_call": 1e6 * spent(workers) / answer["calls"],
            "control": 100 * spent([router.process.pid]) / took,
            "client_library": 100 * spent(others) / took}


def measure(options, closing):
    from client import Client
    from router_process import Router, until
    from zookeeper import ZooKeeper
    folder = closing.enter_context(tempfile.TemporaryDirectory(prefix="trestle-bench-"))
    echo = Process("echo", folder)
    closing.callback(echo.stop)
    echo.launch([os.path.join(options.bin, "bench_echo"), "--port", str(echo.port)])
    zookeeper = ZooKeeper(tick=2000).start()
    closing.callback(zookeeper.stop)
    fill(zookeeper, options, echo.port)
    router = Router([{"protocol": "thrift", "servers": [{}], "bindingTimeoutMs": 20000,
                      "dtab": "/svc => /#/io.l5d.serversets/fleet"}], workers=1)
    router.config["namers"] = [{"kind": "io.l5d.serversets",
                                "zkAddrs": [{"host": "127.0.0.1", "port": zookeeper.port}]}]
    router.start()
    closing.callback(router.stop)
    mib = 1 << 20
    with Client(router.port) as client:
        client.text("bench:echo")
        small = router.memory()
        for number in range(options.sets):
            client.text(f"set{number}:get")  # each waits until its set was read
    large = router.memory()
    scope = "namer/#/io.l5d.serversets"
    wanted = options.sets * options.members
    until(lambda: router.metric(f"{scope}/members") >= wanted, "all sets are followed")
    print(f"{options.sets} sets with {options.members} members each, all in use; "
          f"memory {small / mib:.1f} MiB with one set, {large / mib:.1f} with all")
    runs = {False: [], True: []}
    for _ in range(options.rounds):
        for changing in (False, True):
            if not changing:
                runs[False].append(load(options, router, options.seconds))
                continue
            with Changes(zookeeper, options) as changes:
                started, before = time.monotonic(), changes.done
                runs[True].append(load(options, router, options.seconds))
                runs[True][-1]["changes"] = ((changes.done - before) /
                                             (time.monotonic() - started))
    for changing, of in runs.items():
        def median(key, of=of):
            return statistics.median(run[key] for run in of)
        rate = f"{median('changes'):5.0f}" if changing else "    0"
        print(f"{rate} changes/s: control loop {median('control'):4.1f} % of a core, threads of "
              f"the ZooKeeper client {median('client_library'):4.1f} %, "
              f"{median('us_per_call'):5.2f} us per call")
    print(f"memory after it {router.memory() / mib:.1f} MiB; watches at the server "
          f"{zookeeper.watches()}")
    counts = {name: router.metric(f"{scope}/{name}") for name in ("changes", "coalesced")}
    print(f"the router counted {counts['changes']} changes, {counts['coalesced']} of them read "
          "together with another")


def main():
    options = parse()
    logging.disable(logging.CRITICAL)  # of kazoo
    try:
        with contextlib.ExitStack() as closing:
            measure(options, closing)
    except Failed as why:
        sys.exit(f"script/bench: {why}")


if __name__ == "__main__":
    main()
