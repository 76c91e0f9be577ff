"""A real ZooKeeper of one server as a process of its own, and kazoo, which writes what it holds."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile

from kazoo.client import KazooClient

from router_process import free_port, until

JAR = "/usr/share/java/zookeeper.jar"
MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"


class ZooKeeper:
    """`tick`: its unit of time in ms; sessions last from 2 to 20 of them."""

    def __init__(self, tick=200):
        self.folder = tempfile.mkdtemp(prefix="trestle-zk-")
        self.port = free_port()
        self.process = None
        self.kazoo = None
        self.config = os.path.join(self.folder, "zoo.cfg")
        with open(self.config, "w", encoding="utf-8") as out:
            out.write(f"tickTime={tick}\ndataDir={self.folder}/data\nclientPort={self.port}\n"
                      "clientPortAddress=127.0.0.1\nadmin.enableServer=false\n"
                      "maxClientCnxns=0\n4lw.commands.whitelist=*\n")

    def start(self):
        with open(os.path.join(self.folder, "log"), "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                ["java", "-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", JAR,
                 MAIN, self.config], stdout=log, stderr=log)
        until(lambda: self.say("ruok") == "imok", "ZooKeeper serves")
        return self

    def say(self, word):
        """Its answer to one of its four-letter words; nothing while it does not serve."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
                connection.sendall(word.encode())
                answer = b""
                while more := connection.recv(65536):
                    answer += more
                return answer.decode()
        except OSError:
            return ""

    def watches(self):
        """How many watches all clients have."""
        lines = dict(line.split("\t") for line in self.say("mntr").splitlines() if "\t" in line)
        return int(lines["zk_watch_count"])

    def kill(self):
        self.process.kill()
        self.process.wait()

    def pause(self, paused):
        self.process.send_signal(signal.SIGSTOP if paused else signal.SIGCONT)

    def stop(self):
        if self.kazoo:
            self.kazoo.stop()
            self.kazoo.close()
        if self.process and self.process.poll() is None:
            self.pause(False)
            self.kill()
        shutil.rmtree(self.folder)

    # What is in it.

    def client(self):
        if not self.kazoo:
            self.kazoo = KazooClient(f"127.0.0.1:{self.port}", timeout=10)
            self.kazoo.start(timeout=60)
        return self.kazoo

    def add(self, path, port, **more):
        """A member of the set at `path`; gives its znode."""
        member = {"serviceEndpoint": {"host": "127.0.0.1", "port": port},
                  "additionalEndpoints": {}, "status": "ALIVE", **more}
        return self.put(path + "/member_", json.dumps(member), sequence=True)

    def put(self, path, data="", **options):
        return self.client().create(path, data.encode(), makepath=True, **options)

    def set(self, path, data):
        self.client().set(path, data.encode())

    def remove(self, path):
        self.client().delete(path, recursive=True)
