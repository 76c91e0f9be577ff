"""The router as a process of its own, with its files, its admin server and its log."""

import copy
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.parse

from client import PATIENCE

BIN = os.environ.get("TRESTLE_BIN", "build/bin")
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GIVEN_PORTS = set()
# Without it the C library makes its time zone anew for each line of the log, under its own lock
# that tsan does not know.
os.environ.setdefault("TZ", "UTC")


def program(name):
    return os.path.join(BIN, name)


def until(condition, what):
    """Asks again until the condition holds, and gives what it gave."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"it did not come to this: {what}")
        time.sleep(0.01)


def free_port():
    """A port that nothing uses, below those that the kernel picks for outgoing connections."""
    while True:
        port = random.randint(15000, 31000)
        if port in GIVEN_PORTS:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        GIVEN_PORTS.add(port)
        return port


def refuses(port):
    """Whether nobody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
        return False
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # it was about to be accepted
        return False


class Router:
    """Runs the router with a configuration, a dict; a missing port becomes a free one."""

    def __init__(self, routers, **top):
        self.folder = tempfile.mkdtemp(prefix="trestle-e2e-")
        self.names = os.path.join(self.folder, "names")
        os.mkdir(self.names)
        self.config = {"workers": 2, "namers": [{"kind": "io.l5d.fs", "rootDir": self.names}],
                       **copy.deepcopy(top), "routers": copy.deepcopy(routers)}
        self.process = None

    # Files of the fs namer.

    def path(self, name):
        return os.path.join(self.names, name)

    def write(self, name, *lines):
        """Puts a file in place in one step; a line is a port of this host or a whole line."""
        text = "".join(f"127.0.0.1 {line}\n" if isinstance(line, int) else line + "\n"
                       for line in lines)
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        fresh = os.path.join(self.folder, "fresh")
        with open(fresh, "w", encoding="utf-8") as out:
            out.write(text)
        os.rename(fresh, self.path(name))

    # The process.

    def start(self):
        for _ in range(5):
            self.launch()
            if self.wait_ready():
                return self
            # Somebody else was quicker to take the port.
            if "in use" not in self.log():
                break
        raise AssertionError(f"the router did not start: {self.log()}")

    def launch(self):
        config = copy.deepcopy(self.config)
        config.setdefault("admin", {}).setdefault("port", free_port())
        self.admin_port = config["admin"]["port"]
        for router in config["routers"]:
            for server in router["servers"]:
                server.setdefault("port", free_port())
        self.ports = [server["port"] for router in config["routers"]
                      for server in router["servers"]]
        self.port = self.ports[0]
        self.config_file = os.path.join(self.folder, "config.yaml")
        with open(self.config_file, "w", encoding="utf-8") as out:
            json.dump(config, out, indent=2)  # JSON is YAML too
        with open(os.path.join(self.folder, "log"), "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([program("trestle"), self.config_file], stderr=log,
                                            stdout=log, cwd=self.folder)

    def wait_ready(self):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                return False
            if self.is_ready():
                return True
            time.sleep(0.01)
        self.process.kill()
        raise AssertionError(f"the router was not ready in time: {self.log()}")

    def is_ready(self):
        try:
            status, body = self.admin("/admin/ready")
        except OSError:
            return False
        return status == 200 and "false" not in body

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as log:
            return log.read()

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self):
        return self.process.wait(PATIENCE)

    def stop(self):
        """A clean stop: exit code 0, and no sanitizer had anything to say."""
        try:
            if self.process and self.process.poll() is None:
                self.signal()
                try:
                    code = self.wait()
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
                    raise AssertionError(f"SIGTERM did not end it: {self.log()[-4000:]}") from None
                if code != 0:
                    raise AssertionError(f"the router ended with {code}: {self.log()[-8000:]}")
            self.check_log()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def check_log(self):
        if self.process and re.search(r"Sanitizer|runtime error:|Check failed", self.log()):
            raise AssertionError(f"the router is at fault: {self.log()[-8000:]}")

    # Its use of the machine.

    def memory(self, key="VmRSS"):
        """Bytes: VmRSS now, VmHWM the most there was since forget_peak()."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(re.search(rf"^{key}:\s*(\d+) kB$", status.read(), re.M).group(1)) * 1024

    def forget_peak(self):
        with open(f"/proc/{self.process.pid}/clear_refs", "w", encoding="ascii") as out:
            out.write("5")

    def is_sanitized(self):
        """Built with a sanitizer, whose own memory hides the router's: it maps terabytes."""
        return self.memory("VmSize") > 1 << 40

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def threads(self):
        """What each thread does: its name, and its state with the times it ran in user and system
        mode (hundredths of a second)."""
        tasks = f"/proc/{self.process.pid}/task"
        lines = []
        for task in sorted(os.listdir(tasks)):
            with open(f"{tasks}/{task}/stat", encoding="utf-8") as file:
                name, _, rest = file.read().partition("(")[2].rpartition(")")
            fields = rest.split()
            lines.append(f"{name} {fields[0]} {fields[11]}+{fields[12]}")
        return ", ".join(lines)

    # The admin server.

    def admin(self, path, method="GET", body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except http.client.HTTPException as failure:
            raise ConnectionError(str(failure)) from failure
        finally:
            connection.close()

    def metrics(self):
        status, body = self.admin("/admin/metrics.json")
        if status != 200:
            raise AssertionError(f"/admin/metrics.json: {status} {body}")
        return json.loads(body)

    def metric(self, name):
        return self.metrics().get(name, 0)

    def delegate(self, path, dtab=None, namespace=None):
        query = {"path": path, **({"dtab": dtab} if dtab else {}),
                 **({"namespace": namespace} if namespace else {})}
        return self.admin("/delegator.json?" + urllib.parse.urlencode(query))


class RouterTest(unittest.TestCase):
    """A test case with one router for all its tests; its class says in configure() which."""

    @classmethod
    def configure(cls):
        """Gives the Router, its files written."""
        raise NotImplementedError

    @classmethod
    def setUpClass(cls):
        cls.backends = []
        cls.router = cls.configure()
        cls.addClassCleanup(cls.stop_all)
        cls.router.start()

    @classmethod
    def stop_all(cls):
        for backend in cls.backends:
            backend.stop()
        cls.router.stop()

    @classmethod
    def backend(cls, backend):
        cls.backends.append(backend)
        return backend

    def tearDown(self):
        self.assertIsNone(self.router.process.poll(), self.router.log()[-8000:])

    def assert_router_error(self, reply, method, *parts):
        """An error of the router's own, as the client must see it. Gives its text."""
        self.assertEqual(reply.kind, 3, reply)
        self.assertEqual(reply.name, method)
        self.assertEqual(reply.fields.get(2), 6, reply)
        text = reply.fields[1].decode()
        self.assertTrue(text.startswith("trestle: "), text)
        self.assertNotIn("\n", text)
        for part in parts:
            self.assertIn(part, text)
        return text
