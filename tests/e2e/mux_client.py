"""A mux client in bytes: it starts a session as it is told, and reads whole messages.

What the server asks (Tping, Tdrain, Tlease) is answered and noted while something else is awaited.
"""

import struct

import mux_wire as mux
import wire
from client import Client, Closed


class Answer:
    """What came back for a tag."""

    def __init__(self, frame, protocol):
        self.type, self.tag, self.body = frame.type, frame.tag, frame.body
        self.status, self.contexts, self.payload, self.message = None, [], b"", None
        if frame.type == mux.RDISPATCH:
            self.status, self.contexts, self.payload = mux.read_reply(frame.body)
        elif frame.type == mux.RREQ:
            self.status, self.payload = frame.body[0], frame.body[1:]
        if self.status == mux.OK and self.payload and protocol:
            self.message = wire.parse(protocol, self.payload)

    def context(self, key):
        return dict(self.contexts).get(key)

    @property
    def flags(self):
        """Those of MuxFailure."""
        return mux.failure_of(self.contexts)

    def __repr__(self):
        return f"type {self.type} tag {self.tag} {self.message or self.body[:300]}"


class MuxClient:
    """`handshake`: probe (the question and Tinit), tinit (that alone), none. `fragment`: the
    largest body that the server is told to send; `protocol` None: payloads are opaque."""

    def __init__(self, port, protocol=wire.Binary, handshake="probe", fragment=None, headers=None):
        self.protocol = protocol
        self.connection = Client(port)
        self.peer_fragment = None  # what the server wants
        self.joiner = mux.Joiner()
        self.largest = 0  # body of a frame that came
        self.answers = {}  # by tag, those that came while another was awaited
        self.taken = set()  # tags in use
        self.seqid = 0
        self.noted = []  # types of what the server asked
        self.lease = None  # what the last Tlease said
        self.drained = False
        self.answers_drain = True
        self.server_headers = None
        if headers is None:
            headers = mux.framer(fragment) if fragment else []
        if handshake == "probe":
            self.probe()
        if handshake != "none":
            self.start(headers)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.connection.close()

    def reset(self):
        self.connection.reset()

    def is_closed(self):
        return self.connection.is_closed()

    # The start of a session.

    def probe(self):
        self.send_message(mux.OLD_RERR, 1, mux.PROBE)
        answer = self.receive_frame()
        if answer != mux.Frame(mux.OLD_RERR, 1, False, mux.PROBE):
            raise AssertionError(f"the answer to the probe is {answer}")

    def start(self, headers=(), version=1):
        self.send_message(mux.TINIT, 1, mux.init(headers, version))
        answer = self.receive_frame()
        if (answer.type, answer.tag) != (mux.RINIT, 1):
            raise AssertionError(f"the answer to Tinit is {answer}")
        version, self.server_headers = mux.read_init(answer.body)
        if version != 1:
            raise AssertionError(f"version {version}")
        self.peer_fragment = mux.framer_of(self.server_headers)

    # Sending.

    def send_bytes(self, data):
        self.connection.send_bytes(data)

    def send_message(self, kind, tag, body=b"", more=False):
        self.send_bytes(mux.message(kind, tag, body, more))

    def free_tag(self):
        tag = 2
        while tag in self.taken or tag in self.answers:  # those were not asked for yet
            tag += 1
        return tag

    def payload(self, name, fields=(), kind=wire.CALL, seqid=None):
        if seqid is None:
            self.seqid += 1
            seqid = self.seqid
        return self.protocol.message(kind, name, seqid, fields)

    def dispatch(self, payload, tag=None, fragment=None, **parts):
        """Sends a Tdispatch, in pieces where the server wants it so. Gives its tag."""
        tag = self.free_tag() if tag is None else tag
        self.taken.add(tag)
        size = fragment or self.peer_fragment
        self.send_bytes(b"".join(mux.pieces(mux.TDISPATCH, tag, mux.dispatch(payload, **parts),
                                            size)))
        return tag

    def send(self, name, fields=(), tag=None, kind=wire.CALL, seqid=None, **parts):
        return self.dispatch(self.payload(name, fields, kind, seqid), tag, **parts)

    def discard(self, tag, why="the caller is gone", kind=mux.OLD_TDISCARDED):
        self.send_message(kind, 0, mux.discarded(tag, why))

    # Receiving.

    def receive_frame(self):
        frame = mux.read_frame(self.connection.receive_bytes)
        self.largest = max(self.largest, len(frame.body))
        return frame

    def receive(self):
        """The next whole message that is no session message of the server's."""
        while True:
            frame = self.joiner.take(self.receive_frame())
            if frame and not self.on_session(frame):
                self.taken.discard(frame.tag)
                return frame

    def on_session(self, frame):
        """True for what the server asks."""
        if frame.type < 0 or frame.type == mux.OLD_RERR:
            return False
        self.noted.append(frame.type)
        if frame.type == mux.TPING:
            self.send_message(mux.RPING, frame.tag)
        elif frame.type == mux.TDRAIN:
            self.drained = True
            if self.answers_drain:
                self.send_message(mux.RDRAIN, frame.tag)
        elif frame.type == mux.TLEASE:
            self.lease = struct.unpack(">BQ", frame.body)[1]
        return True

    def answer(self, tag):
        """What came back for the tag, whatever came before."""
        while tag not in self.answers:
            frame = self.receive()
            self.answers[frame.tag] = frame
        return Answer(self.answers.pop(tag), self.protocol)

    def call(self, name, fields=(), **parts):
        return self.answer(self.send(name, fields, **parts))

    def text(self, name, argument="", **parts):
        """The result of a call with one string, or the text of its exception."""
        message = self.call(name, [(1, "string", argument)], **parts).message
        value = message.fields.get(1 if message.kind == wire.EXCEPTION else 0, b"")
        return value.decode()

    def ping(self, tag=1):
        self.send_message(mux.TPING, tag)
        return self.answer(tag).type == mux.RPING

    def until_closed(self):
        """Everything that comes until the server ends the connection."""
        frames = []
        try:
            while True:
                frames.append(self.receive())
        except Closed:
            return frames

    def until_drained(self):
        """Waits for a Tdrain; answers that come before it are kept."""
        while not self.drained:
            frame = self.joiner.take(self.receive_frame())
            if frame and not self.on_session(frame):
                self.taken.discard(frame.tag)
                self.answers[frame.tag] = frame
