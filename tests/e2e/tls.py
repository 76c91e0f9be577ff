"""TLS peers of the router: Python's ssl around the clients and backends of the other tests, and
certificates that OpenSSL's command line makes."""

import atexit
import functools
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading

from client import PATIENCE, Client
from fake_backend import FakeBackend
from router_process import SOURCE


@functools.cache
def certs():
    """A folder with what tests/support/make_certs.sh makes."""
    folder = tempfile.mkdtemp(prefix="trestle-certs-")
    atexit.register(shutil.rmtree, folder)
    subprocess.run([os.path.join(SOURCE, "tests", "support", "make_certs.sh"), folder], check=True)
    return folder


def pem(name):
    return os.path.join(certs(), name)


def pair(name, chain=True):
    """The keys of a configuration for a certificate by the intermediate."""
    return {"certPath": pem(name + ".pem"), "keyPath": pem(name + ".key"),
            **({"intermediateCertsPath": pem("intermediate.pem")} if chain else {})}


def client_context(ca="ca.pem", cert=None, protocol=None):
    context = ssl.create_default_context(cafile=pem(ca))
    if cert:
        context.load_cert_chain(pem(cert + ".pem"), pem(cert + ".key"))
    if protocol:
        context.minimum_version = context.maximum_version = protocol
    return context


def server_context(cert, chain=True, client_ca=None, protocol=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    whole = pem(cert + ".pem")
    if chain:
        whole = pem(cert + "_and_chain.pem")
        with open(whole, "w", encoding="ascii") as out:
            for part in (cert, "intermediate"):
                with open(pem(part + ".pem"), encoding="ascii") as text:
                    out.write(text.read())
    context.load_cert_chain(whole, pem(cert + ".key"))
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(pem(client_ca))
    if protocol:
        context.minimum_version = context.maximum_version = protocol
    return context


class TlsClient(Client):
    """A client whose connection speaks TLS."""

    def __init__(self, port, context=None, name="a.example", session=None, **more):
        super().__init__(port, **more)
        self.socket = (context or client_context()).wrap_socket(
            self.socket, server_hostname=name, session=session)


class TlsBackend(FakeBackend):
    """A backend that speaks TLS; a connection that does not is dropped, and told in `failures`.

    Methods beside those of FakeBackend: damaged sends bytes that are no record of TLS; endInReply
    says in good order in the middle of its reply that no more comes.
    """

    def __init__(self, name, context, **more):
        self.context, self.failures, self.names = context, [], []
        self.shaken = self.resumed = 0
        self.context.sni_callback = lambda _, asked, __: self.names.append(asked)
        super().__init__(name, **more)

    def serve(self, connection):
        connection.settimeout(PATIENCE)
        try:
            with self.lock:
                self.connections.discard(connection)
            secure = self.context.wrap_socket(connection, server_side=True)
        except (OSError, ssl.SSLError) as failure:
            self.failures.append(str(failure))
            connection.close()
            return
        secure.settimeout(None)
        with self.lock:
            self.connections.add(secure)
            self.shaken += 1
            self.resumed += bool(secure.session_reused)
            self.lock.notify_all()
        super().serve(secure)

    def do_damaged(self, connection, _):
        os.write(connection.fileno(), b"\x17\x03\x03\x00\x40" + b"damaged!" * 8)
        return True

    def do_endInReply(self, connection, _):
        connection.sendall(b"\x00\x00\x00\x40half of it")
        try:
            connection.unwrap()
        except (OSError, ssl.SSLError):
            pass  # the router need not say its end
        return False


class ClearBackend(FakeBackend):
    """A backend that does what `act` does with each connection, in clear; it ends afterwards."""

    def __init__(self, name, act):
        self.act = act
        super().__init__(name)

    def serve(self, connection):
        connection.settimeout(PATIENCE)
        try:
            self.act(connection)
        except OSError:
            pass  # the router ended it
        finally:
            self.end(connection)
            connection.close()
            with self.lock:
                self.connections.discard(connection)


class OpenSsl:
    """OpenSSL's command line as a peer; what it says is in `said`."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(["openssl", *map(str, arguments)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.said = b""
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        while more := os.read(self.process.stdout.fileno(), 65536):
            self.said += more

    def type(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def wait(self):
        self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
        return self.said.decode(errors="replace")

    def stop(self):
        self.process.kill()
        self.process.stdin.close()
        self.wait()
        self.process.stdout.close()


def client_hello(context=None, name="a.example"):
    """The first bytes that a client sends."""
    out = ssl.MemoryBIO()
    peer = (context or client_context()).wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    try:
        peer.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def handshake(port, context, name="a.example"):
    """Whether it comes to a handshake, and a byte can be read or the connection stays; else why."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=name) as secure:
                secure.sendall(b"\x00\x00\x00\x01")  # with TLS 1.3 a refusal comes later
                return "" if secure.recv(1) else "closed"
        except (OSError, ssl.SSLError) as failure:
            return str(failure)
