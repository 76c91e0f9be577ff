"""A mux backend that does what the method's name says, well or badly, as FakeBackend does.

Methods beside those of FakeBackend (argument 1 is text):
  report           gives as JSON what arrived: contexts, dst, dtab, the message
  nack error rerr  the other ways to answer; the argument is the flags of MuxFailure, or nothing
  never            is not answered at all
  pattern          "N": gives N bytes, pattern(N)
  cutOff           "N": gives the first N bytes of its reply and ends the session
  wrongTag echoTwice garbage truncated unknownType  what a backend must not do
`hold` does not block the others: mux answers in any order.
"""

import functools
import json
import threading

import mux_wire as mux
import wire
from fake_backend import FakeBackend, exactly
from fake_dialects import pattern


pattern = functools.lru_cache(pattern)


class MuxCall:
    """A dispatch as it arrived. Looks like a wire.Message, and has what mux has beside it."""

    def __init__(self, session, tag, dispatch, message):
        self.session, self.tag = session, tag
        self.contexts, self.dst, self.dtab, self.payload = dispatch
        self.message = message
        self.kind, self.name, self.seqid, self.fields, self.body = message

    def context(self, key):
        """The value of the last context with this key, None without one."""
        return dict(self.contexts).get(key)

    def report(self):
        return json.dumps({
            "contexts": [[key.decode(), value.hex()] for key, value in self.contexts],
            "dst": self.dst.decode(), "tag": self.tag, "name": self.name, "kind": self.kind,
            "dtab": [[prefix.decode(), tree.decode()] for prefix, tree in self.dtab],
            "seqid": self.seqid, "body": self.body.hex()})


class Session:
    """One connection: a thread reads it, any thread may write to it."""

    def __init__(self, backend, connection):
        self.backend, self.connection = backend, connection
        self.stream = connection.makefile("rb")
        self.lock = threading.Lock()
        self.joiner = mux.Joiner()
        self.peer_fragment = None  # the largest body that the client wants
        self.client_headers = None  # those of Tinit
        self.calls = {}  # by tag, those not answered yet
        self.started = self.draining = self.drained = self.ended = False
        self.pings = self.pongs = 0

    def sendall(self, data):
        with self.lock:
            self.connection.sendall(data)

    def send(self, kind, tag, body=b"", more=False):
        self.sendall(mux.message(kind, tag, body, more))

    def reply(self, tag, body):
        """An Rdispatch, in pieces where the client wants it so; the tag is free then."""
        self.calls.pop(tag, None)
        size = self.backend.cut or self.peer_fragment
        for piece in mux.pieces(mux.RDISPATCH, tag, body, size):
            self.sendall(piece)  # what others have to say may come between
        self.end_if_drained()

    def claim(self, call):
        """True for one of those who want to answer the call."""
        with self.lock:
            return self.calls.pop(call.tag, None) is call

    def drain(self):
        """Says that no new calls shall come; the session ends with the last reply."""
        self.draining = True
        self.send(mux.TDRAIN, 1)

    def end_if_drained(self):
        if self.drained and not self.calls:
            self.end()

    def lease(self, milliseconds):
        self.send(mux.TLEASE, 0, mux.lease(milliseconds))

    def ping(self, tag=1):
        self.send(mux.TPING, tag)

    def end(self):
        FakeBackend.end(self.connection)

    def read(self):
        """The next whole message; raises at the end."""
        while True:
            frame = mux.read_frame(lambda count: exactly(self.stream, count))
            if whole := self.joiner.take(frame):
                return whole


class FakeMux(FakeBackend):
    """`handshake`: accept, refuse (no negotiation), rerr (to Tinit), hangUp, silent. `fragment`:
    the largest body that it wants; `cut`: the size of the pieces of its replies, whatever is
    wanted. `protocol` None: payloads are "METHOD ARGUMENT" and what comes back is text."""

    def __init__(self, name, protocol=wire.Binary, port=0, handshake="accept", fragment=None,
                 cut=None, **more):
        self.handshake, self.fragment, self.cut = handshake, fragment, cut
        self.version = 1
        self.answers_pings = self.answers_discards = True
        self.reply_contexts = []  # of every Rdispatch that is ok
        self.sessions = []  # all there were
        self.discarded = []  # (call or None, tag, why), of Tdiscarded
        self.after_drain = []  # calls that came after Rdrain
        self.probes = self.inits = 0
        super().__init__(name, protocol, port, **more)

    # The sessions.

    def live(self):
        return [session for session in list(self.sessions) if not session.ended]

    def serve(self, connection):
        session = Session(self, connection)
        with self.lock:
            self.sessions.append(session)
            self.lock.notify_all()
        try:
            while self.take(session, session.read()):
                pass
        except (OSError, wire.Malformed, ValueError):
            pass  # the router ended it, or stop() did
        finally:
            self.end(connection)
            session.stream.close()
            connection.close()
            with self.lock:
                session.ended = True
                self.connections.discard(connection)
                self.lock.notify_all()

    def take(self, session, frame):
        """What a message asks for. False ends the session."""
        handlers = {mux.OLD_RERR: self.on_probe, mux.RERR: self.on_probe, mux.TINIT: self.on_init,
                    mux.TDISPATCH: self.on_dispatch, mux.TREQ: self.on_treq,
                    mux.TPING: self.on_ping, mux.RPING: self.on_pong, mux.RDRAIN: self.on_drain,
                    mux.TDISCARDED: self.on_discard, mux.OLD_TDISCARDED: self.on_discard}
        handler = handlers.get(frame.type)
        if not handler:
            raise wire.Malformed(f"type {frame.type} was not expected")
        go_on = handler(session, frame)
        with self.lock:
            self.lock.notify_all()
        return go_on is not False

    def on_probe(self, session, frame):
        self.probes += 1
        if self.handshake == "hangUp":
            return False
        if self.handshake != "silent":
            text = b"no such thing" if self.handshake == "refuse" else frame.body
            session.send(mux.OLD_RERR, frame.tag, text)
        return True

    def on_init(self, session, frame):
        self.inits += 1
        _, session.client_headers = mux.read_init(frame.body)
        session.peer_fragment = mux.framer_of(session.client_headers)
        if self.handshake == "rerr":
            session.send(mux.OLD_RERR, frame.tag, b"Unsupported Mux version")
            return False
        headers = mux.framer(self.fragment) if self.fragment else []
        session.send(mux.RINIT, frame.tag, mux.init(headers, self.version))
        session.started = True
        return True

    def on_ping(self, session, frame):
        session.pings += 1
        if self.answers_pings:
            session.send(mux.RPING, frame.tag)

    def on_pong(self, session, frame):
        session.pongs += 1

    def on_drain(self, session, frame):
        session.drained = True
        session.end_if_drained()

    def on_discard(self, session, frame):
        tag, why = mux.read_discarded(frame.body)
        call = session.calls.get(tag)
        self.discarded.append((call, tag, why.decode()))
        session.joiner.parts.pop(tag, None)
        if call and self.answers_discards and session.claim(call):
            session.send(mux.RDISCARDED, tag)
            session.end_if_drained()

    def on_treq(self, session, frame):
        _, payload = mux.read_treq(frame.body)
        return self.on_call(session, frame.tag, mux.Dispatch([], b"", [], payload))

    def on_dispatch(self, session, frame):
        return self.on_call(session, frame.tag, mux.read_dispatch(frame.body))

    def on_call(self, session, tag, dispatch):
        if tag in session.calls:
            raise wire.Malformed(f"duplicate tag {tag}")
        try:
            message = self.parse(dispatch.payload)
        except wire.Malformed as failure:
            session.reply(tag, mux.reply(mux.ERROR, f"no {self.protocol.name}: {failure}".encode()))
            return True
        call = MuxCall(session, tag, dispatch, message)
        if session.drained:
            self.after_drain.append(call)
            session.reply(tag, mux.reply(mux.NACK))
            return True
        session.calls[tag] = call
        return self.answer(session, call)

    def parse(self, payload):
        if self.protocol:
            return wire.parse(self.protocol, payload)
        name, _, argument = payload.partition(b" ")
        return wire.Message(wire.CALL, name.decode(), 0, {1: argument}, payload)

    # Answers.

    def reply(self, connection, message, fields, **changed):
        parts = {"kind": wire.REPLY, "name": message.name, "seqid": message.seqid, **changed}
        if message.kind == wire.ONEWAY:
            payload = b""
        elif self.protocol:
            payload = self.protocol.message(fields=fields, **parts)
        else:
            payload = b"".join(wire.as_bytes(value) for _, _, value in fields)
        connection.reply(message.tag, mux.reply(mux.OK, payload, self.reply_contexts))
        return True

    def do_report(self, session, call):
        return self.reply(session, call, [(0, "string", call.report())])

    def do_hold(self, session, call):
        with self.lock:
            if call.fields[1] not in self.released:
                return True  # it stays among the calls of the session
        return self.answer_held(session, call)

    def answer_held(self, session, call):
        if session.claim(call):
            self.reply(session, call, [(0, "string", call.fields[1])])
        return True

    def release(self, argument):
        super().release(argument)
        for session in self.live():
            for call in list(session.calls.values()):
                if call.name.endswith("hold") and call.fields[1] == argument.encode():
                    self.answer_held(session, call)

    def do_never(self, session, call):
        return True

    def do_pattern(self, session, call):
        return self.reply(session, call, [(0, "string", pattern(int(call.fields[1])))])

    def failure(self, call):
        return mux.failure(int(call.fields[1])) if call.fields.get(1) else []

    def do_nack(self, session, call):
        session.reply(call.tag, mux.reply(mux.NACK, b"", self.failure(call)))
        return True

    def do_error(self, session, call):
        session.reply(call.tag, mux.reply(mux.ERROR, b"as the backend says it",
                                          self.failure(call)))
        return True

    def do_rerr(self, session, call):
        session.calls.pop(call.tag)
        session.send(mux.OLD_RERR, call.tag, b"no such message")
        return True

    # Bad ones.

    def do_echoTwice(self, session, call):
        self.do_echo(session, call)
        return self.do_echo(session, call)

    def do_cutOff(self, session, call):
        whole = mux.message(mux.RDISPATCH, call.tag, mux.reply(mux.OK, self.protocol.message(
            wire.REPLY, call.name, call.seqid, self.text(call))))
        session.sendall(whole[:int(call.fields[1])])
        return False

    def do_wrongTag(self, session, call):
        session.reply(call.tag + 1000, mux.reply(mux.OK, b"nobody's"))
        return True

    def do_garbage(self, session, call):
        session.reply(call.tag, mux.reply(mux.OK, b"\xde\xad\xbe\xef" * 8))
        return True

    def do_garbageBytes(self, session, call):
        session.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        return True

    def do_truncated(self, session, call):
        session.reply(call.tag, b"\0\0")
        return True

    def do_unknownType(self, session, call):
        session.send(33, call.tag, b"?")
        return True

    def do_emptyFrame(self, session, call):
        session.sendall(b"\0\0\0\0")
        return True

    def do_hugeFrame(self, session, call):
        session.sendall(b"\x7f\xff\xff\xff\xfe\0\0\2")
        return True
