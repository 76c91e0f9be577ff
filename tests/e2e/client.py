"""A Thrift client in bytes: it sends what a test says and reads whole messages."""

import socket
import struct

import wire

# How long a test waits for what must come. Nothing depends on it but how soon a failure is told.
PATIENCE = 60


class Closed(Exception):
    """The peer ended the connection (or reset it) where a message was expected."""


class Client:
    def __init__(self, port, protocol=wire.Binary, host="127.0.0.1", buffered=False):
        self.protocol, self.buffered = protocol, buffered
        self.upgraded = False
        self.response_header = {}  # the ResponseHeader before the last message
        self.seqid = 0
        self.socket = socket.create_connection((host, port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Ends the connection as a process that crashed does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send_bytes(self, data):
        self.socket.sendall(data)

    def send(self, kind, name, seqid, fields=(), **header):
        self.send_bytes(self.framed(kind, name, seqid, fields, **header))

    def framed(self, kind, name, seqid, fields=(), **header):
        """What send() sends: with a length in front, unless the client is a buffered one."""
        payload = self.protocol.message(kind, name, seqid, fields)
        if self.upgraded:
            payload = wire.request_header(self.protocol, **header) + payload
        return payload if self.buffered else wire.frame(payload)

    def receive_bytes(self, count):
        data = bytearray()
        while len(data) < count:
            try:
                more = self.socket.recv(min(count - len(data), 1 << 20))
            except ConnectionError as failure:
                raise Closed(str(failure)) from failure
            if not more:
                raise Closed(f"end of stream after {len(data)} of {count} bytes")
            data += more
        return bytes(data)

    def receive(self):
        """The next message; on an upgraded connection a ResponseHeader stands before it."""
        if self.buffered:
            reader = wire.StreamReader(self.receive_bytes)
        else:
            length = struct.unpack(">i", self.receive_bytes(4))[0]
            reader = wire.Reader(self.receive_bytes(length))
        if self.upgraded:
            self.response_header = self.protocol.read_struct(reader)
        message = self.protocol.read_message(reader)
        if reader.at != len(reader.data):
            raise wire.Malformed(f"{len(reader.data) - reader.at} bytes after the message")
        return message

    def call(self, name, fields=(), seqid=None, **header):
        """Sends a call and gives its reply, which must have the call's seqid."""
        if seqid is None:
            self.seqid += 1
            seqid = self.seqid
        self.send(wire.CALL, name, seqid, fields, **header)
        reply = self.receive()
        if reply.seqid != seqid:
            raise AssertionError(f"{name}: seqid {seqid} came back as {reply.seqid}")
        return reply

    def text(self, name, argument="", **header):
        """The result of a call with one string for argument, or the text of its exception."""
        reply = self.call(name, [(1, "string", argument)], **header)
        value = reply.fields.get(1 if reply.kind == wire.EXCEPTION else 0, b"")
        return value.decode()

    def oneway(self, name, argument="", seqid=7, **header):
        self.send(wire.ONEWAY, name, seqid, [(1, "string", argument)], **header)

    def upgrade(self):
        """TTwitter's upgrade; gives the answer to it."""
        self.send(wire.CALL, wire.UPGRADE, 0)
        answer = self.receive()
        self.upgraded = answer.kind != wire.EXCEPTION
        return answer

    def finish_sending(self):
        self.socket.shutdown(socket.SHUT_WR)

    def is_closed(self):
        """Waits until the peer ends the connection; what it still sends must be nothing."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True
