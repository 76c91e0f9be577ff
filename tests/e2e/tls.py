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
    """A backend that speaks TLS; a connection that does not is dropped, and told in `failures`."""

    def __init__(self, name, context, **more):
        self.context, self.failures, self.names, self.resumed = context, [], [], 0
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
            self.resumed += bool(secure.session_reused)
        super().serve(secure)


def handshake(port, context, name="a.example"):
    """Whether it comes to a handshake, and a byte can be read or the connection stays; else why."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=name) as secure:
                secure.sendall(b"\x00\x00\x00\x01")  # with TLS 1.3 a refusal comes later
                return "" if secure.recv(1) else "closed"
        except (OSError, ssl.SSLError) as failure:
            return str(failure)
