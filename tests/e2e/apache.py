"""The peers that Apache Thrift made: user_server and user_client."""

import subprocess

from router_process import PATIENCE, program


class Server:
    """A user_server of its own process."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([program("user_server"), *arguments],
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def call(port, *arguments):
    """Exit code and output of a user_client."""
    done = subprocess.run([program("user_client"), "--port", str(port), *arguments],
                          capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
    return done.returncode, done.stdout.strip()
