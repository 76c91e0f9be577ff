"""Clients and backends of every dialect with one face: what a call carries beside its message.

A dialect is framed, buffered, ttwitter, theader or mux; the last three have places for contexts,
trace ids, a client id, a local dtab, a destination and application headers, each its own.
"""

import dataclasses
import functools
import struct

import mux_wire as mux
import theader_wire as theader
import wire
from client import Client
from fake_backend import FakeBackend
from fake_dialects import TTwitterBackend
from fake_mux import FakeMux
from mux_client import MuxClient

DIALECTS = ("framed", "buffered", "ttwitter", "theader", "mux")
WITH_PLACES = ("ttwitter", "theader", "mux")
PROTOCOLS = (wire.Binary, wire.Compact)

# Backends here are Python, and a busy machine may keep them waiting.
PATIENT = {"connectTimeoutMs": 30000}
PATIENT_MUX = {"protocol": "thriftmux", "mux": {"pingTimeoutMs": 60000}, **PATIENT}
# What `client` says in the configuration for backends of a dialect.
CLIENT_KEYS = {
    "framed": {"protocol": "thrift", **PATIENT},
    "buffered": {"protocol": "thrift", "thriftFramed": False, **PATIENT},
    "ttwitter": {"protocol": "thrift", "attemptTTwitterUpgrade": True, **PATIENT},
    "theader": {"protocol": "theader", **PATIENT},
    "mux": PATIENT_MUX,
}
# Contexts that have a place of their own in what a call carries.
KNOWN = (mux.TRACE, mux.DEADLINE, mux.CLIENT_ID, mux.REQUEST_HEADERS, mux.RESPONSE_HEADERS)


@dataclasses.dataclass
class Carried:
    """`contexts` are those that are not told by another field."""

    contexts: dict = dataclasses.field(default_factory=dict)
    headers: dict = dataclasses.field(default_factory=dict)  # those of the application
    client_id: bytes | None = None
    trace: mux.Trace | None = None
    deadline: tuple | None = None  # timestamp and end, in nanoseconds
    dtab: list = dataclasses.field(default_factory=list)  # (prefix, tree), text
    dest: str = ""

    def pairs(self, headers_key=mux.REQUEST_HEADERS):
        """All of it that is contexts, as a Finagle peer writes them."""
        pairs = list(self.contexts.items())
        if self.headers:
            pairs.append((headers_key, mux.headers(self.headers.items())))
        if self.client_id is not None:
            pairs.append((mux.CLIENT_ID, self.client_id))
        if self.trace:
            pairs.append((mux.TRACE, self.trace.encode()))
        if self.deadline:
            pairs.append((mux.DEADLINE, mux.deadline(*self.deadline)))
        return pairs

    def ids(self):
        """The trace as fields of TTwitter's header; without one, those that are always there."""
        if not self.trace:
            return wire.IDS
        ids = {"trace_id": signed(self.trace.trace), "span_id": signed(self.trace.span),
               "flags": self.trace.flags & 1}
        if self.trace.parent != self.trace.span:
            ids["parent_id"] = signed(self.trace.parent)
        if self.trace.flags & 2:
            ids["sampled"] = bool(self.trace.flags & 4)
        return ids

    def keys(self, headers_key=mux.REQUEST_HEADERS):
        """All of it as keys of a THeader."""
        pairs = [pair for pair in self.pairs(headers_key) if pair[0] != headers_key]
        pairs += self.headers.items()
        if self.dtab:
            text = ";".join(f"{prefix}=>{tree}" for prefix, tree in self.dtab)
            pairs.append((theader.DTAB, text.encode()))
        if self.dest:
            pairs.append((theader.DST, self.dest.encode()))
        return pairs


def signed(number):
    """The i64 with these bits."""
    return number - 2**64 if number >= 2**63 else number


def squeezed(text):
    """Dtabs are compared without their spaces."""
    return text.decode().replace(" ", "")


def destination(text):
    """Nothing and "/" both mean that nothing is left of the name."""
    return "" if text in (None, b"", b"/") else text.decode()


def from_contexts(pairs):
    contexts = dict(pairs)
    carried = Carried(contexts={key: value for key, value in contexts.items() if key not in KNOWN},
                      client_id=contexts.get(mux.CLIENT_ID))
    for key in (mux.REQUEST_HEADERS, mux.RESPONSE_HEADERS):
        carried.headers.update(mux.read_headers(contexts.get(key, b"")))
    if mux.TRACE in contexts:
        carried.trace = mux.read_trace(contexts[mux.TRACE])
    if mux.DEADLINE in contexts:
        carried.deadline = mux.read_deadline(contexts[mux.DEADLINE])
    return carried


def from_keys(keys):
    """A key is a context when it is named like one of Finagle's, or is ours."""
    contexts, plain = {}, {}
    for key, value in keys:
        told = key.lower().startswith(b"com.twitter.finagle.") or key == mux.HOPS
        (contexts if told else plain)[key] = value
    carried = from_contexts(contexts.items())
    carried.dest = destination(plain.pop(theader.DST, None))
    text = squeezed(plain.pop(theader.DTAB, b""))
    carried.dtab = [tuple(dentry.split("=>")) for dentry in text.split(";") if dentry]
    carried.headers.update(plain)
    return carried


def from_ttwitter(header):
    carried = from_contexts((pair[1], pair[2]) for pair in header.get(8, []))
    carried.dest = destination(header.get(9))
    carried.dtab = [(squeezed(pair[1]), squeezed(pair[2])) for pair in header.get(10, [])]
    return carried


def from_dispatch(call):
    carried = from_contexts(call.contexts)
    carried.dest = destination(call.dst)
    carried.dtab = [(squeezed(prefix), squeezed(tree)) for prefix, tree in call.dtab]
    return carried


# Clients: call(name, fields, carried) gives the reply, came_back() what came with it.


class PlainSide(Client):
    has_places = False

    def parts(self, carried):
        return {}

    def call(self, name, fields=(), carried=None, seqid=None):
        return super().call(name, fields, seqid, **self.parts(carried or Carried()))

    def came_back(self):
        return Carried()


class TTwitterSide(PlainSide):
    has_places = True

    def __init__(self, port, protocol):
        super().__init__(port, protocol)
        self.upgrade()
        if not self.upgraded:
            raise AssertionError("the upgrade was refused")

    def parts(self, carried):
        client_id = carried.client_id.decode() if carried.client_id else None
        return {"contexts": carried.pairs(), "dtab": carried.dtab, "dest": carried.dest or None,
                "client_id": client_id, "ids": carried.ids()}

    def came_back(self):
        return from_contexts((pair[1], pair[2]) for pair in self.response_header.get(2, []))


class THeaderSide(theader.THeaderClient, PlainSide):
    has_places = True

    def parts(self, carried):
        return {"keys": carried.keys()}

    def came_back(self):
        return from_keys(self.header.keys)


class MuxSide(MuxClient):
    has_places = True
    last = None  # the last answer

    def call(self, name, fields=(), carried=None, seqid=None):
        carried = carried or Carried()
        seqid = self.seqid + 1 if seqid is None else seqid
        self.last = super().call(name, fields, contexts=carried.pairs(), dtab=carried.dtab,
                                 dst=carried.dest, seqid=seqid)
        message = self.last.message
        if not message:
            raise AssertionError(f"{name}: no message came back: {self.last}")
        if message.seqid != seqid:
            raise AssertionError(f"{name}: seqid {seqid} came back as {message.seqid}")
        return message

    def text(self, name, argument="", **parts):
        message = self.call(name, [(1, "string", argument)], **parts)
        return message.fields.get(1 if message.kind == wire.EXCEPTION else 0, b"").decode()

    def oneway(self, name, argument="", seqid=7):
        """A mux client gets an answer to it: nothing, and that is well."""
        fields = [(1, "string", argument)]
        self.last = self.answer(self.send(name, fields, kind=wire.ONEWAY, seqid=seqid))
        if (self.last.status, self.last.payload) != (mux.OK, b""):
            raise AssertionError(f"{name}: a oneway was answered: {self.last}")

    def came_back(self):
        return from_contexts(self.last.contexts)


def connect(dialect, port, protocol):
    if dialect == "buffered":
        return PlainSide(port, protocol, buffered=True)
    kinds = {"framed": PlainSide, "ttwitter": TTwitterSide, "theader": THeaderSide, "mux": MuxSide}
    return kinds[dialect](port, protocol)


# Backends: arrived(backend, name) is what the last call of this name carried, answer_with() what
# the replies shall.


class TTwitterSpeaker(TTwitterBackend):
    """Writes contexts into its ResponseHeaders."""

    reply_contexts = ()

    def wrap(self, connection, payload):
        if connection not in self.upgraded or not self.reply_contexts:
            return super().wrap(connection, payload)
        pairs = [[(1, "string", key), (2, "string", value)] for key, value in self.reply_contexts]
        return wire.frame(self.protocol.struct([(2, "list", ("struct", pairs))]) + payload)


def start(dialect, name, protocol):
    if dialect == "buffered":
        return FakeBackend(name, protocol, buffered=True)
    kinds = {"framed": FakeBackend, "ttwitter": TTwitterSpeaker, "mux": FakeMux,
             "theader": theader.THeaderBackend}
    return kinds[dialect](name, protocol)


def arrived(backend, name):
    if isinstance(backend, TTwitterBackend):
        return from_ttwitter(backend.header_of(name))
    if isinstance(backend, theader.THeaderBackend):
        return from_keys(backend.header_of(name).keys)
    return from_dispatch([call for call in list(backend.seen) if call.name == name][-1])


def answer_with(backend, carried):
    if isinstance(backend, theader.THeaderBackend):
        backend.reply_keys = carried.keys(mux.RESPONSE_HEADERS)
    else:
        backend.reply_contexts = carried.pairs(mux.RESPONSE_HEADERS)


def for_each(cases, *arguments):
    """Runs a test once for each case, as a subtest. `cases` names the method that gives them: what
    each is about, and what makes the test's arguments, the first of which is a client."""
    def decorate(test):
        @functools.wraps(test)
        def run(self):
            for about, make in getattr(self, cases)(*arguments):
                with self.subTest(**about):
                    client, *more = make()
                    with client:
                        test(self, client, *more)
        return run
    return decorate


def hops(carried):
    value = carried.contexts.get(mux.HOPS)
    return None if value is None else struct.unpack(">I", value)[0]
