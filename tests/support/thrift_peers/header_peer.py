#!/usr/bin/python3
"""userService of users.thrift on Python's own header transport, as a server or a client.

  header_peer.py --gen DIR [--protocol binary|compact] [--zlib] server [--version v1] [--any]
  header_peer.py --gen DIR [--protocol binary|compact] [--zlib] client PORT [--multiplexed]
                 [--header KEY=VALUE]… [--show-headers] METHOD [ARGUMENT]

DIR is where Apache Thrift's compiler put gen-py. The server prints "listening PORT" and runs until
it is killed; a call's keys come back as seen-KEY; --any: it takes clients without headers too. The
client's output is that of user_client.
"""

import argparse
import logging
import socket
import sys
import threading

from thrift.protocol import TMultiplexedProtocol
from thrift.protocol.THeaderProtocol import THeaderProtocol, THeaderProtocolFactory
from thrift.server.TServer import TThreadedServer
from thrift.Thrift import TApplicationException
from thrift.transport.THeaderTransport import THeaderSubprotocolID, THeaderTransformID
from thrift.transport.TSocket import TServerSocket, TSocket
from thrift.transport.TTransport import TBufferedTransportFactory, TTransportException

PROTOCOLS = {"binary": THeaderSubprotocolID.BINARY, "compact": THeaderSubprotocolID.COMPACT}


class Users:
    """Has ada (1) and grace (2), as each user_server has."""

    def __init__(self, users, version):
        self.users, self.label = users, version
        self.lock = threading.Lock()
        self.lines, self.known = 0, {}
        for name in ("ada", "grace"):
            self.add(name)

    def add(self, name):
        number = len(self.known) + 1
        self.known[number] = self.users.User(number, name, self.label, ["new", "of " + self.label])
        return self.known[number]

    def addUser(self, name):
        with self.lock:
            if any(user.name == name for user in self.known.values()):
                raise self.users.UserExists(name)
            return self.add(name)

    def getUser(self, number):
        with self.lock:
            if number not in self.known:
                raise self.users.NotFound(number)
            return self.known[number]

    def listUsers(self):
        with self.lock:
            return list(self.known.values())

    def ping(self):
        pass

    def version(self):
        return self.label

    def echo(self, text):
        return text

    def echoBytes(self, data):
        return data

    def slow(self, milliseconds):
        threading.Event().wait(milliseconds / 1000)
        return self.label

    def fail(self, text):
        raise TApplicationException(TApplicationException.INTERNAL_ERROR, text)

    def log(self, line):
        with self.lock:
            self.lines += 1

    def logged(self):
        return self.lines


class Answering(THeaderProtocol):
    """Sends the keys that it read back with the reply."""

    def readMessageBegin(self):
        begin = super().readMessageBegin()
        for key, value in self.get_headers().items():
            self.set_header(b"seen-" + key, value)
        return begin


class AnsweringFactory(THeaderProtocolFactory):
    def __init__(self, options):
        types = (0, 1, 2, 3, 4) if options.any else (0,)
        super().__init__(types, PROTOCOLS[options.protocol])
        self.zlib = options.zlib

    def getProtocol(self, transport):
        protocol = Answering(transport, self.allowed_client_types, self.default_protocol)
        if self.zlib:
            protocol.add_transform(THeaderTransformID.ZLIB)
        return protocol


class Announcing(TServerSocket):
    def listen(self):
        super().listen()
        print("listening", self.handle.getsockname()[1], flush=True)


def serve(options):
    from users import ttypes, userService
    processor = userService.Processor(Users(ttypes, options.version))
    # Python's servers take the header protocol for both ways when the factory is one of these.
    server = TThreadedServer(processor, Announcing("127.0.0.1", 0), TBufferedTransportFactory(),
                             AnsweringFactory(options), daemon=True)
    server.serve()


class Caller:
    """One connection and the generated client on it."""

    def __init__(self, options):
        from users import ttypes, userServiceNext
        self.types, self.options = ttypes, options
        transport = TSocket("127.0.0.1", options.port)
        transport.setTimeout(30000)
        transport.open()
        transport.handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.header = THeaderProtocol(transport, (0,), PROTOCOLS[options.protocol])
        if options.zlib:
            self.header.add_transform(THeaderTransformID.ZLIB)
        protocol = self.header
        if options.multiplexed:
            protocol = TMultiplexedProtocol.TMultiplexedProtocol(protocol, "userService")
        self.client = userServiceNext.Client(protocol)

    def show(self, value):
        if isinstance(value, list):
            return self.show(value[0])
        if isinstance(value, self.types.User):
            return f"{value.id} {value.name} from {value.servedBy}"
        return "" if value is None else str(value)

    def line(self, method, argument):
        for key, _, value in (one.partition("=") for one in self.options.header):
            self.header.set_header(key.encode(), value.encode())
        if method in ("getUser", "slow"):
            arguments = [int(argument)]
        elif method in ("listUsers", "ping", "version", "logged", "notThereYet"):
            arguments = []
        else:
            arguments = [argument]
        try:
            value = getattr(self.client, method)(*arguments)
        except (self.types.UserExists, self.types.NotFound) as declared:
            what = getattr(declared, "name", None) or getattr(declared, "id", None)
            return f"declared {type(declared).__name__}: {what}"
        except TApplicationException as failure:
            return f"application {failure.type}: {failure.message}"
        return f"ok {self.show(value)}".rstrip()

    def all(self):
        """A call of every kind; gives those whose answers are not those of a fresh server."""
        large = "0123456789abcdef" * 65536
        rows = [("ping", "", "ok"), ("getUser", "1", "ok 1 ada from "),
                ("getUser", "99", "declared NotFound: 99"), ("listUsers", "", "ok 1 ada from "),
                ("addUser", "ada", "declared UserExists: ada"), ("echo", "grüß dich",
                                                                 "ok grüß dich"),
                ("echo", large, "ok " + large), ("echo", "", "ok"),
                ("notThereYet", "", "application 1: "), ("fail", "on purpose", "application "),
                ("log", "line", "ok"), ("slow", "20", "ok "), ("ping", "", "ok")]
        faults = 0
        for method, argument, begin in rows:
            line = self.line(method, argument)
            if not line.startswith(begin):
                faults += 1
                print(f"{method}: expected {begin[:200]}, got {line[:200]}")
        print(f"{len(rows) - faults} calls as expected, {faults} not")
        return 3 if faults else 0


def call(options):
    caller = Caller(options)
    if options.method == "all":
        return caller.all()
    line = caller.line(options.method, options.argument)
    if options.show_headers:
        came = sorted(caller.header.get_headers().items())
        line += " {" + " ".join(f"{k.decode()}={v.decode()}" for k, v in came) + "}"
    print(line)
    return 0


def main():
    parser = argparse.ArgumentParser(description="userService on Python's header transport")
    parser.add_argument("--gen", required=True)
    parser.add_argument("--protocol", choices=PROTOCOLS, default="binary")
    parser.add_argument("--zlib", action="store_true")
    modes = parser.add_subparsers(dest="mode", required=True)
    server = modes.add_parser("server")
    server.add_argument("--version", default="v1")
    server.add_argument("--any", action="store_true")
    client = modes.add_parser("client")
    client.add_argument("port", type=int)
    client.add_argument("--multiplexed", action="store_true")
    client.add_argument("--header", action="append", default=[])
    client.add_argument("--show-headers", action="store_true")
    client.add_argument("method")
    client.add_argument("argument", nargs="?", default="")
    options = parser.parse_args()
    sys.path.insert(0, options.gen)
    logging.disable()  # of exceptions that a test asks for
    if options.mode == "server":
        serve(options)
    try:
        return call(options)
    except (TTransportException, OSError, EOFError) as failure:
        print(f"transport: {failure}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
