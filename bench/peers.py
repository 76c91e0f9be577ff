"""What the load goes through: nothing, Trestle, the floor of mux, Envoy, or any other relay given
as a command. Each is between clients and backends that speak framed Thrift or mux."""

import json
import os
import shlex
import shutil
import string
import subprocess

from processes import SIGNALS, Failed, Process, free_port

HERE = os.path.dirname(os.path.abspath(__file__))
DIALECTS = ("framed", "mux")
BRIDGES = (("framed", "framed"), ("mux", "mux"), ("framed", "mux"), ("mux", "framed"))
FLOOR = "floor-mux/mux"


class Echo(Process):
    """The backend of one dialect: what speaks another to it has no answer."""

    def __init__(self, folder, dialect):
        super().__init__(f"echo/{dialect}", folder)
        self.dialect = dialect

    def start(self, options):
        self.launch([os.path.join(options.bin, "bench_echo"), "--port", str(self.port),
                     "--dialect", self.dialect])


class Load:
    """The load driver, one run at a time."""

    def __init__(self, options):
        self.program, self.process = os.path.join(options.bin, "bench_load"), None

    def run(self, peer, *args):
        """What it measured. Wrong replies end everything: such a run has no figures."""
        with SIGNALS.hold():
            self.process = subprocess.Popen(
                [self.program, "--dialect", peer.clients, "--port",
                 *map(str, (peer.port, *args))], text=True,
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

    cpu, workers = False, 1

    def __init__(self, dialect, name="direct"):
        self.name, self.clients, self.backends = name, dialect, dialect

    def start(self, options, backend):
        self.port = backend.port

    def check(self):
        pass

    def stop(self):
        pass


class Relay(Process):
    """Something between clients and backends, whose CPU time counts."""

    cpu, workers = True, 1

    def __init__(self, name, folder, clients="framed", backends="framed"):
        super().__init__(name, folder)
        self.clients, self.backends = clients, backends


class Trestle(Relay):
    """The router, with names, metrics, timeouts and failure accrual on, as they are by default."""

    def __init__(self, name, folder, clients, backends, workers):
        super().__init__(name if workers == 1 else f"{name}/{workers}", folder, clients, backends)
        self.workers = workers

    def start(self, options, backend):
        base = os.path.join(self.folder, self.name.replace("/", "-"))
        names = base + "-names"
        os.makedirs(names, exist_ok=True)
        with open(os.path.join(names, "bench"), "w", encoding="utf-8") as out:
            out.write(f"127.0.0.1 {backend.port}\n")
        config = {"workers": self.workers, "admin": {"port": free_port(), "ip": "127.0.0.1"},
                  "namers": [{"kind": "io.l5d.fs", "rootDir": names}],
                  "routers": [self.router(options)]}
        with open(base + ".yaml", "w", encoding="utf-8") as out:
            json.dump(config, out, indent=2)  # JSON is YAML too
        try:
            self.launch([os.path.join(options.bin, "trestle"), base + ".yaml"])
        except Failed as why:
            raise Failed(f"the router does not start for {self.clients} clients and "
                         f"{self.backends} backends: {why}") from None

    def router(self, options):
        router = {
            "protocol": "thriftmux" if self.clients == "mux" else "thrift",
            "label": "bench", "dstPrefix": "/thrift", "thriftMethodInDst": True,
            "dtab": "/srv => /#/io.l5d.fs ; /thrift/bench => /srv/bench ;",
            "servers": [{"port": self.port, "ip": "127.0.0.1"}],
            "service": {"totalTimeoutMs": 5000}}
        if self.backends == "mux":
            router["client"] = {"kind": "io.l5d.global", "protocol": "thriftmux"}
        elif options.max_in_flight > 1:
            router["client"] = {"hostConnectionPool": {"maxInFlight": options.max_in_flight}}
        return router


class MuxFloor(Relay):
    """The least that a relay of mux can do."""

    def __init__(self, folder):
        super().__init__(FLOOR, folder, "mux", "mux")

    def start(self, options, backend):
        self.launch([os.path.join(options.bin, "bench_mux_floor"), "--port", str(self.port),
                     "--backend", str(backend.port)])


class Envoy(Relay):
    """Envoy's thrift_proxy, one worker, when `envoy` is on the PATH."""

    def __init__(self, folder):
        super().__init__("envoy", folder)

    def start(self, _options, backend):
        path = os.path.join(self.folder, self.name + ".yaml")
        with open(path, "w", encoding="utf-8") as out:
            out.write(string.Template(self.template()).substitute(listen=self.port,
                                                                  backend=backend.port))
        self.launch(["envoy", "-c", path, "--concurrency", "1", "--disable-hot-restart",
                     "-l", "critical"])

    def template(self):
        with open(os.path.join(HERE, "envoy.yaml.in"), encoding="utf-8") as file:
            return file.read()


class Command(Relay):
    """Any other relay: a command with {listen} and {backend} for the two ports."""

    def __init__(self, name, folder, command, clients, backends):
        super().__init__(name, folder, clients, backends)
        self.command = command

    def start(self, _options, backend):
        self.launch([part.format(listen=self.port, backend=backend.port)
                     for part in shlex.split(self.command)])


def of_one_pair(options, folder):
    """What is between --clients and --backends."""
    pair = options.clients, options.backends
    peers = [Direct(pair[0])] if pair[0] == pair[1] else []
    peers += [Trestle("trestle", folder, *pair, workers) for workers in options.workers]
    peers += [MuxFloor(folder)] if pair == ("mux", "mux") else []
    peers += [Command(name, folder, command, *pair) for name, command in options.also]
    if pair == ("framed", "framed") and shutil.which("envoy") and not options.no_envoy:
        peers.append(Envoy(folder))
    return peers


def of_bridges(options, folder):
    """Every pair of dialects, so that the costs of one run stand beside each other."""
    peers = [Direct(dialect, f"direct/{dialect}") for dialect in DIALECTS]
    peers += [Trestle(f"trestle/{clients}-{backends}", folder, clients, backends, workers)
              for workers in options.workers for clients, backends in BRIDGES]
    peers.append(MuxFloor(folder))
    return peers + [Command(name, folder, command, "framed", "framed")
                    for name, command in options.also]


def all_peers(options, folder):
    """In the order of the table."""
    peers = (of_bridges if options.bridges else of_one_pair)(options, folder)
    names = [peer.name for peer in peers]
    for name in options.peers or []:
        if name not in names:
            raise Failed(f"no peer {name}; there are {', '.join(names)}")
    return [peer for peer in peers if not options.peers or peer.name in options.peers]
