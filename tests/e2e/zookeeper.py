"""A real ZooKeeper, one server or three, as processes of their own; kazoo, which writes what they
hold; and a router that takes names from them."""

import collections
import contextlib
import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from kazoo.client import KazooClient
from kazoo.retry import KazooRetry

from client import PATIENCE, Client
from fake_backend import FakeBackend
from router_process import SOURCE, Router, RouterTest, free_port, until

JAR = "/usr/share/java/zookeeper.jar"
MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
# Small, and without waiting for the disk: no test pulls the plug.
JAVA = ["java", "-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
        "-Dzookeeper.forceSync=no", "-Dzookeeper.preAllocSize=1024"]
PARENT = "/discovery/prod"

logging.getLogger("kazoo").setLevel(logging.CRITICAL)  # that a connection is lost is what we test


# For tests by hand; script/test says it, too.
if "suppressions=" not in os.environ.get("TSAN_OPTIONS", ""):
    os.environ["TSAN_OPTIONS"] = (os.environ.get("TSAN_OPTIONS", "") + " suppressions=" +
                                  os.path.join(SOURCE, "tests", "support", "tsan.supp")).strip()


class Znodes:
    """What is in ZooKeeper, for who is at `self.hosts()`."""

    kazoo = None

    def addresses(self):
        """For the router's configuration."""
        return [{"host": "127.0.0.1", "port": server.port} for server in self.servers]

    def client(self):
        if not self.kazoo:
            hosts = ",".join(f"127.0.0.1:{server.port}" for server in self.servers)
            retry = KazooRetry(max_tries=-1, deadline=PATIENCE, delay=0.05, max_delay=0.2)
            self.kazoo = KazooClient(hosts, timeout=10, connection_retry=retry, command_retry=retry)
            self.kazoo.start(timeout=60)
        return self.kazoo

    def forget_client(self):
        if self.kazoo:
            self.kazoo.stop()
            self.kazoo.close()
            self.kazoo = None

    def add(self, path, port, **more):
        """A member of the set at `path`; gives its znode."""
        return self.put(path + "/member_", self.member(port, **more), sequence=True)

    @staticmethod
    def member(port, host="127.0.0.1", **more):
        """The data of a member."""
        return json.dumps({"serviceEndpoint": {"host": host, "port": port},
                           "additionalEndpoints": {}, "status": "ALIVE", **more})

    def put(self, path, data="", **options):
        return self.again(self.client().create, path, data.encode(), makepath=True, **options)

    def set(self, path, data):
        self.again(self.client().set, path, data.encode())

    def remove(self, path):
        self.again(self.client().delete, path, recursive=True)

    def again(self, call, *arguments, **options):
        """Until the connection holds for so long. A member may be added twice then."""
        return self.client().retry(call, *arguments, **options)


class ZooKeeper(Znodes):
    """One server. `tick`: its unit of time in ms; sessions last from 2 to 20 of them."""

    def __init__(self, tick=200, lines=(), properties=(), number=None):
        self.folder = tempfile.mkdtemp(prefix="trestle-zk-")
        self.port = free_port()
        self.properties = list(properties)
        self.process = None
        self.servers = [self]
        self.config = os.path.join(self.folder, "zoo.cfg")
        data = os.path.join(self.folder, "data")
        os.mkdir(data)
        with open(self.config, "w", encoding="utf-8") as out:
            out.write("\n".join([
                f"tickTime={tick}", f"dataDir={data}", f"clientPort={self.port}",
                "clientPortAddress=127.0.0.1", "admin.enableServer=false", "maxClientCnxns=0",
                "4lw.commands.whitelist=*", *lines, ""]))
        if number:
            with open(os.path.join(data, "myid"), "w", encoding="utf-8") as out:
                out.write(f"{number}\n")

    def launch(self):
        with open(os.path.join(self.folder, "log"), "a", encoding="utf-8") as log:
            self.process = subprocess.Popen([*JAVA, *self.properties, "-cp", JAR, MAIN,
                                             self.config], stdout=log, stderr=log)

    def start(self):
        self.launch()
        until(lambda: self.ended() or self.mode(), "ZooKeeper serves")
        if self.ended():
            with open(os.path.join(self.folder, "log"), encoding="utf-8") as log:
                raise AssertionError(f"ZooKeeper ended: {log.read()[-4000:]}")
        return self

    def ended(self):
        return self.process.poll() is not None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def wipe(self):
        """Takes away what it holds, once it was killed. Who saw it is not let in again."""
        shutil.rmtree(os.path.join(self.folder, "data", "version-2"))
        self.forget_client()

    def pause(self, paused):
        self.process.send_signal(signal.SIGSTOP if paused else signal.SIGCONT)

    def stop(self):
        if self.process and not self.ended():
            self.pause(False)
        self.forget_client()
        if self.process:
            self.kill()
        shutil.rmtree(self.folder)

    # What it says of itself.

    def say(self, word, patience=PATIENCE):
        """Its answer to one of its four-letter words; nothing while it does not serve."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), patience) as connection:
                connection.sendall(word.encode())
                answer = b""
                while more := connection.recv(65536):
                    answer += more
                return answer.decode()
        except OSError:
            return ""

    def mode(self):
        """What it is: standalone, leader, follower, read-only; nothing while it does not serve, and
        it may take a question then that it never answers."""
        found = re.search(r"^Mode: (\S+)$", self.say("srvr", 1), re.M)
        return found and found.group(1)

    def watches(self):
        """How many watches all clients have."""
        lines = dict(line.split("\t") for line in self.say("mntr").splitlines() if "\t" in line)
        return int(lines["zk_watch_count"])

    def watched_data(self):
        """Whose data is watched, and by how many sessions."""
        return collections.Counter(
            path for line in self.say("wchp").splitlines() if line.startswith("/")
            for path in [line.strip()])

    def sessions(self):
        """The sessions that have a connection, but kazoo's: id, and what came in from it."""
        own = (self.kazoo and self.kazoo.client_id or (0,))[0]
        found = re.findall(r"recved=(\d+),.*sid=(0x[0-9a-f]+)", self.say("cons"))
        return {sid: int(received) for received, sid in found if int(sid, 16) != own}


class Ensemble(Znodes):
    """Three servers; two must be there."""

    def __init__(self, lines=(), properties=()):
        lines = [*lines, "initLimit=50", "syncLimit=25"]
        lines += [f"server.{number}=127.0.0.1:{free_port()}:{free_port()}" for number in (1, 2, 3)]
        self.servers = [ZooKeeper(lines=lines, properties=properties, number=number)
                        for number in (1, 2, 3)]

    def start(self):
        for server in self.servers:
            server.launch()
        self.all_serve()
        return self

    def all_serve(self):
        until(lambda: sorted(server.mode() or "" for server in self.servers) ==
              ["follower", "follower", "leader"], "the ensemble serves")

    def leader(self):
        return next((server for server in self.servers if server.mode() == "leader"), None)

    def stop(self):
        for server in self.servers:
            if not server.process or server.ended():
                continue
            server.pause(False)
        self.forget_client()
        for server in self.servers:
            server.stop()


def router_of(namer, dtab, **router):
    """A router with names in files and in ZooKeeper; `namer`: what that one has."""
    made = Router([{"protocol": "thrift", "dtab": dtab, "servers": [{}],
                    "bindingTimeoutMs": 20000, **router}])
    made.config["namers"].append({"kind": "io.l5d.serversets", **namer})
    return made


class ServersetsTest(RouterTest):
    """One ZooKeeper and one router; names are files, and sets in PARENT. Each test has the set
    `self.set`, which is asked for by `self.name`."""

    BACKENDS = ("one", "two", "file")
    DTAB = f"/srv => /#/io.l5d.fs ; /srv => /#/io.l5d.serversets{PARENT} ; /svc => /srv"
    NAMER = {}  # what it has besides
    ROUTER = {}

    @classmethod
    def make_zookeeper(cls):
        return ZooKeeper()

    @classmethod
    def configure(cls):
        cls.zookeeper = cls.make_zookeeper()
        cls.addClassCleanup(cls.zookeeper.stop)
        cls.zookeeper.start()
        cls.servers = {name: cls.backend(FakeBackend(name)) for name in cls.BACKENDS}
        return router_of({"sessionTimeoutMs": 2000, "zkAddrs": cls.zookeeper.addresses(),
                          **cls.NAMER}, cls.DTAB, **cls.ROUTER)

    def setUp(self):
        self.client = Client(self.router.port)
        self.addCleanup(self.client.close)
        self.name = self.id().rpartition(".")[2]
        self.set = f"{PARENT}/{self.name}"

    def add(self, backend, **more):
        return self.zookeeper.add(self.set, self.servers[backend].port, **more)

    def member(self, backend, **more):
        return self.zookeeper.member(self.servers[backend].port, **more)

    def ask(self, name=None):
        """Who answers, or the router's error."""
        return self.client.text(f"{name or self.name}:get").split(" ")[0]

    def settles(self, who, name=None):
        until(lambda: {self.ask(name) for _ in range(4 * len(who))} == set(who), f"{who} answer")

    @contextlib.contextmanager
    def no_call_fails(self, *who):
        """Calls go on all the time, and one of `who` answers each."""
        stopped, good, bad = threading.Event(), collections.Counter(), []

        def call():
            try:
                with Client(self.router.port) as client:
                    while not stopped.is_set():
                        answer = client.text(f"{self.name}:get")
                        if answer.split(" ")[0] in who:
                            good[answer] += 1
                        else:
                            bad.append(answer)
                        time.sleep(0.001)
            except Exception as failure:  # else the thread would end unheard
                bad.append(repr(failure))

        thread = threading.Thread(target=call)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()
        self.assertEqual(bad[:3], [], f"{len(bad)} failed, {sum(good.values())} did not")
        self.assertTrue(good)
