"""What the load goes through: nothing, Trestle, Envoy, or any other relay given as a command."""

import contextlib
import glob
import json
import os
import random
import shlex
import shutil
import signal
import socket
import string
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
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


class Echo(Process):
    def start(self, options):
        self.launch([os.path.join(options.bin, "bench_echo"), "--port", str(self.port)])


class Load:
    """The load driver, one run at a time."""

    def __init__(self, options):
        self.program, self.process = os.path.join(options.bin, "bench_load"), None

    def run(self, peer, *args):
        """What it measured. Wrong replies end everything: such a run has no figures."""
        with SIGNALS.hold():
            self.process = subprocess.Popen(
                [self.program, "--port", *map(str, (peer.port, *args))], text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, errors = self.process.communicate()
        try:
            answer = json.loads(out)
        except ValueError:
            raise Failed(f"bench_load ended with {self.process.returncode}: {errors}") from None
        if self.process.returncode != 0 or answer["calls"] == 0:
            why = answer["first_error"] or "none, no reply came"
            raise Failed(f"{peer.name}: {answer['errors']} errors, {answer['calls']} calls; "
                         f"the first error: {why}")
        return answer

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Direct:
    """No router: what the load driver and the backend do by themselves."""

    name, cpu = "direct", False

    def start(self, options, backend):
        self.port = backend.port

    def check(self):
        pass

    def stop(self):
        pass


class Trestle(Process):
    """The router, with names, metrics, timeouts and failure accrual on, as they are by default."""

    cpu = True

    def __init__(self, folder, workers):
        super().__init__("trestle" if workers == 1 else f"trestle/{workers}", folder)
        self.workers = workers

    def start(self, options, backend):
        names = os.path.join(self.folder, "names")
        os.makedirs(names, exist_ok=True)
        with open(os.path.join(names, "bench"), "w", encoding="utf-8") as out:
            out.write(f"127.0.0.1 {backend.port}\n")
        router = {
            "protocol": "thrift", "label": "bench", "dstPrefix": "/thrift",
            "thriftMethodInDst": True,
            "dtab": "/srv => /#/io.l5d.fs ; /thrift/bench => /srv/bench ;",
            "servers": [{"port": self.port, "ip": "127.0.0.1"}],
            "service": {"totalTimeoutMs": 5000}}
        if options.max_in_flight > 1:
            router["client"] = {"hostConnectionPool": {"maxInFlight": options.max_in_flight}}
        config = {"workers": self.workers, "admin": {"port": free_port(), "ip": "127.0.0.1"},
                  "namers": [{"kind": "io.l5d.fs", "rootDir": names}], "routers": [router]}
        path = os.path.join(self.folder, f"trestle-{self.workers}.yaml")
        with open(path, "w", encoding="utf-8") as out:
            json.dump(config, out, indent=2)  # JSON is YAML too
        self.launch([os.path.join(options.bin, "trestle"), path])


class Envoy(Process):
    """Envoy's thrift_proxy, one worker, when `envoy` is on the PATH."""

    cpu = True

    def __init__(self, folder):
        super().__init__("envoy", folder)

    def start(self, _options, backend):
        with open(os.path.join(HERE, "envoy.yaml.in"), encoding="utf-8") as template:
            text = string.Template(template.read())
        path = os.path.join(self.folder, "envoy.yaml")
        with open(path, "w", encoding="utf-8") as out:
            out.write(text.substitute(listen=self.port, backend=backend.port))
        self.launch(["envoy", "-c", path, "--concurrency", "1", "--disable-hot-restart",
                     "-l", "critical"])


class Command(Process):
    """Any other relay: a command with {listen} and {backend} for the two ports."""

    cpu = True

    def __init__(self, folder, name, command):
        super().__init__(name, folder)
        self.command = command

    def start(self, _options, backend):
        self.launch([part.format(listen=self.port, backend=backend.port)
                     for part in shlex.split(self.command)])


def all_peers(options, folder):
    """In the order of the table."""
    peers = [Direct()] + [Trestle(folder, workers) for workers in options.workers]
    peers += [Command(folder, name, command) for name, command in options.also]
    if shutil.which("envoy") and not options.no_envoy:
        peers.append(Envoy(folder))
    return peers
