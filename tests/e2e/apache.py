"""The peers that Apache Thrift made: user_server and user_client, and header_peer.py in Python."""

import os
import subprocess

from router_process import BIN, PATIENCE, SOURCE, program

# Debian's Python, for which its python3-thrift is.
HEADER_PEER = ["/usr/bin/python3", "-B", f"{SOURCE}/tests/support/thrift_peers/header_peer.py",
               "--gen", os.path.join(BIN, "../thrift_peers/gen-py")]


class Server:
    """A user_server of its own process."""

    command = property(lambda self: [program("user_server")])

    def __init__(self, *arguments):
        self.process = subprocess.Popen([*self.command, *arguments],
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class PythonServer(Server):
    """A server on Python's header transport."""

    command = HEADER_PEER


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE,
                          check=False)
    return done.returncode, done.stdout.strip() or done.stderr.strip()


def call(port, *arguments):
    """Exit code and output of a user_client."""
    return run(program("user_client"), "--port", str(port), *arguments)


def python_call(port, flags, *arguments):
    """The same of a client on Python's header transport; `flags` are --protocol and --zlib."""
    return run(*HEADER_PEER, *flags, "client", str(port), *arguments)
