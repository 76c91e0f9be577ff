"""Programs that a bench starts, and how all of them come to an end."""

import contextlib
import glob
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time

START_SECONDS = 20


class Failed(Exception):
    """Says to the person at the terminal why there are no figures."""


class Signals:
    """SIGTERM and SIGINT end the run and all that it has started: never between the start of a
    program and the moment when somebody knows that it is to be stopped."""

    def __init__(self):
        self.held, self.waiting, self.ending = False, None, False

    def listen(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.on)

    def on(self, number, _frame):
        if self.held:
            self.waiting = number
        elif not self.ending:
            self.ending = True
            sys.exit(128 + number)

    @contextlib.contextmanager
    def hold(self):
        self.held = True
        try:
            yield
        finally:
            self.held = False
            if self.waiting:
                self.on(self.waiting, None)


SIGNALS = Signals()


def free_port():
    """A port that nothing uses, below those that the kernel picks for outgoing connections."""
    while True:
        port = random.randint(15000, 31000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def tail_of(path):
    with open(path, encoding="utf-8", errors="replace") as log:
        return log.read()[-2000:].strip()


class Process:
    """A program that listens on self.port; its log is in the folder of the run."""

    def __init__(self, name, folder):
        self.name, self.folder = name, folder
        self.port = free_port()
        self.log = os.path.join(folder, name.replace("/", "-") + ".log")
        self.process = None

    def launch(self, command):
        # A group of its own: Envoy's launcher has a child, which goes with it.
        with open(self.log, "w", encoding="utf-8") as log, SIGNALS.hold():
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd=self.folder, start_new_session=True)
        deadline = time.monotonic() + START_SECONDS
        while not self.listens():
            self.check()
            if time.monotonic() > deadline:
                raise Failed(f"{self.name} does not listen: {tail_of(self.log)}")
            time.sleep(0.02)

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def check(self):
        if self.process.poll() is not None:
            raise Failed(f"{self.name} ended with {self.process.returncode}: {tail_of(self.log)}")

    def pids(self):
        """The process and what it has started."""
        out = [self.process.pid] if self.process else []
        for pid in out:
            for children in glob.glob(f"/proc/{pid}/task/*/children"):
                with contextlib.suppress(OSError), open(children, encoding="ascii") as children:
                    out += map(int, children.read().split())
        return out

    def cpu_seconds(self):
        ns = 0
        for pid in self.pids():
            for stat in glob.glob(f"/proc/{pid}/task/*/schedstat"):
                with contextlib.suppress(OSError), open(stat, encoding="ascii") as stat:
                    ns += int(stat.read().split()[0])
        return ns / 1e9

    def resident_kib(self):
        kib = 0
        for pid in self.pids():
            with contextlib.suppress(OSError), open(f"/proc/{pid}/status", encoding="ascii") as all:
                kib += sum(int(line.split()[1]) for line in all if line.startswith("VmRSS:"))
        return kib

    def stop(self):
        if not self.process:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(3)
                break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def run(options, measure):
    """Measures in a folder of its own; whatever was started comes to an end."""
    SIGNALS.listen()
    if options.pin is not None:
        os.sched_setaffinity(0, {options.pin})  # inherited by all that is started
    try:
        with contextlib.ExitStack() as closing:
            folder = closing.enter_context(tempfile.TemporaryDirectory(prefix="trestle-bench-"))
            measure(options, folder, closing)
    except Failed as why:
        sys.exit(f"script/bench: {why}")
